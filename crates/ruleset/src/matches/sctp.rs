//! `sctp`: ports and chunks of an SCTP packet (RFC 9260).
//!
//! Chunks are looked at only where the ports fit. A packet whose chunks do not end with the packet, or
//! that has none, is dropped then, as is one whose common header is cut; `any` and `only` do so no
//! further than the chunk that decides. Later fragments never match.
//!
//! iptables reads flags of I_DATA and then loses them: they are neither saved nor looked at.

use super::tcp::{Ports, cut_ports_fit, explain_ports, print_ports};
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::sctp;

const SPORT: u8 = 0;
const DPORT: u8 = 1;
const CHUNKS: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    valued("source-port", SPORT).inverted(),
    valued("sport", SPORT).inverted(),
    valued("destination-port", DPORT).inverted(),
    valued("dport", DPORT).inverted(),
    valued("chunk-types", CHUNKS).pair().inverted(),
];

const MANUAL: &str = "\
Asks for ports and chunks of an SCTP packet. The rule needs `-p sctp`.

- `[!] --sport PORT[:PORT]`, `[!] --dport PORT[:PORT]` (also `--source-port`, `--destination-port`): the
  port, or a range of ports; an end left out is 0 or 65535.
- `[!] --chunk-types WHICH TYPE[:FLAGS][,TYPE[:FLAGS]]...`: WHICH is `all` (each of these types is in the
  packet), `any` (one of them is), or `only` (nothing else is). Instead of a list, `ALL` stands for every
  type and `NONE` for none.

Types: `DATA INIT INIT_ACK SACK HEARTBEAT HEARTBEAT_ACK ABORT SHUTDOWN SHUTDOWN_ACK ERROR COOKIE_ECHO
COOKIE_ACK ECN_ECNE ECN_CWR SHUTDOWN_COMPLETE I_DATA ASCONF_ACK RE_CONFIG PAD FORWARD_TSN ASCONF
I_FORWARD_TSN`. Flags of `DATA` and `I_DATA` are `I U B E`, of `ABORT` and `SHUTDOWN_COMPLETE` `T`: in upper
case the flag has to be set, in lower case it has to be clear. Those of `I_DATA` are lost by iptables, and do
not count here either.

    -p sctp --dport 2905 -m sctp --chunk-types only INIT -j ACCEPT

A packet whose chunks are cut off or have no length is dropped by a rule that looks at chunks.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "sctp",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Names of chunk types, by number.
const TYPES: [(u8, &str); 22] = [
    (0, "DATA"),
    (1, "INIT"),
    (2, "INIT_ACK"),
    (3, "SACK"),
    (4, "HEARTBEAT"),
    (5, "HEARTBEAT_ACK"),
    (6, "ABORT"),
    (7, "SHUTDOWN"),
    (8, "SHUTDOWN_ACK"),
    (9, "ERROR"),
    (10, "COOKIE_ECHO"),
    (11, "COOKIE_ACK"),
    (12, "ECN_ECNE"),
    (13, "ECN_CWR"),
    (14, "SHUTDOWN_COMPLETE"),
    (64, "I_DATA"),
    (128, "ASCONF_ACK"),
    (130, "RE_CONFIG"),
    (132, "PAD"),
    (192, "FORWARD_TSN"),
    (193, "ASCONF"),
    (194, "I_FORWARD_TSN"),
];

/// The type of which iptables reads flags and loses them.
const I_DATA: u8 = 64;

/// Letters of the flags of a type, from the highest bit to the lowest; `-` for one without a name.
const fn letters(kind: u8) -> &'static str {
    match kind {
        0 | 64 => "----IUBE",
        6 | 14 => "-------T",
        _ => "--------",
    }
}

/// How chunks in the packet and types asked for have to go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    Any,
    Only,
}

const WHICH: [(&str, Which); 3] = [("all", Which::All), ("any", Which::Any), ("only", Which::Only)];

/// A chunk type and what its flags have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    kind: u8,
    /// Flags that count.
    mask: u8,
    /// Their values.
    flags: u8,
}

/// `--chunk-types`.
#[derive(Debug)]
struct Chunks {
    inverted: bool,
    which: Which,
    types: Types,
}

#[derive(Debug)]
enum Types {
    /// `ALL`.
    All,
    /// These, by number; none for `NONE`.
    Listed(Vec<Wanted>),
}

/// An instance.
#[derive(Debug)]
pub struct Sctp {
    source: Option<Ports>,
    destination: Option<Ports>,
    chunks: Option<Chunks>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let protocol = arguments.needs_protocol(&[(sctp::PROTOCOL, "sctp")]);
    let source = ports(arguments, SPORT, Some(sctp::PROTOCOL));
    let destination = ports(arguments, DPORT, Some(sctp::PROTOCOL));
    let chunks = match arguments.option(CHUNKS) {
        None => Some(None),
        Some(given) => chunks(arguments, given).map(Some),
    };
    protocol?;
    Some(Box::new(Sctp { source: source?, destination: destination?, chunks: chunks? }))
}

/// A range of ports, kept as it is written; the outer `None` is a fault. Shared with `dccp`.
pub(super) fn ports(
    arguments: &mut Arguments<'_>,
    id: u8,
    protocol: Option<u8>,
) -> Option<Option<Ports>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let value = arguments.ports(given, protocol)?;
    Some(Some(Inverted { inverted: given.inverted, value }))
}

fn chunks(arguments: &mut Arguments<'_>, given: &Given) -> Option<Chunks> {
    let which = WHICH.iter().find(|(name, _)| name.eq_ignore_ascii_case(&given.value));
    let Some((_, which)) = which else {
        let names = WHICH.iter().map(|(name, _)| *name);
        arguments.unknown_word(&given.value, given.value_span, "a way to compare chunks", names);
        return None;
    };
    let types = match given.second.to_ascii_uppercase().as_str() {
        "ALL" => Types::All,
        "NONE" => Types::Listed(Vec::new()),
        list => Types::Listed(listed(arguments, given, list)?),
    };
    Some(Chunks { inverted: given.inverted, which: *which, types })
}

fn listed(arguments: &mut Arguments<'_>, given: &Given, upper: &str) -> Option<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    let words = given.second.split(',').zip(upper.split(','));
    for (word, upper) in words.filter(|(word, _)| !word.is_empty()) {
        let name = upper.split_once(':').map_or(upper, |(name, _)| name);
        let flags = word.split_once(':').map_or("", |(_, flags)| flags);
        let Some((kind, _)) = TYPES.iter().find(|(_, known)| *known == name) else {
            let names = TYPES.iter().map(|(_, name)| *name).chain(["ALL", "NONE"]);
            arguments.unknown_word(name, given.second_span, "an SCTP chunk type", names);
            return None;
        };
        if !all.iter().any(|one| one.kind == *kind) {
            all.push(Wanted { kind: *kind, mask: 0, flags: 0 });
        }
        let wanted = all.iter_mut().find(|one| one.kind == *kind)?;
        for letter in flags.chars() {
            let upper = letter.to_ascii_uppercase();
            let place = letters(*kind).chars().rev().position(|known| known == upper);
            let Some(place) = place.filter(|_| upper != '-') else {
                let text = format!("chunks of type {name} have no flag `{letter}`");
                arguments.fault(Diagnostic::new(code::BAD_VALUE, given.second_span, text));
                return None;
            };
            if *kind == I_DATA {
                continue;
            }
            let bit = 1 << place;
            wanted.mask |= bit;
            // Once asked to be set it stays so.
            wanted.flags |= if letter.is_ascii_uppercase() { bit } else { 0 };
        }
    }
    all.sort_by_key(|one| one.kind);
    Some(all)
}

impl Types {
    /// What is wanted of chunks of this type, if it is one of these.
    fn wanted(&self, kind: u8) -> Option<Wanted> {
        match self {
            Self::All => Some(Wanted { kind, mask: 0, flags: 0 }),
            Self::Listed(all) => all.iter().find(|one| one.kind == kind).copied(),
        }
    }

    /// How many types there are.
    fn count(&self) -> usize {
        match self {
            Self::All => 256,
            Self::Listed(all) => all.len(),
        }
    }

    /// `DATA:Be,INIT`, or numbers instead of the names.
    fn write(&self, out: &mut String, numeric: bool) {
        let list = match self {
            Self::All => return out.push_str("ALL"),
            Self::Listed(list) if list.is_empty() => return out.push_str("NONE"),
            Self::Listed(list) => list,
        };
        for (at, one) in list.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            let name = TYPES.iter().find(|(kind, _)| *kind == one.kind);
            let _ = match name.filter(|_| !numeric) {
                Some((_, name)) => write!(out, "{name}"),
                None => write!(out, "0x{:04X}", one.kind),
            };
            let mut separator = ":";
            for (place, letter) in letters(one.kind).chars().enumerate() {
                let bit = 0x80 >> place;
                if one.mask & bit != 0 {
                    out.push_str(core::mem::take(&mut separator));
                    let clear = one.flags & bit == 0;
                    out.push(if clear { letter.to_ascii_lowercase() } else { letter });
                }
            }
        }
    }
}

impl Chunks {
    /// Whether the chunks fit, `!` not heeded; `None` for a packet whose chunks are broken.
    fn fit(&self, packet: &[u8]) -> Option<bool> {
        let mut rest = packet.get(sctp::HEADER_LENGTH..)?;
        let mut found = [false; 256];
        let mut found_count = 0;
        loop {
            let [kind, flags, high, low] = *rest.first_chunk::<{ sctp::CHUNK_HEADER_LENGTH }>()?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length == 0 {
                return None;
            }
            let wanted = self.types.wanted(kind);
            let fits = wanted.is_some_and(|wanted| flags & wanted.mask == wanted.flags);
            match self.which {
                Which::Any if fits => return Some(true),
                Which::Only if !fits => return Some(false),
                Which::All if fits => {
                    if let Some(found) = found.get_mut(usize::from(kind)).filter(|found| !**found) {
                        *found = true;
                        found_count += 1;
                    }
                }
                Which::All | Which::Any | Which::Only => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
            if rest.is_empty() {
                break;
            }
        }
        Some(match self.which {
            Which::All => found_count == self.types.count(),
            Which::Any => false,
            Which::Only => true,
        })
    }

    fn explain(&self, out: &mut Pieces) {
        let mut list = String::new();
        self.types.write(&mut list, false);
        let list = list.replace(',', ", ");
        let text = match (self.which, self.inverted) {
            (Which::All, false) => format!("it has chunks of all of these types: {list}"),
            (Which::All, true) => format!("it lacks chunks of some of these types: {list}"),
            (Which::Any, false) => format!("it has a chunk of one of these types: {list}"),
            (Which::Any, true) => format!("it has no chunk of these types: {list}"),
            (Which::Only, false) => format!("it has chunks of no other types than these: {list}"),
            (Which::Only, true) => format!("it has a chunk of another type than these: {list}"),
        };
        out.push(Piece::Condition(text));
        if list.contains(':') {
            out.push(Piece::Note(
                "Letters behind a type are flags of the chunk: set in upper case, clear in lower case."
                    .into(),
            ));
        }
    }
}

impl Match for Sctp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        if is_later_fragment(traversal.packet) {
            return Answer::No;
        }
        let packet = traversal.packet.l4_bytes(traversal.bytes);
        if packet.len() < sctp::HEADER_LENGTH {
            return Answer::Hotdrop;
        }
        if !cut_ports_fit(self.source, self.destination, packet) {
            return Answer::No;
        }
        let Some(chunks) = &self.chunks else { return Answer::Yes };
        match chunks.fit(packet) {
            Some(fits) => (fits != chunks.inverted).into(),
            None => Answer::Hotdrop,
        }
    }

    fn print(&self, out: &mut String) {
        print_ports(out, "sport", self.source);
        print_ports(out, "dport", self.destination);
        if let Some(chunks) = &self.chunks {
            values::print_option(out, chunks.inverted, "chunk-types");
            out.push(' ');
            chunks.write(out, false);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" sctp");
        list_ports(out, "spt", self.source);
        list_ports(out, "dpt", self.destination);
        if let Some(chunks) = &self.chunks {
            out.push_str(either(chunks.inverted, " ", " ! "));
            chunks.write(out, numeric);
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        explain_ports(out, "source", self.source);
        explain_ports(out, "destination", self.destination);
        if let Some(chunks) = &self.chunks {
            chunks.explain(out);
        }
    }
}

impl Chunks {
    fn write(&self, out: &mut String, numeric: bool) {
        let which = WHICH.iter().find(|(_, which)| *which == self.which);
        out.push_str(which.map_or("", |(name, _)| name));
        out.push(' ');
        self.types.write(out, numeric);
    }
}

/// ` spt:5` or ` spts:!1:5`; nothing for every port. Shared with `dccp`.
pub(super) fn list_ports(out: &mut String, name: &str, wanted: Option<Ports>) {
    let Some(wanted) = wanted.filter(|w| w.inverted || w.value != (0, u16::MAX)) else { return };
    let (low, high) = wanted.value;
    let not = either(wanted.inverted, "", "!");
    let _ = match low == high {
        true => write!(out, " {name}:{not}{low}"),
        false => write!(out, " {name}s:{not}{low}:{high}"),
    };
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, ipv6, later_fragment};
    use crate::verdict::Answer;
    use alloc::{format, vec};
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-p sctp -m sctp", "=", " sctp", "="),
                    (
                        "-p 132 --source-port 1:5 ! --dport 4",
                        "-p sctp -m sctp --sport 1:5 ! --dport 4",
                        " sctp spts:1:5 dpt:!4",
                        "=",
                    ),
                    ("-p sctp -m sctp --sport :", "-p sctp -m sctp --sport 0:65535", " sctp", "="),
                    (
                        "-p sctp -m sctp ! --sport :",
                        "-p sctp -m sctp ! --sport 0:65535",
                        " sctp spts:!0:65535",
                        "=",
                    ),
                    ("-p sctp -m sctp --dport 65536", "", "", ""),
                    ("-p sctp -m sctp --dport 5:3", "", "", ""),
                    ("-p sctp -m sctp --dport ssh", "", "", ""),
                    ("-m sctp --dport 5", "", "", ""),
                    (
                        "-p sctp -m sctp --chunk-types ANY INIT,data",
                        "-p sctp -m sctp --chunk-types any DATA,INIT",
                        " sctp any DATA,INIT",
                        " sctp any 0x0000,0x0001",
                    ),
                    (
                        "-p sctp -m sctp ! --chunk-types all DATA:uBE,ABORT:T",
                        "=",
                        " sctp ! all DATA:uBE,ABORT:T",
                        " sctp ! all 0x0000:uBE,0x0006:T",
                    ),
                    ("-p sctp -m sctp --chunk-types only ALL", "=", " sctp only ALL", "="),
                    ("-p sctp -m sctp --chunk-types all NONE", "=", " sctp all NONE", "="),
                    (
                        "-p sctp -m sctp --chunk-types all DATA:B,,DATA:E,",
                        "-p sctp -m sctp --chunk-types all DATA:BE",
                        " sctp all DATA:BE",
                        " sctp all 0x0000:BE",
                    ),
                    (
                        "-p sctp -m sctp --chunk-types all DATA:Bb,INIT:",
                        "-p sctp -m sctp --chunk-types all DATA:B,INIT",
                        " sctp all DATA:B,INIT",
                        " sctp all 0x0000:B,0x0001",
                    ),
                    (
                        "-p sctp -m sctp --chunk-types all ASCONF,I_FORWARD_TSN,PAD",
                        "-p sctp -m sctp --chunk-types all PAD,ASCONF,I_FORWARD_TSN",
                        " sctp all PAD,ASCONF,I_FORWARD_TSN",
                        " sctp all 0x0084,0x00C1,0x00C2",
                    ),
                    (
                        "-p sctp -m sctp --chunk-types any I_DATA:uB",
                        "-p sctp -m sctp --chunk-types any I_DATA",
                        " sctp any I_DATA",
                        " sctp any 0x0040",
                    ),
                    ("-p sctp -m sctp --chunk-types any I_DATA:T", "", "", ""),
                    ("-p sctp -m sctp --chunk-types none DATA", "", "", ""),
                    ("-p sctp -m sctp --chunk-types all DATA:x", "", "", ""),
                    ("-p sctp -m sctp --chunk-types all DATA:-", "", "", ""),
                    ("-p sctp -m sctp --chunk-types all INIT:T", "", "", ""),
                    ("-p sctp -m sctp --chunk-types all 5", "", "", ""),
                    ("-p sctp -m sctp --chunk-types all ALL,DATA", "", "", ""),
                    ("-p sctp -m sctp --chunk-types all", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn chunks_are_compared_as_all_any_only() {
        // INIT, then DATA with B and E set.
        let mut body = vec![0x3, 0xe8, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0];
        body.extend([1, 0, 0, 4, 0, 3, 0, 5, 9, 0, 0, 0]);
        for packet in [ipv4(132, &body), ipv6(132, &body)] {
            for (rule, wanted) in [
                ("--sport 1000 --dport 80", true),
                ("! --sport 1000", false),
                ("--chunk-types all DATA,INIT", true),
                ("--chunk-types all DATA", true),
                ("--chunk-types all DATA:BEu,INIT", true),
                ("--chunk-types all DATA:b", false),
                ("! --chunk-types all DATA,SACK", true),
                ("--chunk-types any SACK,DATA", true),
                ("--chunk-types any SACK,DATA:U", false),
                ("--chunk-types only DATA,INIT", true),
                ("--chunk-types only DATA,INIT,SACK", true),
                ("--chunk-types only DATA", false),
                ("--chunk-types only ALL", true),
                ("--chunk-types all ALL", false),
                ("--chunk-types all NONE", true),
                ("--chunk-types any NONE", false),
                ("--chunk-types only NONE", false),
            ] {
                let rule = format!("-p sctp -m sctp {rule}");
                assert_eq!(answer(&rule, &packet), Answer::from(wanted), "{rule}");
            }
        }
    }

    #[test]
    fn broken_chunks_are_dropped_where_they_are_reached() {
        let rule = "-p sctp -m sctp --chunk-types any DATA";
        let with = |chunks: &[u8]| {
            let mut body = vec![0; 12];
            body.extend(chunks);
            body
        };
        let init_and_rest = [1, 0, 0, 4, 0, 0, 0];
        assert_eq!(answer(rule, &ipv4(132, &with(&init_and_rest))), Answer::Hotdrop);
        assert_eq!(answer(rule, &ipv4(132, &with(&[1, 0, 0, 0]))), Answer::Hotdrop);
        assert_eq!(answer(rule, &ipv4(132, &with(&[]))), Answer::Hotdrop);
        assert_eq!(answer(rule, &ipv4(132, &[0; 11])), Answer::Hotdrop);
        assert_eq!(answer(rule, &later_fragment(132, &[0; 11])), Answer::No);
        // The data is found first; a chunk beyond the packet's end is the last one.
        assert_eq!(answer(rule, &ipv4(132, &with(&[0, 0, 0, 4, 9, 9]))), Answer::Yes);
        assert_eq!(answer(rule, &ipv4(132, &with(&[1, 0, 0xff, 0xff]))), Answer::No);
        // Ports that do not fit come first.
        let ports = "-p sctp -m sctp --sport 5 --chunk-types any DATA";
        assert_eq!(answer(ports, &ipv4(132, &with(&[]))), Answer::No);
    }
}
