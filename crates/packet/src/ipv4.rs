//! IPv4 (RFC 791).
//!
//! A packet is taken as a host takes it in: the header's own length and the total length have to
//! fit each other and the bytes present. The header checksum is a matter of its own
//! ([`crate::checksum::ipv4_header_valid`]), because captures are read with it on or off.

use crate::parsed::{Fragment, L4};
use crate::read::field;
use crate::tcp::{self, TcpHeader};
use crate::udp::{self, UdpHeader};
use crate::{Address, Family, Malformed, Parsed};

/// Length of the header without options, in bytes.
pub const HEADER_LENGTH_MIN: usize = 20;

/// Don't Fragment, in the 16 bits at offset 6.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// More Fragments, in the 16 bits at offset 6.
pub const MORE_FRAGMENTS: u16 = 0x2000;
/// The fragment offset in units of eight bytes, in the 16 bits at offset 6.
pub const OFFSET_MASK: u16 = 0x1fff;

/// Whether the Don't Fragment bit is set; false when there is no whole header.
#[must_use]
pub fn dont_fragment(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk::<HEADER_LENGTH_MIN>(), Some(h) if word(h, 6) & DONT_FRAGMENT != 0)
}

/// Takes "don't fragment" away from a header; its checksum is to be made anew.
pub fn allow_fragments(bytes: &mut [u8]) {
    if let Some(flags) = bytes.get_mut(6) {
        *flags &= !(DONT_FRAGMENT >> 8) as u8;
    }
}

/// The identification field; zero when there is no whole header.
#[must_use]
pub fn identification(bytes: &[u8]) -> u16 {
    bytes.first_chunk::<HEADER_LENGTH_MIN>().map_or(0, |h| word(h, 4))
}

#[inline(always)]
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let header = bytes.first_chunk::<HEADER_LENGTH_MIN>().ok_or(Malformed::Short)?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let length = usize::from(word(header, 2));
    if header_length < HEADER_LENGTH_MIN || length < header_length {
        return Err(Malformed::HeaderLength);
    }
    let packet = bytes.get(..length).ok_or(Malformed::Short)?;
    let upper = packet.get(header_length..).unwrap_or(&[]);
    let fragmented = word(header, 6) & (MORE_FRAGMENTS | OFFSET_MASK) != 0;
    // Each of these returns on its own, so that the fields go from the packet to where the caller
    // wants them without a copy in between.
    match header[9] {
        _ if fragmented => Ok(fragment(header, upper, length)),
        tcp::PROTOCOL => match TcpHeader::read(upper) {
            Some(tcp) => Ok(parsed(header, length, None, L4::Tcp(tcp))),
            None => Ok(parsed(header, length, None, L4::Short)),
        },
        udp::PROTOCOL => match UdpHeader::read(upper) {
            Some(udp) => Ok(parsed(header, length, None, L4::Udp(udp))),
            None => Ok(parsed(header, length, None, L4::Short)),
        },
        protocol => Ok(parsed(header, length, None, L4::read(protocol, upper))),
    }
}

#[inline(always)]
fn parsed(
    header: &[u8; HEADER_LENGTH_MIN],
    length: usize,
    fragment: Option<Fragment>,
    l4: L4,
) -> Parsed {
    let header_length = u16::from(header[0] & 0x0f) * 4;
    Parsed {
        family: Family::V4,
        protocol: header[9],
        ttl: header[8],
        tos: header[1],
        source: Address::v4(field(header, 12)),
        destination: Address::v4(field(header, 16)),
        length: length as u32,
        l4_offset: u32::from(header_length),
        header_length,
        has_options: header_length > HEADER_LENGTH_MIN as u16,
        fragment,
        l4,
    }
}

#[cold]
fn fragment(header: &[u8; HEADER_LENGTH_MIN], upper: &[u8], length: usize) -> Parsed {
    let flags_and_offset = word(header, 6);
    let fragment = Fragment {
        offset: (flags_and_offset & OFFSET_MASK) << 3,
        more: flags_and_offset & MORE_FRAGMENTS != 0,
        identification: u32::from(word(header, 4)),
    };
    let l4 = if fragment.offset == 0 { L4::read(header[9], upper) } else { L4::Fragment };
    parsed(header, length, Some(fragment), l4)
}

#[inline(always)]
fn word(header: &[u8; HEADER_LENGTH_MIN], at: usize) -> u16 {
    u16::from_be_bytes(field(header, at))
}
