//! IPv6 neighbour discovery is blocked.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::refused_somewhere;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::{Field, PacketSet};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "nd-blocked",
    severity: Severity::Error,
    title: "IPv6 neighbour discovery is blocked",
    page: include_str!("nd_blocked.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if linted.is_v4() {
        return Ok(());
    }
    for way in [Way::In, Way::Out] {
        let passed = linted.passed(way).and(&linted.within(Field::Protocol, 58, 58)?)?;
        let Some((table, chain, base)) = linted.base(TableName::Filter, way.hook()) else {
            continue;
        };
        let mut missing = Vec::new();
        for (kind, name) in [(135_u128, "solicitations (135)"), (136, "advertisements (136)")] {
            if passed.and(&linted.within(Field::Icmp, kind << 8, kind << 8 | 0xff)?)?.is_empty() {
                missing.push((kind, name));
            }
        }
        if missing.is_empty() || !refused_somewhere(linted, way)? {
            continue;
        }
        let rules: Vec<String> = missing
            .iter()
            .map(|(kind, _)| {
                format!(
                    "-A {} -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 255 -j ACCEPT",
                    base.name
                )
            })
            .collect();
        let sets = missing
            .iter()
            .map(|(kind, _)| PacketSet::within(Field::Icmp, kind << 8, kind << 8 | 0xff, false));
        let expected = Expected::Only(
            PacketSet::All(vec![
                PacketSet::within(Field::Protocol, 58, 58, false),
                PacketSet::Any(sets.collect()),
            ]),
            "neighbour discovery",
        );
        let names: Vec<&str> = missing.into_iter().map(|(_, name)| name).collect();
        let text = format!("no neighbour {} pass {}", crate::lints::and(&names), base.name);
        found.push(
            Finding::new(base.span, text)
                .evidence("of ICMPv6 packets of these types none is accepted, in whatever state")
                .help("let types 133 to 136 pass with hop limit 255: nobody outside the link can send those")
                .fix(linted.first_in(table, chain, &rules.join("\n"), expected)),
        );
    }
    Ok(())
}
