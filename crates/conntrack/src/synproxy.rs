//! Connections that SYNPROXY opens in the place of a client: what has to be known of them until the
//! server has answered, and of their timestamps ever after.

use crate::conn::{ConnId, Entry};
use crate::event::Changes;
use crate::proto::tcp::State;
use crate::table::Table;
use crate::tuple::Direction;

/// What SYNPROXY knows of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proxied {
    /// The sequence number that the client was answered with: the cookie.
    pub isn: u32,
    /// The time that the client was answered with, in the clock of the answer.
    pub stamp: u32,
    /// How far the server's clock is ahead of that, modulo 2^32; 0 where there are no timestamps.
    pub clock_shift: u32,
}

impl Table {
    /// What SYNPROXY knows of a connection; `None` for one that it did not open, or that has gone.
    #[inline]
    #[must_use]
    pub fn proxied(&self, conn: ConnId) -> Option<Proxied> {
        self.slots.live(conn).filter(|entry| entry.has(Entry::PROXIED))?;
        Some(self.proxied.get(&conn).copied().unwrap_or_default())
    }

    /// Remembers what SYNPROXY knows of a connection that it has opened.
    pub fn set_proxied(&mut self, conn: ConnId, known: Proxied) {
        let events = self.events.is_on();
        let Some(entry) = self.slots.live_mut(conn).filter(|entry| entry.has(Entry::PROXIED))
        else {
            return;
        };
        if events {
            entry.pending |= Changes::SYNPROXY.0;
        }
        self.proxied.insert(conn, known);
    }

    /// The state of a TCP connection; `None` when it has gone.
    #[must_use]
    pub fn tcp_state(&self, conn: ConnId) -> Option<State> {
        self.slots.live(conn).map(|entry| State::of(entry.state))
    }

    /// The largest window that a side of a TCP connection has announced, in bytes, scaled; 0 before
    /// its first segment.
    #[must_use]
    pub fn max_window(&self, conn: ConnId, direction: Direction) -> u32 {
        use crate::conn::ProtocolRecord;
        let record = self.slots.live(conn).and_then(|_| self.slots.record(conn.slot));
        match (record, direction) {
            (Some(ProtocolRecord::Tcp(record)), Direction::Original) => {
                record.peers.first().map_or(0, |peer| peer.max_window)
            }
            (Some(ProtocolRecord::Tcp(record)), Direction::Reply) => {
                record.peers.last().map_or(0, |peer| peer.max_window)
            }
            _ => 0,
        }
    }
}
