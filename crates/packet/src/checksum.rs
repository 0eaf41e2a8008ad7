//! The Internet checksum (RFC 1071): verified, computed, updated incrementally (RFC 1624); and SCTP's.
//!
//! Sums are kept in the order of the bytes in memory and folded at the end: one's complement
//! addition does not mind (RFC 1071, 2 (B)). An odd last byte counts as the high half of a 16-bit
//! word, as if a zero byte followed.

use crate::read::{be16, field, octets};
use crate::{Address, Family, L4, Parsed, icmpv6, ipv4, sctp, tcp, udp};

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
        Self(add(self.0, sum_words::<false>(bytes)))
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
        // The upper half of a number plus itself with the halves exchanged is their sum, and the
        // carry out of the lower half comes in where one's complement wants it.
        let sum = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        let sum = (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16;
        u16::from_be(sum)
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

/// Sums blocks in 32-bit words, which cannot overflow 64 bits below 16 GiB, and what remains in
/// larger steps; of the bytes' complement when `COMPLEMENT`.
#[inline]
fn sum_words<const COMPLEMENT: bool>(bytes: &[u8]) -> u64 {
    let word = |octets: &[u8; 4]| {
        let word = u32::from_ne_bytes(*octets);
        u64::from(if COMPLEMENT { !word } else { word })
    };
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut sum = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        sum += words.iter().map(word).sum::<u64>();
    }
    let long = |octets: [u8; 8]| {
        let word = u64::from_ne_bytes(octets);
        if COMPLEMENT { !word } else { word }
    };
    // Each size comes at most once: no loops.
    let (pairs, rest) = rest.as_chunks::<16>();
    if let [pair] = pairs {
        sum = add(add(sum, long(field(pair, 0))), long(field(pair, 8)));
    }
    let (words, rest) = rest.as_chunks::<8>();
    if let [octets] = words {
        sum = add(sum, long(*octets));
    }
    let (words, rest) = rest.as_chunks::<4>();
    if let [octets] = words {
        sum = add(sum, word(octets));
    }
    let last = match *rest {
        [a] => u32::from_ne_bytes([a, 0, 0, 0]),
        [a, b] => u32::from_ne_bytes([a, b, 0, 0]),
        [a, b, c] => u32::from_ne_bytes([a, b, c, 0]),
        _ => return sum,
    };
    add(sum, u64::from(if COMPLEMENT { !last } else { last }))
}

/// The checksum of bytes: the complement of their sum.
#[must_use]
pub fn compute(bytes: &[u8]) -> u16 {
    Sum::ZERO.bytes(bytes).checksum()
}

/// What changes in summed bytes do to the checksum over them (RFC 1624, equation 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change(Sum);

impl Change {
    /// No change.
    pub const NONE: Self = Self(Sum::ZERO);

    /// And `old` became `new`: bytes at an even offset, of the same even length.
    #[inline]
    #[must_use]
    pub fn bytes(self, old: &[u8], new: &[u8]) -> Self {
        self.removed(old).added(new)
    }

    #[inline]
    pub(crate) fn removed(self, old: &[u8]) -> Self {
        Self(Sum(add(self.0.0, sum_words::<true>(old))))
    }

    #[inline]
    pub(crate) fn added(self, new: &[u8]) -> Self {
        Self(self.0.bytes(new))
    }

    /// And the 16-bit number `old` became `new`.
    #[inline]
    #[must_use]
    pub const fn number(self, old: u16, new: u16) -> Self {
        Self(self.0.number(!old).number(new))
    }

    /// The checksum after the change. One that was wrong stays wrong, by as much.
    #[inline]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        self.0.number(!checksum).checksum()
    }

    /// As [`Change::apply`] for UDP, where zero says that there is none: it stays so, and a
    /// checksum that becomes zero is written as 0xffff.
    #[inline]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        match checksum {
            0 => 0,
            checksum => not_zero(self.apply(checksum)),
        }
    }
}

/// UDP writes a checksum of zero as its other form in one's complement.
const fn not_zero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
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

/// Where the checksum of an IPv4 header stands, in bytes from its start.
pub(crate) const IPV4_AT: usize = 10;

/// Writes the header checksum of an IPv4 packet. Nothing happens when the header is not whole.
pub fn fill_ipv4_header(packet: &mut [u8]) {
    let length = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let Some(header) = packet.get_mut(..length) else { return };
    put(header, IPV4_AT, 0);
    put(header, IPV4_AT, compute(header));
}

/// How the checksum of an upper-layer protocol is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Where it stands, in bytes from the upper-layer header.
    pub(crate) at: usize,
    /// The protocol number in the pseudo-header; `None`: there is no pseudo-header.
    pub(crate) pseudo: Option<u8>,
}

impl Rule {
    /// Of the Internet checksum in a packet's upper-layer header, when it has one.
    #[inline]
    pub(crate) fn of(parsed: &Parsed) -> Option<Self> {
        let (at, pseudo) = match (&parsed.l4, parsed.family) {
            (L4::Tcp(_), _) => (16, Some(tcp::PROTOCOL)),
            (L4::Udp(_), _) => (6, Some(udp::PROTOCOL)),
            (L4::UdpLite(_), _) => (6, Some(udp::PROTOCOL_LITE)),
            (L4::Icmpv6(_), Family::V6) => (2, Some(icmpv6::PROTOCOL)),
            (L4::Icmp(_), Family::V4) => (2, None),
            _ => return None,
        };
        Some(Self { at, pseudo })
    }
}

/// Writes the checksums of a packet that is made here: the upper-layer one of TCP, UDP, UDP-Lite,
/// ICMP, ICMPv6 or SCTP, and that of the IPv4 header. `bytes` is what was parsed.
pub fn fill(parsed: &Parsed, bytes: &mut [u8]) {
    if parsed.family == Family::V4 {
        fill_ipv4_header(bytes);
    }
    let range = parsed.l4_offset as usize..parsed.length as usize;
    let Some(segment) = bytes.get_mut(range) else { return };
    if is_sctp(parsed) {
        fill_sctp(segment);
        return;
    }
    let Some(rule) = Rule::of(parsed) else { return };
    put(segment, rule.at, 0);
    let length = segment.len() as u32;
    let pseudo = rule.pseudo.map_or(Sum::ZERO, |p| Sum::pseudo_header(parsed, p, length));
    let covered = segment.get(..coverage(parsed, segment.len())).unwrap_or(&[]);
    let checksum = pseudo.bytes(covered).checksum();
    let zero_is_none = matches!(parsed.l4, L4::Udp(_) | L4::UdpLite(_));
    put(segment, rule.at, if zero_is_none { not_zero(checksum) } else { checksum });
}

/// Makes the checksum of a TCP segment or UDP datagram anew, right or wrong as it was; it is never 0 then.
/// UDP without one stays without.
pub fn renew(parsed: &Parsed, bytes: &mut [u8]) {
    put_anew(parsed, bytes, |pseudo, segment| not_zero(pseudo.bytes(segment).checksum()));
}

/// Puts the sum of the pseudo-header in the place of that checksum, as it stands there until a device has
/// made it ([`Unfinished`]).
pub fn unfinish(parsed: &Parsed, bytes: &mut [u8]) {
    put_anew(parsed, bytes, |pseudo, _| pseudo.folded());
}

fn put_anew(parsed: &Parsed, bytes: &mut [u8], checksum: impl FnOnce(Sum, &[u8]) -> u16) {
    let has_one = match &parsed.l4 {
        L4::Tcp(_) => true,
        L4::Udp(_) => be16(bytes, parsed.l4_offset as usize + UDP_AT).is_some_and(|sum| sum != 0),
        _ => false,
    };
    let range = parsed.l4_offset as usize..parsed.length as usize;
    let (Some(rule), Some(segment), true) = (Rule::of(parsed), bytes.get_mut(range), has_one)
    else {
        return;
    };
    put(segment, rule.at, 0);
    let pseudo = Sum::pseudo_header(parsed, parsed.protocol, segment.len() as u32);
    let made = checksum(pseudo, segment);
    put(segment, rule.at, made);
}

/// Writes length and checksum of a UDP datagram into what a packet carries, whatever it is, where they are in
/// UDP: the checksum unless zeros stand there. As Linux 6.18 does to an ICMP error that quotes a datagram
/// which a helper translates.
pub fn fill_as_udp(parsed: &Parsed, upper: &mut [u8]) {
    const LENGTH_AT: usize = 4;
    put(upper, LENGTH_AT, upper.len() as u16);
    if be16(upper, UDP_AT).is_none_or(|sum| sum == 0) {
        return;
    }
    put(upper, UDP_AT, 0);
    let pseudo = Sum::pseudo_header(parsed, udp::PROTOCOL, upper.len() as u32);
    put(upper, UDP_AT, not_zero(pseudo.bytes(upper).checksum()));
}

/// The checksum of a TCP segment that its host leaves to the network card: until then the sum of the
/// pseudo-header stands in its place, and what is changed in the segment changes nothing there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    sum: u16,
    /// Of the packet, in bytes: it is in the sum.
    length: u32,
}

impl Unfinished {
    /// Puts the sum of the pseudo-header into a segment.
    pub fn begin(parsed: &Parsed, bytes: &mut [u8]) -> Self {
        let length = parsed.length.saturating_sub(parsed.l4_offset);
        let sum = !Sum::pseudo_header(parsed, tcp::PROTOCOL, length).checksum();
        put(bytes, parsed.l4_offset as usize + TCP_AT, sum);
        Self { sum, length: parsed.length }
    }

    /// Puts it there again when something has changed the segment: only its length counts.
    pub fn begin_again(&mut self, parsed: &Parsed, bytes: &mut [u8]) {
        let change = Change::NONE.number(self.length as u16, parsed.length as u16);
        (self.sum, self.length) = (!change.apply(!self.sum), parsed.length);
        put(bytes, parsed.l4_offset as usize + TCP_AT, self.sum);
    }

    /// The same when source and destination have changed.
    pub fn readdress(&mut self, before: [Address; 2], parsed: &Parsed, bytes: &mut [u8]) {
        let pairs = before.iter().zip([&parsed.source, &parsed.destination]);
        let change = pairs.fold(Change::NONE, |change, (old, new)| change.bytes(&old.0, &new.0));
        self.sum = !change.apply(!self.sum);
        self.begin_again(parsed, bytes);
    }

    /// Makes the checksum as network cards do, and what stands in for one on Linux: never 0.
    pub fn finish(mut self, parsed: &Parsed, bytes: &mut [u8]) {
        self.begin_again(parsed, bytes);
        let range = parsed.l4_offset as usize..parsed.length as usize;
        let Some(segment) = bytes.get_mut(range) else { return };
        let checksum = Sum::ZERO.bytes(segment).checksum();
        put(segment, TCP_AT, not_zero(checksum));
    }
}

/// Where a TCP segment has its checksum.
const TCP_AT: usize = 16;
/// Where it stands in UDP's.
const UDP_AT: usize = 6;

/// Writes the checksum of an SCTP packet, from its common header on; nothing happens where that is cut.
pub fn fill_sctp(packet: &mut [u8]) {
    let crc = sctp_checksum(packet);
    if let Some(field) = packet.get_mut(8..12) {
        field.copy_from_slice(&crc);
    }
}

pub(crate) fn put(bytes: &mut [u8], at: usize, number: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&number.to_be_bytes());
    }
}

/// How many bytes of a segment its checksum covers: all, but for UDP-Lite (RFC 3828, 3.1).
#[inline]
pub(crate) fn coverage(parsed: &Parsed, length: usize) -> usize {
    match parsed.l4 {
        L4::UdpLite(header) if header.length != 0 => usize::from(header.length).min(length),
        _ => length,
    }
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
    /// It is wrong, or not there where there has to be one.
    Wrong,
    /// There is none that conntrack looks at: another protocol, a later fragment, a header cut short.
    NotApplicable,
}

/// Verifies the checksum of the upper-layer header as Linux's conntrack does. `bytes` is what was
/// parsed.
///
/// What was found by asking Linux: the sum goes over the whole IP payload, also where UDP's own
/// length says less. For UDP-Lite it puts UDP's number into the pseudo-header, so that packets whose
/// checksum is right by RFC 3828 count as wrong. SCTP's CRC is verified too. ICMP in IPv6 and ICMPv6
/// in IPv4 are not.
#[inline]
#[must_use]
pub fn verify(parsed: &Parsed, bytes: &[u8]) -> Verified {
    if parsed.fragment.is_some_and(|f| f.offset != 0) {
        return Verified::NotApplicable;
    }
    let segment = parsed.l4_bytes(bytes);
    let Some(rule) = Rule::of(parsed) else {
        return if is_sctp(parsed) { verify_sctp(segment) } else { Verified::NotApplicable };
    };
    let (pseudo, covered) = match (&parsed.l4, rule.pseudo) {
        (L4::Udp(header), _) if header.checksum == 0 => return Verified::Absent,
        (L4::UdpLite(header), _) => match lite_coverage(header, segment) {
            Some(covered) => (Some(udp::PROTOCOL), covered),
            None => return Verified::Wrong,
        },
        (_, pseudo) => (pseudo, segment),
    };
    let length = segment.len() as u32;
    let pseudo = pseudo.map_or(Sum::ZERO, |p| Sum::pseudo_header(parsed, p, length));
    // Either zero of one's complement will do: an ICMP message of nothing but zeros is right.
    if matches!(pseudo.bytes(covered).folded(), 0 | 0xffff) {
        Verified::Valid
    } else if rule.pseudo.is_some() && be16(segment, rule.at) == Some(pseudo.folded()) {
        Verified::Offloaded
    } else {
        Verified::Wrong
    }
}

/// The bytes that a UDP-Lite checksum covers; `None` when it has to have one and has not, or covers
/// less than the header or more than there is.
#[cold]
fn lite_coverage<'a>(header: &udp::UdpHeader, segment: &'a [u8]) -> Option<&'a [u8]> {
    match usize::from(header.length) {
        _ if header.checksum == 0 => None,
        0 => Some(segment),
        length if length < udp::HEADER_LENGTH => None,
        length => segment.get(..length),
    }
}

fn is_sctp(parsed: &Parsed) -> bool {
    parsed.protocol == sctp::PROTOCOL && parsed.l4 == L4::Other
}

#[cold]
fn verify_sctp(segment: &[u8]) -> Verified {
    if octets(segment, 8) == Some(sctp_checksum(segment)) {
        Verified::Valid
    } else {
        Verified::Wrong
    }
}

/// The checksum of an SCTP packet as it stands on the wire (RFC 9260, appendix A): the CRC32c of the
/// packet with the field zero, least significant octet first.
#[must_use]
pub fn sctp_checksum(packet: &[u8]) -> [u8; 4] {
    let (head, rest) = packet.split_at_checked(8).unwrap_or((packet, &[]));
    let crc = crc32c(crc32c(!0, head), &[0; 4]);
    (!crc32c(crc, rest.get(4..).unwrap_or(&[]))).to_le_bytes()
}

/// Goes on with a CRC32c: begin with all ones, complement the end.
fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        let index = usize::from(crc as u8 ^ byte);
        CRC32C.get(index).copied().unwrap_or(0) ^ crc >> 8
    })
}

/// The CRC32c of each octet (Castagnoli's polynomial, reflected).
#[allow(clippy::indexing_slicing, reason = "runs in the compiler")]
const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let mut crc = octet as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[octet] = crc;
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests;
