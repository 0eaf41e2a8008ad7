//! A network namespace for the length of one closure.

use keepstate_datapath::sys;
use std::{io, panic, thread};

/// Runs `work` on a thread of its own inside a new network namespace. Everything `work` makes
/// there (devices, routes, rules, connections) is gone when it returns, or when the process ends.
///
/// # Errors
/// Without `CAP_SYS_ADMIN` (run as root or under `unshare -Urn`).
pub fn with<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let inside = || sys::namespace::unshare_net().map(|()| work());
        match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panicked) => panic::resume_unwind(panicked),
        }
    })
}
