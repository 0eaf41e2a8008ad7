//! Which packets two rule sets can treat differently at all: those that match, or may match, a rule that only
//! one of them has in its place.
//!
//! The rules of chains of the same name are aligned. A packet that matches none of the rules left over takes the
//! same steps through both, and is the same packet at each of them.

use crate::algebra::space::{Packets, Result, Space};
use crate::algebra::{Way, way};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::model::{Chain, ChainIndex, Jump, Rule, Ruleset, Table, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::syntax::iptables_save::print_rule;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Fields that a packet may have other values of by the time that a rule looks.
#[derive(Debug)]
pub(crate) struct Changing {
    fields: BTreeSet<Field>,
}

/// Where a rule is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    /// Its table.
    pub(crate) table: TableName,
    /// It may be in PREROUTING: there it is not known yet where packets leave.
    pub(crate) is_before_routing: bool,
}

impl Changing {
    /// By what the targets of these rule sets write, and the router that takes a hop.
    pub(crate) fn of<'a>(rulesets: impl IntoIterator<Item = &'a Ruleset>) -> Self {
        let mut fields = BTreeSet::from([Field::Ttl]);
        let tables = rulesets.into_iter().flat_map(|ruleset| &ruleset.tables);
        for rule in tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
            let Jump::Target(target) = &rule.target else { continue };
            for change in target.effect().writes {
                match change {
                    Change::Bits { field, .. }
                    | Change::Among(field, _)
                    | Change::Plus(field, _) => {
                        fields.insert(field);
                    }
                    Change::Template { .. } => {
                        fields.insert(Field::State);
                    }
                    Change::Asked(_) | Change::Bytes => {}
                }
            }
        }
        Self { fields }
    }

    /// A set that every packet is in which a rule may match, whatever it has become before.
    pub(crate) fn widest(&self, space: &mut Space, rule: &Rule, asking: Asking) -> Result<Packets> {
        let set = PacketSet::of_rule(rule);
        self.of_set(space, &set, asking)
    }

    fn of_set(&self, space: &mut Space, set: &PacketSet, asking: Asking) -> Result<Packets> {
        Ok(match set {
            PacketSet::In(field, _) | PacketSet::Bits(field, ..)
                if self.fields.contains(field)
                    || (*field == Field::State && asking.table == TableName::Raw) =>
            {
                space.every()
            }
            PacketSet::Interface(true, _) if asking.is_before_routing => space.every(),
            PacketSet::In(..) | PacketSet::Bits(..) | PacketSet::Interface(..) => {
                space.packets(set, "")?
            }
            PacketSet::All(sets) => {
                let mut all = space.every();
                for one in sets {
                    all = all.and(&self.of_set(space, one, asking)?)?;
                }
                all
            }
            PacketSet::Any(sets) => {
                let mut any = space.none();
                for one in sets {
                    any = any.or(&self.of_set(space, one, asking)?)?;
                }
                any
            }
            PacketSet::Named(_) | PacketSet::Opaque => space.every(),
        })
    }
}

/// Packets of a way that the two may treat differently.
pub(crate) fn packets(
    space: &mut Space,
    old: &Ruleset,
    new: &Ruleset,
    way: Way,
) -> Result<Packets> {
    let changing = Changing::of([old, new]);
    let every = way.packets(space)?;
    let mut sum = space.none();
    for hook in way.hooks() {
        for name in way::tables(*hook) {
            let both = [old.table(name), new.table(name)];
            let reached = both.map(|table| table.map(|table| (table, reachable(table, *hook))));
            let asking = Asking { table: name, is_before_routing: *hook == Hook::Prerouting };
            let sides = Sides { asking, family: old.family, reached: &reached };
            match sides.changed(space, &changing)? {
                Some(packets) => sum = sum.or(&packets)?,
                None => return Ok(every),
            }
        }
    }
    every.and(&sum)
}

/// One table of both, with its chains that a hook leads to.
struct Sides<'a> {
    asking: Asking,
    family: Family,
    reached: &'a [Option<(&'a Table, BTreeSet<ChainIndex>)>; 2],
}

impl<'a> Sides<'a> {
    /// Packets that may match a rule that only one of the two has; `None`: every packet.
    fn changed(&self, space: &mut Space, changing: &Changing) -> Result<Option<Packets>> {
        let mut names: BTreeMap<&str, [Option<&Chain>; 2]> = BTreeMap::new();
        for (side, reached) in self.reached.iter().enumerate() {
            let Some((table, chains)) = reached else { continue };
            for chain in chains.iter().filter_map(|at| table.chain(*at)) {
                if let Some(place) = names.entry(&chain.name).or_default().get_mut(side) {
                    *place = Some(chain);
                }
            }
        }
        let mut sum = space.none();
        for chains in names.values() {
            let policy = |chain: &Option<&Chain>| chain.and_then(|chain| chain.policy);
            let [one, other] = chains;
            let drops = |chain| policy(chain) == Some(keepstate_ruleset::model::Policy::Drop);
            if drops(one) != drops(other) {
                return Ok(None);
            }
            for rule in self.odd(chains) {
                sum = sum.or(&changing.widest(space, rule, self.asking)?)?;
            }
        }
        Ok(Some(sum))
    }

    /// Rules without a counterpart.
    fn odd(&self, chains: &[Option<&'a Chain>; 2]) -> Vec<&'a Rule> {
        let texts = |side: usize| -> Vec<String> {
            let both = self.reached.get(side).and_then(Option::as_ref);
            let chain = chains.get(side).copied().flatten();
            let Some(((table, _), chain)) = both.zip(chain) else { return Vec::new() };
            let family = self.family;
            chain.rules.iter().map(|rule| print_rule(family, table, "", rule)).collect()
        };
        let (old, new) = (texts(0), texts(1));
        let kept = aligned(&old, &new);
        let mut odd = Vec::new();
        for (side, paired) in [(0, &kept.0), (1, &kept.1)] {
            let rules = chains.get(side).copied().flatten().map(|chain| &chain.rules);
            let rules = rules.into_iter().flatten().zip(paired);
            odd.extend(rules.filter(|(_, paired)| !**paired).map(|(rule, _)| rule));
        }
        odd
    }
}

/// Chains that the built-in chain of a hook leads to, with it.
pub(crate) fn reachable(table: &Table, hook: Hook) -> BTreeSet<ChainIndex> {
    reachable_from(table, table.builtin(hook))
}

/// Chains that these lead to, with them.
pub(crate) fn reachable_from(
    table: &Table,
    from: impl IntoIterator<Item = ChainIndex>,
) -> BTreeSet<ChainIndex> {
    let mut found = BTreeSet::new();
    let mut open: Vec<ChainIndex> = from.into_iter().collect();
    while let Some(at) = open.pop() {
        if found.insert(at) {
            let rules = table.chain(at).into_iter().flat_map(|chain| &chain.rules);
            open.extend(rules.flat_map(|rule| rule.target.chains()).map(|(to, _)| to));
        }
    }
    found
}

/// Which lines of each have a counterpart in the other, in the same order: those that both have once, as many
/// as stand in one order, and what is alike next to them.
fn aligned(old: &[String], new: &[String]) -> (Vec<bool>, Vec<bool>) {
    let mut pairs: Vec<(usize, usize)> = longest_in_order(&unique_in_both(old, new));
    let mut paired = (vec![false; old.len()], vec![false; new.len()]);
    pairs.push((old.len(), new.len()));
    let (mut from, mut to) = (0, 0);
    for (one, other) in pairs {
        // Between two pairs: what is alike from the front, then from the back.
        let (mut a, mut b) = (from, to);
        while a < one && b < other && old.get(a) == new.get(b) {
            mark(&mut paired, a, b);
            (a, b) = (a + 1, b + 1);
        }
        let (mut back, mut behind) = (one, other);
        while back > a && behind > b && old.get(back - 1) == new.get(behind - 1) {
            mark(&mut paired, back - 1, behind - 1);
            (back, behind) = (back - 1, behind - 1);
        }
        mark(&mut paired, one, other);
        (from, to) = (one + 1, other + 1);
    }
    paired
}

fn mark(paired: &mut (Vec<bool>, Vec<bool>), one: usize, other: usize) {
    if let (Some(one), Some(other)) = (paired.0.get_mut(one), paired.1.get_mut(other)) {
        (*one, *other) = (true, true);
    }
}

fn unique_in_both(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    fn once(lines: &[String]) -> HashMap<&str, Option<usize>> {
        let mut places: HashMap<&str, Option<usize>> = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            places.entry(line).and_modify(|place| *place = None).or_insert(Some(at));
        }
        places
    }
    let there = once(new);
    let here = once(old);
    let lines = old.iter().enumerate().filter_map(|(at, line)| {
        (*here.get(line.as_str())?)?;
        Some((at, (*there.get(line.as_str())?)?))
    });
    lines.collect()
}

/// The longest part in which the second numbers rise, too.
fn longest_in_order(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // Of each length the part with the smallest end, and what stands before each pair.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let value = |at: usize| pairs.get(at).map_or(0, |(_, there)| *there);
    for (at, (_, there)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| value(*end) < *there);
        before.push(length.checked_sub(1).and_then(|length| ends.get(length).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut part = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(at) = next {
        part.extend(pairs.get(at).copied());
        next = before.get(at).copied().flatten();
    }
    part.reverse();
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(old: &str, new: &str) -> (String, String) {
        let lines = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let (a, b) = aligned(&lines(old), &lines(new));
        let show = |text: &str, kept: Vec<bool>| {
            text.chars().zip(kept).filter(|(_, kept)| *kept).map(|(c, _)| c).collect::<String>()
        };
        (show(old, a), show(new, b))
    }

    #[test]
    fn what_is_paired_reads_the_same_on_both_sides() {
        for (old, new, common) in [
            ("abcdef", "abcdef", "abcdef"),
            ("abcdef", "abxdef", "abdef"),
            ("abcdef", "acdef", "acdef"),
            ("aab", "ab", "ab"),
            ("", "abc", ""),
            ("xxabxx", "xxbxx", "xxbxx"),
        ] {
            let (one, other) = kept(old, new);
            assert_eq!(one, other, "{old} {new}");
            assert_eq!(one, common, "{old} {new}");
        }
        let (one, other) = kept("abcde", "baced");
        assert_eq!(one, other);
        assert_eq!(one.len(), 3);
    }
}
