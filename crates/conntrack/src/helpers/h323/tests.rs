//! What Linux 6.18 made of these messages, each the first of its connection, from 10.1.0.2 to
//! 10.2.0.2.

mod translated;

use crate::Sysctls;
use crate::helpers;
use crate::testing::{Peers, Wire};
use core::time::Duration;
use keepstate_packet::Family;
use std::vec::Vec;

/// Where a registration has the gatekeeper call.
const ADDRESS: [u8; 6] = [10, 1, 0, 2, 0x13, 0x8c];
/// terminalType and endpointVendor without anything optional.
const PLAIN: &[u8] = &[0x01, 0x00, 0x5f, 0xf9, 0xda, 0x15];

/// A RegistrationRequest with one address of each kind.
fn registration(extended: bool, middle: &[u8], additions: &[u8]) -> Vec<u8> {
    let first = if extended { 0x0e } else { 0x0c };
    let mut message = Vec::from([first, 0, 0, 1, 1, 0x2a, 0x80, 1, 0]);
    message.extend(ADDRESS);
    message.extend([1, 0]);
    message.extend(ADDRESS);
    message.extend(middle);
    message.extend(additions);
    message
}

/// Ports of the signalling connections that are expected behind a message of registration.
fn expected(message: &[u8]) -> Vec<u16> {
    let mut wire = Wire::new();
    wire.template.helper = helpers::Instance::named("RAS", Family::V4, 17);
    let packet = Peers::new("10.1.0.2", "10.2.0.2").udp((20_000, 1719), message);
    wire.send(&packet).expect("it arrives");
    let expectations = wire.table.expectations(wire.now);
    expectations.iter().map(|expectation| expectation.original.destination_port).collect()
}

#[test]
fn a_registration_announces_calls() {
    assert_eq!(expected(&registration(false, PLAIN, &[])), [5004]);
    let mut other = registration(false, PLAIN, &[]);
    other[12] = 3;
    assert!(expected(&other).is_empty(), "not the speaker's own address");
    let mut nothing = registration(false, PLAIN, &[]);
    nothing.pop();
    assert!(expected(&nothing).is_empty(), "cut");
}

/// 22 additions of which none is there: 21 are known, and nothing behind the third is looked at.
#[test]
fn nothing_is_read_behind_the_lifetime() {
    assert_eq!(expected(&registration(true, PLAIN, &[0x2a, 0, 0, 0])), [5004]);
    assert!(expected(&registration(true, PLAIN, &[0x40, 0, 0, 0, 0, 0])).is_empty(), "33");
}

/// H221NonStandard has no additions that Linux knows.
#[test]
fn unknown_additions_are_read_though_they_are_not_there() {
    let extended = &[0x01, 0x08, 0x5f, 0xf9, 0xda, 0x15, 0, 0];
    assert!(expected(&registration(false, &extended[..7], &[])).is_empty());
    assert_eq!(expected(&registration(false, extended, &[0])), [5004]);
}

/// Linux goes over the octets of a lifetime twice.
#[test]
fn a_lifetime_needs_its_octets_twice() {
    let additions = [0x02, 0x80, 0x05, 0xc0, 0x50, 0xde, 0xac, 0xc4];
    assert!(expected(&registration(true, PLAIN, &additions)).is_empty());
    let mut more = Vec::from(additions);
    more.extend([0; 4]);
    assert_eq!(expected(&registration(true, PLAIN, &more)), [5004]);
}

/// In ticks of the kernel, of which 32 bits count: of 4,018,875,680 seconds 15,966,160 are left.
#[test]
fn a_confirmed_lifetime_wraps() {
    let request = [
        0x0e, 0, 0xa2, 0xa0, 2, 2, 0xdb, 0x80, 1, 0, 10, 1, 0, 2, 0x13, 0x88, 1, 0, 10, 1, 0, 2,
        0x13, 0x88, 2, 0x80, 4, 0x2b, 0x84, 0xb5, 0xd9, 0x12, 0xb6, 0x4f, 0xf3, 0x14, 0x5c, 0x56,
        0x9a, 0xdb, 0x19, 0x87, 0x3e, 0x5c, 0x7d, 0x21, 0xfe, 0xfc, 0xcf, 0xa1, 0xc0, 0x67, 0x32,
        0xfb, 0xf5, 0x0a, 0xc8, 5, 0xc0, 0x1c, 0xb7, 0x7d, 0x22, 1, 0, 2, 0xdb, 0x73,
    ];
    let confirmation = [
        0x12, 0, 0x24, 0xf5, 6, 0xaf, 2, 0x34, 0x49, 0xf7, 0xf2, 0, 0x10, 0xc5, 0x92, 5, 0x9f,
        0xf3, 0xbb, 0x7b, 0x8d, 0x14, 0x25, 0xcd, 0x86, 0x6b, 0x58, 0x67, 0xec, 0xeb, 0x4c, 8,
        0xd0, 5, 0xc0, 0xef, 0x8b, 0x2d, 0x1f, 1, 0, 0x14, 0xa4, 0x5d, 0xa9, 0xfa, 0xd9, 0x78,
        0x77, 0x97, 0xaa, 0x9d, 2, 0x7e, 0xde, 0x1d, 0x16, 3, 0x6c, 0x7e, 0x71, 9,
    ];
    let mut sysctls = Sysctls::default();
    sysctls.set("nf_conntrack_h323.gkrouted_only", "0").expect("a parameter");
    let mut wire = Wire::with(sysctls);
    wire.template.helper = helpers::Instance::named("RAS", Family::V4, 17);
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    wire.send(&peers.udp((20_000, 1719), &request)).expect("it arrives");
    let left = |wire: &Wire| wire.table.expectations(wire.now)[0].timeout;
    assert_eq!(left(&wire), Some(Duration::from_secs(240)));
    wire.send(&peers.turned().udp((1719, 20_000), &confirmation)).expect("it arrives");
    assert_eq!(left(&wire), Some(Duration::from_millis(15_966_160_128)));
}
