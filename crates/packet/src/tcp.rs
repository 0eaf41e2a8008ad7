//! TCP (RFC 9293).

use crate::read::{be16, be32, field};
use crate::{L4, Parsed};

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

/// One TCP option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Maximum segment size, in bytes (RFC 9293, 3.7.1).
    MaximumSegmentSize(u16),
    /// Window scale: a shift count, as on the wire and perhaps above 14 (RFC 7323, 2.2).
    WindowScale(u8),
    /// Selective acknowledgments are understood (RFC 2018, 2).
    SackPermitted,
    /// Selective acknowledgments (RFC 2018, 3).
    Sack(SackBlocks<'a>),
    /// Timestamps (RFC 7323, 3.2).
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The latest value it had from the other side.
        echo: u32,
    },
    /// Any other, and those above with a length that is not theirs.
    Other {
        /// Kind.
        kind: u8,
        /// What follows kind and length.
        data: &'a [u8],
    },
}

/// The options of a segment in order, without padding. Ends at the end-of-list option, and at the
/// first option whose length is below two or reaches beyond the header: Linux reads no further.
#[derive(Clone, Debug)]
pub struct TcpOptions<'a> {
    rest: &'a [u8],
}

impl<'a> TcpOptions<'a> {
    /// Of a packet; `bytes` is what was parsed. None when it is not TCP, and when the header is
    /// shorter than 20 bytes or longer than the segment.
    #[inline]
    #[must_use]
    pub fn of(parsed: &Parsed, bytes: &'a [u8]) -> Self {
        let options = match &parsed.l4 {
            L4::Tcp(tcp) => {
                parsed.l4_bytes(bytes).get(HEADER_LENGTH_MIN..usize::from(tcp.header_length))
            }
            _ => None,
        };
        Self::new(options.unwrap_or(&[]))
    }

    /// Of the bytes between the fixed header and the data.
    #[inline]
    #[must_use]
    pub const fn new(options: &'a [u8]) -> Self {
        Self { rest: options }
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = TcpOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<TcpOption<'a>> {
        loop {
            let (&kind, rest) = self.rest.split_first()?;
            match kind {
                0 => self.rest = &[],
                1 => self.rest = rest,
                _ => {
                    let length = usize::from(*rest.first()?);
                    let option = self.rest.split_at_checked(length.max(2));
                    let Some((option, rest)) = option.filter(|_| length >= 2) else {
                        self.rest = &[];
                        return None;
                    };
                    self.rest = rest;
                    return Some(TcpOption::read(kind, option.get(2..).unwrap_or(&[])));
                }
            }
        }
    }
}

impl<'a> TcpOption<'a> {
    #[inline]
    fn read(kind: u8, data: &'a [u8]) -> Self {
        match (kind, data) {
            (2, &[high, low]) => Self::MaximumSegmentSize(u16::from_be_bytes([high, low])),
            (3, &[shift]) => Self::WindowScale(shift),
            (4, []) => Self::SackPermitted,
            (5, data) if !data.is_empty() && data.len() % 8 == 0 => Self::Sack(SackBlocks { data }),
            (8, data) if data.len() == 8 => Self::Timestamps {
                value: be32(data, 0).unwrap_or(0),
                echo: be32(data, 4).unwrap_or(0),
            },
            _ => Self::Other { kind, data },
        }
    }
}

/// The blocks of a SACK option: sequence numbers of the left edge and of what follows the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlocks<'a> {
    data: &'a [u8],
}

impl Iterator for SackBlocks<'_> {
    type Item = (u32, u32);

    #[inline]
    fn next(&mut self) -> Option<(u32, u32)> {
        let block = (be32(self.data, 0)?, be32(self.data, 4)?);
        self.data = self.data.get(8..)?;
        Some(block)
    }
}

/// The urgent pointer; `None` when `segment` is shorter than a header.
#[must_use]
pub fn urgent_pointer(segment: &[u8]) -> Option<u16> {
    be16(segment, 18)
}

#[cfg(test)]
mod tests;
