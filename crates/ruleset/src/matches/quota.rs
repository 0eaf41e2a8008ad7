//! `quota`: as many bytes as are left of an amount. Each packet that fits into the rest is taken off it;
//! the first one that does not uses up the rest, so that no smaller one fits any more. Bytes count from the
//! IP header on. What has been used is not saved: a rule that is loaded again begins anew.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::Instant;

const OPTIONS: &[OptionSpec] = &[valued("quota", 0).inverted()];

const MANUAL: &str = "\
Matches until an amount of bytes is used up, and not any more then.

- `[!] --quota BYTES`: the amount, 0 to 18446744073709551615; inverted, the rule begins to match when it is
  used up.

The option is needed.

    -p tcp --dport 80 -m quota --quota 1000000000 -j ACCEPT
    -p tcp --dport 80 -j DROP

Whole packets count from the IP header on, those that come to this match only. Loading the rule again, a
restart too, gives the whole amount back; a saved rule set holds the amount, not what is left of it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "quota",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Quota {
    bytes: u64,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(0)?;
    let bytes = arguments.number(given, u64::MAX)?;
    Some(Box::new(Quota { bytes, inverted: given.inverted }))
}

impl Match for Quota {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let left = state.credit.checked_sub(u64::from(traversal.packet.length));
        state.credit = left.unwrap_or(0);
        (left.is_some() != self.inverted).into()
    }

    fn initial(&self) -> State {
        // No time is kept: this tells the memory of a quota of 0 from none.
        State { credit: self.bytes, last: Instant(1) }
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "quota");
        let _ = write!(out, " {}", self.bytes);
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " quota: {} bytes", self.bytes);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Condition(match self.inverted {
            false => format!("the {} bytes that this rule has to give are not used up", self.bytes),
            true => format!("{} bytes have come to this rule before", self.bytes),
        }));
        out.push(Piece::Note(
            "When the rules are loaded again, the whole amount is there again.".into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, check, ipv4};
    use crate::verdict::Answer;
    use alloc::vec;
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-m quota --quota 0", "=", " quota: 0 bytes", "="),
                    (
                        "-m quota --quota 18446744073709551615",
                        "=",
                        " quota: 18446744073709551615 bytes",
                        "=",
                    ),
                    ("-m quota ! --quota 0x10", "-m quota ! --quota 16", " quota: 16 bytes", "="),
                    ("-m quota --quota 18446744073709551616", "", "", ""),
                    ("-m quota --quota 10K", "", "", ""),
                    ("-m quota --quota -1", "", "", ""),
                    ("-m quota", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn a_packet_that_does_not_fit_uses_up_the_rest() {
        let sizes = [50, 30, 21, 20, 50];
        for (rule, wanted) in [
            ("-m quota --quota 101", [true, true, true, false, false]),
            ("-m quota --quota 100", [true, true, false, false, false]),
            ("-m quota ! --quota 100", [false, false, true, true, true]),
            ("-m quota --quota 0", [false; 5]),
            ("-m quota --quota 171", [true; 5]),
        ] {
            let mut bench = Bench::new(Family::V4, rule);
            let answers = sizes.map(|size| bench.answer(&ipv4(17, &vec![0; size - 20])));
            assert_eq!(answers, wanted.map(Answer::from), "{rule}");
        }
    }
}
