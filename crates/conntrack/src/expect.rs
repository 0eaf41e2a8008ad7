//! Expectations: connections that a helper has announced.
//!
//! An expectation is a tuple and a mask over its source: the destination is always exact, as in the
//! kernel. It serves once, goes with its master, and is forgotten when its time is up.

use crate::Table;
use crate::conn::ConnId;
use crate::event::{Changes, Event, EventKind, Snapshot};
use crate::helpers::HELPERS;
use crate::timeout;
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use keepstate_packet::{Address, Family, Instant};

/// An expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// Tuple of the first packet.
    pub(crate) tuple: Tuple,
    /// Which bits of the source count; the destination is all ones.
    pub(crate) mask: Tuple,
    pub(crate) master: ConnId,
    /// Index of the helper that announced it.
    pub(crate) helper: u16,
    pub(crate) zone: Zone,
    /// Nanoseconds.
    pub(crate) deadline: u64,
}

/// What the destination of a packet must be, and the number of the expectation, which tells the
/// later one of two.
type Key = (Family, u8, Address, u16, u64);

const fn key(tuple: &Tuple, number: u64) -> Key {
    (tuple.family, tuple.protocol, tuple.destination, tuple.destination_port, number)
}

/// The expectations, found by destination, by master, and by deadline.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    all: BTreeMap<Key, Expectation>,
    of_master: BTreeSet<(ConnId, u64, Key)>,
    by_deadline: BTreeSet<(u64, Key)>,
    numbers: u64,
}

impl Expectations {
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    fn insert(&mut self, expectation: Expectation) {
        self.numbers += 1;
        let key = key(&expectation.tuple, self.numbers);
        self.of_master.insert((expectation.master, self.numbers, key));
        self.by_deadline.insert((expectation.deadline, key));
        self.all.insert(key, expectation);
    }

    fn remove(&mut self, key: &Key) -> Option<Expectation> {
        let expectation = self.all.remove(key)?;
        self.of_master.remove(&(expectation.master, key.4, *key));
        self.by_deadline.remove(&(expectation.deadline, *key));
        Some(expectation)
    }

    /// Those with the destination of `tuple`, newest first.
    fn at(&self, tuple: &Tuple) -> impl Iterator<Item = (&Key, &Expectation)> {
        self.all.range(key(tuple, 0)..=key(tuple, u64::MAX)).rev()
    }

    /// Those of a master, oldest first.
    fn of(&self, master: ConnId) -> impl Iterator<Item = &Key> {
        let first = ConnId { slot: master.slot, generation: master.generation };
        let lowest = (Family::V4, 0, Address([0; 16]), 0, 0);
        self.of_master
            .range((first, 0, lowest)..)
            .take_while(move |(of, ..)| *of == master)
            .map(|(_, _, key)| key)
    }
}

/// Whether `a` and `b` are equal where both masks have ones.
fn equal_under(a: &Tuple, b: &Tuple, masks: [&Tuple; 2]) -> bool {
    let [m, n] = masks;
    let octets = a.source.0.iter().zip(&b.source.0).zip(m.source.0.iter().zip(&n.source.0));
    let mut octets = octets.map(|((a, b), (m, n))| (a ^ b) & m & n);
    (a.family, a.protocol) == (b.family, b.protocol)
        && (a.destination, a.destination_port) == (b.destination, b.destination_port)
        && (a.source_port ^ b.source_port) & m.source_port & n.source_port == 0
        && octets.all(|different| different == 0)
}

fn zones_equal(a: Zone, b: Zone) -> bool {
    [Direction::Original, Direction::Reply].iter().all(|d| a.id_in(*d) == b.id_in(*d))
}

impl Table {
    /// Enters what a helper has announced. False when it may not: somebody else expects the same,
    /// or a limit is reached.
    pub(crate) fn expect(&mut self, now: Instant, expectation: Expectation) -> bool {
        self.expire_expectations(now);
        let mut refreshed = None;
        for (key, other) in self.expectations.at(&expectation.tuple) {
            let (one, two) = (&expectation, other);
            if one.master == two.master && one.tuple == two.tuple && one.mask == two.mask {
                refreshed = Some(*key);
                break;
            }
            let same_zone = zones_equal(one.zone, two.zone);
            if same_zone && equal_under(&one.tuple, &two.tuple, [&one.mask, &two.mask]) {
                return false;
            }
        }
        if let Some(key) = refreshed {
            self.remove_expectation(now, &key);
        }
        let policy_max =
            HELPERS.get(usize::from(expectation.helper)).map_or(0, |h| h.expectations_max);
        let of_master = self.expectations.of(expectation.master);
        if of_master.count() >= policy_max as usize {
            let oldest = self.expectations.of(expectation.master).next().copied();
            match oldest {
                Some(key) => self.remove_expectation(now, &key),
                None => return false,
            }
        }
        if self.expectations.count() >= self.sysctls.expect_max as usize {
            return false;
        }
        self.expectations.insert(expectation);
        self.statistics.expect_create += 1;
        self.tell_expectation(now, EventKind::ExpectNew, &expectation);
        true
    }

    /// The expectation that a first packet fulfils; it is used up.
    pub(crate) fn fulfil(
        &mut self,
        now: Instant,
        tuple: &Tuple,
        zone: Zone,
    ) -> Option<Expectation> {
        if self.expectations.count() == 0 {
            return None;
        }
        self.expire_expectations(now);
        let found = self.expectations.at(tuple).find(|(_, e)| {
            zones_equal(e.zone, zone) && equal_under(tuple, &e.tuple, [&e.mask, &e.mask])
        });
        let key = found.map(|(key, _)| *key)?;
        let expectation = *self.expectations.all.get(&key)?;
        if !self.is_confirmed(expectation.master) {
            return None;
        }
        self.statistics.expect_new += 1;
        self.remove_expectation(now, &key);
        Some(expectation)
    }

    /// Forgets the expectations whose time is up.
    pub(crate) fn expire_expectations(&mut self, now: Instant) {
        while let Some((deadline, key)) = self.expectations.by_deadline.first().copied() {
            if !timeout::expired(deadline, now) {
                return;
            }
            self.remove_expectation(now, &key);
        }
    }

    /// Forgets what a connection that goes has announced.
    pub(crate) fn forget_expectations(&mut self, now: Instant, master: ConnId) {
        let keys: Vec<Key> = self.expectations.of(master).copied().collect();
        keys.iter().for_each(|key| self.remove_expectation(now, key));
    }

    fn remove_expectation(&mut self, now: Instant, key: &Key) {
        if let Some(expectation) = self.expectations.remove(key) {
            self.statistics.expect_delete += 1;
            self.tell_expectation(now, EventKind::ExpectDestroy, &expectation);
        }
    }

    fn tell_expectation(&mut self, now: Instant, kind: EventKind, expectation: &Expectation) {
        if self.events.is_on() {
            let conn = expectation.master;
            let snapshot = self.expectation_snapshot(now, expectation);
            self.events.push(|| Some(Event { kind, changes: Changes::default(), conn, snapshot }));
        }
    }

    /// The expectations as `conntrack -L expect` shows them, oldest first: the expected tuple as
    /// the original, its mask as the reply tuple, and the master.
    #[must_use]
    pub fn expectations(&self, now: Instant) -> Vec<Snapshot> {
        let mut all: Vec<_> = self.expectations.all.iter().collect();
        all.sort_unstable_by_key(|(key, _)| key.4);
        all.retain(|(_, expectation)| !timeout::expired(expectation.deadline, now));
        all.iter().map(|(_, expectation)| self.expectation_snapshot(now, expectation)).collect()
    }

    fn expectation_snapshot(&self, now: Instant, expectation: &Expectation) -> Snapshot {
        Snapshot {
            original: expectation.tuple,
            reply: expectation.mask,
            zone: expectation.zone,
            status: crate::CtStatus(0),
            timeout: Some(timeout::remaining(expectation.deadline, now)),
            protocol_state: None,
            mark: 0,
            helper: HELPERS.get(usize::from(expectation.helper)).map(|helper| helper.name),
            master: self.tuple(expectation.master, Direction::Original),
            counters: None,
            age: None,
        }
    }
}
