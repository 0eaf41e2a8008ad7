//! What Linux 6.18 made of broadcasts of its own; the oracle asks it again.

use crate::testing::{Peers, Wire};
use crate::{CtState, Direction, Sysctls};
use core::time::Duration;
use keepstate_packet::{Family, udp};

const CLIENT: u16 = 20_001;

fn query() -> Peers {
    Peers::new("10.1.0.2", "10.1.0.255")
}

/// A query to the broadcast address of a network with this prefix length.
fn wire(helper: &str, port: u16, prefix: Option<u8>, sysctls: Sysctls) -> Wire {
    let mut wire = Wire::with(sysctls);
    wire.broadcast_prefix = prefix;
    wire.template.helper = super::super::Instance::named(helper, Family::V4, udp::PROTOCOL);
    wire.send(&query().udp((CLIENT, port), b"?")).expect("it arrives");
    wire.template.helper = None;
    wire
}

#[test]
fn anybody_on_the_network_may_answer_while_there_is_time() {
    for (helper, port, seconds) in [("netbios-ns", 137, 3), ("snmp", 161, 30)] {
        let mut wire = wire(helper, port, Some(24), Sysctls::default());
        let expected = wire.table.expectations(wire.now);
        assert_eq!(expected.first().and_then(|e| e.timeout), Some(Duration::from_secs(seconds)));
        let conn = wire.table.connections(wire.now)[0];
        let left = wire.table.remaining(wire.now, conn);
        assert_eq!(left, Some(Duration::from_secs(seconds)), "and so does the query's connection");
        for (host, port, state) in [
            ("10.1.0.7", port, CtState::Related),
            ("10.1.0.8", port, CtState::Related),
            ("10.1.1.7", port, CtState::New),
            ("10.1.0.9", port + 1, CtState::New),
        ] {
            let answer = Peers::new(host, "10.1.0.2").udp((port, CLIENT), b"!");
            let expected = (state, Some(Direction::Original));
            assert_eq!(wire.state(&answer), expected, "{helper} {host}:{port}");
        }
        wire.wait(Duration::from_secs(seconds));
        let late = Peers::new("10.1.0.10", "10.1.0.2").udp((port, CLIENT), b"!");
        assert_eq!(wire.state(&late).0, CtState::New);
    }
}

#[test]
fn nothing_is_expected_of_what_is_no_broadcast_of_the_host() {
    for prefix in [None, Some(0)] {
        let wire = wire("netbios-ns", 137, prefix, Sysctls::default());
        assert!(wire.table.expectations(wire.now).is_empty());
        let conn = wire.table.connections(wire.now)[0];
        assert_eq!(wire.table.remaining(wire.now, conn), Some(Duration::from_secs(30)));
    }
}

#[test]
fn answers_to_a_query_on_another_port_come_from_the_helper_s_own() {
    let mut wire = wire("snmp", 1161, Some(24), Sysctls::default());
    let answer = |port| Peers::new("10.1.0.7", "10.1.0.2").udp((port, CLIENT), b"!");
    assert_eq!(wire.state(&answer(1161)).0, CtState::New);
    assert_eq!(wire.state(&answer(161)).0, CtState::Related);
}

#[test]
fn the_modules_timeouts() {
    for (helper, port, name) in [
        ("netbios-ns", 137, "nf_conntrack_netbios_ns.timeout"),
        ("snmp", 161, "nf_conntrack_snmp.timeout"),
    ] {
        let mut sysctls = Sysctls::default();
        sysctls.set(name, "77").expect("in range");
        let wire = wire(helper, port, Some(24), sysctls);
        let expected = wire.table.expectations(wire.now);
        assert_eq!(expected.first().and_then(|e| e.timeout), Some(Duration::from_secs(77)));
    }
}
