//! What packets are by now, as a function from what they were when they came in.

use super::space::{Group, Packets, Result, STATES, Space, Unknown};
use super::sums::{constant, plus};
use keepstate_conntrack::Hook;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::packet_set::Field;
use oxidd::VarNo;
use std::collections::BTreeMap;

/// What fields and unknowns are by now, where they are not what they were when the packet came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// By variable: the packets of which it is now true.
    bits: BTreeMap<VarNo, Packets>,
    /// Of these it is said what tracking does with them; the second are those that it leaves alone.
    template: Option<(Packets, Packets)>,
    is_before_tracking: bool,
    /// Nothing is known yet of where they leave.
    is_before_routing: bool,
    /// The changes that matches without a field may see, oldest first.
    unseen: Vec<Unseen>,
}

/// A change that no field stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unseen {
    /// The packets changed.
    when: Packets,
    /// The match that sees it; none: all that read bytes or addresses.
    name: Option<&'static str>,
    number: u32,
}

/// Matches that read what is beside the packet, and no byte of it.
const BESIDE: [&str; 13] = [
    "cgroup",
    "connlabel",
    "connmark",
    "cpu",
    "devgroup",
    "helper",
    "mac",
    "owner",
    "physdev",
    "pkttype",
    "policy",
    "realm",
    "time",
];

impl Unseen {
    fn is_seen_by(&self, name: &str) -> bool {
        self.name.map_or(!BESIDE.contains(&name), |own| own == name)
    }
}

impl Current {
    fn bit(&self, space: &Space, variable: VarNo) -> Result<Packets> {
        match self.bits.get(&variable) {
            Some(bit) => Ok(bit.clone()),
            None => space.variable(variable),
        }
    }

    /// The bits of a group, most significant first: the packets of which each is now set.
    pub(crate) fn group(&self, space: &Space, group: Group) -> Result<Vec<Packets>> {
        let (first, count) = space.groups().get(&group).copied().unwrap_or_default();
        (first..first + count).map(|variable| self.bit(space, variable)).collect()
    }

    /// The variables of a group get these values for the packets of `when`.
    pub(super) fn set_group(
        &mut self,
        space: &Space,
        group: Group,
        when: &Packets,
        values: &[Packets],
    ) -> Result<()> {
        let (first, count) = space.groups().get(&group).copied().unwrap_or_default();
        for (variable, value) in (first..first + count).zip(values) {
            let now = when.choose(value, &self.bit(space, variable)?)?;
            self.bits.insert(variable, now);
        }
        Ok(())
    }

    /// What `other` says for the packets of `when`, and this elsewhere.
    pub(super) fn merge(&self, space: &Space, when: &Packets, other: &Self) -> Result<Self> {
        if self == other {
            return Ok(self.clone());
        }
        let mut merged = self.clone();
        for variable in self.bits.keys().chain(other.bits.keys()) {
            let now = when.choose(&other.bit(space, *variable)?, &self.bit(space, *variable)?)?;
            merged.bits.insert(*variable, now);
        }
        if self.template != other.template {
            let none = (space.none(), space.none());
            let [(mine, my_own), (theirs, their_own)] =
                [self, other].map(|one| one.template.as_ref().unwrap_or(&none));
            merged.template = Some((when.choose(theirs, mine)?, when.choose(their_own, my_own)?));
        }
        let alike = self.unseen.iter().zip(&other.unseen).take_while(|(a, b)| a == b).count();
        let (mine, theirs) = (self.unseen.iter().skip(alike), other.unseen.iter().skip(alike));
        merged.unseen.truncate(alike);
        for (changes, own) in [(mine, false), (theirs, true)] {
            for change in changes {
                let changed = if own { change.when.and(when)? } else { change.when.less(when)? };
                merged.unseen.push(Unseen { when: changed, ..change.clone() });
            }
        }
        Ok(merged)
    }

    /// What a match without a field says now.
    pub(super) fn named(&self, space: &mut Space, text: &str) -> Result<Packets> {
        let name = text.split(' ').next().unwrap_or_default();
        let mut says = space.unknown(Unknown::Named(text.to_string(), 0))?;
        for change in self.unseen.iter().filter(|change| change.is_seen_by(name)) {
            let new = space.unknown(Unknown::Named(text.to_string(), change.number))?;
            says = change.when.choose(&new, &says)?;
        }
        Ok(says)
    }

    pub(super) fn change(
        &mut self,
        space: &mut Space,
        when: &Packets,
        name: Option<&'static str>,
        place: &str,
    ) {
        let number = space.next_written(place);
        self.unseen.push(Unseen { when: when.clone(), name, number });
    }

    /// A rule says what tracking is to do with the packets of `when`.
    pub(super) fn template(
        &mut self,
        space: &Space,
        when: &Packets,
        untracked: bool,
    ) -> Result<()> {
        let known = self.template.take().unwrap_or_else(|| (space.none(), space.none()));
        let new = when.less(&known.0)?;
        let state = if untracked { ct::UNTRACKED } else { ct::NEW };
        self.set_state(space, &new, ct_number(state))?;
        let left = if untracked { known.1.or(&new)? } else { known.1 };
        self.template = Some((known.0.or(&new)?, left));
        Ok(())
    }

    /// Whether tracking has yet to look.
    pub(super) const fn is_before_tracking(&self) -> bool {
        self.is_before_tracking
    }

    /// While tracking has not looked: every packet looks INVALID to a rule, and one that tracking is to leave
    /// alone UNTRACKED.
    pub(super) fn before_tracking(&mut self, space: &Space) -> Result<()> {
        self.is_before_tracking = true;
        self.set_state(space, &space.every(), ct_number(ct::INVALID))
    }

    /// Tracking has looked.
    pub(super) fn after_tracking(&mut self, space: &Space) -> Result<()> {
        self.is_before_tracking = false;
        let group = Group::Field(Field::State);
        let (first, count) = space.groups().get(&group).copied().unwrap_or_default();
        for variable in first..first + count {
            self.bits.remove(&variable);
        }
        if let Some((_, untracked)) = self.template.take() {
            self.set_state(space, &untracked, ct_number(ct::UNTRACKED))?;
        }
        Ok(())
    }

    fn set_state(&mut self, space: &Space, when: &Packets, number: u128) -> Result<()> {
        let group = Group::Field(Field::State);
        let width = space.groups().get(&group).map_or(0, |(_, count)| *count);
        let values = constant(space, number, width);
        self.set_group(space, group, when, &values)
    }

    /// Whether rules ask for the interface that packets leave by where it is not known yet.
    pub(super) const fn is_before_routing(&self) -> bool {
        self.is_before_routing
    }

    /// A hook has its turn: behind PREROUTING it is known where packets leave.
    pub(super) fn comes_to(&mut self, hook: Hook) {
        self.is_before_routing = hook == Hook::Prerouting;
    }

    /// A router has passed the packets on: a hop less is left to them (RFC 791, 3.2; RFC 8200, 3).
    pub(super) fn passed_on(&mut self, space: &mut Space) -> Result<()> {
        // These may read the byte itself, and the checksum over it.
        for name in ["bpf", "string", "u32"] {
            let every = space.none().others()?;
            self.change(space, &every, Some(name), "a router");
        }
        let group = Group::Field(Field::Ttl);
        let less = plus(space, &self.group(space, group)?, -1)?;
        self.set_group(space, group, &space.all(), &less)
    }

    /// Packets whose state is now one of these, by [`STATES`]' bits.
    pub(super) fn in_state(&self, space: &Space, bits: u8) -> Result<Packets> {
        let ranges: Vec<_> = STATES
            .iter()
            .filter(|(bit, _)| bits & bit != 0)
            .map(|(bit, _)| (ct_number(*bit), ct_number(*bit)))
            .collect();
        space.among(&self.group(space, Group::Field(Field::State))?, &ranges)
    }

    /// What a group of the packets is by now: the packets whose group is in one of the ranges.
    pub fn all_of(&self, space: &Space, group: Group, ranges: &[(u128, u128)]) -> Result<Packets> {
        space.among(&self.group(space, group)?, &space.coded(group, ranges)?)
    }

    /// What a group of one packet is by now, by the value of each variable when it came in.
    pub fn number(&self, space: &Space, group: Group, values: &[bool]) -> Result<u128> {
        let bits = self.group(space, group)?;
        let number = bits.iter().map(|bit| space.contains(bit, values));
        let number = number.fold(0, |number, bit| number << 1 | u128::from(bit));
        Ok(space.value(group, number, values))
    }

    /// Whether a match without a field may say another thing than of the packet as it came in.
    pub(super) fn is_seen_otherwise(&self) -> bool {
        !self.unseen.is_empty()
    }

    /// Whether a group may be another thing than it was.
    #[must_use]
    pub fn changes(&self, space: &Space, group: Group) -> bool {
        let (first, count) = space.groups().get(&group).copied().unwrap_or_default();
        self.bits.range(first..first + count).next().is_some()
    }
}

fn ct_number(bit: u8) -> u128 {
    STATES.iter().position(|(one, _)| *one == bit).unwrap_or(0) as u128
}
