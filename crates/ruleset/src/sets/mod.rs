//! Sets and maps: many values in one rule.
//!
//! A key is a concatenation of packet fields, an element is a key or a range of each field, and what
//! an element leads to is its value: nothing (a set), a number (a map), a step (a verdict map). A
//! look-up is the same for all three; [`lookup`] makes matches and targets of them, which the one
//! evaluator walks like any other. The named sets of ipset(8) are in [`ipset`].

pub mod field;
pub mod ipset;
pub mod lookup;
#[cfg(test)]
mod tests;

use crate::evaluate::Traversal;
use alloc::{collections::BTreeMap, vec::Vec};
use field::Field;

/// Longest key in bytes, all fields together: nftables' sixteen registers of four.
pub const KEY_MAX: usize = 64;
/// Most fields of a key.
pub const FIELDS_MAX: usize = 8;

/// The bytes of a key: fields one behind the other, each in network order so that ranges compare as
/// bytes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    bytes: [u8; KEY_MAX],
    length: usize,
}

impl Default for Key {
    fn default() -> Self {
        Self { bytes: [0; KEY_MAX], length: 0 }
    }
}

impl Key {
    /// Appends a field; `None` when it does not fit.
    pub fn push(&mut self, field: &[u8]) -> Option<()> {
        let end = self.length.checked_add(field.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(field);
        self.length = end;
        Some(())
    }

    /// A part of it.
    fn part(&self, start: usize, length: usize) -> &[u8] {
        self.bytes.get(start..start + length).unwrap_or(&[])
    }
}

/// What a key leads to. With `()` it is a set.
#[derive(Clone, Debug)]
pub struct Map<V> {
    fields: Vec<Field>,
    exact: BTreeMap<Key, V>,
    /// Elements with a range in at least one field, in the order in which they were added.
    ranges: Vec<(Key, Key, V)>,
}

/// A set: whether a key is in it.
pub type Set = Map<()>;

/// Why an element or a map was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// No field, more than [`FIELDS_MAX`], or more than [`KEY_MAX`] bytes.
    Key,
    /// The element's width is not that of the fields, or a range begins above its end.
    Element,
    /// Part of it is in another element already.
    Overlap,
}

impl<V: Copy> Map<V> {
    /// An empty map of keys made of these fields.
    ///
    /// # Errors
    /// [`SetError::Key`].
    pub fn new(fields: Vec<Field>) -> Result<Self, SetError> {
        let width: usize = fields.iter().map(|field| field.width()).sum();
        if fields.is_empty() || fields.len() > FIELDS_MAX || width > KEY_MAX {
            return Err(SetError::Key);
        }
        Ok(Self { fields, exact: BTreeMap::new(), ranges: Vec::new() })
    }

    /// The fields of a key.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How many elements there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.exact.len() + self.ranges.len()
    }

    /// The values, those of single keys first.
    pub fn values(&self) -> impl Iterator<Item = V> + '_ {
        self.exact.values().copied().chain(self.ranges.iter().map(|(.., value)| *value))
    }

    /// Adds an element: for each field from `low` to `high`, both included.
    ///
    /// # Errors
    /// [`SetError::Element`] and [`SetError::Overlap`].
    pub fn insert(&mut self, low: Key, high: Key, value: V) -> Result<(), SetError> {
        let width: usize = self.fields.iter().map(|field| field.width()).sum();
        let ordered =
            self.parts().all(|(at, length)| low.part(at, length) <= high.part(at, length));
        if low.length != width || high.length != width || !ordered {
            return Err(SetError::Element);
        }
        let overlaps = self.ranges.iter().any(|(l, h, _)| self.meet(&low, &high, l, h))
            || self.exact.keys().any(|key| self.meet(&low, &high, key, key));
        if overlaps {
            return Err(SetError::Overlap);
        }
        if low == high {
            self.exact.insert(low, value);
        } else {
            self.ranges.push((low, high, value));
        }
        Ok(())
    }

    /// Where each field stands in a key: offset and width.
    fn parts(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.fields.iter().scan(0, |at, field| {
            let start = *at;
            *at += field.width();
            Some((start, field.width()))
        })
    }

    /// Whether two boxes of keys have one in common.
    fn meet(&self, low: &Key, high: &Key, other_low: &Key, other_high: &Key) -> bool {
        self.parts().all(|(at, length)| {
            low.part(at, length) <= other_high.part(at, length)
                && other_low.part(at, length) <= high.part(at, length)
        })
    }

    /// The value of the packet's key. `None` when it has none or the packet lacks a field.
    #[must_use]
    pub fn find(&self, traversal: &Traversal<'_>) -> Option<V> {
        let mut key = Key::default();
        for field in &self.fields {
            field.load(traversal, &mut key)?;
        }
        if let Some(value) = self.exact.get(&key) {
            return Some(*value);
        }
        let mut ranges = self.ranges.iter();
        ranges.find(|(low, high, _)| self.meet(&key, &key, low, high)).map(|(.., value)| *value)
    }
}
