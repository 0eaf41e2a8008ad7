//! The SANE helper: the answer to a network scanner's start request names the port of the data
//! connection (SANE standard, 5.2.4).
//!
//! The request is seen only where it is all that its segment carries. Whatever the server says next
//! is its answer, whether or not it can be one. As observed on Linux 6.18.

use super::{Memory, Policy};
use crate::CtState;
use crate::expect::Request;
use crate::helping::Helping;
use crate::table::Drop;
use crate::tuple::Direction;
use core::time::Duration;
use keepstate_packet::{L4, tcp};

/// One data connection at a time.
pub const POLICY: Policy = Policy { name: "sane", max: 1, timeout: Duration::from_secs(300) };

/// A request: procedure and handle.
const REQUEST_LENGTH: usize = 8;
/// The procedure `SANE_NET_START`.
const START: u32 = 7;

/// Whether the next answer is one to a start request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked(bool);

pub(super) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let (CtState::Established, L4::Tcp(_)) = (helping.state, helping.packet.l4) else {
        return Ok(());
    };
    let (payload, direction) = (helping.payload(), helping.direction);
    let Some(Memory::Sane(Asked(asked))) = helping.memory().filter(|_| !payload.is_empty()) else {
        return Ok(());
    };
    if direction == Direction::Original {
        if payload.len() == REQUEST_LENGTH {
            *asked = payload.starts_with(&START.to_be_bytes());
        }
        return Ok(());
    }
    if !core::mem::take(asked) {
        return Ok(());
    }
    let (Some(port), Some(original)) = (port(payload), helping.tuple_in(Direction::Original))
    else {
        return Ok(());
    };
    let place = (original.destination, port);
    let source = (Some(original.source), None);
    let data = Request::new(tcp::PROTOCOL, source, place, original.family);
    helping.expect_or_drop(data)
}

/// The port in an answer without a fault: status 0, and the upper half of the port's word 0.
const fn port(answer: &[u8]) -> Option<u16> {
    match answer {
        [0, 0, 0, 0, 0, 0, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
