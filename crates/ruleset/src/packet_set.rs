//! Which packets a condition lets through, as a formula over their fields: what analyses compare rules by
//! without running them.

use crate::matches::Match;
use crate::model::{HeaderMatch, InterfacePattern, Inverted, Network, Rule};
use alloc::{string::String, vec, vec::Vec};

/// A field that conditions look at. Values are numbers: an IPv4 address is the upper 32 of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Upper-layer protocol.
    Protocol,
    /// 1 for a fragment behind the first, else 0.
    LaterFragment,
    /// The first two bytes behind the IP headers.
    SourcePort,
    /// The two after those.
    DestinationPort,
    /// Type and code of an ICMP or ICMPv6 message, the type in the upper byte.
    Icmp,
    /// Flags of TCP.
    TcpFlags,
    /// Conntrack state, a bit of [`crate::matches::conntrack::state_bit`].
    State,
    /// The packet's mark. A rule may change it.
    Mark,
    /// Bytes from the IP header on.
    Length,
    /// Time to live or hop limit. A rule may change it.
    Ttl,
    /// Type of service or traffic class. A rule may change it.
    Tos,
}

impl Field {
    /// All of them, in the order of the type.
    pub const ALL: [Self; 13] = [
        Self::Source,
        Self::Destination,
        Self::Protocol,
        Self::LaterFragment,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Icmp,
        Self::TcpFlags,
        Self::State,
        Self::Mark,
        Self::Length,
        Self::Ttl,
        Self::Tos,
    ];

    /// The largest value.
    #[must_use]
    pub const fn last(self) -> u128 {
        match self {
            Self::Source | Self::Destination => u128::MAX,
            Self::LaterFragment => 1,
            Self::SourcePort | Self::DestinationPort | Self::Icmp => 0xffff,
            Self::Protocol | Self::TcpFlags | Self::State | Self::Ttl | Self::Tos => 0xff,
            Self::Mark | Self::Length => 0xffff_ffff,
        }
    }

    /// Whether a rule may change it between two others.
    #[must_use]
    pub const fn changes(self) -> bool {
        matches!(self, Self::Mark | Self::Ttl | Self::Tos)
    }
}

/// Values from and to, in order and apart from each other.
pub type Ranges = Vec<(u128, u128)>;

/// A set of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketSet {
    /// Those whose field lies in one of the ranges.
    In(Field, Ranges),
    /// Those whose field has this value under a mask; behind `true`, those whose field has not.
    Bits(Field, u128, u128, bool),
    /// Those that came in (`false`) or go out (`true`) by such an interface; behind `!`, by another.
    Interface(bool, Inverted<InterfacePattern>),
    /// Those in all of them. Empty: every packet.
    All(Vec<PacketSet>),
    /// Those in one of them.
    Any(Vec<PacketSet>),
    /// Those of which a match says yes that looks at nothing but the packet and what stays the same on its
    /// way through a chain: one with the same text says the same.
    Named(String),
    /// Some of all packets: the match counts, draws, looks at the clock or at what other rules change.
    Opaque,
}

impl PacketSet {
    /// Every packet.
    pub const EVERY: Self = Self::All(Vec::new());

    /// Those whose field is one of a range, or is none behind `!`.
    #[must_use]
    pub fn within(field: Field, low: u128, high: u128, inverted: bool) -> Self {
        let ranges = vec![(low, high)];
        Self::In(field, if inverted { complement(field, &ranges) } else { ranges })
    }

    /// The same of many ranges, in any order.
    #[must_use]
    pub fn among(field: Field, mut ranges: Ranges, inverted: bool) -> Self {
        ranges.sort_unstable();
        let mut apart: Ranges = Vec::new();
        for (low, high) in ranges {
            match apart.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
                _ => apart.push((low, high)),
            }
        }
        Self::In(field, if inverted { complement(field, &apart) } else { apart })
    }

    /// What a match says that has no fields to name: see [`Self::Named`].
    #[must_use]
    pub fn named(of: &dyn Match) -> Self {
        let mut text = String::from(of.name());
        of.print(&mut text);
        Self::Named(text)
    }

    /// What a rule asks for.
    #[must_use]
    pub fn of_rule(rule: &Rule) -> Self {
        let mut all = header_parts(&rule.header);
        for one in &rule.matches {
            match one.packet_set() {
                Self::All(more) => all.extend(more),
                one => all.push(one),
            }
        }
        Self::All(all)
    }

    /// What the part of a rule asks for that every rule has.
    #[must_use]
    pub fn of_header(header: &HeaderMatch) -> Self {
        Self::All(header_parts(header))
    }

    /// Whether the set may be another one when rules in between have changed the packet.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::In(field, _) | Self::Bits(field, ..) => field.changes(),
            Self::Interface(..) => false,
            Self::All(sets) | Self::Any(sets) => sets.iter().any(Self::changes),
            // A packet that is rewritten may have other bytes where the match looks.
            Self::Named(_) | Self::Opaque => true,
        }
    }

    /// Whether every packet of `other` is one of this set, as far as that can be seen condition by condition:
    /// `true` is certain, `false` is not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let given: &[Self] = match other {
            Self::All(sets) => sets,
            one => core::slice::from_ref(one),
        };
        implied(self, given)
    }
}

/// Whether what all of `given` say includes what `wanted` says.
fn implied(wanted: &PacketSet, given: &[PacketSet]) -> bool {
    match wanted {
        PacketSet::All(sets) => sets.iter().all(|one| implied(one, given)),
        PacketSet::Any(sets) => {
            sets.iter().any(|one| implied(one, given)) || given.contains(wanted)
        }
        PacketSet::In(field, ranges) => inside(&known(*field, given), ranges),
        PacketSet::Bits(field, mask, value, inverted) => {
            let ranges = known(*field, given);
            // All values of a range begin alike as far as its ends do.
            let alike = |low: u128, high: u128| {
                !(u128::MAX.checked_shr((low ^ high).leading_zeros()).unwrap_or(0))
            };
            let fits = |(low, high): &(u128, u128)| {
                mask & alike(*low, *high) == *mask && (low & mask == *value) != *inverted
            };
            ranges.iter().all(fits)
                || given.iter().any(|one| match one {
                    PacketSet::Bits(of, has, is, not) if of == field => {
                        let same = (mask, value) == (has, is) && not == inverted;
                        let finer = mask & has == *mask && !*not;
                        same || finer && (is & mask == *value) != *inverted
                    }
                    _ => false,
                })
        }
        PacketSet::Interface(outward, wanted) => given.iter().any(|one| match one {
            PacketSet::Interface(side, pattern) if side == outward => narrower(pattern, wanted),
            _ => false,
        }),
        PacketSet::Named(_) => given.contains(wanted),
        PacketSet::Opaque => false,
    }
}

/// What is known of a field.
fn known(field: Field, given: &[PacketSet]) -> Ranges {
    let mut ranges = vec![(0, field.last())];
    for one in given {
        if let PacketSet::In(of, other) = one
            && *of == field
        {
            ranges = overlap(&ranges, other);
        }
    }
    ranges
}

/// Whether all that `pattern` lets through `wanted` lets through.
fn narrower(pattern: &Inverted<InterfacePattern>, wanted: &Inverted<InterfacePattern>) -> bool {
    let part = |one: &InterfacePattern, of: &InterfacePattern| {
        let length = usize::from(of.length);
        of.length <= one.length && one.name.get(..length) == of.name.get(..length)
    };
    let (one, other) = (&pattern.value, &wanted.value);
    match (pattern.inverted, wanted.inverted) {
        (false, false) => part(one, other),
        (true, true) => part(other, one),
        (false, true) => !part(one, other) && !part(other, one),
        (true, false) => false,
    }
}

fn complement(field: Field, ranges: &Ranges) -> Ranges {
    let mut rest = Vec::new();
    let mut from = Some(0);
    for (low, high) in ranges {
        if let Some(from) = from.filter(|from| from < low) {
            rest.push((from, low - 1));
        }
        from = high.checked_add(1);
    }
    let last = field.last();
    rest.extend(from.filter(|from| *from <= last).map(|from| (from, last)));
    rest
}

fn overlap(one: &Ranges, other: &Ranges) -> Ranges {
    let both = one.iter().flat_map(|(low, high)| {
        other.iter().map(move |(from, to)| ((*low).max(*from), (*high).min(*to)))
    });
    both.filter(|(low, high)| low <= high).collect()
}

fn inside(small: &Ranges, large: &Ranges) -> bool {
    small.iter().all(|(low, high)| large.iter().any(|(from, to)| from <= low && high <= to))
}

fn header_parts(header: &HeaderMatch) -> Vec<PacketSet> {
    let mut all = Vec::new();
    let sides = [(Field::Source, header.source), (Field::Destination, header.destination)];
    all.extend(sides.into_iter().filter_map(|(field, network)| Some(of_network(field, network?))));
    let interfaces = [(false, header.in_interface), (true, header.out_interface)];
    all.extend(
        interfaces.into_iter().filter_map(|(side, one)| Some(PacketSet::Interface(side, one?))),
    );
    all.extend(header.protocol.map(|protocol| {
        let value = u128::from(protocol.value);
        PacketSet::within(Field::Protocol, value, value, protocol.inverted)
    }));
    all.extend(
        header.fragment.map(|later| PacketSet::within(Field::LaterFragment, 1, 1, later.inverted)),
    );
    all
}

/// Addresses of a network; those of a mask that is no prefix by their bits.
pub(crate) fn of_network(field: Field, network: Inverted<Network>) -> PacketSet {
    let address = u128::from_be_bytes(network.value.address.0);
    let mask = u128::from_be_bytes(network.value.mask.0);
    if mask.leading_ones() + mask.trailing_zeros() >= u128::BITS {
        PacketSet::within(field, address, address | !mask, network.inverted)
    } else {
        PacketSet::Bits(field, mask, address, network.inverted)
    }
}

#[cfg(test)]
mod tests;
