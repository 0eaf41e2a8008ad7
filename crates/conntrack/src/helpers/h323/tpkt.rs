//! Messages in TPKTs (RFC 1006, 6) over TCP.
//!
//! A TPKT is read when it stands whole in one segment, behind others of it. One exception, as on
//! Linux: a segment that is a header and nothing else may be followed by one that begins with the
//! data.
//!
//! Rules can assign the H.245 helper to UDP only. It reads a datagram as the TCP segment that it
//! would be.

use super::{Both, Message, Ports};
use crate::helpers::Memory;
use crate::helping::Helping;
use crate::table::Drop;
use keepstate_packet::L4;

const HEADER: usize = 4;
/// Octets of a TCP header without options (RFC 9293, 3.1); the upper half of the thirteenth counts
/// those of the whole header in fours.
const TCP_HEADER: usize = 20;

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    /// Octets announced by a header that came alone.
    announced: Both,
    pub(super) ports: Ports,
}

/// Hands every message of a segment over, until one says that the rest of the segment is not to be
/// read (`false`) or has the packet dropped.
pub(super) fn each(
    helping: &mut Helping<'_>,
    mut hear: impl FnMut(&mut Helping<'_>, &mut Message) -> Result<bool, Drop>,
) -> Result<(), Drop> {
    let head = head_length(helping);
    let mut last = None;
    while let Some(mut message) = next(helping, head, last.as_ref()) {
        if !hear(helping, &mut message)? {
            break;
        }
        last = Some(message);
    }
    Ok(())
}

/// What is remembered of the connection.
pub(super) fn call_of<'h>(helping: &'h mut Helping<'_>) -> Option<&'h mut Call> {
    match helping.memory() {
        Some(Memory::Tpkt(call)) => Some(call),
        _ => None,
    }
}

/// Octets of the header of the segment.
fn head_length(helping: &Helping<'_>) -> usize {
    let segment = helping.upper_layer();
    if matches!(helping.packet.l4, L4::Tcp(_)) {
        return segment.len() - helping.payload().len();
    }
    let header: Option<&[u8; TCP_HEADER]> = segment.first_chunk();
    header.map_or(segment.len(), |header| 4 * usize::from(header[12] >> 4))
}

/// The message behind the last one of a segment, or its first.
fn next(helping: &mut Helping<'_>, head: usize, last: Option<&Message>) -> Option<Message> {
    let (begin, place) =
        last.map_or((head, 0), |last| (last.begin + last.length, last.place + last.length));
    let whole = helping.said_whole();
    let left = whole.len().saturating_sub(head + place);
    let opening = whole.get(begin..).and_then(<[u8]>::first_chunk::<HEADER>).copied();
    let opening = opening.filter(|_| left >= HEADER);
    let direction = helping.direction;
    let announced = call_of(helping)?.announced.of_mut(direction);
    let before = usize::from(core::mem::take(announced));
    let Some([3, 0, high, low]) = opening else {
        let continues = last.is_none() && (1..=left).contains(&before);
        return continues.then_some(Message { begin, length: before, place });
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if left == HEADER && last.is_none() && length > HEADER {
        *announced = (length - HEADER) as u16;
        return None;
    }
    let alone = left == HEADER && last.is_some();
    let is_there = !alone && (HEADER..=left).contains(&length);
    is_there.then_some(Message {
        begin: begin + HEADER,
        length: length.saturating_sub(HEADER),
        place: place + HEADER,
    })
}
