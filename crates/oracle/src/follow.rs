//! Packets as their senders would have sent them, had they seen what the router made of the packets
//! that they answer.
//!
//! Captures and generated conversations are of ends that talk to each other untranslated. What the
//! table says of their connections tells what the far end has seen: where to it answers, which sequence
//! numbers it acknowledges, what of announced connections was announced to it.

use crate::observation::Side;
use crate::peers;
use keepstate_conntrack::{ConnId, Direction, Table, Tuple, Zone, nat};
use keepstate_packet::rewrite::{self, End};
use keepstate_packet::{Address, Family, Instant, L4, Parsed};
use std::collections::BTreeMap;

/// The ends of all conversations.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    /// How the first packets of conversations went, by how they were written.
    sent: BTreeMap<Tuple, Tuple>,
}

impl Follower {
    /// Has a packet go where its sender would have it go, from the side where that one is; an answer
    /// acknowledge what it would acknowledge, and an ICMP error quote what it would have quoted. Pieces
    /// of datagrams stay as they are.
    pub(crate) fn follow(
        &mut self,
        table: &Table,
        now: Instant,
        side: &mut Side,
        packet: &mut [u8],
    ) {
        let Ok(mut parsed) = Parsed::new(packet) else { return };
        if parsed.fragment.is_some() {
            return;
        }
        let came_from = parsed.source;
        if let Some(quoted) = table.quoted(&parsed, packet) {
            self.quote(table, now, &quoted, &mut parsed, packet);
        } else if let Some(tuple) = Tuple::of(&parsed, packet) {
            self.address(table, now, &tuple, &mut parsed, packet);
        }
        if parsed.source != came_from {
            *side = side_of(parsed.source);
        }
    }

    /// How the first packet of a conversation went.
    pub(crate) fn original(&self, written: &Tuple) -> Tuple {
        self.sent.get(written).copied().unwrap_or(*written)
    }

    fn address(
        &mut self,
        table: &Table,
        now: Instant,
        tuple: &Tuple,
        parsed: &mut Parsed,
        packet: &mut [u8],
    ) {
        if let Some(original) = self.sent.get(tuple).copied() {
            if original != *tuple {
                nat::readdress(parsed, packet, &original);
            }
            if let Some((conn, Direction::Original)) = table.find(now, &original, Zone::default()) {
                acknowledge(table, conn, Direction::Original, packet);
            }
            return;
        }
        let asked = tuple.invert().and_then(|asked| self.sent.get(&asked)).copied();
        if let Some((conn, reply)) = asked.and_then(|asked| answer(table, now, &asked)) {
            if reply != *tuple {
                nat::readdress(parsed, packet, &reply);
                speak_of(parsed, packet, tuple.source, reply.source);
            }
            return acknowledge(table, conn, Direction::Reply, packet);
        }
        let goes = match table.announced_for(tuple) {
            Some((expected, mask)) => {
                let is_given = mask.source != Address::default();
                let source = if is_given { expected.source } else { tuple.source };
                Tuple { source, source_port: tuple.source_port, ..expected }
            }
            None => *tuple,
        };
        if goes != *tuple {
            nat::readdress(parsed, packet, &goes);
        }
        self.sent.insert(*tuple, goes);
    }

    fn quote(
        &self,
        table: &Table,
        now: Instant,
        quoted: &Tuple,
        parsed: &mut Parsed,
        packet: &mut [u8],
    ) {
        let seen = match (self.sent.get(quoted), quoted.invert().and_then(|q| self.sent.get(&q))) {
            (Some(original), _) => {
                answer(table, now, original).and_then(|(_, reply)| reply.invert())
            }
            (None, Some(original)) => original.invert(),
            (None, None) => None,
        };
        let Some(seen) = seen.filter(|seen| seen != quoted) else { return };
        if parsed.source == quoted.destination {
            rewrite::set_address(parsed, packet, End::Source, seen.destination);
        }
        rewrite::set_address(parsed, packet, End::Destination, seen.source);
        nat::readdress_quoted(parsed, packet, &seen);
    }
}

/// The connection that has this tuple in its original direction, and the reply tuple.
fn answer(table: &Table, now: Instant, original: &Tuple) -> Option<(ConnId, Tuple)> {
    let (conn, direction) = table.find(now, original, Zone::default())?;
    let reply = table.tuple(conn, Direction::Reply)?;
    (direction == Direction::Original).then_some((conn, reply))
}

/// Has a segment that goes in a direction acknowledge what its sender has seen of the other one's numbers.
fn acknowledge(table: &Table, conn: ConnId, direction: Direction, packet: &mut [u8]) {
    let Some(shift) = table.shift(conn, direction.invert()) else { return };
    let Ok(mut parsed) = Parsed::new(packet) else { return };
    if matches!(parsed.l4, L4::Tcp(_)) {
        peers::acknowledge(&mut parsed, packet, |number| number.wrapping_add(shift.of(number)));
    }
}

/// Has somebody speak of his own address who was known by another one: where both are as long as text, or
/// all that follows would have other numbers.
fn speak_of(parsed: &mut Parsed, packet: &mut [u8], known: Address, own: Address) {
    if known == own || parsed.family == Family::V6 {
        return;
    }
    for separator in [",", "."] {
        let [old, new] = [known, own].map(|address| {
            let [a, b, c, d] = address.v4_octets().map(|octet| octet.to_string());
            [a, b, c, d].join(separator)
        });
        if old.len() != new.len() {
            continue;
        }
        let head = parsed.l4_bytes(packet).len() - parsed.payload(packet).len();
        let windows = parsed.payload(packet).windows(old.len()).enumerate();
        let found: Vec<usize> =
            windows.filter(|(_, w)| *w == old.as_bytes()).map(|w| w.0).collect();
        for at in found {
            rewrite::set_l4_bytes(parsed, packet, head + at, new.as_bytes());
        }
    }
}

/// Where an address is at home.
fn side_of(address: Address) -> Side {
    let inside = matches!(address.0, [10, ..] | [0xfd, 0, 0, 0x0a, ..]);
    if inside { Side::A } else { Side::B }
}
