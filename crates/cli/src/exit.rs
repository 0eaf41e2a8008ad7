//! Exit statuses: the same four for every verb.

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: clean, allowed, equal.
    Clean,
    /// 1: findings, denied, different.
    Findings,
    /// 2: wrong usage or unreadable input.
    Usage,
    /// 3: a needed privilege or kernel feature is missing.
    Unavailable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Clean => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 3,
        })
    }
}
