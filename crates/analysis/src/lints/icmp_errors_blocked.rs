//! Path MTU discovery is cut off: ICMP errors are not let in.

use crate::algebra::Way;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::{is_ipv6_off, refused_somewhere, state_rule_missing, states};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::{Field, PacketSet};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "icmp-errors-blocked",
    severity: Severity::Warning,
    title: "path MTU discovery is cut off: ICMP errors are not let in",
    page: include_str!("icmp_errors_blocked.md"),
    run,
};

/// The errors that tell the path MTU, where all of them are refused on a way that TCP connections pass.
pub(super) fn refused(linted: &Linted<'_>, way: Way) -> Result<Option<Packets>> {
    let (protocol, kind) = if linted.is_v4() { (1, 3 << 8 | 4) } else { (58, 2 << 8) };
    let errors = linted
        .within(Field::Protocol, protocol, protocol)?
        .and(&linted.within(Field::Icmp, kind, kind)?)?
        .and(&linted.in_states(ct::RELATED)?)?
        .and(&linted.outside()?)?;
    let segments =
        linted.within(Field::Protocol, 6, 6)?.and(&linted.in_states(ct::ESTABLISHED)?)?;
    let passed = linted.passed(way);
    let has_tcp = !passed.and(&segments)?.is_empty();
    if !has_tcp || !passed.and(&errors)?.is_empty() || !refused_somewhere(linted, way)? {
        return Ok(None);
    }
    let refused = errors.and(&way.packets(&linted.space)?)?;
    Ok(Some(if way == Way::Through { refused.and(&linted.crossing()?)? } else { refused }))
}

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if is_ipv6_off(linted)? {
        return Ok(());
    }
    let name = match linted.is_v4() {
        true => "ICMP type 3 code 4, fragmentation needed",
        false => "ICMPv6 type 2, packet too big",
    };
    for way in [Way::In, Way::Through] {
        // The rule that lets the answers in lets the errors in as well, and says so.
        if way == Way::In && state_rule_missing::is_missing(linted)? {
            continue;
        }
        let Some(refused) = refused(linted, way)? else { continue };
        let Some((table, chain, base)) = linted.base(TableName::Filter, way.hook()) else {
            continue;
        };
        let Some(packet) = linted.plainest(&refused)? else { continue };
        let refuser = linted.refuser(way, &packet)?;
        let by = refuser.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
        let packet = crate::lint::plain::words(&packet);
        let protocol_name = if linted.is_v4() { "icmp" } else { "ipv6-icmp" };
        let rule =
            format!("-A {} -p {protocol_name} -m conntrack --ctstate RELATED -j ACCEPT", base.name);
        let value = u128::from(if linted.is_v4() { 1_u8 } else { 58 });
        let expected = Expected::Only(
            PacketSet::All(vec![
                PacketSet::within(Field::Protocol, value, value, false),
                states(ct::RELATED),
            ]),
            "ICMP errors about connections that exist",
        );
        found.push(
            Finding::new(linted.place_or(TableName::Filter, base, refuser.as_ref()), format!("{} lets TCP connections pass and none of the errors that tell them the path MTU", base.name))
                .decided_by(refuser.as_ref(), "refuses them")
                .evidence(format!("{name}, is refused{by}: {packet}"))
                .help(rule.clone())
                .fix(linted.first_in(table, chain, &rule, expected)),
        );
    }
    Ok(())
}
