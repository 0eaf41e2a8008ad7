use super::*;
use std::string::ToString;
use std::vec::Vec;

const IP: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

fn found(link_type: LinkType, parts: &[&[u8]]) -> Result<(Family, usize), Skipped> {
    let frame = parts.concat();
    let packet = network_packet(link_type, &frame)?;
    assert_eq!(packet.bytes, &frame[packet.offset..]);
    Ok((packet.family, packet.offset))
}

#[test]
fn ethernet_encapsulations() {
    let ethernet = |parts: &[&[u8]]| found(LinkType::ETHERNET, &[&MACS, &parts.concat(), &IP]);
    let v4 = |offset| Ok((Family::V4, offset));
    assert_eq!(ethernet(&[&[8, 0]]), v4(14));
    assert_eq!(ethernet(&[&[0x86, 0xdd]]), Ok((Family::V6, 14)));
    assert_eq!(ethernet(&[&[0x81, 0, 0, 5, 8, 0]]), v4(18));
    assert_eq!(ethernet(&[&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]]), v4(22));
    assert_eq!(ethernet(&[&[0x91, 0, 0, 5, 0x92, 0, 0, 6, 8, 0]]), v4(22));
    assert_eq!(ethernet(&[&[0x88, 0x64, 0x11, 0, 0, 1, 0, 22, 0, 0x21]]), v4(22));
    let ipcp = ethernet(&[&[0x88, 0x64, 0x11, 0, 0, 1, 0, 22, 0x80, 0x21]]);
    assert_eq!(ipcp, Err(Skipped::PppoeWithoutIp));
    assert_eq!(ethernet(&[&[0x88, 0x47, 0, 0, 0, 64, 0, 1, 1, 64]]), v4(22));
    let pseudowire = ethernet(&[&[0x88, 0x47, 0, 1, 1, 64, 0, 0, 0, 0]]);
    assert_eq!(pseudowire, Err(Skipped::MplsWithoutIp));
    assert_eq!(ethernet(&[&[8, 6]]).unwrap_err().to_string(), "ethertype 0x0806");
    assert_eq!(ethernet(&[&[0, 20]]).unwrap_err().to_string(), "ethertype 0x0014");
    let cut = found(LinkType::ETHERNET, &[&MACS, &[0x81, 0, 0, 5, 8]]);
    assert_eq!(cut.unwrap_err().to_string(), "ethertype 0x8100");
    assert_eq!(found(LinkType::ETHERNET, &[&MACS, &[8]]), Err(Skipped::ShortFrame));
}

#[test]
fn encapsulations_are_followed_to_the_limit() {
    let tagged = |tags: usize| {
        let tags = [0x81, 0, 0, 5].repeat(tags);
        found(LinkType::ETHERNET, &[&MACS, &tags, &[8, 0], &IP])
    };
    let most = ethernet::ENCAPSULATIONS_MAX;
    assert_eq!(tagged(most), Ok((Family::V4, 14 + 4 * most)));
    assert!(matches!(tagged(most + 1), Err(Skipped::Ethertype(_))));

    let labelled = |labels: usize| {
        let mut stack = [0, 0, 0, 64].repeat(labels);
        stack[4 * labels - 2] = 1;
        found(LinkType::ETHERNET, &[&MACS, &[0x88, 0x47], &stack, &IP])
    };
    let most = ethernet::MPLS_LABELS_MAX;
    assert_eq!(labelled(most), Ok((Family::V4, 14 + 4 * most)));
    assert_eq!(labelled(most + 1), Err(Skipped::MplsWithoutIp));
}

#[test]
fn other_link_types() {
    let cases: [(u16, &[u8], Result<Family, &str>); 19] = [
        (101, &[], Ok(Family::V4)),
        (12, &[], Ok(Family::V4)),
        (228, &[], Ok(Family::V4)),
        (229, &[], Ok(Family::V6)),
        (101, &[0x50], Err("raw, version 5")),
        (0, &[2, 0, 0, 0], Ok(Family::V4)),
        (0, &[30, 0, 0, 0], Ok(Family::V6)),
        (108, &[0, 0, 0, 24], Ok(Family::V6)),
        (0, &[7, 0, 0, 0], Err("loopback family 7")),
        (113, &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 8, 0], Ok(Family::V4)),
        (113, &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 8, 6], Err("ethertype 0x0806")),
        (276, &[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0], Ok(Family::V4)),
        (9, &[0xff, 3, 0, 0x21], Ok(Family::V4)),
        (50, &[0, 0x57], Ok(Family::V6)),
        (9, &[0xff, 3, 0x80, 0x21], Err("PPP 0x8021")),
        (104, &[0x0f, 0, 8, 0], Ok(Family::V4)),
        (104, &[0x8f, 0, 0x20, 0], Err("ethertype 0x2000")),
        (105, &[], Err("link type 105")),
        (14, &[0], Err("raw, version 0")),
    ];
    for (number, header, expected) in cases {
        let result = found(LinkType(number), &[header, &IP]).map_err(|s| s.to_string());
        match expected {
            Ok(family) => assert_eq!(result, Ok((family, header.len())), "link type {number}"),
            Err(reason) => assert_eq!(result, Err(reason.to_string()), "link type {number}"),
        }
    }
}

#[test]
fn packet_type_and_addresses() {
    let frame = |first: &[u8]| [first, &MACS[6..], &[8, 0], &IP].concat();
    let link = |frame: &[u8]| network_packet(LinkType::ETHERNET, frame).unwrap().link;
    assert_eq!(link(&frame(&[0xff; 6])).packet_type, PacketType::Broadcast);
    assert_eq!(link(&frame(&[0x33, 0x33, 0, 0, 0, 1])).packet_type, PacketType::Multicast);
    let unicast = link(&frame(&MACS[..6]));
    assert_eq!(unicast.packet_type, PacketType::Unicast);
    assert_eq!(unicast.source, Some([2, 0, 0, 0, 0, 2]));
    assert_eq!(unicast.destination, Some([2, 0, 0, 0, 0, 1]));

    let mut cooked = std::vec![0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 8, 0];
    cooked.extend(IP);
    let link = network_packet(LinkType::LINUX_SLL, &cooked).unwrap().link;
    assert_eq!((link.source, link.packet_type), (unicast.source, PacketType::Unicast));
    cooked[1] = 1;
    cooked[5] = 8;
    let link = network_packet(LinkType::LINUX_SLL, &cooked).unwrap().link;
    assert_eq!((link.source, link.packet_type), (None, PacketType::Broadcast));
}

fn nflog_message(order: fn(u16) -> [u8; 2], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = std::vec![2, 0, 0, 7];
    for (kind, value) in attributes {
        message.extend(order(value.len() as u16 + 4));
        message.extend(order(*kind));
        message.extend(*value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    message
}

#[test]
fn nflog_in_either_byte_order() {
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let message = nflog_message(
            order,
            &[
                (1, &[8, 0, 2, 0]),
                (10, b"drop \0"),
                (2, &[0, 0, 0, 9]),
                (4, &[0, 0, 0, 3]),
                (8, &[0, 6, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0]),
                (9, &IP),
            ],
        );
        let read = Nflog::read(&message).unwrap();
        assert_eq!((read.hook, read.mark, read.interface_in), (Some(2), Some(9), Some(3)));
        assert_eq!((read.interface_out, read.prefix), (None, Some(&b"drop "[..])));
        let packet = network_packet(LinkType::NFLOG, &message).unwrap();
        assert_eq!((packet.family, packet.bytes), (Family::V4, &IP[..]));
        assert_eq!(packet.link.source, Some([2, 0, 0, 0, 0, 2]));
        assert_eq!(&message[packet.offset..packet.offset + 20], &IP);
        let without = nflog_message(order, &[(2, &[0, 0, 0, 9])]);
        let skipped = network_packet(LinkType::NFLOG, &without);
        assert_eq!(skipped, Err(Skipped::NflogWithoutIp));
    }
}

#[test]
fn a_capture_cut_short_is_told_from_a_packet_that_lies() {
    let packet = network_packet(LinkType::RAW, &IP[..19]).unwrap();
    assert_eq!(packet.cut_short(19, 20), None, "no whole header: the packet is malformed");
    let mut longer = IP;
    longer[3] = 24;
    let packet = network_packet(LinkType::RAW, &longer).unwrap();
    assert_eq!(packet.cut_short(20, 20), None, "all was captured: the packet lies");
    let skipped = packet.cut_short(20, 24).unwrap();
    assert_eq!(skipped.to_string(), "captured short (20 of 24 bytes)");
}
