//! TCP segments on their way to [`super::tcp`].

use super::tcp::{self, Segment, State};
use super::{Outcome, Record, Seen};
use crate::conn::{CtStatus, Entry, ProtocolRecord};
use crate::event::Changes;
use crate::seqadj::Shifts;
use crate::tuple::Direction;

pub(super) fn packet(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    let segment = match Segment::new(seen.packet, seen.bytes, seen.checksum_ok()) {
        Ok(segment) => segment,
        Err(invalid) => return Outcome::because(invalid),
    };
    let ProtocolRecord::Tcp(windows) = record.protocol else {
        return first(seen, record, &segment);
    };
    let state = State::of(record.entry.state);
    let known = tcp::Seen {
        state,
        direction: seen.direction,
        status: record.entry.status(),
        shifted: seen.shifts.map_or(0, |shifts| shifted(shifts, seen.direction, &segment)),
        is_proxied: record.entry.has(Entry::PROXIED),
    };
    match tcp::packet(seen.sysctls, &known, windows, &segment) {
        tcp::Outcome::Accept(accept) => accepted(record, &accept),
        tcp::Outcome::Ignored(ignored) => Outcome::Ignored(ignored),
        tcp::Outcome::Invalid { invalid, shorten } => {
            Outcome::Invalid { invalid, shorten, fault: None }
        }
        tcp::Outcome::Kill => {
            record.entry.state = State::Close as u8;
            Outcome::Kill
        }
        tcp::Outcome::Restart => Outcome::Restart,
    }
}

/// By how much the numbers were shifted that a segment acknowledges.
#[cold]
fn shifted(shifts: &Shifts, direction: Direction, segment: &Segment<'_>) -> u32 {
    shifts.of(direction.invert()).of(segment.ack.wrapping_sub(1))
}

fn first(seen: &Seen<'_>, record: &mut Record<'_>, segment: &Segment<'_>) -> Outcome {
    match tcp::new_connection(seen.sysctls, segment) {
        Ok((windows, accept)) => {
            *record.protocol = ProtocolRecord::Tcp(windows);
            accepted(record, &accept)
        }
        Err(invalid) => Outcome::because(invalid),
    }
}

fn accepted(record: &mut Record<'_>, accept: &tcp::Accept) -> Outcome {
    record.entry.state = accept.state as u8;
    let mut changes = Changes(0);
    if accept.assured {
        record.entry.set(CtStatus::ASSURED);
        changes = changes | Changes::ASSURED;
    }
    if accept.changed {
        changes = changes | Changes::PROTOINFO;
    }
    Outcome::Accept { timeout: accept.timeout, changes }
}

pub(super) fn state_name(state: u8) -> Option<&'static str> {
    Some(State::of(state).name())
}

#[cfg(test)]
mod tests;
