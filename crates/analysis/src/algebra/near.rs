//! Which named conditions have their place right behind the addresses in the diagrams.
//!
//! A condition that rules ask of a few addresses only (`-s HOST -m mac ...`, a line for each host) is settled as soon
//! as the address is known. Were it asked at the end, whatever is asked in between, ports above all, would be in the
//! diagram once for each of these hosts.

use super::stretches::{Stretches, is_address, numbers};
use keepstate_packet::Family;
use keepstate_ruleset::model::{Rule, Ruleset};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use std::collections::{BTreeMap, BTreeSet};

/// Most stretches of addresses that a condition is asked of which is settled with the address.
const STRETCHES_MAX: u128 = 64;
/// Most such conditions of one address: what is behind them may be there once for each of their answers.
const BESIDE_MAX: u8 = 3;
/// Most conditions that are settled so.
const NEAR_MAX: usize = 20_000;

/// By condition the stretches that it is asked of; `None`: it is asked of many.
type Asked = BTreeMap<String, Option<BTreeSet<(Field, u128)>>>;

/// The conditions, in the order of their first rule.
pub(super) fn near(family: Family, rulesets: &[&Ruleset], stretches: &Stretches) -> Vec<String> {
    let (mut asked, mut order) = (Asked::new(), Vec::new());
    let tables = rulesets.iter().flat_map(|ruleset| &ruleset.tables);
    for rule in tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
        note(family, rule, stretches, &mut asked, &mut order);
    }
    let mut beside: BTreeMap<(Field, u128), u8> = BTreeMap::new();
    order.retain(|text| {
        let Some(Some(places)) = asked.get(text) else { return false };
        let is_free = |place| beside.get(place).is_none_or(|count| *count < BESIDE_MAX);
        if !places.iter().all(is_free) {
            return false;
        }
        for place in places.iter() {
            *beside.entry(*place).or_default() += 1;
        }
        true
    });
    order.truncate(NEAR_MAX);
    order
}

fn note(
    family: Family,
    rule: &Rule,
    stretches: &Stretches,
    asked: &mut Asked,
    order: &mut Vec<String>,
) {
    let mut names = Vec::new();
    let sets: Vec<PacketSet> = rule.matches.iter().map(|one| one.packet_set()).collect();
    sets.iter().for_each(|set| named(set, &mut names));
    if names.is_empty() {
        return;
    }
    let header = PacketSet::of_header(&rule.header);
    let places = few(family, &header, stretches)
        .or_else(|| sets.iter().find_map(|set| few(family, set, stretches)));
    for name in names {
        if !asked.contains_key(name) {
            order.push(name.to_string());
        }
        let known = asked.entry(name.to_string()).or_insert_with(|| Some(BTreeSet::new()));
        match (known.as_mut(), &places) {
            (Some(all), Some((field, low, high))) => {
                all.extend((*low..=*high).map(|number| (*field, number)));
                if all.len() as u128 > STRETCHES_MAX {
                    *known = None;
                }
            }
            _ => *known = None,
        }
    }
}

fn named<'s>(set: &'s PacketSet, names: &mut Vec<&'s str>) {
    match set {
        PacketSet::Named(text) => names.push(text),
        PacketSet::All(sets) | PacketSet::Any(sets) => {
            sets.iter().for_each(|set| named(set, names));
        }
        _ => {}
    }
}

/// The few addresses that a formula asks for, as one range of stretches.
fn few(family: Family, set: &PacketSet, stretches: &Stretches) -> Option<(Field, u128, u128)> {
    match set {
        PacketSet::All(sets) => sets.iter().find_map(|set| few(family, set, stretches)),
        PacketSet::In(field, ranges) if is_address(*field) => {
            let [range] = stretches.of_values(&numbers(family, ranges))?.try_into().ok()?;
            let (low, high): (u128, u128) = range;
            (high - low < STRETCHES_MAX).then_some((*field, low, high))
        }
        _ => None,
    }
}
