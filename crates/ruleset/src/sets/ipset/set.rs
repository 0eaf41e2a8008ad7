//! One set: what it was created with and what is in it. Here an element is added, taken out and
//! looked for; ranges are taken apart in `change`, packets in `packet`.

use super::element::{self, Element, Key};
use super::entries::{Entries, Extensions, Given, Marks};
use super::hash::{HashTable, Place};
use super::types::{Layout, Method, SetType};
use super::{Budget, Error};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use keepstate_packet::{Address, Family, Instant};

/// A set.
#[derive(Clone, Debug)]
pub struct IpSet {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: &'static SetType,
    /// Family of its addresses; `None` where they have no part in it.
    pub family: Option<Family>,
    /// What it was created with.
    pub header: Header,
    pub(super) entries: Entries,
    pub(super) index: Index,
}

/// Options of `create`, beside the extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// First and last address (of IPv4, as a number) or port of a bitmap.
    pub range: (u32, u32),
    /// Length of the prefix that is stored of each address.
    pub netmask: Option<u8>,
    /// What is stored of each address.
    pub bitmask: Option<Address>,
    /// What is stored of each mark.
    pub markmask: u32,
    /// Elements at most.
    pub maxelem: u32,
    /// A full set lets something go for a new element.
    pub forceadd: bool,
    /// Places of a list; shown, and nothing else.
    pub size: u32,
}

/// How an element is found.
#[derive(Clone, Debug)]
pub(super) enum Index {
    Bitmap(BTreeMap<u32, u32>),
    Hash { table: HashTable, nets: [Nets; 2] },
    List(Vec<u32>),
}

/// How many elements there are of each prefix length. A packet is looked for with the longest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Nets(BTreeMap<u8, u32>);

impl Nets {
    /// The lengths, longest first.
    pub(super) fn lengths(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.keys().rev().copied()
    }

    fn add(&mut self, cidr: u8) {
        *self.0.entry(cidr).or_insert(0) += 1;
    }

    fn remove(&mut self, cidr: u8) {
        if let Some(count) = self.0.get_mut(&cidr) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&cidr);
            }
        }
    }
}

/// What an element said to being looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there.
    Match(u32),
    /// It is there as an exception.
    Nomatch(u32),
    /// Its hardware address is to be filled in.
    Unfilled(u32),
}

impl Found {
    pub(super) const fn row(self) -> u32 {
        match self {
            Self::Match(row) | Self::Nomatch(row) | Self::Unfilled(row) => row,
        }
    }
}

impl IpSet {
    /// The family that addresses are laid out in.
    pub(super) fn laid_out(&self) -> Family {
        self.family.unwrap_or(Family::V4)
    }

    pub(super) const fn layout(&self) -> Layout {
        self.kind.layout
    }

    fn key(&self, e: &Element) -> Key {
        element::pack(self.layout(), self.laid_out(), e)
    }

    /// Whether its elements are ports alone.
    #[must_use]
    pub fn layout_is_port(&self) -> bool {
        self.layout() == Layout::BitmapPort
    }

    /// Its extensions.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.entries.extensions()
    }

    /// How many elements there are, those whose time is up among them until they are taken out.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.count()
    }

    /// Buckets that a hash has, 0 for other types.
    #[must_use]
    pub const fn hash(&self) -> Option<&HashTable> {
        match &self.index {
            Index::Hash { table, .. } => Some(table),
            Index::Bitmap(_) | Index::List(_) => None,
        }
    }

    /// How many elements there are of each prefix length; none but of a hash.
    pub(super) fn net_lengths(&self) -> Option<[&Nets; 2]> {
        match &self.index {
            Index::Hash { nets: [first, second], .. } => Some([first, second]),
            Index::Bitmap(_) | Index::List(_) => None,
        }
    }

    /// Bytes as the kernel counts them.
    #[must_use]
    pub fn memory(&self) -> usize {
        let v6 = usize::from(self.family == Some(Family::V6));
        let empty = self.kind.empty_size.get(v6).copied().unwrap_or(0) as usize;
        let plain = self.kind.element_size.get(v6).copied().unwrap_or(0);
        let align = match self.kind.method {
            Method::Hash => 4,
            Method::Bitmap if self.layout() == Layout::BitmapIpMac => 8,
            Method::Bitmap => 1,
            Method::List => 8,
        };
        let element = self.extensions().size(plain, align) as usize;
        let own = match &self.index {
            Index::Bitmap(_) => {
                let places = self.places() as usize;
                places.div_ceil(64) * 8 + places * element
            }
            Index::Hash { table, .. } => table.memory(element),
            Index::List(rows) => rows.len() * element,
        };
        empty + own + self.entries.comment_memory()
    }

    /// How many places a bitmap has.
    #[must_use]
    pub const fn places(&self) -> u32 {
        (self.header.range.1 - self.header.range.0) / self.hosts() + 1
    }

    /// How many addresses are one element of a bitmap.
    #[must_use]
    pub const fn hosts(&self) -> u32 {
        match self.header.netmask {
            Some(netmask) if netmask < 32 => 1 << (32 - netmask as u32),
            _ => 1,
        }
    }

    /// Rows of all elements whose time is not up, in the order in which they are listed.
    pub fn rows(&self, now: Instant) -> impl Iterator<Item = u32> + '_ {
        let (bitmap, hash, list) = match &self.index {
            Index::Bitmap(rows) => (Some(rows.values().copied()), None, None),
            Index::Hash { table, .. } => (None, Some(table.slots()), None),
            Index::List(rows) => (None, None, Some(rows.iter().copied())),
        };
        let all = bitmap.into_iter().flatten();
        let all = all.chain(hash.into_iter().flatten()).chain(list.into_iter().flatten());
        all.filter(move |row| self.is_unfilled(*row) || !self.entries.is_expired(*row, now))
    }

    /// The element of a row.
    #[must_use]
    pub fn element(&self, row: u32) -> Element {
        element::unpack(self.layout(), self.laid_out(), self.entries.key(row))
    }

    /// The elements' extensions.
    #[must_use]
    pub const fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Whether the hardware address of a row is still to be filled in: its time does not run yet.
    #[must_use]
    pub fn is_unfilled(&self, row: u32) -> bool {
        self.layout() == Layout::BitmapIpMac && !self.element(row).has_mac
    }

    /// Whether a row of the bucket is this element; `alike` counts those that differ only in what is
    /// not hashed.
    fn is_equal(&self, row: u32, key: &Key, alike: &mut u32) -> bool {
        let stored = self.entries.key(row);
        if self.layout() != Layout::HashNetIface {
            return stored == key.bytes();
        }
        let hashed = key.hashed();
        if !stored.starts_with(hashed) {
            return false;
        }
        *alike += 1;
        let interface = |bytes: &'_ [u8]| -> usize {
            bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len())
        };
        let name = stored.get(hashed.len()..).unwrap_or(&[]);
        let other = key.bytes().get(hashed.len()..).unwrap_or(&[]);
        let compared = if self.entries.marks(row).wildcard { interface(name) } else { name.len() };
        name.get(..compared) == other.get(..compared)
    }

    /// Looks for exactly this element; also how many in its place differ only in what is not hashed.
    fn find_exact(&self, e: &Element, now: Instant) -> (Option<u32>, u32) {
        let mut alike = 0;
        let row = match &self.index {
            Index::Bitmap(rows) => rows.get(&e.id).copied(),
            Index::Hash { table, .. } => {
                let key = self.key(e);
                let mut rows = table.bucket(key.hashed());
                rows.find(|row| self.is_equal(*row, &key, &mut alike))
            }
            Index::List(rows) => rows.iter().copied().find(|row| self.element(*row).id == e.id),
        };
        let there = row.filter(|row| self.is_unfilled(*row) || !self.entries.is_expired(*row, now));
        (there, alike)
    }

    /// Looks for an element as it is stored, nothing masked.
    pub(super) fn find(&self, e: &Element, now: Instant) -> (Option<Found>, u32) {
        let (row, alike) = self.find_exact(e, now);
        let found = row.and_then(|row| {
            if self.layout() == Layout::BitmapIpMac {
                let stored = self.element(row);
                return match (stored.has_mac, e.has_mac) {
                    (true, true) if stored.mac != e.mac => None,
                    (true, _) => Some(Found::Match(row)),
                    (false, _) => Some(Found::Unfilled(row)),
                };
            }
            let nomatch = self.entries.marks(row).nomatch;
            Some(if nomatch { Found::Nomatch(row) } else { Found::Match(row) })
        });
        (found, alike)
    }

    /// Adds an element. A full hash becomes larger for commands, and not for packets.
    pub(super) fn add(
        &mut self,
        e: &Element,
        marks: Marks,
        given: &Given,
        exist: bool,
        now: Instant,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        if budget.elements == 0 {
            return Err(Error::NoMemory);
        }
        let (count, buckets) = (self.count(), self.allocated());
        let result = match self.kind.method {
            Method::Bitmap => self.add_to_bitmap(e, given, exist, now),
            Method::Hash => self.add_to_hash(e, (marks, given), exist, now, budget),
            Method::List => Err(Error::Invalid),
        };
        budget.elements = (budget.elements + count).saturating_sub(self.count());
        budget.buckets = (budget.buckets + buckets).saturating_sub(self.allocated());
        result
    }

    fn allocated(&self) -> usize {
        self.hash().map_or(0, HashTable::allocated)
    }

    pub(super) fn add_to_bitmap(
        &mut self,
        e: &Element,
        given: &Given,
        exist: bool,
        now: Instant,
    ) -> Result<(), Error> {
        let key = self.key(e);
        let Index::Bitmap(rows) = &mut self.index else { return Err(Error::Invalid) };
        let Some(row) = rows.get(&e.id).copied() else {
            let row = self.entries.add(key.bytes());
            rows.insert(e.id, row);
            self.entries.set_given(row, given, now);
            self.keep_waiting(row, e, given);
            return Ok(());
        };
        let mut given = given.clone();
        if self.layout() == Layout::BitmapIpMac {
            let stored = self.element(row);
            if !stored.has_mac && e.has_mac {
                // Filled in: the time that was given with the address begins to run.
                let waiting = self.entries.timeout_waiting(row);
                given.timeout = given.timeout.or(Some(waiting));
                self.entries.set_key(row, key.bytes());
                self.entries.set_given(row, &given, now);
                return Ok(());
            }
            // A time that does not run yet is taken for one that is up long ago.
            let expired = if stored.has_mac {
                self.entries.is_expired(row, now)
            } else {
                self.entries.timeout_waiting(row) != 0
            };
            if !expired && !exist {
                return Err(Error::ElementExists);
            }
            if e.has_mac && exist {
                self.entries.set_key(row, key.bytes());
            }
            self.entries.set_given(row, &given, now);
            self.keep_waiting(row, e, &given);
            return Ok(());
        }
        if !exist && !self.entries.is_expired(row, now) {
            return Err(Error::ElementExists);
        }
        self.entries.set_given(row, &given, now);
        Ok(())
    }

    /// Without a hardware address the time of an element does not run yet.
    fn keep_waiting(&mut self, row: u32, e: &Element, given: &Given) {
        if let Some(default) = self.extensions().timeout
            && self.layout() == Layout::BitmapIpMac
            && !e.has_mac
        {
            self.entries.set_timeout_waiting(row, given.timeout.unwrap_or(default));
        }
    }

    fn add_to_hash(
        &mut self,
        e: &Element,
        (marks, given): (Marks, &Given),
        exist: bool,
        now: Instant,
        budget: &Budget,
    ) -> Result<(), Error> {
        let key = self.key(e);
        let mut alike = 0;
        let Index::Hash { table, .. } = &self.index else { return Err(Error::Invalid) };
        let mut first = None;
        let mut expired = None;
        let mut equal = None;
        for row in table.bucket(key.hashed()) {
            first = first.or(Some(row));
            let is_expired = self.entries.is_expired(row, now);
            if self.is_equal(row, &key, &mut alike) {
                equal = Some((row, is_expired));
                break;
            }
            expired = expired.or(is_expired.then_some(row));
        }
        if let Some((row, is_expired)) = equal {
            if !exist && !is_expired {
                return Err(Error::ElementExists);
            }
            self.entries.set_marks(row, marks);
            self.entries.set_given(row, given, now);
            return Ok(());
        }
        let maxelem = self.header.maxelem;
        if table.is_full(key.hashed(), self.entries.count(), maxelem) {
            self.collect_near(&key, now);
        }
        let Index::Hash { table, .. } = &self.index else { return Err(Error::Invalid) };
        let reuse = table.has_hole(key.hashed()) || budget.trusted;
        let is_full = table.is_full(key.hashed(), self.entries.count(), maxelem);
        if let Some(row) = expired.filter(|row| self.entries.key(*row).starts_with(key.hashed()))
            && is_full
        {
            self.remove_row(row);
        } else if is_full && !reuse {
            if table.is_vacant(key.hashed()) || !self.header.forceadd {
                return Err(Error::HashFull);
            }
            if let Some(row) = first {
                self.remove_row(row);
            }
        }
        self.put(e, &key, alike, budget).map(|row| {
            self.entries.set_marks(row, marks);
            self.entries.set_given(row, given, now);
        })
    }

    /// Makes a row and finds it a place in the hash.
    fn put(&mut self, e: &Element, key: &Key, alike: u32, budget: &Budget) -> Result<u32, Error> {
        let Index::Hash { table, nets } = &mut self.index else { return Err(Error::Invalid) };
        if table.allocated() == 0 && table.size() as usize > budget.buckets {
            return Err(Error::NoMemory);
        }
        let row = self.entries.add(key.bytes());
        while table.insert(key.hashed(), row, alike) == Place::Full {
            let hashed = key.hashed().len();
            let entries = &self.entries;
            let of_row = |row| entries.key(row).get(..hashed).unwrap_or(&[]);
            let most = budget.buckets + table.allocated();
            let grown = if budget.grows { table.grow(of_row, most) } else { None };
            let Some(grown) = grown else {
                self.entries.remove(row);
                return Err(Error::HashFull);
            };
            *table = grown;
        }
        let [first, second] = nets;
        if let Some(cidr) = first_net(self.kind.layout, e) {
            first.add(cidr);
        }
        if let Some(cidr) = second_net(self.kind.layout, e) {
            second.add(cidr);
        }
        Ok(row)
    }

    fn remove_row(&mut self, row: u32) {
        let e = self.element(row);
        let key = self.key(&e);
        match &mut self.index {
            Index::Bitmap(rows) => {
                rows.remove(&e.id);
            }
            Index::Hash { table, nets: [first, second] } => {
                table.remove(key.hashed(), row);
                if let Some(cidr) = first_net(self.kind.layout, &e) {
                    first.remove(cidr);
                }
                if let Some(cidr) = second_net(self.kind.layout, &e) {
                    second.remove(cidr);
                }
            }
            Index::List(rows) => rows.retain(|one| *one != row),
        }
        self.entries.remove(row);
    }

    /// Takes an element out.
    pub(super) fn remove(&mut self, e: &Element, now: Instant) -> Result<(), Error> {
        let (row, _) = self.find_exact(e, now);
        row.map(|row| self.remove_row(row)).ok_or(Error::ElementMissing)
    }

    /// Takes out what has expired in the region of a key: as much as a single packet may cost.
    fn collect_near(&mut self, key: &Key, now: Instant) {
        if !self.entries.may_expire(now) {
            return;
        }
        let Index::Hash { table, .. } = &self.index else { return };
        let gone = |row: &u32| self.entries.is_expired(*row, now);
        let rows: Vec<u32> = table.region(key.hashed()).filter(gone).collect();
        rows.into_iter().for_each(|row| self.remove_row(row));
    }

    /// Takes out what has expired.
    pub fn collect(&mut self, now: Instant) {
        if self.extensions().timeout.is_none() {
            return;
        }
        let gone = |row: &u32| !self.is_unfilled(*row) && self.entries.is_expired(*row, now);
        let rows: Vec<u32> = match &self.index {
            Index::Bitmap(rows) => rows.values().copied().filter(gone).collect(),
            Index::Hash { table, .. } => table.slots().filter(gone).collect(),
            Index::List(rows) => rows.iter().copied().filter(gone).collect(),
        };
        rows.into_iter().for_each(|row| self.remove_row(row));
    }

    /// Takes everything out.
    pub fn flush(&mut self) {
        let width = element::width(self.layout(), self.laid_out());
        self.entries = Entries::new(width, self.extensions());
        match &mut self.index {
            Index::Bitmap(rows) => rows.clear(),
            Index::Hash { table, nets } => {
                table.clear();
                *nets = Default::default();
            }
            Index::List(rows) => rows.clear(),
        }
    }
}

const fn first_net(layout: Layout, e: &Element) -> Option<u8> {
    match layout {
        Layout::HashNet
        | Layout::HashNetPort
        | Layout::HashNetNet
        | Layout::HashNetPortNet
        | Layout::HashNetIface => Some(e.cidr),
        Layout::HashIpPortNet => Some(e.cidr2),
        _ => None,
    }
}

const fn second_net(layout: Layout, e: &Element) -> Option<u8> {
    match layout {
        Layout::HashNetNet | Layout::HashNetPortNet => Some(e.cidr2),
        _ => None,
    }
}
