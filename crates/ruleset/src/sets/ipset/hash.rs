//! The table of a hash type. Elements stand in buckets by a hash that anybody can compute from
//! `initval` (Bob Jenkins' lookup3, public domain, on 32-bit words), each bucket in the order in which
//! they came; a bucket that is full doubles the table. Sets that were filled alike are therefore in
//! the kernel's order, which is what `ipset save` prints.

use alloc::vec::Vec;

/// Places that a bucket begins with and grows by.
const BUCKET_STEP: u8 = 2;
/// Most places of a bucket that holds one network with many interfaces.
const BUCKET_TUNED_MAX: u8 = 64;
/// No element in this place of a bucket any more.
const HOLE: u32 = u32::MAX;
/// Largest number of buckets of one table, as a power of two.
pub const BITS_MAX: u8 = 26;

/// Buckets that are counted together, as a power of two.
const REGION_BITS: u32 = 10;

/// Buckets of slots.
#[derive(Clone, Debug)]
pub struct HashTable {
    bits: u8,
    /// Empty until there is an element.
    buckets: Vec<Bucket>,
    /// Keys the hash.
    pub initval: u32,
    /// Places of a bucket at most.
    pub bucketsize: u8,
    /// Heads and places as the kernel counts them: a bucket that grows counts its head again, and one
    /// that is given back takes away one head.
    counted: (i64, i64),
    /// Elements of each region of buckets.
    regions: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    slots: Vec<u32>,
    /// Places that the kernel would have for them.
    size: u8,
}

/// What became of an attempt to find a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here, in a place that was free or is taken over.
    Here,
    /// The bucket is full: the table has to grow.
    Full,
}

impl HashTable {
    /// Empty, of `2^bits` buckets.
    #[must_use]
    pub const fn new(bits: u8, initval: u32, bucketsize: u8) -> Self {
        Self {
            bits,
            buckets: Vec::new(),
            initval,
            bucketsize,
            counted: (0, 0),
            regions: Vec::new(),
        }
    }

    /// How many buckets there are.
    #[must_use]
    pub const fn size(&self) -> u32 {
        1 << self.bits
    }

    /// How many buckets take up memory.
    #[must_use]
    pub const fn allocated(&self) -> usize {
        self.buckets.len()
    }

    /// As a power of two.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    #[inline]
    fn at(&self, hashed: &[u8]) -> usize {
        (jhash(hashed, self.initval) & (self.size() - 1)) as usize
    }

    /// The slots in the bucket of a key.
    #[inline]
    pub fn bucket(&self, hashed: &[u8]) -> impl Iterator<Item = u32> + '_ {
        let bucket = if self.buckets.is_empty() { None } else { self.buckets.get(self.at(hashed)) };
        let slots = bucket.map_or(&[][..], |bucket| &bucket.slots);
        slots.iter().copied().filter(|slot| *slot != HOLE)
    }

    /// Whether the bucket of a key has a place that an element left.
    pub fn has_hole(&self, hashed: &[u8]) -> bool {
        let bucket = self.buckets.get(self.at(hashed));
        bucket.is_some_and(|bucket| bucket.slots.contains(&HOLE))
    }

    /// Whether the bucket of a key has never held anything, or nothing for long.
    pub fn is_vacant(&self, hashed: &[u8]) -> bool {
        self.buckets.get(self.at(hashed)).is_none_or(|bucket| bucket.slots.is_empty())
    }

    /// Whether a set of so many elements has no room for one more at a key. Each region has its share,
    /// and only where that is used up all elements count.
    pub fn is_full(&self, hashed: &[u8], count: usize, maxelem: u32) -> bool {
        let region = self.at(hashed) >> REGION_BITS;
        let here = self.regions.get(region).copied().unwrap_or(0);
        here >= maxelem / self.region_count() && count >= maxelem as usize
    }

    fn region_count(&self) -> u32 {
        (self.size() >> REGION_BITS).max(1)
    }

    fn count(&mut self, at: usize, change: i32) {
        if let Some(count) = self.regions.get_mut(at >> REGION_BITS) {
            *count = count.saturating_add_signed(change);
        }
    }

    /// The slots of the region of a key.
    pub fn region(&self, hashed: &[u8]) -> impl Iterator<Item = u32> + '_ {
        let region = self.at(hashed) >> REGION_BITS;
        let buckets = self.buckets.iter().skip(region << REGION_BITS).take(1 << REGION_BITS);
        let slots = buckets.flat_map(|bucket| bucket.slots.iter().copied());
        slots.filter(|slot| *slot != HOLE)
    }

    /// All slots, in order.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        let slots = self.buckets.iter().flat_map(|bucket| bucket.slots.iter().copied());
        slots.filter(|slot| *slot != HOLE)
    }

    /// Puts a slot into the bucket of its key: into the first hole, else at the end. `alike` counts
    /// what in it differs only in what is not hashed.
    pub fn insert(&mut self, hashed: &[u8], slot: u32, alike: u32) -> Place {
        if self.buckets.is_empty() {
            self.buckets.resize_with(1 << self.bits, Bucket::default);
            self.regions.resize(self.region_count() as usize, 0);
        }
        let at = self.at(hashed);
        let Some(bucket) = self.buckets.get_mut(at) else { return Place::Full };
        if let Some(hole) = bucket.slots.iter_mut().find(|slot| **slot == HOLE) {
            *hole = slot;
            self.count(at, 1);
            return Place::Here;
        }
        if bucket.slots.len() >= usize::from(bucket.size) {
            let tuned = self.bucketsize.saturating_add(BUCKET_STEP);
            if alike >= u32::from(self.bucketsize) && tuned <= BUCKET_TUNED_MAX {
                self.bucketsize = tuned;
            }
            if bucket.size >= self.bucketsize {
                return Place::Full;
            }
            bucket.size += BUCKET_STEP;
            self.counted.0 += 1;
            self.counted.1 += i64::from(BUCKET_STEP);
            bucket.slots.reserve_exact(usize::from(BUCKET_STEP));
        }
        bucket.slots.push(slot);
        self.count(at, 1);
        Place::Here
    }

    /// Takes a slot out of the bucket of its key.
    pub fn remove(&mut self, hashed: &[u8], slot: u32) {
        let at = self.at(hashed);
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        let Some(place) = bucket.slots.iter().position(|one| *one == slot) else { return };
        // Only the last place is given back alone; the others wait until there are two of them.
        if place + 1 == bucket.slots.len() {
            bucket.slots.pop();
        } else if let Some(place) = bucket.slots.get_mut(place) {
            *place = HOLE;
        }
        let holes = bucket.slots.iter().filter(|slot| **slot == HOLE).count();
        if bucket.slots.is_empty() {
            self.counted.0 -= 1;
            self.counted.1 -= i64::from(bucket.size);
            *bucket = Bucket::default();
        } else if holes >= usize::from(BUCKET_STEP) {
            bucket.slots.retain(|slot| *slot != HOLE);
            bucket.size = bucket.size.saturating_sub(BUCKET_STEP);
            self.counted.0 -= 1;
            self.counted.1 -= i64::from(BUCKET_STEP);
        }
        self.count(at, -1);
    }

    /// Twice as many buckets, until every slot of `slots` has a place; `None` when it would be too
    /// large. `key` gives the hashed bytes of a slot.
    pub fn grow<'a>(&self, key: impl Fn(u32) -> &'a [u8], buckets_max: usize) -> Option<Self> {
        let mut bits = self.bits;
        loop {
            bits += 1;
            if bits > BITS_MAX || 1_usize << bits > buckets_max {
                return None;
            }
            let mut grown = Self::new(bits, self.initval, self.bucketsize);
            if self.slots().all(|slot| grown.insert(key(slot), slot, 0) == Place::Here) {
                return Some(grown);
            }
        }
    }

    /// Nothing in it.
    pub fn clear(&mut self) {
        self.buckets = Vec::new();
        self.counted = (0, 0);
        self.regions = Vec::new();
    }

    /// Bytes of its buckets as the kernel counts them, for elements of `element` bytes.
    #[must_use]
    pub fn memory(&self, element: usize) -> usize {
        const BUCKET_HEAD: i64 = 32;
        const REGION: usize = 24;
        let (heads, places) = self.counted;
        let element = i64::try_from(element).unwrap_or(0);
        let buckets = usize::try_from(heads * BUCKET_HEAD + places * element).unwrap_or(0);
        buckets + (self.region_count() as usize - 1) * REGION
    }
}

/// Bob Jenkins' hash of 32-bit words in the order of a small-endian machine. What is left behind the
/// last whole word is not hashed: keys are of whole words.
#[inline]
#[must_use]
pub fn jhash(bytes: &[u8], initval: u32) -> u32 {
    const START: u32 = 0xdead_beef;
    let (words, _) = bytes.as_chunks::<4>();
    let count = u32::try_from(words.len()).unwrap_or(0);
    let start = START.wrapping_add(count << 2).wrapping_add(initval);
    let mut state = [start; 3];
    let mut rest = words;
    while let [first, second, third, others @ ..] = rest {
        if others.is_empty() {
            break;
        }
        for (to, word) in state.iter_mut().zip([first, second, third]) {
            *to = to.wrapping_add(u32::from_le_bytes(*word));
        }
        mix(&mut state);
        rest = others;
    }
    if rest.is_empty() {
        return state[2];
    }
    for (to, word) in state.iter_mut().zip(rest) {
        *to = to.wrapping_add(u32::from_le_bytes(*word));
    }
    finish(&mut state);
    state[2]
}

#[inline]
fn mix(state: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *state;
    let step = |x: &mut u32, y: &mut u32, z: u32, turn: u32| {
        *x = x.wrapping_sub(*y) ^ y.rotate_left(turn);
        *y = y.wrapping_add(z);
    };
    step(&mut a, &mut c, b, 4);
    step(&mut b, &mut a, c, 6);
    step(&mut c, &mut b, a, 8);
    step(&mut a, &mut c, b, 16);
    step(&mut b, &mut a, c, 19);
    step(&mut c, &mut b, a, 4);
    *state = [a, b, c];
}

#[inline]
fn finish(state: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *state;
    let step = |x: &mut u32, y: u32, turn: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(turn));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    *state = [a, b, c];
}
