//! `CHECKSUM`: finishes a checksum that was left to the network card. It looks only at packets that are
//! known to be unfinished: here segments that the host itself has made. What a device hands over so is
//! finished when it comes in, and handed back as it was.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String};

const FILL: u8 = 0;
const OPTIONS: &[OptionSpec] = &[flag("checksum-fill", FILL)];

const MANUAL: &str = "\
# CHECKSUM

Computes the checksum of packets whose sender has left it to its network card, and goes on with the next
rule. For old programs, DHCP clients in virtual machines above all, that read such packets from a raw socket
and find the checksum wrong. It stands in table mangle.

`--checksum-fill`
: Does it. Needed.

    -t mangle -A POSTROUTING -p udp --dport 68 -j CHECKSUM --checksum-fill

A checksum that is wrong for another reason is left as it is. Here packets are finished when they come in, so
of those the rule changes nothing; it counts.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "CHECKSUM",
    families: BOTH,
    tables: &[TableName::Mangle],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Checksum;

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    arguments.required(FILL)?;
    Some(Box::new(Checksum))
}

impl Target for Checksum {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        if let Some(unfinished) = traversal.unfinished.take() {
            unfinished.finish(traversal.packet, traversal.bytes);
        }
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --checksum-fill");
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" CHECKSUM fill");
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(
            "finishes its checksum, if that was left to hardware, and goes on with the next rule"
                .into(),
        ));
        out.push(Piece::Note(
            "A checksum that is wrong for another reason is left as it is; keepstate meets finished \
             checksums only, so nothing changes in its runs."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family::V6;

    #[test]
    fn texts() {
        check(
            V6,
            "mangle",
            "FORWARD",
            &[
                ("-j CHECKSUM --checksum-fill", "=", " CHECKSUM fill", "="),
                ("-p udp -j CHECKSUM --checksum-fill", "=", " CHECKSUM fill", "="),
                ("-j CHECKSUM", "", "", ""),
            ],
        );
    }

    #[test]
    fn a_wrong_checksum_is_left() {
        let packet = [
            0x45, 0, 0, 28, 0, 7, 0, 0, 64, 17, 1, 2, 10, 0, 0, 1, 192, 0, 2, 1, 0, 67, 0, 68, 0,
            8, 7, 7,
        ];
        let after = send("mangle", Hook::Forward, "-j CHECKSUM --checksum-fill", &packet);
        assert_eq!(after.bytes, packet);
    }
}
