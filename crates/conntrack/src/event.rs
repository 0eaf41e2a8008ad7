//! What happened to connections and expectations, in order (`conntrack -E`).

use crate::conn::{ConnId, CtStatus};
use crate::tuple::Tuple;
use core::time::Duration;

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

/// One event: the connection as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Kind.
    pub kind: EventKind,
    /// The connection; for expectations, the master.
    pub conn: ConnId,
    /// What the event shows.
    pub snapshot: Snapshot,
}

/// A connection as listings and events show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Tuple of the first packet.
    pub original: Tuple,
    /// Tuple of the answers.
    pub reply: Tuple,
    /// Status bits.
    pub status: CtStatus,
    /// Time left; `None` in a DESTROY event.
    pub timeout: Option<Duration>,
    /// State of its protocol (`ESTABLISHED`, `SYN_SENT`, ...), for protocols that have one.
    pub protocol_state: Option<&'static str>,
    /// Connection mark.
    pub mark: u32,
    /// Helper.
    pub helper: Option<&'static str>,
    /// Tuple of the master, when expected.
    pub master: Option<Tuple>,
    /// Packets and bytes, original then reply, when accounting is on.
    pub counters: Option<[(u64, u64); 2]>,
}
