//! `multiport`: up to fifteen ports, a range counting as two.
//!
//! It reads the first four bytes of the upper-layer header and no more. A fragment without that
//! header does not match; a packet too short for it is dropped.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces, either, or_list, range};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const SOURCE: u8 = 0;
const DESTINATION: u8 = 1;
const EITHER: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    valued("source-ports", SOURCE).inverted(),
    valued("sports", SOURCE).inverted(),
    valued("destination-ports", DESTINATION).inverted(),
    valued("dports", DESTINATION).inverted(),
    valued("ports", EITHER).inverted(),
];

/// Most ports, a range counting as two.
pub const PORTS_MAX: usize = 15;

/// Protocols whose header begins with two ports.
const PROTOCOLS: [(u8, &str); 5] =
    [(6, "tcp"), (17, "udp"), (136, "udplite"), (132, "sctp"), (33, "dccp")];

const MANUAL: &str = "\
Up to fifteen ports in one rule; a range counts as two. Needs `-p tcp`, `udp`, `udplite`, `sctp` or
`dccp` before it.

- `[!] --source-ports PORT[,PORT|,PORT:PORT...]`: the source port is one of these. Also `--sports`.
- `[!] --destination-ports PORT[,...]`: the destination port is. Also `--dports`.
- `[!] --ports PORT[,...]`: one of the two is.

One of the three.

    iptables -A INPUT -p tcp -m multiport --dports 22,80,443,8000:8080 -j ACCEPT

Mind: behind `!` none of the ports may be it; with `! --ports` neither source nor destination. Fragments
behind the first have no ports and do not match.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "multiport",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
    Either,
}

/// An instance.
#[derive(Debug)]
pub struct Multiport {
    side: Side,
    /// Whose ports they are.
    protocol: u8,
    ports: Vec<(u16, u16)>,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.some_option()?;
    arguments.exclusive(&[SOURCE, DESTINATION, EITHER])?;
    let protocol = arguments.needs_protocol(&PROTOCOLS)?;
    let given = arguments.given.first()?;
    if arguments.protocol_span.is_some_and(|place| place.start > given.span.start) {
        let text = "the ports stand before the protocol that they are of";
        let fault = Diagnostic::new(code::PROTOCOL_NEEDED, given.span, text);
        arguments.fault(fault.help("write -p before the ports"));
        return None;
    }
    let mut ports = Vec::new();
    let mut count = 0;
    for (text, span) in arguments.list(given) {
        if text.starts_with(':') || text.ends_with(':') {
            let text = format!("`{text}` is a range without one of its ends");
            arguments.fault(Diagnostic::new(code::UNKNOWN_PORT, span, text));
            return None;
        }
        let (low, high) = arguments.ports_of(given, text, span, Some(protocol))?;
        if low == high && text.contains(':') {
            let fault = format!("the range {low}:{high} is a single port");
            arguments
                .fault(Diagnostic::new(code::UNKNOWN_PORT, span, fault).help(format!("{low}")));
            return None;
        }
        ports.push((low, high));
        count += if text.contains(':') { 2 } else { 1 };
        if count > PORTS_MAX {
            let text = format!("more than {PORTS_MAX} ports (a range counts as two)");
            arguments.fault(Diagnostic::new(code::LIMIT_EXCEEDED, span, text));
            return None;
        }
    }
    let side = match given.option.id {
        SOURCE => Side::Source,
        DESTINATION => Side::Destination,
        _ => Side::Either,
    };
    Some(Box::new(Multiport { side, protocol, ports, inverted: given.inverted }))
}

/// The first two ports of the upper-layer header; `None` when it is not there.
#[must_use]
pub fn ports(traversal: &Traversal<'_>) -> Option<(u16, u16)> {
    let start = traversal.packet.l4_offset as usize;
    let end = start.checked_add(4).filter(|end| *end <= traversal.packet.length as usize)?;
    let [a, b, c, d] = *traversal.bytes.get(start..end)?.first_chunk::<4>()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

impl Match for Multiport {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        if is_later_fragment(traversal.packet) {
            return Answer::No;
        }
        let Some((source, destination)) = ports(traversal) else { return Answer::Hotdrop };
        let listed =
            |port: u16| self.ports.iter().any(|(low, high)| (*low..=*high).contains(&port));
        let found = match self.side {
            Side::Source => listed(source),
            Side::Destination => listed(destination),
            Side::Either => listed(source) || listed(destination),
        };
        (found != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(
            out,
            self.inverted,
            match self.side {
                Side::Source => "sports",
                Side::Destination => "dports",
                Side::Either => "ports",
            },
        );
        for (at, (low, high)) in self.ports.iter().enumerate() {
            out.push(if at == 0 { ' ' } else { ',' });
            let _ = if low == high { write!(out, "{low}") } else { write!(out, "{low}:{high}") };
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let side = match self.side {
            Side::Source => "sports",
            Side::Destination => "dports",
            Side::Either => "ports",
        };
        let _ = write!(out, " multiport {side} {}", if self.inverted { " !" } else { "" });
        for (at, ports) in self.ports.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            values::list_ports(out, *ports, self.protocol, numeric);
        }
    }

    fn packet_set(&self) -> PacketSet {
        let ranges = || {
            let wide = |(low, high): &(u16, u16)| (u128::from(*low), u128::from(*high));
            self.ports.iter().map(wide).collect()
        };
        let source = PacketSet::among(Field::SourcePort, ranges(), self.inverted);
        let destination = PacketSet::among(Field::DestinationPort, ranges(), self.inverted);
        let whole = PacketSet::within(Field::LaterFragment, 0, 0, false);
        PacketSet::All(match (self.side, self.inverted) {
            (Side::Source, _) => Vec::from([whole, source]),
            (Side::Destination, _) => Vec::from([whole, destination]),
            (Side::Either, false) => {
                Vec::from([whole, PacketSet::Any(Vec::from([source, destination]))])
            }
            (Side::Either, true) => Vec::from([whole, source, destination]),
        })
    }

    fn explain(&self, out: &mut Pieces) {
        let ports: Vec<_> = self.ports.iter().map(|(low, high)| range(*low, *high)).collect();
        let ports = or_list(&ports.iter().map(String::as_str).collect::<Vec<_>>());
        let verb = either(self.inverted, "is", "is not");
        let which = match self.side {
            Side::Source => "its source port",
            Side::Destination => "its destination port",
            Side::Either => "its source or its destination port",
        };
        out.push(Piece::Condition(format!("{which} {verb} {ports}")));
    }
}
