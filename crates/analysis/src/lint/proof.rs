//! What a change of a rule set changes, by the algebra: which packets have another fate, and which rules that log,
//! count, mark or translate do so with other packets.

use super::linted::{decision, verdict_word};
use crate::algebra::chain::RuleAt;
use crate::algebra::places::is_opaque;
use crate::algebra::space::{NODES_MAX, Packets, Result, STATES, Space};
use crate::algebra::way::{self, Outcome, Way};
use crate::algebra::{Apart, Example};
use crate::lint::finding::Expected;
use keepstate_ruleset::extension::names;
use keepstate_ruleset::model::{ChainIndex, Jump, Rule, Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_save::print_rule;
use std::collections::BTreeMap;

/// What a change comes to.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Packets whose fate is another, in rows: what they are, what became of them, what becomes of them now.
    pub changed: Vec<Changed>,
    /// Rules with an effect of their own that are there as before and see other packets.
    pub others: Vec<String>,
    /// Whether all that changes is among what was expected to.
    pub is_expected: bool,
}

/// Packets whose fate is another.
#[derive(Clone, Debug)]
pub struct Changed {
    /// What became of them.
    pub from: &'static str,
    /// What becomes of them.
    pub to: &'static str,
    /// Which, a line each.
    pub rows: Vec<String>,
}

/// Lines that are told of packets whose fate changed.
const ROWS_TOLD_MAX: usize = 12;
/// Rules that are told of.
const OTHERS_TOLD_MAX: usize = 12;

impl Proof {
    /// Whether no packet has another fate and no rule sees others.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.changed.is_empty() && self.others.is_empty()
    }

    /// In a sentence or more, a line each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        if self.is_nothing() {
            return vec![
                "nothing but that: every packet fares as before, whatever its state, and every rule that \
                 logs, marks or translates does so with the same packets"
                    .into(),
            ];
        }
        let mut told = Vec::new();
        for one in &self.changed {
            told.push(format!("{}, now {}:", one.from, one.to));
            told.extend(one.rows.iter().map(|row| format!("  {row}")));
        }
        told.extend(self.others.iter().map(|rule| format!("sees other packets: {rule}")));
        told
    }
}

/// Holds two rule sets of a family against each other.
///
/// # Errors
/// Their packet sets are too large.
pub fn prove(old: &Ruleset, new: &Ruleset, expected: &[Expected]) -> Result<Proof> {
    let mut apart = Apart::new(old.family);
    for one in expected {
        if let Expected::Only(set, _) = one {
            apart.add_set(set);
        }
    }
    let mut space = Space::apart([old, new], apart, NODES_MAX)?;
    let mut proof = Proof { is_expected: true, ..Proof::default() };
    let mut allowed = space.none();
    for one in expected {
        if let Expected::Only(set, _) = one {
            allowed = allowed.or(&space.packets(set, "expected")?)?;
        }
    }
    let every = super::linted::entering(&space, [old, new])?;
    let mut effects = [Effects::new(), Effects::new()];
    for one in Way::ALL {
        let before = way::follow(&mut space, old, one, &every)?;
        let after = way::follow(&mut space, new, one, &every)?;
        proof.compare(&space, &before, &after, &allowed)?;
        for (effects, (ruleset, outcome)) in effects.iter_mut().zip([(old, &before), (new, &after)])
        {
            collect(&mut space, effects, ruleset, outcome)?;
        }
    }
    proof.effects(&effects, &allowed)?;
    Ok(proof)
}

/// By table, chain, text and how manieth of that text: the packets with which a rule does something.
type Effects = BTreeMap<(TableName, String, String, usize), Packets>;

fn collect(
    space: &mut Space,
    effects: &mut Effects,
    ruleset: &Ruleset,
    outcome: &Outcome,
) -> Result<()> {
    let none = space.none();
    for stage in &outcome.stages {
        let Some(table) = ruleset.table(stage.table) else { continue };
        for (index, chain) in (0..).zip(&table.chains) {
            let mut texts: BTreeMap<String, usize> = BTreeMap::new();
            for (number, rule) in (0..).zip(&chain.rules) {
                let counts = is_opaque(rule);
                if !counts && !has_effect(rule) {
                    continue;
                }
                let text = by_new_names(&print_rule(ruleset.family, table, &chain.name, rule));
                let count = texts.entry(text.clone()).or_default();
                *count += 1;
                let at = RuleAt { chain: ChainIndex(index), number };
                let seen = match counts {
                    true => {
                        let set = keepstate_ruleset::packet_set::PacketSet::of_header(&rule.header);
                        stage.walked.reached(space, at)?.and(&super::linted::plain(space, &set)?)?
                    }
                    false => stage.walked.matched(space, at)?,
                };
                let key = (table.name, chain.name.clone(), text, *count);
                let known = effects.entry(key).or_insert_with(|| none.clone());
                *known = known.or(&seen)?;
            }
        }
    }
    Ok(())
}

/// A rule with the names that things have now: nothing tells `-m state` from `-m conntrack`, or `-j NOTRACK` from
/// `-j CT --notrack`.
#[must_use]
pub fn by_new_names(rule: &str) -> String {
    let renamed = rule
        .replace("-m state --state ", "-m conntrack --ctstate ")
        .replace("-m state ! --state ", "-m conntrack ! --ctstate ");
    match renamed.strip_suffix("-j NOTRACK") {
        Some(head) => format!("{head}-j CT --notrack"),
        None => renamed,
    }
}

/// Whether a rule does something with packets beside deciding about them.
fn has_effect(rule: &Rule) -> bool {
    match &rule.target {
        Jump::Target(_) => decision(rule).is_none(),
        Jump::None | Jump::Jump(_) | Jump::Goto(_) | Jump::Standard(_) => false,
    }
}

impl Proof {
    fn compare(
        &mut self,
        space: &Space,
        before: &Outcome,
        after: &Outcome,
        allowed: &Packets,
    ) -> Result<()> {
        let (before, after) = (fates(space, before)?, fates(space, after)?);
        for (from, packets) in &before {
            for (to, now) in &after {
                let both = packets.and(now)?.and(&space.every())?;
                if from == to || both.is_empty() {
                    continue;
                }
                self.is_expected &= both.is_within(allowed)?;
                let rows = space.rows(&both)?;
                let mut told: Vec<String> = rows
                    .rows
                    .iter()
                    .take(ROWS_TOLD_MAX)
                    .map(|row| row.shown(space).to_string())
                    .collect();
                if rows.rows.len() > ROWS_TOLD_MAX || !rows.complete {
                    told.push("and more".into());
                }
                self.changed.push(Changed { from, to, rows: told });
            }
        }
        Ok(())
    }

    /// Rules that both have, with the packets that they see; and rules that only one has, if they see any.
    fn effects(&mut self, [old, new]: &[Effects; 2], allowed: &Packets) -> Result<()> {
        let mut others = Vec::new();
        for (key, before) in old {
            let differs = match new.get(key) {
                Some(after) => before.differ(after)?,
                None => before.clone(),
            };
            if !differs.is_empty() {
                self.is_expected &= differs.is_within(allowed)?;
                others.push(key.2.clone());
            }
        }
        for (key, after) in new {
            if !old.contains_key(key) && !after.is_empty() {
                self.is_expected &= after.is_within(allowed)?;
                others.push(key.2.clone());
            }
        }
        others.truncate(OTHERS_TOLD_MAX);
        self.others = others;
        Ok(())
    }
}

/// Packets by what becomes of them on a way.
fn fates(space: &Space, outcome: &Outcome) -> Result<Vec<(&'static str, Packets)>> {
    let mut all: Vec<(&'static str, Packets)> = vec![("accepted", outcome.passed.clone())];
    for fate in outcome.fates() {
        let word = verdict_word(fate.verdict);
        if !all.iter().any(|(known, _)| *known == word) {
            all.push((word, outcome.ended(space, |verdict| verdict_word(verdict) == word)?));
        }
    }
    Ok(all)
}

/// A packet in words, as `keepstate trace --packet` takes them.
#[must_use]
pub fn packet_words(packet: &Example) -> String {
    let state = STATES.iter().find(|(bit, _)| *bit == packet.state);
    format!("{}, {}", stateless_words(packet), state.map_or("", |(_, name)| name))
}

/// The same where tracking has not looked at it.
#[must_use]
pub fn stateless_words(packet: &Example) -> String {
    let family = packet.family;
    let written = |address: keepstate_packet::Address| address.written(family).to_string();
    let name = names::protocol_name(packet.protocol);
    let protocol = name.map_or_else(|| packet.protocol.to_string(), Into::into);
    let has_ports = matches!(packet.protocol, 6 | 17 | 33 | 132 | 136) && !packet.later_fragment;
    let end = |address, port: u16| match has_ports {
        true if family == keepstate_packet::Family::V6 => format!("[{}]:{port}", written(address)),
        true => format!("{}:{port}", written(address)),
        false => written(address),
    };
    let mut words = format!(
        "{protocol} {} > {}",
        end(packet.source, packet.source_port),
        end(packet.destination, packet.destination_port)
    );
    if matches!(packet.protocol, 1 | 58) {
        words.push_str(&format!(" type {}/{}", packet.icmp >> 8, packet.icmp & 0xff));
    }
    if packet.protocol == 6 {
        const FLAGS: [(u8, &str); 6] =
            [(2, "syn"), (16, "ack"), (1, "fin"), (4, "rst"), (8, "psh"), (32, "urg")];
        for (bit, flag) in FLAGS {
            if packet.tcp_flags & bit != 0 {
                words.push_str(&format!(" {flag}"));
            }
        }
    }
    for (word, interface) in [("in", &packet.in_interface), ("out", &packet.out_interface)] {
        if let Some(name) = interface {
            words.push_str(&format!(" {word} {name}"));
        }
    }
    words
}
