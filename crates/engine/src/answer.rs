//! Packets the host makes in answer to one: ICMP and ICMPv6 errors, TCP resets. Built as Linux
//! builds them, but for the IPv4 identification and the IPv6 flow label, which it draws at random.

use crate::options;
use crate::route::{Forwarding, InterfaceIndex};
use crate::routing::{Routing, is_link_local_v6};
use alloc::vec::Vec;
use keepstate_packet::checksum::{self, Sum};
use keepstate_packet::tcp::{self, TcpHeader};
use keepstate_packet::{Address, Family, Instant, L4, Parsed, icmp, icmpv6, ipv6};

/// Most bytes of an ICMP error with its IP header (RFC 1812, 4.3.2.3), where the way out takes as many.
pub(crate) const ICMP_ERROR_MAX: usize = 576;
/// Most bytes of an ICMPv6 error with its IP header (RFC 4443, 2.4 (c)).
pub(crate) const ICMPV6_ERROR_MAX: usize = 1280;

/// The packet that is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) parsed: &'a Parsed,
    pub(crate) bytes: &'a [u8],
    /// Where it came in; `None`: the host itself sent it.
    pub(crate) interface: Option<InterfaceIndex>,
    pub(crate) now: Instant,
    /// Tracking has found its checksum right.
    pub(crate) verified: bool,
}

/// An error to report: type, code, and octets 4 to 8 of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) rest: u32,
}

impl Report {
    pub(crate) const fn time_exceeded(family: Family) -> Self {
        match family {
            Family::V4 => Self { kind: icmp::TIME_EXCEEDED, code: 0, rest: 0 },
            Family::V6 => Self { kind: 3, code: 0, rest: 0 },
        }
    }

    /// The rest of a datagram did not come in time.
    pub(crate) const fn reassembly_time_exceeded(family: Family) -> Self {
        Self { code: 1, ..Self::time_exceeded(family) }
    }

    pub(crate) const fn too_big(family: Family, mtu: u32) -> Self {
        match family {
            Family::V4 => Self { kind: icmp::DESTINATION_UNREACHABLE, code: 4, rest: mtu },
            Family::V6 => Self { kind: 2, code: 0, rest: mtu },
        }
    }

    pub(crate) const fn unreachable(family: Family, code: u8) -> Self {
        match family {
            Family::V4 => Self { kind: icmp::DESTINATION_UNREACHABLE, code, rest: 0 },
            Family::V6 => Self { kind: 1, code, rest: 0 },
        }
    }

    pub(crate) const fn parameter_problem_v4(pointer: u8) -> Self {
        Self { kind: icmp::PARAMETER_PROBLEM, code: 0, rest: (pointer as u32) << 24 }
    }

    pub(crate) const fn parameter_problem_v6(code: u8, pointer: u32) -> Self {
        Self { kind: 4, code, rest: pointer }
    }
}

/// An ICMP or ICMPv6 error about a packet; `None` when none may be sent about it.
pub(crate) fn error(routing: &Routing, subject: &Subject<'_>, report: Report) -> Option<Vec<u8>> {
    let parsed = subject.parsed;
    let later_fragment = parsed.fragment.is_some_and(|fragment| fragment.offset != 0);
    match parsed.family {
        Family::V4 => {
            let to_one = routing.is_for_one(Family::V4, parsed.destination);
            let may = to_one && !later_fragment && !reports_error_v4(subject);
            may.then(|| error_v4(routing, subject, report))?
        }
        Family::V6 => {
            // RFC 4443, 2.4 (e): what a group is told all the same.
            let group_too = matches!((report.kind, report.code), (2, _) | (4, 2));
            let to_one = parsed.destination.0[0] != 0xff || group_too;
            let from_one = parsed.source.0[0] != 0xff && parsed.source != Address::default();
            // A link-local source is on the link that the packet came from, or nowhere.
            let reachable = !is_link_local_v6(Family::V6, parsed.source)
                || routing.route_out(Family::V6, parsed.source) == subject.interface;
            let may = to_one && from_one && reachable && !reports_error_v6(subject);
            may.then(|| error_v6(routing, subject, report))?
        }
    }
}

/// No error is sent about an error (RFC 1122, 3.2.2), nor about ICMP without type; every type that
/// is not one of the queries or the answers of RFC 792 and RFC 950 counts as an error here.
fn reports_error_v4(subject: &Subject<'_>) -> bool {
    let message = subject.parsed.l4_bytes(subject.bytes);
    subject.parsed.protocol == icmp::PROTOCOL
        && message.first().is_none_or(|kind| !matches!(kind, 0 | 8 | 13..=18))
}

/// Whether what a packet lacks may be in another piece (RFC 8200, 4.5): so says the last of its
/// fragment headers, be it only by bits that mean nothing.
fn may_be_elsewhere(packet: &[u8]) -> bool {
    let headers = ipv6::ExtensionHeaders::of(packet);
    let last = headers.filter(|header| header.protocol == ipv6::FRAGMENT).last();
    let field = last.and_then(|header| packet.get(header.offset + 2..header.offset + 4));
    field.is_some_and(|field| field != [0, 0])
}

fn reports_error_v6(subject: &Subject<'_>) -> bool {
    let message = subject.parsed.l4_bytes(subject.bytes);
    subject.parsed.protocol == icmpv6::PROTOCOL
        && subject.parsed.l4 != L4::Fragment
        && match message.first() {
            Some(kind) => icmpv6::is_error(*kind),
            None => !may_be_elsewhere(subject.parsed.packet(subject.bytes)),
        }
}

fn error_v4(routing: &Routing, subject: &Subject<'_>, report: Report) -> Option<Vec<u8>> {
    let parsed = subject.parsed;
    let header = subject.bytes.get(..usize::from(parsed.header_length)).unwrap_or(&[]);
    let is_fault = report.kind == icmp::PARAMETER_PROBLEM;
    let fault = is_fault.then_some((report.rest >> 24) as usize);
    let noted = options::noted(header, fault);
    let sender = parsed.source.v4_octets();
    let destination = Address::v4(noted.next_hop(sender));
    if routing.is_loopback(destination) {
        return None;
    }
    let source = source_address(routing, subject, destination)?;
    let stamps = |address: [u8; 4]| routing.stamps(address);
    let options = noted.echo(source.v4_octets(), sender, &stamps, subject.now)?;
    let headers = 20 + options.len() + icmp::HEADER_LENGTH;
    // Less than an IP header of the quoted packet would say nothing.
    let room = error_max_v4(routing, destination).checked_sub(headers).filter(|room| *room > 20)?;
    let quoted = quote(subject, room);
    let header = Header {
        source,
        destination,
        protocol: icmp::PROTOCOL,
        length: headers + quoted.len(),
        tos: parsed.tos & 0x1e | 0xc0,
        ttl: routing.ttl_v4(destination),
        dont_fragment: false,
    };
    let mut out = ipv4_header(&header, &options);
    let message_at = out.len();
    message(&mut out, report, quoted);
    seal(&mut out, message_at + 2, Sum::ZERO, message_at);
    Some(out)
}

/// Most bytes of an IPv4 error to this address: it leaves in one piece.
fn error_max_v4(routing: &Routing, destination: Address) -> usize {
    let way_out = routing.route_out(Family::V4, destination);
    let interface = way_out.and_then(|out| routing.host().interface(out));
    interface.map_or(ICMP_ERROR_MAX, |interface| ICMP_ERROR_MAX.min(interface.mtu as usize))
}

fn error_v6(routing: &Routing, subject: &Subject<'_>, report: Report) -> Option<Vec<u8>> {
    const HEADERS: usize = 40 + 8;
    let destination = subject.parsed.source;
    let source = source_address(routing, subject, destination)?;
    let quoted = quote(subject, ICMPV6_ERROR_MAX - HEADERS);
    let length = 8 + quoted.len();
    let mut out =
        ipv6_header(source, destination, icmpv6::PROTOCOL, length, routing.host().default_ttl);
    message(&mut out, report, quoted);
    seal(&mut out, 40 + 2, pseudo_header_v6(source, destination, icmpv6::PROTOCOL, length), 40);
    Some(out)
}

fn quote<'a>(subject: &Subject<'a>, max: usize) -> &'a [u8] {
    let packet = subject.parsed.packet(subject.bytes);
    packet.get(..max).unwrap_or(packet)
}

fn message(out: &mut Vec<u8>, report: Report, quoted: &[u8]) {
    out.extend_from_slice(&[report.kind, report.code, 0, 0]);
    out.extend_from_slice(&report.rest.to_be_bytes());
    out.extend_from_slice(quoted);
}

/// What an error comes from: the address that the packet was sent to, when it is ours; over IPv4
/// that of the way back; over IPv6 that of the interface the packet came in by. A bump in the wire
/// has none and speaks for the destination.
fn source_address(
    routing: &Routing,
    subject: &Subject<'_>,
    destination: Address,
) -> Option<Address> {
    let parsed = subject.parsed;
    let family = parsed.family;
    let own = subject.interface.is_some() && routing.is_own(family, parsed.destination);
    if own || routing.host().forwarding == Forwarding::Wire {
        return Some(parsed.destination);
    }
    if routing.is_local(family, destination) {
        // To itself the host speaks from that address.
        return Some(destination);
    }
    let way_back = routing.route_out(family, destination)?;
    let first = match (family, subject.interface) {
        (Family::V6, Some(interface)) => interface,
        (Family::V4 | Family::V6, _) => way_back,
    };
    routing.address_on(family, first)
}

/// Whether an IPv6 address is one to Linux: the unspecified one is none, nor are IPv4's mapped into it.
fn is_unicast(parsed: &Parsed, address: Address) -> bool {
    let address = core::net::Ipv6Addr::from(address.0);
    parsed.family == Family::V4 || !address.is_unspecified() && address.to_ipv4_mapped().is_none()
}

/// A reset for a TCP segment (RFC 9293, 3.10.7.1); `None` for a reset, for what is no whole TCP
/// header, and when the segment was not meant for one host.
pub(crate) fn reset(routing: &Routing, subject: &Subject<'_>) -> Option<Vec<u8>> {
    let parsed = subject.parsed;
    let L4::Tcp(segment) = &parsed.l4 else { return None };
    let is_one =
        |address| routing.is_for_one(parsed.family, address) && is_unicast(parsed, address);
    let both_one = is_one(parsed.destination) && is_one(parsed.source);
    if !both_one || segment.flags & tcp::RST != 0 || !checksum_right(subject) {
        return None;
    }
    let bytes = reset_of(segment, parsed.l4_bytes(subject.bytes).len());
    let ends = [parsed.destination, parsed.source];
    let mut out = self::segment(routing, parsed.family, ends, &bytes);
    if parsed.family == Family::V6 {
        let sum = pseudo_header_v6(parsed.destination, parsed.source, tcp::PROTOCOL, bytes.len());
        seal(&mut out, 40 + 16, sum, 40);
    }
    Some(out)
}

/// The reset that a segment of so many bytes is due (RFC 9293, 3.10.7.1), without its checksum.
pub(crate) fn reset_of(segment: &TcpHeader, length: usize) -> [u8; tcp::HEADER_LENGTH_MIN] {
    let (sequence, acknowledgment, flags) = if segment.flags & tcp::ACK != 0 {
        (segment.acknowledgment, 0, tcp::RST)
    } else {
        let controls =
            u32::from(segment.flags & tcp::SYN != 0) + u32::from(segment.flags & tcp::FIN != 0);
        let end = segment
            .sequence
            .wrapping_add(controls)
            .wrapping_add(length as u32)
            .wrapping_sub(u32::from(segment.header_length));
        (0, end, tcp::RST | tcp::ACK)
    };
    let [a, b] = segment.destination_port.to_be_bytes();
    let [c, d] = segment.source_port.to_be_bytes();
    let [e, f, g, h] = u32::to_be_bytes(sequence);
    let [i, j, k, l] = u32::to_be_bytes(acknowledgment);
    [a, b, c, d, e, f, g, h, i, j, k, l, 5 << 4, flags, 0, 0, 0, 0, 0, 0]
}

/// What the host's own TCP answers to a segment that no socket of it takes: a reset, marked with the
/// service class of the segment. `None` for a reset, for a segment that is damaged or was not sent to
/// one host, for one with a signature (RFC 2385), whose key no socket gives, and over IPv6 for one to any
/// router of a subnet.
pub(crate) fn reset_by_host(routing: &Routing, parsed: &Parsed, bytes: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: u8 = 19;
    let L4::Tcp(segment) = &parsed.l4 else { return None };
    let family = parsed.family;
    let length = parsed.l4_bytes(bytes).len();
    let is_whole = (tcp::HEADER_LENGTH_MIN..=length).contains(&segment.header_length.into());
    let is_told = routing.is_local(family, parsed.destination)
        && routing.is_for_one(family, parsed.source)
        && is_unicast(parsed, parsed.source)
        && segment.flags & tcp::RST == 0
        && is_whole
        && checksum::verify(parsed, parsed.packet(bytes)) == checksum::Verified::Valid;
    let signed = |option| matches!(option, tcp::TcpOption::Other { kind: SIGNATURE, data } if data.len() == 16);
    if !is_told || tcp::TcpOptions::of(parsed, bytes).any(signed) {
        return None;
    }
    // What the network may say of congestion is not sent back.
    const CONGESTION: u8 = 0b11;
    let tos = parsed.tos & !CONGESTION;
    let ends = [parsed.destination, parsed.source];
    let mut out = self::segment(routing, family, ends, &reset_of(segment, length));
    let at = match (family, out.as_mut_slice()) {
        (Family::V4, [_, byte, ..]) => {
            *byte = tos;
            seal_ipv4(out.get_mut(..20)?);
            20
        }
        (Family::V6, [first, second, ..]) => {
            (*first, *second) = (*first | tos >> 4, *second | tos << 4);
            40
        }
        _ => return None,
    };
    let made = Parsed::new(&out).ok()?;
    let sum = Sum::pseudo_header(&made, tcp::PROTOCOL, tcp::HEADER_LENGTH_MIN as u32);
    seal(&mut out, at + 16, sum, at);
    Some(out)
}

/// A packet around a TCP segment, without its checksum.
pub(crate) fn segment(
    routing: &Routing,
    family: Family,
    [source, destination]: [Address; 2],
    segment: &[u8],
) -> Vec<u8> {
    let ttl = routing.host().default_ttl;
    let mut out = match family {
        Family::V4 => {
            let header = Header {
                source,
                destination,
                protocol: tcp::PROTOCOL,
                length: 20 + segment.len(),
                tos: 0,
                ttl,
                dont_fragment: true,
            };
            ipv4_header(&header, &[])
        }
        Family::V6 => ipv6_header(source, destination, tcp::PROTOCOL, segment.len(), ttl),
    };
    out.extend_from_slice(segment);
    out
}

/// Whether REJECT may answer: a wrong checksum may mean that the addresses are wrong too. Linux
/// verifies it for every protocol but those that have another kind: TCP, UDP and over IPv6 all
/// others with the pseudo-header, over IPv4 all others without. Over IPv6 there has to be something
/// behind the headers.
pub(crate) fn checksum_right(subject: &Subject<'_>) -> bool {
    const NOT_VERIFIED: [u8; 5] = [47, 50, 51, 132, 136];
    let parsed = subject.parsed;
    let message = parsed.l4_bytes(subject.bytes);
    match &parsed.l4 {
        L4::Fragment | L4::BrokenChain | L4::NoNextHeader => return false,
        _ if parsed.family == Family::V6 && message.is_empty() => return false,
        L4::Udp(header) if header.checksum == 0 => return true,
        L4::Tcp(_) | L4::Udp(_) | L4::UdpLite(_) | L4::Icmp(_) | L4::Icmpv6(_) => {}
        L4::Short | L4::Other => {}
    }
    // Once is enough, also where a target has changed the segment since: TCPMSS miscounts values at odd
    // places.
    if NOT_VERIFIED.contains(&parsed.protocol) || subject.verified {
        return true;
    }
    // Linux sums the IPv4 header as well, taking for granted that it comes to nothing: not when
    // options were filled in, whose checksum is mended on the way out.
    let options = parsed.family == Family::V4 && parsed.has_options;
    if options && !checksum::ipv4_header_valid(subject.bytes) {
        return false;
    }
    let sum = match (parsed.family, parsed.protocol) {
        (Family::V4, 6 | 17) | (Family::V6, _) => {
            Sum::pseudo_header(parsed, parsed.protocol, message.len() as u32)
        }
        (Family::V4, _) => Sum::ZERO,
    };
    let sum = sum.bytes(message);
    // Nothing summed is no wrong sum: a bare IPv4 header of another protocol.
    sum == Sum::ZERO || sum.checksum() == 0
}

struct Header {
    source: Address,
    destination: Address,
    protocol: u8,
    length: usize,
    tos: u8,
    ttl: u8,
    dont_fragment: bool,
}

/// `options` is at most 40 bytes, whole words.
fn ipv4_header(header: &Header, options: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).unwrap_or(15);
    let length = u16::try_from(header.length).unwrap_or(u16::MAX);
    let flags = if header.dont_fragment { 0x4000_u16 } else { 0 };
    let mut out = Vec::with_capacity(header.length);
    out.extend_from_slice(&[0x40 | words, header.tos]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&[header.ttl, header.protocol, 0, 0]);
    out.extend_from_slice(&header.source.v4_octets());
    out.extend_from_slice(&header.destination.v4_octets());
    out.extend_from_slice(options);
    seal_ipv4(&mut out);
    out
}

fn ipv6_header(
    source: Address,
    destination: Address,
    protocol: u8,
    length: usize,
    hop_limit: u8,
) -> Vec<u8> {
    let payload = u16::try_from(length).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(40 + length);
    out.extend_from_slice(&[0x60, 0, 0, 0]);
    out.extend_from_slice(&payload.to_be_bytes());
    out.extend_from_slice(&[protocol, hop_limit]);
    out.extend_from_slice(&source.0);
    out.extend_from_slice(&destination.0);
    out
}

fn pseudo_header_v6(source: Address, destination: Address, protocol: u8, length: usize) -> Sum {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let addresses = Sum::ZERO.bytes(&source.0).bytes(&destination.0);
    addresses.number(length).number(u16::from(protocol))
}

/// Computes the checksum of what begins at `from`, into the two octets at `at`.
fn seal(packet: &mut [u8], at: usize, sum: Sum, from: usize) {
    let sealed = sum.bytes(packet.get(from..).unwrap_or(&[])).checksum();
    if let Some(field) = packet.get_mut(at..at + 2) {
        field.copy_from_slice(&sealed.to_be_bytes());
    }
}

/// Computes the checksum of an IPv4 header.
pub(crate) fn seal_ipv4(header: &mut [u8]) {
    if let Some(field) = header.get_mut(10..12) {
        field.fill(0);
    }
    let sealed = checksum::compute(header);
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&sealed.to_be_bytes());
    }
}
