//! An inner source address that is trusted on the outer interface as well.

use crate::algebra::Way;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::witness::network;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::Verdict;
use std::net::IpAddr;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "spoofed-source",
    severity: Severity::Warning,
    title: "an inner source address is trusted on the outer interface as well",
    page: include_str!("spoofed_source.md"),
    run,
};

/// Networks inside that are looked at.
const NETWORKS_MAX: usize = 64;

/// A network inside, and the interface that is outside.
struct Inner<'a> {
    /// As the file has it.
    text: &'a str,
    outer: &'a str,
    /// The rule that says so.
    by: &'a Ruled<'a>,
    senders: PacketSet,
}

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    // Rules that check the way back to the sender do this work.
    let checks = linted.rules.iter().any(|rule| rule.words.has_match("rpfilter"));
    if checks {
        return Ok(());
    }
    let new = linted.in_states(ct::NEW)?.and(&linted.possible()?)?;
    for inner in inner(linted) {
        let by = linted.entered_by(inner.outer)?.and(&new)?;
        let spoofed = by.and(&crate::lint::linted::plain(&linted.space, &inner.senders)?)?;
        for way in [Way::In, Way::Through] {
            let accepted = linted.passed(way).and(&spoofed)?;
            let trusting = trusting(linted, inner.text, &accepted)?;
            let Some((first, packets)) = trusting.first() else { continue };
            let Some((table, chain, base)) = linted.base(TableName::Filter, way.hook()) else {
                continue;
            };
            let text = format!(
                "{} is inside, and {} accepts it as a source on {}, the outer interface, as well",
                inner.text, base.name, inner.outer
            );
            let packet = linted.example(packets)?.unwrap_or_default();
            let line = format!("-A {} -i {} -s {} -j DROP", base.name, inner.outer, inner.text);
            let outer = keepstate_ruleset::syntax::iptables_save::interface_pattern(inner.outer);
            let Some(outer) = outer else { continue };
            let outer = keepstate_ruleset::model::Inverted { inverted: false, value: outer };
            let expected = Expected::Only(
                PacketSet::All(vec![PacketSet::Interface(false, outer), inner.senders.clone()]),
                "packets from outside with an address of the inside",
            );
            found.push(
                Finding::new(first.rule.span, text)
                    .label(inner.by.rule.span, "says what is inside and what outside")
                    .evidence(format!("{packet} is accepted by this rule"))
                    .help("rp_filter=1 on the outer interface does the same outside of the rules; this file does not say")
                    .fix(linted.first_in(table, chain, &line, expected)),
            );
        }
    }
    Ok(())
}

/// Private networks that are told to be inside, by a rule that hides them behind an outer interface.
fn inner<'l>(linted: &'l Linted<'_>) -> Vec<Inner<'l>> {
    let mut all: Vec<Inner<'l>> = Vec::new();
    for by in linted.with_target(&["MASQUERADE", "SNAT"]) {
        let plain = |name| by.words.header(name).filter(|option| !option.not);
        let (Some(outer), Some(source)) = (plain("-o"), plain("-s")) else { continue };
        let (outer, text) = (outer.value(), source.value());
        let known = all.iter().any(|one| one.text == text && one.outer == outer);
        if known || outer.ends_with('+') || outer == "lo" || all.len() >= NETWORKS_MAX {
            continue;
        }
        let wide = network(text).is_some_and(|(address, _)| is_private(address));
        let Some(senders) = senders(&by.rule.header).filter(|_| wide) else { continue };
        all.push(Inner { text, outer, by, senders });
    }
    all
}

/// The sources that a rule asks for.
fn senders(header: &keepstate_ruleset::model::HeaderMatch) -> Option<PacketSet> {
    let PacketSet::All(parts) = PacketSet::of_header(header) else { return None };
    parts.into_iter().find(|part| matches!(part, PacketSet::In(Field::Source, _)))
}

/// RFC 1918; RFC 4193.
const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_private(),
        IpAddr::V6(six) => six.segments()[0] & 0xfe00 == 0xfc00,
    }
}

/// The rules that accept such packets because of where they say they are from, with those that they accept.
fn trusting<'l, 'a>(
    linted: &'l Linted<'a>,
    inner: &str,
    accepted: &Packets,
) -> Result<Vec<(&'l Ruled<'a>, Packets)>> {
    let mut all = Vec::new();
    for rule in linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter) {
        let source = rule.words.header("-s").filter(|option| !option.not);
        let within = source.is_some_and(|option| lies_in(option.value(), inner));
        let by = rule.words.header("-i").is_some();
        if !within || by || decision(rule.rule) != Some(Verdict::Accept) {
            continue;
        }
        let packets = rule.matched.and(accepted)?;
        if !packets.is_empty() {
            all.push((rule, packets));
        }
    }
    Ok(all)
}

/// Whether one network lies in another.
fn lies_in(one: &str, other: &str) -> bool {
    let bits = |text: &str| {
        let (address, mask) = network(text)?;
        let number = |address: IpAddr| match address {
            IpAddr::V4(four) => u128::from(u32::from(four)),
            IpAddr::V6(six) => u128::from(six),
        };
        Some((number(address), number(mask)))
    };
    match (bits(one), bits(other)) {
        (Some((address, mask)), Some((other, wider))) => {
            mask & wider == wider && address & wider == other & wider
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::lies_in;

    #[test]
    fn networks_in_networks() {
        for (one, other, wanted) in [
            ("10.0.0.5", "10.0.0.0/8", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/8", "10.0.0.0/16", false),
            ("192.168.1.0/255.255.255.0", "192.168.0.0/16", true),
            ("172.16.0.1", "10.0.0.0/8", false),
            ("fd00:1::5/128", "fd00:1::/64", true),
            ("x", "10.0.0.0/8", false),
        ] {
            assert_eq!(lies_in(one, other), wanted, "{one} in {other}");
        }
    }
}
