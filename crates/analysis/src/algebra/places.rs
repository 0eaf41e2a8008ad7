//! Names of conditions that no field decides.

use super::chain::{Current, RuleAt, compile};
use super::space::{Group, Packets, Result, Space};
use keepstate_ruleset::matches::Match;
use keepstate_ruleset::model::{ChainIndex, Jump, Rule, Table, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::targets::Target;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Names of the opaque conditions of a chain, in the order of its rules: table, chain and text, and the how
/// manieth of that text it is, so that it is the same in another rule set.
#[derive(Debug)]
pub(crate) struct Places {
    chain: String,
    texts: BTreeMap<String, u32>,
}

impl Places {
    pub(crate) fn new(table: TableName, chain: &str) -> Self {
        Self { chain: format!("{} {chain}", table.as_str()), texts: BTreeMap::new() }
    }

    /// Of the next match; its text alone where nothing is opaque in it.
    pub(crate) fn of_match(&mut self, one: &dyn Match, set: &PacketSet) -> String {
        if has_opaque(set) { self.next(text_of(one)) } else { String::new() }
    }

    /// Of the next target.
    pub(crate) fn of_target(&mut self, target: &dyn Target) -> String {
        let mut text = String::from(target.name());
        target.print(&mut text);
        self.next(text)
    }

    /// A rule that is not looked at.
    pub(super) fn pass_over(&mut self, rule: &Rule) {
        for one in &rule.matches {
            let _ = self.of_match(one.as_ref(), &one.packet_set());
        }
        self.pass_over_target(rule);
    }

    pub(super) fn pass_over_target(&mut self, rule: &Rule) {
        if let Jump::Target(target) = &rule.target {
            let _ = self.of_target(target.as_ref());
        }
    }

    fn next(&mut self, text: String) -> String {
        let place = format!("{} `{text}`", self.chain);
        let count = self.texts.entry(text).or_default();
        *count += 1;
        if *count == 1 { place } else { format!("{place} #{count}") }
    }
}

/// A match as a rule has it, without `-m`.
pub(crate) fn text_of(one: &dyn Match) -> String {
    let mut text = String::from(one.name());
    one.print(&mut text);
    text
}

/// What rules ask for of packets as they came in, by where the rules stand: for a space in which nothing but copies
/// of one rule set is walked ([`Space::remember_rules`]).
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    rules: HashMap<(TableName, RuleAt), Asks>,
    /// One of the rules, which is not what it was.
    except: Option<(TableName, RuleAt)>,
}

/// What a rule asks for.
#[derive(Debug)]
struct Asks {
    packets: Packets,
    /// The fields that it looks at, and whether it has matches that look at others.
    fields: BTreeSet<Field>,
    is_named: bool,
    /// It asks by which interface packets leave.
    asks_out: bool,
}

impl Space {
    /// From now on what a rule asks for is computed once: every rule set that is walked is the same but for the
    /// rule of [`Self::except_rule`].
    pub(crate) fn remember_rules(&mut self) {
        self.remembered = Some(Remembered::default());
    }

    /// Other rule sets are walked until this is given back to [`Self::take_up`].
    pub(crate) fn set_aside(&mut self) -> Option<Remembered> {
        self.remembered.take()
    }

    /// The rule set of before is walked again.
    pub(crate) fn take_up(&mut self, remembered: Option<Remembered>) {
        self.remembered = remembered;
    }

    /// This rule is another one for the time being.
    pub(crate) fn except_rule(&mut self, rule: Option<(TableName, RuleAt)>) {
        if let Some(remembered) = &mut self.remembered {
            remembered.except = rule;
        }
    }
}

/// Packets that the rule at a place matches, by what they are now.
pub(super) fn matched_at(
    space: &mut Space,
    (at, rule): ((TableName, RuleAt), &Rule),
    now: &Current,
    places: &mut Places,
) -> Result<Packets> {
    let remembered = space.remembered.as_ref().filter(|all| all.except != Some(at));
    if let Some(known) = remembered.and_then(|all| all.rules.get(&at))
        && known.holds(space, now)
    {
        return Ok(known.packets.clone());
    }
    let may_remember = remembered.is_some_and(|all| !all.rules.contains_key(&at));
    let packets = matched(space, rule, now, places)?;
    if may_remember && !is_opaque(rule) {
        let (mut fields, mut is_named) = (BTreeSet::new(), false);
        fields_of(&PacketSet::of_rule(rule), &mut fields, &mut is_named);
        let asks_out = rule.header.out_interface.is_some();
        let asks = Asks { packets: packets.clone(), fields, is_named, asks_out };
        if asks.holds(space, now)
            && let Some(all) = &mut space.remembered
        {
            all.rules.insert(at, asks);
        }
    }
    Ok(packets)
}

impl Asks {
    /// Whether all that it looks at is as it came in.
    fn holds(&self, space: &Space, now: &Current) -> bool {
        let changed = |field: &Field| now.changes(space, Group::Field(*field));
        !(self.fields.iter().any(changed)
            || self.is_named && now.is_seen_otherwise()
            || self.asks_out && now.is_before_routing())
    }
}

fn fields_of(set: &PacketSet, fields: &mut BTreeSet<Field>, is_named: &mut bool) {
    match set {
        PacketSet::In(field, _) | PacketSet::Bits(field, ..) => {
            fields.insert(*field);
        }
        PacketSet::All(sets) | PacketSet::Any(sets) => {
            sets.iter().for_each(|set| fields_of(set, fields, is_named));
        }
        PacketSet::Named(_) => *is_named = true,
        PacketSet::Interface(..) | PacketSet::Opaque => {}
    }
}

/// Packets that a rule matches, by what they are now.
pub(super) fn matched(
    space: &mut Space,
    rule: &Rule,
    now: &Current,
    places: &mut Places,
) -> Result<Packets> {
    let mut all = compile(space, &PacketSet::of_header(&rule.header), now, "")?;
    for one in &rule.matches {
        let set = one.packet_set();
        let place = places.of_match(one.as_ref(), &set);
        all = all.and(&compile(space, &set, now, &place)?)?;
    }
    Ok(all)
}

/// What each rule of a chain asks for, of packets as they came in, whoever comes to it: with the same unknowns as
/// [`super::chain::walk`] has for them.
pub fn asked(space: &mut Space, table: &Table, index: ChainIndex) -> Result<Vec<Packets>> {
    let Some(chain) = table.chain(index) else { return Ok(Vec::new()) };
    let mut places = Places::new(table.name, &chain.name);
    let mut all = Vec::with_capacity(chain.rules.len());
    for rule in &chain.rules {
        all.push(matched(space, rule, &Current::default(), &mut places)?);
        places.pass_over_target(rule);
    }
    Ok(all)
}

/// Whether a rule asks a match that counts, draws, or looks at what other packets have left behind.
#[must_use]
pub fn is_opaque(rule: &Rule) -> bool {
    rule.matches.iter().any(|one| has_opaque(&one.packet_set()))
}

fn has_opaque(set: &PacketSet) -> bool {
    match set {
        PacketSet::Opaque => true,
        PacketSet::All(sets) | PacketSet::Any(sets) => sets.iter().any(has_opaque),
        PacketSet::In(..)
        | PacketSet::Bits(..)
        | PacketSet::Interface(..)
        | PacketSet::Named(_) => false,
    }
}
