//! Addresses by the stretch of numbers that they lie in.
//!
//! What rules and questions say of addresses are ranges. From one end of a range to the next nothing tells one address
//! from another, so that the number of the stretch between them is all that diagrams need of an address: a dozen bits
//! where there were 32, or 128. Sources and destinations have the same stretches.

use super::rows::Values;
use super::space::{Exhausted, Group, Packets, Result, Space};
use keepstate_packet::{Address, Family};
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::model::{Jump, Ruleset};
use keepstate_ruleset::packet_set::{Field, PacketSet, Ranges};
use std::collections::BTreeSet;

/// Most ranges that a mask which is no prefix is taken apart into; where there are more, addresses stay bits.
const PIECES_MAX: u32 = 64;

/// Whether a field is an address.
pub(super) const fn is_address(field: Field) -> bool {
    matches!(field, Field::Source | Field::Destination)
}

/// Bits of an address.
pub(super) const fn width(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// The last address, as a number.
const fn last(family: Family) -> u128 {
    match family {
        Family::V4 => u32::MAX as u128,
        Family::V6 => u128::MAX,
    }
}

/// Ranges of a formula as numbers of addresses: of IPv4 those that end in zeros, without these.
pub(super) fn numbers(family: Family, ranges: &Ranges) -> Values {
    if family == Family::V6 {
        return ranges.clone();
    }
    let up = |low: u128| (low >> 96) + u128::from(low << 32 != 0);
    let numbers = ranges.iter().map(|(low, high)| (up(*low), high >> 96));
    numbers.filter(|(low, high)| low <= high).collect()
}

/// The numbers with these bits under a mask; `None`: they are too many ranges.
pub(super) fn under_mask(family: Family, mask: u128, value: u128) -> Option<Values> {
    let last = last(family);
    if (value & !mask) != 0 {
        return Some(Vec::new());
    }
    let below = mask.trailing_zeros().min(width(family));
    let free = (last & !mask).checked_shr(below).unwrap_or(0).checked_shl(below).unwrap_or(0);
    if free.count_ones() > PIECES_MAX.ilog2() {
        return None;
    }
    let rest = 1_u128.checked_shl(below).map_or(u128::MAX, |one| one - 1) & last;
    let mut pieces = Vec::new();
    let mut bits = 0_u128;
    loop {
        pieces.push((value | bits, value | bits | rest));
        // The next number out of the free bits.
        bits = bits.wrapping_sub(free) & free;
        if bits == 0 {
            return Some(pieces);
        }
    }
}

/// The addresses from which on something is said of them that is not said of those before.
#[derive(Clone, Debug)]
pub struct Apart {
    family: Family,
    begins: BTreeSet<u128>,
    /// Nothing but bits will do.
    is_bitwise: bool,
}

impl Apart {
    /// Those that questions name of themselves.
    #[must_use]
    pub fn new(family: Family) -> Self {
        let mut apart = Self { family, begins: BTreeSet::from([0]), is_bitwise: false };
        apart.add_values(&super::example::liked_addresses(family).concat());
        apart.add_values(&match family {
            // The loopback network.
            Family::V4 => vec![(0x7f00_0000, 0x7fff_ffff)],
            // The loopback address, and those of a link.
            Family::V6 => vec![(1, 1), (0xfe80 << 112, (0xfec0 << 112) - 1)],
        });
        apart
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// From now on every address is told from every other.
    pub const fn keep_bits(&mut self) {
        self.is_bitwise = true;
    }

    /// Ranges of numbers as diagrams have them: an IPv4 address is 32 bits.
    pub fn add_values(&mut self, values: &Values) {
        for (low, high) in values {
            self.begins.insert(*low);
            let after = high.checked_add(1).filter(|after| *after <= last(self.family));
            self.begins.extend(after);
        }
    }

    /// The addresses that a formula names.
    pub fn add_set(&mut self, set: &PacketSet) {
        match set {
            PacketSet::In(field, ranges) if is_address(*field) => {
                self.add_values(&numbers(self.family, ranges));
            }
            PacketSet::Bits(field, mask, value, _) if is_address(*field) => {
                let [mask, value] = [mask, value].map(|one| match self.family {
                    Family::V4 => one >> 96,
                    Family::V6 => *one,
                });
                match under_mask(self.family, mask, value) {
                    Some(pieces) => self.add_values(&pieces),
                    None => self.is_bitwise = true,
                }
            }
            PacketSet::All(sets) | PacketSet::Any(sets) => {
                sets.iter().for_each(|set| self.add_set(set));
            }
            PacketSet::In(..)
            | PacketSet::Bits(..)
            | PacketSet::Interface(..)
            | PacketSet::Named(_)
            | PacketSet::Opaque => {}
        }
    }

    /// The addresses that rules ask for or write.
    pub fn add_ruleset(&mut self, ruleset: &Ruleset) {
        let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
        for rule in chains.flat_map(|chain| &chain.rules) {
            self.add_set(&PacketSet::of_rule(rule));
            let Jump::Target(target) = &rule.target else { continue };
            for change in target.effect().writes {
                match change {
                    Change::Among(field, ranges) if is_address(field) => {
                        self.add_values(&numbers(self.family, &ranges));
                    }
                    Change::Bits { field, .. } if is_address(field) => self.is_bitwise = true,
                    _ => {}
                }
            }
        }
    }

    /// The stretches between them; `None` where addresses stay bits.
    pub(super) fn stretches(&self) -> Option<Stretches> {
        let starts: Vec<u128> = self.begins.iter().copied().collect();
        let bits = usize::BITS - (starts.len() - 1).leading_zeros();
        let fewer = !self.is_bitwise && bits < width(self.family);
        fewer.then(|| Stretches { starts, bits, last: last(self.family) })
    }
}

/// Stretches of addresses that nothing tells apart, by number. Numbers behind the last one stand for the last one,
/// too: no number stands for nothing.
#[derive(Clone, Debug)]
pub(super) struct Stretches {
    /// The first address of each.
    starts: Vec<u128>,
    bits: u32,
    last: u128,
}

impl Stretches {
    /// Bits of a number.
    pub(super) const fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether all that is to be told apart is.
    fn tell(&self, apart: &Apart) -> bool {
        let begins = |address: &u128| self.starts.binary_search(address).is_ok();
        !apart.is_bitwise && apart.begins.iter().all(begins)
    }

    /// The number of the stretch of an address.
    pub(super) fn of(&self, address: u128) -> u128 {
        self.starts.partition_point(|start| *start <= address).saturating_sub(1) as u128
    }

    /// The numbers of ranges of addresses; `None`: one of them ends within a stretch.
    pub(super) fn of_values(&self, values: &[(u128, u128)]) -> Option<Values> {
        let begins = |address: &u128| self.starts.binary_search(address).ok();
        let of = |(low, high): &(u128, u128)| {
            let from = begins(low)?;
            if *high >= self.last {
                return Some((from as u128, (1 << self.bits) - 1));
            }
            let after = begins(&high.checked_add(1)?)?;
            Some((from as u128, (after as u128).checked_sub(1)?))
        };
        values.iter().map(of).collect()
    }

    /// The numbers of all stretches that have an address in one of the ranges.
    fn touched(&self, values: &[(u128, u128)]) -> Values {
        let end = |high| match self.of(high) {
            number if number + 1 == self.starts.len() as u128 => (1 << self.bits) - 1,
            number => number,
        };
        values.iter().map(|(low, high)| (self.of(*low), end(*high))).collect()
    }

    /// The addresses of a range of numbers.
    pub(super) fn addresses(&self, (low, high): (u128, u128)) -> (u128, u128) {
        let start = |at: u128| usize::try_from(at).ok().and_then(|at| self.starts.get(at)).copied();
        let first = start(low).or_else(|| self.starts.last().copied()).unwrap_or(0);
        let end = high.checked_add(1).and_then(start).and_then(|next| next.checked_sub(1));
        (first, end.unwrap_or(self.last))
    }

    /// The plainest address of a stretch: the first one that is odd, for even ones may stand for networks.
    pub(super) fn plainest(&self, number: u128) -> u128 {
        let (first, end) = self.addresses((number, number));
        if first % 2 == 0 && first < end { first + 1 } else { first }
    }

    /// Another address of a stretch: in another network where the stretch is as wide, an odd one where there is one.
    pub(super) fn another(&self, address: u128) -> Option<u128> {
        let number = self.of(address);
        let (first, end) = self.addresses((number, number));
        let wide = match self.last == u128::from(u32::MAX) {
            true => [0x0101_0100, 0x1_0100, 0x100],
            false => [1 << 96, 1 << 80, 1 << 64],
        };
        let steps = wide.into_iter().chain([2, 1]);
        let others = steps.flat_map(|step| {
            [address.checked_add(step), address.checked_sub(step)].into_iter().flatten()
        });
        others.into_iter().find(|other| (first..=end).contains(other))
    }

    /// The numbers of those that have an odd address.
    pub(super) fn odd(&self) -> Values {
        let count = self.starts.len() as u128;
        let is_odd = |number: &u128| self.plainest(*number) % 2 == 1;
        let mut values: Values = (0..count).filter(is_odd).map(|number| (number, number)).collect();
        if let Some((_, high)) = values.last_mut().filter(|(low, _)| low + 1 == count) {
            *high = (1 << self.bits) - 1;
        }
        super::rows::tidy(&mut values);
        values
    }
}

impl Space {
    /// Whether the addresses that rules ask for or write are told apart, as they are of the rules that this space was
    /// made for.
    #[must_use]
    pub fn tells_apart(&self, ruleset: &Ruleset) -> bool {
        let mut apart = Apart::new(self.family());
        apart.add_ruleset(ruleset);
        self.stretches.as_ref().is_none_or(|stretches| stretches.tell(&apart))
    }

    /// Ranges of values of a group as its variables have them.
    pub(super) fn coded(&self, group: Group, ranges: &[(u128, u128)]) -> Result<Vec<(u128, u128)>> {
        let coded = match (group, &self.stretches) {
            (Group::Field(field), Some(stretches)) if is_address(field) => {
                stretches.of_values(ranges)
            }
            _ => return Ok(ranges.to_vec()),
        };
        debug_assert!(
            coded.is_some(),
            "{group:?} {ranges:x?}: nothing tells these addresses apart"
        );
        coded.ok_or(Exhausted)
    }

    /// Packets that no set tells from those whose group has a value in one of the ranges: a set has packets with such a
    /// value where it has some of these. For addresses that [`Apart`] was not told of.
    pub fn touching(&self, group: Group, ranges: &[(u128, u128)]) -> Result<Packets> {
        match (group, &self.stretches) {
            (Group::Field(field), Some(stretches)) if is_address(field) => {
                self.among(&self.bits(group)?, &stretches.touched(ranges))
            }
            _ => self.all_of(group, ranges),
        }
    }

    /// Ranges of what the variables of a group say as values.
    pub(super) fn decoded(&self, group: Group, mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
        if let (Group::Field(field), Some(stretches)) = (group, &self.stretches)
            && is_address(field)
        {
            for range in &mut ranges {
                *range = stretches.addresses(*range);
            }
        }
        ranges
    }

    /// What the variables of a group say as one value; of an address the plainest that there is.
    pub(super) fn plainest(&self, group: Group, number: u128) -> u128 {
        match (group, &self.stretches) {
            (Group::Field(field), Some(stretches)) if is_address(field) => {
                stretches.plainest(number)
            }
            _ => number,
        }
    }

    /// What the variables of a group say by now as one value, of a packet for which they had `values` when it came in: of
    /// an address that is still the same the plainest, of another the first that it may be.
    pub(super) fn value(&self, group: Group, number: u128, values: &[bool]) -> u128 {
        let (first, count) = self.groups().get(&group).copied().unwrap_or_default();
        let bits = (first..first + count).map(|variable| values.get(variable as usize));
        let came = bits.fold(0, |all, bit| all << 1 | u128::from(bit.copied().unwrap_or(false)));
        if number == came {
            return self.plainest(group, number);
        }
        self.decoded(group, vec![(number, number)]).first().map_or(number, |(first, _)| *first)
    }

    /// Another address that no set tells from this one.
    #[must_use]
    pub fn another(&self, address: Address) -> Option<Address> {
        let shift = if self.family() == Family::V4 { 96 } else { 0 };
        let number = u128::from_be_bytes(address.0) >> shift;
        let other = self.stretches.as_ref()?.another(number)?;
        Some(Address((other << shift).to_be_bytes()))
    }

    /// A value of a group as its variables have it.
    pub(super) fn code(&self, group: Group, value: u128) -> u128 {
        match (group, &self.stretches) {
            (Group::Field(field), Some(stretches)) if is_address(field) => stretches.of(value),
            _ => value,
        }
    }

    /// Packets whose address is odd, or may be.
    pub(super) fn odd(&self, field: Field) -> Result<Packets> {
        let bits = self.bits(Group::Field(field))?;
        match &self.stretches {
            Some(stretches) => self.among(&bits, &stretches.odd()),
            None => Ok(bits.last().cloned().unwrap_or_else(|| self.every())),
        }
    }

    /// Packets with a field, one of a formula, under a mask.
    pub(super) fn of_bits(
        &self,
        field: Field,
        bits: &[Packets],
        mask: u128,
        value: u128,
    ) -> Result<Packets> {
        let [mask, value] = [mask, value].map(|number| self.number(field, number));
        if self.stretches.is_none() || !is_address(field) {
            return self.masked(bits, mask, value);
        }
        let pieces = under_mask(self.family(), mask, value);
        debug_assert!(pieces.is_some(), "{field:?} {mask:x}: nothing tells these addresses apart");
        self.among(bits, &self.coded(Group::Field(field), &pieces.ok_or(Exhausted)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(values: &Values) -> Stretches {
        let mut apart = Apart::new(Family::V4);
        apart.add_values(values);
        apart.stretches().expect("few of them")
    }

    #[test]
    fn ranges_come_back_from_their_numbers() {
        let values = vec![(0x0a00_0000, 0x0aff_ffff), (0x0a00_0005, 0x0a00_0005), (7, 7)];
        let stretches = stretches(&values);
        for one in values.into_iter().chain([(0, u32::MAX.into()), (0, 6)]) {
            let numbers = stretches.of_values(&[one]).expect("ends of stretches");
            assert_eq!(stretches.addresses(numbers[0]), one);
            for address in [one.0, one.1] {
                let number = stretches.of(address);
                assert!((numbers[0].0..=numbers[0].1).contains(&number), "{address:x}");
            }
        }
        assert_eq!(stretches.of_values(&[(0x0a00_0006, 0x0a00_0007)]), None);
        assert_eq!(stretches.of_values(&[(3, 7)]), None);
        let touched = stretches.touched(&[(0x0a00_0006, 0x0a00_0007)]);
        assert_eq!(stretches.addresses(touched[0]), (0x0a00_0006, 0x0aff_ffff));
        let touched = stretches.touched(&[(3, u32::MAX.into())]);
        assert_eq!(stretches.addresses(touched[0]), (0, u32::MAX.into()));
    }

    #[test]
    fn a_mask_is_the_ranges_of_its_numbers() {
        for (mask, value) in [
            (0xffff_00ff, 0x0a00_0001),
            (0xffff_ff00, 0x0a00_0000),
            (0xff00_0f00, 0x0a00_0300),
            (0, 0),
            (u32::MAX.into(), 5),
            (0x8000_0000, 0x8000_0000),
        ] {
            let pieces = under_mask(Family::V4, mask, value);
            let Some(pieces) = pieces else {
                assert!((!mask & 0xffff_ffff).count_ones() > 6, "{mask:x}");
                continue;
            };
            let size: u128 = pieces.iter().map(|(low, high)| high - low + 1).sum();
            assert_eq!(size, 1 << (32 - mask.count_ones()), "{mask:x}");
            for (low, high) in pieces {
                assert_eq!((low & mask, high & mask), (value, value), "{mask:x}");
            }
        }
        assert_eq!(under_mask(Family::V4, 0xff00_0000, 0x0a00_0001), Some(Vec::new()));
        assert_eq!(under_mask(Family::V6, 0, 0), Some(vec![(0, u128::MAX)]));
    }

    #[test]
    fn the_plainest_of_a_stretch_lies_in_it() {
        let stretches = stretches(&vec![(4, 4), (5, 5), (6, 9)]);
        let odd = stretches.odd();
        for number in 0..stretches.starts.len() as u128 {
            let (low, high) = stretches.addresses((number, number));
            let plain = stretches.plainest(number);
            assert!((low..=high).contains(&plain));
            let has_odd = odd.iter().any(|(low, high)| (*low..=*high).contains(&number));
            assert_eq!(has_odd, low % 2 == 1 || low < high);
            assert_eq!(has_odd, plain % 2 == 1);
        }
    }
}
