//! IPv6 neighbour discovery is blocked.

use crate::algebra::Way;
use crate::algebra::space::{Group, Interface, Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::{is_ipv6_off, refused_somewhere};
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

/// The kinds of packets: their type, how they are called, and to where.
const KINDS: [(u128, &str, (u128, u128)); 4] = [
    (135, "solicitations (135)", (SOLICITED, SOLICITED | 0xff_ffff)),
    (136, "advertisements (136)", (GLOBAL, GLOBAL | u128::MAX >> 3)),
    (135, "solicitations (135) to link-local addresses", (LINK_LOCAL, LINK_LOCAL_LAST)),
    (136, "advertisements (136) to link-local addresses", (LINK_LOCAL, LINK_LOCAL_LAST)),
];
/// `ff02::1:ff00:0/104`, where a host is asked for its address (RFC 4291).
const SOLICITED: u128 = 0xff02_u128 << 112 | 0x1_ff00_0000;
/// `2000::/3`.
const GLOBAL: u128 = 0x2000_u128 << 112;
/// `fe80::/10`.
const LINK_LOCAL: u128 = 0xfe80_u128 << 112;
const LINK_LOCAL_LAST: u128 = LINK_LOCAL | u128::MAX >> 10;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if linted.is_v4() || is_ipv6_off(linted)? {
        return Ok(());
    }
    for way in [Way::In, Way::Out] {
        let Some((table, chain, base)) = linted.base(TableName::Filter, way.hook()) else {
            continue;
        };
        let missing = missing(linted, way)?;
        if missing.is_empty() || !refused_somewhere(linted, way)? {
            continue;
        }
        let mut types: Vec<u128> = missing.iter().map(|(kind, _)| *kind).collect();
        types.dedup();
        let rules: Vec<String> = types
            .iter()
            .map(|kind| {
                format!(
                    "-A {} -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 255 -j ACCEPT",
                    base.name
                )
            })
            .collect();
        let sets = types
            .iter()
            .map(|kind| PacketSet::within(Field::Icmp, kind << 8, kind << 8 | 0xff, false));
        let expected = Expected::Only(
            PacketSet::All(vec![
                PacketSet::within(Field::Protocol, 58, 58, false),
                PacketSet::Any(sets.collect()),
            ]),
            "neighbour discovery",
        );
        let kinds = sets_of(linted, &types)?.and(&way.packets(&linted.space)?)?;
        let packet = linted.plainest(&kinds.and(&linted.ended(way)?)?)?;
        let refuser = match &packet {
            Some(packet) => linted.refuser(way, packet)?,
            None => None,
        };
        let fix = linted.first_in(table, chain, &rules.join("\n"), expected);
        let mut help = String::from(match way {
            Way::Out => {
                "the host has to ask and answer on its link; for routers it asks with type 133, which is to pass as well"
            }
            _ => {
                "with hop limit 255: nobody outside the link can send those; type 134, with which routers make \
                 themselves known, is to pass as well"
            }
        });
        if fix.is_none() {
            help.push_str(&format!("; first in {}\n{}", base.name, rules.join("\n")));
        }
        let names: Vec<&str> = missing.into_iter().map(|(_, name)| name).collect();
        let text = format!("no neighbour {} pass {}", crate::lints::and(&names), base.name);
        found.push(
            Finding::new(linted.place_or(TableName::Filter, base, refuser.as_ref()), text)
                .decided_by(refuser.as_ref(), "refuses them")
                .evidence("of ICMPv6 packets of these types none is accepted, by whatever interface of a link, in whatever state")
                .help(help)
                .fix(fix),
        );
    }
    Ok(())
}

/// Packets of these types.
fn sets_of(linted: &Linted<'_>, types: &[u128]) -> Result<Packets> {
    let ranges: Vec<_> = types.iter().map(|kind| (kind << 8, kind << 8 | 0xff)).collect();
    let icmp = linted.within(Field::Protocol, 58, 58)?.and(&linted.outside()?)?;
    icmp.and(&linted.space.all_of(Group::Field(Field::Icmp), &ranges)?)
}

/// The kinds none of which passes, from a neighbour: by no rule for the host's own packets.
fn missing(linted: &Linted<'_>, way: Way) -> Result<Vec<(u128, &'static str)>> {
    let lo = linted.space.interface_number("lo");
    let by_lo = match way {
        Way::Out => linted.space.all_of(Group::Out, &[(lo, lo)])?,
        _ => linted.space.all_of(Group::In, &[(lo, lo)])?,
    };
    let told_apart = linted.space.interfaces().contains(&Interface::Named("lo".into()));
    let by_lo = if told_apart { by_lo } else { linted.space.none() };
    let passed = linted
        .passed(way)
        .and(&linted.possible()?)?
        .and(&linted.within(Field::Protocol, 58, 58)?)?
        .less(&linted.within(Field::Source, 1, 1)?)?
        .less(&by_lo)?;
    let mut missing: Vec<(u128, &str)> = Vec::new();
    for (kind, name, (low, high)) in KINDS {
        let packets = linted
            .within(Field::Icmp, kind << 8, kind << 8 | 0xff)?
            .and(&linted.space.touching(Group::Field(Field::Destination), &[(low, high)])?)?;
        // Where none passes at all, that is said.
        let known = missing.iter().any(|(one, _)| *one == kind);
        if !known && passed.and(&packets)?.is_empty() {
            missing.push((kind, name));
        }
    }
    Ok(missing)
}
