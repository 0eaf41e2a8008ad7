//! The way out: what `iptables -L` prints.
//!
//! The columns are those of iptables 1.8.9, nf_tables and legacy, which are alike. 1.8.11 differs in
//! one: with `-n` it prints the names of the protocols that iptables itself knows
//! ([`List::protocol_names`]). Without `-n` the tool asks the resolver for the names of addresses; here
//! nobody is asked: addresses stay numbers, ports get the names of [`names::service_name`].

use crate::extension::{names, values};
use crate::model::{
    Chain, ChainIndex, InterfacePattern, Inverted, Jump, Network, Policy, Rule, Ruleset, Table,
    TableName,
};
use crate::standard;
use alloc::{format, string::String, vec, vec::Vec};
use core::fmt::Write;
use keepstate_packet::Family;

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// `-v`: counters and interfaces.
    pub verbose: bool,
    /// `-n`: numbers for ports, protocols and what else has a name.
    pub numeric: bool,
    /// `-x`: counters to the last digit.
    pub exact: bool,
    /// `--line-numbers`.
    pub line_numbers: bool,
    /// With `-n`, `tcp` where 1.8.9 prints `6`, as all versions but that one do.
    pub protocol_names: bool,
}

/// Prints a table, or one chain of it. A table or chain that is not there prints nothing.
#[must_use]
pub fn print_list(ruleset: &Ruleset, table: TableName, chain: Option<&str>, how: List) -> String {
    let mut out = String::new();
    let Some(table) = ruleset.table(table) else { return out };
    let listing = Listing { family: ruleset.family, table, how };
    let references = references(table);
    for (at, one) in listing.order() {
        if chain.is_some_and(|name| name != one.name) {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        let count = references.get(at.0 as usize).copied().unwrap_or(0);
        listing.chain(&mut out, one, count);
    }
    out
}

/// Prints rule `number` (from 1) of a chain by itself, as `-L CHAIN NUMBER` does; nothing where there
/// is none.
#[must_use]
pub fn print_list_rule(
    ruleset: &Ruleset,
    table: TableName,
    chain: &str,
    number: usize,
    how: List,
) -> String {
    let mut out = String::new();
    let Some(table) = ruleset.table(table) else { return out };
    let found = table.chain_named(chain).and_then(|at| table.chain(at));
    let rule = number.checked_sub(1).and_then(|at| found?.rules.get(at));
    if let Some(rule) = rule {
        Listing { family: ruleset.family, table, how }.rule(&mut out, number, rule);
    }
    out
}

/// A rule without columns, as `iptables -v -A` tells what it did.
#[must_use]
pub fn print_brief(family: Family, table: &Table, rule: &Rule) -> String {
    let how = List { numeric: true, ..List::default() };
    let listing = Listing { family, table, how };
    let header = &rule.header;
    let not = |inverted| if inverted { '!' } else { ' ' };
    let inverted = header.protocol.is_some_and(|protocol| protocol.inverted);
    let protocol = header.protocol.map_or(0, |protocol| protocol.value);
    let named = if protocol == 0 { Some("all") } else { names::protocol_name(protocol) };
    let protocol = named.map_or_else(|| format!("{protocol}"), String::from);
    let opt = match header.fragment {
        None => "--",
        Some(Inverted { inverted: false, .. }) => "-f",
        Some(Inverted { inverted: true, .. }) => "!f",
    };
    let (arriving, leaving) =
        (listing.interface(header.in_interface), listing.interface(header.out_interface));
    let mut out = format!(
        "{} {}{protocol} opt {opt} in {arriving} out {leaving} ",
        listing.target(&rule.target),
        not(inverted),
    );
    for (network, after) in [(header.source, "  -> "), (header.destination, "  ")] {
        let inverted = network.is_some_and(|network| network.inverted);
        let before = if after == "  " && !inverted { "" } else { " " };
        let before = if inverted { "!" } else { before };
        let _ = write!(out, "{before}{}{after}", listing.network(network));
    }
    for one in &rule.matches {
        one.list(&mut out, true);
    }
    if let Jump::Target(target) = &rule.target {
        target.list(&mut out, true);
    }
    out.push('\n');
    out
}

/// How many rules lead into each chain.
fn references(table: &Table) -> Vec<u32> {
    let mut counts = vec![0_u32; table.chains.len()];
    for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
        for (to, _) in rule.target.chains() {
            if let Some(count) = counts.get_mut(to.0 as usize) {
                *count = count.saturating_add(1);
            }
        }
    }
    counts
}

struct Listing<'a> {
    family: Family,
    table: &'a Table,
    how: List,
}

impl<'a> Listing<'a> {
    /// Built-in chains by hook, then the others by name.
    fn order(&self) -> Vec<(ChainIndex, &'a Chain)> {
        let mut chains: Vec<_> = (0..).map(ChainIndex).zip(&self.table.chains).collect();
        chains.sort_by(|(_, a), (_, b)| match (a.hook, b.hook) {
            (Some(_), Some(_)) => core::cmp::Ordering::Equal,
            (Some(_), None) => core::cmp::Ordering::Less,
            (None, Some(_)) => core::cmp::Ordering::Greater,
            (None, None) => a.name.cmp(&b.name),
        });
        chains
    }

    fn chain(&self, out: &mut String, chain: &Chain, references: u32) {
        let _ = write!(out, "Chain {} (", chain.name);
        let policy = match chain.policy {
            Some(Policy::Accept) => Some("ACCEPT"),
            Some(Policy::Drop) => Some("DROP"),
            None => None,
        };
        let _ = match policy {
            Some(policy) => write!(out, "policy {policy}"),
            None => write!(out, "{references} references"),
        };
        if policy.is_some() && self.how.verbose {
            let (packets, bytes) = chain.counters;
            let exact = self.how.exact;
            let (packets, bytes) = (counter(packets, exact, 0), counter(bytes, exact, 0));
            let _ = write!(out, " {packets} packets, {bytes} bytes");
        }
        out.push_str(")\n");
        self.head(out);
        for (number, rule) in (1..).zip(&chain.rules) {
            self.rule(out, number, rule);
        }
    }

    fn head(&self, out: &mut String) {
        if self.how.line_numbers {
            out.push_str("num  ");
        }
        if self.how.verbose && self.how.exact {
            out.push_str("    pkts      bytes ");
        } else if self.how.verbose {
            out.push_str(" pkts bytes ");
        }
        out.push_str("target     prot opt ");
        if self.how.verbose {
            out.push_str("in     out     ");
        }
        out.push_str("source               destination         \n");
    }

    fn rule(&self, out: &mut String, number: usize, rule: &Rule) {
        let how = self.how;
        if how.line_numbers {
            let _ = write!(out, "{number:<4} ");
        }
        if how.verbose {
            let width = if how.exact { 8 } else { 5 };
            let (packets, bytes) = rule.counters;
            let packets = counter(packets, how.exact, width);
            let _ = write!(out, "{packets} {} ", counter(bytes, how.exact, width));
        }
        self.header(out, rule);
        if matches!(rule.target, Jump::Goto(_)) {
            out.push_str("[goto] ");
        }
        for one in &rule.matches {
            one.list(out, how.numeric);
        }
        if let Jump::Target(target) = &rule.target {
            target.list(out, how.numeric);
        }
        out.push('\n');
    }

    /// From `target` to `destination`.
    fn header(&self, out: &mut String, rule: &Rule) {
        let header = &rule.header;
        let not = |inverted| if inverted { '!' } else { ' ' };
        let inverted = header.protocol.is_some_and(|protocol| protocol.inverted);
        let protocol = self.protocol(header.protocol.map_or(0, |protocol| protocol.value));
        let opt = match header.fragment {
            None => "--",
            Some(Inverted { inverted: false, .. }) => "-f",
            Some(Inverted { inverted: true, .. }) => "!f",
        };
        let target = self.target(&rule.target);
        let _ = write!(out, "{target:<9} {}{protocol:<4} {opt} ", not(inverted));
        if self.how.verbose {
            let arriving = self.interface(header.in_interface);
            let _ = write!(out, " {arriving:<6} {:<6} ", self.interface(header.out_interface));
        }
        for network in [header.source, header.destination] {
            let inverted = network.is_some_and(|network| network.inverted);
            let _ = write!(out, "{}{:<19} ", not(inverted), self.network(network));
        }
    }

    fn target(&self, jump: &'a Jump) -> &'a str {
        match jump {
            Jump::None => "",
            Jump::Jump(to) | Jump::Goto(to) => {
                self.table.chain(*to).map_or("", |chain| chain.name.as_str())
            }
            Jump::Standard(step) => standard::name(*step),
            Jump::Target(target) => target.listed_name(),
        }
    }

    fn protocol(&self, protocol: u8) -> String {
        let name = if protocol == 0 { Some("all") } else { names::protocol_name(protocol) };
        let by_name = match (self.how.numeric, self.how.protocol_names) {
            (false, _) => true,
            (true, false) => false,
            (true, true) => OWN_PROTOCOLS.contains(&protocol),
        };
        match name.filter(|_| by_name) {
            Some(name) => name.into(),
            None => format!("{protocol}"),
        }
    }

    fn interface(&self, wanted: Option<Inverted<InterfacePattern>>) -> String {
        let Some(Inverted { inverted, value }) = wanted else {
            return if self.how.numeric { "*" } else { "any" }.into();
        };
        let length = value.name.iter().position(|b| *b == 0).unwrap_or(value.name.len());
        let name = core::str::from_utf8(value.name.get(..length).unwrap_or(&[])).unwrap_or("");
        let not = if inverted { "!" } else { "" };
        format!("{not}{name}{}", if value.length < 16 { "+" } else { "" })
    }

    fn network(&self, wanted: Option<Inverted<Network>>) -> String {
        let mut out = String::new();
        let network = wanted.map(|network| network.value);
        // Of IPv6 the tool looks at the address alone: `::/64` loses its mask.
        let unmasked = !self.how.numeric && self.family == Family::V6;
        let anywhere = |network: &Network| {
            network.mask.0 == [0; 16] || unmasked && network.address.0 == [0; 16]
        };
        let Some(network) = network.filter(|network| !anywhere(network)) else {
            return match (self.how.numeric, self.family) {
                (false, _) => "anywhere",
                (true, Family::V4) => "0.0.0.0/0",
                (true, Family::V6) => "::/0",
            }
            .into();
        };
        values::print_network(&mut out, &network, self.family);
        let whole = match self.family {
            Family::V4 => "/32",
            Family::V6 => "/128",
        };
        out.strip_suffix(whole).map(String::from).unwrap_or(out)
    }
}

/// The protocols that iptables 1.8.11 names without asking the system, and `all`.
const OWN_PROTOCOLS: [u8; 12] = [0, 1, 6, 17, 33, 50, 51, 58, 108, 132, 135, 136];

/// A counter to the last digit, or in thousands, millions and so on from 100,000 on, each rounded
/// from the one before.
pub(in crate::syntax) fn counter(value: u64, exact: bool, width: usize) -> String {
    if exact || value <= 99_999 {
        return format!("{value:>width$}");
    }
    let short = width.saturating_sub(1);
    let mut value = value;
    let mut letters = ['K', 'M', 'G', 'T'].into_iter().peekable();
    while let Some(letter) = letters.next() {
        // The largest numbers begin again at nothing, as in the tool.
        value = value.wrapping_add(500) / 1000;
        if value <= 9999 || letters.peek().is_none() {
            return format!("{value:>short$}{letter}");
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::iptables_save::parse;

    #[test]
    fn counters_are_rounded_from_step_to_step() {
        for (value, text) in [
            (99_999, "99999"),
            (100_000, " 100K"),
            (9_999_499, "9999K"),
            (9_999_500, "  10M"),
            (9_999_499_499, "9999M"),
            (9_999_499_500, "  10G"),
            (10_000_000_000_000, "  10T"),
            (999_999_999_999_999, "1000T"),
            (u64::MAX, "   0K"),
        ] {
            assert_eq!(counter(value, false, 5), text);
        }
        assert_eq!(counter(123_456, true, 8), "  123456");
    }

    const RULES: &str = "*filter\n:INPUT DROP [123456:7]\n:foo - [0:0]\n\
        [1:100000] -A INPUT -s 10.0.0.0/8 ! -d 1.2.3.4/32 ! -i eth+ -p tcp -g foo\n\
        -A foo ! -p gre ! -f\n-A foo -p vrrp -j RETURN\nCOMMIT\n";

    #[test]
    fn columns() {
        let ruleset = parse(RULES, Family::V4).unwrap();
        let verbose = List { verbose: true, numeric: true, line_numbers: true, ..List::default() };
        assert_eq!(
            print_list(&ruleset, TableName::Filter, Some("INPUT"), verbose),
            "Chain INPUT (policy DROP 123K packets, 7 bytes)\n\
             num   pkts bytes target     prot opt in     out     source               destination         \n\
             1        1  100K foo        6    --  !eth+  *       10.0.0.0/8          !1.2.3.4             [goto] \n"
        );
        assert_eq!(
            print_list(&ruleset, TableName::Filter, Some("foo"), List::default()),
            "Chain foo (1 references)\n\
             target     prot opt source               destination         \n          \
             !gre  !f  anywhere             anywhere            \n\
             RETURN     vrrp --  anywhere             anywhere            \n"
        );
        let names = List { protocol_names: true, line_numbers: false, exact: true, ..verbose };
        assert_eq!(
            print_list_rule(&ruleset, TableName::Filter, "foo", 2, names),
            "       0        0 RETURN     112  --  *      *       0.0.0.0/0            0.0.0.0/0           \n"
        );
        assert_eq!(print_list_rule(&ruleset, TableName::Filter, "foo", 3, names), "");
        assert_eq!(print_list_rule(&ruleset, TableName::Filter, "foo", 0, names), "");
        assert_eq!(print_list(&ruleset, TableName::Nat, None, names), "");
    }
}
