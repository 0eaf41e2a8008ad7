//! ICMP errors about translated connections: the packet that one quotes is translated back to what its
//! sender has sent, and the error itself goes to that sender.

use super::packet::{apply, is_icmp_query, is_icmpv6_query, is_own_icmp};
use super::{Manip, is_error};
use crate::Tracked;
use crate::conn::{CtStatus, Entry};
use crate::table::{Drop, Table};
use crate::tuple::{Direction, Tuple};
use keepstate_packet::checksum::{self, Change, Sum};
use keepstate_packet::{Address, Family, Parsed, gre, icmp, icmpv6, ipv4, ipv6, sctp, tcp, udp};

const REDIRECT_V6: u8 = 137;

impl Table {
    #[cold]
    pub(super) fn translate_error(
        &self,
        entry: &Entry,
        slot: u32,
        direction: Direction,
        manip: Manip,
        packet: &mut Parsed,
        bytes: &mut [u8],
    ) -> Result<(), Drop> {
        let (at, header) = match packet.family {
            Family::V4 => {
                (packet.l4_offset as usize + icmp::HEADER_LENGTH, ipv4::HEADER_LENGTH_MIN)
            }
            Family::V6 => (packet.l4_offset as usize + icmp::HEADER_LENGTH, ipv6::HEADER_LENGTH),
        };
        let whole = at + header <= packet.length as usize && is_own_icmp(packet);
        if !whole || checksum::verify(packet, bytes) != checksum::Verified::Valid {
            return Err(Drop::Translation);
        }
        let kind = packet.l4_bytes(bytes).first().copied();
        let is_redirect = match packet.family {
            Family::V4 => kind == Some(icmp::REDIRECT),
            Family::V6 => kind == Some(REDIRECT_V6),
        };
        let changes = CtStatus(entry.status().0 & (CtStatus::SRC_NAT | CtStatus::DST_NAT).0);
        let done = CtStatus::SRC_NAT_DONE | CtStatus::DST_NAT_DONE;
        // Who is redirected would be sent to an address that means nothing to him.
        if is_redirect && (!entry.is(done) || changes != CtStatus(0)) {
            return Err(Drop::Translation);
        }
        if !entry.is(manip.of(direction)) {
            return Ok(());
        }
        let seen = match direction {
            Direction::Original => self.slots.cold(slot).map(|cold| cold.reply),
            Direction::Reply => Some(entry.tuple),
        };
        let (Some(seen), Some(target)) = (seen, self.target(entry, slot, direction)) else {
            return Ok(());
        };
        let end = (packet.length as usize).min(bytes.len());
        let quoted = bytes.get_mut(at..end).unwrap_or_default();
        if !translate_quoted(packet.family, quoted, &seen, manip.other()) {
            return Err(Drop::Translation);
        }
        seal(packet, bytes);
        // Outside it is ICMP, whatever the connection is.
        let outside = Tuple { protocol: packet.protocol, ..target };
        if apply(packet, bytes, &outside, manip) { Ok(()) } else { Err(Drop::Translation) }
    }
}

impl Table {
    /// Whether Linux sums an ICMP error that reaches the host itself up once more as it is translated there, from
    /// the IP header on: then one whose header a recorded route has left unsealed is dropped.
    ///
    /// Observed (Linux 6.18): the sum that the translation before routing has made still holds, unless that has
    /// moved it along with the checksum of the quoted packet for another address. Where tracking has summed the
    /// error up (`nf_conntrack_checksum`) nobody does so again.
    #[cold]
    #[must_use]
    pub fn is_summed_up_again(&self, tracked: &Tracked, packet: &Parsed, bytes: &[u8]) -> bool {
        let (Some(conn), Some(direction)) = (tracked.conn, tracked.direction) else { return false };
        if self.sysctls.checksum || packet.family != Family::V4 || !is_error(tracked, packet) {
            return false;
        }
        let Some(entry) = self.slots.live(conn) else { return false };
        if !entry.is(Manip::Destination.of(direction)) {
            return false;
        }
        let Some(reply) = self.slots.cold(conn.slot).map(|cold| cold.reply) else { return false };
        let (came, seen) = match direction {
            Direction::Original => (entry.tuple, reply),
            Direction::Reply => (reply, entry.tuple),
        };
        let sum = |address: &Address| Sum::ZERO.bytes(&address.0).folded() % u16::MAX;
        sum(&came.destination) != sum(&seen.source)
            && has_pseudo_header(entry.tuple.protocol, quoted_segment(packet, bytes))
    }
}

/// The upper-layer header that an ICMP error over IPv4 quotes, and what follows it.
fn quoted_segment<'b>(packet: &Parsed, bytes: &'b [u8]) -> &'b [u8] {
    let at = packet.l4_offset as usize + icmp::HEADER_LENGTH;
    let end = (packet.length as usize).min(bytes.len());
    let quoted = bytes.get(at..end).unwrap_or_default();
    let header = quoted.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    quoted.get(header..).unwrap_or_default()
}

/// Whether there is a checksum over the addresses in what is quoted of a segment.
fn has_pseudo_header(protocol: u8, segment: &[u8]) -> bool {
    match protocol {
        tcp::PROTOCOL => segment.len() >= tcp::HEADER_LENGTH_MIN,
        udp::PROTOCOL => segment.get(6..8).is_some_and(|sum| sum != [0, 0]),
        udp::PROTOCOL_LITE => segment.len() >= 8,
        _ => false,
    }
}

/// Gives the packet that an ICMP error quotes the ends of a tuple, which is of its protocol. False when it
/// is too short.
pub fn readdress_quoted(packet: &mut Parsed, bytes: &mut [u8], tuple: &Tuple) -> bool {
    let at = packet.l4_offset as usize + icmp::HEADER_LENGTH;
    let end = (packet.length as usize).min(bytes.len());
    let Some(quoted) = bytes.get_mut(at..end) else { return false };
    let mut apply = |manip| translate_quoted(packet.family, quoted, tuple, manip);
    let done = apply(Manip::Source) && apply(Manip::Destination);
    seal(packet, bytes);
    done
}

/// Gives a quoted packet, from its IP header on, the source or destination of a tuple. False when what
/// is to be changed is cut off.
fn translate_quoted(family: Family, quoted: &mut [u8], tuple: &Tuple, manip: Manip) -> bool {
    let upper = match family {
        Family::V4 => {
            let length = quoted.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
            Some(length)
        }
        Family::V6 => upper_layer_v6(quoted),
    };
    if let Some(at) = upper
        && !translate_upper(family, quoted, at, tuple, manip)
    {
        return false;
    }
    let (first, length) = match family {
        Family::V4 => (12, 4),
        Family::V6 => (8, 16),
    };
    let at = if manip == Manip::Source { first } else { first + length };
    let new = address(tuple, manip);
    let new = new.0.get(..length).unwrap_or_default();
    let change = replace(quoted, at, new);
    if family == Family::V4 {
        follow(quoted, 10, change);
    }
    true
}

/// Where the upper-layer header of a quoted IPv6 packet begins; `None` where there is none to change.
pub(super) fn upper_layer_v6(quoted: &[u8]) -> Option<usize> {
    let mut headers = ipv6::ExtensionHeaders::of(quoted);
    for extension in headers.by_ref() {
        if ipv6::fragment(quoted, &extension).is_some_and(|fragment| fragment.offset != 0) {
            return None;
        }
    }
    let (_, offset) = headers.rest();
    Some(offset)
}

fn translate_upper(
    family: Family,
    quoted: &mut [u8],
    at: usize,
    tuple: &Tuple,
    manip: Manip,
) -> bool {
    let segment = quoted.get(at..).unwrap_or_default();
    let has = |length: usize| segment.len() >= length;
    // Routers quote eight bytes for certain.
    let checksum_at = match tuple.protocol {
        tcp::PROTOCOL => has(tcp::HEADER_LENGTH_MIN).then_some(16),
        udp::PROTOCOL => (segment.get(6..8) != Some(&[0, 0])).then_some(6),
        udp::PROTOCOL_LITE => Some(6),
        sctp::PROTOCOL => None,
        icmp::PROTOCOL | icmpv6::PROTOCOL => Some(2),
        gre::PROTOCOL => {
            return has(8) && translate_gre(quoted, at, tuple, manip);
        }
        _ => return true,
    };
    if !has(8) {
        return false;
    }
    let whole_sctp = tuple.protocol == sctp::PROTOCOL && has(sctp::HEADER_LENGTH);
    let kind = segment.first().copied().unwrap_or(0);
    let (port_at, port) = match (tuple.protocol, manip) {
        (icmp::PROTOCOL, _) if !is_icmp_query(kind) => return true,
        (icmpv6::PROTOCOL, _) if !is_icmpv6_query(kind) => (None, 0),
        (icmp::PROTOCOL | icmpv6::PROTOCOL, _) => (Some(at + 4), tuple.source_port),
        (_, Manip::Source) => (Some(at), tuple.source_port),
        (_, Manip::Destination) => (Some(at + 2), tuple.destination_port),
    };
    let mut change = Change::NONE;
    if tuple.protocol != icmp::PROTOCOL {
        change = readdressed(family, quoted, tuple, manip);
    }
    if let Some(port_at) = port_at {
        let old = number_at(quoted, port_at).unwrap_or(0);
        change = change.number(old, port);
        replace(quoted, port_at, &port.to_be_bytes());
    }
    match checksum_at {
        Some(checksum_at)
            if tuple.protocol == udp::PROTOCOL || tuple.protocol == udp::PROTOCOL_LITE =>
        {
            follow_udp(quoted, at + checksum_at, change);
        }
        Some(checksum_at) => follow(quoted, at + checksum_at, change),
        None if whole_sctp => {
            if let Some(segment) = quoted.get_mut(at..) {
                checksum::fill_sctp(segment);
            }
        }
        None => {}
    }
    true
}

fn translate_gre(quoted: &mut [u8], at: usize, tuple: &Tuple, manip: Manip) -> bool {
    match (manip, quoted.get(at + 1).map_or(0, |flags| flags & 7)) {
        (Manip::Source, _) | (_, 0) => true,
        (Manip::Destination, 1) => {
            replace(quoted, at + 6, &tuple.destination_port.to_be_bytes());
            true
        }
        (Manip::Destination, _) => false,
    }
}

const fn address(tuple: &Tuple, manip: Manip) -> Address {
    match manip {
        Manip::Source => tuple.source,
        Manip::Destination => tuple.destination,
    }
}

/// What another address in the pseudo-header does to a checksum.
fn readdressed(family: Family, quoted: &[u8], tuple: &Tuple, manip: Manip) -> Change {
    let (first, length) = match family {
        Family::V4 => (12, 4),
        Family::V6 => (8, 16),
    };
    let at = if manip == Manip::Source { first } else { first + length };
    let old = quoted.get(at..at + length).unwrap_or_default();
    let new = address(tuple, manip);
    Change::NONE.bytes(old, new.0.get(..length).unwrap_or_default())
}

fn number_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

/// Overwrites bytes at an even offset, and tells what that does to a checksum over them.
fn replace(bytes: &mut [u8], at: usize, new: &[u8]) -> Change {
    let Some(target) = bytes.get_mut(at..at + new.len()) else { return Change::NONE };
    let change = Change::NONE.bytes(target, new);
    target.copy_from_slice(new);
    change
}

fn follow(bytes: &mut [u8], at: usize, change: Change) {
    if let Some(sum) = number_at(bytes, at) {
        replace(bytes, at, &change.apply(sum).to_be_bytes());
    }
}

/// A checksum of UDP is never written as 0.
fn follow_udp(bytes: &mut [u8], at: usize, change: Change) {
    if let Some(sum) = number_at(bytes, at) {
        let sum = change.apply(sum);
        let sum = if sum == 0 { u16::MAX } else { sum };
        replace(bytes, at, &sum.to_be_bytes());
    }
}

/// Makes the checksum of an ICMP or ICMPv6 message anew.
fn seal(packet: &Parsed, bytes: &mut [u8]) {
    let from = packet.l4_offset as usize;
    let end = (packet.length as usize).min(bytes.len());
    let Some(message) = bytes.get_mut(from..end) else { return };
    replace(message, 2, &[0, 0]);
    let sum = match packet.family {
        Family::V4 => Sum::ZERO,
        Family::V6 => Sum::pseudo_header(packet, icmpv6::PROTOCOL, message.len() as u32),
    };
    let sum = sum.bytes(message).checksum();
    replace(message, 2, &sum.to_be_bytes());
}
