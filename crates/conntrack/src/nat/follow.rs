//! Expected connections whose master is translated.

use super::{Manip, Range};
use crate::conn::ConnId;
use crate::expect::{Expectation, Request};
use crate::table::Table;
use crate::tuple::{Direction, Tuple};
use keepstate_packet::Instant;

/// Where an expected connection goes, which is announced as it is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Following {
    /// The direction of the master's packets that it goes with.
    pub(crate) direction: Direction,
    /// The port (or key of GRE) that it comes to.
    pub(crate) port: u16,
}

impl Request {
    /// The same for a connection that goes where the packets of its master go in a direction, to the port
    /// that is announced now.
    pub(crate) fn following(self, direction: Direction) -> Self {
        let following = Following { direction, port: self.tuple.destination_port };
        Self { following: Some(following), fulfilled: Some(follow_master), ..self }
    }
}

/// Sets up an expected connection: it seems to come from where its master's packets of that direction
/// seem to come from, and goes where they go. No rule is asked for it.
pub(crate) fn follow_master(
    table: &mut Table,
    now: Instant,
    conn: ConnId,
    expectation: &Expectation,
) {
    let Some(Following { direction, port }) = expectation.request.following else { return };
    let Some(seen) = table.tuple(expectation.master, direction.invert()) else { return };
    table.set_up(now, conn, &Range::of_address(seen.destination), Manip::Source);
    let to = Range { ports: Some((port, port)), ..Range::of_address(seen.source) };
    table.set_up(now, conn, &to, Manip::Destination);
}

impl Table {
    /// What is announced to the outside of a connection that would go to the destination of `tuple` if nobody
    /// translated anything: the expected tuple and the mask of its source.
    #[must_use]
    pub fn announced_for(&self, tuple: &Tuple) -> Option<(Tuple, Tuple)> {
        let mut all = self.expectations.iter();
        let found = all.find(|one| {
            let Some(Following { direction, port }) = one.request.following else { return false };
            let inside = self.tuple(one.master, direction.invert()).map(|seen| seen.source);
            let asked = self.tuple(one.master, direction).map(|seen| seen.destination);
            let expected = &one.request.tuple;
            (expected.family, expected.protocol) == (tuple.family, tuple.protocol)
                && port == tuple.destination_port
                && [inside, asked].contains(&Some(tuple.destination))
        });
        found.map(|one| (one.request.tuple, one.request.mask))
    }
}
