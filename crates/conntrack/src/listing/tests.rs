//! The expected lines were printed by conntrack-tools 1.4.7.

extern crate std;

use super::*;
use crate::CtStatus;
use crate::helpers::Name;
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use core::time::Duration;
use keepstate_packet::Address;
use std::{net::IpAddr, string::ToString};

fn tuple(source: &str, destination: &str, ports: (u16, u16), protocol: u8) -> Tuple {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let family = if source.contains(':') { Family::V6 } else { Family::V4 };
    Tuple {
        source: Address::from(ip(source)),
        destination: Address::from(ip(destination)),
        source_port: ports.0,
        destination_port: ports.1,
        protocol,
        family,
    }
}

fn snapshot(original: Tuple, reply: Tuple, status: CtStatus, seconds: u64) -> Snapshot {
    Snapshot {
        original,
        reply,
        status,
        timeout: Some(Duration::from_secs(seconds)),
        protocol_state: None,
        tags: None,
        mark: 0,
        helper: None,
        master: None,
        counters: None,
        zone: Zone::default(),
        announcement: None,
        age: None,
        secctx: None,
        labels: 0,
    }
}

fn extended(snapshot: &Snapshot, children_count: usize) -> std::string::String {
    Extended { snapshot, children_count }.to_string()
}

#[test]
fn tcp_with_counters_helper_and_a_child() {
    let original = tuple("10.0.0.2", "10.0.0.1", (50804, 21), 6);
    let reply = tuple("10.0.0.1", "10.0.0.2", (21, 50804), 6);
    let connection = Snapshot {
        protocol_state: Some("ESTABLISHED"),
        tags: None,
        helper: Some(Name::usual("ftp")),
        counters: Some([(5, 274), (4, 269)]),
        ..snapshot(original, reply, CtStatus::SEEN_REPLY | CtStatus::ASSURED, 431_998)
    };
    assert_eq!(
        extended(&connection, 1),
        "ipv4     2 tcp      6 431998 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=50804 dport=21 \
         packets=5 bytes=274 src=10.0.0.1 dst=10.0.0.2 sport=21 dport=50804 packets=4 bytes=269 \
         [ASSURED] mark=0 helper=ftp use=2"
    );
}

#[test]
fn icmp_and_what_nothing_is_known_of() {
    let original = tuple("fd00:9::1", "fd00:9::2", (19625, 128 << 8), 58);
    let reply = tuple("fd00:9::2", "fd00:9::1", (19625, 129 << 8), 58);
    assert_eq!(
        extended(&snapshot(original, reply, CtStatus::CONFIRMED, 28), 0),
        "ipv6     10 icmpv6   58 28 src=fd00:9::1 dst=fd00:9::2 type=128 code=0 id=19625 \
         [UNREPLIED] src=fd00:9::2 dst=fd00:9::1 type=129 code=0 id=19625 mark=0 use=1"
    );
    let original = tuple("10.9.0.1", "10.9.0.2", (0, 0), 99);
    let reply = tuple("10.9.0.2", "10.9.0.1", (0, 0), 99);
    assert_eq!(
        extended(&snapshot(original, reply, CtStatus::CONFIRMED, 599), 0),
        "ipv4     2 unknown  99 599 src=10.9.0.1 dst=10.9.0.2 [UNREPLIED] src=10.9.0.2 \
         dst=10.9.0.1 mark=0 use=1"
    );
}

#[test]
fn events_show_a_mark_only_when_there_is_one() {
    let original = tuple("10.0.0.2", "10.0.0.1", (50804, 21), 6);
    let reply = tuple("10.0.0.1", "10.0.0.2", (21, 50804), 6);
    let snapshot = Snapshot {
        protocol_state: Some("SYN_SENT"),
        tags: None,
        helper: Some(Name::usual("ftp")),
        ..snapshot(original, reply, CtStatus::CONFIRMED, 120)
    };
    let line = |snapshot: &Snapshot| EventLine { kind: Kind::New, snapshot }.to_string();
    assert_eq!(
        line(&snapshot),
        "    [NEW] tcp      6 120 SYN_SENT src=10.0.0.2 dst=10.0.0.1 sport=50804 dport=21 \
         [UNREPLIED] src=10.0.0.1 dst=10.0.0.2 sport=21 dport=50804 helper=ftp"
    );
    assert!(line(&Snapshot { mark: 7, ..snapshot }).ends_with("dport=50804 mark=7 helper=ftp"));
}

#[test]
fn zones_of_both_directions_and_of_one() {
    let original = tuple("10.9.0.1", "10.9.0.2", (57075, 1), 17);
    let reply = tuple("10.9.0.2", "10.9.0.1", (1, 57075), 17);
    let zoned = |zone| Snapshot {
        mark: 9,
        zone,
        age: Some(Duration::ZERO),
        ..snapshot(original, reply, CtStatus::CONFIRMED, 30)
    };
    assert_eq!(
        extended(&zoned(Zone::both(5)), 0),
        "ipv4     2 udp      17 30 src=10.9.0.1 dst=10.9.0.2 sport=57075 dport=1 [UNREPLIED] \
         src=10.9.0.2 dst=10.9.0.1 sport=1 dport=57075 mark=9 zone=5 delta-time=0 use=1"
    );
    assert_eq!(
        extended(&zoned(Zone::one(6, Direction::Original)), 0),
        "ipv4     2 udp      17 30 src=10.9.0.1 dst=10.9.0.2 sport=57075 dport=1 zone-orig=6 \
         [UNREPLIED] src=10.9.0.2 dst=10.9.0.1 sport=1 dport=57075 mark=9 delta-time=0 use=1"
    );
    assert_eq!(
        extended(&zoned(Zone::one(7, Direction::Reply)), 0),
        "ipv4     2 udp      17 30 src=10.9.0.1 dst=10.9.0.2 sport=57075 dport=1 [UNREPLIED] \
         src=10.9.0.2 dst=10.9.0.1 sport=1 dport=57075 zone-reply=7 mark=9 delta-time=0 use=1"
    );
}
