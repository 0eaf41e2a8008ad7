//! The way back: what arptables-save and ebtables-save print.

use crate::extension::values;
use crate::matches::header::FrameHeader;
use crate::matches::header::arp::ArpHeader;
use crate::matches::{Match, header::ethernet::EthernetHeader};
use crate::model::{Chain, FrameRules, Jump, NfProto, Policy, Rule, Table};
use crate::standard;
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::Family;

/// Prints as ebtables-save and arptables-save do, without the comment lines, which carry a date.
#[must_use]
pub fn print(rules: &FrameRules, counters: bool) -> String {
    let mut out = String::new();
    for table in &rules.tables {
        let _ = writeln!(out, "*{}", table.name.as_str());
        let builtin = table.chains.iter().filter(|chain| chain.hook.is_some());
        let mut users: Vec<&Chain> =
            table.chains.iter().filter(|chain| chain.hook.is_none()).collect();
        users.sort_by(|a, b| a.name.cmp(&b.name));
        let chains: Vec<&Chain> = builtin.chain(users).collect();
        for chain in &chains {
            let policy = policy(rules.family, chain.policy);
            let _ = writeln!(out, ":{} {policy}", chain.name);
        }
        for chain in &chains {
            for rule in &chain.rules {
                if counters {
                    let _ = write!(out, "[{}:{}] ", rule.counters.0, rule.counters.1);
                }
                out.push_str(&print_rule(rules.family, table, &chain.name, rule));
                out.push('\n');
            }
        }
    }
    out
}

/// The word for a policy; user chains of ebtables that have none go back to the caller.
fn policy(family: NfProto, policy: Option<Policy>) -> &'static str {
    match (policy, family) {
        (Some(Policy::Accept), _) => "ACCEPT",
        (Some(Policy::Drop), _) => "DROP",
        (None, NfProto::Bridge) => "RETURN",
        (None, _) => "-",
    }
}

/// One rule, from `-A` on, without a line end.
#[must_use]
pub fn print_rule(family: NfProto, table: &Table, chain: &str, rule: &Rule) -> String {
    let text = print_rule_text(family, table, rule, true);
    // The real arptables leaves a blank where nothing follows.
    let blank = if text.is_empty() { " " } else { "" };
    alloc::format!("-A {chain}{text}{blank}")
}

/// What `-v -A` tells of a rule.
#[must_use]
pub fn print_brief(family: NfProto, table: &Table, rule: &Rule) -> String {
    let mut out = String::new();
    match family {
        NfProto::Bridge => bridge(&mut out, table, rule),
        _ => arp(&mut out, table, rule, true, "*"),
    }
    alloc::format!("{}\n", out.trim_start())
}

/// What follows `-A CHAIN`, with a blank before each word; `numeric`: numbers for what has a name.
#[must_use]
pub fn print_rule_text(family: NfProto, table: &Table, rule: &Rule, numeric: bool) -> String {
    let mut out = String::new();
    match family {
        NfProto::Bridge => bridge(&mut out, table, rule),
        _ => arp(&mut out, table, rule, numeric, ""),
    }
    out
}

/// The header and the matches with a name.
pub(super) fn parts(rule: &Rule) -> (Option<&FrameHeader>, &[Box<dyn Match>]) {
    let header = FrameHeader::of(&rule.matches);
    let rest = rule.matches.get(usize::from(header.is_some())..).unwrap_or(&[]);
    (header, rest)
}

fn target<'a>(table: &'a Table, jump: &'a Jump) -> Option<&'a str> {
    match jump {
        Jump::None => None,
        Jump::Jump(to) | Jump::Goto(to) => table.chain(*to).map(|chain| chain.name.as_str()),
        Jump::Standard(step) => Some(standard::name(*step)),
        Jump::Target(target) => Some(target.name()),
    }
}

fn bridge(out: &mut String, table: &Table, rule: &Rule) {
    let (header, matches) = parts(rule);
    let empty = EthernetHeader::default();
    let header = match header {
        Some(FrameHeader::Ethernet(header)) => header,
        _ => &empty,
    };
    header.print(out);
    values::print_interface(out, "-i", rule.header.in_interface);
    header.print_logical_in(out);
    values::print_interface(out, "-o", rule.header.out_interface);
    header.print_logical_out(out);
    for one in matches {
        one.print(out);
    }
    let _ = write!(out, " -j {}", target(table, &rule.target).unwrap_or("CONTINUE"));
    if let Jump::Target(target) = &rule.target {
        target.print(out);
    }
}

/// `everywhere`: what stands for an interface that was not named; nothing leaves it out.
pub(super) fn arp(out: &mut String, table: &Table, rule: &Rule, numeric: bool, everywhere: &str) {
    let header = &rule.header;
    if let Some(name) = target(table, &rule.target) {
        let _ = write!(out, " -j {name}");
    }
    for (option, wanted) in [("-i", header.in_interface), ("-o", header.out_interface)] {
        if wanted.is_none() && !everywhere.is_empty() {
            let _ = write!(out, " {option} {everywhere}");
        }
        values::print_interface(out, option, wanted);
    }
    let empty = ArpHeader::default();
    let arp = match parts(rule).0 {
        Some(FrameHeader::Arp(header)) => header,
        _ => &empty,
    };
    let ends = [
        ("-s", header.source, "--src-mac", arp.source),
        ("-d", header.destination, "--dst-mac", arp.destination),
    ];
    for (option, network, hardware_option, hardware) in ends {
        if let Some(wanted) = network {
            let _ = write!(out, "{} {option} ", values::not(wanted.inverted));
            let before = out.len();
            values::print_network(out, &wanted.value, Family::V4);
            if out.get(before..).is_some_and(|text| text.ends_with("/32")) {
                out.truncate(out.len() - "/32".len());
            }
        }
        ArpHeader::print_hardware(out, hardware_option, hardware);
    }
    arp.print(out, numeric);
    if let Jump::Target(target) = &rule.target {
        target.print(out);
    }
}
