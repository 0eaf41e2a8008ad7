//! Packets as their senders would have sent them, had they seen what the router made of the packets
//! that they answer.
//!
//! Captures and generated conversations are of ends that talk to each other untranslated. What the
//! table says of their connections tells what the far end has seen.

use crate::kernel::is_router;
use keepstate_conntrack::{Direction, Table, Tuple, Zone, nat};
use keepstate_packet::rewrite::{self, End};
use keepstate_packet::{Instant, L4, Parsed, tcp};

/// Has an answer to a packet of a translated connection go where it would have gone, and acknowledge what it
/// would have acknowledged; an ICMP error quote what it would have quoted; a connection that was announced
/// begin where it was announced. Pieces of datagrams stay as they are.
pub(crate) fn follow(table: &Table, now: Instant, packet: &mut [u8]) {
    let Ok(mut parsed) = Parsed::new(packet) else { return };
    if parsed.fragment.is_some() {
        return;
    }
    if let Some(quoted) = table.quoted(&parsed, packet) {
        if let Some(seen) = reply(table, now, &quoted).and_then(|reply| reply.invert()) {
            nat::readdress_quoted(&mut parsed, packet, &seen);
            rewrite::set_address(&mut parsed, packet, End::Destination, seen.source);
        }
        return;
    }
    let Some(tuple) = Tuple::of(&parsed, packet) else { return };
    if let Some(seen) = tuple.invert().and_then(|answered| seen(table, now, &answered)) {
        nat::readdress(&mut parsed, packet, &seen);
    } else if let Some(announced) = table.announced_as(&tuple) {
        nat::readdress(&mut parsed, packet, &announced);
    }
    acknowledge(table, now, &mut parsed, packet);
}

/// What somebody sees of a translated connection, who answers the tuple: of one that he does not belong to
/// the inside of.
fn seen(table: &Table, now: Instant, answered: &Tuple) -> Option<Tuple> {
    reply(table, now, answered).or_else(|| {
        // A connection that was announced comes from outside: it begins with what was seen there.
        let (conn, direction) = table.find(now, answered, Zone::default())?;
        let original = table.tuple(conn, Direction::Original)?;
        let is_begun = direction == Direction::Reply && !is_router(answered.source);
        (is_begun && Some(original) != answered.invert()).then_some(original)
    })
}

/// Has a TCP segment acknowledge what has come to its sender: where what the other side said was made
/// longer or shorter, that has other numbers.
fn acknowledge(table: &Table, now: Instant, parsed: &mut Parsed, packet: &mut [u8]) {
    const SACK: u8 = 5;
    let L4::Tcp(header) = parsed.l4 else { return };
    let shift = Tuple::of(parsed, packet).and_then(|tuple| {
        let (conn, direction) = table.find(now, &tuple, Zone::default())?;
        table.shift(conn, direction.invert())
    });
    let Some(shift) = shift.filter(|_| header.flags & tcp::ACK != 0) else { return };
    let seen = |number: u32| number.wrapping_add(shift.of(number));
    rewrite::put_tcp_word(parsed, packet, 8, seen(header.acknowledgment));
    let end = usize::from(header.header_length);
    let mut at = tcp::HEADER_LENGTH_MIN;
    while let Some([kind, rest @ ..]) = parsed.l4_bytes(packet).get(at..end) {
        let length = match (kind, rest.first()) {
            (1, _) => 1,
            (0, _) | (_, None | Some(0 | 1)) => return,
            (_, Some(length)) => usize::from(*length),
        };
        if *kind == SACK && at + length <= end {
            for edge in (at + 2..at + length).step_by(4) {
                let number = parsed.l4_bytes(packet).get(edge..).and_then(<[u8]>::first_chunk);
                let Some(number) = number.copied().map(u32::from_be_bytes) else { break };
                rewrite::put_tcp_word(parsed, packet, edge, seen(number));
            }
        }
        at += length;
    }
}

/// The reply tuple of the connection that has this one in its original direction, where it is translated.
fn reply(table: &Table, now: Instant, original: &Tuple) -> Option<Tuple> {
    let (conn, direction) = table.find(now, original, Zone::default())?;
    let reply = table.tuple(conn, Direction::Reply)?;
    // The router itself answers nobody here.
    let is_followed = direction == Direction::Original && !is_router(reply.source);
    (is_followed && Some(reply) != original.invert()).then_some(reply)
}
