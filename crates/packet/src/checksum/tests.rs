use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

/// RFC 1071 word by word: what everything else is compared with.
fn reference(bytes: &[u8]) -> u16 {
    let mut sum = 0u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

fn packet(family: Family, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let mut bytes = match family {
        Family::V4 => {
            let length = 20 + segment.len() as u16;
            let [high, low] = length.to_be_bytes();
            let head = [0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
            [&head[..], &[192, 0, 2, 1, 198, 51, 100, 7]].concat()
        }
        Family::V6 => {
            let [high, low] = (segment.len() as u16).to_be_bytes();
            let mut head = std::vec![0x60, 0, 0, 0, high, low, protocol, 64];
            head.extend((0..32).map(|i| i * 7));
            head
        }
    };
    bytes.extend(segment);
    bytes
}

fn verified(family: Family, protocol: u8, segment: &[u8]) -> Verified {
    let bytes = packet(family, protocol, segment);
    verify(&Parsed::new(&bytes).unwrap(), &bytes)
}

/// A packet with its checksums filled in.
fn filled(family: Family, protocol: u8, segment: &[u8]) -> (Parsed, Vec<u8>) {
    let mut bytes = packet(family, protocol, segment);
    let parsed = Parsed::new(&bytes).unwrap();
    fill(&parsed, &mut bytes);
    (Parsed::new(&bytes).unwrap(), bytes)
}

const UDP: [u8; 12] = [0x03, 0xe8, 0x07, 0xd0, 0, 12, 0, 0, b'a', b'b', b'c', b'd'];

#[test]
fn rfc1071_example() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(Sum::ZERO.bytes(&bytes).folded(), 0xddf2);
    assert_eq!(compute(&[]), 0xffff);
    assert_eq!(compute(&[0xff, 0xff]), 0);
}

#[test]
fn icmp_of_nothing_but_zeros_is_right() {
    for length in [8, 9, 30, 100] {
        let mut message = std::vec![0; length];
        assert_eq!(verified(Family::V4, 1, &message), Verified::Valid);
        *message.last_mut().unwrap() = 1;
        assert_eq!(verified(Family::V4, 1, &message), Verified::Wrong);
        message[length - 1] = 0;
        message[2..4].fill(0xff);
        assert_eq!(verified(Family::V4, 1, &message), Verified::Valid);
    }
}

#[test]
fn udp_as_conntrack_takes_it() {
    for family in [Family::V4, Family::V6] {
        assert_eq!(verified(family, 17, &UDP), Verified::Absent);
        let (parsed, bytes) = filled(family, 17, &UDP);
        assert_eq!(verify(&parsed, &bytes), Verified::Valid);
        let mut wrong = bytes.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(verify(&parsed, &wrong), Verified::Wrong);
        // The sum goes over the IP payload even where UDP's length ends before.
        let mut short = UDP;
        short[5] = 9;
        let (parsed, bytes) = filled(family, 17, &short);
        assert_eq!(verify(&parsed, &bytes), Verified::Valid);
    }
}

#[test]
fn offloaded_checksums_are_told_from_wrong_ones() {
    let mut tcp = [0; 24];
    tcp[12] = 0x50;
    let mut icmpv6 = [0; 8];
    icmpv6[0] = 128;
    for (protocol, segment, at) in [(6, &tcp[..], 16), (17, &UDP[..], 6), (58, &icmpv6[..], 2)] {
        let families: &[Family] =
            if protocol == 58 { &[Family::V6] } else { &[Family::V4, Family::V6] };
        for family in families {
            let parsed = Parsed::new(&packet(*family, protocol, segment)).unwrap();
            let pseudo = Sum::pseudo_header(&parsed, protocol, segment.len() as u32).folded();
            let mut segment = segment.to_vec();
            segment[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
            assert_eq!(verified(*family, protocol, &segment), Verified::Offloaded);
            segment[at + 1] ^= 1;
            assert_eq!(verified(*family, protocol, &segment), Verified::Wrong);
        }
    }
}

#[test]
fn udp_lite_as_conntrack_takes_it() {
    for family in [Family::V4, Family::V6] {
        for (coverage, covered) in [(0, 12), (8, 8), (9, 9), (12, 12)] {
            let mut segment = UDP;
            segment[4..6].copy_from_slice(&u16::to_be_bytes(coverage));
            let (parsed, bytes) = filled(family, 136, &segment);
            assert_eq!(verify(&parsed, &bytes), Verified::Wrong, "right by RFC 3828");
            let pseudo = Sum::pseudo_header(&parsed, 17, 12);
            let checksum = pseudo.bytes(&segment[..covered]).checksum();
            segment[6..8].copy_from_slice(&checksum.to_be_bytes());
            assert_eq!(verified(family, 136, &segment), Verified::Valid);
            segment[covered - 1] ^= 1;
            assert_eq!(verified(family, 136, &segment), Verified::Wrong);
        }
        for coverage in [7, 13] {
            let mut segment = UDP;
            (segment[5], segment[7]) = (coverage, 1);
            assert_eq!(verified(family, 136, &segment), Verified::Wrong);
        }
        assert_eq!(verified(family, 136, &UDP), Verified::Wrong, "none at all");
    }
}

#[test]
fn icmp_has_no_pseudo_header_and_belongs_to_its_family() {
    let echo = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    assert_eq!(verified(Family::V4, 1, &echo), Verified::Valid);
    assert_eq!(verified(Family::V4, 1, &[8, 0, 0xf7, 0xfc, 0, 1, 0, 1]), Verified::Wrong);
    assert_eq!(verified(Family::V6, 1, &echo), Verified::NotApplicable);
    assert_eq!(verified(Family::V4, 58, &echo), Verified::NotApplicable);
    assert_eq!(verified(Family::V6, 58, &echo), Verified::Wrong);
}

#[test]
fn sctp_crc() {
    assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
    let (parsed, mut bytes) = filled(Family::V4, 132, &[1; 24]);
    assert_eq!(verify(&parsed, &bytes), Verified::Valid);
    bytes[43] ^= 1;
    assert_eq!(verify(&parsed, &bytes), Verified::Wrong);
    assert_eq!(verified(Family::V4, 132, &[1; 11]), Verified::NotApplicable);
}

#[test]
fn later_fragments_are_not_verified() {
    let mut bytes = packet(Family::V4, 17, &UDP);
    bytes[26] = 1;
    for (flags, offset, verified) in
        [([0x20, 0], 0, Verified::Wrong), ([0, 1], 8, Verified::NotApplicable)]
    {
        bytes[6..8].copy_from_slice(&flags);
        let parsed = Parsed::new(&bytes).unwrap();
        assert_eq!(parsed.fragment.map(|fragment| fragment.offset), Some(offset));
        assert_eq!(verify(&parsed, &bytes), verified);
    }
}

#[test]
fn ipv4_header() {
    let (_, mut bytes) = filled(Family::V4, 17, &UDP);
    assert!(ipv4_header_valid(&bytes));
    assert!(!ipv4_header_valid(&bytes[..19]));
    bytes[8] -= 1;
    assert!(!ipv4_header_valid(&bytes));
    bytes[0] = 0x47;
    fill_ipv4_header(&mut bytes);
    assert!(ipv4_header_valid(&bytes));
    assert!(!ipv4_header_valid(&bytes[..27]));
    bytes[0] = 0x44;
    assert!(!ipv4_header_valid(&bytes));
}

#[test]
fn udp_never_writes_zero_for_a_checksum() {
    assert_eq!(Change::NONE.apply_udp(0), 0);
    let to_zero = Change::NONE.number(0, 0x1234);
    assert_eq!(to_zero.apply(0x1234), 0);
    assert_eq!(to_zero.apply_udp(0x1234), 0xffff);
    let mut segment = [0; 8];
    segment[5] = 8;
    let bytes = packet(Family::V4, 17, &segment);
    let pseudo = Sum::pseudo_header(&Parsed::new(&bytes).unwrap(), 17, 8).number(8).checksum();
    segment[..2].copy_from_slice(&pseudo.to_be_bytes());
    let (parsed, bytes) = filled(Family::V4, 17, &segment);
    assert_eq!(bytes[26..28], [0xff, 0xff]);
    assert_eq!(verify(&parsed, &bytes), Verified::Valid);
}

proptest! {
    #[test]
    fn sums_are_as_word_by_word(bytes in vec(any::<u8>(), 0..200), cut in 0usize..100) {
        prop_assert_eq!(compute(&bytes), reference(&bytes));
        let cut = (cut * 2).min(bytes.len());
        let sum = Sum::ZERO.bytes(&bytes[..cut]).bytes(&bytes[cut..]);
        prop_assert_eq!(sum.checksum(), reference(&bytes));
    }

    #[test]
    fn sums_of_extreme_octets(bytes in vec(prop_oneof![Just(0u8), Just(0xff)], 0..80)) {
        prop_assert_eq!(compute(&bytes), reference(&bytes));
    }

    /// Incremental and full agree for every message that is not all zero (then one's complement has
    /// two ways to write the sum, and no header is all zero).
    #[test]
    fn incremental_is_full(
        mut bytes in vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 4..64),
        at in 0usize..32,
        new in vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 2..8),
    ) {
        bytes[0] |= 1;
        let new = &new[..new.len() & !1];
        let at = (2 + at * 2).min((bytes.len() - 2) & !1);
        let end = (at + new.len()).min(bytes.len() & !1);
        let before = compute(&bytes);
        let old = bytes[at..end].to_vec();
        bytes[at..end].copy_from_slice(&new[..end - at]);
        let change = Change::NONE.bytes(&old, &new[..end - at]);
        prop_assert_eq!(change.apply(before), compute(&bytes));
    }

    #[test]
    fn sixteen_bits_change_as_bytes_do(checksum: u16, old: u16, new: u16) {
        let bytes = Change::NONE.bytes(&old.to_be_bytes(), &new.to_be_bytes()).apply(checksum);
        let number = Change::NONE.number(old, new).apply(checksum);
        // 0 and 0xffff are one value in one's complement.
        prop_assert_eq!(bytes % 0xffff, number % 0xffff);
    }

    #[test]
    fn what_is_filled_verifies(
        family in prop_oneof![Just(Family::V4), Just(Family::V6)],
        protocol in prop_oneof![Just(6u8), Just(17), Just(58), Just(1), Just(132)],
        segment in vec(any::<u8>(), 20..90),
    ) {
        let (parsed, bytes) = filled(family, protocol, &segment);
        let foreign = matches!((family, protocol), (Family::V4, 58) | (Family::V6, 1));
        let expected = if foreign { Verified::NotApplicable } else { Verified::Valid };
        prop_assert_eq!(verify(&parsed, &bytes), expected);
    }
}
