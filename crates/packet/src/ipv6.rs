//! IPv6 (RFC 8200) and its extension headers.
//!
//! The upper-layer protocol is found as Linux's conntrack finds it: hop-by-hop options, routing,
//! destination options, authentication (RFC 4302) and fragment headers are walked over; everything
//! else, mobility (RFC 6275) and ESP included, is an upper-layer protocol. A chain that ends in "no
//! next header", or beyond the packet, has none: such a packet is forwarded but cannot be tracked.

use crate::parsed::{Fragment, L4};
use crate::read::{be16, be32, field, octets};
use crate::tcp::{self, TcpHeader};
use crate::udp::{self, UdpHeader};
use crate::{Address, Family, Malformed, Parsed, hop_by_hop};

/// Length of the fixed header, in bytes.
pub const HEADER_LENGTH: usize = 40;
/// What every link must take, bytes (RFC 8200, section 5); one that takes less carries no IPv6.
pub const MTU_MIN: u32 = 1280;

/// Most extension headers walked over. Linux has no limit; this is what fits into the largest packet
/// without a jumbo payload option, so that it is the limit of jumbograms alone.
pub const EXTENSION_HEADERS_MAX: usize = 8192;

/// Hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// Routing.
pub const ROUTING: u8 = 43;
/// Fragment.
pub const FRAGMENT: u8 = 44;
/// Authentication header.
pub const AUTHENTICATION: u8 = 51;
/// No next header.
pub const NO_NEXT_HEADER: u8 = 59;
/// Destination options.
pub const DESTINATION_OPTIONS: u8 = 60;

/// Whether a next-header value names an extension header that is walked over.
#[inline]
#[must_use]
pub const fn is_extension_header(next_header: u8) -> bool {
    matches!(next_header, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

#[inline(always)]
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let header = bytes.first_chunk::<HEADER_LENGTH>().ok_or(Malformed::Short)?;
    let payload_length = usize::from(u16::from_be_bytes(field(header, 4)));
    if header[6] == HOP_BY_HOP {
        let packet = with_hop_by_hop(bytes, payload_length)?;
        return Ok(with_extension_headers(header, packet));
    }
    let packet = bytes.get(..HEADER_LENGTH + payload_length).ok_or(Malformed::Short)?;
    let upper = packet.get(HEADER_LENGTH..).unwrap_or(&[]);
    // Each of these returns on its own: see `ipv4::parse`.
    match header[6] {
        tcp::PROTOCOL => match TcpHeader::read(upper) {
            Some(tcp) => Ok(parsed(header, packet, plain(header, L4::Tcp(tcp)))),
            None => Ok(parsed(header, packet, plain(header, L4::Short))),
        },
        udp::PROTOCOL => match UdpHeader::read(upper) {
            Some(udp) => Ok(parsed(header, packet, plain(header, L4::Udp(udp)))),
            None => Ok(parsed(header, packet, plain(header, L4::Short))),
        },
        NO_NEXT_HEADER => Ok(with_extension_headers(header, packet)),
        next if is_extension_header(next) => Ok(with_extension_headers(header, packet)),
        next => Ok(parsed(header, packet, plain(header, L4::read(next, upper)))),
    }
}

/// Parses a datagram that was just put together: nobody reads hop-by-hop options in it any more, be
/// they behind the fragment header.
pub(crate) fn parse_joined(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let header = bytes.first_chunk::<HEADER_LENGTH>().ok_or(Malformed::Short)?;
    let payload_length = usize::from(u16::from_be_bytes(field(header, 4)));
    let packet = bytes.get(..HEADER_LENGTH + payload_length).ok_or(Malformed::Short)?;
    Ok(with_extension_headers(header, packet))
}

#[inline(always)]
fn parsed(header: &[u8; HEADER_LENGTH], packet: &[u8], upper: UpperLayer) -> Parsed {
    Parsed {
        family: Family::V6,
        protocol: upper.protocol,
        ttl: header[7],
        tos: header[0] << 4 | header[1] >> 4,
        source: Address::v6(field(header, 8)),
        destination: Address::v6(field(header, 24)),
        length: packet.len() as u32,
        l4_offset: upper.offset as u32,
        header_length: HEADER_LENGTH as u16,
        has_options: is_extension_header(header[6]),
        fragment: upper.fragment,
        l4: upper.l4,
    }
}

#[inline(always)]
fn plain(header: &[u8; HEADER_LENGTH], l4: L4) -> UpperLayer {
    UpperLayer { protocol: header[6], offset: HEADER_LENGTH, fragment: None, l4 }
}

/// Cuts a packet with hop-by-hop options to its length. A payload length of zero claims nothing:
/// a jumbo payload option does, or else the bytes present are the packet.
#[cold]
fn with_hop_by_hop(bytes: &[u8], payload_length: usize) -> Result<&[u8], Malformed> {
    let packet = match payload_length {
        0 => bytes,
        length => bytes.get(..HEADER_LENGTH + length).ok_or(Malformed::Short)?,
    };
    let length = hop_by_hop::check(packet)?;
    packet.get(..length).ok_or(Malformed::Short)
}

struct UpperLayer {
    protocol: u8,
    offset: usize,
    fragment: Option<Fragment>,
    l4: L4,
}

#[cold]
fn with_extension_headers(header: &[u8; HEADER_LENGTH], packet: &[u8]) -> Parsed {
    parsed(header, packet, upper_layer(packet, header[6]))
}

/// Walks the chain of a packet whose first next header is none that stands alone.
fn upper_layer(packet: &[u8], next_header: u8) -> UpperLayer {
    let mut headers = ExtensionHeaders::new(packet, next_header, HEADER_LENGTH);
    let mut fragment = None;
    for header in headers.by_ref() {
        let found = self::fragment(packet, &header);
        fragment = fragment.or(found);
        if found.is_some_and(|f| f.offset != 0) {
            let (protocol, offset) = (header.next_header, header.offset + header.length);
            let offset = offset.min(packet.len());
            return UpperLayer { protocol, offset, fragment, l4: L4::Fragment };
        }
    }
    let (protocol, offset) = headers.rest();
    fragment = fragment.or(cut_fragment(packet, protocol, offset));
    let l4 = match protocol {
        NO_NEXT_HEADER => L4::NoNextHeader,
        p if is_extension_header(p) => L4::BrokenChain,
        p => L4::read(p, packet.get(offset..).unwrap_or(&[])),
    };
    UpperLayer { protocol, offset: offset.min(packet.len()), fragment, l4 }
}

/// A fragment header that ends before its offset is one of a fragment all the same.
fn cut_fragment(packet: &[u8], protocol: u8, offset: usize) -> Option<Fragment> {
    let is_cut = protocol == FRAGMENT && (offset..offset + 4).contains(&packet.len());
    is_cut.then_some(Fragment { offset: 0, more: false, identification: 0 })
}

/// The fields of a fragment header; `None` for any other header and when it is cut short.
#[must_use]
pub fn fragment(packet: &[u8], header: &ExtensionHeader) -> Option<Fragment> {
    if header.protocol != FRAGMENT {
        return None;
    }
    let offset_and_flag = be16(packet, header.offset + 2)?;
    Some(Fragment {
        offset: offset_and_flag & !7,
        more: offset_and_flag & 1 != 0,
        identification: be32(packet, header.offset + 4).unwrap_or(0),
    })
}

/// One extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionHeader {
    /// Which one it is: the value the header before it names.
    pub protocol: u8,
    /// What follows it.
    pub next_header: u8,
    /// Where it begins, in bytes from the IP header.
    pub offset: usize,
    /// Its length in bytes, at least 8. It may reach beyond the packet; then it is the last.
    pub length: usize,
}

/// The extension headers of a packet in order. Ends before the first header that is none and before one
/// that is cut short. Whoever meets a non-first fragment's header stops there: what it names is not
/// in this packet.
#[derive(Clone, Debug)]
pub struct ExtensionHeaders<'a> {
    packet: &'a [u8],
    next_header: u8,
    offset: usize,
    left: usize,
}

impl<'a> ExtensionHeaders<'a> {
    /// Of an IPv6 packet, from its fixed header on and cut to its length; nothing in anything
    /// shorter than a fixed header.
    #[must_use]
    pub fn of(packet: &'a [u8]) -> Self {
        let next_header = packet.first_chunk::<HEADER_LENGTH>().map_or(NO_NEXT_HEADER, |h| h[6]);
        Self::new(packet, next_header, HEADER_LENGTH)
    }

    /// From the header `next_header` at `offset` on.
    pub(crate) const fn new(packet: &'a [u8], next_header: u8, offset: usize) -> Self {
        Self { packet, next_header, offset, left: EXTENSION_HEADERS_MAX }
    }

    /// What comes next: its protocol, and where it begins, which may be beyond the packet.
    #[must_use]
    pub const fn rest(&self) -> (u8, usize) {
        (self.next_header, self.offset)
    }
}

impl Iterator for ExtensionHeaders<'_> {
    type Item = ExtensionHeader;

    fn next(&mut self) -> Option<ExtensionHeader> {
        let (protocol, offset) = (self.next_header, self.offset);
        if !is_extension_header(protocol) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let [next_header, length] = octets(self.packet, offset)?;
        let length = match protocol {
            FRAGMENT => {
                // Linux reads the offset before it goes on; without it the chain is broken.
                be16(self.packet, offset + 2)?;
                8
            }
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        self.next_header = next_header;
        self.offset = offset + length;
        Some(ExtensionHeader { protocol, next_header, offset, length })
    }
}
