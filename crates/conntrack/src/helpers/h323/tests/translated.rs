//! Behind a gateway that sends everything from 10.1.0.0/16 on as 203.0.113.1.

use super::PLAIN;
use crate::helpers::Instance;
use crate::nat::{Manip, Range};
use crate::testing::{Peers, Wire};
use crate::{CtState, Direction, Sysctls, Tuple};
use keepstate_packet::tcp::{ACK, PSH, SYN};
use keepstate_packet::{Address, Family, Parsed};
use std::string::ToString;
use std::vec::Vec;

const OUTSIDE: [u8; 4] = [203, 0, 113, 1];
const SERVER: [u8; 4] = [198, 51, 100, 1];
const RAS_PORT: u16 = 20_000;

type Place = ([u8; 4], u16);

const fn client(host: u8) -> [u8; 4] {
    [10, 1, 0, host]
}

fn peers(from: [u8; 4], to: [u8; 4]) -> Peers {
    Peers { source: from.into(), destination: to.into() }
}

fn six((address, port): Place) -> Vec<u8> {
    [&address[..], &port.to_be_bytes()].concat()
}

struct Gateway(Wire);

impl Gateway {
    fn new(helper: &str) -> Self {
        let mut wire = Wire::new();
        wire.template.helper = Instance::usual(helper);
        Self(wire)
    }

    /// What the packet carries as it leaves, and the reply tuple of its connection.
    fn send(&mut self, packet: &[u8]) -> (Vec<u8>, Tuple) {
        let Gateway(wire) = self;
        let parsed = Parsed::new(packet).expect("an IP packet");
        let mut tracked = wire.track(packet).expect("there is room");
        let conn = tracked.conn.expect("it is tracked");
        if packet[12..14] == [10, 1] && !wire.table.is_set_up(conn, Manip::Source) {
            let range = Range::of_address(Address::v4(OUTSIDE));
            wire.table.set_up(wire.now, conn, &range, Manip::Source);
        }
        wire.table.bind_null(wire.now, conn, Manip::Source);
        wire.table.bind_null(wire.now, conn, Manip::Destination);
        let elsewhere = crate::testing::Elsewhere::default();
        let said = wire.table.help(wire.now, &tracked, &parsed, packet, &elsewhere);
        let upper = said.expect("it is let through");
        wire.table.confirm(wire.now, &mut tracked).expect("it is let through");
        let payload = parsed.payload(packet);
        let head = parsed.l4_bytes(packet).len() - payload.len();
        let payload = upper.map_or(payload.to_vec(), |upper| upper[head..].to_vec());
        (payload, wire.table.tuple(conn, Direction::Reply).expect("it has one"))
    }

    /// What becomes of a message of RAS.
    fn ras(&mut self, from: [u8; 4], message: &[u8]) -> Vec<u8> {
        let packet = match from {
            SERVER => peers(from, OUTSIDE).udp((1719, RAS_PORT + 2), message),
            _ => peers(from, SERVER).udp((RAS_PORT + u16::from(from[3]), 1719), message),
        };
        self.send(&packet).0
    }

    /// Ports that something is expected at, outside.
    fn expected(&self) -> Vec<u16> {
        let all = self.0.table.expectations(self.0.now);
        all.iter().map(|one| one.original.destination_port).collect()
    }
}

/// A connection to the server, which has been opened.
struct Call {
    ports: (u16, u16),
    client: [u8; 4],
    sequence: u32,
}

impl Call {
    fn open(gateway: &mut Gateway, client: [u8; 4], own: u16) -> Self {
        let ports = (own, 1720);
        let to = peers(client, SERVER);
        gateway.send(&to.tcp(ports, SYN, (1000, 0), b""));
        let back = peers(SERVER, OUTSIDE).tcp((1720, own), SYN | ACK, (9000, 1001), b"");
        gateway.send(&back);
        gateway.send(&to.tcp(ports, ACK, (1001, 9001), b""));
        Self { ports, client, sequence: 1001 }
    }

    /// What becomes of a message in a TPKT.
    fn say(&mut self, gateway: &mut Gateway, message: &[u8]) -> Vec<u8> {
        let packet = tpkt(message);
        let numbers = (self.sequence, 9001);
        self.sequence += packet.len() as u32;
        let packet = peers(self.client, SERVER).tcp(self.ports, PSH | ACK, numbers, &packet);
        gateway.send(&packet).0.split_off(4)
    }
}

fn tpkt(message: &[u8]) -> Vec<u8> {
    [&[3, 0][..], &(4 + message.len() as u16).to_be_bytes(), message].concat()
}

fn registration(calls: &[Place], ras: Place) -> Vec<u8> {
    let mut message = Vec::from([0x0c, 0, 0, 1, 1, 0x2a, 0x80, calls.len() as u8]);
    for place in calls {
        message.push(0);
        message.extend(six(*place));
    }
    message.extend([1, 0]);
    message.extend(six(ras));
    message.extend(PLAIN);
    message
}

/// RegistrationConfirm with one callSignalAddress.
fn confirmation(place: Place) -> Vec<u8> {
    [&[0x10, 0, 0, 1, 1, 0x2a, 1, 0][..], &six(place), &[0, 0, 0x41]].concat()
}

/// AdmissionRequest with destCallSignalAddress and srcCallSignalAddress.
fn admission(dest: Place, source: Place) -> Vec<u8> {
    let begin = [0x24, 0b0101_0000, 0, 1, 0, 0, 0, 0x41, 0];
    [&begin[..], &six(dest), &[0, 0], &six(source)].concat()
}

/// OpenLogicalChannel whose mediaControlChannel is this.
fn channel(place: Place) -> Vec<u8> {
    [&[3, 0, 0, 1, 6, 0, 10, 4, 0, 1, 0][..], &six(place)].concat()
}

/// A message of Q.931 around H323-UserInformation.
fn call(information: &[u8]) -> Vec<u8> {
    [&[8, 2, 0, 1, 5, 0x7e, 0, 1 + information.len() as u8, 5][..], information].concat()
}

#[test]
fn a_registration_is_seen_outside() {
    let mut gateway = Gateway::new("RAS");
    let own = (client(2), RAS_PORT + 2);
    let said = gateway.ras(client(2), &registration(&[(SERVER, 1), (client(2), 5004)], own));
    let seen = registration(&[(SERVER, 1), (OUTSIDE, 5004)], (OUTSIDE, RAS_PORT + 2));
    assert_eq!(said, seen);
    assert_eq!(gateway.expected(), [5004]);
    // The gatekeeper confirms what it has seen.
    assert_eq!(
        gateway.ras(SERVER, &confirmation((OUTSIDE, 5004))),
        confirmation((client(2), 5004))
    );
    assert_eq!(gateway.ras(SERVER, &confirmation((OUTSIDE, 5005))), confirmation((OUTSIDE, 5005)));
}

#[test]
fn of_two_that_listen_at_one_port_the_second_gets_another_one_and_keeps_it() {
    let mut gateway = Gateway::new("RAS");
    let message = |host| registration(&[(client(host), 5004)], (client(host), 1));
    gateway.ras(client(2), &message(2));
    let said = gateway.ras(client(3), &message(3));
    let ports = gateway.expected();
    assert_eq!((ports.len(), ports[0]), (2, 5004));
    assert_ne!(ports[1], 5004);
    assert_eq!(said, registration(&[(OUTSIDE, ports[1])], (client(3), 1)));
    assert_eq!(gateway.ras(client(3), &message(3)), said);
    assert_eq!(gateway.expected(), ports);
}

#[test]
fn a_loopback_address_that_comes_first_does_not_stay() {
    let mut gateway = Gateway::new("RAS");
    let message = registration(&[([127, 0, 0, 1], 9), (client(2), 5004)], (client(2), 1));
    let seen = registration(&[(OUTSIDE, 5004), (OUTSIDE, 5004)], (client(2), 1));
    assert_eq!(gateway.ras(client(2), &message), seen);
}

#[test]
fn who_is_called_names_the_registered_port_and_who_calls_any() {
    let mut gateway = Gateway::new("RAS");
    let nobody = ([192, 0, 2, 9], 1720);
    let before = admission((client(2), 5004), nobody);
    assert_eq!(gateway.ras(client(2), &before), before, "not registered");
    gateway.ras(client(2), &registration(&[(client(2), 5004)], nobody));
    assert_eq!(gateway.ras(client(2), &before), admission((OUTSIDE, 5004), nobody));
    let calls = admission((client(2), 5005), (client(2), 7));
    assert_eq!(gateway.ras(client(2), &calls), admission((client(2), 5005), (OUTSIDE, 7)));
}

#[test]
fn calls_that_may_come_from_anywhere_keep_their_source() {
    let mut sysctls = Sysctls::default();
    sysctls.set("nf_conntrack_h323.gkrouted_only", "0").expect("a parameter");
    let mut gateway = Gateway(Wire::with(sysctls));
    gateway.0.template.helper = Instance::usual("RAS");
    gateway.ras(client(2), &registration(&[(client(2), 5004)], (client(2), 1)));
    gateway.0.template.helper = None;
    let stranger = peers([192, 0, 2, 50], OUTSIDE).tcp((7, 5004), SYN, (1, 0), b"");
    let (_, reply) = gateway.send(&stranger);
    assert_eq!((reply.source, reply.source_port), (Address::v4(client(2)), 5004));
    assert_eq!(reply.destination.written(Family::V4).to_string(), "192.0.2.50");
}

#[test]
fn media_go_to_the_next_free_pair() {
    let mut gateway = Gateway::new("H.245");
    let mut first = Call::open(&mut gateway, client(2), 30_001);
    let said = first.say(&mut gateway, &channel((client(2), 5001)));
    assert_eq!(said, channel((OUTSIDE, 5001)));
    assert_eq!(gateway.expected(), [5000, 5001]);
    let mut second = Call::open(&mut gateway, client(3), 30_002);
    let said = second.say(&mut gateway, &channel((client(3), 5000)));
    assert_eq!(said, channel((OUTSIDE, 5002)));
    assert_eq!(gateway.expected(), [5000, 5001, 5002, 5003]);
    let last = channel((client(3), 1));
    assert_eq!(second.say(&mut gateway, &last), last, "there is no pair from port 0 on");
}

#[test]
fn no_more_pairs_are_expected_than_are_remembered() {
    let mut gateway = Gateway::new("H.245");
    let mut call = Call::open(&mut gateway, client(2), 30_001);
    for n in 0..super::super::MEDIA_MAX as u16 {
        let said = call.say(&mut gateway, &channel((client(2), 6000 + 2 * n)));
        assert_eq!(said, channel((OUTSIDE, 6000 + 2 * n)));
    }
    let more = channel((client(2), 7000));
    assert_eq!(call.say(&mut gateway, &more), more);
    assert_eq!(call.say(&mut gateway, &channel((client(2), 6002))), channel((OUTSIDE, 6002)));
    assert_eq!(gateway.expected().len(), 2 * super::super::MEDIA_MAX);
}

#[test]
fn a_setup_names_the_ends_as_they_are_seen() {
    let setup = |dest: Place, source: Place| {
        let begin = [0, 0x88, 1, 0x2a, 0, 0];
        let middle = [[0; 17].as_slice(), &[0, 4, 7, 0]].concat();
        call(&[&begin[..], &six(dest), &middle, &six(source)].concat())
    };
    let mut gateway = Gateway::new("Q.931");
    let mut to_server = Call::open(&mut gateway, client(2), 30_001);
    let said = to_server.say(&mut gateway, &setup((SERVER, 9), (client(2), 1720)));
    assert_eq!(said, setup((SERVER, 9), (OUTSIDE, 30_001)), "the address counts");
    let said = to_server.say(&mut gateway, &setup(([192, 0, 2, 9], 9), (OUTSIDE, 8)));
    assert_eq!(said, setup((SERVER, 1720), (OUTSIDE, 8)));
}

#[test]
fn a_forwarded_call_goes_where_it_was_forwarded_to() {
    let facility = |to: Place| call(&[&[6, 0x40, 1, 0x2a, 0][..], &six(to), &[0x20]].concat());
    let mut gateway = Gateway::new("Q.931");
    let mut to_server = Call::open(&mut gateway, client(2), 30_001);
    let said = to_server.say(&mut gateway, &facility((client(9), 1720)));
    assert_eq!(said, facility((OUTSIDE, 1720)));
    gateway.0.template.helper = None;
    let packet = peers(SERVER, OUTSIDE).tcp((7, 1720), SYN, (1, 0), b"");
    let (_, reply) = gateway.send(&packet);
    assert_eq!((reply.source, reply.source_port), (Address::v4(client(9)), 1720));
    assert_eq!(gateway.0.state(&packet).0, CtState::Related);
}

/// Linux reads behind the header that it takes for TCP's, and writes as if there were none.
#[test]
fn h245_in_datagrams_is_said_in_the_wrong_place() {
    let mut gateway = Gateway::new("H.245");
    let ports = (RAS_PORT + 2, 1719);
    gateway.ras(client(2), b"");
    gateway.ras(SERVER, b"");
    let datagram = |header: [u8; 12]| [&header[..], &tpkt(&channel((client(2), 5000)))].concat();
    let message = datagram([0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0]);
    let (said, _) = gateway.send(&peers(client(2), SERVER).udp(ports, &message));
    let mut wrong = message.clone();
    wrong[15..21].copy_from_slice(&six((OUTSIDE, 5000)));
    assert_eq!(said, wrong);
    assert_eq!(gateway.expected(), [5000, 5001]);
}
