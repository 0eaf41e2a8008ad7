//! Why a packet is INVALID, and which packet before it set the edge that it is outside of.

use super::packet::{end_of, number};
use super::told::InvalidTold;
use crate::prose::reasons::REASONS;
use keepstate_conntrack::proto::tcp::Record;
use keepstate_conntrack::{ConnId, Direction, Invalid, Reason, Table, Tuple};
use keepstate_packet::tcp::TcpHeader;
use keepstate_packet::{L4, Parsed};

/// A packet that has moved something.
#[derive(Clone, Debug)]
struct Mover {
    number: usize,
    line: String,
}

/// Who has last moved each edge of one side.
#[derive(Clone, Debug, Default)]
struct Movers {
    end: Option<Mover>,
    max_end: Option<Mover>,
    max_ack: Option<Mover>,
}

/// What is known of a connection.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
    /// State of its protocol.
    pub(super) state: Option<&'static str>,
    record: Option<Record>,
    movers: [Movers; 2],
}

impl Known {
    /// As the table has it now.
    pub(super) fn of(table: &Table, conn: ConnId) -> Option<Self> {
        let original = table.tuple(conn, Direction::Original)?;
        let state = keepstate_conntrack::proto::TRACKERS
            .iter()
            .find(|tracker| tracker.protocol == original.protocol)
            .and_then(|tracker| tracker.state_name(table.state(conn)?));
        Some(Self {
            original,
            reply: table.tuple(conn, Direction::Reply)?,
            state,
            record: table.windows(conn).copied(),
            movers: <[Movers; 2]>::default(),
        })
    }

    /// The same once this packet has passed; `before` is what was known.
    pub(super) fn after(mut self, before: Option<Self>, number: usize, line: &str) -> Self {
        let Some(record) = &self.record else { return self };
        let (was, mut movers) = match before {
            Some(before) => (before.record, before.movers),
            None => (None, self.movers.clone()),
        };
        let was = was.unwrap_or_default();
        let mover = || Some(Mover { number, line: line.to_owned() });
        for ((now, was), movers) in record.peers.iter().zip(&was.peers).zip(&mut movers) {
            if now.end != was.end {
                movers.end = mover();
            }
            if now.max_end != was.max_end {
                movers.max_end = mover();
            }
            if now.max_ack != was.max_ack {
                movers.max_ack = mover();
            }
        }
        self.movers = movers;
        self
    }

    fn tuple(&self, direction: Direction) -> &Tuple {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }

    fn movers(&self, direction: Direction) -> &Movers {
        let [original, reply] = &self.movers;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }
}

/// Why a packet is INVALID. `known`: the connection whose addresses and ports it has, and its direction.
pub(super) fn told(
    invalid: &Invalid,
    bytes: &[u8],
    known: Option<(&Known, Direction)>,
) -> InvalidTold {
    let (edge, distance) = (invalid.edge, invalid.distance);
    let numbers = edge.zip(distance).zip(known);
    let (text, mover) = match numbers {
        Some(((edge, distance), (known, direction))) => {
            with_numbers(invalid.reason, bytes, (edge, distance), known, direction)
        }
        None => (None, None),
    };
    let short = REASONS.iter().find(|reason| reason.code == invalid.reason.code());
    let short = short.map_or_else(|| invalid.reason.code().to_owned(), |one| one.short.to_owned());
    let misfit = (invalid.reason == Reason::InvalidState).then(|| misfit(bytes, known)).flatten();
    let text = match (text, misfit) {
        (Some(text), _) => format!("{short}. {text}"),
        (None, Some(text)) => text,
        (None, None) => format!("{short}."),
    };
    let mut text = text;
    if let Some(mover) = &mover {
        text = format!("{text} Packet #{} set that edge: {}.", mover.number, mover.line);
    }
    let set_by = mover.map(|mover| mover.number);
    let is_known = known.is_some_and(|(known, _)| known.state.is_some());
    let (reason, otherwise) = (invalid.reason.code(), otherwise(invalid.reason, is_known));
    InvalidTold { reason, text, edge, distance, set_by, otherwise }
}

fn segment(bytes: &[u8]) -> Option<TcpHeader> {
    match Parsed::new(bytes).ok()?.l4 {
        L4::Tcp(segment) => Some(segment),
        _ => None,
    }
}

/// Of a segment whose flags fit no connection, or not the state of its own.
fn misfit(bytes: &[u8], known: Option<(&Known, Direction)>) -> Option<String> {
    let flags = crate::prose::tcp::flags(segment(bytes)?.flags);
    Some(match known.and_then(|(known, _)| known.state) {
        Some(state) => format!("{flags} does not fit a connection in state {state}."),
        None => format!("{flags} begins no connection, and no connection has these ends."),
    })
}

fn with_numbers(
    reason: Reason,
    bytes: &[u8],
    (edge, distance): (u32, u32),
    known: &Known,
    direction: Direction,
) -> (Option<String>, Option<Mover>) {
    let Some(segment) = segment(bytes) else { return (None, None) };
    // Each side by its own address, as it is on its side of a translation.
    let sender = end_of(known.tuple(direction));
    let receiver = end_of(known.tuple(direction.invert()));
    let distance = number(distance);
    match reason {
        Reason::SeqOver => {
            let text = format!(
                "It begins at {}, {distance} bytes beyond {edge}, which is as far as {receiver} has \
                 let {sender} send.",
                segment.sequence
            );
            (Some(text), known.movers(direction).max_end.clone())
        }
        Reason::AckOver => {
            let text = format!(
                "It acknowledges {}, {distance} bytes beyond {edge}, which is as far as {receiver} has \
                 sent anything that was seen here.",
                segment.acknowledgment
            );
            (Some(text), known.movers(direction.invert()).end.clone())
        }
        Reason::InvalidRst => {
            let text = format!(
                "Its number {} lies {distance} bytes before {edge}, up to which {receiver} has \
                 acknowledged everything.",
                segment.sequence
            );
            (Some(text), known.movers(direction.invert()).max_ack.clone())
        }
        _ => (None, None),
    }
}

/// What would have made it something else. `is_known`: there is a connection with its ends.
const fn otherwise(reason: Reason, is_known: bool) -> Option<&'static str> {
    Some(match reason {
        Reason::SeqOver | Reason::AckOver | Reason::SeqUnder | Reason::AckUnder => {
            "With nf_conntrack_tcp_be_liberal=1 no segment but a reset is INVALID for its numbers: it \
             would have been ESTABLISHED."
        }
        Reason::InvalidRst => {
            "With nf_conntrack_tcp_ignore_invalid_rst=1 its number would not have made it INVALID."
        }
        Reason::NotSyn => {
            "With nf_conntrack_tcp_loose=1 it would have begun a connection in mid-stream."
        }
        Reason::BadChecksum => {
            "With nf_conntrack_checksum=0 nobody would have looked at its checksum; its receiver does."
        }
        Reason::TableFull => "A larger nf_conntrack_max would have left room for its connection.",
        Reason::IcmpErrorUntracked => {
            "About a packet of a connection that is known it would have been RELATED."
        }
        Reason::InvalidState if !is_known => {
            "Had the packets before it passed here it would belong to their connection: they took another way, \
             or the connection was forgotten. A rule of table raw with -j CT --notrack makes such packets \
             UNTRACKED instead."
        }
        Reason::IcmpUnknown => {
            "Had what it answers passed here it would be ESTABLISHED: the request took another way, or was \
             forgotten. A rule of table raw with -j CT --notrack makes it UNTRACKED instead."
        }
        Reason::BadFlags => {
            "No sysctl lets it be anything else; a rule of table raw with -j CT --notrack makes it UNTRACKED \
             instead."
        }
        Reason::InvalidState | Reason::Short | Reason::Malformed | Reason::NatClash => return None,
    })
}
