//! MASQUERADE of everything that leaves, by any interface.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::matches::conntrack as ct;
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
        // Where nothing is forwarded, nothing goes inwards.
        let forwarded = rule
            .matched
            .and(&linted.passed(Way::Through))?
            .and(&linted.in_states(ct::NEW)?)?
            .and(&linted.crossing()?)?;
        let Some(packet) = linted.example(&forwarded)? else { continue };
        let finding = Finding::new(
            rule.rule.span,
            "this masquerades what goes inwards as well as what goes out",
        )
        .evidence(format!("for instance {packet}: whichever of the two is the inner side"));
        found.push(
            finding
                .help("-o and the outer interface, so that only what leaves by it is masqueraded"),
        );
    }
    Ok(())
}
