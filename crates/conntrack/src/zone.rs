//! Zones: the same tuple in two zones is two connections.

/// A conntrack zone. Zone 0 is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone {
    /// Number.
    pub id: u16,
    /// In which directions it counts (bit 0 original, bit 1 reply).
    pub directions: u8,
}
