//! SCTP (RFC 9260).

/// The protocol number of SCTP.
pub const PROTOCOL: u8 = 132;
/// Length of the common header, in bytes.
pub const HEADER_LENGTH: usize = 12;
