//! `among`: whether an address of the frame, or such an address with an IP address, is in a list.
//!
//! Pairs are kept in order and once each. A list with an IP address in it is one of IPv4: what carries
//! something else is never met, behind `!` or not. That is the expression that iptables-nft makes of it;
//! the match of ebtables itself reads the addresses of ARP packets as well.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, hardware, valued, values};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Address, Family, ethernet};

const DST: u8 = 0;
const SRC: u8 = 1;
const OPTIONS: &[OptionSpec] = &[
    valued("among-dst", DST).inverted().repeated(),
    valued("among-src", SRC).inverted().repeated(),
];

const MANUAL: &str = "\
Whether an address of the frame is in a list; faster than a rule for each.

- `[!] --among-dst LIST`, `[!] --among-src LIST`: pairs `ADDRESS[=IP]` with commas between: the hardware
  address, and the IPv4 address that has to come with it.

    ebtables -A FORWARD -i port1 ! --among-src 02:00:00:00:00:01=192.0.2.1,02:00:00:00:00:02 -j DROP

Mind: where a pair of the list has an IP address, frames that do not carry IPv4 are not looked at, behind
`!` or not: ARP needs rules of its own. Lists in files (`--among-src-file`) are not read here: no rule
file holds them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "among",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most pairs of a list.
pub const PAIRS_MAX: usize = 4096;

/// A pair.
type Pair = ([u8; 6], Option<[u8; 4]>);

#[derive(Debug)]
struct List {
    pairs: Vec<Pair>,
    inverted: bool,
}

/// An instance.
#[derive(Debug)]
pub struct Among {
    source: Option<List>,
    destination: Option<List>,
}

fn list(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<List>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let mut pairs: Vec<Pair> = Vec::new();
    let mut words: Vec<&str> = given.value.split(',').collect();
    // One comma at the end is passed over.
    if words.len() > 1 && words.last().is_some_and(|word| word.is_empty()) {
        words.pop();
    }
    if words.len() > PAIRS_MAX {
        let text = format!("{} pairs in a list; at most {PAIRS_MAX}", words.len());
        arguments.fault(Diagnostic::new(code::LIMIT_EXCEEDED, given.value_span, text));
        return None;
    }
    for word in words {
        let (address, ip) = match word.split_once('=') {
            None => (word, None),
            Some((address, ip)) => (address, Some(ip)),
        };
        let Some(octets) = hardware::octets(address) else {
            arguments.wrong(given, "a list of pairs", format!("Invalid MAC address '{address}'"));
            return None;
        };
        let ip = match ip {
            None => None,
            Some(text) => match values::whole_address(text, Family::V4).map(|ip| ip.0) {
                Some([a, b, c, d, ..]) => Some([a, b, c, d]),
                None => {
                    let says = format!("Invalid IP address '{text}'");
                    arguments.wrong(given, "a list of pairs", says);
                    return None;
                }
            },
        };
        pairs.push((octets, ip));
    }
    pairs.sort_unstable();
    pairs.dedup();
    Some(Some(List { pairs, inverted: given.inverted }))
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let destination = list(arguments, DST)?;
    let source = list(arguments, SRC)?;
    Some(Box::new(Among { source, destination }))
}

impl List {
    fn contains(&self, address: Option<[u8; 6]>, ip: Option<[u8; 4]>) -> bool {
        let Some(address) = address else { return false };
        if ip.is_none() && self.pairs.iter().any(|(_, ip)| ip.is_some()) {
            return false;
        }
        let from = self.pairs.partition_point(|(one, _)| *one < address);
        let mut same = self.pairs.iter().skip(from).take_while(|(one, _)| *one == address);
        same.any(|(_, wanted)| wanted.is_none() || *wanted == ip) != self.inverted
    }

    fn print(&self, out: &mut String, name: &str) {
        values::print_option(out, self.inverted, name);
        for (at, (address, ip)) in self.pairs.iter().enumerate() {
            out.push(if at == 0 { ' ' } else { ',' });
            for (at, octet) in address.iter().enumerate() {
                let _ = write!(out, "{}{octet:x}", if at == 0 { "" } else { ":" });
            }
            if let Some(ip) = ip {
                let _ = write!(out, "={}", Address::v4(*ip).written(Family::V4));
            }
        }
    }
}

/// Source and destination of the IPv4 packet that the frame carries.
fn ends(ethertype: u16, bytes: &[u8]) -> Option<([u8; 4], [u8; 4])> {
    let (source, rest) =
        bytes.get(12..).filter(|_| ethertype == ethernet::IPV4)?.split_first_chunk()?;
    Some((*source, *rest.first_chunk()?))
}

impl Match for Among {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Some(frame) = &traversal.frame else { return Answer::No };
        let ends = ends(frame.ethertype, traversal.bytes);
        let (source, destination) = (ends.map(|ends| ends.0), ends.map(|ends| ends.1));
        let link = &traversal.link;
        let destination = self
            .destination
            .as_ref()
            .is_none_or(|list| list.contains(link.destination, destination));
        let source = self.source.as_ref().is_none_or(|list| list.contains(link.source, source));
        (destination && source).into()
    }

    fn print(&self, out: &mut String) {
        if let Some(list) = &self.source {
            list.print(out, "among-src");
        }
        if let Some(list) = &self.destination {
            list.print(out, "among-dst");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        for (way, list) in [("from", &self.source), ("to", &self.destination)] {
            let Some(list) = list else { continue };
            let verb = either(list.inverted, "is", "is not");
            out.push(Piece::Condition(match list.pairs.as_slice() {
                [_] => format!("it {verb} {way} the one station of its list"),
                pairs => format!("it {verb} {way} one of {} stations", pairs.len()),
            }));
            if list.pairs.iter().any(|(_, ip)| ip.is_some()) {
                out.push(Piece::Note(
                    "Its list names IP addresses: frames that do not carry IPv4 do not match, whatever it says."
                        .into(),
                ));
            }
        }
    }
}
