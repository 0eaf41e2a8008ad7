//! What the link layer says of a packet: interface names, the source hardware address, the packet
//! type; and the way from a captured frame of any supported link type to its IP header.

use crate::ethernet::{self, EthernetHeader};
use crate::nflog::Nflog;
use crate::read::{be16, octets};
use crate::{Family, ipv4, ipv6};

/// An interface name: at most 15 bytes, no NUL (Linux `IFNAMSIZ`), zero padded.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName([u8; 16]);

impl InterfaceName {
    /// From text; `None` when empty, longer than 15 bytes, or holding NUL, `/` or white space.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let bad = |b: &u8| *b == 0 || *b == b'/' || b.is_ascii_whitespace();
        if bytes.is_empty() || bytes.len() > 15 || bytes.iter().any(bad) {
            return None;
        }
        let mut octets = [0; 16];
        for (to, from) in octets.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(Self(octets))
    }

    /// The zero-padded octets.
    #[must_use]
    pub const fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        core::str::from_utf8(self.0.get(..len).unwrap_or(&[])).unwrap_or("")
    }
}

impl core::fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// To whom the frame was addressed (Linux `PACKET_*`, `iptables-extensions(8)` `pkttype`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketType {
    /// To this host.
    #[default]
    Unicast,
    /// To the broadcast hardware address.
    Broadcast,
    /// To a group hardware address.
    Multicast,
    /// To somebody else; a host drops it before any hook, a bump in the wire forwards it.
    OtherHost,
}

/// What is known of the frame the packet came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// Source hardware address, where the link has one.
    pub source: Option<[u8; 6]>,
    /// Destination hardware address, where the link has one.
    pub destination: Option<[u8; 6]>,
    /// To whom the frame was addressed.
    pub packet_type: PacketType,
    /// Bytes, from the IP header on, of the longest packet that a device makes of this one, which has
    /// been left to it to cut into segments; 0 for one that stays whole.
    pub segment: u16,
}

/// A link type as pcap and pcapng files number it (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the capturing host, then IP.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without address and control octets.
    pub const PPP: Self = Self(9);
    /// Raw IP, as BSD/OS numbered it.
    pub const RAW_BSDOS: Self = Self(14);
    /// Raw IP, as most BSDs numbered it.
    pub const RAW_BSD: Self = Self(12);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// Raw IP.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// OpenBSD loopback: as [`Self::NULL`], in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter log messages.
    pub const NFLOG: Self = Self(239);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// Why a captured frame is not taken for a packet. The text is stable; up to " (" it is the same
/// for all frames of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// The link-layer header is not whole.
    ShortFrame,
    /// This EtherType, or 802.3 length, carries no IP, or is cut short.
    Ethertype(u16),
    /// A PPPoE session that carries something else.
    PppoeWithoutIp,
    /// MPLS labels over something else, or too many of them.
    MplsWithoutIp,
    /// Raw IP of a version that is neither 4 nor 6.
    RawVersion(u8),
    /// Loopback with an address family that is not IP.
    LoopbackFamily(u32),
    /// PPP with a protocol that is not IP.
    Ppp(u16),
    /// A netfilter log message without a packet, or of another family.
    NflogWithoutIp,
    /// A link type that is not read.
    LinkType(LinkType),
    /// Fewer bytes were captured than the packet has.
    CapturedShort {
        /// Bytes in the capture.
        captured: u32,
        /// Bytes on the wire.
        original: u32,
    },
}

impl core::fmt::Display for Skipped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::ShortFrame => f.write_str("short frame"),
            Self::Ethertype(ethertype) => write!(f, "ethertype {ethertype:#06x}"),
            Self::PppoeWithoutIp => f.write_str("PPPoE without IP"),
            Self::MplsWithoutIp => f.write_str("MPLS without IP"),
            Self::RawVersion(version) => write!(f, "raw, version {version}"),
            Self::LoopbackFamily(family) => write!(f, "loopback family {family}"),
            Self::Ppp(protocol) => write!(f, "PPP {protocol:#06x}"),
            Self::NflogWithoutIp => f.write_str("NFLOG without IP"),
            Self::LinkType(LinkType(number)) => write!(f, "link type {number}"),
            Self::CapturedShort { captured, original } => {
                write!(f, "captured short ({captured} of {original} bytes)")
            }
        }
    }
}

/// A network-layer packet found in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkPacket<'a> {
    /// Family, as the link layer names it. The packet's own version may contradict; a host drops
    /// such a packet before any hook: see [`crate::Parsed::of_family`].
    pub family: Family,
    /// From the IP header to the end of the frame, padding included.
    pub bytes: &'a [u8],
    /// Where the IP header begins in the frame.
    pub offset: usize,
    /// What the link layer says.
    pub link: LinkInfo,
}

impl NetworkPacket<'_> {
    /// Whether the capture lost the end of the packet: `captured` of the `original` bytes of the
    /// frame are there, and the packet claims to be longer than they reach.
    #[must_use]
    pub fn cut_short(&self, captured: u32, original: u32) -> Option<Skipped> {
        let cut = captured < original && self.bytes.len() < self.claimed_length();
        cut.then_some(Skipped::CapturedShort { captured, original })
    }

    /// The length the IP header claims; zero when it is not whole.
    fn claimed_length(&self) -> usize {
        let (header_length, at, more) = match self.family {
            Family::V4 => (ipv4::HEADER_LENGTH_MIN, 2, 0),
            Family::V6 => (ipv6::HEADER_LENGTH, 4, ipv6::HEADER_LENGTH),
        };
        match be16(self.bytes, at) {
            Some(length) if self.bytes.len() >= header_length => more + usize::from(length),
            _ => 0,
        }
    }
}

/// Finds the IP packet in a captured frame.
///
/// The packet type is what the destination hardware address or the capturing host says, except
/// that frames to other hosts count as unicast: a capture stands for what the filter sees, and
/// hosts on the path see what is addressed to others.
///
/// # Errors
/// [`Skipped`], with the reason why there is none.
#[inline]
pub fn network_packet(link_type: LinkType, frame: &[u8]) -> Result<NetworkPacket<'_>, Skipped> {
    let (family, offset, link) = match link_type {
        LinkType::ETHERNET => ethernet_frame(frame)?,
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_BSDOS => raw(frame)?,
        LinkType::IPV4 => (Family::V4, 0, LinkInfo::default()),
        LinkType::IPV6 => (Family::V6, 0, LinkInfo::default()),
        LinkType::NULL | LinkType::LOOP => loopback(frame)?,
        LinkType::LINUX_SLL => cooked(frame)?,
        LinkType::LINUX_SLL2 => cooked_v2(frame)?,
        LinkType::PPP | LinkType::PPP_HDLC => ppp(frame)?,
        LinkType::C_HDLC => cisco_hdlc(frame)?,
        LinkType::NFLOG => return nflog(frame),
        other => return Err(Skipped::LinkType(other)),
    };
    let bytes = frame.get(offset..).ok_or(Skipped::ShortFrame)?;
    Ok(NetworkPacket { family, bytes, offset, link })
}

type Found = (Family, usize, LinkInfo);

/// Follows `ethertype` from the end of a link-layer header of `length` bytes on.
#[inline]
fn after(frame: &[u8], length: usize, ethertype: u16, link: LinkInfo) -> Result<Found, Skipped> {
    let bytes = frame.get(length..).ok_or(Skipped::ShortFrame)?;
    let (family, offset) = ethernet::to_ip(ethertype, bytes)?;
    Ok((family, length + offset, link))
}

#[inline]
fn ethernet_frame(frame: &[u8]) -> Result<Found, Skipped> {
    let header = EthernetHeader::read(frame).ok_or(Skipped::ShortFrame)?;
    let link = LinkInfo {
        source: Some(header.source),
        destination: Some(header.destination),
        packet_type: header.packet_type(),
        segment: 0,
    };
    after(frame, ethernet::HEADER_LENGTH, header.ethertype, link)
}

fn raw(frame: &[u8]) -> Result<Found, Skipped> {
    match frame.first().map_or(0, |b| b >> 4) {
        4 => Ok((Family::V4, 0, LinkInfo::default())),
        6 => Ok((Family::V6, 0, LinkInfo::default())),
        version => Err(Skipped::RawVersion(version)),
    }
}

/// The byte order of the capturing host is not recorded: families are small numbers, so the smaller
/// reading is the right one. IPv6 has a different number on almost every system.
fn loopback(frame: &[u8]) -> Result<Found, Skipped> {
    let field: [u8; 4] = octets(frame, 0).ok_or(Skipped::ShortFrame)?;
    let family = u32::from_le_bytes(field).min(u32::from_be_bytes(field));
    match family {
        2 => Ok((Family::V4, 4, LinkInfo::default())),
        10 | 23 | 24 | 28 | 30 => Ok((Family::V6, 4, LinkInfo::default())),
        _ => Err(Skipped::LoopbackFamily(family)),
    }
}

/// `LINUX_SLL`: packet type, hardware type, address length, address, protocol.
fn cooked(frame: &[u8]) -> Result<Found, Skipped> {
    let header: [u8; 16] = octets(frame, 0).ok_or(Skipped::ShortFrame)?;
    let [_, kind, .., high, low] = header;
    let link = LinkInfo {
        source: cooked_address(header[5], &header, 6),
        destination: None,
        packet_type: cooked_packet_type(kind),
        segment: 0,
    };
    after(frame, header.len(), u16::from_be_bytes([high, low]), link)
}

/// `LINUX_SLL2`: protocol, reserved, interface index, hardware type, packet type, address length,
/// address.
fn cooked_v2(frame: &[u8]) -> Result<Found, Skipped> {
    let header: [u8; 20] = octets(frame, 0).ok_or(Skipped::ShortFrame)?;
    let link = LinkInfo {
        source: cooked_address(header[11], &header, 12),
        destination: None,
        packet_type: cooked_packet_type(header[10]),
        segment: 0,
    };
    after(frame, header.len(), u16::from_be_bytes([header[0], header[1]]), link)
}

fn cooked_address(length: u8, header: &[u8], at: usize) -> Option<[u8; 6]> {
    if length == 6 { octets(header, at) } else { None }
}

const fn cooked_packet_type(kind: u8) -> PacketType {
    match kind {
        1 => PacketType::Broadcast,
        2 => PacketType::Multicast,
        _ => PacketType::Unicast,
    }
}

fn ppp(frame: &[u8]) -> Result<Found, Skipped> {
    if frame.len() < 4 {
        return Err(Skipped::ShortFrame);
    }
    let offset = if frame.starts_with(&[0xff, 0x03]) { 2 } else { 0 };
    let protocol = be16(frame, offset).ok_or(Skipped::ShortFrame)?;
    let ethertype = ethernet::ppp_ethertype(protocol).ok_or(Skipped::Ppp(protocol))?;
    after(frame, offset + 2, ethertype, LinkInfo::default())
}

fn cisco_hdlc(frame: &[u8]) -> Result<Found, Skipped> {
    let ethertype = be16(frame, 2).ok_or(Skipped::ShortFrame)?;
    after(frame, 4, ethertype, LinkInfo::default())
}

fn nflog(frame: &[u8]) -> Result<NetworkPacket<'_>, Skipped> {
    let message = Nflog::read(frame).ok_or(Skipped::ShortFrame)?;
    let family = message.family.ok_or(Skipped::NflogWithoutIp)?;
    let (offset, bytes) = message.payload.ok_or(Skipped::NflogWithoutIp)?;
    let link = LinkInfo { source: message.source, ..LinkInfo::default() };
    Ok(NetworkPacket { family, bytes, offset, link })
}

#[cfg(test)]
mod tests;
