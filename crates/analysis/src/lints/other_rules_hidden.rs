//! The file says itself that there are rules which are not in it.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::model::Span;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "other-rules-hidden",
    severity: Severity::Warning,
    title: "the file says itself that there are rules which are not in it",
    page: include_str!("other_rules_hidden.md"),
    run,
};

/// What iptables-nft's commands write where other rules are loaded, and what that comes to.
const SAYS: [(&str, &str, &str); 2] = [
    (
        "tables present, use",
        "rules of the old kind (iptables-legacy) are loaded beside these: a packet has to pass both",
        "iptables-legacy-save and ip6tables-legacy-save print them; keep one kind, and flush the other",
    ),
    (
        "use 'nft' tool",
        "a table has rules that iptables cannot print: they are not in this file, and hold all the same",
        "nft list ruleset prints them",
    ),
];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut start = 0;
    for line in linted.source.split_inclusive('\n') {
        let text = line.trim_end();
        let here = start as u32;
        start += line.len();
        if !text.starts_with('#') {
            continue;
        }
        let Some((_, what, help)) = SAYS.iter().find(|(says, ..)| text.contains(says)) else {
            continue;
        };
        let span = Span { start: here, end: here + text.len() as u32 };
        found.push(
            Finding::new(span, *what).evidence(format!("iptables-save wrote `{text}`")).help(*help),
        );
    }
    Ok(())
}
