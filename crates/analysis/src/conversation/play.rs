//! A conversation past a filter: the engine decides about each packet, the ends answer what reached them.
//!
//! What the ends say of their own accord (the reset of an end that knows no such connection) and what the
//! filter's host says (the answers of REJECT, errors of a router) goes its way, too, as far as
//! [`BROUGHT_MAX`] packets after each step.

use super::build::{build, stray};
use super::peers::{Peers, points_of, quoted_ends};
use super::{About, Content, Conversation, Due, Need, Place, Scene, Script, Step, Who};
use keepstate_conntrack::event::Snapshot;
use keepstate_conntrack::{Direction, Hook, Sysctls, Tracked};
use keepstate_engine::{
    Disposition, Engine, Event, InterfaceIndex, Origin, Packet, PolicyOrRule, UnknownMatch,
    Verdict, recorder,
};
use keepstate_packet::{Family, Instant, LinkInfo, Parsed};
use keepstate_ruleset::evaluate::{self, Looked, Traversal};
use keepstate_ruleset::model::{ChainIndex, Ruleset, TableName};
use std::net::IpAddr;
use std::time::Duration;

/// When the first packet is sent (2023-11-14 22:13:20 UTC), nanoseconds since the epoch.
const BEGIN: Instant = Instant(1_700_000_000_000_000_000);
/// Between two packets.
const APART: Duration = Duration::from_millis(10);
/// Keys the hash of the connection table: the same run every time.
const SEED: [u64; 2] = [0x6b65_6570, 0x7374_6174];
/// Connections that the engine of a conversation may keep.
const CONNECTIONS_MAX: u32 = 1024;

/// Most packets that one step brings about.
pub const BROUGHT_MAX: usize = 8;

/// A conversation that was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// What became of each step.
    pub steps: Vec<StepPlayed>,
    /// What became of all of it.
    pub fate: Fate,
}

/// What became of a conversation; steps are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Everything that was awaited came.
    Passes,
    /// This step did not come, and both ends know, or neither had begun.
    Breaks {
        /// The step.
        at: usize,
    },
    /// This step did not come, and one end goes on believing in a connection that the other does not
    /// have, or has left.
    HalfOpen {
        /// The step.
        at: usize,
    },
    /// What becomes of this step is not the filter's to say: a program that reads a queue, a proxy, or a
    /// fact that no packet tells.
    Unknown {
        /// The step.
        at: usize,
    },
}

impl Fate {
    /// The step at which it does not pass.
    #[must_use]
    pub const fn at(self) -> Option<usize> {
        match self {
            Self::Passes => None,
            Self::Breaks { at } | Self::HalfOpen { at } | Self::Unknown { at } => Some(at),
        }
    }
}

/// What the receiver of a packet makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Received {
    /// It was never sent.
    #[default]
    NotSent,
    /// It came to whom it was for, who waited for it.
    Taken,
    /// It came, and nobody waited for it.
    Ignored,
    /// It came, from where its receiver knows no such connection.
    Strange,
    /// It came to somebody else: it was addressed there when it left the filter, or ended at the filter's
    /// own host.
    Astray,
    /// It did not come: the filter has it.
    Lost,
    /// It did not come to the filter: no router leads to its address.
    NoWay,
}

impl Received {
    /// The word for what became of a packet that was not taken; `None` for one that was, or that the
    /// filter has stopped.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::NotSent | Self::Taken | Self::Ignored | Self::Lost => None,
            Self::Strange => Some("strange"),
            Self::Astray => Some("astray"),
            Self::NoWay => Some("no-way"),
        }
    }
}

/// What became of a step.
#[derive(Clone, Debug, Default)]
pub struct StepPlayed {
    /// What its receiver made of it.
    pub received: Received,
    /// As its sender sent it, from the IP header on; empty when it was not sent.
    pub bytes: Vec<u8>,
    /// As it came to its receiver, when it did.
    pub delivered: Option<Vec<u8>>,
    /// What the filter decided; `None` when it did not see it.
    pub disposition: Option<Disposition>,
    /// The direction of its connection, when it has one.
    pub direction: Option<Direction>,
    /// Rules whose matches all said yes, with the number of the rule in its chain from 0.
    pub hits: Vec<(TableName, ChainIndex, u32)>,
    /// The connection's mark afterwards.
    pub connmark: u32,
    /// Its connection afterwards.
    pub connection: Option<Box<Snapshot>>,
    /// How many packets had come to the filter before it, when it came there itself.
    pub before: Option<usize>,
    /// What the filter's host said.
    pub made: Vec<Made>,
    /// What it brought about besides.
    pub brought: Vec<Brought>,
    /// What the engine told of.
    pub events: Vec<Event>,
}

/// A packet that the filter's host made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// Whether it left; otherwise rules of its own kept it.
    pub has_left: bool,
    /// Whom it came to.
    pub to: Option<Who>,
    /// It ended a connection there.
    pub ends: bool,
}

/// A packet that an end sent of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its sender.
    pub from: Who,
    /// From the IP header on, as it was sent.
    pub bytes: Vec<u8>,
    /// What the filter decided; `None` when it did not see it.
    pub verdict: Option<Verdict>,
    /// Whom it came to.
    pub to: Option<Who>,
    /// It ended a connection there.
    pub ends: bool,
}

impl StepPlayed {
    /// Whether it was sent.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.received != Received::NotSent
    }

    /// Whether it came to whom it was for and did there what it was sent for.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.received == Received::Taken
    }

    /// What the filter decided.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.disposition.map(|disposition| disposition.verdict)
    }

    /// What tracking said of it.
    #[must_use]
    pub fn tracked(&self) -> Option<Tracked> {
        self.disposition?.tracked
    }

    /// The rule or policy that decided.
    #[must_use]
    pub fn rule(&self) -> Option<PolicyOrRule> {
        self.disposition?.rule
    }

    /// The match of which nobody knows what it would have said, where the verdict hangs on it.
    #[must_use]
    pub fn unknown(&self) -> Option<UnknownMatch> {
        self.disposition?.unknown.filter(|unknown| !unknown.is_settled)
    }

    /// The chain of the filter table on its way; of a packet that did not get so far, the last hook.
    #[must_use]
    pub fn chain(&self, place: Place) -> Option<Hook> {
        match (self.disposition?.hook?, place) {
            (Hook::Postrouting, Place::Between) => Some(Hook::Forward),
            (Hook::Postrouting, Place::On(_)) => Some(Hook::Output),
            (hook, _) => Some(hook),
        }
    }
}

/// Plays a conversation past these rules, at most one rule set a family.
#[must_use]
pub fn play(conversation: &Conversation, rulesets: Vec<Ruleset>, scene: &Scene) -> Played {
    let sysctls = Sysctls { max: CONNECTIONS_MAX, ..Sysctls::default() };
    let mut engine = Engine::new(SEED, scene.host.clone(), sysctls, rulesets);
    play_script(&mut engine, &(conversation.script)(&scene.parties), scene)
}

/// Plays a script past an engine, which is begun anew; its host is to be that of the scene.
#[must_use]
pub fn play_script(engine: &mut Engine, script: &Script, scene: &Scene) -> Played {
    engine.restart();
    play_from(engine, script, scene, BEGIN).0
}

/// A packet as it came to the filter.
#[derive(Clone, Debug)]
pub struct Fed {
    /// When.
    pub now: Instant,
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// Where; `None`: its host sends it.
    pub interface: Option<InterfaceIndex>,
    /// What the link layer says of it.
    pub link: LinkInfo,
    /// Its mark.
    pub mark: u32,
}

/// Plays a script past an engine as it is at this time, and says what came to it.
#[must_use]
pub fn play_from(
    engine: &mut Engine,
    script: &Script,
    scene: &Scene,
    now: Instant,
) -> (Played, Vec<Fed>) {
    let mut play = Play {
        engine,
        script,
        scene,
        peers: Peers::default(),
        now,
        steps: Vec::with_capacity(script.steps.len()),
        fed: Vec::new(),
    };
    for (index, step) in script.steps.iter().enumerate() {
        let played = if play.is_due(step) { play.step(index, step) } else { StepPlayed::default() };
        play.steps.push(played);
    }
    let fate = play.fate();
    (Played { steps: play.steps, fate }, play.fed)
}

/// A conversation under way.
struct Play<'a> {
    engine: &'a mut Engine,
    script: &'a Script,
    scene: &'a Scene,
    peers: Peers,
    now: Instant,
    steps: Vec<StepPlayed>,
    fed: Vec<Fed>,
}

/// What became of a packet at the filter.
struct Passed {
    disposition: Disposition,
    trail: Trail,
    /// As it left the filter or came to its host; with the interface where it left.
    leaves: Option<(Option<InterfaceIndex>, Vec<u8>)>,
    /// What the host sent, and by which interface.
    made: Vec<(InterfaceIndex, Vec<u8>)>,
}

impl Play<'_> {
    fn is_due(&self, step: &Step) -> bool {
        let is_met = |need: &Need| {
            let (index, wanted) = match need {
                Need::Delivered(index) => (*index, true),
                Need::Lost(index) => (*index, false),
            };
            let came = |played: &StepPlayed| {
                matches!(played.received, Received::Taken | Received::Ignored)
            };
            self.steps.get(index).is_some_and(|played| played.is_sent() && came(played) == wanted)
        };
        step.needs.iter().all(is_met) && self.peers.may_send(step, self.scene)
    }

    fn step(&mut self, index: usize, step: &Step) -> StepPlayed {
        self.now = self.now.plus(APART).plus(step.after);
        if step.after > Duration::ZERO {
            self.engine.handle_timeout(self.now);
        }
        let quoted = self.quoted(step);
        let mut read = self.read(step);
        let repeated = match (step.reads.and_then(|reads| reads.repeats_at), read) {
            (Some(at), Some((_, number))) => {
                read = None;
                Some(step.with_number(at, number))
            }
            _ => None,
        };
        let step = repeated.as_ref().unwrap_or(step);
        let mut wire = self.peers.send(step, self.scene, read);
        if let (Content::Error { .. }, Some((from, to))) = (&step.content, quoted_ends(&quoted)) {
            wire.destination.0 = from;
            if step.from != Who::Router {
                wire.source.0 = to;
            }
        }
        let identification = 0x4000 + u16::try_from(index).unwrap_or(0);
        let bytes = build(step, &wire, identification, &quoted);
        let mut played = StepPlayed { bytes: bytes.clone(), ..StepPlayed::default() };
        if self.leads_nowhere(step.from, &bytes) {
            played.received = Received::NoWay;
            return played;
        }
        // What takes another way leaves its host and comes to the other all the same.
        let is_beside = step.is_beside && self.scene.place == Place::Between;
        if is_beside || !self.is_at_filter(step.from, step.ends, &bytes) {
            played.received = self.peers.receive(step, self.scene, &bytes);
            played.delivered = Some(bytes);
        } else {
            self.past_filter(step, bytes, &mut played);
        }
        if played.received == Received::Strange
            && let Some(bytes) = &played.delivered
            && let (Some(answer), _) = self.peers.surprise(step.ends, &bytes.clone())
        {
            self.bring(step.ends, answer, &mut played);
        }
        played
    }

    fn past_filter(&mut self, step: &Step, bytes: Vec<u8>, played: &mut StepPlayed) {
        played.before = Some(self.fed.len());
        let passed = self.pass(step.from, bytes, step.from == self.scene.sender);
        let conn = passed.disposition.tracked.and_then(|tracked| tracked.conn);
        let now = self.now;
        let snapshot = conn.and_then(|conn| self.engine.conntrack().snapshot(now, conn));
        played.connmark = snapshot.as_ref().map_or(0, |snapshot| snapshot.mark);
        played.connection = snapshot.map(Box::new);
        played.direction = passed.disposition.tracked.and_then(|tracked| tracked.direction);
        played.disposition = Some(passed.disposition);
        played.hits = passed.trail.hits;
        let towards = self.scene.towards(step.ends);
        played.received = match passed.leaves {
            None => Received::Lost,
            Some((out, bytes)) => {
                let arrives = match self.scene.place {
                    Place::Between => out == Some(towards),
                    Place::On(local) => out.is_none() == (local == step.ends),
                };
                let received = match arrives {
                    true => self.peers.receive(step, self.scene, &bytes),
                    false => Received::Astray,
                };
                played.delivered = Some(bytes);
                received
            }
        };
        for bytes in passed.trail.answers {
            played.made.push(Made { bytes, has_left: false, to: None, ends: false });
        }
        for (out, bytes) in passed.made {
            self.made(out, bytes, played);
        }
        while let Some(event) = self.engine.poll_event() {
            played.events.push(event);
        }
    }

    /// A packet of the filter's host on its way.
    fn made(&mut self, out: InterfaceIndex, bytes: Vec<u8>, played: &mut StepPlayed) {
        let to = self.owner(&bytes, Some(out));
        let (answer, ends) = to.map_or((None, false), |who| self.peers.surprise(who, &bytes));
        // What the recorder heard being made is the same packet, before it was translated.
        let length = bytes.len();
        let same = |made: &Made| !made.has_left && made.bytes.len() == length;
        let made = Made { has_left: true, to, ends, bytes };
        match played.made.iter().position(same).and_then(|at| played.made.get_mut(at)) {
            Some(known) => *known = made,
            None => played.made.push(made),
        }
        if let (Some(who), Some(answer)) = (to, answer) {
            self.bring(who, answer, played);
        }
    }

    /// An end sends something of its own accord, and what comes of that.
    fn bring(&mut self, from: Who, bytes: Vec<u8>, played: &mut StepPlayed) {
        let mut waiting = vec![(from, bytes)];
        while let Some((from, bytes)) = waiting.pop() {
            if played.brought.len() >= BROUGHT_MAX {
                return;
            }
            if self.leads_nowhere(from, &bytes) {
                let brought = Brought { from, bytes, verdict: None, to: None, ends: false };
                played.brought.push(brought);
                continue;
            }
            self.now = self.now.plus(APART);
            let other = if from == Who::Client { Who::Server } else { Who::Client };
            let (verdict, leaves) = match self.is_at_filter(from, other, &bytes) {
                false => (None, Some((None, bytes.clone()))),
                true => {
                    let passed = self.pass(from, bytes.clone(), from == self.scene.sender);
                    for (out, bytes) in passed.made {
                        self.made(out, bytes, played);
                    }
                    while let Some(event) = self.engine.poll_event() {
                        played.events.push(event);
                    }
                    (Some(passed.disposition.verdict), passed.leaves)
                }
            };
            let to = leaves.as_ref().and_then(|(out, bytes)| self.owner(bytes, *out));
            let came = leaves.map(|(_, bytes)| bytes);
            let (answer, ends) = match (to, &came) {
                (Some(who), Some(bytes)) => self.peers.surprise(who, bytes),
                _ => (None, false),
            };
            played.brought.push(Brought { from, bytes, verdict, to, ends });
            if let (Some(who), Some(answer)) = (to, answer) {
                waiting.push((who, answer));
            }
        }
    }

    fn pass(&mut self, from: Who, mut bytes: Vec<u8>, of_interest: bool) -> Passed {
        let scene = self.scene;
        let interface = scene.arrives_at(from);
        let link = if interface.is_some() { scene.link } else { LinkInfo::default() };
        let mark = if of_interest { scene.mark } else { 0 };
        self.fed.push(Fed { now: self.now, bytes: bytes.clone(), interface, link, mark });
        let family = Some(scene.family);
        let packet = Packet { bytes: &mut bytes, family, interface, link, mark };
        let mut trail = Trail::default();
        let disposition = self.engine.handle_packet_recorded(self.now, packet, &mut trail);
        let mut leaves = disposition.output.map(|output| {
            bytes.truncate(output.length as usize);
            (Some(output.interface), bytes.clone())
        });
        if disposition.is_delivered() {
            leaves = Some((None, bytes));
        }
        let mut made = Vec::new();
        while let Some(sent) = self.engine.poll_transmit() {
            match sent.origin {
                Origin::Forwarded => leaves = Some((Some(sent.interface), sent.bytes)),
                Origin::Made | Origin::Copied(_) => made.push((sent.interface, sent.bytes)),
            }
        }
        Passed { disposition, trail, leaves, made }
    }

    /// What a packet of this step quotes.
    fn quoted(&self, step: &Step) -> Vec<u8> {
        let Content::Error { about, .. } = step.content else { return Vec::new() };
        let addresses = &self.scene.addresses;
        match about {
            About::Nothing => stray(addresses.of(step.to), addresses.server),
            About::Step(index) => self.steps.get(index).map_or_else(Vec::new, |played| {
                played.delivered.clone().unwrap_or_else(|| played.bytes.clone())
            }),
        }
    }

    /// Whom a step is for, read out of an earlier one.
    fn read(&self, step: &Step) -> Option<(IpAddr, u16)> {
        let reads = step.reads?;
        let bytes = self.steps.get(reads.step)?.delivered.as_ref()?;
        let parsed = Parsed::new(bytes).ok()?;
        let (address, port) = (reads.with)(parsed.payload(bytes))?;
        Some((address.unwrap_or(parsed.source.ip(parsed.family)), port))
    }

    /// Whether a packet from one to the other comes past the filter.
    fn is_at_filter(&self, from: Who, to: Who, bytes: &[u8]) -> bool {
        let scene = self.scene;
        match scene.place {
            Place::On(local) => from == local || to == local,
            // On a link of their own they need no router, unless it is addressed.
            Place::Between if scene.is_together => {
                let destination = destination(bytes);
                ![Who::Client, Who::Server]
                    .iter()
                    .any(|who| destination == Some(scene.addresses.of(*who)))
            }
            Place::Between => scene.side(from) != scene.side(to),
        }
    }

    /// Whether nobody beyond the filter can send to the address of this packet.
    fn leads_nowhere(&self, from: Who, bytes: &[u8]) -> bool {
        let Some(hidden) = self.scene.hidden else { return false };
        self.scene.side(from) != self.scene.side(hidden)
            && destination(bytes) == Some(self.scene.addresses.of(hidden))
    }

    /// Whose address a packet has that left the filter by this interface, or that is for its host.
    fn owner(&self, bytes: &[u8], out: Option<InterfaceIndex>) -> Option<Who> {
        let (_, _, to) = points_of(&Parsed::new(bytes).ok()?);
        [Who::Client, Who::Server].into_iter().find(|who| {
            let there = match (self.scene.place, out) {
                (Place::Between, Some(out)) => self.scene.towards(*who) == out,
                _ => true,
            };
            there && self.scene.addresses.of(*who) == to.0
        })
    }

    fn fate(&self) -> Fate {
        let steps = || self.steps.iter().zip(&self.script.steps).enumerate();
        let undecided = |played: &StepPlayed| {
            matches!(played.verdict(), Some(Verdict::Queue | Verdict::Stolen | Verdict::Held))
                || played.unknown().is_some()
        };
        if let Some((at, _)) = steps().find(|(_, (played, _))| undecided(played)) {
            return Fate::Unknown { at };
        }
        let missing = |played: &StepPlayed, step: &Step| match step.due {
            Due::Awaited => !played.is_taken(),
            Due::Unwanted => played.received != Received::Ignored,
            Due::Perhaps | Due::Stray => false,
        };
        let at = steps().find(|(_, (played, step))| missing(played, step)).map(|(at, _)| at);
        match (at, self.peers.half_open()) {
            (Some(at), true) => Fate::HalfOpen { at },
            (Some(at), false) => Fate::Breaks { at },
            (None, _) => Fate::Passes,
        }
    }
}

/// The address that a packet is for.
fn destination(bytes: &[u8]) -> Option<IpAddr> {
    Parsed::new(bytes).ok().map(|parsed| parsed.destination.ip(parsed.family))
}

/// What a recorder keeps of one walk.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    table: Option<TableName>,
    /// Rules whose matches all said yes.
    pub(crate) hits: Vec<(TableName, ChainIndex, u32)>,
    answers: Vec<Vec<u8>>,
}

impl evaluate::Recorder for Trail {
    fn rule(&mut self, looked: Looked<'_>, _: &Traversal<'_>) {
        if let (Some(table), None) = (self.table, looked.failed) {
            self.hits.push((table, looked.chain, looked.number));
        }
    }
}

impl recorder::Recorder for Trail {
    fn table(&mut self, _family: Family, table: TableName, _hook: Hook) {
        self.table = Some(table);
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.answers.push(bytes.to_vec());
    }
}
