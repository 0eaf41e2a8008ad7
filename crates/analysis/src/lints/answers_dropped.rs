//! Connections that may be opened, whose answers are refused.

use crate::algebra::space::{Group, Interface, Packets, Result};
use crate::algebra::{Example, Way};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lint::proof::packet_words;
use keepstate_packet::Family;
use keepstate_packet::tcp::{ACK, SYN};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "answers-dropped",
    severity: Severity::Warning,
    title: "connections that may be opened, whose answers are refused",
    page: include_str!("answers_dropped.md"),
    run,
};

/// Kinds of connections that are tried.
const TRIED_MAX: usize = 24;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let translated = linted.with_target(&["DNAT", "REDIRECT", "NETMAP", "TPROXY"]).next().is_some();
    for (way, back) in [(Way::Through, Way::Through), (Way::In, Way::Out)] {
        if translated && way == Way::Through {
            continue;
        }
        let tcp = linted.within(Field::Protocol, 6, 6)?;
        let new = linted
            .passed(way)
            .and(&tcp)?
            .and(&linted.in_states(ct::NEW)?)?
            .and(&linted.outside()?)?;
        let new = if way == Way::Through { new.and(&known(linted)?)? } else { new };
        let new = linted.space.narrowest(&new)?;
        let refused = linted.ended(back)?;
        let refused = linted.space.narrowest(&refused)?;
        let mut left = new.clone();
        for _ in 0..TRIED_MAX {
            let Some(first) = linted.space.example(&left)? else { break };
            let first = Example { tcp_flags: SYN, ..first };
            let answer = mirrored(&first);
            let values = linted.space.values(&answer);
            let plain = first.unknowns.is_empty()
                && linted.space.contains(&new, &linted.space.values(&first))
                && linted.space.contains(&refused, &values);
            if plain && (way == Way::Through || !answers_elsewhere(linted, &answer)?) {
                found.extend(told(linted, (way, &first), (back, &answer))?);
                break;
            }
            // Another interface, another port.
            let row = linted.space.rows(&left)?.rows.into_iter().next();
            let Some(row) = row else { break };
            left = left.less(&linted.space.packets_of(&row)?)?;
        }
    }
    Ok(())
}

/// The finding: who lets the first packet pass, and who refuses the answer.
fn told(
    linted: &Linted<'_>,
    (way, first): (Way, &Example),
    (back, answer): (Way, &Example),
) -> Result<Option<Finding>> {
    let Some((_, _, base)) = linted.base(TableName::Filter, back.hook()) else { return Ok(None) };
    let text = match way {
        Way::Through => "connections may be opened through here whose answers FORWARD refuses",
        _ => "connections may be opened to this host whose answers OUTPUT refuses",
    };
    let opens = linted.accepter(way, first)?;
    let closes = linted.refuser(back, answer)?;
    let by = |words: Option<String>| words.map_or_else(String::new, |words| format!(" by {words}"));
    let begun = match back {
        Way::Through => "FORWARD",
        _ => "INPUT",
    };
    Ok(Some(
        Finding::new(linted.place_or(TableName::Filter, base, closes.as_ref()), text)
            .decided_by(opens.as_ref(), "lets the first packet pass")
            .decided_by(closes.as_ref(), "refuses the answer")
            .evidence(format!(
                "{} is accepted{}",
                packet_words(first),
                by(opens.map(|one| one.words()))
            ))
            .evidence(format!(
                "its answer {} is refused{}",
                packet_words(answer),
                by(closes.map(|one| one.words()))
            ))
            .help(format!(
                "if these connections are meant, first in {0}: -A {0} -m conntrack --ctstate ESTABLISHED -j ACCEPT; \
                 if not, refuse their first packets in {begun}",
                base.name
            )),
    ))
}

/// Whether the same answer is let out from another address: which of them are this host's own is not known.
fn answers_elsewhere(linted: &Linted<'_>, answer: &Example) -> Result<bool> {
    let to = |address: keepstate_packet::Address| match linted.space.family() {
        Family::V4 => u128::from_be_bytes(address.0) >> 96,
        Family::V6 => u128::from_be_bytes(address.0),
    };
    let by = linted.space.interface_number(answer.out_interface.as_deref().unwrap_or(""));
    let mut like = linted.space.like(answer)?.and(&linted.passed(Way::Out))?;
    like = like.and(&linted.space.all_of(Group::Out, &[(by, by)])?)?;
    for (field, number) in [
        (Field::Destination, to(answer.destination)),
        (Field::SourcePort, answer.source_port.into()),
        (Field::DestinationPort, answer.destination_port.into()),
    ] {
        like = like.and(&linted.space.touching(Group::Field(field), &[(number, number)])?)?;
    }
    Ok(!like.is_empty())
}

/// Packets from one interface to another: where rules name two or more, to and from those. Of others it is not known
/// that there are any.
fn known(linted: &Linted<'_>) -> Result<Packets> {
    let interfaces = linted.space.interfaces();
    let count = interfaces.iter().filter(|one| matches!(one, Interface::Named(_))).count();
    let crossing = linted.crossing()?;
    if count < 2 {
        return Ok(crossing);
    }
    let named = (0_u128..).zip(interfaces);
    let ranges: Vec<(u128, u128)> = named
        .filter(|(_, one)| matches!(one, Interface::Named(name) if name != "lo"))
        .map(|(number, _)| (number, number))
        .collect();
    let by = |group| linted.space.all_of(group, &ranges);
    crossing.and(&by(Group::In)?)?.and(&by(Group::Out)?)
}

/// The answer to the first packet of a connection.
pub(super) fn mirrored(first: &Example) -> Example {
    Example {
        source: first.destination,
        destination: first.source,
        source_port: first.destination_port,
        destination_port: first.source_port,
        tcp_flags: SYN | ACK,
        state: ct::ESTABLISHED,
        mark: 0,
        in_interface: first.out_interface.clone(),
        out_interface: first.in_interface.clone(),
        unknowns: Vec::new(),
        ..first.clone()
    }
}
