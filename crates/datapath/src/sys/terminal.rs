//! The size of a terminal.

use std::os::fd::{AsRawFd, BorrowedFd};

/// How many columns the terminal behind a descriptor has; `None` when it is none, or does not know.
#[must_use]
pub fn columns(of: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize` where its argument points, which outlives the call.
    let done = unsafe { libc::ioctl(of.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0).then_some(size.ws_col)
}
