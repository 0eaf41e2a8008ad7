//! MASQUERADE of everything that leaves, by any interface.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "masquerade-anywhere",
    severity: Severity::Warning,
    title: "MASQUERADE of everything that leaves, by any interface",
    page: include_str!("masquerade_anywhere.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.with_target(&["MASQUERADE"]) {
        let bounded = rule.words.header.iter().any(|option| option.name != "-p");
        let asks = rule.words.matches.iter().any(|one| one.name != "comment");
        let built_in = rule.chain.hook.is_some() && rule.table.name == TableName::Nat;
        if bounded || asks || !built_in || rule.matched.is_empty() {
            continue;
        }
        // Rules above it may take out what goes inwards.
        if !linted.entering(rule).less(&rule.reached)?.is_empty() {
            continue;
        }
        let mut finding = Finding::new(
            rule.rule.span,
            "this masquerades what goes inwards as well as what goes out",
        );
        if let Some(packet) = linted.example(&rule.matched)? {
            finding = finding.evidence(format!("for instance {packet}"));
        }
        found.push(
            finding
                .help("-o and the outer interface, so that only what leaves by it is masqueraded"),
        );
    }
    Ok(())
}
