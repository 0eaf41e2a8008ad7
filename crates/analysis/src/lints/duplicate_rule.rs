//! The same rule again, in the same chain.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::lints::closing;
use std::collections::BTreeMap;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "duplicate-rule",
    severity: Severity::Warning,
    title: "the same rule a second time",
    page: include_str!("duplicate_rule.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut seen = BTreeMap::new();
    // The first, and doubles of it one behind the other.
    let mut runs: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, rule) in linted.rules.iter().enumerate() {
        let key = (rule.table.name, rule.line.as_str());
        let Some(at) = seen.get(&key).copied() else {
            seen.insert(key, index);
            continue;
        };
        let Some(first) = linted.rules.get(at) else { continue };
        // Behind a rule that takes all no rule is asked: doubles of that one alone are told of here.
        let unasked = rule.reached.is_empty();
        let all = closing(linted, rule)?.is_some_and(|(last, alone)| alone && last.at == first.at);
        // One that matches again does something again.
        if rule.is_opaque || !rule.matched.is_empty() || unasked && !all {
            continue;
        }
        let same_line = |one: Option<usize>| {
            let one = one.and_then(|index| linted.rules.get(index));
            one.is_some_and(|one| one.rule.span == first.rule.span)
        };
        match runs.last_mut() {
            Some((known, run))
                if *known == at
                    && run.last() == index.checked_sub(1).as_ref()
                    && same_line(run.last().copied()) == same_line(Some(index)) =>
            {
                run.push(index);
            }
            _ => runs.push((at, vec![index])),
        }
    }
    for (first, run) in runs {
        let Some(first) = linted.rules.get(first) else { continue };
        let doubles: Vec<&Ruled<'_>> =
            run.into_iter().filter_map(|index| linted.rules.get(index)).collect();
        found.extend(told(linted, first, &doubles));
    }
    Ok(())
}

/// A finding of doubles one behind the other.
fn told(linted: &Linted<'_>, first: &Ruled<'_>, doubles: &[&Ruled<'_>]) -> Option<Finding> {
    let (one, others) = doubles.split_first()?;
    // Several addresses in a line are as many rules.
    if one.rule.span == first.rule.span {
        let text = match doubles.len() {
            1 => "two of which are the same".into(),
            many => format!("{} of which are the same", many + 1),
        };
        let text = format!("this line is loaded as several rules, {text}: {}", one.line);
        let finding = Finding::new(one.rule.span, text);
        return Some(finding.evidence("no packet that it asks for is left when it is asked"));
    }
    let text = match doubles.len() {
        1 => "the same rule stands above: this one matches nothing more".into(),
        many => format!("the same rule stands above: these {many} match nothing more"),
    };
    let mut finding = Finding::new(one.rule.span, text).label(first.rule.span, "here already");
    for other in others {
        finding = finding.label(other.rule.span, "and again");
    }
    let fix = match doubles {
        [_] => linted.removal(one, Expected::Nothing),
        many => linted.removals(many, Expected::Nothing),
    };
    Some(finding.evidence("no packet that it asks for is left when it is asked").fix(fix))
}

/// Whether a rule stands above in the same words.
pub(super) fn is_duplicate(linted: &Linted<'_>, index: usize) -> bool {
    let Some(rule) = linted.rules.get(index) else { return false };
    let mut above = linted.chain_rules(rule.table.name, rule.at.chain);
    above.by_ref().take_while(|one| one.at < rule.at).any(|one| one.line == rule.line)
}
