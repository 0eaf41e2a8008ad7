//! `cpu`: which processor works on the packet. No capture says so: it is a fact of the host model, and
//! unknown where the model does not declare it.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const OPTIONS: &[OptionSpec] = &[valued("cpu", 0).inverted()];

const MANUAL: &str = "\
Asks which processor of the host works on the packet.

- `[!] --cpu NUMBER`: its number, from 0 on.

The option is needed.

    -t nat -A PREROUTING -p tcp --dport 80 -m cpu --cpu 0 -j REDIRECT --to-ports 8080

Which processor that is depends on interrupts, queues of the network card and packet steering. Where the host
model does not say (`cpu`), a rule with this match is passed over and named as unknown.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "cpu",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Cpu {
    inverted: bool,
    number: u32,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(0)?;
    let number = arguments.number32(given)?;
    Some(Box::new(Cpu { inverted: given.inverted, number }))
}

impl Match for Cpu {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        match traversal.host.cpu() {
            Some(cpu) => ((cpu == self.number) != self.inverted).into(),
            None => Answer::Unknown,
        }
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "cpu");
        let _ = write!(out, " {}", self.number);
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " cpu {}{}", either(self.inverted, "", "! "), self.number);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "works", "does not work");
        out.push(Piece::Condition(format!("processor {} {verb} on it", self.number)));
        out.push(Piece::Note("Which processor gets a packet is in no packet.".into()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, check, ipv4};
    use crate::verdict::Answer;
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-m cpu --cpu 0x10", "-m cpu --cpu 16", " cpu 16", "="),
                    ("-m cpu ! --cpu 0", "=", " cpu ! 0", "="),
                    ("-m cpu --cpu 4294967295", "=", " cpu 4294967295", "="),
                    ("-m cpu --cpu 4294967296", "", "", ""),
                    ("-m cpu --cpu -1", "", "", ""),
                    ("-m cpu", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn the_host_model_says_or_nobody_knows() {
        for (cpu, wanted) in [
            (None, [Answer::Unknown; 2]),
            (Some(3), [Answer::Yes, Answer::No]),
            (Some(0), [Answer::No, Answer::Yes]),
        ] {
            for (rule, wanted) in ["-m cpu --cpu 3", "-m cpu ! --cpu 3"].iter().zip(wanted) {
                let mut bench = Bench::new(Family::V4, rule);
                bench.host.cpu = cpu;
                assert_eq!(bench.answer(&ipv4(17, &[0; 8])), wanted, "{rule} {cpu:?}");
            }
        }
    }
}
