//! Conntrack helpers: they read what a connection says and announce the connections it asks for.
//!
//! A helper is a function from a packet and what was remembered of its connection to an
//! announcement. Entering the expectation, its limits and its life are `crate::expect`'s.

pub mod ftp;

use crate::conn::{ConnId, Entry};
use crate::expect::Expectation;
use crate::table::{Drop, Table};
use crate::tuple::{Direction, Tuple};
use crate::{CtState, Tracked, timeout};
use core::time::Duration;
use keepstate_packet::{Instant, L4, Parsed, tcp::TcpHeader};

/// A conntrack helper.
#[derive(Debug)]
pub struct Helper {
    /// Name (`-j CT --helper NAME`).
    pub name: &'static str,
    /// Protocol of the connections that it reads.
    pub protocol: u8,
    /// Most expectations of one connection; the oldest gives way.
    pub expectations_max: u32,
    /// How long an expectation waits.
    pub expectation_timeout: Duration,
    help: fn(&mut State, &Heard<'_>) -> Result<Option<Announcement>, Drop>,
}

/// The helpers.
pub static HELPERS: &[Helper] = &[Helper {
    name: "ftp",
    protocol: keepstate_packet::tcp::PROTOCOL,
    expectations_max: ftp::EXPECTATIONS_MAX,
    expectation_timeout: ftp::EXPECTATION_TIMEOUT,
    help: ftp::help,
}];

/// Index of a helper by its name (`-j CT --helper NAME`), for
/// [`Template::helper`](crate::table::Template::helper); `None` when there is no such helper.
#[must_use]
pub fn index_of(name: &str) -> Option<u16> {
    HELPERS.iter().position(|helper| helper.name == name).map(|index| index as u16)
}

/// What a helper remembers of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub(crate) ftp: ftp::Lines,
}

/// What a helper hears: a TCP segment of an established connection that carries data.
#[derive(Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) direction: Direction,
    pub(crate) header: TcpHeader,
    pub(crate) payload: &'a [u8],
    /// Tuple of the direction that it goes in.
    pub(crate) tuple: Tuple,
    /// Tuple of the other direction.
    pub(crate) inverse: Tuple,
}

/// A connection that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// Tuple of its first packet.
    pub(crate) tuple: Tuple,
    /// Which bits of the source count.
    pub(crate) mask: Tuple,
}

impl Table {
    /// Whether a connection has a helper, so that [`Table::help`] can have anything to do.
    #[inline]
    #[must_use]
    pub fn is_helped(&self, conn: ConnId) -> bool {
        self.slots.live(conn).is_some_and(|entry| entry.has(Entry::HELPED))
    }

    /// Runs the connection's helper (priority 300 in INPUT and POSTROUTING).
    ///
    /// # Errors
    /// [`Drop::Helper`] when the helper wants the packet dropped: it could be read only in part, or
    /// what it announces cannot be expected.
    #[inline]
    pub fn help(
        &mut self,
        now: Instant,
        tracked: &Tracked,
        packet: &Parsed,
        bytes: &[u8],
    ) -> Result<(), Drop> {
        match tracked.conn {
            Some(conn) if self.is_helped(conn) => {
                self.help_connection(now, tracked, conn, packet, bytes)
            }
            _ => Ok(()),
        }
    }

    fn help_connection(
        &mut self,
        now: Instant,
        tracked: &Tracked,
        conn: ConnId,
        packet: &Parsed,
        bytes: &[u8],
    ) -> Result<(), Drop> {
        let (CtState::Established, Some(direction), L4::Tcp(header)) =
            (tracked.state, tracked.direction, packet.l4)
        else {
            return Ok(());
        };
        let tuples = (self.tuple(conn, direction), self.tuple(conn, direction.invert()));
        let (Some(tuple), Some(inverse)) = tuples else { return Ok(()) };
        let (Some(cold), Some(state)) = (self.slots.cold(conn.slot), self.helped.get_mut(&conn))
        else {
            return Ok(());
        };
        let index = cold.helper;
        let Some(helper) = HELPERS.get(usize::from(index)) else { return Ok(()) };
        let payload = packet.payload(bytes);
        if payload.is_empty() {
            return Ok(());
        }
        let heard = Heard { direction, header, payload, tuple, inverse };
        let Some(Announcement { tuple, mask }) = (helper.help)(state, &heard)? else {
            return Ok(());
        };
        let deadline = timeout::after(now, helper.expectation_timeout);
        let zone = self.zone(conn).unwrap_or_default();
        let expectation = Expectation { tuple, mask, master: conn, helper: index, zone, deadline };
        if self.expect(now, expectation) { Ok(()) } else { Err(Drop::Helper) }
    }
}
