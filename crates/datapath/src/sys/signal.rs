//! Signals that ask for an end (signal(7)).

use std::io;
use std::mem::zeroed;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT and SIGTERM do not end the process but make [`end_asked`] true, and
/// interrupt what waits.
///
/// # Errors
/// Those of sigaction(2).
pub fn catch_end() -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { zeroed() };
    let handler: extern "C" fn(libc::c_int) = note;
    action.sa_sigaction = handler as libc::sighandler_t;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: `action` lives for the call; its handler only stores into an atomic, which is
        // safe at any moment.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether a signal has asked for an end.
#[must_use]
pub fn end_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
