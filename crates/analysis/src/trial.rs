//! One packet through the tables of a way, by the engine's own evaluator, with the state that it is to have
//! and with the answers that matches are to give which no packet decides.
//!
//! What the algebra claims of a set is tried on a packet of it here before it is told; and once more, with the
//! packets before it that make its state, by an engine with the same rules (`Trial::confirms`).

mod history;
mod player;

pub(crate) use history::{History, histories};
pub(crate) use player::Heard;

use crate::algebra::chain::{self, Current, RuleAt};
use crate::algebra::{Example, Space, Way, way};
use crate::copy::copy;
use keepstate_conntrack::table::Template;
use keepstate_conntrack::{CtState, Hook, Sysctls, Table as Connections, Tracked};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed, rewrite};
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::evaluate::{
    self, AddressType, Decision, HostFacts, Looked, Recorder, State, Stores, TableState, Traversal,
};
use keepstate_ruleset::explain::Pieces;
use keepstate_ruleset::matches::Match;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{ChainIndex, Jump, Rule, Ruleset, Table, TableName};
use keepstate_ruleset::needs::Needs;
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::{Answer, Verdict};
use player::Player;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// A rule set whose rules can be tried one packet at a time.
#[derive(Debug)]
pub struct Trial {
    ruleset: Ruleset,
    assumed: Vec<Assumption>,
    /// Made when it is first asked.
    player: RefCell<Asked>,
    /// The rule that matches nothing now.
    gone: Option<(TableName, RuleAt)>,
}

/// The engine that confirms.
#[derive(Debug)]
enum Asked {
    NotYet,
    /// Its rules cannot be read back.
    Never,
    Of(Box<Player>),
}

/// What a match that no packet decides is to say.
#[derive(Debug)]
struct Assumption {
    /// As [`chain`] names it; empty where it says the same wherever it stands.
    place: String,
    text: String,
    set: PacketSet,
    says: Arc<AtomicU8>,
}

const ASK: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

/// A match whose answer can be said beforehand.
#[derive(Debug)]
struct Assumed {
    own: Box<dyn Match>,
    says: Arc<AtomicU8>,
}

impl Match for Assumed {
    fn name(&self) -> &'static str {
        self.own.name()
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        match self.says.load(Ordering::Relaxed) {
            YES => Answer::Yes,
            NO => Answer::No,
            _ => self.own.matches(traversal, state),
        }
    }

    fn initial(&self) -> State {
        self.own.initial()
    }

    fn need(&self, needs: &mut Needs) {
        self.own.need(needs);
    }

    fn declare(&self, stores: &mut Stores, family: Family) {
        self.own.declare(stores, family);
    }

    fn fact(&self) -> &'static str {
        self.own.fact()
    }

    fn print(&self, out: &mut String) {
        self.own.print(out);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        self.own.list(out, numeric);
    }

    fn packet_set(&self) -> PacketSet {
        self.own.packet_set()
    }

    fn explain(&self, out: &mut Pieces) {
        self.own.explain(out);
    }
}

/// A rule, or the end of a chain: its table, the hook, its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Hook.
    pub hook: Hook,
    /// Table.
    pub table: TableName,
    /// The rule.
    pub at: RuleAt,
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// ACCEPT: it came to the end of its way.
    pub verdict: Verdict,
    /// Who decided in each table, in order; the last is who ended it, if anybody did.
    pub decided: Vec<Decided>,
    /// Rules that it matched, in order.
    pub matched: Vec<Decided>,
    /// What tracking said of it, a bit of [`ct::state_bit`].
    pub state: u8,
    /// Its mark behind each hook.
    pub marks: Vec<(Hook, u32)>,
    /// Its time to live or hop limit by the end.
    pub ttl: u8,
    /// Its type of service or traffic class by the end.
    pub tos: u8,
}

impl Ran {
    /// Who decided in a table at a hook.
    #[must_use]
    pub fn decided_in(&self, hook: Hook, table: TableName) -> Option<Decided> {
        self.decided.iter().copied().find(|one| (one.hook, one.table) == (hook, table))
    }
}

#[derive(Debug)]
struct Nowhere;

impl HostFacts for Nowhere {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }

    /// Without one, REDIRECT would drop every packet: the host is where the packet goes.
    fn own_address(&self, packet: &Parsed) -> Option<Address> {
        Some(packet.destination)
    }
}

#[derive(Default)]
struct Matched(Vec<RuleAt>);

impl Recorder for Matched {
    fn rule(&mut self, looked: Looked<'_>, _: &Traversal<'_>) {
        if looked.failed.is_none() {
            self.0.push(RuleAt { chain: looked.chain, number: looked.number });
        }
    }
}

/// When packets come.
const NOW: Instant = Instant(1_700_000_000_000_000_000);
/// Bytes behind the packet that targets which add to it may use.
const SPARE: usize = 64;
/// Between two packets.
const APART: Duration = Duration::from_millis(10);

/// Has every match that no packet decides say what is assumed of it.
fn wrap(ruleset: &mut Ruleset) -> Vec<Assumption> {
    let mut assumed = Vec::new();
    for table in &mut ruleset.tables {
        for chain in &mut table.chains {
            let mut places = chain::Places::new(table.name, &chain.name);
            for rule in &mut chain.rules {
                for one in &mut rule.matches {
                    let set = one.packet_set();
                    let place = places.of_match(one.as_ref(), &set);
                    if is_plain(&set) {
                        continue;
                    }
                    let says = Arc::new(AtomicU8::new(ASK));
                    let text = chain::text_of(one.as_ref());
                    let own = std::mem::replace(one, Box::new(Never));
                    *one = Box::new(Assumed { own, says: Arc::clone(&says) });
                    assumed.push(Assumption { place, text, set, says });
                }
                if let Jump::Target(target) = &rule.target {
                    let _ = places.of_target(target.as_ref());
                }
            }
        }
    }
    assumed
}

/// Has them say what the example says.
fn assume(assumed: &[Assumption], space: &mut Space, example: &Example) {
    let mut known: BTreeMap<&str, u8> = BTreeMap::new();
    for one in assumed {
        let name = if one.place.is_empty() { &one.text } else { &one.place };
        if let Some(says) = known.get(name.as_str()) {
            one.says.store(*says, Ordering::Relaxed);
            continue;
        }
        let set = chain::compile(space, &one.set, &Current::default(), &one.place);
        // Unknowns that were new just now say no: no claim hangs on them.
        let says = match set {
            Ok(set) if space.contains(&set, &space.values(example)) => YES,
            Ok(_) => NO,
            Err(_) => ASK,
        };
        known.insert(name, says);
        one.says.store(says, Ordering::Relaxed);
    }
}

/// Nothing is assumed of them.
fn assume_nothing(assumed: &[Assumption]) {
    assumed.iter().for_each(|one| one.says.store(ASK, Ordering::Relaxed));
}

impl Trial {
    /// Takes a rule set.
    #[must_use]
    pub fn new(mut ruleset: Ruleset) -> Self {
        let assumed = wrap(&mut ruleset);
        Self { ruleset, assumed, player: RefCell::new(Asked::NotYet), gone: None }
    }

    /// The rule set.
    #[must_use]
    pub const fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Has a rule match nothing; with `None` all are as they were.
    pub(crate) fn take_away(&mut self, rule: Option<(TableName, RuleAt)>) {
        if let Some((table, at)) = self.gone.take()
            && let Some(rule) = rule_mut(&mut self.ruleset, table, at)
        {
            rule.matches.pop();
        }
        if let Asked::Of(player) = self.asked() {
            player.without(rule);
        }
        if let Some((table, at)) = rule
            && let Some(rule) = rule_mut(&mut self.ruleset, table, at)
        {
            rule.matches.push(Box::new(Never));
            self.gone = Some((table, at));
        }
    }

    /// The engine with these rules; asked before a rule is taken away, for that one cannot be copied.
    fn asked(&mut self) -> &Asked {
        let asked = self.player.get_mut();
        if matches!(asked, Asked::NotYet) {
            *asked = made(&self.ruleset);
        }
        asked
    }

    /// Whether an engine with these rules, which has seen the packets before it, says the same of a packet.
    pub(crate) fn confirms(
        &self,
        space: &mut Space,
        (way, example): (Way, &Example),
        history: &History,
        ran: &Ran,
    ) -> Heard {
        let Some(bytes) = history.bytes() else { return Heard::Nothing };
        let mut asked = self.player.borrow_mut();
        if matches!(*asked, Asked::NotYet) {
            *asked = made(&self.ruleset);
        }
        match &mut *asked {
            Asked::Of(player) => player.hears(space, (way, example), (history, &bytes), ran),
            Asked::NotYet | Asked::Never => Heard::Nothing,
        }
    }

    /// Whether a packet fares so in an engine that has just begun, where nothing is assumed of matches that no packet
    /// decides.
    pub(crate) fn shows_by_itself(
        &self,
        (way, example): (Way, &Example),
        history: &History,
        ran: &Ran,
    ) -> bool {
        let Some(bytes) = history.bytes() else { return false };
        match &mut *self.player.borrow_mut() {
            Asked::Of(player) => player.shows_by_itself((way, example), (history, &bytes), ran),
            Asked::NotYet | Asked::Never => false,
        }
    }

    /// Sends a packet with these bytes through the tables of a way: it has the state and the mark, and comes and
    /// leaves by the interfaces, that the example says, and matches which no packet decides say what it says.
    ///
    /// # Errors
    /// When the bytes are no packet.
    pub fn run(&self, space: &mut Space, way: Way, example: &Example, bytes: &[u8]) -> Option<Ran> {
        assume(&self.assumed, space, example);
        let mut passing = Passing {
            parsed: Parsed::new(bytes).ok()?,
            bytes: bytes.iter().copied().chain([0; SPARE]).collect(),
            mark: example.mark,
            template: Template::default(),
            interfaces: [&example.in_interface, &example.out_interface]
                .map(|name| name.as_deref().and_then(InterfaceName::new)),
            state: state_of(example.state),
            tracked: None,
            is_first: example.is_first_of_connection(),
            connections: Connections::new([1, 2], Sysctls { max: 64, ..Sysctls::default() }),
            stores: Stores::default(),
        };
        passing.stores.declare(std::iter::once(&self.ruleset));
        let mut ran = Ran {
            verdict: Verdict::Accept,
            decided: Vec::new(),
            matched: Vec::new(),
            state: ct::INVALID,
            marks: Vec::new(),
            ttl: 0,
            tos: 0,
        };
        'way: for hook in way.hooks() {
            if *hook == Hook::Forward {
                // Between the two a router takes a hop; what routing refuses for it is not asked here.
                let left = passing.parsed.ttl.saturating_sub(1);
                rewrite::set_ttl(&mut passing.parsed, &mut passing.bytes, left);
            }
            for name in way::tables(*hook) {
                passing.track(*hook, name);
                ran.state = ct::state_bit(passing.tracked.as_ref());
                let Some(table) = self.ruleset.table(name) else { continue };
                if name == TableName::Nat && !passing.is_first {
                    continue;
                }
                passing.walk(table, *hook, &mut ran);
                if ran.verdict != Verdict::Accept {
                    break 'way;
                }
            }
            ran.marks.push((*hook, passing.mark));
        }
        (ran.ttl, ran.tos) = (passing.parsed.ttl, passing.parsed.tos);
        Some(ran)
    }
}

fn made(ruleset: &Ruleset) -> Asked {
    copy(ruleset).map_or(Asked::Never, |ruleset| Asked::Of(Box::new(Player::new(ruleset))))
}

fn rule_mut(ruleset: &mut Ruleset, table: TableName, at: RuleAt) -> Option<&mut Rule> {
    let table = ruleset.tables.iter_mut().find(|one| one.name == table)?;
    table.chains.get_mut(at.chain.0 as usize)?.rules.get_mut(at.number as usize)
}

/// A match that no packet fits: a rule with it is as good as not there, and keeps its number.
#[derive(Debug)]
pub(crate) struct Never;

impl Match for Never {
    fn name(&self) -> &'static str {
        "never"
    }

    fn matches(&self, _: &mut Traversal<'_>, _: &mut State) -> Answer {
        Answer::No
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::Any(Vec::new())
    }

    fn print(&self, _: &mut String) {}

    fn list(&self, _: &mut String, _: bool) {}

    fn explain(&self, _: &mut Pieces) {}
}

/// Whether fields say all.
fn is_plain(set: &PacketSet) -> bool {
    match set {
        PacketSet::Named(_) | PacketSet::Opaque => false,
        PacketSet::All(sets) | PacketSet::Any(sets) => sets.iter().all(is_plain),
        PacketSet::In(..) | PacketSet::Bits(..) | PacketSet::Interface(..) => true,
    }
}

/// A packet on its way.
struct Passing {
    parsed: Parsed,
    bytes: Vec<u8>,
    mark: u32,
    template: Template,
    interfaces: [Option<InterfaceName>; 2],
    state: CtState,
    tracked: Option<Tracked>,
    is_first: bool,
    connections: Connections,
    stores: Stores,
}

impl Passing {
    /// Tracking has its turn behind table raw of the first hook.
    fn track(&mut self, hook: Hook, next: TableName) {
        let tracks = matches!(hook, Hook::Prerouting | Hook::Output) && next != TableName::Raw;
        if tracks && self.tracked.is_none() {
            if self.template.notrack {
                self.state = CtState::Untracked;
                self.is_first = false;
            }
            self.tracked = Some(Tracked { state: self.state, ..Tracked::UNTRACKED });
        }
    }

    fn walk(&mut self, table: &Table, hook: Hook, ran: &mut Ran) {
        let [incoming, outgoing] = &self.interfaces;
        let has_out = matches!(hook, Hook::Forward | Hook::Output | Hook::Postrouting);
        let template = Tracked { state: CtState::Untracked, ..Tracked::UNTRACKED };
        let attached = self.template.notrack.then_some(&template);
        let mut log = Vec::new();
        let mut matched = Matched::default();
        let mut traversal = Traversal {
            now: NOW,
            hook,
            in_interface: incoming.as_ref(),
            out_interface: outgoing.as_ref().filter(|_| has_out),
            packet: &mut self.parsed,
            bytes: &mut self.bytes,
            link: LinkInfo::default(),
            frame: None,
            mark: self.mark,
            secmark: 0,
            priority: 0,
            traced: false,
            verified: true,
            unfinished: &mut None,
            tracked: self.tracked.as_ref().or(attached),
            template: &mut self.template,
            conntrack: &mut self.connections,
            host: &Nowhere,
            stores: &mut self.stores,
            log: &mut log,
            unknown: None,
        };
        let mut state = TableState::new(table);
        let (verdict, decision) =
            evaluate::evaluate(table, &mut state, &mut traversal, &mut matched);
        self.mark = traversal.mark;
        let place = |at| Decided { hook, table: table.name, at };
        ran.matched.extend(matched.0.into_iter().map(place));
        let at = decision.map(|decision| place_of(table, decision));
        ran.decided.extend(at.map(place));
        ran.verdict = verdict;
        if let (TableName::Nat, Some(at)) = (table.name, at) {
            self.translate(table, at);
        }
    }

    /// What the rule of table nat writes, as far as it is one value.
    fn translate(&mut self, table: &Table, at: RuleAt) {
        let rule = rule_at(table, at);
        let Some(Jump::Target(target)) = rule.map(|rule| &rule.target) else { return };
        for change in target.effect().writes {
            if let Change::Among(field, ranges) = change
                && let [(low, high)] = ranges.as_slice()
                && low == high
            {
                self.put(field, *low);
            }
        }
        let end = self.bytes.len().saturating_sub(SPARE);
        if let Some(Ok(parsed)) = self.bytes.get(..end).map(Parsed::new) {
            self.parsed = parsed;
        }
    }

    fn put(&mut self, field: Field, value: u128) {
        let v4 = self.parsed.family == Family::V4;
        let l4 = self.parsed.l4_offset as usize;
        let octets = value.to_be_bytes();
        let (at, new) = match (field, v4) {
            (Field::Source, true) => (12, octets.get(..4)),
            (Field::Destination, true) => (16, octets.get(..4)),
            (Field::Source, false) => (8, octets.get(..)),
            (Field::Destination, false) => (24, octets.get(..)),
            (Field::SourcePort, _) => (l4, octets.get(14..)),
            (Field::DestinationPort, _) => (l4 + 2, octets.get(14..)),
            _ => return,
        };
        let new = new.unwrap_or_default();
        if let Some(place) = self.bytes.get_mut(at..at + new.len()) {
            place.copy_from_slice(new);
        }
    }
}

fn state_of(bit: u8) -> CtState {
    match bit {
        ct::NEW => CtState::New,
        ct::ESTABLISHED => CtState::Established,
        ct::RELATED => CtState::Related,
        ct::UNTRACKED => CtState::Untracked,
        _ => CtState::Invalid,
    }
}

/// The place of a decision; the end of a chain has the number behind its last rule.
fn place_of(table: &Table, decision: Decision) -> RuleAt {
    match decision {
        Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule } => {
            RuleAt { chain, number: rule }
        }
        Decision::Policy { chain } => RuleAt { chain, number: length_of(table, chain) },
    }
}

fn length_of(table: &Table, chain: ChainIndex) -> u32 {
    let rules = table.chain(chain).map_or(0, |chain| chain.rules.len());
    u32::try_from(rules).unwrap_or(u32::MAX)
}

fn rule_at(table: &Table, at: RuleAt) -> Option<&Rule> {
    table.chain(at.chain)?.rules.get(at.number as usize)
}
