//! A RETURN in a built-in chain of filter.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::model::{Jump, Policy, TableName};
use keepstate_ruleset::verdict::Step;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "return-in-builtin",
    severity: Severity::Note,
    title: "a RETURN in a built-in chain of filter",
    page: include_str!("return_in_builtin.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter) {
        let returns = matches!(rule.rule.target, Jump::Standard(Step::Return));
        if !returns || rule.chain.hook.is_none() || rule.matched.is_empty() {
            continue;
        }
        let policy = match rule.chain.policy {
            Some(Policy::Drop) => "DROP",
            _ => "ACCEPT",
        };
        let mut finding = Finding::new(
            rule.rule.span,
            format!("RETURN in {} is what its policy says: {policy}", rule.chain.name),
        )
        .label(rule.chain.span, "the policy");
        if let Some(packet) = linted.example(&rule.matched)? {
            finding = finding.evidence(format!("for instance {packet}"));
        }
        let target = format!("-j {policy}");
        found.push(finding.fix(linted.rewrite(rule, "-j RETURN", &target, Expected::Nothing)));
    }
    Ok(())
}
