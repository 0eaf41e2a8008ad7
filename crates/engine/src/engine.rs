//! The engine: sans-IO. Packets, the time and the seed go in by argument; packets to send, events
//! and the next deadline are polled.

pub(crate) mod room;

mod host;
mod own;
mod pieces;
mod sets;

use crate::{
    answer::Report,
    cause::Cause,
    command::{Command, CommandError, Reply},
    defrag::{Defrag, Expired},
    event::{Event, Timer},
    helped,
    receive::{self, Refused},
    recorder::Recorder,
    route::{Forwarding, Host, InterfaceIndex},
    routing::Routing,
    rules::{Rules, RulesByFamily},
    tracking::{self, Tracking},
    transmit::{Bounded, TRANSMITS_MAX, Transmit},
    walk::{self, Meets, Stop, Walk},
};
use alloc::{vec, vec::Vec};
use core::time::Duration;
use keepstate_conntrack::table::Prepared;
use keepstate_conntrack::{self as conntrack, Hook, Sysctls, Tracked, Zone};
use keepstate_packet::{Family, Instant, LinkInfo, Malformed, Parsed};
use keepstate_ruleset::{
    evaluate::{Decision, Logged, Stores, TableState},
    model::{ChainIndex, Ruleset, TableName},
    targets::synproxy::cookies::{Cookies, Foretold},
};

/// Most packets that [`Engine::handle_batch`] walks abreast; a longer slice is taken in pieces.
pub const BATCH_MAX: usize = 256;

/// Most log lines and messages that wait to be polled; what is logged beyond is lost and counted.
pub const LOG_LINES_MAX: usize = 4096;

/// Most connections that one [`Engine::handle_timeout`] removes.
pub const EXPIRED_MAX: usize = 256;

/// How often time wants to be let pass while there are connections. One that has expired is never
/// found again, swept or not; sweeping tells of its end and frees its place.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// A packet going in.
#[derive(Debug)]
pub struct Packet<'a> {
    /// From the IP header on; rewritten in place.
    pub bytes: &'a mut [u8],
    /// Where it came in; `None`: the host itself sends it.
    pub interface: Option<InterfaceIndex>,
    /// Family that the link layer names, where it names one: a packet of the other version is
    /// malformed ([`keepstate_packet::Parsed::of_family`]).
    pub family: Option<Family>,
    /// What the link layer says of it.
    pub link: LinkInfo,
    /// The packet's mark.
    pub mark: u32,
}

/// A match of a rule whose answer is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMatch {
    /// Table.
    pub table: TableName,
    /// Chain.
    pub chain: ChainIndex,
    /// Number of the rule, from 0.
    pub rule: u32,
    /// Number of the match in it, from 1.
    pub number: u32,
    /// The packet's verdict is the same whatever the answer were.
    pub is_settled: bool,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves, or reaches the host.
    Accept,
    /// It does not.
    Drop,
    /// It does not, and its sender was told.
    Reject,
    /// Given to user space.
    Queue,
    /// Kept by a stage.
    Stolen,
    /// A fragment, held until the others have come.
    Held,
}

/// What a rule decided, or a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyOrRule {
    /// Table.
    pub table: TableName,
    /// Chain and number.
    pub decision: Decision,
}

/// Where the packet leaves: its first `length` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Way out.
    pub interface: InterfaceIndex,
    /// Bytes of the packet.
    pub length: u32,
}

/// One packet's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// Verdict.
    pub verdict: Verdict,
    /// Why it was dropped, when not by a rule.
    pub cause: Option<Cause>,
    /// Last hook traversed.
    pub hook: Option<Hook>,
    /// What tracking said; `None` when it was dropped before.
    pub tracked: Option<Tracked>,
    /// What decided: the rule or policy that dropped it, or else of the last table with a chain
    /// in the last hook, the filter table before the others.
    pub rule: Option<PolicyOrRule>,
    /// The first match of its way of which nobody knows what it would say: the fact it asks for is
    /// neither in the packet nor in the host model. The walk went on as if its rule did not match.
    pub unknown: Option<UnknownMatch>,
    /// The packet's mark when its way ended.
    pub mark: u32,
    /// Where it leaves; `None` when dropped or delivered to the host, and when it completed a
    /// datagram or was cut: the pieces are polled ([`crate::transmit::Origin::Forwarded`]).
    pub output: Option<Output>,
}

impl Disposition {
    /// Of a packet that is dropped before any hook.
    const fn dropped(cause: Cause) -> Self {
        Self {
            verdict: Verdict::Drop,
            cause: Some(cause),
            hook: None,
            tracked: None,
            rule: None,
            unknown: None,
            mark: 0,
            output: None,
        }
    }

    /// Whether the packet has reached the host itself.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.verdict == Verdict::Accept && self.hook == Some(Hook::Input)
    }

    /// The stable reason code: of a drop not made by a rule, else of an INVALID packet.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let invalid = self.tracked.and_then(|tracked| tracked.invalid);
        self.cause.map(Cause::code).or_else(|| invalid.map(|invalid| invalid.reason.code()))
    }
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    routing: Routing,
    defrag: Defrag,
    conntrack: conntrack::Table,
    rules: RulesByFamily,
    stores: Stores,
    /// What [`Self::stores`] begins with.
    seed: [u64; 2],
    /// What [`Self::stores`] begins with.
    provided: sets::Provided,
    tracking: Tracking,
    tracked: tracking::Tracked,
    pub(crate) transmits: Bounded<Transmit>,
    log: Bounded<Logged>,
    /// What rules wrote in the walk that is under way.
    lines: Vec<Logged>,
    cause_counts: [u64; Cause::ALL.len()],
    /// Room for the batch that is under way: [`BATCH_MAX`] slots.
    batch: Vec<Slot>,
    /// Buffers for packets that become longer on their way.
    pub(crate) spares: Vec<Vec<u8>>,
    /// How many of them the last walk did not use.
    pub(crate) spares_left: usize,
    /// When time was last let pass.
    swept: Instant,
}

/// What rules share, as it begins.
fn stores(seed: [u64; 2]) -> Stores {
    Stores { cookies: Cookies::new(seed), ..Stores::new(seed[0] ^ seed[1]) }
}

/// A packet of a batch.
#[derive(Clone, Debug)]
struct Slot {
    parsed: Result<Parsed, Malformed>,
    /// The look-up of its connection, begun; left over from an earlier batch when the packet is
    /// malformed, and then not used.
    prepared: Option<Prepared>,
}

/// How a packet came to its walk.
enum Came<'p> {
    /// In one piece, and with its look-up when that was begun with those of a batch.
    Whole(Option<&'p Prepared>),
    /// In pieces, the largest of so many bytes.
    InPieces(u32),
}

impl Engine {
    /// An engine with an empty connection table. At most one rule set a family: a later one takes
    /// the place of an earlier one.
    #[must_use]
    pub fn new(seed: [u64; 2], host: Host, sysctls: Sysctls, rulesets: Vec<Ruleset>) -> Self {
        let mut engine = Self {
            routing: Routing::new(host),
            defrag: Defrag::default(),
            conntrack: conntrack::Table::new(seed, sysctls),
            rules: RulesByFamily::default(),
            stores: stores(seed),
            seed,
            provided: sets::Provided::default(),
            tracking: Tracking::default(),
            tracked: tracking::Tracked::ALL,
            transmits: Bounded::new(TRANSMITS_MAX),
            log: Bounded::new(LOG_LINES_MAX),
            lines: Vec::new(),
            cause_counts: [0; Cause::ALL.len()],
            batch: vec![Slot { parsed: Err(Malformed::Short), prepared: None }; BATCH_MAX],
            spares: vec![Vec::new(); helped::SPARES],
            spares_left: helped::SPARES,
            swept: Instant::default(),
        };
        for ruleset in rulesets {
            engine.replace_ruleset(ruleset);
        }
        engine
    }

    /// Begins anew, as if no packet had ever come and no time had passed: no connection, no fragment,
    /// nothing to poll, every counter as [`Self::new`] left it. The host, the rule sets, the sysctls and
    /// what is tracked stay as they are now; a [`conntrack::ConnId`] from before means nothing any more. It costs little
    /// beside [`Self::new`] when `nf_conntrack_max` is small.
    pub fn restart(&mut self) {
        let Self {
            routing: _,
            defrag,
            conntrack,
            rules,
            stores,
            seed,
            provided,
            tracking: _,
            tracked: _,
            transmits,
            log,
            lines,
            cause_counts,
            batch: _,
            spares: _,
            spares_left: _,
            swept,
        } = self;
        *defrag = Defrag::default();
        conntrack.restart();
        rules.restart();
        *stores = self::stores(*seed);
        stores.sets = provided.sets.clone();
        stores.accounts = provided.accounts.clone();
        stores.fingerprints = provided.fingerprints.clone();
        stores.declare(rules.rulesets());
        *transmits = Bounded::new(TRANSMITS_MAX);
        *log = Bounded::new(LOG_LINES_MAX);
        lines.clear();
        *cause_counts = [0; Cause::ALL.len()];
        *swept = Instant::default();
    }

    /// Stands on another host from now on; to begin anew there is [`Self::restart`].
    pub fn set_host(&mut self, host: Host) {
        self.routing = Routing::new(host);
    }

    /// The connection table.
    #[must_use]
    pub fn conntrack(&self) -> &conntrack::Table {
        &self.conntrack
    }

    /// The connection table, to change its sysctls or entries between packets.
    pub fn conntrack_mut(&mut self) -> &mut conntrack::Table {
        &mut self.conntrack
    }

    /// Sets which packets are tracked; all are, unless this says otherwise.
    pub fn set_tracking(&mut self, tracking: Tracking) {
        self.tracking = tracking;
        self.settle_tracking();
    }

    /// Whether packets of a family are tracked now.
    #[must_use]
    pub fn is_tracking(&self, family: Family) -> bool {
        self.tracked.has(family)
    }

    /// The rule set of a family.
    #[must_use]
    pub fn ruleset(&self, family: Family) -> Option<&Ruleset> {
        self.rules.of(family).map(Rules::ruleset)
    }

    /// Counters of a table's chains.
    #[must_use]
    pub fn table_state(&self, family: Family, table: TableName) -> Option<&TableState> {
        self.rules.of(family)?.state(table)
    }

    /// Has SYNPROXY answer the next packet, should it be a SYN for it, as somebody else has: for
    /// comparisons, which cannot know the keys of the others' cookies.
    pub fn foretell_cookie(&mut self, foretold: Option<Foretold>) {
        self.stores.cookies.foretell(foretold);
    }

    /// Packets dropped for each cause, in the order of [`Cause::ALL`].
    #[must_use]
    pub fn cause_counts(&self) -> &[u64; Cause::ALL.len()] {
        &self.cause_counts
    }

    /// Packets to send and log lines that were lost because nobody polled.
    #[must_use]
    pub fn lost_counts(&self) -> (u64, u64) {
        (self.transmits.lost_count(), self.log.lost_count())
    }

    /// Walks one packet through its hooks.
    pub fn handle_packet(&mut self, now: Instant, packet: Packet<'_>) -> Disposition {
        self.handle_packet_recorded(now, packet, &mut ())
    }

    /// The same, with every step told to `recorder`.
    pub fn handle_packet_recorded<R: Recorder>(
        &mut self,
        now: Instant,
        mut packet: Packet<'_>,
        recorder: &mut R,
    ) -> Disposition {
        let mut parsed = receive::parse(packet.bytes, packet.family);
        self.act(now, &mut packet, &mut parsed, None, 0, recorder)
    }

    /// Walks a batch, abreast: each stage is taken by all packets before the next one begins, so
    /// that their cache misses overlap. The results, appended to `out`, are those of one by one.
    pub fn handle_batch(
        &mut self,
        now: Instant,
        packets: &mut [Packet<'_>],
        out: &mut Vec<Disposition>,
    ) {
        self.handle_batch_at(|_| now, packets, out);
    }

    /// The same for packets of different times: `now` gives that of each by its number.
    pub fn handle_batch_at(
        &mut self,
        now: impl Fn(usize) -> Instant,
        packets: &mut [Packet<'_>],
        out: &mut Vec<Disposition>,
    ) {
        let mut answers: u32 = 0;
        let mut batch = core::mem::take(&mut self.batch);
        for piece in packets.chunks_mut(BATCH_MAX) {
            for (slot, packet) in batch.iter_mut().zip(&*piece) {
                slot.parsed = receive::parse(packet.bytes, packet.family);
            }
            for (slot, packet) in batch.iter_mut().zip(&*piece) {
                let Ok(parsed) = &slot.parsed else { continue };
                if self.tracked.has(parsed.family) {
                    slot.prepared = Some(self.conntrack.prepare(parsed, packet.bytes));
                } else {
                    slot.prepared = None;
                }
            }
            // Loops of little else, so that as many misses as the core can have are under way.
            let prepared = batch.iter().take(piece.len()).filter_map(|s| s.prepared.as_ref());
            prepared.for_each(|prepared| self.conntrack.touch_bucket(prepared));
            let prepared = batch.iter_mut().take(piece.len()).filter_map(|s| s.prepared.as_mut());
            prepared.for_each(|prepared| self.conntrack.touch_entry(prepared));
            if self.conntrack.translates() {
                let prepared = batch.iter().take(piece.len()).filter_map(|s| s.prepared.as_ref());
                prepared.for_each(|prepared| self.conntrack.touch_reply(prepared));
            }
            for (slot, packet) in batch.iter_mut().zip(piece) {
                let Slot { parsed, prepared } = slot;
                let prepared = prepared.as_ref();
                let now = now(answers as usize);
                out.push(self.act(now, packet, parsed, prepared, answers, &mut ()));
                answers += 1;
            }
        }
        self.batch = batch;
    }

    /// Inlined, as is [`Self::walk`]: results go straight to where the caller wants them.
    #[inline(always)]
    fn act<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        parsed: &mut Result<Parsed, Malformed>,
        prepared: Option<&Prepared>,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        let admitted = match parsed {
            Ok(parsed) if packet.interface.is_some() => {
                receive::admit(parsed, packet.bytes).map(|()| parsed)
            }
            Ok(parsed) => Ok(parsed),
            Err(malformed) => Err(Refused::from(*malformed)),
        };
        let disposition = match admitted {
            Ok(parsed) if parsed.fragment.is_some() && self.tracked.has(parsed.family) => {
                self.gather(now, packet, parsed, answers, recorder)
            }
            Ok(parsed) if self.wants_room(parsed) => {
                self.walk_with_room(now, packet, parsed, prepared, answers, recorder)
            }
            Ok(parsed) => {
                let came = Came::Whole(prepared);
                self.walk_whole(now, packet, parsed, came, answers, recorder)
            }
            Err(refused) => self.refuse(now, packet, refused, answers, recorder),
        };
        if let Some(cause) = disposition.cause
            && let Some(count) = self.cause_counts.get_mut(cause as usize)
        {
            *count += 1;
        }
        if !self.lines.is_empty() {
            self.lines.drain(..).for_each(|line| self.log.push(line));
        }
        disposition
    }

    /// [`Self::walk`] of a packet that leaves as it is.
    #[inline(always)]
    fn walk_whole<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        parsed: &mut Parsed,
        came: Came<'_>,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        let disposition = self.walk(now, packet, parsed, came, answers, recorder);
        match self.spares_left {
            helped::SPARES => disposition,
            _ => self.send_spared(parsed, answers, disposition),
        }
    }

    #[inline(always)]
    fn walk<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        parsed: &mut Parsed,
        came: Came<'_>,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        let interface = self.incoming(packet, parsed);
        let meets = Meets {
            routing: &self.routing,
            conntrack: &mut self.conntrack,
            is_tracking: self.tracked.has(parsed.family),
            rules: self.rules.of_mut(parsed.family).as_mut(),
            stores: &mut self.stores,
            log: &mut self.lines,
            transmits: &mut self.transmits,
            answers,
        };
        let mut walk = Walk::new(now, meets, recorder, parsed, packet.bytes);
        (walk.link, walk.mark) = (packet.link, packet.mark);
        walk.interface = interface;
        (walk.prepared, walk.largest_piece) = match came {
            Came::Whole(prepared) => (prepared, 0),
            Came::InPieces(largest) => (None, largest),
        };
        walk.spares = &mut self.spares;
        let result = walk.walk();
        self.spares_left = walk.spares.len();
        match result {
            Err(Stop::ForHost) => self.gather_for_host(now, packet, parsed, answers, recorder),
            result => walk.end(result),
        }
    }

    /// Where a packet comes in; `None` for one that the host itself sends.
    #[inline]
    fn incoming(&self, packet: &Packet<'_>, parsed: &Parsed) -> Option<InterfaceIndex> {
        let is_own =
            |_: &InterfaceIndex| self.routing.is_declared_local(parsed.family, parsed.source);
        packet.interface.filter(|interface| !is_own(interface))
    }

    /// What becomes of a packet that the IP layer refuses before any hook.
    #[cold]
    fn refuse<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        refused: Refused,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        if let (Some(stop), Some(mut parsed)) =
            (walk::stop_of(refused), receive::faulty(packet.bytes))
        {
            let meets = Meets {
                routing: &self.routing,
                conntrack: &mut self.conntrack,
                is_tracking: self.tracked.has(parsed.family),
                rules: self.rules.of_mut(parsed.family).as_mut(),
                stores: &mut self.stores,
                log: &mut self.lines,
                transmits: &mut self.transmits,
                answers,
            };
            let mut walk = Walk::new(now, meets, recorder, &mut parsed, packet.bytes);
            (walk.link, walk.mark) = (packet.link, packet.mark);
            walk.interface = packet.interface;
            return walk.end(Err(stop));
        }
        let cause = match refused {
            Refused::Silently(cause) => cause,
            Refused::ParameterProblem { .. } => Cause::Malformed,
        };
        recorder.end(Verdict::Drop, Some(cause));
        Disposition::dropped(cause)
    }

    /// Forgets datagrams whose time is up and tells their senders. Over IPv4 only the host that a
    /// datagram was for tells that it did not become whole; a bump in the wire tells nobody.
    fn expire_fragments(&mut self, now: Instant, answers: u32) {
        while let Some(Expired { first, interface, count }) = self.defrag.expire(now) {
            if let Some(counted) = self.cause_counts.get_mut(Cause::FragTimeout as usize) {
                *counted += count as u64;
            }
            let (Some(mut bytes), Some(interface)) = (first, interface) else { continue };
            let Ok(mut parsed) = Parsed::new(&bytes) else { continue };
            let is_told =
                parsed.family == Family::V6 || self.routing.is_for_host(&parsed, interface);
            if !is_told || self.host().forwarding == Forwarding::Wire {
                continue;
            }
            let report = Report::reassembly_time_exceeded(parsed.family);
            let meets = Meets {
                routing: &self.routing,
                conntrack: &mut self.conntrack,
                is_tracking: self.tracked.has(parsed.family),
                rules: self.rules.of_mut(parsed.family).as_mut(),
                stores: &mut self.stores,
                log: &mut self.lines,
                transmits: &mut self.transmits,
                answers,
            };
            let mut recorder = ();
            let mut walk = Walk::new(now, meets, &mut recorder, &mut parsed, &mut bytes);
            walk.interface = Some(interface);
            walk.end(Err(Stop::Report(Cause::FragTimeout, report)));
        }
    }

    /// Lets time pass: removes at most [`EXPIRED_MAX`] connections that have expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire_fragments(now, 0);
        if self.conntrack.expire(now, EXPIRED_MAX) < EXPIRED_MAX {
            self.swept = now;
        }
    }

    /// Swaps rule sets, flushes, deletes, lists.
    ///
    /// # Errors
    /// [`CommandError`] when there is nothing that the command could apply to.
    pub fn handle_command(
        &mut self,
        now: Instant,
        command: Command,
    ) -> Result<Reply, CommandError> {
        match command {
            Command::ReplaceRuleset(ruleset) => {
                self.replace_ruleset(*ruleset);
                Ok(Reply::Done)
            }
            Command::RemoveRuleset(family) => {
                let gone = self.rules.of_mut(family).take();
                self.settle_tracking();
                gone.map(|_| Reply::Done).ok_or(CommandError::NoRuleset)
            }
            Command::Counters(family) => {
                let rules = self.rules.of(family).ok_or(CommandError::NoRuleset)?;
                Ok(Reply::Counters(rules.counters()))
            }
            Command::Unmasquerade(interface, address) => {
                let gone = self.conntrack.forget_masqueraded(now, interface.0, address);
                Ok(Reply::Deleted(gone))
            }
            Command::Flush => Ok(Reply::Deleted(self.conntrack.flush(now))),
            Command::Delete(tuple) => {
                let found = self.conntrack.find(now, &tuple, Zone::default());
                let (conn, _) = found.ok_or(CommandError::UnknownConnection)?;
                self.conntrack.delete(now, conn);
                Ok(Reply::Deleted(1))
            }
            Command::List => {
                let all = self.conntrack.connections(now).into_iter();
                let shown =
                    all.filter_map(|conn| Some((conn, self.conntrack.snapshot(now, conn)?)));
                Ok(Reply::Connections(shown.collect()))
            }
            Command::Expect(wanted) => {
                self.conntrack.create_expectation(now, &wanted)?;
                Ok(Reply::Done)
            }
            Command::DeleteExpectation(tuple, zone) => {
                self.conntrack.delete_expectation(now, &tuple, zone)?;
                Ok(Reply::Deleted(1))
            }
            Command::FlushExpectations => {
                Ok(Reply::Deleted(self.conntrack.flush_expectations(now, None)))
            }
            Command::ListExpectations => Ok(Reply::Expectations(self.conntrack.expectations(now))),
        }
    }

    fn replace_ruleset(&mut self, ruleset: Ruleset) {
        let family = ruleset.family;
        if ruleset.needs().accounting {
            self.conntrack.sysctls_mut().acct = true;
        }
        *self.rules.of_mut(family) = Some(Rules::new(ruleset));
        self.stores.declare(self.rules.rulesets());
        self.settle_tracking();
    }

    /// What is tracked, and whether new connections have labels, hangs on the rules that are in use
    /// now.
    fn settle_tracking(&mut self) {
        let before = self.tracked;
        self.tracked = tracking::Tracked::new(self.tracking, &self.rules);
        for family in [Family::V4, Family::V6] {
            if self.tracked.has(family) && !before.has(family) {
                self.conntrack.forget_windows(family);
            }
        }
        self.conntrack.forget_counts();
        let rulesets = [Family::V4, Family::V6].into_iter().filter_map(|f| self.ruleset(f));
        let used = rulesets.map(Ruleset::needs).any(|needs| needs.labels);
        self.conntrack.set_labels_used(used);
    }

    /// What the fragments that wait count for, in bytes ([`crate::defrag::charge`]): IPv4, IPv6.
    #[must_use]
    pub fn fragment_charges(&self) -> [usize; 2] {
        self.defrag.charges()
    }

    /// Forgets all fragments that wait, and tells nobody.
    pub fn forget_fragments(&mut self) {
        self.defrag = Defrag::default();
    }

    /// The oldest packet that the engine made and that was not yet taken.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop()
    }

    /// The oldest event not yet taken; log lines after the events of connections.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.conntrack.poll_event().map(Event::Conntrack);
        event.or_else(|| self.log.pop().map(Event::from))
    }

    /// The next deadline and its reason; `None` when nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let waits = self.conntrack.count() > 0 || !self.defrag.is_empty();
        waits.then(|| (self.swept.plus(SWEEP_INTERVAL), Timer::Expiry))
    }
}
