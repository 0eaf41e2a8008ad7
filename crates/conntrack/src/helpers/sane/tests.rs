//! What the helper remembers from segment to segment; what becomes of a message stands in the
//! oracle's recordings.

use super::port;
use crate::testing::{Peers, Wire};
use crate::{CtState, Direction};
use keepstate_packet::{
    Family,
    tcp::{ACK, PROTOCOL, PSH, SYN},
};

/// Who says what.
type Said<'a> = (Direction, &'a [u8]);

const CLIENT: u16 = 20_001;
const START: &[u8] = &[0, 0, 0, 7, 0, 0, 0, 1];
const ANSWER: &[u8] = &[0, 0, 0, 0, 0, 0, 7, 0xd1, 0, 0, 0x12, 0x34, 0, 0, 0, 0];

/// Plays what client (`Original`) and server say, and returns the table.
fn play(peers: Peers, said: &[Said<'_>]) -> Wire {
    let family = if peers.source.is_ipv4() { Family::V4 } else { Family::V6 };
    let mut wire = Wire::new();
    wire.template.helper = super::super::Instance::named("sane", family, PROTOCOL);
    let (mut client, mut server) = (1001, 9001);
    let opening = [
        peers.tcp((CLIENT, 6566), SYN, (1000, 0), b""),
        peers.turned().tcp((6566, CLIENT), SYN | ACK, (9000, 1001), b""),
        peers.tcp((CLIENT, 6566), ACK, (1001, 9001), b""),
    ];
    opening.iter().for_each(|packet| assert!(wire.send(packet).is_ok()));
    wire.template.helper = None;
    for (direction, bytes) in said {
        let packet = match direction {
            Direction::Original => {
                let packet = peers.tcp((CLIENT, 6566), PSH | ACK, (client, server), bytes);
                client += bytes.len() as u32;
                packet
            }
            Direction::Reply => {
                let ports = (6566, CLIENT);
                let packet = peers.turned().tcp(ports, PSH | ACK, (server, client), bytes);
                server += bytes.len() as u32;
                packet
            }
        };
        wire.send(&packet).expect("it arrives");
    }
    wire
}

#[test]
fn the_client_opens_the_data_connection() {
    for peers in [Peers::new("10.1.0.2", "10.2.0.2"), Peers::new("fd00:1::2", "fd00:2::2")] {
        let mut wire = play(peers, &[(Direction::Original, START), (Direction::Reply, ANSWER)]);
        assert_eq!(wire.state(&peers.tcp((9, 2001), SYN, (1, 0), b"")).0, CtState::Related);
        assert_eq!(wire.state(&peers.tcp((10, 2001), SYN, (1, 0), b"")).0, CtState::New);
    }
}

#[test]
fn one_answer_follows_one_request() {
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let (asks, answers) = (Direction::Original, Direction::Reply);
    let cases: [(&[Said<'_>], usize); 6] = [
        (&[(answers, ANSWER)], 0),
        (&[(asks, START), (answers, b"\0"), (answers, ANSWER)], 0),
        (&[(asks, START), (asks, b"another"), (answers, ANSWER)], 1),
        (&[(asks, START), (asks, b"another8"), (answers, ANSWER)], 0),
        (&[(asks, START), (answers, b""), (answers, ANSWER)], 1),
        (&[(asks, START), (asks, START), (answers, ANSWER), (answers, ANSWER)], 1),
    ];
    for (said, expected) in cases {
        let wire = play(peers, said);
        assert_eq!(wire.table.expectations(wire.now).len(), expected, "{said:?}");
    }
}

#[test]
fn answers() {
    let cases: [(&[u8], Option<u16>); 6] = [
        (ANSWER, Some(2001)),
        (&[0, 0, 0, 0, 0, 0, 7, 0xd1], Some(2001)),
        (&[0, 0, 0, 0, 0, 0, 0, 0], Some(0)),
        (&[0, 0, 0, 0, 0, 0, 7], None),
        (&[0, 0, 0, 1, 0, 0, 7, 0xd1], None),
        (&[0, 0, 0, 0, 0, 1, 7, 0xd1], None),
    ];
    for (answer, expected) in cases {
        assert_eq!(port(answer), expected);
    }
}
