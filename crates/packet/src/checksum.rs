//! The Internet checksum (RFC 1071): verified, computed, updated incrementally (RFC 1624).
//!
//! Sums are kept in the order of the bytes in memory and folded at the end: one's complement
//! addition does not mind (RFC 1071, 2 (B)). An odd last byte counts as the high half of a 16-bit
//! word, as if a zero byte followed.

use crate::read::{be16, field};
use crate::{Family, L4, Parsed, icmpv6, ipv4, tcp, udp};

/// A one's complement sum under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Nothing summed yet.
    pub const ZERO: Self = Self(0);

    /// Adds bytes. All but the last piece of what is summed must have an even length.
    #[inline]
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        Self(add(self.0, sum_words(bytes)))
    }

    /// Adds a 16-bit number.
    #[inline]
    #[must_use]
    pub const fn number(self, number: u16) -> Self {
        Self(add(self.0, number.to_be() as u64))
    }

    /// The pseudo-header of TCP, UDP and ICMPv6: addresses, upper-layer length, protocol (RFC 9293,
    /// 3.1; RFC 8200, 8.1).
    #[inline]
    #[must_use]
    pub fn pseudo_header(parsed: &Parsed, protocol: u8, length: u32) -> Self {
        let addresses = match parsed.family {
            Family::V4 => Self::ZERO.four(&parsed.source.0).four(&parsed.destination.0),
            Family::V6 => Self::ZERO.bytes(&parsed.source.0).bytes(&parsed.destination.0),
        };
        let length = Self(u64::from(length.to_be()));
        Self(add(addresses.0, length.0)).number(u16::from(protocol))
    }

    #[inline]
    fn four(self, octets: &[u8; 16]) -> Self {
        Self(add(self.0, u64::from(u32::from_ne_bytes(field(octets, 0)))))
    }

    /// The sum, folded to 16 bits.
    #[inline]
    #[must_use]
    pub const fn folded(self) -> u16 {
        let sum = (self.0 >> 32) + (self.0 & 0xffff_ffff);
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        u16::from_be(sum as u16)
    }

    /// The checksum: the complement of the sum.
    #[inline]
    #[must_use]
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }
}

/// One's complement addition in 64 bits.
#[inline(always)]
const fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u64
}

/// Sums in 32-bit words, which cannot overflow 64 bits below 16 GiB.
#[inline]
fn sum_words(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut sum = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        sum += words.iter().map(|w| u64::from(u32::from_ne_bytes(*w))).sum::<u64>();
    }
    let (words, rest) = rest.as_chunks::<4>();
    sum += words.iter().map(|w| u64::from(u32::from_ne_bytes(*w))).sum::<u64>();
    sum + match *rest {
        [a] => u64::from(u16::from_ne_bytes([a, 0])),
        [a, b] => u64::from(u16::from_ne_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_ne_bytes([a, b, c, 0])),
        _ => 0,
    }
}

/// The checksum of bytes: the complement of their sum.
#[must_use]
pub fn compute(bytes: &[u8]) -> u16 {
    Sum::ZERO.bytes(bytes).checksum()
}

/// Whether the header checksum of an IPv4 packet is right; false when the header is not whole.
#[inline]
#[must_use]
pub fn ipv4_header_valid(bytes: &[u8]) -> bool {
    match bytes.first_chunk::<{ ipv4::HEADER_LENGTH_MIN }>() {
        Some(header) if header[0] & 0x0f == 5 => Sum::ZERO.bytes(header).folded() == 0xffff,
        Some(header) => ipv4_options_valid(bytes, header[0]),
        None => false,
    }
}

#[cold]
fn ipv4_options_valid(bytes: &[u8], first: u8) -> bool {
    let header = bytes.get(..usize::from(first & 0x0f) * 4);
    header.is_some_and(|h| h.len() > 20 && Sum::ZERO.bytes(h).folded() == 0xffff)
}

/// What the checksum of the upper-layer header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is right.
    Valid,
    /// The sender computed none: zero in UDP. Linux's conntrack lets it pass over IPv6 too.
    Absent,
    /// It is wrong, but holds just the sum of the pseudo-header: the packet was seen on its way to
    /// a network card that would have finished it.
    Offloaded,
    /// It is wrong.
    Wrong,
    /// There is none that conntrack looks at: another protocol, a fragment, a header cut short.
    NotApplicable,
}

/// Verifies the checksum of the upper-layer header. `bytes` is what was parsed.
#[must_use]
pub fn verify(parsed: &Parsed, bytes: &[u8]) -> Verified {
    if parsed.fragment.is_some_and(|f| f.more || f.offset != 0) {
        return Verified::NotApplicable;
    }
    let segment = parsed.l4_bytes(bytes);
    let (protocol, at) = match (&parsed.l4, parsed.family) {
        (L4::Tcp(_), _) => (tcp::PROTOCOL, 16),
        (L4::Udp(header), _) if header.checksum == 0 => return Verified::Absent,
        (L4::Udp(_), _) => (udp::PROTOCOL, 6),
        (L4::Icmpv6(_), Family::V6) => (icmpv6::PROTOCOL, 2),
        (L4::Icmp(_), Family::V4) if compute(segment) == 0 => return Verified::Valid,
        (L4::Icmp(_), Family::V4) => return Verified::Wrong,
        _ => return Verified::NotApplicable,
    };
    let pseudo = Sum::pseudo_header(parsed, protocol, segment.len() as u32);
    if pseudo.bytes(segment).checksum() == 0 {
        Verified::Valid
    } else if be16(segment, at) == Some(pseudo.folded()) {
        Verified::Offloaded
    } else {
        Verified::Wrong
    }
}
