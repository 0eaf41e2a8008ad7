//! A list of -m recent that no rule asks.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::recent_never_set::lists;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "recent-never-asked",
    severity: Severity::Note,
    title: "a list of -m recent that no rule asks",
    page: include_str!("recent_never_asked.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let asks = ["--rcheck", "--update"];
    let asked: Vec<String> = linted.rules.iter().flat_map(|rule| lists(rule, &asks)).collect();
    for rule in linted.rules.iter().filter(|rule| !rule.reached.is_empty()) {
        for name in lists(rule, &["--set"]) {
            if asked.contains(&name) {
                continue;
            }
            found.push(
                Finding::new(
                    rule.rule.span,
                    format!("addresses go into the list {name}, and no rule asks it"),
                )
                .evidence("there is no --rcheck and no --update of that name"),
            );
        }
    }
    Ok(())
}
