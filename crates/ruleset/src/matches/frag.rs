//! `frag`: the fragment header of IPv6 (RFC 8200, section 4.5).
//!
//! It is looked for in the chain of headers; the first one counts. With connection tracking on, what
//! comes to rules has been put together and has none. Surprises, as Linux has them: the length is never
//! looked at, whatever is asked for; the reserved field includes the two bits before the "more fragments" flag;
//! a header that is cut is dropped.

use super::ah::extension_header;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either, range};
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Family, ipv6};

const ID: u8 = 0;
const LENGTH: u8 = 1;
const RESERVED: u8 = 2;
const FIRST: u8 = 3;
const MORE: u8 = 4;
const LAST: u8 = 5;
const OPTIONS: &[OptionSpec] = &[
    valued("fragid", ID).inverted(),
    valued("fraglen", LENGTH).inverted(),
    flag("fragres", RESERVED),
    flag("fragfirst", FIRST),
    flag("fragmore", MORE),
    flag("fraglast", LAST),
];

const MANUAL: &str = "\
Asks for the fragment header of an IPv6 packet. With connection tracking on, fragments are put together
before they come to rules, and such a rule matches nothing.

- `[!] --fragid ID[:ID]`: the identification, or a range. An end left out is 0 or 4294967295.
- `[!] --fraglen LENGTH`: is read and has no effect.
- `--fragres`: the reserved fields are zero.
- `--fragfirst`: it is the first fragment.
- `--fragmore`: more fragments follow. `--fraglast`: none follows. One of the two at most.

Without options every packet with the header matches.

    -m frag --fragfirst --fragmore -j ACCEPT

Mind that a later fragment has no ports: rules that ask for them do not match it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "frag",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const HEADER_LENGTH: usize = 8;

/// An instance.
#[derive(Debug)]
pub struct Frag {
    id: Inverted<(u32, u32)>,
    length: Option<Inverted<u32>>,
    reserved: bool,
    first: bool,
    more: bool,
    last: bool,
}

/// A range of 32 bits: all of it where the option is not given.
pub(super) fn range32(arguments: &mut Arguments<'_>, id: u8) -> Option<Inverted<(u32, u32)>> {
    let Some(given) = arguments.option(id) else {
        return Some(Inverted { inverted: false, value: (0, u32::MAX) });
    };
    let (low, high) = arguments.range(given, u32::MAX.into())?;
    let value = (u32::try_from(low).ok()?, u32::try_from(high).ok()?);
    Some(Inverted { inverted: given.inverted, value })
}

/// A number of 32 bits, if the option is given.
pub(super) fn inverted32(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<Inverted<u32>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let value = arguments.number32(given)?;
    Some(Some(Inverted { inverted: given.inverted, value }))
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let (more, last) = (arguments.option(MORE).is_some(), arguments.option(LAST).is_some());
    if more && last {
        arguments.exclusive(&[MORE, LAST])?;
    }
    Some(Box::new(Frag {
        id: range32(arguments, ID)?,
        length: inverted32(arguments, LENGTH)?,
        reserved: arguments.option(RESERVED).is_some(),
        first: arguments.option(FIRST).is_some(),
        more,
        last,
    }))
}

/// Whether a number is in a range, or, behind `!`, is not.
pub(super) const fn fits(wanted: Inverted<(u32, u32)>, number: u32) -> bool {
    let (low, high) = wanted.value;
    (low <= number && number <= high) != wanted.inverted
}

/// Whether a range is of all values.
pub(super) const fn is_all(range: Inverted<(u32, u32)>) -> bool {
    matches!(range.value, (0, u32::MAX))
}

/// ` --NAME LOW:HIGH`.
pub(super) fn print_range(out: &mut String, name: &str, wanted: Inverted<(u32, u32)>) {
    if !is_all(wanted) || wanted.inverted {
        values::print_option(out, wanted.inverted, name);
        values::print_range(out, wanted.value.0, wanted.value.1);
    }
}

/// `NAME:LOW` or `NAMEs:LOW:HIGH`, with `!` behind the colon.
pub(super) fn list_range(out: &mut String, name: &str, wanted: Inverted<(u32, u32)>) {
    let not = either(wanted.inverted, "", "!");
    let _ = match wanted.value {
        (low, high) if low == high => write!(out, "{name}:{not}{low}"),
        (low, high) => write!(out, "{name}s:{not}{low}:{high}"),
    };
}

/// What is to be said of a range that matches nothing.
pub(super) fn explain_range(out: &mut Pieces, what: &str, wanted: Inverted<(u32, u32)>) {
    let (low, high) = wanted.value;
    if !is_all(wanted) {
        let verb = either(wanted.inverted, "is", "is not");
        out.push(Piece::Condition(format!("{what} {verb} {}", range(low, high))));
    } else if wanted.inverted {
        out.push(Piece::Caution(format!(
            "Every value is excluded for {what}, so the rule matches nothing."
        )));
    }
}

impl Match for Frag {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let (packet, bytes) = (&*traversal.packet, &*traversal.bytes);
        let at = match extension_header(packet, bytes, ipv6::FRAGMENT) {
            Ok(Some(at)) => at,
            Ok(None) => return Answer::No,
            Err(()) => return Answer::Hotdrop,
        };
        let rest = packet.packet(bytes).get(at..).unwrap_or(&[]);
        let Some(header) = rest.first_chunk::<HEADER_LENGTH>() else { return Answer::Hotdrop };
        let [_, reserved, high, low, a, b, c, d] = *header;
        let offset = u16::from_be_bytes([high, low]);
        let more = offset & 1 != 0;
        let fits = fits(self.id, u32::from_be_bytes([a, b, c, d]))
            && !(self.reserved && (reserved != 0 || offset & 6 != 0))
            && !(self.first && offset & !7 != 0)
            && (!self.more || more)
            && !(self.last && more);
        fits.into()
    }

    fn print(&self, out: &mut String) {
        print_range(out, "fragid", self.id);
        if let Some(length) = self.length {
            values::print_option(out, length.inverted, "fraglen");
            let _ = write!(out, " {}", length.value);
        }
        for (is, name) in self.flags("frag") {
            if is {
                let _ = write!(out, " --{name}");
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" frag ");
        if !is_all(self.id) || self.id.inverted {
            list_range(out, "id", self.id);
        }
        if let Some(length) = self.length {
            let _ = write!(out, " length:{}{}", either(length.inverted, "", "!"), length.value);
        }
        for (is, name) in self.flags("") {
            if is {
                let _ = write!(out, " {name}");
            }
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Condition("it has a fragment header".into()));
        explain_range(out, "the identification of its datagram", self.id);
        let says = [
            (self.reserved, "the reserved fields of that header are zero"),
            (self.first, "it is the first fragment"),
            (self.more, "more fragments follow"),
            (self.last, "no fragment follows"),
        ];
        let says = says.into_iter().filter(|(is, _)| *is);
        out.extend(says.map(|(_, text)| Piece::Condition(text.into())));
        if self.length.is_some() {
            out.push(Piece::Caution("`--fraglen` has no effect: Linux does not look.".into()));
        }
        out.push(Piece::Note(
            "Where connections are tracked, fragments are put together before they come to rules, and \
             none has such a header any more."
                .into(),
        ));
    }
}

impl Frag {
    /// The flags and their words, behind `frag` for an option.
    const fn flags(&self, prefix: &str) -> [(bool, &'static str); 4] {
        let words = if prefix.is_empty() {
            ["reserved", "first", "more", "last"]
        } else {
            ["fragres", "fragfirst", "fragmore", "fraglast"]
        };
        let [a, b, c, d] = words;
        [(self.reserved, a), (self.first, b), (self.more, c), (self.last, d)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};

    #[test]
    fn texts() {
        let all = "-m frag ! --fragid 3 --fraglen 8 --fragres --fragfirst --fragmore";
        check(
            Family::V6,
            &[
                ("-m frag", "=", " frag ", "="),
                ("-m frag --fragid 3:3", "-m frag --fragid 3", " frag id:3", "="),
                ("-m frag --fragid :", "-m frag", " frag ", "="),
                (
                    "-m frag ! --fragid :",
                    "-m frag ! --fragid 0:4294967295",
                    " frag ids:!0:4294967295",
                    "=",
                ),
                ("-m frag ! --fragid 5:10", "=", " frag ids:!5:10", "="),
                ("-m frag ! --fraglen 42", "=", " frag  length:!42", "="),
                (all, "=", " frag id:!3 length:8 reserved first more", "="),
                ("-m frag --fraglast", "=", " frag  last", "="),
                ("-m frag --fraglast --fragmore", "", "", ""),
                ("-m frag --fragid 5:4", "", "", ""),
                ("-m frag --fragid 4294967296", "", "", ""),
                ("-m frag ! --fragres", "", "", ""),
            ],
        );
    }

    /// As Linux answered.
    #[test]
    fn packets() {
        let header = |reserved: u8, low: u8, id: u8| ipv6(44, &[17, reserved, 0, low, 0, 0, 0, id]);
        let (first, middle, last) = (header(0, 1, 5), header(0, 9, 5), header(0, 8, 5));
        let (yes, no) = (Answer::Yes, Answer::No);
        for (rule, wanted) in [
            ("-m frag", [yes, yes, yes]),
            ("-m frag --fragid 5", [yes, yes, yes]),
            ("-m frag ! --fragid 5", [no, no, no]),
            ("-m frag ! --fragid :", [no, no, no]),
            ("-m frag ! --fraglen 8", [yes, yes, yes]),
            ("-m frag --fragfirst", [yes, no, no]),
            ("-m frag --fragmore", [yes, yes, no]),
            ("-m frag --fraglast", [no, no, yes]),
        ] {
            let found = [&first, &middle, &last].map(|packet| answer(rule, packet));
            assert_eq!(found, wanted, "{rule}");
        }
        assert_eq!(answer("-m frag --fragres", &first), yes);
        assert_eq!(answer("-m frag --fragres", &header(1, 1, 5)), no);
        assert_eq!(answer("-m frag --fragres", &header(0, 3, 5)), no);
        assert_eq!(answer("-m frag", &ipv6(17, &[0; 8])), no);
        assert_eq!(answer("-m frag", &ipv6(44, &[17, 0, 0, 1, 0, 0, 0])), Answer::Hotdrop);
        assert_eq!(answer("-m frag", &ipv6(60, &[17])), Answer::Hotdrop);
    }
}
