//! A log prefix without a blank at its end.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::packet_set::PacketSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "log-prefix-joined",
    severity: Severity::Note,
    title: "a log prefix without a blank at its end",
    page: include_str!("log_prefix_joined.md"),
    run,
};

/// Longest prefix in bytes.
const PREFIX_MAX: usize = 29;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.with_target(&["LOG"]) {
        let Some(option) = rule.words.target_option("--log-prefix") else { continue };
        let prefix = option.value();
        if !prefix.ends_with(|c: char| c.is_alphanumeric()) || rule.matched.is_empty() {
            continue;
        }
        let new = format!("--log-prefix \"{prefix} \"");
        let expected = Expected::Only(
            PacketSet::of_header(&rule.rule.header),
            "how what it matches is logged",
        );
        let quoted = ["\"", "'", ""].map(|quote| format!("--log-prefix {quote}{prefix}{quote}"));
        let room = prefix.len() < PREFIX_MAX;
        let fix = quoted.iter().find_map(|old| {
            let single = format!("--log-prefix '{prefix} '");
            let new = if old.ends_with('\'') { &single } else { &new };
            linted.rewrite(rule, old, new, expected.clone())
        });
        found.push(
            Finding::new(rule.rule.span, "the prefix runs into what follows it")
                .evidence(format!("a line begins with `{prefix}IN=`"))
                .fix(fix.filter(|_| room)),
        );
    }
    Ok(())
}
