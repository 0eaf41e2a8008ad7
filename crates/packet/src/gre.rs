//! GRE (RFC 2784, RFC 2890) and its version 1, which PPTP uses (RFC 2637).

use crate::read::{be16, be32, octets};

/// The protocol number of GRE.
pub const PROTOCOL: u8 = 47;
/// What version 1 carries: PPP.
pub const PPP: u16 = 0x880b;

const CHECKSUM: u8 = 0x80;
const ROUTING: u8 = 0x40;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;

/// A GRE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GreHeader {
    /// Flags: the first octet, as on the wire.
    pub flags: u8,
    /// Version, 0 to 7; 0 is GRE, 1 is PPTP's.
    pub version: u8,
    /// EtherType of what is carried.
    pub protocol: u16,
}

impl GreHeader {
    /// From the first four bytes; `None` when there are fewer.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [flags, version, high, low] = octets(bytes, 0)?;
        Some(Self { flags, version: version & 7, protocol: u16::from_be_bytes([high, low]) })
    }

    /// Version 0: the key, when there is one (RFC 2890). `bytes` is what was read.
    #[must_use]
    pub fn key(&self, bytes: &[u8]) -> Option<u32> {
        if self.version != 0 || self.flags & KEY == 0 {
            return None;
        }
        be32(bytes, if self.flags & (CHECKSUM | ROUTING) == 0 { 4 } else { 8 })
    }

    /// Version 1: the call id, which the receiver of the packet chose. `bytes` is what was read.
    #[must_use]
    pub fn call_id(&self, bytes: &[u8]) -> Option<u16> {
        if self.version == 1 { be16(bytes, 6) } else { None }
    }

    /// Whether a sequence number is there.
    #[must_use]
    pub const fn has_sequence(&self) -> bool {
        self.flags & SEQUENCE != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_keyed_and_pptp() {
        let plain = [0, 0, 8, 0];
        let header = GreHeader::read(&plain).unwrap();
        assert_eq!((header.version, header.protocol, header.key(&plain)), (0, 0x0800, None));
        let keyed = [0x20, 0, 8, 0, 0, 0, 0, 9];
        assert_eq!(GreHeader::read(&keyed).unwrap().key(&keyed), Some(9));
        let summed = [0xa0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 9];
        let header = GreHeader::read(&summed).unwrap();
        assert_eq!((header.key(&summed), header.key(&summed[..11])), (Some(9), None));
        let pptp = [0x30, 1, 0x88, 0x0b, 0, 4, 0, 7];
        let header = GreHeader::read(&pptp).unwrap();
        assert_eq!((header.version, header.protocol), (1, PPP));
        assert_eq!((header.call_id(&pptp), header.key(&pptp)), (Some(7), None));
        assert!(header.has_sequence());
        assert_eq!(GreHeader::read(&pptp[..3]), None);
    }
}
