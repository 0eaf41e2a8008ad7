//! Fragments: held, put together, cut again; what is refused; the limits.

mod traffic;

use keepstate_conntrack::{CtState, Sysctls};
use keepstate_engine::defrag::{self, BYTES_MAX};
use keepstate_engine::{Cause, Engine, Origin, Verdict};
use keepstate_packet::checksum;
use proptest::prelude::*;
use std::time::Duration;
use traffic::{START, fragment, fragments, packet, router, rules, send, udp};

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 53);

fn forwarded(engine: &mut Engine) -> Vec<Vec<u8>> {
    let all = core::iter::from_fn(|| engine.poll_transmit());
    all.inspect(|one| assert_eq!(one.origin, Origin::Forwarded)).map(|one| one.bytes).collect()
}

/// As a router passes it on.
fn passed_on(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[8] -= 1;
    seal(&mut bytes);
    bytes
}

#[test]
fn pieces_are_held_until_the_last_and_leave_with_it() {
    let mut engine = router(Sysctls::default(), vec![]);
    let whole = udp(CLIENT, SERVER, &[7; 100]);
    let mut pieces = fragments(&whole, 9, &[40, 80]);
    let expected: Vec<_> = pieces.iter().cloned().map(passed_on).collect();
    for number in [2, 0] {
        let held = send(&mut engine, START, &mut pieces[number], 0);
        assert_eq!((held.verdict, held.hook, held.tracked), (Verdict::Held, None, None));
        assert!(engine.poll_transmit().is_none());
    }
    let last = send(&mut engine, START, &mut pieces[1], 0);
    assert_eq!(last.verdict, Verdict::Accept);
    assert_eq!(last.tracked.map(|tracked| tracked.state), Some(CtState::New));
    assert_eq!(last.output, None, "it leaves in pieces");
    assert_eq!(forwarded(&mut engine), expected);
}

#[test]
fn rules_see_the_whole_datagram() {
    let drop = rules(
        "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p udp -m length --length 128 -j DROP\nCOMMIT\n",
    );
    let mut engine = router(Sysctls::default(), vec![drop]);
    let mut pieces = fragments(&udp(CLIENT, SERVER, &[7; 100]), 9, &[40]);
    send(&mut engine, START, &mut pieces[0], 0);
    let dropped = send(&mut engine, START, &mut pieces[1], 0);
    assert_eq!((dropped.verdict, dropped.cause), (Verdict::Drop, None));
    assert!(forwarded(&mut engine).is_empty());
}

#[test]
fn an_overlap_ends_the_queue_and_a_duplicate_does_not() {
    let mut engine = router(Sysctls::default(), vec![]);
    let whole = udp(CLIENT, SERVER, &[7; 100]);
    let (head, data) = whole.split_at(20);
    let mut pieces = fragments(&whole, 9, &[40]);
    send(&mut engine, START, &mut pieces[0].clone(), 0);
    assert_eq!(send(&mut engine, START, &mut pieces[0].clone(), 0).verdict, Verdict::Held);
    let overlapping = send(&mut engine, START, &mut fragment(head, 9, 32, 48, data), 0);
    assert_eq!(overlapping.verdict, Verdict::Held, "nothing tells it from one that waits");
    assert_eq!(overlapping.reason(), Some("frag-overlap"), "but the reason");
    // The second piece alone begins anew.
    assert_eq!(send(&mut engine, START, &mut pieces[1], 0).verdict, Verdict::Held);
    assert_eq!(send(&mut engine, START, &mut pieces[0], 0).verdict, Verdict::Accept);
}

#[test]
fn a_queue_lives_thirty_seconds() {
    let mut engine = router(Sysctls::default(), vec![]);
    let mut pieces = fragments(&udp(CLIENT, SERVER, &[7; 100]), 9, &[40]);
    send(&mut engine, START, &mut pieces[0], 0);
    assert!(engine.poll_timeout().is_some(), "it is to be thrown away some time");
    let later = START.plus(Duration::from_secs(30));
    assert_eq!(send(&mut engine, later, &mut pieces[1], 0).verdict, Verdict::Held);
    engine.handle_timeout(later.plus(Duration::from_secs(30)));
    assert_eq!(engine.poll_timeout(), None, "nothing waits any more");
}

#[test]
fn only_who_a_datagram_was_for_tells_that_it_did_not_become_whole() {
    let router_itself = ([100, 127, 253, 1], 53);
    for (server, answered) in [(SERVER, false), (router_itself, true)] {
        let mut engine = router(Sysctls::default(), vec![]);
        let mut pieces = fragments(&udp(CLIENT, server, &[7; 100]), 9, &[40, 80]);
        send(&mut engine, START, &mut pieces[1], 0);
        send(&mut engine, START, &mut pieces[0], 0);
        engine.handle_timeout(START.plus(Duration::from_secs(29)));
        assert!(engine.poll_transmit().is_none(), "there is time yet");
        engine.handle_timeout(START.plus(Duration::from_secs(30)));
        assert_eq!(engine.cause_counts()[Cause::FragTimeout as usize], 2);
        let answer = engine.poll_transmit();
        assert_eq!(answer.is_some(), answered, "{server:?}");
        if let Some(answer) = answer {
            assert_eq!(answer.origin, Origin::Made);
            assert_eq!(answer.bytes[20..22], [11, 1], "reassembly time exceeded");
            assert_eq!(answer.bytes[28..], pieces[0], "about the first piece");
        }
    }
    let mut engine = router(Sysctls::default(), vec![]);
    let mut pieces = fragments(&udp(CLIENT, router_itself, &[7; 100]), 9, &[40]);
    send(&mut engine, START, &mut pieces[1], 0);
    engine.handle_timeout(START.plus(Duration::from_secs(30)));
    assert!(engine.poll_transmit().is_none(), "nor without the first piece");
}

#[test]
fn a_datagram_whose_pieces_come_too_far_apart_begins_anew() {
    let mut sysctls = Sysctls::default();
    sysctls.set("net.ipv4.ipfrag_max_dist", "3").unwrap();
    for (others, whole) in [(2, true), (3, false)] {
        let mut engine = router(sysctls.clone(), vec![]);
        let mut pieces = fragments(&udp(CLIENT, SERVER, &[7; 100]), 9, &[40]);
        send(&mut engine, START, &mut pieces[0], 0);
        for identification in 0..others {
            let mut other = fragments(&udp(CLIENT, SERVER, &[7; 100]), 100 + identification, &[40]);
            send(&mut engine, START, &mut other[0], 0);
        }
        let verdict = send(&mut engine, START, &mut pieces[1], 0).verdict;
        assert_eq!(verdict == Verdict::Accept, whole, "{others} between them");
    }
}

#[test]
fn congestion_that_a_piece_met_is_kept() {
    for (codepoints, kept) in [([2, 2], 2), ([2, 3], 3), ([1, 2], 1), ([0, 0], 0)] {
        let mut engine = router(Sysctls::default(), vec![]);
        let mut pieces = fragments(&udp(CLIENT, SERVER, &[7; 100]), 9, &[40]);
        for (piece, codepoint) in pieces.iter_mut().zip(codepoints) {
            piece[1] = codepoint;
            seal(piece);
            send(&mut engine, START, piece, 0);
        }
        let out = forwarded(&mut engine);
        assert!(out.iter().all(|piece| piece[1] == kept), "{codepoints:?}: {out:x?}");
        assert_eq!(out.len(), 2);
    }
}

fn seal(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = checksum::compute(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// What a queue and the first of two pieces of 60 bytes cost.
const QUEUE: usize = 200 + defrag::charge(60);

fn limited_to(bytes: usize) -> Engine {
    let mut sysctls = Sysctls::default();
    sysctls.set("net.ipv4.ipfrag_low_thresh", "0").unwrap();
    sysctls.set("net.ipv4.ipfrag_high_thresh", &bytes.to_string()).unwrap();
    router(sysctls, vec![])
}

#[test]
fn once_more_waits_than_may_nothing_is_taken() {
    let mut engine = limited_to(3 * QUEUE);
    let whole = udp(CLIENT, SERVER, &[7; 100]);
    let mut said = Vec::new();
    for identification in 0..5 {
        let mut first = fragments(&whole, identification, &[40]).remove(0);
        said.push(send(&mut engine, START, &mut first, 0).cause);
    }
    let limit = Some(Cause::FragLimit);
    assert_eq!(said, [None, None, None, None, limit], "one more than there is room for");
    let mut completing = fragments(&whole, 0, &[40]).remove(1);
    let refused = send(&mut engine, START, &mut completing.clone(), 0);
    assert_eq!(refused.cause, limit, "not even what would make room");
    let later = START.plus(Duration::from_secs(30));
    assert_eq!(send(&mut engine, later, &mut completing, 0).cause, None, "room again");
}

#[test]
fn a_queue_that_ends_makes_room() {
    let mut engine = limited_to(3 * QUEUE);
    let whole = udp(CLIENT, SERVER, &[7; 100]);
    for identification in 0..100 {
        for mut piece in fragments(&whole, identification, &[40]) {
            assert_eq!(send(&mut engine, START, &mut piece, 0).cause, None);
        }
    }
}

#[test]
fn no_limit_is_above_ours() {
    let mut engine = limited_to(usize::MAX >> 1);
    let whole = udp(CLIENT, SERVER, &vec![7; 60_000]);
    let cost = 200 + defrag::charge(60_012);
    let refused = (0..=u16::MAX).find(|identification| {
        let mut first = fragments(&whole, *identification, &[59_992]).remove(0);
        send(&mut engine, START, &mut first, 0).cause == Some(Cause::FragLimit)
    });
    assert_eq!(refused.map(usize::from), Some(BYTES_MAX / cost + 1));
}

#[test]
fn what_a_packet_costs_is_what_linux_allocates_for_it() {
    let lengths = [28, 60, 84, 1500, 3020, 3516, 4020, 8020, 16_020, 60_020];
    let costs = lengths.map(defrag::charge);
    assert_eq!(costs, [704, 768, 768, 2176, 3712, 4352, 8448, 12_544, 20_736, 61_696]);
}

proptest! {
    #[test]
    fn what_was_cut_anywhere_and_comes_in_any_order_leaves_as_it_was(
        length in 100_usize..3000,
        cuts in prop::collection::btree_set(1_usize..370, 1..12),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..12),
    ) {
        let whole = udp(CLIENT, SERVER, &(0..length).map(|n| n as u8).collect::<Vec<_>>());
        let cuts: Vec<_> = cuts.into_iter().map(|c| c * 8).filter(|c| *c < whole.len() - 20).collect();
        prop_assume!(!cuts.is_empty());
        let pieces = fragments(&whole, 9, &cuts);
        let expected: Vec<_> = pieces.iter().cloned().map(passed_on).collect();
        let mut shuffled = pieces;
        for (a, b) in swaps {
            let (a, b) = (a.index(shuffled.len()), b.index(shuffled.len()));
            shuffled.swap(a, b);
        }
        let mut engine = router(Sysctls::default(), vec![]);
        let count = shuffled.len();
        for (bytes, number) in shuffled.iter_mut().zip(1..) {
            let verdict = engine.handle_packet(START, packet(bytes, 0)).verdict;
            prop_assert_eq!(verdict, if number < count { Verdict::Held } else { Verdict::Accept });
        }
        prop_assert_eq!(forwarded(&mut engine), expected);
    }

    #[test]
    fn no_bytes_break_it(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..40)) {
        let mut engine = router(Sysctls::default(), vec![]);
        for mut bytes in frames {
            if let [first, _, _, _, _, _, flags, ..] = bytes.as_mut_slice() {
                *first = if *first & 1 == 0 { 0x45 } else { 0x60 };
                if *first == 0x60 { *flags = 44 } else { *flags |= 0x20 }
            }
            if bytes.len() >= 20 && bytes[0] == 0x45 {
                let length = u16::try_from(bytes.len()).unwrap();
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[10..12].fill(0);
                let sum = checksum::compute(&bytes[..20]);
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            } else if bytes.len() >= 40 {
                let length = u16::try_from(bytes.len() - 40).unwrap();
                bytes[4..6].copy_from_slice(&length.to_be_bytes());
                bytes[8..40].fill(0x20);
            }
            engine.handle_packet(START, packet(&mut bytes, 0));
        }
    }
}

/// An IPv6 packet whose fixed header names a fragment header.
fn fragment_v6(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], 44, 64];
    for last in [1, 2] {
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
    packet.extend(payload);
    packet
}

#[test]
fn a_fragment_header_cut_short_goes_by_as_soon_as_its_offset_can_be_read() {
    let first = [6, 0, 0, 0, 0, 0, 0, 1];
    let later = [6, 0, 0, 8, 0, 0, 0, 1];
    let before_options = [60, 0, 0, 0, 0, 0, 0, 1];
    let dropped = (Verdict::Drop, Some("short"));
    // Conntrack finds no TCP header, and says so.
    let goes_by = (Verdict::Accept, Some("short"));
    for (header, length, expected) in [
        (first, 1, dropped),
        (first, 3, dropped),
        (first, 4, goes_by),
        (first, 8, goes_by),
        (later, 4, dropped),
        (later, 7, dropped),
        (before_options, 4, dropped),
    ] {
        let mut engine = router(Sysctls::default(), vec![]);
        let mut packet = fragment_v6(&header[..length]);
        let disposition = send(&mut engine, START, &mut packet, 0);
        let found = (disposition.verdict, disposition.reason());
        assert_eq!(found, expected, "{length} bytes of {header:02x?}");
    }
    let mut engine = router(Sysctls::default(), vec![]);
    let nothing = send(&mut engine, START, &mut fragment_v6(&[]), 0);
    assert_eq!(nothing.verdict, Verdict::Accept, "a length of zero is none of a fragment");
}

#[test]
fn options_behind_a_fragment_header_are_never_looked_at() {
    let mut engine = router(Sysctls::default(), vec![]);
    let atomic = [0, 0, 0, 0, 0, 0, 0, 1];
    let options_beyond_their_header = [59, 0, 0xdc, 0x8f, 0, 0, 0, 0];
    let mut packet = fragment_v6(&[atomic, options_beyond_their_header].concat());
    let disposition = send(&mut engine, START, &mut packet, 0);
    assert_eq!(disposition.tracked.map(|tracked| tracked.state), Some(CtState::Invalid));
    let sent = forwarded(&mut engine);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0][6], &sent[0][40..]), (0, &options_beyond_their_header[..]));
}

/// Options and a routing header, named by the fragment header, that fill the first piece: put together
/// they are what stands in every piece, and the first is left with nothing else.
#[test]
fn a_first_piece_of_nothing_but_headers_leaves_as_one() {
    const ADDRESSES: &str = "20010db800000000000000000000000120010db8000000000000000000000002";
    const DATA: [&str; 3] =
        ["0601010c000000000000000000000000", "c3520050000003e9000007d15010ffff", "85030000"];
    let hex = |text: &str| -> Vec<u8> {
        let octet = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(octet).collect()
    };
    let packet = |length: &str, protocol: &str, hops: &str, rest: &str| {
        hex(&format!("6000000000{length}{protocol}{hops}{ADDRESSES}{rest}"))
    };
    let offsets = ["0001", "0011", "0020"];
    let mut engine = router(Sysctls::default(), vec![]);
    let headers = "2b000000000001003c0003ff00000000";
    let first = packet("18", "2c", "40", &format!("00000001c803e217{headers}"));
    let after = ["0011", "0021", "0030"].iter().zip(DATA).map(|(offset, data)| {
        let length = format!("{:02x}", 8 + data.len() / 2);
        packet(&length, "2c", "40", &format!("0000{offset}c803e217{data}"))
    });
    for mut piece in core::iter::once(first).chain(after) {
        send(&mut engine, START, &mut piece, 0);
    }
    let headers = "2b000000000001002c0003ff00000000";
    let cut = |offset: &str, data: &str| {
        let length = format!("{:02x}", 24 + data.len() / 2);
        packet(&length, "00", "3f", &format!("{headers}3c00{offset}c803e217{data}"))
    };
    let rest = offsets.iter().zip(DATA).map(|(offset, data)| cut(offset, data));
    let expected: Vec<_> = core::iter::once(cut("0001", "")).chain(rest).collect();
    assert_eq!(forwarded(&mut engine), expected);
}

/// A routing header named by the fragment header was data, and stands before every piece once put
/// together. Linux writes it there where there is room before what came, and cuts anew elsewhere.
#[test]
fn headers_that_were_data_have_to_fit_before_the_pieces() {
    const ROUTING: u8 = 43;
    let piece = |offset_and_flag: u16, data: &[u8]| {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8 + u8::try_from(data.len()).unwrap(), 44, 64];
        packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        packet.extend([ROUTING, 0]);
        packet.extend(offset_and_flag.to_be_bytes());
        packet.extend([0, 0, 0, 9]);
        packet.extend(data);
        packet
    };
    for (units, pieces) in [(6_u8, 2), (7, 1)] {
        let mut first = vec![253, units, 0, 0, 0, 0, 0, 0];
        first.resize(8 + 8 * usize::from(units) + 16, 0);
        let second = u16::try_from(first.len()).unwrap();
        let mut engine = router(Sysctls::default(), vec![]);
        send(&mut engine, START, &mut piece(1, &first), 0);
        send(&mut engine, START, &mut piece(second, &[5; 24]), 0);
        assert_eq!(forwarded(&mut engine).len(), pieces, "{units} units");
    }
}
