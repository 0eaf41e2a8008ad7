//! The tables of `hashlimit`: a bucket of credit for each flow, in the arithmetic of Linux.
//!
//! Time is counted in ticks of 1/250 s, so what comes within one tick comes at once. Of a rate of
//! packets, each tick brings 2^39 of credit and a packet costs 137438953 for each microsecond between
//! two packets; the bucket holds what `burst` packets cost. Products of 64 bits wrap around: such rates
//! are refused at load where the bucket comes out smaller than the price of a packet, and are otherwise
//! as odd as there. Of a rate of bytes, each tick brings 2^24, the bucket holds a second of that, and 16
//! bytes begun have a price; a bucket that runs dry is filled again as often as the burst says, for the
//! life of its entry.
//!
//! An entry that was not asked for as long as `expire` is forgotten when the table is next swept, each
//! `gcinterval`; until then it counts on. The first sweep is reckoned from the first packet, where
//! Linux reckons from the loading of the rule.

use crate::evaluate::Named;
use alloc::collections::{BTreeMap, BTreeSet};
use keepstate_packet::{Address, Family, Instant};

/// Ticks of the kernel's clock in a second (`CONFIG_HZ` of usual kernels).
pub(super) const TICKS: u64 = 250;
const NANOSECONDS_A_TICK: u64 = 1_000_000_000 / TICKS;
const CREDIT_A_TICK: u64 = 1 << 39;
/// Price of a microsecond.
const PRICE: u64 = TICKS * CREDIT_A_TICK / 1_000_000;
const BYTES_CREDIT_A_TICK: u64 = 1 << 24;
const BYTES_CREDIT_MAX: u64 = BYTES_CREDIT_A_TICK * TICKS;

/// Most entries a table can have, and most buckets.
pub const ENTRIES_MAX: u32 = 1 << 20;
/// Buckets of a table whose rule does not say: what Linux takes with a gigabyte of memory or more.
pub const BUCKETS: u32 = 8192;

/// What one flow may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// So many microseconds between two packets; so many packets at once.
    Packets {
        /// Microseconds, at least 1.
        period: u64,
        /// Packets.
        burst: u64,
    },
    /// A price of 16 bytes, and how often the bucket is filled again.
    Bytes {
        /// Of 2^32 a second.
        price: u64,
        /// Times a second's bytes.
        burst: u64,
    },
    /// Counted over windows of time instead (`--hashlimit-rate-match`).
    Window {
        /// Packets or bytes in a window.
        amount: u64,
        /// So many in one window are not above it.
        most: u64,
        /// Length of the window in seconds.
        seconds: u64,
    },
}

/// What of a packet tells flows apart, and how long they are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What a flow may do.
    pub rate: Rate,
    /// `srcip`: bits that count.
    pub source: Option<u8>,
    /// `dstip`: bits that count.
    pub destination: Option<u8>,
    /// `srcport`.
    pub source_port: bool,
    /// `dstport`.
    pub destination_port: bool,
    /// Most entries.
    pub entries_max: u32,
    /// Milliseconds between sweeps.
    pub sweep: u32,
    /// Milliseconds for which an entry is kept.
    pub expire: u32,
}

impl Rate {
    /// What packets cost, and what the bucket holds.
    const fn packets(period: u64, burst: u64) -> (u64, u64) {
        (period.wrapping_mul(PRICE), period.wrapping_mul(burst).wrapping_mul(PRICE))
    }

    /// Whether Linux can reckon with it.
    #[must_use]
    pub const fn is_possible(period: u64, burst: u64) -> bool {
        let (price, holds) = Self::packets(period, burst);
        period > 0 && burst > 0 && holds >= price
    }
}

/// A flow: addresses and ports, as far as they count.
pub(super) type Key = ([u8; 16], [u8; 16], u16, u16);

/// The first bits of an address.
#[must_use]
pub(super) fn masked(address: Address, bits: u8) -> [u8; 16] {
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
    (u128::from_be_bytes(address.0) & mask).to_be_bytes()
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Tick up to which credit was given.
    at: u64,
    /// Tick at which it is forgotten.
    expires: u64,
    bucket: Bucket,
}

#[derive(Clone, Copy, Debug)]
enum Bucket {
    Credit {
        left: u64,
        /// Most of it; of bytes, how often it is filled again.
        holds: u64,
        price: u64,
    },
    Window {
        now: u64,
        was_above: bool,
    },
}

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    config: Config,
    entries: BTreeMap<Key, Entry>,
    /// By when they are forgotten.
    deadlines: BTreeSet<(u64, Key)>,
    /// Tick of the next sweep.
    sweep: Option<u64>,
}

/// There are as many entries as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Table {
    /// Without entries.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config, entries: BTreeMap::new(), deadlines: BTreeSet::new(), sweep: None }
    }

    /// What the first rule with its name says of it.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Counts a packet of a flow; whether it is within the rate. `bytes`: the length of the packet, for
    /// a rule that counts bytes.
    pub fn count(&mut self, now: Instant, key: Key, bytes: Option<u32>) -> Result<bool, Full> {
        let now = now.0 / NANOSECONDS_A_TICK;
        self.sweep(now);
        let mut entry = match self.entries.get(&key) {
            Some(found) => {
                self.deadlines.remove(&(found.expires, key));
                let mut entry = *found;
                entry.pass(now, &self.config.rate);
                entry
            }
            None if self.entries.len() >= self.config.entries_max as usize => return Err(Full),
            None => Entry { at: now, expires: 0, bucket: Bucket::new(&self.config.rate) },
        };
        entry.expires = now.saturating_add(ticks(self.config.expire));
        let within = entry.bucket.take(&self.config.rate, bytes);
        self.deadlines.insert((entry.expires, key));
        self.entries.insert(key, entry);
        Ok(within)
    }

    /// Forgets what had expired when a sweep was last due.
    fn sweep(&mut self, now: u64) {
        let interval = ticks(self.config.sweep).max(1);
        let Some(due) = self.sweep else {
            self.sweep = Some(now.saturating_add(interval));
            return;
        };
        if now < due {
            return;
        }
        let last = now - (now - due) % interval;
        self.sweep = Some(last.saturating_add(interval));
        while let Some((expires, key)) = self.deadlines.first().copied()
            && expires <= last
        {
            self.deadlines.pop_first();
            self.entries.remove(&key);
        }
    }
}

fn ticks(milliseconds: u32) -> u64 {
    u64::from(milliseconds).div_ceil(1000 / TICKS)
}

impl Entry {
    /// Time passes.
    fn pass(&mut self, now: u64, rate: &Rate) {
        let passed = now.saturating_sub(self.at);
        match (&mut self.bucket, rate) {
            (Bucket::Window { now: counted, was_above }, Rate::Window { amount, seconds, .. }) => {
                let window = seconds.saturating_mul(TICKS);
                if passed == 0 || passed < window {
                    return;
                }
                let (got, may) = (counted.wrapping_mul(window), passed.wrapping_mul(*amount));
                *was_above = got > may;
                *counted = 0;
            }
            (Bucket::Credit { left, .. }, Rate::Bytes { .. }) => {
                let more = passed.saturating_mul(BYTES_CREDIT_A_TICK);
                *left = left.saturating_add(more).min(BYTES_CREDIT_MAX);
            }
            (Bucket::Credit { left, holds, .. }, _) => {
                let more = passed.saturating_mul(CREDIT_A_TICK);
                *left = left.saturating_add(more).min(*holds);
            }
            (Bucket::Window { .. }, _) => {}
        }
        self.at = now;
    }
}

impl Bucket {
    const fn new(rate: &Rate) -> Self {
        match *rate {
            Rate::Packets { period, burst } => {
                let (price, holds) = Rate::packets(period, burst);
                Self::Credit { left: holds, holds, price }
            }
            Rate::Bytes { price, burst } => {
                // Parts of 2^32 a second become parts of what a second brings.
                let price = price.saturating_mul(BYTES_CREDIT_MAX) >> 32;
                Self::Credit { left: BYTES_CREDIT_MAX, holds: burst, price }
            }
            Rate::Window { .. } => Self::Window { now: 0, was_above: false },
        }
    }

    /// Pays for a packet; whether there was enough.
    const fn take(&mut self, rate: &Rate, bytes: Option<u32>) -> bool {
        match self {
            Self::Window { now, was_above } => {
                let amount = match bytes {
                    Some(bytes) => bytes as u64,
                    None => 1,
                };
                *now = now.saturating_add(amount);
                let most = match rate {
                    Rate::Window { most, .. } => *most,
                    Rate::Packets { .. } | Rate::Bytes { .. } => 0,
                };
                !*was_above && *now <= most
            }
            Self::Credit { left, holds, price } => {
                let mut cost = *price;
                if let Some(bytes) = bytes {
                    cost = price.saturating_mul(bytes as u64 / 16 + 1);
                    if cost > BYTES_CREDIT_MAX {
                        cost = BYTES_CREDIT_MAX;
                    }
                    if *left < cost && *holds > 0 {
                        *holds -= 1;
                        *left = BYTES_CREDIT_MAX;
                    }
                }
                let enough = *left >= cost;
                if enough {
                    *left -= cost;
                }
                enough
            }
        }
    }
}

/// The tables of both families, by name: each family has its own.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    v4: Named<Table>,
    v6: Named<Table>,
}

impl Tables {
    /// Those of a family.
    #[must_use]
    pub const fn of(&self, family: Family) -> &Named<Table> {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// Those of a family, to be changed.
    pub const fn of_mut(&mut self, family: Family) -> &mut Named<Table> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// Before rule sets declare anew.
    pub fn undeclare(&mut self) {
        self.v4.undeclare();
        self.v6.undeclare();
    }

    /// Afterwards.
    pub fn forget_undeclared(&mut self) {
        self.v4.forget_undeclared();
        self.v6.forget_undeclared();
    }
}
