//! `dscp`: the differentiated services code point (RFC 2474), the upper six bits of the IPv4 TOS byte
//! or IPv6 traffic class. A class by its name is saved as its number.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const VALUE: u8 = 0;
const CLASS: u8 = 1;
const OPTIONS: &[OptionSpec] =
    &[valued("dscp", VALUE).inverted(), valued("dscp-class", CLASS).inverted()];

const MANUAL: &str = "\
Asks for the differentiated services code point (DSCP, RFC 2474): the upper six bits of the TOS byte of
IPv4 and of the traffic class of IPv6. Routers queue by it; senders and `-j DSCP` set it.

- `[!] --dscp VALUE`: a number from 0 to 63, decimal, or hexadecimal behind `0x`.
- `[!] --dscp-class CLASS`: a class by its name: `BE` (0), `CS0` to `CS7`, `AF11` to `AF43`, `EF` (46).

One of the two is needed.

    -m dscp --dscp-class EF -j ACCEPT

Anybody can set these bits: they say what a sender would like, not who it is. Networks on the way may
have changed them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "dscp",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Largest code point.
const MAX: u64 = 63;

/// Classes: RFC 2474 (CS), RFC 2597 (AF), RFC 3246 (EF); BE is best effort.
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

/// An instance.
#[derive(Debug)]
pub struct Dscp(Inverted<u8>);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.some_option()?;
    arguments.exclusive(&[VALUE, CLASS])?;
    let given = arguments.given.first()?;
    let value = if given.option.id == CLASS {
        class(arguments, &given.value, given.value_span)?
    } else {
        u8::try_from(arguments.number(given, MAX)?).ok()?
    };
    Some(Box::new(Dscp(Inverted { inverted: given.inverted, value })))
}

/// The code point of a class, by its name in any case.
pub(crate) fn class(
    arguments: &mut Arguments<'_>,
    name: &str,
    span: crate::model::Span,
) -> Option<u8> {
    let found = CLASSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    if found.is_none() {
        let names = CLASSES.iter().map(|(name, _)| *name);
        arguments.unknown_word(name, span, "a DSCP class", names);
    }
    found.map(|(_, value)| *value)
}

/// The usual name of a code point.
pub(crate) fn class_name(value: u8) -> Option<&'static str> {
    CLASSES.iter().find(|(_, known)| *known == value).map(|(name, _)| *name)
}

impl Match for Dscp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        ((traversal.packet.tos >> 2 == self.0.value) != self.0.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.0.inverted, "dscp");
        let _ = write!(out, " 0x{:02x}", self.0.value);
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ =
            write!(out, " DSCP match {}0x{:02x}", either(self.0.inverted, "", "!"), self.0.value);
    }

    fn packet_set(&self) -> PacketSet {
        let value = u128::from(self.0.value) << 2;
        PacketSet::Bits(Field::Tos, 0xfc, value, self.0.inverted)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.0.inverted, "is", "is not");
        let name = class_name(self.0.value).map_or(String::new(), |name| format!(" ({name})"));
        out.push(Piece::Condition(format!(
            "its differentiated services code point (DSCP) {verb} {}{name}",
            self.0.value
        )));
        out.push(Piece::Note(
            "The sender sets these bits as it likes, and routers change them.".into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, ipv6};
    use crate::verdict::Answer;
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-m dscp --dscp 10", "-m dscp --dscp 0x0a", " DSCP match 0x0a", "="),
                    ("-m dscp ! --dscp 0x3f", "=", " DSCP match !0x3f", "="),
                    ("-m dscp --dscp 077", "-m dscp --dscp 0x3f", " DSCP match 0x3f", "="),
                    ("-m dscp --dscp 64", "", "", ""),
                    (
                        "-m dscp ! --dscp-class ef",
                        "-m dscp ! --dscp 0x2e",
                        " DSCP match !0x2e",
                        "=",
                    ),
                    ("-m dscp --dscp-class af43", "-m dscp --dscp 0x26", " DSCP match 0x26", "="),
                    ("-m dscp --dscp-class LE", "", "", ""),
                    ("-m dscp --dscp 1 --dscp 2", "", "", ""),
                    ("-m dscp --dscp 1 --dscp-class EF", "", "", ""),
                    ("-m dscp", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn the_two_lower_bits_do_not_count() {
        let mut v4 = ipv4(17, &[0; 8]);
        let mut v6 = ipv6(17, &[0; 8]);
        for (tos, wanted) in [(0xb8, true), (0xbb, true), (0xb4, false), (0, false)] {
            v4[1] = tos;
            v6[0] = 0x60 | tos >> 4;
            v6[1] = tos << 4;
            for packet in [&v4, &v6] {
                assert_eq!(
                    answer("-m dscp --dscp-class EF", packet),
                    Answer::from(wanted),
                    "{tos}"
                );
                assert_eq!(answer("-m dscp ! --dscp 46", packet), Answer::from(!wanted), "{tos}");
            }
        }
    }
}
