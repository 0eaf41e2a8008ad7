//! Translation, and INVALID packets are let through.

use crate::algebra::Way;
use crate::algebra::space::{Group, Packets, Result};
use crate::lint::around::{private, translates_own};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lint::plain::words;
use crate::lints::states;
use crate::witness::network;
use keepstate_conntrack::Hook;
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{ChainIndex, Jump, Table, TableName};
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

/// What becomes of one that belongs to a translated connection of the host itself.
const OF_OWN: &str = "one that belongs to a translated connection comes to an address and port that no program of this host has, which is answered with a reset";

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
        let let_through = linted.passed(way).and(&invalid)?.and(&linted.outside()?)?;
        let mut let_through = linted.real(&let_through)?;
        if way == Way::Through {
            let_through = let_through.and(&linted.crossing()?)?;
        }
        let Some((nat, theirs)) = translating(linted, way, &let_through)? else { continue };
        let Some((table, chain, base)) = linted.base(TableName::Filter, hook) else { continue };
        let own = is_of_own(nat);
        let text = format!(
            "this translates connections{}, and {} lets INVALID segments through untranslated",
            if own { " that this host itself opens" } else { "" },
            base.name
        );
        let theirs = match (way, own) {
            (Way::In, true) => rather_inside(linted, &theirs)?,
            (Way::In, _) => linted.rather_outside(&theirs, Group::In)?,
            _ => linted.rather_outside(&theirs, Group::Out)?,
        };
        let Some(packet) = linted.plainest(&theirs)? else { continue };
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
        let what = if own { OF_OWN } else { what };
        let finding = finding.evidence(format!("{} is accepted: {what}", words(&packet)));
        let finding = dropped_first(linted, finding, table, chain)?;
        found.push(if own { finding.as_note() } else { finding });
    }
    Ok(())
}

/// A finding with what to do: the rule that drops INVALID packets first in a chain of filter, one that is there already
/// moved up.
fn dropped_first(
    linted: &Linted<'_>,
    finding: Finding,
    table: &Table,
    chain: ChainIndex,
) -> Result<Finding> {
    let name = table.chain(chain).map_or("", |chain| chain.name.as_str());
    let expected = Expected::Only(states(ct::INVALID), "INVALID packets");
    let invalid = linted.in_states(ct::INVALID)?;
    for below in linted.chain_rules(table.name, chain) {
        if decision(below.rule) != Some(Verdict::Drop) || !below.asked.differ(&invalid)?.is_empty()
        {
            continue;
        }
        let fix = linted.first_in(table, chain, &below.line, expected.clone());
        let out = linted.removal(below, expected);
        let fix = fix.zip(out).map(|(mut fix, out)| {
            fix.text = format!("move line {} to the head of {name}", linted.line(below.rule.span));
            fix.edits.extend(out.edits);
            fix
        });
        return Ok(finding
            .label(below.rule.span, "drops the others, too late for these")
            .help(format!("this rule first in {name} instead: {}", below.line))
            .fix(fix));
    }
    let rule = format!("-A {name} -m conntrack --ctstate INVALID -j DROP");
    let fix = linted.first_in(table, chain, &rule, expected);
    Ok(finding.help(format!("first in {name}: {rule}")).fix(fix))
}

/// How far a rule is from one that translates what hosts behind this one send: the host's own is further, and what one
/// host sends to itself is furthest.
fn distance(rule: &Ruled<'_>) -> u8 {
    let network = |name| rule.words.header(name).filter(|one| !one.not).map(|one| one.value());
    match (network("-s"), network("-d")) {
        (Some(from), Some(to)) if from == to && is_one_host(from) => 2,
        _ => u8::from(is_of_own(rule)),
    }
}

/// Whether a rule translates what the host itself sends, and nothing else.
fn is_of_own(rule: &Ruled<'_>) -> bool {
    is_leaving(rule) && translates_own(rule)
}

/// Whether a rule is for what is for a loopback address.
fn is_to_loopback(rule: &Ruled<'_>) -> bool {
    rule.words.header("-d").is_some_and(|option| {
        !option.not && network(option.value()).is_some_and(|(to, _)| to.is_loopback())
    })
}

/// Whether a network is one address.
fn is_one_host(network: &str) -> bool {
    network.split_once('/').is_none_or(|(_, length)| matches!(length, "32" | "128"))
}

/// Of the answers to what the host itself has sent those of hosts inside, as far as there are any: where rules lead
/// connections, or in a private network.
fn rather_inside(linted: &Linted<'_>, answers: &Packets) -> Result<Packets> {
    let space = &linted.space;
    let mut led_to = space.none();
    for change in linted.with_target(&["DNAT"]).flat_map(writes) {
        if let Change::Among(Field::Destination, ranges) = change {
            led_to = led_to.or(&space.fielded(Field::Source, &ranges)?)?;
        }
    }
    let private = space.all_of(Group::Field(Field::Source), &private(linted.ruleset.family))?;
    for liked in [led_to.and(&private)?, private] {
        let near = answers.and(&liked)?.less(&linted.outer(Group::In)?)?;
        if !near.is_empty() {
            return Ok(near);
        }
    }
    Ok(answers.clone())
}

/// The first rule that translates connections to which some of these packets may belong, and those packets. Of what is
/// passed on none belongs to a connection that leads to this host or that it has opened itself.
fn translating<'l, 'a>(
    linted: &'l Linted<'a>,
    way: Way,
    let_through: &Packets,
) -> Result<Option<(&'l Ruled<'a>, Packets)>> {
    let passed_on = Way::Through.packets(&linted.space)?.and(&linted.in_states(ct::NEW)?)?;
    let mut rules: Vec<_> = linted.with_target(&TRANSLATES).collect();
    rules.sort_by_key(|rule| distance(rule));
    for rule in rules {
        // What a host sends to its loopback addresses concerns nobody else.
        if rule.table.name != TableName::Nat || is_to_loopback(rule) {
            continue;
        }
        let local = rule.words.target_name() == "REDIRECT" || translates_own(rule);
        let forwards = !rule.matched.and(&passed_on)?.is_empty();
        let (ports, leaving) = (linted.within(Field::Protocol, 6, 6)?, is_leaving(rule));
        if rule.matched.and(&ports)?.is_empty() || leaving && !forwards {
            continue;
        }
        let theirs = match (way, leaving) {
            (Way::Through, _) if local || !forwards => continue,
            (Way::Through, true) => {
                as_they_come(linted, rule, way)?.less(&inwards(linted, rule)?)?
            }
            (_, false) if way != Way::Through => as_they_come(linted, rule, way)?,
            _ => rather_to_client(linted, &answers(linted, rule, way)?.and(let_through)?)?,
        };
        let theirs = theirs.and(let_through)?;
        if !theirs.is_empty() {
            return Ok(Some((rule, theirs)));
        }
    }
    Ok(None)
}

/// Whether a rule translates where packets come from, at their end of the way.
fn is_leaving(rule: &Ruled<'_>) -> bool {
    match rule.words.target_name() {
        "MASQUERADE" | "SNAT" => true,
        "NETMAP" => rule.chain.hook == Some(Hook::Postrouting),
        _ => false,
    }
}

/// Packets such as a rule translates the first of, whatever their state; on this way, for without a connection they may
/// go another.
fn as_they_come(linted: &Linted<'_>, rule: &Ruled<'_>, way: Way) -> Result<Packets> {
    let mut of_first = vec![Group::Field(Field::State), Group::Field(Field::TcpFlags)];
    if way == Way::In {
        of_first.push(Group::Out);
    }
    linted.space.forget(&rule.matched, &of_first)?.and(&way.packets(&linted.space)?)
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

/// The least port that translation chooses for one that a program was given.
const CHOSEN_MIN: u128 = 1_024;

/// Answers of connections that a rule translates: those of hosts outside come in where its packets leave, to a port that
/// was chosen; those of the hosts that it leads to leave where its packets came in.
fn answers(linted: &Linted<'_>, rule: &Ruled<'_>, way: Way) -> Result<Packets> {
    let space = &linted.space;
    let (near, far) =
        if way == Way::In { (Group::Out, Group::In) } else { (Group::In, Group::Out) };
    let mut all = space.none();
    for number in 0..space.interfaces().len() as u128 {
        if !rule.matched.and(&space.all_of(near, &[(number, number)])?)?.is_empty() {
            all = all.or(&space.all_of(far, &[(number, number)])?)?;
        }
    }
    if way == Way::In {
        all = all.and(&linted.within(Field::DestinationPort, CHOSEN_MIN, u16::MAX.into())?)?;
        for part in parts(rule) {
            all = all.and(&match part {
                PacketSet::In(Field::Destination, ranges) => {
                    space.fielded(Field::Source, &ranges)?
                }
                PacketSet::In(Field::DestinationPort, ranges) => {
                    space.fielded(Field::SourcePort, &ranges)?
                }
                _ => continue,
            })?;
        }
        // They come back to the address that it put there.
        for change in writes(rule) {
            if let Change::Among(Field::Source, ranges) = change {
                all = all.and(&space.fielded(Field::Destination, &ranges)?)?;
            }
        }
        return Ok(all);
    }
    for part in parts(rule) {
        if let PacketSet::In(Field::Source, ranges) = part {
            all = all.and(&space.fielded(Field::Destination, &ranges)?)?;
        }
    }
    // Who was asked answers: from the port that it was asked at.
    let mut port = None;
    for change in writes(rule) {
        match change {
            Change::Among(Field::Destination, ranges) => {
                all = all.and(&space.fielded(Field::Source, &ranges)?)?;
            }
            Change::Among(Field::DestinationPort, ranges) => port = Some(ranges),
            _ => {}
        }
    }
    for part in parts(rule) {
        if let PacketSet::In(Field::DestinationPort, ranges) = part {
            port = port.or(Some(ranges));
        }
    }
    Ok(match port {
        Some(ranges) => all.and(&space.fielded(Field::SourcePort, &ranges)?)?,
        None => all,
    })
}

/// What the target of a rule makes of fields.
fn writes(rule: &Ruled<'_>) -> Vec<Change> {
    match &rule.rule.target {
        Jump::Target(target) => target.effect().writes,
        _ => Vec::new(),
    }
}

/// Those of these packets that go from a service to a port as clients have, if there are any.
fn rather_to_client(linted: &Linted<'_>, packets: &Packets) -> Result<Packets> {
    let mut packets = packets.clone();
    for (field, port) in [(Field::DestinationPort, 40_000), (Field::SourcePort, 80)] {
        let both = packets.and(&linted.within(field, port, port)?)?;
        if !both.is_empty() {
            packets = both;
        }
    }
    Ok(packets)
}

/// What a rule asks for, all of which has to hold.
pub(super) fn parts(rule: &Ruled<'_>) -> Vec<PacketSet> {
    let (mut left, mut parts) = (vec![PacketSet::of_rule(rule.rule)], Vec::new());
    while let Some(one) = left.pop() {
        match one {
            PacketSet::All(more) => left.extend(more),
            one => parts.push(one),
        }
    }
    parts
}
