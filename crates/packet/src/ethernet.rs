//! Ethernet frames, and what may stand between them and IP: VLAN tags (802.1Q, 802.1ad), PPPoE
//! sessions (RFC 2516), MPLS label stacks (RFC 3032).

use crate::link::Skipped;
use crate::read::{be16, octets};
use crate::{Family, PacketType};

/// Length of the header, in bytes.
pub const HEADER_LENGTH: usize = 14;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of an 802.1Q tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of an 802.1ad service tag.
pub const SERVICE_VLAN: u16 = 0x88a8;
/// EtherType of a PPPoE session.
pub const PPPOE_SESSION: u16 = 0x8864;
/// EtherType of MPLS.
pub const MPLS: u16 = 0x8847;
/// EtherType of MPLS with an upstream-assigned label.
pub const MPLS_UPSTREAM: u16 = 0x8848;

/// Most headers (tags, PPPoE, label stacks) followed between the link layer and IP.
pub const ENCAPSULATIONS_MAX: usize = 7;
/// Most labels in one MPLS label stack.
pub const MPLS_LABELS_MAX: usize = 16;

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Destination address.
    pub destination: [u8; 6],
    /// Source address.
    pub source: [u8; 6],
    /// EtherType, or a length below 1536.
    pub ethertype: u16,
}

impl EthernetHeader {
    /// From the first 14 bytes; `None` when there are fewer.
    #[inline]
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (destination, rest) = frame.split_first_chunk()?;
        let (source, rest) = rest.split_first_chunk()?;
        let ethertype = u16::from_be_bytes(*rest.first_chunk()?);
        Some(Self { destination: *destination, source: *source, ethertype })
    }

    /// To whom the destination address sends the frame. A unicast address counts as this host's:
    /// which addresses are its own is not known here.
    #[inline]
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self.destination {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => PacketType::Broadcast,
            [first, ..] if first & 1 != 0 => PacketType::Multicast,
            _ => PacketType::Unicast,
        }
    }
}

/// Follows encapsulations from `ethertype` and the bytes after it to the IP header; gives the
/// family the last one names and where the IP header begins.
///
/// # Errors
/// [`Skipped`] when something else than IP is carried, or nothing whole.
#[inline]
pub fn to_ip(ethertype: u16, bytes: &[u8]) -> Result<(Family, usize), Skipped> {
    match ethertype {
        IPV4 => Ok((Family::V4, 0)),
        IPV6 => Ok((Family::V6, 0)),
        _ => decapsulated(ethertype, bytes),
    }
}

fn decapsulated(mut ethertype: u16, bytes: &[u8]) -> Result<(Family, usize), Skipped> {
    let mut offset = 0;
    for _ in 0..=ENCAPSULATIONS_MAX {
        let rest = bytes.get(offset..).unwrap_or(&[]);
        let inside = match ethertype {
            IPV4 => return Ok((Family::V4, offset)),
            IPV6 => return Ok((Family::V6, offset)),
            VLAN | SERVICE_VLAN | 0x9100 | 0x9200 => be16(rest, 2).map(|inner| (inner, 4)),
            PPPOE_SESSION => match be16(rest, 6) {
                Some(protocol) => Some((pppoe_ethertype(protocol)?, 8)),
                None => None,
            },
            MPLS | MPLS_UPSTREAM => Some(label_stack(rest)?),
            _ => None,
        };
        let Some((inner, length)) = inside else { break };
        ethertype = inner;
        offset += length;
    }
    Err(Skipped::Ethertype(ethertype))
}

fn pppoe_ethertype(ppp_protocol: u16) -> Result<u16, Skipped> {
    ppp_ethertype(ppp_protocol).ok_or(Skipped::PppoeWithoutIp)
}

/// The EtherType that says what a PPP protocol number says, for IP.
pub(crate) const fn ppp_ethertype(protocol: u16) -> Option<u16> {
    match protocol {
        0x0021 => Some(IPV4),
        0x0057 => Some(IPV6),
        _ => None,
    }
}

/// What is under a label stack is not named; IP shows by its version.
fn label_stack(bytes: &[u8]) -> Result<(u16, usize), Skipped> {
    for depth in 1..=MPLS_LABELS_MAX {
        let entry: [u8; 4] = octets(bytes, (depth - 1) * 4).ok_or(Skipped::MplsWithoutIp)?;
        if entry[2] & 1 == 0 {
            continue;
        }
        return match bytes.get(depth * 4).map(|b| b >> 4) {
            Some(4) => Ok((IPV4, depth * 4)),
            Some(6) => Ok((IPV6, depth * 4)),
            _ => Err(Skipped::MplsWithoutIp),
        };
    }
    Err(Skipped::MplsWithoutIp)
}
