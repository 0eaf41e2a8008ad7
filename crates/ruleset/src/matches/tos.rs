//! `tos`: the TOS byte of IPv4 or the traffic class of IPv6, whole or under a mask. The five names of
//! RFC 1349 leave out the two bits that ECN has taken over since.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const OPTIONS: &[OptionSpec] = &[valued("tos", 0).inverted()];

const MANUAL: &str = "\
Asks for the whole TOS byte of IPv4 (precedence included) or the whole traffic class of IPv6.

- `[!] --tos VALUE[/MASK]`: the bits under MASK are VALUE; without a mask all eight count. Numbers are
  decimal, octal behind `0`, hexadecimal behind `0x`.
- `[!] --tos NAME`: `Minimize-Delay` (0x10), `Maximize-Throughput` (0x08), `Maximize-Reliability` (0x04),
  `Minimize-Cost` (0x02) or `Normal-Service` (0x00), each with the mask 0x3f.

The option is needed.

    -m tos --tos Minimize-Delay -j ACCEPT

The upper six bits are what `dscp` asks for, the lower two are the ECN bits (`ecn`): a rule for a value
without a mask misses packets that have passed a congested router. A value with bits outside of its mask
never matches.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "tos",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Names of values (RFC 1349).
const NAMES: [(&str, u8); 5] = [
    ("Minimize-Delay", 0x10),
    ("Maximize-Throughput", 0x08),
    ("Maximize-Reliability", 0x04),
    ("Minimize-Cost", 0x02),
    ("Normal-Service", 0x00),
];

/// The mask of a value given by its name: all but the ECN bits as they lay in 1992.
const NAME_MASK: u8 = 0x3f;

/// An instance.
#[derive(Debug)]
pub struct Tos {
    inverted: bool,
    value: u8,
    mask: u8,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(0)?;
    let (value, mask) = tos(arguments, given, 0xff)?;
    Some(Box::new(Tos { inverted: given.inverted, value, mask }))
}

/// `VALUE`, `VALUE/MASK` or a name; a value without a mask has the one given.
pub(crate) fn tos(arguments: &mut Arguments<'_>, given: &Given, whole: u8) -> Option<(u8, u8)> {
    let text = given.value.as_str();
    let octet = |text| values::number(text, 255).and_then(|number| u8::try_from(number).ok());
    let found = match text.split_once('/') {
        Some((value, mask)) => octet(value).zip(octet(mask)),
        None => octet(text).map(|value| (value, whole)).or_else(|| {
            let mut names = NAMES.iter();
            let found = names.find(|(name, _)| name.eq_ignore_ascii_case(text))?;
            Some((found.1, NAME_MASK))
        }),
    };
    if found.is_some() {
        return found;
    }
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let names = NAMES.iter().map(|(name, _)| *name);
        arguments.unknown_word(text, given.value_span, "a type of service", names);
    } else {
        let text = format!("`{text}` is not a number from 0 to 255, nor VALUE/MASK");
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
    }
    None
}

/// The name of a value with its mask.
pub(crate) fn tos_name(value: u8, mask: u8) -> Option<&'static str> {
    let mut names = NAMES.iter().filter(|_| mask == NAME_MASK);
    names.find(|(_, known)| *known == value).map(|(name, _)| *name)
}

impl Match for Tos {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        ((traversal.packet.tos & self.mask == self.value) != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "tos");
        let _ = write!(out, " 0x{:02x}/0x{:02x}", self.value, self.mask);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let not = either(self.inverted, "", "!");
        let _ = match tos_name(self.value, self.mask).filter(|_| !numeric) {
            Some(name) => write!(out, " tos match{not} {name}"),
            None => write!(out, " tos match{not}0x{:02x}/0x{:02x}", self.value, self.mask),
        };
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::Bits(Field::Tos, self.mask.into(), self.value.into(), self.inverted)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "is", "is not");
        let name = tos_name(self.value, self.mask).map_or(String::new(), |n| format!(" ({n})"));
        let under = match self.mask {
            0xff => String::new(),
            mask => format!(", of which the bits 0x{mask:02x} count,"),
        };
        out.push(Piece::Condition(format!(
            "its type of service byte (traffic class){under} {verb} 0x{:02x}{name}",
            self.value
        )));
        if self.value & !self.mask != 0 {
            let always = either(self.inverted, "the rule never matches", "every packet matches");
            out.push(Piece::Caution(format!("The value has bits outside of its mask: {always}.")));
        } else if self.mask & 3 != 0 {
            out.push(Piece::Note(
                "The two lowest bits are those of ECN, which routers on the way set.".into(),
            ));
        }
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
                    ("-m tos --tos 0x10", "-m tos --tos 0x10/0xff", " tos match0x10/0xff", "="),
                    ("-m tos --tos 0xf0/0x0f", "=", " tos match0xf0/0x0f", "="),
                    ("-m tos ! --tos 4", "-m tos ! --tos 0x04/0xff", " tos match!0x04/0xff", "="),
                    (
                        "-m tos --tos normal-service",
                        "-m tos --tos 0x00/0x3f",
                        " tos match Normal-Service",
                        " tos match0x00/0x3f",
                    ),
                    (
                        "-m tos ! --tos 0x02/0x3f",
                        "=",
                        " tos match! Minimize-Cost",
                        " tos match!0x02/0x3f",
                    ),
                    ("-m tos --tos 010", "-m tos --tos 0x08/0xff", " tos match0x08/0xff", "="),
                    ("-m tos --tos Min", "", "", ""),
                    ("-m tos --tos 256", "", "", ""),
                    ("-m tos --tos 16/", "", "", ""),
                    ("-m tos --tos 0x10/256", "", "", ""),
                    ("-m tos", "", "", ""),
                    ("-m tos --tos 1 --tos 2", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn the_mask_says_which_bits_count() {
        let mut v4 = ipv4(17, &[0; 8]);
        let mut v6 = ipv6(17, &[0; 8]);
        for (tos, rule, wanted) in [
            (0x10, "-m tos --tos Minimize-Delay", true),
            (0xd0, "-m tos --tos Minimize-Delay", true),
            (0x11, "-m tos --tos Minimize-Delay", false),
            (0x11, "-m tos --tos 0x10", false),
            (0xff, "-m tos --tos 0xff", true),
            (0xff, "-m tos --tos 0xf0/0x0f", false),
            (0xff, "-m tos ! --tos 0xf0/0x0f", true),
            (0xf1, "-m tos --tos 0/0", true),
        ] {
            v4[1] = tos;
            v6[0] = 0x60 | tos >> 4;
            v6[1] = tos << 4;
            assert_eq!(answer(rule, &v4), Answer::from(wanted), "{rule} {tos}");
            assert_eq!(answer(rule, &v6), Answer::from(wanted), "{rule} {tos}");
        }
    }
}
