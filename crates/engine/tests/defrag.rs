//! Fragments: held, put together, cut again; what is refused; the limits.

mod traffic;

use keepstate_conntrack::{CtState, Sysctls};
use keepstate_engine::defrag::{BYTES_MAX, QUEUES_MAX};
use keepstate_engine::{Cause, Engine, Origin, Verdict};
use keepstate_packet::checksum;
use proptest::prelude::*;
use std::time::Duration;
use traffic::{START, packet, router, rules, send, udp};

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 53);

/// Cuts a packet with a header of 20 bytes at these offsets of its data.
fn fragments(whole: &[u8], identification: u16, cuts: &[usize]) -> Vec<Vec<u8>> {
    let (head, data) = whole.split_at(20);
    let ends = cuts.iter().copied().chain([data.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let piece = |(start, end): (usize, usize)| fragment(head, identification, start, end, data);
    starts.zip(ends).map(piece).collect()
}

fn fragment(head: &[u8], identification: u16, start: usize, end: usize, data: &[u8]) -> Vec<u8> {
    let mut out = head.to_vec();
    let more = if end < data.len() { 0x2000 } else { 0 };
    out[2..4].copy_from_slice(&u16::try_from(20 + end - start).unwrap().to_be_bytes());
    out[4..6].copy_from_slice(&identification.to_be_bytes());
    out[6..8].copy_from_slice(&(u16::try_from(start / 8).unwrap() | more).to_be_bytes());
    out[10..12].fill(0);
    let sum = checksum::compute(&out);
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(&data[start..end]);
    out
}

fn forwarded(engine: &mut Engine) -> Vec<Vec<u8>> {
    let all = core::iter::from_fn(|| engine.poll_transmit());
    all.inspect(|one| assert_eq!(one.origin, Origin::Forwarded)).map(|one| one.bytes).collect()
}

/// As a router passes it on.
fn passed_on(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[8] -= 1;
    bytes[10..12].fill(0);
    let sum = checksum::compute(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
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
    assert_eq!(overlapping.verdict, Verdict::Drop);
    assert_eq!(overlapping.reason(), Some("frag-overlap"));
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
fn queues_are_counted() {
    let mut engine = router(Sysctls::default(), vec![]);
    let whole = udp(CLIENT, SERVER, &[7; 100]);
    for identification in 0..u16::try_from(QUEUES_MAX).unwrap() {
        let mut first = fragments(&whole, identification, &[40]).remove(0);
        assert_eq!(send(&mut engine, START, &mut first, 0).verdict, Verdict::Held);
    }
    let mut pieces = fragments(&whole, u16::MAX, &[40]);
    let refused = send(&mut engine, START, &mut pieces[0], 0);
    assert_eq!((refused.verdict, refused.cause), (Verdict::Drop, Some(Cause::FragLimit)));
    let mut completing = fragments(&whole, 0, &[40]).remove(1);
    assert_eq!(send(&mut engine, START, &mut completing, 0).verdict, Verdict::Accept);
    assert_eq!(send(&mut engine, START, &mut pieces[0], 0).verdict, Verdict::Held, "room again");
}

#[test]
fn bytes_are_counted() {
    let mut engine = router(Sysctls::default(), vec![]);
    let whole = udp(CLIENT, SERVER, &vec![7; 60_000]);
    let mut held = 0;
    let refused = (0..=u16::MAX).find_map(|identification| {
        let mut first = fragments(&whole, identification, &[59_992]).remove(0);
        held += first.len();
        let disposition = send(&mut engine, START, &mut first, 0);
        (disposition.verdict == Verdict::Drop).then_some(disposition.cause)
    });
    assert_eq!(refused, Some(Some(Cause::FragLimit)));
    assert!(held > BYTES_MAX && held - 60_020 <= BYTES_MAX, "{held}");
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
