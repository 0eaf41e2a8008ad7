//! INVALID packets are dropped on a router that does not translate: connections of which it sees one direction only.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::conversation::{Fate, conversation};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, refuses};
use crate::lint::played::Bed;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "invalid-drop-one-way",
    severity: Severity::Note,
    title: "INVALID packets are dropped where a router may see one direction only",
    page: include_str!("invalid_drop_one_way.md"),
    run,
};

const TRANSLATES: [&str; 6] = ["MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP", "DNPT"];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    // The answers to what is translated come back here: nobody else has the address.
    if linted.with_target(&TRANSLATES).next().is_some() {
        return Ok(());
    }
    let invalid = linted.in_states(ct::INVALID)?.and(&Way::Through.packets(&linted.space)?)?;
    let drops = linted.rules.iter().filter(|rule| {
        rule.table.name == TableName::Filter
            && decision(rule.rule).is_some_and(refuses)
            && rule.words.states().as_deref() == Some(&["INVALID"])
    });
    let begin = linted
        .passed(Way::Through)
        .and(&linted.in_states(ct::NEW)?)?
        .and(&linted.within(Field::Protocol, 6, 6)?)?;
    let Some(spot) = linted.spot(Way::Through, &begin)? else { return Ok(()) };
    let bed = Bed { text: linted.printed(), spot };
    for rule in drops {
        if rule.matched.and(&invalid)?.is_empty() {
            continue;
        }
        if let Some(finding) = told(linted, rule, &bed) {
            found.push(finding);
            break;
        }
    }
    Ok(())
}

/// What becomes of a connection whose answers take another way, with the rule and without it.
fn told(linted: &Linted<'_>, rule: &Ruled<'_>, bed: &Bed) -> Option<Finding> {
    let one_way = conversation("asymmetric")?;
    let run = bed.run(one_way, |_| {})?;
    let at = run.played.fate.at()?;
    let step = run.played.steps.get(at)?;
    let table = run.ruleset.table(rule.table.name)?;
    let hit = (rule.table.name, table.chain_named(&rule.chain.name)?, rule.at.number);
    if !step.hits.contains(&hit) {
        return None;
    }
    let without = bed.with(linted.printed_with(rule, &[])?).run(one_way, |_| {})?;
    if without.played.fate != Fate::Passes {
        return None;
    }
    let label = run.script.steps.get(at).map_or("", |step| step.label.as_str());
    Some(
        Finding::new(
            rule.rule.span,
            "this cuts connections of which only one direction comes past here",
        )
        .evidence(format!(
            "run through the engine, the answers taking another way: packet {} ({label}), {}, is INVALID and dropped \
             by this rule; without the rule the connection passes",
            at + 1,
            run.packet(at)
        ))
        .help(
            "only where paths may differ: leave what takes them untracked (-t raw -j CT --notrack, both directions); \
             with one path the rule is right",
        ),
    )
}
