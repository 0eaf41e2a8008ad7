//! SCTP (RFC 9260).

use crate::read::{be16, be32, octets};

/// The protocol number of SCTP.
pub const PROTOCOL: u8 = 132;
/// Length of the common header, in bytes.
pub const HEADER_LENGTH: usize = 12;
/// Length of a chunk's header, in bytes.
pub const CHUNK_HEADER_LENGTH: usize = 4;

/// The common header, host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpHeader {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Verification tag.
    pub verification_tag: u32,
}

impl SctpHeader {
    /// From the first 12 bytes; `None` when there are fewer.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_LENGTH>()?;
        Some(Self {
            source_port: be16(header, 0)?,
            destination_port: be16(header, 2)?,
            verification_tag: be32(header, 4)?,
        })
    }
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Length as on the wire, the chunk's header included.
    pub length: u16,
    /// What follows the chunk's header, as much of it as there is.
    pub value: &'a [u8],
}

/// The chunks of a packet in order. Ends after a chunk that reaches beyond the packet, and before
/// one whose length is below that of its header.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    /// Of a packet from the common header on.
    #[must_use]
    pub fn of(packet: &'a [u8]) -> Self {
        Self { rest: packet.get(HEADER_LENGTH..).unwrap_or(&[]) }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let [kind, flags, high, low] = octets(self.rest, 0)?;
        let length = u16::from_be_bytes([high, low]);
        let end = usize::from(length).min(self.rest.len());
        let value = self.rest.get(CHUNK_HEADER_LENGTH..end)?;
        let next = usize::from(length).next_multiple_of(4);
        self.rest = self.rest.get(next..).unwrap_or(&[]);
        Some(Chunk { kind, flags, length, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn chunks_padded_and_cut() {
        let head = [0, 100, 0, 200, 0, 0, 0, 7, 0, 0, 0, 0];
        let chunks = [10, 0, 0, 6, 1, 2, 0, 0, 11, 1, 0, 4, 0, 3, 0, 9, 5];
        let packet = [&head[..], &chunks].concat();
        let header = SctpHeader::read(&packet).unwrap();
        let ports = (header.source_port, header.destination_port);
        assert_eq!((ports, header.verification_tag), ((100, 200), 7));
        let read: Vec<_> = Chunks::of(&packet).map(|c| (c.kind, c.length, c.value)).collect();
        assert_eq!(read, [(10, 6, &[1, 2][..]), (11, 4, &[]), (0, 9, &[5])]);
        let mut short = packet.clone();
        short[15] = 3;
        assert_eq!(Chunks::of(&short).count(), 0);
        assert_eq!(Chunks::of(&packet[..11]).count(), 0);
        assert_eq!(SctpHeader::read(&packet[..11]), None);
    }
}
