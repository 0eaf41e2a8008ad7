//! Exit statuses.

use std::process::ExitCode;

/// How a command ends: the same four statuses for every verb of keepstate's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: clean, allowed, equal.
    Clean,
    /// 1: findings, denied, different.
    Findings,
    /// 2: wrong usage or unreadable input.
    Usage,
    /// That of a familiar command, which has its own.
    Familiar(u8),
    /// 3: a needed privilege or kernel feature is missing.
    Unavailable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Clean => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Familiar(status) => status,
            Exit::Unavailable => 3,
        })
    }
}
