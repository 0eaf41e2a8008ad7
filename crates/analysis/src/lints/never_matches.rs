//! A rule whose conditions contradict each other.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "never-matches",
    severity: Severity::Warning,
    title: "a rule whose conditions no packet fits together",
    page: include_str!("never_matches.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let every = linted.space.every();
    for rule in &linted.rules {
        if rule.asked.and(&every)?.is_empty() {
            found.push(
                Finding::new(rule.rule.span, "no packet fits all that this rule asks for")
                    .evidence("the set of packets with all of its conditions together is empty")
                    .fix(linted.removal(rule, Expected::Nothing)),
            );
        }
    }
    Ok(())
}
