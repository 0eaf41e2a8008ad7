//! The algebra and the engine say the same: random rule sets, packets drawn at the edges of their rules, and of
//! each packet which rules it comes to, which match it, and what becomes of it.
//!
//! `KEEPSTATE_CHECKS` packets, 300,000 without it; `KEEPSTATE_SEED` begins elsewhere.

mod grammar;
#[allow(dead_code, reason = "ways of single packets are asked for by other tests")]
mod ground;
mod large;
mod real;
mod ways;

use grammar::{Draw, Pools};
use ground::{number_of, parse};
use keepstate_analysis::algebra::space::{NODES_MAX, Unknown};
use keepstate_analysis::algebra::{Apart, Example, Packets, Space, chain};
use keepstate_conntrack::{Hook, Sysctls, Table as Connections, Tracked, table::Template};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed};
use keepstate_ruleset::evaluate::{
    AddressType, Decision, HostFacts, Looked, Recorder, State, Stores, TableState, Traversal,
    evaluate,
};
use keepstate_ruleset::matches::Match;
use keepstate_ruleset::model::{Ruleset, Table};
use keepstate_ruleset::verdict::{Answer, Verdict};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Nowhere;

impl HostFacts for Nowhere {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }
}

#[derive(Default)]
struct Seen(Vec<(chain::RuleAt, bool)>);

impl Recorder for Seen {
    fn rule(&mut self, looked: Looked<'_>, _: &Traversal<'_>) {
        let at = chain::RuleAt { chain: looked.chain, number: looked.number };
        self.0.push((at, looked.failed.is_none()));
    }
}

/// What the checks of all rule sets came to.
#[derive(Default, Debug)]
struct Sum {
    packets: u64,
    rules: u64,
    exact: u64,
    verdicts: BTreeMap<String, u64>,
}

#[test]
fn members_of_the_sets_are_the_packets_that_the_evaluator_takes_there() {
    let wanted = number_of("KEEPSTATE_CHECKS", 300_000);
    let mut seed = number_of("KEEPSTATE_SEED", 1);
    let mut sum = Sum::default();
    while sum.packets < wanted {
        let mut draw = Draw::new(seed);
        let family = if draw.one_in(3) { Family::V6 } else { Family::V4 };
        let (source, pools) = grammar::ruleset(&mut draw, family);
        let ruleset = parse(&source, family);
        for table in &ruleset.tables {
            compare(seed, &ruleset, table, &source, (&mut draw, &pools), &mut sum);
        }
        seed += 1;
    }
    println!("{sum:#?}");
    assert!(sum.exact * 2 > sum.packets, "most are exact: {sum:?}");
    assert!(sum.verdicts.len() >= 3, "{sum:?}");
}

/// Packets through the built-in chains of one table.
fn compare(
    seed: u64,
    ruleset: &Ruleset,
    table: &Table,
    source: &str,
    (draw, pools): (&mut Draw, &Pools),
    sum: &mut Sum,
) {
    let mut space = space(ruleset, draw);
    let matches = matches_of([table]);
    for hook in table.name.hooks() {
        let Some(base) = table.builtin(*hook) else { continue };
        if table.chain(base).is_none_or(|chain| chain.rules.is_empty()) {
            continue;
        }
        let every = space.every();
        let walked = chain::walk(&mut space, table, base, &every, &chain::Current::default())
            .expect("a walk");
        let bounds: Vec<_> = walked
            .verdicts()
            .into_iter()
            .map(|(verdict, at)| {
                let set = walked.decided(&space, verdict, at).expect("a set");
                let low = space.narrowest(&set).expect("bounds");
                (verdict, at, low, space.widest(&set).expect("bounds"))
            })
            .collect();
        let both = |set: Result<Packets, _>| {
            let set = set.expect("a set");
            (space.narrowest(&set).expect("low"), space.widest(&set).expect("high"))
        };
        let rules: BTreeMap<_, _> = walked
            .rules()
            .into_iter()
            .map(|at| (at, (both(walked.reached(&space, at)), both(walked.matched(&space, at)))))
            .collect();
        // All verdicts together are all packets, and none has two.
        let mut all = space.none();
        for (verdict, at) in walked.verdicts() {
            let set = walked.decided(&space, verdict, at).expect("a set");
            assert!(all.and(&set).expect("and").is_empty(), "seed {seed}: two verdicts\n{source}");
            all = all.or(&set).expect("or");
        }
        assert_eq!(all, every, "seed {seed}: no verdict\n{source}");
        for _ in 0..PACKETS {
            let packet = grammar::packet(draw, pools, ruleset.family);
            let Some(ran) = run(table, *hook, &packet, &matches, &space) else { continue };
            let values = space.values(&ran.example);
            let text = || format!("seed {seed} {hook:?} {:?}\n{source}", ran.example);
            let mut exact = true;
            for (verdict, at, low, high) in &bounds {
                let is = (ran.verdict, ran.at) == (*verdict, *at);
                let (low, high) = (space.contains(low, &values), space.contains(high, &values));
                assert!(
                    !low || is,
                    "{verdict:?} {at:?} is certain: {:?} {:?} {}",
                    ran.verdict,
                    ran.at,
                    text()
                );
                assert!(high || !is, "{verdict:?} {at:?} cannot be {}", text());
                exact &= low == high;
            }
            for (at, ((low, high), (matched_low, matched_high))) in &rules {
                let seen = ran.seen.0.iter().filter(|(place, _)| place == at);
                let (mut reached, mut matched) = (false, false);
                for (_, yes) in seen {
                    reached = true;
                    matched |= *yes;
                }
                let length = table.chain(at.chain).map_or(0, |chain| chain.rules.len());
                if at.number as usize == length {
                    continue;
                }
                let is = |set| space.contains(set, &values);
                assert!(!is(low) || reached, "{at:?} is reached {}", text());
                assert!(is(high) || !reached, "{at:?} is not reached {}", text());
                assert!(!is(matched_low) || matched, "{at:?} matches {}", text());
                assert!(is(matched_high) || !matched, "{at:?} does not match {}", text());
                sum.rules += 1;
            }
            sum.packets += 1;
            sum.exact += u64::from(exact);
            *sum.verdicts.entry(format!("{:?}", ran.verdict)).or_default() += 1;
        }
    }
}

/// Addresses are told apart where rules do, or more of them, or all.
fn space(ruleset: &Ruleset, draw: &mut Draw) -> Space {
    let mut apart = Apart::new(ruleset.family);
    match draw.below(4) {
        0 => apart.keep_bits(),
        1 => {
            let low = u128::from(draw.below(1 << 32));
            apart.add_values(&vec![(low, low + u128::from(draw.below(1 << 8)))]);
        }
        _ => {}
    }
    Space::apart([ruleset], apart, NODES_MAX).expect("a space")
}

/// Packets for each built-in chain of a rule set.
const PACKETS: usize = 400;

struct Ran {
    verdict: Verdict,
    at: chain::RuleAt,
    seen: Seen,
    example: Example,
}

/// The matches by what they say of themselves.
fn matches_of<'t>(tables: impl IntoIterator<Item = &'t Table>) -> BTreeMap<String, &'t dyn Match> {
    let chains = tables.into_iter().flat_map(|table| &table.chains);
    let rules = chains.flat_map(|chain| &chain.rules);
    let named = rules.flat_map(|rule| &rule.matches).map(|one| {
        let mut text = String::from(one.name());
        one.print(&mut text);
        (text, one.as_ref())
    });
    named.collect()
}

/// A packet as rules meet it.
fn with_traversal<T>(
    hook: Hook,
    packet: &grammar::Packet,
    act: impl FnOnce(&mut Traversal<'_>) -> T,
) -> T {
    let mut parsed = Parsed::new(&packet.bytes).expect("a packet");
    let mut bytes = packet.bytes.clone();
    bytes.extend([0; 4]);
    let names = [&packet.in_interface, &packet.out_interface]
        .map(|name| name.as_deref().and_then(InterfaceName::new));
    let tracked = Tracked { state: packet.state, ..Tracked::UNTRACKED };
    let mut connections = Connections::new([1, 2], Sysctls { max: 64, ..Sysctls::default() });
    act(&mut Traversal {
        now: Instant(1_700_000_000_000_000_000),
        hook,
        in_interface: names[0].as_ref(),
        out_interface: names[1].as_ref(),
        packet: &mut parsed,
        bytes: &mut bytes,
        link: LinkInfo { source: Some([2, 0, 0, 0, 0, packet.mac]), ..LinkInfo::default() },
        frame: None,
        mark: packet.mark,
        secmark: 0,
        priority: 0,
        traced: false,
        verified: true,
        unfinished: &mut None,
        tracked: Some(&tracked),
        template: &mut Template::default(),
        conntrack: &mut connections,
        host: &Nowhere,
        stores: &mut Stores::default(),
        log: &mut Vec::new(),
        unknown: None,
    })
}

fn run(
    table: &Table,
    hook: Hook,
    packet: &grammar::Packet,
    matches: &BTreeMap<String, &dyn Match>,
    space: &Space,
) -> Option<Ran> {
    let original = Parsed::new(&packet.bytes).expect("a packet");
    let (unknowns, seen, (verdict, decision)) = with_traversal(hook, packet, |traversal| {
        let unknowns = answers(space, matches, traversal);
        let mut seen = Seen::default();
        let mut state = TableState::new(table);
        let end = evaluate(table, &mut state, traversal, &mut seen);
        (unknowns, seen, end)
    });
    let example = Example {
        in_interface: packet.in_interface.clone(),
        out_interface: packet.out_interface.clone(),
        unknowns,
        ..Example::of_packet(&original, &packet.bytes, packet.mark, packet.state_bit())
    };
    let at = match decision.expect("a chain") {
        Decision::Rule { chain, rule } => chain::RuleAt { chain, number: rule },
        Decision::Policy { chain } => {
            let length = table.chain(chain).map_or(0, |chain| chain.rules.len());
            chain::RuleAt { chain, number: length as u32 }
        }
        // A match wants what the packet has not got: it is not well-formed for it.
        Decision::Hotdrop { .. } => return None,
    };
    Some(Ran { verdict, at, seen, example })
}

/// What the matches say that no field stands for.
fn answers(
    space: &Space,
    matches: &BTreeMap<String, &dyn Match>,
    traversal: &mut Traversal<'_>,
) -> Vec<(Unknown, bool)> {
    let named = space.unknowns().iter().filter_map(|unknown| match unknown {
        Unknown::Named(text, 0) => {
            let one = matches.get(text).expect("a match of the table");
            let says = one.matches(traversal, &mut State::default()) == Answer::Yes;
            Some((unknown.clone(), says))
        }
        _ => None,
    });
    named.collect()
}
