//! Packets as bytes, lengths and checksums right.

use super::{Addresses, Content, Script, Segment, Step};
use keepstate_packet::{Parsed, checksum, tcp};
use std::net::IpAddr;

/// Bytes of the quoted packet that an error repeats: the IP header and enough of the rest for any
/// receiver (RFC 1812 wants as much as fits; RFC 792 at least 8 bytes beyond the header).
const QUOTED_MAX: usize = 128;

/// TTL or hop limit of what the peers send.
const HOPS: u8 = 64;

/// Receive window that the peers announce, in bytes; scaled by [`WINDOW_SCALE`] after the SYNs.
pub(super) const WINDOW: u16 = 64_240;
/// Window scale that the peers announce.
const WINDOW_SCALE: u8 = 7;

/// The packet of step `index`, from the IP header on; empty for an index that is not there.
#[must_use]
pub fn bytes_of(script: &Script, index: usize, addresses: &Addresses) -> Vec<u8> {
    let Some(step) = script.steps.get(index) else { return Vec::new() };
    let (source, destination) = (addresses.of(step.from), addresses.of(step.to));
    let (protocol, body) = body(script, step, addresses, source.is_ipv4());
    let mut packet = ip_header(source, destination, protocol, body.len(), index);
    packet.extend(body);
    finish(&mut packet, protocol);
    packet
}

fn body(script: &Script, step: &Step, addresses: &Addresses, v4: bool) -> (u8, Vec<u8>) {
    let icmp = if v4 { 1 } else { 58 };
    match &step.content {
        Content::Tcp(segment) => (6, tcp_segment(segment)),
        Content::Udp { source_port, destination_port, data } => {
            let length = u16::try_from(data.len() + 8).unwrap_or(u16::MAX);
            let mut out = Vec::with_capacity(data.len() + 8);
            out.extend(source_port.to_be_bytes());
            out.extend(destination_port.to_be_bytes());
            out.extend(length.to_be_bytes());
            out.extend([0, 0]);
            out.extend(data);
            (17, out)
        }
        Content::Icmp { kind, code, rest, data } => (icmp, icmp_message(*kind, *code, *rest, data)),
        Content::Error { kind, code, rest, about } => {
            let mut quoted = match *about < STEP_OF_NOTHING {
                true => bytes_of(script, *about, addresses),
                false => stray(addresses, step),
            };
            quoted.truncate(QUOTED_MAX);
            (icmp, icmp_message(*kind, *code, *rest, &quoted))
        }
        Content::Other { protocol, data } => (*protocol, data.clone()),
    }
}

/// `about` of an error that quotes a packet nobody has seen.
pub(super) const STEP_OF_NOTHING: usize = usize::MAX;

/// A packet of a connection that does not exist, sent by the receiver of the error.
fn stray(addresses: &Addresses, step: &Step) -> Vec<u8> {
    let (source, destination) = (addresses.of(step.to), addresses.server);
    let segment = Segment {
        source_port: 50_999,
        destination_port: 50_998,
        flags: tcp::ACK,
        ..Segment::default()
    };
    let body = tcp_segment(&segment);
    let mut packet = ip_header(source, destination, 6, body.len(), 0);
    packet.extend(body);
    finish(&mut packet, 6);
    packet
}

fn tcp_segment(segment: &Segment) -> Vec<u8> {
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
    out.extend(segment.source_port.to_be_bytes());
    out.extend(segment.destination_port.to_be_bytes());
    out.extend(segment.sequence.to_be_bytes());
    out.extend(segment.acknowledgment.to_be_bytes());
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
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    body: usize,
    index: usize,
) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(body + 20).unwrap_or(u16::MAX);
            let identification = 0x4000 + u16::try_from(index).unwrap_or(0);
            let mut out = vec![0x45, 0];
            out.extend(length.to_be_bytes());
            out.extend(identification.to_be_bytes());
            // Don't fragment: what hosts send that discover the path MTU.
            out.extend([0x40, 0, HOPS, protocol, 0, 0]);
            out.extend(source.octets());
            out.extend(destination.octets());
            let sum = checksum::compute(&out);
            put(&mut out, 10, sum);
            out
        }
        (source, destination) => {
            let length = u16::try_from(body).unwrap_or(u16::MAX);
            let octets = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            // Neighbour discovery is only believed with the full hop limit (RFC 4861, 7.1).
            let hops = if protocol == 58 { 255 } else { HOPS };
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
fn finish(packet: &mut [u8], protocol: u8) {
    let at = match protocol {
        6 => 16,
        17 => 6,
        1 | 58 => 2,
        _ => return,
    };
    let Ok(parsed) = Parsed::new(packet) else { return };
    let offset = parsed.l4_offset as usize;
    let Some(body) = packet.get(offset..) else { return };
    let length = u32::try_from(body.len()).unwrap_or(0);
    let sum = match protocol {
        1 => checksum::Sum::ZERO,
        _ => checksum::Sum::pseudo_header(&parsed, protocol, length),
    };
    let sum = sum.bytes(body).checksum();
    let sum = if protocol == 17 && sum == 0 { 0xffff } else { sum };
    put(packet, offset + at, sum);
}

fn put(packet: &mut [u8], at: usize, value: u16) {
    for (to, from) in packet.iter_mut().skip(at).zip(value.to_be_bytes()) {
        *to = from;
    }
}
