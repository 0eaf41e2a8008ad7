use crate::testing::{check, send};
use keepstate_conntrack::Hook;
use keepstate_packet::Family::{V4, V6};

#[test]
fn texts() {
    check(
        V4,
        "filter",
        "INPUT",
        &[
            (
                "-j HMARK --hmark-tuple SRC,ct --hmark-mod 1 --hmark-rnd 1 --hmark-offset 16",
                "-j HMARK --hmark-src-prefix 32 --hmark-rnd 0x00000001 --hmark-mod 1 --hmark-offset 16 \
                 --hmark-tuple ct",
                " HMARK mod 1 + 0x10 ct, src-prefix 32 rnd 0x1 ",
                "=",
            ),
            (
                "-j HMARK --hmark-dst-prefix 255.0.255.0 --hmark-sport-mask 1 --hmark-dport 4 \
                 --hmark-proto-mask 5 --hmark-rnd 6 --hmark-mod 7",
                "-j HMARK --hmark-dst-prefix 32 --hmark-sport-mask 0x0001 --hmark-dport 0x0004 \
                 --hmark-proto-mask 0x05 --hmark-rnd 0x00000006 --hmark-mod 7",
                " HMARK mod 7 dst-prefix 32 sport-mask 0x1 dport 0x4 proto-mask 0x5 rnd 0x6 ",
                "=",
            ),
            (
                "-j HMARK --hmark-tuple spi --hmark-spi 9 --hmark-mod 2 --hmark-rnd 1",
                "-j HMARK --hmark-spi-mask 0xffffffff --hmark-spi 0x00000009 --hmark-rnd 0x00000001 \
                 --hmark-mod 2",
                " HMARK mod 2 spi-mask 0xffffffff spi 0x9 rnd 0x1 ",
                "=",
            ),
            ("-j HMARK --hmark-tuple src --hmark-mod 2", "", "", ""),
            ("-j HMARK --hmark-tuple src --hmark-rnd 2", "", "", ""),
            ("-j HMARK --hmark-tuple src --hmark-mod 0 --hmark-rnd 2", "", "", ""),
            ("-j HMARK --hmark-mod 2 --hmark-rnd 2", "", "", ""),
            ("-j HMARK --hmark-tuple src, --hmark-mod 2 --hmark-rnd 2", "", "", ""),
            ("-j HMARK --hmark-tuple spi,dport --hmark-mod 2 --hmark-rnd 2", "", "", ""),
            ("-j HMARK --hmark-spi 1 --hmark-sport 1 --hmark-mod 2 --hmark-rnd 2", "", "", ""),
            (
                "-j HMARK --hmark-tuple src --hmark-src-prefix 24 --hmark-mod 2 --hmark-rnd 2",
                "",
                "",
                "",
            ),
        ],
    );
    check(
        V6,
        "mangle",
        "OUTPUT",
        &[(
            "-j HMARK --hmark-tuple src --hmark-dst-prefix ffff:: --hmark-mod 2 --hmark-rnd 1",
            "-j HMARK --hmark-src-prefix 128 --hmark-dst-prefix 16 --hmark-rnd 0x00000001 --hmark-mod 2",
            " HMARK mod 2 src-prefix  dst-prefix 16 rnd 0x1 ",
            "=",
        )],
    );
}

const RULE: &str =
    "-j HMARK --hmark-tuple src,dst,sport,dport,proto --hmark-mod 4294967295 --hmark-rnd 7";

fn datagram(there: bool, tail: &[u8]) -> [u8; 28] {
    let mut packet = [0; 28];
    let ports = if there { [4, 0, 0, 80] } else { [0, 80, 4, 0] };
    let ends = if there { [10, 0, 0, 1, 192, 0, 2, 1] } else { [192, 0, 2, 1, 10, 0, 0, 1] };
    packet[..12].copy_from_slice(&[0x45, 0, 0, 28, 0, 7, 0, 0, 64, 17, 0, 0]);
    packet[12..20].copy_from_slice(&ends);
    packet[20..24].copy_from_slice(&ports);
    packet[24..24 + tail.len()].copy_from_slice(tail);
    packet
}

#[test]
fn both_directions_and_the_error_get_one_mark() {
    let mark = |packet: &[u8]| send("mangle", Hook::Forward, RULE, packet).mark;
    let there = datagram(true, &[0, 8, 0, 0]);
    assert_ne!(mark(&there), 0);
    assert_eq!(mark(&there), mark(&datagram(false, &[0, 8, 9, 9])));
    let mut error = [0; 56];
    error[..12].copy_from_slice(&[0x45, 0, 0, 56, 0, 7, 0, 0, 64, 1, 0, 0]);
    error[12..20].copy_from_slice(&[172, 16, 0, 1, 10, 0, 0, 1]);
    (error[20], error[21]) = (3, 3);
    error[28..].copy_from_slice(&there);
    assert_eq!(mark(&error), mark(&there));
    // A fragment has no ports.
    let mut fragment = there;
    fragment[6] = 0x20;
    let mut other = fragment;
    other[20] = 77;
    assert_eq!(mark(&fragment), mark(&other));
    assert_ne!(mark(&fragment), mark(&there));
}

#[test]
fn what_an_icmpv6_error_quotes_has_to_say_that_it_is_ipv6() {
    let mut error = [0; 96];
    error[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 56, 58, 64]);
    error[40] = 1;
    error[48..56].copy_from_slice(&[0x60, 0, 0, 0, 0, 8, 17, 64]);
    let mark = |packet: &[u8]| send("mangle", Hook::Forward, RULE, packet).mark;
    assert_ne!(mark(&error), 0);
    error[48] = 0x40;
    assert_eq!(mark(&error), 0);
}

/// Found by comparing with the kernel.
#[test]
fn a_routing_header_of_less_than_four_bytes_breaks_the_chain() {
    let mut error = [0; 48 + 40 + 4];
    error[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 52, 58, 64]);
    error[40] = 1;
    error[48..56].copy_from_slice(&[0x60, 0, 0, 0, 0, 4, 43, 64]);
    error[88..].copy_from_slice(&[17, 4, 0, 0]);
    let mark = |packet: &[u8]| send("mangle", Hook::Forward, RULE, packet).mark;
    assert_ne!(mark(&error), 0);
    error[5] = 51;
    assert_eq!(mark(&error[..91]), 0);
}

#[test]
fn without_a_connection_ct_leaves_the_mark() {
    let rule = "-j HMARK --hmark-tuple ct,src --hmark-mod 9 --hmark-offset 5 --hmark-rnd 7";
    assert_eq!(send("mangle", Hook::Forward, rule, &datagram(true, &[])).mark, 0);
}
