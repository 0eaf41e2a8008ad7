//! Segments that belong to a handshake when the connection is past it. The two ends may know
//! better than the observer: the segment passes, is remembered, and the answer decides.

use super::{Ignored, Kind, Last, Outcome, Peer, Record, Seen, Segment, State};
use super::{in_window, options, window};
use crate::sysctl::Sysctls;
use crate::tuple::Direction;

/// Whether a SYN on a finished connection begins a new one: it was closed by FIN, or the sender of
/// the SYN had reset it just before.
pub(super) const fn reopens(record: &Record, direction: Direction) -> bool {
    let [original, reply] = &record.peers;
    (original.flags | reply.flags) & Peer::CLOSE_INIT != 0
        || record.last.direction as u8 == direction as u8 && matches!(record.last.kind, Kind::Rst)
}

/// Whether an ACK in LAST_ACK answers a stray SYN rather than the last FIN (RFC 5961, section 4).
pub(super) fn is_challenge(record: &Record, seen: &Seen, kind: Kind) -> bool {
    let last = &record.last;
    seen.state == State::LastAck
        && kind == Kind::Ack
        && last.direction != seen.direction
        && last.kind == Kind::Syn
        && last.flags & Last::CHALLENGE_EXPECTED != 0
}

/// Whether an ACK is the keep-alive of a client whose server has not answered SYNPROXY yet: it belongs
/// to the connection, and has it ask the server again.
#[cold]
pub(super) fn keeps_proxied_alive(seen: &Seen, record: &Record, segment: &Segment<'_>) -> bool {
    let [client, _] = &record.peers;
    seen.is_proxied
        && seen.state == State::SynSent
        && (seen.direction, segment.kind) == (Direction::Original, Kind::Ack)
        && record.last.direction == Direction::Original
        && client.end.wrapping_sub(1) == segment.sequence
}

/// Makes good a remembered SYN that this SYN-ACK acknowledges; else remembers the segment.
pub(super) fn segment(
    sysctls: &Sysctls,
    seen: &Seen,
    record: &mut Record,
    segment: &Segment<'_>,
) -> Outcome {
    let last = &record.last;
    let proves_syn = segment.kind == Kind::SynAck
        && last.kind == Kind::Syn
        && last.direction != seen.direction
        && segment.ack == last.end;
    if proves_syn {
        window::resynchronize(record);
        return in_window(sysctls, seen, record, segment, State::SynSent, State::SynRecv);
    }
    remember(&mut record.last, seen, segment);
    Outcome::Ignored(Ignored::OutOfStep)
}

fn remember(last: &mut Last, seen: &Seen, segment: &Segment<'_>) {
    last.kind = segment.kind;
    last.direction = seen.direction;
    last.sequence = segment.sequence;
    last.end = segment.end;
    last.window = segment.window;
    match (segment.kind, seen.direction, seen.state) {
        (Kind::Syn, Direction::Original, state) => {
            let (scale, flags) = options::negotiated(segment.options);
            last.scale = scale;
            last.flags = flags;
            if state == State::LastAck {
                last.flags |= Last::CHALLENGE_EXPECTED;
            }
        }
        // May be a challenge; the client's reset will carry this number.
        (Kind::Ack, Direction::Reply, State::SynSent) => last.ack = segment.ack,
        _ => {}
    }
}
