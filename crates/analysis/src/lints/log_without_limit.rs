//! A rule that logs without a limit.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "log-without-limit",
    severity: Severity::Note,
    title: "a rule that logs without a limit",
    page: include_str!("log_without_limit.md"),
    run,
};

const LIMITS: [&str; 6] = ["limit", "hashlimit", "recent", "quota", "statistic", "connlimit"];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let limited =
        |rule: &Ruled<'_>| rule.words.matches.iter().any(|one| LIMITS.contains(&one.name.as_str()));
    for rule in linted.with_target(&["LOG"]).filter(|rule| !rule.matched.is_empty()) {
        let callers: Vec<_> = linted
            .rules
            .iter()
            .filter(|other| {
                other.table.name == rule.table.name
                    && other.rule.target.chains().iter().any(|(to, _)| *to == rule.at.chain)
            })
            .collect();
        let above = linted.chain_rules(rule.table.name, rule.at.chain);
        // A chain whose rules above let go what is over a limit.
        let guarded = above.take_while(|one| one.at < rule.at).any(limited);
        let called = !callers.is_empty() && callers.iter().all(|caller| limited(caller));
        if limited(rule) || called || guarded || rule.table.name == TableName::Security {
            continue;
        }
        let mut finding = Finding::new(
            rule.rule.span,
            "every packet that this rule matches is a line in the log",
        );
        if let Some(packet) = linted.example(&rule.matched)? {
            finding = finding.evidence(format!(
                "for instance {packet}; a sender of 100,000 of them a second writes as many lines"
            ));
        }
        found.push(finding.help("-m limit --limit 5/minute --limit-burst 10 before -j LOG"));
    }
    Ok(())
}
