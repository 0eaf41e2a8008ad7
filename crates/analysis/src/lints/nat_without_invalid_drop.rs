//! Translation, and INVALID packets are let through.

use crate::algebra::Way;
use crate::algebra::space::{Group, Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, plain};
use crate::lint::plain::words;
use crate::lints::states;
use crate::witness::network;
use keepstate_conntrack::Hook;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::Verdict;

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
    let invalid = linted
        .in_states(ct::INVALID)?
        .and(&linted.within(Field::Protocol, 6, 6)?)?
        .less(&linted.untracked()?)?;
    if linted.policy_is_elsewhere() {
        return Ok(());
    }
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
        let Some((nat, sides)) = translating(linted, way)? else { continue };
        let let_through = linted.passed(way).and(&invalid)?.and(&linted.outside()?)?;
        let mut let_through = linted.real(&let_through)?.and(&sides)?;
        if way == Way::Through {
            let_through = let_through.and(&linted.crossing()?)?;
        }
        if let_through.is_empty() {
            continue;
        }
        let Some((table, chain, base)) = linted.base(TableName::Filter, hook) else { continue };
        let text = format!(
            "this translates connections, and {} lets INVALID segments through untranslated",
            base.name
        );
        let Some(packet) = linted.plainest(&telling(linted, way, nat, &let_through)?)? else {
            continue;
        };
        let values = linted.space.values(&packet);
        let accepts = linted.rules.iter().find(|rule| {
            rule.table.name == TableName::Filter
                && decision(rule.rule) == Some(Verdict::Accept)
                && linted.space.contains(&rule.matched, &values)
        });
        let finding = match accepts {
            Some(rule) => Finding::new(nat.rule.span, text)
                .label(rule.rule.span, "accepts them, whatever their state"),
            None => Finding::new(nat.rule.span, text)
                .label(linted.place(TableName::Filter, base), "nothing drops them here"),
        };
        let finding = finding.evidence(format!("{} is accepted: {what}", words(&packet)));
        let rule = format!("-A {} -m conntrack --ctstate INVALID -j DROP", base.name);
        let expected = Expected::Only(states(ct::INVALID), "INVALID packets");
        found.push(
            finding
                .help(format!("first in {}: {rule}", base.name))
                .fix(linted.first_in(table, chain, &rule, expected)),
        );
    }
    Ok(())
}

/// Those of these packets that the rule would translate if they belonged to a connection, or that come from outside; all
/// where there are none.
fn telling(
    linted: &Linted<'_>,
    way: Way,
    nat: &Ruled<'_>,
    let_through: &Packets,
) -> Result<Packets> {
    if way != Way::Through {
        return linted.rather_outside(let_through, Group::In);
    }
    let header = plain(&linted.space, &PacketSet::of_header(&nat.rule.header))?;
    let own = let_through.and(&header)?.less(&inwards(linted, nat)?)?;
    let own = linted.rather_outside(&own, Group::Out)?;
    Ok(if own.is_empty() { let_through.clone() } else { own })
}

/// Packets to where those come from that a rule translates.
fn inwards(linted: &Linted<'_>, nat: &Ruled<'_>) -> Result<Packets> {
    let PacketSet::All(parts) = PacketSet::of_header(&nat.rule.header) else {
        return Ok(linted.space.none());
    };
    for part in parts {
        if let PacketSet::In(Field::Source, ranges) = part {
            return linted.space.fielded(Field::Destination, &ranges);
        }
    }
    Ok(linted.space.none())
}

/// A rule that translates connections to which packets on a way may belong, and the packets on the outer side of all
/// such rules: those that come in there for this host, or leave there. Of those that are passed on none belongs to a
/// connection that leads to this host or that it has opened itself.
fn translating<'l, 'a>(
    linted: &'l Linted<'a>,
    way: Way,
) -> Result<Option<(&'l Ruled<'a>, Packets)>> {
    let passed_on = Way::Through.packets(&linted.space)?.and(&linted.in_states(ct::NEW)?)?;
    let mut first = None;
    let mut sides = linted.space.none();
    for rule in linted.with_target(&TRANSLATES) {
        if rule.table.name != TableName::Nat || rule.matched.is_empty() {
            continue;
        }
        let local = rule.words.target_name() == "REDIRECT"
            || rule.words.options(&["--src-type"]).any(|o| !o.not && o.value() == "LOCAL")
            || rule.words.header("-d").is_some_and(|option| {
                !option.not && network(option.value()).is_some_and(|(to, _)| to.is_loopback())
            });
        if way == Way::Through && (local || rule.matched.and(&passed_on)?.is_empty()) {
            continue;
        }
        first = first.or(Some(rule));
        sides = sides.or(&outer_side(linted, rule, way)?)?;
    }
    Ok(first.map(|rule| (rule, sides)))
}

/// Packets that come in, or leave, by the interfaces at which a rule translates.
fn outer_side(linted: &Linted<'_>, rule: &Ruled<'_>, way: Way) -> Result<Packets> {
    let leaving = matches!(rule.words.target_name(), "MASQUERADE" | "SNAT");
    let at = if leaving { Group::Out } else { Group::In };
    let side = if way == Way::In { Group::In } else { Group::Out };
    let mut all = linted.space.none();
    for number in 0..linted.space.interfaces().len() as u128 {
        let here = linted.space.all_of(at, &[(number, number)])?;
        if !rule.matched.and(&here)?.is_empty() {
            all = all.or(&linted.space.all_of(side, &[(number, number)])?)?;
        }
    }
    Ok(all)
}
