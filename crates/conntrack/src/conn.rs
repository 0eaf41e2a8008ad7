//! One connection.

use crate::helpers::Instance;
use crate::proto::{sctp, tcp};
use crate::timeout::Timeout;
use crate::tuple::{Direction, Tuple};
use crate::zone::Zone;
use keepstate_packet::Address;

/// Handle of a connection in its [`crate::Table`]: a slot and its generation, so that a handle to
/// a connection that has gone finds nothing rather than its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConnId {
    /// The number that listings give the connection (`id=`). Like the kernel's it tells those that
    /// are there apart, and may come again.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.slot.wrapping_add(1) ^ self.generation.rotate_right(12)
    }
}

/// Status bits (`enum ip_conntrack_status` of the kernel's user-space API, same bit numbers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CtStatus(pub u32);

impl CtStatus {
    /// It was expected.
    pub const EXPECTED: Self = Self(1 << 0);
    /// Packets were seen in both directions.
    pub const SEEN_REPLY: Self = Self(1 << 1);
    /// Not to be dropped early.
    pub const ASSURED: Self = Self(1 << 2);
    /// In the table.
    pub const CONFIRMED: Self = Self(1 << 3);
    /// Its source is to be translated.
    pub const SRC_NAT: Self = Self(1 << 4);
    /// Its destination is to be translated.
    pub const DST_NAT: Self = Self(1 << 5);
    /// Its sequence numbers are shifted ([`crate::seqadj`]).
    pub const SEQ_ADJUST: Self = Self(1 << 6);
    /// Translation of the source was set up.
    pub const SRC_NAT_DONE: Self = Self(1 << 7);
    /// Translation of the destination was set up.
    pub const DST_NAT_DONE: Self = Self(1 << 8);
    /// Leaving the table.
    pub const DYING: Self = Self(1 << 9);
    /// Its timeout does not change.
    pub const FIXED_TIMEOUT: Self = Self(1 << 10);
    /// The template that a rule attached.
    pub const TEMPLATE: Self = Self(1 << 11);
    /// Another connection has its original tuple; only its answers find it.
    pub const NAT_CLASH: Self = Self(1 << 12);
    /// A rule assigned its helper.
    pub const HELPER: Self = Self(1 << 13);
    /// A flowtable forwards it, past the rules.
    pub const OFFLOAD: Self = Self(1 << 14);
    /// Hardware forwards it, past the rules.
    pub const HW_OFFLOAD: Self = Self(1 << 15);

    /// Whether all bits of `other` are set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for CtStatus {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What every packet of a connection reads and writes: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Entry {
    /// Tuple of the original direction.
    pub(crate) tuple: Tuple,
    pub(crate) zone: Zone,
    /// Low 16 bits of [`CtStatus`]: all that exist.
    pub(crate) status: u16,
    /// [`crate::event::Changes`] not yet told.
    pub(crate) pending: u16,
    /// State of the tracker; for TCP [`tcp::State`].
    pub(crate) state: u8,
    /// The bits below.
    pub(crate) flags: u8,
    /// Nanoseconds: the instant it expires; how long it is to live while not confirmed.
    pub(crate) deadline: u64,
    pub(crate) mark: u32,
    /// Of the slot: counts the connections it has held.
    pub(crate) generation: u32,
}

const _: () = assert!(size_of::<Entry>() == 64, "one cache line");

impl Entry {
    /// The slot holds a connection.
    pub(crate) const LIVE: u8 = 1 << 0;
    /// It has a helper ([`Cold::helper`]).
    pub(crate) const HELPED: u8 = 1 << 1;
    /// The reply tuple is not the inverse of the original one ([`Cold::reply`]), or only the reply
    /// tuple counts ([`CtStatus::NAT_CLASH`]).
    pub(crate) const TRANSLATED: u8 = 1 << 2;
    /// It has a master, kept beside the table.
    pub(crate) const EXPECTED: u8 = 1 << 3;
    /// It has a timeout policy ([`Cold::policy`]).
    pub(crate) const TIMED: u8 = 1 << 4;
    /// It was opened in the place of a client ([`crate::synproxy`]).
    pub(crate) const PROXIED: u8 = 1 << 6;
    /// It was given the address of an interface as its source ([`Cold::masqueraded`]).
    pub(crate) const MASQUERADED: u8 = 1 << 7;
    /// Its packets and bytes are counted ([`Cold::counters`]).
    pub(crate) const COUNTED: u8 = 1 << 5;

    #[inline]
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    pub(crate) const fn is(&self, status: CtStatus) -> bool {
        self.status & status.0 as u16 == status.0 as u16
    }

    #[inline]
    pub(crate) const fn set(&mut self, status: CtStatus) {
        self.status |= status.0 as u16;
    }

    #[inline]
    pub(crate) const fn status(&self) -> CtStatus {
        CtStatus(self.status as u32)
    }

    /// An unconfirmed connection that nothing is known of yet.
    pub(crate) const fn new(tuple: Tuple, zone: Zone) -> Self {
        Self {
            tuple,
            zone,
            status: 0,
            pending: 0,
            state: 0,
            flags: 0,
            deadline: 0,
            mark: 0,
            generation: 0,
        }
    }

    /// In which direction a packet with `tuple`, whose rules put it into `zone`, belongs to this
    /// connection. `reply` is the reply tuple where that is no mere inverse. A tuple that is its own
    /// inverse is taken for a reply, as in the kernel.
    #[inline]
    pub(crate) fn direction(
        &self,
        tuple: &Tuple,
        reply: Option<&Tuple>,
        zone: Zone,
    ) -> Option<Direction> {
        let same_zone = |direction| self.zone.id_in(direction) == zone.id_in(direction);
        let is_reply = match reply {
            Some(reply) => same(reply, tuple),
            None if tuple.icmp_type().is_some() => {
                tuple.invert().is_some_and(|inverse| same(&self.tuple, &inverse))
            }
            None => crossed(&self.tuple, tuple),
        };
        if is_reply && same_zone(Direction::Reply) {
            Some(Direction::Reply)
        } else if same(&self.tuple, tuple) && same_zone(Direction::Original) {
            Some(Direction::Original)
        } else {
            None
        }
    }
}

/// Whether two tuples are equal, without a branch for each field.
#[inline(always)]
pub(crate) fn same(a: &Tuple, b: &Tuple) -> bool {
    differences(a.source, b.source) | differences(a.destination, b.destination) == 0
        && (a.source_port, a.destination_port) == (b.source_port, b.destination_port)
        && (a.protocol, a.family) == (b.protocol, b.family)
}

/// Whether each of two tuples with ports is the inverse of the other.
#[inline(always)]
fn crossed(a: &Tuple, b: &Tuple) -> bool {
    differences(a.source, b.destination) | differences(a.destination, b.source) == 0
        && (a.source_port, a.destination_port) == (b.destination_port, b.source_port)
        && (a.protocol, a.family) == (b.protocol, b.family)
}

#[inline(always)]
fn differences(a: Address, b: Address) -> u128 {
    u128::from_ne_bytes(a.0) ^ u128::from_ne_bytes(b.0)
}

/// What the tracker of the protocol remembers, in a cache line of its own.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(crate) enum ProtocolRecord {
    /// Nothing.
    #[default]
    None,
    /// The windows of a TCP connection.
    Tcp(tcp::Record),
    /// The tags of an SCTP association.
    Sctp(sctp::Association),
    /// UDP: traffic after this instant is a stream, nanoseconds.
    Udp { stream_after: u64 },
    /// GRE: how long it lasts, and how long once answered.
    Gre { timeout: Timeout, stream: Timeout },
}

const _: () = assert!(size_of::<ProtocolRecord>() == 64, "one cache line");

/// The two lines side by side: one page of memory, and both are fetched at once.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
pub(crate) struct Slot {
    pub(crate) entry: Entry,
    pub(crate) record: ProtocolRecord,
}

/// What few packets of a connection need; all of a translated one need its beginning.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Cold {
    /// Tuple of the reply direction.
    pub(crate) reply: Tuple,
    /// The interface whose address it was given, when [`Entry::MASQUERADED`], by the number that the
    /// caller knows it by; such connections end when the interface goes down.
    pub(crate) masqueraded: u16,
    /// Index of its timeout policy, when [`Entry::TIMED`].
    pub(crate) policy: u16,
    /// [`crate::event::Changes`] that are told.
    pub(crate) event_mask: u16,
    /// [`crate::event::ExpectationChanges`] that are told of what it expects.
    pub(crate) expectation_mask: u16,
    /// Its security mark, 0 for none: a place in the table's list of contexts, from 1.
    pub(crate) secmark: u32,
    /// What reads it, when [`Entry::HELPED`].
    pub(crate) helper: Option<Instance>,
    /// Number of the connection, in the order of their first packets.
    pub(crate) number: u64,
    /// Confirmed, nanoseconds; 0 when `nf_conntrack_timestamp` was off.
    pub(crate) started: u64,
    /// Packets and bytes, original then reply, when [`Entry::COUNTED`].
    pub(crate) counters: [(u64, u64); 2],
    /// Its labels, bit by number; `None` when no rule used any as it was made.
    pub(crate) labels: Option<u128>,
}
