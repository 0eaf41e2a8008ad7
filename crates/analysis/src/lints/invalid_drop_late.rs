//! INVALID packets are accepted above the rule that drops them.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, refuses};
use crate::lints::takers;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "invalid-drop-late",
    severity: Severity::Note,
    title: "INVALID packets are accepted above the rule that drops them",
    page: include_str!("invalid_drop_late.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    // Segments do harm; ICMP errors that are INVALID are let in on purpose.
    let invalid = linted
        .in_states(ct::INVALID)?
        .less(&linted.untracked()?)?
        .and(&linted.within(Field::Protocol, 6, 6)?)?;
    // What the host says to itself does none.
    let own = match linted.is_v4() {
        true => linted.within(Field::Source, 0x7f00_0000, 0x7fff_ffff)?,
        false => linted.within(Field::Source, 1, 1)?,
    };
    for rule in linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter) {
        let drops = decision(rule.rule).is_some_and(refuses);
        if !drops
            || rule.words.states().as_deref() != Some(&["INVALID"])
            || rule.words.header("-p").is_some()
        {
            continue;
        }
        let wanted = rule.asked.and(&linted.entering(rule))?.and(&invalid)?.less(&own)?;
        for taker in takers(linted, rule, &wanted)? {
            let lo = taker
                .words
                .header("-i")
                .or(taker.words.header("-o"))
                .is_some_and(|option| option.value() == "lo");
            let both = taker.matched.and(&wanted)?;
            if lo || decision(taker.rule) != Some(Verdict::Accept) || both.is_empty() {
                continue;
            }
            let packet = linted.example(&both)?.unwrap_or_default();
            let mut finding = Finding::new(
                rule.rule.span,
                "INVALID packets are accepted before this rule drops them",
            )
            .label(taker.rule.span, "accepts them, whatever their state")
            .evidence(format!("{packet} is accepted"));
            let line = linted.line(taker.rule.span);
            finding = match twins(linted, rule).as_slice() {
                [] => finding.help(format!("put it above line {line}")),
                many => {
                    let lines: Vec<String> =
                        many.iter().map(|twin| linted.line(twin.rule.span).to_string()).collect();
                    for twin in many {
                        finding = finding.label(twin.rule.span, "logs what it drops");
                    }
                    finding.help(format!(
                        "put line {}, which logs what it drops, and this rule above line {line}",
                        lines.join(" and line ")
                    ))
                }
            };
            found.push(finding);
            break;
        }
    }
    Ok(())
}

/// The rules right above one that log what it drops, in their order.
fn twins<'l, 'a>(linted: &'l Linted<'a>, rule: &Ruled<'_>) -> Vec<&'l Ruled<'a>> {
    let above: Vec<_> = linted
        .chain_rules(rule.table.name, rule.at.chain)
        .take_while(|above| above.at < rule.at)
        .collect();
    let logs = |one: &&&Ruled<'_>| {
        ["LOG", "NFLOG"].contains(&one.words.target_name())
            && one.words.header == rule.words.header
            && one.words.states() == rule.words.states()
    };
    let mut twins: Vec<_> = above.iter().rev().take_while(logs).copied().collect();
    twins.reverse();
    twins
}
