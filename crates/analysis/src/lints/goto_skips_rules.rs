//! A goto that makes packets skip the rules behind it.

use crate::algebra::space::Result;
use crate::lint::ahead::Lookahead;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::model::Jump;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "goto-skips-rules",
    severity: Severity::Warning,
    title: "a goto that makes packets skip the rules behind it",
    page: include_str!("goto_skips_rules.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.rules.iter().filter(|rule| rule.is_plain && !rule.matched.is_empty()) {
        let Jump::Goto(to) = rule.rule.target else { continue };
        if rule.chain.hook.is_none() {
            continue;
        }
        let mut lookahead = Lookahead::new(linted, rule.table);
        let back = rule.matched.and(&lookahead.chain(to)?.back)?;
        let behind = linted.chain_rules(rule.table.name, rule.at.chain);
        for skipped in behind.filter(|one| one.at > rule.at && one.is_plain) {
            let both = back.and(&skipped.asked)?;
            if both.is_empty() {
                continue;
            }
            let mut finding = Finding::new(
                rule.rule.span,
                "packets that come back from there skip the rules behind: the policy decides about them",
            )
            .label(skipped.rule.span, "is not asked of them");
            if let Some(packet) = linted.example(&both)? {
                finding = finding.evidence(format!("for instance {packet}"));
            }
            found.push(finding.help("-j instead of -g comes back to the next rule"));
            break;
        }
    }
    Ok(())
}
