//! The host cannot speak to itself.

use crate::algebra::space::{Group, Packets, Result};
use crate::algebra::{Example, Way};
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Linted, decision};
use crate::lint::proof::packet_words;
use crate::lints::source_port_trusted::port_numbers;
use crate::lints::{and, is_ipv6_off, ports_told, refused_somewhere};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Inverted, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::syntax::iptables_save::interface_pattern;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "loopback-blocked",
    severity: Severity::Warning,
    title: "the host cannot speak to itself",
    page: include_str!("loopback_blocked.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if is_ipv6_off(linted)? {
        return Ok(());
    }
    let (low, high) = match linted.is_v4() {
        true => (0x7f00_0001, 0x7f00_0001),
        false => (1, 1),
    };
    let at = |field| linted.space.touching(Group::Field(field), &[(low, high)]);
    let local = at(Field::Source)?
        .and(&at(Field::Destination)?)?
        .and(&linted.in_states(ct::NEW)?)?
        .and(&linted.within(Field::LaterFragment, 0, 0)?)?;
    let own = local
        .and(&linted.within(Field::Protocol, 6, 6)?)?
        // Services of one's own; those further down may be open to everybody.
        .and(&linted.within(Field::DestinationPort, 1_024, 32_767)?)?;
    let named = named_ports(linted)?;
    let mut sides = Vec::new();
    for (way, outward, side) in [(Way::In, false, "-i"), (Way::Out, true, "-o")] {
        // Where no rule names it, it is one of the interfaces that are not told apart.
        let number = linted.space.interface_number("lo");
        let group = if outward { Group::Out } else { Group::In };
        let by_lo = linted.space.all_of(group, &[(number, number)])?;
        let wanted = own.and(&by_lo)?.and(&way.packets(&linted.space)?)?;
        if linted.base(TableName::Filter, way.hook()).is_none() {
            continue;
        }
        let passed = linted.passed(way);
        // Of some ports no packet passes, whatever its flags, its mark, its length.
        let port = [Group::Field(Field::DestinationPort)];
        let open = linted.space.some_alike(&passed.and(&wanted)?, &port)?;
        let refused = wanted.less(&open)?;
        // What is let pass by lo itself is so on purpose; what is open to everybody is not enough; a port that a rule
        // closes by its number is that rule's matter.
        if refused.less(&named)?.is_empty()
            || is_meant(linted, side, &wanted)?
            || !refused_somewhere(linted, way)?
        {
            continue;
        }
        let mut web = refused.clone();
        for port in EXAMPLES {
            let both = refused.and(&linted.within(Field::DestinationPort, port, port)?)?;
            if !both.is_empty() {
                web = both;
                break;
            }
        }
        let Some(example) = linted.space.example(&web)? else { continue };
        let opened = passed.and(&local)?.and(&by_lo)?;
        sides.push(Side { way, outward, side, example, opened: ports_told(linted, &opened)? });
    }
    found.extend(told(linted, &sides)?);
    Ok(())
}

/// Packets to ports that rules of the table filter name, but not in wide ranges.
fn named_ports(linted: &Linted<'_>) -> Result<Packets> {
    let mut ranges = Vec::new();
    for rule in linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter) {
        let options = rule.words.options(&["--dport", "--dports", "--ports"]);
        let parts = options.filter(|option| !option.not).flat_map(|one| one.value().split(','));
        let ports = parts.filter_map(port_numbers).map(|(low, high)| (low.into(), high.into()));
        ranges.extend(ports.filter(|(low, high): &(u128, u128)| high.saturating_sub(*low) < WIDE));
    }
    linted.space.all_of(Group::Field(Field::DestinationPort), &ranges)
}

/// Ports of a range that stands for all services rather than for some.
const WIDE: u128 = 1_000;

/// Whether a rule that names the loopback interface accepts some of these packets.
fn is_meant(linted: &Linted<'_>, side: &str, wanted: &Packets) -> Result<bool> {
    for rule in linted.rules.iter().filter(|rule| decision(rule.rule) == Some(Verdict::Accept)) {
        let named = rule.words.header(side).is_some_and(|one| !one.not && one.value() == "lo");
        if named && !rule.matched.and(wanted)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ports by which programs of a host often speak with each other, for examples.
const EXAMPLES: [u128; 3] = [8_080, 5_432, 3_306];

/// A chain that refuses what the host sends to itself.
struct Side {
    way: Way,
    outward: bool,
    side: &'static str,
    example: Example,
    /// What it lets pass by lo, in words.
    opened: String,
}

/// One finding, whether one chain refuses such packets or both.
fn told(linted: &Linted<'_>, sides: &[Side]) -> Result<Option<Finding>> {
    let mut names = Vec::new();
    let mut rules = Vec::new();
    let mut fixes = Vec::new();
    let mut told: Option<Finding> = None;
    let Some(pattern) = interface_pattern("lo") else { return Ok(None) };
    for one in sides {
        let Some((table, chain, base)) = linted.base(TableName::Filter, one.way.hook()) else {
            continue;
        };
        let rule = format!("-A {} {} lo -j ACCEPT", base.name, one.side);
        let lo = Inverted { inverted: false, value: pattern };
        let expected = Expected::Only(PacketSet::Interface(one.outward, lo), "packets by lo");
        fixes.push(linted.first_in(table, chain, &rule, expected));
        names.push(base.name.as_str());
        rules.push(rule);
        let place = linted.place(TableName::Filter, base);
        let refuser = linted.refuser(one.way, &one.example)?;
        let by = refuser.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
        let name = Some(String::from("lo"));
        let packet = packet_words(&match one.outward {
            true => Example { out_interface: name, ..one.example.clone() },
            false => Example { in_interface: name, ..one.example.clone() },
        });
        let rest = match one.opened.as_str() {
            "" => format!("{} lets no new connection pass by lo", base.name),
            opened => format!("of new connections by lo {} lets pass {opened}", base.name),
        };
        let finding = match told.take() {
            Some(finding) if refuser.is_some_and(|one| one.span == place) => finding,
            Some(finding) => finding.label(place, "this chain as well"),
            None => Finding::new(place, ""),
        };
        told = Some(
            finding
                .decided_by(refuser.as_ref(), "refuses what is sent by lo")
                .evidence(format!("{packet} is refused{by}; {rest}")),
        );
    }
    let Some(mut finding) = told else { return Ok(None) };
    finding.text = format!(
        "programs of this host cannot reach each other: {} refuse{} what they send by lo",
        and(&names),
        if names.len() == 1 { "s" } else { "" }
    );
    Ok(Some(finding.help(rules.join("\n")).fix(together(fixes))))
}

/// Several fixes as one; none where one of them is missing.
fn together(fixes: Vec<Option<Fix>>) -> Option<Fix> {
    let mut fixes = fixes.into_iter().collect::<Option<Vec<Fix>>>()?;
    fixes.sort_by_key(|fix| fix.edits.first().map(|edit| edit.span.start));
    let texts: Vec<&str> = fixes.iter().map(|fix| fix.text.as_str()).collect();
    let text = and(&texts);
    let sets = fixes.iter().map(|fix| match &fix.expected {
        Expected::Only(set, _) => set.clone(),
        Expected::Nothing => PacketSet::Any(Vec::new()),
    });
    let expected = Expected::Only(PacketSet::Any(sets.collect()), "packets by lo");
    let mut edits: Vec<Edit> = Vec::new();
    for edit in fixes.into_iter().flat_map(|fix| fix.edits) {
        match edits.last_mut().filter(|last| last.span == edit.span) {
            Some(last) => last.text.push_str(&edit.text),
            None => edits.push(edit),
        }
    }
    Some(Fix { text, edits, expected })
}
