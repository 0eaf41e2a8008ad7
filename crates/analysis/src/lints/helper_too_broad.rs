//! A helper for connections from anyone to anyone.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_ruleset::matches::conntrack as ct;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "helper-too-broad",
    severity: Severity::Note,
    title: "a helper for connections from anyone to anyone",
    page: include_str!("helper_too_broad.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.with_target(&["CT"]) {
        let Some(option) = rule.words.target_option("--helper") else { continue };
        // Those for queries to everybody read what this host itself sends, and nothing else.
        if matches!(option.value(), "netbios-ns" | "snmp") {
            continue;
        }
        let arrives = rule.chain.name != "OUTPUT" && !rule.matched.is_empty();
        let bounded = ["-s", "-d", "-i"].iter().any(|name| rule.words.header(name).is_some());
        let asks = rule
            .words
            .matches
            .iter()
            .any(|one| !["tcp", "udp", "comment", "multiport"].contains(&one.name.as_str()));
        let called = rule.chain.hook.is_none();
        if !arrives || bounded || asks || called {
            continue;
        }
        // What is dropped later is read by no helper, and what lo brings has been looked at as it left.
        let passed = linted.passed(Way::In).or(&linted.passed(Way::Through))?;
        let read =
            rule.matched.and(&passed)?.and(&linted.in_states(ct::NEW)?)?.and(&linted.outside()?)?;
        if read.is_empty() {
            continue;
        }
        let mut finding = Finding::new(
            rule.rule.span,
            format!(
                "the helper {} reads connections from everywhere to everywhere",
                option.value()
            ),
        );
        if let Some(packet) = linted.example(&read)? {
            finding = finding.evidence(format!("for instance {packet}"));
        }
        found.push(
            finding.help("name the interface of those who are to use it (-i), or the servers (-d)"),
        );
    }
    Ok(())
}
