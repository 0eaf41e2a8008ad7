//! Shifts, on segments.

use super::*;
use crate::testing::{Peers, Wire};
use keepstate_packet::checksum::{self, Verified};
use std::vec;
use std::vec::Vec;

/// A segment of a connection, out of the table, with the numbers that it leaves with.
fn sent(
    wire: &Wire,
    direction: Direction,
    flags: u8,
    numbers: [u32; 2],
    options: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2];
    bytes.extend([0, 1, 0, 80]);
    numbers.iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes.extend([(5 + options.len() as u8 / 4) << 4, flags, 1, 0, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes[3] = bytes.len() as u8;
    let mut parsed = Parsed::new(&bytes).expect("a packet");
    checksum::fill(&parsed, &mut bytes);
    let conn = wire.table.connections(wire.now)[0];
    let state = CtState::Established;
    let tracked = Tracked { state, direction: Some(direction), conn: Some(conn), invalid: None };
    wire.table.adjust(&tracked, &mut parsed, &mut bytes).expect("a whole segment");
    assert_eq!(checksum::verify(&parsed, &bytes), Verified::Valid);
    let L4::Tcp(header) = parsed.l4 else { panic!("TCP") };
    assert_eq!(Some(header), tcp::TcpHeader::read(&bytes[20..]), "what was parsed follows");
    bytes.split_off(20)
}

fn numbers(segment: &[u8]) -> [u32; 2] {
    [4, 8].map(|at| segment[at..].first_chunk().copied().map_or(0, u32::from_be_bytes))
}

fn connection(wire: &mut Wire) -> ConnId {
    let packet = Peers::new("10.1.0.2", "10.2.0.2").udp((1, 80), b"");
    wire.send(&packet).expect("it arrives").conn.expect("a connection")
}

#[test]
fn one_side_is_shifted_and_the_other_acknowledges_it() {
    use Direction::{Original, Reply};
    let mut wire = Wire::new();
    let conn = connection(&mut wire);
    wire.table.shift_all(conn, Reply, 1000);
    assert_eq!(numbers(&sent(&wire, Reply, tcp::ACK, [5, 70], &[])), [1005, 70]);
    assert_eq!(numbers(&sent(&wire, Original, tcp::ACK, [70, 1005], &[])), [70, 5]);
    let no_ack = sent(&wire, Original, tcp::RST, [70, 1005], &[]);
    assert_eq!(numbers(&no_ack), [70, 1005], "nothing is acknowledged");
    let mut sack = vec![1, 1, 5, 10];
    sack.extend(2000_u32.to_be_bytes());
    sack.extend(500_u32.to_be_bytes());
    let segment = sent(&wire, Original, tcp::ACK, [70, 1005], &sack);
    assert_eq!(
        segment[24..32],
        [[0, 0, 3, 232], (500_u32.wrapping_sub(1000)).to_be_bytes()].concat()
    );
}

#[test]
fn two_shifts_part_at_a_position() {
    use Direction::{Original, Reply};
    let mut wire = Wire::new();
    let conn = connection(&mut wire);
    wire.table.shift_from(conn, Original, 100, 7);
    let shifted =
        |wire: &Wire, number| numbers(&sent(wire, Original, tcp::ACK, [number, 1], &[]))[0];
    assert_eq!([99, 100, 101].map(|n| shifted(&wire, n)), [99, 100, 108]);
    let acked = numbers(&sent(&wire, Reply, tcp::ACK, [1, 108], &[]))[1];
    assert_eq!(acked, 101);
    wire.table.shift_from(conn, Original, 200, 3_u32.wrapping_neg());
    assert_eq!([100, 200, 201].map(|n| shifted(&wire, n)), [107, 207, 205]);
    // What was sent before is not shifted once more.
    wire.table.shift_from(conn, Original, 150, 50);
    assert_eq!(shifted(&wire, 201), 205);
    assert_eq!(wire.table.kept_beside_count(), 1);
    wire.table.delete(wire.now, conn);
    assert_eq!(wire.table.kept_beside_count(), 0);
}

#[test]
fn what_is_no_segment_is_refused() {
    let mut wire = Wire::new();
    let conn = connection(&mut wire);
    let direction = Some(Direction::Original);
    let tracked = Tracked { state: CtState::New, direction, conn: Some(conn), invalid: None };
    let mut bytes = Peers::new("10.1.0.2", "10.2.0.2").udp((1, 80), b"");
    let mut parsed = Parsed::new(&bytes).expect("a packet");
    assert_eq!(wire.table.adjust(&tracked, &mut parsed, &mut bytes), Ok(()), "no shifts yet");
    wire.table.shift_all(conn, Direction::Original, 1);
    assert_eq!(wire.table.adjust(&tracked, &mut parsed, &mut bytes), Err(Drop::Malformed));
    let answer = Tracked { state: CtState::Related, direction: Some(Direction::Reply), ..tracked };
    assert_eq!(wire.table.adjust(&answer, &mut parsed, &mut bytes), Ok(()));
}
