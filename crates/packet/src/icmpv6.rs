//! ICMPv6 (RFC 4443), neighbour discovery (RFC 4861), MLD (RFC 2710, RFC 3810).

/// The protocol number of ICMPv6.
pub const PROTOCOL: u8 = 58;

/// Whether a type reports an error and quotes the packet that caused it: those below 128 (RFC
/// 4443, 2.1).
#[must_use]
pub const fn is_error(kind: u8) -> bool {
    kind < 128
}
