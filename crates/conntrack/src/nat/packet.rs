//! What becomes of the packets of a translated connection.

use super::quoted::upper_layer_v6;
use super::{Manip, is_error};
use crate::conn::{CtStatus, Entry};
use crate::table::{Drop, Table};
use crate::tuple::{Direction, Tuple};
use crate::{Hook, Tracked};
use keepstate_packet::rewrite::{self, End};
use keepstate_packet::{Family, L4, Parsed, gre, icmp, icmpv6, ipv4, ipv6, sctp, tcp, udp};

/// Bytes of a GRE header up to the end of the call identifier, which translation wants to be there.
const GRE_HEADER: usize = 8;

impl Table {
    /// Translates a packet at a hook, as its connection has it: makes it look like the inverse of the
    /// other direction. Of an ICMP error what it quotes is translated as well.
    ///
    /// # Errors
    /// [`Drop::Translation`] when it cannot be done: what is to be changed is cut off.
    #[inline]
    pub fn translate(
        &self,
        hook: Hook,
        tracked: &Tracked,
        packet: &mut Parsed,
        bytes: &mut [u8],
    ) -> Result<(), Drop> {
        let (Some(conn), Some(direction)) = (tracked.conn, tracked.direction) else {
            return Ok(());
        };
        let Some(entry) = self.slots.live(conn) else { return Ok(()) };
        let manip = Manip::at(hook);
        if is_error(tracked, packet) {
            return self.translate_error(entry, conn.slot, direction, manip, packet, bytes);
        }
        if !entry.is(manip.of(direction)) {
            return Ok(());
        }
        if matches!(packet.l4, L4::Tcp(_) | L4::Udp(_)) {
            let other = match direction {
                Direction::Original => self.slots.cold(conn.slot).map(|cold| &cold.reply),
                Direction::Reply => Some(&entry.tuple),
            };
            if let Some(other) = other {
                // The inverse of the other direction.
                let (end, address, port) = match manip {
                    Manip::Source => (End::Source, other.destination, other.destination_port),
                    Manip::Destination => (End::Destination, other.source, other.source_port),
                };
                rewrite::set_end(packet, bytes, end, address, port);
            }
            return Ok(());
        }
        let Some(target) = self.target(entry, conn.slot, direction) else { return Ok(()) };
        if apply(packet, bytes, &target, manip) { Ok(()) } else { Err(Drop::Translation) }
    }

    /// How much of a packet, from its upper-layer header on, Linux wants in one piece to translate it: of an
    /// ICMP error always, of others where anything is to be changed.
    #[must_use]
    pub fn drawn_by_translation(&self, tracked: &Tracked, packet: &Parsed, bytes: &[u8]) -> usize {
        let is_translated = self.is_translated(tracked);
        if !is_error(tracked, packet) {
            let available = packet.l4_bytes(bytes).len();
            return if is_translated { header_of(packet.protocol, available) } else { 0 };
        }
        let quoted = packet.l4_bytes(bytes).get(icmp::HEADER_LENGTH..).unwrap_or_default();
        let (header, upper) = match packet.family {
            Family::V4 => {
                let length = quoted.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
                (ipv4::HEADER_LENGTH_MIN, Some(length))
            }
            Family::V6 => (ipv6::HEADER_LENGTH, upper_layer_v6(quoted)),
        };
        let entry = tracked.conn.and_then(|conn| self.slots.live(conn));
        let inside = match (entry, upper.filter(|_| is_translated)) {
            (Some(entry), Some(at)) => {
                let available = quoted.len().saturating_sub(at);
                at + header_of(entry.tuple.protocol, available)
            }
            _ => 0,
        };
        icmp::HEADER_LENGTH + header.max(inside)
    }

    /// Whether anything is to be done to a packet at a hook, of a connection that is set up: it is changed
    /// there, or has to leave where its address is.
    #[inline]
    #[must_use]
    pub fn is_changed(&self, hook: Hook, tracked: &Tracked) -> bool {
        let (Some(conn), Some(direction)) = (tracked.conn, tracked.direction) else { return false };
        self.slots.live(conn).is_some_and(|entry| {
            let leaves = hook == Hook::Postrouting && entry.has(Entry::MASQUERADED);
            leaves || entry.is(Manip::at(hook).of(direction))
        })
    }

    /// What packets of a direction are to look like: the inverse of the other direction.
    #[inline]
    pub(super) fn target(&self, entry: &Entry, slot: u32, direction: Direction) -> Option<Tuple> {
        match direction {
            Direction::Original => self.slots.cold(slot)?.reply.invert(),
            Direction::Reply => entry.tuple.invert(),
        }
    }

    /// Whether packets of a connection are changed at all, here or elsewhere on their way.
    #[inline]
    #[must_use]
    pub fn is_translated(&self, tracked: &Tracked) -> bool {
        let both = (CtStatus::SRC_NAT | CtStatus::DST_NAT).0 as u16;
        let entry = tracked.conn.and_then(|conn| self.slots.live(conn));
        entry.is_some_and(|entry| entry.status & both != 0)
    }
}

/// Gives a packet the ends of a tuple, which is of its protocol. False when it is too short.
pub fn readdress(packet: &mut Parsed, bytes: &mut [u8], tuple: &Tuple) -> bool {
    let mut apply = |manip| apply(packet, bytes, tuple, manip);
    apply(Manip::Source) && apply(Manip::Destination)
}

/// Gives a packet the source or the destination of a tuple. False when it is too short.
pub(super) fn apply(packet: &mut Parsed, bytes: &mut [u8], target: &Tuple, manip: Manip) -> bool {
    let (end, address, port) = match manip {
        Manip::Source => (End::Source, target.source, target.source_port),
        Manip::Destination => (End::Destination, target.destination, target.destination_port),
    };
    match packet.l4 {
        L4::Tcp(_) | L4::Udp(_) | L4::UdpLite(_) => rewrite::set_port(packet, bytes, end, port),
        // The checksum is made anew, right or wrong as it was.
        L4::Other if packet.protocol == sctp::PROTOCOL => {
            rewrite::set_port(packet, bytes, end, port);
        }
        L4::Icmp(header) if is_icmp_query(header.kind) => {
            rewrite::set_icmp_identifier(packet, bytes, target.source_port);
        }
        L4::Icmpv6(header) if is_icmpv6_query(header.kind) => {
            rewrite::set_icmp_identifier(packet, bytes, target.source_port);
        }
        L4::Other if packet.protocol == gre::PROTOCOL => {
            if !apply_gre(packet, bytes, target, manip) {
                return false;
            }
        }
        L4::Icmp(_) | L4::Icmpv6(_) | L4::Other => {}
        L4::Short | L4::Fragment | L4::NoNextHeader | L4::BrokenChain => {}
    }
    rewrite::set_address(packet, bytes, end, address);
    true
}

/// How much of an upper-layer header has to be in one piece, of what is there.
const fn header_of(protocol: u8, available: usize) -> usize {
    /// Ports, or whatever stands in their place.
    const BEGINNING: usize = 8;
    match protocol {
        tcp::PROTOCOL if available >= tcp::HEADER_LENGTH_MIN => tcp::HEADER_LENGTH_MIN,
        sctp::PROTOCOL if available >= sctp::HEADER_LENGTH => sctp::HEADER_LENGTH,
        tcp::PROTOCOL
        | sctp::PROTOCOL
        | udp::PROTOCOL
        | udp::PROTOCOL_LITE
        | icmp::PROTOCOL
        | icmpv6::PROTOCOL
        | gre::PROTOCOL => BEGINNING,
        _ => 0,
    }
}

/// The call identifier of PPTP's GRE is its receiver's; other versions have nothing to change.
fn apply_gre(packet: &mut Parsed, bytes: &mut [u8], target: &Tuple, manip: Manip) -> bool {
    let header = packet.l4_bytes(bytes);
    if header.len() < GRE_HEADER {
        return false;
    }
    match (manip, header.get(1).map_or(0, |flags| flags & 7)) {
        (Manip::Source, _) | (_, 0) => true,
        (Manip::Destination, 1) => {
            rewrite::set_l4_bytes(packet, bytes, 6, &target.destination_port.to_be_bytes());
            true
        }
        (Manip::Destination, _) => false,
    }
}

/// Whether a type of ICMP has an identifier that is translated (RFC 792, RFC 950).
pub(super) const fn is_icmp_query(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 13..=18)
}

/// Whether a type of ICMPv6 has one (RFC 4443, 4).
pub(super) const fn is_icmpv6_query(kind: u8) -> bool {
    matches!(kind, 128 | 129)
}

/// Whether a family's ICMP is what the packet holds.
pub(super) const fn is_own_icmp(packet: &Parsed) -> bool {
    matches!((packet.family, packet.l4), (Family::V4, L4::Icmp(_)) | (Family::V6, L4::Icmpv6(_)))
}
