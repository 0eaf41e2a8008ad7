//! One run: a rule file, a conversation, an engine.

use crate::answer::Outcome;
use crate::conversation::{Brought, Place, Played, Scene, Script, StepPlayed, play_script};
use crate::prose;
use keepstate_conntrack::{CtState, Direction, Sysctls, Tracked, event::EventKind};
use keepstate_engine::{Engine, Event, PolicyOrRule, UnknownMatch, Verdict};
use keepstate_packet::tcp::{TcpOption, TcpOptions};
use keepstate_packet::{Family, Parsed};
use keepstate_ruleset::diagnostic::{Diagnostic, Position};
use keepstate_ruleset::evaluate::Decision;
use keepstate_ruleset::model::{ChainIndex, Ruleset, TableName, builtin_name};
use keepstate_ruleset::syntax::iptables_save;

/// Keys the hash of the connection table: the same run every time.
const SEED: [u64; 2] = [0x6b65_6570, 0x7374_6174];
/// Connections that the engine of an experiment may keep.
const CONNECTIONS_MAX: u32 = 1024;

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
    let (named, played) = play(source, family, script, scene)?;
    let rules = rule_at.map(|line| rules_at(&named, source, line)).unwrap_or_default();
    Ok(played.steps.iter().map(|step| outcome(&named, &rules, step, scene.place)).collect())
}

/// The same, as the engine gave it; with the rule set, to name its chains by.
///
/// # Errors
/// As [`run`].
pub fn play(
    source: &str,
    family: Family,
    script: &Script,
    scene: &Scene,
) -> Result<(Ruleset, Played), Refusal> {
    let load = || {
        iptables_save::parse(source, family)
            .map_err(|faults| Refusal::Fault(fault_text(source, &faults)))
    };
    let named = load()?;
    let sysctls = Sysctls { max: CONNECTIONS_MAX, ..Sysctls::default() };
    let mut engine = Engine::new(SEED, scene.host.clone(), sysctls, vec![load()?]);
    if !scene.sets.is_empty() {
        engine.set_sets(crate::test::sets(&scene.sets).map_err(Refusal::Fault)?);
    }
    let played = play_script(&mut engine, script, scene);
    match played.steps.iter().find_map(StepPlayed::unknown) {
        Some(unknown) => Err(Refusal::Unknown(unknown_text(&named, unknown))),
        None => Ok((named, played)),
    }
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

fn outcome(
    ruleset: &Ruleset,
    rules: &[(TableName, ChainIndex, u32)],
    played: &StepPlayed,
    place: Place,
) -> Outcome {
    let (Some(disposition), true) = (played.disposition, played.is_sent()) else {
        return Outcome {
            sent: played.is_sent(),
            came: played.is_taken(),
            received: played.received.word(),
            ..Outcome::default()
        };
    };
    let tracked = played.tracked();
    let mut out = Outcome {
        sent: true,
        came: played.is_taken(),
        received: played.received.word(),
        hook: disposition.hook.map(builtin_name),
        chain: played.chain(place).map(builtin_name),
        state: tracked.map(|tracked| state_name(tracked.state)),
        direction: played.direction.map(direction_name),
        verdict: Some(verdict_name(disposition.verdict)),
        decided_by: played.rule().and_then(|rule| decided_by(ruleset, rule)),
        rule_matched: played.hits.iter().any(|hit| rules.contains(hit)),
        reason: disposition.reason(),
        distance: invalid_distance(tracked),
        mark: None,
        connmark: Some(played.connmark).filter(|mark| *mark != 0),
        translated: translated(played),
        changed: changed(played, place),
        log: Vec::new(),
        answers: Vec::new(),
        events: Vec::new(),
    };
    for made in &played.made {
        let text = prose::packet::describe(&made.bytes);
        let ends = match (made.to, made.ends) {
            (Some(who), true) => format!(", which ends the {}'s connection", who.name()),
            _ => String::new(),
        };
        let kept = if made.has_left { "" } else { " (made, and not let out)" };
        out.answers.push(format!("{text}{ends}{kept}"));
    }
    out.events.extend(played.brought.iter().map(brought));
    for event in &played.events {
        match event {
            Event::Log(line) => out.log.push(line.text.clone()),
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

/// What an end said of its own accord.
fn brought(brought: &Brought) -> String {
    let Brought { from, bytes, to, ends, .. } = brought;
    let text = prose::packet::describe(bytes);
    let came = match (to, ends) {
        (Some(who), true) => format!(", which ends the {}'s connection", who.name()),
        (None, _) => String::from(", which comes to nobody"),
        _ => String::new(),
    };
    format!("the {} knows no such connection and answers: {text}{came}", from.name())
}

/// What was translated on the way past the filter: `from 198.51.100.7:40000`, `to 10.0.0.5:80`.
fn translated(played: &StepPlayed) -> Option<String> {
    let after = crate::conversation::peers::points_in(played.delivered.as_ref()?)?;
    let before = crate::conversation::peers::points_in(&played.bytes)?;
    let end = |(address, port): (std::net::IpAddr, u16)| match (address, port) {
        (address, 0) => address.to_string(),
        (address, port) => std::net::SocketAddr::new(address, port).to_string(),
    };
    let mut parts = Vec::new();
    if before.0 != after.0 {
        parts.push(format!("from {}", end(after.0)));
    }
    if before.1 != after.1 {
        parts.push(format!("to {}", end(after.1)));
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// What else of it is not as it was sent, but for the hop that a router takes.
fn changed(played: &StepPlayed, place: Place) -> Vec<String> {
    let mut changed = Vec::new();
    let Some(bytes) = &played.delivered else { return changed };
    let (Ok(before), Ok(after)) = (Parsed::new(&played.bytes), Parsed::new(bytes)) else {
        return changed;
    };
    let hop = u8::from(place == Place::Between);
    if after.ttl != before.ttl.saturating_sub(hop) {
        changed.push(format!("its hops left {} become {}", before.ttl, after.ttl));
    }
    if after.tos != before.tos {
        changed
            .push(format!("its type of service 0x{:02x} becomes 0x{:02x}", before.tos, after.tos));
    }
    let size = |parsed: &Parsed, bytes: &[u8]| {
        TcpOptions::of(parsed, bytes).find_map(|option| match option {
            TcpOption::MaximumSegmentSize(size) => Some(size),
            _ => None,
        })
    };
    let sizes = (size(&before, &played.bytes), size(&after, bytes));
    if let (Some(announced), Some(size)) = sizes
        && announced != size
    {
        changed.push(format!("its maximum segment size {announced} becomes {size}"));
    }
    changed
}

/// The name of a state, as `--ctstate` has it.
#[must_use]
pub const fn state_name(state: CtState) -> &'static str {
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
#[must_use]
pub fn decided_by(ruleset: &Ruleset, decided: PolicyOrRule) -> Option<String> {
    let PolicyOrRule { table, decision } = decided;
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
