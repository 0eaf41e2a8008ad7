//! A packet that shows what is claimed: its way through the tables as the sets have it, in the notation of `trace`,
//! and run through the engine.

use super::around::{self, Toward};
use super::sets::{Reach, TTL, Taken};
use crate::algebra::Example;
use crate::algebra::chain::{RuleAt, Walked};
use crate::algebra::space::{Group, Packets, Result, Unknown};
use crate::algebra::way::{Stage, Way};
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{ChainIndex, Jump, Table, TableName, builtin_name};
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::verdict::{Step, Verdict};
use serde::Serialize;

/// A rule or a policy that a packet meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleTold {
    /// The hook.
    pub hook: &'static str,
    /// The table.
    pub table: &'static str,
    /// The chain.
    pub chain: String,
    /// Its number, from 1; none for a policy.
    pub number: Option<u32>,
    /// Its line in the file.
    pub line: Option<u32>,
    /// As iptables-save prints it.
    pub text: String,
    /// What it does: `ACCEPT`, `DROP`, `to user0`, ...
    pub does: String,
}

/// A packet and its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// In the notation of `trace`.
    pub packet: String,
    /// Where it comes in; none: the host itself sends it.
    pub incoming: Option<String>,
    /// Where it leaves; none: it is for the host.
    pub outgoing: Option<String>,
    /// `in`, `through`, `out`.
    pub way: &'static str,
    /// The rules that it meets, in order.
    pub rules: Vec<RuleTold>,
    /// Whether it comes to the end of its way.
    pub passes: bool,
    /// What its destination has become, where a rule changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub becomes: Option<String>,
    /// What has to be true beside its fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub if_true: Vec<String>,
    /// And what not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub if_false: Vec<String>,
    /// What the engine says: `Some(true)`, the same.
    pub confirmed: Option<bool>,
    /// The packet itself.
    #[serde(skip)]
    pub example: Example,
    /// Its destination by the time it is routed, as a number.
    #[serde(skip)]
    pub routed_to: u128,
    /// Whether its destination is the host's own, as it comes in.
    #[serde(skip)]
    pub is_for_host: bool,
}

impl Witness {
    /// The rule or policy that decides: of the filter table where that has a say.
    #[must_use]
    pub fn decided(&self) -> Option<&RuleTold> {
        let deciding = |rule: &&RuleTold| rule.does == "ACCEPT" && rule.table == "filter";
        match self.passes {
            true => self.rules.iter().rfind(deciding).or_else(|| self.rules.last()),
            false => self.rules.last(),
        }
    }
}

impl Reach<'_> {
    /// The plainest packet of a set, with its way. `lines`: those of the rule file.
    pub fn witness(&self, packets: &Packets, lines: &Lines) -> Result<Option<Witness>> {
        self.witness_by(packets, lines, None)
    }

    /// The same of packets that come in by an interface, which the rules need not name.
    pub(super) fn witness_by(
        &self,
        packets: &Packets,
        lines: &Lines,
        incoming: Option<&str>,
    ) -> Result<Option<Witness>> {
        let Some(mut example) = self.space.example(packets)? else { return Ok(None) };
        self.name_usual(&mut example.in_interface, incoming.unwrap_or("eth0"));
        self.name_usual(&mut example.out_interface, "eth0");
        let values = self.space.values(&example);
        let is_way = |taken: &&Taken| self.space.contains(&taken.routed, &values);
        let Some(taken) = self.ways.iter().find(is_way) else { return Ok(None) };
        let mut told = Telling { reach: self, values: &values, lines, rules: Vec::new() };
        let mut passes = true;
        for stage in &taken.outcome.stages {
            if passes && self.space.contains(&stage.entering, &values) {
                passes = told.stage(stage)?;
            }
        }
        let rules = told.rules;
        let current = &taken.outcome.current;
        let number = |field| current.number(&self.space, Group::Field(field), &values);
        let routed_to = number(Field::Destination)?;
        let port = number(Field::DestinationPort)? as u16;
        let came_to = around::number(self.family(), example.destination);
        let becomes = (passes && (routed_to, port) != (came_to, example.destination_port))
            .then(|| self.end(routed_to, Some(port), &example));
        let says = |wanted: bool| {
            let asked = example
                .unknowns
                .iter()
                .filter(|(unknown, says)| *says == wanted && !is_answered(unknown));
            asked.map(|(unknown, _)| unknown.to_string()).collect::<Vec<_>>()
        };
        Ok(Some(Witness {
            packet: self.written(&example, taken.outcome.way),
            incoming: example.in_interface.clone(),
            outgoing: example.out_interface.clone(),
            way: match taken.outcome.way {
                Way::In => "in",
                Way::Through => "through",
                Way::Out => "out",
            },
            rules,
            passes,
            becomes,
            if_true: says(true),
            if_false: says(false),
            confirmed: None,
            example,
            routed_to,
            is_for_host: match &self.around.local {
                _ if taken.outcome.way == Way::Out => false,
                Some(own) => own.iter().any(|(low, high)| (*low..=*high).contains(&came_to)),
                None => self.around.toward == Toward::Host,
            },
        }))
    }

    /// An interface that rules tell from no other is called as usual.
    fn name_usual(&self, name: &mut Option<String>, usual: &str) {
        let number = |name: &str| self.space.interface_number(name);
        if let Some(name) = name
            && number(name) == number(usual)
        {
            *name = usual.to_string();
        }
    }

    /// An address with its port, where its protocol has some.
    fn end(&self, address: u128, port: Option<u16>, example: &Example) -> String {
        let family = self.family();
        let written = around::address(family, address).written(family).to_string();
        let has_ports = super::service::WITH_PORTS.contains(&example.protocol);
        match port.filter(|_| has_ports) {
            None => written,
            Some(port) if written.contains(':') => format!("[{written}]:{port}"),
            Some(port) => format!("{written}:{port}"),
        }
    }

    /// The packet in words.
    fn written(&self, packet: &Example, way: Way) -> String {
        let mut plain = packet.clone();
        // The notation makes that by itself.
        if plain.ttl == TTL {
            plain.ttl = 0;
        }
        if way == Way::Out {
            plain.in_interface = None;
        }
        plain.packet().unwrap_or_default()
    }
}

/// Whether what an unknown says is known where the question is asked.
fn is_answered(unknown: &Unknown) -> bool {
    matches!(unknown, Unknown::Named(text, _) if super::sets::is_answered(text))
}

/// Writes down the rules that one packet meets.
struct Telling<'t> {
    reach: &'t Reach<'t>,
    values: &'t [bool],
    lines: &'t Lines,
    rules: Vec<RuleTold>,
}

impl Telling<'_> {
    /// Through a table: whether it passes.
    fn stage(&mut self, stage: &Stage) -> Result<bool> {
        let Some(table) = self.reach.ruleset.table(stage.table) else { return Ok(true) };
        let Some(base) = table.builtin(stage.hook) else { return Ok(true) };
        let is_said = table.chain(base).is_some_and(|chain| !chain.rules.is_empty());
        let known = self.rules.len();
        let verdict = self.chain(stage, table, base, 0);
        let passes = !matches!(verdict, Some(verdict) if verdict != Verdict::Accept);
        // A chain without rules that lets all pass is no step of the way, but in the filter table.
        if passes && !is_said && table.name != TableName::Filter {
            self.rules.truncate(known);
        }
        Ok(passes)
    }

    /// Through a chain: the verdict, or back to the caller.
    fn chain(
        &mut self,
        stage: &Stage,
        table: &Table,
        index: ChainIndex,
        depth: usize,
    ) -> Option<Verdict> {
        if depth > keepstate_ruleset::evaluate::CHAIN_DEPTH_MAX {
            return None;
        }
        let chain = table.chain(index)?;
        for (number, rule) in (0..).zip(&chain.rules) {
            let at = RuleAt { chain: index, number };
            if !stage.walked.is_matched(&self.reach.space, at, self.values) {
                continue;
            }
            match &rule.target {
                Jump::None => {}
                Jump::Jump(to) | Jump::Goto(to) => {
                    let name = table.chain(*to).map_or("", |chain| chain.name.as_str());
                    self.met(stage, table, at, format!("to {name}"));
                    let verdict = self.chain(stage, table, *to, depth + 1);
                    if verdict.is_some() {
                        return verdict;
                    }
                    if matches!(rule.target, Jump::Goto(_)) {
                        return self.end(stage, table, index);
                    }
                }
                Jump::Standard(Step::Return) => {
                    self.met(stage, table, at, "RETURN".into());
                    return self.end(stage, table, index);
                }
                Jump::Standard(_) | Jump::Target(_) => {
                    let verdict = self.verdict(&stage.walked, at);
                    let does = match (&rule.target, verdict) {
                        (Jump::Target(target), _) => {
                            let mut does = String::from(target.name());
                            target.print(&mut does);
                            does
                        }
                        (_, Some(verdict)) => shown(verdict).to_string(),
                        _ => String::new(),
                    };
                    self.met(stage, table, at, does);
                    if verdict.is_some() {
                        return verdict;
                    }
                }
            }
        }
        self.end(stage, table, index)
    }

    /// Behind the last rule.
    fn end(&mut self, stage: &Stage, table: &Table, index: ChainIndex) -> Option<Verdict> {
        let chain = table.chain(index)?;
        chain.hook?;
        let at = RuleAt { chain: index, number: chain.rules.len() as u32 };
        let verdict = self.verdict(&stage.walked, at)?;
        self.met(stage, table, at, shown(verdict).to_string());
        Some(verdict)
    }

    fn verdict(&self, walked: &Walked, at: RuleAt) -> Option<Verdict> {
        walked.verdict_on(&self.reach.space, at, self.values)
    }

    fn met(&mut self, stage: &Stage, table: &Table, at: RuleAt, does: String) {
        let Some(chain) = table.chain(at.chain) else { return };
        let rule = chain.rules.get(at.number as usize);
        let text = match rule {
            Some(rule) => print_rule(self.reach.family(), table, &chain.name, rule),
            None => format!("policy of {}", chain.name),
        };
        self.rules.push(RuleTold {
            hook: builtin_name(stage.hook),
            table: table.name.as_str(),
            chain: chain.name.clone(),
            number: rule.map(|_| at.number + 1),
            line: rule.and_then(|rule| self.lines.line(rule.span)),
            text,
            does,
        });
    }
}

const fn shown(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "ACCEPT",
        Verdict::Drop => "DROP",
        Verdict::Reject(_) => "REJECT",
        Verdict::Queue(_) => "QUEUE",
        Verdict::Synproxy(_) => "SYNPROXY",
    }
}
