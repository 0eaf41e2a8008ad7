//! Packets as their senders would have sent them, had they seen what the router made of the packets
//! that they answer.
//!
//! Captures and generated conversations are of ends that talk to each other untranslated. What the
//! table says of their connections tells what the far end has seen.

use crate::kernel::is_router;
use keepstate_conntrack::{Direction, Table, Tuple, Zone, nat};
use keepstate_packet::rewrite::{self, End};
use keepstate_packet::{Instant, Parsed};

/// Has an answer to a packet of a translated connection go where it would have gone, and an ICMP error
/// quote what it would have quoted. Pieces of datagrams stay as they are.
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
    } else if let Some(answered) = Tuple::of(&parsed, packet).and_then(|tuple| tuple.invert())
        && let Some(reply) = reply(table, now, &answered)
    {
        nat::readdress(&mut parsed, packet, &reply);
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
