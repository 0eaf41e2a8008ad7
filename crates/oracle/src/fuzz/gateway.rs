//! Conversations for gateways: many from inside with one server, ends that share what they are told apart
//! by, and servers inside that are known by an address outside.

use super::draft::{Body, Draft, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE};
use super::flow::{self, Flow};
use super::random::Random;
use super::{aim, datagram, dialogues, sctp, tcp};
use crate::kernel::{is_own, is_router};
use crate::observation::Side;
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN};
use keepstate_packet::{Address, Family, Parsed};

/// Most ends that ask one server at a time.
const CLIENTS_MAX: usize = 48;
/// Where servers listen.
const SERVERS: [u16; 4] = [80, 53, 443, 2905];
const GRE: u8 = 47;
const OSPF: u8 = 89;

/// A conversation, or many at once.
pub(super) fn conversation(random: &mut Random) -> Vec<Draft> {
    match random.below(10) {
        0..4 => dialogues::translated(random),
        4..6 => crowd(random),
        6 => of_host(random),
        _ => known_outside(random),
    }
}

/// Many who ask one server, one after the other, some with the same port; some end soon.
fn crowd(random: &mut Random) -> Vec<Draft> {
    let mut first = Flow::new(random, &SERVERS);
    if random.chance(30) {
        first.addresses[1] = outside(random, first.family);
    }
    let icmp = if first.family == Family::V4 { ICMP } else { ICMPV6 };
    let protocol = random.pick(&[TCP, TCP, TCP, TCP, UDP, UDP, UDPLITE, SCTP, icmp, GRE, OSPF]);
    let port = random.pick(&[1024, 4000, 600, 123]);
    let mut drafts = Vec::new();
    for _ in 0..4 + random.below(CLIENTS_MAX - 4) {
        let mut flow = first;
        let host = 1 + random.below(CLIENTS_MAX) as u8;
        flow.addresses[0] = flow::address(flow.family, flow.sides[0], host);
        flow.ports[0] = if random.chance(80) { port } else { 1024 + random.below(8) as u16 };
        match protocol {
            TCP => drafts.extend(opened(random, flow)),
            _ => {
                let end_max = random.pick(&[1, 1, 2]);
                for end in 0..end_max {
                    drafts.push(alone(random, flow, end, protocol));
                }
            }
        }
    }
    drafts
}

/// A packet of an end.
fn alone(random: &mut Random, flow: Flow, end: usize, protocol: u8) -> Draft {
    let network = flow.network(end, random);
    let mut draft = Draft::new(flow.sides[end], network, protocol, Body::Raw(Vec::new()));
    match protocol {
        GRE => draft.body = Body::Raw(vec![0, 0, 8, 0, 1, 2, 3, 4]),
        ICMP | ICMPV6 => {
            let kinds = if protocol == ICMP { [8, 0] } else { [128, 129] };
            let rest = [0, flow.ports[0] as u8 & 3, 0, 1];
            let payload = random.bytes(8);
            draft.body = Body::Icmp { kind: kinds[end], code: 0, rest, payload };
        }
        _ => {
            draft.protocol = 0;
            aim::be(random, &mut draft, protocol);
        }
    }
    aim::set_port(&mut draft, 0, flow.ports[end]);
    aim::set_port(&mut draft, 1, flow.ports[1 - end]);
    draft
}

/// A TCP connection that is opened, or refused, or closed again: whose port may serve another.
fn opened(random: &mut Random, flow: Flow) -> Vec<Draft> {
    let numbers = [random.word(), random.word()];
    let [client, server] = numbers.map(|number| number.wrapping_add(1));
    let mut drafts = Vec::new();
    let mut say = |random: &mut Random, end, flags, sequence, acknowledgment, payload: &[u8]| {
        let mut draft = alone(random, flow, end, TCP);
        if let Body::Tcp(segment) = &mut draft.body {
            (segment.flags, segment.sequence) = (flags, sequence);
            (segment.acknowledgment, segment.window) = (acknowledgment, 29_200);
            segment.payload = payload.to_vec();
        }
        drafts.push(draft);
    };
    say(random, 0, SYN, numbers[0], 0, b"");
    let end = random.below(6);
    match end {
        0 | 1 => return drafts,
        2 => {
            say(random, 1, RST | ACK, 0, client, b"");
            return drafts;
        }
        _ => {}
    }
    say(random, 1, SYN | ACK, numbers[1], client, b"");
    if end == 3 {
        say(random, 0, RST, client, 0, b"");
        return drafts;
    }
    say(random, 0, ACK, client, server, b"");
    if random.chance(40) {
        say(random, 0, ACK | PSH, client, server, b"");
    }
    if end == 4 {
        return drafts;
    }
    say(random, 0, FIN | ACK, client, server, b"");
    say(random, 1, FIN | ACK, server, client.wrapping_add(1), b"");
    say(random, 0, ACK, client.wrapping_add(1), server.wrapping_add(1), b"");
    drafts
}

/// What the host itself says to others, and what they answer.
fn of_host(random: &mut Random) -> Vec<Draft> {
    let mut drafts = match random.below(6) {
        0 | 1 => datagram::udp(random),
        2 => datagram::queries(random),
        3 => dialogues::translated(random),
        4 => datagram::generic(random),
        _ => tcp::conversation(random),
    };
    let Some(first) = drafts.first().map(|draft| draft.network) else { return drafts };
    let own = own(first.family, random.pick(&[Side::A, Side::B]));
    let (asked, asks) = (first.destination, random.chance(75));
    for draft in &mut drafts {
        let network = &mut draft.network;
        for address in [&mut network.source, &mut network.destination] {
            if (*address != asked) == asks {
                *address = own;
            }
        }
    }
    drafts
}

/// Whether a packet comes from, or goes to, somebody on a link of the host, who is not there.
pub(super) fn is_of_a_neighbour(packet: &[u8]) -> bool {
    let Ok(parsed) = Parsed::new(packet) else { return false };
    [parsed.source, parsed.destination].iter().any(|one| is_router(*one) && !is_own(*one))
}

/// The host's own address towards a side.
fn own(family: Family, side: Side) -> Address {
    match family {
        Family::V4 => Address::v4([100, 127, 253 + side as u8, 1]),
        Family::V6 => {
            let mut octets = [0; 16];
            octets[..6].copy_from_slice(&[0xfd, 0x4d, 0x41, 0x54, 0, 0x0a + side as u8]);
            octets[15] = 1;
            Address::v6(octets)
        }
    }
}

/// Somebody asks an address that leads inside, from outside or from inside.
fn known_outside(random: &mut Random) -> Vec<Draft> {
    let mut drafts = match random.below(6) {
        0 => datagram::udp(random),
        1 => datagram::queries(random),
        2 => sctp::conversation(random),
        _ => tcp::conversation(random),
    };
    let Some(first) = drafts.first().map(|draft| draft.network) else { return drafts };
    let asked = outside(random, first.family);
    let from_inside = random.chance(60);
    let client = flow::address(first.family, Side::A, 1 + random.below(3) as u8);
    for draft in &mut drafts {
        let network = &mut draft.network;
        let asks = network.source == first.source;
        let ends = [(asks, &mut network.source), (!asks, &mut network.destination)];
        for (is_client, address) in ends {
            if !is_client {
                *address = asked;
            } else if from_inside {
                *address = client;
            }
        }
        if from_inside {
            draft.side = if asks { Side::A } else { Side::B };
        }
    }
    drafts
}

/// An address that rules lead elsewhere.
fn outside(random: &mut Random, family: Family) -> Address {
    match family {
        Family::V4 => {
            let own = Address::v4([100, 127, 254, 1]);
            let known = [1, 1, 9].map(|host| Address::v4([203, 0, 113, host]));
            random.pick(&[known[0], known[1], known[2], own])
        }
        Family::V6 => {
            let host = random.pick(&[1, 1, 9]);
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&[0x20, 1, 0, 0x0c]);
            octets[15] = host;
            Address::v6(octets)
        }
    }
}
