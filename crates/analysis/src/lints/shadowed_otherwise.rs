//! A rule whose packets are all decided above it, and not as it says.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::decider::Decider;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lints::answers_dropped::mirrored;
use crate::lints::{higher, shadowed};
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "shadowed-otherwise",
    severity: Severity::Warning,
    title: "a rule whose packets are decided above it, and otherwise",
    page: include_str!("shadowed_otherwise.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for shadow in shadowed(linted)? {
        let (Some(rule), Some(example)) = (linted.rules.get(shadow.index), &shadow.otherwise)
        else {
            continue;
        };
        let alone = shadow.takers.first().filter(|_| shadow.by_one);
        let line = |one: &Ruled<'_>| linted.line(one.rule.span);
        let text = match alone {
            Some(one) if one.asked == rule.asked => format!(
                "line {} asks for just what this one asks for, and does otherwise with it",
                line(one)
            ),
            Some(one) => format!(
                "line {} decides about all that this one asks for, and otherwise than it says",
                line(one)
            ),
            None => {
                "rules above decide about all that this one asks for, and otherwise than it says"
                    .into()
            }
        };
        let mut finding = Finding::new(rule.rule.span, text);
        for taker in shadow.takers.iter().take(3) {
            finding = finding.label(taker.rule.span, "decides about its packets");
        }
        let help = advice(linted, rule, &shadow.takers, alone.copied())?;
        found.push(finding.evidence(example).help(help));
    }
    Ok(())
}

/// Which of them can stand above the other.
fn advice(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    takers: &[&Ruled<'_>],
    alone: Option<&Ruled<'_>>,
) -> Result<String> {
    let line = |one: &Ruled<'_>| linted.line(one.rule.span);
    if let Some(one) = alone.filter(|one| one.asked == rule.asked) {
        return Ok(format!(
            "line {} comes first, so it decides: one of the two has to go",
            line(one)
        ));
    }
    // Above those that are narrower it would leave them nothing: it refuses the rest, or accepts it.
    let entering = linted.entering(rule);
    for taker in takers.iter().filter(|taker| decision(taker.rule) != decision(rule.rule)) {
        if taker.asked.and(&entering)?.is_within(&rule.asked)? {
            return Ok(format!(
                "it is meant for what is left, and nothing is: narrow the rules above that take it, or take \
                 it out; above line {} it would leave that one nothing",
                line(taker)
            ));
        }
    }
    let others = takers.iter().filter(|taker| decision(taker.rule) != decision(rule.rule));
    let Some(first) = others.min_by_key(|taker| taker.at) else { return Ok("take it out".into()) };
    let place = higher(linted, rule, first);
    let Some(refuser) = answers_refused(linted, rule, first)? else {
        return Ok(format!("to have it asked, {place}; else take it out"));
    };
    // Taking out what decides would not do either.
    let accepts = "a rule that accepts what is ESTABLISHED";
    let answers = match linted.line(refuser.span) {
        line if line > 0 && refuser.rule.is_some() => {
            format!("above line {line}, which refuses the answers, {accepts}")
        }
        _ => format!("add {accepts}, for {} refuses the answers", refuser.words()),
    };
    Ok(format!("to have it asked, {place}, and {answers}; else take it out"))
}

/// Who would refuse the answers to what a rule accepts, if it were asked.
fn answers_refused<'l, 'a>(
    linted: &'l Linted<'a>,
    rule: &Ruled<'_>,
    first: &Ruled<'_>,
) -> Result<Option<Decider<'l, 'a>>> {
    let accepts = decision(rule.rule) == Some(Verdict::Accept);
    if !accepts || rule.table.name != TableName::Filter || translates_ahead(linted) {
        return Ok(None);
    }
    for (way, back) in [(Way::Through, Way::Through), (Way::In, Way::Out), (Way::Out, Way::In)] {
        let here = first.matched.and(&rule.asked)?.and(&way.packets(&linted.space)?)?;
        let Some(begins) = linted.plainest(&linted.beginning(&here)?)? else { continue };
        let known = |side: &Option<String>| side.as_deref().is_some_and(|name| name != "lo");
        let (comes, leaves) = (known(&begins.in_interface), known(&begins.out_interface));
        if (way != Way::Out && !comes) || (way != Way::In && !leaves) {
            continue;
        }
        let answer = mirrored(&begins);
        let values = linted.space.values(&answer);
        let passed = linted.space.widest(&linted.passed(back))?;
        // The rule itself may be for the answers, too.
        let by_itself = back == way && linted.space.contains(&rule.asked, &values);
        if !linted.space.contains(&passed, &values) && !by_itself {
            return linted.refuser(back, &answer);
        }
    }
    Ok(None)
}

/// Whether destinations are translated: then answers are not what their packets say.
fn translates_ahead(linted: &Linted<'_>) -> bool {
    linted.with_target(&["DNAT", "REDIRECT", "NETMAP", "TPROXY"]).next().is_some()
}
