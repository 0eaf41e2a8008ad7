//! The ticks of the kernel's clock (clock_gettime(2)), and the processor that works (sched_setaffinity(2)).

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

/// The calling thread stays on the processor that it is on, until this is dropped.
#[derive(Debug)]
pub struct Stay(libc::cpu_set_t);

impl Stay {
    /// Begins; `None` when the kernel does not let it.
    #[must_use]
    pub fn here() -> Option<Self> {
        const SIZE: usize = size_of::<libc::cpu_set_t>();
        // SAFETY: the function takes nothing.
        let here = usize::try_from(unsafe { libc::sched_getcpu() }).ok()?;
        // SAFETY: all zeros is a value of this set of bits.
        let [mut before, mut one]: [libc::cpu_set_t; 2] = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live set of the size that is said.
        if unsafe { libc::sched_getaffinity(0, SIZE, &raw mut before) } != 0 || here >= SIZE * 8 {
            return None;
        }
        // SAFETY: the number lies in the set.
        unsafe { libc::CPU_SET(here, &mut one) };
        // SAFETY: the pointer is to a live set of the size that is said.
        (unsafe { libc::sched_setaffinity(0, SIZE, &raw const one) } == 0).then_some(Self(before))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // SAFETY: the pointer is to a live set of the size that is said. These processors were allowed
        // before; should that fail, the thread works on where it is.
        let _ =
            unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_and_may_go_again() {
        let allowed = || std::thread::available_parallelism().unwrap().get();
        let before = allowed();
        let stay = Stay::here().unwrap();
        assert_eq!(allowed(), 1);
        drop(stay);
        assert_eq!(allowed(), before);
    }

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
