//! What becomes of messages where the opener, 10.1.0.2:20000, is seen as 192.0.2.1:30000 by the other end,
//! 10.2.0.2:5060.

use super::super::super::Instance;
use crate::nat::{Manip, Range};
use crate::table::Drop as Refused;
use crate::testing::{Elsewhere, Peers, Wire};
use crate::tuple::{Direction, Tuple};
use crate::{ConnId, Tracked};
use keepstate_packet::tcp::{ACK, PSH, SYN};
use keepstate_packet::{Address, Family, Parsed, tcp, udp};
use std::borrow::ToOwned;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

const INSIDE: &str = "10.1.0.2";
const SERVER: &str = "10.2.0.2";
const OUTSIDE: &str = "192.0.2.1";
const OUTSIDE_V6: &str = "2001:db8::1";
/// Most bytes of a packet.
const PACKET_MAX: usize = 65_535;

struct Dialogue {
    wire: Wire,
    protocol: u8,
    ends: [Peers; 2],
    conn: Option<ConnId>,
    sequences: [u32; 2],
}

impl Dialogue {
    fn new(protocol: u8) -> Self {
        Self::between(protocol, [INSIDE, SERVER, OUTSIDE], Family::V4)
    }

    fn between(protocol: u8, [inside, server, outside]: [&str; 3], family: Family) -> Self {
        let mut wire = Wire::new();
        wire.template.helper = Instance::named("sip", family, protocol);
        let ends = [Peers::new(inside, server), Peers::new(server, outside)];
        let mut dialogue = Self { wire, protocol, ends, conn: None, sequences: [1000, 5000] };
        if protocol == tcp::PROTOCOL {
            for (from, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
                let packet = dialogue.segment(from, flags, b"");
                dialogue.pass(&packet).expect("it passes");
            }
        }
        dialogue
    }

    fn segment(&mut self, from: usize, flags: u8, payload: &[u8]) -> Vec<u8> {
        let ports = if from == 0 { (20_000, 5060) } else { (5060, 30_000) };
        let acknowledged = if flags & ACK == 0 { 0 } else { self.sequences[1 - from] };
        let numbers = (self.sequences[from], acknowledged);
        self.sequences[from] += payload.len() as u32 + u32::from(flags & SYN != 0);
        self.ends[from].tcp(ports, flags, numbers, payload)
    }

    /// The walk of a packet: its source is translated if nothing is yet. What it is behind the IP header.
    fn pass(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let parsed = Parsed::new(packet).expect("an IP packet");
        let now = self.wire.now;
        let mut tracked: Tracked = self.wire.track(packet)?;
        let conn = tracked.conn.expect("it is tracked");
        if self.conn.is_none() {
            self.conn = Some(conn);
            let outside = if parsed.family == Family::V4 { OUTSIDE } else { OUTSIDE_V6 };
            let ports = Some((30_000, 30_000));
            let to = Range { ports, ..Range::of_address(address(outside)) };
            self.wire.table.set_up(now, conn, &to, Manip::Source);
        }
        let said = self.wire.table.help(now, &tracked, &parsed, packet, &Elsewhere::default())?;
        self.wire.table.confirm(now, &mut tracked)?;
        Ok(said.unwrap_or_else(|| parsed.l4_bytes(packet).to_vec()))
    }

    fn packet(&mut self, from: usize, text: &[u8]) -> Vec<u8> {
        if self.protocol == tcp::PROTOCOL {
            return self.segment(from, PSH | ACK, text);
        }
        let ports = if from == 0 { (20_000, 5060) } else { (5060, 30_000) };
        self.ends[from].udp(ports, text)
    }

    /// What the receiver hears of a message of the opener (0) or the other one (1).
    fn hears(&mut self, from: usize, text: &str) -> Result<String, Refused> {
        let packet = self.packet(from, text.as_bytes());
        let upper = self.pass(&packet)?;
        let head = if self.protocol == tcp::PROTOCOL { 20 } else { 8 };
        Ok(String::from_utf8(upper[head..].to_vec()).expect("text"))
    }

    /// Class, address and port of what is expected.
    fn expected(&self) -> Vec<(u32, String, u16)> {
        let all = self.wire.table.expectations(self.wire.now);
        let one = |e: &crate::event::Snapshot| {
            let Tuple { destination, destination_port, family, .. } = e.original;
            let class = e.announcement.map_or(99, |announcement| announcement.class);
            (class, destination.ip(family).to_string(), destination_port)
        };
        all.iter().map(one).collect()
    }

    fn complaints(&mut self) -> String {
        self.wire.table.take_complaints()
    }
}

fn address(text: &str) -> Address {
    match text.parse().expect("an address") {
        core::net::IpAddr::V4(address) => Address::v4(address.octets()),
        core::net::IpAddr::V6(address) => Address::v6(address.octets()),
    }
}

/// A message of a method that the helper does not know, or the answer to one.
fn around(is_answer: bool, lines: &str) -> String {
    match is_answer {
        true => format!("SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n{lines}\r\n\r\n"),
        false => format!("OPTIONS sip:b SIP/2.0\r\n{lines}\r\n\r\n"),
    }
}

/// Who says it, whether it is an answer, a line as it is said and as it is heard.
const LINES: &[(usize, bool, &str, &str)] = &[
    (0, false, "From: <sip:a@10.1.0.2:20000>", "From: <sip:a@192.0.2.1:30000>"),
    (0, false, "f: sip:10.1.0.2:20000;tag=1", "f: sip:192.0.2.1:30000;tag=1"),
    (0, false, "To: <sip:a@10.1.0.2:20000>", "To: <sip:a@192.0.2.1:30000>"),
    // An address alone is none of the connection's ends.
    (0, false, "From: <sip:a@10.1.0.2>", "From: <sip:a@10.1.0.2>"),
    (0, false, "From: <sip:a@10.1.0.2:20001>", "From: <sip:a@10.1.0.2:20001>"),
    (0, false, "From: <sips:a@10.1.0.2:20000>", "From: <sips:a@10.1.0.2:20000>"),
    (
        0,
        false,
        "Record-Route: <sip:10.1.0.2:20000>\r\nRoute: <sip:10.1.0.2:20000>",
        "Record-Route: <sip:10.1.0.2:20000>\r\nRoute: <sip:10.1.0.2:20000>",
    ),
    (
        0,
        false,
        "Contact: <sip:a@10.1.0.2:20000>, <sip:x@10.1.0.2:20000>\r\nm: <sip:10.1.0.2:20000>",
        "Contact: <sip:a@192.0.2.1:30000>, <sip:x@192.0.2.1:30000>\r\nm: <sip:192.0.2.1:30000>",
    ),
    // What stands before an @ is a user.
    (
        0,
        false,
        "Contact: <sip:10.1.0.2:20000>, <sip:x@10.1.0.2:20000>",
        "Contact: <sip:10.1.0.2:20000>, <sip:x@192.0.2.1:30000>",
    ),
    // The second From is not looked at.
    (
        0,
        false,
        "From: <sip:10.1.0.2:20000>\r\nFrom: <sip:10.1.0.2:20000>",
        "From: <sip:192.0.2.1:30000>\r\nFrom: <sip:10.1.0.2:20000>",
    ),
    (
        0,
        false,
        "Via: SIP/2.0/UDP 10.1.0.2:20000;maddr=10.1.0.2;rport=20000",
        "Via: SIP/2.0/UDP 192.0.2.1:30000;maddr=192.0.2.1;rport=20000",
    ),
    // Only the topmost one, and only where it is the sender's own.
    (
        0,
        false,
        "Via: SIP/2.0/UDP 10.1.0.2:20000\r\nVia: SIP/2.0/UDP 10.1.0.2:20000",
        "Via: SIP/2.0/UDP 192.0.2.1:30000\r\nVia: SIP/2.0/UDP 10.1.0.2:20000",
    ),
    (
        0,
        false,
        "Via: SIP/2.0/UDP 10.9.9.9:5060;maddr=10.1.0.2",
        "Via: SIP/2.0/UDP 10.9.9.9:5060;maddr=10.1.0.2",
    ),
    (0, false, "Via: SIP/2.0/TCP 10.1.0.2:20000", "Via: SIP/2.0/TCP 10.1.0.2:20000"),
    (1, false, "To: <sip:a@192.0.2.1:30000>", "To: <sip:a@10.1.0.2:20000>"),
    (
        1,
        true,
        "Via: SIP/2.0/UDP 192.0.2.1:30000;received=192.0.2.1;rport=30000",
        "Via: SIP/2.0/UDP 10.1.0.2:20000;received=10.1.0.2;rport=20000",
    ),
    // Up to the next one of a list; a number that is no port is not the port that it is modulo 65536.
    (
        1,
        true,
        "Via: SIP/2.0/UDP 192.0.2.1:30000;rport=95536, SIP/2.0/UDP 10.0.0.1;received=192.0.2.1",
        "Via: SIP/2.0/UDP 10.1.0.2:20000;rport=95536, SIP/2.0/UDP 10.0.0.1;received=192.0.2.1",
    ),
];

#[test]
fn ends_are_named_as_the_receiver_sees_them() {
    for (from, is_answer, said, heard) in LINES {
        let mut dialogue = Dialogue::new(udp::PROTOCOL);
        dialogue.hears(0, "a message to begin with").expect("it passes");
        let got = dialogue.hears(*from, &around(*is_answer, said));
        assert_eq!(got, Ok(around(*is_answer, heard)), "{said}");
    }
}

#[test]
fn a_request_is_addressed_to_the_receiver() {
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    dialogue.hears(0, "a message to begin with").expect("it passes");
    let request = |uri: &str| format!("OPTIONS sip:{uri} SIP/2.0\r\n\r\n");
    let rows = [
        ("a@192.0.2.1:30000", "a@10.1.0.2:20000"),
        ("192.0.2.1:30000;x=1", "10.1.0.2:20000;x=1"),
        ("a@192.0.2.1", "a@192.0.2.1"),
        ("10.2.0.2", "10.2.0.2"),
    ];
    for (uri, heard) in rows {
        assert_eq!(dialogue.hears(1, &request(uri)), Ok(request(heard)));
    }
}

#[test]
fn ipv6_addresses_stand_in_brackets() {
    let ends = ["fd00:1::2", "fd00:2::2", OUTSIDE_V6];
    let mut dialogue = Dialogue::between(udp::PROTOCOL, ends, Family::V6);
    let lines = "Via: SIP/2.0/UDP [fd00:1::2]:20000;maddr=[fd00:1:0:0:0:0:0:2]\r\n\
                 From: <sip:a@[fd00:1::2]:20000>";
    let heard = "Via: SIP/2.0/UDP [2001:db8::1]:30000;maddr=[2001:db8::1]\r\n\
                 From: <sip:a@[2001:db8::1]:30000>";
    assert_eq!(dialogue.hears(0, &around(false, lines)), Ok(around(false, heard)));
    for received in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1", "2001:db8::1]"] {
        let lines = format!("Via: SIP/2.0/UDP [2001:db8::1]:30000;received={received}");
        let heard = "Via: SIP/2.0/UDP [fd00:1::2]:20000;received=fd00:1::2";
        assert_eq!(dialogue.hears(1, &around(true, &lines)), Ok(around(true, heard)));
    }
}

#[test]
fn answers_go_to_the_port_that_a_via_names() {
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    let lines = "Via: SIP/2.0/UDP 10.1.0.2:5070";
    assert_eq!(dialogue.hears(0, &around(false, lines)), Ok(around(false, lines)));
    let answer = around(true, "Via: SIP/2.0/UDP 10.1.0.2:5070\r\nTo: <sip:192.0.2.1:30000>");
    let packet = dialogue.packet(1, answer.as_bytes());
    let upper = dialogue.pass(&packet).expect("it passes");
    assert_eq!(upper[2..4], 5070u16.to_be_bytes());
    assert!(String::from_utf8_lossy(&upper).contains("To: <sip:10.1.0.2:5070>"));
    // A way over UDP in a connection over TCP leads nowhere.
    let mut dialogue = Dialogue::new(tcp::PROTOCOL);
    let whole = |lines: &str, is_answer| around(is_answer, &format!("{lines}\r\nl: 0"));
    dialogue.hears(0, &whole(lines, false)).expect("it passes");
    assert_eq!(dialogue.hears(1, &whole("To: x", true)), Err(Refused::Helper));
    assert!(dialogue.complaints().contains("cannot NAT SIP message"));
}

fn register(contact: &str) -> String {
    format!(
        "REGISTER sip:b SIP/2.0\r\nCSeq: 7 REGISTER\r\nContact: <sip:{contact}>\r\nExpires: 60\r\n\r\n"
    )
}

#[test]
fn calls_reach_who_has_registered() {
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    assert_eq!(dialogue.hears(0, &register("a@10.1.0.2:20000")), Ok(register("a@192.0.2.1:30000")));
    assert_eq!(dialogue.expected(), [(0, OUTSIDE.to_owned(), 30_000)]);
    let answer = "SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\nContact: <sip:a@192.0.2.1:30000>\r\nExpires: 60\r\n\r\n";
    let heard = answer.replace("192.0.2.1:30000", "10.1.0.2:20000");
    assert_eq!(dialogue.hears(1, answer), Ok(heard));
    let call = Peers::new(SERVER, OUTSIDE).udp((5061, 30_000), b"INVITE");
    let tracked = dialogue.wire.track(&call).expect("it is tracked");
    let reply = dialogue.wire.table.tuple(tracked.conn.expect("a connection"), Direction::Reply);
    let reply = reply.expect("it is there");
    assert_eq!((reply.source, reply.source_port), (address(INSIDE), 20_000));
    assert_eq!((reply.destination, reply.destination_port), (address(SERVER), 5061));
    // Another port keeps its number, and the one that is expected last gives way.
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    assert_eq!(dialogue.hears(0, &register("10.1.0.2:5070")), Ok(register("192.0.2.1:5070")));
    assert_eq!(dialogue.hears(0, &register("10.1.0.2")), Ok(register("192.0.2.1:5060")));
    assert_eq!(dialogue.expected(), [(0, OUTSIDE.to_owned(), 5060)]);
    // Who registers somebody else is not helped.
    assert_eq!(dialogue.hears(0, &register("10.1.0.3:5070")), Ok(register("10.1.0.3:5070")));
}

fn invite(body: &str) -> String {
    let length = body.len();
    format!("INVITE sip:b SIP/2.0\r\nCSeq: 1 INVITE\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn descriptions_say_where_media_can_be_reached() {
    let rows = [
        (
            "v=0\r\no=- 1 1 IN IP4 10.1.0.2\r\nc=IN IP4 10.1.0.2\r\nm=audio 4000 RTP/AVP 0\r\n",
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n",
        ),
        // The description's line is said again where the medium has one of its own.
        (
            "v=0\r\no=- 1 1 IN IP4 10.1.0.2\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 10.1.0.2\r\n",
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n",
        ),
        // An odd port becomes that of the pair.
        (
            "v=0\r\no=- 1 1 IN IP4 10.1.0.2\r\nc=IN IP4 10.1.0.2\r\nm=audio 4001 RTP/AVP 0\r\n",
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4001 RTP/AVP 0\r\n",
        ),
    ];
    for (said, heard) in rows {
        let mut dialogue = Dialogue::new(udp::PROTOCOL);
        assert_eq!(dialogue.hears(0, &invite(said)), Ok(invite(heard)));
        let pair = [4000, 4001].map(|port| (1, OUTSIDE.to_owned(), port));
        assert_eq!(dialogue.expected(), pair);
        let media = Peers::new(SERVER, OUTSIDE).udp((6000, 4001), b"media");
        let tracked = dialogue.wire.track(&media).expect("it is tracked");
        let reply =
            dialogue.wire.table.tuple(tracked.conn.expect("a connection"), Direction::Reply);
        let reply = reply.expect("it is there");
        assert_eq!((reply.source, reply.source_port), (address(INSIDE), 4001));
    }
}

#[test]
fn media_get_the_next_pair_of_ports_that_is_free() {
    let body = |address: &str, ports: [u16; 2]| {
        let [one, two] = ports;
        format!(
            "v=0\r\no=- 1 1 IN IP4 {address}\r\nc=IN IP4 {address}\r\nm=audio {one} RTP/AVP 0\r\n\
             m=video {two} RTP/AVP 0\r\n"
        )
    };
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    // From anywhere, so that media and calls are not the same.
    dialogue.wire.table.sysctls.sip.direct_media = false;
    dialogue.hears(0, &register("10.1.0.2:9999")).expect("it passes");
    // RTCP would clash with calls.
    let heard = dialogue.hears(0, &invite(&body(INSIDE, [9998, 10_004])));
    assert_eq!(heard, Ok(invite(&body(OUTSIDE, [10_000, 10_004]))));
    // Two media of one pair are too many.
    assert_eq!(dialogue.hears(0, &invite(&body(INSIDE, [4000, 4000]))), Err(Refused::Helper));
    let complaints = dialogue.complaints();
    assert!(complaints.contains("all ports in use for SDP media"), "{complaints}");
    assert!(complaints.contains("cannot add expectation for voice"), "{complaints}");
}

#[test]
fn descriptions_without_a_place_for_it_are_dropped() {
    let whole = "v=0\r\no=- 1 1 IN IP4 10.1.0.2\r\nc=IN IP4 10.1.0.2\r\nm=audio 4000 RTP/AVP 0\r\n";
    let without_owner = whole.replace("o=- 1 1 IN IP4 10.1.0.2\r\n", "");
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    assert_eq!(dialogue.hears(0, &invite(&without_owner)), Err(Refused::Helper));
    let no_length = invite(whole).replace("Content-Length", "X-Length");
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    assert_eq!(dialogue.hears(0, &no_length), Err(Refused::Helper));
    // Where nothing is announced nothing has to be said.
    let silent =
        without_owner.replace("c=IN IP4 10.1.0.2\r\nm=audio 4000 RTP/AVP 0\r\n", "t=0\r\n");
    let mut dialogue = Dialogue::new(udp::PROTOCOL);
    assert_eq!(dialogue.hears(0, &invite(&silent)), Ok(invite(&silent)));
}

#[test]
fn numbers_shift_by_the_whole_difference_of_a_segment() {
    let message = |place: &str| around(false, &format!("From: <sip:{place}>\r\nl: 0"));
    let (inside, outside) = ("10.1.0.2:20000", "192.0.2.1:30000");
    let both = [message(inside), message(inside)].concat();
    // The last message is not whole: its body is longer than what is there, or it just lacks an end.
    let long = message(inside) + &message(inside).replace("l: 0", "l: 999");
    let short = message(inside) + &message(inside).replace("l: 0", "l: 9");
    for (said, whole, shift) in [(&both, 2, 2), (&long, 1, 1), (&short, 1, 0)] {
        let mut dialogue = Dialogue::new(tcp::PROTOCOL);
        let heard = said.replacen(inside, outside, whole);
        assert_eq!(dialogue.hears(0, said), Ok(heard));
        let conn = dialogue.conn.expect("a connection");
        let shifted = dialogue.wire.table.shift(conn, Direction::Original);
        assert_eq!(shifted.map_or(0, |shift| shift.after), shift, "{said}");
    }
}

#[test]
fn a_message_that_would_be_too_long_is_dropped() {
    let line = "From: <sip:10.1.0.2:20000>\r\nX: ";
    let length = around(false, line).len() + 28;
    for (room, passes) in [(0, false), (1, true)] {
        let filling = vec![b'x'; PACKET_MAX - length - room];
        let filling = String::from_utf8(filling).expect("text");
        let mut dialogue = Dialogue::new(udp::PROTOCOL);
        let heard = dialogue.hears(0, &around(false, &format!("{line}{filling}")));
        assert_eq!(heard.is_ok(), passes);
        assert_eq!(dialogue.complaints().contains("cannot mangle SIP from/to"), !passes);
    }
}
