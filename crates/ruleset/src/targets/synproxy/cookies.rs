//! Cookies: sequence numbers that hold what has to be known of a SYN when its sender comes back with
//! them, so that nothing is kept meanwhile (RFC 4987, 3.6).
//!
//! A cookie is the client's sequence number, a keyed hash of the two ends, the minute in its upper
//! eight bits, and, hidden by a hash that hangs on the minute as well, a place in a short list of
//! segment sizes. It is good in its own minute and the next one. Like Linux's, it lets the client's
//! number and the cookie be off together; the keys are SipHash's.

use alloc::collections::BTreeMap;
use core::hash::{Hash, Hasher};
use core::time::Duration;
use keepstate_packet::{Address, Family, Instant};
use siphasher::sip::SipHasher24;

/// The segment sizes that a cookie can hold, bytes, ascending: what common links leave over IPv4.
pub const SIZES_V4: [u16; 4] = [536, 1300, 1440, 1460];
/// The same over IPv6.
pub const SIZES_V6: [u16; 4] = [1220, 1420, 1440, 8940];

/// How many minutes a cookie is good for, its own included.
const AGE_MAX: u32 = 2;
const MINUTE: Duration = Duration::from_secs(60);
const COUNT_SHIFT: u32 = 24;
const DATA: u32 = (1 << COUNT_SHIFT) - 1;

/// Most cookies of somebody else that are remembered ([`Cookies::foretell`]); the rest is forgotten.
pub const FORETOLD_MAX: usize = 4096;

/// The ends of a connection as its client has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ends {
    /// IP version.
    pub family: Family,
    /// The client.
    pub source: Address,
    /// The server.
    pub destination: Address,
    /// The client's port.
    pub source_port: u16,
    /// The server's port.
    pub destination_port: u16,
}

/// What somebody else of the same make has answered a SYN with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foretold {
    /// The cookie.
    pub cookie: u32,
    /// The timestamp's value, where there was one.
    pub stamp: Option<u32>,
}

/// A cookie of somebody else: it minus the client's number and the place of its size.
#[derive(Clone, Copy, Debug)]
struct Adopted {
    base: u32,
    minute: u32,
}

/// Makes cookies, and knows them again.
#[derive(Clone, Debug, Default)]
pub struct Cookies {
    keys: [(u64, u64); 2],
    foretold: Option<Foretold>,
    adopted: BTreeMap<Ends, Adopted>,
}

impl Cookies {
    /// With secret keys made from a seed: who does not know it cannot make cookies.
    #[must_use]
    pub fn new([a, b]: [u64; 2]) -> Self {
        let keyed = |number: u64| {
            let mut hasher = SipHasher24::new_with_keys(a, b);
            number.hash(&mut hasher);
            hasher.finish()
        };
        let keys = [(keyed(0), keyed(1)), (keyed(2), keyed(3))];
        Self { keys, foretold: None, adopted: BTreeMap::new() }
    }

    /// Has the next SYN answered as somebody else has answered it, to go on beside them: a comparison
    /// cannot know their keys.
    pub fn foretell(&mut self, foretold: Option<Foretold>) {
        self.foretold = foretold;
    }

    /// What was foretold of this SYN; once.
    pub fn take_foretold(&mut self) -> Option<Foretold> {
        self.foretold.take()
    }

    /// The cookie for a SYN with this sequence number that offers segments of `size` bytes, or of the
    /// next lower size there is.
    pub fn make(&mut self, now: Instant, ends: &Ends, sequence: u32, size: u16) -> u32 {
        let sizes = sizes(ends.family);
        let place = sizes.iter().rposition(|known| *known <= size).unwrap_or(0) as u32;
        let minute = minute(now);
        if let Some(Foretold { cookie, .. }) = self.foretold {
            let base = cookie.wrapping_sub(sequence).wrapping_sub(place);
            if self.adopted.len() >= FORETOLD_MAX {
                self.adopted.clear();
            }
            self.adopted.insert(*ends, Adopted { base, minute });
            return cookie;
        }
        self.adopted.remove(ends);
        let hidden = self.hash(1, ends, minute).wrapping_add(place) & DATA;
        let counted = (minute << COUNT_SHIFT).wrapping_add(hidden);
        self.hash(0, ends, 0).wrapping_add(sequence).wrapping_add(counted)
    }

    /// The segment size in a cookie that answers a SYN with this sequence number; `None` for what is
    /// none, or too old.
    #[must_use]
    pub fn check(&self, now: Instant, ends: &Ends, sequence: u32, cookie: u32) -> Option<u16> {
        let now = minute(now);
        let relative = cookie.wrapping_sub(sequence);
        let place = if let Some(Adopted { base, minute }) = self.adopted.get(ends) {
            (now.wrapping_sub(*minute) < AGE_MAX).then(|| relative.wrapping_sub(*base))?
        } else {
            let counted = relative.wrapping_sub(self.hash(0, ends, 0));
            let age = now.wrapping_sub(counted >> COUNT_SHIFT) & 0xff;
            let minute = (age < AGE_MAX).then(|| now.wrapping_sub(age))?;
            counted.wrapping_sub(self.hash(1, ends, minute)) & DATA
        };
        sizes(ends.family).get(place as usize).copied()
    }

    fn hash(&self, which: usize, ends: &Ends, minute: u32) -> u32 {
        let (a, b) = self.keys.get(which).copied().unwrap_or_default();
        let mut hasher = SipHasher24::new_with_keys(a, b);
        (ends, minute).hash(&mut hasher);
        hasher.finish() as u32
    }
}

const fn sizes(family: Family) -> &'static [u16; 4] {
    match family {
        Family::V4 => &SIZES_V4,
        Family::V6 => &SIZES_V6,
    }
}

/// Minutes of the clock that timeouts go by.
const fn minute(now: Instant) -> u32 {
    (now.0 / MINUTE.as_nanos() as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const NOW: Instant = Instant(1_000_000_000_000_000_000);

    fn ends(port: u16) -> Ends {
        Ends {
            family: Family::V4,
            source: Address::v4([10, 0, 0, 1]),
            destination: Address::v4([10, 0, 0, 2]),
            source_port: port,
            destination_port: 80,
        }
    }

    #[test]
    fn a_cookie_holds_the_next_lower_size() {
        let mut cookies = Cookies::new([1, 2]);
        for (size, held) in
            [(0, 536), (536, 536), (1299, 536), (1300, 1300), (1459, 1440), (9000, 1460)]
        {
            let cookie = cookies.make(NOW, &ends(1), 77, size);
            assert_eq!(cookies.check(NOW, &ends(1), 77, cookie), Some(held), "{size}");
        }
        let six = Ends { family: Family::V6, ..ends(1) };
        let cookie = cookies.make(NOW, &six, 77, 1419);
        assert_eq!(cookies.check(NOW, &six, 77, cookie), Some(1220));
    }

    #[test]
    fn it_is_good_for_its_ends_its_number_and_two_minutes() {
        let mut cookies = Cookies::new([1, 2]);
        let start = Instant(MINUTE.as_nanos() as u64 * 1000);
        let cookie = cookies.make(start, &ends(1), 77, 1460);
        let check = |seconds: u64, port, sequence| {
            let now = start.plus(Duration::from_secs(seconds));
            cookies.check(now, &ends(port), sequence, cookie)
        };
        assert_eq!(check(119, 1, 77), Some(1460));
        assert_eq!(check(120, 1, 77), None, "too old");
        assert_eq!(check(0, 2, 77), None, "another client");
        assert_eq!(check(0, 1, 78), Some(1440), "off by one is another size");
        assert_eq!(check(0, 1, 81), None);
        assert_eq!(Cookies::new([1, 3]).check(start, &ends(1), 77, cookie), None, "other keys");
    }

    /// Guessing is hopeless: of so many cookies hardly one is taken.
    #[test]
    fn a_guess_is_not_taken() {
        let cookies = Cookies::new([3, 4]);
        let taken = |n: u32| cookies.check(NOW, &ends(9), 5, n.wrapping_mul(0x9e37_79b9)).is_some();
        let taken: Vec<u32> = (0..100_000).filter(|n| taken(*n)).collect();
        assert!(taken.len() <= 1, "{taken:?}");
    }

    #[test]
    fn what_was_foretold_is_known_again_and_forgotten_in_time() {
        let mut cookies = Cookies::new([1, 2]);
        for port in 0..=FORETOLD_MAX as u16 {
            cookies.foretell(Some(Foretold { cookie: 5000, stamp: None }));
            assert_eq!(cookies.make(NOW, &ends(port), 77, 1300), 5000);
            assert_eq!(cookies.take_foretold(), Some(Foretold { cookie: 5000, stamp: None }));
            assert_eq!(cookies.check(NOW, &ends(port), 77, 5000), Some(1300));
            assert_eq!(cookies.check(NOW, &ends(port), 77, 5003), None);
        }
        assert_eq!(cookies.adopted.len(), 1, "the rest is forgotten");
        assert_ne!(cookies.make(NOW, &ends(0), 77, 1300), 5000);
    }
}
