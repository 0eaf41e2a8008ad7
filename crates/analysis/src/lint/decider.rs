//! Who decides about a packet: findings point at the rule or the policy that refuses it, or lets it in.

use super::finding::Finding;
use super::linted::{Form, Linted, Ruled, refuses};
use crate::algebra::chain::RuleAt;
use crate::algebra::space::Result;
use crate::algebra::{Example, Packets, Way};
use keepstate_conntrack::Hook;
use keepstate_ruleset::model::{ChainIndex, Span, Table, TableName, builtin_name};
use keepstate_ruleset::verdict::Verdict;

/// A rule, or the policy behind the last one.
#[derive(Clone, Copy, Debug)]
pub struct Decider<'l, 'a> {
    /// The rule; none for a policy.
    pub rule: Option<&'l Ruled<'a>>,
    /// Where it stands; empty where the file does not say.
    pub span: Span,
    hook: Hook,
}

impl Decider<'_, '_> {
    /// In words: `rule 2 of FORWARD`, `the policy of FORWARD`.
    #[must_use]
    pub fn words(&self) -> String {
        match self.rule {
            Some(rule) => format!("rule {} of {}", rule.at.number + 1, rule.chain.name),
            None => format!("the policy of {}", builtin_name(self.hook)),
        }
    }
}

impl Finding {
    /// The same with who decides, where that is not the place of the finding itself.
    #[must_use]
    pub fn decided_by(self, decider: Option<&Decider<'_, '_>>, does: &str) -> Self {
        match decider {
            Some(one) if one.span != self.span => self.label(one.span, does),
            _ => self,
        }
    }
}

impl<'a> Linted<'a> {
    /// Who refuses a packet on a way. Where it hangs on limits and the like who does, it is the last of them: that one
    /// refuses what is within the limits of the others.
    pub fn refuser(&self, way: Way, packet: &Example) -> Result<Option<Decider<'_, 'a>>> {
        let values = self.space.values(packet);
        let Some(outcome) = self.outcome(way) else { return Ok(None) };
        let mut last = None;
        for fate in outcome.fates().into_iter().filter(|fate| refuses(fate.verdict)) {
            let ended = self.space.widest(&outcome.ended_by(&self.space, &fate)?)?;
            if !self.space.contains(&ended, &values) {
                continue;
            }
            // Chains that are called stand before what is behind the call.
            let chain = self.ruleset.table(fate.table).and_then(|table| table.chain(fate.at.chain));
            let place = (chain.is_some_and(|chain| chain.hook.is_some()), fate.at.number);
            if last.is_none_or(|(known, _)| known < place) {
                last = Some((place, fate));
            }
        }
        Ok(last.and_then(|(_, fate)| self.decider(fate.table, fate.at, fate.hook)))
    }

    /// Who refuses any of these packets on a way.
    pub fn refusers(&self, way: Way, packets: &Packets) -> Result<Vec<(Decider<'_, 'a>, Packets)>> {
        let mut all = Vec::new();
        let Some(outcome) = self.outcome(way) else { return Ok(all) };
        for fate in outcome.fates().into_iter().filter(|fate| refuses(fate.verdict)) {
            let both = outcome.ended_by(&self.space, &fate)?.and(packets)?;
            if !both.is_empty()
                && let Some(decider) = self.decider(fate.table, fate.at, fate.hook)
            {
                all.push((decider, both));
            }
        }
        Ok(all)
    }

    /// Who lets a packet pass the table filter on a way.
    pub fn accepter(&self, way: Way, packet: &Example) -> Result<Option<Decider<'_, 'a>>> {
        let values = self.space.values(packet);
        let Some(outcome) = self.outcome(way) else { return Ok(None) };
        let Some(stage) = outcome.stage(way.hook(), TableName::Filter) else { return Ok(None) };
        for (verdict, at) in stage.walked.verdicts() {
            let decided = verdict == Verdict::Accept
                && self.space.contains(&stage.walked.decided(&self.space, verdict, at)?, &values);
            if decided {
                return Ok(self.decider(TableName::Filter, at, way.hook()));
            }
        }
        Ok(None)
    }

    /// How the file sets a policy of DROP: as iptables-save does, or as a command.
    #[must_use]
    pub fn policy_of_drop(&self, chain: &str) -> String {
        let tool = if self.is_v4() { "iptables" } else { "ip6tables" };
        match self.form {
            Form::Save => format!("`:{chain} DROP [0:0]`"),
            Form::Script | Form::Listing => format!("`{tool} -P {chain} DROP`"),
        }
    }

    fn decider(&self, table: TableName, at: RuleAt, hook: Hook) -> Option<Decider<'_, 'a>> {
        let rule = self.rule(table, at);
        let span = match rule {
            Some(rule) => rule.rule.span,
            None => self.policy_span(self.ruleset.table(table)?, at.chain),
        };
        Some(Decider { rule, span, hook })
    }

    /// Where a policy is set.
    fn policy_span(&self, table: &Table, chain: ChainIndex) -> Span {
        let Some(chain) = table.chain(chain) else { return Span::default() };
        let place = self.place(table.name, chain);
        // Where nothing sets it, a chain stands at its first rule.
        let is_rule = chain.rules.first().is_some_and(|first| first.span == place);
        if is_rule { Span::default() } else { place }
    }
}
