//! Who is where on the links: the neighbour table of both families, with the states and times of RFC
//! 4861 (7.3.2), which Linux uses for ARP as well.
//!
//! A neighbour that is not known is asked for: [`SOLICITATIONS_MAX`] times, a second apart; packets
//! for it wait. One that was heard to answer is reachable for half a minute or so. After that packets
//! still go to where it was, and when it has not been heard five seconds after the first of them, it
//! is asked itself. Whoever does not answer is forgotten and the senders of what waited are told.
//!
//! Whoever may send on a link can say anything about its addresses. So every neighbour has a bounded
//! number of packets that wait, the table has a bounded number of neighbours, and those that nobody has
//! ever heard of are a bounded part of it, which a scan fills without driving out the others.

use super::Hardware;
use keepstate_engine::InterfaceIndex;
use keepstate_packet::{Address, Family, Instant};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// Most neighbours that are known or asked for.
pub const NEIGHBOURS_MAX: usize = 8192;
/// Most of them that have not answered yet.
pub const INCOMPLETE_MAX: usize = 512;
/// Where there are as many, one gives way to a new one after this time.
pub const INCOMPLETE_AGE_MIN: Duration = Duration::from_millis(100);
/// Most packets that wait for one neighbour; the oldest give way.
pub const WAITING_MAX: usize = 64;
/// Most bytes that wait for all neighbours together; what comes beyond is lost.
pub const WAITING_BYTES_MAX: usize = 8 << 20;
/// Most neighbours that are looked at for one that can give way to a new one.
pub const LOOKS_MAX: usize = 32;
/// How often a neighbour is asked for before it counts as not there (`MAX_MULTICAST_SOLICIT`,
/// `MAX_UNICAST_SOLICIT`).
pub const SOLICITATIONS_MAX: u8 = 3;
/// Between two questions (`RETRANS_TIMER`).
pub const RETRANSMIT: Duration = Duration::from_secs(1);
/// From the first packet to where a neighbour was until it is asked itself
/// (`DELAY_FIRST_PROBE_TIME`).
pub const DELAY: Duration = Duration::from_secs(5);
/// Half of it at least, one and a half times at most, counts a neighbour as reachable that has
/// answered (`REACHABLE_TIME`).
pub const REACHABLE: Duration = Duration::from_secs(30);
/// An answer to an ARP request does not change what another has said within this time: who answers
/// first is believed (Linux's `locktime`).
pub const LOCK: Duration = Duration::from_secs(1);

/// Whose neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// On which link.
    pub interface: InterfaceIndex,
    /// Family.
    pub family: Family,
    /// Address.
    pub address: Address,
}

/// A packet that waits for a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// What is left to do for its checksum and segmentation, counted from an Ethernet header on.
    pub offload: [u8; 10],
    /// Where it came in; `None`: this router sends it.
    pub came: Option<InterfaceIndex>,
}

/// A question to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// For whom.
    pub about: Key,
    /// To one station; `None`: to all on the link.
    pub to: Option<Hardware>,
}

/// Where a packet for a neighbour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// There.
    Known(Hardware),
    /// It waits.
    Asked(Place),
    /// There is no room for another neighbour.
    Full,
}

/// A place in the table, and which of its neighbours is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    at: u32,
    serial: u32,
}

/// What was heard about a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It answers a question of ours; `overrides`: it may be somewhere else than before.
    Answer {
        /// See above.
        overrides: bool,
    },
    /// It tells, or asks all: a neighbour that is not known stays unknown.
    News {
        /// As for an answer.
        overrides: bool,
    },
    /// It asks this router, and will be answered.
    Question,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Said by the administrator.
    Static,
    /// Asked for so many times.
    Incomplete(u8),
    /// Heard to answer.
    Reachable { until: Instant },
    /// Not heard for long.
    Stale,
    /// Used since.
    Delay,
    /// Asked itself so many times.
    Probe(u8),
}

#[derive(Debug)]
struct Neighbour {
    key: Key,
    serial: u32,
    hardware: Hardware,
    state: State,
    /// When it was asked for first, or its whereabouts changed.
    since: Instant,
    deadline: Option<Instant>,
    /// A packet went to it since it was last looked at for giving way.
    is_used: bool,
    waiting: VecDeque<Waiting>,
}

/// What the table has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Neighbours that did not answer.
    pub failed: u64,
    /// Packets lost because too many waited.
    pub overrun: u64,
    /// Packets lost because there was no room for a neighbour.
    pub full: u64,
}

/// The table.
#[derive(Debug)]
pub struct Neighbours {
    /// Places; one that is free has no neighbour.
    all: Vec<Option<Neighbour>>,
    free: Vec<u32>,
    places: HashMap<Key, u32>,
    /// When something is to be done about whom.
    deadlines: BTreeSet<(Instant, u32)>,
    /// Those that have not answered, the longest first.
    incomplete: BTreeSet<(Instant, u32)>,
    questions: Vec<Question>,
    waiting_bytes: usize,
    hand: usize,
    serial: u32,
    random: u64,
    /// What it has seen.
    pub counts: Counts,
}

impl Neighbours {
    /// An empty table; `seed` spreads the times at which neighbours are asked again.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            all: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            deadlines: BTreeSet::new(),
            incomplete: BTreeSet::new(),
            questions: Vec::new(),
            waiting_bytes: 0,
            hand: 0,
            serial: 0,
            random: seed | 1,
            counts: Counts::default(),
        }
    }

    /// Adds one that is always there; no more than [`NEIGHBOURS_MAX`] in all.
    pub fn declare(&mut self, key: Key, hardware: Hardware) {
        if let Some(place) = self.insert(Instant(0), key, hardware, State::Static) {
            self.settle(place.at, Instant(0), hardware, State::Static, None);
        }
    }

    /// Where a packet for a neighbour goes, and for the next one the place to look at first.
    pub fn find(&mut self, now: Instant, key: Key) -> (Whereabouts, Place) {
        if let Some(at) = self.places.get(&key).copied() {
            let serial = self.neighbour(at).map_or(0, |neighbour| neighbour.serial);
            let place = Place { at, serial };
            return (self.at(now, place).unwrap_or(Whereabouts::Full), place);
        }
        if !self.has_room_for_unknown(now) {
            self.counts.full += 1;
            return (Whereabouts::Full, Place::default());
        }
        match self.insert(now, key, [0; 6], State::Incomplete(1)) {
            Some(place) => {
                self.questions.push(Question { about: key, to: None });
                (Whereabouts::Asked(place), place)
            }
            None => {
                self.counts.full += 1;
                (Whereabouts::Full, Place::default())
            }
        }
    }

    /// The same for a place that was found before; `None` when another neighbour is there now.
    #[inline]
    pub fn at(&mut self, now: Instant, place: Place) -> Option<Whereabouts> {
        let neighbour = self.all.get_mut(place.at as usize)?.as_mut()?;
        if neighbour.serial != place.serial {
            return None;
        }
        neighbour.is_used = true;
        let known = Whereabouts::Known(neighbour.hardware);
        match neighbour.state {
            State::Static | State::Delay | State::Probe(_) => Some(known),
            State::Reachable { until } if now < until => Some(known),
            State::Incomplete(_) => Some(Whereabouts::Asked(place)),
            State::Reachable { .. } | State::Stale => {
                let (hardware, since) = (neighbour.hardware, neighbour.since);
                self.settle(place.at, since, hardware, State::Delay, Some(now.plus(DELAY)));
                Some(known)
            }
        }
    }

    /// Has a packet wait.
    pub fn wait(&mut self, place: Place, packet: Waiting) {
        let Some(neighbour) = self.all.get_mut(place.at as usize).and_then(Option::as_mut) else {
            return;
        };
        if neighbour.waiting.len() >= WAITING_MAX
            && let Some(oldest) = neighbour.waiting.pop_front()
        {
            self.waiting_bytes -= oldest.bytes.len();
            self.counts.overrun += 1;
        }
        if self.waiting_bytes + packet.bytes.len() > WAITING_BYTES_MAX {
            self.counts.overrun += 1;
            return;
        }
        self.waiting_bytes += packet.bytes.len();
        neighbour.waiting.push_back(packet);
    }

    /// Takes note of what was heard about a neighbour; gives what waited for it.
    pub fn hear(
        &mut self,
        now: Instant,
        key: Key,
        hardware: Option<Hardware>,
        said: Said,
    ) -> VecDeque<Waiting> {
        let Some(at) = self.places.get(&key).copied() else {
            if let (Said::Question, Some(hardware)) = (said, hardware) {
                self.insert(now, key, hardware, State::Stale);
            }
            return VecDeque::new();
        };
        let Some(neighbour) = self.neighbour(at) else { return VecDeque::new() };
        let (before, state, since) = (neighbour.hardware, neighbour.state, neighbour.since);
        let reachable = State::Reachable { until: now.plus(self.reachable_time()) };
        let new = hardware.unwrap_or(before);
        let (state, since, deadline) = match (state, said) {
            (State::Static, _) => return VecDeque::new(),
            (State::Incomplete(_), _) if hardware.is_none() => return VecDeque::new(),
            (State::Incomplete(_), Said::Answer { .. }) => (reachable, now, None),
            (State::Incomplete(_), _) => (State::Stale, now, None),
            // Somebody else says that it is there; once may be a mistake, so it is asked next time.
            (_, Said::Answer { overrides: false } | Said::News { overrides: false })
                if new != before =>
            {
                return self.doubt(at, now);
            }
            (_, Said::Answer { .. }) => (reachable, if new == before { since } else { now }, None),
            (_, Said::News { .. } | Said::Question) if new != before => (State::Stale, now, None),
            (_, Said::News { .. } | Said::Question) => return VecDeque::new(),
        };
        self.settle(at, since, new, state, deadline);
        self.take_waiting(at)
    }

    /// What two say of a neighbour that counts as reachable: it does so no longer.
    fn doubt(&mut self, at: u32, now: Instant) -> VecDeque<Waiting> {
        if let Some(neighbour) = self.neighbour(at)
            && matches!(neighbour.state, State::Reachable { until } if now < until)
        {
            let (hardware, since) = (neighbour.hardware, neighbour.since);
            self.settle(at, since, hardware, State::Stale, None);
        }
        VecDeque::new()
    }

    /// Forgets the neighbours on a link but those that are always there, and what waits for them.
    pub fn forget(&mut self, interface: InterfaceIndex) {
        for at in 0..self.all.len() as u32 {
            let goes =
                |one: &Neighbour| one.key.interface == interface && one.state != State::Static;
            if self.neighbour(at).is_some_and(goes) {
                self.remove(at);
            }
        }
    }

    /// Whether what is known of a neighbour is so new that an ARP reply does not change it.
    #[must_use]
    pub fn is_locked(&self, now: Instant, key: Key) -> bool {
        let neighbour = self.places.get(&key).and_then(|at| self.neighbour(*at));
        neighbour.is_some_and(|one| {
            !matches!(one.state, State::Incomplete(_)) && now < one.since.plus(LOCK)
        })
    }

    /// Lets time pass: asks again, and gives up; gives what had waited in vain.
    pub fn expire(&mut self, now: Instant, in_vain: &mut Vec<Waiting>) {
        while let Some((deadline, at)) = self.deadlines.first().copied()
            && deadline <= now
        {
            let Some(neighbour) = self.neighbour(at) else {
                self.deadlines.pop_first();
                continue;
            };
            let (key, hardware, since) = (neighbour.key, neighbour.hardware, neighbour.since);
            let next = Some(now.plus(RETRANSMIT));
            let (state, to) = match neighbour.state {
                State::Incomplete(SOLICITATIONS_MAX) | State::Probe(SOLICITATIONS_MAX) => {
                    self.counts.failed += 1;
                    in_vain.extend(self.remove(at));
                    continue;
                }
                State::Incomplete(count) => (State::Incomplete(count + 1), None),
                State::Probe(count) => (State::Probe(count + 1), Some(hardware)),
                State::Delay => (State::Probe(1), Some(hardware)),
                state @ (State::Static | State::Reachable { .. } | State::Stale) => {
                    self.settle(at, since, hardware, state, None);
                    continue;
                }
            };
            self.settle(at, since, hardware, state, next);
            self.questions.push(Question { about: key, to });
        }
    }

    /// The next time at which [`Neighbours::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the questions that are to be sent.
    pub fn take_questions(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.questions)
    }

    /// How many neighbours there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn neighbour(&self, at: u32) -> Option<&Neighbour> {
        self.all.get(at as usize)?.as_ref()
    }

    /// Puts a neighbour into a state.
    fn settle(
        &mut self,
        at: u32,
        since: Instant,
        hardware: Hardware,
        state: State,
        deadline: Option<Instant>,
    ) {
        let Some(neighbour) = self.all.get_mut(at as usize).and_then(Option::as_mut) else {
            return;
        };
        if matches!(neighbour.state, State::Incomplete(_)) && !matches!(state, State::Incomplete(_))
        {
            self.incomplete.remove(&(neighbour.since, at));
        }
        if let Some(before) = std::mem::replace(&mut neighbour.deadline, deadline) {
            self.deadlines.remove(&(before, at));
        }
        self.deadlines.extend(deadline.map(|deadline| (deadline, at)));
        (neighbour.since, neighbour.hardware, neighbour.state) = (since, hardware, state);
    }

    /// Makes room for one that nobody has heard of yet.
    fn has_room_for_unknown(&mut self, now: Instant) -> bool {
        if self.incomplete.len() < INCOMPLETE_MAX {
            return true;
        }
        match self.incomplete.first().copied() {
            Some((since, at)) if since.plus(INCOMPLETE_AGE_MIN) <= now => {
                self.counts.full += self.remove(at).len() as u64;
                true
            }
            _ => false,
        }
    }

    fn insert(
        &mut self,
        now: Instant,
        key: Key,
        hardware: Hardware,
        state: State,
    ) -> Option<Place> {
        if let Some(at) = self.places.get(&key).copied() {
            let serial = self.neighbour(at)?.serial;
            return Some(Place { at, serial });
        }
        if self.places.len() >= NEIGHBOURS_MAX && !self.give_way() {
            return None;
        }
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.all.push(None);
                self.all.len() as u32 - 1
            }
        };
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let deadline = match state {
            State::Incomplete(_) => Some(now.plus(RETRANSMIT)),
            _ => None,
        };
        if deadline.is_some() {
            self.incomplete.insert((now, at));
        }
        self.deadlines.extend(deadline.map(|deadline| (deadline, at)));
        self.places.insert(key, at);
        let (since, is_used, waiting) = (now, false, VecDeque::new());
        let neighbour =
            Neighbour { key, serial, hardware, state, since, deadline, is_used, waiting };
        *self.all.get_mut(at as usize)? = Some(neighbour);
        Some(Place { at, serial })
    }

    /// Has a neighbour that no packet went to lately give way.
    fn give_way(&mut self) -> bool {
        let mut last = None;
        for _ in 0..LOOKS_MAX.min(self.all.len()) {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.all.len();
            let Some(neighbour) = self.all.get_mut(at).and_then(Option::as_mut) else { continue };
            match neighbour.state {
                State::Static | State::Incomplete(_) => {}
                _ if !neighbour.is_used => {
                    self.remove(at as u32);
                    return true;
                }
                _ => {
                    neighbour.is_used = false;
                    last = Some(at as u32);
                }
            }
        }
        last.map(|at| self.remove(at)).is_some()
    }

    fn remove(&mut self, at: u32) -> VecDeque<Waiting> {
        let waiting = self.take_waiting(at);
        if let Some(gone) = self.all.get_mut(at as usize).and_then(Option::take) {
            self.places.remove(&gone.key);
            self.incomplete.remove(&(gone.since, at));
            if let Some(deadline) = gone.deadline {
                self.deadlines.remove(&(deadline, at));
            }
            self.free.push(at);
        }
        waiting
    }

    fn take_waiting(&mut self, at: u32) -> VecDeque<Waiting> {
        let neighbour = self.all.get_mut(at as usize).and_then(Option::as_mut);
        let waiting = neighbour.map(|one| std::mem::take(&mut one.waiting)).unwrap_or_default();
        self.waiting_bytes -= waiting.iter().map(|packet| packet.bytes.len()).sum::<usize>();
        waiting
    }

    /// Drawn anew each time, so that a router's questions do not come all at once.
    fn reachable_time(&mut self) -> Duration {
        // xorshift (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let span = REACHABLE.as_millis() as u64;
        Duration::from_millis(span / 2 + self.random % (span + 1))
    }
}

#[cfg(test)]
mod tests;
