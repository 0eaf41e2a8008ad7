//! The windows: what each side may send and acknowledge, as far as an observer can know.
//!
//! For the sender of a segment, four edges (the figures are sequence numbers, all inclusive):
//!
//! - its first number is at most what the receiver has allowed (`sender.max_end`);
//! - it acknowledges at most what the receiver has sent (`receiver.end`);
//! - its last number is no further back than one window of the receiver behind what the sender has
//!   sent already;
//! - what it acknowledges is no further back than one window of the sender, or
//!   [`ACK_WINDOW_MIN`] if that is more, behind what the receiver has sent.
//!
//! Outside of the first two it is INVALID, outside of the last two it is ignored.

use super::{Kind, Last, Peer, Record, Seen, Segment, State, options};
use crate::invalid::{Invalid, Reason};
use crate::tuple::Direction;
use keepstate_packet::tcp::{ACK, RST, SYN};

/// Largest window scale (RFC 7323, section 2.3); a larger one counts as this.
pub const SCALE_MAX: u8 = 14;

/// How far back an acknowledgment may always reach, in bytes: more than an unscaled window.
pub const ACK_WINDOW_MIN: u32 = 66_000;

/// Whether a segment fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It does; the windows have moved with it.
    Inside,
    /// It does not, but is harmless.
    Tolerated(Invalid),
    /// It does not.
    Outside(Invalid),
}

/// How far `number` lies beyond `edge` in sequence space, if it does: 1 to 2^31.
#[inline]
pub(crate) const fn past(number: u32, edge: u32) -> Option<u32> {
    let distance = number.wrapping_sub(edge);
    if distance.wrapping_sub(1) < 1 << 31 { Some(distance) } else { None }
}

/// A window as remembered: 0 stands for "nothing heard yet", so a zero window counts as 1.
const fn remembered(window: u32) -> u32 {
    if window == 0 { 1 } else { window }
}

/// The first SYN: nothing may follow it until the other side has allowed it.
pub(super) fn begin(record: &mut Record, segment: &Segment<'_>) {
    let [sender, _] = &mut record.peers;
    introduce(sender, segment);
}

/// A connection in mid-stream: both sides are taken as they come.
pub(super) fn pick_up(record: &mut Record, segment: &Segment<'_>) {
    let [sender, receiver] = &mut record.peers;
    let window = remembered(u32::from(segment.window));
    *sender = Peer {
        end: segment.end,
        max_end: segment.end.wrapping_add(window),
        max_window: window,
        max_ack: 0,
        scale: 0,
        flags: Peer::SACK_PERMITTED | Peer::BE_LIBERAL,
    };
    receiver.flags = sender.flags;
}

/// A SYN that was let through out of step has proved right: its sender begins with it, and the
/// other side is forgotten.
pub(super) fn resynchronize(record: &mut Record) {
    let (sender, receiver, last) = record.split(record.last.direction);
    sender.end = last.end;
    sender.max_end = last.end;
    sender.max_window = remembered(u32::from(last.window));
    sender.scale = last.scale;
    last.flags &= !Last::CHALLENGE_EXPECTED;
    sender.flags = last.flags;
    *receiver = Peer { flags: receiver.flags & Peer::BE_LIBERAL, ..Peer::default() };
}

/// Takes over what a SYN or SYN-ACK says of its sender. Without any option, what an earlier one
/// negotiated stays.
fn introduce(sender: &mut Peer, segment: &Segment<'_>) {
    sender.end = segment.end;
    sender.max_end = segment.end;
    sender.max_window = remembered(u32::from(segment.window));
    if !segment.options.is_empty() {
        let (scale, flags) = options::negotiated(segment.options);
        sender.scale = scale;
        sender.flags = sender.flags & Peer::BE_LIBERAL | flags;
    }
}

/// As [`introduce`]; the second of the two SYNs settles whether windows are scaled at all.
fn introduce_either(
    direction: Direction,
    sender: &mut Peer,
    receiver: &mut Peer,
    segment: &Segment<'_>,
) {
    introduce(sender, segment);
    let scaled = sender.has(Peer::WINDOW_SCALE) && receiver.has(Peer::WINDOW_SCALE);
    if direction == Direction::Reply && !scaled {
        sender.scale = 0;
        receiver.scale = 0;
    }
}

/// The numbers of a segment as they are compared.
struct Numbers {
    sequence: u32,
    end: u32,
    ack: u32,
    /// The highest number acknowledged, by ACK or SACK.
    sack: u32,
}

/// Judges the segment against the windows and moves them.
#[inline]
pub(super) fn fit(
    be_liberal: bool,
    seen: &Seen,
    record: &mut Record,
    segment: &Segment<'_>,
) -> Fit {
    let (sender, receiver, last) = record.split(seen.direction);
    let sack = if receiver.has(Peer::SACK_PERMITTED) {
        options::highest_acknowledged(segment.options, segment.ack)
    } else {
        segment.ack
    };
    let (ack, sack) = (segment.ack.wrapping_sub(seen.shifted), sack.wrapping_sub(seen.shifted));
    if (sender.max_window == 0 || segment.has(SYN))
        && first_words(seen, sender, receiver, segment, sack)
    {
        return Fit::Inside;
    }
    let mut numbers = Numbers { sequence: segment.sequence, end: segment.end, ack, sack };
    if segment.flags & (ACK | RST) != ACK {
        reset_or_no_ack(seen.state, sender, receiver, segment, &mut numbers);
    }
    if !inside(sender, receiver, &numbers) {
        let be_liberal = be_liberal || sender.has(Peer::BE_LIBERAL);
        let outside = outside(sender, receiver, &numbers);
        return if be_liberal { Fit::Inside } else { outside };
    }
    advance(sender, receiver, segment, &numbers);
    if segment.kind == Kind::Ack {
        count_retransmissions(last, seen.direction, segment, &numbers);
    }
    Fit::Inside
}

/// The first segment of a side, or a SYN again: takes over what it says. Whether that alone lets
/// it in (a SYN of both sides).
///
/// A side that has spoken can be silent again: SACK blocks half the sequence space away drive its
/// largest window up to 2^32 - 1, and the next overrun wraps it to 0.
#[cold]
fn first_words(
    seen: &Seen,
    sender: &mut Peer,
    receiver: &mut Peer,
    segment: &Segment<'_>,
    sack: u32,
) -> bool {
    let silent = sender.max_window == 0;
    if segment.has(SYN) {
        let opening = matches!(seen.state, State::SynSent | State::SynRecv);
        let again = opening && past(segment.end, sender.end).is_some();
        if !silent && !again {
            return false;
        }
        introduce_either(seen.direction, sender, receiver, segment);
        return !segment.has(ACK) && (silent || seen.direction == Direction::Reply);
    }
    sender.end = segment.end;
    sender.max_window = remembered(u32::from(segment.window) << sender.scale);
    sender.max_end = segment.end.wrapping_add(sender.max_window);
    if receiver.max_window == 0 {
        receiver.end = sack;
        receiver.max_end = sack;
    } else if sack == receiver.end.wrapping_add(1) {
        // The answer to a keep-alive that was not seen.
        receiver.end = sack;
    }
    false
}

/// What stands in for numbers that a segment does not have.
#[cold]
fn reset_or_no_ack(
    state: State,
    sender: &Peer,
    receiver: &Peer,
    segment: &Segment<'_>,
    numbers: &mut Numbers,
) {
    if !segment.has(ACK) || numbers.ack == 0 {
        // Some resets have the ACK flag and nothing in the field.
        numbers.ack = receiver.end;
        numbers.sack = receiver.end;
    }
    if segment.has(RST) && segment.sequence == 0 && state == State::SynSent {
        // The answer of a closed port has no number of its own.
        numbers.sequence = sender.end;
        numbers.end = sender.end;
    }
}

/// The lowest end that is not too old; means nothing before the receiver has spoken.
const fn end_min(sender: &Peer, receiver: &Peer) -> u32 {
    sender.end.wrapping_sub(receiver.max_window)
}

/// The lowest acknowledgment that is not too old.
#[inline]
fn ack_min(sender: &Peer, receiver: &Peer) -> u32 {
    receiver.end.wrapping_sub(sender.max_window.max(ACK_WINDOW_MIN))
}

/// All four edges at once, without a branch: nearly every segment is inside.
#[inline]
fn inside(sender: &Peer, receiver: &Peer, numbers: &Numbers) -> bool {
    let outside = past(numbers.sequence, sender.max_end).is_some()
        | past(numbers.sack, receiver.end).is_some()
        | past(end_min(sender, receiver), numbers.end).is_some() & (receiver.max_window != 0)
        | past(ack_min(sender, receiver), numbers.sack).is_some();
    !outside
}

/// Which edge the segment is outside of. An edge is the last number still inside.
#[cold]
fn outside(sender: &mut Peer, receiver: &Peer, numbers: &Numbers) -> Fit {
    let (end_min, ack_min) = (end_min(sender, receiver), ack_min(sender, receiver));
    let ack_over = past(numbers.sack, receiver.end);
    let end_under = past(end_min, numbers.end);
    let ack_under = past(ack_min, numbers.sack).unwrap_or(0);
    let invalid =
        |reason, distance, edge| Invalid { reason, distance: Some(distance), edge: Some(edge) };

    if let Some(distance) = past(numbers.sequence, sender.max_end) {
        let invalid = invalid(Reason::SeqOver, distance, sender.max_end);
        let overshoot = numbers.end.wrapping_sub(sender.max_end).wrapping_add(1);
        let harmless = end_under.is_none()
            && ack_under == 0
            && ack_over.is_none()
            && overshoot <= receiver.max_window;
        if !harmless {
            return Fit::Outside(invalid);
        }
        // A sender that overruns the window a little, and may get through to the receiver: its
        // acknowledgment must not become INVALID then.
        sender.end = numbers.end;
        sender.flags |= Peer::DATA_UNACKNOWLEDGED;
        // How many bytes more than expected, as the log counts them.
        return Fit::Tolerated(Invalid { distance: Some(overshoot), ..invalid });
    }
    if let Some(distance) = ack_over {
        return Fit::Outside(invalid(Reason::AckOver, distance, receiver.end));
    }
    if let Some(distance) = end_under.filter(|_| receiver.max_window != 0) {
        return Fit::Tolerated(invalid(Reason::SeqUnder, distance, end_min));
    }
    Fit::Tolerated(invalid(Reason::AckUnder, ack_under, ack_min))
}

/// Moves the windows with a segment inside of them.
#[inline]
fn advance(sender: &mut Peer, receiver: &mut Peer, segment: &Segment<'_>, numbers: &Numbers) {
    let scale = if segment.has(SYN) { 0 } else { sender.scale };
    let window = u32::from(segment.window) << scale;
    // What SACK reports lies in the window already.
    let whole_window = window.wrapping_add(numbers.sack.wrapping_sub(numbers.ack));
    sender.max_window = sender.max_window.max(whole_window);
    if past(numbers.end, sender.end).is_some() {
        sender.end = numbers.end;
        sender.flags |= Peer::DATA_UNACKNOWLEDGED;
    }
    if segment.has(ACK)
        && (!sender.has(Peer::MAX_ACK_SET) || past(numbers.ack, sender.max_ack).is_some())
    {
        sender.max_ack = numbers.ack;
        sender.flags |= Peer::MAX_ACK_SET;
    }
    if receiver.max_window != 0
        && let Some(overrun) = past(numbers.end, sender.max_end)
    {
        receiver.max_window = receiver.max_window.wrapping_add(overrun);
    }
    let allowed = numbers.sack.wrapping_add(window);
    if past(receiver.max_end, allowed).is_none() {
        // One byte more than a closed window: probes.
        receiver.max_end = allowed.wrapping_add(u32::from(window == 0));
    }
    if numbers.ack == receiver.end {
        receiver.flags &= !Peer::DATA_UNACKNOWLEDGED;
    }
}

/// Counts how often the same segment was sent in a row.
#[inline]
fn count_retransmissions(
    last: &mut Last,
    direction: Direction,
    segment: &Segment<'_>,
    numbers: &Numbers,
) {
    let again = last.direction == direction
        && last.sequence == numbers.sequence
        && last.ack == numbers.ack
        && last.end == numbers.end
        && last.window == segment.window;
    if again {
        last.retransmissions = last.retransmissions.wrapping_add(1);
        return;
    }
    last.direction = direction;
    last.sequence = numbers.sequence;
    last.ack = numbers.ack;
    last.end = numbers.end;
    last.window = segment.window;
    last.retransmissions = 0;
}
