//! Changes to one packet that bring it to the edge of a rule: what grammars do with it.

use super::draft::{
    Body, Chunk, Draft, ICMP, ICMPV6, SCTP, SctpPacket, Segment, TCP, UDP, UDPLITE,
};
use super::flow;
use super::random::Random;
use keepstate_packet::{Address, Family};
use std::net::IpAddr;

const DCCP: u8 = 33;
const ESP: u8 = 50;
const AH: u8 = 51;
const IPCOMP: u8 = 108;
const MOBILITY: u8 = 135;
const HOP_BY_HOP: u8 = 0;
/// Longest packet made on purpose.
const LENGTH_MAX: usize = 3000;

/// Gives a packet a protocol, and a body of that protocol unless it has one.
pub(super) fn be(random: &mut Random, draft: &mut Draft, protocol: u8) {
    let fits = match &draft.body {
        Body::Tcp(_) => protocol == TCP,
        Body::Sctp(_) => protocol == SCTP,
        Body::Udp { .. } => matches!(protocol, UDP | UDPLITE),
        Body::Icmp { .. } | Body::Error { .. } => matches!(protocol, ICMP | ICMPV6),
        Body::Raw(_) => draft.protocol == protocol,
    };
    if draft.protocol == protocol && fits {
        return;
    }
    let from = ports(draft);
    // What stands before the transport names it.
    draft.options.clear();
    draft.first_header = None;
    draft.protocol = protocol;
    let length = random.pick(&[0, 1, 12, 100]);
    let payload = random.bytes(length);
    draft.body = match protocol {
        TCP => Body::Tcp(Segment {
            source_port: from.0,
            destination_port: from.1,
            sequence: random.word(),
            acknowledgment: random.word(),
            flags: random.pick(&[2, 0x10, 0x18, 0x12, 4, 0x11]),
            window: random.half(),
            payload,
            ..Segment::default()
        }),
        SCTP => {
            let kind = random.pick(&[0, 1, 3, 4, 10]);
            let tag = if kind == 1 { 0 } else { random.word() };
            Body::Sctp(SctpPacket { ports: from, tag, chunks: vec![chunk(random, kind, 3)] })
        }
        UDP | UDPLITE => Body::Udp { ports: from, length_error: 0, payload, unsummed: false },
        ICMP | ICMPV6 => {
            let kind = match protocol {
                ICMP => random.pick(&[8, 8, 0, 3, 11, 5, 13]),
                _ => random.pick(&[128, 128, 129, 1, 3, 135]),
            };
            Body::Icmp { kind, code: 0, rest: [0, 1, 0, 1], payload }
        }
        DCCP => Body::Raw(dccp(random, from, 2, None)),
        AH => Body::Raw([&[59, 4, 0, 0][..], &random.bytes(20)].concat()),
        MOBILITY => Body::Raw(vec![59, 0, 0, 0, 0, 0, 0, 0]),
        _ => Body::Raw(random.bytes(24)),
    };
}

/// The number of a protocol as rules name it.
pub(super) fn protocol(name: &str) -> Option<u8> {
    let names = [
        ("tcp", TCP),
        ("udp", UDP),
        ("udplite", UDPLITE),
        ("sctp", SCTP),
        ("dccp", DCCP),
        ("icmp", ICMP),
        ("ipv6-icmp", ICMPV6),
        ("ah", AH),
        ("esp", ESP),
        ("ipcomp", IPCOMP),
        ("ipv6-mh", MOBILITY),
    ];
    let found = names.iter().find(|(one, _)| *one == name).map(|(_, number)| *number);
    found.or_else(|| name.parse().ok())
}

/// Its ports, or such as others have.
pub(super) fn ports(draft: &Draft) -> (u16, u16) {
    match &draft.body {
        Body::Tcp(segment) => (segment.source_port, segment.destination_port),
        Body::Sctp(packet) => packet.ports,
        Body::Udp { ports, .. } => *ports,
        Body::Icmp { .. } | Body::Error { .. } | Body::Raw(_) => (1024, 80),
    }
}

/// Sets the port of an end: 0 the source, 1 the destination.
pub(super) fn set_port(draft: &mut Draft, end: usize, port: u16) {
    let is_dccp = draft.protocol == DCCP;
    let (source, destination) = match &mut draft.body {
        Body::Tcp(segment) => (&mut segment.source_port, &mut segment.destination_port),
        Body::Sctp(packet) => (&mut packet.ports.0, &mut packet.ports.1),
        Body::Udp { ports, .. } => (&mut ports.0, &mut ports.1),
        Body::Raw(bytes) if is_dccp && bytes.len() >= 4 => {
            bytes[2 * end..2 * end + 2].copy_from_slice(&port.to_be_bytes());
            return;
        }
        Body::Icmp { .. } | Body::Error { .. } | Body::Raw(_) => return,
    };
    *if end == 0 { source } else { destination } = port;
}

pub(super) fn xor_tcp_flags(draft: &mut Draft, bits: u8) {
    if let Body::Tcp(segment) = &mut draft.body {
        segment.flags ^= bits;
    }
}

/// Options that targets strip or change, in odd places and with odd lengths.
pub(super) fn tcp_options(random: &mut Random, draft: &mut Draft) {
    let Body::Tcp(segment) = &mut draft.body else { return };
    segment.options.clear();
    for _ in 0..=random.below(4) {
        let one: &[u8] = random.pick(&[
            &[1][..],
            &[2, 4, 5, 0xb4],
            &[3, 3, 7],
            &[4, 2],
            &[8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            &[5, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            &[19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            &[254, 4, 0, 1],
            &[0],
            &[2, 1],
            &[3, 0],
            &[8, 40],
            &[253, 2],
            &[1, 1, 1],
        ]);
        segment.options.extend(one);
    }
}

pub(super) fn chunk(random: &mut Random, kind: u8, flags: u8) -> Chunk {
    let length = match kind {
        0 | 3 => 12,
        1 | 2 => 16,
        _ => random.pick(&[0, 4, 8]),
    };
    let mut value = random.bytes(length);
    if matches!(kind, 1 | 2) {
        // A tag, a window and streams that are not 0.
        value[3] |= 1;
        value[9] |= 1;
        value[11] |= 1;
    }
    Chunk { kind, flags, length_error: 0, value }
}

/// A DCCP packet (RFC 4340) of a type, with an option where one is asked for.
pub(super) fn dccp(
    random: &mut Random,
    ports: (u16, u16),
    kind: u8,
    option: Option<u8>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend([0, 0, 0, 0]);
    let extended = random.chance(80);
    bytes.push(kind << 1 | u8::from(extended));
    bytes.extend(random.bytes(if extended { 7 } else { 3 }));
    bytes.extend(random.bytes(match kind {
        0 => 4,
        1 | 7 => 12,
        2 => 0,
        _ if extended => 8,
        _ => 4,
    }));
    if let Some(option) = option {
        bytes.extend(vec![0; random.below(3)]);
        bytes.push(option);
        if option >= 32 {
            let length = random.pick(&[2, 3, 4, 6, 0, 1, 255]);
            bytes.push(length);
            bytes.extend(vec![1; usize::from(length).clamp(2, 8) - 2]);
        }
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes[4] = (bytes.len() / 4) as u8;
    if random.chance(10) {
        bytes[4] = random.pick(&[0, 3, 4, 5, 255]);
    }
    let payload = random.below(12);
    bytes.extend(random.bytes(payload));
    if random.chance(5) {
        bytes.truncate(random.below(20));
    }
    bytes
}

/// Where the payload begins, counted from the IP header.
fn payload_offset(draft: &Draft) -> usize {
    let ip = if draft.network.family == Family::V4 { 20 } else { 40 };
    let transport = match &draft.body {
        Body::Tcp(segment) => 20 + segment.options.len().min(40).next_multiple_of(4),
        Body::Sctp(_) => 12,
        Body::Udp { .. } | Body::Icmp { .. } | Body::Error { .. } => 8,
        Body::Raw(_) => 0,
    };
    ip + draft.options.len().next_multiple_of(4) + transport
}

fn payload(draft: &mut Draft) -> Option<&mut Vec<u8>> {
    match &mut draft.body {
        Body::Tcp(segment) => Some(&mut segment.payload),
        Body::Udp { payload, .. } | Body::Icmp { payload, .. } => Some(payload),
        Body::Raw(bytes) => Some(bytes),
        Body::Error { .. } | Body::Sctp(_) => None,
    }
}

/// Makes the whole packet so long, where its payload lets it.
pub(super) fn set_length(draft: &mut Draft, length: usize) {
    let before = payload_offset(draft);
    let least = if matches!(draft.body, Body::Raw(_)) { 24 } else { 0 };
    if let Some(payload) = payload(draft) {
        let length = length.clamp(before + least, LENGTH_MAX) - before;
        payload.resize(length, 0x61);
    }
}

/// Puts bytes so far behind the beginning of the packet.
pub(super) fn put(random: &mut Random, draft: &mut Draft, at: usize, pattern: &[u8]) {
    let before = payload_offset(draft);
    let Some(payload) = payload(draft) else { return };
    let at = at.min(LENGTH_MAX).saturating_sub(before);
    if payload.len() < at + pattern.len() {
        payload.resize(at + pattern.len(), 0x61);
    }
    payload[at..at + pattern.len()].copy_from_slice(pattern);
    if random.chance(30) {
        payload.truncate((at + pattern.len()).saturating_sub(random.below(2)));
    }
}

/// Sets the source or destination address.
pub(super) fn be_at(draft: &mut Draft, is_source: bool, text: &str) {
    let Ok(address) = text.parse::<IpAddr>() else { return };
    *if is_source { &mut draft.network.source } else { &mut draft.network.destination } =
        Address::from(address);
}

/// Sets the source or destination address to one beside an end of a network, or to that end.
pub(super) fn set_address(random: &mut Random, draft: &mut Draft, is_source: bool, text: &str) {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "128"));
    let Ok(address) = address.parse::<IpAddr>() else { return };
    let (mut number, bits) = match address {
        IpAddr::V4(one) => (u128::from(u32::from(one)), 32u32),
        IpAddr::V6(one) => (u128::from(one), 128),
    };
    if (bits == 32) != (draft.network.family == Family::V4) {
        return;
    }
    let host = bits - prefix.parse().unwrap_or(bits).min(bits);
    let size = 1u128.checked_shl(host).map_or(u128::MAX, |size| size - 1);
    number = match random.below(6) {
        0 => number | size,
        1 => (number | size).wrapping_add(1),
        2 => number.wrapping_sub(1),
        3 => number | (u128::from(random.number()) & size),
        _ => number,
    };
    let to = match bits {
        32 => Address::v4((number as u32).to_be_bytes()),
        _ => Address::v6(number.to_be_bytes()),
    };
    *if is_source { &mut draft.network.source } else { &mut draft.network.destination } = to;
}

/// One of the few hosts for each end, so that what counts by addresses comes to its limits.
pub(super) fn few_addresses(random: &mut Random, draft: &mut Draft) {
    let host = 1 + random.below(3) as u8;
    let network = &mut draft.network;
    network.source = flow::address(network.family, draft.side, host);
    network.ttl = random.pick(&[64, 64, 63, 65]);
}

/// An address made of the hardware address that frames come from, or nearly so.
pub(super) fn eui64(random: &mut Random, draft: &mut Draft) {
    // On the router's own links there is nobody else whom it could tell of errors.
    let is_near = draft.network.source.0.starts_with(&[0xfd, 0x4d, 0x41, 0x54]);
    if draft.network.family == Family::V6 && !is_near {
        let side = draft.side as u8;
        let mut interface = [0, 0x6d, 0x61, 0xff, 0xfe, 0x74, 0, 0x0a + side];
        if random.chance(30) {
            interface[random.below(8)] ^= random.pick(&[1, 2, 0x80]);
        }
        draft.network.source.0[8..].copy_from_slice(&interface);
    }
}

/// Sets the index of AH, ESP or IPComp, and the length of AH's header.
pub(super) fn set_spi(random: &mut Random, draft: &mut Draft, spi: u32, length: Option<usize>) {
    let six = draft.network.family == Family::V6;
    let Body::Raw(bytes) = &mut draft.body else { return };
    match draft.protocol {
        ESP => *bytes = [&spi.to_be_bytes()[..], &random.bytes(20)].concat(),
        IPCOMP => {
            let [_, _, high, low] = spi.to_be_bytes();
            *bytes = vec![6, 0, high, low];
            bytes.extend(random.bytes(20));
        }
        AH => {
            let wanted = length.unwrap_or(24).clamp(12, 1028);
            let words = (wanted.div_ceil(4) - 2) as u8;
            let reserved = if random.chance(20) { 1 } else { 0 };
            let mut content = vec![59, words, 0, reserved];
            content.extend(spi.to_be_bytes());
            content.resize(wanted.next_multiple_of(4), 7);
            *bytes = content;
            if six {
                bytes.extend(random.bytes(8));
            }
        }
        _ => {}
    }
    if random.chance(8) {
        bytes.truncate(random.below(13));
    }
}

/// Puts an extension header in front of all but hop-by-hop options. The first byte of `content` is
/// written over with what follows.
pub(super) fn extend(draft: &mut Draft, kind: u8, content: &[u8]) {
    if draft.network.family == Family::V4 || draft.options.len() + content.len() > 1200 {
        return;
    }
    let mut content = content.to_vec();
    content.resize(content.len().next_multiple_of(8), 0);
    if !matches!(kind, 44 | AH) {
        content[1] = (content.len() / 8 - 1) as u8;
    }
    let first = draft.first_header.unwrap_or(draft.protocol);
    let behind_hop = first == HOP_BY_HOP && kind != HOP_BY_HOP && draft.options.len() >= 8;
    if behind_hop {
        let at = (usize::from(draft.options[1]) + 1) * 8;
        if at > draft.options.len() {
            return;
        }
        content[0] = draft.options[0];
        draft.options[0] = kind;
        draft.options.splice(at..at, content);
    } else {
        content[0] = first;
        draft.options.splice(..0, content);
        draft.first_header = Some(kind);
    }
}

/// The content of an extension header of a kind.
pub(super) fn header_content(random: &mut Random, kind: u8) -> Vec<u8> {
    match kind {
        44 => [&[0, 0, 0, 0][..], &random.bytes(4)].concat(),
        43 => vec![0, 0, random.pick(&[0, 2, 3, 4]), 0, 0, 0, 0, 0],
        AH => [&[0, 4, 0, 0][..], &random.bytes(20)].concat(),
        _ => vec![0, 0, 1, 4, 0, 0, 0, 0],
    }
}

/// Has the chain of headers end in one behind which nothing is known.
pub(super) fn end_with(random: &mut Random, draft: &mut Draft, protocol: u8) {
    if draft.options.is_empty() {
        be(random, draft, protocol);
    }
}

/// Fills a list of options up, to eight bytes or to the length of a header.
pub(super) fn pad_options(random: &mut Random, content: &mut Vec<u8>, length: usize) {
    let whole = content.len().next_multiple_of(8).max(length.next_multiple_of(8)).max(8);
    while content.len() < whole {
        match whole - content.len() {
            1 => content.push(0),
            left if random.chance(20) && left > 2 => content.push(0),
            left => {
                let length = (left - 2).min(255);
                content.extend([1, length as u8]);
                content.extend(vec![0; length]);
            }
        }
    }
}

/// A mobility header (RFC 6275) of a type.
pub(super) fn mobility(random: &mut Random, draft: &mut Draft, kind: u8) {
    let mut bytes = vec![59, 0, kind, 0, 0, 0, 0, 0];
    match random.below(12) {
        0 => bytes[0] = 6,
        1 => bytes[1] = random.pick(&[1, 255]),
        2 => bytes.truncate(random.below(8)),
        _ => {}
    }
    draft.body = Body::Raw(bytes);
}
