//! What Linux 6.18 made of these datagrams.

use crate::table::Drop;
use crate::testing::{Elsewhere, Peers, Wire};
use crate::tuple::Direction;
use crate::{CtState, Sysctls};
use core::time::Duration;
use keepstate_packet::{Family, Instant, Parsed, udp};
use std::vec::Vec;

const CLIENT: u16 = 20_001;

fn wire(peers: Peers) -> Wire {
    let family = if peers.source.is_ipv4() { Family::V4 } else { Family::V6 };
    let mut wire = Wire::new();
    wire.table.set_events_max(16);
    wire.template.helper = super::super::Instance::named("tftp", family, udp::PROTOCOL);
    wire
}

fn both() -> [Peers; 2] {
    [Peers::new("10.1.0.2", "10.2.0.2"), Peers::new("fd00:1::2", "fd00:2::2")]
}

#[test]
fn opcodes() {
    let cases: &[(&[u8], bool)] = &[
        (b"", false),
        (b"\0", false),
        (b"\0\x01", true),
        (b"\0\x01file\0octet\0", true),
        (b"\0\x02", true),
        (b"\0\x02file\0octet\0", true),
        (b"\0\0", false),
        (b"\0\x03\0\x01", false),
        (b"\0\x04\0\x01", false),
        (b"\0\x05\0\x01no\0", false),
        (b"\0\x06blksize\x001432\0", false),
        (b"\x01\0file\0octet\0", false),
        (b"\x02\0file\0octet\0", false),
        (b"\x01\x01file\0octet\0", false),
        (b"\x01", false),
        (b"\0\x81", false),
        (b"\0\x01\0\0\0\0", true),
    ];
    for peers in both() {
        for (payload, expected) in cases {
            let mut wire = wire(peers);
            wire.send(&peers.udp((CLIENT, 69), payload)).expect("it arrives");
            let found = wire.table.expectations(wire.now).len();
            assert_eq!(found, usize::from(*expected), "{}", payload.escape_ascii());
        }
    }
}

#[test]
fn the_transfer_is_related_from_any_port_of_the_server() {
    for peers in both() {
        let mut wire = wire(peers);
        wire.send(&peers.udp((CLIENT, 69), b"\0\x01f\0octet\0")).expect("it arrives");
        wire.template.helper = None;
        let data = peers.turned().udp((3000, CLIENT), b"\0\x03\0\x01x");
        assert_eq!(wire.state(&data), (CtState::Related, Some(Direction::Original)));
        let other = peers.turned().udp((3001, CLIENT), b"\0\x03\0\x01x");
        assert_eq!(wire.state(&other), (CtState::New, Some(Direction::Original)), "it serves once");
    }
}

#[test]
fn a_request_of_the_server_asks_for_the_client_s_port_too() {
    let [peers, _] = both();
    let mut wire = wire(peers);
    wire.send(&peers.udp((CLIENT, 69), b"\0\x05")).expect("it arrives");
    wire.send(&peers.turned().udp((69, CLIENT), b"\0\x02f\0octet\0")).expect("it arrives");
    let expected = wire.table.expectations(wire.now);
    let tuples: Vec<_> =
        expected.iter().map(|e| (e.original.source, e.original.destination_port)).collect();
    assert_eq!(tuples, [(peers.destination.into(), CLIENT)]);
}

#[test]
fn a_dropped_first_request_leaves_nothing() {
    let [peers, _] = both();
    let mut wire = wire(peers);
    let request = peers.udp((CLIENT, 69), b"\0\x01f\0octet\0");
    let parsed = Parsed::new(&request).expect("an IP packet");
    let tracked = wire.track(&request).expect("it is tracked");
    wire.table
        .help(wire.now, &tracked, &parsed, &request, &Elsewhere::default())
        .expect("it is expected");
    assert_eq!(wire.table.expectations(wire.now).len(), 1);
    let data = peers.turned().udp((3000, CLIENT), b"\0\x03\0\x01x");
    wire.template.helper = None;
    assert_eq!(wire.state(&data).0, CtState::New, "the master is not confirmed");
    wire.table.discard(wire.now, &tracked);
    assert!(wire.table.expectations(wire.now).is_empty());
    assert_eq!(wire.table.count(), 1);
}

#[test]
fn what_another_connection_expects_is_refused_and_the_request_dropped() {
    let [peers, _] = both();
    let mut wire = wire(peers);
    wire.send(&peers.udp((CLIENT, 69), b"\0\x01f\0octet\0")).expect("it arrives");
    let second = peers.udp((CLIENT, 70), b"\0\x01f\0octet\0");
    assert_eq!(wire.send(&second), Err(Drop::Helper));
    assert_eq!(wire.table.count(), 1);
}

#[test]
fn it_is_refreshed_by_a_repetition_and_waits_five_minutes() {
    let [peers, _] = both();
    let mut wire = Wire { now: Instant(5), ..Wire::with(Sysctls::default()) };
    wire.template.helper = super::super::Instance::named("tftp", Family::V4, udp::PROTOCOL);
    let request = peers.udp((CLIENT, 69), b"\0\x01f\0octet\0");
    wire.send(&request).expect("it arrives");
    wire.wait(Duration::from_secs(20));
    wire.send(&request).expect("it arrives");
    let expected = wire.table.expectations(wire.now);
    let times: Vec<_> = expected.iter().map(|e| e.timeout).collect();
    assert_eq!(times, [Some(Duration::from_secs(300))]);
}
