//! Connections counted by rules (`connlimit`): each rule keeps lists of connections under keys, an
//! address and a zone.
//!
//! A packet whose connection is not confirmed joins the list of its key at once, be it there already;
//! one whose connection is joins when it is not there, unless the connection is ASSURED. Whoever is not
//! there any more, or closed, leaves while the list is looked through for the packet's own connection,
//! as far as that one: for a packet of a confirmed connection always, for another once in a tick of the
//! kernel's clock, or when 64 have joined since, or when it holds fewer than that look left; so often,
//! and to its end, for one of an ASSURED connection. Observed on Linux 6.18.

use crate::conn::{ConnId, CtStatus};
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
/// Connections that join until the list has to be looked through; one more may be found gone by then.
const JOINED_MAX: usize = 64;

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

/// How far the connection of a packet is that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not confirmed, or there is none.
    New,
    /// Confirmed.
    Confirmed,
    /// Confirmed and ASSURED.
    Assured,
}

#[derive(Debug, Default)]
struct List {
    connections: Vec<(Tuple, Zone)>,
    /// The tick in which it was last looked through to its end, or begun.
    looked: u64,
    /// How many that look has left.
    left: usize,
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

    /// How many connections are on a list, the one with this original tuple included. `standing`
    /// is that one's. `None` when there is no room.
    pub fn count_connections(
        &mut self,
        now: Instant,
        key: Key,
        tuple: &Tuple,
        zone: Zone,
        standing: Standing,
    ) -> Option<usize> {
        let mut counts = core::mem::take(&mut self.counts);
        let counted = self.counted(&mut counts, now, key, tuple, zone, standing);
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
        standing: Standing,
    ) -> Option<usize> {
        let tick = now.0 / TICK_NANOS;
        let before = counts.lists.get(&key).map_or(0, |list| list.connections.len());
        let total = counts.total - before;
        let list = match counts.lists.get_mut(&key) {
            None if counts.total >= COUNTED_MAX => return None,
            None => {
                let list = List { connections: Vec::from([(*tuple, zone)]), looked: tick, left: 0 };
                counts.lists.insert(key, list);
                counts.total += 1;
                return Some(1);
            }
            Some(list) => list,
        };
        // Fewer than that look has left are as good as many more: the kernel subtracts without a sign.
        let joined = list.connections.len().wrapping_sub(list.left);
        let is_due = list.looked != tick || joined >= JOINED_MAX;
        let (looks, wanted) = match standing {
            Standing::New => (is_due, Some((*tuple, zone))),
            Standing::Confirmed => (true, Some((*tuple, zone))),
            Standing::Assured => (is_due, None),
        };
        let there = looks && self.look_through(now, &mut list.connections, wanted);
        if looks && !there {
            (list.looked, list.left) = (tick, list.connections.len());
        }
        if !there && standing != Standing::Assured {
            if total + list.connections.len() >= COUNTED_MAX {
                return None;
            }
            list.connections.push((*tuple, zone));
        }
        counts.total = total + list.connections.len();
        Some(list.connections.len())
    }

    /// Takes those off a list that have gone or are closed, as far as the one that is being counted;
    /// whether that one is on it.
    fn look_through(
        &self,
        now: Instant,
        list: &mut Vec<(Tuple, Zone)>,
        current: Option<(Tuple, Zone)>,
    ) -> bool {
        let (mut gone, mut found) = (0, false);
        list.retain(|(tuple, zone)| {
            if found || gone > JOINED_MAX {
                return true;
            }
            let stays = match self.find(now, tuple, *zone) {
                Some((conn, _)) => {
                    let there = self.zone(conn).unwrap_or(*zone);
                    found = current
                        .is_some_and(|(seen, zone)| seen == *tuple && is_one_zone(there, zone));
                    found || !self.is_closed(conn)
                }
                None => false,
            };
            gone += usize::from(!stays);
            stays
        });
        found
    }

    fn is_closed(&self, conn: ConnId) -> bool {
        let Some(entry) = self.slots.live(conn) else { return true };
        let closed = entry.tuple.protocol == tcp::PROTOCOL
            && matches!(State::of(entry.state), State::TimeWait | State::Close);
        closed || entry.is(CtStatus::DYING)
    }
}

/// Whether a connection on a list is taken for the one that is being counted, which has the same tuple. Lists are
/// of one number of zone each.
///
/// Observed (Linux 6.18): only one whose zone counts in the original direction alone is looked for by its zone,
/// and that of the answers is compared, which is 0 for it.
const fn is_one_zone(there: Zone, current: Zone) -> bool {
    const ORIGINAL_ONLY: u8 = 1;
    current.directions != ORIGINAL_ONLY || there.id_in(Direction::Reply) == 0
}

#[cfg(test)]
mod tests;
