//! The way back: what iptables-save prints for a rule set.

use crate::extension::{names, values, values::not};
use crate::model::{
    Chain, HeaderMatch, Inverted, Jump, Network, Policy, Rule, Ruleset, Table, TableName,
};
use crate::standard;
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::Family;

/// How a rule set is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Print {
    /// `-c`: counters before each rule.
    pub counters: bool,
    /// Order of the tables and whether one that only exists is printed, as the legacy tool does.
    pub legacy: bool,
}

/// Order of the tables in the output of the nft variant; the legacy one prints the table first that
/// was opened last.
const ORDER_NFT: [TableName; 5] =
    [TableName::Mangle, TableName::Security, TableName::Raw, TableName::Filter, TableName::Nat];

/// Prints as iptables-save does, without the comment lines, which carry a date. Counters are those
/// of the file: iptables-restore without `-c` loads zeros instead ([`Ruleset::zero_counters`]).
#[must_use]
pub fn print(ruleset: &Ruleset, how: Print) -> String {
    let mut out = String::new();
    if how.legacy {
        for table in ruleset.tables.iter().rev() {
            print_table(&mut out, ruleset.family, table, how);
        }
    } else {
        let named = |name| ruleset.table(name).filter(|table| table.declared);
        for table in ORDER_NFT.into_iter().filter_map(named) {
            print_table(&mut out, ruleset.family, table, how);
        }
    }
    out
}

fn print_table(out: &mut String, family: Family, table: &Table, how: Print) {
    let _ = writeln!(out, "*{}", table.name.as_str());
    let builtin = table.chains.iter().filter(|chain| chain.hook.is_some());
    let mut users: Vec<&Chain> = table.chains.iter().filter(|chain| chain.hook.is_none()).collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    let chains: Vec<&Chain> = builtin.chain(users).collect();
    for chain in &chains {
        let policy = match chain.policy {
            Some(Policy::Accept) => "ACCEPT",
            Some(Policy::Drop) => "DROP",
            None => "-",
        };
        let (packets, bytes) = chain.counters;
        let _ = writeln!(out, ":{} {policy} [{packets}:{bytes}]", chain.name);
    }
    for chain in &chains {
        for rule in &chain.rules {
            if how.counters {
                let _ = write!(out, "[{}:{}] ", rule.counters.0, rule.counters.1);
            }
            write_rule(out, family, table, (&chain.name, rule), false);
            out.push('\n');
        }
    }
    out.push_str("COMMIT\n");
}

/// One rule, from `-A` on, without a line end.
#[must_use]
pub fn print_rule(family: Family, table: &Table, chain: &str, rule: &Rule) -> String {
    let mut out = String::new();
    write_rule(&mut out, family, table, (chain, rule), false);
    out
}

/// One rule with its counters in it, as `iptables -S -v` prints it.
#[must_use]
pub fn print_rule_counted(family: Family, table: &Table, chain: &str, rule: &Rule) -> String {
    let mut out = String::new();
    write_rule(&mut out, family, table, (chain, rule), true);
    out
}

fn write_rule(
    out: &mut String,
    family: Family,
    table: &Table,
    (chain, rule): (&str, &Rule),
    counted: bool,
) {
    let _ = write!(out, "-A {chain}");
    print_header(out, family, &rule.header);
    for one in &rule.matches {
        let _ = write!(out, " -m {}", one.name());
        one.print(out);
    }
    if counted {
        let _ = write!(out, " -c {} {}", rule.counters.0, rule.counters.1);
    }
    let name = |at| table.chain(at).map_or("", |chain: &Chain| chain.name.as_str());
    match &rule.target {
        Jump::None => {}
        Jump::Jump(to) => {
            let _ = write!(out, " -j {}", name(*to));
        }
        Jump::Goto(to) => {
            let _ = write!(out, " -g {}", name(*to));
        }
        Jump::Standard(step) => {
            let _ = write!(out, " -j {}", standard::name(*step));
        }
        Jump::Target(target) => {
            let _ = write!(out, " -j {}", target.name());
            target.print(out);
        }
    }
}

/// Appends the header part of a rule, with a blank before each word.
pub fn print_header(out: &mut String, family: Family, header: &HeaderMatch) {
    print_address(out, "-s", header.source, family);
    print_address(out, "-d", header.destination, family);
    values::print_interface(out, "-i", header.in_interface);
    values::print_interface(out, "-o", header.out_interface);
    if let Some(protocol) = header.protocol {
        let text = match names::protocol_name(protocol.value) {
            Some(name) => name.into(),
            None => format!("{}", protocol.value),
        };
        let _ = write!(out, "{} -p {text}", not(protocol.inverted));
    }
    if let Some(fragment) = header.fragment {
        let _ = write!(out, "{} -f", not(fragment.inverted));
    }
}

fn print_address(
    out: &mut String,
    option: &str,
    wanted: Option<Inverted<Network>>,
    family: Family,
) {
    if let Some(wanted) = wanted {
        let _ = write!(out, "{} {option} ", not(wanted.inverted));
        values::print_network(out, &wanted.value, family);
    }
}

impl Ruleset {
    /// Sets all counters to zero, as iptables-restore without `-c` does.
    pub fn zero_counters(&mut self) {
        for chain in self.tables.iter_mut().flat_map(|table| &mut table.chains) {
            chain.counters = (0, 0);
            for rule in &mut chain.rules {
                rule.counters = (0, 0);
            }
        }
    }
}
