//! `-L` and `-S`.

use super::change::Asked;
use super::refusal::NO_CHAIN;
use super::{Chain, Kept, Refusal, Table, policy_name};
use crate::diagnostic::Diagnostic;
use crate::labels::LabelNames;
use crate::model::NfProto;
use crate::model::Ruleset;
use crate::syntax::frames::{self, FrameList};
use crate::syntax::iptables_list::{List, print_list, print_list_rule};
use crate::syntax::iptables_save::options::Main;
use crate::syntax::iptables_save::print_rule_counted;
use crate::syntax::iptables_save::words::Word;
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

impl Kept {
    /// The table that a command asks for; an empty one where it was not made.
    fn shown(&self, asked: &Asked<'_>, chain: Option<&Word>) -> Result<Self, Refusal> {
        if chain.is_some_and(|chain| !self.is_chain(asked.table, &chain.text)) {
            return Err(Refusal::answer(NO_CHAIN));
        }
        let table = self.table(asked.table).cloned();
        let empty = || Table::new(self.family, asked.table);
        let tables = Vec::from([table.unwrap_or_else(empty)]);
        Ok(Self { tables, ..Self::new(self.family, self.variant) })
    }

    /// `-L` of arptables and ebtables.
    fn list_frames(
        &self,
        asked: &Asked<'_>,
        chain: Option<&Word>,
        number: Option<usize>,
    ) -> Result<String, Refusal> {
        let shown = self.shown(asked, chain)?;
        let rules = shown.frames().map_err(|(faults, _)| unreadable(&faults))?;
        let has = |main| asked.line.place(main).is_some();
        let counters = match self.family {
            NfProto::Bridge => has(Main::ListCounters),
            _ => asked.verbose(),
        };
        let how = FrameList {
            counters,
            numeric: has(Main::Numeric),
            numbers: has(Main::LineNumbers),
            exact: has(Main::Exact),
        };
        let name = chain.map(|chain| chain.text.as_str());
        Ok(frames::print_list(&rules, asked.table, name, number, how))
    }

    fn understood(&self, labels: &LabelNames) -> Result<Ruleset, Refusal> {
        self.ruleset(labels).map_err(|(faults, _)| unreadable(&faults))
    }

    pub(super) fn list(
        &mut self,
        asked: &Asked<'_>,
        chain: Option<&Word>,
        number: Option<usize>,
        labels: &LabelNames,
    ) -> Result<String, Refusal> {
        if self.family.packets().is_none() {
            let out = self.list_frames(asked, chain, number)?;
            self.zeroed(asked, chain, number)?;
            return Ok(out);
        }
        let ruleset = self.shown(asked, chain)?.understood(labels)?;
        let how = List {
            verbose: asked.verbose(),
            numeric: asked.line.place(Main::Numeric).is_some(),
            exact: asked.line.place(Main::Exact).is_some(),
            line_numbers: asked.line.place(Main::LineNumbers).is_some(),
            protocol_names: true,
        };
        let name = chain.map(|chain| chain.text.as_str());
        let out = match (name, number) {
            (Some(name), Some(number)) => print_list_rule(&ruleset, asked.table, name, number, how),
            _ => print_list(&ruleset, asked.table, name, how),
        };
        self.zeroed(asked, chain, number)?;
        Ok(out)
    }

    pub(super) fn list_rules(
        &mut self,
        asked: &Asked<'_>,
        chain: Option<&Word>,
        number: Option<usize>,
        labels: &LabelNames,
    ) -> Result<String, Refusal> {
        let shown = self.shown(asked, chain)?;
        let counted_inside = asked.verbose() && self.family.packets().is_some();
        let ruleset = if counted_inside { Some(shown.understood(labels)?) } else { None };
        let mut out = String::new();
        let wanted = |one: &&Chain| chain.is_none_or(|chain| chain.text == one.name);
        let chains = || shown.tables.iter().flat_map(|table| &table.chains).filter(wanted);
        for chain in chains().filter(|_| number.is_none()) {
            let (packets, bytes) = chain.counters;
            let counters =
                if asked.verbose() { format!(" -c {packets} {bytes}") } else { String::new() };
            let _ = match chain.policy {
                Some(policy) => {
                    writeln!(out, "-P {} {}{counters}", chain.name, policy_name(policy))
                }
                None => writeln!(out, "-N {}", chain.name),
            };
        }
        for chain in chains() {
            for (at, rule) in (1..).zip(&chain.rules) {
                if number.is_some_and(|number| number != at) {
                    continue;
                }
                match &ruleset {
                    Some(ruleset) => out.push_str(&counted(ruleset, asked, &chain.name, at)),
                    None => {
                        let _ = write!(out, "-A {}{}", chain.name, rule.text);
                    }
                }
                out.push('\n');
            }
        }
        self.zeroed(asked, chain, number)?;
        Ok(out)
    }

    /// `-Z` beside `-L`.
    fn zeroed(
        &mut self,
        asked: &Asked<'_>,
        chain: Option<&Word>,
        number: Option<usize>,
    ) -> Result<(), Refusal> {
        if asked.line.beside.zero {
            self.zero(asked, chain, number)?;
        }
        Ok(())
    }
}

/// What is wrong with the store.
fn unreadable(faults: &[Diagnostic]) -> Refusal {
    let text = faults.first().map_or("", |fault| fault.text.as_str());
    Refusal::problem(format!("a rule of the store cannot be read: {text}"))
}

/// A rule with its counters in it.
fn counted(ruleset: &Ruleset, asked: &Asked<'_>, name: &str, number: usize) -> String {
    let table = ruleset.table(asked.table);
    let chain = table.and_then(|table| table.chain(table.chain_named(name)?));
    let rule = chain.and_then(|chain| chain.rules.get(number - 1));
    match (table, rule) {
        (Some(table), Some(rule)) => print_rule_counted(ruleset.family, table, name, rule),
        _ => String::new(),
    }
}
