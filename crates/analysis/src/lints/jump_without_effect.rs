//! A jump to a chain that does nothing.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::prose::chains::Makers;
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::verdict::Step;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "jump-without-effect",
    severity: Severity::Note,
    title: "a jump to a chain that does nothing",
    page: include_str!("jump_without_effect.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let makers = Makers::of_ruleset(linted.ruleset);
    for rule in linted.rules.iter().filter(|rule| !rule.matched.is_empty()) {
        let Jump::Jump(to) = &rule.rule.target else { continue };
        let Some(chain) = rule.table.chain(*to) else { continue };
        let made = [chain, rule.chain].iter().any(|one| makers.made_by(&one.name).is_some());
        let idle = chain.rules.iter().all(|one| matches!(one.target, Jump::Standard(Step::Return)));
        // One without rules is kept as a place for some.
        let empty = chain.rules.is_empty();
        if made || !idle || empty || chain.policy.is_some() || rule.is_opaque {
            continue;
        }
        found.push(
            Finding::new(
                rule.rule.span,
                format!("the chain {} does nothing: all of its rules are RETURN", chain.name),
            )
            .label(chain.span, "declared here")
            .evidence("every packet that enters it comes back as it was")
            .fix(linted.removal(rule, Expected::Nothing)),
        );
    }
    Ok(())
}
