//! Times of day in UTC.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "time-is-utc",
    severity: Severity::Note,
    title: "times of day in UTC",
    page: include_str!("time_is_utc.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in &linted.rules {
        let asks = rule.words.options(&["--timestart", "--timestop"]).next().is_some();
        let zone = rule.words.options(&["--kerneltz"]).next().is_some();
        if asks && !zone {
            found.push(
                Finding::new(rule.rule.span, "these times of day are in UTC, whatever the host's time zone")
                    .evidence("the rule has no --kerneltz")
                    .help("write the times in UTC; --kerneltz uses the kernel's zone, which no daylight saving changes"),
            );
        }
    }
    Ok(())
}
