//! A translation whose packets are all refused further on.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::witness::destination_of;
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "dnat-blocked",
    severity: Severity::Warning,
    title: "a translation whose packets are all refused further on",
    page: include_str!("dnat_blocked.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.with_target(&["DNAT", "REDIRECT"]) {
        if rule.table.name != TableName::Nat {
            continue;
        }
        // What the new address is says which way they go.
        let inward = match destination_of(&rule.words) {
            Some((to, _)) => linted.is_own(to)?,
            None => rule.words.target_name() == "REDIRECT",
        };
        let way = if inward { Way::In } else { Way::Through };
        let Some(outcome) = linted.outcome(way) else { continue };
        let begins = linted.beginning(&rule.matched)?;
        let here = begins.and(&way.packets(&linted.space)?)?;
        // An address that no rule calls the host's own may be one.
        let passed = begins.and(&linted.passed(Way::In).or(&linted.passed(way))?)?;
        if here.is_empty() || !passed.is_empty() {
            continue;
        }
        let mut finding = Finding::new(
            rule.rule.span,
            "what this rule translates is refused afterwards, all of it",
        );
        for fate in outcome.fates() {
            let both = outcome.ended_by(&linted.space, &fate)?.and(&here)?;
            if both.is_empty() || finding.evidence.len() > 1 {
                continue;
            }
            let rule = linted.rule(fate.table, fate.at);
            let by = match rule {
                Some(rule) => format!("rule {} of {}", rule.at.number + 1, rule.chain.name),
                None => {
                    format!("the policy of {}", keepstate_ruleset::model::builtin_name(fate.hook))
                }
            };
            if let Some(rule) = rule {
                finding = finding.label(rule.rule.span, "refuses them");
            }
            let packet = linted.example(&both)?.unwrap_or_default();
            finding = finding.evidence(format!("{packet}: refused by {by}"));
        }
        let place = if inward { "INPUT" } else { "FORWARD" };
        found.push(finding.help(format!("accept the new destination in {place}")));
    }
    Ok(())
}
