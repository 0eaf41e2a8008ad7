//! ICMP (RFC 792, RFC 4884).

use crate::read::field;

/// The protocol number of ICMP.
pub const PROTOCOL: u8 = 1;
/// Length of the part all messages share, in bytes.
pub const HEADER_LENGTH: usize = 8;

/// The first eight bytes of an ICMP or ICMPv6 message, host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpHeader {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Octets 4 to 8 (identifier and sequence number of a query; MTU, pointer or gateway).
    pub rest: u32,
}

impl IcmpHeader {
    /// From the first 8 bytes; `None` when there are fewer.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_LENGTH>()?;
        Some(Self { kind: header[0], code: header[1], rest: u32::from_be_bytes(field(header, 4)) })
    }

    /// The identifier of a query or its answer.
    #[inline]
    #[must_use]
    pub const fn identifier(&self) -> u16 {
        (self.rest >> 16) as u16
    }

    /// The sequence number of a query or its answer; the next-hop MTU of an ICMP "fragmentation
    /// needed".
    #[inline]
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        self.rest as u16
    }
}

/// Destination unreachable.
pub const DESTINATION_UNREACHABLE: u8 = 3;
/// Source quench.
pub const SOURCE_QUENCH: u8 = 4;
/// Redirect.
pub const REDIRECT: u8 = 5;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;

/// Whether a type reports an error and quotes the packet that caused it (RFC 1122, 3.2.2).
#[must_use]
pub const fn is_error(kind: u8) -> bool {
    matches!(
        kind,
        DESTINATION_UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
    )
}
