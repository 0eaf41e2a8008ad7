//! Expected connections whose master is translated.

use super::{Manip, Range};
use crate::conn::ConnId;
use crate::table::Table;
use crate::tuple::Direction;
use keepstate_packet::Instant;

/// How an expected connection goes where its master goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Following {
    /// The direction of the master's packets that it goes with.
    pub(crate) direction: Direction,
    /// The port that it comes to.
    pub(crate) port: u16,
}

impl Table {
    /// Sets up an expected connection: it seems to come from where the master's packets of that direction
    /// seem to come from, and goes where they go. No rule is asked for it.
    pub(crate) fn follow_master(
        &mut self,
        now: Instant,
        conn: ConnId,
        master: ConnId,
        following: Following,
    ) {
        let Following { direction, port } = following;
        let Some(seen) = self.tuple(master, direction.invert()) else { return };
        self.set_up(now, conn, &Range::of_address(seen.destination), Manip::Source);
        let to = Range { ports: Some((port, port)), ..Range::of_address(seen.source) };
        self.set_up(now, conn, &to, Manip::Destination);
    }
}
