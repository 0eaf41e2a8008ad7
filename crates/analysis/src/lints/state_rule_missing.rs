//! The host may open connections, and no answer to them is let in.

use crate::algebra::Way;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lint::proof::packet_words;
use crate::lints::{icmp_errors_blocked, ports_told, refused_somewhere, states};
use keepstate_packet::tcp::{ACK, SYN};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "state-rule-missing",
    severity: Severity::Warning,
    title: "the host may open connections, and no answer to them is let in",
    page: include_str!("state_rule_missing.md"),
    run,
};

/// The answers to what the host may open, where none is let in.
fn refused_answers(linted: &Linted<'_>) -> Result<Option<Packets>> {
    let tcp = linted.within(Field::Protocol, 6, 6)?;
    let opened = linted.passed(Way::Out).and(&linted.in_states(ct::NEW)?)?.and(&tcp)?;
    // Where answers arrive: the ports that systems give to what they open.
    let answers = tcp
        .and(&linted.within(Field::DestinationPort, 32_768, 65_535)?)?
        .and(&linted.in_states(ct::ESTABLISHED)?)?
        .and(&linted.outside()?)?;
    let let_in = linted.passed(Way::In).and(&answers)?;
    let has_rules = linted
        .base(TableName::Filter, Way::In.hook())
        .is_some_and(|(_, _, base)| !base.rules.is_empty());
    let is_missing =
        has_rules && !opened.is_empty() && let_in.is_empty() && refused_somewhere(linted, Way::In)?;
    Ok(is_missing.then_some(answers))
}

/// Whether the rule is missing that lets in answers, and with them the errors about what they belong to.
pub(super) fn is_missing(linted: &Linted<'_>) -> Result<bool> {
    Ok(refused_answers(linted)?.is_some())
}

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let tcp = linted.within(Field::Protocol, 6, 6)?;
    let Some(answers) = refused_answers(linted)? else { return Ok(()) };
    let Some((table, chain, base)) = linted.base(TableName::Filter, Way::In.hook()) else {
        return Ok(());
    };
    let rule = format!("-A {} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", base.name);
    let expected =
        Expected::Only(states(ct::ESTABLISHED | ct::RELATED), "packets of connections that exist");
    let mut answer = answers.and(&Way::In.packets(&linted.space)?)?;
    let flags = u128::from(SYN | ACK);
    for liked in
        [linted.within(Field::TcpFlags, flags, flags)?, linted.within(Field::SourcePort, 443, 443)?]
    {
        let both = answer.and(&liked)?;
        if !both.is_empty() {
            answer = both;
        }
    }
    let Some(packet) = linted.plainest(&answer)? else { return Ok(()) };
    let refuser = linted.refuser(Way::In, &packet)?;
    let by = refuser.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
    let mut finding = Finding::new(
        linted.place(TableName::Filter, base),
        "this host may open connections, and no answer to them is let in",
    )
    .decided_by(refuser.as_ref(), "refuses the answers")
    .evidence(format!(
        "{} is refused{by}, as is every TCP packet of a connection that exists to ports 32768 to 65535, which systems \
         connect from",
        packet_words(&packet)
    ));
    let others = linted.passed(Way::In).and(&tcp)?.and(&linted.in_states(ct::ESTABLISHED)?)?;
    let told = ports_told(linted, &others.and(&linted.outside()?)?)?;
    if !told.is_empty() {
        finding = finding.evidence(format!("such packets are let in {told} only"));
    }
    if let Some(errors) = icmp_errors_blocked::refused(linted, Way::In)?
        && let Some(error) = linted.plainest(&errors)?
    {
        let error = crate::lint::plain::words(&error);
        finding = finding.evidence(format!(
            "nor is any of the errors let in that tell TCP connections the path MTU: {error}"
        ));
    }
    found.push(finding.help(rule.clone()).fix(linted.first_in(table, chain, &rule, expected)));
    Ok(())
}
