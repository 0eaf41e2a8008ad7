//! Connections counted by rules (`connlimit`): each rule keeps lists of connections under keys, an
//! address and a zone.
//!
//! A connection joins the list of its key with a packet that comes before it is confirmed, or when
//! the key has no list yet. It leaves when it is not there any more, or closed; that is looked at when
//! the list is counted, but not twice within a tick of the kernel's clock. Observed on Linux 6.18.

use crate::conn::CtStatus;
use crate::proto::tcp::State;
use crate::table::Table;
use crate::timeout::TICK_NANOS;
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use keepstate_packet::{Address, Instant, tcp};

/// Most connections on all lists together; a packet that would make one more does not match any
/// limit.
pub const COUNTED_MAX: usize = 1 << 20;
/// Connections that one look may find gone.
const GONE_MAX: usize = 64;

/// Whose list a connection is on: that of this rule, for this address and zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// A number of the rule, as [`Table::new_count`] gives it.
    pub rule: u64,
    /// The part of the address that counts.
    pub address: Address,
    /// Number of the zone.
    pub zone: u16,
}

#[derive(Debug, Default)]
struct List {
    connections: Vec<(Tuple, Zone)>,
    /// The tick in which it was last looked through.
    looked: u64,
}

/// The lists.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    lists: BTreeMap<Key, List>,
    rules: u64,
    total: usize,
}

impl Table {
    /// A number for a rule that counts.
    pub fn new_count(&mut self) -> u64 {
        self.counts.rules += 1;
        self.counts.rules
    }

    /// Forgets what was counted: the rules are others now.
    pub fn forget_counts(&mut self) {
        self.counts.lists.clear();
        self.counts.total = 0;
    }

    /// How many connections are on a list, the one with this original tuple included where it joins.
    /// `None` when there is no room.
    pub fn count_connections(
        &mut self,
        now: Instant,
        key: Key,
        tuple: &Tuple,
        zone: Zone,
        confirmed: bool,
    ) -> Option<usize> {
        let mut counts = core::mem::take(&mut self.counts);
        let counted = self.counted(&mut counts, now, key, tuple, zone, confirmed);
        self.counts = counts;
        counted
    }

    fn counted(
        &self,
        counts: &mut Counts,
        now: Instant,
        key: Key,
        tuple: &Tuple,
        zone: Zone,
        confirmed: bool,
    ) -> Option<usize> {
        let tick = now.0 / TICK_NANOS;
        let before = counts.lists.get(&key).map_or(0, |list| list.connections.len());
        let total = counts.total - before;
        let list = match counts.lists.get_mut(&key) {
            None if counts.total >= COUNTED_MAX => return None,
            None => {
                let list = List { connections: Vec::from([(*tuple, zone)]), looked: tick };
                counts.lists.insert(key, list);
                counts.total += 1;
                return Some(1);
            }
            Some(list) => list,
        };
        if list.looked != tick {
            list.looked = tick;
            self.look_through(now, &mut list.connections, tuple);
        }
        let there = list.connections.iter().any(|(known, of)| known == tuple && *of == zone);
        if !confirmed && !there {
            if total + list.connections.len() >= COUNTED_MAX {
                return None;
            }
            list.connections.push((*tuple, zone));
        }
        counts.total = total + list.connections.len();
        Some(list.connections.len())
    }

    /// Takes those off a list that have gone or are closed, but for the one that is being counted.
    fn look_through(&self, now: Instant, list: &mut Vec<(Tuple, Zone)>, current: &Tuple) {
        let mut gone = 0;
        list.retain(|(tuple, zone)| {
            let stays = gone >= GONE_MAX || tuple == current || self.counts_on(now, tuple, *zone);
            gone += usize::from(!stays);
            stays
        });
    }

    fn counts_on(&self, now: Instant, tuple: &Tuple, zone: Zone) -> bool {
        let Some((conn, Direction::Original)) = self.find(now, tuple, zone) else { return false };
        let Some(entry) = self.slots.live(conn) else { return false };
        let closed = tuple.protocol == tcp::PROTOCOL
            && matches!(State::of(entry.state), State::TimeWait | State::Close);
        !closed && !entry.is(CtStatus::DYING)
    }
}

#[cfg(test)]
mod tests;
