//! What the rules of a rule set want of tracking before any packet comes.

use crate::model::{Jump, Ruleset, Span};
use crate::sets::ipset::Sets;
use crate::targets::rateest::Measure;
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use keepstate_conntrack::helpers::Instance;
use keepstate_conntrack::policy::Name;
use keepstate_packet::Family;

/// What rules want of tracking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Packets of its family are to be tracked.
    pub tracking: bool,
    /// Connections are to be counted (`connbytes`): loading such a rule sets `nf_conntrack_acct`.
    pub accounting: bool,
    /// Connections are to have labels (`connlabel`).
    pub labels: bool,
    /// Packets may become longer on their way (`TCPMSS`): there is to be room behind them.
    pub room: bool,
    /// Packets may be traced (`TRACE`).
    pub traces: bool,
    /// Timeout policies that are to be there (`CT --timeout`).
    pub policies: Vec<PolicyUse>,
    /// Helpers that their modules are to register (`CT --helper`).
    pub helpers: Vec<HelperUse>,
    /// Accounting objects of nfacct(8) that are to be there (`-m nfacct`).
    pub accounts: Vec<AccountUse>,
    /// Rate estimators that rules make (`RATEEST`) or ask (`-m rateest`), in the order of the rules.
    pub estimators: Vec<EstimatorUse>,
    /// Sets of ipset(8) that are to be there (`-m set`, `-j SET`).
    pub sets: Vec<SetUse>,
}

/// A rule that names a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUse {
    /// Its name.
    pub name: Box<str>,
    /// The family of the rule.
    pub family: Family,
    /// Where it is named.
    pub span: Span,
}

/// Why a rule cannot have the set that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUnfit {
    /// There is none.
    Missing,
    /// It is of this family, and the rule of the other.
    Family(Family),
}

impl SetUse {
    /// Whether the rule can have its set.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, sets: &Sets) -> Result<(), SetUnfit> {
        let set = sets.named(&self.name).map_err(|_| SetUnfit::Missing)?;
        match set.family {
            Some(family) if family != self.family => Err(SetUnfit::Family(family)),
            _ => Ok(()),
        }
    }
}

/// A rule that names an accounting object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUse {
    /// Its name.
    pub name: Box<str>,
    /// Where it is named.
    pub span: Span,
}

/// A rule that names a rate estimator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimatorUse {
    /// Its name.
    pub name: Box<str>,
    /// How it is to measure, of a rule that makes it; none of one that asks it.
    pub made: Option<Measure>,
    /// Where it is named.
    pub span: Span,
}

/// Why a rule cannot have the rate estimator that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EstimatorUnfit {
    /// No rule before it makes one.
    Missing,
    /// There is one that measures otherwise.
    Otherwise,
}

/// The rate estimators that rules have made: as the kernel does, rules are taken one after the other.
#[derive(Clone, Debug, Default)]
pub struct EstimatorsMade(BTreeMap<Box<str>, Option<Measure>>);

impl EstimatorsMade {
    /// What stands in rules that are there already, in whatever order they came.
    pub fn know(&mut self, used: &EstimatorUse) {
        let known = self.0.entry(used.name.clone()).or_default();
        *known = known.or(used.made);
    }

    /// Takes a rule.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn take(&mut self, used: &EstimatorUse) -> Result<(), EstimatorUnfit> {
        match (self.0.get(&used.name), used.made) {
            (None, None) => Err(EstimatorUnfit::Missing),
            (Some(Some(there)), Some(made)) if *there != made => Err(EstimatorUnfit::Otherwise),
            _ => {
                self.know(used);
                Ok(())
            }
        }
    }
}

/// A rule that names a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperUse {
    /// The helper.
    pub instance: Instance,
    /// Where it is named.
    pub span: Span,
}

/// A rule that names a timeout policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyUse {
    /// Its name.
    pub name: Name,
    /// The protocol of the rule.
    pub protocol: u8,
    /// Where it is named.
    pub span: Span,
}

impl Ruleset {
    /// What its rules want of tracking.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        let chains = self.tables.iter().flat_map(|table| &table.chains);
        for rule in chains.flat_map(|chain| &chain.rules) {
            let before = needs.counts();
            rule.matches.iter().for_each(|one| one.need(&mut needs));
            if let Jump::Target(target) = &rule.target {
                target.need(&mut needs);
            }
            if self.of_commands {
                needs.stand_in(rule.span, before);
            }
        }
        needs
    }
}

impl Needs {
    fn counts(&self) -> [usize; 5] {
        [
            self.policies.len(),
            self.helpers.len(),
            self.accounts.len(),
            self.estimators.len(),
            self.sets.len(),
        ]
    }

    /// What a rule has named since there were so many of each stands where the rule does.
    fn stand_in(
        &mut self,
        rule: Span,
        [policies, helpers, accounts, estimators, sets]: [usize; 5],
    ) {
        let policies = self.policies.iter_mut().skip(policies).map(|one| &mut one.span);
        let helpers = self.helpers.iter_mut().skip(helpers).map(|one| &mut one.span);
        let accounts = self.accounts.iter_mut().skip(accounts).map(|one| &mut one.span);
        let estimators = self.estimators.iter_mut().skip(estimators).map(|one| &mut one.span);
        let sets = self.sets.iter_mut().skip(sets).map(|one| &mut one.span);
        for span in policies.chain(helpers).chain(accounts).chain(estimators).chain(sets) {
            *span = rule;
        }
    }
}
