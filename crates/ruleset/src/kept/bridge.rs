//! What only ebtables has of commands: policies of user chains, counters by hand, ranges of rules.

use super::change::texts;
use super::refusal::NO_RULE;
use super::{Asked, Kept, Refusal, Rule, Table, policy_named};
use crate::labels::LabelNames;
use crate::model::{NfProto, Policy, TableName};
use crate::syntax::iptables_save::rule::{Amount, Command};
use crate::syntax::iptables_save::words::Word;
use alloc::{format, string::String};

impl Kept {
    /// `-N`.
    pub(super) fn new_chain(&mut self, asked: &Asked<'_>, name: &str) -> Result<String, Refusal> {
        let table = asked.table;
        if self.is_chain(table, name) {
            return Err(Refusal::answer("Chain already exists"));
        }
        // A user chain of ebtables accepts what it does not decide, if nothing else is said.
        let ends = match (&asked.line.beside.policy, self.family) {
            (Some(policy), _) => ends_named(&policy.text)?,
            (None, NfProto::Bridge) => Some(Policy::Accept),
            (None, _) => None,
        };
        self.add_chain(table, name)?;
        if let Some(chain) = self.touch(table).chain_mut(name) {
            chain.ends = ends;
        }
        Ok(String::new())
    }

    /// Carries out a command that the others have not.
    pub(super) fn apply_to_bridge(
        &mut self,
        asked: &Asked<'_>,
        command: &Command,
        labels: &LabelNames,
    ) -> Result<String, Refusal> {
        let table = asked.table;
        match command {
            Command::DeleteRange(chain, from, to) => {
                self.works(self.table(table).map_or(0, Table::size))?;
                let rules = self.chain_there(table, &chain.text)?.map(|chain| &mut chain.rules);
                let Some(rules) = rules.filter(|rules| *from <= rules.len()) else {
                    return Err(Refusal::answer("Index of deletion too big"));
                };
                let to = (*to).min(rules.len());
                rules.drain(from - 1..to);
                Ok(String::new())
            }
            Command::ChangeCounters(chain, numbers, amounts) => {
                self.change_counters(asked, chain, (*numbers, *amounts), labels)
            }
            _ => {
                self.tables.retain(|one| one.name != table);
                Ok(String::new())
            }
        }
    }

    /// `-C` of ebtables.
    fn change_counters(
        &mut self,
        asked: &Asked<'_>,
        name: &Word,
        (numbers, [packets, bytes]): (Option<(usize, usize)>, [Amount; 2]),
        labels: &LabelNames,
    ) -> Result<String, Refusal> {
        self.works(self.table(asked.table).map_or(0, Table::size))?;
        let text = match numbers {
            Some(_) => None,
            None => {
                let single = asked.single(self, name, labels)?;
                texts(&single, self.family, &name.text, asked.span).into_iter().next()
            }
        };
        let Some(chain) = self.chain_there(asked.table, &name.text)? else {
            return Err(Refusal::answer(NO_RULE));
        };
        let same = |rule: &Rule| text.as_ref().is_some_and(|text| rule.text == text.text);
        let (from, to) = match numbers {
            Some((from, to)) => (from - 1, to.min(chain.rules.len())),
            None => match chain.rules.iter().position(same) {
                Some(at) => (at, at + 1),
                None => return Err(Refusal::answer(NO_RULE)),
            },
        };
        let Some(rules) = chain.rules.get_mut(from..to).filter(|rules| !rules.is_empty()) else {
            return Err(Refusal::answer("Index of replacement too big"));
        };
        for rule in rules {
            rule.counters = (packets.of(rule.counters.0), bytes.of(rule.counters.1));
        }
        Ok(String::new())
    }

    /// `-P` of ebtables: every chain may have one.
    pub(super) fn bridge_policy(
        &mut self,
        table: TableName,
        name: &str,
        policy: &str,
    ) -> Result<String, Refusal> {
        let ends = ends_named(policy)?;
        if ends.is_none() && self.family.is_builtin(table, name) {
            return Err(Refusal::problem("Policy RETURN only allowed for user defined chains"));
        }
        let chain = self.chain_for(table, name)?;
        match chain.policy {
            Some(_) => chain.policy = ends,
            None => chain.ends = ends,
        }
        Ok(String::new())
    }
}

/// A policy of ebtables: none goes back to the caller.
pub(super) fn ends_named(policy: &str) -> Result<Option<Policy>, Refusal> {
    match (policy_named(policy), policy) {
        (Some(policy), _) => Ok(Some(policy)),
        (None, "RETURN") => Ok(None),
        (None, _) => Err(Refusal::problem(format!("Wrong policy '{policy}'"))),
    }
}
