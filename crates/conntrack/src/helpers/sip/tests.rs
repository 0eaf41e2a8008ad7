//! What Linux 6.18 made of these messages: tables of odd ones, each in a connection of its own, and
//! whole dialogues.

mod addresses;
mod descriptions;
mod dialogues;
mod messages;
mod segments;
mod translated;

use crate::Tracked;
use crate::event::Snapshot;
use crate::table::Drop as Refused;
use crate::testing::{Peers, Wire};
use Heard::{Drop, DropExpecting, Expects, Pass};
use keepstate_packet::tcp::{ACK, PSH, SYN};
use keepstate_packet::{Family, tcp, udp};
use std::string::String;
use std::vec::Vec;

/// What becomes of a message, and what is expected then: classes and ports, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Pass,
    Drop,
    Expects(&'static [(u32, u16)]),
    /// The packet is dropped for its second message; what the first announced stays.
    DropExpecting(&'static [(u32, u16)]),
}

const REGISTER: &[u8] = b"REGISTER sip:a SIP/2.0\r\nCSeq: 1 REGISTER\r\nExpires: 60\r\n";
const INVITE: &[u8] = b"INVITE sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n";
const CONTACT: &[u8] = b"Contact: <sip:a@{me}:5070>\r\n\r\n";
const DESCRIPTION: &[u8] = b"v=0\r\nc=IN IP4 {me}\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A connection from 10.1.0.2 or fd00:1::2 to 10.2.0.2 or fd00:2::2, port 5060.
struct Dialogue {
    wire: Wire,
    peers: Peers,
    protocol: u8,
    /// What comes next in each direction, over TCP.
    sequences: [u32; 2],
}

impl Dialogue {
    fn new(family: Family, protocol: u8) -> Self {
        let mut wire = Wire::new();
        wire.template.helper = super::super::Instance::named("sip", family, protocol);
        let peers = match family {
            Family::V4 => Peers::new("10.1.0.2", "10.2.0.2"),
            Family::V6 => Peers::new("fd00:1::2", "fd00:2::2"),
        };
        let mut dialogue = Self { wire, peers, protocol, sequences: [1000, 5000] };
        if protocol == tcp::PROTOCOL {
            for (from, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
                dialogue.segment(from, flags, b"").expect("it arrives");
            }
        }
        dialogue
    }

    fn segment(&mut self, from: usize, flags: u8, payload: &[u8]) -> Result<Tracked, Refused> {
        let peers = if from == 0 { self.peers } else { self.peers.turned() };
        let ports = if from == 0 { (20_000, 5060) } else { (5060, 20_000) };
        let acknowledged = if flags & ACK == 0 { 0 } else { self.sequences[1 - from] };
        let numbers = (self.sequences[from], acknowledged);
        let length = payload.len() as u32 + u32::from(flags & SYN != 0);
        self.sequences[from] += length;
        self.wire.send(&peers.tcp(ports, flags, numbers, payload))
    }

    /// Something said by the opener (0) or the other (1).
    fn say(&mut self, from: usize, text: &[u8]) -> Result<Tracked, Refused> {
        let text = expanded(text);
        if self.protocol == tcp::PROTOCOL {
            return self.segment(from, PSH | ACK, &text);
        }
        let peers = if from == 0 { self.peers } else { self.peers.turned() };
        let ports = if from == 0 { (20_000, 5060) } else { (5060, 20_000) };
        self.wire.send(&peers.udp(ports, &text))
    }

    fn expectations(&self) -> Vec<Snapshot> {
        self.wire.table.expectations(self.wire.now)
    }

    /// Classes and ports of what is expected.
    fn expected(&self) -> Vec<(u32, u16)> {
        let class = |snapshot: &Snapshot| snapshot.announcement.map_or(99, |a| a.class);
        let all = self.expectations();
        let mut all: Vec<_> = all.iter().map(|e| (class(e), e.original.destination_port)).collect();
        all.sort_unstable();
        all
    }

    fn hears(&mut self, from: usize, text: &[u8], heard: Heard) {
        let outcome = self.say(from, text);
        let expected = self.expected();
        let shown = String::from_utf8_lossy(text).into_owned();
        let (drops, wanted): (bool, &[(u32, u16)]) = match heard {
            Pass => (false, &[]),
            Drop => (true, &[]),
            Expects(wanted) => (false, wanted),
            DropExpecting(wanted) => (true, wanted),
        };
        assert_eq!(outcome.is_err(), drops, "{shown:?}");
        assert_eq!(expected, wanted, "{shown:?}");
    }
}

/// The text with its addresses, and with the lengths of [`DESCRIPTION`] that it tells.
fn expanded(text: &[u8]) -> Vec<u8> {
    let length = DESCRIPTION.len() - b"{me}".len() + b"10.1.0.2".len();
    let mut text = text.to_vec();
    let mut replace = |from: &str, to: &str| {
        while let Some(at) = text.windows(from.len()).position(|there| there == from.as_bytes()) {
            text.splice(at..at + from.len(), to.bytes());
        }
    };
    replace("{me}", "10.1.0.2");
    replace("{you}", "10.2.0.2");
    replace("{n}", "2");
    replace("{l}", &std::format!("{length}"));
    replace("{l+1}", &std::format!("{}", length + 1));
    replace("{l+2^32}", &std::format!("{}", length as u64 + (1 << 32)));
    for less in 1..=20 {
        replace(&std::format!("{{l-{less}}}"), &std::format!("{}", length - less));
    }
    text
}

fn all_hear(family: Family, table: &[(&[u8], Heard)], message: impl Fn(&[u8]) -> Vec<u8>) {
    for (text, heard) in table {
        Dialogue::new(family, udp::PROTOCOL).hears(0, &message(text), *heard);
    }
}

#[test]
fn contacts_are_read_as_the_kernel_does() {
    all_hear(Family::V4, messages::CONTACTS, |text| {
        [REGISTER, b"Contact: ", text, b"\r\n\r\n"].concat()
    });
    all_hear(Family::V4, messages::LAST_CONTACTS, |text| [REGISTER, b"Contact: ", text].concat());
}

#[test]
fn headers_are_found_as_the_kernel_does() {
    all_hear(Family::V4, messages::LINES, |text| [REGISTER, text, CONTACT].concat());
    all_hear(Family::V4, messages::CSEQS, |text| {
        [b"REGISTER sip:a SIP/2.0\r\n", text, b"\r\nExpires: 60\r\n", CONTACT].concat()
    });
    all_hear(Family::V4, messages::EXPIRES, |text| {
        [b"REGISTER sip:a SIP/2.0\r\nCSeq: 1\r\n", text, b"\r\n", CONTACT].concat()
    });
}

#[test]
fn messages_are_told_apart_as_the_kernel_does() {
    all_hear(Family::V4, messages::STARTS, |text| {
        [text, b"\r\nCSeq: 1 INVITE\r\nExpires: 60\r\n", CONTACT, DESCRIPTION].concat()
    });
    for (text, heard) in messages::ANSWERED {
        let mut dialogue = Dialogue::new(Family::V4, udp::PROTOCOL);
        dialogue.hears(0, INVITE, Pass);
        let answer = [b"SIP/2.0 200 OK\r\nCSeq: 7 ", *text, b"\r\n\r\n", DESCRIPTION].concat();
        dialogue.hears(0, &answer, *heard);
    }
}

#[test]
fn descriptions_are_read_as_the_kernel_does() {
    all_hear(Family::V4, descriptions::MEDIA, |text| {
        [INVITE, b"v=0\r\nc=IN IP4 {me}\r\n", text, b"\r\n"].concat()
    });
    all_hear(Family::V4, descriptions::DESCRIPTIONS, |text| [INVITE, text].concat());
}

#[test]
fn segments_are_divided_as_the_kernel_does() {
    for (text, heard) in segments::SEGMENTS {
        Dialogue::new(Family::V4, tcp::PROTOCOL).hears(0, text, *heard);
    }
}

#[test]
fn ipv6_addresses_are_read_as_the_kernel_does() {
    all_hear(Family::V6, addresses::CONNECTIONS, |text| {
        let text =
            text.strip_suffix(b"{you}").map_or(text.to_vec(), |text| [text, b"fd00:2::2"].concat());
        [INVITE, b"v=0\r\nc=IN IP6 ", &text, b"\r\nm=audio 4000\r\n"].concat()
    });
    all_hear(Family::V6, addresses::HOSTS, |text| {
        [REGISTER, b"Contact: <sip:", text, b">\r\n\r\n"].concat()
    });
}
