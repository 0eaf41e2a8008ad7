//! Random numbers from a seed alone: the same seed gives the same numbers on every machine.

/// A generator (SplitMix64: a counter through a bijective mixer).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator for part `part` of the work of this seed, independent of the other parts.
    #[must_use]
    pub(crate) fn part(seed: u64, part: u64) -> Self {
        let mut first = Self(seed);
        let mut second = Self(first.number() ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(second.number())
    }

    /// 64 bits.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// 32 bits.
    pub(crate) fn word(&mut self) -> u32 {
        (self.number() >> 32) as u32
    }

    /// 16 bits.
    pub(crate) fn half(&mut self) -> u16 {
        (self.number() >> 48) as u16
    }

    /// 8 bits.
    pub(crate) fn byte(&mut self) -> u8 {
        (self.number() >> 56) as u8
    }

    /// A number below `limit`; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.number()) * limit as u128) >> 64) as usize
    }

    /// True `percent` times in a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// `length` random bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }
}
