//! A rule without which the same would become of every packet.

use crate::algebra::chain::RuleAt;
use crate::algebra::space::Result;
use crate::lint::ahead::Lookahead;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, decision, verdict_word};
use keepstate_ruleset::model::ChainIndex;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "rule-redundant",
    severity: Severity::Note,
    title: "a rule without which the same would happen",
    page: include_str!("rule_redundant.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for (at, ends) in redundant(linted)? {
        let Some(rule) = at.and_then(|at| linted.rules.get(at)) else { continue };
        let Some(verdict) = decision(rule.rule) else { continue };
        let what = verdict_word(verdict);
        let text = match ends {
            true => format!(
                "what this rule takes would be {what} by the policy of {} just the same",
                rule.chain.name
            ),
            false => format!("what this rule takes would be {what} below just the same"),
        };
        found.push(
            Finding::new(rule.rule.span, text)
                .evidence(format!("every packet that it matches is {what} with it and without it"))
                .fix(linted.removal(rule, Expected::Nothing)),
        );
    }
    Ok(())
}

/// The rules that could go together, with whether the policy alone would do their work.
fn redundant(linted: &Linted<'_>) -> Result<Vec<(Option<usize>, bool)>> {
    let mut all = Vec::new();
    for table in &linted.ruleset.tables {
        let mut lookahead = Lookahead::new(linted, table);
        for chain in (0..table.chains.len() as u32).map(ChainIndex) {
            let mut behind = lookahead.end(chain)?;
            let end = linted.end(table.name, chain);
            for number in (0..lookahead.length(chain)).rev() {
                let at = RuleAt { chain, number };
                let rule = linted.rule(table.name, at);
                let goes = rule.is_some_and(|rule| {
                    rule.is_plain && !rule.is_opaque && !rule.matched.is_empty()
                });
                if let (true, Some(rule)) = (goes, rule)
                    && let Some(verdict) = decision(rule.rule)
                    && rule.matched.is_within(&behind.of(linted, verdict))?
                {
                    lookahead.leave_out(at);
                    let index = linted.index(table.name, at);
                    let ends = !rule.matched.and(&end)?.is_empty()
                        || number + 1 == lookahead.length(chain);
                    all.push((index, ends));
                }
                behind = lookahead.through(at, &behind)?;
            }
        }
    }
    Ok(all)
}
