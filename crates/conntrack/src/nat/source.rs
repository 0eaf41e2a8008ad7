//! Connections whose source was set up, by the source that they had: whoever sends again from the same
//! address and port is to get the same mapping.
//!
//! Chains through the slots, the newest first. There is nothing here before the first connection is
//! set up.

use alloc::vec::Vec;

/// Chains when the first connection comes, and the most there are. Their number doubles with the
/// connections.
const CHAINS_MIN: usize = 1 << 10;
const CHAINS_MAX: usize = 1 << 22;

/// Nowhere.
const NONE: u32 = u32::MAX;

/// The neighbours of a connection in its chain.
#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
    /// The low half of its hash.
    hash: u32,
}

const LOOSE: Link = Link { newer: NONE, older: NONE, hash: 0 };

/// The index.
#[derive(Debug, Default)]
pub(super) struct BySource {
    heads: Vec<u32>,
    links: Vec<Link>,
    count: usize,
}

impl BySource {
    /// Connections in it.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The slots under this hash, the newest first; others may be among them.
    pub(super) fn under(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let first = self.heads.get(self.chain(hash as u32)).copied().unwrap_or(NONE);
        let at = move |slot: u32| self.links.get(slot as usize).map(|link| (slot, link));
        let chain = core::iter::successors(at(first), move |(_, link)| at(link.older));
        chain.filter(move |(_, link)| link.hash == hash as u32).map(|(slot, _)| slot)
    }

    /// Enters a slot; `slots` is how many there are.
    pub(super) fn insert(&mut self, hash: u64, slot: u32, slots: u32) {
        if self.heads.len() < CHAINS_MAX && self.count >= self.heads.len() {
            self.grow();
        }
        if self.links.len() < slots as usize {
            self.links.resize(slots as usize, LOOSE);
        }
        self.count += 1;
        self.link(hash as u32, slot);
    }

    /// Takes a slot out that was entered under this hash.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let chain = self.chain(hash as u32);
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        let Link { newer, older, .. } = core::mem::replace(link, LOOSE);
        match self.links.get_mut(newer as usize) {
            Some(link) => link.older = older,
            None => {
                let head = self.heads.get_mut(chain).filter(|head| **head == slot);
                let Some(head) = head else { return };
                *head = older;
            }
        }
        if let Some(link) = self.links.get_mut(older as usize) {
            link.newer = newer;
        }
        self.count -= 1;
    }

    fn chain(&self, hash: u32) -> usize {
        hash as usize & self.heads.len().wrapping_sub(1)
    }

    fn link(&mut self, hash: u32, slot: u32) {
        let chain = self.chain(hash);
        let Some(head) = self.heads.get_mut(chain) else { return };
        let older = core::mem::replace(head, slot);
        if let Some(link) = self.links.get_mut(older as usize) {
            link.newer = slot;
        }
        if let Some(link) = self.links.get_mut(slot as usize) {
            *link = Link { newer: NONE, older, hash };
        }
    }

    /// Twice as many chains, the order within them kept.
    fn grow(&mut self) {
        let before = core::mem::take(&mut self.heads);
        self.heads.resize((before.len() * 2).max(CHAINS_MIN), NONE);
        let mut slots = Vec::new();
        for head in before {
            slots.clear();
            let at = |slot: u32| self.links.get(slot as usize).map(|link| (slot, link.hash));
            let next = |(slot, _): &(u32, u32)| at(self.links.get(*slot as usize)?.older);
            slots.extend(core::iter::successors(at(head), next));
            slots.iter().rev().for_each(|(slot, hash)| self.link(*hash, *slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_source_comes_first_however_many_there_are() {
        let mut index = BySource::default();
        let count = 3 * CHAINS_MIN as u32;
        for slot in 0..count {
            index.insert(u64::from(slot % 5), slot, slot + 1);
        }
        for source in 0..5 {
            let found: Vec<u32> = index.under(source).collect();
            let wanted = (0..count).rev().filter(|slot| u64::from(slot % 5) == source);
            assert_eq!(found, wanted.collect::<Vec<_>>());
        }
        for slot in (0..count).filter(|slot| slot % 3 != 0) {
            index.remove(u64::from(slot % 5), slot);
        }
        let found: Vec<u32> = index.under(2).collect();
        let wanted = (0..count).rev().filter(|slot| slot % 5 == 2 && slot % 3 == 0);
        assert_eq!(found, wanted.collect::<Vec<_>>());
        for slot in (0..count).step_by(3) {
            index.remove(u64::from(slot % 5), slot);
        }
        assert_eq!((index.count, index.under(2).count()), (0, 0));
        // What is not there cannot be taken out.
        index.remove(2, 7);
        assert_eq!(index.count, 0);
    }
}
