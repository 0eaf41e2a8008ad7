//! The end of a packet's walk, and the end of connections.

use crate::conn::{ConnId, CtStatus, Entry};
use crate::event::{Changes, EventKind};
use crate::table::{Drop, Table};
use crate::tuple::Direction;
use crate::{Tracked, helpers, policy, proto, timeout};
use core::time::Duration;
use keepstate_packet::{Instant, gre};

impl Table {
    /// The end of a walk that nothing has stopped (last in INPUT and POSTROUTING): confirms a new
    /// connection, and tells what the packet has changed. Where another packet has confirmed the same
    /// connection meanwhile, this one is of that connection from here on.
    ///
    /// # Errors
    /// [`Drop`] when the connection cannot be put into the table.
    #[inline]
    pub fn confirm(&mut self, now: Instant, tracked: &mut Tracked) -> Result<(), Drop> {
        let Some(conn) = tracked.conn else { return Ok(()) };
        let Some(entry) = self.slots.live(conn) else { return Ok(()) };
        let pending = Changes(entry.pending);
        if !entry.is(CtStatus::CONFIRMED) {
            // What REJECT answers carries the connection the other way, and confirms nothing.
            return match tracked.direction {
                Some(Direction::Original) => {
                    tracked.conn = Some(self.insert(now, conn)?);
                    Ok(())
                }
                _ => Ok(()),
            };
        }
        if pending.0 != 0 {
            self.tell_pending(now, conn, EventKind::Update, Changes(0));
        }
        Ok(())
    }

    /// Forgets the connection of a packet that was dropped, if the packet was its first. To be
    /// called for every packet that is dropped after [`Table::track_in`].
    #[inline]
    pub fn discard(&mut self, now: Instant, tracked: &Tracked) {
        let Some(conn) = tracked.conn else { return };
        if self.slots.live(conn).is_some_and(|entry| !entry.is(CtStatus::CONFIRMED)) {
            self.forget(now, conn.slot);
        }
    }

    /// Puts an unconfirmed connection into the index. The connection that is there then: another
    /// one where that was first.
    fn insert(&mut self, now: Instant, conn: ConnId) -> Result<ConnId, Drop> {
        let taken = self.taken(conn);
        if taken != [None, None] {
            return self.clash(now, conn, taken);
        }
        self.enter(now, conn)?;
        let Some(entry) = self.slots.live_mut(conn) else { return Ok(conn) };
        entry.deadline = now.0.wrapping_add(entry.deadline);
        let news = match (entry.has(Entry::EXPECTED), entry.has(Entry::HELPED)) {
            (false, false) => Changes::NEW,
            (false, true) => Changes::NEW | Changes::HELPER,
            (true, false) => Changes::RELATED,
            (true, true) => Changes::RELATED | Changes::HELPER,
        };
        if self.sysctls.timestamp
            && let Some(cold) = self.slots.cold_mut(conn.slot)
        {
            cold.started = now.0;
        }
        self.statistics.insert += 1;
        self.tell_pending(now, conn, EventKind::New, news);
        Ok(conn)
    }

    /// Enters a connection under its hashes.
    fn enter(&mut self, now: Instant, conn: ConnId) -> Result<(), Drop> {
        let [original, reply] = self.hashes(conn.slot);
        for hash in [original, reply].into_iter().flatten() {
            if !self.index.insert(hash, conn.slot) {
                original.into_iter().for_each(|hash| self.index.remove(hash, conn.slot));
                self.statistics.insert_failed += 1;
                self.forget(now, conn.slot);
                return Err(Drop::TableFull);
            }
        }
        if let Some(entry) = self.slots.live_mut(conn) {
            entry.set(CtStatus::CONFIRMED);
        }
        Ok(())
    }

    /// The confirmed connections that have the tuples of this one.
    fn taken(&self, conn: ConnId) -> [Option<u32>; 2] {
        let (Some(entry), Some(cold)) = (self.slots.live(conn), self.slots.cold(conn.slot)) else {
            return [None, None];
        };
        let [Some(original), reply] = self.hashes(conn.slot) else { return [None, None] };
        let of = |hash, tuple| self.search_hash(hash, tuple, entry.zone).map(|(slot, _)| slot);
        [of(original, &entry.tuple), of(reply.unwrap_or(original), &cold.reply)]
    }

    /// Two first packets were on their way at once that take each other's place. Of protocols that
    /// can do without a connection for each, the later packet joins the connection of the earlier
    /// when that is the same one, in either direction. When only the original tuple is taken, it
    /// gets a connection that is there for its answers, not listed and for a second. All else is
    /// lost.
    fn clash(
        &mut self,
        now: Instant,
        conn: ConnId,
        [original, reply]: [Option<u32>; 2],
    ) -> Result<ConnId, Drop> {
        let may_join = |entry: &Entry| proto::tracker(entry.tuple.protocol).may_join;
        if self.slots.live(conn).is_some_and(may_join) {
            let joined = original.filter(|slot| self.is_same(conn.slot, *slot));
            if let Some(joined) = joined.and_then(|slot| self.slots.id(slot)) {
                self.join(now, conn, joined);
                return Ok(joined);
            }
            if reply.is_none() {
                self.wait_for_answers(now, conn)?;
                return Ok(conn);
            }
        }
        self.forget(now, conn.slot);
        self.statistics.insert_failed += 1;
        self.statistics.drop += 1;
        Err(Drop::Clash)
    }

    /// Whether two connections have the same tuples in the same zones, or each what the other has in
    /// the other direction.
    fn is_same(&self, a: u32, b: u32) -> bool {
        let tuples = |slot| {
            let (entry, cold) = (self.slots.entry(slot)?, self.slots.cold(slot)?);
            let zone = |direction| entry.zone.id_in(direction);
            let original = (entry.tuple, zone(Direction::Original));
            Some([original, (cold.reply, zone(Direction::Reply))])
        };
        let (Some(a), Some(b)) = (tuples(a), tuples(b)) else { return false };
        a == b || a == [b[1], b[0]]
    }

    /// Has the packet of an unconfirmed connection count for a confirmed one.
    fn join(&mut self, now: Instant, conn: ConnId, joined: ConnId) {
        let counted = self.slots.cold(conn.slot).map(|cold| cold.counters);
        self.forget(now, conn.slot);
        self.statistics.clash_resolve += 1;
        if let (Some((place, cold)), Some(counted)) = (self.slots.all_mut(joined.slot), counted)
            && place.entry.has(Entry::COUNTED)
        {
            let all = cold.counters.iter_mut().zip(counted);
            all.for_each(|(to, from)| *to = (to.0 + from.0, to.1 + from.1));
        }
    }

    /// Enters an unconfirmed connection for its answers alone.
    fn wait_for_answers(&mut self, now: Instant, conn: ConnId) -> Result<(), Drop> {
        if let Some(entry) = self.slots.live_mut(conn) {
            entry.flags |= Entry::TRANSLATED;
            entry.set(CtStatus::NAT_CLASH | CtStatus::FIXED_TIMEOUT);
            entry.deadline = now.plus(ANSWERS_WITHIN).0;
        }
        self.enter(now, conn)?;
        self.statistics.clash_resolve += 1;
        Ok(())
    }

    fn tell_pending(&mut self, now: Instant, conn: ConnId, kind: EventKind, more: Changes) {
        let Some(entry) = self.slots.live_mut(conn) else { return };
        let changes = Changes(core::mem::take(&mut entry.pending)) | more;
        if !entry.is(CtStatus::DYING) {
            self.tell(now, conn, kind, changes);
        }
    }

    /// Removes at most `budget` connections that have expired, looking at no more than
    /// [`EXPIRE_LOOKS`] times as many, and the expectations whose time is up. The next call goes
    /// on where this one ends. Returns how many are gone.
    ///
    /// After a packet was dropped because the table was full, one round also takes connections that
    /// are not ASSURED or are closing, as long as the table is [`CROWDED_PERCENT`] full.
    pub fn expire(&mut self, now: Instant, budget: usize) -> usize {
        self.expire_expectations(now);
        let mut gone = 0;
        let looks = budget.saturating_mul(EXPIRE_LOOKS).min(self.slots.len() as usize);
        for _ in 0..looks {
            if gone == budget {
                break;
            }
            let slot = if self.sweep < self.slots.len() { self.sweep } else { 0 };
            self.sweep = slot + 1;
            let gives_way = self.pressed > 0 && self.is_crowded() && self.gives_way(slot);
            self.pressed = self.pressed.saturating_sub(1);
            if gives_way || self.has_expired(now, slot) {
                self.destroy(now, slot);
                gone += 1;
            }
        }
        gone
    }

    fn is_crowded(&self) -> bool {
        let max = self.sysctls.max as usize;
        max != 0 && self.slots.count() >= max / 100 * CROWDED_PERCENT
    }

    fn gives_way(&self, slot: u32) -> bool {
        self.slots.entry(slot).is_some_and(|entry| {
            let listed = entry.is(CtStatus::CONFIRMED) && !entry.is(CtStatus::DYING);
            let closing = proto::is_closing(entry.tuple.protocol, entry.state);
            entry.has(Entry::LIVE) && listed && (closing || !entry.is(CtStatus::ASSURED))
        })
    }

    fn has_expired(&self, now: Instant, slot: u32) -> bool {
        self.slots.entry(slot).is_some_and(|entry| {
            let listed = entry.is(CtStatus::CONFIRMED) && !entry.is(CtStatus::DYING);
            entry.has(Entry::LIVE) && listed && timeout::expired(entry.deadline, now)
        })
    }

    /// Removes a connection (`conntrack -D`). False when it has gone before.
    pub fn delete(&mut self, now: Instant, conn: ConnId) -> bool {
        let there = self.is_confirmed(conn);
        if there {
            self.destroy(now, conn.slot);
        }
        there
    }

    /// Removes every connection (`conntrack -F`), oldest first.
    pub fn flush(&mut self, now: Instant) -> usize {
        if let Some(conn) = self.lingering.take() {
            self.forget(now, conn.slot);
        }
        let all = self.standing(None);
        all.iter().filter(|conn| self.delete(now, **conn)).count()
    }

    /// What a TCP reset made by REJECT (`--reject-with tcp-reset`) does to the connection whose
    /// packet it answers: it is closed.
    pub fn reset(&mut self, now: Instant, tracked: &Tracked) {
        use crate::proto::tcp::{self, State};
        let Some(conn) = tracked.conn else { return };
        let events = self.events.is_on();
        if self.slots.live(conn).is_none() {
            return;
        }
        let Some((place, cold)) = self.slots.all_mut(conn.slot) else { return };
        let entry = &mut place.entry;
        if entry.tuple.protocol != keepstate_packet::tcp::PROTOCOL || !entry.is(CtStatus::CONFIRMED)
        {
            return;
        }
        let own;
        let mut sysctls = &self.sysctls;
        if entry.has(Entry::TIMED) {
            own = policy::apply(sysctls, self.policies.get(usize::from(cold.policy)));
            sysctls = &own;
        }
        let Some(accept) = tcp::rejected(sysctls, State::of(entry.state)) else { return };
        entry.state = accept.state as u8;
        if let Some(timeout) = accept.timeout.filter(|_| !entry.is(CtStatus::FIXED_TIMEOUT)) {
            entry.deadline = timeout.deadline(now);
        }
        if events {
            entry.pending |= Changes::PROTOINFO.0;
        }
    }

    /// Takes a confirmed connection out of the table and frees its slot.
    pub(crate) fn destroy(&mut self, now: Instant, slot: u32) {
        self.unlink(now, slot);
        self.forget(now, slot);
    }

    /// Takes a confirmed connection out of the table. Its slot, and what is remembered beside it, is
    /// still there for the rules that its last packet has before it: [`Self::forget`] frees them.
    pub(crate) fn unlink(&mut self, now: Instant, slot: u32) {
        let Some(conn) = self.slots.id(slot) else { return };
        let hashes = self.hashes(slot);
        if let Some(entry) = self.slots.entry_mut(slot) {
            entry.set(CtStatus::DYING);
        }
        self.tell(now, conn, EventKind::Destroy, Changes::DESTROY);
        if self.is_helped(conn) {
            helpers::ended(self, now, conn);
        }
        for hash in hashes.into_iter().flatten() {
            self.index.remove(hash, slot);
        }
        self.forget_expectations(now, conn);
    }

    /// Frees the slot of a connection that is not in the table, and what is remembered beside it. A
    /// first packet may have announced something, though it never confirmed the connection.
    pub(crate) fn forget(&mut self, now: Instant, slot: u32) {
        if let Some(conn) = self.slots.id(slot) {
            self.forget_expectations(now, conn);
            self.forget_beside(conn);
        }
        self.forget_source(slot);
        self.slots.remove(slot);
    }

    fn forget_beside(&mut self, conn: ConnId) {
        let Some(entry) = self.slots.live(conn) else { return };
        let (helped, expected) = (entry.has(Entry::HELPED), entry.has(Entry::EXPECTED));
        let is_gre = entry.tuple.protocol == gre::PROTOCOL;
        let (shifted, proxied) = (entry.is(CtStatus::SEQ_ADJUST), entry.has(Entry::PROXIED));
        if shifted {
            self.shifts.remove(&conn);
        }
        if proxied {
            self.proxied.remove(&conn);
        }
        if helped {
            self.helped.remove(&conn);
        }
        if expected
            && let Some(master) = self.masters.remove(&conn)
            && is_gre
        {
            // Even one that was never confirmed takes the keys of its control connection with it.
            helpers::pptp::unmap_keys(self, master.conn);
        }
    }
}

/// How long a connection waits for answers whose original tuple another one has.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How full of `nf_conntrack_max` the table has to be for connections to give way before their time.
pub const CROWDED_PERCENT: usize = 95;

/// Slots that [`Table::expire`] looks at for each connection that it may remove.
pub const EXPIRE_LOOKS: usize = 16;
