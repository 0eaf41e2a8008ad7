//! What rules name that an administrator makes beside them: the sets of ipset(8), the accounting objects
//! of nfacct(8), the fingerprints of `osf`.

use super::Engine;
use alloc::sync::Arc;
use keepstate_ruleset::matches::{nfacct::Accounts, osf::Fingerprints};
use keepstate_ruleset::sets::ipset::Sets;

/// What [`Engine::restart`] begins with again.
#[derive(Clone, Debug, Default)]
pub(super) struct Provided {
    pub(super) sets: Sets,
    pub(super) accounts: Accounts,
    pub(super) fingerprints: Arc<Fingerprints>,
}

impl Engine {
    /// Gives rules the sets that they name (`-m set`, `-j SET`); [`Self::restart`] begins with them
    /// again.
    pub fn set_sets(&mut self, sets: Sets) {
        self.stores.sets = sets.clone();
        self.provided.sets = sets;
    }

    /// The sets as they are now.
    #[must_use]
    pub fn sets(&self) -> &Sets {
        &self.stores.sets
    }

    /// Gives rules the accounting objects that they name (`-m nfacct`); [`Self::restart`] begins with
    /// them again.
    pub fn set_accounts(&mut self, accounts: Accounts) {
        self.stores.accounts = accounts.clone();
        self.provided.accounts = accounts;
    }

    /// Gives `-m osf` its fingerprints; [`Self::restart`] keeps them.
    pub fn set_fingerprints(&mut self, fingerprints: Fingerprints) {
        self.provided.fingerprints = Arc::new(fingerprints);
        self.stores.fingerprints = self.provided.fingerprints.clone();
    }

    /// The accounting objects as they are now.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.stores.accounts
    }
}
