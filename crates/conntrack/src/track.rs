//! Conntrack's own hook: finds the connection of a packet, or makes one.

use crate::complaint::Subject;
use crate::conn::{Cold, ConnId, CtStatus, Entry, ProtocolRecord};
use crate::event::Changes;
use crate::helpers;
use crate::invalid::{Invalid, Reason};
use crate::policy;
use crate::proto::{self, Outcome, Seen, icmp, icmpv6, tcp};
use crate::sysctl::Events;
use crate::table::{Drop, Master, Prepared, Table, Template};
use crate::timeout::{self, Timeout};
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use crate::{CtState, Hook, Tracked};
use keepstate_packet::checksum::{self, Verified};
use keepstate_packet::{Family, Instant, L4, Parsed, Quoted, icmp as v4, icmpv6 as v6};

/// A packet can end a connection and begin another, and that one cannot end at once. In a zone of one
/// direction it can meet several that it ends, one for each direction and number of its zone.
const RESTARTS_MAX: usize = 5;
/// Buckets of the index in which a connection to throw out is looked for when the table is full.
pub const EARLY_DROP_BUCKETS_MAX: usize = 8;

/// A connection found for a packet.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) slot: u32,
    pub(crate) direction: Direction,
}

/// What a packet is to the connection found for it.
enum Judged {
    Belongs,
    Invalid(Invalid),
    /// The connection has ended with it: look again.
    Ended,
}

impl Table {
    /// Conntrack's own hook (priority -200 in PREROUTING and OUTPUT): finds the packet's
    /// connection or makes an unconfirmed one.
    ///
    /// # Errors
    /// [`Drop::TableFull`] when the packet needs a new connection and there is no room.
    pub fn track_in(
        &mut self,
        now: Instant,
        hook: Hook,
        packet: &Parsed,
        bytes: &[u8],
        template: &Template,
    ) -> Result<Tracked, Drop> {
        let prepared = self.prepare(packet, bytes);
        self.track_prepared(now, hook, packet, bytes, template, &prepared)
    }

    /// The same, with the look-up begun before by [`Table::prepare`].
    ///
    /// # Errors
    /// As [`Table::track_in`].
    #[inline]
    pub fn track_prepared(
        &mut self,
        now: Instant,
        hook: Hook,
        packet: &Parsed,
        bytes: &[u8],
        template: &Template,
        prepared: &Prepared,
    ) -> Result<Tracked, Drop> {
        if let Some(conn) = self.lingering.take() {
            self.forget(now, conn.slot);
        }
        if template.notrack {
            return Ok(Tracked::UNTRACKED);
        }
        if let v4::PROTOCOL | v6::PROTOCOL = packet.protocol
            && let Some(tracked) = self.icmp(now, hook, packet, bytes, template.zone)
        {
            return Ok(tracked);
        }
        // What most packets come to: all that they need is in the registers and the cache already.
        let supposed = self.search_supposed(prepared, template.zone);
        if let Some((slot, direction)) = supposed
            && !self.is_expired(now, slot)
        {
            let found = Found { slot, direction };
            let tracked = self.tracked(found);
            match self.judge(now, hook, packet, bytes, found) {
                Judged::Belongs => return Ok(tracked),
                Judged::Invalid(invalid) => return Ok(self.invalid(invalid)),
                Judged::Ended => {}
            }
        }
        self.search_and_judge(now, hook, packet, bytes, template, prepared)
    }

    /// Judges a packet by the connection that is searched for it, or made. Out of line, so that
    /// [`Self::track_prepared`] stays small where it is inlined.
    #[inline(never)]
    fn search_and_judge(
        &mut self,
        now: Instant,
        hook: Hook,
        packet: &Parsed,
        bytes: &[u8],
        template: &Template,
        prepared: &Prepared,
    ) -> Result<Tracked, Drop> {
        let keyed;
        let prepared = match prepared.tuple {
            Some(_) => prepared,
            None => {
                keyed = self.prepare_keyed(packet, bytes);
                &keyed
            }
        };
        let Some(tuple) = &prepared.tuple else { return Ok(self.invalid(no_tuple(packet))) };
        let hash = if template.zone == Zone::default() {
            prepared.hash
        } else {
            self.keys.hash(tuple, template.zone.id_in(Direction::Original))
        };
        for _ in 0..RESTARTS_MAX {
            let found = match self.lookup(now, hash, tuple, template.zone) {
                Some(found) => found,
                None => match self.create(now, hash, tuple, template)? {
                    Some(found) => found,
                    None => return Ok(self.invalid(Invalid::new(Reason::IcmpUnknown))),
                },
            };
            let tracked = self.tracked(found);
            match self.judge(now, hook, packet, bytes, found) {
                Judged::Belongs => return Ok(tracked),
                Judged::Invalid(invalid) => return Ok(self.invalid(invalid)),
                Judged::Ended => {}
            }
        }
        Ok(self.invalid(Invalid::new(Reason::InvalidState)))
    }

    /// What a packet of this connection carries, unless its tracker finds it INVALID.
    #[inline]
    fn tracked(&self, Found { slot, direction }: Found) -> Tracked {
        let entry = self.slots.entry(slot);
        let generation = entry.map_or(0, |entry| entry.generation);
        Tracked {
            state: entry.map_or(CtState::New, |entry| state_of(entry, direction)),
            direction: Some(direction),
            conn: Some(ConnId { slot, generation }),
            invalid: None,
        }
    }

    #[inline]
    fn is_expired(&self, now: Instant, slot: u32) -> bool {
        self.slots.entry(slot).is_some_and(|e| timeout::expired(e.deadline, now))
    }

    /// The connection of a tuple. One that has expired is removed in passing.
    fn lookup(&mut self, now: Instant, hash: u64, tuple: &Tuple, zone: Zone) -> Option<Found> {
        if self.zoned || zone != Zone::default() {
            return self.lookup_in_zone(now, hash, tuple, zone);
        }
        loop {
            let found = self.search_hash(hash, tuple, zone);
            let (slot, direction) = found.or_else(|| self.search_reply(tuple, zone))?;
            if !self.is_expired(now, slot) {
                return Some(Found { slot, direction });
            }
            self.destroy(now, slot);
        }
    }

    /// The same where zones are used: what has expired and is met under the same hash on the way to
    /// the newest that fits is removed as well, whichever zone the packet is in.
    #[cold]
    fn lookup_in_zone(
        &mut self,
        now: Instant,
        hash: u64,
        tuple: &Tuple,
        zone: Zone,
    ) -> Option<Found> {
        let [id, reply] = [zone.id_in(Direction::Original), zone.id_in(Direction::Reply)];
        for id in [Some(id), (reply != id).then_some(reply)].into_iter().flatten() {
            let hash = if id == reply { self.keys.hash(tuple, id) } else { hash };
            loop {
                let found = self.search_hash(hash, tuple, zone);
                let number = |slot| self.slots.cold(slot).map_or(0, |cold| cold.number);
                let first = found.map_or(0, |(slot, _)| number(slot));
                let mut over = None;
                self.index.find(hash, |slot| {
                    if self.is_expired(now, slot)
                        && number(slot) >= first
                        && self.is_met(slot, tuple, id)
                    {
                        over = over.max(Some((number(slot), slot)));
                    }
                    false
                });
                match (over, found) {
                    (Some((_, slot)), _) => self.destroy(now, slot),
                    (None, Some((slot, direction))) => return Some(Found { slot, direction }),
                    (None, None) => break,
                }
            }
        }
        None
    }

    /// Whether a search for a tuple in the zone of this number meets the connection.
    fn is_met(&self, slot: u32, tuple: &Tuple, id: u16) -> bool {
        let (Some(entry), Some(cold)) = (self.slots.entry(slot), self.slots.cold(slot)) else {
            return false;
        };
        let tuples = [(&entry.tuple, Direction::Original), (&cold.reply, Direction::Reply)];
        tuples.iter().any(|(own, way)| *own == tuple && entry.zone.id_in(*way) == id)
    }

    /// Has the tracker judge the packet, and does to the connection what follows.
    #[inline]
    fn judge(
        &mut self,
        now: Instant,
        hook: Hook,
        packet: &Parsed,
        bytes: &[u8],
        found: Found,
    ) -> Judged {
        let Found { slot, direction } = found;
        let events = self.events.is_on();
        let Some((place, cold)) = self.slots.split_mut(slot) else { return Judged::Ended };
        let entry = &mut place.entry;
        let mut shifts = None;
        if entry.is(CtStatus::SEQ_ADJUST) {
            shifts = self.shifts.get(&ConnId { slot, generation: entry.generation });
        }
        let sysctls = &self.sysctls;
        let seen = Seen { now, hook, packet, bytes, direction, sysctls, shifts };
        let (is_timed, tracker) = (entry.has(Entry::TIMED), proto::tracker(entry.tuple.protocol));
        let mut record = proto::Record { entry, protocol: &mut place.record };
        let outcome = if is_timed {
            let policy = cold.get().map(|cold| usize::from(cold.policy));
            let policy = policy.and_then(|policy| self.policies.get(policy));
            by_policy(tracker, &seen, &mut record, policy)
        } else {
            tracker.packet(&seen, &mut record)
        };
        let entry = record.entry;
        let Outcome::Accept { timeout, changes } = outcome else {
            return self.judge_apart(now, packet, bytes, found, &outcome);
        };
        // What leaves the timeout alone is not accounted either.
        if entry.has(Entry::COUNTED) && timeout.is_some() {
            count(cold.into_mut(), direction, packet);
        }
        if let Some(timeout) = timeout.filter(|_| !entry.is(CtStatus::FIXED_TIMEOUT)) {
            refresh(entry, now, timeout);
        }
        if events {
            entry.pending |= changes.0;
        }
        mark_reply(entry, direction, events);
        Judged::Belongs
    }

    /// What follows where the tracker does not simply accept the packet.
    #[cold]
    fn judge_apart(
        &mut self,
        now: Instant,
        packet: &Parsed,
        bytes: &[u8],
        found: Found,
        outcome: &Outcome,
    ) -> Judged {
        let Found { slot, direction } = found;
        match *outcome {
            Outcome::Accept { .. } => Judged::Belongs,
            Outcome::Kill => {
                self.count_once_more(slot, direction, packet);
                self.kill(now, slot);
                if let Some(entry) = self.slots.entry_mut(slot) {
                    mark_reply(entry, direction, false);
                }
                Judged::Belongs
            }
            Outcome::Restart => {
                self.restarts += 1;
                self.destroy(now, slot);
                Judged::Ended
            }
            Outcome::Ignored(ignored) => {
                let events = self.events.is_on();
                if let Some(entry) = self.slots.entry_mut(slot) {
                    mark_reply(entry, direction, events);
                }
                self.complain_of_ignored(&Subject::new(packet, bytes, found), &ignored);
                Judged::Belongs
            }
            Outcome::Invalid { invalid, shorten, fault } => {
                let subject = Subject { packet, bytes, found, fault };
                self.refuse(now, &subject, &invalid, shorten);
                Judged::Invalid(invalid)
            }
        }
    }

    /// What an INVALID packet does to the connection that it was found to belong to.
    #[cold]
    fn refuse(
        &mut self,
        now: Instant,
        subject: &Subject<'_>,
        invalid: &Invalid,
        shorten: Option<Timeout>,
    ) {
        self.complain_of_packet(subject, invalid);
        let slot = subject.found.slot;
        let Some(entry) = self.slots.entry_mut(slot) else { return };
        let left = timeout::remaining(entry.deadline, now);
        let confirmed = entry.is(CtStatus::CONFIRMED);
        if let Some(shorten) = shorten.filter(|to| tcp::shortened(left, *to)) {
            entry.deadline = shorten.deadline(now);
            self.complain_of_close(subject, shorten);
        }
        if !confirmed {
            self.forget(now, slot);
        }
    }

    /// Makes an unconfirmed connection. `None` when the tuple can begin none.
    #[inline(never)]
    fn create(
        &mut self,
        now: Instant,
        hash: u64,
        tuple: &Tuple,
        template: &Template,
    ) -> Result<Option<Found>, Drop> {
        let Some(reply) = tuple.invert() else { return Ok(None) };
        if self.sized_for != self.sysctls.max {
            self.resize();
        }
        let max = self.sysctls.max as usize;
        if max != 0 && self.slots.count() >= max && !self.early_drop(now, hash) {
            self.statistics.drop += 1;
            self.pressed = self.slots.len();
            return Err(Drop::TableFull);
        }
        let expectation = self.fulfil(now, tuple, template.zone);
        let helper = match &expectation {
            Some(expectation) => expectation.request.assigns,
            None => template.helper,
        };
        let memory = helper.and_then(helpers::first_memory);
        let (mut entry, mut cold) = self.blank(*tuple, reply, template);
        if memory.is_some() {
            entry.flags |= Entry::HELPED;
            cold.helper = helper;
        }
        if memory.is_some() && expectation.is_none() {
            entry.set(CtStatus::HELPER);
        }
        let mut master = None;
        if let Some(expectation) = &expectation {
            entry.set(CtStatus::EXPECTED);
            entry.flags |= Entry::EXPECTED;
            let conn = expectation.master;
            entry.mark = self.mark(conn).unwrap_or(0);
            cold.secmark = self.secmark(conn);
            let tuple = self.tuple(conn, Direction::Original);
            master = tuple.map(|tuple| Master { conn, tuple, helper: expectation.helper });
        }
        let Some(conn) = self.slots.insert(entry, ProtocolRecord::default(), cold) else {
            self.statistics.drop += 1;
            return Err(Drop::TableFull);
        };
        if let Some(memory) = memory {
            self.helped.insert(conn, memory);
        }
        if let Some(master) = master {
            self.masters.insert(conn, master);
        }
        if let Some(expectation) = &expectation
            && let Some(fulfilled) = expectation.request.fulfilled
        {
            fulfilled(self, now, conn, expectation);
        }
        Ok(Some(Found { slot: conn.slot, direction: Direction::Original }))
    }

    /// A connection as its template and the sysctls have it.
    fn blank(&mut self, tuple: Tuple, reply: Tuple, template: &Template) -> (Entry, Cold) {
        self.numbers += 1;
        self.zoned |= template.zone != Zone::default();
        let mut entry = Entry::new(tuple, template.zone);
        if template.timeout.is_some() {
            entry.flags |= Entry::TIMED;
        }
        if self.sysctls.acct {
            entry.flags |= Entry::COUNTED;
        }
        if template.is_proxied {
            entry.flags |= Entry::PROXIED;
        }
        let (event_mask, expectation_mask) = self.event_masks(template);
        let cold = Cold {
            reply,
            helper: None,
            policy: template.timeout.unwrap_or(0),
            counters: [(0, 0); 2],
            number: self.numbers,
            started: 0,
            event_mask,
            expectation_mask,
            labels: self.labels_used.then_some(0),
            masqueraded: 0,
            secmark: 0,
        };
        (entry, cold)
    }

    /// Which events are told of a connection that is made now, and of what it expects.
    fn event_masks(&self, template: &Template) -> (u16, u16) {
        let all = (u16::MAX, u16::MAX);
        match (self.sysctls.events, template.event_masks) {
            (Events::WhenHeard, _) if !self.events.is_on() => (0, 0),
            (_, Some(chosen)) => chosen,
            (Events::Chosen, None) => (0, 0),
            (Events::All | Events::WhenHeard, None) => all,
        }
    }

    /// Throws out a connection that is not ASSURED, near where the new one would be entered.
    fn early_drop(&mut self, now: Instant, hash: u64) -> bool {
        let candidate = self.index.neighbours(hash, EARLY_DROP_BUCKETS_MAX).find_map(|slot| {
            let entry = self.slots.entry(slot)?;
            let expired = timeout::expired(entry.deadline, now);
            (expired || !entry.is(CtStatus::ASSURED)).then_some((slot, expired))
        });
        let Some((slot, expired)) = candidate else { return false };
        if !expired {
            self.statistics.early_drop += 1;
        }
        self.destroy(now, slot);
        true
    }

    /// What ICMP and ICMPv6 settle before a connection is looked for; `None` when one is to be.
    #[inline(never)]
    fn icmp(
        &mut self,
        now: Instant,
        hook: Hook,
        packet: &Parsed,
        bytes: &[u8],
        zone: Zone,
    ) -> Option<Tracked> {
        let checks = self.sysctls.checksum && hook == Hook::Prerouting;
        let checksum_ok = || !checks || checksum::verify(packet, bytes) == Verified::Valid;
        let message = match (packet.family, packet.protocol) {
            (Family::V4, v4::PROTOCOL) => icmp::message(packet, checksum_ok),
            (Family::V6, v6::PROTOCOL) => icmpv6::message(packet, bytes, checksum_ok),
            _ => return None,
        };
        match message {
            icmp::Message::Query => None,
            icmp::Message::Untracked => Some(Tracked::UNTRACKED),
            icmp::Message::Invalid(reason) => {
                self.complain(packet, bytes, reason);
                Some(match packet.l4 {
                    L4::Fragment | L4::BrokenChain | L4::NoNextHeader => {
                        self.invalid(Invalid::new(reason))
                    }
                    _ => self.icmp_error(reason),
                })
            }
            icmp::Message::Error { quoted } => {
                let related = self.related(now, packet, bytes, quoted, zone);
                Some(related.unwrap_or_else(|| self.icmp_error(Reason::IcmpErrorUntracked)))
            }
        }
    }

    /// The tuple of the packet that an ICMP error quotes; `None` for what is no such error.
    #[must_use]
    pub fn quoted(&self, packet: &Parsed, bytes: &[u8]) -> Option<Tuple> {
        let is_error = match (packet.family, &packet.l4) {
            (Family::V4, L4::Icmp(header)) => v4::is_error(header.kind),
            (Family::V6, L4::Icmpv6(header)) => v6::is_error(header.kind),
            _ => false,
        };
        let quoted = Quoted::of(packet, bytes).filter(|_| is_error)?;
        Tuple::of_quoted(&quoted, &self.gre_keys)
    }

    /// The connection that an ICMP error is about. The error has to go where the answers to the
    /// quoted packet go: to its sender.
    fn related(
        &mut self,
        now: Instant,
        packet: &Parsed,
        bytes: &[u8],
        quoted: u32,
        zone: Zone,
    ) -> Option<Tracked> {
        let quoted = packet.packet(bytes).get(quoted as usize..)?;
        let quoted = Tuple::of_quoted(&Quoted::new(packet.family, quoted)?, &self.gre_keys)?;
        let answer = quoted.invert()?;
        let hash = self.keys.hash(&answer, zone.id_in(Direction::Original));
        let found = self.lookup(now, hash, &answer, zone)?;
        let conn = self.slots.id(found.slot)?;
        let expected = self.tuple(conn, found.direction)?.destination;
        if packet.destination != expected {
            self.complain_of_error(packet, expected);
            return None;
        }
        Some(Tracked {
            state: CtState::Related,
            direction: Some(found.direction),
            conn: Some(conn),
            invalid: None,
        })
    }

    /// An ICMP message that is INVALID before a connection is looked for: an error to the counters.
    fn icmp_error(&mut self, reason: Reason) -> Tracked {
        self.statistics.error += 1;
        let invalid = Some(Invalid::new(reason));
        Tracked { state: CtState::Invalid, direction: None, conn: None, invalid }
    }

    #[inline(never)]
    fn invalid(&mut self, invalid: Invalid) -> Tracked {
        self.statistics.invalid += 1;
        Tracked { state: CtState::Invalid, direction: None, conn: None, invalid: Some(invalid) }
    }

    /// Counts a packet of a connection that keeps counts, apart from its usual way.
    pub(crate) fn count_once_more(&mut self, slot: u32, direction: Direction, packet: &Parsed) {
        if let Some((place, cold)) = self.slots.split_mut(slot)
            && place.entry.has(Entry::COUNTED)
        {
            count(cold.into_mut(), direction, packet);
        }
    }

    /// Takes a connection out of the table while its packet is still on its way.
    fn kill(&mut self, now: Instant, slot: u32) {
        self.unlink(now, slot);
        self.lingering = self.slots.id(slot);
    }
}

/// The state of a packet of a connection.
#[inline]
const fn state_of(entry: &Entry, direction: Direction) -> CtState {
    match direction {
        Direction::Reply => CtState::Established,
        Direction::Original if entry.is(CtStatus::SEEN_REPLY) => CtState::Established,
        Direction::Original if entry.is(CtStatus::EXPECTED) => CtState::Related,
        Direction::Original => CtState::New,
    }
}

/// What the tracker says of a packet by the timeouts of the connection's own policy.
#[cold]
#[inline(never)]
fn by_policy(
    tracker: &proto::Tracker,
    seen: &Seen<'_>,
    record: &mut proto::Record<'_>,
    policy: Option<&policy::Policy>,
) -> Outcome {
    let sysctls = policy::apply(seen.sysctls, policy);
    tracker.packet(&Seen { sysctls: &sysctls, ..*seen }, record)
}

/// A connection in the table has a deadline; one that is not yet, how long it is to live.
#[inline]
fn refresh(entry: &mut Entry, now: Instant, timeout: Timeout) {
    let confirmed = entry.is(CtStatus::CONFIRMED);
    entry.deadline = if confirmed { timeout.deadline(now) } else { timeout.nanos() };
}

#[inline(never)]
fn count(cold: Option<&mut Cold>, direction: Direction, packet: &Parsed) {
    let Some(cold) = cold else { return };
    let [original, reply] = &mut cold.counters;
    let (packets, bytes) = match direction {
        Direction::Original => original,
        Direction::Reply => reply,
    };
    *packets += 1;
    *bytes += u64::from(packet.length);
}

#[inline]
fn mark_reply(entry: &mut Entry, direction: Direction, events: bool) {
    if direction == Direction::Reply && !entry.is(CtStatus::SEEN_REPLY) {
        entry.set(CtStatus::SEEN_REPLY);
        entry.pending |= if events { Changes::REPLY.0 } else { 0 };
    }
}

/// Why a packet has no tuple.
fn no_tuple(packet: &Parsed) -> Invalid {
    Invalid::new(match packet.l4 {
        L4::Fragment | L4::NoNextHeader | L4::BrokenChain => Reason::Malformed,
        _ => Reason::Short,
    })
}
