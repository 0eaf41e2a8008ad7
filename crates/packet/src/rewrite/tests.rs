use super::*;
use crate::checksum::{Verified, fill, ipv4_header_valid, verify};
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

const PROTOCOLS: [u8; 5] = [6, 17, 1, 58, 132];

fn packet(family: Family, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let [high, low] =
        (segment.len() as u16 + if family == Family::V4 { 20 } else { 0 }).to_be_bytes();
    let mut bytes = match family {
        Family::V4 => {
            std::vec![
                0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7
            ]
        }
        Family::V6 => {
            let mut head = std::vec![0x60, 0, 0, 0, high, low, protocol, 64];
            head.extend((0..32).map(|i| i * 7));
            head
        }
    };
    bytes.extend(segment);
    let parsed = Parsed::new(&bytes).unwrap();
    fill(&parsed, &mut bytes);
    bytes
}

/// The parsed value follows the bytes, and the checksums say what they said.
fn in_step(parsed: &Parsed, bytes: &[u8], before: Verified) {
    assert_eq!(Parsed::new(bytes), Ok(*parsed));
    assert_eq!(verify(parsed, bytes), before);
    assert!(parsed.family == Family::V6 || ipv4_header_valid(bytes));
}

#[test]
fn ttl_runs_down_to_one() {
    for family in [Family::V4, Family::V6] {
        let mut bytes = packet(family, 17, &[1; 12]);
        let mut parsed = Parsed::new(&bytes).unwrap();
        for left in (1..64).rev() {
            assert!(decrement_ttl(&mut parsed, &mut bytes));
            assert_eq!(parsed.ttl, left);
            in_step(&parsed, &bytes, Verified::Valid);
        }
        let last = bytes.clone();
        assert!(!decrement_ttl(&mut parsed, &mut bytes));
        set_ttl(&mut parsed, &mut bytes, 0);
        assert!(!decrement_ttl(&mut parsed, &mut bytes));
        set_ttl(&mut parsed, &mut bytes, 1);
        assert_eq!(bytes, last);
    }
}

#[test]
fn udp_without_checksum_stays_without() {
    let mut bytes = packet(Family::V4, 17, &[1; 12]);
    bytes[26..28].fill(0);
    let mut parsed = Parsed::new(&bytes).unwrap();
    set_address(&mut parsed, &mut bytes, End::Source, Address::v4([10, 0, 0, 1]));
    set_port(&mut parsed, &mut bytes, End::Destination, 4242);
    in_step(&parsed, &bytes, Verified::Absent);
}

#[test]
fn a_fragment_changes_its_addresses_alone() {
    let mut bytes = packet(Family::V4, 17, &[1; 12]);
    bytes[7] = 5;
    checksum::fill_ipv4_header(&mut bytes);
    let data = bytes[20..].to_vec();
    let mut parsed = Parsed::new(&bytes).unwrap();
    set_address(&mut parsed, &mut bytes, End::Source, Address::v4([10, 0, 0, 1]));
    set_port(&mut parsed, &mut bytes, End::Source, 4242);
    set_l4_bytes(&mut parsed, &mut bytes, 0, &[7; 4]);
    assert_eq!(bytes[20..], data);
    in_step(&parsed, &bytes, Verified::NotApplicable);
}

#[test]
fn bytes_that_do_not_fit_are_not_written() {
    let mut bytes = packet(Family::V4, 17, &[1; 12]);
    bytes.extend([0; 6]);
    let before = bytes.clone();
    let mut parsed = Parsed::new(&bytes).unwrap();
    set_l4_bytes(&mut parsed, &mut bytes, 9, &[9; 4]);
    set_l4_bytes(&mut parsed, &mut bytes, usize::MAX, &[9; 4]);
    assert_eq!(bytes, before);
}

#[test]
fn udp_lite_outside_its_coverage() {
    let mut segment = [1; 16];
    segment[4..6].copy_from_slice(&[0, 11]);
    let mut bytes = packet(Family::V4, 136, &segment);
    let mut parsed = Parsed::new(&bytes).unwrap();
    set_l4_bytes(&mut parsed, &mut bytes, 9, &[9; 5]);
    let mut expected = bytes.clone();
    fill(&parsed, &mut expected);
    assert_eq!(bytes, expected);
    assert_eq!(bytes[29..34], [9; 5]);
}

proptest! {
    /// Both at once is one after the other.
    #[test]
    fn an_end_is_its_port_and_its_address(
        segment in vec(any::<u8>(), 0..48),
        is_v4: bool,
        protocol in prop::sample::select(&PROTOCOLS[..]),
        is_source: bool,
        address: [u8; 16],
        port: u16,
        sum: Option<bool>,
    ) {
        let family = if is_v4 { Family::V4 } else { Family::V6 };
        let mut at_once = packet(family, protocol, &segment);
        let at = if is_v4 { 20 } else { 40 } + if protocol == 17 { 6 } else { 16 };
        if let (Some(full), Some(field)) = (sum, at_once.get_mut(at..at + 2)) {
            field.fill(if full { 0xff } else { 0 });
        }
        let mut one_by_one = at_once.clone();
        let end = if is_source { End::Source } else { End::Destination };
        let [a, b, c, d, ..] = address;
        let address = if is_v4 { Address::v4([a, b, c, d]) } else { Address::v6(address) };
        let mut parsed = [Parsed::new(&at_once).unwrap(); 2];
        set_end(&mut parsed[0], &mut at_once, end, address, port);
        set_port(&mut parsed[1], &mut one_by_one, end, port);
        set_address(&mut parsed[1], &mut one_by_one, end, address);
        prop_assert_eq!(at_once, one_by_one);
        prop_assert_eq!(parsed[0], parsed[1]);
    }

    #[test]
    fn everything_stays_in_step(
        v6: bool,
        protocol in (0usize..5).prop_map(|i| PROTOCOLS[i]),
        segment in vec(any::<u8>(), 20..60),
        address: [u8; 16],
        port: u16,
        octet: u8,
        at in 20usize..58,
        new in vec(any::<u8>(), 0..6),
    ) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let mut bytes = packet(family, protocol, &segment);
        let mut parsed = Parsed::new(&bytes).unwrap();
        let before = verify(&parsed, &bytes);
        let mut address = address;
        if family == Family::V4 {
            address[4..].fill(0);
        }
        for end in [End::Source, End::Destination] {
            set_address(&mut parsed, &mut bytes, end, Address(address));
            in_step(&parsed, &bytes, before);
            set_port(&mut parsed, &mut bytes, end, port);
            in_step(&parsed, &bytes, before);
        }
        set_icmp_identifier(&mut parsed, &mut bytes, port);
        set_tos(&mut parsed, &mut bytes, octet);
        set_ttl(&mut parsed, &mut bytes, octet);
        set_l4_bytes(&mut parsed, &mut bytes, at, &new);
        in_step(&parsed, &bytes, before);
        prop_assert_eq!((parsed.tos, parsed.ttl), (octet, octet));
    }
}
