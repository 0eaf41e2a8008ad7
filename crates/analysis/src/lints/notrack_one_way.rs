//! Only what arrives is left untracked, not the answers.

use super::nat_without_invalid_drop::parts;
use crate::algebra::space::Result;
use crate::algebra::{Example, Way};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::lint::plain::words;
use crate::lint::proof::stateless_words;
use crate::lints::untracks;
use keepstate_packet::tcp::{ACK, SYN};
use keepstate_packet::{tcp, udp};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::packet_set::{Field, PacketSet};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "notrack-one-way",
    severity: Severity::Warning,
    title: "only what arrives is left untracked, not the answers",
    page: include_str!("notrack_one_way.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let all: Vec<_> = linted.rules.iter().filter(|rule| untracks(rule)).collect();
    let leaving = Way::Out.packets(&linted.space)?;
    for rule in &all {
        if !rule.matched.and(&leaving)?.is_empty() {
            return Ok(());
        }
    }
    let through = linted.passed(Way::Through);
    for rule in all {
        // Only what is for a service of this host: of what is passed on both directions come by PREROUTING.
        let service = rule.words.options(&["--dport"]).next().is_some()
            && rule.words.options(&["--sport"]).next().is_none();
        if !service || !rule.matched.and(&through)?.is_empty() {
            continue;
        }
        let here = rule.matched.and(&linted.passed(Way::In))?.and(&linted.outside()?)?;
        let Some(packet) = linted.plainest(&here)? else { continue };
        found.push(told(linted, rule, &packet)?);
    }
    Ok(())
}

/// What becomes of the answers of the service that a rule is for.
fn told(linted: &Linted<'_>, rule: &Ruled<'_>, asks: &Example) -> Result<Finding> {
    let answer = match rule.words.protocol() {
        Some(6) => "a SYN-ACK of no connection: INVALID",
        Some(17) => "the first packet of a connection of its own: NEW",
        _ => "to tracking a packet of no connection that it knows: NEW or INVALID",
    };
    let finding = Finding::new(
        rule.rule.span,
        "what comes in is left untracked, and what the host answers is tracked",
    )
    .evidence(format!(
        "{} is UNTRACKED; no rule of raw OUTPUT leaves the answer alone, which is {answer}",
        stateless_words(asks)
    ));
    let from = format!(
        "-p {} --sport {}",
        rule.words.header("-p").map_or("tcp", |option| option.value()),
        rule.words.options(&["--dport"]).next().map_or("", |option| option.value())
    );
    let help = format!(
        "the same in OUTPUT, with addresses and ports the other way round: -t raw -A OUTPUT {from} -j CT --notrack"
    );
    let also = "what is untracked is accepted by --ctstate UNTRACKED, or by its ports";
    let (example, nobody) = match (refused_answer(linted, rule)?, answer_to(asks)) {
        (Some(example), _) => (example, true),
        (None, Some(example)) => (example, false),
        (None, None) => return Ok(finding.help(format!("{help}; {also}")).as_note()),
    };
    let answer = words(&example);
    let passed = linted.space.widest(&linted.passed(Way::Out))?;
    if linted.space.contains(&passed, &linted.space.values(&example)) {
        let accepter = linted.accepter(Way::Out, &example)?;
        let finding = match &accepter {
            Some(one) => finding.evidence(format!("{answer} is accepted by {}", one.words())),
            None => finding,
        };
        return Ok(finding.help(format!("{help}; {also}")).as_note());
    }
    let refuser = linted.refuser(Way::Out, &example)?;
    let by = refuser.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
    let harm = match nobody {
        true => "the service answers nobody",
        false => "the service does not answer that host",
    };
    let finding = finding
        .decided_by(refuser.as_ref(), "refuses the answers")
        .evidence(format!("{answer} is refused{by}: {harm}"));
    let untracked = Example { state: ct::UNTRACKED, ..example };
    let help = match linted.space.contains(&passed, &linted.space.values(&untracked)) {
        true => format!("{help}; what is untracked is accepted there"),
        false => {
            let accept = format!("-A OUTPUT {from} -m conntrack --ctstate UNTRACKED -j ACCEPT");
            format!("{help}; that alone mends nothing: before what refuses it, {accept}")
        }
    };
    Ok(finding.help(help))
}

/// The answer of a service to the packet that begins, as tracking sees it.
fn answer_to(asks: &Example) -> Option<Example> {
    let (state, tcp_flags) = match asks.protocol {
        tcp::PROTOCOL if asks.tcp_flags == SYN => (ct::INVALID, SYN | ACK),
        udp::PROTOCOL => (ct::NEW, asks.tcp_flags),
        _ => return None,
    };
    Some(Example {
        source: asks.destination,
        destination: asks.source,
        source_port: asks.destination_port,
        destination_port: asks.source_port,
        in_interface: None,
        out_interface: asks.in_interface.clone(),
        unknowns: Vec::new(),
        state,
        tcp_flags,
        ..asks.clone()
    })
}

/// An answer of the service of a rule, where OUTPUT refuses all of them as tracking sees them.
fn refused_answer(linted: &Linted<'_>, rule: &Ruled<'_>) -> Result<Option<Example>> {
    let (protocol, states) = match rule.words.protocol() {
        Some(6) => (6, ct::INVALID),
        Some(17) => (17, ct::NEW),
        _ => return Ok(None),
    };
    let mut answers = linted
        .within(Field::Protocol, protocol, protocol)?
        .and(&linted.in_states(states)?)?
        .and(&Way::Out.packets(&linted.space)?)?
        .less(&linted.left_by("lo")?)?;
    if protocol == 6 {
        let flags = u128::from(SYN | ACK);
        answers = answers.and(&linted.within(Field::TcpFlags, flags, flags)?)?;
    }
    for part in parts(rule) {
        if let PacketSet::In(Field::DestinationPort, ranges) = part {
            answers = answers.and(&linted.space.fielded(Field::SourcePort, &ranges)?)?;
        }
    }
    let passed = linted.space.widest(&linted.passed(Way::Out))?;
    match passed.and(&answers)?.is_empty() {
        true => linted.plainest(&answers),
        false => Ok(None),
    }
}
