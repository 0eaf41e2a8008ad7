//! What tracking says of packets in random dialogues is among what there can be: `diff` proves rule sets equal over
//! those packets alone.
//!
//! `KEEPSTATE_CHECKS` dialogues, 3,000 without it; `KEEPSTATE_SEED` begins elsewhere.

#[allow(dead_code, reason = "no rules are drawn here")]
#[path = "algebra/grammar.rs"]
mod grammar;
#[allow(dead_code, reason = "no rules are drawn here")]
#[path = "algebra/ground.rs"]
mod ground;

use grammar::Draw;
use ground::{number_of, parse};
use keepstate_analysis::algebra::{Example, Space};
use keepstate_analysis::trace::notation::Reader;
use keepstate_conntrack::table::Template;
use keepstate_conntrack::{CtState, Hook, Sysctls, Table};
use keepstate_packet::{Family, Instant, Parsed};
use keepstate_ruleset::matches::conntrack::state_bit;
use std::collections::BTreeMap;
use std::time::Duration;

/// Packets of a dialogue.
const LENGTH: usize = 12;
/// Flags of segments, those that tracking refuses among them.
const FLAGS: [&str; 10] = [
    "syn",
    "syn ack",
    "ack",
    "psh ack",
    "fin ack",
    "fin psh ack",
    "rst",
    "rst ack",
    "fin",
    "syn rst",
];

/// A packet between two ends, from either; errors are about one of so many before it.
fn packet(draw: &mut Draw, family: Family, before: usize) -> String {
    let ends = match family {
        Family::V4 => ["10.0.0.5", "192.0.2.1"],
        Family::V6 => ["2001:db8::5", "2001:db8:1::1"],
    };
    let way = usize::from(draw.one_in(4));
    let [from, to] = [ends[way], ends[1 - way]];
    if draw.one_in(3) {
        let kinds: &[&str] = match family {
            Family::V4 => &["8/0", "0/0", "13/0", "14/0", "3/1", "3/4", "5/1", "9/0"],
            Family::V6 => &["128/0", "129/0", "1/4", "2/0", "133/0", "135/0", "136/0", "137/0"],
        };
        let protocol = if family == Family::V4 { "icmp" } else { "icmpv6" };
        let kind = draw.of(kinds);
        let mut text = format!("{protocol} {from} > {to} {kind}");
        if ["3/1", "3/4", "5/1", "1/4", "2/0"].contains(&kind) && before > 0 {
            text.push_str(&format!(" about={}", 1 + draw.below(before as u64)));
        }
        return text;
    }
    let [from, to] = match family {
        Family::V4 => [(from, way), (to, 1 - way)].map(|(ip, at)| format!("{ip}:{}", 40_000 + at)),
        Family::V6 => {
            [(from, way), (to, 1 - way)].map(|(ip, at)| format!("[{ip}]:{}", 40_000 + at))
        }
    };
    let flags = draw.of(&FLAGS);
    let [own, other] = [[1_000_u64, 5_000], [5_000, 1_000]][way];
    let mut text = format!("tcp {from} > {to} {flags} seq={}", own + draw.below(3));
    if flags.contains("ack") {
        text.push_str(&format!(" ack={}", other + draw.below(3)));
    }
    text
}

#[test]
fn what_tracking_says_is_among_what_there_can_be() {
    let mut draw = Draw::new(number_of("KEEPSTATE_SEED", 20_261_130));
    let mut seen: BTreeMap<(String, u8), u64> = BTreeMap::new();
    for family in [Family::V4, Family::V6] {
        // It tells lengths apart: those that an error cannot have are none of them.
        let rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m length --length 60:90\nCOMMIT\n";
        let ruleset = parse(rules, family);
        let space = Space::new(family, [&ruleset]).expect("a space");
        let possible = space.possible_packets().expect("a set");
        for _ in 0..number_of("KEEPSTATE_CHECKS", 3_000) {
            let mut table = Table::new([1, 2], Sysctls::default());
            let mut reader = Reader::default();
            let lines: Vec<String> = (0..LENGTH).map(|at| packet(&mut draw, family, at)).collect();
            reader.lines(&lines.join("\n")).expect("the notation");
            let mut now = Instant(1_000_000_000);
            for (line, written) in lines.iter().zip(reader.finish()) {
                now = now.plus(Duration::from_millis(10));
                let parsed = Parsed::new(&written.bytes).expect("a packet");
                let template = Template::default();
                let tracked =
                    table.track_in(now, Hook::Prerouting, &parsed, &written.bytes, &template);
                let mut tracked = tracked.expect("room");
                let state = state_bit(Some(&tracked));
                let told = format!("{:?}", tracked.state);
                table.confirm(now, &mut tracked).expect("room");
                let example = Example::of_packet(&parsed, &written.bytes, 0, state);
                let is_among = space.contains(&possible, &space.values(&example));
                assert!(is_among, "{told}: {line}\nin {lines:#?}");
                *seen.entry((told, example.tcp_flags)).or_default() += 1;
            }
        }
    }
    // Dialogues come to what is not the first packet of a connection, and NEW all the same.
    let new = format!("{:?}", CtState::New);
    for (flags, what) in [(0x04, "RST"), (0x14, "RST-ACK"), (0x11, "FIN-ACK")] {
        assert!(seen.contains_key(&(new.clone(), flags)), "no {what} that is NEW: {seen:?}");
    }
    let related = format!("{:?}", CtState::Related);
    assert!(seen.keys().any(|(state, _)| *state == related), "no error is RELATED: {seen:?}");
}

#[test]
fn an_extension_header_is_no_protocol() {
    let ruleset = parse("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", Family::V6);
    let space = Space::new(Family::V6, [&ruleset]).expect("a space");
    let possible = space.possible_packets().expect("a set");
    let is_possible = |next_header: u8| {
        let mut bytes = [0_u8; 40];
        (bytes[0], bytes[6], bytes[7], bytes[8], bytes[24]) = (0x60, next_header, 64, 0x20, 0x20);
        let parsed = Parsed::new(&bytes).expect("a header");
        let example = Example::of_packet(&parsed, &bytes, 0, state_bit(None));
        space.contains(&possible, &space.values(&example))
    };
    // ESP, GRE; AH, destination options cut off.
    assert!(is_possible(50) && is_possible(47));
    assert!(!is_possible(51) && !is_possible(60));
}
