//! Where two outcomes of a way differ: sets of packets by what becomes of them in the one and in the other.

use super::words;
use crate::algebra::chain::{Current, RuleAt};
use crate::algebra::space::{Group, Packets, Result, Space};
use crate::algebra::way::Outcome;
use keepstate_conntrack::Hook;
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::model::{Jump, Rule, Ruleset, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::targets::Target;
use keepstate_ruleset::verdict::{Step, Verdict};
use std::collections::BTreeMap;

/// Most pairs of values of a field that are told apart.
const VALUES_MAX: usize = 6;
/// How often a rule of the same text is counted for one packet.
const TIMES_MAX: usize = 4;

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Whether the packet comes to the end of its way, and what ends it.
    Verdict(Verdict, Verdict),
    /// What a rule of table nat at a hook makes of its connection; empty: nothing.
    Translation(Hook, String, String),
    /// Its mark behind a hook.
    Mark(Hook, Value, Value),
    /// Its time to live or hop limit by the end.
    Ttl(Value, Value),
    /// Its type of service by the end.
    Tos(Value, Value),
    /// What such a target does beside the verdict; so many times it does with the old and the new rules.
    Effect(Hook, TableName, String, bool),
}

/// What a field of the packets comes out as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// This.
    Is(u32),
    /// As it came.
    AsItCame,
    /// One thing or another.
    Various,
}

impl Value {
    /// Whether a packet whose field was `came` may come out with `now`.
    #[must_use]
    pub const fn fits(self, came: u32, now: u32) -> bool {
        match self {
            Self::Is(number) => number == now,
            Self::AsItCame => came == now,
            Self::Various => true,
        }
    }
}

/// Packets that fare differently.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What of them.
    pub aspect: Aspect,
    /// The packets.
    pub packets: Packets,
}

/// One of the two.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) ruleset: &'a Ruleset,
    pub(crate) outcome: &'a Outcome,
}

/// All differences between two outcomes of the same way, of packets that there can be.
pub(crate) fn differences(
    space: &Space,
    old: Side<'_>,
    new: Side<'_>,
    possible: &Packets,
) -> Result<Vec<Difference>> {
    let mut found = Found { space, possible, differences: Vec::new() };
    let (before, after) = (verdicts(space, old.outcome)?, verdicts(space, new.outcome)?);
    for (one, packets) in &before {
        for (other, others) in after.iter().filter(|(other, _)| other != one) {
            found.add(Aspect::Verdict(*one, *other), packets.and(others)?)?;
        }
    }
    let passing = old.outcome.passed.and(&new.outcome.passed)?;
    let hooks = old.outcome.way.hooks();
    for hook in hooks {
        found.translations(old, new, *hook, &passing)?;
        found.marks(old.outcome, new.outcome, *hook, &passing)?;
    }
    found.field(old.outcome, new.outcome, Field::Ttl, &passing)?;
    found.field(old.outcome, new.outcome, Field::Tos, &passing)?;
    found.effects(old, new, &passing)?;
    // What rules do is told before what fields come out as, which may be many things.
    found.differences.sort_by_key(|one| match one.aspect {
        Aspect::Verdict(..) => 0,
        Aspect::Translation(..) => 1,
        Aspect::Effect(..) => 2,
        Aspect::Mark(..) | Aspect::Ttl(..) | Aspect::Tos(..) => 3,
    });
    Ok(found.differences)
}

fn verdicts(space: &Space, outcome: &Outcome) -> Result<Vec<(Verdict, Packets)>> {
    let mut all = vec![(Verdict::Accept, outcome.passed.clone())];
    for fate in outcome.fates() {
        if all.iter().all(|(verdict, _)| *verdict != fate.verdict) {
            all.push((fate.verdict, outcome.ended(space, |verdict| verdict == fate.verdict)?));
        }
    }
    Ok(all)
}

struct Found<'a> {
    space: &'a Space,
    possible: &'a Packets,
    differences: Vec<Difference>,
}

impl Found<'_> {
    fn add(&mut self, aspect: Aspect, packets: Packets) -> Result<()> {
        if packets.is_empty() || packets.and(self.possible)?.is_empty() {
            return Ok(());
        }
        self.differences.push(Difference { aspect, packets });
        Ok(())
    }

    fn translations(
        &mut self,
        old: Side<'_>,
        new: Side<'_>,
        hook: Hook,
        passing: &Packets,
    ) -> Result<()> {
        let before = translations(self.space, old, hook, passing)?;
        let after = translations(self.space, new, hook, passing)?;
        for (text, packets) in &before {
            for (other, others) in after.iter().filter(|(other, _)| *other != text) {
                let aspect = Aspect::Translation(hook, text.clone(), other.clone());
                self.add(aspect, packets.and(others)?)?;
            }
        }
        Ok(())
    }

    fn marks(&mut self, old: &Outcome, new: &Outcome, hook: Hook, passing: &Packets) -> Result<()> {
        let behind = |outcome: &Outcome| {
            let found = outcome.behind.iter().find(|(at, ..)| *at == hook);
            found.map(|(.., current)| current.clone()).unwrap_or_default()
        };
        // Whose mark was another one before keeps it, as a rule.
        let mut left = passing.clone();
        for known in self.differences.iter().filter(|one| matches!(one.aspect, Aspect::Mark(..))) {
            left = left.less(&known.packets)?;
        }
        let (old, new) = (behind(old), behind(new));
        self.values(&old, &new, Field::Mark, &left, |one, other| Aspect::Mark(hook, one, other))
    }

    fn field(
        &mut self,
        old: &Outcome,
        new: &Outcome,
        field: Field,
        passing: &Packets,
    ) -> Result<()> {
        self.values(&old.current, &new.current, field, passing, |one, other| match field {
            Field::Ttl => Aspect::Ttl(one, other),
            _ => Aspect::Tos(one, other),
        })
    }

    /// Packets whose field comes out differently, by the pairs of values that it has then.
    fn values(
        &mut self,
        old: &Current,
        new: &Current,
        field: Field,
        passing: &Packets,
        aspect: impl Fn(Value, Value) -> Aspect,
    ) -> Result<()> {
        let (space, group) = (self.space, Group::Field(field));
        let [came, one, other] = [&Current::default(), old, new].map(|one| one.group(space, group));
        let (came, one, other) = (came?, one?, other?);
        let alike = |some: &[Packets], others: &[Packets]| -> Result<Packets> {
            let mut all = space.none().others()?;
            for (a, b) in some.iter().zip(others) {
                all = all.less(&space.told_apart(a, b)?)?;
            }
            Ok(all)
        };
        let mut left = passing.less(&alike(&one, &other)?)?;
        if left.and(self.possible)?.is_empty() {
            return Ok(());
        }
        let untouched = [alike(&came, &one)?, alike(&came, &other)?];
        for _ in 0..VALUES_MAX {
            let Some(example) = space.example(&left.and(self.possible)?)? else { return Ok(()) };
            let values = space.values(&example);
            let mut here = left.clone();
            let mut pair = [Value::AsItCame; 2];
            for ((value, current), same) in pair.iter_mut().zip([old, new]).zip(&untouched) {
                here = if space.contains(same, &values) {
                    here.and(same)?
                } else {
                    let number = current.number(space, group, &values)?;
                    *value = Value::Is(number as u32);
                    here.and(&current.all_of(space, group, &[(number, number)])?)?
                };
            }
            left = left.less(&here)?;
            self.add(aspect(pair[0], pair[1]), here)?;
        }
        self.add(aspect(Value::Various, Value::Various), left)
    }

    fn effects(&mut self, old: Side<'_>, new: Side<'_>, passing: &Packets) -> Result<()> {
        let before = effects(self.space, old)?;
        let after = effects(self.space, new)?;
        let none = Vec::new();
        let mut keys: Vec<&Key> = before.keys().chain(after.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let (one, other) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
            for time in 0..one.len().max(other.len()) {
                let at = |all: &Vec<Packets>| {
                    all.get(time).cloned().unwrap_or_else(|| self.space.none())
                };
                let (one, other) = (at(one), at(other));
                let domain = match key.2.is_of_packet {
                    true => passing.clone(),
                    false => self.space.every(),
                };
                for (is_new, packets) in [(false, one.less(&other)?), (true, other.less(&one)?)] {
                    let aspect = Aspect::Effect(key.0, key.1, key.2.text.clone(), is_new);
                    self.add(aspect, packets.and(&domain)?)?;
                }
            }
        }
        Ok(())
    }
}

/// A target with an effect beside the verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Does {
    text: String,
    /// It changes the packet: of one that is dropped later it does not matter.
    is_of_packet: bool,
}

type Key = (Hook, TableName, Does);

/// By target: the packets that it gets once, twice, ...
fn effects(space: &Space, side: Side<'_>) -> Result<BTreeMap<Key, Vec<Packets>>> {
    let mut all: BTreeMap<Key, Vec<Packets>> = BTreeMap::new();
    for stage in &side.outcome.stages {
        for at in stage.walked.rules() {
            let Some(rule) = rule_at(side.ruleset, stage.table, at) else { continue };
            let all_of_rule = does(rule, stage.table);
            if all_of_rule.is_empty() {
                continue;
            }
            let matched = stage.walked.matched(space, at)?;
            if matched.is_empty() {
                continue;
            }
            for does in all_of_rule {
                let times = all.entry((stage.hook, stage.table, does)).or_default();
                let mut more = matched.clone();
                for known in times.iter_mut() {
                    let both = known.and(&more)?;
                    *known = known.or(&more)?;
                    more = both;
                }
                if !more.is_empty() && times.len() < TIMES_MAX {
                    times.push(space.none().or(&more)?);
                }
            }
        }
    }
    Ok(all)
}

/// Targets whose effect nobody sees of a packet that is dropped later.
const OF_PACKET: [&str; 16] = [
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "CT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "MARK",
    "NOTRACK",
    "SECMARK",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TOS",
    "TPROXY",
    "TTL",
];

/// Matches that remember the packets which they are asked about.
const REMEMBER: [&str; 7] =
    ["connlimit", "hashlimit", "nfacct", "quota", "rateest", "recent", "set"];

/// What a rule does beside its verdict, of the packets that it matches.
pub(crate) fn does(rule: &Rule, table: TableName) -> Vec<Does> {
    let mut all = Vec::new();
    if let Jump::Target(target) = &rule.target
        && table != TableName::Nat
        && !is_told_otherwise(target.as_ref())
    {
        let is_of_packet = OF_PACKET.contains(&target.name());
        // Two names of one thing do not make a difference.
        let text = match target.name() {
            "NOTRACK" => "CT --notrack".to_string(),
            _ => words::target(target.as_ref()),
        };
        all.push(Does { text, is_of_packet });
    }
    for one in &rule.matches {
        if REMEMBER.contains(&one.name()) && one.packet_set() == PacketSet::Opaque {
            let text = format!("-m {}", crate::algebra::chain::text_of(one.as_ref()));
            all.push(Does { text, is_of_packet: false });
        }
    }
    all
}

/// Whether all that a target does is told as a verdict or as a field of the packet.
fn is_told_otherwise(target: &dyn Target) -> bool {
    let effect = target.effect();
    let ends = effect.steps.iter().all(|step| matches!(step, Step::Verdict(_)));
    if ends && effect.writes.is_empty() {
        return true;
    }
    let told = |change: &Change| {
        let fields = [Field::Mark, Field::Ttl, Field::Tos];
        matches!(change, Change::Bits { field, .. } | Change::Plus(field, _) if fields.contains(field))
            || *change == Change::Bytes
    };
    effect.writes.iter().any(|change| matches!(change, Change::Bits { .. } | Change::Plus(..)))
        && effect.writes.iter().all(told)
}

/// By target of table nat at a hook: the passing packets whose connection it translates.
fn translations(
    space: &Space,
    side: Side<'_>,
    hook: Hook,
    passing: &Packets,
) -> Result<BTreeMap<String, Packets>> {
    let mut all: BTreeMap<String, Packets> = BTreeMap::new();
    let mut left = passing.clone();
    if let Some(stage) = side.outcome.stage(hook, TableName::Nat) {
        for (verdict, at) in stage.walked.verdicts() {
            let rule = rule_at(side.ruleset, TableName::Nat, at);
            let Some(Jump::Target(target)) = rule.map(|rule| &rule.target) else { continue };
            let packets = stage.walked.decided(space, verdict, at)?.and(passing)?;
            left = left.less(&packets)?;
            let text = words::target(target.as_ref());
            let known = all.remove(&text).unwrap_or_else(|| space.none());
            all.insert(text, known.or(&packets)?);
        }
    }
    all.insert(String::new(), left);
    Ok(all)
}

pub(crate) fn rule_at(ruleset: &Ruleset, table: TableName, at: RuleAt) -> Option<&Rule> {
    ruleset.table(table)?.chain(at.chain)?.rules.get(at.number as usize)
}
