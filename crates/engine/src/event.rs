//! What the engine has to say besides dispositions.

use alloc::boxed::Box;
use keepstate_conntrack as conntrack;
use keepstate_ruleset::evaluate::{LogLine, Logged};
use keepstate_ruleset::targets::nflog;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "taken one at a time; a box is an allocation each")]
pub enum Event {
    /// Of a connection or an expectation.
    Conntrack(conntrack::Event),
    /// A line of the log.
    Log(LogLine),
    /// A message to listeners (`NFLOG`).
    Nflog(Box<nflog::Message>),
}

impl From<Logged> for Event {
    fn from(logged: Logged) -> Self {
        match logged {
            Logged::Line(line) => Self::Log(line),
            Logged::Nflog(message) => Self::Nflog(message),
        }
    }
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Connections and datagrams in pieces may have expired.
    Expiry,
}
