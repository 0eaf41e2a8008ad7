//! The rule for established connections stands behind many others.

use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use keepstate_ruleset::evaluate::CHAIN_DEPTH_MAX;
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Jump, TableName};
use keepstate_ruleset::verdict::{Step, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "established-late",
    severity: Severity::Note,
    title: "the rule for established connections stands behind many others",
    page: include_str!("established_late.md"),
    run,
};

/// So many rules before it that it could stand above are worth a word: to be compared with them takes about as long as
/// tracking does.
const BEFORE_MIN: usize = 32;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let established = linted.in_states(ct::ESTABLISHED)?;
    for rule in &linted.rules {
        let filter = rule.table.name == TableName::Filter && rule.chain.hook.is_some();
        let states = rule.words.states().unwrap_or_default();
        let plain = rule.words.header.is_empty()
            && rule
                .words
                .matches
                .iter()
                .all(|one| ["state", "conntrack", "comment"].contains(&one.name.as_str()));
        let named = states.contains(&"ESTABLISHED") && !states.contains(&"NEW");
        let accepts = decision(rule.rule) == Some(Verdict::Accept);
        if !filter || !plain || !named || !accepts || rule.matched.and(&established)?.is_empty() {
            continue;
        }
        let (first, spared) = spared(linted, rule, &rule.matched)?;
        let Some(first) = first.filter(|_| spared >= BEFORE_MIN) else { continue };
        let line = linted.line(first.rule.span);
        found.push(
            Finding::new(
                rule.rule.span,
                format!(
                    "what this rule accepts of established connections is compared with {spared} rules first \
                     that do nothing with it"
                ),
            )
            .label(first.rule.span, "from here on")
            .evidence(format!(
                "it is rule {} of {}; above line {line} it would accept the same, and each packet would be \
                 spared {spared} rules",
                rule.at.number + 1,
                rule.chain.name
            ))
            .fix(forward(linted, rule, first)),
        );
    }
    Ok(())
}

/// The rule of its chain above which a rule that accepts could stand, so that nothing changes but what its packets are
/// compared with, and with how many rules less.
fn spared<'l, 'a>(
    linted: &'l Linted<'a>,
    rule: &Ruled<'_>,
    packets: &Packets,
) -> Result<(Option<&'l Ruled<'a>>, usize)> {
    let above: Vec<_> = linted
        .chain_rules(rule.table.name, rule.at.chain)
        .take_while(|above| above.at < rule.at)
        .collect();
    let (mut first, mut count) = (None, 0);
    for one in above.into_iter().rev() {
        let Some(more) = idle(linted, one, (packets, &rule.asked), 0)? else { break };
        (first, count) = (Some(one), count + more);
    }
    Ok((first, count))
}

/// With how many rules packets are compared at a rule, the chain that it leads to included, where it does nothing with
/// those that come by, and nothing but to accept with the others of the second set; `None` where it does.
fn idle(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    (packets, all): (&Packets, &Packets),
    depth: usize,
) -> Result<Option<usize>> {
    let hit = rule.matched.and(all)?;
    let seen = rule.reached.and(packets)?;
    if hit.is_empty() && !rule.is_opaque {
        return Ok(Some(usize::from(!seen.is_empty())));
    }
    let accepts = decision(rule.rule) == Some(Verdict::Accept);
    match rule.rule.target {
        _ if rule.is_opaque || depth > CHAIN_DEPTH_MAX => Ok(None),
        _ if accepts => Ok(Some(usize::from(!seen.is_empty()))),
        Jump::Jump(to) => {
            let mut count = 1;
            for one in linted.chain_rules(rule.table.name, to) {
                let back = matches!(one.rule.target, Jump::Standard(Step::Return));
                let here = match back && !one.is_opaque {
                    true => Some(usize::from(!one.reached.and(packets)?.is_empty())),
                    false => idle(linted, one, (packets, all), depth + 1)?,
                };
                let Some(here) = here else { return Ok(None) };
                count += here;
            }
            Ok(Some(count))
        }
        _ => Ok(None),
    }
}

/// Moves it up.
fn forward(linted: &Linted<'_>, rule: &Ruled<'_>, before: &Ruled<'_>) -> Option<Fix> {
    if !linted.is_editable(rule) || !linted.is_editable(before) {
        return None;
    }
    let own = linted.whole_line(rule.rule.span);
    let text = linted.text(own).to_string();
    let mut head = linted.whole_line(before.rule.span);
    head.end = head.start;
    let edits = vec![Edit { span: head, text }, Edit { span: own, text: String::new() }];
    let text = format!("put it before line {}", linted.line(before.rule.span));
    // What logs or counts in between may see others then: what would not be carried out is not offered.
    let moved = crate::lint::fix::edited(linted.source, edits.clone());
    let new = crate::lint::read::ruleset(&moved, linted.ruleset.family, LabelNames::NONE).ok()?;
    let proof = crate::lint::proof::prove(linted.ruleset, &new, &[Expected::Nothing]).ok()?;
    proof.is_expected.then_some(Fix { text, edits, expected: Expected::Nothing })
}
