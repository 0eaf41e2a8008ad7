//! What Linux 6.18 makes of ICMP and ICMPv6 messages, asked one by one.

use crate::CtState::{Established, Invalid, New, Related, Untracked};
use crate::Direction::{Original, Reply};
use crate::testing::{Peers, Wire};
use crate::{CtState, Direction, Reason};
use std::vec::Vec;

const INVALID: (CtState, Option<Direction>) = (Invalid, None);
const NEW: (CtState, Option<Direction>) = (New, Some(Original));
const ABOUT_ORIGINAL: (CtState, Option<Direction>) = (Related, Some(Reply));
const ABOUT_REPLY: (CtState, Option<Direction>) = (Related, Some(Original));

fn ipv4() -> Peers {
    Peers::new("10.1.0.2", "10.2.0.2")
}

fn ipv6() -> Peers {
    Peers::new("fd00:1::2", "fd00:2::2")
}

#[test]
fn icmp_types_that_begin_a_connection() {
    for kind in 0..=255 {
        let state = Wire::new().state(&ipv4().icmp(kind, 0, 0x1_0001, b""));
        let expected = if [8, 13, 15, 17].contains(&kind) { NEW } else { INVALID };
        assert_eq!(state, expected, "type {kind}");
    }
}

#[test]
fn icmpv6_types() {
    for kind in 0..=255 {
        let state = Wire::new().state(&ipv6().icmp(kind, 0, 0x1_0001, b""));
        let expected = match kind {
            128 | 139 => NEW,
            130..=136 | 143 | 151 | 152 => (Untracked, None),
            _ => INVALID,
        };
        assert_eq!(state, expected, "type {kind}");
    }
}

#[test]
fn answers_need_their_query() {
    for (query, answer) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        let mut wire = Wire::new();
        assert_eq!(wire.state(&ipv4().turned().icmp(answer, 0, 0x1_0001, b"")), INVALID);
        assert_eq!(wire.state(&ipv4().icmp(query, 0, 0x1_0001, b"")), NEW);
        let other = ipv4().turned().icmp(answer, 0, 0x2_0001, b"");
        assert_eq!(wire.state(&other), INVALID, "another identifier");
        let answer = ipv4().turned().icmp(answer, 0, 0x1_0007, b"");
        assert_eq!(wire.state(&answer), (Established, Some(Reply)));
    }
}

#[test]
fn a_family_does_not_take_the_message_of_the_other() {
    let echo = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    assert_eq!(Wire::new().state(&ipv6().packet(1, &echo)), INVALID);
    let echo = [128, 0, 0, 0, 0, 1, 0, 1];
    assert_eq!(Wire::new().state(&ipv4().packet(58, &echo)), INVALID);
}

#[test]
fn type_and_code_are_of_the_tuple() {
    let mut wire = Wire::new();
    assert_eq!(wire.state(&ipv6().icmp(128, 0, 0x1_0001, b"")), NEW);
    assert_eq!(wire.state(&ipv6().icmp(128, 1, 0x1_0001, b"")), NEW);
    assert_eq!(
        wire.state(&ipv6().turned().icmp(129, 1, 0x1_0001, b"")),
        (Established, Some(Reply))
    );
    assert_eq!(wire.table.count(), 2);
}

/// The message about `quoted`, from `from` to `to`, the quotation cut to `length`.
fn error(from: &str, to: &str, kind: u8, quoted: &[u8], length: usize) -> Vec<u8> {
    Peers::new(from, to).icmp(kind, 3, 0, quoted.get(..length).unwrap_or(quoted))
}

#[test]
fn icmp_errors_belong_to_what_they_quote() {
    let (client, server, router) = ("10.1.0.2", "10.2.0.2", "10.9.9.9");
    let packet = ipv4().udp((1000, 2000), b"x");
    let answer = ipv4().turned().udp((2000, 1000), b"x");
    let mut wire = Wire::new();
    assert_eq!(wire.state(&error(server, client, 3, &packet, 28)), INVALID, "before");
    wire.state(&packet);
    for kind in [3, 4, 5, 11, 12] {
        assert_eq!(wire.state(&error(server, client, kind, &packet, 28)), ABOUT_ORIGINAL, "{kind}");
    }
    let cases = [
        (router, client, &packet, 28, ABOUT_ORIGINAL),
        (server, router, &packet, 28, INVALID),
        (client, server, &packet, 28, INVALID),
        (router, server, &answer, 28, ABOUT_REPLY),
        (router, client, &answer, 28, INVALID),
        (server, client, &packet, 27, ABOUT_ORIGINAL),
        (server, client, &packet, 24, ABOUT_ORIGINAL),
        (server, client, &packet, 23, INVALID),
        (server, client, &packet, 20, INVALID),
        (server, client, &packet, 19, INVALID),
        (server, client, &packet, 0, INVALID),
    ];
    for (from, to, quoted, length, expected) in cases {
        let state = wire.state(&error(from, to, 3, quoted, length));
        assert_eq!(state, expected, "{from} to {to}, {length} bytes");
    }
    assert_eq!(wire.table.count(), 1);
}

#[test]
fn quotations_are_read_leniently() {
    let packet = ipv4().udp((1000, 2000), b"x");
    let mut wire = Wire::new();
    wire.state(&packet);
    let mut with = |at: usize, value: u8| {
        let mut quoted = packet.clone();
        quoted[at] = value;
        wire.state(&error("10.2.0.2", "10.1.0.2", 3, &quoted, 28))
    };
    assert_eq!(with(7, 1), INVALID, "a later fragment");
    assert_eq!(with(6, 0x20), ABOUT_ORIGINAL, "a first fragment");
    assert_eq!(with(0, 0x46), INVALID, "ports elsewhere");
    assert_eq!(with(0, 0x44), INVALID, "ports elsewhere");
    assert_eq!(with(0, 0x65), ABOUT_ORIGINAL, "version");
    assert_eq!(with(10, packet[10] ^ 1), ABOUT_ORIGINAL, "header checksum");
}

#[test]
fn errors_about_queries_answers_and_errors() {
    let mut wire = Wire::new();
    let (echo, answer) =
        (ipv4().icmp(8, 0, 7 << 16, b""), ipv4().turned().icmp(0, 0, 7 << 16, b""));
    wire.state(&echo);
    assert_eq!(wire.state(&error("10.2.0.2", "10.1.0.2", 3, &echo, 28)), ABOUT_ORIGINAL);
    assert_eq!(wire.state(&error("10.2.0.2", "10.1.0.2", 3, &echo, 27)), INVALID);
    assert_eq!(wire.state(&error("10.1.0.2", "10.2.0.2", 3, &answer, 28)), ABOUT_REPLY);
    let about = error("10.2.0.2", "10.1.0.2", 3, &echo, 28);
    assert_eq!(wire.state(&error("10.1.0.2", "10.2.0.2", 3, &about, 60)), INVALID);
    let other = ipv4().packet(99, b"12345678");
    wire.state(&other);
    assert_eq!(wire.state(&error("10.2.0.2", "10.1.0.2", 3, &other, 20)), ABOUT_ORIGINAL);
}

#[test]
fn icmpv6_errors_and_what_stands_before_the_quoted_header() {
    let packet = ipv6().udp((1000, 2000), b"x");
    let mut wire = Wire::new();
    wire.state(&packet);
    let mut about = |kind: u8, quoted: &[u8]| {
        wire.state(&error("fd00:9::9", "fd00:1::2", kind, quoted, quoted.len()))
    };
    for kind in [0, 1, 2, 3, 4, 5, 100, 127] {
        assert_eq!(about(kind, &packet), ABOUT_ORIGINAL, "type {kind}");
    }
    assert_eq!(about(1, &packet[..44]), ABOUT_ORIGINAL);
    assert_eq!(about(1, &packet[..43]), INVALID);
    assert_eq!(about(1, &packet[..39]), INVALID);
    let with = |next: u8, extension: [u8; 8]| {
        let mut quoted = packet[..40].to_vec();
        quoted[6] = next;
        quoted.extend(extension);
        quoted.extend(&packet[40..]);
        quoted
    };
    assert_eq!(about(1, &with(0, [17, 0, 1, 4, 0, 0, 0, 0])), ABOUT_ORIGINAL, "hop-by-hop");
    assert_eq!(about(1, &with(44, [17, 0, 0, 0, 0, 0, 0, 1])), ABOUT_ORIGINAL, "first fragment");
    assert_eq!(about(1, &with(44, [17, 0, 0, 8, 0, 0, 0, 1])), INVALID, "later fragment");
}

#[test]
fn icmpv6_redirects_come_from_a_router_on_the_link() {
    let packet = ipv6().udp((1000, 2000), b"x");
    let mut wire = Wire::new();
    wire.state(&packet);
    let mut redirect = |from: &str, hop_limit: u8, code: u8, option: &[u8]| {
        let mut body = [0; 32].to_vec();
        body.extend(option);
        body.extend(&packet);
        let mut message = Peers::new(from, "fd00:1::2").icmp(137, code, 0, &body);
        message[7] = hop_limit;
        wire.state(&message)
    };
    let quotes = [4, 7, 0, 0, 0, 0, 0, 0];
    assert_eq!(redirect("fe80::9", 255, 0, &quotes), ABOUT_ORIGINAL);
    assert_eq!(redirect("febf::9", 255, 0, &quotes), ABOUT_ORIGINAL);
    assert_eq!(redirect("fec0::9", 255, 0, &quotes), INVALID);
    assert_eq!(redirect("fe80::9", 64, 0, &quotes), INVALID);
    assert_eq!(redirect("fe80::9", 255, 1, &quotes), INVALID);
    assert_eq!(redirect("fe80::9", 255, 0, &[4, 0, 0, 0, 0, 0, 0, 0]), INVALID);
    assert_eq!(redirect("fe80::9", 255, 0, &[2, 1, 0, 0, 0, 0, 0, 0]), INVALID);
}

#[test]
fn a_wrong_checksum_is_invalid_even_where_nothing_is_tracked() {
    let reason = |packet: &[u8]| {
        let tracked = Wire::new().send(packet).expect("it arrives");
        tracked.invalid.map(|invalid| invalid.reason)
    };
    let mut solicitation = ipv6().icmp(135, 0, 0, &[0; 16]);
    assert_eq!(reason(&solicitation), None);
    solicitation[60] ^= 1;
    assert_eq!(reason(&solicitation), Some(Reason::BadChecksum));
    let mut echo = ipv4().icmp(8, 0, 0, b"x");
    echo[28] ^= 1;
    assert_eq!(reason(&echo), Some(Reason::BadChecksum));
    assert_eq!(reason(&ipv4().packet(1, &[8, 0, 0, 0, 0, 0, 0])), Some(Reason::Short));
    assert_eq!(reason(&ipv4().icmp(19, 0, 0, b"")), Some(Reason::IcmpUnknown));
    assert_eq!(reason(&ipv4().icmp(3, 3, 0, b"")), Some(Reason::IcmpErrorUntracked));
}
