//! Rules of which nobody knows whether they match: what is kept of them, and whether it matters.

use super::Traversal;
use crate::matches::Match;
use crate::model::{ChainIndex, Jump, Rule};
use crate::verdict::{Answer, Step, Verdict};
use alloc::boxed::Box;

/// The first rule of a walk whose match could not be told, and what all such rules of it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its chain.
    pub chain: ChainIndex,
    /// Its number, from 0.
    pub rule: u32,
    /// The number of the match, from 1.
    pub number: u32,
    /// What the rules passed over would do.
    pub would: Would,
}

/// What rules would do if they matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Would {
    /// Count.
    Nothing,
    /// End the walk so.
    End(Verdict),
    /// One or the other, or something that later rules may see.
    Various,
}

impl Unknown {
    /// Whether the walk ends in this verdict whatever the answer were.
    #[must_use]
    pub fn is_settled(&self, verdict: Verdict) -> bool {
        match self.would {
            Would::Nothing => true,
            Would::End(would) => would == verdict,
            Would::Various => false,
        }
    }
}

impl Would {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (one, other) if one == other => one,
            _ => Self::Various,
        }
    }
}

/// Matches that neither remember nor change anything: asking them is without consequence.
const WITHOUT_CONSEQUENCE: [&str; 41] = [
    "addrtype",
    "ah",
    "cgroup",
    "cluster",
    "comment",
    "connbytes",
    "connmark",
    "conntrack",
    "cpu",
    "dccp",
    "devgroup",
    "dscp",
    "dst",
    "ecn",
    "esp",
    "eui64",
    "frag",
    "hbh",
    "helper",
    "hl",
    "icmp",
    "icmp6",
    "ipcomp",
    "iprange",
    "ipv6header",
    "length",
    "mac",
    "mark",
    "mh",
    "multiport",
    "owner",
    "physdev",
    "pkttype",
    "policy",
    "realm",
    "rpfilter",
    "rt",
    "state",
    "tcp",
    "ttl",
    "udp",
];

fn is_without_consequence(one: &dyn Match) -> bool {
    WITHOUT_CONSEQUENCE.contains(&one.name())
}

/// What the matches behind an unknown one say: with a "no" among them the rule does not match,
/// whatever the unknown one would say. Only those are asked that do not change anything.
#[cold]
pub(super) fn rest(
    rest: &[Box<dyn Match>],
    number: u32,
    traversal: &mut Traversal<'_>,
) -> (u32, Answer) {
    for (one, further) in rest.iter().zip(1..) {
        let asked = is_without_consequence(one.as_ref());
        if asked && one.matches(traversal, &mut super::State::default()) == Answer::No {
            return (number.saturating_add(further), Answer::No);
        }
    }
    (number, Answer::Unknown)
}

/// Notes that a rule is passed over.
#[cold]
pub(super) fn pass_over(
    rule: &Rule,
    (chain, at, number): (ChainIndex, u32, u32),
    traversal: &mut Traversal<'_>,
) {
    let behind = rule.matches.get(number as usize..).unwrap_or_default();
    let may_differ = |one: &dyn Match| {
        !is_without_consequence(one)
            || one.matches(traversal, &mut super::State::default()) == Answer::Hotdrop
    };
    let mut behind = behind.iter().map(Box::as_ref);
    let would = match rule.target {
        _ if behind.any(may_differ) => Would::Various,
        Jump::None => Would::Nothing,
        Jump::Standard(Step::Verdict(verdict)) => Would::End(verdict),
        Jump::Standard(_) | Jump::Jump(_) | Jump::Goto(_) | Jump::Target(_) => Would::Various,
    };
    match &mut traversal.unknown {
        Some(first) => first.would = first.would.and(would),
        None => traversal.unknown = Some(Unknown { chain, rule: at, number, would }),
    }
}

/// Notes that a rule behind one passed over does more than to decide.
#[cold]
pub(super) fn disturb(unknown: &mut Unknown) {
    unknown.would = Would::Various;
}

/// Whether asking a rule's matches has consequences.
#[cold]
pub(super) fn has_consequences(rule: &Rule) -> bool {
    !rule.matches.iter().all(|one| is_without_consequence(one.as_ref()))
}
