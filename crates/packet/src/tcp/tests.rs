use super::*;
use std::vec::Vec;

fn options(bytes: &[u8]) -> Vec<TcpOption<'_>> {
    TcpOptions::new(bytes).collect()
}

const MSS: TcpOption<'static> = TcpOption::MaximumSegmentSize(1460);

#[test]
fn options_of_a_syn() {
    let syn = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let expected = [
        MSS,
        TcpOption::SackPermitted,
        TcpOption::Timestamps { value: 1, echo: 2 },
        TcpOption::WindowScale(7),
    ];
    assert_eq!(options(&syn), expected);
}

#[test]
fn sack_blocks() {
    let two = [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9];
    let [TcpOption::Sack(blocks)] = options(&two)[..] else { panic!() };
    assert_eq!(blocks.collect::<Vec<_>>(), [(1, 2), (5, 9)]);
    assert_eq!(options(&[5, 2]), [TcpOption::Other { kind: 5, data: &[] }]);
    let odd = [5, 9, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(options(&odd), [TcpOption::Other { kind: 5, data: &odd[2..] }]);
}

#[test]
fn malformed_options_end_the_list() {
    assert_eq!(options(&[2, 4, 5, 0xb4, 0, 3, 3, 7]), [MSS], "end of list");
    assert_eq!(options(&[2, 4, 5, 0xb4, 3, 0, 2, 4, 5, 0xb4]), [MSS], "length 0");
    assert_eq!(options(&[2, 4, 5, 0xb4, 3, 1, 2, 4, 5, 0xb4]), [MSS], "length 1");
    assert_eq!(options(&[2, 4, 5, 0xb4, 3, 4, 7]), [MSS], "beyond the header");
    assert_eq!(options(&[2, 4, 5, 0xb4, 3]), [MSS], "no length");
    assert_eq!(options(&[1, 1, 1]), []);
}

#[test]
fn lengths_that_are_not_the_kinds() {
    assert_eq!(options(&[2, 3, 5]), [TcpOption::Other { kind: 2, data: &[5] }]);
    assert_eq!(options(&[3, 2]), [TcpOption::Other { kind: 3, data: &[] }]);
    assert_eq!(options(&[4, 3, 0]), [TcpOption::Other { kind: 4, data: &[0] }]);
    assert_eq!(options(&[254, 4, 1, 2]), [TcpOption::Other { kind: 254, data: &[1, 2] }]);
}

#[test]
fn options_end_with_the_header() {
    let mut packet = std::vec![0x45, 0, 0, 48, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    packet.extend([0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0x60, SYN, 1, 0, 0, 0, 0, 5]);
    packet.extend([2, 4, 5, 0xb4, 3, 3, 7, 0]);
    let parsed = Parsed::new(&packet).unwrap();
    assert_eq!(TcpOptions::of(&parsed, &packet).collect::<Vec<_>>(), [MSS]);
    assert_eq!(parsed.payload(&packet), [3, 3, 7, 0]);
    assert_eq!(urgent_pointer(parsed.l4_bytes(&packet)), Some(5));
    for wrong in [0x80, 0x40] {
        packet[32] = wrong;
        let parsed = Parsed::new(&packet).unwrap();
        assert_eq!(TcpOptions::of(&parsed, &packet).count(), 0, "data offset {wrong:#x}");
    }
}
