//! The ticks of the kernel's clock (clock_gettime(2)).

use std::time::Duration;

/// The time of the kernel's last tick, and the time, both by its monotonic clock; `None` where it has
/// no such clock.
#[must_use]
pub fn last_and_now() -> Option<[Duration; 2]> {
    Some([read(libc::CLOCK_MONOTONIC_COARSE)?, read(libc::CLOCK_MONOTONIC)?])
}

fn read(clock: libc::clockid_t) -> Option<Duration> {
    let mut found = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value of the type that the function wants.
    if unsafe { libc::clock_gettime(clock, &raw mut found) } != 0 {
        return None;
    }
    let nanoseconds = u32::try_from(found.tv_nsec).ok()?;
    Some(Duration::new(u64::try_from(found.tv_sec).ok()?, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_never_ahead_of_the_time() {
        let [first, now] = last_and_now().unwrap();
        assert!(first <= now);
        let later = loop {
            let [later, _] = last_and_now().unwrap();
            if later != first {
                break later;
            }
        };
        // No kernel ticks less often than a hundred times a second; this process may wait longer.
        assert!(later > first);
    }
}
