//! One connection.

/// Handle of a connection in its [`crate::Table`]: a slot and its generation, so that a handle to
/// a connection that has gone finds nothing rather than its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Status bits (`enum ip_conntrack_status` of the kernel's user-space API, same bit numbers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CtStatus(pub u32);

impl CtStatus {
    /// It was expected.
    pub const EXPECTED: Self = Self(1 << 0);
    /// Packets were seen in both directions.
    pub const SEEN_REPLY: Self = Self(1 << 1);
    /// Not to be dropped early.
    pub const ASSURED: Self = Self(1 << 2);
    /// In the table.
    pub const CONFIRMED: Self = Self(1 << 3);
    /// Leaving the table.
    pub const DYING: Self = Self(1 << 9);
    /// Its timeout does not change.
    pub const FIXED_TIMEOUT: Self = Self(1 << 10);
    /// The template that a rule attached.
    pub const TEMPLATE: Self = Self(1 << 11);
    /// It has a helper.
    pub const HELPER: Self = Self(1 << 13);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for CtStatus {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
