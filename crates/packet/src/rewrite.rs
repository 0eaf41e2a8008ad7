//! Rewriting in place, checksums following (RFC 1624).
//!
//! Everything here keeps the bytes, the checksums over them and the parsed value in step. A checksum
//! that was wrong stays wrong, by as much; UDP without a checksum stays without. What is not in the
//! packet (the header of a non-first fragment, a header cut short) is left alone.

use crate::checksum::{self, Change, Rule};
use crate::read::be16;
use crate::{Address, Family, L4, Parsed, tcp};

/// Which end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// Takes one from the TTL or hop limit, as a router does. False, and nothing is done, when it is
/// 0 or 1: such a packet is not forwarded.
#[inline]
pub fn decrement_ttl(parsed: &mut Parsed, bytes: &mut [u8]) -> bool {
    let forwarded = parsed.ttl > 1;
    if forwarded {
        set_ttl(parsed, bytes, parsed.ttl - 1);
    }
    forwarded
}

/// Sets the TTL or hop limit.
#[inline]
pub fn set_ttl(parsed: &mut Parsed, bytes: &mut [u8], ttl: u8) {
    match parsed.family {
        Family::V4 => header_octet(bytes, 8, ttl),
        Family::V6 => {
            if let Some(hop_limit) = bytes.get_mut(7) {
                *hop_limit = ttl;
            }
        }
    }
    parsed.ttl = ttl;
}

/// Sets the TOS byte or traffic class.
pub fn set_tos(parsed: &mut Parsed, bytes: &mut [u8], tos: u8) {
    match parsed.family {
        Family::V4 => header_octet(bytes, 1, tos),
        Family::V6 => {
            if let Some([first, second]) = bytes.first_chunk_mut::<2>() {
                *first = *first & 0xf0 | tos >> 4;
                *second = *second & 0x0f | tos << 4;
            }
        }
    }
    parsed.tos = tos;
}

/// Sets the source or destination address; `to` is of the packet's family.
pub fn set_address(parsed: &mut Parsed, bytes: &mut [u8], end: End, to: Address) {
    let (first, length) = match parsed.family {
        Family::V4 => (12, 4),
        Family::V6 => (8, 16),
    };
    let at = if end == End::Source { first } else { first + length };
    let change = replace(bytes, at, to.0.get(..length).unwrap_or(&[]));
    if parsed.family == Family::V4 {
        follow(bytes, checksum::IPV4_AT, |header| change.apply(header));
    }
    if Rule::of(parsed).is_some_and(|rule| rule.pseudo.is_some()) {
        follow_l4(parsed, bytes, change);
    }
    match end {
        End::Source => parsed.source = to,
        End::Destination => parsed.destination = to,
    }
}

/// Sets address and port of an end of TCP or UDP at once; `address` is of the packet's family. It is
/// [`set_port`] and [`set_address`] in fewer steps.
#[inline]
pub fn set_end(parsed: &mut Parsed, bytes: &mut [u8], end: End, address: Address, port: u16) {
    if parsed.family != Family::V4 || !set_end_v4(parsed, bytes, end, address, port) {
        set_port(parsed, bytes, end, port);
        set_address(parsed, bytes, end, address);
    }
}

/// The same over IPv4. False, and nothing is done, for anything but TCP and UDP with whole headers.
#[inline]
fn set_end_v4(
    parsed: &mut Parsed,
    bytes: &mut [u8],
    end: End,
    address: Address,
    port: u16,
) -> bool {
    let at = usize::from(parsed.header_length);
    if at != parsed.l4_offset as usize {
        return false;
    }
    let Some((header, segment)) = bytes.split_at_mut_checked(at) else { return false };
    let Some(header) = header.first_chunk_mut::<20>() else { return false };
    let (checksum_at, is_udp, ports) = match (&mut parsed.l4, end) {
        (L4::Tcp(tcp), End::Source) => (16, false, &mut tcp.source_port),
        (L4::Tcp(tcp), End::Destination) => (16, false, &mut tcp.destination_port),
        (L4::Udp(udp), End::Source) => (6, true, &mut udp.source_port),
        (L4::Udp(udp), End::Destination) => (6, true, &mut udp.destination_port),
        _ => return false,
    };
    let Some(field) = segment.get_mut(checksum_at..checksum_at + 2) else { return false };
    let Some(checksum) = field.first_chunk_mut::<2>() else { return false };
    let [a, b, c, d] = address.v4_octets();
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let old = match end {
        End::Source => [s0, s1, s2, s3],
        End::Destination => [d0, d1, d2, d3],
    };
    let before = old.each_ref().map(|octet| **octet);
    let of_address = Change::NONE.bytes(&before, &[a, b, c, d]);
    let of_both = of_address.number(*ports, port);
    for (octet, new) in old.into_iter().zip([a, b, c, d]) {
        *octet = new;
    }
    let [.., high, low, _, _, _, _, _, _, _, _] = header;
    let sum = of_address.apply(u16::from_be_bytes([*high, *low]));
    [*high, *low] = sum.to_be_bytes();
    let sum = u16::from_be_bytes(*checksum);
    let sum = if is_udp { of_both.apply_udp(sum) } else { of_both.apply(sum) };
    *checksum = sum.to_be_bytes();
    *ports = port;
    if let L4::Udp(udp) = &mut parsed.l4 {
        udp.checksum = sum;
    }
    let port_at = if end == End::Source { 0 } else { 2 };
    if let Some(field) = segment.get_mut(port_at..port_at + 2) {
        field.copy_from_slice(&port.to_be_bytes());
    }
    match end {
        End::Source => parsed.source = address,
        End::Destination => parsed.destination = address,
    }
    true
}

/// Sets the source or destination port of TCP, UDP, UDP-Lite or SCTP.
pub fn set_port(parsed: &mut Parsed, bytes: &mut [u8], end: End, port: u16) {
    let at = if end == End::Source { 0 } else { 2 };
    let field = match (&mut parsed.l4, end) {
        (L4::Tcp(tcp), End::Source) => Some(&mut tcp.source_port),
        (L4::Tcp(tcp), End::Destination) => Some(&mut tcp.destination_port),
        (L4::Udp(udp) | L4::UdpLite(udp), End::Source) => Some(&mut udp.source_port),
        (L4::Udp(udp) | L4::UdpLite(udp), End::Destination) => Some(&mut udp.destination_port),
        (L4::Other, _) if parsed.protocol == crate::sctp::PROTOCOL => None,
        _ => return,
    };
    if let Some(field) = field {
        *field = port;
    }
    set_l4_bytes(parsed, bytes, at, &port.to_be_bytes());
}

/// Sets the flags of TCP, where there are the 20 bytes of a header: those of any packet of the
/// protocol, a further fragment too, whose data Linux takes for one.
pub fn set_tcp_flags(parsed: &mut Parsed, bytes: &mut [u8], flags: u8) {
    let at = parsed.l4_offset as usize;
    let whole = at + tcp::HEADER_LENGTH_MIN <= parsed.length as usize;
    if parsed.protocol != tcp::PROTOCOL || !whole {
        return;
    }
    let change = replace(bytes, at + 13, &[flags]);
    follow(bytes, at + 16, |checksum| change.apply(checksum));
    if let L4::Tcp(header) = &mut parsed.l4 {
        header.flags = flags;
    }
}

/// Sets 16 bits of the TCP header, `at` bytes from its start. The checksum follows as Linux lets it
/// follow: as if `at` were even, so that where it is odd a right checksum becomes a wrong one.
pub fn lower_tcp_number(parsed: &mut Parsed, bytes: &mut [u8], at: usize, number: u16) {
    let start = parsed.l4_offset as usize;
    let Some(before) = be16(bytes, start + at) else { return };
    checksum::put(bytes, start + at, number);
    let change = Change::NONE.number(before, number);
    follow(bytes, start + 16, |checksum| change.apply(checksum));
}

/// Overwrites 32 bits of the TCP header, `at` bytes from its start, or of what is taken for one: any
/// packet of 20 bytes behind the IP headers. The checksum follows as in [`lower_tcp_number`]. What was
/// parsed of them does not.
pub fn put_tcp_word(parsed: &Parsed, bytes: &mut [u8], at: usize, word: u32) {
    let (start, end) = (parsed.l4_offset as usize, parsed.length as usize);
    let Some(before) = crate::read::be32(bytes, start + at) else { return };
    if end > bytes.len() || start + (at + 4).max(tcp::HEADER_LENGTH_MIN) > end {
        return;
    }
    let mut change = Change::NONE;
    for (n, shift) in [(0, 16), (2, 0)] {
        let new = (word >> shift) as u16;
        checksum::put(bytes, start + at + n, new);
        change = change.number((before >> shift) as u16, new);
    }
    follow(bytes, start + 16, |checksum| change.apply(checksum));
}

/// Puts an option of four bytes before all others of a TCP segment, with the lengths of both headers
/// following: the packet is longer by so much. False, and nothing is done, where `bytes` has no room
/// behind the packet, where the header has none, and where there is no whole header.
pub fn insert_tcp_option(parsed: &mut Parsed, bytes: &mut [u8], option: [u8; 4]) -> bool {
    const LONGER: u8 = 4;
    let (at, end) = (parsed.l4_offset as usize, parsed.length as usize);
    let options_at = at + tcp::HEADER_LENGTH_MIN;
    let L4::Tcp(header) = &mut parsed.l4 else { return false };
    let new_end = end + usize::from(LONGER);
    let whole = usize::from(header.header_length) >= tcp::HEADER_LENGTH_MIN;
    if !whole || header.header_length > 60 - LONGER || options_at > end || new_end > bytes.len() {
        return false;
    }
    header.header_length += LONGER;
    let offset = header.header_length << 2 | header.reserved;
    parsed.length += u32::from(LONGER);
    bytes.copy_within(options_at..end, options_at + 4);
    replace(bytes, options_at, &option);
    let shifted = replace(bytes, at + 12, &[offset]);
    let length = ((end - at) as u16, (new_end - at) as u16);
    let change = shifted.added(&option).number(length.0, length.1);
    follow(bytes, at + 16, |checksum| change.apply(checksum));
    let (length_at, length) = match parsed.family {
        Family::V4 => (2, new_end),
        Family::V6 => (4, new_end - crate::ipv6::HEADER_LENGTH),
    };
    let change = replace(bytes, length_at, &(length as u16).to_be_bytes());
    if parsed.family == Family::V4 {
        follow(bytes, checksum::IPV4_AT, |checksum| change.apply(checksum));
    }
    true
}

/// Replaces everything from the upper-layer header on. The lengths of the IP header and of UDP follow, and
/// the IPv4 header's checksum; that of TCP or UDP is left to [`checksum::renew`]. False, and nothing is done,
/// where `bytes` has no room or a packet cannot be so long.
pub fn set_upper_layer(parsed: &mut Parsed, bytes: &mut [u8], upper: &[u8]) -> bool {
    let start = parsed.l4_offset as usize;
    let end = start + upper.len();
    let (length_at, length) = match parsed.family {
        Family::V4 => (2, end),
        Family::V6 => (4, end.saturating_sub(crate::ipv6::HEADER_LENGTH)),
    };
    let (Ok(length), Some(target)) = (u16::try_from(length), bytes.get_mut(start..end)) else {
        return false;
    };
    target.copy_from_slice(upper);
    parsed.length = end as u32;
    if let L4::Udp(header) = &mut parsed.l4 {
        header.length = upper.len() as u16;
        checksum::put(bytes, start + 4, header.length);
    }
    let change = replace(bytes, length_at, &length.to_be_bytes());
    if parsed.family == Family::V4 {
        follow(bytes, checksum::IPV4_AT, |header| change.apply(header));
    }
    true
}

/// Sets the identifier of an ICMP or ICMPv6 query or answer.
pub fn set_icmp_identifier(parsed: &mut Parsed, bytes: &mut [u8], identifier: u16) {
    let (L4::Icmp(icmp) | L4::Icmpv6(icmp)) = &mut parsed.l4 else { return };
    icmp.rest = u32::from(identifier) << 16 | icmp.rest & 0xffff;
    set_l4_bytes(parsed, bytes, 4, &identifier.to_be_bytes());
}

/// Overwrites bytes of the upper-layer header or what it carries, from `at` bytes after the start of
/// that header on. Fields that the parsed value holds have their own functions, but for the checksum
/// of UDP. All or nothing: bytes that would reach beyond the packet are not written.
pub fn set_l4_bytes(parsed: &mut Parsed, bytes: &mut [u8], at: usize, new: &[u8]) {
    if matches!(parsed.l4, L4::Short | L4::Fragment | L4::NoNextHeader | L4::BrokenChain) {
        return;
    }
    let range = parsed.l4_offset as usize..parsed.length as usize;
    let Some(segment) = bytes.get_mut(range) else { return };
    if at.checked_add(new.len()).is_none_or(|end| end > segment.len()) {
        return;
    }
    let covered = checksum::coverage(parsed, segment.len());
    let (summed, rest) = new.split_at(covered.saturating_sub(at).min(new.len()));
    let change = segment.get_mut(..covered).map_or(Change::NONE, |s| replace(s, at, summed));
    if let Some(target) = segment.get_mut(at + summed.len()..at + new.len()) {
        target.copy_from_slice(rest);
    }
    if parsed.protocol == crate::sctp::PROTOCOL {
        checksum::fill_sctp(segment);
    } else {
        follow_l4(parsed, bytes, change);
    }
}

/// Sets an octet of the IPv4 header.
#[inline]
fn header_octet(bytes: &mut [u8], at: usize, octet: u8) {
    let change = replace(bytes, at, &[octet]);
    follow(bytes, checksum::IPV4_AT, |header| change.apply(header));
}

/// Overwrites bytes where they all fit, and tells what that does to a checksum over them that counts
/// from the start of `bytes`.
#[inline]
fn replace(bytes: &mut [u8], at: usize, new: &[u8]) -> Change {
    let end = at + new.len();
    let (even, even_end) = (at & !1, end.next_multiple_of(2).min(bytes.len()));
    let before = bytes.get(even..even_end).map(|old| Change::NONE.removed(old));
    let (Some(target), Some(before)) = (bytes.get_mut(at..end), before) else {
        return Change::NONE;
    };
    target.copy_from_slice(new);
    bytes.get(even..even_end).map_or(Change::NONE, |new| before.added(new))
}

#[inline]
fn follow_l4(parsed: &mut Parsed, bytes: &mut [u8], change: Change) {
    let Some(rule) = Rule::of(parsed) else { return };
    let at = parsed.l4_offset as usize + rule.at;
    match &mut parsed.l4 {
        L4::Udp(udp) | L4::UdpLite(udp) => {
            follow(bytes, at, |checksum| change.apply_udp(checksum));
            udp.checksum = be16(bytes, at).unwrap_or(udp.checksum);
        }
        _ => follow(bytes, at, |checksum| change.apply(checksum)),
    }
}

#[inline]
fn follow(bytes: &mut [u8], at: usize, update: impl FnOnce(u16) -> u16) {
    if let Some(checksum) = be16(bytes, at) {
        checksum::put(bytes, at, update(checksum));
    }
}

#[cfg(test)]
mod tests;
