//! Address translation: which address and port a connection gets, and what becomes of its packets.
//!
//! A connection is set up once for each [`Manip`], while it is not yet confirmed: its reply tuple is
//! altered so that it is what the other end will answer. Rules of table `nat` say to what
//! ([`Table::set_up`]); where none does, the connection is bound to the addresses that it has
//! ([`Table::bind_null`]), so that one whose tuple another connection uses already gets another port.
//! After that every packet is made to look like the inverse of the other direction
//! ([`Table::translate`]), and what ICMP errors quote is turned back.
//!
//! Source: the behaviour of Linux 6.18, observed; RFC 4787, RFC 5382 and RFC 5508 for the terms.

mod choice;
mod follow;
mod packet;
mod quoted;
mod range;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use follow::{Following, follow_master};
pub use packet::readdress;
pub use quoted::readdress_quoted;
pub use range::Range;

use crate::conn::{ConnId, CtStatus, Entry};
use crate::hash::Keys;
use crate::table::Table;
use crate::tuple::{Direction, Tuple};
use crate::{CtState, Hook, Tracked};
use alloc::vec::Vec;
use keepstate_packet::{Address, Family, Instant, Parsed, icmp, icmpv6};
use source::BySource;

/// Most outcomes that [`Table::foretell`] keeps; of more, the first ones.
pub const FORETOLD_MAX: usize = 64;

/// What of a packet is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manip {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

impl Manip {
    /// What is changed at a hook.
    #[inline]
    #[must_use]
    pub const fn at(hook: Hook) -> Self {
        match hook {
            Hook::Input | Hook::Postrouting => Self::Source,
            Hook::Prerouting | Hook::Forward | Hook::Output => Self::Destination,
        }
    }

    /// The other one.
    #[inline]
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }

    /// It was set up.
    const fn done(self) -> CtStatus {
        match self {
            Self::Source => CtStatus::SRC_NAT_DONE,
            Self::Destination => CtStatus::DST_NAT_DONE,
        }
    }

    /// It changes something.
    const fn changes(self) -> CtStatus {
        match self {
            Self::Source => CtStatus::SRC_NAT,
            Self::Destination => CtStatus::DST_NAT,
        }
    }

    /// The status bit of connections of whose packets in `direction` this is changed: what the source
    /// is one way is the destination the other way.
    #[inline]
    const fn of(self, direction: Direction) -> CtStatus {
        match direction {
            Direction::Original => self.changes(),
            Direction::Reply => self.other().changes(),
        }
    }
}

/// What a connection comes to that is about to be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its original tuple.
    pub original: Tuple,
    /// What its reply tuple will be.
    pub reply: Tuple,
    /// Whether its source is translated, be it to another port only.
    pub changes_source: bool,
}

/// What translation keeps beside the connections. Empty until one is set up.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    by_source: BySource,
    /// Numbers drawn so far.
    draws: u64,
    /// Connections of which it is known what they come to.
    foretold: Vec<Outcome>,
    /// Tuples that are known to be announced.
    foretold_expected: Vec<Announced>,
}

impl Nat {
    /// Connections whose source was set up.
    pub(crate) const fn count(&self) -> usize {
        self.by_source.count()
    }

    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        !self.by_source.is_empty()
    }

    fn draw(&mut self, keys: &Keys) -> u16 {
        self.draws = self.draws.wrapping_add(1);
        keys.draw(self.draws)
    }
}

impl Table {
    /// Whether this kind of translation was set up for a connection, be it to what it has anyway.
    #[inline]
    #[must_use]
    pub fn is_set_up(&self, conn: ConnId, manip: Manip) -> bool {
        self.slots.live(conn).is_some_and(|entry| entry.is(manip.done()))
    }

    /// Sets up the translation of an unconfirmed connection: its source or destination comes to lie in
    /// `range`, and no other connection has the tuple of its answers, if there is such a tuple. Nothing
    /// happens to a confirmed connection.
    pub fn set_up(&mut self, now: Instant, conn: ConnId, range: &Range, manip: Manip) {
        let Some(entry) = self.slots.live(conn) else { return };
        if entry.is(CtStatus::CONFIRMED) || entry.is(manip.done()) {
            return;
        }
        let Some(reply) = self.slots.cold(conn.slot).map(|cold| cold.reply) else { return };
        let Some(current) = reply.invert() else { return };
        let chosen = self.choose(now, conn, &current, range, manip);
        let Some(reply) = chosen.invert() else { return };
        let Some((place, cold)) = self.slots.all_mut(conn.slot) else { return };
        if chosen != current {
            cold.reply = reply;
            place.entry.set(manip.changes());
        }
        // A second translation may undo the first.
        let inverse = place.entry.tuple.invert();
        place.entry.flags &= !Entry::TRANSLATED;
        if inverse != Some(cold.reply) {
            place.entry.flags |= Entry::TRANSLATED;
        }
        place.entry.set(manip.done());
        if manip == Manip::Source {
            let hash = self.keys.source(&place.entry.tuple, place.entry.zone);
            self.nat.by_source.insert(hash, conn.slot, self.slots.len());
        }
    }

    /// Sets up the translation of a connection that no rule translates: to the address that it has, and
    /// another port where its tuple is taken.
    pub fn bind_null(&mut self, now: Instant, conn: ConnId, manip: Manip) {
        let Some(reply) = self.tuple(conn, Direction::Reply) else { return };
        let address = match manip {
            Manip::Source => reply.destination,
            Manip::Destination => reply.source,
        };
        self.set_up(now, conn, &Range::of_address(address), manip);
    }

    /// Notes that a connection has the address of an interface as its source: it ends when that goes
    /// down ([`Self::forget_masqueraded`]), and when its packets leave by another one.
    pub fn set_masqueraded(&mut self, conn: ConnId, interface: u16) {
        let is_new = |entry: &&mut Entry| !entry.is(CtStatus::CONFIRMED);
        let Some(entry) = self.slots.live_mut(conn).filter(is_new) else { return };
        entry.flags |= Entry::MASQUERADED;
        if let Some(cold) = self.slots.cold_mut(conn.slot) {
            cold.masqueraded = interface;
        }
    }

    /// Ends the connections that were given the address of an interface, or this one of its addresses,
    /// as their source. How many they were.
    pub fn forget_masqueraded(
        &mut self,
        now: Instant,
        interface: u16,
        address: Option<Address>,
    ) -> usize {
        let all = self.standing(None);
        let is_one = |conn: &&ConnId| {
            let masqueraded = |entry: &Entry| entry.has(Entry::MASQUERADED);
            let is_masqueraded = self.slots.live(**conn).is_some_and(masqueraded);
            is_masqueraded
                && self.slots.cold(conn.slot).is_some_and(|cold| {
                    let has = address.is_none_or(|address| cold.reply.destination == address);
                    cold.masqueraded == interface && has
                })
        };
        let gone: Vec<ConnId> = all.iter().filter(is_one).copied().collect();
        gone.iter().filter(|conn| self.delete(now, **conn)).count()
    }

    /// Whether a packet leaves by another interface than the one whose address its connection was given:
    /// the connection ends with it, and counts it once more (observed: Linux 6.18 does).
    pub fn leaves_elsewhere(
        &mut self,
        now: Instant,
        tracked: &Tracked,
        packet: &Parsed,
        out: u16,
    ) -> bool {
        let Some(conn) = tracked.conn.filter(|_| tracked.direction == Some(Direction::Original))
        else {
            return false;
        };
        let masqueraded = |entry: &Entry| entry.has(Entry::MASQUERADED);
        if !self.slots.live(conn).is_some_and(masqueraded) {
            return false;
        }
        let elsewhere = self.slots.cold(conn.slot).is_some_and(|cold| cold.masqueraded != out);
        if elsewhere {
            self.count_once_more(conn.slot, Direction::Original, packet);
            self.delete(now, conn);
        }
        elsewhere
    }

    /// Says what connections come to that are about to be set up. Where a port is drawn at random, that of the reply tuple is taken if it is
    /// one of those that could be drawn. What was said before is forgotten.
    pub fn foretell(&mut self, outcomes: &[Outcome]) {
        self.nat.foretold.clear();
        self.nat.foretold.extend(outcomes.iter().take(FORETOLD_MAX));
    }

    /// Says the same of connections that are about to be announced.
    pub fn foretell_expected(&mut self, announced: &[Announced]) {
        self.nat.foretold_expected.clear();
        self.nat.foretold_expected.extend(announced.iter().take(FORETOLD_MAX));
    }

    /// Another port for a connection that is announced at one which is taken, of `count` from that one on:
    /// the foretold one at first, where it is one of them.
    pub(crate) fn draw_expected(&mut self, tuple: &Tuple, count: u16, is_first: bool) -> u16 {
        let first = tuple.destination_port;
        let lies_in = |port: u16| port.checked_sub(first).is_some_and(|at| at < count);
        let possible = |told: &&Announced| {
            Tuple { destination_port: first, ..told.tuple } == *tuple
                && lies_in(told.tuple.destination_port)
                // One that was announced by the same packet is there already.
                && !self.expectations.has(&told.tuple)
        };
        let foretold = self.nat.foretold_expected.iter().filter(possible);
        // Of several those for this port, in their order.
        let is_for_another = |told: &&Announced| told.from.is_some_and(|from| from != first);
        let told = foretold.min_by_key(is_for_another).filter(|_| is_first);
        told.map(|told| told.tuple.destination_port).unwrap_or_else(|| {
            let drawn = (u32::from(self.nat.draw(&self.keys)) * u32::from(count)) >> 16;
            first.wrapping_add(drawn as u16)
        })
    }

    /// Takes a connection that ends out of the index by source.
    pub(crate) fn forget_source(&mut self, slot: u32) {
        let Some(entry) = self.slots.entry(slot) else { return };
        if entry.is(CtStatus::SRC_NAT_DONE) {
            let hash = self.keys.source(&entry.tuple, entry.zone);
            self.nat.by_source.remove(hash, slot);
        }
    }
}

/// What a packet of a translated connection announces, as it is seen outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The tuple of the expectation.
    pub tuple: Tuple,
    /// The port that it is translated from, where that is known.
    pub from: Option<u16>,
}

/// Whether what a packet carries is an ICMP error about a connection, rather than a packet of it.
#[must_use]
pub fn is_error(tracked: &Tracked, packet: &Parsed) -> bool {
    let own = match packet.family {
        Family::V4 => icmp::PROTOCOL,
        Family::V6 => icmpv6::PROTOCOL,
    };
    tracked.state == CtState::Related && packet.protocol == own
}
