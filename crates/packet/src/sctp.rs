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

/// Chunk types (RFC 9260, 3.2).
pub mod chunk {
    /// DATA.
    pub const DATA: u8 = 0;
    /// INIT.
    pub const INIT: u8 = 1;
    /// INIT ACK.
    pub const INIT_ACK: u8 = 2;
    /// SACK.
    pub const SACK: u8 = 3;
    /// HEARTBEAT.
    pub const HEARTBEAT: u8 = 4;
    /// HEARTBEAT ACK.
    pub const HEARTBEAT_ACK: u8 = 5;
    /// ABORT.
    pub const ABORT: u8 = 6;
    /// SHUTDOWN.
    pub const SHUTDOWN: u8 = 7;
    /// SHUTDOWN ACK.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// ERROR.
    pub const ERROR: u8 = 9;
    /// COOKIE ECHO.
    pub const COOKIE_ECHO: u8 = 10;
    /// COOKIE ACK.
    pub const COOKIE_ACK: u8 = 11;
    /// SHUTDOWN COMPLETE.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
    /// The T bit in the flags of ABORT and SHUTDOWN COMPLETE: the verification tag is the receiver's
    /// own, sent back.
    pub const T_BIT: u8 = 1;
}

/// Length of what INIT and INIT ACK carry before their parameters, in bytes.
pub const INIT_LENGTH: usize = 16;

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Length as on the wire, the chunk's header included: below [`CHUNK_HEADER_LENGTH`] it is wrong.
    pub length: u16,
    /// What follows the chunk's header, to the end of the packet: `length` is not heeded.
    pub rest: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// What the chunk carries, as much of it as there is.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        let length = usize::from(self.length).saturating_sub(CHUNK_HEADER_LENGTH);
        self.rest.get(..length).unwrap_or(self.rest)
    }

    /// The initiate tag of INIT and INIT ACK, host byte order; `None` when the packet ends before
    /// the parameters. As in Linux, the chunk's own length is not asked.
    #[must_use]
    pub fn initiate_tag(&self) -> Option<u32> {
        be32(self.rest.first_chunk::<INIT_LENGTH>()?, 0)
    }
}

/// The chunks of a packet in order. Ends after a chunk that reaches beyond the packet or has a length
/// of zero. One whose length is 1 to 3 counts as no longer than its header.
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
        let rest = self.rest.get(CHUNK_HEADER_LENGTH..).unwrap_or(&[]);
        let next = usize::from(length).next_multiple_of(4);
        self.rest = if next == 0 { &[] } else { self.rest.get(next..).unwrap_or(&[]) };
        Some(Chunk { kind, flags, length, rest })
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
        let read: Vec<_> = Chunks::of(&packet).map(|c| (c.kind, c.length, c.value())).collect();
        assert_eq!(read, [(10, 6, &[1, 2][..]), (11, 4, &[]), (0, 9, &[5])]);
        let mut short = packet.clone();
        short[15] = 3;
        let read: Vec<_> = Chunks::of(&short).map(|c| (c.kind, c.length, c.value())).collect();
        assert_eq!(read, [(10, 3, &[][..]), (1, 0, &[])]);
        assert_eq!(Chunks::of(&packet[..11]).count(), 0);
        assert_eq!(SctpHeader::read(&packet[..11]), None);
    }

    #[test]
    fn the_initiate_tag_needs_the_fixed_part_and_no_more() {
        let chunk =
            |length| [&[0; 12][..], &[1, 0, 0, 4], &[1, 2, 3, 4], &[0; 12][..length]].concat();
        let tag = |packet: &[u8]| Chunks::of(packet).next().unwrap().initiate_tag();
        assert_eq!(tag(&chunk(12)), Some(0x0102_0304));
        assert_eq!(tag(&chunk(11)), None);
    }
}
