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
    let confirmed = wire.table.is_confirmed(conn);
    let zone = Zone::default();
    let counted = wire.table.count_connections(wire.now, key(rule), &tuple, zone, confirmed);
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
    assert_eq!(count(&mut wire, b, &peers.udp((2, 53), b"")), Some(1), "confirmed, and a list");
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

#[test]
fn as_many_as_the_limit() {
    let mut wire = Wire::new();
    wire.table.counts.total = COUNTED_MAX;
    let packet = Peers::new("10.1.0.2", "10.2.0.2").udp((1, 2), b"");
    assert_eq!(count(&mut wire, 1, &packet), None);
    wire.table.counts.total -= 1;
    assert_eq!(count(&mut wire, 1, &packet), Some(1));
}
