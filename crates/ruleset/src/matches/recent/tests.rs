use super::*;
use crate::matches::testing::{Bench, Row, check, ipv4, ipv6};
use alloc::vec::Vec;

const WHOLE: &str = "--mask 255.255.255.255 --rsource";

#[test]
fn rules() {
    let long = "-m recent --update --seconds 5 --reap --hitcount 3 --rttl --name foo --mask 255.255.0.0 \
                --rdest";
    let rows: &[Row] = &[
        (
            "-m recent --set",
            "-m recent --set --name DEFAULT --mask 255.255.255.255 --rsource",
            " recent: SET name: DEFAULT side: source mask: 255.255.255.255",
            "=",
        ),
        (
            long,
            "=",
            " recent: UPDATE seconds: 5 reap hit_count: 3 TTL-Match name: foo side: dest mask: 255.255.0.0",
            "=",
        ),
        (
            "-m recent ! --rcheck --hitcount 0 --rdest --rsource --mask 24",
            "-m recent ! --rcheck --name DEFAULT --mask 0.0.0.24 --rsource",
            " ! recent: CHECK name: DEFAULT side: source mask: 0.0.0.24",
            "=",
        ),
        (
            "-m recent --rcheck --seconds 010 --hitcount 65535 --name x --mask 255.255.255.255 --rsource",
            "-m recent --rcheck --seconds 8 --hitcount 65535 --name x --mask 255.255.255.255 --rsource",
            " recent: CHECK seconds: 8 hit_count: 65535 name: x side: source mask: 255.255.255.255",
            "=",
        ),
        ("-m recent --rcheck --hitcount 65536", "", "", ""),
        ("-m recent --rcheck --seconds 0", "", "", ""),
        ("-m recent --update --reap", "", "", ""),
        ("-m recent --set --seconds 5", "", "", ""),
        ("-m recent --set --rttl", "", "", ""),
        ("-m recent --remove --hitcount 5", "", "", ""),
        ("-m recent --set --rcheck", "", "", ""),
        ("-m recent --name foo", "", "", ""),
        ("-m recent --set --name a/b", "", "", ""),
        ("-m recent --set --name .", "", "", ""),
        ("-m recent --set --mask ffff::", "", "", ""),
        ("-m recent --set --mask 1.2.3.4.5", "", "", ""),
    ];
    check(Family::V4, rows);
    let rows: &[Row] = &[
        (
            "-m recent ! --remove --mask ffff::",
            "-m recent ! --remove --name DEFAULT --mask ffff:: --rsource",
            " ! recent: REMOVE name: DEFAULT side: source mask: ffff::",
            "=",
        ),
        ("-m recent --set --mask 64", "", "", ""),
    ];
    check(Family::V6, rows);
}

/// Linux takes the most that 32 bits hold and iptables prints it with a sign, which it does not read.
#[test]
fn the_most_seconds() {
    let mut out = String::new();
    let text = "*filter\n-A INPUT -m recent --rcheck --seconds 4294967295\nCOMMIT\n";
    let ruleset = crate::syntax::iptables_save::parse(text, Family::V4).unwrap();
    let mut rules = ruleset.tables[0].chains.iter().flat_map(|chain| &chain.rules);
    rules.next().unwrap().matches[0].print(&mut out);
    assert_eq!(out, format!(" --rcheck --seconds -1 --name DEFAULT {WHOLE}"));
}

/// Several rules with their memories, asked in turn of each packet.
struct Benches {
    rules: Vec<Recent>,
    list: List,
    now: u64,
}

impl Benches {
    fn new(rules: &[&str]) -> Self {
        let rules: Vec<Recent> = rules.iter().map(|rule| one(rule)).collect();
        let mut list = List::new(rules[0].mask);
        rules.iter().for_each(|rule| list.want(rule.hitcount));
        Self { rules, list, now: 1_000_000_000_000 }
    }

    /// What each rule says of a packet from this host that comes so many milliseconds later.
    fn packet(&mut self, later: u64, host: u8, ttl: u8) -> Vec<bool> {
        self.now += later * 1_000_000;
        let mut key = (Family::V4, [0; 16]);
        key.1[0] = host;
        let now = Instant(self.now);
        self.rules.iter().map(|rule| rule.ask(&mut self.list, key, ttl, now)).collect()
    }
}

fn one(rule: &str) -> Recent {
    let number = |name: &str| {
        let value = rule.split_once(name).and_then(|(_, rest)| rest.split_whitespace().next());
        value.map_or(0, |value| value.parse().unwrap())
    };
    let operation = if rule.contains("--set") {
        Operation::Set
    } else if rule.contains("--rcheck") {
        Operation::Check
    } else if rule.contains("--update") {
        Operation::Update
    } else {
        Operation::Remove
    };
    Recent {
        family: Family::V4,
        operation,
        inverted: rule.starts_with('!'),
        seconds: number("--seconds"),
        hitcount: number("--hitcount"),
        reap: rule.contains("--reap"),
        ttl: rule.contains("--rttl"),
        name: "DEFAULT".into(),
        destination: false,
        mask: [u8::MAX; 16],
    }
}

/// What Linux answered to the same packets.
#[test]
fn counting() {
    let mut benches = Benches::new(&["--set", "--rcheck --hitcount 3", "! --rcheck --hitcount 2"]);
    assert_eq!(benches.packet(0, 1, 64), [true, false, true]);
    assert_eq!(benches.packet(0, 1, 64), [true, false, false]);
    assert_eq!(benches.packet(0, 1, 64), [true, true, false]);
    let mut benches = Benches::new(&["--set", "! --set", "--remove", "! --remove", "--remove"]);
    assert_eq!(benches.packet(0, 1, 64), [true, false, true, true, false]);
    let mut benches = Benches::new(&["! --update --hitcount 3", "--set"]);
    let answers: Vec<_> = (0..4).map(|_| benches.packet(0, 1, 64)[0]).collect();
    assert_eq!(answers, [true, true, false, false]);
    let mut benches = Benches::new(&["--update --hitcount 3", "--set"]);
    let answers: Vec<_> = (0..5).map(|_| benches.packet(0, 1, 64)[0]).collect();
    assert_eq!(answers, [false, false, false, true, true]);
}

#[test]
fn time() {
    let mut benches = Benches::new(&["--set", "--rcheck --hitcount 2 --seconds 1"]);
    let later = [0, 300, 300, 300, 1200, 900];
    let answers: Vec<_> = later.iter().map(|later| benches.packet(*later, 1, 64)[1]).collect();
    assert_eq!(answers, [false, true, true, true, false, true]);
    // Seconds times ticks, in 32 bits: 204 ticks.
    let mut benches = Benches::new(&["--rcheck --seconds 17179870", "--set"]);
    let answers: Vec<_> =
        [0, 300, 1300].iter().map(|later| benches.packet(*later, 1, 64)[0]).collect();
    assert_eq!(answers, [false, true, false]);
    let mut benches = Benches::new(&["--rcheck --seconds 1", "--set"]);
    benches.packet(0, 1, 64);
    assert_eq!(benches.packet(1000, 1, 64), [true, true], "a second is within a second");
    assert_eq!(benches.packet(1004, 1, 64), [false, true], "a tick more is not");
}

#[test]
fn reaping() {
    let mut benches = Benches::new(&["--update --seconds 1 --reap", "--set"]);
    let hosts: [(u64, u8, usize); 9] = [
        (0, 1, 1),
        (300, 2, 2),
        (300, 3, 3),
        (640, 4, 4),
        (4, 4, 3),
        (612, 4, 2),
        (1150, 4, 1),
        (1116, 1, 2),
        (1116, 1, 1),
    ];
    for (number, (later, host, length)) in hosts.iter().enumerate() {
        benches.packet(*later, *host, 64);
        assert_eq!(benches.list.len(), *length, "packet {number}");
    }
    // What has just been noted is not what is oldest, whatever it was before.
    let mut benches = Benches::new(&["! --update --seconds 1 --reap"]);
    let key = (Family::V4, {
        let mut a = [0; 16];
        a[0] = 1;
        a
    });
    benches.list.note(key, 64, benches.now / NANOSECONDS_A_TICK);
    assert_eq!(benches.packet(1300, 1, 64), [true]);
    assert_eq!(benches.list.len(), 1);
    let mut benches = Benches::new(&["--update --seconds 1 --reap"]);
    benches.list.note(key, 64, benches.now / NANOSECONDS_A_TICK);
    assert_eq!(benches.packet(1300, 1, 64), [false]);
    assert!(benches.list.is_empty());
}

#[test]
fn times_to_live() {
    let mut benches = Benches::new(&["--rcheck --rttl", "--set"]);
    let answers: Vec<_> =
        [64, 64, 63, 63, 64].iter().map(|ttl| benches.packet(0, 1, *ttl)[0]).collect();
    assert_eq!(answers, [false, true, false, true, false]);
    let answers: Vec<_> = [0, 63, 64, 0].iter().map(|ttl| benches.packet(0, 1, *ttl)[0]).collect();
    assert_eq!(answers, [true, true, false, true]);
}

/// Found by comparing with the kernel.
#[test]
fn the_first_rule_in_the_file_gives_the_mask() {
    let text = "*mangle\n:PREROUTING ACCEPT\n:one -\n-A one -m recent --rcheck --mask 255.255.0.0\n\
                -A PREROUTING -m recent --set\nCOMMIT\n";
    let ruleset = crate::syntax::iptables_save::parse(text, Family::V4).unwrap();
    let mut stores = Stores::new(0);
    stores.declare(core::iter::once(&ruleset));
    let list = stores.recent.at(0).map(|list| list.mask);
    assert_eq!(list, Some(Address::v4([255, 255, 0, 0]).0));
}

#[test]
fn a_list_holds_so_many() {
    let mut benches = Benches::new(&["--set", "--rcheck --hitcount 2"]);
    for host in 1..=ENTRIES_MAX as u8 {
        benches.packet(0, host, 64);
    }
    assert_eq!(benches.packet(0, 1, 64), [true, true]);
    benches.packet(0, 101, 64);
    assert_eq!(benches.list.len(), ENTRIES_MAX);
    assert!(benches.packet(0, 1, 64)[1]);
    assert!(!benches.packet(0, 2, 64)[1], "it was the least recent one");
    let mut list = List::new([0; 16]);
    list.want(4);
    (0..9).for_each(|now| list.note((Family::V4, [0; 16]), 1, now));
    assert_eq!(list.entries[&(Family::V4, [0; 16])].stamps, [5, 6, 7, 8]);
}

#[test]
fn by_packets() {
    let mut bench = Bench::new(Family::V4, "-m recent --rcheck -m recent --set");
    assert_eq!(bench.answer(&ipv4(17, &[])), Answer::No);
    let mut bench = Bench::new(Family::V4, "-m recent --set -m recent ! --rcheck --hitcount 2");
    assert_eq!(bench.answer(&ipv4(17, &[])), Answer::Yes);
    assert_eq!(bench.answer(&ipv4(17, &[])), Answer::No);
    // The first rule's mask goes for both.
    let rule = "-m recent --set --mask ffff:: -m recent --rcheck --rdest --hitcount 2";
    let mut bench = Bench::new(Family::V6, rule);
    assert_eq!(bench.answer(&ipv6(17, &[])), Answer::No);
    assert_eq!(bench.answer(&ipv6(17, &[])), Answer::Yes);
}
