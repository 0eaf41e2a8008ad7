//! Packets as bytes, lengths and checksums right.

use super::{Content, Segment, Step};
use keepstate_packet::{Parsed, checksum, tcp};
use std::net::IpAddr;

/// Bytes of the quoted packet that an error repeats: the IP header and enough of the rest for any
/// receiver (RFC 1812 wants as much as fits; RFC 792 at least 8 bytes beyond the header).
const QUOTED_MAX: usize = 128;

/// TTL or hop limit of what the peers send.
const HOPS: u8 = 64;

/// Receive window that the peers announce, in bytes; scaled by [`WINDOW_SCALE`] after the SYNs.
const WINDOW: u16 = 64_240;
/// Window scale that the peers announce.
const WINDOW_SCALE: u8 = 7;

/// What a sender knows of whom it speaks to: the address and port that go into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Address and port, or identifier, that it speaks from.
    pub source: (IpAddr, u16),
    /// Address and port, or identifier, that it speaks to.
    pub destination: (IpAddr, u16),
    /// What its peer's numbers have been moved by on their way: added to what it acknowledges.
    pub acknowledged: u32,
}

/// The packet of a step, from the IP header on. `identification` tells it from others; `quoted` is
/// what an error is about.
#[must_use]
pub fn build(step: &Step, wire: &Wire, identification: u16, quoted: &[u8]) -> Vec<u8> {
    let v4 = wire.source.0.is_ipv4();
    let (protocol, body) = body(step, wire, v4, quoted);
    let ends = (wire.source.0, wire.destination.0);
    let hops = step.hops.unwrap_or(match (v4, protocol, wire.destination.0.is_multicast()) {
        // Neighbour discovery is only believed with the full hop limit (RFC 4861, 7.1).
        (false, 58, _) if is_discovery(&step.content) => 255,
        (_, _, true) => 1,
        _ => HOPS,
    });
    let mut packet = ip_header(ends, protocol, body.len(), identification, hops);
    packet.extend(body);
    finish(&mut packet);
    packet
}

const fn is_discovery(content: &Content) -> bool {
    matches!(content, Content::Icmp { kind: 133..=137, .. })
}

fn body(step: &Step, wire: &Wire, v4: bool, quoted: &[u8]) -> (u8, Vec<u8>) {
    let icmp = if v4 { 1 } else { 58 };
    match &step.content {
        Content::Tcp(segment) => {
            let acknowledged = match segment.flags & tcp::ACK {
                0 => 0,
                _ => segment.acknowledgment.wrapping_add(wire.acknowledged),
            };
            (6, tcp_segment(segment, wire, acknowledged))
        }
        Content::Udp { data, .. } => {
            let length = u16::try_from(data.len() + 8).unwrap_or(u16::MAX);
            let mut out = Vec::with_capacity(data.len() + 8);
            out.extend(wire.source.1.to_be_bytes());
            out.extend(wire.destination.1.to_be_bytes());
            out.extend(length.to_be_bytes());
            out.extend([0, 0]);
            out.extend(data);
            (17, out)
        }
        Content::Icmp { kind, code, rest, data } => {
            let rest = match is_echo(v4, *kind) {
                true => u32::from(wire.destination.1) << 16 | rest & 0xffff,
                false => *rest,
            };
            (icmp, icmp_message(*kind, *code, rest, data))
        }
        Content::Error { kind, code, rest, .. } => {
            let quoted = quoted.get(..QUOTED_MAX).unwrap_or(quoted);
            (icmp, icmp_message(*kind, *code, *rest, quoted))
        }
        Content::Other { protocol, data } => (*protocol, data.clone()),
    }
}

/// Whether an ICMP message is a query or an answer, told apart by an identifier.
pub(super) const fn is_echo(v4: bool, kind: u8) -> bool {
    if v4 { matches!(kind, 0 | 8 | 13..=18) } else { matches!(kind, 128 | 129) }
}

/// A packet of a connection that does not exist, which `from` would have sent to `to`.
pub(super) fn stray(from: IpAddr, to: IpAddr) -> Vec<u8> {
    let wire = Wire { source: (from, 50_999), destination: (to, 50_998), acknowledged: 0 };
    segment(&wire, tcp::ACK, (1, 1))
}

/// A segment without data and options.
pub(super) fn segment(wire: &Wire, flags: u8, numbers: (u32, u32)) -> Vec<u8> {
    let segment = Segment { sequence: numbers.0, flags, ..Segment::default() };
    let body = tcp_segment(&segment, wire, numbers.1);
    let ends = (wire.source.0, wire.destination.0);
    let mut packet = ip_header(ends, 6, body.len(), 0x3fff, HOPS);
    packet.extend(body);
    finish(&mut packet);
    packet
}

fn tcp_segment(segment: &Segment, wire: &Wire, acknowledged: u32) -> Vec<u8> {
    let syn = segment.flags & tcp::SYN != 0;
    let options: &[u8] = if syn {
        // MSS 1460, SACK permitted, no-operation, window scale.
        &[2, 4, 5, 180, 4, 2, 1, 3, 3, WINDOW_SCALE, 0, 0]
    } else {
        &[]
    };
    let window = if syn { WINDOW } else { WINDOW >> WINDOW_SCALE };
    let offset = u8::try_from((20 + options.len()) / 4).unwrap_or(5);
    let mut out = Vec::with_capacity(20 + options.len() + segment.data.len());
    out.extend(wire.source.1.to_be_bytes());
    out.extend(wire.destination.1.to_be_bytes());
    out.extend(segment.sequence.to_be_bytes());
    out.extend(acknowledged.to_be_bytes());
    out.extend([offset << 4, segment.flags]);
    out.extend(window.to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend(options);
    out.extend(&segment.data);
    out
}

fn icmp_message(kind: u8, code: u8, rest: u32, data: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, code, 0, 0];
    out.extend(rest.to_be_bytes());
    out.extend(data);
    out
}

fn ip_header(
    ends: (IpAddr, IpAddr),
    protocol: u8,
    body: usize,
    identification: u16,
    hops: u8,
) -> Vec<u8> {
    match ends {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(body + 20).unwrap_or(u16::MAX);
            let mut out = vec![0x45, 0];
            out.extend(length.to_be_bytes());
            out.extend(identification.to_be_bytes());
            // Don't fragment: what hosts send that discover the path MTU.
            out.extend([0x40, 0, hops, protocol, 0, 0]);
            out.extend(source.octets());
            out.extend(destination.octets());
            checksum::fill_ipv4_header(&mut out);
            out
        }
        (source, destination) => {
            let length = u16::try_from(body).unwrap_or(u16::MAX);
            let octets = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let mut out = vec![0x60, 0, 0, 0];
            out.extend(length.to_be_bytes());
            out.extend([protocol, hops]);
            out.extend(octets(source));
            out.extend(octets(destination));
            out
        }
    }
}

/// Puts the checksum of the upper-layer header in.
fn finish(packet: &mut [u8]) {
    if let Ok(parsed) = Parsed::new(packet) {
        checksum::fill(&parsed, packet);
    }
}
