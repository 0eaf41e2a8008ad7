//! Whether a rule may be put into another place: what it would take there from rules that are to have it.

use super::linted::{Linted, Ruled, decision, refusal, refuses};
use super::plain::is_between_hosts;
use crate::algebra::Example;
use crate::algebra::space::{Packets, Result};
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::verdict::Verdict;

/// A rule that would lose packets to one that is put above it.
#[derive(Clone, Debug)]
pub struct Overtaken<'l, 'a> {
    /// The rule.
    pub rule: &'l Ruled<'a>,
    /// A packet of those that it would lose, where one may come there from a host to another.
    pub packet: Option<Example>,
}

/// Rules above one that are looked at for those that go with it.
const SISTERS_MAX: u32 = 200;

/// What a rule does with its packets: of one that leads into a chain which refuses all, that.
#[must_use]
pub fn verdict(rule: &Ruled<'_>) -> Option<Verdict> {
    let by_chain = match rule.rule.target {
        Jump::Jump(chain) | Jump::Goto(chain) => refusal(rule.table, chain),
        _ => None,
    };
    decision(rule.rule).or(by_chain)
}

/// Whether two verdicts are a refusal and an acceptance.
fn are_opposite(one: Verdict, other: Verdict) -> bool {
    refuses(one) && other == Verdict::Accept || one == Verdict::Accept && refuses(other)
}

impl<'a> Linted<'a> {
    /// The rule that a rule without a word of states would overtake just above another, and that does the opposite: one
    /// for packets that begin nothing, as are those of connections that there are, or one that would be left nothing of
    /// what comes so far. `rather`: packets that the example is one of, if it can be.
    pub fn overtaken(
        &self,
        rule: &Ruled<'_>,
        above: &Ruled<'_>,
        rather: &Packets,
    ) -> Result<Option<Overtaken<'_, 'a>>> {
        let Some(own) = verdict(rule).filter(|_| rule.words.states().is_none()) else {
            return Ok(None);
        };
        let comes = above.reached.and(&rule.asked)?.and(&self.possible()?)?;
        let does_otherwise = |one: &&Ruled<'_>| {
            one.table.name == rule.table.name
                && decision(one.rule).is_some_and(|other| are_opposite(own, other))
        };
        for one in self.rules.iter().filter(does_otherwise) {
            let lost = one.matched.and(&comes)?;
            if lost.is_empty() {
                continue;
            }
            let all = one.matched.and(&above.reached)?.and(&self.possible()?)?;
            if all.is_within(&comes)? || self.beginning(&one.asked)?.is_empty() {
                let both = lost.and(rather)?;
                let shown = self.real(if both.is_empty() { &lost } else { &both })?;
                let packet = self.plainest(&shown)?.filter(is_between_hosts);
                return Ok(Some(Overtaken { rule: one, packet }));
            }
        }
        Ok(None)
    }

    /// Whether all that would come to a rule just above another are packets that enter its own chain.
    pub fn is_for_its_own(&self, rule: &Ruled<'_>, above: &Ruled<'_>) -> Result<bool> {
        above.reached.and(&rule.asked)?.is_within(&self.entering(rule))
    }

    /// The rules between `last` and a rule that decide about packets of it, were they asked.
    pub fn sisters(
        &self,
        rule: &Ruled<'_>,
        last: &Ruled<'_>,
        wanted: &Packets,
    ) -> Result<Vec<&Ruled<'a>>> {
        let mut all = Vec::new();
        let first = rule.at.number.saturating_sub(SISTERS_MAX).max(last.at.number + 1);
        let between = |one: &&Ruled<'_>| (first..rule.at.number).contains(&one.at.number);
        for one in self.chain_rules(rule.table.name, rule.at.chain).filter(between) {
            let decides = verdict(one).is_some() && !one.is_opaque;
            if decides && !self.real(&one.asked.and(wanted)?)?.is_empty() {
                all.push(one);
            }
        }
        Ok(all)
    }
}

/// Those of these rules that do the opposite of a rule.
#[must_use]
pub fn opposite<'l, 'a>(rule: &Ruled<'_>, others: &[&'l Ruled<'a>]) -> Vec<&'l Ruled<'a>> {
    let Some(own) = verdict(rule) else { return Vec::new() };
    let otherwise = |one: &&&Ruled<'_>| verdict(one).is_some_and(|other| are_opposite(own, other));
    others.iter().filter(otherwise).copied().collect()
}
