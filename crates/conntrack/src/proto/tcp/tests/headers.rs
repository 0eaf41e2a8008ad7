//! Checks before any connection: lengths, flags, options.

use super::super::options;
use super::*;
use keepstate_packet::Parsed;
use keepstate_packet::tcp::{CWR, ECE, PSH, URG};

/// An IPv4 packet with this TCP header and payload; checksums are not looked at here.
fn ipv4(tcp: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + tcp.len()).expect("short").to_be_bytes();
    let mut bytes = vec![0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, 6, 0, 0];
    bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend(tcp);
    bytes
}

fn tcp(header_words: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut tcp = vec![4, 0, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, header_words << 4, flags, 1, 2];
    tcp.extend([0, 0, 0, 0]);
    tcp.extend(rest);
    tcp
}

fn read(bytes: &[u8], checksum_ok: bool) -> Result<Segment<'_>, Reason> {
    let parsed = Parsed::new(bytes).expect("an IP packet");
    Segment::new(&parsed, bytes, checksum_ok).map_err(|invalid| invalid.reason)
}

#[test]
fn a_segment_is_read_from_its_packet() {
    let mut bytes = ipv4(&tcp(6, FIN | ACK, &[1, 1, 1, 0, b'h', b'i']));
    bytes.push(0xFF); // padding of the link
    let expected = Segment {
        sequence: 7,
        end: 10,
        ack: 9,
        window: 0x102,
        flags: FIN | ACK,
        kind: Kind::Fin,
        options: &[1, 1, 1, 0],
    };
    assert_eq!(read(&bytes, true), Ok(expected));
}

#[test]
fn a_header_that_contradicts_the_packet_is_refused() {
    assert_eq!(read(&ipv4(&tcp(5, ACK, &[])[..19]), true), Err(Reason::Short));
    assert_eq!(read(&ipv4(&tcp(4, ACK, &[])), true), Err(Reason::Malformed));
    assert_eq!(read(&ipv4(&tcp(6, ACK, &[1, 1, 1])), true), Err(Reason::Malformed));
    assert!(read(&ipv4(&tcp(6, ACK, &[1, 1, 1, 1])), true).is_ok());
    assert_eq!(read(&ipv4(&tcp(5, ACK, &[])), false), Err(Reason::BadChecksum));
    // The length is looked at before the checksum, the checksum before the flags.
    assert_eq!(read(&ipv4(&tcp(4, 0, &[])), false), Err(Reason::Malformed));
    assert_eq!(read(&ipv4(&tcp(5, 0, &[])), false), Err(Reason::BadChecksum));
}

#[test]
fn nine_combinations_of_flags_are_sound() {
    let sound =
        [SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG];
    for flags in 0..=u8::MAX {
        let expected = sound.contains(&(flags & !(PSH | ECE | CWR)));
        let got = read(&ipv4(&tcp(5, flags, &[])), true).map(|segment| segment.kind);
        assert_eq!(got.is_ok(), expected, "flags {flags:#04x}");
        assert_eq!(got.err(), (!expected).then_some(Reason::BadFlags), "flags {flags:#04x}");
    }
}

#[test]
fn scale_and_sack_are_negotiated_and_the_scale_is_clamped() {
    let both = Peer::WINDOW_SCALE | Peer::SACK_PERMITTED;
    assert_eq!(options::negotiated(&[2, 4, 5, 180, 4, 2, 3, 3, 7]), (7, both));
    assert_eq!(options::negotiated(&[3, 3, 14]), (14, Peer::WINDOW_SCALE));
    assert_eq!(options::negotiated(&[3, 3, 15]), (14, Peer::WINDOW_SCALE));
    assert_eq!(options::negotiated(&[3, 4, 7, 7, 4, 3, 0]), (0, 0), "wrong lengths");
    assert_eq!(options::negotiated(&[0, 3, 3, 7]), (0, 0), "after the end");
    assert_eq!(options::negotiated(&[3, 3, 2, 3, 3, 5]), (5, Peer::WINDOW_SCALE), "the last");
    for cut in [&[3][..], &[3, 3], &[3, 1, 7], &[3, 0, 7], &[8, 10, 0], &[]] {
        assert_eq!(options::negotiated(cut), (0, 0), "{cut:?}");
    }
}

#[test]
fn the_highest_edge_of_the_first_sound_sack_option_counts() {
    let sack = |blocks: &[(u32, u32)]| {
        let mut bytes = vec![1, 1, 5, u8::try_from(2 + 8 * blocks.len()).expect("few")];
        for (left, right) in blocks {
            bytes.extend(left.to_be_bytes());
            bytes.extend(right.to_be_bytes());
        }
        bytes
    };
    let highest = options::highest_acknowledged;
    assert_eq!(highest(&[], 10), 10);
    assert_eq!(highest(&sack(&[(20, 30), (40, 50)]), 10), 50);
    assert_eq!(highest(&sack(&[(40, 50), (20, 30)]), 10), 50);
    assert_eq!(highest(&sack(&[(1, 5)]), 10), 10, "D-SACK lies below");
    assert_eq!(highest(&sack(&[(0, 4)]), u32::MAX - 1), 4, "across zero");
    let mut two = sack(&[(20, 30)]);
    two.extend(sack(&[(40, 50)]));
    assert_eq!(highest(&two, 10), 30, "only the first option");
    let mut odd = sack(&[(20, 30)]);
    odd[3] = 9;
    assert_eq!(highest(&odd, 10), 10, "no whole number of blocks");
    assert_eq!(highest(&[5, 2, 1, 1], 10), 10, "no block");
    let mut stamped = vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    assert_eq!(highest(&stamped, 10), 10);
    stamped.extend(sack(&[(20, 30)]));
    assert_eq!(highest(&stamped, 10), 30);
}
