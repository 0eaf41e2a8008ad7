//! UDP (RFC 768) and UDP-Lite (RFC 3828).

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
