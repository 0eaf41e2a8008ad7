//! States named by a rule that none of its packets can have any more.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Form, Linted, Ruled};
use crate::lints::related_tcp_only::assigned;
use crate::lints::{foremost, takers};
use crate::prose::helpers;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "state-part-dead",
    severity: Severity::Note,
    title: "a state that a rule names and that never comes to it",
    page: include_str!("state_part_dead.md"),
    run,
};

const STATES: [(u8, &str); 4] = [
    (ct::NEW, "NEW"),
    (ct::ESTABLISHED, "ESTABLISHED"),
    (ct::RELATED, "RELATED"),
    (ct::INVALID, "INVALID"),
];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in &linted.rules {
        let plain = rule.table.name != TableName::Raw && rule.is_plain && !rule.matched.is_empty();
        let mut options = rule.words.options(&["--state", "--ctstate"]);
        let (Some(option), None) = (options.next(), options.next()) else { continue };
        if !plain || option.not {
            continue;
        }
        let names: Vec<&str> = option.value().split(',').collect();
        let mut dead = Vec::new();
        for (bit, name) in STATES.into_iter().filter(|(_, name)| names.contains(name)) {
            if rule.matched.and(&linted.in_states(bit)?)?.is_empty() {
                dead.push((bit, name));
            }
        }
        if dead.is_empty() {
            continue;
        }
        let bits = dead.iter().fold(0, |bits, (bit, _)| bits | bit);
        let dead: Vec<&str> = dead.into_iter().map(|(_, name)| name).collect();
        let live: Vec<&str> = names.into_iter().filter(|name| !dead.contains(name)).collect();
        let said = crate::lints::and(&dead);
        let mut finding = Finding::new(
            rule.rule.span,
            format!("no packet in state {said} is left for this rule"),
        );
        // Whatever is left of the list, nothing fits the rest of the rule.
        if let Some((why, help)) = helper_lacking(linted, rule) {
            finding.text = format!("this rule never matches: {why}");
            let option = rule.words.options(&["--helper"]).next().map_or("", |one| one.value());
            let only = format!("it asks for connections that the helper {option} has announced");
            found.push(finding.evidence(only).help(help));
            continue;
        }
        let wanted = rule.asked.and(&linted.entering(rule))?.and(&linted.in_states(bits)?)?;
        for taker in foremost(linted, takers(linted, rule, &wanted)?, &wanted)?.iter().take(2) {
            finding = finding.label(taker.rule.span, format!("takes {said}"));
        }
        finding = finding.evidence(match wanted.is_empty() {
            true => format!("no packet in state {said} comes to {}", rule.chain.name),
            false => format!(
                "of the packets in state {said} that come to {} none is left here",
                rule.chain.name
            ),
        });
        found.push(finding.fix(shorter(linted, rule, &live)));
    }
    Ok(())
}

/// Why no connection has been announced by the helper that a rule asks for, and what to do.
fn helper_lacking(linted: &Linted<'_>, rule: &Ruled<'_>) -> Option<(String, String)> {
    let option = rule.words.options(&["--helper"]).next().filter(|option| !option.not)?;
    let name = option.value();
    let table = linted.ruleset.table(TableName::Raw).is_some_and(|table| table.declared);
    let fits = |one: &String| match (helpers::named(one), helpers::named(name)) {
        (Some(one), Some(wanted)) => one.name == wanted.name,
        _ => one == name,
    };
    // A listing shows one table: helpers may be assigned in another.
    if name.is_empty()
        || linted.form == Form::Listing && !table
        || assigned(linted).iter().any(fits)
    {
        return None;
    }
    let family = linted.ruleset.family;
    Some(match helpers::named(name) {
        Some(helper) if !helper.serves(family) => {
            (format!("Linux has the helper {name} for IPv4 alone"), "take the rule out".into())
        }
        Some(_) => (
            format!(
                "no rule assigns the helper {name}, and kernels since 6.0 assign none by themselves"
            ),
            format!("take the rule out, or assign the helper: -j CT --helper {name} in table raw"),
        ),
        None => (
            format!("Linux has no helper {name}, and no rule assigns one of that name"),
            "take the rule out".into(),
        ),
    })
}

/// The list as it stands in the file, without those.
fn shorter(linted: &Linted<'_>, rule: &Ruled<'_>, live: &[&str]) -> Option<crate::lint::Fix> {
    let mut words = linted
        .text(rule.rule.span)
        .split(' ')
        .skip_while(|word| *word != "--state" && *word != "--ctstate");
    let (option, list) = (words.next()?, words.next()?);
    let kept: Vec<&str> = list.split(',').filter(|one| live.contains(one)).collect();
    let full = kept.len() == live.len();
    let (old, new) = (format!("{option} {list}"), format!("{option} {}", kept.join(",")));
    linted.rewrite(rule, &old, &new, Expected::Nothing).filter(|_| full)
}
