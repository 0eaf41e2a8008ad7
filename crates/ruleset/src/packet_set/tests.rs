use super::*;
use crate::syntax::iptables_save;
use alloc::format;
use keepstate_packet::Family;

fn set(family: Family, table: &str, chain: &str, rule: &str) -> PacketSet {
    let source = format!("*{table}\n-A {chain} {rule}\nCOMMIT\n");
    let ruleset = iptables_save::parse(&source, family)
        .unwrap_or_else(|faults| panic!("{}", faults[0].render(rule, &source)));
    let mut rules = ruleset.tables[0].chains.iter().flat_map(|chain| &chain.rules);
    PacketSet::of_rule(rules.next().expect("a rule"))
}

/// Whether the first covers the second, and the second the first.
fn both(one: &str, other: &str) -> [bool; 2] {
    let [one, other] = [one, other].map(|rule| set(Family::V4, "mangle", "FORWARD", rule));
    assert_eq!(one.covers(&one), !has_opaque(&one));
    [one.covers(&other), other.covers(&one)]
}

fn has_opaque(one: &PacketSet) -> bool {
    matches!(one, PacketSet::All(all) if all.contains(&PacketSet::Opaque))
}

const WIDER: [bool; 2] = [true, false];
const APART: [bool; 2] = [false, false];
const EQUAL: [bool; 2] = [true, true];

#[test]
fn which_rule_covers_which() {
    for (one, other, expected) in [
        ("", "-p tcp", WIDER),
        ("-s 10.0.0.0/8", "-s 10.1.0.0/16", WIDER),
        ("-s 10.0.0.0/8", "-s 11.1.0.0/16", APART),
        ("! -s 10.0.0.0/8", "-s 11.0.0.0/8", WIDER),
        ("! -s 10.1.0.0/16", "! -s 10.0.0.0/8", WIDER),
        ("-s 10.0.0.1/255.0.0.255", "-s 10.9.9.1", WIDER),
        ("-s 10.0.0.1/255.0.0.255", "-s 10.0.9.1/255.0.255.255", WIDER),
        ("-s 10.0.0.1/255.0.0.255", "-s 10.0.0.0/8", APART),
        ("-p tcp", "-p tcp -m tcp --dport 22", WIDER),
        ("! -p udp", "-p tcp", WIDER),
        ("-p tcp -m tcp --dport 20:25", "-p tcp -m tcp --sport 1 --dport 22", WIDER),
        ("-p tcp -m tcp ! --dport 22", "-p tcp -m tcp --dport 80:90", WIDER),
        // Of a later fragment multiport says no, and tcp what its bytes say.
        ("-p tcp -m tcp --dport 22", "-p tcp -m multiport --dports 22", WIDER),
        ("-p tcp -m multiport --dports 22,80:90", "-p tcp -m multiport --dports 85,22", WIDER),
        ("-p tcp -m multiport --ports 22,80", "-p tcp -m multiport --dports 80", WIDER),
        ("-p tcp -m multiport ! --ports 22", "-p tcp -m multiport --dports 80", APART),
        ("-p tcp -m multiport ! --dports 22", "-p tcp -m multiport ! --ports 22,80", WIDER),
        ("-p tcp -m tcp --tcp-flags SYN SYN", "-p tcp -m tcp --syn", WIDER),
        ("-p tcp -m tcp --syn", "-p tcp -m tcp ! --syn", APART),
        ("-p tcp -m tcp", "-p tcp", [false, true]),
        ("-p icmp -m icmp --icmp-type 3", "-p icmp -m icmp --icmp-type 3/4", WIDER),
        ("-p icmp -m icmp --icmp-type any", "-p icmp -m icmp --icmp-type 8", WIDER),
        ("-m state --state NEW,ESTABLISHED", "-m conntrack --ctstate NEW", WIDER),
        ("-m state ! --state INVALID", "-m conntrack --ctstate RELATED,NEW", WIDER),
        (
            "-m state --state NEW",
            "-m conntrack ! --ctstate INVALID,RELATED,UNTRACKED,ESTABLISHED",
            EQUAL,
        ),
        ("-m conntrack --ctstate NEW", "-m conntrack --ctstate NEW --ctproto 6", WIDER),
        ("-i eth0", "-i eth0 -o eth1", WIDER),
        ("-i eth+", "-i eth0", WIDER),
        ("-i eth+", "-i et+", [false, true]),
        ("! -i eth0", "-i eth1", WIDER),
        ("! -i eth0", "-i eth+", APART),
        ("! -i eth0", "! -i eth+", WIDER),
        ("! -f", "-f", APART),
        ("-m length --length 10:90", "-m length --length 20", WIDER),
        ("-m ttl --ttl-lt 5", "-m ttl --ttl-eq 4", WIDER),
        ("-m ttl --ttl-gt 254", "-m ttl --ttl-eq 255", EQUAL),
        ("-m iprange --src-range 10.0.0.0-10.0.0.9", "-s 10.0.0.4/30", WIDER),
        ("-m mark --mark 1/1", "-m mark --mark 3/7", WIDER),
        ("-m mark ! --mark 1/1", "-m mark --mark 3/7", APART),
        ("-m dscp --dscp 1", "-m tos --tos 4/0xff", WIDER),
        ("-m comment --comment one", "-m comment --comment two", EQUAL),
        (
            "-m mac --mac-source 00:11:22:33:44:55",
            "-m mac --mac-source 00:11:22:33:44:55 -s 1.2.3.4",
            WIDER,
        ),
        ("-m mac --mac-source 00:11:22:33:44:55", "-m mac --mac-source 00:11:22:33:44:56", APART),
        ("-m limit --limit 1/s", "-m limit --limit 1/s", APART),
        ("-s 10.0.0.0/8", "-s 10.0.0.1 -m limit --limit 1/s", WIDER),
        (
            "-m statistic --mode nth --every 2 --packet 0",
            "-m statistic --mode nth --every 2 --packet 0 -s 10.0.0.1",
            APART,
        ),
    ] {
        assert_eq!(both(one, other), expected, "{one} | {other}");
    }
}

#[test]
fn complements_meet_their_edges() {
    let port = Field::SourcePort;
    let within = |low, high| PacketSet::within(port, low, high, true);
    assert_eq!(within(0, 0xffff), PacketSet::In(port, Vec::new()));
    assert_eq!(within(0, 9), PacketSet::In(port, vec![(10, 0xffff)]));
    assert_eq!(within(9, 0xffff), PacketSet::In(port, vec![(0, 8)]));
    assert_eq!(within(9, 9), PacketSet::In(port, vec![(0, 8), (10, 0xffff)]));
    let all = PacketSet::within(Field::Source, 0, u128::MAX, true);
    assert_eq!(all, PacketSet::In(Field::Source, Vec::new()));
    let joined = PacketSet::among(port, vec![(5, 6), (1, 4), (9, 9), (2, 3)], false);
    assert_eq!(joined, PacketSet::In(port, vec![(1, 6), (9, 9)]));
}

#[test]
fn what_rules_change_in_between_is_said() {
    let of = |rule: &str| set(Family::V6, "mangle", "FORWARD", rule).changes();
    assert!(of("-m mark --mark 1") && of("-m hl --hl-eq 1") && of("-m dscp --dscp 1"));
    assert!(of("-m string --algo bm --string x"));
    assert!(!of("-s fd00::/8 -i eth0 -p udp -m udp --dport 53"));
}
