//! The rule for established connections stands behind many others.

use crate::algebra::space::Result;
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "established-late",
    severity: Severity::Note,
    title: "the rule for established connections stands behind many others",
    page: include_str!("established_late.md"),
    run,
};

/// So many rules before it are worth a word.
const BEFORE_MIN: u32 = 16;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let established = linted.in_states(ct::ESTABLISHED)?;
    for rule in &linted.rules {
        let filter = rule.table.name == TableName::Filter && rule.chain.hook.is_some();
        let states = rule.words.states().unwrap_or_default();
        let plain = rule.words.header.is_empty()
            && rule
                .words
                .matches
                .iter()
                .all(|one| ["state", "conntrack", "comment"].contains(&one.name.as_str()));
        let named = states.contains(&"ESTABLISHED") && !states.contains(&"NEW");
        let accepts = decision(rule.rule) == Some(Verdict::Accept);
        if !filter || !plain || !named || !accepts || rule.at.number < BEFORE_MIN {
            continue;
        }
        let reached = rule.reached.and(&established)?;
        if reached.is_empty() {
            continue;
        }
        found.push(
            Finding::new(
                rule.rule.span,
                format!(
                    "packets of established connections are compared with {} rules before this one",
                    rule.at.number
                ),
            )
            .evidence(format!("it is rule {} of {}", rule.at.number + 1, rule.chain.name))
            .fix(forward(linted, rule)),
        );
    }
    Ok(())
}

/// Moves it to the head of its chain.
fn forward(linted: &Linted<'_>, rule: &Ruled<'_>) -> Option<Fix> {
    let first = linted.chain_rules(rule.table.name, rule.at.chain).next()?;
    if !linted.is_editable(rule) || !linted.is_editable(first) {
        return None;
    }
    let own = linted.whole_line(rule.rule.span);
    let text = linted.text(own).to_string();
    let mut head = linted.whole_line(first.rule.span);
    head.end = head.start;
    let edits = vec![Edit { span: head, text }, Edit { span: own, text: String::new() }];
    Some(Fix { text: "put it first".into(), edits, expected: Expected::Nothing })
}
