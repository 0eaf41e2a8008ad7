//! Whole ways: packets of which the engine tracks connections, translates addresses and walks every table, and
//! the sets that are carried through the same tables.

use super::grammar::{self, Draw};
use super::ground::{number_of, parse};
use keepstate_analysis::algebra::{Example, Way, chain::RuleAt, way};
use keepstate_conntrack::{Hook, Sysctls};
use keepstate_engine::{Engine, Host, Packet, PolicyOrRule, Verdict, route::InterfaceIndex};
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo, Parsed, checksum};
use keepstate_ruleset::evaluate::Decision;
use keepstate_ruleset::matches::conntrack::{NEW, state_bit};
use keepstate_ruleset::model::Ruleset;
use std::collections::BTreeSet;

/// Packets for each rule set.
const PACKETS: usize = 300;

#[test]
fn packets_come_to_the_end_that_the_sets_say() {
    let wanted = number_of("KEEPSTATE_CHECKS", 30_000);
    let mut seed = number_of("KEEPSTATE_SEED", 1);
    let (mut checks, mut exact, mut translated) = (0_u64, 0_u64, 0_u64);
    while checks < wanted {
        let mut draw = Draw::new(seed ^ 0xabcd);
        let family = if draw.one_in(3) { Family::V6 } else { Family::V4 };
        let (source, pools) = grammar::gateway(&mut draw, family);
        let load = || parse(&source, family);
        let ruleset = load();
        let mut space = super::space(&ruleset, &mut draw);
        let every = space.every();
        let outcome = way::follow(&mut space, &ruleset, Way::Through, &every).expect("a walk");
        let bounds = |set| (space.narrowest(&set).expect("low"), space.widest(&set).expect("high"));
        let passed = bounds(outcome.passed.clone());
        let fates: Vec<_> = outcome
            .fates()
            .into_iter()
            .map(|fate| (fate, bounds(outcome.ended_by(&space, &fate).expect("a set"))))
            .collect();
        let matches = super::matches_of(&ruleset.tables);
        let interfaces = ["eth0", "eth1"].map(|name| InterfaceName::new(name).expect("a name"));
        let sysctls = Sysctls { max: 4096, ..Sysctls::default() };
        let host = Host::router(interfaces[0], interfaces[1]);
        let mut known = BTreeSet::new();
        let mut engine = Engine::new([seed, 7], host, sysctls, vec![load()]);
        for number in 0..PACKETS {
            let mut packet = grammar::packet(&mut draw, &pools, family);
            packet.in_interface = Some("eth0".into());
            packet.out_interface = Some("eth1".into());
            let original = Parsed::new(&packet.bytes).expect("a packet");
            if family == Family::V6 && original.fragment.is_some() {
                // Tracking takes the fragment header away: rules see a shorter packet.
                continue;
            }
            let mut bytes = packet.bytes.clone();
            if family == Family::V4 {
                checksum::fill_ipv4_header(&mut bytes);
            }
            checksum::renew(&original, &mut bytes);
            bytes.extend([0; 4]);
            let now = Instant(1_700_000_000_000_000_000 + number as u64 * 1_000_000);
            let disposition = engine.handle_packet(
                now,
                Packet {
                    bytes: &mut bytes,
                    interface: Some(InterfaceIndex(0)),
                    family: None,
                    link: LinkInfo {
                        source: Some([2, 0, 0, 0, 0, packet.mac]),
                        ..LinkInfo::default()
                    },
                    mark: packet.mark,
                },
            );
            while engine.poll_transmit().is_some() {}
            while engine.poll_event().is_some() {}
            // Sets take a NEW packet for the first of its connection.
            let conn = disposition.tracked.as_ref().and_then(|tracked| tracked.conn);
            if conn.is_some_and(|conn| !known.insert(conn))
                && state_bit(disposition.tracked.as_ref()) == NEW
            {
                continue;
            }
            // What routing, tracking or the link has an opinion of is no matter of rules.
            let is_own = matches!(disposition.hook, None | Some(Hook::Input));
            if disposition.cause.is_some() || is_own || disposition.unknown.is_some() {
                continue;
            }
            if matches!(disposition.verdict, Verdict::Held | Verdict::Stolen) {
                continue;
            }
            let example = Example {
                in_interface: packet.in_interface.clone(),
                out_interface: packet.out_interface.clone(),
                unknowns: super::with_traversal(Hook::Forward, &packet, |traversal| {
                    super::answers(&space, &matches, traversal)
                }),
                ..Example::of_packet(
                    &original,
                    &packet.bytes,
                    packet.mark,
                    state_bit(disposition.tracked.as_ref()),
                )
            };
            let values = space.values(&example);
            let text = || format!("seed {seed} {disposition:?}\n{example:?}\n{source}");
            let is = |set| space.contains(set, &values);
            let left = disposition.verdict == Verdict::Accept;
            assert!(!is(&passed.0) || left, "it has to pass {}", text());
            assert!(is(&passed.1) || !left, "it cannot pass {}", text());
            exact += u64::from(is(&passed.0) == is(&passed.1));
            for (fate, (low, high)) in &fates {
                let by = disposition.rule.filter(|by| by.table == fate.table);
                let at = by.map(|by| place(&ruleset, by));
                let ended = !left && disposition.hook == Some(fate.hook) && at == Some(fate.at);
                assert!(!is(low) || ended, "it has to end by {fate:?} {}", text());
                assert!(is(high) || !ended, "it cannot end by {fate:?} {}", text());
            }
            checks += 1;
            translated += u64::from(source.contains("*nat") && left);
        }
        seed += 1;
    }
    println!("{checks} packets, {exact} exact, {translated} through rule sets that translate");
    assert!(exact * 2 > checks && translated > 0);
}

fn place(ruleset: &Ruleset, by: PolicyOrRule) -> RuleAt {
    match by.decision {
        Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule } => {
            RuleAt { chain, number: rule }
        }
        Decision::Policy { chain } => {
            let table = ruleset.table(by.table).expect("a table");
            let length = table.chain(chain).map_or(0, |chain| chain.rules.len());
            RuleAt { chain, number: length as u32 }
        }
    }
}
