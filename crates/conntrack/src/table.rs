//! The connection table.
//!
//! A packet's way through it: [`Table::track_in`] (see [`crate::track`]), [`Table::help`], and
//! [`Table::confirm`] or [`Table::discard`] (see [`crate::confirm`]). For a batch, the look-up can
//! be begun early: [`Table::prepare`], [`Table::touch_bucket`], [`Table::touch_entry`], each for
//! the whole batch, so that the cache misses of its packets overlap; then
//! [`Table::track_prepared`] for one after the other, with the results of one by one.

use crate::conn::{Cold, ConnId, CtStatus, Entry, ProtocolRecord, Slot};
use crate::conncount::Counts;
use crate::event::{Changes, Event, EventKind, Queue, Snapshot};
use crate::expect::Expectations;
use crate::hash::Keys;
use crate::helpers::{self, Instance, Name, snmp};
use crate::index::Index;
use crate::nat::Nat;
use crate::policy::Policy;
use crate::proto::gre::KeyMap;
use crate::seqadj::Shifts;
use crate::slots::{CONNECTIONS_MAX, Slots};
use crate::synproxy::Proxied;
use crate::sysctl::Sysctls;
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use crate::{CtState, Tracked, event, proto, timeout};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use keepstate_packet::{Family, Instant, Parsed, tcp};

/// What a rule in the raw table decides for a packet before tracking sees it (`-j CT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// `--notrack`.
    pub notrack: bool,
    /// `--zone`, `--zone-orig`, `--zone-reply`.
    pub zone: Zone,
    /// `--zone mark`: the zone's number is the mark that the packet has when tracking begins, whatever
    /// it was when the rule attached the template.
    pub zone_is_mark: bool,
    /// `--helper`.
    pub helper: Option<Instance>,
    /// `--timeout`, as [`Table::timeout_policy`] finds it.
    pub timeout: Option<u16>,
    /// `--ctevents` and `--expevents` bits; `None` for all of both.
    pub event_masks: Option<(u16, u16)>,
    /// SYNPROXY opens a connection to a server with the packet.
    pub is_proxied: bool,
    /// A rule attached it: no other may.
    pub attached: bool,
}

/// Why [`Table::track_in`], [`Table::translate`], [`Table::help`] or [`Table::confirm`] says that the packet is to be
/// dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// The helper refused the packet.
    Helper,
    /// Its sequence numbers are to be shifted, and it contradicts itself.
    Malformed,
    /// Somebody else took the tuple meanwhile.
    Clash,
    /// The table is full.
    TableFull,
    /// The packet, or the one that it quotes, cannot be translated.
    Translation,
}

/// Counters, as `conntrack -S` names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets found INVALID, those below apart.
    pub invalid: u64,
    /// ICMP messages found INVALID before a connection was looked for.
    pub error: u64,
    /// Connections confirmed.
    pub insert: u64,
    /// Connections that could not be confirmed.
    pub insert_failed: u64,
    /// Packets dropped because the table was full.
    pub drop: u64,
    /// Connections thrown out to make room for others.
    pub early_drop: u64,
    /// Connections that took the tuple of one confirmed meanwhile, and were merged with it.
    pub clash_resolve: u64,
    /// Expectations made.
    pub expect_create: u64,
    /// Expectations gone.
    pub expect_delete: u64,
    /// Connections that fulfilled one.
    pub expect_new: u64,
}

/// The master of an expected connection, remembered when it has gone as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Master {
    pub(crate) conn: ConnId,
    pub(crate) tuple: Tuple,
    pub(crate) helper: Instance,
}

/// The connection table.
#[derive(Debug)]
pub struct Table {
    pub(crate) sysctls: Sysctls,
    pub(crate) keys: Keys,
    pub(crate) slots: Slots,
    pub(crate) index: Index,
    /// The `nf_conntrack_max` that the index was sized for.
    pub(crate) sized_for: u32,
    pub(crate) expectations: Expectations,
    /// What PPTP's control connections say of the keys of GRE.
    pub(crate) gre_keys: KeyMap,
    /// What helpers remember, by connection.
    pub(crate) helped: BTreeMap<ConnId, helpers::Memory>,
    /// The masters of expected connections, by connection.
    pub(crate) masters: BTreeMap<ConnId, Master>,
    /// Shifts of sequence numbers, by connection.
    pub(crate) shifts: BTreeMap<ConnId, Shifts>,
    /// What SYNPROXY knows of connections that it has opened.
    pub(crate) proxied: BTreeMap<ConnId, Proxied>,
    /// What translation keeps.
    pub(crate) nat: Nat,
    pub(crate) events: Queue,
    pub(crate) statistics: Statistics,
    /// Connections made so far.
    pub(crate) numbers: u64,
    /// Timeout policies, by the numbers that connections know.
    pub(crate) policies: Vec<Policy>,
    /// Whether new connections get labels: a rule uses them.
    pub(crate) labels_used: bool,
    /// Security contexts by their marks, from 1.
    pub(crate) contexts: Vec<Arc<str>>,
    /// Connections that rules count.
    pub(crate) counts: Counts,
    /// What is to be logged of INVALID packets, a line each.
    pub(crate) complaints: String,
    /// Whether one was ever made in a zone: then a tuple may be there more than once.
    pub(crate) zoned: bool,
    /// A connection that its last packet killed; rules may still look at it until the next packet.
    pub(crate) lingering: Option<ConnId>,
    /// Segments that have ended their connection and were looked at once more.
    pub(crate) restarts: u64,
    /// Slots that [`Table::expire`] has still to look at since a packet found the table full.
    pub(crate) pressed: u32,
    /// Where [`Table::expire`] goes on.
    pub(crate) sweep: u32,
}

/// The look-up of a packet, begun: its tuple and the hash of it.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    /// Not there yet for PPTP's GRE ([`Table::prepare_keyed`]).
    pub(crate) tuple: Option<Tuple>,
    /// In the default zone.
    pub(crate) hash: u64,
    /// Where [`Table::touch_entry`] supposes the connection; it may be another's by the time of
    /// [`Table::track_prepared`].
    pub(crate) supposed: Option<u32>,
}

impl Table {
    /// An empty table. `seed` keys the hash.
    #[must_use]
    pub fn new(seed: [u64; 2], sysctls: Sysctls) -> Self {
        Self::keyed(Keys::new(seed), sysctls)
    }

    /// Begins anew, as if nothing had ever been tracked. The seed, the sysctls as they are now, the
    /// timeout policies and what [`Self::set_events_max`] was told stay; a [`ConnId`] from before means
    /// nothing any more.
    pub fn restart(&mut self) {
        let policies = core::mem::take(&mut self.policies);
        let events = Queue::new(self.events.max());
        let labels_used = self.labels_used;
        let empty = Self::keyed(self.keys, self.sysctls.clone());
        *self = Self { policies, events, labels_used, ..empty };
    }

    fn keyed(keys: Keys, sysctls: Sysctls) -> Self {
        let entries = entries_max(sysctls.max);
        Self {
            keys,
            slots: Slots::new(entries),
            index: Index::new(entries),
            sized_for: sysctls.max,
            sysctls,
            expectations: Expectations::default(),
            gre_keys: KeyMap::default(),
            helped: BTreeMap::new(),
            masters: BTreeMap::new(),
            shifts: BTreeMap::new(),
            proxied: BTreeMap::new(),
            nat: Nat::default(),
            events: Queue::new(event::EVENTS_MAX_DEFAULT),
            statistics: Statistics::default(),
            numbers: 0,
            policies: Vec::new(),
            labels_used: false,
            contexts: Vec::new(),
            counts: Counts::default(),
            complaints: String::new(),
            zoned: false,
            lingering: None,
            restarts: 0,
            pressed: 0,
            sweep: 0,
        }
    }

    /// The sysctls.
    #[must_use]
    pub fn sysctls(&self) -> &Sysctls {
        &self.sysctls
    }

    /// The sysctls, to change them. A changed `nf_conntrack_max` resizes the table with the next
    /// new connection.
    pub fn sysctls_mut(&mut self) -> &mut Sysctls {
        &mut self.sysctls
    }

    /// The counters.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Connections, those included whose first packet is still on its way.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.count()
    }

    /// What is kept of connections beside them: what their helpers remember, who their masters are, keys
    /// of GRE, shifts of sequence numbers. It goes when they go.
    #[must_use]
    pub fn kept_beside_count(&self) -> usize {
        let of_rules = self.shifts.len() + self.proxied.len() + self.nat.count();
        self.helped.len() + self.masters.len() + self.gre_keys.count() + of_rules
    }

    /// Bytes of address space that the table has taken. What is not used costs no memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slots.bytes() + self.index.bytes()
    }

    /// How many segments have ended the connection that they found and were looked at once more. Linux looks at
    /// their checksum again as well (`nf_conntrack_checksum`), and takes it for settled then.
    #[inline]
    #[must_use]
    pub const fn restarts_count(&self) -> u64 {
        self.restarts
    }

    /// Sets how many events wait for [`Table::poll_event`]; 0 switches them off, and then they
    /// cost nothing.
    pub fn set_events_max(&mut self, events_max: usize) {
        self.events.set_max(events_max);
    }

    /// Forgets the windows of a family's TCP connections: packets may have passed that nobody
    /// tracked. The next segment of each side sets them anew.
    pub fn forget_windows(&mut self, family: Family) {
        for slot in 0..self.slots.len() {
            let Some((place, _)) = self.slots.all_mut(slot) else { continue };
            if let ProtocolRecord::Tcp(record) = &mut place.record
                && place.entry.tuple.family == family
            {
                record.peers.iter_mut().for_each(|peer| peer.max_window = 0);
            }
        }
    }

    /// The oldest event not yet taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Events that were lost because nobody polled.
    #[must_use]
    pub fn events_lost_count(&self) -> u64 {
        self.events.lost_count()
    }

    /// Begins the look-up of a packet.
    #[inline]
    #[must_use]
    pub fn prepare(&self, packet: &Parsed, bytes: &[u8]) -> Prepared {
        let tuple = Tuple::of(packet, bytes);
        let hash = tuple.as_ref().map_or(0, |tuple| self.keys.hash(tuple, 0));
        Prepared { tuple, hash, supposed: None }
    }

    /// The look-up of PPTP's GRE, whose source key is known only when the packets before it have
    /// been tracked. Without a tuple for every other packet.
    #[cold]
    pub(crate) fn prepare_keyed(&self, packet: &Parsed, bytes: &[u8]) -> Prepared {
        let tuple = Tuple::of_keyed(packet, bytes, &self.gre_keys);
        let hash = tuple.as_ref().map_or(0, |tuple| self.keys.hash(tuple, 0));
        Prepared { tuple, hash, supposed: None }
    }

    /// Second stage of a batch: has the packet's line of the index fetched.
    #[inline]
    pub fn touch_bucket(&self, prepared: &Prepared) {
        core::hint::black_box(self.index.touch(prepared.hash));
    }

    /// Third stage of a batch: has the lines of the packet's connection fetched, if there is one.
    #[inline]
    pub fn touch_entry(&self, prepared: &mut Prepared) {
        prepared.supposed = self.index.find(prepared.hash, |_| true);
        if let Some(slot) = prepared.supposed {
            core::hint::black_box(self.slots.touch(slot));
        }
    }

    /// Whether connections may be translated, so that [`Self::touch_reply`] has anything to do.
    #[inline]
    #[must_use]
    pub fn translates(&self) -> bool {
        self.nat.is_in_use()
    }

    /// Fourth stage of a batch: the same for the answers' ends of a translated connection.
    #[inline]
    pub fn touch_reply(&self, prepared: &Prepared) {
        let Some(slot) = prepared.supposed else { return };
        if self.slots.entry(slot).is_some_and(|entry| entry.has(Entry::TRANSLATED)) {
            let ends = |cold: &Cold| (cold.reply.source.0[0], cold.masqueraded);
            core::hint::black_box(self.slots.cold(slot).map(ends));
        }
    }

    /// The connection that has this tuple in either direction, and in which.
    #[must_use]
    pub fn find(&self, now: Instant, tuple: &Tuple, zone: Zone) -> Option<(ConnId, Direction)> {
        let (slot, direction) = self.search(tuple, zone)?;
        let entry = self.slots.entry(slot)?;
        (!timeout::expired(entry.deadline, now)).then_some(())?;
        Some((self.slots.id(slot)?, direction))
    }

    /// The connections in the table, oldest first. Those that have expired and are not yet removed
    /// are left out.
    #[must_use]
    pub fn connections(&self, now: Instant) -> Vec<ConnId> {
        let mut all = self.standing(Some(now));
        all.retain(|conn| {
            self.slots.live(*conn).is_some_and(|entry| !entry.is(CtStatus::NAT_CLASH))
        });
        all
    }

    /// The same and those that listings leave out: of which only the reply's tuple counts.
    /// With no time, those that have expired as well.
    pub(crate) fn standing(&self, now: Option<Instant>) -> Vec<ConnId> {
        let mut numbered: Vec<(u64, ConnId)> = (0..self.slots.len())
            .filter_map(|slot| {
                let entry = self.slots.entry(slot)?;
                let over = now.is_some_and(|now| timeout::expired(entry.deadline, now));
                let gone = entry.is(CtStatus::DYING) || over;
                let stands = entry.has(Entry::LIVE) && entry.is(CtStatus::CONFIRMED) && !gone;
                stands.then_some((self.slots.cold(slot)?.number, self.slots.id(slot)?))
            })
            .collect();
        numbered.sort_unstable();
        numbered.into_iter().map(|(_, conn)| conn).collect()
    }

    /// A connection as listings show it; `None` when it has gone.
    #[must_use]
    pub fn snapshot(&self, now: Instant, conn: ConnId) -> Option<Snapshot> {
        let entry = self.slots.live(conn)?;
        let cold = self.slots.cold(conn.slot)?;
        let confirmed = entry.is(CtStatus::CONFIRMED);
        let until = if confirmed { entry.deadline } else { now.0.wrapping_add(entry.deadline) };
        let timestamped = confirmed && cold.started != 0;
        Some(Snapshot {
            original: entry.tuple,
            reply: cold.reply,
            zone: entry.zone,
            status: entry.status(),
            timeout: Some(timeout::remaining(until, now)),
            protocol_state: proto::tracker(entry.tuple.protocol).state_name(entry.state),
            tags: self.association(conn).map(|association| association.tags),
            mark: entry.mark,
            secctx: self.context(cold.secmark),
            labels: cold.labels.unwrap_or_default(),
            helper: self.helper(conn),
            master: self.masters.get(&conn).map(|master| master.tuple),
            counters: entry.has(Entry::COUNTED).then_some(cold.counters),
            age: timestamped.then(|| now.since(Instant(cold.started))),
            announcement: None,
        })
    }

    /// When a connection was confirmed, nanoseconds since 1970 (`nf_conntrack_timestamp`); `None`
    /// when that was not written down, or it has gone.
    #[must_use]
    pub fn started(&self, conn: ConnId) -> Option<u64> {
        self.slots.live(conn)?;
        self.slots.cold(conn.slot).map(|cold| cold.started).filter(|started| *started != 0)
    }

    /// The tuple of a connection in one direction; `None` when it has gone.
    #[inline]
    #[must_use]
    pub fn tuple(&self, conn: ConnId, direction: Direction) -> Option<Tuple> {
        let entry = self.slots.live(conn)?;
        match direction {
            Direction::Original => Some(entry.tuple),
            Direction::Reply => self.slots.cold(conn.slot).map(|cold| cold.reply),
        }
    }

    /// The status of a connection; `None` when it has gone.
    #[inline]
    #[must_use]
    pub fn status(&self, conn: ConnId) -> Option<CtStatus> {
        self.slots.live(conn).map(Entry::status)
    }

    /// The state of a connection as its protocol's tracker numbers it (TCP: [`proto::tcp::State`]), 0
    /// for protocols without states; `None` when it has gone.
    #[must_use]
    pub fn state(&self, conn: ConnId) -> Option<u8> {
        self.slots.live(conn).map(|entry| entry.state)
    }

    /// What the SCTP tracker remembers of a connection; `None` when it has gone, and of other
    /// protocols.
    #[must_use]
    pub fn association(&self, conn: ConnId) -> Option<&proto::sctp::Association> {
        self.slots.association(conn)
    }

    /// What the TCP tracker remembers of a connection; `None` when it has gone, and of other protocols.
    #[must_use]
    pub fn windows(&self, conn: ConnId) -> Option<&proto::tcp::Record> {
        self.slots.windows(conn)
    }

    /// The zone of a connection; `None` when it has gone.
    #[must_use]
    pub fn zone(&self, conn: ConnId) -> Option<Zone> {
        self.slots.live(conn).map(|entry| entry.zone)
    }

    /// Time that a connection has left, zero while it is not confirmed; `None` when it has gone.
    #[must_use]
    pub fn remaining(&self, now: Instant, conn: ConnId) -> Option<Duration> {
        let entry = self.slots.live(conn)?;
        let confirmed = entry.is(CtStatus::CONFIRMED);
        Some(if confirmed { timeout::remaining(entry.deadline, now) } else { Duration::ZERO })
    }

    /// The mark of a connection; `None` when it has gone. Rules read it once a packet.
    #[inline]
    #[must_use]
    pub fn mark(&self, conn: ConnId) -> Option<u32> {
        self.slots.live(conn).map(|entry| entry.mark)
    }

    /// Packets and bytes of a connection, original then reply; `None` when it has gone or is not
    /// counted: `nf_conntrack_acct` was off as it was made.
    #[must_use]
    pub fn counters(&self, conn: ConnId) -> Option<[(u64, u64); 2]> {
        self.slots.live(conn).filter(|entry| entry.has(Entry::COUNTED))?;
        self.slots.cold(conn.slot).map(|cold| cold.counters)
    }

    /// Sets the mark of a connection, confirmed or not (`-j CONNMARK`). A change of a confirmed
    /// one is an UPDATE event, told at the end of the packet's walk.
    pub fn set_mark(&mut self, now: Instant, conn: ConnId, mark: u32) {
        let _ = now;
        let on = self.events.is_on();
        let Some(entry) = self.slots.live_mut(conn) else { return };
        if entry.mark != mark {
            entry.mark = mark;
            entry.pending |= if on { Changes::MARK.0 } else { 0 };
        }
    }

    /// The name of the helper of a connection.
    #[must_use]
    pub fn helper(&self, conn: ConnId) -> Option<Name> {
        self.slots.live(conn).filter(|entry| entry.has(Entry::HELPED))?;
        self.slots.cold(conn.slot)?.helper.map(Instance::name)
    }

    /// Whether Linux joined the pieces of a packet, with data or without, for its helper to read: they
    /// are cut anew after that. Helpers of UDP connections see what is RELATED to them, too, one way.
    #[must_use]
    pub fn was_joined(&self, tracked: &Tracked, data: bool) -> bool {
        let entry = tracked.conn.and_then(|conn| Some((conn, self.slots.live(conn)?)));
        let Some((conn, _)) = entry.filter(|(_, entry)| entry.has(Entry::HELPED)) else {
            return false;
        };
        let helper = self.slots.cold(conn.slot).and_then(|cold| cold.helper?.helper());
        let established = tracked.state == CtState::Established;
        let way_back = tracked.direction == Some(Direction::Reply);
        helper.is_some_and(|helper| match (helper.name, helper.protocol) {
            ("ftp", _) => established,
            ("sip", tcp::PROTOCOL) => established && data,
            ("sip", _) => data && (tracked.state != CtState::Related || !way_back),
            ("snmp" | "snmp_trap", _) => self.is_translated(tracked) && snmp::reads(self, tracked),
            _ => false,
        })
    }

    /// The helper that announced a connection (`-m helper`): that of its master, which may have
    /// gone. `None` when the connection was not expected.
    #[must_use]
    pub fn master_helper(&self, conn: ConnId) -> Option<Name> {
        self.slots.live(conn).filter(|entry| entry.has(Entry::EXPECTED))?;
        self.masters.get(&conn).map(|master| master.helper.name())
    }

    /// The master of an expected connection; it may have gone.
    #[must_use]
    pub fn master(&self, conn: ConnId) -> Option<ConnId> {
        self.slots.live(conn).filter(|entry| entry.has(Entry::EXPECTED))?;
        self.masters.get(&conn).map(|master| master.conn)
    }

    /// How many connections have this one as their master.
    #[must_use]
    pub fn children_count(&self, conn: ConnId) -> usize {
        self.masters.values().filter(|master| master.conn == conn).count()
    }

    /// Whether the connection is in the table and not on its way out.
    pub(crate) fn is_confirmed(&self, conn: ConnId) -> bool {
        let live = self.slots.live(conn);
        live.is_some_and(|e| e.is(CtStatus::CONFIRMED) && !e.is(CtStatus::DYING))
    }

    /// The slot that has this tuple in either direction, expired or not.
    pub(crate) fn search(&self, tuple: &Tuple, zone: Zone) -> Option<(u32, Direction)> {
        let hash = self.keys.hash(tuple, zone.id_in(Direction::Original));
        self.search_hash(hash, tuple, zone).or_else(|| self.search_reply(tuple, zone))
    }

    /// The direction in which the supposed slot has this tuple, if it does. Without zones no other
    /// slot can have it too.
    #[inline]
    pub(crate) fn search_supposed(
        &self,
        prepared: &Prepared,
        zone: Zone,
    ) -> Option<(u32, Direction)> {
        let slot = prepared.supposed.filter(|_| !self.zoned)?;
        let entry = self.slots.entry(slot)?;
        if !entry.is(CtStatus::CONFIRMED) || entry.is(CtStatus::DYING) {
            return None;
        }
        Some((slot, self.direction(slot, prepared.tuple.as_ref()?, zone)?))
    }

    /// Under the zone of the reply direction, when that is another.
    #[inline]
    pub(crate) fn search_reply(&self, tuple: &Tuple, zone: Zone) -> Option<(u32, Direction)> {
        let reply = zone.id_in(Direction::Reply);
        if reply == zone.id_in(Direction::Original) {
            return None;
        }
        self.search_hash(self.keys.hash(tuple, reply), tuple, zone)
    }

    #[inline]
    pub(crate) fn search_hash(
        &self,
        hash: u64,
        tuple: &Tuple,
        zone: Zone,
    ) -> Option<(u32, Direction)> {
        let mut direction = Direction::Original;
        if self.zoned {
            return self.search_newest(hash, tuple, zone);
        }
        let slot = self.index.find(hash, |slot| {
            let found = self.direction(slot, tuple, zone);
            direction = found.unwrap_or(direction);
            found.is_some()
        })?;
        Some((slot, direction))
    }

    #[inline(always)]
    pub(crate) fn direction(&self, slot: u32, tuple: &Tuple, zone: Zone) -> Option<Direction> {
        let entry = self.slots.entry(slot)?;
        if entry.has(Entry::TRANSLATED) {
            return self.direction_translated(slot, tuple, zone);
        }
        entry.direction(tuple, None, zone)
    }

    /// Whether the slot has this tuple in the original direction.
    fn is_original(&self, slot: u32, tuple: &Tuple, zone: Zone) -> bool {
        let way = Direction::Original;
        self.slots.entry(slot).is_some_and(|entry| {
            let same_zone = entry.zone.id_in(way) == zone.id_in(way);
            entry.tuple == *tuple && same_zone && !entry.is(CtStatus::NAT_CLASH)
        })
    }

    /// The same for a connection whose reply is no mere inverse.
    fn direction_translated(&self, slot: u32, tuple: &Tuple, zone: Zone) -> Option<Direction> {
        let (entry, cold) = (self.slots.entry(slot)?, self.slots.cold(slot)?);
        let found = entry.direction(tuple, Some(&cold.reply), zone);
        found.filter(|way| *way == Direction::Reply || !entry.is(CtStatus::NAT_CLASH))
    }

    /// A zone that counts in one direction only lets two connections have the same tuple in the
    /// other; the newer one of those entered under the zone's number that `hash` is made of is
    /// found.
    #[cold]
    fn search_newest(&self, hash: u64, tuple: &Tuple, zone: Zone) -> Option<(u32, Direction)> {
        let original = zone.id_in(Direction::Original);
        let by_original = self.keys.hash(tuple, original) == hash;
        let id = if by_original { original } else { zone.id_in(Direction::Reply) };
        let mut newest = None;
        self.index.find(hash, |slot| {
            let is_here = |direction: &Direction| zone.id_in(*direction) == id;
            let found = self.direction(slot, tuple, zone).filter(is_here);
            // A tuple that is its own inverse stands under either number.
            let original = || self.is_original(slot, tuple, zone).then_some(Direction::Original);
            let found = found.or_else(|| original().filter(is_here));
            let number = self.slots.cold(slot).map_or(0, |cold| cold.number);
            newest = newest.max(found.map(|direction| (number, slot, direction)));
            false
        });
        newest.map(|(_, slot, direction)| (slot, direction))
    }

    /// Resizes the table when `nf_conntrack_max` has changed.
    pub(crate) fn resize(&mut self) {
        self.sized_for = self.sysctls.max;
        let entries = entries_max(self.sysctls.max);
        self.slots.reserve(entries);
        let index = Index::new(entries.max(self.slots.count()));
        if index.buckets() == self.index.buckets() {
            return;
        }
        self.index = index;
        for slot in 0..self.slots.len() {
            let Some(entry) = self.slots.entry(slot) else { continue };
            let entered = entry.is(CtStatus::CONFIRMED) && !entry.is(CtStatus::DYING);
            if entry.has(Entry::LIVE) && entered {
                for hash in self.hashes(slot).into_iter().flatten() {
                    self.index.insert(hash, slot);
                }
            }
        }
    }

    /// The hashes that a connection is entered under: of its tuple, and of its reply tuple when
    /// that is another.
    pub(crate) fn hashes(&self, slot: u32) -> [Option<u64>; 2] {
        let Some(entry) = self.slots.entry(slot) else { return [None, None] };
        let original = self.keys.hash(&entry.tuple, entry.zone.id_in(Direction::Original));
        if !entry.has(Entry::TRANSLATED) && entry.zone == Zone::default() {
            return [Some(original), None];
        }
        let Some(cold) = self.slots.cold(slot) else { return [Some(original), None] };
        let reply = self.keys.hash(&cold.reply, entry.zone.id_in(Direction::Reply));
        if entry.is(CtStatus::NAT_CLASH) {
            return [None, Some(reply)];
        }
        [Some(original), (reply != original).then_some(reply)]
    }

    /// Tells what has changed of a connection, if anybody wants to know.
    pub(crate) fn tell(&mut self, now: Instant, conn: ConnId, kind: EventKind, changes: Changes) {
        let wanted = self.slots.cold(conn.slot).map_or(0, |cold| cold.event_mask);
        if !self.events.is_on() || !changes.intersects(Changes(wanted)) {
            return;
        }
        let snapshot = self.snapshot(now, conn).map(|snapshot| snapshot.told(kind, changes));
        self.events.push(|| Some(Event { kind, changes, conn, snapshot: snapshot? }));
    }
}

/// The entries to make room for.
fn entries_max(max: u32) -> usize {
    if max == 0 { CONNECTIONS_MAX } else { (max as usize).min(CONNECTIONS_MAX) }
}

/// Bytes of memory that a connection takes in its slot, without the index.
pub const CONNECTION_BYTES: usize = size_of::<Slot>() + size_of::<Cold>();

#[cfg(test)]
mod tests;
