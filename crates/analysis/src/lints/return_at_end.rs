//! A RETURN at the end of a chain.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::prose::chains::Makers;
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::verdict::Step;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "return-at-end",
    severity: Severity::Note,
    title: "a RETURN at the end of a chain",
    page: include_str!("return_at_end.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let makers = Makers::of_ruleset(linted.ruleset);
    for rule in &linted.rules {
        let returns = matches!(rule.rule.target, Jump::Standard(Step::Return));
        let last = rule.at.number as usize + 1 == rule.chain.rules.len();
        let user = rule.chain.hook.is_none() && rule.chain.policy.is_none();
        if !returns
            || !last
            || !user
            || rule.is_opaque
            || rule.matched.is_empty()
            || makers.made_by(&rule.chain.name).is_some()
        {
            continue;
        }
        found.push(
            Finding::new(rule.rule.span, "the chain ends here anyway: RETURN changes nothing")
                .evidence("with it and without it, what it matches goes back to where the chain was called")
                .fix(linted.removal(rule, Expected::Nothing)),
        );
    }
    Ok(())
}
