//! Ports of a list that never come to the rule.

use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, verdict_word};
use crate::lints::{foremost, takers};
use keepstate_ruleset::diagnostic::Label;
use keepstate_ruleset::packet_set::Field;
use std::collections::BTreeMap;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "port-part-dead",
    severity: Severity::Note,
    title: "ports of a list that never come to the rule",
    page: include_str!("port_part_dead.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut told: BTreeMap<u32, &Ruled<'_>> = BTreeMap::new();
    for rule in &linted.rules {
        if !rule.is_plain || rule.matched.is_empty() || decision(rule.rule).is_none() {
            continue;
        }
        for (name, field) in [("--dports", Field::DestinationPort), ("--sports", Field::SourcePort)]
        {
            let names = [name];
            let option = rule.words.options(&names).next();
            let Some(option) = option.filter(|option| !option.not) else { continue };
            let mut dead = Vec::new();
            let mut lost = linted.space.none();
            for port in option.value().split(',') {
                let Some(packets) = of(linted, field, port)? else { continue };
                if rule.matched.and(&packets)?.is_empty() {
                    dead.push(port);
                    lost = lost.or(&packets)?;
                }
            }
            if dead.is_empty() {
                continue;
            }
            let said = crate::lints::and(&dead);
            let text = format!(
                "nothing is left here of {} {said}",
                if dead.len() == 1 { "port" } else { "ports" }
            );
            // The same list in another chain.
            let alike = |one: &&mut Finding| {
                one.text == text
                    && told.get(&one.span.start).is_some_and(|other| asks_alike(other, rule))
            };
            if let Some(known) = found.iter_mut().find(alike) {
                known.labels.push(Label { span: rule.rule.span, text: "nor here".into() });
                continue;
            }
            told.insert(rule.rule.span.start, rule);
            found.push(decided(linted, rule, (&dead, &lost), text)?);
        }
    }
    Ok(())
}

/// Says of ports of which nothing is left who decides about them, and whether as the list does.
fn decided(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    (dead, lost): (&[&str], &Packets),
    text: String,
) -> Result<Finding> {
    let wanted = rule.asked.and(&linted.entering(rule))?.and(lost)?;
    let takers = foremost(linted, takers(linted, rule, &wanted)?, &wanted)?;
    let (some, all) = if dead.len() == 1 { ("it", "it") } else { ("some of them", "they") };
    let mut finding = Finding::new(rule.rule.span, text);
    for taker in takers.iter().take(3) {
        let says = match decision(taker.rule) {
            Some(verdict) => format!("packets to {some} are {} here", verdict_word(verdict)),
            None => format!("decides about {some}"),
        };
        finding = finding.label(taker.rule.span, says);
    }
    let said = crate::lints::and(dead);
    let finding =
        finding.evidence(format!("of the packets that the rule matches none has {said} there"));
    let first = takers.first().and_then(|first| decision(first.rule));
    Ok(match (first, decision(rule.rule)) {
        (Some(above), Some(here)) if above == here => {
            finding.help(format!("{all} may be left out of the list"))
        }
        (Some(above), Some(here)) => finding
            .evidence(format!(
                "the list says {}, and above it is {}",
                verdict_word(here),
                verdict_word(above)
            ))
            .help(format!(
                "take {some} out of the list, or out of what is asked above, whichever is not meant"
            )),
        _ => finding,
    })
}

/// Whether two rules are the same but for their chains.
fn asks_alike(one: &Ruled<'_>, other: &Ruled<'_>) -> bool {
    let (one, other) = (&one.words, &other.words);
    one.header == other.header && one.matches == other.matches && one.target == other.target
}

fn of(linted: &Linted<'_>, field: Field, port: &str) -> Result<Option<Packets>> {
    let (low, high) = port.split_once(':').unwrap_or((port, port));
    let ends = low.parse::<u16>().ok().zip(high.parse::<u16>().ok());
    let Some((low, high)) = ends else { return Ok(None) };
    linted.within(field, low.into(), high.into()).map(Some)
}
