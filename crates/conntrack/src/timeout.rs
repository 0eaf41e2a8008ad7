//! Deadlines, stored and compared; nothing runs by itself.
//!
//! A connection that is not confirmed has no deadline yet: it holds how long it is to live from its
//! confirmation on, as in the kernel. Both are nanoseconds in one `u64`.

use core::time::Duration;
use keepstate_packet::Instant;

const NANOS: i64 = 1_000_000_000;
/// Ticks of the kernel in a second.
const TICKS: u32 = 250;
/// A tick, nanoseconds.
pub(crate) const TICK_NANOS: u64 = NANOS as u64 / TICKS as u64;

/// How long a connection is to live, ready to be added to the clock: nanoseconds. A negative one is
/// held as the kernel does, as the number that its two's complement makes: longer than all others
/// where lengths are compared, and over at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout(u64);

impl Timeout {
    /// So many seconds; saturates after 292 years.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS) as u64)
    }

    /// As timeout policies and modules hold so many seconds: in 32 bits of the kernel's ticks, 250 a second. What
    /// does not fit wraps, and may be negative then.
    #[must_use]
    pub const fn of_policy(seconds: u32) -> Self {
        let ticks = seconds.wrapping_mul(TICKS) as i32;
        Self((ticks as i64 * (NANOS / TICKS as i64)) as u64)
    }

    /// In whole seconds, negative when it is over at once.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0 as i64 / NANOS
    }

    /// In the kernel's ticks, as its log has them.
    pub(crate) const fn ticks(self) -> u32 {
        (self.0 as i64 / (NANOS / TICKS as i64)) as u32
    }

    /// As a duration; zero when it is over at once.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        if (self.0 as i64) < 0 { Duration::ZERO } else { Duration::from_nanos(self.0) }
    }

    /// The nanoseconds, as held.
    #[inline]
    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// The deadline of what begins `now`; of what is over at once one that has come, however early it is.
    #[inline]
    pub(crate) const fn deadline(self, now: Instant) -> u64 {
        now.0.saturating_add_signed(self.0 as i64)
    }
}

/// The deadline `duration` after `now`.
#[inline]
pub(crate) const fn after(now: Instant, duration: Duration) -> u64 {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos() as u64);
    now.0.saturating_add(seconds.saturating_mul(NANOS as u64).saturating_add(nanos))
}

/// How long an expectation waits that is given so many seconds: 32 bits of the kernel's ticks, which
/// wrap.
pub(crate) const fn waited(seconds: u32) -> Duration {
    Duration::from_nanos(seconds.wrapping_mul(TICKS) as u64 * TICK_NANOS)
}

/// Whether a deadline has come. One that is just reached has.
#[inline]
pub(crate) const fn expired(deadline: u64, now: Instant) -> bool {
    deadline <= now.0
}

/// Time left until a deadline.
pub(crate) const fn remaining(deadline: u64, now: Instant) -> Duration {
    Duration::from_nanos(deadline.saturating_sub(now.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_at_once_is_over_at_any_time() {
        // 2^31 ticks and one: negative in 32 bits.
        let negative = Timeout::of_policy(8_589_935);
        assert!(negative.as_secs() < 0);
        for now in [0, 1, 5_000_000_000, u64::MAX / 2, u64::MAX].map(Instant) {
            assert!(expired(negative.deadline(now), now), "{now:?}");
        }
        assert_eq!(Timeout::seconds(i64::MAX).deadline(Instant(u64::MAX)), u64::MAX);
    }
}
