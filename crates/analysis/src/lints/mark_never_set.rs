//! A packet mark that no rule sets.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "mark-never-set",
    severity: Severity::Note,
    title: "a packet mark that no rule sets",
    page: include_str!("mark_never_set.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let sets = |rule: &Ruled<'_>| match &rule.rule.target {
        Jump::Target(target) => target.effect().writes.iter().any(|write| {
            matches!(write, Change::Bits { field: Field::Mark, .. } | Change::Among(Field::Mark, _))
        }),
        Jump::None | Jump::Jump(_) | Jump::Goto(_) | Jump::Standard(_) => false,
    };
    if linted.rules.iter().any(sets) {
        return Ok(());
    }
    for rule in &linted.rules {
        let own = rule.words.matches.iter().filter(|one| one.name == "mark");
        let option = own.flat_map(|one| &one.options).find(|option| option.name == "--mark");
        let Some(option) = option.filter(|option| !option.not) else { continue };
        let value = option.value().split('/').next().unwrap_or("");
        if matches!(value, "0" | "0x0") {
            continue;
        }
        found.push(
            Finding::new(rule.rule.span, format!("no rule gives packets the mark {value}"))
                .evidence("the file has no MARK, no CONNMARK --restore-mark and no other target that sets marks"),
        );
    }
    Ok(())
}
