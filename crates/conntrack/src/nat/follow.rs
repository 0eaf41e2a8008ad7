//! Expected connections whose master is translated.

use super::{Manip, Range};
use crate::conn::ConnId;
use crate::expect::{Expectation, Request};
use crate::table::Table;
use crate::tuple::{Direction, Tuple};
use keepstate_packet::{Address, Instant};

/// Where an expected connection goes, which is announced as it is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Following {
    /// The direction of the master's packets that it goes with.
    pub(crate) direction: Direction,
    /// The port (or key of GRE) that it comes to.
    pub(crate) port: u16,
    /// The address that it comes to, where it is not the one that the master's packets go to.
    pub(crate) address: Option<Address>,
}

impl Following {
    /// The address that it comes to; `None` when the master has gone.
    fn address(&self, table: &Table, master: ConnId) -> Option<Address> {
        let inside = || table.tuple(master, self.direction.invert()).map(|seen| seen.source);
        self.address.or_else(inside)
    }
}

impl Request {
    /// The same for a connection that goes where the packets of its master go in a direction, to the port
    /// that is announced now.
    pub(crate) fn following(self, direction: Direction) -> Self {
        let port = self.tuple.destination_port;
        let following = Following { direction, port, address: None };
        Self { following: Some(following), fulfilled: Some(follow_master), ..self }
    }

    /// The same for a connection that comes from elsewhere than the packets of its master, and may go
    /// elsewhere, too.
    pub(crate) fn leading_to(self, direction: Direction, address: Option<Address>) -> Self {
        let port = self.tuple.destination_port;
        let following = Following { direction, port, address };
        Self { following: Some(following), fulfilled: Some(lead), ..self }
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
    let Some(following) = expectation.request.following else { return };
    let other_way = following.direction.invert();
    let Some(seen) = table.tuple(expectation.master, other_way) else { return };
    set_up(table, now, (conn, expectation), &following, seen.destination);
}

/// Sets up an expected connection that does not come from where its master's packets come from. Its source
/// stays, or is where it was going, if it follows the direction in which its master was opened.
fn lead(table: &mut Table, now: Instant, conn: ConnId, expectation: &Expectation) {
    let Some(following) = expectation.request.following else { return };
    let Some(own) = table.tuple(conn, following.direction.invert()) else { return };
    set_up(table, now, (conn, expectation), &following, own.source);
}

fn set_up(
    table: &mut Table,
    now: Instant,
    (conn, expectation): (ConnId, &Expectation),
    following: &Following,
    source: Address,
) {
    let Some(address) = following.address(table, expectation.master) else { return };
    table.set_up(now, conn, &Range::of_address(source), Manip::Source);
    let ports = Some((following.port, following.port));
    table.set_up(now, conn, &Range { ports, ..Range::of_address(address) }, Manip::Destination);
}

impl Table {
    /// What is announced to the outside of a connection that would go to the destination of `tuple` if nobody
    /// translated anything: the expected tuple and the mask of its source.
    #[must_use]
    pub fn announced_for(&self, tuple: &Tuple) -> Option<(Tuple, Tuple)> {
        let mut all = self.expectations.iter();
        let found = all.find(|one| {
            let Some(following) = one.request.following else { return false };
            let Following { direction, port, .. } = following;
            let inside = following.address(self, one.master);
            let asked = self.tuple(one.master, direction).map(|seen| seen.destination);
            let expected = &one.request.tuple;
            (expected.family, expected.protocol) == (tuple.family, tuple.protocol)
                && port == tuple.destination_port
                && [inside, asked].contains(&Some(tuple.destination))
        });
        found.map(|one| (one.request.tuple, one.request.mask))
    }
}
