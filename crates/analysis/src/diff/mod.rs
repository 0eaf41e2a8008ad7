//! What changes between two rule sets: exactly which packets and states are treated differently.
//!
//! Both are walked by the same packets ([`crate::algebra`]), those that can differ at all (`affected`);
//! where the outcomes are not the same sets, the sets are written down in rows (`rows`), each with one packet
//! that the engine's evaluator has confirmed with both rule sets ([`crate::trial`]).

mod affected;
mod conversations;
pub(crate) mod fates;
mod recorded;
mod rows;
mod text;
mod told;
pub(crate) mod words;

pub use conversations::{CONVERSATIONS_MAX, Pair};
pub use fates::{Aspect, Difference, Value};
pub use recorded::Recorded;
pub use rows::ROWS_MAX;
pub use text::render;
pub use told::{
    AffectedTold, Compared, ConversationTold, DecidedTold, KeptTold, PlayedTold, RecordedTold,
    RoughlyTold, RowTold, WayTold, WitnessTold,
};

pub(crate) use affected::{Asking, Changing, reachable, reachable_from};
pub(crate) use rows::{lines, name as way_name, ways_of};
pub(crate) use text::{
    conditions, conversations as conversations_text, recorded as recorded_text, way as way_text,
};

use crate::algebra::space::{Group, Packets, Result};
use crate::algebra::{Example, Space, Way, way};
use crate::trial::Trial;
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{Jump, Ruleset, Span, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use std::collections::BTreeSet;

/// One of the two: a rule file.
#[derive(Debug)]
pub struct Side {
    /// Its name, as it is told.
    pub name: String,
    lines: Lines,
    /// Its rules.
    pub trial: Trial,
}

impl Side {
    /// A rule file with what it says.
    #[must_use]
    pub fn new(name: impl Into<String>, source: &str, ruleset: Ruleset) -> Self {
        Self { name: name.into(), lines: Lines::of(source), trial: Trial::new(ruleset) }
    }

    /// `FILE:LINE`; none for what stands in no line.
    #[must_use]
    pub fn place(&self, span: Span) -> Option<String> {
        let line = self.lines.line(span).filter(|_| span != Span::default())?;
        Some(format!("{}:{line}", self.name))
    }

    /// The line of a span, from 1.
    #[must_use]
    pub fn line(&self, span: Span) -> Option<u32> {
        self.lines.line(span).filter(|_| span != Span::default())
    }
}

/// Two rule sets of one family, compared: the sets of packets that they treat differently.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The two.
    sides: (&'a Side, &'a Side),
    /// What the sets are over.
    pub space: Space,
    /// The packets that there can be.
    pub possible: Packets,
    /// What is different on each way.
    pub ways: Vec<(Way, Vec<Difference>)>,
}

impl<'a> Comparison<'a> {
    /// Compares them.
    ///
    /// # Errors
    /// [`crate::algebra::Exhausted`] where the sets are too large.
    pub fn new(old: &'a Side, new: &'a Side) -> Result<Self> {
        let rulesets = [old.trial.ruleset(), new.trial.ruleset()];
        let mut space = Space::new(rulesets[0].family, rulesets)?;
        let possible = possible(&space, &rulesets)?;
        let mut ways = Vec::new();
        for way in Way::ALL {
            let among = affected::packets(&mut space, rulesets[0], rulesets[1], way)?;
            ways.push((way, of_way(&mut space, (old, new), way, &among, &possible)?));
        }
        Ok(Self { sides: (old, new), space, possible, ways })
    }

    /// Tells it in rows.
    ///
    /// # Errors
    /// [`crate::algebra::Exhausted`] where the sets are too large.
    pub fn told(&mut self) -> Result<Compared> {
        let (old, new) = self.sides;
        let mut ways = Vec::new();
        for (way, differences) in &self.ways {
            let (space, possible) = (&mut self.space, &self.possible);
            ways.push(rows::told(space, self.sides, *way, differences, possible)?);
        }
        let rulesets = [old.trial.ruleset(), new.trial.ruleset()];
        Ok(Compared {
            old: old.name.clone(),
            new: new.name.clone(),
            family: if self.space.family() == Family::V4 { "IPv4" } else { "IPv6" },
            equal: ways.iter().all(|way| way.rows.is_empty() && way.rows_left_out == 0),
            ways,
            conversations: Vec::new(),
            recorded: None,
            assumed: assumed(&rulesets),
        })
    }
}

/// Where packets out of `among` fare differently on a way.
pub(crate) fn of_way(
    space: &mut Space,
    (old, new): (&Side, &Side),
    way: Way,
    among: &Packets,
    possible: &Packets,
) -> Result<Vec<Difference>> {
    if among.and(possible)?.is_empty() {
        return Ok(Vec::new());
    }
    let [one, other] = [old, new].map(|side| side.trial.ruleset());
    let before = way::follow(space, one, way, among)?;
    let after = way::follow(space, other, way, among)?;
    let side = |ruleset, outcome| fates::Side { ruleset, outcome };
    fates::differences(space, side(one, &before), side(other, &after), possible)
}

/// The rows of a way.
pub(crate) fn rows_of(
    space: &mut Space,
    sides: (&Side, &Side),
    way: Way,
    differences: &[Difference],
    possible: &Packets,
) -> Result<WayTold> {
    rows::told(space, sides, way, differences, possible)
}

/// The packets that rows are shown with: where conversations may fare differently.
pub(crate) fn around(ways: &[WayTold]) -> Vec<(Way, Example)> {
    let mut all = Vec::new();
    for told in ways {
        let Some(way) = Way::ALL.into_iter().find(|way| way_name(*way) == told.way) else {
            continue;
        };
        let rows = told.rows.iter().filter(|row| matches!(row.what, "verdict" | "translation"));
        let witnesses = rows.filter_map(|row| row.witness.as_ref());
        all.extend(witnesses.map(|witness| (way, witness.example.clone())));
    }
    all
}

impl Compared {
    /// Plays conversations past both.
    pub fn play(&mut self, pair: &mut Pair) {
        self.conversations = pair.differing(&around(&self.ways));
    }
}

/// The packets that there can be where these rules are: tracking puts fragments together before rules see them, and
/// leaves alone only what it never looks at, or what a rule says.
///
/// # Errors
/// [`crate::algebra::Exhausted`] where the sets are too large.
pub fn possible(space: &Space, rulesets: &[&Ruleset]) -> Result<Packets> {
    let all = space.possible_packets()?;
    if !rulesets.iter().all(|ruleset| ruleset.needs().tracking) {
        return Ok(all);
    }
    let all = all.and(&space.untracked_by_themselves()?)?;
    all.and(&space.all_of(Group::Field(Field::LaterFragment), &[(0, 0)])?)
}

/// What every claim rests on.
pub(crate) fn assumed(rulesets: &[&Ruleset]) -> Vec<String> {
    let mut all = vec![
        "Packets are well-formed, and have a state that tracking can give them; which state that is, any \
         of them, is a part of the rows."
            .to_string(),
        "The way that a packet takes (in, through, out) is decided by routing, not by these rules; \
         all three were compared for every address."
            .to_string(),
    ];
    if rulesets.iter().all(|ruleset| ruleset.needs().tracking) {
        all.push(
            "Fragments are put together before rules see them, for tracking is on.".to_string(),
        );
    }
    let rules = || {
        let tables = rulesets.iter().flat_map(|ruleset| &ruleset.tables);
        tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules)
    };
    let asks_nat = rulesets.iter().filter_map(|ruleset| ruleset.table(TableName::Nat));
    if asks_nat.flat_map(|table| &table.chains).any(|chain| !chain.rules.is_empty()) {
        all.push(
            "A packet that is NEW is taken to be the first of its connection: table nat is asked of it."
                .to_string(),
        );
    }
    let mut names = BTreeSet::new();
    let mut translates = false;
    for rule in rules() {
        for one in &rule.matches {
            if has_unknown(&one.packet_set()) {
                names.insert(format!("`-m {}`", one.name()));
            }
        }
        if let Jump::Target(target) = &rule.target {
            translates |= matches!(target.name(), "DNAT" | "REDIRECT" | "NETMAP" | "DNPT");
        }
    }
    if !names.is_empty() {
        let names: Vec<String> = names.into_iter().collect();
        all.push(format!(
            "What {} {}, no field of a packet decides: the same text is taken to say the same of the \
             same packet wherever it stands, whatever that is.",
            names.join(", "),
            if names.len() == 1 { "says" } else { "say" }
        ));
    }
    if translates {
        all.push(
            "Packets of connections that are translated already are named by the addresses that rules \
             see of them."
                .to_string(),
        );
    }
    all
}

fn has_unknown(set: &PacketSet) -> bool {
    match set {
        PacketSet::Named(_) | PacketSet::Opaque => true,
        PacketSet::All(sets) | PacketSet::Any(sets) => sets.iter().any(has_unknown),
        PacketSet::In(..) | PacketSet::Bits(..) | PacketSet::Interface(..) => false,
    }
}
