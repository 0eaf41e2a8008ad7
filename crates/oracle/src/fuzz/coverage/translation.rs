//! The cells of address translation: protocol × what of a connection's tuple changes; and what becomes of
//! packets: payloads written anew, numbers shifted, errors turned back, ports that run out.

use super::grid::Grid;
use crate::observation::{Fate, Observation, Sent, Side};
use keepstate_conntrack::event::{EventKind, Snapshot};
use keepstate_conntrack::{CtState, CtStatus, Tuple};
use keepstate_packet::{Family, L4, Parsed, gre, icmp, icmpv6, sctp, tcp, udp};

const PROTOCOLS: [(&str, u8); 7] = [
    ("tcp", tcp::PROTOCOL),
    ("udp", udp::PROTOCOL),
    ("udplite", udp::PROTOCOL_LITE),
    ("icmp", icmp::PROTOCOL),
    ("icmpv6", icmpv6::PROTOCOL),
    ("sctp", sctp::PROTOCOL),
    ("gre", gre::PROTOCOL),
];

/// What changes of the tuple of a connection.
const CHANGES: [&str; 6] = [
    "source address",
    "source port",
    "destination address",
    "destination port",
    "both ends",
    "nothing free",
];

/// The protocols and what changes; those without ports come last, together.
pub(super) fn grid() -> Grid {
    let names = PROTOCOLS.iter().map(|(name, _)| *name).chain(["others"]);
    let cells = names.flat_map(|name| {
        CHANGES.into_iter().map(move |what| {
            let why = match (name, what) {
                ("others", "source port" | "destination port") => Some("there are no ports"),
                ("gre", "source port" | "destination port") => Some("only PPTP has keys in GRE"),
                ("icmp" | "icmpv6", "destination port") => {
                    Some("an ICMP query has one identifier, its source")
                }
                ("icmpv6" | "udplite", "nothing free") => Some("no rule can narrow the ports"),
                ("udplite", "destination port") => Some("no rule can give ports of UDP-Lite"),
                _ => None,
            };
            (name.to_owned(), what, why)
        })
    });
    Grid::new("translation", "cells of protocol and what changes", cells)
}

/// The cells that a packet has visited.
pub(super) fn cells(parsed: &Parsed, packet: &[u8], seen: &Observation) -> Vec<usize> {
    let row = |protocol: u8| {
        let known = PROTOCOLS.iter().position(|(_, number)| *number == protocol);
        known.unwrap_or(PROTOCOLS.len()) * CHANGES.len()
    };
    if seen.reason == Some("nat-clash") {
        return vec![row(parsed.protocol) + 5];
    }
    let Some((original, wanted)) = beginning(parsed, packet, seen) else { return Vec::new() };
    let changes = [
        original.source != wanted.source,
        original.source_port != wanted.source_port,
        original.destination != wanted.destination,
        original.destination_port != wanted.destination_port,
    ];
    let both = (changes[0] || changes[1]) && (changes[2] || changes[3]);
    let all = changes.into_iter().chain([both]).enumerate();
    all.filter(|(_, is)| *is).map(|(column, _)| row(original.protocol) + column).collect()
}

/// The tuple of a new connection, and what it becomes.
fn beginning(parsed: &Parsed, packet: &[u8], seen: &Observation) -> Option<(Tuple, Tuple)> {
    let new = |event: &&crate::observation::EventView| event.kind == EventKind::New;
    if let Some(event) = seen.events.iter().find(new) {
        return Some((event.snapshot.original, event.snapshot.reply.invert()?));
    }
    let [sent] = seen.out.as_slice() else { return None };
    if seen.state != Some(CtState::New) {
        return None;
    }
    let left = Parsed::new(&sent.bytes).ok()?;
    Some((Tuple::of(parsed, packet)?, Tuple::of(&left, &sent.bytes)?))
}

/// What becomes of a packet.
const SHAPES: [(&str, &str); 20] = [
    ("connection", "expected, and follows its master"),
    ("connection", "takes the port of one that ended"),
    ("connection", "another port, though no rule asks for one"),
    ("connection", "goes to the host itself"),
    ("connection", "hairpin"),
    ("packet", "longer"),
    ("packet", "shorter"),
    ("packet", "as long, with another payload"),
    ("packet", "longer than the MTU, in pieces"),
    ("packet", "refused by its helper"),
    ("packet", "cannot be translated"),
    ("packet", "INVALID, and goes on as it came"),
    ("packet", "made by the host, its source translated"),
    ("numbers", "sequence shifted"),
    ("numbers", "acknowledgment shifted back"),
    ("numbers", "SACK shifted back"),
    ("error", "turned back, from the end"),
    ("error", "turned back, from a third host"),
    ("error", "turned back on its way out"),
    ("error", "redirect dropped"),
];

pub(super) fn shapes() -> Grid {
    let cells = SHAPES.into_iter().map(|(row, column)| (row.to_owned(), column, None));
    Grid::new("translated packets", "kinds", cells)
}

/// The kinds that a packet is of.
pub(super) fn shapes_of(
    side: Side,
    parsed: &Parsed,
    packet: &[u8],
    seen: &Observation,
) -> Vec<usize> {
    let mut found = Vec::new();
    let new = seen.events.iter().find(|event| event.kind == EventKind::New);
    if let Some(event) = new {
        of_connection(side, &event.snapshot, seen, &mut found);
    }
    let kinds: [(&str, bool); 4] = [
        ("refused by its helper", seen.reason == Some("helper-dropped")),
        ("cannot be translated", seen.reason == Some("untranslatable")),
        ("INVALID, and goes on as it came", is_invalid(seen)),
        ("made by the host, its source translated", seen.generated.iter().any(is_disguised)),
    ];
    found.extend(kinds.into_iter().filter(|(_, is)| *is).map(|(name, _)| name));
    match seen.out.as_slice() {
        [sent] => {
            if let Ok(left) = Parsed::new(&sent.bytes) {
                of_packet(parsed, packet, &left, &sent.bytes, &mut found);
            }
        }
        [first, .., last] if parsed.fragment.is_none() => {
            let grown = first.bytes.len() + last.bytes.len() > packet.len();
            found.extend(grown.then_some("longer than the MTU, in pieces"));
        }
        _ => {}
    }
    if is_redirect(parsed, packet) && seen.reason == Some("untranslatable") {
        found.push("redirect dropped");
    }
    let at = |name: &str| SHAPES.iter().position(|(_, column)| *column == name);
    found.into_iter().filter_map(at).collect()
}

fn of_connection(side: Side, new: &Snapshot, seen: &Observation, found: &mut Vec<&'static str>) {
    let Some(wanted) = new.reply.invert() else { return };
    let status = new.status;
    let changed = wanted != new.original;
    if status.contains(CtStatus::EXPECTED) && changed {
        found.push("expected, and follows its master");
    }
    let ended = seen.events.iter().any(|event| {
        let old = &event.snapshot;
        event.kind == EventKind::Destroy && old.reply == new.reply && old.original != new.original
    });
    found.extend(ended.then_some("takes the port of one that ended"));
    if changed
        && (wanted.source, wanted.destination) == (new.original.source, new.original.destination)
    {
        found.push("another port, though no rule asks for one");
    }
    found.extend((changed && seen.fate == Fate::Local).then_some("goes to the host itself"));
    let back = seen.out.iter().any(|sent| sent.side == side);
    found.extend((changed && back).then_some("hairpin"));
}

fn of_packet(
    came: &Parsed,
    before: &[u8],
    left: &Parsed,
    after: &[u8],
    found: &mut Vec<&'static str>,
) {
    let [old, new] = [(came, before), (left, after)].map(|(parsed, bytes)| parsed.payload(bytes));
    if let (L4::Tcp(old), L4::Tcp(new)) = (&came.l4, &left.l4) {
        found.extend((old.sequence != new.sequence).then_some("sequence shifted"));
        let acks = old.acknowledgment != new.acknowledgment;
        found.extend(acks.then_some("acknowledgment shifted back"));
        let options = |parsed: &Parsed, bytes: &[u8]| {
            tcp::TcpOptions::of(parsed, bytes)
                .filter(|o| matches!(o, tcp::TcpOption::Sack(_)))
                .count()
        };
        if acks && options(came, before) > 0 {
            found.push("SACK shifted back");
        }
    }
    if matches!(came.l4, L4::Tcp(_) | L4::Udp(_)) && old != new {
        found.push(match old.len().cmp(&new.len()) {
            core::cmp::Ordering::Less => "longer",
            core::cmp::Ordering::Greater => "shorter",
            core::cmp::Ordering::Equal => "as long, with another payload",
        });
    }
    let is_error = match (&came.l4, came.family) {
        (L4::Icmp(header), Family::V4) => matches!(header.kind, 3 | 4 | 5 | 11 | 12),
        (L4::Icmpv6(header), Family::V6) => header.kind < 128,
        _ => false,
    };
    if is_error && old != new {
        // The source of what is quoted is where the error goes.
        let at = if came.family == Family::V4 { 16..20 } else { 24..40 };
        let quoted = old.get(at).unwrap_or(&[]);
        let is_end = came.source.0.starts_with(quoted);
        found.push(match (is_end, came.destination == left.destination) {
            (_, true) => "turned back on its way out",
            (true, _) => "turned back, from the end",
            (false, _) => "turned back, from a third host",
        });
    }
}

fn is_invalid(seen: &Observation) -> bool {
    seen.state == Some(CtState::Invalid) && !seen.out.is_empty()
}

/// Whether a packet of the host comes from an address that the host does not have.
fn is_disguised(sent: &Sent) -> bool {
    Parsed::new(&sent.bytes).is_ok_and(|parsed| !crate::kernel::is_router(parsed.source))
}

fn is_redirect(parsed: &Parsed, packet: &[u8]) -> bool {
    let kind = parsed.l4_bytes(packet).first();
    match parsed.family {
        Family::V4 => parsed.protocol == icmp::PROTOCOL && kind == Some(&5),
        Family::V6 => parsed.protocol == icmpv6::PROTOCOL && kind == Some(&137),
    }
}
