//! The index of the connection table: from the hash of a tuple to the slots that may hold it.
//!
//! A bucket is one cache line: seven words of fingerprint and slot, and a word that counts the
//! entries which wanted a place here or before and found it further on. A look-up reads on to the
//! next bucket only while that count is not 0, so removing leaves no marks behind, and a search
//! ends, as a rule, in the line it began in.
//!
//! Invariant: an entry whose home is bucket `h` and that lies `n` buckets further is counted in the
//! last word of each of the `n` buckets from `h` on.

use alloc::vec;
use alloc::vec::Vec;

/// Words of a bucket that hold an entry.
const ENTRIES: usize = 7;
/// Words of a bucket: 64 bytes.
const WORDS: usize = 8;
/// Most buckets looked at for one hash. At the load that [`Index::new`] allows, the chance that a
/// run of full buckets is this long is below 2^-60.
pub(crate) const PROBES_MAX: usize = 32;
/// Fewest and most buckets.
const BUCKETS_MIN: usize = 16;
const BUCKETS_MAX: usize = 1 << 24;

/// The index.
#[derive(Debug)]
pub(crate) struct Index {
    /// The buckets, from word `skew` on, which is where a cache line begins.
    words: Vec<u64>,
    skew: usize,
    mask: usize,
}

impl Index {
    /// An index for so many entries at a load of at most one half. Its memory is zero pages until
    /// they are used.
    pub(crate) fn new(entries: usize) -> Self {
        let buckets = (entries.saturating_mul(2) / ENTRIES + 1).clamp(BUCKETS_MIN, BUCKETS_MAX);
        let buckets = buckets.next_power_of_two();
        let words = vec![0_u64; (buckets + 1) * WORDS];
        let skew = words.as_ptr().align_offset(64).min(WORDS);
        Self { words, skew, mask: buckets - 1 }
    }

    /// Bytes taken.
    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }

    /// Buckets.
    pub(crate) fn buckets(&self) -> usize {
        self.mask + 1
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & self.mask
    }

    #[inline(always)]
    fn line(&self, bucket: usize) -> &[u64; WORDS] {
        static NOTHING: [u64; WORDS] = [0; WORDS];
        let start = self.skew + bucket * WORDS;
        self.words.get(start..).and_then(<[u64]>::first_chunk).unwrap_or(&NOTHING)
    }

    #[inline(always)]
    fn line_mut(&mut self, bucket: usize) -> Option<&mut [u64; WORDS]> {
        let start = self.skew + bucket * WORDS;
        self.words.get_mut(start..).and_then(<[u64]>::first_chunk_mut)
    }

    /// Reads a word of the hash's home bucket, so that its line is on its way into the cache.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.line(self.home(hash))[ENTRIES]
    }

    /// The first slot entered under this hash that `is` the one looked for. Others may share its
    /// fingerprint, so `is` has to compare the tuple.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut bucket = self.home(hash);
        for _ in 0..PROBES_MAX {
            let line = self.line(bucket);
            for word in line.iter().take(ENTRIES) {
                if (word >> 32) as u32 == hash as u32 && *word as u32 != 0 {
                    let slot = *word as u32 - 1;
                    if is(slot) {
                        return Some(slot);
                    }
                }
            }
            if line[ENTRIES] == 0 {
                return None;
            }
            bucket = (bucket + 1) & self.mask;
        }
        None
    }

    /// Enters a slot. False when there is no place within [`PROBES_MAX`] buckets.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) -> bool {
        let home = self.home(hash);
        let mask = self.mask;
        for distance in 0..PROBES_MAX {
            let Some(line) = self.line_mut((home + distance) & mask) else { return false };
            let Some(free) = line.iter_mut().take(ENTRIES).find(|word| **word == 0) else {
                continue;
            };
            *free = entry(hash, slot);
            self.count_displaced(home, distance, 1);
            return true;
        }
        false
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32) {
        let home = self.home(hash);
        let mask = self.mask;
        let wanted = entry(hash, slot);
        for distance in 0..PROBES_MAX {
            let Some(line) = self.line_mut((home + distance) & mask) else { return };
            if let Some(word) = line.iter_mut().take(ENTRIES).find(|word| **word == wanted) {
                *word = 0;
                self.count_displaced(home, distance, u64::MAX);
                return;
            }
        }
    }

    fn count_displaced(&mut self, home: usize, distance: usize, by: u64) {
        let mask = self.mask;
        for passed in 0..distance {
            if let Some(line) = self.line_mut((home + passed) & mask) {
                line[ENTRIES] = line[ENTRIES].wrapping_add(by);
            }
        }
    }

    /// The slots in `buckets` buckets from the hash's home on.
    pub(crate) fn neighbours(&self, hash: u64, buckets: usize) -> impl Iterator<Item = u32> + '_ {
        let home = self.home(hash);
        (0..buckets.min(self.mask + 1)).flat_map(move |distance| {
            let line = self.line((home + distance) & self.mask);
            line.iter().take(ENTRIES).filter_map(|word| (*word as u32).checked_sub(1))
        })
    }
}

#[inline(always)]
const fn entry(hash: u64, slot: u32) -> u64 {
    hash << 32 | (slot as u64 + 1)
}

#[cfg(test)]
mod tests;
