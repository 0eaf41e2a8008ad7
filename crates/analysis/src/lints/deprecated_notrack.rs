//! `-j NOTRACK`, the old name of `-j CT --notrack`.

use crate::algebra::space::Result;
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Form, Linted, Ruled};
use keepstate_ruleset::model::Span;
use std::collections::BTreeSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "deprecated-notrack",
    severity: Severity::Note,
    title: "`-j NOTRACK`, the old name of `-j CT --notrack`",
    page: include_str!("deprecated_notrack.md"),
    run,
};

const OLD: &str = "-j NOTRACK";

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let old = |rule: &&Ruled<'_>| linted.text(rule.rule.span).contains(OLD);
    let all: Vec<_> = linted.rules.iter().filter(old).collect();
    let Some(first) = all.first() else { return Ok(()) };
    let mut edits = Vec::new();
    for rule in &all {
        let fix = linted.rewrite(rule, OLD, "-j CT --notrack", Expected::Nothing);
        edits.extend(fix.map(|fix| fix.edits).unwrap_or_default());
    }
    // A table that is written twice is loaded as it stands the last time: the first is put right with it.
    let loaded: BTreeSet<u32> = all.iter().map(|rule| linted.line(rule.rule.span)).collect();
    let mut lines = loaded.clone();
    let mut at = 0;
    for (number, line) in (1..).zip(linted.source.split_inclusive('\n')) {
        let is_rule = line.trim_start().starts_with(['-', '[']) && linted.form == Form::Save;
        if let Some(found) = line.find(OLD).filter(|_| is_rule && !loaded.contains(&number)) {
            let start = at + found as u32;
            let span = Span { start, end: start + OLD.len() as u32 };
            edits.push(Edit { span, text: "-j CT --notrack".into() });
            lines.insert(number);
        }
        at += line.len() as u32;
    }
    let told = match lines.len() {
        1 => String::from("one line with it"),
        count if count == edits.len() || edits.is_empty() => format!("{count} lines with it"),
        count => format!("{count} lines with it, {} of which can be put right here", edits.len()),
    };
    let fix = Fix { text: "write `-j CT --notrack`".into(), edits, expected: Expected::Nothing };
    found.push(
        Finding::new(first.rule.span, "`-j NOTRACK` is the old name of `-j CT --notrack`")
            .evidence(format!("{told}; both names do the same"))
            .fix(Some(fix).filter(|fix| !fix.edits.is_empty())),
    );
    Ok(())
}
