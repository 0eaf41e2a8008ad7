//! `-j NOTRACK`, the old name of `-j CT --notrack`.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "deprecated-notrack",
    severity: Severity::Note,
    title: "`-j NOTRACK`, the old name of `-j CT --notrack`",
    page: include_str!("deprecated_notrack.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let old = |rule: &&Ruled<'_>| linted.text(rule.rule.span).contains("-j NOTRACK");
    let all: Vec<_> = linted.rules.iter().filter(old).collect();
    let Some(first) = all.first() else { return Ok(()) };
    let mut edits = Vec::new();
    for rule in &all {
        let fix = linted.rewrite(rule, "-j NOTRACK", "-j CT --notrack", Expected::Nothing);
        edits.extend(fix.map(|fix| fix.edits).unwrap_or_default());
    }
    let fix = Fix { text: "write `-j CT --notrack`".into(), edits, expected: Expected::Nothing };
    found.push(
        Finding::new(first.rule.span, "`-j NOTRACK` is the old name of `-j CT --notrack`")
            .evidence(format!("rules with it: {}; both names do the same", all.len()))
            .fix(Some(fix).filter(|fix| !fix.edits.is_empty())),
    );
    Ok(())
}
