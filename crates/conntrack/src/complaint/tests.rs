//! Complaints as Linux 6.18 logged them for the same packets.

use crate::Sysctls;
use crate::testing::{Peers, Wire, udp};
use keepstate_packet::tcp::{ACK, FIN, RST, SYN};
use std::vec::Vec;

fn peers() -> Peers {
    Peers::new("10.1.0.2", "10.2.0.2")
}

fn wire(log_invalid: u8) -> Wire {
    Wire::with(Sysctls { log_invalid, ..Sysctls::default() })
}

fn complaint(wire: &mut Wire, packet: &[u8]) -> std::string::String {
    let _ = wire.send(packet);
    wire.table.take_complaints()
}

#[test]
fn of_packets_by_themselves() {
    let cases: [(&str, Vec<u8>); 6] = [
        (
            "nf_ct_proto_6: invalid tcp flag combination \n",
            peers().tcp((1, 2), SYN | FIN, (1, 0), b""),
        ),
        ("nf_ct_proto_6: invalid new \n", peers().tcp((1, 2), RST, (1, 0), b"")),
        (
            "nf_ct_proto_17: truncated/malformed packet \n",
            peers().unfinished(17, &udp((1, 2), 7, b"")),
        ),
        ("nf_ct_proto_1: invalid icmp type \n", peers().icmp(19, 0, 0, b"")),
        ("", peers().icmp(0, 0, 0, b"")),
        ("", peers().udp((1, 2), b"")),
    ];
    for (expected, packet) in cases {
        assert_eq!(complaint(&mut wire(super::ALL), &packet), expected);
    }
}

/// Behind the two addresses of a redirect: an option whose length is missing or zero, and options
/// that are only cut.
#[test]
fn of_redirects() {
    let without = "nf_ct_proto_58: redirect without options \n";
    let cases: [(&[u8], &str); 8] = [
        (&[], without),
        (&[4], without),
        (&[4, 0], without),
        (&[0x40, 0, 0, 0, 0, 0, 0, 0], without),
        (&[4, 1], ""),
        (&[0x40, 0xfd], ""),
        (&[4, 1, 0, 0, 0, 0, 0], ""),
        (&[0x40, 1, 0, 0, 0, 0, 0, 0], ""),
    ];
    for (options, expected) in cases {
        let peers = Peers::new("fe80::1", "2001:db8::5");
        let mut packet = peers.icmp(137, 0, 0, &[&[0; 32], options].concat());
        packet[7] = 255;
        assert_eq!(complaint(&mut wire(super::ALL), &packet), expected, "{options:?}");
    }
}

#[test]
fn of_segments_of_a_connection() {
    let mut wire = wire(6);
    let (there, back) = (peers(), peers().turned());
    assert_eq!(complaint(&mut wire, &there.tcp((1, 2), SYN, (99, 0), b"")), "");
    assert_eq!(complaint(&mut wire, &back.tcp((2, 1), SYN | ACK, (499, 100), b"")), "");
    assert_eq!(complaint(&mut wire, &there.tcp((1, 2), ACK, (100, 500), b"")), "");
    assert_eq!(
        complaint(&mut wire, &there.tcp((1, 2), ACK, (100, 501), b"")),
        "nf_ct_proto_6: ACK is over upper bound 501 (ACKed data not seen yet) \n"
    );
    assert_eq!(
        complaint(&mut wire, &there.tcp((1, 2), SYN, (100, 0), b"")),
        "nf_ct_proto_6: packet (index 0) in dir 0 ignored, state ESTABLISHED \n"
    );
    assert_eq!(
        complaint(&mut wire, &there.tcp((1, 2), SYN | ACK, (100, 500), b"")),
        "nf_ct_proto_6: packet (index 1) in dir 0 invalid, state ESTABLISHED \n"
    );
}

#[test]
fn of_no_protocol_but_the_one_that_is_asked_for() {
    let segment = peers().tcp((1, 2), SYN | FIN, (1, 0), b"");
    assert_eq!(complaint(&mut wire(0), &segment), "");
    assert_eq!(complaint(&mut wire(17), &segment), "");
    assert_ne!(complaint(&mut wire(6), &segment), "");
}

#[test]
fn of_an_error_that_goes_elsewhere() {
    for (ends, other, expected) in [
        (
            ["10.1.0.2", "10.2.0.2"],
            "10.1.0.9",
            "nf_ct_proto_1: outer daddr 10.1.0.9 != inner 10.1.0.2 \n",
        ),
        (
            ["fd00::1", "fd00::2"],
            "fd00::9",
            "nf_ct_proto_58: outer daddr fd00:0000:0000:0000:0000:0000:0000:0009 != inner \
             fd00:0000:0000:0000:0000:0000:0000:0001 \n",
        ),
    ] {
        let mut wire = wire(super::ALL);
        let packet = Peers::new(ends[0], ends[1]).udp((1, 2), b"x");
        assert_eq!(complaint(&mut wire, &packet), "");
        let kind = if ends[0].contains(':') { 1 } else { 3 };
        let error = Peers::new(ends[1], other).icmp(kind, 1, 0, &packet);
        assert_eq!(complaint(&mut wire, &error), expected);
    }
}

/// An SCTP packet whose checksum is not looked at.
fn sctp(peers: Peers, tag: u32, chunks: &[u8]) -> Vec<u8> {
    let header = [&[4, 1, 11, 89][..], &tag.to_be_bytes(), &[0; 4]].concat();
    peers.unfinished(132, &[&header, chunks].concat())
}

#[test]
fn of_chunks() {
    let cases: [(&str, u32, &[u8]); 5] = [
        (
            "do_basic_checks failed. chunk num 1, type 10, len 3072 flag 0",
            1,
            &[11, 0, 0, 4, 10, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        (
            "do_basic_checks failed. chunk num 1, type 132, len 1024 flag 1",
            1,
            &[14, 0, 0, 4, 132, 0, 0, 4],
        ),
        ("do_basic_checks failed. chunk num 0, type 3, len 0 flag 0", 1, &[3, 0, 0, 0]),
        ("", 1, &[]),
        ("", 1, &[6, 0, 0, 4]),
    ];
    for (expected, tag, chunks) in cases {
        let mut wire = wire(132);
        wire.table.sysctls_mut().checksum = false;
        let said = complaint(&mut wire, &sctp(peers(), tag, chunks));
        let line = std::format!("nf_ct_proto_132: {expected} \n");
        assert_eq!(said, if expected.is_empty() { "" } else { &line });
    }
    let mut wire = wire(132);
    let bad = sctp(peers(), 1, &[3, 0, 0, 4]);
    assert_eq!(complaint(&mut wire, &bad), "nf_ct_proto_132: nf_ct_sctp: bad CRC \n");
    let short = peers().unfinished(132, &[4, 1, 11, 89, 0, 0, 0, 1]);
    assert_eq!(complaint(&mut wire, &short), "nf_ct_proto_132: nf_ct_sctp: short packet \n");
}

#[test]
fn of_a_tag_and_of_a_chunk_that_the_state_has_no_place_for() {
    let mut wire = wire(132);
    wire.table.sysctls_mut().checksum = false;
    let heartbeat = sctp(peers(), 7, &[4, 0, 0, 4]);
    assert_eq!(complaint(&mut wire, &heartbeat), "");
    let foreign = sctp(peers(), 0x0102_0304, &[3, 0, 0, 4]);
    assert_eq!(
        complaint(&mut wire, &foreign),
        "nf_ct_proto_132: verification tag check failed 4030201 vs 7000000 for dir 0 \n"
    );
    let mut init = std::vec![1, 0, 0, 20, 0, 0, 0, 9];
    init.extend([0; 12]);
    let turned = [&[11, 89, 4, 1][..], &[0; 8], &init].concat();
    assert_eq!(
        complaint(&mut wire, &peers().turned().unfinished(132, &turned)),
        "nf_ct_proto_132: Invalid, old_state 8, dir 1, type 1 \n"
    );
}

#[test]
fn of_what_helpers_drop_whatever_is_asked_for() {
    let mut wire = wire(0);
    let ftp = crate::helpers::Instance::named("ftp-2121", keepstate_packet::Family::V4, 6);
    crate::helpers::ftp::testing::control_of(&mut wire, ftp);
    assert_eq!(wire.table.take_complaints(), "");
    let part =
        Peers::new("10.1.0.2", "10.2.0.2").tcp((20_001, 21), ACK, (1009, 9009), b"PORT 1\r\n");
    assert_eq!(
        complaint(&mut wire, &part),
        "nf_ct_ftp-2121: dropping packet: partial matching of `PORT' \n"
    );
}

#[test]
fn they_are_lost_when_nobody_takes_them() {
    let mut wire = wire(6);
    let segment = peers().tcp((1, 2), SYN | FIN, (1, 0), b"");
    let line = complaint(&mut wire, &segment).len();
    let most = super::COMPLAINTS_MAX.div_ceil(line);
    for _ in 0..most + 3 {
        let _ = wire.send(&segment);
    }
    assert_eq!(wire.table.take_complaints().lines().count(), most);
    assert_eq!(complaint(&mut wire, &segment).len(), line, "there is room again");
}
