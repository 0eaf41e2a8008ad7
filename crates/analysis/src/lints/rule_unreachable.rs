//! A rule to which nothing comes: rules above it take every packet.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, decision, refuses};
use crate::lints::takers;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "rule-unreachable",
    severity: Severity::Warning,
    title: "a rule that no packet comes to",
    page: include_str!("rule_unreachable.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let every = linted.space.every();
    for rule in &linted.rules {
        if !rule.reached.is_empty() || rule.asked.and(&every)?.is_empty() {
            continue;
        }
        let entering = linted.entering(rule);
        if entering.is_empty() {
            continue;
        }
        let takers = takers(linted, rule, &entering)?;
        let Some(last) = takers.last() else { continue };
        let text = match takers.as_slice() {
            [_] => "no packet comes to this rule: one above it takes all".to_string(),
            many => {
                format!("no packet comes to this rule: {} above it take all together", many.len())
            }
        };
        // What refuses is mostly meant for the rest: above, it would refuse all.
        let help = match decision(rule.rule).is_some_and(refuses) {
            true => "where it was meant to refuse the rest, narrow the rules that take all",
            false => "to have it asked, put it above that rule",
        };
        let finding = Finding::new(rule.rule.span, text)
            .label(last.rule.span, "behind this one nothing is left")
            .evidence(format!("of the packets that enter {}, none is left here", rule.chain.name))
            .help(help)
            .fix(linted.removal(rule, Expected::Nothing));
        found.push(finding);
    }
    Ok(())
}
