//! What tests of packet sets stand on: how much is tried, rule sets, packets as the sets see them.

use super::grammar::{Draw, Packet};
use keepstate_analysis::algebra::space::Unknown;
use keepstate_analysis::algebra::{Example, Space, Way};
use keepstate_analysis::trial::Ran;
use keepstate_conntrack::Tracked;
use keepstate_packet::{Family, Parsed};
use keepstate_ruleset::matches::conntrack::state_bit;
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::syntax::iptables_save;
use keepstate_ruleset::verdict::Verdict;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A number of the environment.
pub(crate) fn number_of(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(crate) fn parse(source: &str, family: Family) -> Ruleset {
    match iptables_save::parse(source, family) {
        Ok(ruleset) => ruleset,
        Err(faults) => panic!("{}\n{source}", faults[0].render("rules", source)),
    }
}

/// A part of the shared test material.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(part);
    if !found.exists() {
        println!("skipped: no shared test material ({part})");
        return None;
    }
    Some(found)
}

impl Packet {
    /// Its state as conditions have it.
    pub(crate) fn state_bit(&self) -> u8 {
        state_bit(Some(&Tracked { state: self.state, ..Tracked::UNTRACKED }))
    }
}

/// A packet on a way, with random answers of what no packet decides.
pub(crate) fn example(
    draw: &mut Draw,
    packet: Packet,
    way: Way,
    space: &Space,
) -> Option<(Example, Vec<u8>)> {
    let parsed = Parsed::new(&packet.bytes).ok()?;
    let state = packet.state_bit();
    let named =
        |name: Option<String>, has: bool| has.then(|| name.unwrap_or_else(|| String::from("eth0")));
    let unknowns = space.unknowns().iter();
    let unknowns = unknowns.map(|unknown| (unknown.clone(), draw.one_in(2))).collect();
    let example = Example {
        in_interface: named(packet.in_interface, way != Way::Out),
        out_interface: named(packet.out_interface, way != Way::In),
        unknowns,
        ..Example::of_packet(&parsed, &packet.bytes, packet.mark, state)
    };
    Some((example, packet.bytes))
}

/// The same for two rule sets: in a chain they say the same wherever the same text stands, for a rule less above it
/// makes a second one a first.
#[allow(dead_code, reason = "not every test has two")]
pub(crate) fn example_for_two(
    draw: &mut Draw,
    packet: Packet,
    way: Way,
    space: &Space,
) -> Option<(Example, Vec<u8>)> {
    let mut drawn = example(draw, packet, way, space)?;
    let mut said: BTreeMap<String, bool> = BTreeMap::new();
    for (unknown, says) in &mut drawn.0.unknowns {
        if let Unknown::Opaque(place) = unknown {
            *says = *said.entry(without_number(place)).or_insert(*says);
        }
    }
    Some(drawn)
}

/// The place of an opaque condition without how manieth of its text it is.
fn without_number(place: &str) -> String {
    match place.split_once("` #") {
        None => place.to_string(),
        Some((text, number)) => {
            format!("{text}`{}", number.trim_start_matches(|digit: char| digit.is_ascii_digit()))
        }
    }
}

/// What becomes of a packet.
pub(crate) fn fares(ran: &Ran) -> (Verdict, Vec<u32>, u8, u8) {
    let passed = ran.verdict == Verdict::Accept;
    let marks = ran.marks.iter().map(|(_, mark)| *mark).filter(|_| passed).collect();
    let (ttl, tos) = if passed { (ran.ttl, ran.tos) } else { (0, 0) };
    (ran.verdict, marks, ttl, tos)
}
