//! One pass over the headers of an IP packet.

use crate::{Address, Family};
use crate::{icmp::IcmpHeader, tcp::TcpHeader, udp::UdpHeader};

/// What tracking and rules read of a packet, found in one pass from the IP header on.
///
/// Total: any bytes give a `Parsed` or a [`Malformed`]. Offsets count from the IP header and are
/// inside the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Family, from the version nibble.
    pub family: Family,
    /// Upper-layer protocol: IPv4 `protocol`, or the first IPv6 next header that is no extension
    /// header; for a non-first fragment, what the fragment header names.
    pub protocol: u8,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 TOS byte or IPv6 traffic class.
    pub tos: u8,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Length in bytes from the IP header to the end that the IP header claims; bytes after it are
    /// link-layer padding.
    pub length: u32,
    /// Offset of the upper-layer header; `length` when there is none.
    pub l4_offset: u16,
    /// IPv4 header bytes, or 40.
    pub header_length: u16,
    /// IPv4: a header longer than 20 bytes. IPv6: an extension header is present.
    pub has_options: bool,
    /// Fragment fields, when it is a fragment (IPv4 offset or MF set; IPv6 fragment header).
    pub fragment: Option<Fragment>,
    /// The upper-layer header.
    pub l4: L4,
}

/// Fragment fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Offset of this piece in bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// Identification (IPv4: 16 bits).
    pub identification: u32,
}

/// The upper-layer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    /// TCP, at least 20 bytes present. The data offset is as on the wire and may be wrong; see
    /// [`TcpHeader::header_length`].
    Tcp(TcpHeader),
    /// UDP, at least 8 bytes present.
    Udp(UdpHeader),
    /// UDP-Lite, at least 8 bytes present.
    UdpLite(UdpHeader),
    /// ICMP, at least 8 bytes present.
    Icmp(IcmpHeader),
    /// ICMPv6, at least 8 bytes present.
    Icmpv6(IcmpHeader),
    /// One of the protocols above, SCTP or GRE, cut before the end of its fixed header.
    Short,
    /// A non-first fragment: there is no upper-layer header here.
    Fragment,
    /// Anything else, and SCTP and GRE, which are read through their views where needed.
    Other,
}

/// Why bytes are no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than the fixed IP header, than the IPv4 header length, or than the length claimed.
    Short,
    /// Version is neither 4 nor 6.
    Version,
    /// IPv4 header length below 20 bytes or above the total length.
    HeaderLength,
    /// The chain of IPv6 extension headers does not end inside the packet, or exceeds
    /// [`crate::ipv6::EXTENSION_HEADERS_MAX`].
    ExtensionHeaders,
}

impl Parsed {
    /// Parses from the IP header on. `bytes` may be longer than the packet (link-layer padding).
    ///
    /// # Errors
    /// [`Malformed`] when there is no whole IP header or it contradicts the bytes present.
    pub fn new(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.first().map(|b| b >> 4) {
            Some(4) => crate::ipv4::parse(bytes),
            Some(6) => crate::ipv6::parse(bytes),
            Some(_) => Err(Malformed::Version),
            None => Err(Malformed::Short),
        }
    }
}
