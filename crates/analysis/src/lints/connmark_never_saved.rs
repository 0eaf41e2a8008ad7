//! A connection mark that no rule sets.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "connmark-never-saved",
    severity: Severity::Note,
    title: "a connection mark that no rule sets",
    page: include_str!("connmark_never_saved.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let restores = |rule: &Ruled<'_>| rule.words.target_option("--restore-mark").is_some();
    let sets = linted.with_target(&["CONNMARK"]).any(|rule| !restores(rule));
    if sets {
        return Ok(());
    }
    for rule in &linted.rules {
        let own = rule.words.matches.iter().filter(|one| one.name == "connmark");
        let option = own.flat_map(|one| &one.options).find(|option| option.name == "--mark");
        let asks = option.is_some_and(|option| {
            !option.not && !option.value().starts_with("0x0") && option.value() != "0"
        });
        let restores = rule.words.target_name() == "CONNMARK" && restores(rule);
        if asks || restores {
            found.push(Finding::new(rule.rule.span, "no rule gives connections a mark").evidence(
                "the file has no CONNMARK --set-mark, --set-xmark or --save-mark: the mark is 0",
            ));
        }
    }
    Ok(())
}
