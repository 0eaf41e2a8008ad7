//! `DSCP`: sets the differentiated services code point (RFC 2474), the upper six bits of the TOS byte
//! or traffic class. The two bits of ECN stay.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::rewrite;

const SET: u8 = 0;
const CLASS: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("set-dscp", SET), valued("set-dscp-class", CLASS)];

const MANUAL: &str = "\
# DSCP

Sets the differentiated services code point of the IP header and goes on with the next rule. Routers and
queueing disciplines may treat packets by it. It stands in table mangle.

`--set-dscp VALUE`
: The code point, 0 to 63.

`--set-dscp-class CLASS`
: The same by name: `EF`, `BE`, `CS0` to `CS7`, or `AF11` to `AF43`, in capitals or not.

    -t mangle -A POSTROUTING -p udp --dport 5060 -j DSCP --set-dscp-class EF

One of the two is needed. Most providers clear or ignore what comes from outside their own network.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "DSCP",
    families: BOTH,
    tables: &[TableName::Mangle],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Classes (RFC 2474, RFC 2597, RFC 3246).
const CLASSES: [(&str, u8); 22] = [
    ("CS0", 0x00),
    ("CS1", 0x08),
    ("CS2", 0x10),
    ("CS3", 0x18),
    ("CS4", 0x20),
    ("CS5", 0x28),
    ("CS6", 0x30),
    ("CS7", 0x38),
    ("BE", 0x00),
    ("AF11", 0x0a),
    ("AF12", 0x0c),
    ("AF13", 0x0e),
    ("AF21", 0x12),
    ("AF22", 0x14),
    ("AF23", 0x16),
    ("AF31", 0x1a),
    ("AF32", 0x1c),
    ("AF33", 0x1e),
    ("AF41", 0x22),
    ("AF42", 0x24),
    ("AF43", 0x26),
    ("EF", 0x2e),
];

/// An instance: the code point.
#[derive(Debug)]
pub struct Dscp(pub u8);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let Some(given) = arguments.given.first() else {
        let text = "`DSCP` needs `--set-dscp` or `--set-dscp-class`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    };
    arguments.exclusive(&[SET, CLASS])?;
    if given.option.id == SET {
        let value = arguments.number(given, 63)?;
        return Some(Box::new(Dscp(u8::try_from(value).ok()?)));
    }
    let found = CLASSES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&given.value));
    let Some((_, value)) = found else {
        let names = CLASSES.iter().map(|(name, _)| *name);
        arguments.unknown_word(&given.value, given.value_span, "a class", names);
        return None;
    };
    Some(Box::new(Dscp(*value)))
}

impl Target for Dscp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let tos = self.0 << 2 | traversal.packet.tos & 3;
        if tos != traversal.packet.tos {
            rewrite::set_tos(traversal.packet, traversal.bytes, tos);
        }
        Step::Continue
    }

    fn effect(&self) -> Effect {
        let flip = u128::from(self.0) << 2;
        Effect::change(Vec::from([
            Change::Bits { field: Field::Tos, keep: 3, flip },
            Change::Bytes,
        ]))
    }

    fn print(&self, out: &mut String) {
        let _ = write!(out, " --set-dscp {:#04x}", self.0);
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " DSCP set {:#04x}", self.0);
    }

    fn explain(&self, out: &mut Pieces) {
        let mut named = CLASSES.iter().filter(|(_, value)| *value == self.0);
        let name = named.next_back().map(|(name, _)| format!(" ({name})")).unwrap_or_default();
        out.push(Piece::Effect(format!(
            "sets its differentiated services code point to {:#04x}{name} and goes on with the next \
             rule",
            self.0
        )));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use keepstate_conntrack::Hook;
    use keepstate_packet::{Family::V4, checksum};

    #[test]
    fn texts() {
        check(
            V4,
            "mangle",
            "PREROUTING",
            &[
                ("-j DSCP --set-dscp 63", "-j DSCP --set-dscp 0x3f", " DSCP set 0x3f", "="),
                ("-j DSCP --set-dscp-class af21", "-j DSCP --set-dscp 0x12", " DSCP set 0x12", "="),
                ("-j DSCP --set-dscp-class cs8", "", "", ""),
                ("-j DSCP --set-dscp 64", "", "", ""),
                ("-j DSCP --set-dscp 1 --set-dscp-class EF", "", "", ""),
                ("-j DSCP", "", "", ""),
            ],
        );
    }

    #[test]
    fn the_bits_of_ecn_stay() {
        let mut packet = [0x45, 0xff, 0, 20, 0, 7, 0, 0, 64, 200, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1];
        checksum::fill_ipv4_header(&mut packet);
        let after = send("mangle", Hook::Prerouting, "-j DSCP --set-dscp-class EF", &packet);
        assert_eq!(after.bytes[1], 0xbb);
        assert!(checksum::ipv4_header_valid(&after.bytes));
        let mut packet = [0; 40];
        (packet[0], packet[1], packet[6]) = (0x61, 0x2f, 59);
        let after = send("mangle", Hook::Prerouting, "-j DSCP --set-dscp-class EF", &packet);
        assert_eq!(after.bytes[..2], [0x6b, 0xaf]);
    }
}
