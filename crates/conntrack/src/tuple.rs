//! Tuples: one direction of a connection.

use keepstate_packet::{Address, Family};

/// Direction of a packet within its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// As the first packet.
    Original = 0,
    /// The other way.
    Reply = 1,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn invert(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port; for ICMP the identifier; for protocols without ports 0. Host byte order.
    pub source_port: u16,
    /// Destination port; for ICMP `type << 8 | code`; for protocols without ports 0. Host byte
    /// order.
    pub destination_port: u16,
    /// Upper-layer protocol.
    pub protocol: u8,
    /// Family of both addresses.
    pub family: Family,
}
