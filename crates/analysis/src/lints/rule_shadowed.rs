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
    for shadow in shadowed(linted)?.into_iter().filter(|shadow| shadow.otherwise.is_none()) {
        let Some(rule) = linted.rules.get(shadow.index) else { continue };
        let mut finding = Finding::new(
            rule.rule.span,
            match shadow.by_one {
                true => "a rule above takes all that this one asks for".to_string(),
                false => {
                    format!("{} rules above take all that this one asks for", shadow.takers.len())
                }
            },
        )
        .fix(linted.removal(rule, Expected::Nothing));
        for taker in shadow.takers.iter().take(3) {
            finding = finding.label(taker.rule.span, "takes its packets");
        }
        let what = match (shadow.decided, shadow.partly) {
            (false, _) => "none of them comes so far".to_string(),
            (true, None) => "what becomes of them is what this rule says, too".to_string(),
            (true, Some(some)) => {
                format!("what becomes of most is what this rule says, too; not of this: {some}")
            }
        };
        found.push(finding.evidence(what));
    }
    Ok(())
}
