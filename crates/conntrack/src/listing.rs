//! Connections and events as conntrack(8) prints them: `conntrack -L -o extended` and
//! `conntrack -E`, byte for byte, as conntrack-tools 1.4.7 does.

use crate::conn::CtStatus;
use crate::event::{Event, EventKind, Snapshot};
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use core::fmt;
use keepstate_packet::Family;

/// A line of `conntrack -L -o extended`, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct Extended<'a> {
    /// The connection.
    pub snapshot: &'a Snapshot,
    /// Connections that it is the master of: each holds a reference (`use=`).
    pub children_count: usize,
}

impl fmt::Display for Extended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connection = self.snapshot;
        let (name, number) = match connection.original.family {
            Family::V4 => ("ipv4", 2),
            Family::V6 => ("ipv6", 10),
        };
        write!(f, "{name:<8} {number} ")?;
        body(f, connection)?;
        write!(f, " mark={}", connection.mark)?;
        zone(f, connection)?;
        age(f, connection)?;
        helper(f, connection)?;
        write!(f, " use={}", 1 + self.children_count)
    }
}

/// A line of `conntrack -E`, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct EventLine<'a> {
    kind: &'static str,
    snapshot: &'a Snapshot,
}

impl<'a> EventLine<'a> {
    /// The line of an event; `None` for those of expectations, which `conntrack -E` does not print.
    #[must_use]
    pub const fn new(event: &'a Event) -> Option<Self> {
        let kind = match event.kind {
            EventKind::New => "[NEW]",
            EventKind::Update => "[UPDATE]",
            EventKind::Destroy => "[DESTROY]",
            EventKind::ExpectNew | EventKind::ExpectDestroy => return None,
        };
        Some(Self { kind, snapshot: &event.snapshot })
    }
}

impl fmt::Display for EventLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} ", self.kind)?;
        body(f, self.snapshot)?;
        if self.snapshot.mark != 0 {
            write!(f, " mark={}", self.snapshot.mark)?;
        }
        zone(f, self.snapshot)?;
        age(f, self.snapshot)?;
        helper(f, self.snapshot)
    }
}

/// The bits of [`Zone::directions`].
const ORIGINAL: u8 = 1 << Direction::Original as u8;
const REPLY: u8 = 1 << Direction::Reply as u8;

/// From the protocol to `[ASSURED]`.
fn body(f: &mut fmt::Formatter<'_>, connection: &Snapshot) -> fmt::Result {
    let protocol = connection.original.protocol;
    write!(f, "{:<8} {protocol}", protocol_name(protocol))?;
    if let Some(timeout) = connection.timeout {
        write!(f, " {}", timeout.as_secs())?;
    }
    if let Some(state) = connection.protocol_state {
        write!(f, " {state}")?;
    }
    let [original, reply] = match connection.counters {
        Some([original, reply]) => [Some(original), Some(reply)],
        None => [None, None],
    };
    let zone = connection.zone;
    let one_way = |directions| (zone.directions == directions && zone.id != 0).then_some(zone.id);
    direction(f, &connection.original, ("orig", one_way(ORIGINAL)), original)?;
    if !connection.status.contains(CtStatus::SEEN_REPLY) {
        f.write_str(" [UNREPLIED]")?;
    }
    direction(f, &connection.reply, ("reply", one_way(REPLY)), reply)?;
    if connection.status.contains(CtStatus::ASSURED) {
        f.write_str(" [ASSURED]")?;
    }
    Ok(())
}

fn direction(
    f: &mut fmt::Formatter<'_>,
    tuple: &Tuple,
    (name, zone): (&str, Option<u16>),
    counters: Option<(u64, u64)>,
) -> fmt::Result {
    let (source, destination) = (tuple.source.ip(tuple.family), tuple.destination.ip(tuple.family));
    write!(f, " src={source} dst={destination}")?;
    let (sport, dport) = (tuple.source_port, tuple.destination_port);
    match tuple.protocol {
        1 | 58 => write!(f, " type={} code={} id={sport}", dport >> 8, dport & 0xff)?,
        6 | 17 | 33 | 132 | 136 => write!(f, " sport={sport} dport={dport}")?,
        47 => write!(f, " srckey={sport:#x} dstkey={dport:#x}")?,
        _ => {}
    }
    if let Some(zone) = zone {
        write!(f, " zone-{name}={zone}")?;
    }
    match counters {
        Some((packets, bytes)) => write!(f, " packets={packets} bytes={bytes}"),
        None => Ok(()),
    }
}

/// A zone of both directions; that of one stands beside its tuple.
fn zone(f: &mut fmt::Formatter<'_>, connection: &Snapshot) -> fmt::Result {
    match connection.zone {
        Zone { id: 0, .. } => Ok(()),
        Zone { id, directions } if directions == ORIGINAL | REPLY => write!(f, " zone={id}"),
        Zone { .. } => Ok(()),
    }
}

fn age(f: &mut fmt::Formatter<'_>, connection: &Snapshot) -> fmt::Result {
    match connection.age {
        Some(age) => write!(f, " delta-time={}", age.as_secs()),
        None => Ok(()),
    }
}

fn helper(f: &mut fmt::Formatter<'_>, connection: &Snapshot) -> fmt::Result {
    match connection.helper {
        Some(helper) => write!(f, " helper={helper}"),
        None => Ok(()),
    }
}

const fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        47 => "gre",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
