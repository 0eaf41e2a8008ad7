use crate::testing::{check, send};
use crate::verdict::{RejectWith, Verdict};
use alloc::format;
use alloc::vec::Vec;
use keepstate_conntrack::Hook;
use keepstate_packet::Family::V6;

#[test]
fn texts() {
    check(
        V6,
        "mangle",
        "POSTROUTING",
        &[
            (
                "-j SNPT --src-pfx dead::/64 --dst-pfx 1c3::/64",
                "=",
                " SNPT src-pfx dead::/64 dst-pfx 1c3::/64",
                "=",
            ),
            (
                "-j SNPT --src-pfx dead::/ffff:: --dst-pfx 1c3::/0x34",
                "-j SNPT --src-pfx dead::/16 --dst-pfx 1c3::/52",
                " SNPT src-pfx dead::/16 dst-pfx 1c3::/52",
                "=",
            ),
            (
                "-j SNPT --src-pfx ::/0 --dst-pfx 1c3::/64",
                "-j SNPT --dst-pfx 1c3::/64",
                " SNPT src-pfx ::/0 dst-pfx 1c3::/64",
                "=",
            ),
            ("-j SNPT --src-pfx dead::1/64 --dst-pfx 1c3::/64", "", "", ""),
            ("-j SNPT --src-pfx dead::beef --dst-pfx 1c3::/64", "", "", ""),
            ("-j SNPT --src-pfx dead::/65 --dst-pfx 1c3::/65", "", "", ""),
            ("-j SNPT --src-pfx dead::/129 --dst-pfx 1c3::/64", "", "", ""),
            ("-j SNPT --src-pfx dead::/64", "", "", ""),
            ("-j DNPT --src-pfx dead::/64 --dst-pfx 1c3::/64", "", "", ""),
        ],
    );
    let rule = "-j DNPT --src-pfx dead::/64 --dst-pfx 1c3::/64";
    check(V6, "mangle", "OUTPUT", &[(rule, "=", " DNPT src-pfx dead::/64 dst-pfx 1c3::/64", "=")]);
}

fn packet(source: [u16; 8], destination: [u16; 8]) -> Vec<u8> {
    let mut packet = Vec::from([0x60, 0, 0, 0, 0, 0, 59, 64]);
    packet.extend(source.iter().chain(&destination).flat_map(|word| word.to_be_bytes()));
    packet
}

const OTHER: [u16; 8] = [0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 1];

/// RFC 6296, 2.5: FD01:0203:0405::/48 and 2001:0DB8:0001::/48.
#[test]
fn the_example_of_the_rfc() {
    let inside = [0xfd01, 0x203, 0x405, 1, 0, 0, 0, 0x1234];
    let outside = [0x2001, 0xdb8, 1, 0xd550, 0, 0, 0, 0x1234];
    let prefixes = ["fd01:203:405::/48", "2001:db8:1::/48"];
    let rule = format!("-j SNPT --src-pfx {} --dst-pfx {}", prefixes[0], prefixes[1]);
    let after = send("mangle", Hook::Postrouting, &rule, &packet(inside, OTHER));
    assert_eq!(after.bytes, packet(outside, OTHER));
    let rule = format!("-j DNPT --src-pfx {} --dst-pfx {}", prefixes[1], prefixes[0]);
    let after = send("mangle", Hook::Prerouting, &rule, &packet(OTHER, outside));
    assert_eq!(after.bytes, packet(OTHER, inside));
}

#[test]
fn long_prefixes_change_the_identifier_where_it_is_not_all_ones() {
    let rule = "-j SNPT --src-pfx fd01:203:405:6::/64 --dst-pfx 2001:db8:1:2::/64";
    let inside = [0xfd01, 0x203, 0x405, 6, 0xffff, 5, 0, 1];
    let after = send("mangle", Hook::Postrouting, rule, &packet(inside, OTHER));
    assert_eq!(after.bytes, packet([0x2001, 0xdb8, 1, 2, 0xffff, 0xd558, 0, 1], OTHER));
    let full = [0xfd01, 0x203, 0x405, 6, 0xffff, 0xffff, 0xffff, 0xffff];
    let after = send("mangle", Hook::Postrouting, rule, &packet(full, OTHER));
    assert_eq!(after.verdict, Verdict::Reject(RejectWith::Icmpv6HeaderField(8)));
}

#[test]
fn what_an_error_quotes_is_translated_the_other_way_round() {
    let rule = "-j SNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48";
    let inside = [0xfd01, 0x203, 0x405, 1, 0, 0, 0, 0x1234];
    let outside = [0x2001, 0xdb8, 1, 0xd550, 0, 0, 0, 0x1234];
    let message = |kind, source, quoted| {
        let mut bytes = packet(source, OTHER);
        (bytes[5], bytes[6]) = (48, 58);
        bytes.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(packet(OTHER, quoted));
        bytes
    };
    let translated = |kind, quoted| {
        send("mangle", Hook::Postrouting, rule, &message(kind, inside, quoted)).bytes
    };
    for error in 1..=4 {
        assert_eq!(translated(error, inside), message(error, outside, outside));
        assert_eq!(translated(error, OTHER), message(error, outside, OTHER));
    }
    for other in [0, 5, 100, 127, 128] {
        assert_eq!(translated(other, inside), message(other, outside, inside));
    }
    let behind_options = |source, quoted| {
        let mut bytes = message(1, source, quoted);
        (bytes[5], bytes[6]) = (bytes[5] + 8, 0);
        bytes.splice(40..40, [58, 0, 1, 4, 0, 0, 0, 0]);
        bytes
    };
    let after = send("mangle", Hook::Postrouting, rule, &behind_options(inside, inside));
    assert_eq!(after.bytes, behind_options(outside, inside));
}
