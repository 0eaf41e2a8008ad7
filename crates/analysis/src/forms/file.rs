//! Whole rule files, listings and scripts; and one line of them in its place.

use crate::answer::{Answer, Topic};
use crate::experiment::Context;
use crate::prose::{header, list, targets};
use crate::recognise::Form;
use crate::rule::words::RuleWords;
use crate::rule::{self, Subject};
use crate::witness::Side;
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::{Diagnostic, Position};
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::syntax::{iptables_command, iptables_list, iptables_save};
use std::collections::BTreeMap;

/// Rules of a file that are listed one by one.
pub const RULES_SHOWN_MAX: usize = 400;
/// Faults of a file that are shown.
const FAULTS_SHOWN_MAX: usize = 20;

/// A line of a file, read.
struct Line {
    table: String,
    chain: String,
    words: Vec<String>,
}

/// Explains a whole text, chain by chain.
#[must_use]
pub fn explain(text: &str, form: Form) -> Answer {
    let (name, what) = match form {
        Form::Listing => ("iptables-listing", "A whole listing, as `iptables -L` prints it."),
        Form::Script => ("iptables-script", "A script of iptables commands, or lines of -S."),
        _ => ("iptables-save-file", "A rule file, as iptables-save writes it."),
    };
    let mut answer = Answer::new(text, name);
    answer.say(Topic::Form, "form.file", what);
    let family = family(text);
    let save = as_save(text, form);
    if form == Form::Listing && !text.lines().any(|l| l.contains(" in ") && l.contains("prot")) {
        answer.say(
            Topic::Form,
            "form.no-interfaces",
            "Without -v it has no interface columns: rules bound to an interface look like rules \
             for all of them.",
        );
        answer.assume("interfaces", "No interface is named: rules hold for all of them.");
    }
    if form != Form::Script {
        match iptables_save::parse(&save.text, family) {
            Ok(_) => answer.say(Topic::Form, "form.loads", "keepstate can load all of it."),
            Err(faults) => add_faults(&mut answer, &save.text, &faults),
        }
    }
    summary(&mut answer, text, form, family);
    answer
}

fn family(text: &str) -> Family {
    iptables_save::family_of(text)
}

fn add_faults(answer: &mut Answer, source: &str, faults: &[Diagnostic]) {
    answer.say(
        Topic::Fault,
        "fault.count",
        format!("keepstate refuses to load it: {} faults.", faults.len()),
    );
    for fault in faults.iter().take(FAULTS_SHOWN_MAX) {
        let at = Position::of(source, fault.span.start);
        answer.say(
            Topic::Fault,
            format!("fault.{}", fault.code),
            format!("line {}: {}: {}", at.line, fault.code, fault.text),
        );
    }
}

/// Chains and rules in words.
fn summary(answer: &mut Answer, text: &str, form: Form, family: Family) {
    let mut policies: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut chains: Vec<(String, String)> = Vec::new();
    let mut rules: BTreeMap<(String, String), Vec<RuleWords>> = BTreeMap::new();
    let mut shown = 0;
    let mut table = String::from("filter");
    let mut chain = String::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_string();
        }
        if let Some((name, policy)) = declaration(line) {
            chain = name.to_string();
            let key = (table.clone(), chain.clone());
            if let Some(policy) = policy {
                policies.insert(key.clone(), policy.to_string());
            }
            if !chains.contains(&key) {
                chains.push(key);
            }
            continue;
        }
        let Some(read) = read_line(line, form, &table, &chain) else { continue };
        let key = (read.table.clone(), read.chain.clone());
        if !chains.contains(&key) {
            chains.push(key.clone());
        }
        let words = RuleWords::read(family, &read.table, &read.chain, &read.words);
        rules.entry(key).or_default().push(words);
    }
    for key in chains {
        let (table, chain) = &key;
        let own = rules.remove(&key).unwrap_or_default();
        let policy = match policies.get(&key) {
            Some(policy) => format!("policy {policy}"),
            None if Side::of_chain(chain).is_some() => String::from("policy not given"),
            None => String::from("a user chain"),
        };
        let count = if own.len() == 1 { "1 rule".into() } else { format!("{} rules", own.len()) };
        let text = format!("{policy}, {count}.");
        answer.field(format!("{table} {chain}"), text);
        for (number, rule) in own.iter().enumerate() {
            shown += 1;
            if shown > RULES_SHOWN_MAX {
                break;
            }
            answer.field(format!("{table} {chain} {}", number + 1), in_short(rule));
        }
    }
    if shown > RULES_SHOWN_MAX {
        answer.say(
            Topic::Matches,
            "rules.cut",
            format!("Only the first {RULES_SHOWN_MAX} rules are listed."),
        );
    }
    answer.say(
        Topic::Mind,
        "mind.one-rule",
        "For one of its rules in full, run in the midst of the others: keepstate explain FILE:LINE.",
    );
}

/// A rule in one sentence.
fn in_short(rule: &RuleWords) -> String {
    let mut clauses: Vec<String> = rule.header.iter().filter_map(header::condition).collect();
    if let Some(found) = rule.states() {
        clauses.push(format!("its state is {}", crate::prose::alternatives(&found)));
    }
    for m in &rule.matches {
        for option in &m.options {
            let known = ["--state", "--ctstate", "--comment"];
            if !known.contains(&option.name.as_str()) {
                clauses.push(option.text());
            }
        }
    }
    let when = if clauses.is_empty() {
        String::from("every packet")
    } else {
        format!("when {}", list(&clauses))
    };
    let target = rule.target_name();
    let does = match targets::kind(rule.target.as_ref()) {
        targets::Kind::Nothing => String::from("counts"),
        targets::Kind::Chain => format!("goes into {target}"),
        _ => target.to_string(),
    };
    format!("{does}: {when}")
}

fn declaration(line: &str) -> Option<(&str, Option<&str>)> {
    if let Some(found) = iptables_list::read_chain_head(line) {
        return Some(found);
    }
    let mut words = line.strip_prefix(':')?.split_whitespace();
    Some((words.next()?, words.next().filter(|policy| *policy != "-")))
}

fn read_line(line: &str, form: Form, table: &str, chain: &str) -> Option<Line> {
    if form == Form::Listing {
        let row = iptables_list::read_row(line)?;
        let words = iptables_command::split(&row.save_words())?;
        return Some(Line { table: table.to_string(), chain: chain.to_string(), words });
    }
    if line.starts_with('#') {
        return None;
    }
    let read = iptables_command::read(line)?;
    let rule = matches!(
        read.operation,
        iptables_command::Operation::Append | iptables_command::Operation::Insert(_)
    );
    rule.then(|| Line {
        table: read.table.unwrap_or_else(|| table.to_string()),
        chain: read.chain,
        words: read.rule,
    })
}

/// A text as a rule file, and how far its lines have moved.
struct Save {
    text: String,
    moved: usize,
}

/// A listing as a rule file of the filter table; other forms as they are.
fn as_save(text: &str, form: Form) -> Save {
    if form != Form::Listing {
        return Save { text: text.to_string(), moved: 0 };
    }
    let mut head = vec![String::from("*filter")];
    let mut body = Vec::new();
    let mut chain = String::new();
    for line in text.lines() {
        let mut out = String::new();
        if let Some((name, policy)) = iptables_list::read_chain_head(line) {
            chain = name.to_string();
            head.push(format!(":{name} {} [0:0]", policy.unwrap_or("-")));
        } else if let (false, Some(row)) = (chain.is_empty(), iptables_list::read_row(line)) {
            out = format!("-A {chain} {}", row.save_words());
        }
        body.push(out);
    }
    let moved = head.len();
    head.extend(body);
    head.push(String::from("COMMIT"));
    Save { text: head.join("\n") + "\n", moved }
}

/// What the text at this line is a rule of; `None` when it is no rule.
#[must_use]
pub fn subject_of(source: &str, line: usize) -> Option<Subject> {
    let form = form_of(source);
    let mut table = String::from("filter");
    let mut chain = String::new();
    for (index, text) in source.lines().enumerate().take(line) {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('*') {
            table = name.to_string();
        } else if let Some((name, _)) = declaration(text) {
            chain = name.to_string();
        } else if index + 1 == line {
            let read = read_line(text, form, &table, &chain)?;
            let base = base_of(source, form, &read.table, &read.chain);
            return Some(Subject {
                family: family(source),
                table: read.table,
                chain: read.chain,
                words: read.words,
                base,
            });
        }
    }
    None
}

fn form_of(source: &str) -> Form {
    if source.lines().any(|line| iptables_list::read_chain_head(line).is_some()) {
        Form::Listing
    } else if source.lines().any(|line| line.trim_start().starts_with('*')) {
        Form::SaveFile
    } else {
        Form::Script
    }
}

/// The built-in chain from which a user chain is reached, by the shortest way.
fn base_of(source: &str, form: Form, table: &str, chain: &str) -> Option<String> {
    if Side::of_chain(chain).is_some() {
        return None;
    }
    let mut jumps: Vec<(String, String)> = Vec::new();
    let mut in_table = String::from("filter");
    let mut in_chain = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            in_table = name.to_string();
        } else if let Some((name, _)) = declaration(line) {
            in_chain = name.to_string();
        } else if let Some(read) = read_line(line, form, &in_table, &in_chain)
            && read.table == table
        {
            let mut words = read.words.iter().skip_while(|w| !matches!(w.as_str(), "-j" | "-g"));
            words.next();
            if let Some(target) = words.next() {
                jumps.push((read.chain, target.clone()));
            }
        }
    }
    let mut reached = vec![chain.to_string()];
    let mut next = 0;
    while let Some(at) = reached.get(next).cloned() {
        if Side::of_chain(&at).is_some() {
            return Some(at);
        }
        for (from, to) in &jumps {
            if *to == at && !reached.contains(from) {
                reached.push(from.clone());
            }
        }
        next += 1;
    }
    None
}

/// Explains a rule of a file, run in the midst of the file.
#[must_use]
pub fn explain_rule(source: &str, line: usize, text: &str, subject: &Subject) -> Answer {
    let form = form_of(source);
    let mut answer = Answer::new(text, "rule-of-file");
    let (table, chain) = (&subject.table, &subject.chain);
    answer.say(
        Topic::Form,
        "form.file-line",
        format!("Line {line} of a rule file: a rule of the chain {chain} of the table {table}."),
    );
    if let Some(base) = &subject.base {
        answer.say(Topic::Form, "form.reached-from", format!("{chain} is reached from {base}."));
    } else if Side::of_chain(chain).is_none() {
        answer.say(
            Topic::Form,
            "form.unreachable",
            format!("No rule leads from a built-in chain to {chain}: no packet ever comes here."),
        );
    }
    let save = as_save(source, form);
    let loaded = iptables_save::parse(&save.text, subject.family);
    let nat = loaded.as_ref().ok().and_then(|ruleset| ruleset.table(TableName::Nat));
    let translates = nat.is_some_and(|nat| nat.chains.iter().any(|chain| !chain.rules.is_empty()));
    if translates && subject.table != "nat" {
        answer.assume(
            "nat-table",
            "The file's nat table is left out of the runs: no address is translated, and a rule \
             behind a translation sees other addresses than here.",
        );
    }
    match (form, loaded) {
        (Form::Script, _) => {
            answer.assume("file", "The rest of the script is not run: the rule is taken alone.");
            rule::explain(&mut answer, subject, &Context::Alone);
        }
        (_, Ok(_)) => {
            let context = Context::File { source: &save.text, line: line + save.moved };
            rule::explain(&mut answer, subject, &context);
        }
        (_, Err(faults)) => {
            add_faults(&mut answer, &save.text, &faults);
            answer.assume("file", "The file cannot be loaded: the rule is taken alone.");
            rule::explain(&mut answer, subject, &Context::Alone);
        }
    }
    answer
}
