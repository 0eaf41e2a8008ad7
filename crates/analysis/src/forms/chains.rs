//! A rule set told chain by chain: what each is for, how packets come to it, and its rules in words, neighbours
//! that differ in one thing taken together.

use crate::answer::{Answer, ChainTold, Fact, RuleTold, Topic};
use crate::prose::chains::Makers;
use crate::prose::{alternatives, chains, list, protocol, targets, unsupported};
use crate::rule::words::{RuleWords, STATES};
use crate::rule::{Subject, Understood, of_model, understand};
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{self, Jump, Policy, Ruleset};
use keepstate_ruleset::packet_set::PacketSet;
use keepstate_ruleset::syntax::iptables_command::script;
use std::collections::{BTreeMap, BTreeSet};

/// Rules of a rule set that are told; the rest is counted.
pub const RULES_TOLD_MAX: usize = 20_000;
/// Values that rules told together list.
const VALUES_MAX: usize = 64;
/// Ways through a chain that its summary names.
const WAYS_MAX: usize = 10;
/// Ports that its summary names, of each protocol.
const PORTS_MAX: usize = 20;
/// Pairs of rules that are looked at for one that hides the other.
const PAIRS_MAX: usize = 10_000_000;
/// How far chains that end in other chains are followed.
const DEPTH_MAX: usize = 16;
/// Places that a sentence names.
const PLACES_MAX: usize = 4;

/// A chain with its rules.
#[derive(Debug)]
pub struct Chain {
    table: String,
    name: String,
    policy: Option<String>,
    rules: Vec<Told>,
    /// The text has none of the chains that packets come to first: what leads here may stand elsewhere.
    is_part: bool,
}

/// A rule in words.
#[derive(Debug)]
struct Told {
    line: u32,
    words: RuleWords,
    clauses: Vec<String>,
    effect: String,
    refused: bool,
    /// The rule before it, from 1, that takes all that it asks for.
    hidden_by: Option<usize>,
}

impl Told {
    fn new(line: u32, understood: Understood) -> Self {
        let clauses = understood.clauses().into_iter().map(plainer).collect();
        let effect = effect(&understood);
        let refused = !understood.faults.is_empty();
        Self { line, words: understood.rule, clauses, effect, refused, hidden_by: None }
    }

    fn kind(&self) -> targets::Kind {
        targets::kind(self.words.target.as_ref())
    }

    fn comment(&self) -> Option<String> {
        let texts: Vec<&str> =
            self.words.options(&["--comment"]).map(|option| option.value()).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    }

    /// Whether it takes every packet, and none goes on behind it.
    fn ends_all(&self) -> bool {
        let goto = self.words.target.as_ref().is_some_and(|target| target.goto);
        let ends = matches!(
            self.kind(),
            targets::Kind::Accept | targets::Kind::Drop | targets::Kind::Return
        );
        self.clauses.is_empty() && (goto || ends)
    }
}

/// What a rule does and when, as lists of rules say it.
pub(crate) fn in_words(understood: &Understood) -> String {
    let clauses: Vec<String> = understood.clauses().into_iter().map(plainer).collect();
    told(&effect(understood), &clauses)
}

fn told(effect: &str, clauses: &[String]) -> String {
    match clauses.is_empty() {
        true => format!("every packet: {effect}"),
        false => {
            let comma = if effect.contains(", ") { "," } else { "" };
            format!("{effect}{comma} when {}", list(clauses))
        }
    }
}

/// What a rule does, shortly: a clause behind "the rule".
fn effect(understood: &Understood) -> String {
    let name = understood.rule.target_name();
    let short = match targets::kind(understood.rule.target.as_ref()) {
        targets::Kind::Accept => "accepts",
        targets::Kind::Return => "goes back",
        targets::Kind::Nothing => "counts",
        targets::Kind::Drop if name == "DROP" => "drops",
        targets::Kind::Chain if understood.rule.target.as_ref().is_some_and(|to| to.goto) => {
            return format!("goes on to {name} for good");
        }
        targets::Kind::Chain => return format!("goes through {name}"),
        targets::Kind::Log => {
            let prefix = ["--log-prefix", "--nflog-prefix", "--ulog-prefix"]
                .iter()
                .find_map(|option| understood.rule.target_option(option));
            let verb = if name == "TRACE" { "traces" } else { "logs" };
            return match prefix.map(|prefix| prefix.value().trim()) {
                None | Some("") => verb.into(),
                Some(prefix) => format!("{verb} as \"{prefix}\""),
            };
        }
        _ => {
            let effects = understood.effects();
            let texts: Vec<&str> = effects.iter().map(|text| shortened(text)).collect();
            return if texts.is_empty() { format!("does {name}") } else { texts.join(" and ") };
        }
    };
    short.into()
}

/// A clause as it is said in a list of rules.
fn plainer(clause: String) -> String {
    const STATE: &str = "connection tracking says that it is ";
    match clause.as_str() {
        "of the flags FIN, SYN, RST, ACK exactly SYN is set" => {
            "it asks for a connection (--syn)".into()
        }
        "of the flags FIN, SYN, RST, ACK not exactly SYN is set" => {
            "it asks for no connection (! --syn)".into()
        }
        text => text.strip_prefix(STATE).map_or_else(|| text.into(), |is| format!("it is {is}")),
    }
}

/// A clause without what it says besides.
fn shortened(text: &str) -> &str {
    let text = text.split("; ").next().unwrap_or(text);
    let text = text.split(", and the answers").next().unwrap_or(text);
    let text = text.strip_suffix(" and goes on with the next rule").unwrap_or(text);
    text.split(": ").next().unwrap_or(text).trim_end_matches(',')
}

/// The chains of a rule set that was loaded. `source`: its text.
#[must_use]
pub fn of_ruleset(ruleset: &Ruleset, source: &str) -> Vec<Chain> {
    let lines = Lines::of(source);
    // Commands are carried out on tables that have all built-in chains.
    let is_script = script::is_script(source);
    let mut all = Vec::new();
    let mut pairs = PAIRS_MAX;
    for table in ruleset.tables.iter().filter(|table| table.declared) {
        let is_part = !is_script && !table.chains.iter().any(is_mentioned);
        for chain in &table.chains {
            let rules = chain.rules.iter().map(|rule| {
                let understood = of_model(ruleset.family, table, chain, rule);
                Told::new(lines.line_at(rule.span.start), understood)
            });
            let mut rules: Vec<Told> = rules.collect();
            hide(&mut rules, chain, &mut pairs);
            all.push(Chain {
                table: table.name.as_str().into(),
                name: chain.name.clone(),
                policy: chain.policy.map(|policy| match policy {
                    Policy::Accept => "ACCEPT".into(),
                    Policy::Drop => "DROP".into(),
                }),
                rules,
                is_part,
            });
        }
    }
    all
}

/// Whether a text says something of a built-in chain.
fn is_mentioned(chain: &model::Chain) -> bool {
    chain.hook.is_some() && (chain.span.end > chain.span.start || !chain.rules.is_empty())
}

/// Finds the rules that another one before them leaves nothing to.
fn hide(rules: &mut [Told], chain: &model::Chain, pairs: &mut usize) {
    let sets: Vec<PacketSet> = chain.rules.iter().map(PacketSet::of_rule).collect();
    // Rules up to here have been passed by every packet as it came.
    let mut changed_at = None;
    let mut ends: Vec<(usize, &PacketSet)> = Vec::new();
    for (at, ((told, rule), set)) in rules.iter_mut().zip(&chain.rules).zip(&sets).enumerate() {
        *pairs = pairs.saturating_sub(ends.len());
        if *pairs == 0 {
            return;
        }
        let same = |before: usize| changed_at.is_none_or(|changed| changed < before);
        let hides = |(before, other): &&(usize, &PacketSet)| {
            other.covers(set) && (same(*before) || !other.changes())
        };
        told.hidden_by = ends.iter().find(hides).map(|(before, _)| before + 1);
        match (&rule.target, told.kind()) {
            (Jump::Standard(_) | Jump::Goto(_), _) | (_, targets::Kind::Drop) => {
                ends.push((at, set));
            }
            (Jump::None, _) | (_, targets::Kind::Log) => {}
            _ => changed_at = Some(at),
        }
    }
}

/// The chains of a text that cannot be loaded, as far as each rule can be understood.
#[must_use]
pub fn of_lines(text: &str, family: Family) -> Vec<Chain> {
    let mut all: Vec<Chain> = Vec::new();
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut table = String::from("filter");
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_string();
        }
        let mut place = |all: &mut Vec<Chain>, table: &str, name: &str| {
            *places.entry((table.into(), name.into())).or_insert_with(|| {
                let (table, name) = (table.into(), name.into());
                all.push(Chain { table, name, policy: None, rules: Vec::new(), is_part: false });
                all.len() - 1
            })
        };
        if let Some((name, policy)) = super::file::declaration(line) {
            let at = place(&mut all, &table, name);
            if let Some(chain) = all.get_mut(at) {
                chain.policy = policy.map(Into::into);
            }
        } else if let Some(read) = super::file::read_line(line, &table) {
            let at = place(&mut all, &read.table, &read.chain);
            let understood = understand(&Subject {
                family,
                table: read.table,
                chain: read.chain,
                words: read.words,
                base: None,
            });
            if let Some(chain) = all.get_mut(at) {
                chain.rules.push(Told::new(number, understood));
            }
        }
    }
    let whole: BTreeSet<String> =
        all.iter().filter(|chain| chain.is_built_in()).map(|chain| chain.table.clone()).collect();
    for chain in &mut all {
        chain.is_part = !whole.contains(&chain.table);
    }
    all
}

/// Adds a rule set that was loaded to an answer, in short and chain by chain. `family`: which of the two, where the
/// text has rules for both.
pub fn tell_loaded(
    answer: &mut Answer,
    ruleset: &Ruleset,
    source: &str,
    family: Option<&'static str>,
) {
    let all = of_ruleset(ruleset, source);
    summary::add(answer, ruleset, source, &all, family);
    tell(answer, &all, family);
}

/// Adds a part of a rule set. `elsewhere`: chains that it speaks of and that stand elsewhere.
pub fn tell_part(answer: &mut Answer, ruleset: &Ruleset, source: &str, elsewhere: &[String]) {
    let mut all = of_ruleset(ruleset, source);
    for chain in all.iter_mut().filter(|chain| elsewhere.contains(&chain.name)) {
        chain.is_part = true;
    }
    all.retain(|chain| !chain.rules.is_empty() || !elsewhere.contains(&chain.name));
    summary::add_part(answer, &all, elsewhere);
    tell(answer, &all, None);
}

/// Adds the summary of a rule set that can be loaded but for some lines, which `ruleset` is without.
pub fn tell_in_short(answer: &mut Answer, ruleset: &Ruleset, source: &str) {
    let all = of_ruleset(ruleset, source);
    summary::add(answer, ruleset, source, &all, None);
}

/// Adds all chains to an answer.
pub fn tell(answer: &mut Answer, all: &[Chain], family: Option<&'static str>) {
    let told: Vec<&Chain> =
        all.iter().filter(|chain| !chain.rules.is_empty() || chain.has_say()).collect();
    let tables: BTreeSet<&str> = all.iter().map(|chain| chain.table.as_str()).collect();
    let count: usize = all.iter().map(|chain| chain.rules.len()).sum();
    answer.say(
        Topic::Form,
        "form.size",
        format!(
            "{}{} in {} of {}.",
            family.map_or_else(String::new, |family| format!("{family}: ")),
            counted(count, "rule"),
            counted(all.len(), "chain"),
            counted(tables.len(), "table")
        ),
    );
    let calls = calls(all);
    let refusing = refusing(all);
    let makers = Makers::of(all.iter().map(|chain| chain.name.as_str()));
    let mut room = RULES_TOLD_MAX;
    for chain in told {
        let rules = groups(&chain.rules, &mut room);
        answer.add(
            Topic::Chains,
            Fact::Chain(Box::new(ChainTold {
                family,
                table: chain.table.clone(),
                chain: chain.name.clone(),
                policy: chain.policy.clone(),
                purpose: purpose(chain, &calls, &refusing, &makers),
                rules,
            })),
        );
    }
    if room == 0 && count > RULES_TOLD_MAX {
        answer.say(
            Topic::Chains,
            "rules.cut",
            format!("Only the first {RULES_TOLD_MAX} rules are told."),
        );
    }
    mind(answer, all);
}

impl Chain {
    /// Whether an empty chain is worth a word: a user chain, or a policy other than ACCEPT.
    fn has_say(&self) -> bool {
        self.policy.as_deref() != Some("ACCEPT")
    }

    /// Whether a rule refuses every packet that comes to it, itself or in another chain.
    fn refuses_all(&self, rule: &Told, refusing: &Refusing<'_>) -> bool {
        rule.clauses.is_empty()
            && match rule.kind() {
                targets::Kind::Drop => true,
                targets::Kind::Chain => {
                    refusing.contains(&(self.table.as_str(), rule.words.target_name()))
                }
                _ => false,
            }
    }

    fn is_built_in(&self) -> bool {
        chains::built_in(&self.table, &self.name).is_some()
    }
}

/// `1 rule`, `5 rules`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

type Calls<'a> = BTreeMap<(&'a str, &'a str), Vec<(&'a str, usize)>>;

/// From which rules packets come to a chain.
fn calls(all: &[Chain]) -> Calls<'_> {
    let mut calls = Calls::new();
    for chain in all {
        for (at, rule) in chain.rules.iter().enumerate() {
            if rule.kind() == targets::Kind::Chain {
                let to = (chain.table.as_str(), rule.words.target_name());
                calls.entry(to).or_default().push((chain.name.as_str(), at + 1));
            }
        }
    }
    calls
}

/// Chains that nothing goes through but what one of their rules accepts.
type Refusing<'a> = BTreeSet<(&'a str, &'a str)>;

fn refusing(all: &[Chain]) -> Refusing<'_> {
    let mut found = Refusing::new();
    // A chain may end in another one, and that in a third.
    for _ in 0..DEPTH_MAX {
        let before = found.len();
        for chain in all {
            let returns = chain.rules.iter().any(|rule| rule.kind() == targets::Kind::Return);
            if !returns && chain.rules.iter().any(|rule| chain.refuses_all(rule, &found)) {
                found.insert((chain.table.as_str(), chain.name.as_str()));
            }
        }
        if found.len() == before {
            break;
        }
    }
    found
}

/// What a chain is for, in sentences.
fn purpose(
    chain: &Chain,
    calls: &Calls<'_>,
    refusing: &Refusing<'_>,
    makers: &Makers,
) -> Vec<String> {
    let mut says = Vec::new();
    if let Some(text) = chains::built_in(&chain.table, &chain.name) {
        says.push(text);
    } else {
        if let Some(text) = makers.made_by(&chain.name) {
            says.push(format!("By its name of {text}."));
        }
        says.push(reached(chain, calls));
    }
    says.extend(stance(chain, refusing));
    if let Some(at) =
        chain.rules.iter().position(|rule| rule.ends_all() || chain.refuses_all(rule, refusing))
        && at + 1 < chain.rules.len()
    {
        let behind = span(at + 2, chain.rules.len());
        let verb = if at + 2 == chain.rules.len() { "is" } else { "are" };
        says.push(format!("Rule {} takes every packet: {behind} {verb} never reached.", at + 1));
        return says;
    }
    let mut hidden: BTreeMap<usize, Vec<(&str, usize)>> = BTreeMap::new();
    for (at, rule) in chain.rules.iter().enumerate() {
        if let Some(by) = rule.hidden_by {
            hidden.entry(by).or_default().push(("rule", at + 1));
        }
    }
    let more = hidden.len().saturating_sub(PLACES_MAX);
    for (by, rules) in hidden.into_iter().take(PLACES_MAX) {
        says.push(format!("Rule {by} leaves nothing to {}.", places(&rules)));
    }
    if more > 0 {
        says.push(format!("{more} more rules hide others."));
    }
    says
}

fn span(first: usize, last: usize) -> String {
    if first == last { format!("rule {first}") } else { format!("rules {first} to {last}") }
}

fn reached(chain: &Chain, calls: &Calls<'_>) -> String {
    let from = calls.get(&(chain.table.as_str(), chain.name.as_str()));
    let Some(from) = from.filter(|from| !from.is_empty()) else {
        return match chain.is_part {
            true => "What leads here does not stand in this text.".into(),
            false => "No rule leads here: no packet comes to it.".into(),
        };
    };
    format!("Packets come to it from {}.", places(from))
}

/// Rules by chain and number, those that follow each other together.
fn places(all: &[(&str, usize)]) -> String {
    let mut places: Vec<String> = Vec::new();
    let mut rest = all;
    while let Some((name, first)) = rest.first() {
        let run = rest.iter().zip(*first..).take_while(|(one, at)| **one == (*name, *at)).count();
        let last = first + run.max(1) - 1;
        places.push(match first == &last {
            true => format!("{name} {first}"),
            false => format!("{name} {first}-{last}"),
        });
        rest = rest.get(run.max(1)..).unwrap_or(&[]);
    }
    let more = places.len().saturating_sub(PLACES_MAX);
    places.truncate(PLACES_MAX);
    if more > 0 {
        places.push(format!("{more} more places"));
    }
    list(&places)
}

/// What the rules of a chain come to together.
fn stance(chain: &Chain, refusing: &Refusing<'_>) -> Option<String> {
    let rules = &chain.rules;
    if rules.is_empty() {
        return Some(match chain.policy.as_deref() {
            Some("DROP") => "It has no rules: every packet is dropped by its policy.".into(),
            _ => "It has no rules: packets go on as they came.".into(),
        });
    }
    let of = |kind: targets::Kind| rules.iter().filter(move |rule| rule.kind() == kind);
    let last = rules.iter().position(|rule| rule.ends_all() || chain.refuses_all(rule, refusing));
    let last = last.and_then(|at| Some((at + 1, rules.get(at)?)));
    let (logs, drops) = (of(targets::Kind::Log).count(), of(targets::Kind::Drop).count());
    if logs + drops == rules.len() && last.is_some() {
        let logs = if logs > 0 { "logs and " } else { "" };
        return Some(format!("It {logs}refuses what comes to it."));
    }
    let into = jumped_to(rules);
    let (refuses, by) = match (last, chain.policy.as_deref()) {
        (Some((at, last)), _) => (chain.refuses_all(last, refusing), format!("rule {at}")),
        (None, policy) => (policy == Some("DROP"), "its policy".into()),
    };
    if chain.table != "filter" || !chain.is_built_in() && !refuses {
        let all = of(targets::Kind::Chain).count() == rules.len();
        return into.filter(|_| all).map(|into| format!("It hands packets on to {into}."));
    }
    let tail = into.as_ref().map(|into| format!(" What else goes through depends on {into}."));
    let tail = tail.unwrap_or_default();
    // Rules that no packet comes to accept and refuse nothing.
    let live = |rule: &&Told| rule.hidden_by.is_none();
    let end = last.map_or(rules.len(), |(at, _)| at);
    let reached = |kind: targets::Kind| {
        rules.iter().take(end).filter(move |rule| rule.kind() == kind).filter(live)
    };
    let accepted = ways(reached(targets::Kind::Accept));
    let dropped = ways(reached(targets::Kind::Drop).filter(|rule| !rule.clauses.is_empty()));
    Some(match (refuses, accepted, dropped) {
        (true, Some(accepted), _) => {
            format!("What is not named is refused by {by}. Accepted: {accepted}.{tail}")
        }
        (true, None, _) => format!("What no rule takes is refused by {by}.{tail}"),
        (false, _, Some(dropped)) => {
            format!("What no rule refuses goes through. Refused: {dropped}.{tail}")
        }
        (false, _, None) => match into {
            Some(into) => format!("It hands packets on to {into}."),
            None => "It refuses nothing.".into(),
        },
    })
}

/// The chains that rules lead into; `None` when they lead into none.
fn jumped_to(rules: &[Told]) -> Option<String> {
    let jumps = rules.iter().filter(|rule| rule.kind() == targets::Kind::Chain);
    let named: BTreeSet<&str> = jumps.map(|rule| rule.words.target_name()).collect();
    let mut named: Vec<String> = named.into_iter().map(String::from).collect();
    let more = named.len().saturating_sub(WAYS_MAX);
    named.truncate(WAYS_MAX);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    (!named.is_empty()).then(|| list(&named))
}

/// What rules are about, in a few words for many.
fn ways<'a>(rules: impl Iterator<Item = &'a Told>) -> Option<String> {
    let mut named: Vec<String> = Vec::new();
    let mut ports: Vec<(String, Vec<String>)> = Vec::new();
    // Of tens of thousands of rules each may name another.
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut others = 0;
    for rule in rules {
        let Some(way) = way(rule) else {
            others += 1;
            continue;
        };
        match way {
            Way::Named(text) => {
                if seen.insert((String::new(), text.clone())) {
                    named.push(text);
                }
            }
            Way::Ports(protocol, to) => {
                let at = ports.iter().position(|(known, _)| *known == protocol);
                let at = at.unwrap_or_else(|| {
                    ports.push((protocol.clone(), Vec::new()));
                    ports.len() - 1
                });
                if let Some((_, all)) = ports.get_mut(at) {
                    let new = |port: &String| seen.insert((protocol.clone(), port.clone()));
                    all.extend(to.into_iter().filter(new));
                }
            }
        }
    }
    others += named.len().saturating_sub(WAYS_MAX);
    named.truncate(WAYS_MAX);
    for (protocol, mut all) in ports {
        let more = all.len().saturating_sub(PORTS_MAX);
        all.truncate(PORTS_MAX);
        if more > 0 {
            all.push(format!("{more} more"));
        }
        let word = if all.len() == 1 { "port" } else { "ports" };
        named.push(format!("{protocol} to {word} {}", list(&all)));
    }
    if others > 0 {
        let word = if named.is_empty() { "what" } else { "and what" };
        let rules = if others == 1 { "rule says" } else { "rules say" };
        let other = if named.is_empty() { "" } else { "other " };
        named.push(format!("{word} {others} {other}{rules}"));
    }
    (!named.is_empty()).then(|| named.join("; "))
}

/// What a rule is about.
enum Way {
    /// In a few words.
    Named(String),
    /// New connections of a protocol to ports.
    Ports(String, Vec<String>),
}

/// `None` where a few words do not do.
fn way(rule: &Told) -> Option<Way> {
    let words = &rule.words;
    let named = |text: &str| Some(Way::Named(text.into()));
    let plain =
        ["tcp", "udp", "state", "conntrack", "comment", "multiport", "icmp", "icmp6", "icmpv6"];
    if words.matches.iter().any(|m| !plain.contains(&m.name.as_str())) {
        return None;
    }
    let negated = words.matches.iter().flat_map(|m| &m.options).chain(&words.header);
    if negated.clone().any(|option| option.not) {
        return None;
    }
    let states = words.states();
    if let Some(states) = states.as_ref().filter(|states| !states.is_empty()) {
        if states.iter().all(|state| ["ESTABLISHED", "RELATED"].contains(state)) {
            return named("what belongs to connections that exist");
        }
        if *states == ["INVALID"] {
            return named("what fits no connection (INVALID)");
        }
    }
    let to: Vec<String> = words
        .options(&["--dport", "--dports"])
        .flat_map(|option| option.value().split(','))
        .map(|port| port.replace(':', " to "))
        .collect();
    let protocol = words.header("-p").map(|option| {
        protocol::number(option.value()).map_or_else(|| option.value().to_string(), protocol::name)
    });
    if !to.is_empty() {
        return Some(Way::Ports(protocol?, to));
    }
    if words.options(&["--sport", "--sports"]).next().is_some() {
        return None;
    }
    let mut text = protocol.unwrap_or_else(|| "everything".into());
    for (name, word) in [("-s", "from"), ("-d", "to"), ("-i", "in by"), ("-o", "out by")] {
        if let Some(option) = words.header(name) {
            text.push_str(&format!(" {word} {}", option.value()));
        }
    }
    match text.as_str() {
        "everything in by lo" | "everything out by lo" => named("loopback"),
        _ => Some(Way::Named(text)),
    }
}

/// The rules in words, neighbours that differ in one clause taken together.
fn groups(rules: &[Told], room: &mut usize) -> Vec<RuleTold> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = rules.get(at) {
        if *room == 0 {
            break;
        }
        let mut differs: Option<usize> = None;
        let mut values: Vec<&str> = Vec::new();
        let mut end = at + 1;
        while let Some(next) = rules.get(end) {
            let Some(position) = one_difference(first, next) else { break };
            if *differs.get_or_insert(position) != position {
                break;
            }
            values.extend(next.clauses.get(position).map(String::as_str));
            end += 1;
        }
        let mut clauses = first.clauses.clone();
        if let Some((position, clause)) =
            differs.and_then(|position| Some((position, clauses.get_mut(position)?)))
        {
            values.insert(0, first.clauses.get(position).map_or("", String::as_str));
            *clause = together(&values);
        }
        let mut text = told(&first.effect, &clauses);
        if first.refused {
            text.push_str(" (keepstate refuses this rule)");
        }
        out.push(RuleTold {
            first: at + 1,
            last: end,
            line: first.line,
            comment: first.comment(),
            text,
        });
        *room = room.saturating_sub(end - at);
        at = end;
    }
    out
}

/// The only clause in which two rules differ; `None` when they differ in more, or in what they do.
fn one_difference(a: &Told, b: &Told) -> Option<usize> {
    let alike = a.effect == b.effect
        && a.clauses.len() == b.clauses.len()
        && a.refused == b.refused
        && a.comment() == b.comment();
    if !alike {
        return None;
    }
    let mut differ = (0..a.clauses.len()).filter(|at| a.clauses.get(*at) != b.clauses.get(*at));
    let only = differ.next()?;
    let (one, other) = (a.clauses.get(only)?, b.clauses.get(only)?);
    // `its source` and `its destination` are two things.
    let subject = one.split(' ').take(2).eq(other.split(' ').take(2));
    // So are `it is TCP` and `it is NEW`, and what is and what is not.
    let words = |clause: &str, wanted: &dyn Fn(&str) -> bool| clause.split([' ', ',']).any(wanted);
    let state = |clause: &str| words(clause, &|word| STATES.contains(&word));
    let not = |clause: &str| words(clause, &|word| word == "not");
    let alike = state(one) == state(other) && !not(one) && !not(other);
    (subject && alike && differ.next().is_none()).then_some(only)
}

/// Clauses as one: what all begin with once, and the rest as alternatives.
fn together(clauses: &[&str]) -> String {
    let words: Vec<Vec<&str>> = clauses.iter().map(|clause| clause.split(' ').collect()).collect();
    let shortest = words.iter().map(Vec::len).min().unwrap_or(0);
    let same =
        |at: usize| words.iter().all(|one| one.get(at) == words.first().and_then(|w| w.get(at)));
    // Whoever shares a whole clause still differs in its end.
    let shared = (0..shortest.saturating_sub(1)).take_while(|at| same(*at)).count();
    let rest = |one: &Vec<&str>| one.get(shared..).unwrap_or(&[]).join(" ");
    // What is a list already gives its members.
    let members = |text: String| -> Vec<String> {
        text.split(" or ").flat_map(|part| part.split(", ")).map(String::from).collect()
    };
    let mut values: Vec<String> =
        words.iter().take(VALUES_MAX).map(rest).flat_map(members).collect();
    if words.len() > VALUES_MAX {
        values.push(format!("one of {} more", words.len() - VALUES_MAX));
    }
    let head = words.first().and_then(|first| first.get(..shared)).unwrap_or(&[]).join(" ");
    let values = alternatives(&values);
    if head.is_empty() { values } else { format!("{head} {values}") }
}

/// What of a rule set cannot be known from packets, and what stands in the way.
fn mind(answer: &mut Answer, all: &[Chain]) {
    let mut asked: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for chain in all {
        for (at, rule) in chain.rules.iter().enumerate() {
            let names = rule.words.matches.iter().map(|m| m.name.as_str());
            for name in names.chain(core::iter::once(rule.words.target_name())) {
                if chains::unknown(name).is_some() || unsupported::of_match(name).is_some() {
                    asked.entry(name).or_default().push((chain.name.as_str(), at + 1));
                }
            }
        }
    }
    for (name, asking) in asked {
        let places = places(&asking);
        let text = match (chains::unknown(name), unsupported::of_match(name)) {
            (Some(what), _) => format!(
                "No capture tells {what}: {name} asks for it ({}). Say it in the host file (sets: \
                 --ipset), or answers that hang on it are called unknown.",
                places
            ),
            (None, text) => format!("`-m {name}` {} ({}).", text.unwrap_or(""), places),
        };
        answer.say(Topic::Mind, format!("mind.unknown.{name}"), text);
    }
}

mod summary;

pub use summary::RULES_MAX as SUMMARY_RULES_MAX;

#[cfg(test)]
mod tests;
