//! The only place that reads the time, and the clocks that packets are seen by.

use keepstate_packet::Instant;
use std::time::Duration;

/// The machine's clock: the Unix epoch at the start, counted on by the monotonic clock, so that
/// setting the time of day moves no timeout.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    epoch: Instant,
    start: std::time::Instant,
}

impl SystemClock {
    /// Starts it.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is where the time is read")]
    pub fn start() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let epoch = Instant(0).plus(since_epoch.unwrap_or_default());
        Self { epoch, start: std::time::Instant::now() }
    }

    /// When it was started.
    #[must_use]
    pub const fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.epoch.plus(self.elapsed())
    }

    /// Time since the start.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is where the time is read")]
    pub fn elapsed(&self) -> Duration {
        std::time::Instant::now().duration_since(self.start)
    }
}

/// The kernel's last tick and how long it is ago; `None` where nobody tells.
#[must_use]
pub fn last_tick() -> Option<(Duration, Duration)> {
    let [last, now] = crate::sys::tick::last_and_now()?;
    Some((last, now.saturating_sub(last)))
}

/// Which time the packets of a capture get (`--clock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureClock {
    /// That of the capture. It never goes back: a packet stamped earlier than one before it gets
    /// the time of that one.
    Capture {
        /// The latest time so far.
        latest: Instant,
    },
    /// That of the first packet, for all.
    Frozen {
        /// Once a packet was there.
        first: Option<Instant>,
    },
}

impl CaptureClock {
    /// The capture's own time.
    #[must_use]
    pub const fn capture() -> Self {
        Self::Capture { latest: Instant(0) }
    }

    /// No time passes.
    #[must_use]
    pub const fn frozen() -> Self {
        Self::Frozen { first: None }
    }

    /// The time at which a packet stamped `stamp` is handled.
    #[inline]
    pub fn at(&mut self, stamp: Instant) -> Instant {
        match self {
            Self::Capture { latest } => {
                *latest = stamp.max(*latest);
                *latest
            }
            Self::Frozen { first } => *first.get_or_insert(stamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capture_clock_never_goes_back_and_the_frozen_one_never_on() {
        let mut clock = CaptureClock::capture();
        assert_eq!([5, 3, 7].map(|t| clock.at(Instant(t)).0), [5, 5, 7]);
        let mut clock = CaptureClock::frozen();
        assert_eq!([5, 3, 7].map(|t| clock.at(Instant(t)).0), [5, 5, 5]);
    }

    #[test]
    fn the_system_clock_goes_on() {
        let clock = SystemClock::start();
        let first = clock.now();
        assert!(first.0 > 1_700_000_000_000_000_000);
        assert!(clock.now() >= first);
    }
}
