//! Translation, and INVALID packets are let through.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::Expected;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::states;
use keepstate_conntrack::Hook;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "nat-without-invalid-drop",
    severity: Severity::Warning,
    title: "translation, and INVALID packets are let through",
    page: include_str!("nat_without_invalid_drop.md"),
    run,
};

const TRANSLATES: [&str; 5] = ["MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let invalid = linted.in_states(ct::INVALID)?.and(&linted.within(Field::Protocol, 6, 6)?)?;
    let translates = |rule: &&crate::lint::Ruled<'_>| {
        rule.table.name == TableName::Nat && !rule.matched.is_empty()
    };
    let Some(nat) = linted.with_target(&TRANSLATES).find(translates) else { return Ok(()) };
    let forwards = linted.passed(Way::Through).and(&linted.in_states(ct::NEW)?)?;
    if forwards.is_empty() {
        return Ok(());
    }
    for (way, hook, what) in [
        (
            Way::In,
            Hook::Input,
            "one that belongs to a translated connection is taken for the host's own, which answers it with a reset",
        ),
        (
            Way::Through,
            Hook::Forward,
            "it leaves with the address that it came with: an inner one, or not that of the connection",
        ),
    ] {
        let let_through = linted.passed(way).and(&invalid)?.and(&linted.outside()?)?;
        if let_through.is_empty() {
            continue;
        }
        let Some((table, chain, base)) = linted.base(TableName::Filter, hook) else { continue };
        let text = format!(
            "this translates connections, and {} lets INVALID segments through untranslated",
            base.name
        );
        let mut finding =
            Finding::new(nat.rule.span, text).label(base.span, "nothing drops them here");
        if let Some(packet) = linted.example(&let_through)? {
            finding = finding.evidence(format!("{packet} is accepted: {what}"));
        }
        let rule = format!("-A {} -m conntrack --ctstate INVALID -j DROP", base.name);
        let expected = Expected::Only(states(ct::INVALID), "INVALID packets");
        found.push(finding.help(rule.clone()).fix(linted.first_in(table, chain, &rule, expected)));
    }
    Ok(())
}
