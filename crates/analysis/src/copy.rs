//! A second rule set out of a first one: its rules written down and read again, each standing where its original
//! does in the file. Chains keep their places.

use keepstate_ruleset::diagnostic::Diagnostic;
use keepstate_ruleset::model::{Policy, Rule, Ruleset, Table};
use keepstate_ruleset::syntax::iptables_save::{self, print_rule};
use std::fmt::Write;

/// Copies a rule set.
///
/// # Errors
/// What of the rules cannot be read again.
pub fn copy(ruleset: &Ruleset) -> Result<Ruleset, Vec<Diagnostic>> {
    let mut source = String::new();
    for table in &ruleset.tables {
        source.push_str(&head(table));
        for chain in &table.chains {
            for rule in &chain.rules {
                let text = print_rule(ruleset.family, table, &chain.name, rule);
                let _ = writeln!(source, "{text}");
            }
        }
        source.push_str("COMMIT\n");
    }
    let mut copied = iptables_save::parse(&source, ruleset.family)?;
    for (own, table) in copied.tables.iter_mut().zip(&ruleset.tables) {
        own.declared = table.declared;
        for (own, chain) in own.chains.iter_mut().zip(&table.chains) {
            (own.span, own.counters) = (chain.span, chain.counters);
            for (own, rule) in own.rules.iter_mut().zip(&chain.rules) {
                (own.span, own.counters) = (rule.span, rule.counters);
            }
        }
    }
    Ok(copied)
}

/// The table with its chains, and no rule.
fn head(table: &Table) -> String {
    let mut out = format!("*{}\n", table.name.as_str());
    for chain in &table.chains {
        let policy = match (chain.hook, chain.policy) {
            (None, _) => "-",
            (Some(_), Some(Policy::Drop)) => "DROP",
            (Some(_), Some(Policy::Accept) | None) => "ACCEPT",
        };
        let _ = writeln!(out, ":{} {policy} [0:0]", chain.name);
    }
    out
}

/// Rules as they would stand in a table, out of their text; their spans mean nothing.
#[must_use]
pub fn rules(ruleset: &Ruleset, table: &Table, texts: &[String]) -> Option<Vec<Rule>> {
    let mut source = head(table);
    for text in texts {
        let _ = writeln!(source, "{text}");
    }
    source.push_str("COMMIT\n");
    let parsed = iptables_save::parse(&source, ruleset.family).ok()?;
    let chains = parsed.tables.into_iter().next()?.chains;
    let rules: Vec<Rule> = chains.into_iter().flat_map(|chain| chain.rules).collect();
    (rules.len() == texts.len()).then_some(rules)
}
