//! What became of one packet, in the same words whoever was asked.

use keepstate_conntrack::{
    CtState, Direction,
    event::{EventKind, Snapshot},
};
use keepstate_ruleset::targets::synproxy::cookies::Foretold;

/// The side of the router that a packet comes from or leaves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first interface (`--in`).
    A,
    /// The second interface (`--out`).
    B,
}

/// What became of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It left the router.
    Forwarded,
    /// It did not.
    Dropped,
    /// It was delivered to the router itself.
    Local,
    /// A fragment that waits for the others.
    Held,
}

/// A packet that left, from the IP header on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Where to.
    pub side: Side,
    /// Its bytes, without link-layer padding.
    pub bytes: Vec<u8>,
}

/// One event of the connection table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventView {
    /// Kind.
    pub kind: EventKind,
    /// What it shows. For expectations: `original` is the expected tuple, `master` its master.
    pub snapshot: Snapshot,
}

/// All that is seen of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What became of it.
    pub fate: Fate,
    /// Its state after conntrack's hook; `None` when it did not get there.
    pub state: Option<CtState>,
    /// Its direction.
    pub direction: Option<Direction>,
    /// The connection's status bits as the packet left (before it was confirmed).
    pub status: Option<u32>,
    /// The packet itself, as it left; several when it was fragmented again.
    pub out: Vec<Sent>,
    /// Packets that the router made in answer.
    pub generated: Vec<Sent>,
    /// Events of the connection table, in order.
    pub events: Vec<EventView>,
    /// What was logged of a packet that tracking finds INVALID, or nearly so.
    pub complaints: Vec<String>,
    /// What rules logged of it, see [`crate::logged`].
    pub logged: Vec<String>,
    /// Its mark as it left, or reached the router itself.
    pub mark: Option<u32>,
    /// What the kernel has drawn at random for its answer.
    pub drawn: Option<Foretold>,
    /// The reason code, where the one who was asked gives any.
    pub reason: Option<&'static str>,
    /// A rule was passed over of which the one who was asked did not know whether it matches, and the
    /// verdict hangs on it.
    pub unknown: bool,
}
