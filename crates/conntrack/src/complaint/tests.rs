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
