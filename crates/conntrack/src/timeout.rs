//! Deadlines, stored and compared; nothing runs by itself.
//!
//! A connection that is not confirmed has no deadline yet: it holds how long it is to live from its
//! confirmation on, as in the kernel. Both are nanoseconds in one `u64`.

use core::time::Duration;
use keepstate_packet::Instant;

/// A duration in nanoseconds; saturates after 584 years.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

/// The deadline `duration` after `now`.
#[inline]
pub(crate) const fn after(now: Instant, duration: Duration) -> u64 {
    now.0.saturating_add(nanos(duration))
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
