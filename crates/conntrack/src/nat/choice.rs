//! Which tuple a connection gets.
//!
//! In this order: the tuple that it has, where that is in the range and free; the mapping that another
//! connection from the same source has; an address of the range with the port that it has; a port that
//! is searched for. With nothing free it is some tuple that is taken: then the connection is refused as
//! it is confirmed.

use super::range::{port, with_port};
use super::{Manip, Range};
use crate::conn::{ConnId, CtStatus, Entry, ProtocolRecord};
use crate::proto::{self, tcp::State};
use crate::table::Table;
use crate::timeout;
use crate::tuple::{Direction, Tuple, has_ports};
use crate::zone::Zone;
use alloc::vec::Vec;
use keepstate_packet::{Instant, gre, icmp, icmpv6, tcp};

/// Most ports tried in one round; the next round begins elsewhere and is half as long.
const ATTEMPTS_MAX: u32 = 128;
/// With so many attempts of a round left, a TCP connection that has ended may lose its port.
const ATTEMPTS_LAST: u32 = 32;
/// A round shorter than this is the last one.
const ROUND_MIN: u32 = 16;
/// Most connections from one source that are looked at for a mapping.
pub(crate) const SAME_SOURCE_MAX: usize = 4096;

impl Table {
    /// The tuple that a connection is to have in its original direction as the other end sees it;
    /// `current` is what it has now.
    pub(super) fn choose(
        &mut self,
        now: Instant,
        conn: ConnId,
        current: &Tuple,
        range: &Range,
        manip: Manip,
    ) -> Tuple {
        if manip == Manip::Source && !range.random {
            if range.holds_source(current) && !self.is_foretold_elsewhere(conn, current, range) {
                if !self.is_taken_anew(now, conn, current) {
                    return *current;
                }
            } else if let Some(found) = self.of_same_source(conn, current, range)
                && !self.is_taken(now, conn, &found)
            {
                return found;
            }
        }
        let zone = self.zone(conn).unwrap_or_default();
        let tuple = range.with_address(current, manip, zone.id);
        let keeps_port = match range.ports {
            _ if range.random => false,
            Some((first, last)) => {
                range.base.is_none()
                    && range.holds_port(&tuple, manip)
                    && (first == last || !self.is_taken(now, conn, &tuple))
            }
            None => !self.is_taken(now, conn, &tuple),
        };
        if keeps_port { tuple } else { self.search_port(now, conn, tuple, range, manip) }
    }

    /// What another connection from the same address and port was mapped to, where that lies in the
    /// range: the newest one's.
    fn of_same_source(&self, conn: ConnId, current: &Tuple, range: &Range) -> Option<Tuple> {
        let zone = self.zone(conn)?;
        let id = zone.id_in(Direction::Original);
        let from = |tuple: &Tuple| (tuple.source, tuple.source_port, tuple.protocol, tuple.family);
        let hash = self.keys.source(current, zone);
        let same = self.nat.by_source.under(hash).take(SAME_SOURCE_MAX).filter_map(|slot| {
            let (entry, cold) = (self.slots.entry(slot)?, self.slots.cold(slot)?);
            let same_zone = entry.zone.id_in(Direction::Original) == id
                && entry.zone.id_in_both() == zone.id_in_both();
            let same = from(&entry.tuple) == from(current) && same_zone;
            let mapped = cold.reply.invert().filter(|_| same)?;
            let Tuple { source, source_port, .. } = mapped;
            Some(Tuple { source, source_port, ..*current })
        });
        same.into_iter().find(|tuple| range.holds_source(tuple))
    }

    /// Searches for a port with which the tuple is free.
    fn search_port(
        &mut self,
        now: Instant,
        conn: ConnId,
        tuple: Tuple,
        range: &Range,
        manip: Manip,
    ) -> Tuple {
        let Some((first, count)) = self.ports_to_search(conn, &tuple, range, manip) else {
            return tuple;
        };
        let Some(had) = port(&tuple, manip) else { return tuple };
        let mut draws = range.base.is_none() && (range.random || manip == Manip::Source);
        let mut offset = range.base.map_or(0, |base| had.wrapping_sub(base));
        let mut attempts = count.min(ATTEMPTS_MAX);
        let mut tuple = tuple;
        loop {
            if draws {
                let told = self.foretold(conn, &tuple, (first, count), manip);
                if let Some(told) = told
                    && !self.is_held(now, conn, &told, ATTEMPTS_LAST)
                {
                    return told;
                }
                offset = self.nat.draw(&self.keys);
            }
            for left in (1..=attempts).rev() {
                let port = u32::from(first) + u32::from(offset) % count;
                tuple = with_port(&tuple, manip, port as u16);
                if !self.is_held(now, conn, &tuple, left) {
                    return tuple;
                }
                offset = offset.wrapping_add(1);
            }
            if attempts >= count || attempts < ROUND_MIN {
                // Where the last of the tries ends is drawn as well.
                let told = self.foretold(conn, &tuple, (first, count), manip);
                return told.filter(|_| draws).unwrap_or(tuple);
            }
            attempts /= 2;
            draws = true;
        }
    }

    /// The first of the ports to search, and how many there are; `None` where the port stays.
    fn ports_to_search(
        &self,
        conn: ConnId,
        tuple: &Tuple,
        range: &Range,
        manip: Manip,
    ) -> Option<(u16, u32)> {
        let given = range.ports.map(|(a, b)| (a.min(b), u32::from(a.abs_diff(b)) + 1));
        match tuple.protocol {
            icmp::PROTOCOL | icmpv6::PROTOCOL => Some(given.unwrap_or((0, 1 << 16))),
            gre::PROTOCOL => {
                // Only what PPTP has announced has keys.
                let expected = self.slots.live(conn).is_some_and(|e| e.has(Entry::EXPECTED));
                expected.then_some(given.unwrap_or((1, u32::from(u16::MAX))))
            }
            protocol if !has_ports(protocol) => None,
            _ if given.is_some() => given,
            _ if manip == Manip::Destination => None,
            // Ports say something of who sends: below 512 they are for the privileged.
            _ => Some(match tuple.source_port {
                0..512 => (1, 511),
                512..1024 => (600, 424),
                1024.. => (1024, 64_512),
            }),
        }
    }

    /// The foretold outcome, if it is one of the ports that are searched.
    fn foretold(
        &self,
        conn: ConnId,
        tuple: &Tuple,
        (first, count): (u16, u32),
        manip: Manip,
    ) -> Option<Tuple> {
        let original = self.slots.live(conn)?.tuple;
        let told = self.nat.foretold.iter().find(|told| told.original == original)?;
        let seen = told.reply.invert()?;
        // The identifier of an ICMP query belongs to both ends: the last draw of it is known.
        let is_query = matches!(original.protocol, icmp::PROTOCOL | icmpv6::PROTOCOL);
        let again = told.changes_source && seen.source == original.source;
        if is_query && manip == Manip::Destination && again {
            return None;
        }
        let wanted = port(&seen, manip)?;
        let lies_in = u32::from(wanted).checked_sub(first.into()).is_some_and(|at| at < count);
        lies_in.then(|| with_port(tuple, manip, wanted))
    }

    /// Whether a connection is foretold another address for its source, though what it has is in the range: an
    /// ICMP query whose identifier was drawn for its destination, and drawn anew for its source.
    fn is_foretold_elsewhere(&self, conn: ConnId, current: &Tuple, range: &Range) -> bool {
        let Some(entry) = self.slots.live(conn) else { return false };
        let is_query = matches!(current.protocol, icmp::PROTOCOL | icmpv6::PROTOCOL);
        let told = self.nat.foretold.iter().find(|told| told.original == entry.tuple);
        let seen = told.and_then(|told| told.reply.invert());
        is_query
            && range.ports.is_some()
            && entry.is(CtStatus::DST_NAT)
            && seen.is_some_and(|seen| seen.source != current.source)
    }

    /// Whether another connection has the tuple of the answers to this one. One that has expired is
    /// removed in passing; one with the same original tuple is left to be dealt with as this one is
    /// confirmed.
    fn is_taken(&mut self, now: Instant, conn: ConnId, tuple: &Tuple) -> bool {
        self.taker(now, conn, tuple).is_some()
    }

    fn taker(&mut self, now: Instant, conn: ConnId, tuple: &Tuple) -> Option<(u32, Direction)> {
        let reply = tuple.invert()?;
        let (original, zone) = {
            let entry = self.slots.live(conn)?;
            (entry.tuple, entry.zone)
        };
        let hash = self.keys.hash(&reply, zone.id_in(Direction::Reply));
        let mut expired: Vec<u32> = Vec::new();
        let mut direction = Direction::Original;
        let found = self.index.find(hash, |slot| {
            let Some(way) = self.direction(slot, &reply, zone) else { return false };
            let Some(entry) = self.slots.entry(slot) else { return false };
            if timeout::expired(entry.deadline, now) {
                expired.push(slot);
                return false;
            }
            direction = way;
            // One hash stands for both directions: the zone may be that of the other one.
            let is_here = entry.zone.id_in(way) == zone.id_in(Direction::Reply);
            is_here && !(entry.tuple == original && same_zone(entry.zone, zone))
        });
        expired.into_iter().for_each(|slot| self.destroy(now, slot));
        found.map(|slot| (slot, direction))
    }

    /// The same for the tuple that a connection has anyway: two that each answer the other, untranslated,
    /// are one conversation whose first packets met, and keep their tuples, where the protocol lets one join
    /// the other. Whom a packet with either tuple would find is asked for that, who need not be the taker where
    /// there are zones: then the connection is refused as it is confirmed.
    fn is_taken_anew(&mut self, now: Instant, conn: ConnId, tuple: &Tuple) -> bool {
        if !self.is_taken(now, conn, tuple) {
            return false;
        }
        let Some(zone) = self.zone(conn) else { return false };
        let found = self.found(now, tuple, zone);
        let found = found.or_else(|| self.found(now, &tuple.invert()?, zone));
        let Some((slot, _)) = found else { return false };
        let (Some(other), Some(other_cold)) = (self.slots.entry(slot), self.slots.cold(slot))
        else {
            return false;
        };
        let changes = CtStatus::SRC_NAT | CtStatus::DST_NAT | CtStatus::SEQ_ADJUST;
        let is_translated = other.status().0 & changes.0 != 0;
        let (Some(entry), Some(cold)) = (self.slots.live(conn), self.slots.cold(conn.slot)) else {
            return true;
        };
        let crossed = other.tuple == cold.reply && other_cold.reply == entry.tuple;
        is_translated || !crossed || !proto::tracker(entry.tuple.protocol).may_join
    }

    /// The same as [`Self::is_taken`], with so many attempts left: towards the end of a search a
    /// translated TCP connection that has ended makes room for a SYN beyond its sequence numbers.
    fn is_held(&mut self, now: Instant, conn: ConnId, tuple: &Tuple, left: u32) -> bool {
        if left > ATTEMPTS_LAST || !self.is_syn(conn) {
            return self.is_taken(now, conn, tuple);
        }
        let Some((taker, direction)) = self.holder(now, conn, tuple) else { return false };
        if direction == Direction::Original {
            return true;
        }
        let yields = self.has_ended(taker) && self.is_beyond(conn, taker);
        if yields {
            self.destroy(now, taker);
        }
        !yields
    }

    /// Who has the tuple of the answers to a connection.
    fn holder(&mut self, now: Instant, conn: ConnId, tuple: &Tuple) -> Option<(u32, Direction)> {
        let (reply, zone) = (tuple.invert()?, self.zone(conn)?);
        self.found(now, &reply, zone)
    }

    /// Whom a packet with a tuple would find, under the zone of either direction. Those that have expired are
    /// removed in passing.
    fn found(&mut self, now: Instant, tuple: &Tuple, zone: Zone) -> Option<(u32, Direction)> {
        loop {
            let (slot, direction) = self.search(tuple, zone)?;
            if !timeout::expired(self.slots.entry(slot)?.deadline, now) {
                return Some((slot, direction));
            }
            self.destroy(now, slot);
        }
    }

    fn is_syn(&self, conn: ConnId) -> bool {
        self.slots.live(conn).is_some_and(|entry| {
            entry.tuple.protocol == tcp::PROTOCOL && State::of(entry.state) == State::SynSent
        })
    }

    fn has_ended(&self, slot: u32) -> bool {
        self.slots.entry(slot).is_some_and(|entry| {
            let over =
                matches!(State::of(entry.state), State::TimeWait | State::Close | State::SynSent2);
            over && entry.is(CtStatus::SRC_NAT)
                && !entry.is(CtStatus::FIXED_TIMEOUT)
                && !entry.is(CtStatus::DYING)
        })
    }

    /// Whether the sequence numbers of a new connection begin beyond those of an old one.
    fn is_beyond(&self, conn: ConnId, slot: u32) -> bool {
        let end = |slot| match self.slots.record(slot) {
            Some(ProtocolRecord::Tcp(record)) => record.peers.first().map(|peer| peer.end),
            _ => None,
        };
        let (Some(new), Some(old)) = (end(conn.slot), end(slot)) else { return false };
        (new.wrapping_sub(old) as i32) > 0
    }
}

fn same_zone(a: Zone, b: Zone) -> bool {
    a.id_in(Direction::Original) == b.id_in(Direction::Original)
}
