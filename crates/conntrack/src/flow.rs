//! A connection as it is seen from outside the table: what ctnetlink tells, what a line of a listing
//! says, what a command asks for. Anything may be missing from it.
//!
//! conntrack(8) calls its entries flow entries; [`Flow`] is one, [`Expected`] an entry of the table
//! of expectations.

use crate::event::{Announcement, Snapshot};
use crate::proto::tcp;
use crate::tuple::{self, Direction, Tuple};
use crate::zone::Zone;
use crate::{ConnId, CtStatus, Table, Timeout};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use alloc::{format, string::String};
use core::time::Duration;
use keepstate_packet::{Address, Family, Instant, gre, icmp, icmpv6, sctp, tcp as tcp_header, udp};

/// DCCP's number (RFC 4340, 19.1).
pub const DCCP: u8 = 33;

/// One direction of a flow, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Half {
    /// Source address.
    pub source: Option<Address>,
    /// Destination address.
    pub destination: Option<Address>,
    /// Source port; for GRE the source key. Host byte order.
    pub source_port: Option<u16>,
    /// Destination port; for GRE the destination key. Host byte order.
    pub destination_port: Option<u16>,
    /// ICMP and ICMPv6: type.
    pub icmp_type: Option<u8>,
    /// ICMP and ICMPv6: code.
    pub icmp_code: Option<u8>,
    /// ICMP and ICMPv6: identifier. Host byte order.
    pub icmp_id: Option<u16>,
}

impl Half {
    /// Of a whole tuple.
    #[must_use]
    pub fn of(tuple: &Tuple) -> Self {
        let (source, destination) = (Some(tuple.source), Some(tuple.destination));
        let addresses = Self { source, destination, ..Self::default() };
        match tuple.protocol {
            icmp::PROTOCOL | icmpv6::PROTOCOL => {
                let [kind, code] = tuple.destination_port.to_be_bytes();
                Self {
                    icmp_type: Some(kind),
                    icmp_code: Some(code),
                    icmp_id: Some(tuple.source_port),
                    ..addresses
                }
            }
            protocol if has_ports(protocol) => Self {
                source_port: Some(tuple.source_port),
                destination_port: Some(tuple.destination_port),
                ..addresses
            },
            _ => addresses,
        }
    }

    /// The whole tuple, when nothing that its protocol needs is missing.
    #[must_use]
    pub fn tuple(&self, family: Family, protocol: u8) -> Option<Tuple> {
        let (source_port, destination_port) = match protocol {
            icmp::PROTOCOL | icmpv6::PROTOCOL => {
                (self.icmp_id?, u16::from_be_bytes([self.icmp_type?, self.icmp_code?]))
            }
            // Linux knows DCCP no more, and keeps no ports of it.
            DCCP => (0, 0),
            protocol if has_ports(protocol) => (self.source_port?, self.destination_port?),
            _ => (0, 0),
        };
        let (source, destination) = (self.source?, self.destination?);
        Some(Tuple { source, destination, source_port, destination_port, protocol, family })
    }

    /// The other direction of it, where nothing is translated.
    #[must_use]
    pub fn inverse(&self, protocol: u8) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            icmp_type: self.icmp_type.map(|kind| tuple::inverse_type(protocol, kind).unwrap_or(0)),
            ..*self
        }
    }

    /// What stands in the place of ports: for ICMP the identifier, and type and code. Compared with
    /// those of the other direction they always differ, and so it is with conntrack(8).
    fn ends(&self) -> (Option<u16>, Option<u16>) {
        match (self.icmp_type, self.icmp_code) {
            (Some(kind), Some(code)) => (self.icmp_id, Some(u16::from_be_bytes([kind, code]))),
            _ => (self.source_port, self.destination_port),
        }
    }

    /// Whether nothing at all is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether flows of a protocol have ports, or keys that are listed like ports.
#[must_use]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(
        protocol,
        tcp_header::PROTOCOL
            | udp::PROTOCOL
            | udp::PROTOCOL_LITE
            | sctp::PROTOCOL
            | gre::PROTOCOL
            | DCCP
    )
}

/// What only one protocol has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProtocolInfo {
    /// Nothing.
    #[default]
    None,
    /// TCP.
    Tcp {
        /// State, as ctnetlink numbers it: an index into [`states`].
        state: u8,
    },
    /// SCTP.
    Sctp {
        /// State: an index into [`states`].
        state: Option<u8>,
        /// Verification tags, original and reply, as conntrack(8) takes and prints them: with their
        /// octets in reverse.
        vtags: [Option<u32>; 2],
    },
    /// DCCP, which Linux tracks no more; commands and old listings still name it.
    Dccp {
        /// State: an index into [`states`].
        state: Option<u8>,
        /// The original direction comes from: 0 the client, 1 the server.
        role: Option<u8>,
    },
    /// GRE. Only `/proc/net/nf_conntrack` shows it.
    Gre {
        /// Seconds to live before a reply.
        timeout: u32,
        /// Seconds to live after one.
        stream_timeout: u32,
    },
}

impl ProtocolInfo {
    /// The state, when there is one.
    #[must_use]
    pub const fn state(&self) -> Option<u8> {
        match *self {
            Self::Tcp { state } => Some(state),
            Self::Sctp { state, .. } | Self::Dccp { state, .. } => state,
            Self::None | Self::Gre { .. } => None,
        }
    }

    /// That of a protocol in the state of this name; `None` when it has no such state.
    #[must_use]
    pub fn in_state(protocol: u8, name: &str) -> Option<Self> {
        let state = states(protocol).iter().position(|known| *known == name)? as u8;
        Some(match protocol {
            tcp_header::PROTOCOL => Self::Tcp { state },
            sctp::PROTOCOL => Self::Sctp { state: Some(state), vtags: [None; 2] },
            _ => Self::Dccp { state: Some(state), role: None },
        })
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const TCP_STATES: [&str; 10] = {
    let mut names = [""; 10];
    let mut i = 0;
    while i < names.len() {
        names[i] = tcp::State::ALL[i].name();
        i += 1;
    }
    names
};

/// RFC 9260's, as an observer between both ends sees them.
const SCTP_STATES: [&str; 10] = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
];

/// RFC 4340's.
const DCCP_STATES: [&str; 10] = [
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE",
    "INVALID",
];

/// The names of the states of a protocol by the numbers that ctnetlink gives them; none for
/// protocols without states.
#[must_use]
pub const fn states(protocol: u8) -> &'static [&'static str] {
    match protocol {
        tcp_header::PROTOCOL => &TCP_STATES,
        sctp::PROTOCOL => &SCTP_STATES,
        DCCP => &DCCP_STATES,
        _ => &[],
    }
}

/// The name of a protocol in listings; `None` prints as `unknown`.
#[must_use]
pub const fn protocol_name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        icmp::PROTOCOL => "icmp",
        tcp_header::PROTOCOL => "tcp",
        udp::PROTOCOL => "udp",
        DCCP => "dccp",
        gre::PROTOCOL => "gre",
        icmpv6::PROTOCOL => "icmpv6",
        sctp::PROTOCOL => "sctp",
        udp::PROTOCOL_LITE => "udplite",
        _ => return None,
    })
}

/// Bytes of connection labels: 128 bits.
pub const LABELS_BYTES: usize = 16;

/// Connection labels, bit by bit: bit n is bit n % 8 of byte n / 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(pub [u8; LABELS_BYTES]);

impl Labels {
    /// Most labels, hence one more than the highest bit.
    pub const COUNT_MAX: u16 = 8 * LABELS_BYTES as u16;

    /// Sets a bit; `false` when there is none of this number.
    pub fn set(&mut self, bit: u16) -> bool {
        let Some(byte) = self.0.get_mut(usize::from(bit / 8)) else { return false };
        *byte |= 1 << (bit % 8);
        true
    }

    /// Whether a bit is set.
    #[must_use]
    pub fn has(&self, bit: u16) -> bool {
        self.0.get(usize::from(bit / 8)).is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
    }

    /// The bits that are set, ascending.
    pub fn bits(&self) -> impl Iterator<Item = u16> + '_ {
        (0..Self::COUNT_MAX).filter(|bit| self.has(*bit))
    }

    /// Whether every bit of `other` is set.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(ours, theirs)| ours & theirs == *theirs)
    }
}

/// The names of labels (`/etc/xtables/connlabel.conf`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelNames(pub Vec<(u16, String)>);

impl LabelNames {
    /// The bit of a name.
    #[must_use]
    pub fn bit(&self, name: &str) -> Option<u16> {
        self.0.iter().find(|(_, known)| known == name).map(|(bit, _)| *bit)
    }

    /// The name of a bit.
    #[must_use]
    pub fn name(&self, bit: u16) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == bit).map(|(_, name)| name.as_str())
    }
}

/// A connection seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Family of all its addresses.
    pub family: Option<Family>,
    /// Upper-layer protocol.
    pub protocol: Option<u8>,
    /// The direction of its first packet.
    pub original: Half,
    /// The other one.
    pub reply: Half,
    /// Status bits.
    pub status: Option<CtStatus>,
    /// Seconds left.
    pub timeout: Option<u32>,
    /// What its protocol adds.
    pub info: ProtocolInfo,
    /// Mark.
    pub mark: Option<u32>,
    /// Security mark.
    pub secmark: Option<u32>,
    /// Security context.
    pub secctx: Option<String>,
    /// Zone of both directions.
    pub zone: Option<u16>,
    /// Zones of one direction, original and reply.
    pub zone_of: [Option<u16>; 2],
    /// Packets and bytes, original and reply.
    pub counters: [Option<(u64, u64)>; 2],
    /// Confirmed, nanoseconds since 1970.
    pub started: Option<u64>,
    /// Gone, nanoseconds since 1970.
    pub stopped: Option<u64>,
    /// Seconds since it was confirmed, for listings that do not know the time.
    pub age: Option<u64>,
    /// Name of its helper.
    pub helper: Option<String>,
    /// References to it.
    pub uses: Option<u32>,
    /// Number.
    pub id: Option<u32>,
    /// Labels.
    pub labels: Option<Labels>,
    /// Original tuple of its master, which created it.
    pub master: Option<Tuple>,
    /// Translation asked for: of the source, of the destination.
    pub nat: [Option<Translation>; 2],
}

/// What an address and port are to become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Translation {
    /// Address.
    pub address: Option<Address>,
    /// Port, host byte order.
    pub port: Option<u16>,
}

impl Flow {
    /// A connection of a table, numbered `id`; `children_count` connections have it as master.
    #[must_use]
    pub fn of(snapshot: &Snapshot, id: u32, children_count: usize) -> Self {
        let Tuple { family, protocol, .. } = snapshot.original;
        let zone = snapshot.zone;
        let both = zone.directions == 0b11 && zone.id != 0;
        let one =
            |direction| (!both && zone.id_in(direction) != 0).then_some(zone.id_in(direction));
        let counters = snapshot.counters.map_or([None; 2], |counters| counters.map(Some));
        let uses = u32::try_from(children_count).unwrap_or(u32::MAX).saturating_add(1);
        Self {
            family: Some(family),
            protocol: Some(protocol),
            original: Half::of(&snapshot.original),
            reply: Half::of(&snapshot.reply),
            status: Some(snapshot.status),
            timeout: snapshot.timeout.map(seconds),
            info: info(snapshot),
            mark: Some(snapshot.mark),
            zone: both.then_some(zone.id),
            zone_of: [one(Direction::Original), one(Direction::Reply)],
            counters,
            secctx: snapshot.secctx.as_deref().map(String::from),
            labels: (snapshot.labels != 0).then(|| Labels(snapshot.labels.to_le_bytes())),
            age: snapshot.age.map(|age| age.as_secs()),
            helper: snapshot.helper.map(|name| format!("{name}")),
            uses: Some(uses),
            id: Some(id),
            master: snapshot.master,
            ..Self::default()
        }
    }

    /// As an event of this instant tells it: no references, and a mark only when there is one.
    #[must_use]
    pub fn of_event(snapshot: &Snapshot, id: u32, now: Instant) -> Self {
        let mark = (snapshot.mark != 0).then_some(snapshot.mark);
        let started = snapshot.age.map(|age| now.0.saturating_sub(age.as_nanos() as u64));
        let stopped = started.map(|_| now.0);
        Self { mark, uses: None, started, stopped, ..Self::of(snapshot, id, 0) }
    }

    /// The half of a direction.
    #[must_use]
    pub const fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }

    /// The whole tuple of a direction, when nothing that its protocol needs is missing.
    #[must_use]
    pub fn tuple(&self, direction: Direction) -> Option<Tuple> {
        self.half(direction).tuple(self.family?, self.protocol?)
    }

    /// Its zone.
    #[must_use]
    pub fn zone(&self) -> Zone {
        match (self.zone, self.zone_of) {
            (Some(id), _) => Zone::both(id),
            (None, [Some(id), _]) => Zone::one(id, Direction::Original),
            (None, [None, Some(id)]) => Zone::one(id, Direction::Reply),
            (None, [None, None]) => Zone::default(),
        }
    }

    /// The status bits; none when they are not known.
    #[must_use]
    pub fn status(&self) -> CtStatus {
        self.status.unwrap_or_default()
    }

    /// Whether the source address was translated.
    #[must_use]
    pub fn is_source_translated(&self) -> bool {
        self.status().contains(CtStatus::SRC_NAT_DONE)
            && self.original.source != self.reply.destination
    }

    /// Whether the source port was translated.
    #[must_use]
    pub fn is_source_port_translated(&self) -> bool {
        self.status().contains(CtStatus::SRC_NAT_DONE)
            && self.original.ends().0 != self.reply.ends().1
    }

    /// Whether the destination address was translated.
    #[must_use]
    pub fn is_destination_translated(&self) -> bool {
        self.status().contains(CtStatus::DST_NAT_DONE)
            && self.original.destination != self.reply.source
    }

    /// Whether the destination port was translated.
    #[must_use]
    pub fn is_destination_port_translated(&self) -> bool {
        self.status().contains(CtStatus::DST_NAT_DONE)
            && self.original.ends().1 != self.reply.ends().0
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn info(snapshot: &Snapshot) -> ProtocolInfo {
    let state = snapshot.protocol_state;
    let state = state.and_then(|name| ProtocolInfo::in_state(snapshot.original.protocol, name));
    match (state.unwrap_or_default(), snapshot.tags) {
        (ProtocolInfo::Sctp { state, .. }, Some(tags)) => {
            ProtocolInfo::Sctp { state, vtags: tags.map(|tag| Some(tag.swap_bytes())) }
        }
        (other, _) => other,
    }
}

/// An expectation seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Family of all its addresses.
    pub family: Option<Family>,
    /// Upper-layer protocol of what is expected.
    pub protocol: Option<u8>,
    /// What is expected.
    pub tuple: Half,
    /// Which bits of it count.
    pub mask: Half,
    /// Upper-layer protocol of the master.
    pub master_protocol: Option<u8>,
    /// The master's original direction.
    pub master: Half,
    /// Seconds left.
    pub timeout: Option<u32>,
    /// Flags ([`Announcement::PERMANENT`], ...).
    pub flags: u32,
    /// Class of its helper.
    pub class: u32,
    /// Name of the helper that announced it.
    pub helper: Option<String>,
    /// Zone of its master.
    pub zone: Option<u16>,
    /// Number.
    pub id: Option<u32>,
}

impl Expected {
    /// Whether it is this tuple that is expected: the source counts as far as the mask goes, the
    /// rest wholly.
    #[must_use]
    pub fn covers(&self, tuple: &Tuple) -> bool {
        self.covers_under(tuple, &Half::default())
    }

    /// The same where a second mask takes bits of the source away.
    #[must_use]
    pub fn covers_under(&self, tuple: &Tuple, mask: &Half) -> bool {
        let Some((family, protocol)) = self.family.zip(self.protocol) else { return false };
        let Some(expected) = self.tuple.tuple(family, protocol) else { return false };
        let bits = |address: Address| u128::from_be_bytes(address.0);
        let [one, two] = [&self.mask, mask].map(|mask| mask.source.map_or(u128::MAX, bits));
        let ports = [&self.mask, mask].map(|mask| mask.source_port.unwrap_or(u16::MAX));
        (bits(expected.source) ^ bits(tuple.source)) & one & two == 0
            && (expected.source_port ^ tuple.source_port) & ports[0] & ports[1] == 0
            && Tuple { source: tuple.source, source_port: tuple.source_port, ..expected } == *tuple
    }

    /// An expectation of a table, as [`Table::expectations`] gives it, numbered `id`.
    #[must_use]
    pub fn of(snapshot: &Snapshot, id: u32) -> Self {
        let Tuple { family, protocol, .. } = snapshot.original;
        let announcement: Announcement = snapshot.announcement.unwrap_or_default();
        Self {
            family: Some(family),
            protocol: Some(protocol),
            tuple: Half::of(&snapshot.original),
            mask: Half::of(&snapshot.reply),
            master_protocol: snapshot.master.map(|master| master.protocol),
            master: snapshot.master.as_ref().map(Half::of).unwrap_or_default(),
            timeout: snapshot.timeout.map(seconds),
            flags: announcement.flags,
            class: announcement.class,
            helper: snapshot.helper.map(|name| format!("{name}")),
            zone: Some(snapshot.zone.id).filter(|id| *id != 0),
            id: Some(id),
        }
    }
}

/// All that a table shows to the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The connections.
    pub flows: Vec<Flow>,
    /// The expectations.
    pub expected: Vec<Expected>,
}

impl Contents {
    /// What a table holds at an instant.
    #[must_use]
    pub fn of(table: &Table, now: Instant) -> Self {
        let mut children: BTreeMap<ConnId, usize> = BTreeMap::new();
        for master in table.masters.values() {
            *children.entry(master.conn).or_default() += 1;
        }
        let timeouts = &table.sysctls().timeouts;
        let seconds = |timeout: Timeout| timeout.as_secs() as u32;
        let (timeout, stream_timeout) = (seconds(timeouts.gre), seconds(timeouts.gre_stream));
        let gre_timeouts = ProtocolInfo::Gre { timeout, stream_timeout };
        let flow = |conn| {
            let children_count = children.get(&conn).copied().unwrap_or(0);
            let flow = Flow::of(&table.snapshot(now, conn)?, conn.number(), children_count);
            let info = match flow.protocol {
                Some(gre::PROTOCOL) => gre_timeouts,
                _ => flow.info,
            };
            Some(Flow { started: table.started(conn), age: None, info, ..flow })
        };
        let flows = table.connections(now).into_iter().filter_map(flow).collect();
        let expected = table.expectations(now);
        let expected = expected.iter().zip(1..).map(|(e, id)| Expected::of(e, id)).collect();
        Self { flows, expected }
    }
}
