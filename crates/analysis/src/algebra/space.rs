//! The variables of the diagrams, and the sets that they make.

use super::near::near;
pub use super::packets::{Exhausted, Packets, Result};
use super::places::Remembered;
use super::stretches::{self, Apart, Stretches, is_address};
use super::telling::Telling;
use keepstate_packet::Family;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{InterfacePattern, Inverted, Ruleset};
use keepstate_ruleset::packet_set::{Field, PacketSet, Ranges};
use oxidd::bcdd::{BCDDFunction, BCDDManagerRef, new_manager};
use oxidd::{BooleanFunction, BooleanFunctionQuant, Manager, ManagerRef, VarNo};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Most nodes of all diagrams of a space; a question that needs more is answered by [`Exhausted`].
pub const NODES_MAX: usize = 24 << 20;
/// Most times that nodes which nothing needs any more are cleared away, which is done when their room is full: this
/// bounds the work of a space, as [`NODES_MAX`] bounds its memory.
pub const CLEARINGS_MAX: u64 = 24;
/// Results that are kept for the next operation.
const CACHE: usize = 1 << 21;
/// The bit of [`Unknown::Written`] that stands for the whole of what is written: whether it is what it was.
pub(super) const MARKER: u32 = u32::MAX;
/// The bits of [`Unknown::Written`] from this one on choose an address.
pub const ADDRESS_BITS: u32 = 1 << 16;
/// Most named unknowns of a space.
pub const UNKNOWNS_MAX: usize = 60_000;

/// The interfaces that patterns can tell apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interface {
    /// No interface: what the host itself sends came in by none, and what is for it leaves by none.
    None,
    /// The one of this name.
    Named(String),
    /// One whose name begins like this, and is none of the others that are told apart.
    Beginning(String),
    /// Any other.
    Other,
}

/// A condition that is no matter of fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unknown {
    /// A match that looks at nothing but the packet and what stays the same on its way: one with the same
    /// text says the same, until something in between has changed the packet; then it is another unknown,
    /// by number.
    Named(String, u32),
    /// A match that counts, draws, or looks at what other packets have left behind; where it stands.
    Opaque(String),
    /// Bits of what a target has made of a field: the target, and which bit. Of an address they are bits of a number
    /// that stands for it, counted from [`ADDRESS_BITS`] on.
    Written(String, u32),
    /// The packet is the first of a connection that a helper announced, so that table nat is asked.
    FirstOfRelated,
}

/// A field or a side, as a group of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// `-i`, a number of [`Space::interfaces`].
    In,
    /// `-o`, the same.
    Out,
    /// A field.
    Field(Field),
}

/// All that the packets of one family can be, as far as rules look at it.
pub struct Space {
    family: Family,
    manager: BCDDManagerRef,
    /// First variable and number of variables of each group, most significant first.
    groups: BTreeMap<Group, (VarNo, u32)>,
    interfaces: Vec<Interface>,
    /// Addresses as diagrams have them; none: they are bits.
    pub(super) stretches: Option<Stretches>,
    unknowns: Vec<Unknown>,
    /// The variable of each.
    unknown_variables: Vec<VarNo>,
    unknown_index: HashMap<Unknown, VarNo>,
    /// Variables that are kept for named unknowns, and the first of them with their number.
    near: BTreeMap<String, VarNo>,
    near_variables: (VarNo, u32),
    /// Behind the last variable of a field.
    fields_end: VarNo,
    variables: u32,
    /// Diagrams in the order of telling, where that is another one.
    telling: OnceCell<Telling>,
    /// What examples are like.
    pub(super) liked: OnceCell<Vec<Packets>>,
    /// Most nodes, and at how many it is cleared.
    nodes: usize,
    clear_at: Cell<usize>,
    every: Packets,
    /// By group: how many unknowns there were, and all variables but those of the group.
    beside: RefCell<BTreeMap<Group, (usize, Packets)>>,
    /// What holds of unknowns: values that targets may not write.
    pub(super) assumed: Packets,
    /// Numbers for what targets write, by place and the how manieth time of a walk.
    numbers: BTreeMap<(String, u32), u32>,
    /// How often each place has been written at since [`Self::begin_again`].
    written: BTreeMap<String, u32>,
    /// What rules ask for, where only copies of one rule set are walked.
    pub(super) remembered: Option<Remembered>,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("family", &self.family)
            .field("interfaces", &self.interfaces)
            .field("unknowns", &self.unknowns)
            .finish_non_exhaustive()
    }
}

/// The order of the groups in the diagrams, first what many rules ask together.
fn order(address: u32, interface_bits: u32) -> Vec<(Group, u32)> {
    let fields = [
        (Field::State, STATE_BITS),
        (Field::Protocol, 8),
        (Field::LaterFragment, 1),
        (Field::Destination, address),
        (Field::Source, address),
        (Field::DestinationPort, 16),
        (Field::SourcePort, 16),
        (Field::Icmp, 16),
        (Field::TcpFlags, 8),
        (Field::Mark, 32),
        (Field::Length, 32),
        (Field::Ttl, 8),
        (Field::Tos, 8),
    ];
    let sides = [(Group::In, interface_bits), (Group::Out, interface_bits)];
    let fields = fields.into_iter().map(|(field, bits)| (Group::Field(field), bits));
    sides.into_iter().chain(fields).collect()
}

/// The states by number; a rule asks for them by bit.
pub const STATES: [(u8, &str); 5] = [
    (ct::NEW, "NEW"),
    (ct::ESTABLISHED, "ESTABLISHED"),
    (ct::RELATED, "RELATED"),
    (ct::INVALID, "INVALID"),
    (ct::UNTRACKED, "UNTRACKED"),
];
const STATE_BITS: u32 = 3;

impl Space {
    /// The space of these rule sets; the unknowns come as they are met.
    pub fn new<'a>(
        family: Family,
        rulesets: impl IntoIterator<Item = &'a Ruleset>,
    ) -> Result<Self> {
        Self::with_nodes(family, rulesets, NODES_MAX)
    }

    /// The same with another limit on nodes.
    pub fn with_nodes<'a>(
        family: Family,
        rulesets: impl IntoIterator<Item = &'a Ruleset>,
        nodes: usize,
    ) -> Result<Self> {
        Self::apart(rulesets, Apart::new(family), nodes)
    }

    /// The space of these rule sets in which questions name more addresses than rules do.
    pub fn apart<'a>(
        rulesets: impl IntoIterator<Item = &'a Ruleset>,
        mut apart: Apart,
        nodes: usize,
    ) -> Result<Self> {
        let rulesets: Vec<&Ruleset> = rulesets.into_iter().collect();
        rulesets.iter().for_each(|ruleset| apart.add_ruleset(ruleset));
        let (family, stretches) = (apart.family(), apart.stretches());
        let near = stretches.as_ref().map(|all| near(family, &rulesets, all)).unwrap_or_default();
        let interfaces = interfaces(rulesets);
        let bits = u32::BITS - (interfaces.len() as u32).saturating_sub(1).leading_zeros();
        let address = stretches.as_ref().map_or_else(|| stretches::width(family), Stretches::bits);
        let manager = new_manager(nodes, CACHE.min(nodes), 1);
        let mut groups = BTreeMap::new();
        let (mut first, mut first_near) = (0, 0);
        for (group, bits) in order(address, bits) {
            groups.insert(group, (first, bits));
            first += bits;
            if group == Group::Field(Field::Source) {
                first_near = first;
                first += near.len() as u32;
            }
        }
        let near_variables = (first_near, near.len() as u32);
        manager.with_manager_exclusive(|manager| manager.add_vars(first));
        let every = Packets(manager.with_manager_shared(|m| BCDDFunction::t(m)));
        let mut space = Self {
            family,
            manager,
            groups,
            interfaces,
            stretches,
            unknowns: Vec::new(),
            unknown_variables: Vec::new(),
            unknown_index: HashMap::new(),
            near: near.into_iter().zip(first_near..).collect(),
            near_variables,
            fields_end: first,
            variables: first,
            telling: OnceCell::new(),
            liked: OnceCell::new(),
            assumed: every.clone(),
            nodes,
            clear_at: Cell::new(nodes / 4 * 3),
            every,
            beside: RefCell::default(),
            numbers: BTreeMap::new(),
            written: BTreeMap::new(),
            remembered: None,
        };
        space.every = space.possible()?;
        Ok(space)
    }

    /// Numbers that stand for nothing are left out.
    fn possible(&self) -> Result<Packets> {
        let last = (self.interfaces.len() as u128).saturating_sub(1);
        let states = STATES.len() as u128 - 1;
        let mut every = self.all_of(Group::Field(Field::State), &[(0, states)])?;
        for side in [Group::In, Group::Out] {
            every = every.and(&self.all_of(side, &[(0, last)])?)?;
        }
        Ok(every)
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Every packet that can be.
    #[must_use]
    pub fn every(&self) -> Packets {
        self.every.clone()
    }

    /// No packet.
    #[must_use]
    pub fn none(&self) -> Packets {
        Packets(self.manager.with_manager_shared(|manager| BCDDFunction::f(manager)))
    }

    /// The interfaces told apart, by their number in [`Group::In`] and [`Group::Out`].
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The unknowns met so far.
    #[must_use]
    pub fn unknowns(&self) -> &[Unknown] {
        &self.unknowns
    }

    /// The groups with the number of their first variable and how many there are.
    #[must_use]
    pub const fn groups(&self) -> &BTreeMap<Group, (VarNo, u32)> {
        &self.groups
    }

    pub(crate) fn known_variable(&self, unknown: &Unknown) -> Option<VarNo> {
        self.unknown_index.get(unknown).copied()
    }

    /// The variables of [`Self::unknowns`].
    pub(super) fn unknown_variables(&self) -> &[VarNo] {
        &self.unknown_variables
    }

    /// How many variables there are.
    pub(super) const fn variables(&self) -> u32 {
        self.variables
    }

    /// Behind the last variable of a field.
    pub(super) const fn fields_end(&self) -> VarNo {
        self.fields_end
    }

    /// Where unknowns stand between fields: the first variable, and how many.
    pub(super) const fn near_variables(&self) -> (VarNo, u32) {
        self.near_variables
    }

    /// Diagrams in the order of telling; `None` where the diagrams have it already.
    pub(super) fn telling(&self) -> Option<&Telling> {
        let make = || Telling::new(&self.groups, self.near_variables, self.nodes);
        (self.near_variables.1 > 0).then(|| self.telling.get_or_init(make))
    }

    /// Clears away what nothing needs any more, where much has been made since the last time: in good time, for an
    /// operation that finds no room has to be done again.
    fn clear(&self) {
        self.manager.with_manager_shared(|manager| {
            if manager.approx_num_inner_nodes() > self.clear_at.get() {
                manager.gc();
                let left = self.nodes.saturating_sub(manager.num_inner_nodes());
                self.clear_at.set(self.nodes - left / 4);
            }
        });
    }

    /// One variable as a set. Every formula is made of these: here it is seen that a question has taken enough work.
    pub(crate) fn variable(&self, variable: VarNo) -> Result<Packets> {
        self.manager.with_manager_shared(|manager| {
            if manager.gc_count() > CLEARINGS_MAX {
                return Err(Exhausted);
            }
            Ok(Packets(BCDDFunction::var(manager, variable)?))
        })
    }

    /// The variable of an unknown, made where it is new.
    pub(super) fn unknown_variable(&mut self, unknown: Unknown) -> Result<VarNo> {
        if let Some(known) = self.unknown_index.get(&unknown) {
            return Ok(*known);
        }
        if self.unknowns.len() >= UNKNOWNS_MAX {
            return Err(Exhausted);
        }
        let kept = match &unknown {
            Unknown::Named(text, 0) => self.near.get(text).copied(),
            _ => None,
        };
        let variable = kept.unwrap_or_else(|| {
            self.variables += 1;
            self.manager.with_manager_exclusive(|manager| manager.add_vars(1)).start
        });
        self.unknowns.push(unknown.clone());
        self.unknown_variables.push(variable);
        self.unknown_index.insert(unknown, variable);
        Ok(variable)
    }

    /// The packets of which an unknown says yes.
    pub fn unknown(&mut self, unknown: Unknown) -> Result<Packets> {
        let variable = self.unknown_variable(unknown)?;
        self.variable(variable)
    }

    /// Another rule set is walked, or the same once more: what a target of the same text in the same place
    /// writes is then the same unknown as before.
    pub(super) fn begin_again(&mut self) {
        self.written.clear();
    }

    /// A number for what a target writes that is not told.
    pub(super) fn next_written(&mut self, place: &str) -> u32 {
        let count = self.written.entry(place.to_string()).or_default();
        *count += 1;
        let next = self.numbers.len() as u32 + 1;
        *self.numbers.entry((place.to_string(), *count)).or_insert(next)
    }

    /// Packets whose group has a value in one of the ranges, both ends included. Addresses are told apart only where
    /// rules do, or [`Apart`] says so.
    pub fn all_of(&self, group: Group, ranges: &[(u128, u128)]) -> Result<Packets> {
        let bits = self.bits(group)?;
        self.among(&bits, &self.coded(group, ranges)?)
    }

    /// Packets with a field, as formulas have it, in one of the ranges.
    pub fn fielded(&self, field: Field, ranges: &Ranges) -> Result<Packets> {
        self.all_of(Group::Field(field), &self.ranges(field, ranges))
    }

    /// The variables of a group, most significant first.
    pub(super) fn bits(&self, group: Group) -> Result<Vec<Packets>> {
        self.clear();
        let (first, count) = self.groups.get(&group).copied().unwrap_or_default();
        (first..first + count).map(|variable| self.variable(variable)).collect()
    }

    /// Where the number that these bits make lies in one of the ranges.
    pub(super) fn among(&self, bits: &[Packets], ranges: &[(u128, u128)]) -> Result<Packets> {
        let mut any = self.none();
        for (low, high) in ranges {
            any = any.or(&self.between(bits, *low, *high)?)?;
        }
        Ok(any)
    }

    fn between(&self, bits: &[Packets], low: u128, high: u128) -> Result<Packets> {
        let all = self.all();
        let (mut above, mut below) = (all.clone(), all);
        for (place, bit) in bits.iter().rev().enumerate() {
            let of = |number: u128| number.checked_shr(place as u32).unwrap_or(0) & 1 == 1;
            // At least `low`: a bit that is set beats one that is not.
            above = if of(low) { bit.and(&above)? } else { bit.or(&above)? };
            let not = bit.others()?;
            below = if of(high) { not.or(&below)? } else { not.and(&below)? };
        }
        above.and(&below)
    }

    /// Where the bits of a number under a mask are these.
    pub(super) fn masked(&self, bits: &[Packets], mask: u128, value: u128) -> Result<Packets> {
        let mut all = self.all();
        for (place, bit) in bits.iter().rev().enumerate() {
            let of = |number: u128| number >> place & 1 == 1;
            if of(mask) {
                all = if of(value) { all.and(bit)? } else { all.less(bit)? };
            }
        }
        // A bit that the mask takes away, or that no value of the field has, is never set.
        let width = bits.len() as u32;
        let never = u128::MAX.checked_shl(width).unwrap_or(0) | !mask;
        Ok(if never & value == 0 { all } else { self.none() })
    }

    /// Packets out of a set that is told by a field of the upper-layer header: of IPv6 a later fragment has none, of
    /// IPv4 rules take its first bytes for one.
    pub(super) fn with_header(&self, field: Field, found: Packets) -> Result<Packets> {
        let of_header = [Field::SourcePort, Field::DestinationPort, Field::TcpFlags];
        match self.family == Family::V6 && of_header.contains(&field) {
            true => found.and(&self.all_of(Group::Field(Field::LaterFragment), &[(0, 0)])?),
            false => Ok(found),
        }
    }

    /// A number of a field as the diagrams have it: IPv4 addresses without the bits that they leave empty,
    /// states by number.
    pub(super) fn number(&self, field: Field, value: u128) -> u128 {
        match (field, self.family) {
            (Field::Source | Field::Destination, Family::V4) => value >> 96,
            _ => value,
        }
    }

    pub(super) fn ranges(&self, field: Field, ranges: &Ranges) -> Vec<(u128, u128)> {
        if field == Field::State {
            let asked = |bit: u8| {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&u128::from(bit)))
            };
            let found = STATES.iter().enumerate().filter(|(_, (bit, _))| asked(*bit));
            return found.map(|(at, _)| (at as u128, at as u128)).collect();
        }
        if is_address(field) { stretches::numbers(self.family, ranges) } else { ranges.clone() }
    }

    /// The numbers of interfaces that a pattern takes.
    #[must_use]
    pub fn interface_ranges(&self, wanted: &Inverted<InterfacePattern>) -> Vec<(u128, u128)> {
        let (text, whole) = pattern_text(&wanted.value);
        let takes = |interface: &Interface| match interface {
            Interface::None => !whole && text.is_empty(),
            Interface::Named(name) => {
                if whole {
                    *name == text
                } else {
                    name.starts_with(&text)
                }
            }
            Interface::Beginning(name) => !whole && name.starts_with(&text),
            Interface::Other => !whole && text.is_empty(),
        };
        let found = self.interfaces.iter().enumerate();
        let found = found.filter(|(_, interface)| takes(interface) != wanted.inverted);
        found.map(|(at, _)| (at as u128, at as u128)).collect()
    }

    /// The number of the interface of this name; of none for an empty one.
    #[must_use]
    pub fn interface_number(&self, name: &str) -> u128 {
        if name.is_empty() {
            return 0;
        }
        let fits = |interface: &Interface| match interface {
            Interface::None => None,
            Interface::Named(own) => (own == name).then_some(usize::MAX),
            Interface::Beginning(own) => name.starts_with(own.as_str()).then_some(own.len()),
            Interface::Other => Some(0),
        };
        let found =
            self.interfaces.iter().enumerate().filter_map(|(at, one)| Some((fits(one)?, at)));
        found.max().map_or(0, |(_, at)| at as u128)
    }

    /// Packets that are in the set whatever the unknowns of [`Unknown::Opaque`], [`Unknown::Written`] and
    /// [`Unknown::FirstOfRelated`] say; [`Unknown::Named`] are left as they are.
    pub fn narrowest(&self, packets: &Packets) -> Result<Packets> {
        self.narrowest_of(packets, is_open)
    }

    /// Packets that are in the set for some value of those unknowns.
    pub fn widest(&self, packets: &Packets) -> Result<Packets> {
        self.widest_of(packets, is_open)
    }

    /// Packets that are in the set whatever these unknowns say.
    pub fn narrowest_of(
        &self,
        packets: &Packets,
        open: impl Fn(&Unknown) -> bool,
    ) -> Result<Packets> {
        let vars = self.variables_of(open)?;
        // Unknowns have only values that can be.
        let given = packets.or(&self.assumed.others()?)?;
        given.every(&vars)?.and(&self.every)
    }

    /// Packets that are in the set for some value of these unknowns.
    pub fn widest_of(&self, packets: &Packets, open: impl Fn(&Unknown) -> bool) -> Result<Packets> {
        let vars = self.variables_of(open)?;
        let given = packets.and(&self.assumed)?;
        given.some(&vars)
    }

    /// Packets that differ from those of the set in these groups at most.
    pub fn forget(&self, packets: &Packets, groups: &[Group]) -> Result<Packets> {
        let ranges = groups.iter().filter_map(|group| self.groups.get(group));
        let cube = self.cube(ranges.flat_map(|(at, count)| *at..at + count).collect())?;
        packets.some(&cube)
    }

    /// Packets of which two bits differ. Where one of them is what a target writes that is not told, no more is said
    /// than that it may differ: to hold such bits against the packet's own would take a diagram for each value.
    pub(crate) fn told_apart(&self, one: &Packets, other: &Packets) -> Result<Packets> {
        let differ = one.differ(other)?;
        if differ.is_empty() {
            return Ok(differ);
        }
        let written = self.variables_of(|unknown| matches!(unknown, Unknown::Written(..)))?;
        let maybe = Packets(differ.and(&self.assumed)?.0.exists(&written.0)?);
        if maybe.and(&self.assumed)? == differ.and(&self.assumed)? {
            return Ok(differ);
        }
        let mut markers = self.none();
        for (unknown, variable) in self.unknowns.iter().zip(self.unknown_variables.iter().copied())
        {
            let Unknown::Written(place, bit) = unknown else { continue };
            let variable = self.variable(variable)?;
            if *bit != MARKER && Packets(differ.0.exists(&variable.0)?) != differ {
                let marker = Unknown::Written(place.clone(), MARKER);
                if let Some(marker) = self.known_variable(&marker) {
                    markers = markers.or(&self.variable(marker)?)?;
                }
            }
        }
        maybe.and(&markers)
    }

    fn variables_of(&self, open: impl Fn(&Unknown) -> bool) -> Result<Packets> {
        let unknowns = self.unknown_variables.iter().copied().zip(&self.unknowns);
        self.cube(unknowns.filter(|(_, unknown)| open(unknown)).map(|(at, _)| at).collect())
    }

    /// All these variables together, as quantifiers want them. From the last to the first, so that each step
    /// adds one node.
    fn cube(&self, mut variables: Vec<VarNo>) -> Result<Packets> {
        variables.sort_unstable();
        let mut all = self.all();
        for variable in variables.into_iter().rev() {
            all = self.variable(variable)?.and(&all)?;
        }
        Ok(all)
    }

    /// Whether a set is another one where an unknown says the opposite.
    pub(crate) fn asks(&self, packets: &Packets, unknown: &Unknown) -> Result<bool> {
        let Some(variable) = self.known_variable(unknown) else { return Ok(false) };
        Ok(packets.some(&self.variable(variable)?)? != *packets)
    }

    /// All variables but those of a group, as quantifiers want them.
    pub(super) fn beside(&self, group: Group) -> Result<Packets> {
        let known = self.beside.borrow().get(&group).cloned();
        if let Some((_, known)) = known.filter(|(count, _)| *count == self.unknowns.len()) {
            return Ok(known);
        }
        let (first, count) = self.groups.get(&group).copied().unwrap_or_default();
        let all = 0..self.variables;
        let all = all.filter(|variable| !(first..first + count).contains(variable));
        let made = self.cube(all.collect())?;
        self.beside.borrow_mut().insert(group, (self.unknowns.len(), made.clone()));
        Ok(made)
    }

    /// Every assignment, also those that stand for no packet.
    pub(crate) fn all(&self) -> Packets {
        Packets(self.manager.with_manager_shared(|manager| BCDDFunction::t(manager)))
    }

    /// Packets like which, in these groups, there is one in the set; unknowns say what they like, but nothing
    /// that cannot be.
    pub fn some_alike(&self, packets: &Packets, groups: &[Group]) -> Result<Packets> {
        let given = self.widest_of(&packets.and(&self.every)?, |_| true)?;
        let others = self.groups.keys().filter(|group| !groups.contains(group));
        self.forget(&given, &others.copied().collect::<Vec<_>>())
    }

    /// Packets like which, in these groups, all of `among` are in the set, whatever unknowns say, and there is
    /// one.
    pub fn all_alike(
        &self,
        packets: &Packets,
        among: &Packets,
        groups: &[Group],
    ) -> Result<Packets> {
        let missing = self.some_alike(&among.less(packets)?, groups)?;
        self.some_alike(among, groups)?.less(&missing)
    }

    /// Whether a set depends on unknowns that [`Self::widest`] takes away.
    pub fn is_bounded_only(&self, packets: &Packets) -> Result<bool> {
        Ok(self.widest(packets)? != self.narrowest(packets)?)
    }

    /// Whether a packet is in the set, by the value of each variable; those that are not there are `false`.
    #[must_use]
    pub fn contains(&self, packets: &Packets, values: &[bool]) -> bool {
        let given = values.iter().copied().chain(std::iter::repeat(false));
        packets.0.eval((0..self.variables).zip(given))
    }

    /// A formula over fields as a set, of packets as they came in.
    pub fn packets(&mut self, set: &PacketSet, place: &str) -> Result<Packets> {
        super::chain::compile(self, set, &super::chain::Current::default(), place)
    }
}

/// Whether nothing that stays the same decides it.
const fn is_open(unknown: &Unknown) -> bool {
    !matches!(unknown, Unknown::Named(_, 0))
}

/// The text of a pattern, and whether it is a whole name.
fn pattern_text(pattern: &InterfacePattern) -> (String, bool) {
    let whole = usize::from(pattern.length) >= pattern.name.len();
    let length = if whole { pattern.name.len() } else { usize::from(pattern.length) };
    let bytes = pattern.name.get(..length).unwrap_or_default();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    // A whole name is compared with the zero behind it.
    let ended = whole || end < length;
    (String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned(), ended)
}

/// The interfaces that the rules tell apart, with one that stands for all others and one that stands for none.
pub fn interfaces<'a>(rulesets: impl IntoIterator<Item = &'a Ruleset>) -> Vec<Interface> {
    let mut found = BTreeSet::from([Interface::None, Interface::Other]);
    let tables = rulesets.into_iter().flat_map(|ruleset| &ruleset.tables);
    for rule in tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
        for pattern in [rule.header.in_interface, rule.header.out_interface].into_iter().flatten() {
            let (text, whole) = pattern_text(&pattern.value);
            match (whole, text.is_empty()) {
                (true, false) => found.insert(Interface::Named(text)),
                (false, false) => found.insert(Interface::Beginning(text)),
                (_, true) => false,
            };
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_work_have_an_end() {
        let group = Group::Field(Field::Mark);
        let space = Space::with_nodes(Family::V4, [], 20_000).expect("a space");
        // Sets that are made and left: each needs some room, and all of them far more than there is.
        let mut number = 0_u128;
        let mut made = 0_u64;
        let end = loop {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let low = number >> 33 & 0x7fff_ffff;
            match space.all_of(group, &[(low, low + 0x1234_5678)]) {
                Ok(set) => assert!(!set.is_empty()),
                Err(end) => break end,
            }
            made += 1;
            assert!(made < 20_000 * (CLEARINGS_MAX + 2), "it never ends");
        };
        assert_eq!(end, Exhausted);
        assert!(made > 100, "{made}");
        // One set that needs more than there is.
        let space = Space::with_nodes(Family::V4, [], 2_000).expect("a space");
        let many: Vec<_> = (0..2_000_u128).map(|at| (at * 0xabcd1, at * 0xabcd1 + at)).collect();
        assert_eq!(space.all_of(group, &many).err(), Some(Exhausted));
    }
}
