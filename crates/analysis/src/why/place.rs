//! Which rule is meant: `FILE:LINE`, `TABLE:CHAIN:NUMBER`, or the rule itself.

use crate::algebra::RuleAt;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{ChainIndex, Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_save::{self, print_rule};
use std::fmt;

/// A rule of a rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its table.
    pub table: TableName,
    /// Chain and number.
    pub at: RuleAt,
}

/// Why no rule was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRule(pub String);

impl fmt::Display for NoRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All rules, in the order of the file.
#[must_use]
pub fn places(ruleset: &Ruleset) -> Vec<Place> {
    let mut all = Vec::new();
    for table in &ruleset.tables {
        for (chain, number) in (0..).zip(&table.chains).flat_map(|(at, chain)| {
            (0..).zip(&chain.rules).map(move |(number, _)| (ChainIndex(at), number))
        }) {
            all.push(Place { table: table.name, at: RuleAt { chain, number } });
        }
    }
    all.sort_by_key(|place| place.rule(ruleset).map_or(0, |rule| rule.span.start));
    all
}

/// The rules that these words mean: several where a list of addresses made several of one line.
///
/// # Errors
/// What is wrong with the words, or that there is no such rule.
pub fn find(ruleset: &Ruleset, source: &str, words: &str) -> Result<Vec<Place>, NoRule> {
    let words = words.trim();
    if let Some(line) = words.rsplit_once(':').map_or(words, |(_, line)| line).parse().ok()
        && words.matches(':').count() <= 1
    {
        return of_line(ruleset, source, line);
    }
    if let [table, chain, number] = words.split(':').collect::<Vec<_>>().as_slice()
        && !words.contains(' ')
    {
        return of_number(ruleset, table, chain, number);
    }
    of_text(ruleset, words)
}

fn of_line(ruleset: &Ruleset, source: &str, line: u32) -> Result<Vec<Place>, NoRule> {
    let lines = Lines::of(source);
    let found: Vec<Place> = places(ruleset)
        .into_iter()
        .filter(|place| place.rule(ruleset).and_then(|rule| lines.line(rule.span)) == Some(line))
        .collect();
    if found.is_empty() {
        return Err(NoRule(format!("no rule stands in line {line}")));
    }
    Ok(found)
}

fn of_number(
    ruleset: &Ruleset,
    table: &str,
    chain: &str,
    number: &str,
) -> Result<Vec<Place>, NoRule> {
    let named = ruleset.tables.iter().find(|one| one.name.as_str() == table);
    let named = named.ok_or_else(|| NoRule(format!("the rule set has no table {table}")))?;
    let at = named.chain_named(chain);
    let at = at.ok_or_else(|| NoRule(format!("table {table} has no chain {chain}")))?;
    let length = named.chain(at).map_or(0, |chain| chain.rules.len());
    let number: u32 =
        number.parse().map_err(|_| NoRule(format!("{number}: not the number of a rule")))?;
    match number.checked_sub(1).filter(|number| (*number as usize) < length) {
        Some(number) => Ok(vec![Place { table: named.name, at: RuleAt { chain: at, number } }]),
        None => Err(NoRule(format!("chain {chain} of table {table} has {length} rules"))),
    }
}

/// By the rule itself, as iptables-save has it or as it was typed.
fn of_text(ruleset: &Ruleset, text: &str) -> Result<Vec<Place>, NoRule> {
    let mut words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    if words.first().is_some_and(|word| word.ends_with("tables")) {
        words.remove(0);
    }
    let mut table = None;
    if let Some(at) = words.iter().position(|word| matches!(*word, "-t" | "--table")) {
        table = words.get(at + 1).copied();
        words.drain(at..(at + 2).min(words.len()));
    }
    if let Some(first) = words.first_mut()
        && matches!(*first, "-I" | "--insert" | "--append")
    {
        *first = "-A";
    }
    let rest = words.join(" ");
    let mut found = Vec::new();
    for place in places(ruleset) {
        if table.is_some_and(|table| table != place.table.as_str()) {
            continue;
        }
        let Some(own) = ruleset.table(place.table) else { continue };
        let Some((chain, rule)) = own.chain(place.at.chain).zip(place.rule(ruleset)) else {
            continue;
        };
        let wanted = understood(ruleset, place.table, &rest).unwrap_or_else(|| rest.clone());
        if print_rule(ruleset.family, own, &chain.name, rule) == wanted {
            found.push(place);
        }
    }
    if found.is_empty() {
        return Err(NoRule(format!("the rule set has no rule `{rest}`")));
    }
    Ok(found)
}

/// The rule as iptables-save prints it.
fn understood(ruleset: &Ruleset, table: TableName, text: &str) -> Option<String> {
    let mut source = format!("*{}\n", table.as_str());
    for chain in ruleset.table(table)?.chains.iter().filter(|chain| chain.hook.is_none()) {
        source.push_str(&format!(":{} - [0:0]\n", chain.name));
    }
    source.push_str(&format!("{text}\nCOMMIT\n"));
    let parsed = iptables_save::parse(&source, ruleset.family).ok()?;
    let table = parsed.table(table)?;
    let chain = table.chains.iter().find(|chain| !chain.rules.is_empty())?;
    let rule = chain.rules.first()?;
    Some(print_rule(ruleset.family, table, &chain.name, rule))
}
