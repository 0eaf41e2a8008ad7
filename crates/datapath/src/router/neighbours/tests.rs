use super::*;

const SECOND: u64 = 1_000_000_000;
const THERE: Hardware = [2, 0, 0, 0, 0, 9];
const ELSEWHERE: Hardware = [2, 0, 0, 0, 0, 8];
const ANSWER: Said = Said::Answer { overrides: true };

fn key(number: u32) -> Key {
    let [.., a, b, c] = number.to_be_bytes();
    Key { interface: InterfaceIndex(1), family: Family::V4, address: Address::v4([10, a, b, c]) }
}

fn at(seconds: f64) -> Instant {
    Instant((seconds * SECOND as f64) as u64)
}

fn packet(length: usize) -> Waiting {
    Waiting { bytes: vec![0x45; length], offload: [0; 10], came: Some(InterfaceIndex(0)) }
}

fn asked(neighbours: &mut Neighbours, now: Instant, key: Key) -> Place {
    match neighbours.find(now, key).0 {
        Whereabouts::Asked(place) => place,
        other => panic!("{other:?}"),
    }
}

fn known(neighbours: &mut Neighbours, now: Instant, key: Key) -> Option<Hardware> {
    match neighbours.find(now, key).0 {
        Whereabouts::Known(hardware) => Some(hardware),
        Whereabouts::Asked(_) | Whereabouts::Full => None,
    }
}

#[test]
fn one_that_does_not_answer_is_asked_for_three_times_a_second_apart() {
    let mut neighbours = Neighbours::new(1);
    let place = asked(&mut neighbours, at(0.0), key(1));
    neighbours.wait(place, packet(20));
    let question = Question { about: key(1), to: None };
    assert_eq!(neighbours.take_questions(), [question]);
    let mut in_vain = Vec::new();
    for (seconds, questions, gone) in
        [(0.9, 0, 0), (1.0, 1, 0), (1.9, 0, 0), (2.0, 1, 0), (2.9, 0, 0), (3.0, 0, 1)]
    {
        neighbours.expire(at(seconds), &mut in_vain);
        assert_eq!(neighbours.take_questions(), vec![question; questions], "{seconds}");
        assert_eq!(in_vain.len(), gone, "{seconds}");
    }
    assert_eq!((neighbours.len(), neighbours.counts.failed), (0, 1));
    assert_eq!(neighbours.deadline(), None);
    // The next packet begins anew.
    asked(&mut neighbours, at(3.0), key(1));
    assert_eq!(neighbours.take_questions(), [question]);
}

#[test]
fn what_waited_goes_in_order_when_the_answer_comes() {
    let mut neighbours = Neighbours::new(1);
    let place = asked(&mut neighbours, at(0.0), key(1));
    for length in [20, 21, 22] {
        neighbours.wait(place, packet(length));
    }
    let waiting = neighbours.hear(at(0.1), key(1), Some(THERE), ANSWER);
    let lengths: Vec<_> = waiting.iter().map(|one| one.bytes.len()).collect();
    assert_eq!(lengths, [20, 21, 22]);
    assert_eq!(known(&mut neighbours, at(0.2), key(1)), Some(THERE));
    assert_eq!(neighbours.at(at(0.2), place), Some(Whereabouts::Known(THERE)));
    assert_eq!(neighbours.waiting_bytes, 0);
}

#[test]
fn one_that_has_not_been_heard_for_long_is_used_then_asked_itself_then_forgotten() {
    let mut neighbours = Neighbours::new(1);
    asked(&mut neighbours, at(0.0), key(1));
    neighbours.hear(at(0.0), key(1), Some(THERE), ANSWER);
    neighbours.take_questions();
    let mut in_vain = Vec::new();
    // It is reachable for fifteen seconds at least, and for no more than 45.
    assert_eq!(known(&mut neighbours, at(14.9), key(1)), Some(THERE));
    assert_eq!(neighbours.deadline(), None);
    assert_eq!(known(&mut neighbours, at(45.1), key(1)), Some(THERE));
    assert_eq!(neighbours.deadline(), Some(at(45.1).plus(DELAY)));
    let direct = Question { about: key(1), to: Some(THERE) };
    for seconds in [50.1, 51.1, 52.1] {
        neighbours.expire(at(seconds), &mut in_vain);
        assert_eq!(neighbours.take_questions(), [direct], "{seconds}");
        assert_eq!(known(&mut neighbours, at(seconds), key(1)), Some(THERE));
    }
    neighbours.expire(at(53.2), &mut in_vain);
    assert!(neighbours.is_empty() && in_vain.is_empty());
    // And one that does answer is reachable again.
    neighbours.hear(at(60.0), key(1), Some(THERE), Said::Question);
    assert_eq!(known(&mut neighbours, at(60.0), key(1)), Some(THERE));
    neighbours.expire(at(65.0), &mut in_vain);
    assert_eq!(neighbours.take_questions(), [direct]);
    neighbours.hear(at(65.1), key(1), None, Said::Answer { overrides: false });
    assert_eq!(neighbours.deadline(), None);
}

#[test]
fn who_asks_is_learned_and_who_only_tells_is_not() {
    let mut neighbours = Neighbours::new(1);
    neighbours.hear(at(0.0), key(1), Some(THERE), Said::News { overrides: true });
    neighbours.hear(at(0.0), key(1), Some(THERE), ANSWER);
    assert!(neighbours.is_empty(), "what nobody wanted to know");
    neighbours.hear(at(0.0), key(1), Some(THERE), Said::Question);
    assert_eq!(known(&mut neighbours, at(0.0), key(1)), Some(THERE));
    assert_eq!(neighbours.take_questions(), []);
}

#[test]
fn news_move_a_neighbour_and_have_it_asked_next_time() {
    let mut neighbours = Neighbours::new(1);
    asked(&mut neighbours, at(0.0), key(1));
    neighbours.hear(at(0.0), key(1), Some(THERE), ANSWER);
    neighbours.hear(at(2.0), key(1), Some(ELSEWHERE), Said::News { overrides: true });
    assert_eq!(known(&mut neighbours, at(2.0), key(1)), Some(ELSEWHERE));
    assert_eq!(neighbours.deadline(), Some(at(2.0).plus(DELAY)));
}

#[test]
fn what_does_not_override_only_raises_doubt() {
    for said in [Said::Answer { overrides: false }, Said::News { overrides: false }] {
        let mut neighbours = Neighbours::new(1);
        asked(&mut neighbours, at(0.0), key(1));
        neighbours.hear(at(0.0), key(1), Some(THERE), ANSWER);
        neighbours.hear(at(2.0), key(1), Some(ELSEWHERE), said);
        assert_eq!(known(&mut neighbours, at(2.0), key(1)), Some(THERE));
        assert_eq!(neighbours.deadline(), Some(at(2.0).plus(DELAY)), "it is asked");
    }
}

#[test]
fn what_was_just_said_is_locked() {
    let mut neighbours = Neighbours::new(1);
    asked(&mut neighbours, at(0.0), key(1));
    assert!(!neighbours.is_locked(at(0.0), key(1)), "nothing is known of it");
    neighbours.hear(at(5.0), key(1), Some(THERE), ANSWER);
    assert!(neighbours.is_locked(at(5.9), key(1)));
    assert!(!neighbours.is_locked(at(6.0), key(1)));
}

#[test]
fn nobody_moves_what_the_administrator_said() {
    let mut neighbours = Neighbours::new(1);
    neighbours.declare(key(1), THERE);
    for said in [ANSWER, Said::Question, Said::News { overrides: true }] {
        neighbours.hear(at(1.0), key(1), Some(ELSEWHERE), said);
    }
    assert_eq!(known(&mut neighbours, at(1e6), key(1)), Some(THERE));
    assert_eq!(neighbours.deadline(), None);
}

#[test]
fn a_link_that_goes_down_takes_its_neighbours_along() {
    let mut neighbours = Neighbours::new(1);
    let elsewhere = Key { interface: InterfaceIndex(2), ..key(1) };
    neighbours.declare(key(9), THERE);
    let place = asked(&mut neighbours, at(0.0), key(1));
    neighbours.wait(place, packet(20));
    neighbours.hear(at(0.0), key(2), Some(THERE), Said::Question);
    neighbours.hear(at(0.0), elsewhere, Some(THERE), Said::Question);
    neighbours.forget(InterfaceIndex(1));
    assert_eq!(neighbours.len(), 2);
    assert_eq!((neighbours.deadline(), neighbours.waiting_bytes), (None, 0));
    assert_eq!(known(&mut neighbours, at(1.0), key(9)), Some(THERE));
    assert_eq!(known(&mut neighbours, at(1.0), elsewhere), Some(THERE));
}

#[test]
fn a_bounded_number_of_packets_waits_and_the_oldest_give_way() {
    let mut neighbours = Neighbours::new(1);
    let place = asked(&mut neighbours, at(0.0), key(1));
    for length in 0..WAITING_MAX + 3 {
        neighbours.wait(place, packet(20 + length));
    }
    assert_eq!(neighbours.counts.overrun, 3);
    let waiting = neighbours.hear(at(0.1), key(1), Some(THERE), ANSWER);
    assert_eq!(waiting.len(), WAITING_MAX);
    assert_eq!(waiting[0].bytes.len(), 23);
}

#[test]
fn a_bounded_number_of_bytes_waits() {
    let mut neighbours = Neighbours::new(1);
    const LENGTH: usize = 65_536;
    let fitting = WAITING_BYTES_MAX / LENGTH;
    for number in 0..fitting + 1 {
        let place = asked(&mut neighbours, at(0.0), key(number as u32));
        neighbours.wait(place, packet(LENGTH));
    }
    assert_eq!(neighbours.counts.overrun, 1);
    assert_eq!(neighbours.waiting_bytes, WAITING_BYTES_MAX);
    // Those who are given up make room.
    let mut in_vain = Vec::new();
    for seconds in [1.0, 2.0, 3.0] {
        neighbours.expire(at(seconds), &mut in_vain);
    }
    assert_eq!((in_vain.len(), neighbours.waiting_bytes), (fitting, 0));
}

#[test]
fn a_scan_fills_only_the_part_of_those_that_nobody_heard_of() {
    let mut neighbours = Neighbours::new(1);
    for number in 0..INCOMPLETE_MAX as u32 {
        asked(&mut neighbours, at(0.0), key(number));
    }
    assert_eq!(neighbours.find(at(0.05), key(70_000)).0, Whereabouts::Full);
    assert_eq!(neighbours.counts.full, 1);
    // Somebody who asks is let in all the same.
    neighbours.hear(at(0.05), key(80_000), Some(THERE), Said::Question);
    assert_eq!(known(&mut neighbours, at(0.05), key(80_000)), Some(THERE));
    // After a while one gives way to the next.
    asked(&mut neighbours, at(0.1), key(70_000));
    assert_eq!(neighbours.len(), INCOMPLETE_MAX + 1);
    assert_eq!(neighbours.incomplete.len(), INCOMPLETE_MAX);
}

#[test]
fn in_a_full_table_those_that_no_packet_went_to_give_way() {
    let mut neighbours = Neighbours::new(1);
    neighbours.declare(key(0), THERE);
    let all = NEIGHBOURS_MAX as u32;
    for number in 1..all {
        neighbours.hear(at(0.0), key(number), Some(THERE), Said::Question);
    }
    assert_eq!(neighbours.len(), NEIGHBOURS_MAX);
    for number in 1..10 {
        assert_eq!(known(&mut neighbours, at(1.0), key(number)), Some(THERE));
    }
    for number in all..all + 100 {
        neighbours.hear(at(1.0), key(number), Some(ELSEWHERE), Said::Question);
        assert_eq!(neighbours.len(), NEIGHBOURS_MAX);
        assert_eq!(known(&mut neighbours, at(1.0), key(number)), Some(ELSEWHERE));
    }
    for number in 0..10 {
        assert!(neighbours.places.contains_key(&key(number)), "{number} is in use");
    }
    assert_eq!(neighbours.all.len(), NEIGHBOURS_MAX);
}

#[test]
fn a_place_is_not_taken_for_that_of_one_who_was_there_before() {
    let mut neighbours = Neighbours::new(1);
    let place = asked(&mut neighbours, at(0.0), key(1));
    let mut in_vain = Vec::new();
    for seconds in [1.0, 2.0, 3.0] {
        neighbours.expire(at(seconds), &mut in_vain);
    }
    let new = asked(&mut neighbours, at(3.0), key(2));
    assert_eq!(new.at, place.at);
    assert_eq!(neighbours.at(at(3.0), place), None);
    assert!(neighbours.at(at(3.0), new).is_some());
}

/// Whatever is said and asked in whatever order, what the table keeps beside its neighbours agrees
/// with them.
#[test]
fn the_books_agree() {
    let mut neighbours = Neighbours::new(7);
    let mut random = 1_u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let mut now = at(0.0);
    let mut in_vain = Vec::new();
    for _ in 0..50_000 {
        now = now.plus(Duration::from_millis(draw(40)));
        let key = key(draw(700) as u32);
        let hardware = Some([2, 0, 0, 0, 0, draw(3) as u8]).filter(|h| h[5] != 0);
        let overrides = draw(2) == 0;
        match draw(8) {
            0 => drop(neighbours.hear(now, key, hardware, Said::Answer { overrides })),
            1 => drop(neighbours.hear(now, key, hardware, Said::News { overrides })),
            2 => drop(neighbours.hear(now, key, hardware, Said::Question)),
            3 => neighbours.expire(now, &mut in_vain),
            _ => {
                if let (Whereabouts::Asked(place), _) = neighbours.find(now, key) {
                    neighbours.wait(place, packet(draw(1500) as usize));
                }
            }
        }
        in_vain.clear();
        neighbours.take_questions();
    }
    let all = || neighbours.all.iter().flatten();
    assert_eq!(all().count(), neighbours.len());
    assert_eq!(all().filter(|one| one.deadline.is_some()).count(), neighbours.deadlines.len());
    let is_incomplete = |one: &&Neighbour| matches!(one.state, State::Incomplete(_));
    assert_eq!(all().filter(is_incomplete).count(), neighbours.incomplete.len());
    let waiting = all().flat_map(|one| &one.waiting).map(|one| one.bytes.len()).sum::<usize>();
    assert_eq!(waiting, neighbours.waiting_bytes);
    assert!(all().all(|one| one.waiting.is_empty() || is_incomplete(&one)));
    assert_eq!(neighbours.all.len(), neighbours.len() + neighbours.free.len());
}
