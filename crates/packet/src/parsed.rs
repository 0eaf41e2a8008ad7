//! One pass over the headers of an IP packet.

use crate::{Address, Family};
use crate::{icmp, icmpv6, sctp, tcp, udp};
use crate::{icmp::IcmpHeader, tcp::TcpHeader, udp::UdpHeader};

/// What tracking and rules read of a packet, found in one pass from the IP header on.
///
/// Total: any bytes give a `Parsed` or a [`Malformed`]. Offsets count from the IP header; none is
/// above [`Parsed::length`], and that is at most the length of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Family, from the version nibble.
    pub family: Family,
    /// Upper-layer protocol: IPv4 `protocol`, or the first IPv6 next header that is no extension
    /// header (59 when it is "no next header"); for a non-first fragment what the fragment header
    /// names; for [`L4::BrokenChain`] the extension header that is missing.
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
    /// link-layer padding. An IPv6 packet with payload length 0 and hop-by-hop options claims
    /// nothing: it takes all bytes there are.
    pub length: u32,
    /// Offset of the upper-layer header, or of the data of a non-first fragment, or where a broken
    /// chain of IPv6 extension headers breaks.
    pub l4_offset: u32,
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
    /// One of the protocols above, or SCTP, cut before the end of its fixed header.
    Short,
    /// A non-first fragment: there is no upper-layer header here.
    Fragment,
    /// IPv6: the headers end with "no next header" (59). Conntrack cannot track it.
    NoNextHeader,
    /// IPv6: an extension header is missing or runs beyond the packet. Conntrack cannot track it.
    BrokenChain,
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
    /// IPv6 hop-by-hop options that make a host drop the packet silently.
    HopByHop,
    /// IPv6 hop-by-hop options that make a host drop the packet and answer with an ICMPv6 parameter
    /// problem (RFC 4443, 3.4).
    ParameterProblem {
        /// Its code.
        code: u8,
        /// Its pointer: bytes from the IP header.
        pointer: u16,
    },
}

impl Parsed {
    /// Parses from the IP header on. `bytes` may be longer than the packet (link-layer padding).
    ///
    /// # Errors
    /// [`Malformed`] when there is no whole IP header or it contradicts the bytes present.
    #[inline(always)]
    pub fn new(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.first().map(|b| b >> 4) {
            Some(4) => crate::ipv4::parse(bytes),
            Some(6) => crate::ipv6::parse(bytes),
            Some(_) => Err(Malformed::Version),
            None => Err(Malformed::Short),
        }
    }

    /// As [`Parsed::new`], for a packet the link layer says is of `family`: a host looks at the
    /// version only to see it confirmed.
    ///
    /// # Errors
    /// As [`Parsed::new`]; [`Malformed::Version`] when it is of the other family.
    #[inline(always)]
    pub fn of_family(family: Family, bytes: &[u8]) -> Result<Self, Malformed> {
        match (family, bytes.first().map(|b| b >> 4)) {
            (Family::V4, Some(4)) | (Family::V6, Some(6)) | (_, None) => Self::new(bytes),
            _ => Err(Malformed::Version),
        }
    }

    /// Parses a datagram that was put together from fragments. IPv6 hop-by-hop options were looked
    /// at when each fragment came, those behind a fragment header never are.
    ///
    /// # Errors
    /// As [`Parsed::new`], but for what it says of hop-by-hop options.
    pub fn joined(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.first().map(|b| b >> 4) {
            Some(6) => crate::ipv6::parse_joined(bytes),
            _ => Self::new(bytes),
        }
    }

    /// The packet without link-layer padding. `bytes` is what was parsed.
    #[inline]
    #[must_use]
    pub fn packet<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(..self.length as usize).unwrap_or(bytes)
    }

    /// From the upper-layer header (or a non-first fragment's data) to the end of the packet.
    /// `bytes` is what was parsed.
    #[inline]
    #[must_use]
    pub fn l4_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.l4_offset as usize..self.length as usize).unwrap_or(&[])
    }

    /// What the upper-layer header carries: after the TCP header with its options, and after the
    /// fixed header of UDP, UDP-Lite, ICMP and ICMPv6. Empty for everything else, and when TCP's
    /// data offset is wrong.
    #[inline]
    #[must_use]
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let header_length = match &self.l4 {
            L4::Tcp(tcp) if tcp.header_length >= 20 => usize::from(tcp.header_length),
            L4::Udp(_) | L4::UdpLite(_) | L4::Icmp(_) | L4::Icmpv6(_) => 8,
            _ => return &[],
        };
        self.l4_bytes(bytes).get(header_length..).unwrap_or(&[])
    }
}

impl L4 {
    /// Reads the header of `protocol` at the start of `bytes`.
    #[inline(never)]
    pub(crate) fn read(protocol: u8, bytes: &[u8]) -> Self {
        let read = match protocol {
            tcp::PROTOCOL => TcpHeader::read(bytes).map(Self::Tcp),
            udp::PROTOCOL => UdpHeader::read(bytes).map(Self::Udp),
            icmp::PROTOCOL => IcmpHeader::read(bytes).map(Self::Icmp),
            icmpv6::PROTOCOL => IcmpHeader::read(bytes).map(Self::Icmpv6),
            udp::PROTOCOL_LITE => UdpHeader::read(bytes).map(Self::UdpLite),
            sctp::PROTOCOL if bytes.len() < sctp::HEADER_LENGTH => None,
            _ => return Self::Other,
        };
        read.unwrap_or(Self::Short)
    }
}

#[cfg(test)]
mod tests;
