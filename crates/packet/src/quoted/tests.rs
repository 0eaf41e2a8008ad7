use super::*;
use std::vec::Vec;

const INNER: [u8; 28] = [
    0x45, 0, 5, 0, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7, 0x13, 0x88, 0, 53, 4,
    0xec, 0, 0,
];

fn changed(at: usize, value: u8) -> [u8; 28] {
    let mut bytes = INNER;
    bytes[at] = value;
    bytes
}

fn ipv6(next_header: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = std::vec![0x60, 0, 0, 0, 5, 0, next_header, 64];
    packet.extend([1; 16]);
    packet.extend([2; 16]);
    packet.extend(rest);
    packet
}

/// The table is what Linux did when asked: RELATED where ports are found, INVALID elsewhere.
#[test]
fn ipv4_as_leniently_as_linux() {
    let ports = |bytes: &[u8]| Quoted::new(Family::V4, bytes).and_then(|q| q.ports());
    let found = Some((5000, 53));
    assert_eq!(ports(&INNER), found, "cut short of its total length");
    assert_eq!(ports(&INNER[..24]), found, "four bytes are enough");
    assert_eq!(ports(&INNER[..23]), None);
    assert_eq!(ports(&INNER[..20]), None);
    assert_eq!(ports(&INNER[..19]), None);
    assert_eq!(ports(&changed(0, 0x65)), found, "another version");
    assert_eq!(ports(&changed(2, 0)), found, "another total length");
    assert_eq!(ports(&changed(6, 0x20)), found, "a first fragment");
    assert_eq!(ports(&changed(7, 1)), None, "a later fragment");
    assert_ne!(ports(&changed(0, 0x44)), found, "another header length");
    assert_ne!(ports(&changed(0, 0x46)), found, "another header length");
    assert_eq!(ports(&changed(0, 0x4f)), None, "a header longer than what is there");
}

#[test]
fn ipv6_as_leniently_as_linux() {
    let ports = |next_header, rest: &[u8]| {
        Quoted::new(Family::V6, &ipv6(next_header, rest)).and_then(|q| q.ports())
    };
    let udp = &INNER[20..];
    let found = Some((5000, 53));
    assert_eq!(ports(17, udp), found);
    assert_eq!(ports(17, &udp[..4]), found);
    assert_eq!(ports(17, &udp[..3]), None);
    assert_eq!(ports(60, &[&[17, 0, 1, 4, 0, 0, 0, 0], udp].concat()), found);
    assert_eq!(ports(44, &[&[17, 0, 0, 1, 0, 0, 0, 2], udp].concat()), found);
    assert_eq!(ports(44, &[&[17, 0, 0, 9, 0, 0, 0, 2], udp].concat()), None);
    assert_eq!(ports(59, udp), None);
    assert_eq!(ports(60, &[17]), None);
    let mut version4 = ipv6(17, udp);
    version4[0] = 0x40;
    assert_eq!(Quoted::new(Family::V6, &version4).and_then(|q| q.ports()), found);
}

/// Linux says RELATED for an error about a protocol without ports even then.
#[test]
fn a_cut_extension_header_hides_ports_but_not_the_protocol() {
    let packet = ipv6(60, &[41, 0, 1]);
    let quoted = Quoted::new(Family::V6, &packet).expect("the header says what comes next");
    assert_eq!((quoted.protocol, quoted.l4), (41, &[][..]));
    assert_eq!(quoted.ports(), None);
}

#[test]
fn of_an_error() {
    let mut packet = std::vec![0x45, 0, 0, 56, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1];
    packet.extend([3, 3, 0, 0, 0, 0, 0, 0]);
    packet.extend(changed(9, 1));
    packet.extend([9; 4]);
    packet[48..56].copy_from_slice(&[8, 0, 0, 0, 0, 7, 0, 1]);
    let parsed = Parsed::new(&packet).unwrap();
    let quoted = Quoted::of(&parsed, &packet).unwrap();
    assert_eq!((quoted.family, quoted.protocol), (Family::V4, 1));
    assert_eq!(quoted.source, Address::v4([192, 0, 2, 1]));
    assert_eq!(quoted.destination, Address::v4([198, 51, 100, 7]));
    assert_eq!(quoted.l4.len(), 8, "padding of the link layer is not quoted");
    let icmp = quoted.icmp().unwrap();
    assert_eq!((icmp.kind, icmp.code, icmp.identifier(), icmp.sequence()), (8, 0, 7, 1));
    let udp = Parsed::new(&{
        let mut udp = packet.clone();
        udp[9] = 17;
        udp
    });
    assert_eq!(Quoted::of(&udp.unwrap(), &packet), None);
}
