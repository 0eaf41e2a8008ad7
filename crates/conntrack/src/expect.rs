//! Expectations: connections that a helper has announced.
//!
//! An expectation is a tuple and a mask over its source: the destination is always exact, as in the
//! kernel. It serves once unless it is permanent, goes with its master, and is forgotten when its
//! time is up.

mod outside;

pub use outside::{ExpectError, NewExpectation};

use crate::Table;
use crate::conn::ConnId;
use crate::event::{Announcement, Changes, Event, EventKind, ExpectationChanges, Snapshot};
use crate::helpers::{self, Instance};
use crate::nat::Following;
use crate::timeout;
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use keepstate_packet::{Address, Family, Instant};

/// The connection that a helper announces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Tuple of the first packet.
    pub(crate) tuple: Tuple,
    /// Which bits of the source count; the destination is all ones.
    pub(crate) mask: Tuple,
    /// Index into the policies of the helper.
    pub(crate) class: u8,
    /// It serves until its time is up, rather than once.
    pub(crate) permanent: bool,
    /// It is there and takes no connection yet.
    pub(crate) inactive: bool,
    /// Another master's that equals it is the same, rather than in its way.
    pub(crate) of_any_master: bool,
    /// The helper that the expected connection gets.
    pub(crate) assigns: Option<Instance>,
    /// Where the expected connection goes when its master is translated.
    pub(crate) following: Option<Following>,
    /// What is done to the expected connection when it is made.
    pub(crate) fulfilled: Option<Fulfilled>,
}

/// Something that is done to an expected connection when it is made, before its first packet goes
/// on.
pub(crate) type Fulfilled = fn(&mut Table, Instant, ConnId, &Expectation);

impl Request {
    /// A connection of class 0 from an address and a port, where given, to an address and a port,
    /// that serves once and gets no helper.
    pub(crate) fn new(
        protocol: u8,
        source: (Option<Address>, Option<u16>),
        destination: (Address, u16),
        family: Family,
    ) -> Self {
        let none = Address([0; 16]);
        let tuple = Tuple {
            source: source.0.unwrap_or(none),
            destination: destination.0,
            source_port: source.1.unwrap_or(0),
            destination_port: destination.1,
            protocol,
            family,
        };
        let all = Self::exact(&tuple);
        let mask = Tuple {
            source: if source.0.is_some() { all.source } else { none },
            source_port: if source.1.is_some() { u16::MAX } else { 0 },
            ..all
        };
        Self {
            tuple,
            mask,
            class: 0,
            permanent: false,
            inactive: false,
            of_any_master: false,
            assigns: None,
            following: None,
            fulfilled: None,
        }
    }

    /// The same at another port.
    pub(crate) fn at_port(self, port: u16) -> Self {
        Self { tuple: Tuple { destination_port: port, ..self.tuple }, ..self }
    }

    fn announcement(&self) -> Announcement {
        let flag = |on, flag| if on { flag } else { 0 };
        Announcement {
            class: self.class.into(),
            flags: flag(self.permanent, Announcement::PERMANENT)
                | flag(self.inactive, Announcement::INACTIVE),
        }
    }

    /// The mask under which every bit of a tuple counts.
    fn exact(tuple: &Tuple) -> Tuple {
        let all = match tuple.family {
            Family::V4 => Address::v4([0xff; 4]),
            Family::V6 => Address::v6([0xff; 16]),
        };
        let ports = u16::MAX;
        Tuple {
            source: all,
            destination: all,
            source_port: ports,
            destination_port: ports,
            ..*tuple
        }
    }
}

/// An expectation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    /// What is expected.
    pub(crate) request: Request,
    pub(crate) master: ConnId,
    /// The helper that announced it.
    pub(crate) helper: Instance,
    pub(crate) zone: Zone,
    /// Nanoseconds.
    pub(crate) deadline: u64,
}

impl Expectation {
    /// Whether a packet with this tuple and in this zone is meant.
    fn takes(&self, tuple: &Tuple, zone: Zone) -> bool {
        let Request { tuple: expected, mask, .. } = &self.request;
        zones_equal(self.zone, zone) && equal_under(tuple, expected, [mask, mask])
    }
}

/// Why something cannot be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The same is expected already, for another class or another master.
    Already,
    /// Something else is expected that the same packet would fulfil.
    Clash,
    /// A limit is reached.
    Full,
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
        let key = key(&expectation.request.tuple, self.numbers);
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

    fn set_deadline(&mut self, key: &Key, deadline: u64) {
        if let Some(expectation) = self.all.get_mut(key) {
            let before = core::mem::replace(&mut expectation.deadline, deadline);
            self.by_deadline.remove(&(before, *key));
            self.by_deadline.insert((deadline, *key));
        }
    }

    /// Those with the destination of `tuple`, newest first.
    fn at(&self, tuple: &Tuple) -> impl Iterator<Item = (&Key, &Expectation)> {
        self.all.range(key(tuple, 0)..=key(tuple, u64::MAX)).rev()
    }

    /// Whether exactly this tuple is expected.
    pub(crate) fn has(&self, tuple: &Tuple) -> bool {
        self.at(tuple).any(|(_, expectation)| expectation.request.tuple == *tuple)
    }

    /// All, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Expectation> {
        self.all.values()
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

    /// Those of a master that are of one class, oldest first.
    fn of_class(&self, master: ConnId, class: u8) -> impl Iterator<Item = &Key> {
        let is = move |key: &&Key| self.all.get(key).is_some_and(|e| e.request.class == class);
        self.of(master).filter(is)
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

/// Expectations are told apart by the number of their zone, whichever direction it counts in.
const fn zones_equal(a: Zone, b: Zone) -> bool {
    a.id == b.id
}

impl Table {
    /// Enters what a helper has announced.
    ///
    /// # Errors
    /// [`Refused`] when somebody else expects the same, or a limit is reached.
    pub(crate) fn expect(&mut self, now: Instant, expectation: Expectation) -> Result<(), Refused> {
        self.expire_expectations(now);
        let (master, request) = (expectation.master, expectation.request);
        let mut refreshed = None;
        for (key, other) in self.expectations.at(&request.tuple) {
            let (one, two) = (&request, &other.request);
            let same_zone = zones_equal(expectation.zone, other.zone);
            let may_be_same = request.of_any_master || master == other.master;
            let same = one.tuple == two.tuple && one.mask == two.mask && same_zone;
            if may_be_same && same {
                if (master, one.class) != (other.master, two.class) {
                    return Err(Refused::Already);
                }
                refreshed = Some(*key);
                break;
            }
            if same_zone && equal_under(&one.tuple, &two.tuple, [&one.mask, &two.mask]) {
                return Err(Refused::Clash);
            }
        }
        if let Some(key) = refreshed {
            self.remove_expectation(now, &key);
        }
        let modules = &self.sysctls.modules;
        let policy = helpers::policy(expectation.helper, request.class, modules);
        let max = policy.map_or(0, |policy| policy.max as usize);
        let of_class = || self.expectations.of_class(master, request.class);
        if max != 0 && of_class().count() >= max {
            let oldest = of_class().next().copied();
            oldest.iter().for_each(|key| self.remove_expectation(now, key));
        }
        if self.expectations.count() >= self.sysctls.expect_max as usize {
            return Err(Refused::Full);
        }
        self.expectations.insert(expectation);
        self.statistics.expect_create += 1;
        self.tell_expectation(now, EventKind::ExpectNew, &expectation);
        Ok(())
    }

    /// The expectation that a first packet fulfils. It is used up, unless it is permanent.
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
        let active = |e: &Expectation| !e.request.inactive && e.takes(tuple, zone);
        let found = self.expectations.at(tuple).find(|(_, e)| active(e));
        let (key, expectation) = found.map(|(key, expectation)| (*key, *expectation))?;
        if !self.is_confirmed(expectation.master) {
            return None;
        }
        self.statistics.expect_new += 1;
        if !expectation.request.permanent {
            self.remove_expectation(now, &key);
        }
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
        self.forget_announced(now, master, |_| true);
    }

    /// Forgets some of what a connection has announced, what it announced last first.
    pub(crate) fn forget_announced(
        &mut self,
        now: Instant,
        master: ConnId,
        is_one: impl Fn(&Request) -> bool,
    ) {
        if self.expectations.count() == 0 {
            return;
        }
        self.expire_expectations(now);
        let mut keys: Vec<Key> = self.announced(master, is_one).collect();
        keys.reverse();
        keys.iter().for_each(|key| self.remove_expectation(now, key));
    }

    /// Gives something that a connection has announced another deadline, and lets it serve from now
    /// on. False when there is no such thing.
    pub(crate) fn prolong_announced(
        &mut self,
        now: Instant,
        master: ConnId,
        is_one: impl Fn(&Request) -> bool,
        deadline: u64,
    ) -> bool {
        self.expire_expectations(now);
        let newest = self.announced(master, is_one).last();
        if let Some(key) = newest {
            self.expectations.set_deadline(&key, deadline);
            let expectation = self.expectations.all.get_mut(&key);
            expectation.into_iter().for_each(|e| e.request.inactive = false);
        }
        newest.is_some()
    }

    /// What waits for this tuple, active or not, newest first.
    pub(crate) fn awaited(
        &mut self,
        now: Instant,
        tuple: &Tuple,
        zone: Zone,
    ) -> Option<Expectation> {
        self.expire_expectations(now);
        self.expectations.all.get(&self.expected(tuple, zone)?).copied()
    }

    /// The newest that a connection has announced of some.
    pub(crate) fn announced_at(
        &self,
        master: ConnId,
        is_one: impl Fn(&Request) -> bool,
    ) -> Option<Request> {
        let newest = self.announced(master, is_one).last()?;
        self.expectations.all.get(&newest).map(|expectation| expectation.request)
    }

    fn announced(
        &self,
        master: ConnId,
        is_one: impl Fn(&Request) -> bool,
    ) -> impl Iterator<Item = Key> {
        let all = &self.expectations.all;
        let is_one = move |key: &&Key| all.get(key).is_some_and(|e| is_one(&e.request));
        self.expectations.of(master).filter(is_one).copied()
    }

    fn remove_expectation(&mut self, now: Instant, key: &Key) {
        if let Some(expectation) = self.expectations.remove(key) {
            self.statistics.expect_delete += 1;
            self.tell_expectation(now, EventKind::ExpectDestroy, &expectation);
        }
    }

    fn tell_expectation(&mut self, now: Instant, kind: EventKind, e: &Expectation) {
        let conn = e.master;
        let change = match kind {
            EventKind::ExpectNew => ExpectationChanges::NEW,
            _ => ExpectationChanges::DESTROY,
        };
        let told = self.slots.cold(conn.slot).map_or(0, |cold| cold.expectation_mask);
        if self.events.is_on() && told & change.0 != 0 {
            let snapshot = self.expectation_snapshot(now, e);
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
            original: expectation.request.tuple,
            reply: expectation.request.mask,
            zone: expectation.zone,
            status: crate::CtStatus(0),
            timeout: Some(timeout::remaining(expectation.deadline, now)),
            protocol_state: None,
            tags: None,
            mark: 0,
            secctx: None,
            labels: 0,
            helper: Some(expectation.helper.name()),
            master: self.tuple(expectation.master, Direction::Original),
            counters: None,
            age: None,
            announcement: Some(expectation.request.announcement()),
        }
    }
}

#[cfg(test)]
mod tests;
