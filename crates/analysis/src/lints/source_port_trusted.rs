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
                .help(help(rule)),
            );
            break;
        }
    }
    Ok(())
}

/// UDP ports of services that are asked by broadcast or multicast: DHCP, NetBIOS, SSDP, WS-Discovery, mDNS.
const ASKED_OF_ALL: [u16; 8] = [67, 68, 137, 138, 547, 1_900, 3_702, 5_353];

/// What lets answers in and nobody else. Who answers what was asked of everybody has another address than the one that
/// was asked: that is no answer for tracking.
fn help(rule: &Ruled<'_>) -> String {
    let asked = rule.words.options(&["--sport", "--sports"]);
    let mut ports = asked.flat_map(|option| option.value().split(',').flat_map(port_numbers));
    let by_all = rule.words.header("-p").is_some_and(|option| option.value() == "udp")
        && ports.any(|(low, high)| ASKED_OF_ALL.iter().any(|one| (low..=high).contains(one)));
    let mut help =
        String::from("-m conntrack --ctstate ESTABLISHED lets answers in, and nobody else");
    if by_all {
        help.push_str(
            "; answers to what was asked by broadcast or multicast have no such state: for these name the network that they come from (-s)",
        );
    }
    help
}

/// A port, or a range of ports, as they are written.
pub(super) fn port_numbers(written: &str) -> Option<(u16, u16)> {
    match written.split_once(':') {
        Some((low, high)) => Some((low.parse().unwrap_or(0), high.parse().unwrap_or(u16::MAX))),
        None => written.parse().ok().map(|port| (port, port)),
    }
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
        let mut parts = option.value().split(',').filter_map(port_numbers);
        !option.not && !parts.any(|(low, high)| low < high && high >= 32_768)
    };
    asked.peek().is_some() && asked.all(is_servers)
}
