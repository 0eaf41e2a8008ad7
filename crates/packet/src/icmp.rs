//! ICMP (RFC 792, RFC 4884).

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
