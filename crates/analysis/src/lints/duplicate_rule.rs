//! The same rule again, in the same chain.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
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
        // One that matches again does something again.
        let again = rule.is_opaque || !rule.matched.is_empty() || rule.reached.is_empty();
        let Some(first) = linted.rules.get(first).filter(|_| !again) else { continue };
        found.push(
            Finding::new(
                rule.rule.span,
                "the same rule stands above: this one matches nothing more",
            )
            .label(first.rule.span, "here already")
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
