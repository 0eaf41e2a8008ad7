//! `srh`: the segment routing header (RFC 8754), which is the routing header of type 4.
//!
//! Source: iptables-extensions(8). Surprises: of the comparisons of one field only the value given last
//! is kept, for all of them; `--srh-tag` compares the tag with its two bytes exchanged, as little-endian
//! machines do; a rule that asks for a segment that there is not (the next one of a packet at its end, the
//! previous one at its beginning) does not match, not even behind `!`. A header that is cut, or that has
//! more segments left than its last entry says, does not match.

use super::ah::extension_header;
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal, in_network};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::{Inverted, Network};
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Address, Family, ipv6};

const NEXT_HEADER: u8 = 0;
/// The first of three options: equal, greater, less.
const LENGTH: u8 = 1;
const SEGMENTS: u8 = 4;
const LAST_ENTRY: u8 = 7;
const TAG: u8 = 10;
const PREVIOUS: u8 = 11;
const NEXT: u8 = 12;
const LAST: u8 = 13;
const OPTIONS: &[OptionSpec] = &[
    valued("srh-next-hdr", NEXT_HEADER).inverted(),
    valued("srh-hdr-len-eq", LENGTH).inverted(),
    valued("srh-hdr-len-gt", LENGTH + 1).inverted(),
    valued("srh-hdr-len-lt", LENGTH + 2).inverted(),
    valued("srh-segs-left-eq", SEGMENTS).inverted(),
    valued("srh-segs-left-gt", SEGMENTS + 1).inverted(),
    valued("srh-segs-left-lt", SEGMENTS + 2).inverted(),
    valued("srh-last-entry-eq", LAST_ENTRY).inverted(),
    valued("srh-last-entry-gt", LAST_ENTRY + 1).inverted(),
    valued("srh-last-entry-lt", LAST_ENTRY + 2).inverted(),
    valued("srh-tag", TAG).inverted(),
    valued("srh-psid", PREVIOUS).inverted(),
    valued("srh-nsid", NEXT).inverted(),
    valued("srh-lsid", LAST).inverted(),
];

const MANUAL: &str = "\
Asks for the segment routing header of an IPv6 packet (SRv6).

- `[!] --srh-next-hdr PROTOCOL`: what follows the header, by number.
- `[!] --srh-hdr-len-eq N`, `[!] --srh-hdr-len-gt N`, `[!] --srh-hdr-len-lt N`: its length in units of eight
  bytes, without the first eight, is N, more, less.
- `[!] --srh-segs-left-eq N`, `[!] --srh-segs-left-gt N`, `[!] --srh-segs-left-lt N`: the segments that are
  left.
- `[!] --srh-last-entry-eq N`, `[!] --srh-last-entry-gt N`, `[!] --srh-last-entry-lt N`: the number of the
  last entry of its list.
- `[!] --srh-tag N`: its tag, with the two bytes exchanged: 256 stands for the tag 1.
- `[!] --srh-psid ADDRESS[/MASK]`, `[!] --srh-nsid ADDRESS[/MASK]`, `[!] --srh-lsid ADDRESS[/MASK]`: the
  previous, the next, the last segment.

Without options every such header matches.

    -m srh --srh-segs-left-eq 0 ! --srh-lsid 2001:db8::/32 -j DROP

Mind that of several comparisons of one field the value given last counts for all.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "srh",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const KIND: u8 = 4;
const HEADER_LENGTH: usize = 8;

/// Comparisons with one number: equal, greater, less; each perhaps behind `!`.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    number: u8,
    how: [Option<bool>; 3],
}

/// An instance.
#[derive(Debug)]
pub struct Srh {
    next_header: Option<Inverted<u8>>,
    length: Compared,
    segments: Compared,
    last_entry: Compared,
    tag: Option<Inverted<u16>>,
    previous: Option<Inverted<Network>>,
    next: Option<Inverted<Network>>,
    last: Option<Inverted<Network>>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let number = |arguments: &mut Arguments<'_>, id, max| match arguments.option(id) {
        None => Some(None),
        Some(given) => {
            let value = u16::try_from(arguments.number(given, max)?).ok()?;
            Some(Some(Inverted { inverted: given.inverted, value }))
        }
    };
    let next_header = number(arguments, NEXT_HEADER, 255)?;
    Some(Box::new(Srh {
        next_header: next_header
            .map(|next| Inverted { inverted: next.inverted, value: next.value as u8 }),
        length: compared(arguments, LENGTH)?,
        segments: compared(arguments, SEGMENTS)?,
        last_entry: compared(arguments, LAST_ENTRY)?,
        tag: number(arguments, TAG, 65_535)?,
        previous: segment(arguments, PREVIOUS)?,
        next: segment(arguments, NEXT)?,
        last: segment(arguments, LAST)?,
    }))
}

fn compared(arguments: &mut Arguments<'_>, first: u8) -> Option<Compared> {
    let mut found = Compared::default();
    for given in arguments.given {
        let how = given.option.id.checked_sub(first).map(usize::from);
        if let Some(place) = how.and_then(|how| found.how.get_mut(how)) {
            *place = Some(given.inverted);
            found.number = u8::try_from(arguments.number(given, 255)?).ok()?;
        }
    }
    Some(found)
}

/// An address, kept with its host part, and a mask.
fn segment(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<Inverted<Network>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let (address, mask) = given.value.split_once('/').unwrap_or((&given.value, "128"));
    let network = values::network(&format!("::/{mask}"), Family::V6);
    let found = values::address(address, Family::V6).zip(network);
    let Some((address, network)) = found else {
        let text = format!("`{}` is not an IPv6 address or network", given.value);
        arguments.fault(Diagnostic::new(code::BAD_ADDRESS, given.value_span, text));
        return None;
    };
    let value = Network { address, mask: network.mask };
    Some(Some(Inverted { inverted: given.inverted, value }))
}

impl Compared {
    fn fits(&self, found: u8) -> bool {
        let [equal, greater, less] = self.how;
        let fits = |how: Option<bool>, is: bool| how.is_none_or(|inverted| is != inverted);
        fits(equal, found == self.number)
            && fits(greater, found > self.number)
            && fits(less, found < self.number)
    }

    fn each(&self) -> impl Iterator<Item = (bool, &'static str)> {
        let words = ["eq", "gt", "lt"];
        self.how.into_iter().zip(words).filter_map(|(how, word)| Some((how?, word)))
    }
}

/// Whether a segment is in the network asked for; it is not where there is no such segment.
fn segment_fits(wanted: Option<Inverted<Network>>, header: &[u8], number: Option<u8>) -> bool {
    let Some(wanted) = wanted else { return true };
    let start = number.map(|number| HEADER_LENGTH + 16 * usize::from(number));
    let found = start.and_then(|start| header.get(start..)?.first_chunk::<16>());
    let network = Network { address: and(wanted.value.address, wanted.value.mask), ..wanted.value };
    found.is_some_and(|found| in_network(&network, Address(*found)) != wanted.inverted)
}

fn and(address: Address, mask: Address) -> Address {
    let bits = u128::from_ne_bytes(address.0) & u128::from_ne_bytes(mask.0);
    Address(bits.to_ne_bytes())
}

impl Srh {
    /// `rest`: the packet from the header on.
    fn fits(&self, rest: &[u8]) -> bool {
        let Some(header) = rest.first_chunk::<HEADER_LENGTH>() else { return false };
        let [next_header, length, kind, segments, last_entry, _, high, low] = *header;
        let whole = HEADER_LENGTH + usize::from(length) * 8;
        if rest.len() < whole || kind != KIND || segments > last_entry {
            return false;
        }
        let next_fits =
            self.next_header.is_none_or(|wanted| (wanted.value == next_header) != wanted.inverted);
        let tag = u16::from_le_bytes([high, low]);
        let tag_fits = self.tag.is_none_or(|wanted| (wanted.value == tag) != wanted.inverted);
        let previous = if segments == last_entry { None } else { segments.checked_add(1) };
        next_fits
            && self.length.fits(length)
            && self.segments.fits(segments)
            && self.last_entry.fits(last_entry)
            && tag_fits
            && segment_fits(self.previous, rest, previous)
            && segment_fits(self.next, rest, segments.checked_sub(1))
            && segment_fits(self.last, rest, Some(0))
    }

    const fn compared(&self) -> [(&'static str, Compared); 3] {
        [("hdr-len", self.length), ("segs-left", self.segments), ("last-entry", self.last_entry)]
    }

    const fn named(&self) -> [(&'static str, &'static str, Option<Inverted<Network>>); 3] {
        [
            ("psid", "previous", self.previous),
            ("nsid", "next", self.next),
            ("lsid", "last", self.last),
        ]
    }
}

/// With its host part; a mask that is no prefix is written as the whole length.
fn written(network: Network) -> String {
    let length = values::prefix_length(network.mask, Family::V6).unwrap_or(128);
    format!("{}/{length}", network.address.written(Family::V6))
}

impl Match for Srh {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let (packet, bytes) = (&*traversal.packet, &*traversal.bytes);
        match extension_header(packet, bytes, ipv6::ROUTING) {
            Ok(Some(at)) => self.fits(packet.packet(bytes).get(at..).unwrap_or(&[])).into(),
            Ok(None) | Err(()) => Answer::No,
        }
    }

    fn print(&self, out: &mut String) {
        if let Some(next) = self.next_header {
            values::print_option(out, next.inverted, "srh-next-hdr");
            let _ = write!(out, " {}", next.value);
        }
        for (name, compared) in self.compared() {
            for (inverted, how) in compared.each() {
                values::print_option(out, inverted, &format!("srh-{name}-{how}"));
                let _ = write!(out, " {}", compared.number);
            }
        }
        if let Some(tag) = self.tag {
            values::print_option(out, tag.inverted, "srh-tag");
            let _ = write!(out, " {}", tag.value);
        }
        for (name, _, segment) in self.named() {
            if let Some(segment) = segment {
                values::print_option(out, segment.inverted, &format!("srh-{name}"));
                let _ = write!(out, " {}", written(segment.value));
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" srh");
        if let Some(next) = self.next_header {
            let _ = write!(out, " next-hdr:{}{}", either(next.inverted, "", "!"), next.value);
        }
        for (name, compared) in self.compared() {
            for (inverted, how) in compared.each() {
                let not = either(inverted, "", "!");
                let _ = write!(out, " {name}-{how}:{not}{}", compared.number);
            }
        }
        if let Some(tag) = self.tag {
            let _ = write!(out, " tag:{}{}", either(tag.inverted, "", "!"), tag.value);
        }
        for (name, _, segment) in self.named() {
            if let Some(segment) = segment {
                let not = either(segment.inverted, "", "!");
                let _ = write!(out, " {name} {not} {}", written(segment.value));
            }
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let mut say = |text: String| out.push(Piece::Condition(text));
        say("it has a segment routing header".into());
        if let Some(next) = self.next_header {
            let verb = either(next.inverted, "follows", "does not follow");
            say(format!("protocol {} {verb} that header", next.value));
        }
        let whats = ["its length in units of eight bytes", "the segments left", "its last entry"];
        for (what, (_, compared)) in whats.into_iter().zip(self.compared()) {
            for (inverted, how) in compared.each() {
                let than = match (how, inverted) {
                    ("eq", _) => either(inverted, "is", "is not"),
                    ("gt", _) => either(inverted, "is more than", "is at most"),
                    (_, _) => either(inverted, "is less than", "is at least"),
                };
                say(format!("the number of {what} {than} {}", compared.number));
            }
        }
        if let Some(tag) = self.tag {
            let verb = either(tag.inverted, "is", "is not");
            say(format!("its tag {verb} {}", tag.value.swap_bytes()));
        }
        for (_, which, segment) in self.named() {
            if let Some(segment) = segment {
                let verb = either(segment.inverted, "is", "is not");
                say(format!("its {which} segment {verb} in {}", written(segment.value)));
            }
        }
        if self.tag.is_some() {
            out.push(Piece::Caution(
                "`--srh-tag` compares the two bytes of the tag exchanged, so that 256 stands for 1.".into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};
    use alloc::vec;

    #[test]
    fn texts() {
        let all = "-m srh ! --srh-next-hdr 6 --srh-hdr-len-eq 2 --srh-segs-left-gt 1 --srh-last-entry-lt 2 \
                   --srh-tag 1 --srh-psid a::1/64 ! --srh-nsid b::/128 --srh-lsid ::/0";
        let listed = " srh next-hdr:!6 hdr-len-eq:2 segs-left-gt:1 last-entry-lt:2 tag:1 psid  a::1/64 \
                      nsid ! b::/128 lsid  ::/0";
        check(
            Family::V6,
            &[
                ("-m srh", "=", " srh", "="),
                (all, "=", listed, "="),
                (
                    "-m srh --srh-hdr-len-lt 8 --srh-hdr-len-gt 4",
                    "-m srh --srh-hdr-len-gt 4 --srh-hdr-len-lt 4",
                    " srh hdr-len-gt:4 hdr-len-lt:4",
                    "=",
                ),
                (
                    "-m srh --srh-psid a::1/ffff::",
                    "-m srh --srh-psid a::1/16",
                    " srh psid  a::1/16",
                    "=",
                ),
                ("-m srh --srh-hdr-len-eq 256", "", "", ""),
                ("-m srh --srh-tag 65536", "", "", ""),
                ("-m srh --srh-lsid c::/129", "", "", ""),
                ("-m srh --srh-next-hdr udp", "", "", ""),
            ],
        );
    }

    /// Two segments, `b::1` (the second) before `a::1` (the last).
    fn packet(segments: u8, last_entry: u8, tag: u8) -> vec::Vec<u8> {
        let mut header = vec![17, 4, 4, segments, last_entry, 0, 0, tag];
        for first in [10, 11] {
            header.extend([0, first]);
            header.extend([0; 13]);
            header.push(1);
        }
        ipv6(43, &header)
    }

    /// As Linux answered.
    #[test]
    fn packets() {
        let packets = [packet(1, 1, 0), packet(0, 1, 7), packet(1, 9, 7)];
        let (yes, no) = (Answer::Yes, Answer::No);
        for (rule, wanted) in [
            ("", [yes, yes, yes]),
            ("--srh-hdr-len-eq 4", [yes, yes, yes]),
            ("! --srh-hdr-len-lt 4", [yes, yes, yes]),
            ("--srh-segs-left-gt 0", [yes, no, yes]),
            ("--srh-last-entry-eq 1", [yes, yes, no]),
            ("--srh-tag 7", [no, no, no]),
            ("--srh-tag 1792", [no, yes, yes]),
            ("--srh-psid ::/0", [no, yes, no]),
            ("! --srh-psid a::/16", [no, yes, no]),
            ("--srh-nsid a::5/64", [yes, no, yes]),
            ("! --srh-nsid a::/16", [no, no, no]),
            ("--srh-lsid a::/16", [yes, yes, yes]),
        ] {
            let rule = format!("-m srh {rule}");
            let found: vec::Vec<_> = packets.iter().map(|packet| answer(&rule, packet)).collect();
            assert_eq!(found, wanted, "{rule}");
        }
        assert_eq!(answer("-m srh", &packet(2, 1, 0)), no);
        assert_eq!(answer("-m srh", &ipv6(43, &[17, 2, 4, 0, 0, 0, 0, 0])), no);
        assert_eq!(answer("-m srh", &ipv6(43, &[17, 0, 2, 0, 0, 0, 0, 0])), no);
        assert_eq!(answer("-m srh", &ipv6(60, &[17])), no);
    }
}
