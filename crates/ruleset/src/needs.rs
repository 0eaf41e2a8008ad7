//! What the rules of a rule set want of tracking before any packet comes.

use crate::model::{Jump, Ruleset, Span};
use alloc::vec::Vec;
use keepstate_conntrack::helpers::Instance;
use keepstate_conntrack::policy::Name;

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
    /// Timeout policies that are to be there (`CT --timeout`).
    pub policies: Vec<PolicyUse>,
    /// Helpers that their modules are to register (`CT --helper`).
    pub helpers: Vec<HelperUse>,
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
            rule.matches.iter().for_each(|one| one.need(&mut needs));
            if let Jump::Target(target) = &rule.target {
                target.need(&mut needs);
            }
        }
        needs
    }
}
