//! GRE without PPTP, and the key map.

use super::*;
use crate::testing::{Peers, Wire};
use crate::{CtState, Direction, Sysctls};
use core::time::Duration;
use std::vec::Vec;

fn peers() -> Peers {
    Peers::new("10.1.0.2", "198.51.100.7")
}

fn version_1(peers: Peers, call: u16) -> Vec<u8> {
    let [high, low] = call.to_be_bytes();
    peers.packet(47, &[0x30, 1, 0x88, 0x0b, 0, 0, high, low, 0, 0, 0, 0])
}

fn tuple(source_key: u16, destination_key: u16) -> Tuple {
    Tuple {
        source: Address::v4([10, 1, 0, 2]),
        destination: Address::v4([198, 51, 100, 7]),
        source_port: source_key,
        destination_port: destination_key,
        protocol: 47,
        family: Family::V4,
    }
}

#[test]
fn the_older_of_two_about_the_same_packets_holds() {
    let mut map = KeyMap::default();
    let older = map.insert(&tuple(1, 9));
    let newer = map.insert(&tuple(2, 9));
    assert!(older.is_about(&tuple(7, 9)) && !older.is_about(&tuple(1, 8)));
    assert_eq!(map.source_key(&tuple(0, 9)), 1);
    assert_eq!(map.source_key(&tuple(0, 8)), 0, "nobody has said");
    map.remove(&older);
    assert_eq!(map.source_key(&tuple(0, 9)), 2);
    map.remove(&newer);
    map.remove(&newer);
    assert_eq!(map.source_key(&tuple(0, 9)), 0);
}

/// Version 0, keyed or not, and a header that is cut are one connection between two ends; version 1
/// is one for each call and direction where PPTP has said nothing of it.
#[test]
fn what_tells_packets_apart() {
    let mut wire = Wire::new();
    let new = (CtState::New, Some(Direction::Original));
    assert_eq!(wire.state(&peers().packet(47, &[0, 0, 8, 0])), new);
    assert_eq!(wire.state(&peers().packet(47, &[0x20, 0, 8, 0, 0, 0, 0, 9])), new);
    assert_eq!(wire.state(&peers().packet(47, &[0x30, 1, 0x88])), new);
    assert_eq!(wire.table.count(), 1);
    assert_eq!(wire.state(&version_1(peers(), 9)), new);
    assert_eq!(wire.state(&version_1(peers().turned(), 7)), new);
    assert_eq!(wire.table.count(), 3);
    let other = peers().packet(47, &[0x30, 1, 0x08, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
    assert_eq!(wire.state(&other), (CtState::Invalid, None), "version 1 is PPTP's");
    assert!(wire.listing()[1].contains(" srckey=0x0 dstkey=0x9 [UNREPLIED] "));
}

/// How long it lasts was settled with the first packet.
#[test]
fn changed_sysctls_are_for_new_connections() {
    let mut wire = Wire::with(Sysctls::default());
    let packet = peers().packet(47, &[0, 0, 8, 0]);
    wire.state(&packet);
    wire.table.sysctls_mut().set("nf_conntrack_gre_timeout", "7").expect("known");
    wire.table.sysctls_mut().set("nf_conntrack_gre_timeout_stream", "8").expect("known");
    wire.wait(Duration::from_secs(10));
    wire.state(&packet);
    assert!(wire.listing()[0].starts_with("ipv4     2 gre      47 30 "));
    let answer = peers().turned().packet(47, &[0, 0, 8, 0]);
    wire.state(&answer);
    wire.state(&answer);
    assert!(wire.listing()[0].starts_with("ipv4     2 gre      47 180 "));
    wire.state(&version_1(peers(), 9));
    assert!(wire.listing()[1].starts_with("ipv4     2 gre      47 7 "));
}

/// The packet that an error is about shows the identifier of its receiver, too.
#[test]
fn an_error_about_a_call() {
    let mut wire = Wire::new();
    wire.state(&version_1(peers(), 9));
    let error = peers().turned().icmp(3, 3, 0, &version_1(peers(), 9));
    assert_eq!(wire.state(&error), (CtState::Related, Some(Direction::Reply)));
    let error = peers().turned().icmp(3, 3, 0, &version_1(peers(), 8));
    assert_eq!(wire.state(&error), (CtState::Invalid, None));
}
