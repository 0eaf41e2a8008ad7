//! Which resets are believed (RFC 5961, section 3, seen from between the ends).

use super::window::past;
use super::{Kind, Peer, Record, Seen, Segment, State};
use crate::conn::CtStatus;
use crate::invalid::{Invalid, Reason};
use crate::sysctl::Sysctls;

/// What is to be done with a reset.
pub(super) enum Verdict {
    /// The connection is closed, whatever the windows say.
    Obeyed,
    /// The windows decide; then this is the state.
    Window(State),
    /// It is INVALID.
    Invalid(Invalid),
}

/// Judges a reset.
pub(super) fn judge(
    sysctls: &Sysctls,
    seen: &Seen,
    record: &mut Record,
    segment: &Segment<'_>,
) -> Verdict {
    // On a closing connection the numbers may be those of its successor already.
    if seen.state.can_early_drop() {
        return Verdict::Obeyed;
    }
    let (_, receiver, last) = record.split(seen.direction);
    let assured = seen.status.contains(CtStatus::ASSURED);
    let established = assured && seen.state == State::Established;
    let mut next = State::Close;
    // A SYN let through out of step makes the numbers known so far doubtful.
    if receiver.has(Peer::MAX_ACK_SET) && last.kind != Kind::Syn {
        let in_train = last.kind == Kind::Ack
            && last.direction == seen.direction
            && segment.sequence == last.end;
        if segment.sequence == 0 && !established {
            return Verdict::Window(State::Close);
        }
        if let Some(distance) = past(receiver.max_ack, segment.sequence)
            && !sysctls.tcp_ignore_invalid_rst
        {
            return Verdict::Invalid(Invalid {
                reason: Reason::InvalidRst,
                distance: Some(distance),
                edge: Some(receiver.max_ack),
            });
        }
        if !established || segment.sequence == receiver.max_ack || in_train {
            return Verdict::Window(State::Close);
        }
        // Not the exact number: the receiver will challenge it, so nothing is closed yet.
        next = seen.state;
    }
    let answers_ignored = segment.ack == last.end
        && match last.kind {
            Kind::Syn => {
                last.direction != seen.direction && seen.status.contains(CtStatus::SEEN_REPLY)
            }
            Kind::Ack => !assured,
            Kind::SynAck | Kind::Fin | Kind::Rst | Kind::None => false,
        };
    // Only the reply direction can have sent an ACK then.
    let answers_challenge =
        seen.state == State::SynSent && last.kind == Kind::Ack && segment.sequence == last.ack;
    if answers_ignored || answers_challenge {
        return Verdict::Obeyed;
    }
    Verdict::Window(next)
}
