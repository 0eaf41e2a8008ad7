//! What rules share beyond their own memory: state that several rules name, and randomness.

use crate::matches::{hashlimit, nfacct, osf, recent};
use crate::model::{Jump, Rule, Ruleset};
use crate::sets::ipset::Sets;
use crate::targets::{rateest, synproxy::cookies::Cookies, tee};
use alloc::{sync::Arc, vec::Vec};

/// One for all rule sets of an engine: rules of both families and of all tables meet in it.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    /// Tables of `hashlimit`.
    pub hashlimit: hashlimit::Tables,
    /// What `RATEEST` measures.
    pub rateest: rateest::Estimators,
    /// Lists of `recent`.
    pub recent: recent::Lists,
    /// Copies of the packet on its way that `TEE` has made and nobody has taken yet.
    pub copies: Vec<tee::Copy>,
    /// The accounting objects of nfacct(8).
    pub accounts: nfacct::Accounts,
    /// The fingerprints that `osf` holds packets against.
    pub fingerprints: Arc<osf::Fingerprints>,
    /// The cookies of `SYNPROXY`.
    pub cookies: Cookies,
    /// Where extensions draw random numbers.
    pub random: Random,
    /// The sets of ipset(8).
    pub sets: Sets,
}

impl Stores {
    /// Empty, with a seed for what is drawn at random.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), sets: Sets::new(seed), ..Self::default() }
    }

    /// What the rules of these rule sets share is there from now on, as in the kernel from loading on;
    /// what was there stays as it is, unless none of them names it.
    pub fn declare<'a>(&mut self, rulesets: impl Iterator<Item = &'a Ruleset>) {
        self.hashlimit.undeclare();
        self.rateest.undeclare();
        self.recent.undeclare();
        for ruleset in rulesets {
            // iptables-nft loads rules as they stand in the file, and the first one of a name decides.
            let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
            let mut rules: Vec<&Rule> = chains.flat_map(|chain| &chain.rules).collect();
            rules.sort_by_key(|rule| rule.span.start);
            for rule in rules {
                rule.matches.iter().for_each(|one| one.declare(self, ruleset.family));
                if let Jump::Target(target) = &rule.target {
                    target.declare(self, ruleset.family);
                }
            }
        }
        self.hashlimit.forget_undeclared();
        self.rateest.forget_undeclared();
        self.recent.forget_undeclared();
    }
}

/// A generator for `statistic` and the like (splitmix64): repeatable from the engine's seed, no
/// secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 32 bits.
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }
}
