//! TCP (RFC 9293).

use crate::read::field;

/// The protocol number of TCP.
pub const PROTOCOL: u8 = 6;
/// Length of the header without options, in bytes.
pub const HEADER_LENGTH_MIN: usize = 20;

/// The fixed TCP header, host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number, whatever the ACK flag says.
    pub acknowledgment: u32,
    /// Data offset times four, 0 to 60, as on the wire.
    pub header_length: u8,
    /// CWR ECE URG ACK PSH RST SYN FIN, from bit 7 to bit 0.
    pub flags: u8,
    /// Window, unscaled.
    pub window: u16,
    /// Reserved bits and AE: the low nibble of octet 12.
    pub reserved: u8,
}

impl TcpHeader {
    /// From the first 20 bytes; `None` when there are fewer.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_LENGTH_MIN>()?;
        Some(Self {
            source_port: u16::from_be_bytes(field(header, 0)),
            destination_port: u16::from_be_bytes(field(header, 2)),
            sequence: u32::from_be_bytes(field(header, 4)),
            acknowledgment: u32::from_be_bytes(field(header, 8)),
            header_length: header[12] >> 4 << 2,
            flags: header[13],
            window: u16::from_be_bytes(field(header, 14)),
            reserved: header[12] & 0x0f,
        })
    }
}

/// FIN.
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// PSH.
pub const PSH: u8 = 0x08;
/// ACK.
pub const ACK: u8 = 0x10;
/// URG.
pub const URG: u8 = 0x20;
/// ECE.
pub const ECE: u8 = 0x40;
/// CWR.
pub const CWR: u8 = 0x80;
