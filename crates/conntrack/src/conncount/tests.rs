//! Counting by key, joining and leaving.

use super::*;
use crate::testing::{Peers, Wire};
use core::time::Duration;
use keepstate_packet::tcp::{RST, SYN};

fn key(rule: u64) -> Key {
    Key { rule, address: Address([0; 16]), zone: 0 }
}

fn count(wire: &mut Wire, rule: u64, packet: &[u8]) -> Option<usize> {
    let mut tracked = wire.track(packet).expect("it is tracked");
    let conn = tracked.conn.expect("a connection");
    let tuple = wire.table.tuple(conn, Direction::Original).expect("there");
    let status = wire.table.status(conn).unwrap_or_default();
    let standing = match status.contains(CtStatus::CONFIRMED) {
        _ if status.contains(CtStatus::ASSURED) => Standing::Assured,
        true => Standing::Confirmed,
        false => Standing::New,
    };
    let zone = Zone::default();
    let counted = wire.table.count_connections(wire.now, key(rule), &tuple, zone, standing);
    let _ = wire.table.confirm(wire.now, &mut tracked);
    counted
}

#[test]
fn each_rule_counts_for_itself_and_each_connection_once() {
    let mut wire = Wire::new();
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let [a, b] = [wire.table.new_count(), wire.table.new_count()];
    for port in 1..=3 {
        let packet = peers.udp((port, 53), b"");
        assert_eq!(count(&mut wire, a, &packet), Some(usize::from(port)));
        assert_eq!(count(&mut wire, a, &packet), Some(usize::from(port)));
    }
    assert_eq!(
        count(&mut wire, b, &peers.udp((3, 53), b"")),
        Some(1),
        "confirmed, but no list yet"
    );
    assert_eq!(count(&mut wire, b, &peers.udp((2, 53), b"")), Some(2), "confirmed, and a list");
    assert_eq!(count(&mut wire, b, &peers.udp((2, 53), b"")), Some(2), "there already");
    wire.table.forget_counts();
    assert_eq!(count(&mut wire, a, &peers.udp((4, 53), b"")), Some(1));
}

#[test]
fn what_has_gone_or_is_closed_leaves_after_a_tick() {
    let mut wire = Wire::new();
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let rule = wire.table.new_count();
    assert_eq!(count(&mut wire, rule, &peers.tcp((1, 80), SYN, (1, 0), b"")), Some(1));
    wire.send(&peers.turned().tcp((80, 1), RST | 0x10, (0, 2), b"")).expect("it arrives");
    assert_eq!(count(&mut wire, rule, &peers.tcp((2, 80), SYN, (1, 0), b"")), Some(2));
    wire.wait(Duration::from_millis(4));
    assert_eq!(count(&mut wire, rule, &peers.tcp((3, 80), SYN, (1, 0), b"")), Some(2));
}

/// A closed connection from this port.
fn close(wire: &mut Wire, peers: &Peers, port: u16) {
    wire.send(&peers.turned().tcp((80, port), RST | 0x10, (0, 2), b"")).expect("it arrives");
}

#[test]
fn a_packet_of_a_confirmed_connection_looks_as_far_as_itself() {
    let mut wire = Wire::new();
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let rule = wire.table.new_count();
    let syn = |port| peers.tcp((port, 80), SYN, (1, 0), b"");
    let middle = peers.udp((9, 9), b"");
    assert_eq!(count(&mut wire, rule, &syn(1)), Some(1));
    assert_eq!(count(&mut wire, rule, &middle), Some(2));
    assert_eq!(count(&mut wire, rule, &syn(2)), Some(3));
    close(&mut wire, &peers, 1);
    close(&mut wire, &peers, 2);
    assert_eq!(count(&mut wire, rule, &middle), Some(2), "the one before it leaves");
    assert_eq!(count(&mut wire, rule, &syn(3)), Some(3), "within a tick nothing is looked at");
}

#[test]
fn what_is_not_confirmed_joins_as_often_as_it_asks() {
    let mut wire = Wire::new();
    let packet = Peers::new("10.1.0.2", "10.2.0.2").udp((1, 2), b"");
    let tracked = wire.track(&packet).expect("it is tracked");
    let conn = tracked.conn.expect("a connection");
    let tuple = wire.table.tuple(conn, Direction::Original).expect("there");
    let zone = Zone::default();
    for wanted in 1..=3 {
        let counted = wire.table.count_connections(wire.now, key(1), &tuple, zone, Standing::New);
        assert_eq!(counted, Some(wanted));
    }
}

#[test]
fn sixty_four_join_before_the_list_is_looked_through() {
    let mut wire = Wire::new();
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let rule = wire.table.new_count();
    assert_eq!(count(&mut wire, rule, &peers.tcp((1, 80), SYN, (1, 0), b"")), Some(1));
    close(&mut wire, &peers, 1);
    for port in 2..=64 {
        let packet = peers.udp((port, 53), b"");
        assert_eq!(count(&mut wire, rule, &packet), Some(usize::from(port)));
    }
    assert_eq!(count(&mut wire, rule, &peers.udp((65, 53), b"")), Some(64));
}

/// Found by comparing with the kernel.
#[test]
fn a_list_that_has_become_shorter_is_looked_through() {
    let mut wire = Wire::new();
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let [rule, other] = [wire.table.new_count(), wire.table.new_count()];
    let syn = |port| peers.tcp((port, 80), SYN, (1, 0), b"");
    let middle = peers.udp((9, 9), b"");
    count(&mut wire, other, &syn(3));
    for (packet, wanted) in [(syn(1), 1), (syn(2), 2), (middle.clone(), 3)] {
        assert_eq!(count(&mut wire, rule, &packet), Some(wanted));
    }
    assert_eq!(count(&mut wire, rule, &syn(3)), Some(4), "confirmed: it looks, and leaves three");
    (1..=3).for_each(|port| close(&mut wire, &peers, port));
    assert_eq!(count(&mut wire, rule, &middle), Some(2), "the two before it leave");
    assert_eq!(count(&mut wire, rule, &peers.udp((4, 9), b"")), Some(2), "and now the third");
}

#[test]
fn one_look_finds_sixty_five_gone() {
    let mut wire = Wire::new();
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let rule = wire.table.new_count();
    for port in 1..=100 {
        let packet = peers.tcp((port, 80), SYN, (1, 0), b"");
        assert_eq!(count(&mut wire, rule, &packet), Some(usize::from(port)));
    }
    (1..=100).for_each(|port| close(&mut wire, &peers, port));
    wire.wait(Duration::from_millis(4));
    assert_eq!(count(&mut wire, rule, &peers.udp((1, 53), b"")), Some(36));
}

#[test]
fn an_assured_connection_joins_a_new_list_only() {
    let mut wire = Wire::new();
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let [a, b] = [wire.table.new_count(), wire.table.new_count()];
    wire.send(&peers.tcp((9, 80), SYN, (1, 0), b"")).expect("it arrives");
    wire.send(&peers.turned().tcp((80, 9), SYN | 0x10, (5, 2), b"")).expect("it arrives");
    wire.send(&peers.tcp((9, 80), 0x10, (2, 6), b"")).expect("it arrives");
    let assured = peers.tcp((9, 80), 0x10, (2, 6), b"");
    assert_eq!(count(&mut wire, b, &assured), Some(1));
    assert_eq!(count(&mut wire, a, &peers.tcp((1, 80), SYN, (1, 0), b"")), Some(1));
    assert_eq!(count(&mut wire, a, &assured), Some(1), "it does not join");
    close(&mut wire, &peers, 1);
    assert_eq!(count(&mut wire, a, &assured), Some(1), "nor does it look within a tick");
    wire.wait(Duration::from_millis(4));
    assert_eq!(count(&mut wire, a, &assured), Some(0));
}

#[test]
fn as_many_as_the_limit() {
    let mut wire = Wire::new();
    wire.table.counts.total = COUNTED_MAX;
    let packet = Peers::new("10.1.0.2", "10.2.0.2").udp((1, 2), b"");
    assert_eq!(count(&mut wire, 1, &packet), None);
    wire.table.counts.total -= 1;
    assert_eq!(count(&mut wire, 1, &packet), Some(1));
}

/// Linux 6.18: an INVALID segment, which is in no zone, is not counted beside its connection in zone 0 of the
/// answers alone.
#[test]
fn a_connection_is_known_by_its_tuple_whatever_the_directions_of_its_zone() {
    let answers = |id| Zone::one(id, Direction::Reply);
    assert!(is_one_zone(answers(0), Zone::default()));
    assert!(is_one_zone(answers(7), Zone::both(7)));
    assert!(is_one_zone(Zone::both(7), answers(7)));
    let original = Zone::one(7, Direction::Original);
    assert!(is_one_zone(original, original));
    assert!(!is_one_zone(Zone::both(7), original));
}
