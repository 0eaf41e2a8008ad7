//! The cells of SCTP: state × direction × kind of chunk.

use super::{Before, DIRECTIONS, grid::Grid};
use keepstate_conntrack::Direction;
use keepstate_conntrack::proto::sctp::{self, Kind, Known, State};
use keepstate_packet::Parsed;
use keepstate_packet::sctp::PROTOCOL;

pub(super) fn grid() -> Grid {
    let cells = State::ALL.into_iter().flat_map(|state| {
        DIRECTIONS.into_iter().flat_map(move |(direction, way)| {
            Kind::ALL.into_iter().map(move |kind| {
                let row = format!("{} {way}", state.name());
                (row, kind.name(), out_of_reach(state, direction, kind))
            })
        })
    });
    Grid::new("sctp", "cells of state, direction and kind of chunk", cells)
}

const fn out_of_reach(state: State, direction: Direction, kind: Kind) -> Option<&'static str> {
    match (state, direction, kind) {
        (State::None, Direction::Reply, _) => Some("NONE is before the first packet: no reply"),
        (State::None, _, Kind::Abort | Kind::ShutdownComplete | Kind::CookieAck) => {
            Some("ABORT, SHUTDOWN-COMPLETE and COOKIE-ACK never begin an association")
        }
        _ => None,
    }
}

/// The cells that decide about the chunks of a packet.
pub(super) fn cells(before: &Before, parsed: &Parsed, packet: &[u8]) -> Vec<usize> {
    if parsed.protocol != PROTOCOL {
        return Vec::new();
    }
    let mut cells = Vec::new();
    let direction = before.direction;
    let known = Known {
        state: State::of(before.state),
        direction,
        confirmed: before.association.is_some(),
    };
    let mut association = before.association.unwrap_or_default();
    sctp::packet(&known, &mut association, parsed.l4_bytes(packet), |state, kind| {
        let row = state as usize * DIRECTIONS.len() + direction as usize;
        cells.push(row * Kind::ALL.len() + kind as usize);
    });
    cells
}
