//! A client and a server, and the table that their packets pass.

use crate::{ACK, GRE, Limits, SYN, TCP};
use keepstate_conntrack::helpers::{Helper, Instance};
use keepstate_conntrack::table::Template;
use keepstate_conntrack::nat::{self, Manip, Range};
use keepstate_conntrack::{Direction, Hook, Sysctls, Table, Tuple, Ways, Zone};
use keepstate_packet::{Address, Family, Instant, Parsed};

/// Most connections of a table.
const CONNECTIONS_MAX: u32 = 8;

/// Most bytes of a packet.
const LENGTH_MAX: usize = 65_535;

const CLIENT_PORT: u16 = 20_001;

/// The port of a helper, or 1 when it has none.
fn port_of(helper: &Helper) -> u16 {
    helper.port.max(1)
}

/// Sixteen octets of address, of which IPv4 uses four, and a port.
pub type End = ([u8; 16], u16);

/// A connection that two ends keep up.
#[derive(Clone, Copy)]
pub struct Connection {
    ends: [End; 2],
    protocol: u8,
    /// Next sequence number of each end.
    next: [u32; 2],
}

impl Connection {
    /// One to the port of a helper, as [`Between::new`] assigns it: from 10.1.0.2 to 198.51.100.2, or
    /// from fd00:a::2 to 2001:b::2.
    pub fn with(helper: &Helper, protocol: u8, family: Family) -> Self {
        let mut ends = [([0; 16], CLIENT_PORT), ([0; 16], port_of(helper))];
        match family {
            Family::V4 => {
                ends[0].0[..4].copy_from_slice(&[10, 1, 0, 2]);
                ends[1].0[..4].copy_from_slice(&[198, 51, 100, 2]);
            }
            Family::V6 => {
                ends[0].0 = *b"\xfd\0\0\x0a\0\0\0\0\0\0\0\0\0\0\0\x02";
                ends[1].0 = *b"\x20\x01\0\x0b\0\0\0\0\0\0\0\0\0\0\0\x02";
            }
        }
        Self::new(protocol, ends)
    }

    /// One from the first end to the second one, before its first packet.
    pub fn new(protocol: u8, ends: [End; 2]) -> Self {
        Self { ends, protocol, next: [1000, 9000] }
    }
}

/// Half of all addresses are reached where packets leave; every network is a broadcast's.
#[derive(Debug)]
struct Network;

impl Ways for Network {
    fn leaves_alike(&self, address: Address) -> bool {
        address.0[2] & 1 == 0
    }

    fn share_next_hop(&self, one: Address, other: Address) -> bool {
        self.leaves_alike(one) == self.leaves_alike(other)
    }

    fn broadcast_prefix(&self, _: Address) -> Option<u8> {
        Some(24)
    }
}

/// A table with a helper for the connections to its port.
pub struct Between {
    /// The time; it passes when the target says so.
    pub now: Instant,
    table: Table,
    limits: Limits,
    family: Family,
    assigned: Template,
    /// Protocol and port of the connections that get it.
    of: (u8, u16),
    bytes: Vec<u8>,
    /// What connections are given as their source, when they are translated.
    outside: Option<Address>,
}

impl Between {
    /// A table without connections. Those of the protocol to the port of the helper get it; to port 1
    /// when it has none of its own.
    pub fn new(helper: &'static Helper, protocol: u8, family: Family, sysctls: Sysctls) -> Self {
        let (max, checksum, log_invalid) = (CONNECTIONS_MAX, false, u8::MAX);
        let sysctls = Sysctls { max, checksum, log_invalid, ..sysctls };
        let table = Table::new([1, 2], sysctls);
        let is_it = |one: &Instance| one.helper().is_some_and(|one| std::ptr::eq(one, helper));
        let assigned = Template {
            helper: Instance::called(helper.name).find(is_it),
            attached: true,
            ..Template::default()
        };
        let (limits, of) = (Limits::of(&table), (protocol, port_of(helper)));
        let (bytes, outside) = (Vec::new(), None);
        Self { now: Instant(1), table, limits, family, assigned, of, bytes, outside }
    }

    /// Has the connections translated from now on: they come from another address, to which they are
    /// answered.
    pub fn translate(&mut self) {
        self.outside = Some(match self.family {
            Family::V4 => Address::v4([203, 0, 113, 1]),
            Family::V6 => Address::v6(*b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
        });
    }

    /// A TCP handshake; nothing for other protocols.
    pub fn open(&mut self, connection: &mut Connection) {
        if connection.protocol == TCP {
            for (end, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
                self.send(connection, end, flags, b"");
                connection.next[end] += u32::from(flags & SYN != 0);
            }
        }
    }

    /// What one end says. Said again, it comes from the place in the stream of what is said next.
    pub fn say(&mut self, connection: &mut Connection, end: usize, again: bool, text: &[u8]) {
        self.send(connection, end, ACK, text);
        if !again {
            connection.next[end] = connection.next[end].wrapping_add(text.len() as u32);
        }
    }

    /// What waits, by number; the first packet of it is still to be sent. `None` when nothing waits.
    pub fn expected(&self, number: usize) -> Option<Connection> {
        let expected = self.table.expectations(self.now);
        let one = expected.get(number % expected.len().max(1))?.original;
        let port = if one.source_port == 0 { 9 } else { one.source_port };
        let ends = [(one.source.0, port), (one.destination.0, one.destination_port)];
        Some(Connection::new(one.protocol, ends))
    }

    /// The first packet of a connection.
    pub fn begin(&mut self, connection: &Connection) {
        self.send(connection, 0, SYN, b"12345678");
    }

    /// Everything goes.
    pub fn end(mut self) {
        self.limits.hold_empty(&mut self.table, self.now);
    }

    fn send(&mut self, connection: &Connection, end: usize, flags: u8, text: &[u8]) {
        self.write(connection, end, flags, text);
        let mut parsed = Parsed::new(&self.bytes).expect("it is well made");
        self.answer_outside(&mut parsed);
        let to = (connection.protocol, connection.ends[1 - end].1);
        let template = if to == self.of { self.assigned } else { Template::default() };
        let (table, now, bytes) = (&mut self.table, self.now, &self.bytes);
        table.expire(now, 1);
        if let Ok(mut tracked) = table.track_in(now, Hook::Prerouting, &parsed, bytes, &template) {
            if let (Some(outside), Some(conn)) = (self.outside, tracked.conn) {
                table.set_up(now, conn, &Range::of_address(outside), Manip::Source);
            }
            let helped = table.help(now, &tracked, &parsed, bytes, &Network);
            if let Ok(Some(said)) = &helped {
                assert!(parsed.l4_offset as usize + said.len() <= LENGTH_MAX, "a packet stays one");
            }
            if helped.and_then(|_| table.confirm(now, &mut tracked)).is_err() {
                table.discard(now, &tracked);
            }
        }
        while table.poll_event().is_some() {}
        Limits::hold_complaints(table);
        self.limits.hold(table, now);
    }

    /// Has an answer to a translated connection go where that seems to come from.
    fn answer_outside(&mut self, parsed: &mut Parsed) {
        if self.outside.is_none() {
            return;
        }
        let answered = Tuple::of(parsed, &self.bytes).and_then(|tuple| tuple.invert());
        let found = answered.and_then(|of| self.table.find(self.now, &of, Zone::default()));
        if let Some((conn, Direction::Original)) = found
            && let Some(reply) = self.table.tuple(conn, Direction::Reply)
        {
            nat::readdress(parsed, &mut self.bytes, &reply);
        }
    }

    fn write(&mut self, connection: &Connection, end: usize, flags: u8, text: &[u8]) {
        let bytes = &mut self.bytes;
        let ([from, to], protocol) =
            ([connection.ends[end], connection.ends[1 - end]], connection.protocol);
        let header = match protocol {
            TCP => 20,
            GRE => 12,
            _ => 8,
        };
        let length = header + text.len() as u16;
        bytes.clear();
        match self.family {
            Family::V4 => {
                bytes.extend([0x45, 0]);
                bytes.extend((20 + length).to_be_bytes());
                bytes.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
                bytes.extend(&from.0[..4]);
                bytes.extend(&to.0[..4]);
            }
            Family::V6 => {
                bytes.extend([0x60, 0, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend([protocol, 64]);
                bytes.extend(from.0);
                bytes.extend(to.0);
            }
        }
        if protocol == GRE {
            bytes.extend([0x30, 1, 0x88, 0x0b]);
            bytes.extend((text.len() as u16).to_be_bytes());
            bytes.extend(to.1.to_be_bytes());
            bytes.extend([0; 4]);
        } else {
            bytes.extend(from.1.to_be_bytes());
            bytes.extend(to.1.to_be_bytes());
        }
        match protocol {
            TCP => {
                let acknowledged = if flags & ACK == 0 { 0 } else { connection.next[1 - end] };
                bytes.extend(connection.next[end].to_be_bytes());
                bytes.extend(acknowledged.to_be_bytes());
                bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            }
            GRE => {}
            _ => {
                bytes.extend(length.to_be_bytes());
                bytes.extend([0, 0]);
            }
        }
        bytes.extend(text);
    }
}
