//! Changes that change nothing, where that can be seen rule by rule: a rule that an earlier one hides, one whose
//! packets the rules behind it treat alike, neighbours that no packet meets both of.

use super::sheet::{Sheet, What};
use super::{Mutant, Place, Shift};
use keepstate_ruleset::model::{Chain, Jump, Policy, Rule, Ruleset};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::{Step, Verdict};

/// Most rules that are looked at around one.
const RULES_MAX: usize = 2_000;

/// A rule set and the same changed.
pub(super) struct Alike<'r> {
    was: &'r Ruleset,
    is: &'r Ruleset,
}

impl<'r> Alike<'r> {
    pub(super) const fn new(was: &'r Ruleset, is: &'r Ruleset) -> Self {
        Self { was, is }
    }

    /// Whether the change is proven to change the fate of no packet. `false` says nothing.
    pub(super) fn are_equal(&self, mutant: &Mutant, sheet: &Sheet) -> bool {
        let Some(line) = sheet.lines.get(mutant.at) else { return false };
        let place = match line.what {
            What::Rule(place) => place,
            What::Chain(table, chain) => {
                let chain = self.was.table(table).and_then(|table| table.chain(chain));
                return chain.is_some_and(never_at_end);
            }
            What::Head => return false,
        };
        let Some(chain) = chain_of(self.was, place) else { return false };
        let Some(rule) = chain.rules.get(place.2 as usize) else { return false };
        match mutant.shift {
            Shift::Swapped(_) => self.hidden(chain, place, rule),
            Shift::Dropped(_) => {
                self.hidden(chain, place, rule) || makes_no_odds(chain, place, rule, rule)
            }
            Shift::Same => {
                let changed =
                    chain_of(self.is, place).and_then(|chain| chain.rules.get(place.2 as usize));
                let Some(changed) = changed else { return false };
                let both_hidden =
                    self.hidden(chain, place, rule) && self.hidden(chain, place, changed);
                both_hidden
                    || same_target(rule, changed)
                        && self.condition_alike(chain, place, rule, changed)
            }
        }
    }

    /// Whether one earlier rule of the chain decides about every packet of this one.
    fn hidden(&self, chain: &Chain, place: Place, rule: &Rule) -> bool {
        let wanted = PacketSet::of_rule(rule);
        let before = chain.rules.get(..place.2 as usize).unwrap_or(&[]);
        !wanted.changes()
            && before.iter().take(RULES_MAX).any(|earlier| {
                decides(earlier) && {
                    let set = PacketSet::of_rule(earlier);
                    !set.changes() && set.covers(&wanted)
                }
            })
    }

    fn condition_alike(&self, chain: &Chain, place: Place, rule: &Rule, changed: &Rule) -> bool {
        let (was, is) = (PacketSet::of_rule(rule), PacketSet::of_rule(changed));
        let same = was.covers(&is) && is.covers(&was) && is_plain(&was) && is_plain(&is);
        same || makes_no_odds(chain, place, rule, rule)
            && makes_no_odds(chain, place, rule, changed)
    }
}

fn chain_of(ruleset: &Ruleset, (table, chain, _): Place) -> Option<&Chain> {
    ruleset.table(table)?.chain(chain)
}

/// Whether the packets of a condition fare alike without the rule: what stands behind it does the same to all of
/// them.
fn makes_no_odds(chain: &Chain, place: Place, rule: &Rule, condition: &Rule) -> bool {
    let Jump::Standard(Step::Verdict(verdict)) = &rule.target else { return false };
    let set = PacketSet::of_rule(condition);
    if !is_plain(&set) || !is_plain(&PacketSet::of_rule(rule)) {
        return false;
    }
    let behind = chain.rules.get(place.2 as usize + 1..).unwrap_or(&[]);
    for next in behind.iter().take(RULES_MAX) {
        let other = PacketSet::of_rule(next);
        if apart(&set, &other) && is_plain(&other) {
            continue;
        }
        return is_plain(&other) && other.covers(&set) && same_target(rule, next);
    }
    let policy = match chain.policy {
        Some(Policy::Accept) => Verdict::Accept,
        Some(Policy::Drop) => Verdict::Drop,
        None => return false,
    };
    behind.len() <= RULES_MAX && *verdict == policy
}

/// Whether a set has neither side effects nor anything that is not known of it, and stays what it is on the way.
fn is_plain(set: &PacketSet) -> bool {
    match set {
        PacketSet::Opaque | PacketSet::Named(_) => false,
        PacketSet::All(sets) | PacketSet::Any(sets) => sets.iter().all(is_plain),
        set => !set.changes(),
    }
}

/// Whether a set is one of fields and of matches that look at nothing else: a rule that does not come to be looked
/// at leaves nothing undone.
fn has_no_effects(set: &PacketSet) -> bool {
    match set {
        PacketSet::Opaque => false,
        PacketSet::All(sets) | PacketSet::Any(sets) => sets.iter().all(has_no_effects),
        _ => true,
    }
}

/// Whether a rule takes every packet that comes to it, and none is sent to the policy before that.
fn never_at_end(chain: &Chain) -> bool {
    let takes_all =
        |rule: &Rule| decides(rule) && PacketSet::of_rule(rule).covers(&PacketSet::EVERY);
    let leaves = |rule: &&Rule| matches!(rule.target, Jump::Goto(_) | Jump::Standard(Step::Return));
    let last = chain.rules.iter().position(takes_all);
    last.is_some_and(|last| !chain.rules.iter().take(last).any(|rule| leaves(&rule)))
}

/// Whether a rule ends the walk of what it matches.
fn decides(rule: &Rule) -> bool {
    match &rule.target {
        Jump::Standard(step) => matches!(step, Step::Verdict(_)),
        Jump::Target(target) => target.name() == "REJECT",
        Jump::None | Jump::Jump(_) | Jump::Goto(_) => false,
    }
}

fn same_target(one: &Rule, other: &Rule) -> bool {
    match (&one.target, &other.target) {
        (Jump::None, Jump::None) => true,
        (Jump::Jump(one), Jump::Jump(other)) | (Jump::Goto(one), Jump::Goto(other)) => one == other,
        (Jump::Standard(one), Jump::Standard(other)) => one == other,
        (Jump::Target(one), Jump::Target(other)) => {
            let text = |target: &dyn keepstate_ruleset::targets::Target| {
                let mut text = target.name().to_owned();
                target.print(&mut text);
                text
            };
            text(one.as_ref()) == text(other.as_ref())
        }
        _ => false,
    }
}

/// Whether it may make a difference which of two neighbours comes first; their texts.
pub(super) fn order_matters(one: &Rule, other: &Rule, text: &str, other_text: &str) -> bool {
    let (set, other_set) = (PacketSet::of_rule(one), PacketSet::of_rule(other));
    let plain = has_no_effects(&set) && has_no_effects(&other_set);
    let same = decides(one) && decides(other) && same_target(one, other) && plain;
    let disjoint = plain && apart(&set, &other_set);
    text != other_text && !same && !disjoint
}

/// Whether no packet is in both sets, as far as one field or interface shows it.
fn apart(one: &PacketSet, other: &PacketSet) -> bool {
    const FIELDS: [Field; 9] = [
        Field::Source,
        Field::Destination,
        Field::Protocol,
        Field::SourcePort,
        Field::DestinationPort,
        Field::Icmp,
        Field::State,
        Field::Length,
        Field::LaterFragment,
    ];
    let [mut a, mut b] = [Vec::new(), Vec::new()];
    flat(one, &mut a);
    flat(other, &mut b);
    let all = || a.iter().chain(&b);
    let no_value = |field: &Field| {
        let mut ranges = vec![(0, field.last())];
        for set in all() {
            if let PacketSet::In(of, more) = set
                && of == field
            {
                ranges = overlap(&ranges, more);
            }
        }
        ranges.is_empty()
    };
    let interfaces = a.iter().any(|one| {
        b.iter().any(|other| match (one, other) {
            (PacketSet::Interface(side, one), PacketSet::Interface(of, other)) if side == of => {
                // Each wants what the other does not.
                match (one.inverted, other.inverted) {
                    (false, false) => {
                        let length = usize::from(one.value.length.min(other.value.length));
                        one.value.name.get(..length) != other.value.name.get(..length)
                    }
                    (true, true) => false,
                    _ => one.value == other.value,
                }
            }
            _ => false,
        })
    });
    interfaces || FIELDS.iter().any(no_value)
}

/// The conditions that all have to hold.
fn flat<'s>(set: &'s PacketSet, all: &mut Vec<&'s PacketSet>) {
    match set {
        PacketSet::All(sets) => sets.iter().for_each(|set| flat(set, all)),
        set => all.push(set),
    }
}

fn overlap(one: &[(u128, u128)], other: &[(u128, u128)]) -> Vec<(u128, u128)> {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    pairs.filter(|(low, high)| low <= high).collect()
}
