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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::bench::{Known, udp4, walked};
    use alloc::{format, vec};
    use keepstate_conntrack::Hook;

    const OWNER: &str = "-m owner --uid-owner 1";

    #[test]
    fn what_is_unknown_is_named_and_weighed() {
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 5000, 53);
        let rule = |target: &str| format!("{OWNER} {target}");
        let behind = |other: &str, target: &str| format!("{OWNER} {other} {target}");
        let (drop, accept, nothing) = (rule("-j DROP"), rule("-j ACCEPT"), rule(""));
        let elsewhere = behind("-p udp -m udp --dport 54", "-j DROP");
        let here = behind("-p udp -m udp --dport 53", "-j DROP");
        let limited = behind("-m limit --limit 1/s", "-j DROP");
        let marks = rule("-j MARK --set-xmark 0x1/0xffffffff");
        // The rules, the verdict, and whether anything is unknown and the verdict settled.
        for (rules, verdict, unknown) in [
            (vec![&*drop], Verdict::Accept, Some(false)),
            (vec![&*accept], Verdict::Accept, Some(true)),
            (vec![&*nothing], Verdict::Accept, Some(true)),
            (vec![&*drop, "-j DROP"], Verdict::Drop, Some(true)),
            (vec![&*accept, "-j DROP"], Verdict::Drop, Some(false)),
            (vec![&*accept, &*drop], Verdict::Accept, Some(false)),
            (vec![&*nothing, &*accept, &*accept], Verdict::Accept, Some(true)),
            (vec![&*elsewhere], Verdict::Accept, None),
            (vec![&*here], Verdict::Accept, Some(false)),
            (vec![&*limited, "-j DROP"], Verdict::Drop, Some(false)),
            (vec![&*marks], Verdict::Accept, Some(false)),
            (vec![&*accept, "-j MARK --set-xmark 0x1/0xffffffff"], Verdict::Accept, Some(false)),
            (vec![&*accept, "-m limit --limit 1/s"], Verdict::Accept, Some(false)),
            (vec!["-j ACCEPT", &*drop], Verdict::Accept, None),
        ] {
            let (found, what) = walked(Hook::Output, &rules, &packet, &Known::default());
            let settled = what.map(|what| what.is_settled(found));
            assert_eq!((found, settled), (verdict, unknown), "{rules:?}");
        }
    }

    #[test]
    fn the_first_one_is_named() {
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 5000, 53);
        let rules = [
            "-p udp -j RETURN -s 10.0.0.2",
            "-p udp -m udp --dport 53 -m owner --uid-owner 1",
            OWNER,
        ];
        let (_, unknown) = walked(Hook::Output, &rules, &packet, &Known::default());
        let unknown = unknown.unwrap();
        assert_eq!((unknown.rule, unknown.number), (1, 2));
    }
}
