//! A set that rules fill and no rule asks.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "set-never-asked",
    severity: Severity::Note,
    title: "a set that rules fill and no rule asks",
    page: include_str!("set_never_asked.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let asked = |name: &str| {
        linted
            .rules
            .iter()
            .flat_map(|rule| &rule.words.matches)
            .flat_map(|one| &one.options)
            .any(|option| option.name == "--match-set" && option.value() == name)
            || linted.with_target(&["SET"]).any(|rule| {
                rule.words.target_option("--map-set").is_some_and(|option| option.value() == name)
            })
    };
    let mut told: Vec<&str> = Vec::new();
    for rule in linted.with_target(&["SET"]) {
        let Some(option) = rule.words.target_option("--add-set") else { continue };
        let name = option.value();
        if asked(name) || told.contains(&name) {
            continue;
        }
        told.push(name);
        // A set of several parts is asked with as many, or it never matches.
        let parts = option.values.get(1).map_or("src", String::as_str);
        let mut finding = Finding::new(
            rule.rule.span,
            format!("addresses go into the set {name}, and no rule asks it"),
        );
        if let Some(packet) = linted.example(&rule.matched)? {
            finding = finding.evidence(format!("for instance those of {packet}"));
        }
        found.push(
            finding.evidence("the file has no -m set --match-set of that name").help(format!(
                "-m set --match-set {name} {parts} in the rule that is to know them"
            )),
        );
    }
    Ok(())
}
