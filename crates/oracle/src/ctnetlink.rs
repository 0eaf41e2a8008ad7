//! ctnetlink: the kernel's connection table and its events.

use crate::attribute::{Attributes, Message, Messages, Writer, be16, be32, be64, text};
use crate::observation::EventView;
use keepstate_conntrack::expect::NewExpectation;
use keepstate_conntrack::helpers::Name;
use keepstate_conntrack::policy::Declaration;
use keepstate_conntrack::table::Statistics;
use keepstate_conntrack::{
    CtStatus, Direction, Tuple, Zone,
    event::{Announcement, EventKind, Snapshot},
};
use keepstate_datapath::sys::netlink::{self, RECEIVE_MAX, Socket};
use keepstate_packet::{Address, Family};
use std::{io, sync::Arc, time::Duration};

/// Room for one event.
const SLOT: usize = 2048;
/// Room for one datagram of a table dump.
const DUMP: usize = 1 << 16;
/// Receive queue of the events, bytes.
const QUEUE: u32 = 32 << 20;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_*`.
const CT_NEW: u16 = 0x100;
const CT_GET: u16 = 0x101;
const CT_DELETE: u16 = 0x102;
const CT_STATISTICS: u16 = 0x104;
/// `NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_*`.
const EXP_NEW: u16 = 0x200;
const EXP_GET: u16 = 0x201;
const EXP_DELETE: u16 = 0x202;
const EXP_STATISTICS: u16 = 0x203;
/// `NFNL_SUBSYS_CTNETLINK_TIMEOUT << 8 | IPCTNL_MSG_TIMEOUT_NEW`.
const TIMEOUT_NEW: u16 = 0x800;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `NLM_F_REQUEST`, with `NLM_F_ACK`, with `NLM_F_DUMP`.
const REQUEST_ACK: u16 = 0x005;
const REQUEST_DUMP: u16 = 0x301;
/// `NLM_F_ACK`.
const ACKNOWLEDGE: u16 = 0x004;
/// Most bytes of requests that are sent at once, and more than one request has.
const BATCH: usize = 1 << 16;
const MESSAGE_MAX: usize = 256;
/// `REQUEST_ACK | NLM_F_CREATE | NLM_F_EXCL`.
const REQUEST_CREATE: u16 = 0x605;
/// `NLM_F_CREATE | NLM_F_EXCL`: tells NEW from UPDATE.
const CREATED: u16 = 0x600;
/// `NFNLGRP_CONNTRACK_NEW` to `NFNLGRP_CONNTRACK_EXP_DESTROY`.
const GROUPS: std::ops::RangeInclusive<u32> = 1..=6;

/// `CTA_*`.
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOINFO: u16 = 4;
const HELP: u16 = 5;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const ZONE: u16 = 18;
const COUNTERS_ORIG: u16 = 9;
const COUNTERS_REPLY: u16 = 10;
const TUPLE_MASTER: u16 = 14;
const SECCTX: u16 = 19;
const TIMESTAMP: u16 = 20;
const LABELS: u16 = 22;
/// `CTA_TUPLE_ZONE`, within a tuple.
const TUPLE_ZONE: u16 = 3;

/// `CTA_EXPECT_*`.
const EXPECT_MASTER: u16 = 1;
const EXPECT_TUPLE: u16 = 2;
const EXPECT_MASK: u16 = 3;
const EXPECT_TIMEOUT: u16 = 4;
const EXPECT_HELP_NAME: u16 = 6;
const EXPECT_FLAGS: u16 = 8;
const EXPECT_CLASS: u16 = 9;
const EXPECT_NAT: u16 = 10;
/// Within it.
const EXPECT_NAT_TUPLE: u16 = 2;
/// `CTA_STATS_*` and `CTA_STATS_EXP_*`: how many kinds of counters there are.
const STATISTICS: usize = 15;

/// TCP states by their number in `CTA_PROTOINFO_TCP_STATE`.
const TCP_STATES: [&str; 10] = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
];

/// SCTP states by their number in `CTA_PROTOINFO_SCTP_STATE`.
const SCTP_STATES: [&str; 9] = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
];

/// Sends a request and waits for its acknowledgment.
pub(crate) fn request(socket: &Socket, message: &[u8]) -> io::Result<()> {
    socket.send(message)?;
    let mut buffer = [0; 4096];
    let length = socket.receive(&mut buffer)?;
    match Messages(&buffer[..length]).find_map(|message| message.error()) {
        None | Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number)),
    }
}

/// Listens to events and works on the table.
#[derive(Debug)]
pub(crate) struct Ctnetlink {
    events: Socket,
    commands: Socket,
    buffer: Vec<u8>,
}

impl Ctnetlink {
    /// Listens from here on to the events of the calling thread's namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let events = Socket::open(netlink::NETFILTER, QUEUE)?;
        for group in GROUPS {
            events.join(group)?;
        }
        let commands = Socket::open(netlink::NETFILTER, 1 << 20)?;
        Ok(Self { events, commands, buffer: vec![0; SLOT * RECEIVE_MAX] })
    }

    /// Appends all events that wait.
    pub(crate) fn drain(&mut self, events: &mut Vec<EventView>) -> io::Result<()> {
        let mut lengths = [0; RECEIVE_MAX];
        loop {
            let count = self.events.receive_many(&mut self.buffer, SLOT, &mut lengths)?;
            for (datagram, length) in self.buffer.chunks(SLOT).zip(lengths).take(count) {
                events.extend(Messages(&datagram[..length.min(SLOT)]).filter_map(event));
            }
            if count < RECEIVE_MAX {
                return Ok(());
            }
        }
    }

    /// All connections.
    pub(crate) fn connections(&self) -> io::Result<Vec<Snapshot>> {
        self.dump(CT_GET, |message| snapshot(message.attributes()))
    }

    /// All expectations, with the port inside that each is translated to.
    pub(crate) fn expectations(&self) -> io::Result<Vec<(Snapshot, Option<u16>)>> {
        self.dump(EXP_GET, |message| {
            let nat = message.attributes().find(|(kind, _)| *kind == EXPECT_NAT);
            let inside = nat.and_then(|(_, nat)| {
                let (_, inside) = Attributes(nat).find(|(kind, _)| *kind == EXPECT_NAT_TUPLE)?;
                tuple(inside)
            });
            let port = inside.map(|inside| inside.source_port);
            Some((expectation(message.attributes())?, port))
        })
    }

    /// The counters of all processors together.
    pub(crate) fn statistics(&self) -> io::Result<Statistics> {
        let counters = |message: Message<'_>| {
            let of = |kind| message.attributes().find(|(k, _)| *k == kind).map(|(_, value)| value);
            Some(core::array::from_fn(|kind| of(kind as u16).map_or(0, |v| be32(v).into())))
        };
        let total = |kind| -> io::Result<[u64; STATISTICS]> {
            let processors: Vec<[u64; STATISTICS]> = self.dump(kind, counters)?;
            let sum = |at: usize| processors.iter().map(|one| one[at]).sum();
            Ok(core::array::from_fn(sum))
        };
        let connections = total(CT_STATISTICS)?;
        let expectations = total(EXP_STATISTICS)?;
        Ok(Statistics {
            invalid: connections[4],
            insert: connections[8],
            insert_failed: connections[9],
            drop: connections[10],
            early_drop: connections[11],
            error: connections[12],
            clash_resolve: connections[14],
            expect_new: expectations[1],
            expect_create: expectations[2],
            expect_delete: expectations[3],
        })
    }

    fn dump<T>(&self, kind: u16, parse: fn(Message<'_>) -> Option<T>) -> io::Result<Vec<T>> {
        self.commands.send(&Writer::new(kind, REQUEST_DUMP, 0, 0).finish())?;
        let mut buffer = vec![0; DUMP];
        let mut all = Vec::new();
        loop {
            let length = self.commands.receive(&mut buffer)?;
            for message in Messages(&buffer[..length]) {
                match message.error() {
                    Some(number) => return Err(io::Error::from_raw_os_error(number)),
                    None if message.kind == DONE => return Ok(all),
                    None => all.extend(parse(message)),
                }
            }
        }
    }

    /// One connection; `None` when it is not there.
    pub(crate) fn connection(&self, original: &Tuple) -> io::Result<Option<Snapshot>> {
        let mut message = Writer::new(CT_GET, REQUEST_ACK, original.family as u8, 0);
        write_tuple(&mut message, TUPLE_ORIG, original);
        self.commands.send(&message.finish())?;
        let mut buffer = [0; 8192];
        let mut found = None;
        loop {
            let length = self.commands.receive(&mut buffer)?;
            for message in Messages(&buffer[..length]) {
                match message.error() {
                    Some(0 | libc_enoent::ENOENT) => return Ok(found),
                    Some(number) => return Err(io::Error::from_raw_os_error(number)),
                    None => found = found.or(snapshot(message.attributes())),
                }
            }
        }
    }

    /// Makes a timeout policy. Attributes number the states as `declared` does, from 1.
    pub(crate) fn add_timeout_policy(&self, declared: &Declaration) -> io::Result<()> {
        let family = match declared.family {
            Family::V4 => 2_u16,
            Family::V6 => 10,
        };
        let mut message = Writer::new(TIMEOUT_NEW, REQUEST_CREATE, 0, 0);
        message.attribute(1, &[declared.name.as_str().as_bytes(), &[0]].concat());
        message.attribute(2, &family.to_be_bytes());
        message.attribute(3, &[declared.protocol]);
        message.nested(4, |message| {
            for (state, seconds) in &declared.values {
                message.attribute(u16::from(*state) + 1, &seconds.to_be_bytes());
            }
        });
        request(&self.commands, &message.finish())
    }

    /// Makes connections that live for so many seconds, many to a datagram. Stops at the first that
    /// is refused.
    pub(crate) fn create_connections(
        &self,
        tuples: &mut dyn Iterator<Item = Tuple>,
        status: CtStatus,
        seconds: u32,
    ) -> io::Result<()> {
        let mut tuples = tuples.peekable();
        while tuples.peek().is_some() {
            let mut batch = Vec::new();
            while let Some(tuple) = tuples.next_if(|_| batch.len() < BATCH) {
                let Some(reply) = tuple.invert() else { continue };
                // Only the last one is acknowledged; what is refused before it answers first.
                let last = batch.len() + MESSAGE_MAX >= BATCH || tuples.peek().is_none();
                let flags = if last { REQUEST_CREATE } else { REQUEST_CREATE & !ACKNOWLEDGE };
                let mut message = Writer::new(CT_NEW, flags, tuple.family as u8, 0);
                write_tuple(&mut message, TUPLE_ORIG, &tuple);
                write_tuple(&mut message, TUPLE_REPLY, &reply);
                message.attribute(TIMEOUT, &seconds.to_be_bytes());
                message.attribute(STATUS, &status.0.to_be_bytes());
                batch.extend(message.finish());
                if last {
                    break;
                }
            }
            request(&self.commands, &batch)?;
        }
        Ok(())
    }

    /// Makes an expectation, which must not be there yet.
    pub(crate) fn create_expectation(&self, wanted: &NewExpectation) -> io::Result<()> {
        let mut message = Writer::new(EXP_NEW, REQUEST_CREATE, wanted.tuple.family as u8, 0);
        write_tuple(&mut message, EXPECT_MASTER, &wanted.master);
        write_tuple(&mut message, EXPECT_TUPLE, &wanted.tuple);
        write_tuple(&mut message, EXPECT_MASK, &wanted.mask);
        message.attribute(EXPECT_FLAGS, &wanted.flags.to_be_bytes());
        message.attribute(EXPECT_CLASS, &wanted.class.to_be_bytes());
        request(&self.commands, &message.finish())
    }

    /// Sets how many seconds an expectation has.
    pub(crate) fn change_expectation(&self, wanted: &NewExpectation, left: u32) -> io::Result<()> {
        let mut message = Writer::new(EXP_NEW, REQUEST_ACK, wanted.tuple.family as u8, 0);
        write_tuple(&mut message, EXPECT_MASTER, &wanted.master);
        write_tuple(&mut message, EXPECT_TUPLE, &wanted.tuple);
        write_tuple(&mut message, EXPECT_MASK, &wanted.mask);
        message.attribute(EXPECT_TIMEOUT, &left.to_be_bytes());
        request(&self.commands, &message.finish())
    }

    /// Deletes the expectation that a packet with this tuple would fulfil.
    pub(crate) fn delete_expectation(&self, tuple: &Tuple) -> io::Result<()> {
        let mut message = Writer::new(EXP_DELETE, REQUEST_ACK, tuple.family as u8, 0);
        write_tuple(&mut message, EXPECT_TUPLE, tuple);
        request(&self.commands, &message.finish())
    }

    /// Deletes all expectations, or those of the masters that have this helper.
    pub(crate) fn flush_expectations(&self, helper: Option<&str>) -> io::Result<()> {
        let mut message = Writer::new(EXP_DELETE, REQUEST_ACK, 2, 0);
        if let Some(name) = helper {
            message.attribute(EXPECT_HELP_NAME, &[name.as_bytes(), &[0]].concat());
        }
        request(&self.commands, &message.finish())
    }

    /// Deletes a connection; it may be gone already.
    pub(crate) fn delete(&self, original: &Tuple) -> io::Result<()> {
        let mut message = Writer::new(CT_DELETE, REQUEST_ACK, original.family as u8, 0);
        write_tuple(&mut message, TUPLE_ORIG, original);
        match request(&self.commands, &message.finish()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Deletes all connections, and their expectations with them.
    pub(crate) fn flush(&self) -> io::Result<()> {
        request(&self.commands, &Writer::new(CT_DELETE, REQUEST_ACK, 0, 0).finish())
    }
}

mod libc_enoent {
    /// errno(3) of an entry that is not there.
    pub(super) const ENOENT: i32 = 2;
}

fn event(message: Message<'_>) -> Option<EventView> {
    let kind = match (message.kind, message.flags & CREATED != 0) {
        (CT_NEW, true) => EventKind::New,
        (CT_NEW, false) => EventKind::Update,
        (CT_DELETE, _) => EventKind::Destroy,
        (EXP_NEW, _) => EventKind::ExpectNew,
        (EXP_DELETE, _) => EventKind::ExpectDestroy,
        _ => return None,
    };
    let snapshot = match kind {
        EventKind::New | EventKind::Update | EventKind::Destroy => snapshot(message.attributes()),
        EventKind::ExpectNew | EventKind::ExpectDestroy => expectation(message.attributes()),
    };
    Some(EventView { kind, snapshot: snapshot? })
}

fn snapshot(attributes: Attributes<'_>) -> Option<Snapshot> {
    let (mut original, mut reply) = (None, None);
    let mut shown = empty();
    for (kind, value) in attributes {
        match kind {
            TUPLE_ORIG => {
                original = tuple(value);
                one_way(&mut shown.zone, value, Direction::Original);
            }
            TUPLE_REPLY => {
                reply = tuple(value);
                one_way(&mut shown.zone, value, Direction::Reply);
            }
            TUPLE_MASTER => shown.master = tuple(value),
            STATUS => shown.status = CtStatus(be32(value)),
            PROTOINFO => (shown.protocol_state, shown.tags) = protocol_info(value),
            HELP => shown.helper = helper(value),
            TIMEOUT => shown.timeout = Some(Duration::from_secs(be32(value).into())),
            MARK => shown.mark = be32(value),
            ZONE => shown.zone = Zone { id: be16(value), directions: 3 },
            LABELS => shown.labels = labels(value),
            SECCTX => shown.secctx = secctx(value),
            TIMESTAMP => shown.age = Some(age(value)),
            COUNTERS_ORIG => shown.counters.get_or_insert_default()[0] = counters(value),
            COUNTERS_REPLY => shown.counters.get_or_insert_default()[1] = counters(value),
            _ => {}
        }
    }
    Some(Snapshot { original: original?, reply: reply?, ..shown })
}

/// The expected tuple as `original`, the mask as `reply`, the master as `master`.
fn expectation(attributes: Attributes<'_>) -> Option<Snapshot> {
    let (mut original, mut reply) = (None, None);
    let mut shown = empty();
    let mut announcement = Announcement::default();
    for (kind, value) in attributes {
        match kind {
            1 => shown.master = tuple(value),
            2 => original = tuple(value),
            3 => reply = tuple(value),
            4 => shown.timeout = Some(Duration::from_secs(be32(value).into())),
            6 => shown.helper = Name::parse(text(value)),
            8 => announcement.flags = be32(value),
            9 => announcement.class = be32(value),
            _ => {}
        }
    }
    let original = original?;
    shown.announcement = Some(announcement);
    Some(Snapshot { original, reply: reply.unwrap_or(original), ..shown })
}

/// A connection with nothing in it.
pub(crate) const fn empty() -> Snapshot {
    let none = Tuple {
        source: Address([0; 16]),
        destination: Address([0; 16]),
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        family: Family::V4,
    };
    Snapshot {
        original: none,
        reply: none,
        status: CtStatus(0),
        timeout: None,
        protocol_state: None,
        tags: None,
        mark: 0,
        helper: None,
        master: None,
        counters: None,
        zone: Zone { id: 0, directions: 0 },
        age: None,
        announcement: None,
        secctx: None,
        labels: 0,
    }
}

fn tuple(value: &[u8]) -> Option<Tuple> {
    let mut tuple = empty().original;
    for (kind, value) in Attributes(value) {
        for (inner, value) in Attributes(value) {
            match (kind, inner) {
                (1, 1) => tuple.source = Address::v4(*value.first_chunk()?),
                (1, 2) => tuple.destination = Address::v4(*value.first_chunk()?),
                (1, 3 | 4) => {
                    tuple.family = Family::V6;
                    let address = Address::v6(*value.first_chunk()?);
                    if inner == 3 { tuple.source = address } else { tuple.destination = address }
                }
                (2, 1) => tuple.protocol = *value.first()?,
                (2, 2 | 4 | 7) => tuple.source_port = be16(value),
                (2, 3) => tuple.destination_port = be16(value),
                (2, 5 | 8) => tuple.destination_port |= u16::from(*value.first()?) << 8,
                (2, 6 | 9) => tuple.destination_port |= u16::from(*value.first()?),
                _ => {}
            }
        }
    }
    Some(tuple)
}

fn write_tuple(message: &mut Writer, kind: u16, tuple: &Tuple) {
    message.nested(kind, |message| {
        message.nested(1, |message| match tuple.family {
            Family::V4 => {
                message.attribute(1, &tuple.source.v4_octets());
                message.attribute(2, &tuple.destination.v4_octets());
            }
            Family::V6 => {
                message.attribute(3, &tuple.source.0);
                message.attribute(4, &tuple.destination.0);
            }
        });
        message.nested(2, |message| {
            message.attribute(1, &[tuple.protocol]);
            let [first, second] = tuple.destination_port.to_be_bytes();
            match tuple.protocol {
                1 | 58 => {
                    let base = if tuple.protocol == 1 { 4 } else { 7 };
                    message.attribute(base, &tuple.source_port.to_be_bytes());
                    message.attribute(base + 1, &[first]);
                    message.attribute(base + 2, &[second]);
                }
                _ => {
                    message.attribute(2, &tuple.source_port.to_be_bytes());
                    message.attribute(3, &tuple.destination_port.to_be_bytes());
                }
            }
        });
    });
}

/// State and verification tags: `CTA_PROTOINFO_TCP` and `CTA_PROTOINFO_SCTP`, in which the state
/// comes first and then the tags.
fn protocol_info(value: &[u8]) -> (Option<&'static str>, Option<[u32; 2]>) {
    let Some((protocol, inner)) = Attributes(value).next() else { return (None, None) };
    let of = |kind| Attributes(inner).find(|(k, _)| *k == kind).map(|(_, value)| value);
    let number = of(1).and_then(|value| value.first().copied());
    match (protocol, number) {
        (1, Some(number)) => (TCP_STATES.get(usize::from(number)).copied(), None),
        (3, Some(number)) => {
            let name = SCTP_STATES.get(usize::from(number)).copied();
            (name, of(2).zip(of(3)).map(|(original, reply)| [be32(original), be32(reply)]))
        }
        _ => (None, None),
    }
}

fn helper(value: &[u8]) -> Option<Name> {
    let (_, name) = Attributes(value).find(|(kind, _)| *kind == 1)?;
    Name::parse(text(name))
}

/// The zone of one direction stands within its tuple.
fn one_way(zone: &mut Zone, tuple: &[u8], direction: Direction) {
    if let Some((_, id)) = Attributes(tuple).find(|(kind, _)| *kind == TUPLE_ZONE) {
        *zone = Zone::one(be16(id), direction);
    }
}

/// Shorter ones are those of a kernel with less room.
fn labels(value: &[u8]) -> u128 {
    let mut octets = [0; 16];
    octets.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
    u128::from_le_bytes(octets)
}

fn secctx(value: &[u8]) -> Option<Arc<str>> {
    let (_, name) = Attributes(value).find(|(kind, _)| *kind == 1)?;
    Some(Arc::from(text(name)))
}

/// From the beginning to the end; of one that has no end yet, nothing.
fn age(value: &[u8]) -> Duration {
    let of = |kind| Attributes(value).find(|(k, _)| *k == kind).map(|(_, v)| be64(v));
    let passed = of(2).zip(of(1)).map(|(end, begin)| end.saturating_sub(begin));
    Duration::from_nanos(passed.unwrap_or_default())
}

fn counters(value: &[u8]) -> (u64, u64) {
    let of = |kind| Attributes(value).find(|(k, _)| *k == kind).map_or(0, |(_, v)| be64(v));
    (of(1), of(2))
}
