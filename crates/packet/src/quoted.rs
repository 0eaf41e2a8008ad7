//! The packet an ICMP error quotes.
//!
//! Routers quote the IP header and eight bytes, often no more (RFC 792, RFC 1812, RFC 4443), so a
//! quoted packet is cut short as a rule and its lengths and checksums say nothing. Read here is what
//! Linux's conntrack reads of it to find the connection it belongs to, and just as leniently: the
//! version and the lengths are not looked at, the family is that of the packet around it.

use crate::icmp::IcmpHeader;
use crate::ipv6::{self, ExtensionHeaders};
use crate::read::{be16, field};
use crate::{Address, Family, L4, Parsed, ipv4};

/// What an ICMP error tells of the packet that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// Family, that of the packet around it.
    pub family: Family,
    /// Upper-layer protocol, found as in [`Parsed::protocol`].
    pub protocol: u8,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// As much of the upper-layer header and what follows as is quoted; may be empty.
    pub l4: &'a [u8],
}

impl<'a> Quoted<'a> {
    /// The packet quoted after the eight bytes of the ICMP or ICMPv6 message that `parsed`
    /// describes. `bytes` is what was parsed. The caller knows that it is an error: see
    /// [`crate::icmp::is_error`] and [`crate::icmpv6::is_error`].
    ///
    /// `None` when there is no whole IP header, when it is a non-first fragment, or when there is
    /// no upper-layer header to begin with.
    #[must_use]
    pub fn of(parsed: &Parsed, bytes: &'a [u8]) -> Option<Self> {
        match parsed.l4 {
            L4::Icmp(_) | L4::Icmpv6(_) => Self::new(parsed.family, parsed.payload(bytes)),
            _ => None,
        }
    }

    /// From the quoted IP header on.
    #[must_use]
    pub fn new(family: Family, bytes: &'a [u8]) -> Option<Self> {
        match family {
            Family::V4 => Self::ipv4(bytes),
            Family::V6 => Self::ipv6(bytes),
        }
    }

    /// Source and destination port: the first four bytes of TCP, UDP, UDP-Lite, SCTP and DCCP.
    /// Which protocols have ports is the caller's to know.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        Some((be16(self.l4, 0)?, be16(self.l4, 2)?))
    }

    /// The first eight bytes as ICMP or ICMPv6.
    #[must_use]
    pub fn icmp(&self) -> Option<IcmpHeader> {
        IcmpHeader::read(self.l4)
    }

    fn ipv4(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<{ ipv4::HEADER_LENGTH_MIN }>()?;
        if u16::from_be_bytes(field(header, 6)) & ipv4::OFFSET_MASK != 0 {
            return None;
        }
        Some(Self {
            family: Family::V4,
            protocol: header[9],
            source: Address::v4(field(header, 12)),
            destination: Address::v4(field(header, 16)),
            l4: bytes.get(usize::from(header[0] & 0x0f) * 4..)?,
        })
    }

    fn ipv6(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<{ ipv6::HEADER_LENGTH }>()?;
        let mut headers = ExtensionHeaders::of(bytes);
        for extension in headers.by_ref() {
            if ipv6::fragment(bytes, &extension).is_some_and(|f| f.offset != 0) {
                return None;
            }
        }
        let (protocol, offset) = headers.rest();
        if ipv6::is_extension_header(protocol) || protocol == ipv6::NO_NEXT_HEADER {
            return None;
        }
        Some(Self {
            family: Family::V6,
            protocol,
            source: Address::v6(field(header, 8)),
            destination: Address::v6(field(header, 24)),
            // The last extension header may be cut; protocols without ports need nothing beyond it.
            l4: bytes.get(offset..).unwrap_or(&[]),
        })
    }
}

#[cfg(test)]
mod tests;
