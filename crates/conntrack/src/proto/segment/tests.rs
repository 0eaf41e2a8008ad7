//! TCP through the connection table: what the tracker's answers do there. All of it was seen in
//! the kernel.

use crate::table::Template;
use crate::{CtState, CtStatus, Direction, Hook, Sysctls, Table, Tracked};
use alloc::{vec, vec::Vec};
use keepstate_packet::tcp::{ACK, FIN, RST, SYN};
use keepstate_packet::{Instant, Parsed};

const NOW: Instant = Instant(1_000_000_000);

/// An IPv4 packet between 10.0.0.1:1024 and 10.0.0.2:80 with a window of 1000 and no payload.
fn packet(direction: Direction, flags: u8, sequence: u32, ack: u32) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    let (ends, ports): ([u8; 8], [u8; 4]) = match direction {
        Original => ([10, 0, 0, 1, 10, 0, 0, 2], [4, 0, 0, 80]),
        Reply => ([10, 0, 0, 2, 10, 0, 0, 1], [0, 80, 4, 0]),
    };
    bytes.extend(ends);
    bytes.extend(ports);
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([5 << 4, flags, 1000_u16.to_be_bytes()[0], 1000_u16.to_be_bytes()[1]]);
    bytes.extend([0; 4]);
    bytes
}

fn push(table: &mut Table, direction: Direction, flags: u8, sequence: u32, ack: u32) -> Tracked {
    let bytes = packet(direction, flags, sequence, ack);
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    let mut tracked = table
        .track_in(NOW, Hook::Prerouting, &parsed, &bytes, &Template::default())
        .expect("not dropped");
    table.confirm(NOW, &mut tracked).expect("confirmed");
    tracked
}

fn table() -> Table {
    Table::new([1, 2], Sysctls { checksum: false, acct: true, ..Sysctls::default() })
}

fn packets(table: &Table, tracked: &Tracked) -> Option<[u64; 2]> {
    let snapshot = table.snapshot(NOW, tracked.conn?)?;
    snapshot.counters.map(|counters| counters.map(|(packets, _)| packets))
}

use Direction::{Original, Reply};

#[test]
fn what_changes_nothing_is_not_counted() {
    let mut table = table();
    let first = push(&mut table, Original, SYN, 99, 0);
    assert_eq!(packets(&table, &first), Some([1, 0]));
    push(&mut table, Original, SYN, 99, 0);
    let stray = push(&mut table, Reply, ACK, 5, 5);
    assert_eq!((stray.state, stray.direction), (CtState::Established, Some(Reply)));
    assert_eq!(packets(&table, &first), Some([1, 0]), "a repeated SYN, an ACK out of step");
    let status = table.status(stray.conn.expect("attached")).expect("alive");
    assert!(status.contains(CtStatus::SEEN_REPLY), "the ignored ACK was a reply all the same");
    push(&mut table, Reply, SYN | ACK, 499, 100);
    push(&mut table, Original, ACK, 100, 500);
    assert_eq!(packets(&table, &first), Some([2, 1]));
    let invalid = push(&mut table, Original, ACK, 100_000, 500);
    assert_eq!((invalid.state, invalid.conn), (CtState::Invalid, None));
    assert_eq!(packets(&table, &first), Some([2, 1]));
}

#[test]
fn a_refused_connection_is_gone_with_its_reset() {
    let mut table = table();
    push(&mut table, Original, SYN, 99, 0);
    let reset = push(&mut table, Reply, RST | ACK, 0, 100);
    assert_eq!((reset.state, reset.direction), (CtState::Established, Some(Reply)));
    assert!(table.connections(NOW).is_empty());
    assert_eq!(push(&mut table, Original, SYN, 99, 0).state, CtState::New);
}

#[test]
fn after_time_wait_the_server_may_open_the_other_way() {
    let mut table = table();
    for (direction, flags, sequence, ack) in [
        (Original, SYN, 99, 0),
        (Reply, SYN | ACK, 499, 100),
        (Original, FIN | ACK, 100, 500),
        (Reply, FIN | ACK, 500, 101),
        (Original, ACK, 101, 501),
    ] {
        assert!(push(&mut table, direction, flags, sequence, ack).conn.is_some());
    }
    let again = push(&mut table, Reply, SYN, 9000, 0);
    assert_eq!((again.state, again.direction), (CtState::New, Some(Original)));
    assert_eq!(table.count(), 1);
}
