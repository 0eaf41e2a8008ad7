//! A chain that no rule leads to.

use crate::algebra::space::Result;
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Form, Linted};
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
        for (index, chain) in (0_u32..).zip(&table.chains) {
            let made = makers.made_by(&chain.name).is_some();
            if chain.hook.is_some() || called.contains(&index) || made {
                continue;
            }
            let first = chain.rules.first().map_or(Span::default(), |rule| rule.span);
            let span = if chain.span.end > chain.span.start { chain.span } else { first };
            let rules = match chain.rules.len() {
                0 => String::from("it has no rules"),
                1 => String::from("its rule is never asked"),
                many => format!("its {many} rules are never asked"),
            };
            found.push(
                Finding::new(span, format!("no rule leads to the chain {}: {rules}", chain.name))
                    .evidence(format!("table {} has no -j or -g to it", table.name.as_str()))
                    .fix(fix(linted, table, chain)),
            );
        }
    }
    Ok(())
}

/// Takes its line and its rules out.
fn fix(linted: &Linted<'_>, table: &Table, chain: &Chain) -> Option<Fix> {
    let line = linted.text(chain.span);
    if linted.form != Form::Save || !line.trim_start().starts_with(':') {
        return None;
    }
    let out = |span| Edit { span: linted.whole_line(span), text: String::new() };
    let mut edits = vec![out(chain.span)];
    let index = table.chain_named(&chain.name)?;
    for rule in linted.chain_rules(table.name, index) {
        if !linted.is_editable(rule) {
            return None;
        }
        edits.push(out(rule.rule.span));
    }
    Some(Fix { text: "take the chain out".into(), edits, expected: Expected::Nothing })
}
