//! What Linux 6.18 makes of UDP and UDP-Lite, asked packet by packet.

use crate::CtState::{Established, Invalid, New};
use crate::Direction::{Original, Reply};
use crate::testing::{Peers, Wire, udp};
use crate::{CtState, Direction, Reason, Sysctls};
use core::time::Duration;
use std::vec::Vec;

const NEW: (CtState, Option<Direction>) = (New, Some(Original));
const ANSWER: (CtState, Option<Direction>) = (Established, Some(Reply));
const LATER: (CtState, Option<Direction>) = (Established, Some(Original));

fn peers() -> Peers {
    Peers::new("10.1.0.2", "10.2.0.2")
}

fn there() -> Vec<u8> {
    peers().udp((1, 2), b"x")
}

fn back() -> Vec<u8> {
    peers().turned().udp((2, 1), b"x")
}

#[test]
fn a_stream_is_answered_and_older_than_two_seconds() {
    let mut wire = Wire::new();
    assert_eq!(wire.state(&there()), NEW);
    assert_eq!(wire.state(&there()), NEW);
    assert_eq!(
        wire.listing(),
        ["ipv4     2 udp      17 30 src=10.1.0.2 dst=10.2.0.2 sport=1 dport=2 [UNREPLIED] \
          src=10.2.0.2 dst=10.1.0.2 sport=2 dport=1 mark=0 use=1"]
    );
    assert_eq!(wire.state(&back()), ANSWER);
    assert_eq!(wire.state(&there()), LATER);
    wire.wait(Duration::from_secs(1));
    assert_eq!(wire.state(&back()), ANSWER);
    let answered = "sport=1 dport=2 src=10.2.0.2 dst=10.1.0.2 sport=2 dport=1";
    let before = "ipv4     2 udp      17";
    assert_eq!(
        wire.listing(),
        [std::format!("{before} 30 src=10.1.0.2 dst=10.2.0.2 {answered} mark=0 use=1")]
    );
    wire.wait(Duration::from_millis(1001));
    assert_eq!(wire.state(&back()), ANSWER);
    assert_eq!(
        wire.listing(),
        [std::format!("{before} 120 src=10.1.0.2 dst=10.2.0.2 {answered} [ASSURED] mark=0 use=1")]
    );
}

#[test]
fn two_seconds_exactly_are_not_enough() {
    let mut wire = Wire::new();
    wire.state(&there());
    wire.state(&back());
    wire.wait(Duration::from_secs(2));
    wire.state(&back());
    assert!(!wire.listing()[0].contains("ASSURED"));
}

#[test]
fn it_expires_at_its_deadline_and_begins_anew() {
    let mut wire = Wire::new();
    wire.state(&there());
    wire.wait(Duration::from_nanos(29_999_999_999));
    assert_eq!(wire.state(&there()), NEW);
    assert_eq!(wire.table.statistics().insert, 1);
    wire.wait(Duration::from_secs(30));
    assert!(wire.listing().is_empty());
    assert_eq!(wire.state(&there()), NEW);
    assert_eq!(wire.table.statistics().insert, 2);
}

#[test]
fn lengths_and_checksums() {
    let reason = |packet: &[u8]| {
        let tracked = Wire::new().send(packet).expect("it arrives");
        tracked.invalid.map(|invalid| invalid.reason)
    };
    let header = |length| peers().packet(17, &udp((1, 2), length, b"xyz"));
    assert_eq!(reason(&header(7)), Some(Reason::Malformed));
    assert_eq!(reason(&header(8)), None);
    assert_eq!(reason(&header(11)), None);
    assert_eq!(reason(&header(12)), Some(Reason::Malformed));
    assert_eq!(reason(&peers().unfinished(17, &udp((1, 2), 11, b"xyz"))), None, "no checksum");
    let ipv6 = Peers::new("fd00::1", "fd00::2");
    assert_eq!(reason(&ipv6.unfinished(17, &udp((1, 2), 11, b"xyz"))), None, "no checksum");
    assert_eq!(reason(&peers().unfinished(17, &[0, 1, 0, 2, 0, 8, 0])), Some(Reason::Short));
    let mut wrong = there();
    wrong[28] ^= 1;
    assert_eq!(reason(&wrong), Some(Reason::BadChecksum));
    let unchecked = Sysctls { checksum: false, ..Sysctls::default() };
    assert_eq!(Wire::with(unchecked).state(&wrong), NEW);
}

#[test]
fn an_invalid_packet_leaves_the_connection_as_it_was() {
    let mut wire = Wire::new();
    wire.state(&there());
    let mut wrong = back();
    wrong[28] ^= 1;
    wire.wait(Duration::from_secs(10));
    assert_eq!(wire.state(&wrong), (Invalid, None));
    assert!(wire.listing()[0].contains(" 20 ") && wire.listing()[0].contains("UNREPLIED"));
}

/// UDP-Lite from here on. Linux takes the checksum with UDP's protocol number.
fn lite(peers: Peers, ports: (u16, u16), coverage: u16) -> Vec<u8> {
    let l4 = udp(ports, coverage, b"hello");
    let covered = if coverage == 0 { l4.len() } else { usize::from(coverage).clamp(8, l4.len()) };
    let mut header = peers.unfinished(17, &l4);
    let parsed = keepstate_packet::Parsed::new(&header).expect("an IP packet");
    let sum = keepstate_packet::checksum::Sum::pseudo_header(&parsed, 17, l4.len() as u32);
    let checksum = sum.bytes(&l4[..covered]).checksum();
    header[9] = 136;
    keepstate_packet::checksum::fill_ipv4_header(&mut header);
    header[26..28].copy_from_slice(&checksum.to_be_bytes());
    header
}

#[test]
fn udplite_coverage() {
    let state = |coverage| Wire::new().state(&lite(peers(), (1, 2), coverage)).0;
    let states = [0, 7, 8, 12, 13, 14].map(state);
    assert_eq!(states, [New, Invalid, New, New, New, Invalid]);
    let without = peers().unfinished(136, &udp((1, 2), 8, b"xx"));
    assert_eq!(Wire::new().state(&without), (Invalid, None));
}

#[test]
fn udplite_is_assured_with_the_packet_after_the_answer() {
    let mut wire = Wire::new();
    let back = lite(peers().turned(), (2, 1), 8);
    assert_eq!(wire.state(&lite(peers(), (1, 2), 8)), NEW);
    assert_eq!(wire.state(&back), ANSWER);
    assert!(wire.listing()[0].starts_with("ipv4     2 udplite  136 30 "), "{:?}", wire.listing());
    assert_eq!(wire.state(&back), ANSWER);
    assert!(wire.listing()[0].starts_with("ipv4     2 udplite  136 120 "));
    assert!(wire.listing()[0].contains("[ASSURED]"));
}
