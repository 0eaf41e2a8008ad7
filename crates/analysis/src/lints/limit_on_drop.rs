//! A limit on what is dropped: the flood passes.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::limit_without_effect::for_limited;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "limit-on-drop",
    severity: Severity::Warning,
    title: "a limit on what is dropped: the flood passes",
    page: include_str!("limit_on_drop.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for_limited(
        linted,
        Verdict::Drop,
        |linted, rule, over, accepted| {
            let through = over.and(accepted)?;
            let Some(packet) = linted.example(&through)? else { return Ok(None) };
            Ok(Some(
            Finding::new(rule.rule.span, "this refuses packets up to the limit, and lets those pass that are over it")
                .evidence(format!("{packet}: refused as long as few come, accepted when many come"))
                .help("accept within the limit and drop the rest behind it; or --hashlimit-above with -j DROP"),
        ))
        },
        found,
    )
}
