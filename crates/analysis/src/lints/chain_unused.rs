//! A chain that no rule leads to.

use crate::algebra::space::Result;
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Form, Linted};
use crate::lints::and;
use crate::prose::chains::Makers;
use keepstate_ruleset::model::{Chain, Span, Table};
use std::collections::BTreeSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "chain-unused",
    severity: Severity::Note,
    title: "a chain that no rule leads to",
    page: include_str!("chain_unused.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let makers = Makers::of_ruleset(linted.ruleset);
    for table in &linted.ruleset.tables {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        let called: BTreeSet<_> =
            rules.flat_map(|rule| rule.target.chains()).map(|(to, _)| to.0).collect();
        let is_unused = |index: u32, chain: &Chain| {
            let made = makers.made_by(&chain.name).is_some();
            chain.hook.is_none() && !called.contains(&index) && !made
        };
        // Those one behind the other are one matter.
        let mut runs: Vec<Vec<&Chain>> = vec![Vec::new()];
        for (index, chain) in (0_u32..).zip(&table.chains) {
            match (is_unused(index, chain), runs.last_mut()) {
                (true, Some(run)) => run.push(chain),
                (false, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
                _ => {}
            }
        }
        found.extend(runs.iter().filter_map(|run| told(linted, table, run)));
    }
    Ok(())
}

/// Chains that are named.
const NAMED_MAX: usize = 3;

/// A finding of chains one behind the other.
fn told(linted: &Linted<'_>, table: &Table, run: &[&Chain]) -> Option<Finding> {
    let (first, others) = run.split_first()?;
    let mut named: Vec<String> = run.iter().map(|chain| chain.name.clone()).collect();
    if named.len() > NAMED_MAX {
        let more = named.len() + 1 - NAMED_MAX;
        named.truncate(NAMED_MAX - 1);
        named.push(format!("{more} more"));
    }
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let count = run.iter().map(|chain| chain.rules.len()).sum::<usize>();
    let (chains, its, have) = match others {
        [] => ("chain", "its", "it has"),
        _ => ("chains", "their", "they have"),
    };
    let rules = match count {
        0 => format!("{have} no rules"),
        1 => format!("{its} rule is never asked"),
        many => format!("{its} {many} rules are never asked"),
    };
    let text = format!("no rule leads to the {chains} {}: {rules}", and(&named));
    let mut finding = Finding::new(place(first), text);
    for other in others {
        finding = finding.label(place(other), "nor to this one");
    }
    let to = if others.is_empty() { "it" } else { "them" };
    finding = finding.evidence(format!("table {} has no -j or -g to {to}", table.name.as_str()));
    Some(finding.fix(fix(linted, table, run)))
}

/// Where it is declared, else its first rule.
fn place(chain: &Chain) -> Span {
    let first = chain.rules.first().map_or(Span::default(), |rule| rule.span);
    if chain.span.end > chain.span.start { chain.span } else { first }
}

/// Takes their lines and their rules out.
fn fix(linted: &Linted<'_>, table: &Table, run: &[&Chain]) -> Option<Fix> {
    let mut edits = Vec::new();
    for chain in run {
        let line = linted.text(chain.span);
        if linted.form != Form::Save || !line.trim_start().starts_with(':') {
            return None;
        }
        let out = |span| Edit { span: linted.whole_line(span), text: String::new() };
        edits.push(out(chain.span));
        let index = table.chain_named(&chain.name)?;
        for rule in linted.chain_rules(table.name, index) {
            if !linted.is_editable(rule) {
                return None;
            }
            edits.push(out(rule.rule.span));
        }
    }
    edits.sort_by_key(|edit| edit.span.start);
    let text = match run {
        [_] => "take the chain out".into(),
        many => format!("take these {} chains out", many.len()),
    };
    Some(Fix { text, edits, expected: Expected::Nothing })
}
