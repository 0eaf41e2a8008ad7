//! Whoever sends from a port of his choice is let in everywhere.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, decision};
use crate::lints::refused_somewhere;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "source-port-trusted",
    severity: Severity::Warning,
    title: "whoever sends from a port of his choice is let in everywhere",
    page: include_str!("source_port_trusted.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let new = linted.in_states(ct::NEW)?;
    let outside = linted.outside()?;
    // Ports that no rule of this kind is meant for.
    let ssh = linted.within(Field::Protocol, 6, 6)?.and(&linted.within(
        Field::DestinationPort,
        22,
        22,
    )?)?;
    let snmp = linted.within(Field::Protocol, 17, 17)?.and(&linted.within(
        Field::DestinationPort,
        161,
        161,
    )?)?;
    let other = ssh.or(&snmp)?;
    for rule in
        linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter && !rule.is_opaque)
    {
        let names = rule.words.options(&["--sport", "--sports"]).next().is_some_and(|option| {
            !option.not && option.value() != "0:65535" && option.value() != "1024:65535"
        });
        let bounded = rule.words.header("-s").is_some_and(|option| !option.not);
        if !names || bounded || decision(rule.rule) != Some(Verdict::Accept) {
            continue;
        }
        for way in [Way::In, Way::Through] {
            if !refused_somewhere(linted, way)? {
                continue;
            }
            let here = rule
                .matched
                .and(&way.packets(&linted.space)?)?
                .and(&new)?
                .and(&outside)?
                .and(&other)?;
            let Some(packet) = linted.example(&here)? else { continue };
            found.push(
                Finding::new(
                    rule.rule.span,
                    "a sender who uses this source port comes in to every port",
                )
                .evidence(format!("{packet} is accepted by this rule"))
                .help("-m conntrack --ctstate ESTABLISHED lets answers in, and nobody else"),
            );
            break;
        }
    }
    Ok(())
}
