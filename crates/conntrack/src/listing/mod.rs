//! Connections, expectations and events as conntrack(8) 1.4.7 and `/proc/net` print them, byte for
//! byte. One file a form.
//!
//! Times are UTC: what conntrack(8) prints where no time zone is set.

mod calendar;
pub mod expectation;
mod line;
mod procfs;
mod save;
pub mod statistics;
mod xml;

pub use line::Line;
pub use procfs::ProcLine;
pub(crate) use save::STATUS_WORDS;
pub use save::{SaveLine, StatusList};
pub use xml::Xml;

use crate::event::{Event, EventKind, Snapshot};
use crate::flow::{Flow, LabelNames};
use core::fmt;
use keepstate_packet::{Address, Family, Instant};

/// Why an entry is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// It is listed.
    #[default]
    Listed,
    /// It was created.
    New,
    /// It was changed.
    Update,
    /// It has gone.
    Destroy,
}

/// What is shown besides (`-o` of conntrack(8)).
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// `extended`: the network layer.
    pub layer3: bool,
    /// `id`.
    pub id: bool,
    /// `ktimestamp`: when it was confirmed and when it went.
    pub timestamps: bool,
    /// `labels`.
    pub labels: Option<&'a LabelNames>,
    /// `timestamp`, where the form has a place of its own for it: XML.
    pub when: Option<Instant>,
    /// The time of day, for ages.
    pub now: Option<Instant>,
}

/// A line of `conntrack -L -o extended`, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct Extended<'a> {
    /// The connection.
    pub snapshot: &'a Snapshot,
    /// Connections that it is the master of: each holds a reference (`use=`).
    pub children_count: usize,
}

impl fmt::Display for Extended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = Flow::of(self.snapshot, 0, self.children_count);
        let shown = Shown { layer3: true, ..Shown::default() };
        Line { flow: &flow, kind: Kind::Listed, shown }.fmt(f)
    }
}

/// A line of `conntrack -E`, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct EventLine<'a> {
    kind: Kind,
    snapshot: &'a Snapshot,
}

impl<'a> EventLine<'a> {
    /// The line of an event; `None` for those of expectations, which `conntrack -E` does not print.
    #[must_use]
    pub const fn new(event: &'a Event) -> Option<Self> {
        let kind = match event.kind {
            EventKind::New => Kind::New,
            EventKind::Update => Kind::Update,
            EventKind::Destroy => Kind::Destroy,
            EventKind::ExpectNew | EventKind::ExpectDestroy => return None,
        };
        Some(Self { kind, snapshot: &event.snapshot })
    }
}

impl fmt::Display for EventLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = Flow::of_event(self.snapshot, 0, Instant(0));
        // The line shows the age alone.
        let flow = Flow { started: None, stopped: None, ..flow };
        Line { flow: &flow, kind: self.kind, shown: Shown::default() }.fmt(f)
    }
}

/// An address as inet_ntop(3) writes it; one of zeros where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Ip(pub Option<Address>, pub Family);

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.unwrap_or_default().written(self.1).fmt(f)
    }
}

/// `ipv4` and 2, `ipv6` and 10 (`AF_INET`, `AF_INET6`).
const fn layer3(family: Family) -> (&'static str, u8) {
    match family {
        Family::V4 => ("ipv4", 2),
        Family::V6 => ("ipv6", 10),
    }
}

#[cfg(test)]
mod tests;
