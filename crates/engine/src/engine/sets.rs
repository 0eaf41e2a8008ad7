//! The sets of ipset(8) that rules name.

use super::Engine;
use keepstate_ruleset::sets::ipset::Sets;

impl Engine {
    /// Gives rules the sets that they name (`-m set`, `-j SET`); [`Self::restart`] begins with them
    /// again.
    pub fn set_sets(&mut self, sets: Sets) {
        self.stores.sets = sets.clone();
        self.sets = sets;
    }

    /// The sets as they are now.
    #[must_use]
    pub fn sets(&self) -> &Sets {
        &self.stores.sets
    }
}
