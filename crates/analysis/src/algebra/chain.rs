//! Sets of packets through the chains of a table.
//!
//! A chain is looked at once for all packets that enter its table and for each change that may have gone before
//! it: what becomes of those that enter it is then known for every caller. What a target writes is kept beside
//! the packets, as a function from the packet as it came in, so that sets always speak of packets as they came in.

pub use super::current::Current;
use super::places;
pub(crate) use super::places::{Places, text_of};
use super::space::{ADDRESS_BITS, Group, MARKER, Packets, Result, Space, Unknown};
use super::sums::{constant, plus};
use keepstate_ruleset::effect::{Change, Effect};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Chain, ChainIndex, Jump, Policy, Rule, Table};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::{Step, Verdict};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Most walks through chains that one question takes: a chain that others change packets before is walked
/// once for each change.
pub const WALKS_MAX: usize = 20_000;

/// A formula as a set of packets as they came in, by what they are now.
pub fn compile(
    space: &mut Space,
    set: &PacketSet,
    current: &Current,
    place: &str,
) -> Result<Packets> {
    Ok(match set {
        PacketSet::In(field, ranges) => {
            let group = Group::Field(*field);
            let found = current.all_of(space, group, &space.ranges(*field, ranges))?;
            space.with_header(*field, found)?
        }
        PacketSet::Bits(field, mask, value, inverted) => {
            let bits = current.group(space, Group::Field(*field))?;
            let found = space.of_bits(*field, &bits, *mask, *value)?;
            space.with_header(*field, if *inverted { found.others()? } else { found })?
        }
        PacketSet::Interface(outward, wanted) => {
            let ranges = space.interface_ranges(wanted);
            if *outward && current.is_before_routing() {
                // As if it left by none.
                return Ok(match ranges.iter().any(|(low, _)| *low == 0) {
                    true => space.all(),
                    false => space.none(),
                });
            }
            space.all_of(if *outward { Group::Out } else { Group::In }, &ranges)?
        }
        PacketSet::All(sets) => {
            let mut all = space.all();
            for (number, one) in sets.iter().enumerate() {
                all = all.and(&compile(space, one, current, &format!("{place}.{number}"))?)?;
            }
            all
        }
        PacketSet::Any(sets) => {
            let mut any = space.none();
            for (number, one) in sets.iter().enumerate() {
                any = any.or(&compile(space, one, current, &format!("{place}.{number}"))?)?;
            }
            any
        }
        PacketSet::Named(text) => current.named(space, text)?,
        PacketSet::Opaque => space.unknown(Unknown::Opaque(place.to_string()))?,
    })
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleAt {
    /// Its chain.
    pub chain: ChainIndex,
    /// Its number, from 0; one past the last stands for the chain's policy or end.
    pub number: u32,
}

/// What becomes of packets in a table. Sets are put together when they are asked for: all of them at once would
/// be too many in a large rule set.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// Each way through a chain, callers first: who enters, and what the chain does with those.
    chains: Vec<(Packets, Rc<Summary>)>,
    /// What the packets with the verdict ACCEPT are by then.
    pub accepted: Option<(Packets, Current)>,
}

/// One chain, for all packets that are looked at.
#[derive(Clone, Debug)]
struct Summary {
    chain: ChainIndex,
    /// Reached and matched, by number.
    rules: Vec<(Packets, Packets)>,
    calls: Vec<(usize, Packets)>,
    /// Those that come back to the caller, and what they are then.
    returned: Packets,
    current: Rc<Current>,
    /// Of its own rules, and what the packets are by then.
    verdicts: Vec<(Verdict, RuleAt, Packets, Rc<Current>)>,
}

/// Walks a table.
struct Walk<'a> {
    space: &'a mut Space,
    table: &'a Table,
    /// Only these packets are looked at.
    domain: Packets,
    summaries: Vec<Rc<Summary>>,
    /// By chain: what went before, and its summary.
    known: BTreeMap<ChainIndex, Vec<(Current, usize)>>,
    depth: usize,
}

/// Carries the packets of `entering` through the built-in chain `base` of a table.
pub fn walk(
    space: &mut Space,
    table: &Table,
    base: ChainIndex,
    entering: &Packets,
    current: &Current,
) -> Result<Walked> {
    let domain = entering.clone();
    let (summaries, known) = (Vec::new(), BTreeMap::new());
    let mut walk = Walk { space, table, domain, summaries, known, depth: 0 };
    let top = walk.summary(base, current)?;
    walk.told(top, entering)
}

impl Walk<'_> {
    /// The summary of a chain after such changes.
    fn summary(&mut self, chain: ChainIndex, current: &Current) -> Result<usize> {
        let known = self.known.get(&chain).into_iter().flatten();
        if let Some((_, at)) = known.into_iter().find(|(before, _)| before == current) {
            return Ok(*at);
        }
        if self.summaries.len() >= WALKS_MAX
            || self.depth > keepstate_ruleset::evaluate::CHAIN_DEPTH_MAX
        {
            return Err(super::Exhausted);
        }
        self.depth += 1;
        let made = self.walk_chain(chain, current)?;
        self.depth -= 1;
        let at = self.summaries.len();
        self.summaries.push(Rc::new(made));
        self.known.entry(chain).or_default().push((current.clone(), at));
        Ok(at)
    }

    fn walk_chain(&mut self, index: ChainIndex, current: &Current) -> Result<Summary> {
        let none = self.space.none();
        let table = self.table;
        let empty = Vec::new();
        let rules = table.chain(index).map_or(&empty, |chain| &chain.rules);
        let mut made = Summary {
            chain: index,
            rules: Vec::with_capacity(rules.len() + 1),
            calls: Vec::new(),
            returned: none.clone(),
            current: Rc::new(current.clone()),
            verdicts: Vec::new(),
        };
        let mut exits: Vec<(Packets, Rc<Current>)> = Vec::new();
        let mut here = self.domain.clone();
        let mut now = Rc::new(current.clone());
        let name = table.chain(index).map_or("", |chain| chain.name.as_str());
        let mut texts = Places::new(table.name, name);
        for (number, rule) in rules.iter().enumerate() {
            if here.is_empty() {
                texts.pass_over(rule);
                made.rules.push((none.clone(), none.clone()));
                continue;
            }
            let at = RuleAt { chain: index, number: number as u32 };
            let own = ((table.name, at), rule);
            let matched = places::matched_at(self.space, own, &now, &mut texts)?;
            let hit = here.and(&matched)?;
            made.rules.push((here.clone(), hit.clone()));
            if hit.is_empty() {
                texts.pass_over_target(rule);
                continue;
            }
            for (hit, step) in self.steps(rule, &hit, &mut now, &mut texts)? {
                match step {
                    Step::Continue => {}
                    Step::Verdict(verdict) => {
                        here = here.less(&hit)?;
                        made.verdict(verdict, at, hit, &now);
                    }
                    Step::Return => {
                        here = here.less(&hit)?;
                        exits.push((hit, Rc::clone(&now)));
                    }
                    Step::Jump(to) | Step::Goto(to) => {
                        here = here.less(&hit)?;
                        let (back, after) = self.call(&mut made, to, &hit, &now)?;
                        if matches!(step, Step::Goto(_)) {
                            exits.push((back, after));
                        } else {
                            if now != after {
                                now = Rc::new(now.merge(self.space, &back, &after)?);
                            }
                            here = here.or(&back)?;
                        }
                    }
                }
            }
        }
        made.rules.push((here.clone(), here.clone()));
        let end = RuleAt { chain: index, number: rules.len() as u32 };
        made.end(self.space, table.chain(index), end, (here, now), exits)?;
        Ok(made)
    }

    /// Through another chain: what comes back, and what it is then.
    fn call(
        &mut self,
        made: &mut Summary,
        to: ChainIndex,
        hit: &Packets,
        now: &Current,
    ) -> Result<(Packets, Rc<Current>)> {
        let at = self.summary(to, now)?;
        made.calls.push((at, hit.clone()));
        let Some(callee) = self.summaries.get(at) else { return Err(super::Exhausted) };
        Ok((hit.and(&callee.returned)?, callee.current.clone()))
    }

    /// What the target does with the packets that it gets.
    fn steps(
        &mut self,
        rule: &Rule,
        hit: &Packets,
        now: &mut Rc<Current>,
        texts: &mut Places,
    ) -> Result<Vec<(Packets, Step)>> {
        let target = match &rule.target {
            Jump::None => return Ok(Vec::new()),
            Jump::Jump(to) => return Ok(vec![(hit.clone(), Step::Jump(*to))]),
            Jump::Goto(to) => return Ok(vec![(hit.clone(), Step::Goto(*to))]),
            Jump::Standard(step) => return Ok(vec![(hit.clone(), *step)]),
            Jump::Target(target) => target,
        };
        let Effect { steps, writes } = target.effect();
        let place = texts.of_target(target.as_ref());
        // What has no connection has no mark of one to give or to keep.
        let written = match target.name() {
            "CONNMARK" => {
                let tracked = ct::NEW | ct::ESTABLISHED | ct::RELATED;
                hit.and(&now.in_state(self.space, tracked)?)?
            }
            _ => hit.clone(),
        };
        for write in &writes {
            self.write(write, &written, Rc::make_mut(now), &place)?;
        }
        let mut left = hit.clone();
        let mut taken = Vec::new();
        let (last, first) = steps.split_last().ok_or(super::Exhausted)?;
        for (number, step) in first.iter().enumerate() {
            let choice =
                self.space.unknown(Unknown::Opaque(format!("{place}, outcome {}", number + 1)))?;
            taken.push((left.and(&choice)?, *step));
            left = left.less(&choice)?;
        }
        taken.push((left, *last));
        Ok(taken)
    }

    fn write(
        &mut self,
        write: &Change,
        when: &Packets,
        now: &mut Current,
        place: &str,
    ) -> Result<()> {
        match write {
            Change::Bits { field, keep, flip } => {
                let group = Group::Field(*field);
                let old = now.group(self.space, group)?;
                let [keep, flip] = [keep, flip].map(|number| self.space.number(*field, *number));
                let mut new = Vec::with_capacity(old.len());
                for (place, bit) in (0..old.len()).rev().zip(&old) {
                    let of = |number: u128| number >> place & 1 == 1;
                    let bit = if of(keep) { bit.clone() } else { self.space.none() };
                    new.push(if of(flip) { bit.others()? } else { bit });
                }
                now.set_group(self.space, group, when, &new)
            }
            Change::Among(field, ranges) => {
                let group = Group::Field(*field);
                let ranges = self.space.ranges(*field, ranges);
                let width = self.space.groups().get(&group).map_or(0, |(_, count)| *count);
                let values = match ranges.as_slice() {
                    [(low, high)] if low == high => {
                        constant(self.space, self.space.code(group, *low), width)
                    }
                    _ => self.written((group, width), &ranges, place)?,
                };
                now.set_group(self.space, group, when, &values)
            }
            Change::Plus(field, add) => {
                let group = Group::Field(*field);
                let new = plus(self.space, &now.group(self.space, group)?, *add)?;
                now.set_group(self.space, group, when, &new)
            }
            Change::Asked(name) => {
                now.change(self.space, when, Some(name), place);
                Ok(())
            }
            Change::Bytes => {
                now.change(self.space, when, None, place);
                Ok(())
            }
            Change::Template { untracked } => now.template(self.space, when, *untracked),
        }
    }

    /// Fresh unknowns for a value that is not told, of which no more is known than its ranges.
    fn written(
        &mut self,
        (group, width): (Group, u32),
        ranges: &[(u128, u128)],
        place: &str,
    ) -> Result<Vec<Packets>> {
        let number = self.space.next_written(place);
        let mut bits = Vec::with_capacity(width as usize);
        let first = match group {
            Group::Field(Field::Source | Field::Destination) => ADDRESS_BITS,
            _ => 0,
        };
        for bit in first..first + width {
            bits.push(self.space.unknown(Unknown::Written(format!("{place} ({number})"), bit))?);
        }
        self.space.unknown(Unknown::Written(format!("{place} ({number})"), MARKER))?;
        let inside = self.space.among(&bits, &self.space.coded(group, ranges)?)?;
        self.space.assumed = self.space.assumed.and(&inside)?;
        Ok(bits)
    }

    /// From summaries to packets: who enters which chain.
    fn told(&self, top: usize, entering: &Packets) -> Result<Walked> {
        let mut entered: BTreeMap<usize, Packets> = BTreeMap::from([(top, entering.clone())]);
        let mut walked = Walked::default();
        let mut accepted: Vec<(Packets, Rc<Current>)> = Vec::new();
        // A summary is made before those that call it.
        for at in (0..=top).rev() {
            let (Some(summary), Some(entering)) = (self.summaries.get(at), entered.remove(&at))
            else {
                continue;
            };
            let mut calls: BTreeMap<usize, Packets> = BTreeMap::new();
            for (callee, packets) in &summary.calls {
                let sum = match calls.remove(callee) {
                    None => packets.clone(),
                    Some(known) => known.or(packets)?,
                };
                calls.insert(*callee, sum);
            }
            for (callee, packets) in calls {
                let packets = entering.and(&packets)?;
                let sum = match entered.remove(&callee) {
                    None => packets,
                    Some(known) => known.or(&packets)?,
                };
                entered.insert(callee, sum);
            }
            let mut own: Vec<(Packets, Rc<Current>)> = Vec::new();
            for (verdict, _, packets, current) in &summary.verdicts {
                if *verdict == Verdict::Accept {
                    add(&mut own, packets, current)?;
                }
            }
            for (packets, current) in own {
                let packets = entering.and(&packets)?;
                if !packets.is_empty() {
                    add(&mut accepted, &packets, &current)?;
                }
            }
            walked.chains.push((entering, Rc::clone(summary)));
        }
        walked.accepted = merged(self.space, accepted)?;
        Ok(walked)
    }
}

impl Walked {
    /// The rules of the chains that packets may come to, in the order of the walk; of each chain the last one is
    /// its policy or end. A chain that others have changed packets before stands in it once for each change.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleAt> {
        let mut all = Vec::new();
        for (_, summary) in &self.chains {
            let rules = (0..).zip(&summary.rules);
            all.extend(rules.map(|(number, _)| RuleAt { chain: summary.chain, number }));
        }
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|at| seen.insert(*at));
        all
    }

    fn sum(
        &self,
        none: Packets,
        of: impl Fn(&Summary) -> Result<Option<Packets>>,
    ) -> Result<Packets> {
        let mut sum = none;
        for (entering, summary) in &self.chains {
            if let Some(packets) = of(summary)? {
                sum = sum.or(&entering.and(&packets)?)?;
            }
        }
        Ok(sum)
    }

    /// The packets that enter a chain.
    pub fn entering(&self, space: &Space, chain: ChainIndex) -> Result<Packets> {
        let every = space.all();
        self.sum(space.none(), |summary| Ok((summary.chain == chain).then(|| every.clone())))
    }

    /// The packets that come to a rule, or to the end of its chain.
    pub fn reached(&self, space: &Space, at: RuleAt) -> Result<Packets> {
        self.sum(space.none(), |summary| Ok(summary.rule(at).map(|(reached, _)| reached.clone())))
    }

    /// Those of them that it matches.
    pub fn matched(&self, space: &Space, at: RuleAt) -> Result<Packets> {
        self.sum(space.none(), |summary| Ok(summary.rule(at).map(|(_, matched)| matched.clone())))
    }

    /// The verdicts that packets may get, with the rule or policy that gives them. Not every one is given to some
    /// packet.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(Verdict, RuleAt)> {
        let mut all: Vec<(Verdict, RuleAt)> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (verdict, at, ..) in self.chains.iter().flat_map(|(_, summary)| &summary.verdicts) {
            if seen.insert((*at, format!("{verdict:?}"))) {
                all.push((*verdict, *at));
            }
        }
        all
    }

    /// The packets that get a verdict from a rule or policy.
    pub fn decided(&self, space: &Space, verdict: Verdict, at: RuleAt) -> Result<Packets> {
        self.sum(space.none(), |summary| {
            if summary.chain != at.chain {
                return Ok(None);
            }
            summary.deciding(|one, place| (one, place) == (verdict, at))
        })
    }

    /// Whether a rule matches one packet, by the value of each variable.
    #[must_use]
    pub fn is_matched(&self, space: &Space, at: RuleAt, values: &[bool]) -> bool {
        let holds = |packets: &Packets| space.contains(packets, values);
        self.chains.iter().any(|(entering, summary)| {
            summary.rule(at).is_some_and(|(_, matched)| holds(matched) && holds(entering))
        })
    }

    /// The verdict that a rule or policy gives one packet.
    #[must_use]
    pub fn verdict_on(&self, space: &Space, at: RuleAt, values: &[bool]) -> Option<Verdict> {
        let holds = |packets: &Packets| space.contains(packets, values);
        let here = self.chains.iter().filter(|(_, summary)| summary.chain == at.chain);
        let given = here.flat_map(|(entering, summary)| {
            let of = summary.verdicts.iter().filter(move |(_, place, ..)| *place == at);
            of.map(move |(verdict, _, packets, _)| (verdict, packets, entering))
        });
        let mut given = given.filter(|(_, packets, entering)| holds(packets) && holds(entering));
        given.next().map(|(verdict, ..)| *verdict)
    }

    /// The packets that get such a verdict, whoever gives it.
    pub fn with_verdict(&self, space: &Space, like: impl Fn(Verdict) -> bool) -> Result<Packets> {
        self.sum(space.none(), |summary| summary.deciding(|verdict, _| like(verdict)))
    }
}

impl Summary {
    fn rule(&self, at: RuleAt) -> Option<&(Packets, Packets)> {
        if self.chain == at.chain { self.rules.get(at.number as usize) } else { None }
    }

    /// Of all that enter: those that get such a verdict.
    fn deciding(&self, like: impl Fn(Verdict, RuleAt) -> bool) -> Result<Option<Packets>> {
        let mut sum: Option<Packets> = None;
        for (.., packets, _) in self.verdicts.iter().filter(|(verdict, at, ..)| like(*verdict, *at))
        {
            sum = Some(match sum {
                None => packets.clone(),
                Some(known) => known.or(packets)?,
            });
        }
        Ok(sum)
    }

    fn verdict(&mut self, verdict: Verdict, at: RuleAt, packets: Packets, now: &Rc<Current>) {
        if packets.is_empty() {
            return;
        }
        self.verdicts.push((verdict, at, packets, Rc::clone(now)));
    }

    /// The end of the chain: its policy, or back to the caller.
    fn end(
        &mut self,
        space: &Space,
        chain: Option<&Chain>,
        at: RuleAt,
        (here, now): (Packets, Rc<Current>),
        exits: Vec<(Packets, Rc<Current>)>,
    ) -> Result<()> {
        let mut back = here;
        let mut current = now;
        for (packets, other) in exits {
            if current != other {
                current = Rc::new(current.merge(space, &packets, &other)?);
            }
            back = back.or(&packets)?;
        }
        let policy = chain.and_then(|chain| {
            chain.policy.or_else(|| chain.hook.is_some().then_some(Policy::Accept))
        });
        match policy {
            None => {
                self.returned = back;
                self.current = current;
                Ok(())
            }
            Some(policy) => {
                let verdict = match policy {
                    Policy::Accept => Verdict::Accept,
                    Policy::Drop => Verdict::Drop,
                };
                self.verdict(verdict, at, back, &current);
                Ok(())
            }
        }
    }
}

fn add(
    exits: &mut Vec<(Packets, Rc<Current>)>,
    packets: &Packets,
    current: &Rc<Current>,
) -> Result<()> {
    match exits.iter_mut().find(|(_, known)| known == current) {
        Some((known, _)) => *known = known.or(packets)?,
        None => exits.push((packets.clone(), Rc::clone(current))),
    }
    Ok(())
}

fn merged(space: &Space, exits: Vec<(Packets, Rc<Current>)>) -> Result<Option<(Packets, Current)>> {
    let mut sum: Option<(Packets, Current)> = None;
    for (packets, current) in exits {
        sum = Some(match sum {
            None => (packets, (*current).clone()),
            Some((known, before)) => {
                let merged = before.merge(space, &packets, &current)?;
                (known.or(&packets)?, merged)
            }
        });
    }
    Ok(sum)
}
