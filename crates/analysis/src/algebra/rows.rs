//! A set of packets as few lines that people can read: each line is a product, one set of values for each field,
//! and the lines together are the set, exactly.

use super::bits::{flags, mark};
use super::space::{
    ADDRESS_BITS, Group, Interface, MARKER, Packets, Result, STATES, Space, Unknown,
};
use keepstate_packet::{Address, Family};
use keepstate_ruleset::extension::names;
use keepstate_ruleset::packet_set::Field;
use oxidd::bcdd::BCDDFunction;
use oxidd::{BooleanFunction, Function, Manager, VarNo};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Most lines that a set is written down in; of one that needs more the first are written.
pub const ROWS_MAX: usize = 2_000;
/// Most steps that are taken to find them.
const STEPS_MAX: usize = 400_000;
/// Lines of which it is tried whether fewer would do.
const WIDENED_MAX: usize = 300;
/// The same, where only some are wanted.
const FEW: usize = 24;
/// Lines of which it is tried whether they would do with more values of a group.
const ENLARGED_MAX: usize = 40;

/// Groups with so few values that a line with more of them reads no worse.
const WIDER: [Group; 4] =
    [Group::In, Group::Out, Group::Field(Field::State), Group::Field(Field::Protocol)];
/// Fields that some protocols have: of other packets it would not be understood what they say.
const OF_PROTOCOL: [Field; 4] =
    [Field::SourcePort, Field::DestinationPort, Field::Icmp, Field::TcpFlags];
/// Ranges that a group is told in where a set is told roughly.
const ROUGH: usize = 4;

/// Values from and to, both included, in order and apart.
pub type Values = Vec<(u128, u128)>;

/// One line: packets that fit all of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Row {
    /// By group the values that it may have; a group that is not named may have any.
    pub values: BTreeMap<Group, Values>,
    /// What has to be true or false beside the fields.
    pub unknowns: Vec<(Unknown, bool)>,
}

/// A set written down.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The lines.
    pub rows: Vec<Row>,
    /// Whether they are all of the set; where not, it was too large to write down.
    pub complete: bool,
}

impl Space {
    /// Writes a set down. The lines may overlap where that makes them fewer.
    pub fn rows(&self, packets: &Packets) -> Result<Rows> {
        let packets = packets.and(&self.every())?;
        let mut rows = self.split(&packets)?;
        if rows.complete && rows.rows.len() <= WIDENED_MAX {
            rows.rows = self.widened(&packets, rows.rows)?;
        }
        Ok(rows)
    }

    /// Some of the lines of a set that have packets of `possible`, and whether there are more.
    pub fn some_rows(
        &self,
        packets: &Packets,
        possible: &Packets,
        most: usize,
    ) -> Result<(Vec<Row>, bool)> {
        let packets = packets.and(&self.every())?;
        let mut rows = self.split(&packets)?;
        let few = rows.complete && rows.rows.len() <= most.max(FEW);
        if few {
            rows.rows = self.widened(&packets, rows.rows)?;
        }
        let mut left = packets.and(possible)?;
        let mut some = Vec::new();
        for row in rows.rows {
            if some.len() >= most || left.and(&self.packets_of(&row)?)?.is_empty() {
                continue;
            }
            let row = if few { row } else { self.wide(&packets, row, &[])? };
            left = left.less(&self.packets_of(&row)?)?;
            some.push(row);
        }
        Ok((some, !left.is_empty()))
    }

    /// One line that every packet of a set out of `possible` fits, and others may: of each group the values that it has
    /// in the set, where these are few; and what holds of all beside the fields.
    pub fn around(&self, packets: &Packets, possible: &Packets) -> Result<Row> {
        let mut row = Row::default();
        let every = possible.and(&self.every())?;
        let packets = packets.and(&every)?;
        for (group, ..) in ordered(self.groups()) {
            let others = self.beside(group)?;
            let (own, every) = (packets.some(&others)?, every.some(&others)?);
            if own == every {
                continue;
            }
            if let Some([(_, values)]) = self.parts(&own, group).as_deref()
                && values.len() <= ROUGH
            {
                row.values.insert(group, values.clone());
            }
        }
        let example = self.example(&packets)?;
        for (unknown, says) in example.into_iter().flat_map(|example| example.unknowns) {
            if let (Unknown::Named(_, 0), Some(variable)) =
                (&unknown, self.known_variable(&unknown))
            {
                let set = self.variable(variable)?;
                let against = if says { packets.less(&set)? } else { packets.and(&set)? };
                if against.is_empty() {
                    row.unknowns.push((unknown, says));
                }
            }
        }
        Ok(row)
    }

    fn split(&self, packets: &Packets) -> Result<Rows> {
        let order = self.order();
        let set = self.in_order(packets)?;
        let (groups, first_unknown) = (ordered(&order.groups), order.first_unknown);
        let mut split =
            Split { space: self, groups, first_unknown, steps: 0, known: HashMap::new() };
        let rows = split.rows(&set, 0);
        let mut rows = match rows {
            Some(rows) => Rows { rows, complete: true },
            None => Rows { rows: split.first(&set, 0), complete: false },
        };
        if rows.rows.len() > ROWS_MAX {
            rows.rows.truncate(ROWS_MAX);
            rows.complete = false;
        }
        join(&mut rows.rows);
        Ok(rows)
    }

    /// What is left of a set when the value of a group is known, with the values that leave it so; values that
    /// leave nothing are not there. Nothing in front of the group may matter. `None`: there is too much.
    #[must_use]
    pub fn parts(&self, packets: &Packets, group: Group) -> Option<Vec<(Packets, Values)>> {
        let (first, count) = self.groups().get(&group).copied()?;
        let (groups, first_unknown) = (Vec::new(), self.fields_end());
        let mut split =
            Split { space: self, groups, first_unknown, steps: 0, known: HashMap::new() };
        let parts = split.parts(&packets.0, first, first + count)?;
        let tidied = parts.into_iter().map(|(rest, values)| {
            let mut values = self.decoded(group, values);
            tidy(&mut values);
            (Packets(rest), values)
        });
        Some(tidied.collect())
    }

    /// The packets of a line.
    pub fn packets_of(&self, row: &Row) -> Result<Packets> {
        let mut all = self.every();
        for (group, values) in &row.values {
            all = all.and(&self.all_of(*group, values)?)?;
        }
        for (unknown, says) in &row.unknowns {
            let Some(variable) = self.known_variable(unknown) else { continue };
            let set = self.variable(variable)?;
            all = if *says { all.and(&set)? } else { all.less(&set)? };
        }
        Ok(all)
    }

    /// Leaves out of a line what does not matter, and lets groups have more values where all of their packets are in
    /// the set. `few`: those groups, each with all other variables.
    fn wide(&self, packets: &Packets, mut row: Row, few: &[(Group, Packets)]) -> Result<Row> {
        let mut groups: Vec<Group> = row.values.keys().copied().collect();
        groups.sort_by_key(|group| *group == Group::Field(Field::Protocol));
        for group in groups {
            if group == Group::Field(Field::Protocol) && OF_PROTOCOL.iter().any(|own| row.has(*own))
            {
                continue;
            }
            let mut wider = row.clone();
            wider.values.remove(&group);
            let beyond = self.packets_of(&wider)?.less(packets)?;
            if beyond.is_empty() {
                row = wider;
                continue;
            }
            let Some((_, others)) = few.iter().find(|(one, _)| *one == group) else { continue };
            let values = self.every().some(others)?.less(&beyond.some(others)?)?;
            if let Some([(_, values)]) = self.parts(&values, group).as_deref() {
                row.values.insert(group, values.clone());
            }
        }
        for at in (0..row.unknowns.len()).rev() {
            let mut wider = row.clone();
            wider.unknowns.remove(at);
            if self.packets_of(&wider)?.is_within(packets)? {
                row = wider;
            }
        }
        Ok(row)
    }

    /// Leaves out of each line what does not matter, and then the lines that others cover; where fewer lines would do
    /// with more values of some groups, with those.
    fn widened(&self, packets: &Packets, rows: Vec<Row>) -> Result<Vec<Row>> {
        let plain = self.covering(packets, rows, &[])?;
        if !(2..=ENLARGED_MAX).contains(&plain.len()) {
            return Ok(plain);
        }
        let mut few = Vec::with_capacity(WIDER.len());
        for group in WIDER {
            few.push((group, self.beside(group)?));
        }
        let enlarged = self.covering(packets, plain.clone(), &few)?;
        Ok(if enlarged.len() < plain.len() { enlarged } else { plain })
    }

    fn covering(
        &self,
        packets: &Packets,
        rows: Vec<Row>,
        few: &[(Group, Packets)],
    ) -> Result<Vec<Row>> {
        let mut wide = Vec::with_capacity(rows.len());
        for row in rows {
            let row = self.wide(packets, row, few)?;
            if !wide.contains(&row) {
                wide.push(row);
            }
        }
        wide.sort_by_key(|row| row.values.len() + row.unknowns.len());
        let mut left = packets.clone();
        let mut kept = Vec::new();
        for row in wide {
            let set = self.packets_of(&row)?;
            if !left.and(&set)?.is_empty() {
                left = left.less(&set)?;
                kept.push(row);
            }
        }
        join(&mut kept);
        Ok(kept)
    }
}

fn ordered(groups: &BTreeMap<Group, (VarNo, u32)>) -> Vec<(Group, VarNo, VarNo)> {
    let mut all: Vec<_> =
        groups.iter().map(|(group, (first, count))| (*group, *first, first + count)).collect();
    all.retain(|(_, first, end)| first < end);
    all.sort_by_key(|(_, first, _)| *first);
    all
}

/// Takes lines together that differ in the values of one group.
fn join(rows: &mut Vec<Row>) {
    let groups: Vec<Group> = {
        let mut all: Vec<_> = rows.iter().flat_map(|row| row.values.keys().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    for group in groups {
        let mut joined: Vec<Row> = Vec::with_capacity(rows.len());
        let mut at: HashMap<String, usize> = HashMap::new();
        for row in rows.drain(..) {
            let mut rest = row.clone();
            let own = rest.values.remove(&group);
            let key = format!("{rest:?} {}", own.is_none());
            match (at.get(&key).and_then(|at| joined.get_mut(*at)), own) {
                (Some(known), Some(own)) => {
                    if let Some(values) = known.values.get_mut(&group) {
                        values.extend(own);
                        tidy(values);
                    }
                }
                (Some(_), None) => {}
                (None, _) => {
                    at.insert(key, joined.len());
                    joined.push(row);
                }
            }
        }
        *rows = joined;
    }
}

/// Puts ranges in order and joins those that touch.
pub fn tidy(values: &mut Values) {
    values.sort_unstable();
    let mut apart: Values = Vec::with_capacity(values.len());
    for (low, high) in values.drain(..) {
        match apart.last_mut() {
            Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
            _ => apart.push((low, high)),
        }
    }
    *values = apart;
}

struct Split<'a> {
    space: &'a Space,
    groups: Vec<(Group, VarNo, VarNo)>,
    first_unknown: VarNo,
    steps: usize,
    known: HashMap<(Packets, usize), Vec<Row>>,
}

impl Split<'_> {
    /// The lines of a diagram that asks for nothing before this group; `None`: they are too many.
    fn rows(&mut self, set: &BCDDFunction, group: usize) -> Option<Vec<Row>> {
        if !set.satisfiable() {
            return Some(Vec::new());
        }
        let key = (Packets(set.clone()), group);
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        let mut rows = Vec::new();
        match self.groups.get(group).copied() {
            None => self.unknowns(set, &mut Row::default(), &mut rows)?,
            Some((name, first, end)) if level(set) < end => {
                for (rest, values) in self.parts(set, first, end)? {
                    let mut values = self.space.decoded(name, values);
                    tidy(&mut values);
                    for mut row in self.rows(&rest, group + 1)? {
                        row.values.insert(name, values.clone());
                        rows.push(row);
                    }
                    if rows.len() > ROWS_MAX {
                        return None;
                    }
                }
            }
            Some(_) => rows = self.rows(set, group + 1)?,
        }
        self.known.insert(key, rows.clone());
        Some(rows)
    }

    /// The first lines of a set that has too many: one way through each group.
    fn first(&mut self, set: &BCDDFunction, group: usize) -> Vec<Row> {
        self.steps = 0;
        let mut rest = set.clone();
        let mut row = Row::default();
        for (name, first, end) in self.groups.clone().into_iter().skip(group) {
            if level(&rest) >= end {
                continue;
            }
            let Some(parts) = self.parts(&rest, first, end) else { break };
            let Some((next, mut values)) = parts
                .into_iter()
                .filter(|(rest, _)| rest.satisfiable())
                .max_by_key(|(_, v)| v.len())
            else {
                break;
            };
            values = self.space.decoded(name, values);
            tidy(&mut values);
            row.values.insert(name, values);
            rest = next;
        }
        vec![row]
    }

    /// What is left of a diagram behind the variables of a group, with the values that lead there.
    fn parts(
        &mut self,
        set: &BCDDFunction,
        first: VarNo,
        end: VarNo,
    ) -> Option<Vec<(BCDDFunction, Values)>> {
        let mut parts: Vec<(BCDDFunction, Values)> = Vec::new();
        #[expect(clippy::mutable_key_type, reason = "a node's identity does not change")]
        let mut at: HashMap<Packets, usize> = HashMap::new();
        let mut open = vec![(set.clone(), first, 0_u128)];
        while let Some((node, bit, value)) = open.pop() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return None;
            }
            if !node.satisfiable() {
                continue;
            }
            let next = level(&node).min(end);
            // Bits that are not asked for: all their values.
            let skipped = next - bit;
            let low = value.checked_shl(skipped).unwrap_or(0);
            if next == end {
                let high = low | 1_u128.checked_shl(skipped).map_or(u128::MAX, |one| one - 1);
                let key = Packets(node.clone());
                let place = *at.entry(key).or_insert(parts.len());
                match parts.get_mut(place) {
                    Some((_, values)) => values.push((low, high)),
                    None => parts.push((node, vec![(low, high)])),
                }
                continue;
            }
            let (yes, no) = node.cofactors()?;
            if skipped == 0 {
                open.push((yes, bit + 1, value << 1 | 1));
                open.push((no, bit + 1, value << 1));
                continue;
            }
            // A range of numbers that begin alike in each value of the skipped bits.
            if skipped > SKIPPED_MAX {
                return None;
            }
            for filling in (0..1_u128 << skipped).rev() {
                open.push((node.clone(), next, low | filling));
            }
        }
        Some(parts)
    }

    /// Ways through the unknowns.
    fn unknowns(&mut self, set: &BCDDFunction, row: &mut Row, rows: &mut Vec<Row>) -> Option<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX || rows.len() > ROWS_MAX {
            return None;
        }
        if !set.satisfiable() {
            return Some(());
        }
        let Some((yes, no)) = set.cofactors() else {
            rows.push(row.clone());
            return Some(());
        };
        let at = level(set).checked_sub(self.first_unknown)?;
        let unknown = self.space.unknowns().get(at as usize)?.clone();
        for (rest, says) in [(yes, true), (no, false)] {
            row.unknowns.push((unknown.clone(), says));
            self.unknowns(&rest, row, rows)?;
            row.unknowns.pop();
        }
        Some(())
    }
}

/// Bits in the middle of a number that are filled in with all values.
const SKIPPED_MAX: u32 = 12;

/// The variable that a diagram asks for first; larger than all for one that asks nothing.
pub(super) fn level(set: &BCDDFunction) -> VarNo {
    set.with_manager_shared(|manager, edge| manager.get_node(edge).level())
}

/// Writes a line for people.
#[derive(Debug)]
pub struct Shown<'a> {
    space: &'a Space,
    row: &'a Row,
}

impl Row {
    fn has(&self, field: Field) -> bool {
        self.values.contains_key(&Group::Field(field))
    }

    /// As people read it: `tcp from 10.0.0.0/8 to port 22 in eth0, state NEW`.
    #[must_use]
    pub const fn shown<'a>(&'a self, space: &'a Space) -> Shown<'a> {
        Shown { space, row: self }
    }

    /// The values of a group in words; `None` for any.
    #[must_use]
    pub fn words(&self, space: &Space, group: Group) -> Option<String> {
        let values = self.values.get(&group)?;
        Some(match group {
            Group::In | Group::Out => interfaces(space, values),
            Group::Field(Field::State) => list(values, |at| {
                STATES.get(at as usize).map_or_else(String::new, |(_, name)| (*name).into())
            }),
            Group::Field(Field::Source | Field::Destination) => addresses(space.family(), values),
            Group::Field(Field::Protocol) => either_side(values, 0xff, |low, high| {
                list(&[(low, high)], |number| {
                    let name = names::protocol_name(number as u8);
                    name.map_or_else(|| number.to_string(), Into::into)
                })
            }),
            Group::Field(Field::Icmp) => either_side(values, 0xffff, icmp),
            Group::Field(Field::TcpFlags) => flags(values),
            Group::Field(Field::Mark) => mark(values),
            Group::Field(field) => either_side(values, field.last(), |low, high| {
                if low == high { low.to_string() } else { format!("{low}-{high}") }
            }),
        })
    }
}

fn icmp(low: u128, high: u128) -> String {
    let (kind, code, last) = (low >> 8, low & 0xff, high & 0xff);
    match (low >> 8 == high >> 8, code, last) {
        (true, 0, 0xff) => kind.to_string(),
        (true, ..) if code == last => format!("{kind}/{code}"),
        (true, ..) => format!("{kind}/{code}-{last}"),
        (false, ..) => format!("{kind}/{code} to {}/{last}", high >> 8),
    }
}

pub(super) fn list(values: &[(u128, u128)], word: impl Fn(u128) -> String) -> String {
    let mut words = Vec::new();
    for (low, high) in values {
        if high - low < 8 {
            words.extend((*low..=*high).map(&word));
        } else {
            words.push(format!("{} to {}", word(*low), word(*high)));
        }
    }
    words.join(",")
}

/// The ranges, or `not` and the others where those are fewer.
pub(super) fn either_side(
    values: &Values,
    last: u128,
    word: impl Fn(u128, u128) -> String,
) -> String {
    let others = complement(values, last);
    let words = |values: &Values| {
        values.iter().map(|(low, high)| word(*low, *high)).collect::<Vec<_>>().join(",")
    };
    if !others.is_empty() && others.len() < values.len().max(2) && weight(&others) < weight(values)
    {
        format!("not {}", words(&others))
    } else {
        words(values)
    }
}

fn weight(values: &Values) -> u128 {
    values.iter().fold(0, |sum, (low, high)| (high - low).saturating_add(sum))
}

/// The values up to the last one that are in none of the ranges.
#[must_use]
pub fn complement(values: &Values, last: u128) -> Values {
    let mut others = Vec::new();
    let mut from = Some(0_u128);
    for (low, high) in values {
        if let Some(from) = from.filter(|from| from < low) {
            others.push((from, low - 1));
        }
        from = high.checked_add(1);
    }
    others.extend(from.filter(|from| *from <= last).map(|from| (from, last)));
    others
}

/// Prefixes, or `not` and the prefixes of the others where those are fewer.
#[must_use]
pub fn addresses(family: Family, values: &Values) -> String {
    let width = if family == Family::V4 { 32 } else { 128 };
    let last = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    let words = |values: &Values| -> Vec<String> {
        values.iter().flat_map(|(low, high)| range(family, width, *low, *high)).collect()
    };
    let (own, others) = (words(values), words(&complement(values, last)));
    if !others.is_empty() && others.len() < own.len() {
        format!("not {}", others.join(","))
    } else {
        own.join(",")
    }
}

/// A range of addresses as one range, or as prefixes where those are at most two.
fn range(family: Family, width: u32, low: u128, high: u128) -> Vec<String> {
    let written = |number: u128| {
        let octets = if width == 32 { number << 96 } else { number };
        Address(octets.to_be_bytes()).written(family).to_string()
    };
    let mut prefixes = Vec::new();
    let mut from = Some(low);
    while let Some(start) = from.filter(|start| *start <= high) {
        let aligned = if start == 0 { width } else { start.trailing_zeros().min(width) };
        let size = |bits: u32| 1_u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1);
        let bits = (0..=aligned)
            .rev()
            .find(|bits| start.checked_add(size(*bits)).is_some_and(|end| end <= high));
        let bits = bits.unwrap_or(0);
        prefixes.push(match width - bits {
            length if length == width => written(start),
            length => format!("{}/{length}", written(start)),
        });
        if prefixes.len() > 2 {
            return vec![format!("{}-{}", written(low), written(high))];
        }
        from = start.checked_add(size(bits)).and_then(|end| end.checked_add(1));
    }
    prefixes
}

fn interfaces(space: &Space, values: &Values) -> String {
    let all = space.interfaces();
    let inside =
        |at: usize| values.iter().any(|(low, high)| (*low..=*high).contains(&(at as u128)));
    let name = |interface: &Interface| match interface {
        Interface::None => "none".to_string(),
        Interface::Named(name) => name.clone(),
        Interface::Beginning(name) => format!("{name}*"),
        Interface::Other => "another".to_string(),
    };
    let (inner, outer): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|at| inside(*at));
    let words = |which: &[usize]| {
        which.iter().filter_map(|at| all.get(*at)).map(name).collect::<Vec<_>>().join(",")
    };
    // "Any but": of those that are interfaces.
    let missing: Vec<usize> =
        outer.into_iter().filter(|at| all.get(*at) != Some(&Interface::None)).collect();
    let open = inner.iter().any(|at| all.get(*at) == Some(&Interface::Other));
    match (open, missing.is_empty()) {
        (true, true) => "any".to_string(),
        (true, false) => format!("any but {}", words(&missing)),
        (false, _) => words(&inner),
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |group| self.row.words(self.space, group);
        let field = |field| word(Group::Field(field));
        write!(f, "{}", field(Field::Protocol).unwrap_or_else(|| "any protocol".into()))?;
        for (label, address, port) in [
            ("from", Field::Source, Field::SourcePort),
            ("to", Field::Destination, Field::DestinationPort),
        ] {
            match (field(address), field(port)) {
                (None, None) => {}
                (Some(address), None) => write!(f, " {label} {address}")?,
                (None, Some(port)) => write!(f, " {label} port {port}")?,
                (Some(address), Some(port)) => write!(f, " {label} {address} port {port}")?,
            }
        }
        for (label, group) in [
            (" type ", Group::Field(Field::Icmp)),
            (" flags ", Group::Field(Field::TcpFlags)),
            (" in ", Group::In),
            (" out ", Group::Out),
            (", state ", Group::Field(Field::State)),
            (", mark ", Group::Field(Field::Mark)),
            (", length ", Group::Field(Field::Length)),
            (", ttl ", Group::Field(Field::Ttl)),
            (", tos ", Group::Field(Field::Tos)),
        ] {
            let words = word(group);
            if let Some(words) = words.filter(|words| words != "any") {
                write!(f, "{label}{words}")?;
            }
        }
        match self.row.values.get(&Group::Field(Field::LaterFragment)).map(Vec::as_slice) {
            Some([(0, 0)]) => write!(f, ", no later fragment")?,
            Some([(1, 1)]) => write!(f, ", a later fragment")?,
            _ => {}
        }
        for (unknown, says) in &self.row.unknowns {
            write!(f, ", {}{unknown}", if *says { "" } else { "not " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(text, 0) => write!(f, "`-m {text}`"),
            Self::Named(text, _) => write!(f, "`-m {text}` of what it is by then"),
            Self::Opaque(place) => write!(f, "({place})"),
            Self::Written(place, MARKER) => write!(f, "(what {place} sets)"),
            Self::Written(place, bit) if *bit >= ADDRESS_BITS => {
                write!(f, "(which address {place} sets)")
            }
            Self::Written(place, bit) => write!(f, "(bit {bit} of what {place} sets)"),
            Self::FirstOfRelated => write!(f, "(first packet of an announced connection)"),
        }
    }
}
