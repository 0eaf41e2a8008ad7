//! Conversations without connections: UDP, UDP-Lite, ICMP and ICMPv6 queries, neighbour discovery
//! and group membership, errors about anything, and protocols that nobody tracks.

use super::draft::{Body, Damage, Draft, ICMP, ICMPV6, Network, Quote, UDP, UDPLITE};
use super::flow::{self, Flow};
use super::random::Random;
use crate::observation::Side;
use keepstate_packet::{Address, Family};

/// Ports that servers listen on.
const SERVER_PORTS: [u16; 3] = [53, 123, 4500];
/// ICMP queries and their answers: echo, timestamp, information, address mask.
const QUERIES_V4: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
/// ICMPv6 queries and their answers: echo; node information.
const QUERIES_V6: [(u8, u8); 2] = [(128, 129), (139, 140)];
/// Protocols without a tracker of their own, and GRE. Over IPv6 some of them are extension headers,
/// or say that nothing follows.
const GENERIC: [u8; 18] =
    [4, 41, DCCP, GRE, GRE, GRE, ESP, ESP, AH, 2, 88, 103, 253, 255, 0, 43, 59, 60];
const DCCP: u8 = 33;
const GRE: u8 = 47;
const ESP: u8 = 50;
const AH: u8 = 51;
/// Errors of ICMP and ICMPv6, the common ones more than once, and types that are none.
const ERRORS_V4: [u8; 12] = [3, 3, 3, 3, 11, 11, 4, 5, 12, 12, 1, 19];
const ERRORS_V6: [u8; 12] = [1, 1, 1, 2, 2, 3, 3, 4, REDIRECT, REDIRECT, 100, 127];
const REDIRECT: u8 = 137;

/// UDP or UDP-Lite between two ends.
pub(crate) fn udp(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &SERVER_PORTS);
    let protocol = if random.chance(80) { UDP } else { UDPLITE };
    let answers = random.chance(75);
    let mut drafts = Vec::new();
    for n in 0..=random.below(8) {
        let end = if n > 0 && answers { random.below(2) } else { 0 };
        let length = random.pick(&[0, 1, 12, 100, 512, 1400]);
        let body = Body::Udp {
            ports: (flow.ports[end], flow.ports[1 - end]),
            length_error: if random.chance(4) { random.pick(&[-1, 1, -8, -9, 100, 5]) } else { 0 },
            payload: random.bytes(length),
            unsummed: random.chance(8),
        };
        drafts.push(Draft::new(flow.sides[end], flow.network(end, random), protocol, body));
    }
    drafts
}

/// Two that go on talking over UDP, in turn: after two seconds it is a stream.
pub(crate) fn stream(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &SERVER_PORTS);
    let datagram = |n: usize, random: &mut Random| {
        let end = n % 2;
        let ports = (flow.ports[end], flow.ports[1 - end]);
        let payload = random.bytes(12);
        let body = Body::Udp { ports, length_error: 0, payload, unsummed: false };
        Draft::new(flow.sides[end], flow.network(end, random), UDP, body)
    };
    (0..16).map(|n| datagram(n, random)).collect()
}

/// Queries and answers of ICMP or ICMPv6, some unasked, some of odd types.
pub(crate) fn queries(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &SERVER_PORTS);
    let (protocol, pairs): (u8, &[(u8, u8)]) = match flow.family {
        Family::V4 => (ICMP, &QUERIES_V4),
        Family::V6 => (ICMPV6, &QUERIES_V6),
    };
    let (query, answer) = if random.chance(60) { pairs[0] } else { random.pick(pairs) };
    let identifier = random.below(4) as u8;
    let mut drafts = Vec::new();
    for sequence in 0..=random.below(7) as u8 {
        let end = random.below(2);
        let mut kind = if end == 0 { query } else { answer };
        if random.chance(10) {
            kind = if random.chance(50) { random.below(45) as u8 } else { random.byte() };
        }
        let code = if random.chance(10) { random.byte() } else { 0 };
        let length = random.pick(&[0, 1, 8, 56]);
        let body = Body::Icmp {
            kind,
            code,
            rest: [0, identifier, 0, sequence],
            payload: random.bytes(length),
        };
        drafts.push(Draft::new(flow.sides[end], flow.network(end, random), protocol, body));
    }
    drafts
}

/// Neighbour discovery, router discovery, multicast listeners: messages that are never tracked.
pub(crate) fn neighbours(random: &mut Random) -> Vec<Draft> {
    let mut flow = Flow::new(random, &SERVER_PORTS);
    while flow.family == Family::V4 {
        flow = Flow::new(random, &SERVER_PORTS);
    }
    let mut drafts = Vec::new();
    for _ in 0..=random.below(3) {
        let end = random.below(2);
        let kind = random.pick(&[130, 131, 132, 133, 134, 135, 136, 137, 143, 138, 141, 151, 155]);
        let length = random.pick(&[0, 16, 20, 24]);
        let body = Body::Icmp { kind, code: 0, rest: [0; 4], payload: random.bytes(length) };
        let mut network = flow.network(end, random);
        network.ttl = random.pick(&[255, 64]);
        drafts.push(Draft::new(flow.sides[end], network, ICMPV6, body));
    }
    drafts
}

/// An ICMP or ICMPv6 error that quotes a packet before it.
pub(crate) fn error(random: &mut Random, template: &Draft) -> Draft {
    let (protocol, kind) = match template.network.family {
        Family::V4 => (ICMP, random.pick(&ERRORS_V4)),
        Family::V6 => (ICMPV6, random.pick(&ERRORS_V6)),
    };
    let header = if protocol == ICMP { 20 } else { 40 };
    let length = match random.below(10) {
        0..5 => header + 8,
        5..8 => 1500,
        8 => header + random.below(8),
        _ => random.below(header + 28),
    };
    let quote = Quote { back: random.below(12), length, reversed: random.chance(8) };
    let mut code = random.pick(&[0, 1, 2, 3, 4, 9, 13, 20]);
    let rest = if random.chance(50) { [0, 0, 5, 0xdc] } else { [0; 4] };
    // Addresses come from the quoted packet unless this error is about somebody else.
    let mut network = template.network;
    if random.chance(92) {
        network.source = Default::default();
        network.destination = Default::default();
    }
    let mut before = Vec::new();
    if kind == REDIRECT && random.chance(80) {
        code = u8::from(random.chance(5));
        before = redirect(&mut network, random);
    }
    let body = Body::Error { kind, code, rest, before, quote };
    let mut draft = Draft::new(template.side, network, protocol, body);
    if random.chance(4) {
        draft.damage = Some(random.pick(&[Damage::Checksum, Damage::Cut(8), Damage::Cut(7)]));
    }
    draft
}

/// What a redirect (RFC 4861, 4.5) has before the packet that it quotes: target, destination, and the
/// header of the option. It comes from a router on the link.
fn redirect(network: &mut Network, random: &mut Random) -> Vec<u8> {
    if network.source == Address::default() {
        network.destination = flow::address(Family::V6, Side::A, 1);
    }
    if random.chance(90) {
        network.ttl = 255;
        network.source.0[..2].copy_from_slice(&[0xfe, 0x80]);
        network.source.0[15] = 1;
    }
    let mut before = random.bytes(32);
    let option = random.pick(&[4, 4, 4, 4, 4, 1, 2]);
    before.extend([option, random.pick(&[10, 10, 1, 0]), 0, 0, 0, 0, 0, 0]);
    if random.chance(5) {
        before.truncate(random.below(40));
    }
    before
}

/// A protocol that has no tracker, or GRE, or with IPv6 no upper layer at all.
pub(crate) fn generic(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &SERVER_PORTS);
    let protocol = random.pick(&GENERIC);
    let mut drafts = Vec::new();
    for _ in 0..=random.below(6) {
        let end = random.below(2);
        let length = random.pick(&[0, 1, 3, 4, 7, 8, 11, 12, 20, 100]);
        let mut bytes = random.bytes(length);
        let beginning: &[u8] = match protocol {
            GRE => random.pick(&[
                &[0, 0, 8, 0],
                &[0xb0, 0, 0x65, 0x58],
                &[0x30, 1, 0x88, 0x0b, 0, 4, 0, 1],
                &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 2],
                &[0, 1, 8, 0],
                &[0, 2],
            ]),
            AH => &[59, 1, 0, 0],
            4 => &[0x45, 0, 0, 20],
            _ => &[],
        };
        if random.chance(80) {
            bytes.iter_mut().zip(beginning).for_each(|(to, from)| *to = *from);
        }
        let network = flow.network(end, random);
        drafts.push(Draft::new(flow.sides[end], network, protocol, Body::Raw(bytes)));
    }
    drafts
}
