//! Kinds, order and contents of events, as `conntrack -E` showed them for the same packets.

use super::*;
use crate::table::Template;
use crate::testing::{Peers, Wire};
use crate::{Direction, Sysctls};
use keepstate_packet::tcp::{ACK, RST, SYN};
use std::vec::Vec;

fn peers() -> Peers {
    Peers::new("10.1.0.2", "10.2.0.2")
}

fn there(port: u16) -> Vec<u8> {
    peers().udp((1, port), b"x")
}

fn back(port: u16) -> Vec<u8> {
    peers().turned().udp((port, 1), b"x")
}

const NONE: [&str; 0] = [];

#[test]
fn new_update_destroy() {
    let mut wire = Wire::new();
    wire.send(&there(2)).expect("it arrives");
    let line = "src=10.1.0.2 dst=10.2.0.2 sport=1 dport=2";
    let unreplied = "[UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=2 dport=1";
    assert_eq!(wire.events(), [std::format!("    [NEW] udp      17 30 {line} {unreplied}")]);
    wire.send(&there(2)).expect("it arrives");
    assert_eq!(wire.events(), NONE);
    wire.send(&back(2)).expect("it arrives");
    let replied = "src=10.2.0.2 dst=10.1.0.2 sport=2 dport=1";
    assert_eq!(wire.events(), [std::format!(" [UPDATE] udp      17 30 {line} {replied}")]);
    wire.send(&there(2)).expect("it arrives");
    assert_eq!(wire.events(), NONE);
    wire.wait(Duration::from_millis(2500));
    wire.send(&back(2)).expect("it arrives");
    assert_eq!(
        wire.events(),
        [std::format!(" [UPDATE] udp      17 120 {line} {replied} [ASSURED]")]
    );
    wire.wait(Duration::from_millis(500));
    assert_eq!(wire.table.flush(wire.now), 1);
    assert_eq!(
        wire.events(),
        [std::format!("[DESTROY] udp      17 119 {line} {replied} [ASSURED]")]
    );
}

#[test]
fn what_expired_has_no_time_left_to_show() {
    let mut wire = Wire::new();
    wire.send(&there(2)).expect("it arrives");
    wire.events();
    wire.wait(Duration::from_secs(30));
    assert_eq!(wire.table.expire(wire.now, 1), 1);
    let events = wire.events();
    assert!(events[0].starts_with("[DESTROY] udp      17 src=10.1.0.2"), "{events:?}");
}

#[test]
fn a_dropped_reply_is_told_with_the_next_packet() {
    let mut wire = Wire::new();
    wire.send(&there(2)).expect("it arrives");
    wire.events();
    let dropped = wire.track(&back(2)).expect("it is tracked");
    wire.table.discard(wire.now, &dropped);
    assert_eq!(wire.events(), NONE);
    wire.send(&there(2)).expect("it arrives");
    assert!(wire.events()[0].starts_with(" [UPDATE]"));
}

#[test]
fn a_dropped_first_packet_leaves_nothing() {
    let mut wire = Wire::new();
    let dropped = wire.track(&there(2)).expect("it is tracked");
    assert_eq!(wire.table.count(), 1);
    wire.table.discard(wire.now, &dropped);
    assert_eq!((wire.table.count(), wire.events()), (0, Vec::new()));
    assert_eq!(dropped.conn.and_then(|conn| wire.table.status(conn)), None);
}

#[test]
fn marks_are_told_when_they_change() {
    let mut wire = Wire::new();
    let mut send = |packet: &[u8], mark| {
        let mut tracked = wire.track(packet).expect("it is tracked");
        wire.table.set_mark(wire.now, tracked.conn.expect("a connection"), mark);
        wire.table.confirm(wire.now, &mut tracked).expect("it is confirmed");
        wire.events()
    };
    assert!(
        send(&there(2), 5)[0]
            .ends_with("[UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=2 dport=1 mark=5")
    );
    assert_eq!(send(&there(2), 5), NONE);
    let events = send(&there(2), 6);
    assert!(events[0].starts_with(" [UPDATE]") && events[0].ends_with("mark=6"), "{events:?}");
}

#[test]
fn a_mask_lets_through_what_it_names() {
    let mut wire = Wire::new();
    let event_masks = Some((Changes::ASSURED.0, 0));
    wire.template = Template { event_masks, ..Template::default() };
    wire.send(&there(2)).expect("it arrives");
    wire.send(&back(2)).expect("it arrives");
    assert_eq!(wire.events(), NONE);
    wire.wait(Duration::from_secs(3));
    wire.send(&back(2)).expect("it arrives");
    assert!(wire.events()[0].ends_with("[ASSURED]"));
    wire.table.flush(wire.now);
    assert_eq!(wire.events(), NONE);
}

#[test]
fn a_refused_connection_is_told_with_its_last_state() {
    let mut wire = Wire::new();
    wire.send(&peers().tcp((97, 98), SYN, (1000, 0), b"")).expect("it arrives");
    wire.events();
    let reset = peers().turned().tcp((98, 97), RST | ACK, (0, 1001), b"");
    let tracked = wire.send(&reset).expect("it arrives");
    assert_eq!(
        wire.events(),
        ["[DESTROY] tcp      6 120 CLOSE src=10.1.0.2 dst=10.2.0.2 sport=97 dport=98 [UNREPLIED] \
          src=10.2.0.2 dst=10.1.0.2 sport=98 dport=97"]
    );
    let conn = tracked.conn.expect("attached");
    let status = wire.table.status(conn).expect("rules may still look at it");
    assert!(status.contains(CtStatus::DYING | CtStatus::SEEN_REPLY));
    assert!(wire.table.connections(wire.now).is_empty());
    wire.send(&there(2)).expect("it arrives");
    assert_eq!(wire.table.status(conn), None);
}

#[test]
fn an_expected_connection_from_announcement_to_end() {
    let mut wire = Wire::with(Sysctls { timestamp: true, ..Sysctls::default() });
    let master = crate::helpers::ftp::testing::control(&mut wire);
    let conn = wire.table.find(wire.now, &master, Zone::default()).expect("there").0;
    wire.table.set_mark(wire.now, conn, 9);
    wire.events();
    crate::helpers::ftp::testing::port(&mut wire, 1025);
    assert_eq!(wire.events()[0], "ExpectNew");
    let data = peers().turned().tcp((20, 1025), SYN, (1, 0), b"");
    let tracked = wire.send(&data).expect("it arrives");
    assert_eq!(
        (tracked.state, tracked.direction),
        (crate::CtState::Related, Some(Direction::Original))
    );
    let events = wire.events();
    assert_eq!(events[0], "ExpectDestroy");
    assert!(
        events[1]
            .starts_with("    [NEW] tcp      6 120 SYN_SENT src=10.2.0.2 dst=10.1.0.2 sport=20")
    );
    assert!(events[1].ends_with(" mark=9"), "it has its master's mark: {events:?}");
    let child = tracked.conn.expect("a connection");
    assert_eq!(wire.table.master(child), Some(conn));
    assert_eq!(
        (wire.table.helper(child), wire.table.master_helper(child)),
        (None, Some(Name::usual("ftp")))
    );
    assert_eq!(wire.table.children_count(conn), 1);
    crate::helpers::ftp::testing::port(&mut wire, 1026);
    wire.events();
    assert!(wire.table.delete(wire.now, conn));
    let events = wire.events();
    assert!(events[0].starts_with("[DESTROY] tcp") && !events[0].contains("helper"), "{events:?}");
    assert_eq!(events[1], "ExpectDestroy");
    assert_eq!(
        wire.table.master_helper(child),
        Some(Name::usual("ftp")),
        "also when the master has gone"
    );
}

#[test]
fn the_last_packet_of_an_expected_connection_still_has_a_master() {
    let mut wire = Wire::with(Sysctls::default());
    crate::helpers::ftp::testing::control(&mut wire);
    crate::helpers::ftp::testing::port(&mut wire, 1025);
    let syn = peers().turned().tcp((20, 1025), SYN, (1, 0), b"");
    wire.send(&syn).expect("it arrives");
    let refused = peers().tcp((1025, 20), RST | ACK, (0, 2), b"");
    let tracked = wire.send(&refused).expect("it arrives");
    let child = tracked.conn.expect("a connection");
    assert!(wire.table.status(child).is_some_and(|status| status.contains(CtStatus::DYING)));
    assert_eq!(wire.table.master_helper(child), Some(Name::usual("ftp")));
    wire.send(&there(2)).expect("it arrives");
    assert_eq!(wire.table.master_helper(child), None);
}

#[test]
fn the_queue_is_bounded_and_can_be_switched_off() {
    let mut wire = Wire::new();
    wire.table.set_events_max(2);
    for port in 1..=5 {
        wire.send(&there(port)).expect("it arrives");
    }
    assert_eq!((wire.events().len(), wire.table.events_lost_count()), (2, 3));
    wire.table.set_events_max(0);
    wire.send(&there(6)).expect("it arrives");
    wire.send(&back(6)).expect("it arrives");
    assert_eq!((wire.events().len(), wire.table.events_lost_count()), (0, 3));
    wire.table.set_events_max(2);
    wire.send(&there(6)).expect("it arrives");
    assert_eq!(wire.events(), NONE, "what happened meanwhile stays untold");
}
