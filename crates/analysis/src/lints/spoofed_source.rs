//! An inner source address that is trusted on the outer interface as well.

use crate::algebra::chain::RuleAt;
use crate::algebra::space::{Packets, Result, Unknown};
use crate::algebra::way::{Way, follow};
use crate::copy::copy;
use crate::lint::around::is_private;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, entering};
use crate::lints::and;
use crate::witness::network;
use keepstate_ruleset::model::{ChainIndex, Span, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::Verdict;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "spoofed-source",
    severity: Severity::Warning,
    title: "an inner source address is trusted on the outer interface as well",
    page: include_str!("spoofed_source.md"),
    run,
};

/// Networks inside that are looked at.
const NETWORKS_MAX: usize = 64;

/// A network inside, and the interface that is outside.
struct Inner<'a> {
    /// As the file has it.
    text: &'a str,
    outer: &'a str,
    /// The rule that says so.
    by: &'a Ruled<'a>,
    senders: PacketSet,
}

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    // Rules that check the way back to the sender do this work.
    let checks = linted.rules.iter().any(|rule| rule.words.has_match("rpfilter"));
    if checks {
        return Ok(());
    }
    let all = suspects(linted)?;
    for way in [Way::In, Way::Through] {
        let mut here: Vec<Suspect> = all.iter().filter(|one| one.way == way).cloned().collect();
        if here.is_empty() {
            continue;
        }
        // What is accepted without those rules is not their doing.
        let places = here.iter().flat_map(|one| &one.trusting).copied();
        let Some(without) = passing_without(linted, way, &places.collect())? else { continue };
        let mut matters: Vec<Matter> = Vec::new();
        while !here.is_empty() {
            let first = here.remove(0);
            let Some((rule, packet)) = blamed(linted, &first, &without)? else { continue };
            // A network that is hidden behind several interfaces is one matter.
            let mut same = vec![first];
            let mut rest = Vec::new();
            for other in here {
                let by = blamed(linted, &other, &without)?.map(|(other, _)| other);
                match by == Some(rule) && other.text == same[0].text {
                    true => same.push(other),
                    false => rest.push(other),
                }
            }
            here = rest;
            matters.push(Matter { all: same, at: rule, packet });
        }
        while !matters.is_empty() {
            let first: Vec<String> = matters.iter().take(1).flat_map(Matter::outer).collect();
            let (alike, others) = matters.into_iter().partition(|one| one.outer() == first);
            matters = others;
            found.extend(told(linted, &alike));
        }
    }
    Ok(())
}

/// A network inside, at all outer interfaces where it is trusted.
struct Matter {
    all: Vec<Suspect>,
    /// The rule that trusts it, and a packet that it accepts.
    at: RuleAt,
    packet: String,
}

impl Matter {
    fn outer(&self) -> Vec<String> {
        self.all.iter().map(|one| one.outer.clone()).collect()
    }
}

/// A network inside from which packets are accepted that come from outside.
#[derive(Clone)]
struct Suspect {
    way: Way,
    /// The network, and the outer interface.
    text: String,
    outer: String,
    /// The rule that says so.
    by: Span,
    senders: PacketSet,
    /// Rules that accept packets because of where they say they are from.
    trusting: Vec<RuleAt>,
    accepted: Packets,
}

fn suspects(linted: &Linted<'_>) -> Result<Vec<Suspect>> {
    let new = linted.beginning(&linted.space.every())?.and(&unprotected(linted)?)?;
    let crossing = linted.crossing()?;
    let mut all = Vec::new();
    for inner in inner(linted) {
        let by = linted.entered_by(inner.outer)?.and(&new)?;
        let spoofed = by.and(&crate::lint::linted::plain(&linted.space, &inner.senders)?)?;
        for way in [Way::In, Way::Through] {
            let mut accepted = linted.passed(way).and(&spoofed)?;
            if way == Way::Through {
                accepted = accepted.and(&crossing)?;
            }
            let trusting = trusting(linted, inner.text, &accepted)?;
            if !trusting.is_empty() {
                all.push(Suspect {
                    way,
                    text: inner.text.into(),
                    outer: inner.outer.into(),
                    by: inner.by.rule.span,
                    senders: inner.senders.clone(),
                    trusting,
                    accepted,
                });
            }
        }
    }
    Ok(all)
}

/// Packets that came without the protection of IPsec: with it nobody else can have sent them.
fn unprotected(linted: &Linted<'_>) -> Result<Packets> {
    let mut all = linted.space.every();
    for unknown in linted.space.unknowns() {
        let Unknown::Named(text, _) = unknown else { continue };
        let Some(variable) = linted.space.known_variable(unknown) else { continue };
        let holds = linted.space.variable(variable)?;
        if text.starts_with(NOT_PROTECTED) {
            all = all.and(&holds)?;
        } else if text.starts_with("policy --dir in --pol ipsec") {
            all = all.less(&holds)?;
        }
    }
    Ok(all)
}

/// The match for it.
const NOT_PROTECTED: &str = "policy --dir in --pol none";

/// Whether rules know of IPsec: packets out of a tunnel come in by the outer interface, from inside.
fn knows_ipsec(linted: &Linted<'_>) -> bool {
    let ports = ["--dport", "--dports", "--sport", "--sports", "--ports"];
    linted.rules.iter().any(|rule| {
        rule.words.has_match("policy")
            || rule.words.has_match("esp")
            || rule.words.has_match("ah")
            || matches!(rule.words.protocol(), Some(50 | 51))
            || rule.words.protocol() == Some(17)
                && rule
                    .words
                    .options(&ports)
                    .any(|option| option.value().split(',').any(|p| matches!(p, "500" | "4500")))
    })
}

/// The packets that come to the end of a way without these rules of the table filter.
fn passing_without(
    linted: &mut Linted<'_>,
    way: Way,
    places: &BTreeSet<RuleAt>,
) -> Result<Option<Packets>> {
    let Ok(mut without) = copy(linted.ruleset) else { return Ok(None) };
    for table in without.tables.iter_mut().filter(|table| table.name == TableName::Filter) {
        for (chain, own) in (0..).map(ChainIndex).zip(&mut table.chains) {
            let mut number = 0;
            own.rules.retain(|_| {
                number += 1;
                !places.contains(&RuleAt { chain, number: number - 1 })
            });
        }
    }
    let every = entering(&linted.space, [linted.ruleset])?;
    Ok(Some(follow(&mut linted.space, &without, way, &every)?.passed))
}

/// The first rule without which such packets would not all be accepted, and one of them.
fn blamed(
    linted: &Linted<'_>,
    suspect: &Suspect,
    without: &Packets,
) -> Result<Option<(RuleAt, String)>> {
    let by_rules = suspect.accepted.less(without)?;
    for at in &suspect.trusting {
        let Some(rule) = linted.rule(TableName::Filter, *at) else { continue };
        if let Some(packet) = linted.example(&rule.matched.and(&by_rules)?)? {
            return Ok(Some((*at, packet)));
        }
    }
    Ok(None)
}

/// A finding of networks that a chain trusts at the same interfaces: what is missing stands in one place.
fn told(linted: &Linted<'_>, matters: &[Matter]) -> Option<Finding> {
    let first = matters.first()?;
    let way = first.all.first()?.way;
    let rule = linted.rule(TableName::Filter, first.at)?;
    let (table, chain, base) = linted.base(TableName::Filter, way.hook())?;
    let aside = if knows_ipsec(linted) { format!(" -m {NOT_PROTECTED}") } else { String::new() };
    let mut finding = Finding::new(rule.rule.span, text(matters, &base.name));
    for matter in matters.iter().skip(1).filter(|matter| matter.at != first.at) {
        let other = linted.rule(TableName::Filter, matter.at)?;
        let network = matter.all.first().map_or("", |one| one.text.as_str());
        finding = finding.label(other.rule.span, format!("accepts {network} so"));
    }
    let (mut lines, mut sets) = (Vec::new(), Vec::new());
    for one in matters.iter().flat_map(|matter| &matter.all) {
        let outer = keepstate_ruleset::syntax::iptables_save::interface_pattern(&one.outer)?;
        let outer = keepstate_ruleset::model::Inverted { inverted: false, value: outer };
        let side = PacketSet::Interface(false, outer);
        sets.push(PacketSet::All(vec![side, one.senders.clone()]));
        lines.push(format!("-A {} -i {} -s {}{aside} -j DROP", base.name, one.outer, one.text));
        finding = finding.label(one.by, "says what is inside and what outside");
    }
    let expected =
        Expected::Only(PacketSet::Any(sets), "packets from outside with an address of the inside");
    let help = if aside.is_empty() {
        "rp_filter=1 on the outer interface does the same outside of the rules; this file does not say"
    } else {
        "what comes out of an IPsec tunnel has to be let in, therefore `--pol none`; rp_filter=1 on the outer \
         interface does much the same outside of the rules; this file does not say"
    };
    Some(
        finding
            .evidence(format!("{} is accepted by this rule", first.packet))
            .help(help)
            .fix(linted.first_in(table, chain, &lines.join("\n"), expected)),
    )
}

/// Networks that are named.
const NAMED_MAX: usize = 3;

/// What is found, in a line.
fn text(matters: &[Matter], chain: &str) -> String {
    let outer = matters.iter().take(1).flat_map(|matter| &matter.all);
    let names: Vec<&str> = outer.map(|one| one.outer.as_str()).collect();
    let mut networks: Vec<String> = Vec::new();
    for one in matters.iter().filter_map(|matter| matter.all.first()) {
        if !networks.contains(&one.text) {
            networks.push(one.text.clone());
        }
    }
    let many = networks.len() > 1;
    if networks.len() > NAMED_MAX {
        let more = networks.len() + 1 - NAMED_MAX;
        networks.truncate(NAMED_MAX - 1);
        networks.push(format!("{more} more networks"));
    }
    let networks: Vec<&str> = networks.iter().map(String::as_str).collect();
    let (are, them) = if many { ("are", "them as sources") } else { ("is", "it as a source") };
    let what = match (names.len(), many) {
        (1, _) => "the outer interface",
        (_, false) => "interfaces that it is hidden behind",
        (_, true) => "interfaces that they are hidden behind",
    };
    format!(
        "{} {are} inside, and {chain} accepts {them} on {}, {what}, as well",
        and(&networks),
        and(&names)
    )
}

/// Private networks that are told to be inside, by a rule that hides them behind an outer interface.
fn inner<'l>(linted: &'l Linted<'_>) -> Vec<Inner<'l>> {
    let mut all: Vec<Inner<'l>> = Vec::new();
    for by in linted.with_target(&["MASQUERADE", "SNAT"]) {
        let plain = |name| by.words.header(name).filter(|option| !option.not);
        let (Some(outer), Some(source)) = (plain("-o"), plain("-s")) else { continue };
        let (outer, text) = (outer.value(), source.value());
        let known = all.iter().any(|one| one.text == text && one.outer == outer);
        if known || outer.ends_with('+') || outer == "lo" || all.len() >= NETWORKS_MAX {
            continue;
        }
        let wide = network(text).is_some_and(|(address, _)| is_private(address));
        let Some(senders) = senders(&by.rule.header).filter(|_| wide) else { continue };
        all.push(Inner { text, outer, by, senders });
    }
    all
}

/// The sources that a rule asks for.
fn senders(header: &keepstate_ruleset::model::HeaderMatch) -> Option<PacketSet> {
    let PacketSet::All(parts) = PacketSet::of_header(header) else { return None };
    parts.into_iter().find(|part| matches!(part, PacketSet::In(Field::Source, _)))
}

/// The rules that accept such packets because of where they say they are from.
fn trusting(linted: &Linted<'_>, inner: &str, accepted: &Packets) -> Result<Vec<RuleAt>> {
    let mut all = Vec::new();
    for rule in linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter) {
        let source = rule.words.header("-s").filter(|option| !option.not);
        let within = source.is_some_and(|option| lies_in(option.value(), inner));
        let by = rule.words.header("-i").is_some();
        if !within || by || decision(rule.rule) != Some(Verdict::Accept) {
            continue;
        }
        if !rule.matched.and(accepted)?.is_empty() {
            all.push(rule.at);
        }
    }
    Ok(all)
}

/// Whether one network lies in another.
fn lies_in(one: &str, other: &str) -> bool {
    let bits = |text: &str| {
        let (address, mask) = network(text)?;
        let number = |address: IpAddr| match address {
            IpAddr::V4(four) => u128::from(u32::from(four)),
            IpAddr::V6(six) => u128::from(six),
        };
        Some((number(address), number(mask)))
    };
    match (bits(one), bits(other)) {
        (Some((address, mask)), Some((other, wider))) => {
            mask & wider == wider && address & wider == other & wider
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::lies_in;

    #[test]
    fn networks_in_networks() {
        for (one, other, wanted) in [
            ("10.0.0.5", "10.0.0.0/8", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/8", "10.0.0.0/16", false),
            ("192.168.1.0/255.255.255.0", "192.168.0.0/16", true),
            ("172.16.0.1", "10.0.0.0/8", false),
            ("fd00:1::5/128", "fd00:1::/64", true),
            ("x", "10.0.0.0/8", false),
        ] {
            assert_eq!(lies_in(one, other), wanted, "{one} in {other}");
        }
    }
}
