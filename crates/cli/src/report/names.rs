//! Names and lines of rules, kept ready for output.

use crate::rulesets::Loaded;
use keepstate_engine::{PolicyOrRule, UnknownMatch};
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::{
    evaluate::Decision,
    model::{ChainIndex, TableName},
};
use std::fmt;

/// The chains of every table of both families.
#[derive(Debug, Default)]
pub(crate) struct Names {
    tables: Vec<TableNames>,
}

#[derive(Debug)]
struct TableNames {
    family: Family,
    table: TableName,
    chains: Vec<ChainNames>,
}

/// A chain.
#[derive(Debug)]
pub(super) struct ChainNames {
    /// As in the file.
    pub(super) name: String,
    /// As a JSON string, quotes included.
    pub(super) json: String,
    /// The line of each rule; none for one of no file.
    pub(super) lines: Vec<Option<u32>>,
    /// The matches of its rules that ask for facts of the host.
    asking: Vec<Asking>,
}

/// A match that asks for a fact of the host.
#[derive(Clone, Copy, Debug)]
struct Asking {
    rule: u32,
    /// From 1.
    number: u32,
    name: &'static str,
    fact: &'static str,
}

/// A match that nobody knew the answer of.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnknownNamed<'a> {
    /// Its rule.
    pub(super) rule: Named<'a>,
    /// Its name.
    pub(super) name: &'static str,
    /// What it asks for.
    pub(super) needs: &'static str,
    /// The verdict is the same whatever the answer were.
    pub(super) is_settled: bool,
}

/// A rule or a policy by its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) table: TableName,
    pub(super) chain: &'a ChainNames,
    /// From 1; `None` for the policy.
    pub(super) number: Option<u32>,
}

impl Names {
    pub(crate) fn new(loaded: &[Loaded]) -> Self {
        let tables = loaded.iter().flat_map(|loaded| {
            let lines = Lines::of(&loaded.source);
            let names = move |table: &keepstate_ruleset::model::Table| TableNames {
                family: loaded.ruleset.family,
                table: table.name,
                chains: table.chains.iter().map(|chain| ChainNames::new(chain, &lines)).collect(),
            };
            loaded.ruleset.tables.iter().map(names)
        });
        Self { tables: tables.collect() }
    }

    /// Whether rules of this family were loaded.
    pub(super) fn has(&self, family: Family) -> bool {
        self.tables.iter().any(|table| table.family == family)
    }

    pub(super) fn chain(
        &self,
        family: Family,
        table: TableName,
        chain: ChainIndex,
    ) -> Option<&ChainNames> {
        let table = self.tables.iter().find(|t| t.family == family && t.table == table)?;
        table.chains.get(chain.0 as usize)
    }

    pub(super) fn name(&self, family: Family, decided: PolicyOrRule) -> Option<Named<'_>> {
        let (chain, number) = match decided.decision {
            Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule } => {
                (chain, Some(rule + 1))
            }
            Decision::Policy { chain } => (chain, None),
        };
        let table = decided.table;
        Some(Named { table, chain: self.chain(family, table, chain)?, number })
    }

    pub(super) fn unknown(&self, family: Family, of: UnknownMatch) -> Option<UnknownNamed<'_>> {
        let UnknownMatch { table, chain, rule, number, is_settled } = of;
        let chain = self.chain(family, table, chain)?;
        let asking = chain.asking.iter().find(|one| (one.rule, one.number) == (rule, number))?;
        let Asking { name, fact: needs, .. } = *asking;
        let rule = Named { table, chain, number: Some(rule + 1) };
        Some(UnknownNamed { rule, name, needs, is_settled })
    }
}

impl ChainNames {
    fn new(chain: &keepstate_ruleset::model::Chain, lines: &Lines) -> Self {
        Self {
            name: chain.name.clone(),
            json: serde_json::Value::from(chain.name.as_str()).to_string(),
            lines: chain.rules.iter().map(|rule| lines.line(rule.span)).collect(),
            asking: chain.rules.iter().zip(0..).flat_map(asking).collect(),
        }
    }
}

fn asking((rule, at): (&keepstate_ruleset::model::Rule, u32)) -> impl Iterator<Item = Asking> {
    rule.matches
        .iter()
        .zip(1..)
        .filter(|(one, _)| !one.fact().is_empty())
        .map(move |(one, number)| Asking { rule: at, number, name: one.name(), fact: one.fact() })
}

impl Named<'_> {
    /// The line of the rule in its file.
    pub(super) fn line(&self) -> Option<u32> {
        let number = self.number?.checked_sub(1)?;
        self.chain.lines.get(number as usize).copied().flatten()
    }
}

/// `filter:FORWARD:2`, or `filter:FORWARD policy`.
impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.table.as_str(), self.chain.name)?;
        match self.number {
            Some(number) => write!(f, ":{number}"),
            None => f.write_str(" policy"),
        }
    }
}

/// `owner in filter:OUTPUT:3`.
impl fmt::Display for UnknownNamed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.name, self.rule)
    }
}
