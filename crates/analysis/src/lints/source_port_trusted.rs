//! Whoever sends from a port of his choice is let in everywhere.

use crate::algebra::Way;
use crate::algebra::space::{Group, Packets, Result};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lints::refused_somewhere;
use crate::rule::words::OptionWords;
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
    let liked = liked(linted)?;
    for rule in
        linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter && !rule.is_opaque)
    {
        let bounded = rule.words.header("-s").is_some_and(|option| !option.not);
        // With ports to go to it is open to those only.
        let to_some = rule.words.options(&["--dport", "--dports", "--ports"]).next().is_some();
        if !trusts(rule) || to_some || bounded || decision(rule.rule) != Some(Verdict::Accept) {
            continue;
        }
        for way in [Way::In, Way::Through] {
            if !refused_somewhere(linted, way)? {
                continue;
            }
            let mut here =
                rule.matched.and(&way.packets(&linted.space)?)?.and(&new)?.and(&outside)?;
            if way == Way::Through {
                here = here.and(&linted.crossing()?)?;
            }
            // Another rule may let some of those in, too, whatever port they come from.
            let anyway = linted
                .passed(way)
                .and(&linted.within(Field::SourcePort, CLIENT, CLIENT)?)?
                .and(&new)?;
            let closed =
                here.less(&linted.space.forget(&anyway, &[Group::Field(Field::SourcePort)])?)?;
            if !closed.is_empty() {
                here = closed;
            }
            for liked in &liked {
                let both = here.and(liked)?;
                if !both.is_empty() {
                    here = both;
                    break;
                }
            }
            let Some(packet) = linted.plainest(&here)? else { continue };
            found.push(
                Finding::new(
                    rule.rule.span,
                    "whoever sends from this port comes in, to every port that no rule above decides about",
                )
                .evidence(format!(
                    "{} is accepted by this rule",
                    crate::lint::plain::words(&packet)
                ))
                .help("-m conntrack --ctstate ESTABLISHED lets answers in, and nobody else"),
            );
            break;
        }
    }
    Ok(())
}

/// A port that clients have, and no service.
const CLIENT: u128 = 40_000;

/// First packets to ports that no rule of this kind is meant for.
fn liked(linted: &Linted<'_>) -> Result<Vec<Packets>> {
    const PORTS: [(u128, u128); 6] =
        [(6, 22), (17, 161), (6, 3306), (6, 445), (17, 111), (6, 8080)];
    let mut all = Vec::new();
    for (protocol, port) in PORTS {
        let to = linted.within(Field::DestinationPort, port, port)?;
        all.push(to.and(&linted.within(Field::Protocol, protocol, protocol)?)?);
    }
    Ok(all)
}

/// Whether a rule asks for source ports of servers: among those that clients are given anybody has his.
fn trusts(rule: &Ruled<'_>) -> bool {
    let mut asked = rule.words.options(&["--sport", "--sports"]).peekable();
    let is_servers = |option: &OptionWords| {
        let mut parts = option.value().split(',').map(|part| match part.split_once(':') {
            Some((low, high)) => (low.parse().unwrap_or(0), high.parse().unwrap_or(u16::MAX)),
            None => (part.parse().unwrap_or(0_u16), part.parse().unwrap_or(0_u16)),
        });
        !option.not && !parts.any(|(low, high)| low < high && high >= 32_768)
    };
    asked.peek().is_some() && asked.all(is_servers)
}
