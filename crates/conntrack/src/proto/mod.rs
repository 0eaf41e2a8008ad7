//! The trackers, one a protocol.
//!
//! A tracker judges a packet of a connection that was found or has just been made, and says how
//! long the connection is to live from there on. Protocols without one of their own are in
//! `generic`'s care.

pub(crate) mod generic;
pub(crate) mod gre;
pub(crate) mod icmp;
pub(crate) mod icmpv6;
pub mod sctp;
mod segment;
pub mod tcp;
pub(crate) mod udp;

use crate::Hook;
use crate::conn::{CtStatus, Entry, ProtocolRecord};
use crate::event::Changes;
use crate::invalid::{Invalid, Reason};
use crate::seqadj::Shifts;
use crate::sysctl::Sysctls;
use crate::timeout::Timeout;
use crate::tuple::Direction;
use keepstate_packet::checksum::{self, Verified};
use keepstate_packet::{Instant, Parsed};

/// A tracker.
#[derive(Debug)]
pub struct Tracker {
    /// IP protocol number.
    pub protocol: u8,
    /// Name as `conntrack -L` prints it.
    pub name: &'static str,
    /// Whether a packet may join a connection that another one has confirmed while it was on its way
    /// as the first of its own: where nothing is lost with what that one was found to be.
    pub(crate) may_join: bool,
    packet: fn(&Seen<'_>, &mut Record<'_>) -> Outcome,
    state_name: fn(u8) -> Option<&'static str>,
}

/// The trackers; [`GENERIC`] is for every other protocol.
pub static TRACKERS: &[Tracker] = &[
    Tracker {
        protocol: 6,
        name: "tcp",
        may_join: false,
        packet: segment::packet,
        state_name: segment::state_name,
    },
    stateless(17, "udp", true, udp::packet),
    stateless(1, "icmp", false, icmp::packet),
    stateless(58, "icmpv6", false, icmpv6::packet),
    stateless(136, "udplite", true, udp::packet_lite),
    Tracker {
        protocol: 132,
        name: "sctp",
        may_join: false,
        packet: sctp::tracked,
        state_name: sctp::state_name,
    },
    stateless(47, "gre", true, gre::packet),
];

/// What becomes of protocols that no tracker knows.
pub static GENERIC: Tracker = stateless(0, "unknown", true, generic::packet);

/// The tracker of a protocol whose connections have no states.
const fn stateless(
    protocol: u8,
    name: &'static str,
    may_join: bool,
    packet: fn(&Seen<'_>, &mut Record<'_>) -> Outcome,
) -> Tracker {
    Tracker { protocol, name, may_join, packet, state_name: no_state }
}

/// Place in [`TRACKERS`] by protocol number; its length where there is none.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static PLACES: [u8; 256] = {
    let mut places = [TRACKERS.len() as u8; 256];
    let mut i = 0;
    while i < TRACKERS.len() {
        places[TRACKERS[i].protocol as usize] = i as u8;
        i += 1;
    }
    places
};

/// The tracker of a protocol.
#[inline]
pub(crate) fn tracker(protocol: u8) -> &'static Tracker {
    let place = PLACES.get(usize::from(protocol));
    place.and_then(|place| TRACKERS.get(usize::from(*place))).unwrap_or(&GENERIC)
}

/// Whether a connection in this state is being closed, so that it may give way to others.
pub(crate) fn is_closing(protocol: u8, state: u8) -> bool {
    use keepstate_packet::{sctp as sctp_packet, tcp as tcp_packet};
    match protocol {
        tcp_packet::PROTOCOL => matches!(
            tcp::State::of(state),
            tcp::State::FinWait
                | tcp::State::CloseWait
                | tcp::State::LastAck
                | tcp::State::TimeWait
                | tcp::State::Close
        ),
        sctp_packet::PROTOCOL => matches!(
            sctp::State::of(state),
            sctp::State::ShutdownSent | sctp::State::ShutdownRecd | sctp::State::ShutdownAckSent
        ),
        _ => false,
    }
}

impl Tracker {
    #[inline]
    pub(crate) fn packet(&self, seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
        (self.packet)(seen, record)
    }

    /// The name of a state of the connection, for protocols that have states.
    #[must_use]
    pub fn state_name(&self, state: u8) -> Option<&'static str> {
        (self.state_name)(state)
    }
}

fn no_state(_: u8) -> Option<&'static str> {
    None
}

/// A packet as its tracker sees it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) now: Instant,
    pub(crate) hook: Hook,
    pub(crate) packet: &'a Parsed,
    pub(crate) bytes: &'a [u8],
    pub(crate) direction: Direction,
    pub(crate) sysctls: &'a Sysctls,
    /// How the sequence numbers of the connection are shifted, where they are.
    pub(crate) shifts: Option<&'a Shifts>,
}

impl Seen<'_> {
    /// Whether the checksum passes: right, absent, or not looked at. The kernel looks only at what
    /// comes in, and only with `nf_conntrack_checksum`.
    #[inline]
    pub(crate) fn checksum_ok(&self) -> bool {
        if !self.sysctls.checksum || self.hook != Hook::Prerouting {
            return true;
        }
        match checksum::verify(self.packet, self.bytes) {
            Verified::Valid | Verified::Absent | Verified::NotApplicable => true,
            Verified::Offloaded | Verified::Wrong => false,
        }
    }
}

/// The connection as its tracker sees it.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) entry: &'a mut Entry,
    pub(crate) protocol: &'a mut ProtocolRecord,
}

/// What a tracker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The packet belongs to the connection.
    Accept {
        /// How long the connection is to live from now on; `None` leaves it, and the packet is
        /// not counted.
        timeout: Option<Timeout>,
        /// What has changed.
        changes: Changes,
    },
    /// It belongs to it, and changes nothing; it is not counted.
    Ignored(tcp::Ignored),
    /// It belongs to it, and the connection goes at once.
    Kill,
    /// It is INVALID; `shorten` lowers what the connection has left to live.
    Invalid {
        /// Why.
        invalid: Invalid,
        /// TCP: [`tcp::shortened`] says when it applies.
        shorten: Option<Timeout>,
        /// SCTP: what there is to be said of it.
        fault: Option<sctp::Fault>,
    },
    /// The connection is over, and the packet begins another.
    Restart,
}

impl Outcome {
    pub(crate) const fn accept(timeout: Timeout) -> Self {
        Self::Accept { timeout: Some(timeout), changes: Changes(0) }
    }

    /// The packet makes its connection one to keep. What is there only for the answers to a packet
    /// that clashed never is.
    pub(crate) fn assured(record: &mut Record<'_>, timeout: Timeout) -> Self {
        if record.entry.is(CtStatus::ASSURED) || record.entry.is(CtStatus::NAT_CLASH) {
            return Self::accept(timeout);
        }
        record.entry.set(CtStatus::ASSURED);
        Self::Accept { timeout: Some(timeout), changes: Changes::ASSURED }
    }

    pub(crate) const fn invalid(reason: Reason) -> Self {
        Self::because(Invalid::new(reason))
    }

    pub(crate) const fn because(invalid: Invalid) -> Self {
        Self::Invalid { invalid, shorten: None, fault: None }
    }
}
