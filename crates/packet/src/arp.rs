//! ARP packets (RFC 826) for Ethernet and IPv4.

use crate::read::{be16, octets};

/// The fields of a packet. The four addresses are where those of Ethernet and IPv4 stand, whatever the
/// lengths say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1: Ethernet.
    pub hardware_type: u16,
    /// An EtherType: 0x0800 for IPv4.
    pub protocol_type: u16,
    /// Bytes of a hardware address.
    pub hardware_length: u8,
    /// Bytes of a protocol address.
    pub protocol_length: u8,
    /// 1: request, 2: reply.
    pub opcode: u16,
    /// Sender.
    pub sender_hardware: [u8; 6],
    /// Sender.
    pub sender: [u8; 4],
    /// Target.
    pub target_hardware: [u8; 6],
    /// Target.
    pub target: [u8; 4],
}

/// Bytes of a packet for Ethernet and IPv4.
pub const LENGTH: usize = 28;
/// Where the length of hardware addresses stands.
pub const HARDWARE_LENGTH: usize = 4;
/// Where the sender's hardware address stands.
pub const SENDER_HARDWARE: usize = 8;
/// Where the sender's protocol address stands.
pub const SENDER: usize = 14;
/// Where the target's hardware address stands.
pub const TARGET_HARDWARE: usize = 18;
/// Where the target's protocol address stands.
pub const TARGET: usize = 24;
/// Opcode of a request.
pub const REQUEST: u16 = 1;
/// Opcode of a reply.
pub const REPLY: u16 = 2;

impl Arp {
    /// From the first 28 bytes; `None` when there are fewer.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            hardware_type: be16(bytes, 0)?,
            protocol_type: be16(bytes, 2)?,
            hardware_length: *bytes.get(4)?,
            protocol_length: *bytes.get(5)?,
            opcode: be16(bytes, 6)?,
            sender_hardware: octets(bytes, SENDER_HARDWARE)?,
            sender: octets(bytes, SENDER)?,
            target_hardware: octets(bytes, TARGET_HARDWARE)?,
            target: octets(bytes, TARGET)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_request() {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        bytes[8..18].copy_from_slice(&[2, 0, 0, 0, 0, 9, 10, 0, 0, 1]);
        bytes[24..].copy_from_slice(&[10, 0, 0, 2]);
        let arp = Arp::read(&bytes).expect("a packet");
        assert_eq!((arp.hardware_type, arp.protocol_type, arp.opcode), (1, 0x0800, REQUEST));
        assert_eq!((arp.sender_hardware, arp.sender), ([2, 0, 0, 0, 0, 9], [10, 0, 0, 1]));
        assert_eq!((arp.target_hardware, arp.target), ([0; 6], [10, 0, 0, 2]));
        assert_eq!(Arp::read(&bytes[..LENGTH - 1]), None);
    }
}
