//! A rule that asks for packets that never come to its chain.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::lacking;
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "never-in-chain",
    severity: Severity::Warning,
    title: "a rule for packets that never come to its chain",
    page: include_str!("never_in_chain.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let every = linted.space.every();
    for rule in &linted.rules {
        if !rule.matched.is_empty() || rule.asked.and(&every)?.is_empty() {
            continue;
        }
        let entering = linted.entering(rule);
        let wanted = rule.asked.and(&entering)?;
        if entering.is_empty() || !(wanted.is_empty() || lacking(linted, rule, &wanted)?) {
            continue;
        }
        let table = rule.table.name;
        let why = match (table, rule.words.states()) {
            (TableName::Nat, Some(_)) => {
                "table nat is asked for the first packet of a connection only, which is NEW, or RELATED where a \
                 helper announced it"
                    .to_string()
            }
            (TableName::Raw, Some(_)) => {
                "table raw comes before tracking: there every packet looks INVALID, or UNTRACKED where a rule \
                 said so"
                    .to_string()
            }
            _ => {
                let told = linted.told(&entering)?;
                format!("packets that come to {}: {}", rule.chain.name, told.join("; "))
            }
        };
        let mut finding = Finding::new(
            rule.rule.span,
            format!("no packet that comes to {} fits this rule", rule.chain.name),
        )
        .evidence(why)
        .fix(linted.removal(rule, Expected::Nothing));
        let callers = linted.rules.iter().filter(|other| {
            other.table.name == table
                && other.rule.target.chains().iter().any(|(to, _)| *to == rule.at.chain)
        });
        for caller in callers.take(2) {
            finding = finding.label(caller.rule.span, "the chain is entered here");
        }
        found.push(finding);
    }
    Ok(())
}
