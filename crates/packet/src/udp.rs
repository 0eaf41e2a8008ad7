//! UDP (RFC 768) and UDP-Lite (RFC 3828).

use crate::read::field;

/// The protocol number of UDP.
pub const PROTOCOL: u8 = 17;
/// The protocol number of UDP-Lite.
pub const PROTOCOL_LITE: u8 = 136;
/// Length of the header, in bytes.
pub const HEADER_LENGTH: usize = 8;

/// The UDP or UDP-Lite header, host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpHeader {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// UDP: length. UDP-Lite: checksum coverage.
    pub length: u16,
    /// Checksum as on the wire.
    pub checksum: u16,
}

impl UdpHeader {
    /// From the first 8 bytes; `None` when there are fewer.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_LENGTH>()?;
        Some(Self {
            source_port: u16::from_be_bytes(field(header, 0)),
            destination_port: u16::from_be_bytes(field(header, 2)),
            length: u16::from_be_bytes(field(header, 4)),
            checksum: u16::from_be_bytes(field(header, 6)),
        })
    }
}
