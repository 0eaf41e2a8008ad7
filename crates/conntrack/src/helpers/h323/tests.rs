//! What Linux 6.18 made of these messages, each the first of its connection, from 10.1.0.2 to
//! 10.2.0.2.

use crate::helpers;
use crate::testing::{Peers, Wire};
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
