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
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::syntax::iptables_command::script;
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
    let family = family(text, form);
    match form {
        Form::Listing => listing(&mut answer, text, family),
        Form::Script if script::is_script(text) => of_script(&mut answer, text),
        Form::Script => summary(&mut answer, text, family),
        _ => {
            match iptables_save::parse(text, family) {
                Ok(_) => answer.say(Topic::Form, "form.loads", "keepstate can load all of it."),
                Err(faults) => add_faults(&mut answer, text, &faults),
            }
            summary(&mut answer, text, family);
        }
    }
    answer
}

/// A listing: what it leaves open, what of it cannot be taken, and its rules as far as they are
/// understood.
fn listing(answer: &mut Answer, text: &str, family: Family) {
    let converted = iptables_list::convert(text);
    if text.lines().filter_map(iptables_list::read_column_head).any(|columns| !columns.interfaces) {
        answer.say(
            Topic::Form,
            "form.no-interfaces",
            "Without -v it has no interface columns: rules bound to an interface look like rules \
             for all of them.",
        );
        answer.assume("interfaces", "No interface is named: rules hold for all of them.");
    }
    match iptables_list::parse(text, family, LabelNames::NONE) {
        Ok(listing) => {
            answer.say(Topic::Form, "form.loads", "keepstate can load all of it.");
            open(answer, text, &listing.notes);
        }
        Err(faults) => {
            open(answer, text, &converted.notes);
            add_faults(answer, text, &faults);
        }
    }
    summary(answer, &converted.text, family);
}

/// What a listing leaves open, but for its columns.
fn open(answer: &mut Answer, text: &str, notes: &[Diagnostic]) {
    let of_columns = |note: &&Diagnostic| {
        let line = text.get(note.span.start as usize..note.span.end as usize);
        line.is_none_or(|line| !iptables_list::is_column_head(line))
    };
    for note in notes.iter().filter(of_columns).take(FAULTS_SHOWN_MAX) {
        let at = Position::of(text, note.span.start);
        answer.assume("listing", format!("Line {}: {}.", at.line, note.text));
    }
}

/// What the commands of a script leave behind.
fn of_script(answer: &mut Answer, text: &str) {
    let script = script::run(text, LabelNames::NONE);
    let [v4, v6] = script.commands;
    let mut faults = script.faults;
    for (kept, commands) in [(&script.v4, v4), (&script.v6, v6)] {
        if commands > 0
            && let Err(more) = kept.ruleset_of_commands(LabelNames::NONE)
        {
            faults.extend(more);
        }
    }
    if faults.is_empty() {
        answer.say(Topic::Form, "form.loads", "keepstate can load all of it.");
    } else {
        add_faults(answer, text, &faults);
    }
    for (kept, commands) in [(&script.v4, v4), (&script.v6, v6)] {
        if commands > 0 {
            summary(answer, &kept.text(), kept.family);
        }
    }
}

fn family(text: &str, form: Form) -> Family {
    match form {
        Form::Listing => iptables_list::family_of(text),
        _ => iptables_save::family_of(text),
    }
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
fn summary(answer: &mut Answer, text: &str, family: Family) {
    let mut policies: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut chains: Vec<(String, String)> = Vec::new();
    let mut rules: BTreeMap<(String, String), Vec<RuleWords>> = BTreeMap::new();
    let mut shown = 0;
    let mut table = String::from("filter");
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_string();
        }
        if let Some((name, policy)) = declaration(line) {
            let key = (table.clone(), name.to_string());
            if let Some(policy) = policy {
                policies.insert(key.clone(), policy.to_string());
            }
            if !chains.contains(&key) {
                chains.push(key);
            }
            continue;
        }
        let Some(read) = read_line(line, &table) else { continue };
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
    let mut words = line.strip_prefix(':')?.split_whitespace();
    Some((words.next()?, words.next().filter(|policy| *policy != "-")))
}

fn read_line(line: &str, table: &str) -> Option<Line> {
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

/// What the text at this line is a rule of; `None` when it is no rule.
#[must_use]
pub fn subject_of(source: &str, line: usize) -> Option<Subject> {
    let form = form_of(source);
    if form == Form::Listing {
        let converted = iptables_list::convert(source);
        let made = converted.line_of(source, line)?;
        let family = family(source, form);
        return subject_of(&converted.text, made).map(|subject| Subject { family, ..subject });
    }
    let mut table = String::from("filter");
    for (index, text) in source.lines().enumerate().take(line) {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('*') {
            table = name.to_string();
        } else if index + 1 == line && declaration(text).is_none() {
            let read = read_line(text, &table)?;
            let base = base_of(source, &read.table, &read.chain);
            return Some(Subject {
                family: family(source, form),
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
    if iptables_list::is_listing(source) {
        Form::Listing
    } else if source.lines().any(|line| line.trim_start().starts_with('*')) {
        Form::SaveFile
    } else {
        Form::Script
    }
}

/// The built-in chain from which a user chain is reached, by the shortest way.
fn base_of(source: &str, table: &str, chain: &str) -> Option<String> {
    if Side::of_chain(chain).is_some() {
        return None;
    }
    let mut jumps: Vec<(String, String)> = Vec::new();
    let mut in_table = String::from("filter");
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            in_table = name.to_string();
        } else if let Some(read) = read_line(line, &in_table)
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
    // A listing is run as the file that it is read as.
    let converted = (form == Form::Listing).then(|| iptables_list::convert(source));
    let (file, line) = match &converted {
        Some(converted) => {
            (converted.text.as_str(), converted.line_of(source, line).unwrap_or(line))
        }
        None => (source, line),
    };
    let loaded = iptables_save::parse(file, subject.family);
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
            let context = Context::File { source: file, line };
            rule::explain(&mut answer, subject, &context);
        }
        (_, Err(faults)) => {
            add_faults(&mut answer, file, &faults);
            answer.assume("file", "The file cannot be loaded: the rule is taken alone.");
            rule::explain(&mut answer, subject, &Context::Alone);
        }
    }
    answer
}
