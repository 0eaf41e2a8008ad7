//! What happened to connections and expectations, in order (`conntrack -E`).
//!
//! What a packet changes is gathered on its connection and told at the end of its walk, in one
//! event, as the kernel does; a packet that is dropped on its way leaves what it changed to be told
//! with the next one that arrives. Destruction is told at once.

use crate::conn::{ConnId, CtStatus};
use crate::helpers::Name;
use crate::tuple::Tuple;
use crate::zone::Zone;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

/// Most events that wait, unless [`crate::Table::set_events_max`] says otherwise; what happens
/// beyond is lost and counted.
pub const EVENTS_MAX_DEFAULT: usize = 65_536;

/// The kinds of event (`conntrack -E` prints NEW, UPDATE, DESTROY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Confirmed.
    New,
    /// Something of it changed: state, status, mark, helper.
    Update,
    /// Gone.
    Destroy,
    /// An expectation was made.
    ExpectNew,
    /// An expectation is gone.
    ExpectDestroy,
}

/// What an event is about (`enum ip_conntrack_events` of the kernel's user-space API, same bit
/// numbers; `-j CT --ctevents` masks them).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changes(pub u16);

impl Changes {
    /// New.
    pub const NEW: Self = Self(1 << 0);
    /// New, and expected.
    pub const RELATED: Self = Self(1 << 1);
    /// Gone.
    pub const DESTROY: Self = Self(1 << 2);
    /// The first packet of the reply direction.
    pub const REPLY: Self = Self(1 << 3);
    /// ASSURED.
    pub const ASSURED: Self = Self(1 << 4);
    /// State of the protocol.
    pub const PROTOINFO: Self = Self(1 << 5);
    /// Helper.
    pub const HELPER: Self = Self(1 << 6);
    /// Mark.
    pub const MARK: Self = Self(1 << 7);
    /// Shifts of sequence numbers.
    pub const SEQADJ: Self = Self(1 << 8);
    /// Security mark.
    pub const SECMARK: Self = Self(1 << 9);
    /// Labels.
    pub const LABEL: Self = Self(1 << 10);
    /// What SYNPROXY knows of it.
    pub const SYNPROXY: Self = Self(1 << 11);

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What an event of an expectation is about (`enum ip_conntrack_expect_events`, same bit numbers;
/// `-j CT --expevents` masks them).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExpectationChanges(pub u16);

impl ExpectationChanges {
    /// New.
    pub const NEW: Self = Self(1 << 0);
    /// Gone.
    pub const DESTROY: Self = Self(1 << 1);
}

impl core::ops::BitOr for Changes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One event: the connection as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Kind.
    pub kind: EventKind,
    /// What it is about; nothing for expectations.
    pub changes: Changes,
    /// The connection; for expectations, the master.
    pub conn: ConnId,
    /// The connection then. For expectations: the expected tuple as the original one, its mask as
    /// the reply tuple, and the master.
    pub snapshot: Snapshot,
}

/// A connection as listings and events show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Tuple of the first packet.
    pub original: Tuple,
    /// Tuple of the answers.
    pub reply: Tuple,
    /// Zone.
    pub zone: Zone,
    /// Status bits.
    pub status: CtStatus,
    /// Time left; `None` in the DESTROY event of a connection that has less than a second left.
    pub timeout: Option<Duration>,
    /// State of its protocol (`ESTABLISHED`, `SYN_SENT`, ...), for protocols that have one.
    pub protocol_state: Option<&'static str>,
    /// The verification tags of an SCTP association, original then reply, host byte order.
    pub tags: Option<[u32; 2]>,
    /// Connection mark.
    pub mark: u32,
    /// Security context.
    pub secctx: Option<Arc<str>>,
    /// Labels, bit by number.
    pub labels: u128,
    /// Helper; `None` in a DESTROY event.
    pub helper: Option<Name>,
    /// Tuple of the master, when expected.
    pub master: Option<Tuple>,
    /// Packets and bytes, original then reply, when accounting is on.
    pub counters: Option<[(u64, u64); 2]>,
    /// Age since it was confirmed, when `nf_conntrack_timestamp` is on; in events, of DESTROY only.
    pub age: Option<Duration>,
    /// What only expectations have.
    pub announcement: Option<Announcement>,
}

/// What an expectation has beside its tuples (`CTA_EXPECT_CLASS`, `CTA_EXPECT_FLAGS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// Index into the policies of the helper.
    pub class: u32,
    /// The bits below (`enum ctattr_expect` of the kernel's user-space API, same bit numbers).
    pub flags: u32,
}

impl Announcement {
    /// It serves until its time is up, rather than once.
    pub const PERMANENT: u32 = 1 << 0;
    /// It is there and takes no connection yet.
    pub const INACTIVE: u32 = 1 << 1;
    /// A user-space helper made it. May be given, and is never kept.
    pub const USERSPACE: u32 = 1 << 2;
    /// All of them.
    pub const ALL: u32 = Self::PERMANENT | Self::INACTIVE | Self::USERSPACE;
}

impl Snapshot {
    /// What an event shows: what is always there, what has changed, and at the end what it came to.
    pub(crate) fn told(self, kind: EventKind, changes: Changes) -> Self {
        if kind == EventKind::Destroy {
            return Self {
                timeout: self.timeout.filter(|left| left.as_secs() > 0),
                tags: None,
                secctx: None,
                labels: 0,
                helper: None,
                master: None,
                ..self
            };
        }
        let told = |what: Changes| changes.intersects(what);
        Self {
            protocol_state: self.protocol_state.filter(|_| told(Changes::PROTOINFO)),
            tags: self.tags.filter(|_| told(Changes::PROTOINFO)),
            secctx: self.secctx.filter(|_| told(Changes::SECMARK)),
            labels: if told(Changes::LABEL) { self.labels } else { 0 },
            master: self.master.filter(|_| told(Changes::RELATED)),
            counters: None,
            age: None,
            ..self
        }
    }
}

/// The events that wait to be polled.
#[derive(Debug)]
pub(crate) struct Queue {
    events: VecDeque<Event>,
    events_max: usize,
    lost_count: u64,
}

impl Queue {
    pub(crate) const fn new(events_max: usize) -> Self {
        Self { events: VecDeque::new(), events_max, lost_count: 0 }
    }

    /// Whether anybody listens.
    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        self.events_max != 0
    }

    pub(crate) const fn max(&self) -> usize {
        self.events_max
    }

    pub(crate) fn set_max(&mut self, events_max: usize) {
        self.events_max = events_max;
        self.events.truncate(events_max);
    }

    /// Adds what `event` makes, or counts it as lost.
    pub(crate) fn push(&mut self, event: impl FnOnce() -> Option<Event>) {
        if self.events.len() < self.events_max {
            self.events.extend(event());
        } else if self.is_on() {
            self.lost_count += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) const fn lost_count(&self) -> u64 {
        self.lost_count
    }
}

#[cfg(test)]
mod tests;
