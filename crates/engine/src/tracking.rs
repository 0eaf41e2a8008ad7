//! Which packets are tracked.

use crate::rules::{Rules, RulesByFamily};
use keepstate_packet::Family;

/// Which packets are tracked, and put together for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracking {
    /// All, so that each has a state to tell.
    #[default]
    Always,
    /// Those of a family whose rules ask for it, as on Linux. Others have no state, fragments go by
    /// one by one, and what was tracked before stays in the table until its time is up.
    WhenNeeded,
}

/// The families whose packets are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tracked {
    v4: bool,
    v6: bool,
}

impl Tracked {
    pub(crate) const ALL: Self = Self { v4: true, v6: true };

    pub(crate) fn new(tracking: Tracking, rules: &RulesByFamily) -> Self {
        let needed = |family| {
            let needs = rules.of(family).map(|rules: &Rules| rules.ruleset().needs());
            tracking == Tracking::Always || needs.is_some_and(|needs| needs.tracking)
        };
        Self { v4: needed(Family::V4), v6: needed(Family::V6) }
    }

    #[inline]
    pub(crate) const fn has(self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}
