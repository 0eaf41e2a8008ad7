//! Network namespaces (namespaces(7), network_namespaces(7)).

use std::io;

/// Moves the calling thread into a new, empty network namespace. It is gone when the thread, the
/// processes it started and the descriptors opened in it are gone.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN` (run as root or under `unshare -Urn`).
pub fn unshare_net() -> io::Result<()> {
    // SAFETY: takes no pointers; changes nothing but the calling thread's network namespace.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
