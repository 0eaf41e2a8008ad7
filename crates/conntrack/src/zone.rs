//! Zones: the same tuple in two zones is two connections.

use crate::tuple::Direction;

/// A conntrack zone. Zone 0 is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone {
    /// Number.
    pub id: u16,
    /// In which directions it counts (bit 0 original, bit 1 reply).
    pub directions: u8,
}

impl Zone {
    /// Zone `id` in both directions (`--zone`).
    #[must_use]
    pub const fn both(id: u16) -> Self {
        Self { id, directions: 0b11 }
    }

    /// Zone `id` in one direction (`--zone-orig`, `--zone-reply`); the other is in zone 0.
    #[must_use]
    pub const fn one(id: u16, direction: Direction) -> Self {
        Self { id, directions: 1 << direction as u8 }
    }

    /// The zone that packets of this direction are in.
    #[inline]
    #[must_use]
    pub const fn id_in(self, direction: Direction) -> u16 {
        if self.directions & (1 << direction as u8) != 0 { self.id } else { 0 }
    }

    /// The zone that packets of both directions are in, 0 where it counts in one of them alone: by it Linux keeps the
    /// sources that are translated (observed: 6.18).
    #[inline]
    #[must_use]
    pub(crate) const fn id_in_both(self) -> u16 {
        if self.directions == 0b11 { self.id } else { 0 }
    }
}
