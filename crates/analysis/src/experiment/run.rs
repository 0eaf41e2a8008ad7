//! One run: a rule file, a conversation, an engine.

use crate::answer::Outcome;
use crate::conversation::{Need, Script, bytes_of};
use crate::prose;
use crate::witness::{Place, Scene};
use keepstate_conntrack::{CtState, Direction, Hook, Sysctls, Tracked, event::EventKind};
use keepstate_engine::{Disposition, Engine, Packet, PolicyOrRule, UnknownMatch, Verdict};
use keepstate_engine::{Event, recorder};
use keepstate_packet::{Family, Instant};
use keepstate_ruleset::diagnostic::{Diagnostic, Position};
use keepstate_ruleset::evaluate::{self, Decision, Looked, Traversal};
use keepstate_ruleset::model::{ChainIndex, Ruleset, TableName, builtin_name};
use keepstate_ruleset::syntax::iptables_save;

/// When the first packet is sent (2023-11-14 22:13:20 UTC), nanoseconds since the epoch.
const BEGIN: u64 = 1_700_000_000_000_000_000;
/// Between two packets, nanoseconds.
const APART: u64 = 10_000_000;
/// Keys the hash of the connection table: the same run every time.
const SEED: [u64; 2] = [0x6b65_6570, 0x7374_6174];

/// Where the rule in question stands in a file: its line, from 1.
pub type RuleAt = Option<usize>;

/// Why a conversation says nothing about rules.
#[derive(Debug)]
pub enum Refusal {
    /// The rule file cannot be loaded: its first fault.
    Fault(String),
    /// What becomes of a packet hangs on a fact that is in no packet: which match asks for which.
    Unknown(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(text) | Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// Runs a conversation through an engine with this rule file.
///
/// # Errors
/// When the rule file cannot be loaded, or what becomes of a packet cannot be told.
pub fn run(
    source: &str,
    family: Family,
    rule_at: RuleAt,
    script: &Script,
    scene: &Scene,
) -> Result<Vec<Outcome>, Refusal> {
    let load = || {
        let mut ruleset = iptables_save::parse(source, family)
            .map_err(|faults| Refusal::Fault(fault_text(source, &faults)))?;
        // In a conversation each end sees the other's own address.
        ruleset.tables.retain(|table| table.name != TableName::Nat);
        Ok(ruleset)
    };
    let named = load()?;
    let rules = rule_at.map(|line| rules_at(&named, source, line)).unwrap_or_default();
    let mut engine = Engine::new(SEED, scene.host.clone(), Sysctls::default(), vec![load()?]);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (index, step) in script.steps.iter().enumerate() {
        let outcome = if due(&step.needs, &outcomes) {
            let now = Instant(BEGIN + APART * u64::try_from(index).unwrap_or(0));
            let mut bytes = bytes_of(script, index, &scene.addresses);
            let of_interest = step.from == scene.sender;
            let packet = Packet {
                bytes: &mut bytes,
                family: Some(scene.family),
                interface: scene.arrives_at(step.from),
                link: if scene.arrives_at(step.from).is_some() {
                    scene.link
                } else {
                    keepstate_packet::LinkInfo::default()
                },
                mark: if of_interest { scene.mark } else { 0 },
            };
            let mut trail = Trail::default();
            let disposition = engine.handle_packet_recorded(now, packet, &mut trail);
            if let Some(unknown) = disposition.unknown.filter(|unknown| !unknown.is_settled) {
                return Err(Refusal::Unknown(unknown_text(&named, unknown)));
            }
            let mut out = outcome(&mut engine, now, &named, &rules, &disposition, &trail);
            out.chain = match disposition.hook {
                Some(Hook::Postrouting) if scene.place == Place::Between => Some("FORWARD"),
                Some(Hook::Postrouting) => Some("OUTPUT"),
                hook => hook.map(builtin_name),
            };
            out
        } else {
            Outcome::default()
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn unknown_text(ruleset: &Ruleset, unknown: UnknownMatch) -> String {
    let UnknownMatch { table, chain, rule, number, .. } = unknown;
    let chain = ruleset.table(table).and_then(|table| table.chain(chain));
    let rule = chain.and_then(|chain| chain.rules.get(rule as usize));
    let asks = rule.and_then(|rule| rule.matches.get((number as usize).checked_sub(1)?));
    match asks {
        Some(asks) => format!("`-m {}` asks for {}", asks.name(), asks.fact()),
        None => String::from("a match asks for what no packet tells"),
    }
}

fn fault_text(source: &str, faults: &[Diagnostic]) -> String {
    match faults.first() {
        Some(fault) => {
            let line = Position::of(source, fault.span.start).line;
            let line = source.lines().nth(line.saturating_sub(1) as usize).unwrap_or("");
            format!("{} in `{}`", fault.text, line.trim())
        }
        None => String::from("the rules cannot be loaded"),
    }
}

fn due(needs: &[Need], outcomes: &[Outcome]) -> bool {
    needs.iter().all(|need| match need {
        Need::Delivered(index) => {
            outcomes.get(*index).is_some_and(|o| o.sent && o.verdict == Some("accept"))
        }
        Need::Lost(index) => {
            outcomes.get(*index).is_some_and(|o| o.sent && o.verdict != Some("accept"))
        }
    })
}

/// The rules of a line, as table, chain and number.
pub(crate) fn rules_at(
    ruleset: &Ruleset,
    source: &str,
    line: usize,
) -> Vec<(TableName, ChainIndex, u32)> {
    let mut found = Vec::new();
    let before = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let length = source.get(before..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    let here = before..=before + length;
    for table in &ruleset.tables {
        for (chain_index, chain) in table.chains.iter().enumerate() {
            for (number, rule) in chain.rules.iter().enumerate() {
                if here.contains(&(rule.span.start as usize)) {
                    let chain = ChainIndex(u32::try_from(chain_index).unwrap_or(u32::MAX));
                    found.push((table.name, chain, u32::try_from(number).unwrap_or(u32::MAX)));
                }
            }
        }
    }
    found
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

fn outcome(
    engine: &mut Engine,
    now: Instant,
    ruleset: &Ruleset,
    rules: &[(TableName, ChainIndex, u32)],
    disposition: &Disposition,
    trail: &Trail,
) -> Outcome {
    let tracked = disposition.tracked;
    let snapshot =
        tracked.and_then(|t| t.conn).and_then(|conn| engine.conntrack().snapshot(now, conn));
    let mut out = Outcome {
        sent: true,
        hook: disposition.hook.map(builtin_name),
        chain: None,
        state: tracked.map(|tracked| state_name(tracked.state)),
        direction: tracked.and_then(|tracked| tracked.direction).map(direction_name),
        verdict: Some(verdict_name(disposition.verdict)),
        decided_by: decided_by(ruleset, disposition),
        rule_matched: trail.hits.iter().any(|hit| rules.contains(hit)),
        reason: disposition.reason(),
        distance: invalid_distance(tracked),
        mark: None,
        connmark: snapshot.map(|s| s.mark).filter(|mark| *mark != 0),
        log: Vec::new(),
        answers: Vec::new(),
        events: Vec::new(),
    };
    while let Some(transmit) = engine.poll_transmit() {
        out.answers.push(prose::packet::describe(&transmit.bytes));
    }
    for bytes in &trail.answers {
        let text = prose::packet::describe(bytes);
        if !out.answers.contains(&text) {
            out.answers.push(format!("{text} (made, and not let out)"));
        }
    }
    while let Some(event) = engine.poll_event() {
        match event {
            Event::Log(line) => out.log.push(line.text),
            Event::Nflog(message) => out.log.push(format!(
                "to NFLOG group {}, {} of {} bytes: {}",
                message.group,
                message.bytes.len(),
                message.length,
                message.prefix
            )),
            Event::Conntrack(event) => match event.kind {
                EventKind::ExpectNew => out.events.push(String::from(
                    "the helper expects the connection that this line announces",
                )),
                EventKind::New | EventKind::Update => {}
                EventKind::Destroy | EventKind::ExpectDestroy => {}
            },
        }
    }
    out
}

/// The name of a state, as `--ctstate` has it.
#[must_use]
pub(crate) const fn state_name(state: CtState) -> &'static str {
    match state {
        CtState::New => "NEW",
        CtState::Established => "ESTABLISHED",
        CtState::Related => "RELATED",
        CtState::Invalid => "INVALID",
        CtState::Untracked => "UNTRACKED",
    }
}

pub(crate) const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "original",
        Direction::Reply => "reply",
    }
}

pub(crate) const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => "drop",
        Verdict::Reject => "reject",
        Verdict::Queue => "queue",
        Verdict::Stolen => "stolen",
        Verdict::Held => "held",
    }
}

fn invalid_distance(tracked: Option<Tracked>) -> Option<u32> {
    tracked?.invalid?.distance
}

/// `rule 2 of INPUT (filter)`, `the policy of INPUT (filter)`.
fn decided_by(ruleset: &Ruleset, disposition: &Disposition) -> Option<String> {
    let PolicyOrRule { table, decision } = disposition.rule?;
    let chain_name = |index: ChainIndex| {
        let chain = ruleset.table(table).and_then(|table| table.chain(index));
        chain.map_or("?", |chain| chain.name.as_str())
    };
    let table_name = table.as_str();
    Some(match decision {
        Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule } => {
            format!("rule {} of {} ({table_name})", rule + 1, chain_name(chain))
        }
        Decision::Policy { chain } => {
            format!("the policy of {} ({table_name})", chain_name(chain))
        }
    })
}
