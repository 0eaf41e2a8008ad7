//! What the rest of a chain would do with packets, from each rule on: for asking what a rule is needed for.
//!
//! Only what is certain is told: packets that would come to a rule that counts, logs, marks or hangs on more than
//! the packet are not among those of which it is known what becomes of them.

use super::linted::{Linted, Ruled, decision};
use crate::algebra::chain::RuleAt;
use crate::algebra::space::{Packets, Result};
use keepstate_ruleset::model::{ChainIndex, Jump, Policy, Table};
use keepstate_ruleset::verdict::{Step, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of packets from some rule of a chain on, without any other trace of them.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// Those that get each verdict.
    pub verdicts: Vec<(Verdict, Packets)>,
    /// Those that go back to where the chain was called.
    pub back: Packets,
}

impl Ahead {
    fn none(linted: &Linted<'_>) -> Self {
        Self { verdicts: Vec::new(), back: linted.space.none() }
    }

    /// The packets that get a verdict.
    #[must_use]
    pub fn of(&self, linted: &Linted<'_>, verdict: Verdict) -> Packets {
        let found = self.verdicts.iter().find(|(one, _)| *one == verdict);
        found.map_or_else(|| linted.space.none(), |(_, packets)| packets.clone())
    }

    fn add(&mut self, verdict: Verdict, packets: &Packets) -> Result<()> {
        match self.verdicts.iter_mut().find(|(one, _)| *one == verdict) {
            Some((_, known)) => *known = known.or(packets)?,
            None => self.verdicts.push((verdict, packets.clone())),
        }
        Ok(())
    }

    /// This for the packets of `when`, `other` elsewhere.
    fn over(&self, when: &Packets, other: &Self) -> Result<Self> {
        let mut both = Self { verdicts: Vec::new(), back: when.choose(&self.back, &other.back)? };
        for (verdict, packets) in &self.verdicts {
            both.add(*verdict, &packets.and(when)?)?;
        }
        for (verdict, packets) in &other.verdicts {
            both.add(*verdict, &packets.less(when)?)?;
        }
        Ok(both)
    }
}

/// Looks ahead in the chains of a table, without some of its rules.
#[derive(Debug)]
pub struct Lookahead<'l, 'a> {
    linted: &'l Linted<'a>,
    table: &'a Table,
    without: BTreeSet<RuleAt>,
    known: BTreeMap<ChainIndex, Ahead>,
    /// Rules that may yet be looked at for [`Self::deciders`].
    steps: usize,
}

/// Rules that are looked at, in all, to name those that decide.
const STEPS_MAX: usize = 400_000;

/// Who decides about which packets: rules, and policies one past the last rule.
pub type Deciders = Vec<(RuleAt, Packets)>;

impl<'l, 'a> Lookahead<'l, 'a> {
    /// In a table.
    #[must_use]
    pub fn new(linted: &'l Linted<'a>, table: &'a Table) -> Self {
        let (without, known) = (BTreeSet::new(), BTreeMap::new());
        Self { linted, table, without, known, steps: STEPS_MAX }
    }

    /// Leaves a rule out from now on.
    pub fn leave_out(&mut self, at: RuleAt) {
        self.without.insert(at);
    }

    /// What becomes of packets at the end of a chain.
    pub fn end(&self, chain: ChainIndex) -> Result<Ahead> {
        let all = self.linted.space.none().others()?;
        let mut ahead = Ahead::none(self.linted);
        match self.table.chain(chain) {
            Some(chain) if chain.hook.is_some() => {
                let verdict = match chain.policy {
                    Some(Policy::Drop) => Verdict::Drop,
                    _ => Verdict::Accept,
                };
                ahead.add(verdict, &all)?;
            }
            _ => ahead.back = all,
        }
        Ok(ahead)
    }

    /// What becomes of packets from a rule on, by what becomes of them behind it.
    pub fn through(&mut self, at: RuleAt, behind: &Ahead) -> Result<Ahead> {
        let linted = self.linted;
        let Some(rule) = self.asked(at) else { return Ok(behind.clone()) };
        if !rule.is_plain {
            return Ok(Ahead::none(linted));
        }
        let mut here = Ahead::none(linted);
        match &rule.rule.target {
            // Whoever comes to it may be counted by it.
            _ if rule.is_opaque => {
                let header = keepstate_ruleset::packet_set::PacketSet::of_header(&rule.rule.header);
                let counted = super::linted::plain(&linted.space, &header)?;
                return here.over(&counted, behind);
            }
            Jump::Jump(to) => {
                let callee = self.chain(*to)?;
                here.verdicts = callee.verdicts;
                for (verdict, packets) in &behind.verdicts {
                    here.add(*verdict, &packets.and(&callee.back)?)?;
                }
                here.back = behind.back.and(&callee.back)?;
            }
            Jump::Goto(to) => here = self.chain(*to)?,
            Jump::Standard(Step::Return) => here = self.end(at.chain)?,
            Jump::Standard(_) | Jump::Target(_) => {
                if let Some(verdict) = decision(rule.rule) {
                    here.add(verdict, &linted.space.none().others()?)?;
                }
            }
            Jump::None => {}
        }
        here.over(&rule.asked, behind)
    }

    /// What becomes of packets that enter a chain.
    pub fn chain(&mut self, chain: ChainIndex) -> Result<Ahead> {
        if let Some(known) = self.known.get(&chain) {
            return Ok(known.clone());
        }
        let mut ahead = self.end(chain)?;
        for number in (0..self.length(chain)).rev() {
            ahead = self.through(RuleAt { chain, number }, &ahead)?;
        }
        self.known.insert(chain, ahead.clone());
        Ok(ahead)
    }

    /// The rule at a place, but for one that is left out. One that nothing matches may as well not be there.
    fn asked(&self, at: RuleAt) -> Option<&'l Ruled<'a>> {
        let rule = self.linted.rule(self.table.name, at)?;
        let idle = rule.matched.is_empty() && !rule.reached.is_empty();
        (!self.without.contains(&at) && !idle).then_some(rule)
    }

    /// Who decides, from a rule on, about packets of which it is known what becomes of them; `None` where that would
    /// take too long to find out.
    pub fn deciders(&mut self, from: RuleAt, packets: &Packets) -> Result<Option<Deciders>> {
        let mut found = Vec::new();
        let back = self.follow(from, packets.clone(), &mut found, 0)?;
        Ok(back.map(|_| found))
    }

    /// Those that come back to where the chain was called.
    fn follow(
        &mut self,
        from: RuleAt,
        mut left: Packets,
        found: &mut Deciders,
        depth: usize,
    ) -> Result<Option<Packets>> {
        let mut back = self.linted.space.none();
        let length = self.length(from.chain);
        for number in from.number..length {
            if left.is_empty() {
                return Ok(Some(back));
            }
            if self.steps == 0 || depth > keepstate_ruleset::evaluate::CHAIN_DEPTH_MAX {
                return Ok(None);
            }
            self.steps -= 1;
            let at = RuleAt { number, ..from };
            let Some(rule) = self.asked(at) else { continue };
            let hit = left.and(&rule.asked)?;
            if hit.is_empty() {
                continue;
            }
            match &rule.rule.target {
                Jump::Jump(to) | Jump::Goto(to) => {
                    let into = RuleAt { chain: *to, number: 0 };
                    let Some(returned) = self.follow(into, hit.clone(), found, depth + 1)? else {
                        return Ok(None);
                    };
                    left = left.less(&hit)?;
                    match rule.rule.target {
                        Jump::Jump(_) => left = left.or(&returned)?,
                        _ => back = back.or(&returned)?,
                    }
                }
                Jump::Standard(Step::Return) => {
                    left = left.less(&hit)?;
                    back = back.or(&hit)?;
                }
                _ if decision(rule.rule).is_some() => {
                    left = left.less(&hit)?;
                    found.push((at, hit));
                }
                _ => {}
            }
        }
        back = back.or(&left)?;
        let is_base = self.table.chain(from.chain).is_some_and(|chain| chain.hook.is_some());
        if is_base && !back.is_empty() {
            found.push((RuleAt { number: length, ..from }, back));
            back = self.linted.space.none();
        }
        Ok(Some(back))
    }

    /// How many rules a chain has.
    #[must_use]
    pub fn length(&self, chain: ChainIndex) -> u32 {
        self.table.chain(chain).map_or(0, |chain| chain.rules.len() as u32)
    }
}
