//! Any bytes, any segments in any order: no panic, and the invariants hold.

use super::*;
use keepstate_packet::Parsed;
use proptest::prelude::*;

/// Numbers that crowd around a few places, so that segments meet.
fn number() -> impl Strategy<Value = u32> {
    let place = prop_oneof![Just(0_u32), Just(1 << 31), Just(u32::MAX), Just(5000)];
    prop_oneof![
        4 => (place, 0..4000_u32).prop_map(|(place, offset)| place.wrapping_add(offset)),
        1 => any::<u32>(),
    ]
}

type Line = (bool, u8, u32, u32, u16, u32, Vec<u8>);

fn line() -> impl Strategy<Value = Line> {
    let sound = [SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, RST, RST | ACK];
    (
        any::<bool>(),
        prop::sample::select(sound.to_vec()),
        number(),
        number(),
        any::<u16>(),
        0..3000_u32,
        prop::collection::vec(any::<u8>(), 0..=40),
    )
}

fn read(line: &Line) -> (Direction, Segment<'_>) {
    let (reply, flags, sequence, ack, window, payload, options) = line;
    let plain = segment(*flags, *sequence, *ack, *payload);
    (if *reply { Reply } else { Original }, Segment { window: *window, options, ..plain })
}

proptest! {
    #[test]
    fn any_bytes_give_a_segment_or_a_reason(mut bytes in prop::collection::vec(any::<u8>(), 0..100), protocol in prop::bool::ANY) {
        if protocol && let Some(at) = bytes.get_mut(9) {
            *at = 6;
        }
        if let Some(first) = bytes.first_mut() {
            *first = 0x45;
        }
        if let Ok(parsed) = Parsed::new(&bytes)
            && let Ok(segment) = Segment::new(&parsed, &bytes, true)
        {
            prop_assert!(segment.options.len() <= 40);
            prop_assert!(segment.end.wrapping_sub(segment.sequence) <= 65_537);
        }
    }

    #[test]
    fn the_invariants_hold_after_any_segments(
        lines in prop::collection::vec(line(), 1..60),
        loose: bool,
        be_liberal: bool,
        ignore_invalid_rst: bool,
        max_retrans: u8,
    ) {
        let sysctls = Sysctls {
            tcp_loose: loose,
            tcp_be_liberal: be_liberal,
            tcp_ignore_invalid_rst: ignore_invalid_rst,
            tcp_max_retrans: max_retrans,
            ..Sysctls::default()
        };
        let mut scene: Option<Scene> = None;
        for line in &lines {
            let (direction, segment) = read(line);
            let Some(open) = &mut scene else {
                if new_connection(&sysctls, &segment).is_ok() {
                    scene = Some(Scene::begin(sysctls.clone(), &segment));
                }
                continue;
            };
            let (state, peers, timeout) = (open.state, open.record.peers, open.timeout);
            match open.push(direction, &segment) {
                Outcome::Accept(accept) => {
                    prop_assert!(accept.state != State::None);
                    prop_assert!(open.peer(direction).max_window > 0 || segment.kind == Kind::Rst);
                    prop_assert!(!accept.assured || open.status.contains(CtStatus::SEEN_REPLY));
                }
                Outcome::Invalid { invalid, .. } => {
                    prop_assert_eq!((open.state, open.timeout), (state, timeout));
                    prop_assert_eq!(invalid.distance.is_some(), invalid.edge.is_some());
                    prop_assert!(invalid.distance.is_none_or(|d| (1..=1 << 31).contains(&d)));
                }
                Outcome::Ignored(Ignored::OutOfStep) => {
                    prop_assert_eq!((open.state, open.timeout), (state, timeout));
                    prop_assert_eq!(open.record.peers, peers);
                }
                Outcome::Ignored(_) => {
                    prop_assert_eq!((open.state, open.timeout), (state, timeout));
                }
                Outcome::Kill => {
                    prop_assert!(!open.status.contains(CtStatus::SEEN_REPLY));
                    scene = None;
                }
                Outcome::Restart => {
                    prop_assert!(segment.kind == Kind::Syn);
                    prop_assert!(matches!(state, State::TimeWait | State::Close));
                    scene = None;
                }
            }
            if let Some(open) = &scene {
                prop_assert!(open.record.peers.iter().all(|peer| peer.scale <= 14));
            }
        }
    }
}
