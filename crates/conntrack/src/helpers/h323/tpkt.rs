//! Messages in TPKTs (RFC 1006, 6) over TCP.
//!
//! A TPKT is read when it stands whole in one segment, behind others of it. One exception, as on
//! Linux: a segment that is a header and nothing else may be followed by one that begins with the
//! data.
//!
//! Rules can assign the H.245 helper to UDP only. It reads a datagram as the TCP segment that it
//! would be.

use crate::helpers::Memory;
use crate::helping::Helping;
use crate::table::Drop;
use crate::tuple::Direction;
use keepstate_packet::L4;

const HEADER: usize = 4;
/// Octets of a TCP header without options (RFC 9293, 3.1); the upper half of the thirteenth counts
/// those of the whole header in fours.
const TCP_HEADER: usize = 20;

/// Octets announced by a header that came alone, original direction first; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Announced([u16; 2]);

impl Announced {
    fn of(&mut self, direction: Direction) -> &mut u16 {
        let [original, reply] = &mut self.0;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }
}

/// Hands every message of a segment over, until one says that the rest of the segment is not to be
/// read (`false`) or has the packet dropped.
pub(super) fn each(
    helping: &mut Helping<'_>,
    mut hear: impl FnMut(&mut Helping<'_>, &[u8]) -> Result<bool, Drop>,
) -> Result<(), Drop> {
    let mut segment = Segment { rest: data(helping), first: true };
    loop {
        let direction = helping.direction;
        let Some(Memory::Tpkt(announced)) = helping.memory() else { return Ok(()) };
        let Some(message) = segment.next(announced.of(direction)) else { return Ok(()) };
        if !hear(helping, message)? {
            return Ok(());
        }
    }
}

/// The data of the segment.
fn data<'a>(helping: &Helping<'a>) -> &'a [u8] {
    if matches!(helping.packet.l4, L4::Tcp(_)) {
        return helping.payload();
    }
    let segment = helping.upper_layer();
    let Some(header) = segment.first_chunk::<TCP_HEADER>() else { return &[] };
    segment.get(4 * usize::from(header[12] >> 4)..).unwrap_or(&[])
}

/// A segment.
struct Segment<'a> {
    /// What has not been looked at.
    rest: &'a [u8],
    first: bool,
}

impl<'a> Segment<'a> {
    /// The next message; `announced` is that of the packet's direction.
    fn next(&mut self, announced: &mut u16) -> Option<&'a [u8]> {
        let first = core::mem::replace(&mut self.first, false);
        let [3, 0, high, low, ..] = *self.rest else {
            let before = core::mem::take(announced);
            return if first && before > 0 { self.take(0, usize::from(before)) } else { None };
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let alone = self.rest.len() == HEADER;
        if first && alone && length > HEADER {
            *announced = (length - HEADER) as u16;
            return None;
        }
        *announced = 0;
        if !first && alone { None } else { self.take(HEADER, length) }
    }

    /// From `from` to `to`, if that is there.
    fn take(&mut self, from: usize, to: usize) -> Option<&'a [u8]> {
        let message = self.rest.get(from..to)?;
        self.rest = self.rest.get(to..)?;
        Some(message)
    }
}
