//! `-m state`, the old name of `-m conntrack --ctstate`.

use crate::algebra::space::Result;
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::Linted;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "deprecated-state",
    severity: Severity::Note,
    title: "`-m state`, the old name of `-m conntrack --ctstate`",
    page: include_str!("deprecated_state.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let all: Vec<_> = linted.rules.iter().filter(|rule| rule.words.has_match("state")).collect();
    let Some(first) = all.first() else { return Ok(()) };
    let mut edits = Vec::new();
    for rule in &all {
        for (old, new) in [("-m state", "-m conntrack"), ("--state", "--ctstate")] {
            let fix = linted.rewrite(rule, old, new, Expected::Nothing);
            edits.extend(fix.map(|fix| fix.edits).unwrap_or_default());
        }
    }
    edits.sort_by_key(|edit: &Edit| edit.span.start);
    let fix =
        Fix { text: "write `-m conntrack --ctstate`".into(), edits, expected: Expected::Nothing };
    let rules = if all.len() == 1 {
        "rule uses".into()
    } else {
        format!("rules use, {} of them,", all.len())
    };
    found.push(
        Finding::new(
            first.rule.span,
            format!("this {rules} `-m state`, which is an alias of `-m conntrack --ctstate`")
                .replace("this rules", "these rules"),
        )
        .evidence("both ask for the same states: the packet sets are equal")
        .fix(Some(fix).filter(|fix| !fix.edits.is_empty())),
    );
    Ok(())
}
