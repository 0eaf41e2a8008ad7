//! Every behaviour asserted here was seen in the kernel.

mod conversations;
mod headers;
mod properties;
mod resets;
mod table;
mod windows;

use super::{Accept, Ignored, Kind, Outcome, Peer, Record, Seen, Segment, State};
use super::{new_connection, packet};
use crate::conn::CtStatus;
use crate::invalid::{Invalid, Reason};
use crate::sysctl::Sysctls;
use crate::timeout::Timeout;
use crate::tuple::Direction::{self, Original, Reply};
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use keepstate_packet::tcp::{ACK, FIN, RST, SYN};

/// A segment with a window of 1000 and no options.
fn segment(flags: u8, sequence: u32, ack: u32, payload: u32) -> Segment<'static> {
    let numbers = payload + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    Segment {
        sequence,
        end: sequence.wrapping_add(numbers),
        ack,
        window: 1000,
        flags,
        kind: Kind::of(flags),
        options: &[],
    }
}

fn with_options<'a>(segment: Segment<'static>, options: &'a [u8]) -> Segment<'a> {
    Segment { options, ..segment }
}

fn seconds(seconds: i64) -> Option<Timeout> {
    Some(Timeout::seconds(seconds))
}

/// One connection as the table would keep it.
#[derive(Clone)]
struct Scene {
    sysctls: Sysctls,
    state: State,
    status: CtStatus,
    record: Record,
    timeout: Option<Timeout>,
}

impl Scene {
    fn begin(sysctls: Sysctls, segment: &Segment<'_>) -> Self {
        let (record, accept) = new_connection(&sysctls, segment).expect("begins a connection");
        assert!(accept.changed && !accept.assured);
        Self {
            sysctls,
            state: accept.state,
            status: CtStatus::CONFIRMED,
            record,
            timeout: accept.timeout,
        }
    }

    /// SYN with 99, SYN-ACK with 499, ACK.
    fn established() -> Self {
        let mut scene = Self::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
        scene.accept(Reply, &segment(SYN | ACK, 499, 100, 0), State::SynRecv);
        let last = scene.accept(Original, &segment(ACK, 100, 500, 0), State::Established);
        assert!(last.assured);
        scene
    }

    fn push(&mut self, direction: Direction, segment: &Segment<'_>) -> Outcome {
        let seen = Seen::new(self.state, direction, self.status);
        let outcome = packet(&self.sysctls, &seen, &mut self.record, segment);
        if let Outcome::Accept(accept) = outcome {
            assert_eq!(accept.changed, accept.state != self.state);
            self.state = accept.state;
            self.timeout = accept.timeout.or(self.timeout);
            if accept.assured {
                self.status = self.status | CtStatus::ASSURED;
            }
        }
        if direction == Reply && matches!(outcome, Outcome::Accept(_) | Outcome::Ignored(_)) {
            self.status = self.status | CtStatus::SEEN_REPLY;
        }
        outcome
    }

    #[track_caller]
    fn accept(&mut self, direction: Direction, segment: &Segment<'_>, state: State) -> Accept {
        match self.push(direction, segment) {
            Outcome::Accept(accept) => {
                assert_eq!(accept.state, state);
                accept
            }
            other => panic!("{segment:?} is not accepted: {other:?}"),
        }
    }

    #[track_caller]
    fn invalid(&mut self, direction: Direction, segment: &Segment<'_>) -> Invalid {
        match self.push(direction, segment) {
            Outcome::Invalid { invalid, .. } => invalid,
            other => panic!("{segment:?} is not INVALID: {other:?}"),
        }
    }

    #[track_caller]
    fn out_of_step(&mut self, direction: Direction, segment: &Segment<'_>) {
        let before = (self.state, self.timeout);
        assert_eq!(self.push(direction, segment), Outcome::Ignored(Ignored::OutOfStep));
        assert_eq!((self.state, self.timeout), before);
    }

    fn peer(&self, direction: Direction) -> &Peer {
        &self.record.peers[direction as usize]
    }
}

fn numbers(reason: Reason, distance: u32, edge: u32) -> Invalid {
    Invalid { reason, distance: Some(distance), edge: Some(edge) }
}
