//! The cells of TCP: state × direction × kind of segment.

use super::{Before, DIRECTIONS, grid::Grid};
use keepstate_conntrack::Direction;
use keepstate_conntrack::proto::tcp::{Kind, Segment, State};
use keepstate_packet::Parsed;

const KINDS: [(Kind, &str); 6] = [
    (Kind::Syn, "SYN"),
    (Kind::SynAck, "SYN-ACK"),
    (Kind::Fin, "FIN"),
    (Kind::Ack, "ACK"),
    (Kind::Rst, "RST"),
    (Kind::None, "none"),
];

pub(super) fn grid() -> Grid {
    let cells = State::ALL.into_iter().flat_map(|state| {
        DIRECTIONS.into_iter().flat_map(move |(direction, way)| {
            KINDS.into_iter().map(move |(kind, segment)| {
                (format!("{} {way}", state.name()), segment, out_of_reach(state, direction, kind))
            })
        })
    });
    Grid::new("tcp", "cells of state, direction and kind of segment", cells)
}

const fn out_of_reach(state: State, direction: Direction, kind: Kind) -> Option<&'static str> {
    match (state, direction, kind) {
        (_, _, Kind::None) => Some("without SYN, FIN, ACK and RST a segment is bad-flags"),
        (State::None, Direction::Reply, _) => Some("NONE is before the first segment: no reply"),
        _ => None,
    }
}

/// The cell that decides about a segment.
pub(super) fn cell(before: &Before, parsed: &Parsed, packet: &[u8]) -> Option<usize> {
    let segment = Segment::new(parsed, packet, true).ok()?;
    let row = usize::from(before.state) * DIRECTIONS.len() + before.direction as usize;
    Some(row * KINDS.len() + segment.kind as usize)
}
