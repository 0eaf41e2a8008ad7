//! A rule whose packets are all decided above it, and not as it says.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::shadowed;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "shadowed-otherwise",
    severity: Severity::Warning,
    title: "a rule whose packets are decided above it, and otherwise",
    page: include_str!("shadowed_otherwise.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for shadow in shadowed(linted)? {
        let (Some(rule), Some(example)) = (linted.rules.get(shadow.index), shadow.otherwise) else {
            continue;
        };
        let mut finding = Finding::new(
            rule.rule.span,
            "rules above decide about all that this one asks for, and otherwise than it says",
        );
        for taker in shadow.takers.iter().take(3) {
            finding = finding.label(*taker, "decides about its packets");
        }
        found.push(
            finding
                .evidence(example)
                .help("to have it asked, put it above that rule; else take it out"),
        );
    }
    Ok(())
}
