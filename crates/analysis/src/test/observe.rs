//! What becomes of one packet, as far as tests ask for it.

use keepstate_conntrack::event::Snapshot;
use keepstate_conntrack::{Hook, Tracked};
use keepstate_engine::{
    Cause, Disposition, Engine, Event, InterfaceIndex, Packet, PolicyOrRule, UnknownMatch, Verdict,
    recorder,
};
use keepstate_packet::{Family, Instant, LinkInfo, Parsed};
use keepstate_ruleset::evaluate::{self, Looked, Traversal};
use keepstate_ruleset::model::{ChainIndex, TableName};

/// Most lines of the log, answers and rules that are kept of one packet.
pub const KEPT_MAX: usize = 1024;

/// A packet on its way in.
#[derive(Clone, Debug)]
pub struct Sent {
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// Where it comes in; `None`: the host itself sends it.
    pub interface: Option<InterfaceIndex>,
    /// Its mark.
    pub mark: u32,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Verdict.
    pub verdict: Verdict,
    /// Why it was dropped by no rule.
    pub cause: Option<Cause>,
    /// The hooks that it entered.
    pub hooks: Vec<Hook>,
    /// What tracking said.
    pub tracked: Option<Tracked>,
    /// What decided.
    pub decided: Option<PolicyOrRule>,
    /// Rules whose matches all said yes.
    pub matched: Vec<(TableName, ChainIndex, u32)>,
    /// A match of which nobody knows what it would say, and on which the verdict hangs.
    pub unknown: Option<UnknownMatch>,
    /// Its mark when its way ended.
    pub mark: u32,
    /// What its connection is then.
    pub connection: Option<Connection>,
    /// Where it leaves.
    pub out: Option<InterfaceIndex>,
    /// As it came.
    pub came: Vec<u8>,
    /// As it leaves, or as the host itself gets it.
    pub left: Vec<u8>,
    /// What was sent on account of it.
    pub answers: Vec<Vec<u8>>,
    /// What was written into the log.
    pub log: Vec<String>,
}

/// A connection behind a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its mark.
    pub mark: u32,
    /// The state of its protocol.
    pub state: Option<&'static str>,
    /// Its helper.
    pub helper: Option<String>,
}

impl Connection {
    /// What is kept of it.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            mark: snapshot.mark,
            state: snapshot.protocol_state,
            helper: snapshot.helper.as_ref().map(ToString::to_string),
        }
    }
}

impl Observed {
    /// Whether it reached the host itself.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.verdict == Verdict::Accept && self.hooks.last() == Some(&Hook::Input)
    }

    /// Whether two packets have fared alike, as far as anybody outside can see, and tests can say.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let log = |one: &Self| {
            one.log.iter().map(|line| without_identification(line)).collect::<Vec<_>>()
        };
        let state = |one: &Self| one.tracked.map(|tracked| (tracked.state, tracked.direction));
        (self.verdict, self.out, self.mark) == (other.verdict, other.out, other.mark)
            && state(self) == state(other)
            && self.connection == other.connection
            && (self.verdict != Verdict::Accept || self.left == other.left)
            && self.answers.len() == other.answers.len()
            && self.answers.iter().zip(&other.answers).all(|(one, other)| alike(one, other))
            && log(self) == log(other)
    }

    /// The reason code: of a drop by no rule, or of INVALID.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let invalid = self.tracked.and_then(|tracked| tracked.invalid);
        self.cause.map(Cause::code).or_else(|| invalid.map(|invalid| invalid.reason.code()))
    }
}

/// A line of the log without the numbers that are drawn.
fn without_identification(line: &str) -> String {
    line.split(' ').filter(|word| !word.starts_with("ID=")).collect::<Vec<_>>().join(" ")
}

/// Whether two answers are the same but for what is drawn at random in them.
fn alike(one: &[u8], other: &[u8]) -> bool {
    let (Ok(a), Ok(b)) = (Parsed::new(one), Parsed::new(other)) else { return one == other };
    (a.protocol, a.source, a.destination, a.l4_bytes(one))
        == (b.protocol, b.source, b.destination, b.l4_bytes(other))
}

/// Listens to a walk.
#[derive(Default)]
struct Ear {
    /// Walks that are under way: an answer's is inside that of its packet.
    depth: usize,
    table: Option<TableName>,
    hooks: Vec<Hook>,
    matched: Vec<(TableName, ChainIndex, u32)>,
}

impl evaluate::Recorder for Ear {
    fn rule(&mut self, looked: Looked<'_>, _: &Traversal<'_>) {
        if let (Some(table), None, 0) = (self.table, looked.failed, self.depth)
            && self.matched.len() < KEPT_MAX
        {
            self.matched.push((table, looked.chain, looked.number));
        }
    }
}

impl recorder::Recorder for Ear {
    fn hook(&mut self, hook: Hook) {
        if self.depth == 0 && self.hooks.len() < KEPT_MAX {
            self.hooks.push(hook);
        }
    }

    fn table(&mut self, _: Family, table: TableName, _: Hook) {
        self.table = Some(table);
    }

    fn answer(&mut self, _: &[u8]) {
        self.depth += 1;
    }

    fn answered(&mut self, _: Option<(InterfaceIndex, &[u8])>) {
        self.depth = self.depth.saturating_sub(1);
    }
}

/// Hands a packet to the engine and says what became of it.
pub fn observe(engine: &mut Engine, now: Instant, sent: &Sent) -> Observed {
    let came = sent.bytes.clone();
    let mut bytes = sent.bytes.clone();
    let mut ear = Ear::default();
    engine.handle_timeout(now);
    while engine.poll_event().is_some() {}
    let Sent { interface, mark, .. } = *sent;
    let link = LinkInfo::default();
    let packet = Packet { bytes: &mut bytes, interface, family: None, link, mark };
    let disposition = engine.handle_packet_recorded(now, packet, &mut ear);
    let mut observed = Observed {
        verdict: disposition.verdict,
        cause: disposition.cause,
        hooks: ear.hooks,
        tracked: disposition.tracked,
        decided: disposition.rule,
        matched: ear.matched,
        unknown: disposition.unknown.filter(|unknown| !unknown.is_settled),
        mark: disposition.mark,
        connection: connection(engine, now, &disposition),
        out: disposition.output.map(|output| output.interface),
        came,
        left: Vec::new(),
        answers: Vec::new(),
        log: Vec::new(),
    };
    left(&mut observed, bytes, &disposition);
    while let Some(transmit) = engine.poll_transmit() {
        match transmit.origin {
            // Of one in pieces the first tells enough.
            keepstate_engine::Origin::Forwarded if observed.out.is_none() => {
                observed.out = Some(transmit.interface);
                observed.left = transmit.bytes;
            }
            keepstate_engine::Origin::Forwarded => {}
            keepstate_engine::Origin::Made | keepstate_engine::Origin::Copied(_) => {
                if observed.answers.len() < KEPT_MAX {
                    observed.answers.push(transmit.bytes);
                }
            }
        }
    }
    while let Some(event) = engine.poll_event() {
        let line = match event {
            Event::Log(line) => line.text,
            Event::Nflog(message) => message.prefix.to_string(),
            Event::Conntrack(_) => continue,
        };
        if observed.log.len() < KEPT_MAX {
            observed.log.push(line);
        }
    }
    observed
}

fn left(observed: &mut Observed, mut bytes: Vec<u8>, disposition: &Disposition) {
    if let Some(output) = disposition.output {
        bytes.truncate(output.length as usize);
        observed.left = bytes;
    } else if observed.is_local() {
        observed.left = bytes;
    }
}

fn connection(engine: &Engine, now: Instant, disposition: &Disposition) -> Option<Connection> {
    let snapshot = engine.conntrack().snapshot(now, disposition.tracked?.conn?)?;
    Some(Connection::of(&snapshot))
}
