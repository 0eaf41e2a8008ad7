//! All sets, by name and by number.

use super::change::{Change, Request};
use super::create::Create;
use super::entries::SkbInfo;
use super::hash::HashTable;
use super::packet::{Asked, Deed, Directions, Fields};
use super::set::{Index, IpSet};
use super::types::Method;
use super::{BUCKETS_MAX, Budget, ELEMENTS_MAX, Error, SETS_MAX, WORK_MAX};
use crate::evaluate::Random;
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use keepstate_packet::Instant;

/// The sets.
#[derive(Clone, Debug)]
pub struct Sets {
    /// By number; a number that is free is given to the next set.
    sets: Vec<Option<IpSet>>,
    names: BTreeMap<String, u32>,
    /// Rules that name each set.
    references: BTreeMap<String, u32>,
    random: Random,
    work: u64,
    elements: usize,
    buckets: usize,
    /// Where the time of the elements begins: with the first packet, when it is not said before.
    epoch: Epoch,
}

/// Where the time of elements begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Epoch {
    /// With all time.
    Zero,
    /// With a packet that has not come yet.
    Waiting,
    /// With the packet that came then.
    At(Instant),
}

impl Default for Sets {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Sets {
    /// None; `seed` makes the keys of hashes that are created without.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            sets: Vec::new(),
            names: BTreeMap::new(),
            references: BTreeMap::new(),
            random: Random::new(seed),
            work: WORK_MAX,
            elements: 0,
            buckets: 0,
            epoch: Epoch::Zero,
        }
    }

    /// The same, filled at time 0, which is the time of the first packet.
    #[must_use]
    pub fn waiting(seed: u64) -> Self {
        Self { epoch: Epoch::Waiting, ..Self::new(seed) }
    }

    /// The time of the elements when a packet comes.
    fn time(&mut self, now: Instant) -> Instant {
        let start = match self.epoch {
            Epoch::Zero => return now,
            Epoch::Waiting => {
                self.epoch = Epoch::At(now);
                now
            }
            Epoch::At(start) => start,
        };
        Instant(now.0.saturating_sub(start.0))
    }

    /// Takes out what has expired.
    pub fn collect(&mut self, now: Instant) {
        self.sets.iter_mut().flatten().for_each(|set| set.collect(now));
        self.recount();
    }

    /// The number of the set of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// A set by its number.
    #[must_use]
    pub fn set(&self, number: u32) -> Option<&IpSet> {
        self.sets.get(number as usize)?.as_ref()
    }

    pub(super) fn set_mut(&mut self, number: u32) -> Option<&mut IpSet> {
        self.sets.get_mut(number as usize)?.as_mut()
    }

    /// A set by its name.
    ///
    /// # Errors
    /// [`Error::NoSet`].
    pub fn named(&self, name: &str) -> Result<&IpSet, Error> {
        self.find(name).and_then(|number| self.set(number)).ok_or(Error::NoSet)
    }

    /// All sets by number.
    pub fn iter(&self) -> impl Iterator<Item = &IpSet> + '_ {
        self.sets.iter().flatten()
    }

    /// Says how many rules name each set: those sets cannot be destroyed or renamed.
    pub fn set_references(&mut self, references: BTreeMap<String, u32>) {
        self.references = references;
    }

    /// How often a set is named, by rules and in lists.
    #[must_use]
    pub fn references(&self, name: &str) -> u32 {
        let number = self.find(name);
        let lists = self.iter().flat_map(IpSet::all_members);
        let listed = lists.filter(|member| Some(*member) == number).count();
        let rules = self.references.get(name).copied().unwrap_or(0);
        rules.saturating_add(u32::try_from(listed).unwrap_or(u32::MAX))
    }

    /// Makes a set. With `exist`, one that is there already and alike is no fault.
    ///
    /// # Errors
    /// What stands against it.
    pub fn create(&mut self, name: &str, create: &Create, exist: bool) -> Result<(), Error> {
        let new = create.set(name.into(), self.random.next())?;
        if let Some(old) = self.find(name).and_then(|number| self.set(number)) {
            let alike = exist && old.is_alike(&new);
            return if alike { Ok(()) } else { Err(Error::SetExists) };
        }
        let number = self.sets.iter().position(Option::is_none).unwrap_or(self.sets.len());
        if number >= SETS_MAX {
            return Err(Error::MaxSets);
        }
        if number == self.sets.len() {
            self.sets.push(None);
        }
        if let Some(place) = self.sets.get_mut(number) {
            *place = Some(new);
        }
        self.names.insert(name.into(), u32::try_from(number).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Removes a set.
    ///
    /// # Errors
    /// [`Error::NoSet`], [`Error::DestroyBusy`].
    pub fn destroy(&mut self, name: &str) -> Result<(), Error> {
        let number = self.find(name).ok_or(Error::NoSet)?;
        if self.references(name) > 0 {
            return Err(Error::DestroyBusy);
        }
        if let Some(place) = self.sets.get_mut(number as usize) {
            *place = None;
        }
        self.names.remove(name);
        self.recount();
        Ok(())
    }

    /// Removes all sets, or none where one is named.
    ///
    /// # Errors
    /// [`Error::DestroyBusy`].
    pub fn destroy_all(&mut self) -> Result<(), Error> {
        if self.iter().any(|set| self.references(&set.name) > 0) {
            return Err(Error::DestroyBusy);
        }
        self.sets.clear();
        self.names.clear();
        self.recount();
        Ok(())
    }

    /// Empties a set, or all of them.
    ///
    /// # Errors
    /// [`Error::NoSet`].
    pub fn flush(&mut self, name: Option<&str>) -> Result<(), Error> {
        match name {
            Some(name) => {
                let number = self.find(name).ok_or(Error::NoSet)?;
                self.set_mut(number).ok_or(Error::NoSet)?.flush();
            }
            None => self.sets.iter_mut().flatten().for_each(IpSet::flush),
        }
        self.recount();
        Ok(())
    }

    /// Gives a set another name.
    ///
    /// # Errors
    /// [`Error::NoSet`], [`Error::RenameReferenced`], [`Error::RenameExists`].
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let number = self.find(from).ok_or(Error::NoSet)?;
        if self.references(from) > 0 {
            return Err(Error::RenameReferenced);
        }
        if self.find(to).is_some() {
            return Err(Error::RenameExists);
        }
        self.names.remove(from);
        self.names.insert(to.into(), number);
        if let Some(set) = self.set_mut(number) {
            set.name = to.into();
        }
        Ok(())
    }

    /// Exchanges what is in two sets.
    ///
    /// # Errors
    /// [`Error::NoSet`], [`Error::SwapSecond`], [`Error::SwapType`].
    pub fn swap(&mut self, first: &str, second: &str) -> Result<(), Error> {
        let one = self.find(first).ok_or(Error::NoSet)?;
        let other = self.find(second).ok_or(Error::SwapSecond)?;
        let pair = self.set(one).zip(self.set(other)).ok_or(Error::NoSet)?;
        let features = |set: &IpSet| (set.kind.features(), set.family);
        if features(pair.0) != features(pair.1) {
            return Err(Error::SwapType);
        }
        self.sets.swap(one as usize, other as usize);
        for (number, name) in [(one, first), (other, second)] {
            if let Some(set) = self.set_mut(number) {
                set.name = name.into();
            }
        }
        Ok(())
    }

    /// Adds elements to a set or takes them out.
    ///
    /// # Errors
    /// What stands against one of them; those before it are changed.
    pub fn change(
        &mut self,
        name: &str,
        request: &Request,
        change: Change,
        now: Instant,
    ) -> Result<(), Error> {
        let number = self.find(name).ok_or(Error::NoSet)?;
        let set = self.set_mut(number).ok_or(Error::NoSet)?;
        if set.kind.method == Method::List {
            return self.change_list(number, request, change, now);
        }
        let mut budget = Budget { trusted: request.trusted, ..self.budget(true) };
        let set = self.set_mut(number).ok_or(Error::NoSet)?;
        let result = set.change(request, change, now, &mut budget);
        self.spent(&budget);
        result
    }

    fn budget(&self, grows: bool) -> Budget {
        Budget {
            work: self.work,
            elements: ELEMENTS_MAX.saturating_sub(self.elements),
            buckets: BUCKETS_MAX.saturating_sub(self.buckets),
            grows,
            trusted: false,
        }
    }

    fn spent(&mut self, budget: &Budget) {
        self.work = budget.work;
        self.elements = ELEMENTS_MAX.saturating_sub(budget.elements);
        self.buckets = BUCKETS_MAX.saturating_sub(budget.buckets);
    }

    fn recount(&mut self) {
        self.elements = self.iter().map(IpSet::count).sum();
        let buckets = |set: &IpSet| set.hash().map_or(0, HashTable::allocated);
        self.buckets = self.iter().map(buckets).sum();
    }

    /// Whether an element is in a set.
    ///
    /// # Errors
    /// [`Error::NoSet`].
    pub fn test(&self, name: &str, request: &Request, now: Instant) -> Result<bool, Error> {
        let number = self.find(name).ok_or(Error::NoSet)?;
        let set = self.set(number).ok_or(Error::NoSet)?;
        if set.kind.method == Method::List {
            return Ok(self.list_holds(number, request, now));
        }
        Ok(set.holds(request, now))
    }

    /// Whether a packet is in a set as a rule asks; where it was found.
    pub fn test_packet(
        &mut self,
        number: u32,
        fields: &Fields,
        asked: &Asked,
        now: Instant,
    ) -> Option<Found> {
        let now = self.time(now);
        let set = self.set_mut(number)?;
        let (set, row) = if matches!(set.index, Index::List(_)) {
            self.test_list(number, fields, asked, now)?
        } else {
            (number, set.test_packet(fields, asked, now)?)
        };
        Some(Found { set, row })
    }

    /// What `skbinfo` has for what was found; `None` where its set has none.
    #[must_use]
    pub fn skbinfo(&self, found: Found) -> Option<SkbInfo> {
        self.set(found.set)?.entries().skbinfo(found.row)
    }

    /// Adds the element of a packet to a set or takes it out.
    pub fn change_by_packet(
        &mut self,
        number: u32,
        fields: &Fields,
        directions: Directions,
        deed: Deed,
        now: Instant,
    ) {
        let now = self.time(now);
        if self.set(number).is_some_and(|set| set.kind.method == Method::List) {
            self.change_list_by_packet(number, fields, directions, deed, now);
        } else {
            self.change_set_by_packet(number, fields, directions, deed, now);
        }
    }

    pub(super) fn change_set_by_packet(
        &mut self,
        number: u32,
        fields: &Fields,
        directions: Directions,
        deed: Deed,
        now: Instant,
    ) -> bool {
        let mut budget = self.budget(false);
        let Some(set) = self.set_mut(number) else { return false };
        let changed = set.change_by_packet(fields, directions, deed, now, &mut budget);
        self.spent(&budget);
        changed
    }
}

/// Where a packet was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    set: u32,
    row: u32,
}

impl IpSet {
    /// Whether `create -exist` takes one for the other.
    fn is_alike(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.family == other.family
            && self.extensions() == other.extensions()
            && Self::compared(self) == Self::compared(other)
    }

    fn compared(set: &Self) -> super::set::Header {
        super::set::Header { forceadd: false, ..set.header }
    }
}
