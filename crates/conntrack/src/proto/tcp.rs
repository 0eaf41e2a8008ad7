//! The TCP tracker: what a segment does to its connection, as Linux 6.18 decides it.
//!
//! Pure functions over a plain [`Record`]: no table, no clock. [`Segment::new`] checks the header
//! by itself, [`new_connection`] judges the first segment, [`packet`] every further one. What the
//! table has to do then is the [`Outcome`].
//!
//! The way of a segment: the state table ([`states`]) says where its kind leads from the present
//! state; a few cases that a table cannot hold (a SYN on a closed connection, a SYN or SYN-ACK out
//! of step, resets, challenge ACKs) are settled next; what remains must fit the windows
//! ([`window`]), and only then state, timeout and ASSURED follow.
//!
//! Invariants: a [`Peer`] whose `max_window` is 0 counts as one that has not spoken; no function
//! here panics or allocates on any input; sequence numbers are compared modulo 2^32 only.
//!
//! Sources: RFC 9293, RFC 7323 (scaling), RFC 2018 (SACK), RFC 5961 (challenge ACKs), and the
//! observed behaviour of the kernel. Where sequence numbers are shifted ([`crate::seqadj`]), what is
//! kept are those of the senders.

mod options;
mod out_of_step;
mod reset;
mod segment;
pub mod states;
mod timeout;
pub mod window;

#[cfg(test)]
mod tests;

pub use segment::{Kind, Segment};
pub use states::State;
pub use timeout::{SHORTEN_LEFT_MIN, shortened};

use crate::conn::CtStatus;
use crate::invalid::{Invalid, Reason};
use crate::sysctl::Sysctls;
use crate::timeout::Timeout;
use crate::tuple::Direction;
use keepstate_packet::tcp::RST;
use states::Step;
use window::Fit;

/// What is remembered of one direction of a connection: the windows it was promised and has used.
/// Sequence numbers are as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// One past the highest sequence number sent.
    pub end: u32,
    /// One past the highest sequence number that the other side has allowed.
    pub max_end: u32,
    /// Largest window announced, scaled, in bytes; 0 until the first segment.
    pub max_window: u32,
    /// Highest acknowledgment sent; means something once [`Peer::MAX_ACK_SET`] is set.
    pub max_ack: u32,
    /// Window scale, 0 to [`window::SCALE_MAX`].
    pub scale: u8,
    /// The bits below, numbered as in ctnetlink's `CTA_PROTOINFO_TCP_FLAGS_*`.
    pub flags: u8,
}

impl Peer {
    /// Sent the window scale option.
    pub const WINDOW_SCALE: u8 = 0x01;
    /// Sent SACK-permitted.
    pub const SACK_PERMITTED: u8 = 0x02;
    /// Sent the first FIN.
    pub const CLOSE_INIT: u8 = 0x04;
    /// Its segments are never outside of the window (connection picked up in mid-stream).
    pub const BE_LIBERAL: u8 = 0x08;
    /// Sent data that is not acknowledged yet.
    pub const DATA_UNACKNOWLEDGED: u8 = 0x10;
    /// `max_ack` holds a number.
    pub const MAX_ACK_SET: u8 = 0x20;

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What is remembered of the last segment that mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// One past its last sequence number.
    pub end: u32,
    /// Window, unscaled.
    pub window: u16,
    /// How often in a row the same ACK segment was repeated, modulo 256.
    pub retransmissions: u8,
    /// Kind.
    pub kind: Kind,
    /// Direction.
    pub direction: Direction,
    /// Window scale of a remembered SYN.
    pub scale: u8,
    /// [`Peer::WINDOW_SCALE`] and [`Peer::SACK_PERMITTED`] of a remembered SYN, and the two below.
    pub flags: u8,
}

impl Last {
    /// A SYN was let through in LAST_ACK: the next ACK may be a challenge (RFC 5961).
    pub const CHALLENGE_EXPECTED: u8 = 0x40;
    /// Both sides sent a SYN.
    pub const SIMULTANEOUS_OPEN: u8 = 0x80;
}

impl Default for Last {
    fn default() -> Self {
        Self {
            sequence: 0,
            ack: 0,
            end: 0,
            window: 0,
            retransmissions: 0,
            kind: Kind::None,
            direction: Direction::Original,
            scale: 0,
            flags: 0,
        }
    }
}

/// All that the tracker remembers of a connection besides its [`State`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Original direction, then reply.
    pub peers: [Peer; 2],
    /// The last segment that mattered.
    pub last: Last,
}

const _: () = assert!(size_of::<Record>() <= 64, "one cache line");

impl Record {
    /// The direction's peer, the other one, and the last segment.
    const fn split(&mut self, direction: Direction) -> (&mut Peer, &mut Peer, &mut Last) {
        let [original, reply] = &mut self.peers;
        match direction {
            Direction::Original => (original, reply, &mut self.last),
            Direction::Reply => (reply, original, &mut self.last),
        }
    }
}

/// What the table knows of the connection when a segment arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// State before the segment.
    pub state: State,
    /// Direction of the segment.
    pub direction: Direction,
    /// Status before the segment: SEEN_REPLY is not yet set by the first reply itself.
    pub status: CtStatus,
    /// By how much the numbers that the segment acknowledges were shifted ([`crate::seqadj`]).
    pub shifted: u32,
    /// SYNPROXY has opened the connection.
    pub is_proxied: bool,
}

impl Seen {
    /// Of a connection that nobody has touched.
    #[must_use]
    pub const fn new(state: State, direction: Direction, status: CtStatus) -> Self {
        Self { state, direction, status, shifted: 0, is_proxied: false }
    }
}

/// What becomes of a segment and of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It fits.
    Accept(Accept),
    /// It passes with its connection attached (NEW or ESTABLISHED by direction and SEEN_REPLY, as
    /// any other packet; a reply sets SEEN_REPLY), but state, timeout and counters stay.
    Ignored(Ignored),
    /// It is INVALID and carries no connection.
    Invalid {
        /// Why.
        invalid: Invalid,
        /// Lower the connection's timeout to this, under the conditions of [`shortened`].
        shorten: Option<Timeout>,
    },
    /// It passes with its connection attached, as in `Ignored`, and the connection goes at once: a
    /// reset before any reply. The state had become [`State::Close`].
    Kill,
    /// The connection is over and the segment begins another: remove it (DESTROY), look the
    /// segment up again. Its direction may turn.
    Restart,
}

impl Outcome {
    const fn invalid(invalid: Invalid) -> Self {
        Self::Invalid { invalid, shorten: None }
    }
}

/// What a fitting segment makes of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// State from now on.
    pub state: State,
    /// Timeout from now on; `None`: the deadline stays, and the packet is not counted.
    pub timeout: Option<Timeout>,
    /// The connection becomes ASSURED with this segment (an event).
    pub assured: bool,
    /// The state has changed, or a handshake was begun anew (an event, `protoinfo`).
    pub changed: bool,
}

/// Why a segment changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// A SYN, SYN-ACK or ACK that does not fit the state, but might fit what the two ends know
    /// better: it is remembered, and the answer to it decides.
    OutOfStep,
    /// The answer of RFC 5961 to a stray SYN.
    ChallengeAck,
    /// Outside of the window on a side where that is harmless.
    Window(Invalid),
}

/// Judges the first segment of a connection: its record, its state and timeout.
///
/// # Errors
/// [`Invalid`] when it begins no connection: [`Reason::InvalidState`] for a kind that never does,
/// [`Reason::NotSyn`] for a segment in mid-stream when `nf_conntrack_tcp_loose` is 0.
pub fn new_connection(
    sysctls: &Sysctls,
    segment: &Segment<'_>,
) -> Result<(Record, Accept), Invalid> {
    let mut record = Record::default();
    match states::step(Direction::Original, State::None, segment.kind) {
        Step::To(State::SynSent) => window::begin(&mut record, segment),
        Step::To(_) if sysctls.tcp_loose => window::pick_up(&mut record, segment),
        Step::To(_) => return Err(Invalid::new(Reason::NotSyn)),
        Step::Ignore | Step::Invalid => return Err(Invalid::new(Reason::InvalidState)),
    }
    let seen = Seen::new(State::None, Direction::Original, CtStatus::default());
    match packet(sysctls, &seen, &mut record, segment) {
        Outcome::Accept(accept) => Ok((record, accept)),
        Outcome::Invalid { invalid, .. } | Outcome::Ignored(Ignored::Window(invalid)) => {
            Err(invalid)
        }
        Outcome::Ignored(_) | Outcome::Kill | Outcome::Restart => {
            Err(Invalid::new(Reason::InvalidState))
        }
    }
}

/// Judges a further segment and updates the record.
#[inline]
pub fn packet(
    sysctls: &Sysctls,
    seen: &Seen,
    record: &mut Record,
    segment: &Segment<'_>,
) -> Outcome {
    let before = seen.state;
    let next = match states::step(seen.direction, before, segment.kind) {
        Step::To(next) => next,
        Step::Ignore => return out_of_step::segment(sysctls, seen, record, segment),
        Step::Invalid if out_of_step::keeps_proxied_alive(seen, record, segment) => {
            return Outcome::Accept(Accept {
                state: before,
                timeout: None,
                assured: false,
                changed: false,
            });
        }
        Step::Invalid => return Outcome::invalid(Invalid::new(Reason::InvalidState)),
    };
    if next == State::Established && segment.kind == Kind::Ack {
        return in_window(sysctls, seen, record, segment, before, next);
    }
    special(sysctls, seen, record, segment, next)
}

/// The transitions that depend on more than state and kind.
fn special(
    sysctls: &Sysctls,
    seen: &Seen,
    record: &mut Record,
    segment: &Segment<'_>,
    next: State,
) -> Outcome {
    let before = seen.state;
    let mut next = next;
    match next {
        State::SynSent if before.is_over() => {
            if out_of_step::reopens(record, seen.direction) {
                return Outcome::Restart;
            }
            return out_of_step::segment(sysctls, seen, record, segment);
        }
        State::TimeWait if out_of_step::is_challenge(record, seen, segment.kind) => {
            record.last.flags &= !Last::CHALLENGE_EXPECTED;
            return Outcome::Ignored(Ignored::ChallengeAck);
        }
        State::SynSent2 => record.last.flags |= Last::SIMULTANEOUS_OPEN,
        State::SynRecv
            if segment.kind == Kind::Ack && record.last.flags & Last::SIMULTANEOUS_OPEN != 0 =>
        {
            next = State::Established;
        }
        State::Close if segment.kind == Kind::Rst => {
            match reset::judge(sysctls, seen, record, segment) {
                reset::Verdict::Obeyed => {
                    return settle(sysctls, seen, record, segment, before, next);
                }
                reset::Verdict::Window(state) => next = state,
                reset::Verdict::Invalid(invalid) => return Outcome::invalid(invalid),
            }
        }
        _ => {}
    }
    in_window(sysctls, seen, record, segment, before, next)
}

/// Lets the segment through if it fits the windows.
#[inline]
fn in_window(
    sysctls: &Sysctls,
    seen: &Seen,
    record: &mut Record,
    segment: &Segment<'_>,
    before: State,
    next: State,
) -> Outcome {
    match window::fit(sysctls.tcp_be_liberal, seen, record, segment) {
        Fit::Inside => settle(sysctls, seen, record, segment, before, next),
        Fit::Tolerated(invalid) => Outcome::Ignored(Ignored::Window(invalid)),
        Fit::Outside(invalid) => Outcome::Invalid {
            invalid,
            shorten: timeout::after_lost_close(sysctls, seen, record, segment.kind),
        },
    }
}

/// The segment counts: state, timeout and ASSURED follow. `before` differs from the state seen
/// when a remembered SYN has just been made good.
#[inline]
fn settle(
    sysctls: &Sysctls,
    seen: &Seen,
    record: &mut Record,
    segment: &Segment<'_>,
    before: State,
    next: State,
) -> Outcome {
    record.last.kind = segment.kind;
    record.last.direction = seen.direction;
    let changed = before != next;
    if next == State::FinWait {
        record.split(seen.direction).0.flags |= Peer::CLOSE_INIT;
    }
    let mut timeout = Some(timeout::of(sysctls, record, segment.kind, next));
    let mut assured = false;
    if seen.status.contains(CtStatus::SEEN_REPLY) {
        assured = !seen.status.contains(CtStatus::ASSURED)
            && next == State::Established
            && matches!(before, State::SynRecv | State::Established);
    } else if segment.flags & RST != 0 {
        return Outcome::Kill;
    } else if segment.kind == Kind::Syn && before == State::SynSent {
        // A client that repeats its SYN must not keep an entry alive that nobody answers.
        timeout = None;
    } else if next == State::Established {
        timeout = timeout.map(|t| t.min(sysctls.timeouts.tcp_unacknowledged));
    }
    Outcome::Accept(Accept { state: next, timeout, assured, changed })
}

/// What a reset that REJECT sends (`--reject-with tcp-reset`) makes of the confirmed connection
/// whose packet it rejects: it is [`State::Close`] from then on, with this timeout unless its
/// timeout is fixed. `None` when it was so before.
#[must_use]
pub fn rejected(sysctls: &Sysctls, state: State) -> Option<Accept> {
    (state != State::Close).then_some(Accept {
        state: State::Close,
        timeout: Some(sysctls.timeouts.tcp_close),
        assured: false,
        changed: true,
    })
}
