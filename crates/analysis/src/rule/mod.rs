//! A rule explained: what it matches, what the words mean, what it does, why it is needed, what to
//! mind.

pub(crate) mod short;
mod typing;
pub mod words;

use crate::answer::{Answer, Fact, Topic};
use crate::experiment::{Context, Findings, experiment};
use crate::prose::{self, cautions, header, states, targets, unsupported};
use crate::witness::Side;
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Diagnostic;
use keepstate_ruleset::explain::{Piece, Pieces};
use keepstate_ruleset::model::{Chain, Jump, Rule, Ruleset, Table};
use keepstate_ruleset::syntax::{iptables_command, iptables_save};
use words::RuleWords;

/// A rule to be explained.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `iptables` or `ip6tables`.
    pub family: Family,
    /// Table; assumed when the text does not say.
    pub table: String,
    /// Chain; assumed when the text does not say.
    pub chain: String,
    /// The rule in iptables-save words, without `-A CHAIN`.
    pub words: Vec<String>,
    /// The built-in chain through which packets come to the rule, in a file of the reader's own.
    pub base: Option<String>,
}

/// What the parser makes of a rule.
pub(crate) struct Understood {
    pub(crate) rule: RuleWords,
    conditions: Vec<String>,
    pieces: Pieces,
    pub(crate) faults: Vec<Diagnostic>,
    source: String,
}

impl Understood {
    /// What it asks for, clause by clause.
    pub(crate) fn clauses(&self) -> Vec<String> {
        let mut clauses: Vec<String> =
            self.rule.header.iter().filter_map(header::condition).collect();
        clauses.extend(self.pieces.iter().filter_map(|piece| match piece {
            Piece::Condition(text) => Some(text.clone()),
            Piece::Effect(_) | Piece::Note(_) | Piece::Caution(_) | Piece::Term(_) => None,
        }));
        clauses.extend(self.conditions.iter().cloned());
        clauses
    }

    /// What its target says that it does.
    pub(crate) fn effects<'a>(&'a self) -> Vec<&'a str> {
        let effect = |piece: &'a Piece| match piece {
            Piece::Effect(text) => Some(text.as_str()),
            Piece::Condition(_) | Piece::Note(_) | Piece::Caution(_) | Piece::Term(_) => None,
        };
        self.pieces.iter().filter_map(effect).collect()
    }
}

/// Adds everything there is to say of a rule.
pub fn explain(answer: &mut Answer, subject: &Subject, context: &Context<'_>) {
    // A file that loads has what it names.
    let subject = &match context {
        Context::Alone => typing::mended(answer, subject),
        Context::File { .. } => subject.clone(),
    };
    let understood = understand(subject);
    let rule = &understood.rule;
    answer.rule = Some(format!(
        "{} -t {} {}",
        if rule.family == Family::V6 { "ip6tables" } else { "iptables" },
        rule.table,
        rule.save()
    ));
    faults(answer, &understood);
    for word in subject.words.iter().filter(|word| word.starts_with('$')) {
        answer.assume(
            "variables",
            format!("`{word}` is a variable of a shell, its value is not known: taken as a name."),
        );
    }
    matching(answer, &understood);
    terms(answer, &understood);
    effect(answer, &understood);
    why(answer, subject, &understood, context);
    if understood.faults.is_empty() {
        narrower(answer, subject, rule, context);
    }
    cautions::add(answer, rule);
    for piece in &understood.pieces {
        if let Piece::Caution(text) = piece {
            answer.say(Topic::Mind, "mind.extension", text.clone());
        }
    }
    short::add(answer, &understood);
}

/// Reads a rule with the parser, and falls back on its bare words where the parser refuses it.
pub(crate) fn understand(subject: &Subject) -> Understood {
    let raw = RuleWords::read(subject.family, &subject.table, &subject.chain, &subject.words);
    let source = around(&raw, &subject.words);
    match iptables_save::parse(&source, subject.family) {
        Ok(ruleset) => parsed(&ruleset, &raw, source.clone())
            .unwrap_or_else(|| refused(raw, source, Vec::new())),
        Err(faults) => refused(raw, source, faults),
    }
}

/// The smallest file that holds the rule.
fn around(rule: &RuleWords, words: &[String]) -> String {
    let mut source = format!("*{}\n", rule.table);
    let builtin = Side::of_chain(&rule.chain).is_some();
    if !builtin {
        source.push_str(&format!(":{} - [0:0]\n", rule.chain));
    }
    let chain = targets::kind(rule.target.as_ref()) == targets::Kind::Chain;
    if chain && rule.target_name() != rule.chain {
        source.push_str(&format!(":{} - [0:0]\n", rule.target_name()));
    }
    source.push_str(&format!("-A {} {}\nCOMMIT\n", rule.chain, iptables_command::join(words)));
    source
}

fn parsed(ruleset: &Ruleset, raw: &RuleWords, source: String) -> Option<Understood> {
    let table = ruleset.tables.first()?;
    let chain = table.chains.iter().find(|chain| chain.name == raw.chain)?;
    let understood = of_model(ruleset.family, table, chain, chain.rules.first()?);
    Some(Understood { source, ..understood })
}

/// A rule of a rule set that was loaded, without its source.
pub(crate) fn of_model(family: Family, table: &Table, chain: &Chain, rule: &Rule) -> Understood {
    let line = iptables_save::print_rule(family, table, &chain.name, rule);
    let words = iptables_command::read(&line).map(|command| command.rule).unwrap_or_default();
    let mut conditions = Vec::new();
    let mut pieces = Vec::new();
    for m in &rule.matches {
        let before = pieces.len();
        m.explain(&mut pieces);
        if !pieces.iter().skip(before).any(|piece| matches!(piece, Piece::Condition(_))) {
            let mut options = String::new();
            m.print(&mut options);
            if m.name() != "comment" {
                conditions.push(format!("-m {}{options}", m.name()));
            }
        }
    }
    if let Jump::Target(target) = &rule.target {
        target.explain(&mut pieces);
    }
    Understood {
        rule: RuleWords::read(family, table.name.as_str(), &chain.name, &words),
        conditions,
        pieces,
        faults: Vec::new(),
        source: String::new(),
    }
}

fn refused(raw: RuleWords, source: String, faults: Vec<Diagnostic>) -> Understood {
    let (mut conditions, mut pieces) = (Vec::new(), Vec::new());
    for m in raw.matches.iter().filter(|m| m.name != "comment") {
        let known = alone(&raw, Some(m));
        if known.iter().any(|piece| matches!(piece, Piece::Condition(_))) {
            pieces.extend(known);
            continue;
        }
        let options = m.options.iter().map(words::OptionWords::text);
        let named = (!m.name.is_empty()).then(|| format!("-m {}", m.name));
        let words: Vec<String> = named.into_iter().chain(options).collect();
        conditions.push(format!("`{}` holds", words.join(" ")));
        if let Some(text) = unsupported::of_match(&m.name) {
            pieces.push(Piece::Note(format!("`-m {}` {text}.", m.name)));
        }
    }
    pieces.extend(alone(&raw, None));
    if let Some(text) = unsupported::of_target(raw.target_name()) {
        pieces.push(Piece::Effect(text.into()));
    }
    Understood { rule: raw, conditions, pieces, faults, source }
}

/// What one match of a rule says, or its target, where the parser takes it without the others.
fn alone(raw: &RuleWords, m: Option<&words::MatchWords>) -> Pieces {
    let mut rule = raw.clone();
    rule.header.retain(|option| option.name == "-p");
    rule.matches = m.into_iter().cloned().collect();
    if m.is_some() {
        // A table that has every hook, and one of them where any match may stand.
        (rule.table, rule.chain) = (String::from("mangle"), String::from("PREROUTING"));
        rule.target = None;
    } else if rule.target.is_none() || targets::effect(raw).is_some() {
        return Vec::new();
    }
    let words = iptables_command::read(&rule.save()).map(|command| command.rule);
    let source = around(&rule, &words.unwrap_or_default());
    let ruleset = iptables_save::parse(&source, raw.family).ok();
    ruleset
        .and_then(|ruleset| parsed(&ruleset, &rule, source))
        .map_or_else(Vec::new, |understood| understood.pieces)
}

/// What the parser has against the rule.
fn faults(answer: &mut Answer, understood: &Understood) {
    for fault in understood.faults.iter().take(FAULTS_SHOWN_MAX) {
        let words = understood
            .source
            .get(fault.span.start as usize..fault.span.end as usize)
            .unwrap_or("")
            .trim();
        let mut text = format!("{}: {}", fault.code, fault.text);
        if !words.is_empty() && words.len() < 80 {
            text.push_str(&format!(" (`{words}`)"));
        }
        if let Some(help) = &fault.help {
            text.push_str(&format!(". Help: {help}"));
        }
        answer.say(Topic::Fault, format!("fault.{}", fault.code), text);
    }
    if !understood.faults.is_empty() {
        answer.say(
            Topic::Fault,
            "fault.no-engine",
            "keepstate refuses to load this rule, so nothing was run with it; what follows comes \
             from its words alone.",
        );
    }
}

/// Faults of one rule that are shown.
const FAULTS_SHOWN_MAX: usize = 8;

fn matching(answer: &mut Answer, understood: &Understood) {
    let rule = &understood.rule;
    let clauses = understood.clauses();
    let program = if rule.family == Family::V6 { "IPv6" } else { "IPv4" };
    let text = if clauses.is_empty() {
        format!("Every {program} packet that comes to it.")
    } else {
        format!("An {program} packet matches when {}.", prose::list(&clauses))
    };
    answer.say(Topic::Matches, "matches", text);
    let comments: Vec<&str> = rule.options(&["--comment"]).map(|option| option.value()).collect();
    if !comments.is_empty() {
        answer.say(
            Topic::Matches,
            "matches.comment",
            format!("The comment \"{}\" is for people and matches nothing.", comments.join(" ")),
        );
    }
    answer.say(Topic::Matches, "matches.where", place(rule));
}

/// Where packets come to the rule.
fn place(rule: &RuleWords) -> String {
    let what = seen(&rule.chain);
    format!("It stands in the chain {} of the table {}, which sees {what}.", rule.chain, rule.table)
}

/// The packets that a chain sees.
fn seen(chain: &str) -> &'static str {
    match chain {
        "INPUT" => "packets for this host itself, after routing",
        "FORWARD" => "packets that this host routes from one interface to another",
        "OUTPUT" => "packets that this host's own programs send, before they leave",
        "PREROUTING" => "every packet that arrives, before routing",
        "POSTROUTING" => "every packet that leaves, after routing",
        _ => "the packets that a rule of another chain sends into it with -j or -g",
    }
}

fn terms(answer: &mut Answer, understood: &Understood) {
    let rule = &understood.rule;
    let translated = rule.options(&["--ctstate"]).filter(|option| !option.not);
    let translated: Vec<&str> = translated
        .flat_map(|option| option.value().split(','))
        .filter_map(|name| ["SNAT", "DNAT"].into_iter().find(|known| *known == name))
        .collect();
    for state in rule.states().unwrap_or_default().into_iter().chain(translated) {
        for (code, text) in states::articles(state, rule) {
            answer.define(code, state, text);
        }
    }
    let asked = rule.options(&["--state", "--ctstate"]).count();
    if asked > 1 && rule.states().is_some_and(|states| states.is_empty()) {
        answer.say(
            Topic::Terms,
            "state.contradiction",
            "A packet has one of the five states: no packet fits all that is asked here, and the \
             rule never matches.",
        );
    }
    for piece in &understood.pieces {
        match piece {
            Piece::Note(text) => answer.say(Topic::Terms, "note", text.clone()),
            Piece::Term(_) | Piece::Condition(_) | Piece::Effect(_) | Piece::Caution(_) => {}
        }
    }
}

fn effect(answer: &mut Answer, understood: &Understood) {
    let rule = &understood.rule;
    if let Some((code, text)) = targets::effect(rule) {
        answer.say(Topic::Effect, code, text);
    }
    let mut said = targets::effect(rule).is_some();
    for piece in &understood.pieces {
        if let Piece::Effect(text) = piece {
            let code = format!("target.{}", rule.target_name().to_lowercase());
            answer.say(Topic::Effect, code, format!("For a packet that matches, the rule {text}."));
            said = true;
        }
    }
    if !said {
        let options = rule.target.iter().flat_map(|target| &target.options);
        let words: Vec<String> = core::iter::once(rule.target_name().to_string())
            .chain(options.map(words::OptionWords::text))
            .collect();
        answer.say(
            Topic::Effect,
            "target.other",
            format!("The packet goes to the target {}.", words.join(" ")),
        );
    }
}

fn why(answer: &mut Answer, subject: &Subject, understood: &Understood, context: &Context<'_>) {
    let rule = &understood.rule;
    if !understood.faults.is_empty() {
        return;
    }
    if rule.table == "nat" && !crate::experiment::is_run(rule) {
        answer.say(
            Topic::Why,
            "why.not-run",
            "No conversation was run: none told here is translated by such a rule. `keepstate replay` \
             shows what it does to a capture.",
        );
        return;
    }
    let chain = targets::kind(rule.target.as_ref()) == targets::Kind::Chain;
    if chain && matches!(context, Context::Alone) {
        answer.say(
            Topic::Why,
            "why.chain-unknown",
            format!(
                "What stands in {} is not known here, so nothing was run; an empty chain changes \
                 nothing. With the whole rule file: keepstate explain FILE:LINE.",
                rule.target_name()
            ),
        );
        return;
    }
    let base = subject.base.as_deref().unwrap_or(rule.chain.as_str());
    let side = Side::of_chain(base).unwrap_or(Side::Arriving);
    let findings = experiment(rule, side, context);
    report(answer, rule, findings, context);
}

/// What could stand in its place, tried.
fn narrower(answer: &mut Answer, subject: &Subject, rule: &RuleWords, context: &Context<'_>) {
    let base = subject.base.as_deref().unwrap_or(rule.chain.as_str());
    let side = Side::of_chain(base).unwrap_or(Side::Arriving);
    let Some(comparison) = crate::narrower::compare(rule, side) else { return };
    let alone = match context {
        Context::Alone => "",
        Context::File { .. } => ", without the other rules of the file",
    };
    let text = format!(
        "Tried in its place{alone}, each on the same conversations; the number is that of the packet that \
         does not get through."
    );
    answer.say(Topic::Narrower, "narrower.run", text);
    if let Some(run) = crate::experiment::smaller(rule) {
        answer.assume(
            "numbers-tried",
            format!(
                "What is tried in its place was run with smaller numbers, and so was this rule ({}): a dozen packets \
                 come to those.",
                run.save()
            ),
        );
    }
    answer.add(Topic::Narrower, Fact::Comparison(Box::new(comparison)));
}

fn report(answer: &mut Answer, rule: &RuleWords, findings: Findings, context: &Context<'_>) {
    if let Some(refusal) = findings.refusal {
        answer.say(Topic::Why, "why.refused", format!("The engine refuses to load it: {refusal}."));
        return;
    }
    let some = !findings.telling.is_empty() || !findings.untouched.is_empty();
    if some {
        answer.say(
            Topic::Why,
            "why.run",
            "Run through the engine, packet by packet; hook, state and verdict are what it gave, * \
             marks packets that this rule matched.",
        );
        answer.assume("host", "A host model for the runs: addresses of the documentation ranges.");
        answer.assume(
            "sysctls",
            "Tracking with the kernel's defaults: nf_conntrack_tcp_loose=1, \
             nf_conntrack_tcp_be_liberal=0, nf_conntrack_checksum=1, default timeouts.",
        );
        answer.assume(
            "helpers",
            "No helper assigned, except where the rules shown with a run assign one.",
        );
        let attempts = findings.telling.iter().any(|experiment| experiment.code == "attempts");
        if let (true, Context::Alone, Some(_)) =
            (attempts, context, crate::experiment::smaller(rule))
        {
            answer.assume(
                "numbers",
                "One client that connects again and again was tried with the smaller numbers that stand \
                 there: a dozen attempts show the same.",
            );
        }
        for text in crate::witness::given::said(rule) {
            answer.assume("given", text);
        }
        if matches!(context, Context::Alone) && Side::of_chain(&rule.chain).is_none() {
            answer.assume(
                "caller",
                format!("What leads to {} is not known: taken as one jump from INPUT.", rule.chain),
            );
        }
        match rule.table.as_str() {
            "nat" => answer.assume(
                "nat",
                "No other translation. Private addresses are reached by nobody out there, and what \
                 carries one arrives there all the same (some networks drop it on its way).",
            ),
            _ if crate::experiment::asks_for_dnat(rule) => answer.assume(
                "nat",
                "Connections are led elsewhere by the rule of the table nat that is shown with a run.",
            ),
            _ => answer.assume("nat", "No address translation."),
        }
    } else if let Some(unknown) = &findings.unknown {
        let text = format!(
            "That hangs on what no packet tells: {unknown}. No conversation was run to its end; \
             `keepstate replay --host FILE` takes such facts from the host file."
        );
        answer.say(Topic::Why, "why.unknown", text);
    } else {
        answer.say(Topic::Why, "why.nothing", nothing_found(rule, findings.tried, context));
    }
    for experiment in findings.telling.into_iter().chain(findings.untouched) {
        answer.add(Topic::Why, Fact::Experiment(Box::new(experiment)));
    }
}

fn nothing_found(rule: &RuleWords, tried: usize, context: &Context<'_>) -> String {
    let loopback = ["-i", "-o"]
        .iter()
        .filter_map(|flag| rule.header(flag))
        .any(|option| !option.not && option.value() == "lo");
    if loopback {
        return String::from(
            "It concerns the loopback interface: what programs of this host say to each other, a \
             resolver or a database for example. No conversation was run: both ends are the same \
             host.",
        );
    }
    if targets::kind(rule.target.as_ref()) == targets::Kind::Nothing {
        let remembers = ["recent", "hashlimit", "limit", "connlimit", "quota", "statistic"];
        let text = match remembers.iter().find(|name| rule.has_match(name)) {
            Some(name) => format!(
                "It decides nothing by itself. What `-m {name}` remembers of the packets is for other rules."
            ),
            None => {
                "It decides nothing: with it and without it, every packet fares the same.".into()
            }
        };
        return text;
    }
    let conversations = if tried == 1 { "conversation was" } else { "conversations were" };
    let differently = if tried == 1 { "and it did not come" } else { "and none came" };
    match (tried, context) {
        (0, _) => String::from(
            "No conversation that is known here fits what the rule asks for, so nothing was run: its \
             addresses, ports, interfaces or types are those of none. `keepstate trace --packet` tells the way \
             of a packet that you name.",
        ),
        (tried, Context::File { .. }) => format!(
            "{tried} {conversations} run through the whole file with the rule and without it, \
             {differently} out differently. `keepstate why FILE:LINE` says exactly for which packets, if for \
             any, it makes a difference."
        ),
        (tried, Context::Alone) => format!(
            "{tried} {conversations} run with the rule and without it, {differently} out \
             differently{}.",
            if rule.options(&["--ctstate"]).any(|option| option.value().contains("NAT")) {
                ": nothing is translated in them"
            } else {
                ": none has a packet that this rule would decide about"
            }
        ),
    }
}
