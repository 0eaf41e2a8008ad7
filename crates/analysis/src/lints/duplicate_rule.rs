//! The same rule again, in the same chain.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::closing;
use keepstate_ruleset::model::Span;
use std::collections::BTreeMap;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "duplicate-rule",
    severity: Severity::Warning,
    title: "the same rule a second time",
    page: include_str!("duplicate_rule.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (index, rule) in linted.rules.iter().enumerate() {
        let key = (rule.table.name, rule.line.as_str());
        let Some(first) = seen.get(&key).copied() else {
            seen.insert(key, index);
            continue;
        };
        let Some(first) = linted.rules.get(first) else { continue };
        // Behind a rule that takes all no rule is asked: doubles of that one alone are told of here.
        let unasked = rule.reached.is_empty();
        let all = closing(linted, rule)?.is_some_and(|(last, alone)| alone && last.at == first.at);
        // One that matches again does something again.
        if rule.is_opaque || !rule.matched.is_empty() || unasked && !all {
            continue;
        }
        // Several addresses in a line are as many rules.
        let text = match first.rule.span == rule.rule.span {
            true => format!(
                "this line is loaded as several rules, two of which are the same: {}",
                rule.line
            ),
            false => "the same rule stands above: this one matches nothing more".into(),
        };
        let label =
            if first.rule.span == rule.rule.span { Span::default() } else { first.rule.span };
        found.push(
            Finding::new(rule.rule.span, text)
                .label(label, "here already")
                .evidence("no packet that it asks for is left when it is asked")
                .fix(linted.removal(rule, Expected::Nothing)),
        );
    }
    Ok(())
}

/// Whether a rule stands above in the same words.
pub(super) fn is_duplicate(linted: &Linted<'_>, index: usize) -> bool {
    let Some(rule) = linted.rules.get(index) else { return false };
    let mut above = linted.chain_rules(rule.table.name, rule.at.chain);
    above.by_ref().take_while(|one| one.at < rule.at).any(|one| one.line == rule.line)
}
