//! The host cannot speak to itself.

use crate::algebra::space::{Group, Result};
use crate::algebra::{Example, Way};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lint::proof::packet_words;
use crate::lints::refused_somewhere;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Inverted, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::syntax::iptables_save::interface_pattern;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "loopback-blocked",
    severity: Severity::Warning,
    title: "the host cannot speak to itself",
    page: include_str!("loopback_blocked.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let (low, high) = match linted.is_v4() {
        true => (0x7f00_0000, 0x7fff_ffff),
        false => (1, 1),
    };
    let Some(pattern) = interface_pattern("lo") else { return Ok(()) };
    let own = linted
        .within(Field::Source, low, high)?
        .and(&linted.within(Field::Destination, low, high)?)?
        .and(&linted.within(Field::Protocol, 6, 6)?)?
        // Services of one's own; those further down may be open to everybody.
        .and(&linted.within(Field::DestinationPort, 1_024, 32_767)?)?
        .and(&linted.in_states(ct::NEW)?)?;
    for (way, outward, side) in [(Way::In, false, "-i"), (Way::Out, true, "-o")] {
        let lo = Inverted { inverted: false, value: pattern };
        // Where no rule names it, it is one of the interfaces that are not told apart.
        let number = linted.space.interface_number("lo");
        let group = if outward { Group::Out } else { Group::In };
        let by_lo = linted.space.all_of(group, &[(number, number)])?;
        let wanted = own.and(&by_lo)?.and(&way.packets(&linted.space)?)?;
        let Some((table, chain, base)) = linted.base(TableName::Filter, way.hook()) else {
            continue;
        };
        let open = !linted.passed(way).and(&wanted)?.is_empty();
        if open || !refused_somewhere(linted, way)? {
            continue;
        }
        let rule = format!("-A {} {side} lo -j ACCEPT", base.name);
        let expected = Expected::Only(PacketSet::Interface(outward, lo), "packets by lo");
        let Some(example) = linted.space.example(&wanted)? else { continue };
        let name = Some(String::from("lo"));
        let packet = packet_words(&match outward {
            true => Example { out_interface: name, ..example },
            false => Example { in_interface: name, ..example },
        });
        found.push(
            Finding::new(
                linted.place(TableName::Filter, base),
                format!("{} refuses what the host sends to itself", base.name),
            )
            .evidence(format!(
                "{packet} is refused, as are all new connections by lo to ports 1024 to 32767"
            ))
            .help(rule.clone())
            .fix(linted.first_in(table, chain, &rule, expected)),
        );
    }
    Ok(())
}
