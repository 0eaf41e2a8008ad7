//! Times and limits; what becomes of an answer stands in the oracle's recordings.

use super::number;
use crate::testing::{Peers, Wire};
use crate::{CtState, Sysctls};
use core::time::Duration;
use keepstate_packet::{Family, tcp::SYN, udp};
use std::vec::Vec;

const CLIENT: u16 = 20_001;
const ANSWER: &[u8] = b"REP\nCONNECT DATA 2001 MESG 2002 INDEX 2003 STATE 2004\n";

fn wire(peers: Peers, sysctls: Sysctls) -> Wire {
    let family = if peers.source.is_ipv4() { Family::V4 } else { Family::V6 };
    let mut wire = Wire::with(sysctls);
    wire.template.helper = super::super::Instance::named("amanda", family, udp::PROTOCOL);
    wire.send(&peers.udp((CLIENT, 10_080), b"REQ\n")).expect("it arrives");
    wire.template.helper = None;
    wire
}

fn remaining(wire: &Wire) -> Option<Duration> {
    let conn = *wire.table.connections(wire.now).first()?;
    wire.table.remaining(wire.now, conn)
}

#[test]
fn four_connections_from_the_server_that_asked() {
    for peers in [Peers::new("10.1.0.2", "10.2.0.2"), Peers::new("fd00:1::2", "fd00:2::2")] {
        let mut wire = wire(peers, Sysctls::default());
        wire.send(&peers.turned().udp((10_080, CLIENT), ANSWER)).expect("it arrives");
        for port in 2001..=2004 {
            let state = wire.state(&peers.tcp((9, port), SYN, (1, 0), b"")).0;
            assert_eq!(state, CtState::Related, "{port}");
        }
        assert_eq!(wire.state(&peers.tcp((9, 2005), SYN, (1, 0), b"")).0, CtState::New);
    }
}

#[test]
fn a_fifth_takes_the_place_of_the_first() {
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let mut wire = wire(peers, Sysctls::default());
    wire.send(&peers.turned().udp((10_080, CLIENT), ANSWER)).expect("it arrives");
    let more = b"REP\nCONNECT DATA 2005\n";
    wire.send(&peers.turned().udp((10_080, CLIENT), more)).expect("it arrives");
    let expected = wire.table.expectations(wire.now);
    let ports: Vec<_> = expected.iter().map(|e| e.original.destination_port).collect();
    assert_eq!(ports, [2002, 2003, 2004, 2005]);
}

#[test]
fn an_answer_of_any_kind_lets_the_connection_live_for_master_timeout() {
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    for (value, seconds) in [(None, 300), (Some("1234"), 1234)] {
        let mut sysctls = Sysctls::default();
        if let Some(value) = value {
            sysctls.set("nf_conntrack_amanda.master_timeout", value).expect("in range");
        }
        let mut wire = wire(peers, sysctls);
        assert_eq!(remaining(&wire), Some(Duration::from_secs(30)));
        for answer in [&b""[..], b"ACK\n", ANSWER] {
            wire.wait(Duration::from_secs(1));
            wire.send(&peers.turned().udp((10_080, CLIENT), answer)).expect("it arrives");
            assert_eq!(remaining(&wire), Some(Duration::from_secs(seconds)));
        }
        wire.send(&peers.udp((CLIENT, 10_080), b"REQ\n")).expect("it arrives");
        assert_eq!(remaining(&wire), Some(Duration::from_secs(120)), "the server's own word");
    }
}

#[test]
fn numbers() {
    let cases: [(&[u8], (u16, usize)); 8] = [
        (b"2001 ", (2001, 4)),
        (b"2001", (2001, 4)),
        (b"65535", (65_535, 5)),
        (b"65536", (0, 5)),
        (b"70000", (4464, 5)),
        (b"123456", (12_345, 5)),
        (b"", (0, 0)),
        (b" 1", (0, 0)),
    ];
    for (text, expected) in cases {
        assert_eq!(number(text), expected);
    }
}
