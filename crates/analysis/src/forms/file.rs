//! Whole rule files, listings and scripts; and one line of them in its place.

use crate::answer::{Answer, Fact, Topic};
use crate::experiment::Context;
use crate::forms::chains::{self, counted};
use crate::recognise::Form;
use crate::rule::{self, Subject};
use crate::witness::Side;
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::{Diagnostic, Position};
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::syntax::iptables_command::script;
use keepstate_ruleset::syntax::{iptables_command, iptables_list, iptables_save};

/// Faults of a file that are shown.
const FAULTS_SHOWN_MAX: usize = 20;

/// A line of a file, read.
pub(super) struct Line {
    pub(super) table: String,
    pub(super) chain: String,
    pub(super) words: Vec<String>,
}

/// Explains a whole text, chain by chain.
#[must_use]
pub fn explain(text: &str, form: Form) -> Answer {
    if let Some(family) = keepstate_ruleset::syntax::frames::family_of(text)
        && form == Form::SaveFile
    {
        return super::frames::explain(text, family);
    }
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
        Form::Script => chains::tell(&mut answer, &chains::of_lines(text, family), None),
        _ => match iptables_save::parse(text, family) {
            Ok(ruleset) => {
                answer.say(Topic::Form, "form.loads", "keepstate can load all of it.");
                chains::tell_loaded(&mut answer, &ruleset, text, None);
            }
            Err(faults) => {
                if let Ok(part) = iptables_save::parse_part(text, family, LabelNames::NONE) {
                    of_part(&mut answer, text, &part);
                    return mind_one_rule(answer);
                }
                add_faults(&mut answer, text, &faults);
                in_part(&mut answer, text, family, faults);
                chains::tell(&mut answer, &chains::of_lines(text, family), None);
            }
        },
    }
    mind_one_rule(answer)
}

fn mind_one_rule(mut answer: Answer) -> Answer {
    answer.say(
        Topic::Mind,
        "mind.one-rule",
        "For one of its rules in full, run in the midst of the others: keepstate explain FILE:LINE.",
    );
    answer
}

/// A part of a rule set: what it says, and what stands elsewhere.
fn of_part(answer: &mut Answer, text: &str, part: &iptables_save::Part) {
    answer.say(
        Topic::Form,
        "form.part",
        "It is a part of a rule set: iptables-restore -n adds it to chains that are there already.",
    );
    for note in part.notes.iter().take(FAULTS_SHOWN_MAX) {
        let at = Position::of(text, note.span.start);
        answer.assume("elsewhere", format!("Line {}: {}.", at.line, note.text));
    }
    chains::tell_part(answer, &part.ruleset, text, &part.elsewhere);
}

/// How often lines at fault are taken out: what one of them hid shows when it is gone.
const ATTEMPTS_MAX: usize = 4;

/// In short what the rules come to that can be read.
fn in_part(answer: &mut Answer, text: &str, family: Family, mut faults: Vec<Diagnostic>) {
    let mut lines: Vec<&str> = text.lines().collect();
    let mut missing = std::collections::BTreeSet::new();
    for _ in 0..ATTEMPTS_MAX {
        let source = format!("{}\n", lines.join("\n"));
        missing.extend(faults.iter().map(|fault| Position::of(&source, fault.span.start).line));
        for number in &missing {
            if let Some(line) = lines.get_mut((*number as usize).wrapping_sub(1)) {
                *line = "";
            }
        }
        let source = format!("{}\n", lines.join("\n"));
        match iptables_save::parse(&source, family) {
            Ok(ruleset) => {
                let mut numbers: Vec<String> = missing.iter().map(ToString::to_string).collect();
                let more = numbers.len().saturating_sub(FAULTS_SHOWN_MAX);
                numbers.truncate(FAULTS_SHOWN_MAX);
                numbers.extend((more > 0).then(|| format!("{more} more")));
                let lines = if numbers.len() == 1 { "line" } else { "lines" };
                let numbers = crate::prose::list(&numbers);
                answer.add(
                    Topic::Short,
                    Fact::Field {
                        field: "in part".into(),
                        text: format!(
                            "keepstate refuses this file; told without {lines} {numbers}"
                        ),
                    },
                );
                return chains::tell_in_short(answer, &ruleset, &source);
            }
            Err(more) => faults = more,
        }
    }
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
            chains::tell_loaded(answer, &listing.ruleset, text, None);
        }
        Err(faults) => {
            open(answer, text, &converted.notes);
            add_faults(answer, text, &faults);
            chains::tell(answer, &chains::of_lines(&converted.text, family), None);
        }
    }
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
    for note in script.notes.iter().take(FAULTS_SHOWN_MAX) {
        let at = Position::of(text, note.span.start);
        answer.assume("script", format!("Line {}: {}.", at.line, note.text));
    }
    let (mut faults, told) = (script.faults, script.told);
    let both = v4 > 0 && v6 > 0;
    let mut left = Vec::new();
    for (kept, commands, family) in [(&script.v4, v4, "IPv4"), (&script.v6, v6, "IPv6")] {
        if commands == 0 {
            continue;
        }
        let loaded = kept.ruleset_of_commands(LabelNames::NONE).map_err(|more| {
            faults.extend(more);
            chains::of_lines(&kept.text(), kept.family.addresses())
        });
        left.push((loaded, both.then_some(family)));
    }
    if faults.is_empty() {
        answer.say(Topic::Form, "form.loads", "keepstate can load all of it.");
    } else {
        add_faults(answer, text, &faults);
    }
    if !told {
        answer.add(
            Topic::Short,
            Fact::Field {
                field: "not told".into(),
                text: "what this script leaves behind: some of it only a shell can tell".into(),
            },
        );
    }
    for (loaded, family) in left {
        match loaded {
            Ok(ruleset) if told => chains::tell_loaded(answer, &ruleset, text, family),
            Ok(ruleset) => chains::tell(answer, &chains::of_ruleset(&ruleset, text), family),
            Err(lines) => chains::tell(answer, &lines, family),
        }
    }
}

fn family(text: &str, form: Form) -> Family {
    match form {
        Form::Listing => iptables_list::family_of(text),
        _ => iptables_save::family_of(text),
    }
}

pub(super) fn add_faults(answer: &mut Answer, source: &str, faults: &[Diagnostic]) {
    answer.say(
        Topic::Fault,
        "fault.count",
        format!("keepstate refuses to load it: {}.", counted(faults.len(), "fault")),
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

/// `:CHAIN POLICY [..]`.
pub(super) fn declaration(line: &str) -> Option<(&str, Option<&str>)> {
    let mut words = line.strip_prefix(':')?.split_whitespace();
    Some((words.next()?, words.next().filter(|policy| *policy != "-")))
}

/// A line of a file that is a rule. `table`: of the lines before.
pub(super) fn read_line(line: &str, table: &str) -> Option<Line> {
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
    } else if !script::is_script(source)
        && source.lines().any(|line| line.trim_start().starts_with('*'))
    {
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
