use super::*;
use std::vec::Vec;

const UDP4: [u8; 28] = [
    0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7, 0x30, 0x39, 0, 53, 0,
    8, 0, 0,
];

fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = std::vec![0x60, 0, 0, 0, 0, payload.len() as u8, next_header, 64];
    packet.extend([1; 16]);
    packet.extend([2; 16]);
    packet.extend(payload);
    packet
}

const UDP: [u8; 8] = [0x30, 0x39, 0, 53, 0, 8, 0, 0];

#[test]
fn plain_udp() {
    let mut frame = UDP4.to_vec();
    frame.extend([0; 18]);
    let parsed = Parsed::new(&frame).unwrap();
    assert_eq!((parsed.length, parsed.l4_offset, parsed.protocol), (28, 20, 17));
    assert_eq!(parsed.source, Address::v4([192, 0, 2, 1]));
    assert_eq!(parsed.destination, Address::v4([198, 51, 100, 7]));
    let L4::Udp(udp) = parsed.l4 else { panic!("{:?}", parsed.l4) };
    assert_eq!((udp.source_port, udp.destination_port, udp.length), (12345, 53, 8));
    assert_eq!(parsed.l4_bytes(&frame).len(), 8);
}

#[test]
fn ipv4_lengths() {
    let changed = |at: usize, value: u8| {
        let mut packet = UDP4;
        packet[at] = value;
        Parsed::new(&packet)
    };
    assert_eq!(changed(3, 29), Err(Malformed::Short));
    assert_eq!(changed(3, 19), Err(Malformed::HeaderLength));
    assert_eq!(changed(0, 0x44), Err(Malformed::HeaderLength));
    assert_eq!(changed(0, 0x48), Err(Malformed::HeaderLength));
    assert_eq!(changed(0, 0x55), Err(Malformed::Version));
    assert_eq!(changed(0, 0x47).unwrap().l4, L4::Short);
    assert_eq!(changed(3, 27).unwrap().l4, L4::Short);
    assert_eq!(Parsed::new(&UDP4[..19]), Err(Malformed::Short));
    assert_eq!(Parsed::new(&[]), Err(Malformed::Short));
    assert_eq!(changed(7, 1).unwrap().l4, L4::Fragment);
    let first = changed(6, 0x20).unwrap();
    assert!(matches!(first.l4, L4::Udp(_)));
    assert_eq!(first.fragment, Some(Fragment { offset: 0, more: true, identification: 1 }));
    assert_eq!(changed(6, 0x40).unwrap().fragment, None);
}

#[test]
fn ipv6_chains() {
    let parse = |next_header, chain: &[&[u8]]| {
        let parsed = Parsed::new(&ipv6(next_header, &chain.concat())).unwrap();
        (parsed.protocol, parsed.l4_offset, parsed.l4)
    };
    let udp = L4::Udp(UdpHeader::read(&UDP).unwrap());
    let pad = |next| [next, 0, 1, 4, 0, 0, 0, 0];
    assert_eq!(parse(17, &[&UDP]), (17, 40, udp));
    assert_eq!(parse(0, &[&pad(60), &pad(43), &pad(17), &UDP]), (17, 64, udp));
    assert_eq!(parse(51, &[&[17, 4], &[0; 22], &UDP]), (17, 64, udp));
    assert_eq!(parse(135, &[&pad(17), &UDP]), (135, 40, L4::Other));
    assert_eq!(parse(50, &[&UDP]), (50, 40, L4::Other));
    assert_eq!(parse(59, &[&UDP]), (59, 40, L4::NoNextHeader));
    assert_eq!(parse(60, &[&pad(59)]), (59, 48, L4::NoNextHeader));
    assert_eq!(parse(60, &[&pad(60)]), (60, 48, L4::BrokenChain));
    assert_eq!(parse(60, &[&pad(60), &[17]]), (60, 48, L4::BrokenChain));
    assert_eq!(parse(60, &[&[17, 1, 1, 4, 0, 0, 0, 0]]), (17, 48, L4::Short));
    assert_eq!(parse(44, &[&[17, 0, 0, 1, 0, 0, 0, 7], &UDP]), (17, 48, udp));
    assert_eq!(parse(44, &[&[17, 0, 0, 8, 0, 0, 0, 7], &UDP]), (17, 48, L4::Fragment));
    assert_eq!(parse(17, &[]), (17, 40, L4::Short));
}
