//! Packets before they are bytes: what generators write and mutators change.

use super::random::Random;
use crate::observation::Side;
use keepstate_packet::{Address, Family, checksum};

/// Protocol numbers.
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const SCTP: u8 = 132;
pub(crate) const UDPLITE: u8 = 136;

/// The network-layer part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) family: Family,
    pub(crate) source: Address,
    pub(crate) destination: Address,
    /// TTL or hop limit.
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) identification: u16,
}

impl Network {
    /// The same from the other end.
    pub(crate) fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source, ..self }
    }
}

/// A TCP segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// Padded with end-of-options on the wire.
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// Added to the data offset that the options need, in 32-bit words.
    pub(crate) offset_error: i8,
    pub(crate) reserved: u8,
}

/// A chunk of an SCTP packet, padded to four bytes on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// Added to the right length.
    pub(crate) length_error: i16,
    pub(crate) value: Vec<u8>,
}

/// An SCTP packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct SctpPacket {
    pub(crate) ports: (u16, u16),
    pub(crate) tag: u32,
    pub(crate) chunks: Vec<Chunk>,
}

/// Which earlier packet an ICMP error quotes, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    /// Counted back from the error, 0 is the packet just before.
    pub(crate) back: usize,
    /// Bytes of the quoted packet.
    pub(crate) length: usize,
    /// With addresses and ports of the quoted packet exchanged.
    pub(crate) reversed: bool,
}

/// The transport part.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Tcp(Segment),
    Sctp(SctpPacket),
    /// UDP or UDP-Lite: ports, added to the right length or coverage, payload, no checksum.
    Udp {
        ports: (u16, u16),
        length_error: i16,
        payload: Vec<u8>,
        unsummed: bool,
    },
    /// ICMP or ICMPv6: type, code, the four bytes after the checksum, payload.
    Icmp {
        kind: u8,
        code: u8,
        rest: [u8; 4],
        payload: Vec<u8>,
    },
    /// An ICMP or ICMPv6 error; source and destination are taken from what it quotes when the
    /// network part has none. Between its eight bytes and the quote stands `before`.
    Error {
        kind: u8,
        code: u8,
        rest: [u8; 4],
        before: Vec<u8>,
        quote: Quote,
    },
    /// Anything.
    Raw(Vec<u8>),
}

/// Faults made after everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The transport checksum is off by one.
    Checksum,
    /// The packet ends after so many bytes of transport, and the IP length says so.
    Cut(usize),
    /// The packet is so many bytes longer than the IP length says.
    Padded(usize),
    /// The IPv4 header checksum is off by one.
    HeaderChecksum,
}

/// A packet.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) side: Side,
    pub(crate) network: Network,
    pub(crate) protocol: u8,
    pub(crate) body: Body,
    pub(crate) damage: Option<Damage>,
    /// IPv4 options or IPv6 extension headers in front of the transport part.
    pub(crate) options: Vec<u8>,
    /// First protocol number of `options` for IPv6.
    pub(crate) first_header: Option<u8>,
}

impl Draft {
    pub(crate) const fn new(side: Side, network: Network, protocol: u8, body: Body) -> Self {
        Self {
            side,
            network,
            protocol,
            body,
            damage: None,
            options: Vec::new(),
            first_header: None,
        }
    }

    /// The packet as bytes; `earlier` are those before it.
    pub(crate) fn bytes(&self, earlier: &[(Side, Vec<u8>)], random: &mut Random) -> Vec<u8> {
        let mut network = self.network;
        let mut transport = match &self.body {
            Body::Tcp(segment) => tcp(segment),
            Body::Sctp(packet) => sctp(packet),
            Body::Udp { ports, length_error, payload, .. } => {
                let length = if self.protocol == UDPLITE { 0 } else { payload.len() as u16 + 8 };
                udp(*ports, length.wrapping_add_signed(*length_error), payload)
            }
            Body::Icmp { kind, code, rest, payload } => icmp(*kind, *code, *rest, payload),
            Body::Error { kind, code, rest, before, quote } => {
                let quoted = quoted(earlier, *quote, network.family);
                if network.source == Address::default() {
                    network = addressed(network, quoted, random);
                }
                icmp(*kind, *code, *rest, &[before.as_slice(), &requoted(quoted, *quote)].concat())
            }
            Body::Raw(bytes) => bytes.clone(),
        };
        if let Some(Damage::Cut(length)) = self.damage {
            transport.truncate(length);
        }
        let unsummed = matches!(self.body, Body::Udp { unsummed: true, .. } | Body::Raw(_));
        let off_by = u16::from(self.damage == Some(Damage::Checksum));
        seal(&network, self.protocol, &mut transport, unsummed, off_by);
        let mut bytes = self.header(&network, transport.len());
        bytes.extend(transport);
        if let Some(Damage::Padded(length)) = self.damage {
            bytes.extend(random.bytes(length));
        }
        bytes
    }

    fn header(&self, network: &Network, transport: usize) -> Vec<u8> {
        let n = network;
        match n.family {
            Family::V4 => {
                let words = 5 + self.options.len().div_ceil(4) as u8;
                let length = (usize::from(words) * 4 + transport) as u16;
                let mut h = vec![0x40 | words, n.tos];
                h.extend(length.to_be_bytes());
                h.extend(n.identification.to_be_bytes());
                h.extend([0x40, 0, n.ttl, self.protocol, 0, 0]);
                h.extend(n.source.v4_octets());
                h.extend(n.destination.v4_octets());
                h.extend(&self.options);
                h.resize(usize::from(words) * 4, 0);
                let wrong = u16::from(self.damage == Some(Damage::HeaderChecksum));
                let sum = (!fold(sum(&h))).wrapping_add(wrong);
                h[10..12].copy_from_slice(&sum.to_be_bytes());
                h
            }
            Family::V6 => {
                let mut h = vec![0x60 | n.tos >> 4, n.tos << 4, 0, 0];
                h.extend(((self.options.len() + transport) as u16).to_be_bytes());
                h.extend([self.first_header.unwrap_or(self.protocol), n.ttl]);
                h.extend(n.source.0);
                h.extend(n.destination.0);
                h.extend(&self.options);
                h
            }
        }
    }
}

fn tcp(s: &Segment) -> Vec<u8> {
    let mut options = s.options.clone();
    options.truncate(40);
    options.resize(options.len().next_multiple_of(4), 0);
    let words = (5 + options.len() as u8 / 4).wrapping_add_signed(s.offset_error) & 15;
    let mut b = Vec::with_capacity(20 + options.len() + s.payload.len());
    b.extend(s.source_port.to_be_bytes());
    b.extend(s.destination_port.to_be_bytes());
    b.extend(s.sequence.to_be_bytes());
    b.extend(s.acknowledgment.to_be_bytes());
    b.extend([words << 4 | s.reserved & 15, s.flags]);
    b.extend(s.window.to_be_bytes());
    b.extend([0; 4]);
    b.extend(options);
    b.extend(&s.payload);
    b
}

fn sctp(packet: &SctpPacket) -> Vec<u8> {
    let mut b = Vec::new();
    b.extend(packet.ports.0.to_be_bytes());
    b.extend(packet.ports.1.to_be_bytes());
    b.extend(packet.tag.to_be_bytes());
    b.extend([0; 4]);
    for chunk in &packet.chunks {
        let length = (chunk.value.len() as u16 + 4).wrapping_add_signed(chunk.length_error);
        b.extend([chunk.kind, chunk.flags]);
        b.extend(length.to_be_bytes());
        b.extend(&chunk.value);
        b.resize(b.len().next_multiple_of(4), 0);
    }
    b
}

fn udp(ports: (u16, u16), length: u16, payload: &[u8]) -> Vec<u8> {
    let mut b = Vec::with_capacity(8 + payload.len());
    for half in [ports.0, ports.1, length, 0] {
        b.extend(half.to_be_bytes());
    }
    b.extend(payload);
    b
}

fn icmp(kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut b = vec![kind, code, 0, 0];
    b.extend(rest);
    b.extend(payload);
    b
}

/// The latest earlier packet of the family, `quote.back` further back where there is one.
fn quoted(earlier: &[(Side, Vec<u8>)], quote: Quote, family: Family) -> &[u8] {
    let version = if family == Family::V4 { 4 } else { 6 };
    let same =
        || earlier.iter().rev().filter(|(_, b)| b.first().is_some_and(|f| f >> 4 == version));
    let found = same().nth(quote.back).or_else(|| same().next());
    found.map_or(&[], |(_, bytes)| bytes)
}

fn requoted(packet: &[u8], quote: Quote) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    if quote.reversed {
        let (address, length) =
            if bytes.first().is_some_and(|b| b >> 4 == 6) { (8, 16) } else { (12, 4) };
        let port = address + 2 * length;
        for (at, length) in [(address, length), (port, 2)] {
            if bytes.len() >= at + 2 * length {
                let (low, high) = bytes[at..at + 2 * length].split_at_mut(length);
                low.swap_with_slice(high);
            }
        }
    }
    bytes.truncate(quote.length);
    bytes
}

/// An error goes to the source of what it quotes, from its destination or a router on the way.
fn addressed(mut network: Network, quoted: &[u8], random: &mut Random) -> Network {
    let six = network.family == Family::V6;
    let (at, length) = if six { (8, 16) } else { (12, 4) };
    let take = |from: usize| {
        let mut octets = [0; 16];
        for (to, from) in octets[..length].iter_mut().zip(quoted.get(from..).unwrap_or(&[])) {
            *to = *from;
        }
        Address(octets)
    };
    network.destination = take(at);
    network.source = take(at + length);
    if random.chance(50) {
        network.source.0[length - 1] ^= 0x55;
    }
    network
}

/// Puts the transport checksum in.
fn seal(network: &Network, protocol: u8, transport: &mut [u8], unsummed: bool, off_by: u16) {
    if protocol == SCTP && !unsummed && transport.len() >= 12 {
        let crc = checksum::sctp_checksum(transport);
        transport[8..12].copy_from_slice(&crc);
        transport[8] ^= off_by as u8;
        return;
    }
    let at = match protocol {
        TCP => 16,
        UDP | UDPLITE => 6,
        ICMP | ICMPV6 => 2,
        _ => return,
    };
    if unsummed || transport.len() < at + 2 {
        return;
    }
    transport[at..at + 2].fill(0);
    let covered = match (protocol, transport.get(4..6)) {
        (UDPLITE, Some(c)) => match usize::from(u16::from_be_bytes([c[0], c[1]])) {
            0 => transport.len(),
            coverage => coverage.min(transport.len()),
        },
        _ => transport.len(),
    };
    let mut total = sum(&transport[..covered]);
    if protocol != ICMP {
        total += sum(&network.source.0) + sum(&network.destination.0);
        total += u32::from(protocol) + transport.len() as u32;
    }
    let mut check = !fold(total);
    if check == 0 && matches!(protocol, UDP | UDPLITE) {
        check = 0xffff;
    }
    transport[at..at + 2].copy_from_slice(&check.wrapping_add(off_by).to_be_bytes());
}

/// Sum of 16-bit words (RFC 1071), not yet folded.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

/// Folds the carries in.
pub(crate) fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
