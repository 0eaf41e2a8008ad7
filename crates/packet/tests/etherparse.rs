//! Our parser beside another one (etherparse), on packets made at random and then damaged.

use etherparse::{IpSlice, LaxIpSlice, PacketBuilder, TcpHeaderSlice, UdpHeaderSlice};
use keepstate_packet::checksum::{self, Verified};
use keepstate_packet::tcp::{TcpOption, TcpOptions};
use keepstate_packet::{Family, L4, LinkType, Malformed, Parsed, Quoted, ipv6, network_packet};
use proptest::collection::vec;
use proptest::prelude::*;

/// An extension header: which, and how many further units of eight bytes (four in AH).
type Extension = (u8, u8);

fn extension() -> impl Strategy<Value = Extension> {
    let kinds = [ipv6::ROUTING, ipv6::FRAGMENT, ipv6::AUTHENTICATION, ipv6::DESTINATION_OPTIONS];
    (prop::sample::select(kinds.to_vec()), 0u8..3)
}

/// TCP options, well formed for the most part.
fn tcp_options() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        Just(vec![1]),
        Just(vec![4, 2]),
        any::<[u8; 2]>().prop_map(|v| [&[2, 4], &v[..]].concat()),
        any::<u8>().prop_map(|shift| vec![3, 3, shift]),
        any::<[u8; 8]>().prop_map(|v| [&[8, 10], &v[..]].concat()),
        any::<[u8; 16]>().prop_map(|v| [&[5, 18], &v[..]].concat()),
        any::<[u8; 8]>().prop_map(|v| [&[5, 10], &v[..]].concat()),
        vec(any::<u8>(), 1..3),
    ];
    vec(one, 0..6).prop_map(|options| {
        let mut options = options.concat();
        options.truncate(40);
        options.resize(options.len().next_multiple_of(4), 1);
        options
    })
}

fn tcp_segment() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (any::<[u8; 20]>(), tcp_options(), 0usize..20).prop_map(|(mut head, options, data)| {
        head[12] = (5 + options.len() as u8 / 4) << 4;
        let mut segment = [&head[..], &options].concat();
        segment.resize(segment.len() + data, 7);
        (6, segment)
    })
}

fn upper_layer() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![1 => tcp_segment(), 2 => any_upper_layer()]
}

fn any_upper_layer() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocols = vec![6u8, 6, 17, 17, 1, 58, 132, 47, 136, 50, 59, 135, 253];
    (prop::sample::select(protocols), vec(any::<u8>(), 0..64)).prop_map(|(protocol, mut bytes)| {
        if protocol == 6 && bytes.len() > 12 {
            bytes[12] = 0x50 + (bytes[12] & 0x3f);
        }
        (protocol, bytes)
    })
}

fn ipv4_packet() -> impl Strategy<Value = Vec<u8>> {
    (any::<[u8; 20]>(), 0u8..11, upper_layer(), any::<bool>(), 0usize..20).prop_map(
        |(mut head, options, (protocol, upper), fragmented, padding)| {
            head[0] = 0x40 | (5 + options);
            let length = 20 + usize::from(options) * 4 + upper.len();
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            if !fragmented {
                head[6] &= 0x40;
                head[7] = 0;
            }
            head[9] = protocol;
            let mut bytes = head.to_vec();
            bytes.resize(length - upper.len(), 1);
            bytes.extend(upper);
            bytes.resize(length + padding, 0xee);
            bytes
        },
    )
}

fn ipv6_packet() -> impl Strategy<Value = Vec<u8>> {
    let chain = vec(extension(), 0..5);
    (any::<[u8; 40]>(), chain, upper_layer(), any::<u8>(), 0usize..20).prop_map(
        |(mut head, chain, (protocol, upper), fill, padding)| {
            let mut payload = Vec::new();
            for (i, (kind, units)) in chain.iter().enumerate() {
                let next = chain.get(i + 1).map_or(protocol, |(next, _)| *next);
                let (length, size) = match *kind {
                    ipv6::FRAGMENT => (0, 8),
                    ipv6::AUTHENTICATION => (units + 1, (usize::from(*units) + 3) * 4),
                    _ => (*units, (usize::from(*units) + 1) * 8),
                };
                let from = payload.len();
                payload.extend([next, length]);
                payload.resize(from + size, if fill < 200 { 0 } else { fill });
            }
            payload.extend(upper);
            head[0] = 0x60 | head[0] & 0x0f;
            head[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
            head[6] = chain.first().map_or(protocol, |(kind, _)| *kind);
            let mut bytes = head.to_vec();
            bytes.extend(payload);
            bytes.resize(bytes.len() + padding, 0xee);
            bytes
        },
    )
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![ipv4_packet(), ipv6_packet()]
}

/// A packet with some octets changed and perhaps its end cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let early = vec((0usize..56, any::<u8>()), 0..3);
    let cut = proptest::option::weighted(0.3, any::<prop::sample::Index>());
    (packet(), changes, early, cut).prop_map(|(mut bytes, changes, early, cut)| {
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in early {
            if let Some(octet) = bytes.get_mut(at) {
                *octet = value;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        bytes
    })
}

/// What holds for any bytes: offsets lie in the packet, and everything that takes bytes and the
/// parsed value takes them.
fn total(bytes: &[u8]) -> Result<(), TestCaseError> {
    for family in [Family::V4, Family::V6] {
        if let Some(quoted) = Quoted::new(family, bytes) {
            let _ = (quoted.ports(), quoted.icmp());
            prop_assert!(quoted.l4.len() <= bytes.len());
        }
        prop_assert!(Parsed::of_family(family, bytes).is_err() || bytes[0] >> 4 == version(family));
    }
    for number in 0..=280 {
        if let Ok(found) = network_packet(LinkType(number), bytes) {
            let end = found.offset + found.bytes.len();
            prop_assert_eq!(bytes.get(found.offset..end), Some(found.bytes));
            let _ = found.cut_short(0, 1);
        }
    }
    prop_assert!(ipv6::ExtensionHeaders::of(bytes).count() <= ipv6::EXTENSION_HEADERS_MAX);
    let _ = checksum::ipv4_header_valid(bytes);
    let Ok(parsed) = Parsed::new(bytes) else { return Ok(()) };
    prop_assert!(usize::from(parsed.header_length) <= parsed.l4_offset as usize);
    prop_assert!(parsed.l4_offset <= parsed.length);
    prop_assert!(parsed.length as usize <= bytes.len());
    let end = bytes.as_ptr_range().end;
    prop_assert!(parsed.payload(bytes).as_ptr_range().end <= end);
    let _ = checksum::verify(&parsed, bytes);
    prop_assert!(TcpOptions::of(&parsed, bytes).count() <= 20);
    let _ = Quoted::of(&parsed, bytes);
    Ok(())
}

const fn version(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}

/// Where the two have to agree. Theirs reads an authentication header in IPv4 and goes on behind a
/// non-first fragment; ours, as Linux, does neither.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (ours, theirs) = (Parsed::new(bytes), IpSlice::from_slice(bytes));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => same(ours, theirs, bytes)?,
        (Err(ours), Ok(_)) => {
            let hop_by_hop =
                matches!(ours, Malformed::HopByHop | Malformed::ParameterProblem { .. });
            prop_assert!(hop_by_hop, "theirs takes it: {theirs:?}");
        }
        (Ok(ours), Err(_)) => {
            let exotic = ours.protocol == ipv6::AUTHENTICATION || ours.has_options;
            prop_assert!(exotic, "ours takes it: {ours:?}, theirs: {theirs:?}");
        }
        (Err(_), Err(_)) => {}
    }
    if let (Ok(ours), Ok((lax, _))) = (ours, LaxIpSlice::from_slice(bytes)) {
        prop_assert_eq!(ours.source.ip(ours.family), lax.source_addr());
        prop_assert_eq!(ours.destination.ip(ours.family), lax.destination_addr());
    }
    Ok(())
}

fn same(ours: &Parsed, theirs: &IpSlice<'_>, bytes: &[u8]) -> Result<(), TestCaseError> {
    let fragmented = ours.fragment.is_some_and(|f| f.more || f.offset != 0);
    prop_assert_eq!(ours.source.ip(ours.family), theirs.source_addr());
    match theirs {
        IpSlice::Ipv4(ip) => {
            let header = ip.header();
            prop_assert_eq!(ours.protocol, header.protocol().0);
            prop_assert_eq!(ours.length, u32::from(header.total_len()));
            prop_assert_eq!(usize::from(ours.header_length), header.slice().len());
            prop_assert_eq!((ours.ttl, ours.tos), (header.ttl(), bytes[1]));
            prop_assert_eq!(fragmented, header.is_fragmenting_payload());
            if ours.protocol != ipv6::AUTHENTICATION {
                prop_assert_eq!(ours.l4_bytes(bytes), ip.payload().payload);
            }
        }
        IpSlice::Ipv6(ip) => {
            let header = ip.header();
            prop_assert_eq!((ours.ttl, ours.tos), (header.hop_limit(), header.traffic_class()));
            if header.payload_length() != 0 {
                prop_assert_eq!(ours.length, 40 + u32::from(header.payload_length()));
                if ours.l4 != L4::Fragment {
                    prop_assert_eq!(fragmented, ip.is_payload_fragmented());
                    prop_assert_eq!(ours.protocol, ip.payload().ip_number.0);
                    prop_assert_eq!(ours.l4_bytes(bytes), ip.payload().payload);
                }
            }
        }
    }
    same_upper_layer(ours, ours.l4_bytes(bytes))
}

fn same_upper_layer(ours: &Parsed, segment: &[u8]) -> Result<(), TestCaseError> {
    match ours.l4 {
        L4::Tcp(tcp) => {
            prop_assert!(segment.len() >= 20);
            if let Ok(theirs) = TcpHeaderSlice::from_slice(segment) {
                prop_assert_eq!(tcp.source_port, theirs.source_port());
                prop_assert_eq!(tcp.destination_port, theirs.destination_port());
                prop_assert_eq!(tcp.sequence, theirs.sequence_number());
                prop_assert_eq!(tcp.acknowledgment, theirs.acknowledgment_number());
                prop_assert_eq!(usize::from(tcp.header_length), theirs.slice().len());
                prop_assert_eq!(tcp.window, theirs.window_size());
                prop_assert_eq!(tcp.flags & 2 != 0, theirs.syn());
                prop_assert_eq!(tcp.flags & 4 != 0, theirs.rst());
                same_options(theirs.options())?;
            } else {
                let length = usize::from(tcp.header_length);
                prop_assert!(length < 20 || length > segment.len());
            }
        }
        L4::Udp(udp) | L4::UdpLite(udp) => {
            let Ok(theirs) = UdpHeaderSlice::from_slice(segment) else { panic!("too short") };
            prop_assert_eq!(udp.source_port, theirs.source_port());
            prop_assert_eq!(udp.destination_port, theirs.destination_port());
            prop_assert_eq!((udp.length, udp.checksum), (theirs.length(), theirs.checksum()));
        }
        L4::Icmp(icmp) | L4::Icmpv6(icmp) => {
            prop_assert_eq!(&[icmp.kind, icmp.code], &segment[..2]);
            prop_assert_eq!(&icmp.rest.to_be_bytes(), &segment[4..8]);
        }
        L4::Short => {
            let least = match ours.protocol {
                6 => 20,
                132 => 12,
                _ => 8,
            };
            prop_assert!(segment.len() < least);
        }
        L4::Fragment | L4::NoNextHeader | L4::BrokenChain | L4::Other => {}
    }
    Ok(())
}

/// Theirs stops at the first option it does not know; up to there they agree.
fn same_options(options: &[u8]) -> Result<(), TestCaseError> {
    use etherparse::TcpOptionElement as Theirs;
    let theirs = etherparse::TcpOptionsIterator::from_slice(options)
        .take_while(Result::is_ok)
        .flatten()
        .filter(|option| !matches!(option, Theirs::Noop));
    for (theirs, ours) in theirs.zip(TcpOptions::new(options)) {
        let equal = match (theirs.clone(), ours) {
            (Theirs::MaximumSegmentSize(a), TcpOption::MaximumSegmentSize(b)) => a == b,
            (Theirs::WindowScale(a), TcpOption::WindowScale(b)) => a == b,
            (Theirs::SelectiveAcknowledgementPermitted, TcpOption::SackPermitted) => true,
            (Theirs::SelectiveAcknowledgement(first, more), TcpOption::Sack(blocks)) => {
                let theirs = [Some(first)].into_iter().chain(more).flatten();
                theirs.eq(blocks)
            }
            (Theirs::Timestamp(a, b), TcpOption::Timestamps { value, echo }) => {
                (a, b) == (value, echo)
            }
            _ => false,
        };
        prop_assert!(equal, "{theirs:?} {ours:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whole_packets_are_read_alike(bytes in packet()) {
        let parsed = Parsed::new(&bytes);
        prop_assert!(parsed.is_ok(), "{:?}", parsed);
        total(&bytes)?;
        agree(&bytes)?;
    }

    #[test]
    fn damaged_packets_are_read_alike(bytes in damaged()) {
        total(&bytes)?;
        agree(&bytes)?;
    }

    #[test]
    fn any_bytes_are_taken(bytes in vec(any::<u8>(), 0..120)) {
        total(&bytes)?;
        agree(&bytes)?;
    }

    #[test]
    fn hop_by_hop_options_never_panic(
        options in vec(prop_oneof![0u8..8, any::<u8>(), Just(0xc2)], 0..60),
        group: bool,
    ) {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 80, 0, 64];
        bytes.extend([if group { 0xff } else { 1 }; 32]);
        bytes.extend([17, 3]);
        bytes.extend(options);
        bytes.resize(120, 0);
        total(&bytes)?;
    }

    /// Checksums that another implementation made are right, and wrong after any one octet changed.
    #[test]
    fn their_checksums_are_right(
        source: [u8; 16],
        destination: [u8; 16],
        ports: (u16, u16),
        payload in vec(any::<u8>(), 0..100),
        v6: bool,
        tcp: bool,
        at in any::<prop::sample::Index>(),
        flip in 1u8..=255,
    ) {
        let ip = if v6 {
            PacketBuilder::ipv6(source, destination, 64)
        } else {
            let four = |octets: [u8; 16]| [octets[0], octets[1], octets[2], octets[3]];
            PacketBuilder::ipv4(four(source), four(destination), 64)
        };
        let mut bytes = Vec::new();
        if tcp {
            ip.tcp(ports.0, ports.1, 1, 1000).write(&mut bytes, &payload).unwrap();
        } else {
            ip.udp(ports.0, ports.1).write(&mut bytes, &payload).unwrap();
        }
        let parsed = Parsed::new(&bytes).unwrap();
        prop_assert_eq!(checksum::verify(&parsed, &bytes), Verified::Valid);
        prop_assert!(v6 || checksum::ipv4_header_valid(&bytes));
        let mut filled = bytes.clone();
        checksum::fill(&parsed, &mut filled);
        prop_assert_eq!(&filled, &bytes);

        let at = parsed.l4_offset as usize + at.index(bytes.len() - parsed.l4_offset as usize);
        let mut damaged = bytes;
        damaged[at] ^= flip;
        let parsed = Parsed::new(&damaged).unwrap();
        prop_assert_ne!(checksum::verify(&parsed, &damaged), Verified::Valid);
    }
}
