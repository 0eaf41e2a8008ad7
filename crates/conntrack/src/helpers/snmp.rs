//! Addresses in SNMP (RFC 3416) behind address translation: what agents answer, and the notifications that
//! go to a manager.
//!
//! A message that has become one end's own by translation has the address of that end in it where the other
//! one knows it by another: every `IpAddress` (RFC 2578, 7.1.5) that is the one becomes the other. A message
//! that cannot be read to its end is dropped: of version 3 (RFC 3412), or with the trap of version 1
//! (RFC 1157). As observed on Linux 6.18, with its reader's
//! tolerance: lengths of up to two further octets and indefinite ones (X.690, 8.1.3), bindings of no value
//! or of several, whatever follows the message. The checksum follows what has changed: a wrong one stays wrong.

use super::{Policy, broadcast};
use crate::Tracked;
use crate::helping::Helping;
use crate::table::{Drop, Table};
use crate::tuple::Direction;
use alloc::vec::Vec;
use core::time::Duration;
use keepstate_packet::checksum::Change;

/// Port of the receivers of notifications.
pub(super) const TRAP_PORT: u16 = 162;
/// Notifications announce nothing.
pub const TRAP: Policy = Policy { name: "", max: 0, timeout: Duration::from_secs(180) };

/// The octets of an address.
const ADDRESS: usize = 4;
/// The last version that is read: 0 is version 1, 1 is version 2c.
const VERSION_MAX: u8 = 1;

/// Whether a datagram between these ports that goes in a direction is read.
fn is_read((source, destination): (u16, u16), direction: Direction) -> bool {
    let is_reply = direction == Direction::Reply;
    let (from_agent, to_manager) = (source == broadcast::SNMP_PORT, destination == TRAP_PORT);
    !(from_agent && !is_reply || to_manager && is_reply)
}

/// The same of a datagram as it leaves.
pub(crate) fn reads(table: &Table, tracked: &Tracked) -> bool {
    let (Some(conn), Some(direction)) = (tracked.conn, tracked.direction) else { return false };
    let leaves = table.tuple(conn, direction.invert()).and_then(|other| other.invert());
    leaves.is_some_and(|seen| is_read((seen.source_port, seen.destination_port), direction))
}

/// Has the addresses of a message follow the translation of its connection.
pub(super) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    // Linux takes an ICMP error that goes the original way for a datagram.
    let (Some(header), true) = (Header::of(helping.upper_layer()), helping.is_translated()) else {
        return Ok(());
    };
    if !is_read((header.source_port, header.destination_port), helping.direction) {
        return Ok(());
    }
    if usize::from(header.length) != helping.upper_layer().len() {
        return Err(helping.refuse("dropping malformed packet"));
    }
    let (Some(own), Some(other)) = (helping.tuple(), helping.inverse()) else { return Ok(()) };
    let (from, to) = match helping.direction {
        Direction::Original => (own.source, other.destination),
        Direction::Reply => (other.source, own.destination),
    };
    if from == to {
        return Ok(());
    }
    let payload = helping.payload();
    let Some(addresses) = addresses(payload) else {
        return Err(helping.refuse("parser failed"));
    };
    let (from, to) = (from.v4_octets(), to.v4_octets());
    let is_one = |at: &usize| payload.get(*at..*at + ADDRESS) == Some(&from);
    let mut change = Change::NONE;
    for at in addresses.into_iter().filter(is_one) {
        helping.say(at..at + ADDRESS, &to)?;
        change = match at % 2 {
            0 => change.bytes(&from, &to),
            _ => change.bytes(&shifted(from), &shifted(to)),
        };
    }
    helping.follow_checksum(change);
    Ok(())
}

/// An address that begins within a word of 16 bits.
const fn shifted([a, b, c, d]: [u8; ADDRESS]) -> [u8; ADDRESS + 2] {
    [0, a, b, c, d, 0]
}

/// The header of UDP, or what stands in its place.
struct Header {
    source_port: u16,
    destination_port: u16,
    length: u16,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, d, e, f, _, _] = *bytes.first_chunk()?;
        let [source_port, destination_port, length] =
            [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
        Some(Self { source_port, destination_port, length })
    }
}

/// Where the addresses of a message are; `None` when it cannot be read.
fn addresses(message: &[u8]) -> Option<Vec<usize>> {
    let (end, addresses) = (message.len(), Vec::new());
    let mut reader = Reader { bytes: message, at: 0, end, took: false, addresses };
    reader.constructed(tag::SEQUENCE, |message| {
        let version = message.primitive(tag::INTEGER)?;
        // One without octets has that of the next element.
        if *message.bytes.get(version)? > VERSION_MAX {
            return None;
        }
        message.primitive(tag::OCTET_STRING)?;
        for kind in tag::PDUS {
            if message.has(kind)? {
                message.constructed(kind, Reader::pdu)?;
            }
        }
        message.took.then_some(())
    })?;
    Some(reader.addresses)
}

/// Identifier octets (X.690, 8.1.2).
mod tag {
    pub(super) const CONSTRUCTED: u8 = 0x20;
    pub(super) const NUMBER: u8 = 0x1f;
    pub(super) const INTEGER: u8 = 2;
    pub(super) const OCTET_STRING: u8 = 4;
    pub(super) const OBJECT_IDENTIFIER: u8 = 6;
    pub(super) const SEQUENCE: u8 = 0x10 | CONSTRUCTED;
    pub(super) const IP_ADDRESS: u8 = 0x40;
    /// GetRequest, GetNextRequest, GetBulkRequest, Response, SetRequest, InformRequest, SNMPv2-Trap and
    /// Report (RFC 3416, 3). Linux takes one of each, in this order, for a message.
    pub(super) const PDUS: [u8; 8] = [0xa0, 0xa1, 0xa5, 0xa2, 0xa3, 0xa6, 0xa7, 0xa8];
    /// The values of a binding, in the order in which Linux takes them one after the other; whether
    /// one is not taken directly behind the one before.
    pub(super) const VALUES: [(u8, bool); 13] = [
        (INTEGER, false),
        (OCTET_STRING, true),
        (OBJECT_IDENTIFIER, true),
        (IP_ADDRESS, false),
        // Counter32, TimeTicks, Opaque, Counter64, Unsigned32.
        (0x41, false),
        (0x43, false),
        (0x44, false),
        (0x46, false),
        (0x42, false),
        // NULL, noSuchObject, noSuchInstance, endOfMibView.
        (5, true),
        (0x80, true),
        (0x81, true),
        (0x82, true),
    ];
}

/// How long an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Octets(usize),
    /// Up to two octets of zero.
    Indefinite,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where what is being read ends.
    end: usize,
    /// What was looked for last was there.
    took: bool,
    addresses: Vec<usize>,
}

impl Reader<'_> {
    fn next(&self) -> Option<u8> {
        self.bytes.get(..self.end)?.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let octet = self.next()?;
        self.at += 1;
        Some(octet)
    }

    /// Identifier and length. Numbers of tags that need more than one octet are not known.
    fn header(&mut self) -> Option<(u8, Length)> {
        const LONG: u8 = 0x80;
        const OCTETS_MAX: u8 = 2;
        let kind = self.take().filter(|kind| kind & tag::NUMBER != tag::NUMBER)?;
        let first = self.take()?;
        let length = match first {
            0..LONG => usize::from(first),
            LONG => {
                let room = self.end - self.at >= 2 && kind & tag::CONSTRUCTED != 0;
                return room.then_some((kind, Length::Indefinite));
            }
            _ => {
                let count = first - LONG;
                (count <= OCTETS_MAX).then_some(())?;
                let mut length = 0;
                for _ in 0..count {
                    length = length << 8 | usize::from(self.take()?);
                }
                length
            }
        };
        (length <= self.end - self.at).then_some((kind, Length::Octets(length)))
    }

    /// Whether an element comes next, of those that need not be there; `None` when there is not enough of
    /// it. At the end of what is being read none is looked for.
    fn has(&mut self, expected: u8) -> Option<bool> {
        let rest = self.bytes.get(self.at..self.end)?;
        let [kind, _, ..] = rest else { return rest.is_empty().then_some(false) };
        self.took = match expected & tag::CONSTRUCTED {
            0 => *kind == expected,
            _ => kind | tag::CONSTRUCTED == expected,
        };
        Some(self.took)
    }

    /// Passes over an element that has no others in it, and tells where its octets begin.
    fn primitive(&mut self, expected: u8) -> Option<usize> {
        let (kind, Length::Octets(length)) = self.header()? else { return None };
        let start = self.at;
        self.at += length;
        self.took = true;
        (kind == expected).then_some(start)
    }

    /// An element of others, all of which `read` takes. Whether it says itself that it is one does not
    /// matter.
    fn constructed(
        &mut self,
        expected: u8,
        mut read: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let (kind, length) = self.header()?;
        (kind | tag::CONSTRUCTED == expected).then_some(())?;
        match length {
            Length::Octets(length) => {
                let end = core::mem::replace(&mut self.end, self.at + length);
                read(self)?;
                let whole = self.at == self.end;
                self.end = end;
                whole.then_some(())
            }
            Length::Indefinite => {
                read(self)?;
                (self.take()? == 0 && self.take()? == 0).then_some(())
            }
        }
    }

    fn pdu(&mut self) -> Option<()> {
        for _ in 0..3 {
            self.primitive(tag::INTEGER)?;
        }
        self.constructed(tag::SEQUENCE, |bindings| {
            loop {
                bindings.constructed(tag::SEQUENCE, Self::binding)?;
                if bindings.at == bindings.end || bindings.next() == Some(0) {
                    return Some(());
                }
            }
        })
    }

    fn binding(&mut self) -> Option<()> {
        self.primitive(tag::OBJECT_IDENTIFIER)?;
        for (kind, is_alternative) in tag::VALUES {
            if is_alternative && self.took || !self.has(kind)? {
                continue;
            }
            let start = self.primitive(kind)?;
            if kind == tag::IP_ADDRESS {
                (self.at - start == ADDRESS).then_some(())?;
                self.addresses.push(start);
            }
        }
        self.took.then_some(())
    }
}

#[cfg(test)]
mod tests;
