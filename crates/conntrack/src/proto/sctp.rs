//! The SCTP tracker (RFC 9260): what the chunks of a packet do to its association, as Linux 6.18
//! decides it.
//!
//! Pure functions over a plain [`Association`]: no table, no clock. A packet is judged in this order:
//! may these chunks stand together; if it is the first, may it begin something; is its verification
//! tag the right one; and then, chunk by chunk, the tag where the chunk has a rule of its own, and
//! the state table ([`states`]). A packet that fails in a later chunk is INVALID, and what its
//! earlier chunks have changed stays changed.
//!
//! Each pair of addresses is an association of its own here, though SCTP's ends may have several. A
//! path that is only used later begins with a HEARTBEAT, whose tag is believed; and since the ends
//! may have begun anew meanwhile, a HEARTBEAT with another tag passes, and counts once it is
//! answered.
//!
//! Invariants: a tag of 0 is one not known yet; no function here panics or allocates on any input;
//! the work is linear in the packet.
//!
//! Sources: RFC 9260 (8.4 packets out of the blue, 8.5 tags), and the observed behaviour of the
//! kernel.

pub mod states;

#[cfg(test)]
mod tests;

pub use states::{Kind, State};

use super::{Outcome, Record, Seen};
use crate::conn::{CtStatus, ProtocolRecord};
use crate::event::Changes;
use crate::invalid::{Invalid, Reason};
use crate::sysctl::Timeouts;
use crate::timeout::Timeout;
use crate::tuple::Direction;
use keepstate_packet::sctp::{Chunk, Chunks, SctpHeader, chunk};

/// What is remembered of an association besides its [`State`]. By direction: original, then reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Association {
    /// The verification tags that packets carry, host byte order; 0 until known.
    pub tags: [u32; 2],
    /// Whether an INIT went this way that brought a new tag, and no COOKIE ACK since: both, when they
    /// have collided.
    pub inits: [bool; 2],
    /// The direction of a HEARTBEAT with another tag than that of its direction, not answered yet.
    pub foreign_heartbeat: Option<Direction>,
}

impl Association {
    const fn tag(&self, direction: Direction) -> u32 {
        let [original, reply] = self.tags;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }

    const fn set_tag(&mut self, direction: Direction, tag: u32) {
        let [original, reply] = &mut self.tags;
        match direction {
            Direction::Original => *original = tag,
            Direction::Reply => *reply = tag,
        }
    }

    const fn init(&mut self, direction: Direction) -> &mut bool {
        let [original, reply] = &mut self.inits;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }

    const fn collided(&self) -> bool {
        matches!(self.inits, [true, true])
    }
}

/// What the table knows when a packet arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// State before the packet.
    pub state: State,
    /// Direction of the packet.
    pub direction: Direction,
    /// Whether the association is in the table; if not, this is its first packet.
    pub confirmed: bool,
}

/// What a packet has made of its association; it holds as well when the packet is INVALID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// State from now on.
    pub state: State,
    /// Whether some chunk has changed it (an event, `protoinfo`).
    pub changed: bool,
    /// Whether some chunk has led to [`State::Established`] from elsewhere: ASSURED.
    pub established: bool,
    /// Whether the timeout begins anew, or why the packet is INVALID.
    pub renews: Result<bool, Invalid>,
    /// What there is to be said of a packet that is INVALID.
    pub fault: Option<Fault>,
}

/// What the log says of a packet that is INVALID; there is nothing to be said of most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Chunks that may not stand together, or one without a length.
    Chunks {
        /// The number of the first that may not stand where it does, from 0.
        number: u32,
        /// Its type.
        kind: u8,
        /// Its length as on the wire.
        length: u16,
        /// Whether it or one before it may only stand alone.
        alone: bool,
    },
    /// Not the tag of the direction, in a packet that has no chunk with a rule of its own.
    Tag {
        /// The tag of the packet.
        tag: u32,
        /// That of the direction.
        known: u32,
    },
    /// A chunk that the state has no place for.
    State {
        /// The state before the chunk.
        before: State,
        /// The chunk's type.
        kind: u8,
    },
}

/// Judges a packet, from the common header on. `visit` is told each cell of the state table that is
/// asked.
pub fn packet(
    known: &Known,
    association: &mut Association,
    packet: &[u8],
    visit: impl FnMut(State, Kind),
) -> Judged {
    let judged = Judged {
        state: known.state,
        changed: false,
        established: false,
        renews: Err(Invalid::new(Reason::Short)),
        fault: None,
    };
    let Some(header) = SctpHeader::read(packet) else { return judged };
    let tag = header.verification_tag;
    let mut walk = Walk { known, association, tag, kinds: Kinds(0), renews: true, judged, visit };
    walk.judged.renews = walk.packet(packet).map(|()| walk.renews);
    walk.judged
}

/// The kinds of chunk in a packet: one bit each.
#[derive(Clone, Copy, Debug)]
struct Kinds(u16);

impl Kinds {
    const fn bit(kind: Kind) -> u16 {
        1 << kind as u16
    }

    const fn has_any(self, kinds: &[Kind]) -> bool {
        let mut rest = kinds;
        while let [kind, others @ ..] = rest {
            if self.0 & Self::bit(*kind) != 0 {
                return true;
            }
            rest = others;
        }
        false
    }

    /// The kinds of a packet whose chunks may stand together (RFC 9260, 6.10): INIT, INIT ACK and
    /// SHUTDOWN COMPLETE alone, the cookies first.
    fn of(packet: &[u8]) -> Result<Self, Option<Fault>> {
        let (mut kinds, mut alone) = (0, false);
        for (chunk, number) in Chunks::of(packet).zip(0u32..) {
            let kind = Kind::of(chunk.kind);
            alone |= matches!(kind, Kind::Init | Kind::InitAck | Kind::ShutdownComplete);
            let first = matches!(kind, Kind::CookieEcho | Kind::CookieAck);
            if chunk.length == 0 || number != 0 && (alone || first) {
                let Chunk { kind, length, .. } = chunk;
                return Err(Some(Fault::Chunks { number, kind, length, alone }));
            }
            kinds |= Self::bit(kind);
        }
        if kinds == 0 { Err(None) } else { Ok(Self(kinds)) }
    }
}

/// Never out of the blue (RFC 9260, 8.4).
const NEVER_FIRST: [Kind; 3] = [Kind::Abort, Kind::ShutdownComplete, Kind::CookieAck];
/// With one of these a packet's tag is looked at chunk by chunk, or not at all (SHUTDOWN ACK).
const OWN_TAG_RULES: [Kind; 7] = [
    Kind::Init,
    Kind::ShutdownComplete,
    Kind::CookieEcho,
    Kind::Abort,
    Kind::ShutdownAck,
    Kind::Heartbeat,
    Kind::HeartbeatAck,
];

struct Walk<'a, F> {
    known: &'a Known,
    association: &'a mut Association,
    /// The packet's verification tag.
    tag: u32,
    kinds: Kinds,
    /// Whether the timeout begins anew, as far as the chunks so far say.
    renews: bool,
    judged: Judged,
    visit: F,
}

const OUT_OF_STATE: Invalid = Invalid::new(Reason::InvalidState);
const CUT: Invalid = Invalid::new(Reason::Malformed);

impl<F: FnMut(State, Kind)> Walk<'_, F> {
    fn packet(&mut self, packet: &[u8]) -> Result<(), Invalid> {
        self.kinds = Kinds::of(packet).map_err(|fault| {
            self.judged.fault = fault;
            CUT
        })?;
        if !self.known.confirmed {
            self.first(packet)?;
        }
        if !self.kinds.has_any(&OWN_TAG_RULES) {
            let known = self.association.tag(self.known.direction);
            self.has_tag_of(self.known.direction).inspect_err(|_| {
                self.judged.fault = Some(Fault::Tag { tag: self.tag, known });
            })?;
        }
        Chunks::of(packet).try_for_each(|chunk| self.chunk(&chunk))
    }

    /// The first packet of an association or of a path: what tags follow from it.
    fn first(&mut self, packet: &[u8]) -> Result<(), Invalid> {
        if self.kinds.has_any(&NEVER_FIRST) {
            return Err(OUT_OF_STATE);
        }
        for chunk in Chunks::of(packet) {
            let kind = Kind::of(chunk.kind);
            (self.visit)(State::None, kind);
            match states::step(Direction::Original, State::None, kind) {
                None | Some(State::None) => return Err(OUT_OF_STATE),
                Some(_) => {}
            }
            match kind {
                Kind::Init if self.tag != 0 => return Err(OUT_OF_STATE),
                Kind::Init => {
                    let tag = chunk.initiate_tag().ok_or(CUT)?;
                    self.association.inits = [true, false];
                    self.association.set_tag(Direction::Reply, tag);
                }
                Kind::Heartbeat => self.association.set_tag(Direction::Original, self.tag),
                // It is answered with its own tag sent back (RFC 9260, 8.4, 5).
                Kind::ShutdownAck => self.association.set_tag(Direction::Reply, self.tag),
                _ => {}
            }
        }
        self.judged.state = State::None;
        Ok(())
    }

    fn has_tag_of(&self, direction: Direction) -> Result<(), Invalid> {
        let tag = self.association.tag(direction);
        if self.tag == tag { Ok(()) } else { Err(Invalid { edge: Some(tag), ..OUT_OF_STATE }) }
    }

    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), Invalid> {
        let kind = Kind::of(chunk.kind);
        let direction = self.known.direction;
        match kind {
            Kind::Init if self.tag != 0 => return Err(OUT_OF_STATE),
            // RFC 9260, 8.5.1, B and C: with the T bit the tag is the other side's, sent back.
            Kind::Abort | Kind::ShutdownComplete if chunk.flags & chunk::T_BIT != 0 => {
                self.has_tag_of(direction.invert())?;
            }
            Kind::Abort | Kind::ShutdownComplete | Kind::CookieEcho => {
                self.has_tag_of(direction)?;
            }
            Kind::CookieAck => self.association.inits = [false; 2],
            Kind::Heartbeat | Kind::HeartbeatAck if !self.heartbeat(kind)? => return Ok(()),
            _ => {}
        }
        let before = self.judged.state;
        (self.visit)(before, kind);
        let Some(next) = states::step(direction, before, kind) else {
            self.judged.fault = Some(Fault::State { before, kind: chunk.kind });
            return Err(OUT_OF_STATE);
        };
        match kind {
            Kind::Init => self.init(chunk, before, next)?,
            Kind::InitAck => self.init_ack(chunk)?,
            _ => {}
        }
        self.judged.state = next;
        self.judged.changed |= before != next;
        self.judged.established |= before != next && next == State::Established;
        Ok(())
    }

    /// Learns from a HEARTBEAT or its answer which tags hold. Whether it counts: a HEARTBEAT with a
    /// foreign tag passes, and changes nothing until it is answered.
    fn heartbeat(&mut self, kind: Kind) -> Result<bool, Invalid> {
        let direction = self.known.direction;
        let tag = self.association.tag(direction);
        if tag == 0 {
            self.association.set_tag(direction, self.tag);
            return Ok(true);
        }
        if tag == self.tag {
            self.association.foreign_heartbeat = None;
            return Ok(true);
        }
        if self.kinds.has_any(&[Kind::Data]) || !self.renews {
            return self.has_tag_of(direction).map(|()| false);
        }
        if kind == Kind::Heartbeat {
            self.association.foreign_heartbeat = Some(direction);
            self.renews = false;
            return Ok(false);
        }
        if self.association.foreign_heartbeat != Some(direction.invert()) {
            return self.has_tag_of(direction).map(|()| false);
        }
        self.association.foreign_heartbeat = None;
        self.association.set_tag(direction, self.tag);
        self.association.set_tag(direction.invert(), 0);
        Ok(true)
    }

    /// Whoever sends an INIT says which tag it wants to see.
    fn init(&mut self, chunk: &Chunk<'_>, before: State, next: State) -> Result<(), Invalid> {
        let direction = self.known.direction;
        let tag = chunk.initiate_tag().ok_or(CUT)?;
        if self.association.tag(direction.invert()) != tag {
            if self.association.collided() {
                *self.association.init(direction.invert()) = false;
            }
            *self.association.init(direction) = true;
        }
        self.association.set_tag(direction.invert(), tag);
        // A client that repeats its INIT must not keep an entry alive that nobody answers.
        let repeated = before == State::Closed && next == State::Closed;
        self.renews &= !(repeated && self.known.confirmed);
        Ok(())
    }

    /// And so does the answer. One that answers no INIT may not change the tag, nor one of two
    /// that have collided.
    fn init_ack(&mut self, chunk: &Chunk<'_>) -> Result<(), Invalid> {
        let other = self.known.direction.invert();
        let tag = chunk.initiate_tag().ok_or(CUT)?;
        let known = self.association.tag(other);
        let unasked = !*self.association.init(other) && known != 0;
        if (unasked || self.association.collided()) && known != tag {
            return Err(Invalid { edge: Some(known), ..OUT_OF_STATE });
        }
        self.association.set_tag(other, tag);
        Ok(())
    }
}

/// How long an association lives in a state.
const fn timeout(timeouts: &Timeouts, state: State) -> Timeout {
    match state {
        State::None | State::Closed => timeouts.sctp_closed,
        State::CookieWait => timeouts.sctp_cookie_wait,
        State::CookieEchoed => timeouts.sctp_cookie_echoed,
        State::Established => timeouts.sctp_established,
        State::ShutdownSent => timeouts.sctp_shutdown_sent,
        State::ShutdownRecd => timeouts.sctp_shutdown_recd,
        State::ShutdownAckSent => timeouts.sctp_shutdown_ack_sent,
        State::HeartbeatSent => timeouts.sctp_heartbeat_sent,
    }
}

pub(super) fn tracked(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    let packet_bytes = seen.packet.l4_bytes(seen.bytes);
    if packet_bytes.len() < keepstate_packet::sctp::HEADER_LENGTH {
        return Outcome::invalid(Reason::Short);
    }
    if !seen.checksum_ok() {
        return Outcome::invalid(Reason::BadChecksum);
    }
    let mut association = match record.protocol {
        ProtocolRecord::Sctp(association) => *association,
        _ => Association::default(),
    };
    let known = Known {
        state: State::of(record.entry.state),
        direction: seen.direction,
        confirmed: record.entry.is(CtStatus::CONFIRMED),
    };
    let judged = packet(&known, &mut association, packet_bytes, |_, _| {});
    *record.protocol = ProtocolRecord::Sctp(association);
    record.entry.state = judged.state as u8;
    let mut changes = if judged.changed { Changes::PROTOINFO } else { Changes(0) };
    if judged.established && !record.entry.is(CtStatus::ASSURED) {
        record.entry.set(CtStatus::ASSURED);
        changes = changes | Changes::ASSURED;
    }
    match judged.renews {
        Ok(renews) => {
            let timeout = renews.then(|| timeout(&seen.sysctls.timeouts, judged.state));
            Outcome::Accept { timeout, changes }
        }
        Err(invalid) => {
            // The packet is INVALID; the next one that is not tells of it.
            record.entry.pending |= changes.0;
            Outcome::Invalid { invalid, shorten: None, fault: judged.fault }
        }
    }
}

pub(super) fn state_name(state: u8) -> Option<&'static str> {
    Some(State::of(state).name())
}
