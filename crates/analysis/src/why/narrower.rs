//! Narrower forms of a rule: what can be left out of it so that every conversation passes which passes by it.

use super::Place;
use super::told::NarrowerTold;
use crate::copy::{copy, rules};
use crate::diff::{ConversationTold, Pair};
use keepstate_packet::Family;
use keepstate_ruleset::model::{Jump, Ruleset};
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::verdict::{Step, Verdict};

/// Most interfaces that a rule is tried on alone.
const INTERFACES_MAX: usize = 3;

/// Forms that could be tried, each as the rules that would stand in the place of this one.
fn forms(ruleset: &Ruleset, place: Place) -> Vec<(Vec<String>, &'static str)> {
    let found = ruleset.table(place.table).and_then(|table| {
        let chain = table.chain(place.at.chain)?;
        Some((table, chain, chain.rules.get(place.at.number as usize)?))
    });
    let Some((table, chain, rule)) = found else { return Vec::new() };
    if !matches!(rule.target, Jump::Standard(Step::Verdict(Verdict::Accept))) {
        return Vec::new();
    }
    let text = print_rule(ruleset.family, table, &chain.name, rule);
    let (icmp, kinds) = match ruleset.family {
        Family::V4 => ("icmp", "--icmp-type"),
        Family::V6 => ("ipv6-icmp", "--icmpv6-type"),
    };
    let mut forms = Vec::new();
    let both = ["RELATED,ESTABLISHED", "ESTABLISHED,RELATED"];
    let only = both.iter().find(|both| text.contains(**both));
    if let Some(both) = only {
        let established = text.replace(both, "ESTABLISHED");
        forms.push((vec![established.clone()], "RELATED left out"));
        if rule.header.protocol.is_none() {
            let related = text.replace(both, "RELATED");
            let related = related.replacen(
                &format!("-A {}", chain.name),
                &format!("-A {} -p {icmp}", chain.name),
                1,
            );
            forms.push((
                vec![established, related],
                "RELATED for ICMP errors only, for no connection that a helper announces",
            ));
        }
    }
    let asks_state = ["--ctstate", "--state", "--ctstatus"].iter().any(|word| text.contains(word));
    if !asks_state {
        let new = text.replacen(" -j ", " -m conntrack --ctstate NEW -j ", 1);
        forms.push((vec![new], "for packets that begin a connection only"));
    }
    if rule.header.protocol.is_none() && only.is_none() {
        for (protocol, what) in [("tcp", "TCP only"), ("udp", "UDP only"), (icmp, "ICMP only")] {
            let narrow = text.replacen(
                &format!("-A {}", chain.name),
                &format!("-A {} -p {protocol}", chain.name),
                1,
            );
            forms.push((vec![narrow], what));
        }
    }
    if rule.header.in_interface.is_none() && matches!(chain.name.as_str(), "INPUT" | "FORWARD") {
        for name in interfaces(ruleset) {
            let narrow = text.replacen(
                &format!("-A {}", chain.name),
                &format!("-A {} -i {name}", chain.name),
                1,
            );
            forms.push((vec![narrow], "by one interface only"));
        }
    }
    let is_icmp =
        matches!(rule.header.protocol, Some(one) if !one.inverted && matches!(one.value, 1 | 58));
    if is_icmp && !text.contains(kinds) {
        let echo = if ruleset.family == Family::V4 { 8 } else { 128 };
        let narrow = text.replacen(" -j ", &format!(" -m {} {kinds} {echo} -j ", module(icmp)), 1);
        forms.push((vec![narrow], "for echo requests only"));
    }
    forms
}

/// Interfaces that rules name whole, the first of them.
fn interfaces(ruleset: &Ruleset) -> Vec<String> {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    let mut names: Vec<String> = Vec::new();
    for rule in chains.flat_map(|chain| &chain.rules) {
        let Some(one) = rule.header.in_interface else { continue };
        let end = one.value.name.iter().position(|byte| *byte == 0).unwrap_or(16);
        let name = String::from_utf8_lossy(one.value.name.get(..end).unwrap_or_default());
        let is_whole = one.value.length >= 16 && !one.inverted;
        if is_whole && name != "lo" && !names.contains(&name.to_string()) {
            names.push(name.into_owned());
        }
    }
    names.truncate(INTERFACES_MAX);
    names
}

fn module(icmp: &str) -> &'static str {
    if icmp == "icmp" { "icmp" } else { "icmp6" }
}

/// The forms past which every conversation passes that passes by the rule.
pub(super) fn narrower(
    ruleset: &Ruleset,
    place: Place,
    carried: &[ConversationTold],
    pair: &mut Pair,
) -> Vec<(NarrowerTold, Ruleset)> {
    let carried: Vec<_> = carried.iter().filter(|one| one.breaks).collect();
    if carried.is_empty() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (texts, what) in forms(ruleset, place) {
        let Some(table) = ruleset.table(place.table) else { continue };
        let (Some(instead), Ok(mut narrow)) = (rules(ruleset, table, &texts), copy(ruleset)) else {
            continue;
        };
        let chains = narrow.tables.iter_mut().find(|table| table.name == place.table);
        let chain = chains.and_then(|table| table.chains.get_mut(place.at.chain.0 as usize));
        let Some(chain) = chain else { continue };
        let at = place.at.number as usize;
        if at < chain.rules.len() {
            chain.rules.splice(at..=at, instead);
        }
        let Ok(compared) = copy(&narrow) else { continue };
        pair.replace_new(narrow);
        let lost: Vec<&str> =
            carried.iter().filter(|one| !pair.passes(one)).map(|one| one.title).collect();
        if lost.len() < carried.len() {
            let kept = carried.len() - lost.len();
            let lost = lost.into_iter().map(String::from).collect();
            let form =
                NarrowerTold { rules: texts, what, carried: kept, lost, no_longer: Vec::new() };
            all.push((form, compared));
        }
    }
    all
}
