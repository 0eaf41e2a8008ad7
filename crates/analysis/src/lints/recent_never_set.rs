//! A list of -m recent that no rule fills.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "recent-never-set",
    severity: Severity::Warning,
    title: "a list of -m recent that no rule fills",
    page: include_str!("recent_never_set.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let filled: Vec<String> =
        linted.rules.iter().flat_map(|rule| lists(rule, &["--set"])).collect();
    for rule in linted.rules.iter().filter(|rule| !rule.reached.is_empty()) {
        for name in lists(rule, &["--rcheck", "--update", "--remove"]) {
            if filled.contains(&name) {
                continue;
            }
            found.push(
                Finding::new(rule.rule.span, format!("no rule puts an address into the list {name}"))
                    .evidence("only --set does; --rcheck, --update and --remove ask for addresses that are there")
                    .help(format!("-m recent --name {name} --set in the rule that is to remember them")),
            );
        }
    }
    Ok(())
}

/// The lists that a rule does one of these with.
pub(super) fn lists(rule: &Ruled<'_>, does: &[&str]) -> Vec<String> {
    let recent = rule.words.matches.iter().filter(|one| one.name == "recent");
    let doing =
        recent.filter(|one| one.options.iter().any(|option| does.contains(&option.name.as_str())));
    doing
        .map(|one| {
            let name = one.options.iter().find(|option| option.name == "--name");
            name.map_or("DEFAULT", |option| option.value()).to_string()
        })
        .collect()
}
