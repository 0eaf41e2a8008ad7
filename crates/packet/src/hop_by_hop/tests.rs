use super::*;
use crate::{L4, Parsed};
use std::vec::Vec;

const UDP: [u8; 8] = [0, 7, 0, 7, 0, 8, 0, 0];

/// A packet with these options, to a group or not; `None`: payload length as it is.
fn packet(options: &[u8], to_group: bool, payload_length: Option<u16>) -> Vec<u8> {
    let mut header = std::vec![17, 0];
    header.extend(options);
    assert_eq!(header.len() % 8, 0, "padding is part of the case");
    header[1] = (header.len() / 8 - 1) as u8;
    let length = payload_length.unwrap_or(header.len() as u16 + 8).to_be_bytes();
    let mut packet = std::vec![0x60, 0, 0, 0, length[0], length[1], 0, 64];
    packet.extend([1; 16]);
    packet.extend([if to_group { 0xff } else { 2 }; 16]);
    packet.extend(header);
    packet.extend(UDP);
    packet
}

fn parse(options: &[u8]) -> Result<(), Malformed> {
    let parsed = Parsed::new(&packet(options, false, None))?;
    assert!(matches!(parsed.l4, L4::Udp(_)));
    Ok(())
}

const DROPPED: Result<(), Malformed> = Err(Malformed::HopByHop);

const fn answered(code: u8, pointer: u16) -> Result<(), Malformed> {
    Err(Malformed::ParameterProblem { code, pointer })
}

#[test]
fn padding() {
    assert_eq!(parse(&[1, 4, 0, 0, 0, 0]), Ok(()));
    assert_eq!(parse(&[0; 6]), Ok(()));
    assert_eq!(parse(&[1, 4, 0, 0, 1, 0]), DROPPED, "padding that is not zero");
    let after = |padding: &[u8]| {
        let mut options = [padding, &[0x1e, 0]].concat();
        let fill = 6usize.wrapping_sub(options.len()) % 8;
        options.extend(std::iter::repeat_n(0, fill));
        parse(&options)
    };
    assert_eq!(after(&[0; PADDING_MAX]), Ok(()));
    assert_eq!(after(&[0; PADDING_MAX + 1]), DROPPED);
    assert_eq!(after(&[1, 5, 0, 0, 0, 0, 0]), Ok(()));
    assert_eq!(after(&[1, 6, 0, 0, 0, 0, 0, 0]), DROPPED);
    assert_eq!(after(&[0, 0, 0, 1, 2, 0, 0]), Ok(()));
    assert_eq!(after(&[0, 0, 0, 1, 3, 0, 0, 0]), DROPPED);
}

#[test]
fn options_count_to_the_limit() {
    let options = |count: usize| {
        let mut options = [0x1e, 0].repeat(count);
        options.extend(std::iter::repeat_n(0, 6usize.wrapping_sub(options.len()) % 8));
        parse(&options)
    };
    assert_eq!(options(OPTIONS_MAX), Ok(()));
    assert_eq!(options(OPTIONS_MAX + 1), DROPPED);
}

#[test]
fn known_options() {
    assert_eq!(parse(&[5, 2, 0, 0, 5, 2, 0, 0, 1, 4, 0, 0, 0, 0]), Ok(()));
    assert_eq!(parse(&[5, 3, 0, 0, 0, 0]), DROPPED);
    assert_eq!(parse(&[0x31, 2, 0, 0, 0, 0]), DROPPED, "IOAM off its alignment");
    assert_eq!(parse(&[1, 0, 0x31, 2, 0, 0]), Ok(()));
    assert_eq!(parse(&[7, 4, 0, 0, 0, 0]), DROPPED);
}

#[test]
fn unknown_options_say_what_is_to_become_of_the_packet() {
    assert_eq!(parse(&[0x1e, 4, 0, 0, 0, 0]), Ok(()));
    assert_eq!(parse(&[0x5e, 4, 0, 0, 0, 0]), DROPPED);
    assert_eq!(parse(&[0x9e, 4, 0, 0, 0, 0]), answered(2, 42));
    assert_eq!(parse(&[0xde, 4, 0, 0, 0, 0]), answered(2, 42));
    let to_group = |kind| Parsed::new(&packet(&[kind, 4, 0, 0, 0, 0], true, None)).map(|_| ());
    assert_eq!(to_group(0x9e), answered(2, 42));
    assert_eq!(to_group(0xde), DROPPED);
}

#[test]
fn options_beyond_the_header() {
    assert_eq!(parse(&[0x1e, 5, 0, 0, 0, 0]), DROPPED);
    assert_eq!(parse(&[1, 3, 0, 0, 0, 0x1e]), DROPPED);
    let mut long = packet(&[0; 6], false, None);
    long[41] = 2;
    assert_eq!(Parsed::new(&long), Err(Malformed::HopByHop));
    assert_eq!(Parsed::new(&long[..41]), Err(Malformed::Short));
    long[5] = 1;
    assert_eq!(Parsed::new(&long[..41]), Err(Malformed::HopByHop));
}

#[test]
fn a_payload_length_of_zero_claims_nothing() {
    let mut bytes = packet(&[1, 4, 0, 0, 0, 0], false, Some(0));
    bytes.extend([0; 6]);
    assert_eq!(Parsed::new(&bytes).unwrap().length as usize, bytes.len());
    bytes[6] = 17;
    assert_eq!(Parsed::new(&bytes).unwrap().length, 40);
}

#[test]
fn jumbograms() {
    let jumbo = |claimed: u32, payload_length, extra: usize| {
        let [a, b, c, d] = claimed.to_be_bytes();
        let mut bytes = packet(&[0xc2, 4, a, b, c, d], false, payload_length);
        bytes.resize(bytes.len() + extra, 0);
        Parsed::new(&bytes).map(|parsed| parsed.length)
    };
    assert_eq!(jumbo(65_536, Some(0), 65_520), Ok(65_576));
    assert_eq!(jumbo(65_536, Some(0), 65_530), Ok(65_576), "with padding of the link layer");
    assert_eq!(jumbo(65_536, Some(0), 65_519), Err(Malformed::Short));
    assert_eq!(jumbo(65_535, Some(0), 65_520), answered(0, 44).map(|()| 0));
    assert_eq!(jumbo(65_536, None, 65_520), answered(0, 42).map(|()| 0));
    assert_eq!(parse(&[0xc2, 3, 0, 1, 0, 0]), DROPPED);
    assert_eq!(parse(&[1, 0, 0xc2, 4, 0, 1, 0, 0, 1, 4, 0, 0, 0, 0]), DROPPED, "misaligned");
}
