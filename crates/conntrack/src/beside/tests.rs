//! Labels and security contexts on connections.

use super::*;
use crate::testing::{Peers, Wire};
use std::format;

fn connection(wire: &mut Wire, port: u16) -> ConnId {
    let packet = Peers::new("10.1.0.2", "10.2.0.2").udp((1, port), b"");
    wire.send(&packet).expect("it arrives").conn.expect("a connection")
}

#[test]
fn labels_are_there_while_rules_use_them() {
    let mut wire = Wire::new();
    let before = connection(&mut wire, 2);
    wire.table.set_labels_used(true);
    let conn = connection(&mut wire, 3);
    assert_eq!((wire.table.labels(before), wire.table.labels(conn)), (None, Some(0)));
    assert!(!wire.table.set_label(before, 1));
    assert!(wire.table.set_label(conn, 127) && wire.table.set_label(conn, 0));
    assert!(!wire.table.set_label(conn, LABELS_MAX));
    assert_eq!(wire.table.labels(conn), Some(1 << 127 | 1));
}

#[test]
fn a_new_label_is_told_once() {
    let mut wire = Wire::new();
    wire.table.set_labels_used(true);
    let conn = connection(&mut wire, 2);
    while wire.table.poll_event().is_some() {}
    let labels = |wire: &mut Wire| {
        assert!(wire.table.set_label(conn, 3));
        connection(wire, 2);
        wire.table.poll_event().map(|event| (event.changes, event.snapshot.labels))
    };
    assert_eq!(labels(&mut wire), Some((Changes::LABEL, 8)));
    assert_eq!(labels(&mut wire), None);
}

#[test]
fn the_first_security_mark_stays() {
    let mut wire = Wire::new();
    let [a, b] = ["a:b:c", "d:e:f"].map(|text| wire.table.secmark_of(text).expect("there is room"));
    assert_eq!(wire.table.secmark_of("a:b:c"), Some(a));
    let conn = connection(&mut wire, 2);
    wire.table.set_secmark(conn, 0);
    wire.table.set_secmark(conn, a);
    wire.table.set_secmark(conn, b);
    assert_eq!(wire.table.secmark(conn), a);
    let snapshot = wire.table.snapshot(wire.now, conn).expect("there");
    assert_eq!(snapshot.secctx.as_deref(), Some("a:b:c"));
}

#[test]
fn as_many_contexts_as_the_limit() {
    let mut wire = Wire::new();
    for number in 0..CONTEXTS_MAX {
        assert!(wire.table.secmark_of(&format!("c{number}")).is_some());
    }
    assert_eq!(wire.table.secmark_of("another"), None);
    assert_eq!(wire.table.secmark_of("c0"), Some(1));
}
