//! A segment as the tracker reads it, and the checks of its header by itself.

use crate::invalid::{Invalid, Reason};
use keepstate_packet::tcp::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
use keepstate_packet::{L4, Parsed};

/// What the flags make of a segment: the column of the state table. RST counts before SYN, SYN
/// before FIN, FIN before ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// SYN without ACK.
    Syn = 0,
    /// SYN and ACK.
    SynAck = 1,
    /// FIN.
    Fin = 2,
    /// ACK and none of the others.
    Ack = 3,
    /// RST.
    Rst = 4,
    /// None of these; such a segment is never valid.
    #[default]
    None = 5,
}

impl Kind {
    /// What these flags (FIN to CWR, as on the wire) make of a segment.
    #[must_use]
    pub const fn of(flags: u8) -> Self {
        if flags & RST != 0 {
            Self::Rst
        } else if flags & SYN != 0 {
            if flags & ACK != 0 { Self::SynAck } else { Self::Syn }
        } else if flags & FIN != 0 {
            Self::Fin
        } else if flags & ACK != 0 {
            Self::Ack
        } else {
            Self::None
        }
    }
}

/// A segment whose header is sound. Host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sequence number.
    pub sequence: u32,
    /// One past the last sequence number it takes: payload, SYN and FIN count.
    pub end: u32,
    /// The acknowledgment field, whatever the ACK flag says.
    pub ack: u32,
    /// Window, unscaled.
    pub window: u16,
    /// The flags as on the wire.
    pub flags: u8,
    /// What they make of it.
    pub kind: Kind,
    /// The options, up to 40 bytes.
    pub options: &'a [u8],
}

/// The combinations of FIN SYN RST ACK URG that some sender makes: the bit with the number of the
/// flags octet. PSH, ECE and CWR are free and have to be masked.
const SOUND_FLAGS: u64 = 1 << SYN
    | 1 << (SYN | URG)
    | 1 << (SYN | ACK)
    | 1 << RST
    | 1 << (RST | ACK)
    | 1 << (FIN | ACK)
    | 1 << (FIN | ACK | URG)
    | 1 << ACK
    | 1 << (ACK | URG);

impl<'a> Segment<'a> {
    /// Reads the segment of a packet and checks what can be checked without its connection.
    /// `bytes` begin at the IP header; `checksum_ok` is true where checksums are not verified.
    ///
    /// # Errors
    /// `short` (no whole header), `malformed` (data offset), `bad-checksum`, `bad-flags`, in this
    /// order.
    #[inline]
    pub fn new(packet: &Parsed, bytes: &'a [u8], checksum_ok: bool) -> Result<Self, Invalid> {
        const OPTIONS_OFFSET: usize = 20;
        let L4::Tcp(header) = &packet.l4 else {
            return Err(Invalid::new(Reason::Short));
        };
        let l4_offset = packet.l4_offset;
        let header_length = u32::from(header.header_length);
        let length = packet.length.saturating_sub(l4_offset);
        if header_length < OPTIONS_OFFSET as u32 || header_length > length {
            return Err(Invalid::new(Reason::Malformed));
        }
        if !checksum_ok {
            return Err(Invalid::new(Reason::BadChecksum));
        }
        let flags = header.flags;
        if SOUND_FLAGS >> (flags & !(PSH | ECE | CWR)) & 1 == 0 {
            return Err(Invalid::new(Reason::BadFlags));
        }
        let numbers =
            length - header_length + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let start = packet.l4_offset as usize;
        let options = start + OPTIONS_OFFSET..start + usize::from(header.header_length);
        Ok(Self {
            sequence: header.sequence,
            end: header.sequence.wrapping_add(numbers),
            ack: header.acknowledgment,
            window: header.window,
            flags,
            kind: Kind::of(flags),
            options: bytes.get(options).unwrap_or(&[]),
        })
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}
