//! A translation whose packets are all refused further on.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::matches::conntrack as ct;
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
    let passed = linted.passed(Way::In).or(&linted.passed(Way::Through))?;
    let arriving = Way::In.packets(&linted.space)?.or(&Way::Through.packets(&linted.space)?)?;
    for rule in linted.with_target(&["DNAT", "REDIRECT"]) {
        let here = rule.matched.and(&arriving)?.and(&linted.in_states(ct::NEW)?)?;
        let after = if rule.words.target_name() == "REDIRECT" {
            here.and(&linted.passed(Way::In))?
        } else {
            here.and(&passed)?
        };
        if rule.table.name != TableName::Nat || here.is_empty() || !after.is_empty() {
            continue;
        }
        let mut finding = Finding::new(
            rule.rule.span,
            "what this rule translates is refused afterwards, all of it",
        );
        for way in [Way::Through, Way::In] {
            let Some(outcome) = linted.outcome(way) else { continue };
            for fate in outcome.fates() {
                let both = outcome.ended_by(&linted.space, &fate)?.and(&here)?;
                if both.is_empty() || finding.evidence.len() > 1 {
                    continue;
                }
                let rule = linted.rule(fate.table, fate.at);
                let by = match rule {
                    Some(rule) => format!("rule {} of {}", rule.at.number + 1, rule.chain.name),
                    None => format!(
                        "the policy of {}",
                        keepstate_ruleset::model::builtin_name(fate.hook)
                    ),
                };
                if let Some(rule) = rule {
                    finding = finding.label(rule.rule.span, "refuses them");
                }
                let packet = linted.example(&both)?.unwrap_or_default();
                finding = finding.evidence(format!("{packet}: refused by {by}"));
            }
        }
        found.push(finding.help("accept the new destination in FORWARD (of REDIRECT: in INPUT)"));
    }
    Ok(())
}
