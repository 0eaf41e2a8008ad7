//! `mh`: the type of a mobility header (RFC 6275, section 6.1).
//!
//! Source: iptables-extensions(8). The kernel wants `-p mobility-header`; it drops a packet whose header
//! is cut, and one that names something behind it, where nothing may follow.

use super::frag::{explain_range, fits};
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Family, ipv6};

const TYPE: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("mh-type", TYPE).inverted()];

const MANUAL: &str = "\
Asks for the type of a mobility header, by which mobile hosts of IPv6 tell where they are.

- `[!] --mh-type TYPE[:TYPE]`: this type or one of this range, by number or name: `binding-refresh-request`
  (`brr`), `home-test-init` (`hoti`), `careof-test-init` (`coti`), `home-test` (`hot`), `careof-test` (`cot`),
  `binding-update` (`bu`), `binding-acknowledgement` (`ba`), `binding-error` (`be`); a name may be shortened.

The rule needs `-p mobility-header`. Without the option every mobility header matches.

    -p mobility-header -m mh --mh-type binding-update -j ACCEPT
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "mh",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const PROTOCOL: u8 = 135;
/// Types by number, with their long and short names.
const NAMES: [(&str, &str); 8] = [
    ("binding-refresh-request", "brr"),
    ("home-test-init", "hoti"),
    ("careof-test-init", "coti"),
    ("home-test", "hot"),
    ("careof-test", "cot"),
    ("binding-update", "bu"),
    ("binding-acknowledgement", "ba"),
    ("binding-error", "be"),
];
/// Bytes up to the checksum's end.
const HEADER_LENGTH: usize = 6;

/// An instance.
#[derive(Debug)]
pub struct Mh {
    types: Inverted<(u8, u8)>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(PROTOCOL, "mobility-header")])?;
    let Some(given) = arguments.option(TYPE) else {
        return Some(Box::new(Mh { types: Inverted { inverted: false, value: (0, u8::MAX) } }));
    };
    let (low, high) = match given.value.split_once(':') {
        None => {
            let kind = kind(arguments, given, &given.value)?;
            (kind, kind)
        }
        Some((low, high)) => {
            let low = if low.is_empty() { 0 } else { kind(arguments, given, low)? };
            let high = if high.is_empty() { u8::MAX } else { kind(arguments, given, high)? };
            (low, high)
        }
    };
    if low > high {
        let text = format!("the range {low}:{high} begins above its end: it would never match");
        let fault = Diagnostic::new(code::RANGE_BACKWARDS, given.value_span, text);
        arguments.fault(fault.help(format!("--mh-type {high}:{low}")));
        return None;
    }
    Some(Box::new(Mh { types: Inverted { inverted: given.inverted, value: (low, high) } }))
}

/// A type by its name, by the beginning of one (of several, the first), or by number.
fn kind(arguments: &mut Arguments<'_>, given: &Given, text: &str) -> Option<u8> {
    let word = text.to_ascii_lowercase();
    let names = || (0_u8..).zip(NAMES).flat_map(|(number, (a, b))| [(number, a), (number, b)]);
    let found = names()
        .find(|(_, name)| *name == word)
        .or_else(|| names().find(|(_, name)| name.starts_with(&word)))
        .map(|(number, _)| number)
        .or_else(|| values::number(text, 255).and_then(|number| u8::try_from(number).ok()));
    if found.is_none() {
        let words = NAMES.iter().map(|(long, _)| *long);
        arguments.unknown_word(text, given.value_span, "a type of mobility header", words);
    }
    found
}

impl Mh {
    const fn wide(&self) -> Inverted<(u32, u32)> {
        let (low, high) = self.types.value;
        Inverted { inverted: self.types.inverted, value: (low as u32, high as u32) }
    }

    const fn is_all(&self) -> bool {
        matches!(self.types.value, (0, u8::MAX))
    }
}

/// The name of a type, or its number.
fn written(kind: u8, numeric: bool) -> String {
    match NAMES.get(usize::from(kind)) {
        Some((name, _)) if !numeric => (*name).into(),
        _ => format!("{kind}"),
    }
}

impl Match for Mh {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = &*traversal.packet;
        if is_later_fragment(packet) {
            return Answer::No;
        }
        let header = packet.l4_bytes(traversal.bytes).first_chunk::<HEADER_LENGTH>();
        let Some([next, _, kind, ..]) = header else { return Answer::Hotdrop };
        if *next != ipv6::NO_NEXT_HEADER {
            return Answer::Hotdrop;
        }
        fits(self.wide(), (*kind).into()).into()
    }

    fn print(&self, out: &mut String) {
        if !self.is_all() || self.types.inverted {
            values::print_option(out, self.types.inverted, "mh-type");
            values::print_range(out, self.types.value.0, self.types.value.1);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" mh");
        if self.is_all() && !self.types.inverted {
            return;
        }
        let (low, high) = self.types.value;
        let _ = write!(out, " {}{}", either(self.types.inverted, "", "!"), written(low, numeric));
        if low != high {
            let _ = write!(out, ":{}", written(high, numeric));
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let (low, high) = self.types.value;
        let name = |kind: u8| match NAMES.get(usize::from(kind)) {
            Some((name, _)) => format!("{kind} ({name})"),
            None => format!("{kind}"),
        };
        if self.is_all() {
            explain_range(
                out,
                "the type of its mobility header",
                Inverted { inverted: self.types.inverted, value: (0, u32::MAX) },
            );
            return;
        }
        let verb = either(self.types.inverted, "is", "is not");
        let kinds = match low == high {
            true => name(low),
            false => format!("{} to {}", name(low), name(high)),
        };
        out.push(Piece::Condition(format!("the type of its mobility header {verb} {kinds}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};

    #[test]
    fn texts() {
        check(
            Family::V6,
            &[
                ("-p mobility-header -m mh", "=", " mh", "="),
                (
                    "-p 135 -m mh --mh-type BRR",
                    "-p mobility-header -m mh --mh-type 0",
                    " mh binding-refresh-request",
                    " mh 0",
                ),
                (
                    "-p mobility-header -m mh --mh-type hoti:hot",
                    "-p mobility-header -m mh --mh-type 1:3",
                    " mh home-test-init:home-test",
                    " mh 1:3",
                ),
                (
                    "-p mobility-header -m mh --mh-type ho:",
                    "-p mobility-header -m mh --mh-type 1:255",
                    " mh home-test-init:255",
                    " mh 1:255",
                ),
                (
                    "-p mobility-header -m mh ! --mh-type :",
                    "-p mobility-header -m mh ! --mh-type 0:255",
                    " mh !binding-refresh-request:255",
                    " mh !0:255",
                ),
                (
                    "-p mobility-header -m mh ! --mh-type 0x5",
                    "-p mobility-header -m mh ! --mh-type 5",
                    " mh !binding-update",
                    " mh !5",
                ),
                ("-p mobility-header -m mh --mh-type 256", "", "", ""),
                ("-p mobility-header -m mh --mh-type 3:1", "", "", ""),
                ("-p mobility-header -m mh --mh-type x", "", "", ""),
                ("-m mh", "", "", ""),
                ("! -p mobility-header -m mh", "", "", ""),
            ],
        );
    }

    /// As Linux answered.
    #[test]
    fn packets() {
        let rule = |rest: &str| format!("-p mobility-header -m mh {rest}");
        let packet = |next: u8, kind: u8| ipv6(135, &[next, 0, kind, 0, 0, 0, 0, 0]);
        assert_eq!(answer(&rule(""), &packet(59, 5)), Answer::Yes);
        assert_eq!(answer(&rule("--mh-type bu"), &packet(59, 5)), Answer::Yes);
        assert_eq!(answer(&rule("! --mh-type 5"), &packet(59, 5)), Answer::No);
        assert_eq!(answer(&rule("! --mh-type :"), &packet(59, 5)), Answer::No);
        assert_eq!(answer(&rule(""), &packet(17, 5)), Answer::Hotdrop);
        assert_eq!(answer(&rule(""), &ipv6(135, &[59, 0, 5, 0, 0])), Answer::Hotdrop);
        let later = ipv6(44, &[135, 0, 0, 8, 0, 0, 0, 1, 59, 0, 5, 0, 0, 0, 0, 0]);
        assert_eq!(answer(&rule(""), &later), Answer::No);
    }
}
