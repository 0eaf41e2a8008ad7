//! What the host tells itself, and what rules know of it: loopback, addresses on one interface, the
//! connection of a packet that tracking does not take; who is told nothing.

mod traffic;

use keepstate_conntrack::Sysctls;
use keepstate_engine::{Command, Engine, Reply, Verdict};
use keepstate_packet::{Family, checksum::Sum};
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_save;
use traffic::{START, router, rules, send, tcp};

fn rules_v6(source: &str) -> Ruleset {
    iptables_save::parse(source, Family::V6).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Packets by rule of the chains of a table that have any, in their order.
fn packets(engine: &mut Engine, family: Family, table: TableName) -> Vec<Vec<u64>> {
    let Ok(Reply::Counters(all)) = engine.handle_command(START, Command::Counters(family)) else {
        panic!("counters are counters");
    };
    let of_table = all.into_iter().filter(|chain| chain.table == table);
    let rules = of_table.map(|mut chain| {
        chain.counters.pop();
        chain.counters.into_iter().map(|(packets, _)| packets).collect()
    });
    rules.filter(|packets: &Vec<u64>| !packets.is_empty()).collect()
}

/// A UDP datagram over IPv6.
fn datagram(source: &str, destination: &str, hops: u8) -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let mut out = vec![0x60, 0, 0, 0, 0, 8, 17, hops];
    out.extend(address(source));
    out.extend(address(destination));
    out.extend([4, 0, 0, 53, 0, 8, 0, 0]);
    out
}

#[test]
fn an_error_for_the_host_itself_comes_back_on_loopback() {
    let source = "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                  :POSTROUTING ACCEPT [0:0]\n-A PREROUTING -i lo -p ipv6-icmp -m mark --mark 5\n\
                  -A PREROUTING -i lo -m mac ! --mac-source 02:00:00:00:00:01\n\
                  -A PREROUTING -i lo -m rpfilter\n\
                  -A PREROUTING -i lo -m devgroup --src-group 0\n\
                  -A INPUT -i lo -m state --state RELATED\n\
                  -A OUTPUT -o lo -j MARK --set-mark 5\n-A OUTPUT -o eth0\n-A POSTROUTING -o lo\nCOMMIT\n";
    let mut engine = router(Sysctls::default(), vec![rules_v6(source)]);
    let mut last = datagram("fd4d:4154:a::1", "2001:db8::1", 1);
    assert_eq!(send(&mut engine, START, &mut last, 1).verdict, Verdict::Drop);
    assert!(engine.poll_transmit().is_none(), "nothing leaves");
    assert_eq!(
        packets(&mut engine, Family::V6, TableName::Mangle),
        [vec![1, 0, 1, 1], vec![1], vec![1, 0], vec![1]]
    );
    let mut other = datagram("2001:db8::2", "2001:db8::1", 1);
    send(&mut engine, START, &mut other, 1);
    assert!(engine.poll_transmit().is_some(), "one for somebody else does");
    assert_eq!(packets(&mut engine, Family::V6, TableName::Mangle)[1], [1]);
}

#[test]
fn ways_out_by_other_interfaces_do_not_count_where_a_rule_names_one() {
    let line = |way: &str, kind: &str| {
        format!("-A FORWARD -m addrtype --dst-type {kind} --limit-iface-{way}\n")
    };
    let lines: String = [("in", "UNREACHABLE"), ("out", "UNREACHABLE"), ("in", "LOCAL,ANYCAST")]
        .map(|(way, kind)| line(way, kind))
        .concat();
    let source = format!("*filter\n:FORWARD ACCEPT [0:0]\n{lines}COMMIT\n");
    let mut engine = router(Sysctls::default(), vec![rules_v6(&source)]);
    // The only way there is the default route out of eth1.
    for (came_on, wanted) in [(0, [1, 0, 0]), (1, [1, 0, 0])] {
        let mut one = datagram("fd00:a::1", "2001:db8::1", 64);
        send(&mut engine, START, &mut one, came_on);
        assert_eq!(packets(&mut engine, Family::V6, TableName::Filter), [wanted], "{came_on}");
    }
    // Nobody's address at all is no other than these.
    send(&mut engine, START, &mut datagram("fd00:a::1", "::", 64), 0);
    assert_eq!(packets(&mut engine, Family::V6, TableName::Filter), [[2, 0, 0]]);
}

#[test]
fn connlimit_counts_the_connection_of_what_is_invalid() {
    let source = "*filter\n:FORWARD ACCEPT [0:0]\n\
                  -A FORWARD -p tcp -m connlimit --connlimit-above 1 --connlimit-mask 0\n\
                  -A FORWARD -p tcp -m connlimit --connlimit-above 2 --connlimit-mask 0\nCOMMIT\n";
    let mut engine = router(Sysctls::default(), vec![rules(source)]);
    let client = |port| ([10, 0, 0, 1], port);
    let server = ([192, 0, 2, 1], 80);
    // No segment has both SYN and FIN. In the other direction it is counted for itself, but once.
    for (mut bytes, side, wanted) in [
        (tcp(client(1), server, 0x02, (100, 0)), 0, [0, 0]),
        (tcp(client(1), server, 0x03, (100, 0)), 0, [0, 0]),
        (tcp(server, client(1), 0x03, (100, 0)), 1, [1, 0]),
        (tcp(server, client(1), 0x03, (100, 0)), 1, [2, 0]),
        (tcp(client(2), server, 0x03, (100, 0)), 0, [3, 1]),
    ] {
        send(&mut engine, START, &mut bytes, side);
        assert_eq!(packets(&mut engine, Family::V4, TableName::Filter), [wanted]);
    }
}

#[test]
fn no_reset_comes_from_nobody() {
    let source = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT\n";
    let mut engine = router(Sysctls::default(), vec![rules_v6(source)]);
    for (from, to, answered) in [
        ("fd00:a::2", "2001:db8::1", true),
        ("fd00:a::2", "::", false),
        ("fd00:a::2", "::ffff:10.0.0.1", false),
        ("::ffff:10.0.0.1", "2001:db8::1", false),
    ] {
        let mut bytes = datagram(from, to, 64);
        (bytes[5], bytes[6]) = (20, 6);
        bytes.truncate(40);
        let mut segment = [4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0];
        let sum = Sum::ZERO.bytes(&bytes[8..40]).number(6).number(20).bytes(&segment).checksum();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(segment);
        assert_eq!(send(&mut engine, START, &mut bytes, 0).verdict, Verdict::Reject);
        assert_eq!(engine.poll_transmit().is_some(), answered, "{from} to {to}");
    }
}

#[test]
fn behind_long_headers_another_octet_names_what_was_in_the_fragment() {
    let mut engine = router(Sysctls::default(), vec![]);
    let mut bytes = datagram("fd00:a::1", "2001:db8::1", 64);
    let datagram = bytes.split_off(40);
    bytes[6] = 43;
    let mut routing = vec![60, 32, 3, 0];
    routing.resize(264, 0);
    let options = [44, 0, 1, 4, 0, 0, 0, 0];
    let fragment = [17, 0, 0, 0, 0, 0, 0, 1];
    for part in [&routing[..], &options, &fragment, &datagram] {
        bytes.extend(part);
    }
    let length = u16::try_from(bytes.len() - 40).unwrap();
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    send(&mut engine, START, &mut bytes, 0);
    let out = engine.poll_transmit().map(|sent| sent.bytes).unwrap_or(bytes);
    assert_eq!((out[304], out[304 & 0xff]), (44, 17));
}

#[test]
fn what_a_rule_sends_elsewhere_leaves_by_the_way_there() {
    let source = "*mangle\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j DNPT --src-pfx ::/0 --dst-pfx fd4d:4154:a::/64\nCOMMIT\n";
    for (rulesets, wanted) in [(vec![], 1), (vec![rules_v6(source)], 0)] {
        let mut engine = router(Sysctls::default(), rulesets);
        send(&mut engine, START, &mut datagram("2001:db8::2", "2001:db8::1", 1), 1);
        let error = engine.poll_transmit().expect("an error");
        assert_eq!(error.interface.0, wanted);
    }
}
