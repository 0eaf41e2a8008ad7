//! How much of the trackers' state tables and of the helpers' messages a run has shown to both.
//!
//! Measured beside the engine, from the connection as it stood before a packet and from what became
//! of the packet; tracking itself counts nothing. A cell that no packet can reach says why.

mod grid;
mod others;
mod sctp;
mod tcp;
mod translation;

use super::Area;
use super::dialogues::{DIALOGUES, Messages};
use crate::observation::{Observation, Side};
use grid::Grid;
use keepstate_conntrack::helpers::Name;
use keepstate_conntrack::proto::sctp::Association;
use keepstate_conntrack::{CtState, CtStatus, Direction, Table, Tuple, Zone};
use keepstate_packet::{Instant, Parsed};
use std::fmt::Write as _;

const DIRECTIONS: [(Direction, &str); 2] =
    [(Direction::Original, "original"), (Direction::Reply, "reply")];

/// What was visited so far.
#[derive(Clone, Debug)]
pub struct Coverage {
    tcp: Grid,
    sctp: Grid,
    others: Grid,
    types: Grid,
    messages: Vec<(&'static Messages, Grid)>,
    translated: Grid,
    shapes: Grid,
}

impl Default for Coverage {
    fn default() -> Self {
        let kinds = DIALOGUES.iter().flat_map(|dialogue| dialogue.messages);
        let grid = |messages: &'static Messages| {
            let cells = messages.kinds.iter().map(|kind| (String::new(), *kind, None));
            (messages, Grid::new(messages.helper, "kinds of message", cells))
        };
        Self {
            tcp: tcp::grid(),
            sctp: sctp::grid(),
            others: others::grid(),
            types: others::types(),
            messages: kinds.map(grid).collect(),
            translated: translation::grid(),
            shapes: translation::shapes(),
        }
    }
}

/// A connection as it stands before a packet of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    direction: Direction,
    /// The tracker's state, by number.
    state: u8,
    association: Option<Association>,
    /// `None` when it is not known.
    status: Option<CtStatus>,
    helper: Option<Name>,
}

impl Before {
    /// The connection that a packet belongs to, or the one that it may begin. `None` for what is no
    /// whole packet.
    pub(crate) fn of(table: &Table, now: Instant, packet: &[u8]) -> Option<Self> {
        let parsed = Parsed::new(packet).ok().filter(|parsed| parsed.fragment.is_none())?;
        let tuple = Tuple::of(&parsed, packet)?;
        Some(match table.find(now, &tuple, Zone::default()) {
            Some((conn, direction)) => Self {
                direction,
                state: table.state(conn)?,
                association: table.association(conn).copied(),
                status: table.status(conn),
                helper: table.helper(conn),
            },
            None => Self {
                direction: Direction::Original,
                state: 0,
                association: None,
                status: None,
                helper: None,
            },
        })
    }
}

/// What is said of a packet before its state matters.
const BEFORE_THE_STATE: [&str; 4] = ["short", "malformed", "bad-checksum", "bad-flags"];

impl Coverage {
    /// Counts a packet that tracking has seen. `after` is its connection as it stands then: a first
    /// packet has its helper only there.
    pub(crate) fn packet(
        &mut self,
        before: &Before,
        after: Option<&Before>,
        packet: &[u8],
        seen: &Observation,
    ) {
        if let Some(kind) = Parsed::new(packet).ok().as_ref().and_then(others::kind) {
            self.types.visit(kind);
        }
        let judged = matches!(
            seen.state,
            Some(CtState::New | CtState::Established | CtState::Related | CtState::Invalid)
        );
        if !judged || seen.reason.is_some_and(|reason| BEFORE_THE_STATE.contains(&reason)) {
            return;
        }
        let Ok(parsed) = Parsed::new(packet) else { return };
        if let Some(cell) = tcp::cell(before, &parsed, packet) {
            self.tcp.visit(cell);
        }
        for cell in sctp::cells(before, &parsed, packet) {
            self.sctp.visit(cell);
        }
        if let Some(cell) = others::cell(before, &parsed) {
            self.others.visit(cell);
        }
        let payload = parsed.payload(packet);
        let helper = before.helper.or_else(|| after?.helper);
        for (messages, grid) in &mut self.messages {
            if helper.is_some_and(|name| name.base == messages.helper)
                && let Some(kind) = (messages.kind)(payload)
                && let Some(cell) = messages.kinds.iter().position(|known| *known == kind)
            {
                grid.visit(cell);
            }
        }
    }

    /// Counts what became of a packet under translation.
    pub(crate) fn translated(&mut self, side: Side, packet: &[u8], seen: &Observation) {
        let Ok(parsed) = Parsed::new(packet) else { return };
        for cell in translation::cells(&parsed, packet, seen) {
            self.translated.visit(cell);
        }
        for cell in translation::shapes_of(side, &parsed, packet, seen) {
            self.shapes.visit(cell);
        }
    }

    /// Adds what another run has visited.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.tcp, &other.tcp),
            (&mut self.sctp, &other.sctp),
            (&mut self.others, &other.others),
            (&mut self.types, &other.types),
            (&mut self.translated, &other.translated),
            (&mut self.shapes, &other.shapes),
        ];
        pairs.into_iter().for_each(|(grid, other)| grid.add(other));
        for ((_, grid), (_, other)) in self.messages.iter_mut().zip(&other.messages) {
            grid.add(other);
        }
    }

    /// In lines, as far as the area is about it.
    #[must_use]
    pub fn text(&self, area: Area) -> String {
        let wide = matches!(area, Area::All | Area::Rules | Area::Expiry | Area::Fragments);
        let of_helper = |messages: &Messages| {
            let is_it = |one: &Messages| std::ptr::eq(one, messages);
            let mut drawn = DIALOGUES.iter().zip(0..).filter(|(dialogue, at)| match area {
                Area::Helper(only) => only == *at,
                Area::Nat => dialogue.translated,
                _ => dialogue.settled && (wide || area == Area::Helpers),
            });
            drawn.any(|(dialogue, _)| dialogue.messages.iter().any(is_it))
        };
        let others = wide.then_some(&self.others);
        let types = (wide || area == Area::Icmp).then_some(&self.types);
        let tcp = (wide || area == Area::Tcp).then_some(&self.tcp);
        let sctp = (wide || area == Area::Sctp).then_some(&self.sctp);
        let translation = (area == Area::Nat).then_some([&self.translated, &self.shapes]);
        let helpers = self.messages.iter().filter(|(m, _)| of_helper(m)).map(|(_, grid)| grid);
        let trackers = tcp.into_iter().chain(sctp).chain(others).chain(types).chain(helpers);
        trackers.chain(translation.into_iter().flatten()).fold(String::new(), |mut text, grid| {
            let _ = write!(text, "{grid}");
            text
        })
    }
}
