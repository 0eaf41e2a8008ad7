//! What comes before a packet so that tracking gives it the state that is claimed of it: a handshake, a query, a
//! connection that announces this one.

use crate::algebra::Example;
use crate::algebra::space::Unknown;
use crate::trace::notation::Reader;
use crate::trace::packet::protocol;
use keepstate_conntrack::expect::NewExpectation;
use keepstate_conntrack::{Tuple, Zone};
use keepstate_packet::{Address, Family, Parsed, tcp};
use keepstate_ruleset::matches::conntrack as ct;
use std::net::SocketAddr;

/// First sequence numbers of who opens a connection and of who answers.
const FIRST: [u32; 2] = [1000, 5000];
/// Further than any window reaches (RFC 7323, 2.3: 1 GiB).
const BEYOND: u32 = 1 << 30;
/// What both ends say of their windows in a handshake: as large as there can be.
const WIDE: &str = "win=65535 wscale=14";
/// A port of the connection that announces another, and of the one that an error is about.
const OTHER_PORT: u16 = 51_900;
const FTP_PORT: u16 = 21;
const DNS_PORT: u16 = 53;

/// A packet that has passed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// In the notation of `trace`.
    pub(crate) text: String,
    /// It goes the other way: from where the packet in question goes to.
    pub(crate) is_back: bool,
}

/// Packets that lead to a state, and the packet that has it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// In order.
    pub(crate) before: Vec<Before>,
    /// So many of them, the first ones, are a connection with the helper for FTP, which announces the packet's
    /// connection.
    pub(crate) master: usize,
    /// There are such.
    pub(crate) announces: bool,
    /// The packet itself in the notation of `trace`; numbers and checksums that no rule looks at are made to fit.
    pub(crate) packet: String,
}

impl History {
    fn alone(packet: String) -> Self {
        Self { before: Vec::new(), master: 0, announces: false, packet }
    }

    /// The bytes of all its packets, the packet itself last.
    pub(crate) fn bytes(&self) -> Option<Vec<Vec<u8>>> {
        let mut reader = Reader::default();
        for one in self.before.iter().map(|one| &one.text).chain([&self.packet]) {
            reader.lines(one).ok()?;
        }
        let all: Vec<Vec<u8>> = reader.finish().into_iter().map(|one| one.bytes).collect();
        (all.len() == self.before.len() + 1).then_some(all)
    }

    /// What the connection of the packets before announces.
    pub(super) fn expectation(&self, bytes: &[Vec<u8>]) -> Option<NewExpectation> {
        let tuple = |bytes: &Vec<u8>| Tuple::of(&Parsed::new(bytes).ok()?, bytes);
        let (first, last) = (bytes.first()?, bytes.last()?);
        let (master, tuple) = (tuple(first)?, tuple(last)?);
        let every = match tuple.family {
            Family::V4 => Address::v4([u8::MAX; 4]),
            Family::V6 => Address::v6([u8::MAX; 16]),
        };
        // From the same address, and any port.
        let mask = Tuple { source: every, source_port: 0, ..tuple };
        self.announces.then_some(NewExpectation {
            master,
            tuple,
            mask,
            zone: Zone::default(),
            class: 0,
            flags: 0,
        })
    }
}

/// What may lead to the state of a packet, the plainest first. `packet`: the packet in the notation of `trace`.
pub(crate) fn histories(example: &Example, packet: &str) -> Vec<History> {
    // A piece has the state of its datagram, of which nothing is said here.
    if example.later_fragment {
        return Vec::new();
    }
    let ends = Ends::of(example);
    match example.state {
        ct::NEW | ct::UNTRACKED => ends.beginnings(example, packet),
        ct::ESTABLISHED => ends.established(example, packet),
        ct::RELATED => ends.related(example, packet),
        _ => ends.invalid(example, packet),
    }
}

/// Who sends the packet and who gets it, as they stand in its words.
struct Ends {
    protocol: String,
    source: String,
    destination: String,
    /// Without ports.
    hosts: [std::net::IpAddr; 2],
}

impl Ends {
    fn of(example: &Example) -> Self {
        let hosts = [example.source, example.destination].map(|one| one.ip(example.family));
        let has_ports = matches!(example.protocol, 6 | 17 | 132 | 136);
        let end = |host, port| match has_ports {
            true => SocketAddr::new(host, port).to_string(),
            false => host.to_string(),
        };
        let [source, destination] = hosts;
        Self {
            protocol: protocol(example.protocol),
            source: end(source, example.source_port),
            destination: end(destination, example.destination_port),
            hosts,
        }
    }

    /// From the packet's sender to its receiver, or back.
    fn line(&self, is_back: bool, details: &str) -> Before {
        let (from, to) = match is_back {
            true => (&self.destination, &self.source),
            false => (&self.source, &self.destination),
        };
        let text = format!("{} {from} > {to} {details}", self.protocol);
        Before { text: text.trim_end().to_owned(), is_back }
    }

    /// The packet alone, or, of TCP, behind another that nobody has answered: a SYN, or a segment in mid-stream.
    fn beginnings(&self, example: &Example, packet: &str) -> Vec<History> {
        let mut all = vec![History::alone(packet.to_owned())];
        if example.protocol != tcp::PROTOCOL || example.state == ct::UNTRACKED {
            return all;
        }
        let [one, other] = FIRST;
        for (opens, number) in [
            (format!("syn seq={one} {WIDE}"), one.wrapping_add(1)),
            (format!("ack seq={one} ack={other} win=65535"), one),
        ] {
            let mut packet = format!("{packet} seq={number}");
            if example.tcp_flags & tcp::ACK != 0 {
                packet.push_str(&format!(" ack={other}"));
            }
            let before = vec![self.line(false, &opens)];
            all.push(History { before, ..History::alone(packet) });
        }
        all
    }

    fn established(&self, example: &Example, packet: &str) -> Vec<History> {
        match example.protocol {
            tcp::PROTOCOL => self.handshakes(example, packet, 0),
            1 | 58 => self.queries(example, packet),
            _ => {
                let there = || self.line(false, "");
                let back = || self.line(true, "");
                let ways = [vec![back()], vec![there(), back()]];
                let of = |before| History { before, ..History::alone(packet.to_owned()) };
                ways.map(of).into()
            }
        }
    }

    /// Segments that open a connection, as many of them as are needed; who opens it may be either end. The
    /// packet's number is so far beyond what is due.
    fn handshakes(&self, example: &Example, packet: &str, beyond: u32) -> Vec<History> {
        let mut all = Vec::new();
        let [one, other] = FIRST;
        for is_answer in [true, false] {
            let acks = (one.wrapping_add(1), other.wrapping_add(1));
            let segments = [
                self.line(is_answer, &format!("syn seq={one} {WIDE}")),
                self.line(!is_answer, &format!("syn ack seq={other} ack={} {WIDE}", acks.0)),
                self.line(is_answer, &format!("ack seq={} ack={} win=65535", acks.0, acks.1)),
            ];
            let (own, peer) = if is_answer { (other, one) } else { (one, other) };
            let begins = example.tcp_flags & tcp::SYN != 0;
            let number = own.wrapping_add(u32::from(!begins)).wrapping_add(beyond);
            let mut packet = format!("{packet} seq={number}");
            if example.tcp_flags & tcp::ACK != 0 {
                packet.push_str(&format!(" ack={}", peer.wrapping_add(1)));
            }
            for count in (1..=segments.len()).rev() {
                let before = segments.iter().take(count).cloned().collect();
                all.push(History { before, ..History::alone(packet.clone()) });
            }
        }
        all
    }

    /// An answer behind its query, a query behind an answered one.
    fn queries(&self, example: &Example, packet: &str) -> Vec<History> {
        const PAIRS: [(u8, u8, u8); 6] =
            [(1, 8, 0), (1, 13, 14), (1, 15, 16), (1, 17, 18), (58, 128, 129), (58, 139, 140)];
        let kind = (example.icmp >> 8) as u8;
        let code = example.icmp & 0xff;
        let found = PAIRS.iter().find(|(protocol, query, answer)| {
            *protocol == example.protocol && (kind == *query || kind == *answer)
        });
        let Some((_, query, answer)) = found else { return Vec::new() };
        let [query, answer] = [query, answer].map(|kind| format!("{kind}/{code}"));
        let before = match format!("{kind}/{code}") == answer {
            true => vec![self.line(true, &query)],
            false => vec![self.line(false, &query), self.line(true, &answer)],
        };
        vec![History { before, ..History::alone(packet.to_owned()) }]
    }

    fn related(&self, example: &Example, packet: &str) -> Vec<History> {
        let [source, destination] = self.hosts;
        let end = SocketAddr::new;
        let is_error = matches!(example.protocol, 1 | 58);
        // An error begins no connection; what is announced does, with its first packet.
        if example.unknowns.contains(&(Unknown::FirstOfRelated, is_error)) {
            return Vec::new();
        }
        if is_error {
            let (asker, server) = (end(destination, OTHER_PORT), end(source, DNS_PORT));
            let about = Before { text: format!("udp {asker} > {server}"), is_back: true };
            let packet = format!("{packet} about=1");
            return vec![History { before: vec![about], ..History::alone(packet) }];
        }
        let (client, server) = (end(source, OTHER_PORT), end(destination, FTP_PORT));
        let master = Self {
            protocol: protocol(tcp::PROTOCOL),
            source: client.to_string(),
            destination: server.to_string(),
            hosts: self.hosts,
        };
        let opening = master.handshakes(example, packet, 0).into_iter();
        // Opened by the packet's sender, all of it.
        let found = opening.filter(|one| one.before.len() == 3).nth(1);
        let announcing = found.map(|one| one.before).unwrap_or_default();
        let with = |one: History| {
            let before = announcing.iter().cloned().chain(one.before).collect();
            History { before, master: announcing.len(), announces: true, packet: one.packet }
        };
        self.beginnings(example, packet).into_iter().map(with).collect()
    }

    fn invalid(&self, example: &Example, packet: &str) -> Vec<History> {
        let mut all = vec![History::alone(packet.to_owned())];
        let is_summed = matches!(example.protocol, 1 | 6 | 17 | 58 | 132 | 136);
        if is_summed && example.in_interface.is_some() {
            all.push(History::alone(format!("{packet} bad-checksum")));
        }
        if example.protocol == tcp::PROTOCOL {
            all.extend(self.handshakes(example, packet, BEYOND));
        }
        all
    }
}
