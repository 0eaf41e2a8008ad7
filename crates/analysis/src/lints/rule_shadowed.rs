//! A rule whose packets are all decided above it, in the same way.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::shadowed;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "rule-shadowed",
    severity: Severity::Note,
    title: "a rule whose packets are all decided above it, in the same way",
    page: include_str!("rule_shadowed.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for shadow in shadowed(linted)?.into_iter().filter(|shadow| !shadow.otherwise) {
        let Some(rule) = linted.rules.get(shadow.index) else { continue };
        let mut finding = Finding::new(
            rule.rule.span,
            match shadow.takers.as_slice() {
                [_] => "a rule above takes all that this one asks for".to_string(),
                many => format!("{} rules above take all that this one asks for", many.len()),
            },
        )
        .fix(linted.removal(rule, Expected::Nothing));
        for taker in shadow.takers.iter().take(3) {
            finding = finding.label(*taker, "takes its packets");
        }
        let what = if shadow.decided {
            "what becomes of them is what this rule says, too"
        } else {
            "none of them comes so far"
        };
        found.push(finding.evidence(what));
    }
    Ok(())
}
