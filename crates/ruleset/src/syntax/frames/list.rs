//! `-L` of both tools: rules in the form in which they are saved, under heads of their own.

use super::print::{arp, print_rule_text};
use crate::model::{Chain, FrameRules, NfProto, Policy, Rule, Table, TableName};
use crate::syntax::iptables_list::counter;
use alloc::string::String;
use core::fmt::Write;

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameList {
    /// `-v` of arptables, `--Lc` of ebtables: counters.
    pub counters: bool,
    /// `-n` of arptables: numbers for what has a name.
    pub numeric: bool,
    /// `--line-numbers` of arptables, `--Ln` of ebtables.
    pub numbers: bool,
    /// `-x` of arptables: counters to the last digit.
    pub exact: bool,
}

/// Prints a table, one chain of it, or one rule (from 1) of that.
#[must_use]
pub fn print_list(
    rules: &FrameRules,
    table: TableName,
    chain: Option<&str>,
    number: Option<usize>,
    how: FrameList,
) -> String {
    let mut out = String::new();
    let Some(table) = rules.table(table) else { return out };
    let list = List { family: rules.family, table, how };
    let alone = number.is_some();
    if rules.family == NfProto::Bridge {
        let _ = writeln!(out, "Bridge table: {}", table.name.as_str());
    }
    let wanted = |one: &&Chain| chain.is_none_or(|name| name == one.name);
    let builtin = table.chains.iter().filter(|chain| chain.hook.is_some());
    let mut users: alloc::vec::Vec<&Chain> =
        table.chains.iter().filter(|chain| chain.hook.is_none()).collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    for one in builtin.chain(users).filter(wanted) {
        if !alone {
            list.head(&mut out, one);
        }
        for (at, rule) in (1..).zip(&one.rules) {
            if number.is_none_or(|number| number == at) {
                list.rule(&mut out, at, rule);
            }
        }
    }
    out
}

struct List<'a> {
    family: NfProto,
    table: &'a Table,
    how: FrameList,
}

impl List<'_> {
    fn head(&self, out: &mut String, chain: &Chain) {
        let policy = match chain.policy {
            Some(Policy::Accept) => "ACCEPT",
            Some(Policy::Drop) => "DROP",
            None => "RETURN",
        };
        if self.family == NfProto::Bridge {
            // The policy of a user chain is not told here.
            let policy = if chain.hook.is_some() { policy } else { "RETURN" };
            let (name, count) = (&chain.name, chain.rules.len());
            let _ = writeln!(out, "\nBridge chain: {name}, entries: {count}, policy: {policy}");
            return;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = write!(out, "Chain {} (", chain.name);
        let (packets, bytes) = chain.counters;
        let _ = match (chain.hook, self.how.counters) {
            (Some(_), true) => {
                let [packets, bytes] = [packets, bytes].map(|one| counter(one, self.how.exact, 0));
                writeln!(out, "policy {policy} {packets} packets, {bytes} bytes)")
            }
            (Some(_), false) => writeln!(out, "policy {policy})"),
            (None, _) => writeln!(out, "{} references)", self.references(chain)),
        };
    }

    fn references(&self, chain: &Chain) -> usize {
        let Some(at) = self.table.chain_named(&chain.name) else { return 0 };
        let rules = self.table.chains.iter().flat_map(|chain| &chain.rules);
        rules.flat_map(|rule| rule.target.chains()).filter(|(to, _)| *to == at).count()
    }

    fn rule(&self, out: &mut String, number: usize, rule: &Rule) {
        if self.how.numbers {
            let _ = write!(out, "{number} ");
        }
        let text = match self.family {
            NfProto::Bridge => print_rule_text(self.family, self.table, rule, true),
            _ => {
                let everywhere = match (self.how.counters, self.how.numeric) {
                    (false, _) => "",
                    (true, true) => "*",
                    (true, false) => "any",
                };
                let mut text = String::new();
                arp(&mut text, self.table, rule, self.how.numeric, everywhere);
                text
            }
        };
        out.push_str(text.strip_prefix(' ').unwrap_or(&text));
        let (packets, bytes) = rule.counters;
        let _ = match (self.how.counters, self.family) {
            (false, _) => Ok(()),
            (true, NfProto::Bridge) => write!(out, " , pcnt = {packets} -- bcnt = {bytes}"),
            (true, _) => {
                let [packets, bytes] = [packets, bytes].map(|one| counter(one, self.how.exact, 0));
                write!(out, " , pcnt={packets} -- bcnt={bytes} ")
            }
        };
        out.push('\n');
    }
}
