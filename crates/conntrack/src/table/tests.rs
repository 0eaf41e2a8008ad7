//! The table against a simple model, and at its limits.

use super::*;
use crate::slots::CONNECTIONS_MAX;
use crate::testing::{Peers, Wire};
use crate::{CtState, Hook, Tracked};
use proptest::prelude::*;
use std::collections::BTreeMap as Model;

fn peers() -> Peers {
    Peers::new("10.1.0.2", "10.2.0.2")
}

fn packet(port: u16, reply: bool) -> Vec<u8> {
    match reply {
        false => peers().udp((port, 53), b"x"),
        true => peers().turned().udp((53, port), b"x"),
    }
}

/// What the model knows of a connection: its deadline, whether it was answered, when it becomes a
/// stream.
#[derive(Clone, Copy)]
struct Known {
    deadline: u64,
    replied: bool,
    stream_after: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Packet { port: u16, reply: bool, dropped: bool },
    Wait { milliseconds: u64 },
    Expire { budget: usize },
    Delete { port: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u16..40, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(port, reply, dropped)| Step::Packet { port, reply, dropped }),
        2 => (0_u64..40_000).prop_map(|milliseconds| Step::Wait { milliseconds }),
        1 => (0_usize..10).prop_map(|budget| Step::Expire { budget }),
        1 => (0_u16..40).prop_map(|port| Step::Delete { port }),
    ]
}

const SECOND: u64 = 1_000_000_000;

/// One packet in the model. In which direction it goes depends on who spoke first.
fn model_packet(
    model: &mut Model<u16, (bool, Known)>,
    now: u64,
    port: u16,
    reply: bool,
    dropped: bool,
) -> (CtState, Direction) {
    model.retain(|_, (_, known)| known.deadline > now);
    let Some((turned, known)) = model.get_mut(&port) else {
        let known =
            Known { deadline: now + 30 * SECOND, replied: false, stream_after: now + 2 * SECOND };
        if !dropped {
            model.insert(port, (reply, known));
        }
        return (CtState::New, Direction::Original);
    };
    let stream = known.replied && now > known.stream_after;
    known.deadline = now + if stream { 120 } else { 30 } * SECOND;
    if *turned != reply {
        known.replied = true;
        return (CtState::Established, Direction::Reply);
    }
    let state = if known.replied { CtState::Established } else { CtState::New };
    (state, Direction::Original)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_map_with_deadlines(steps in prop::collection::vec(step(), 1..300)) {
        let mut wire = Wire::new();
        let mut model = Model::new();
        for step in steps {
            let now = wire.now.0;
            match step {
                Step::Packet { port, reply, dropped } => {
                    let mut tracked = wire.track(&packet(port, reply)).expect("room");
                    let expected = model_packet(&mut model, now, port, reply, dropped);
                    prop_assert_eq!((tracked.state, tracked.direction), (expected.0, Some(expected.1)));
                    if dropped {
                        wire.table.discard(wire.now, &tracked);
                    } else {
                        wire.table.confirm(wire.now, &mut tracked).expect("no clash");
                    }
                }
                Step::Wait { milliseconds } => wire.wait(Duration::from_millis(milliseconds)),
                Step::Expire { budget } => {
                    prop_assert!(wire.table.expire(wire.now, budget) <= budget);
                }
                Step::Delete { port } => {
                    let there = model.remove(&port).filter(|(_, known)| known.deadline > now);
                    let tuple = tuple(port);
                    let found = wire.table.find(wire.now, &tuple, Zone::default());
                    prop_assert_eq!(found.is_some(), there.is_some());
                    if let Some((conn, _)) = found {
                        prop_assert!(wire.table.delete(wire.now, conn));
                        prop_assert!(!wire.table.delete(wire.now, conn), "a stale handle");
                    }
                }
            }
            model.retain(|_, (_, known)| known.deadline > wire.now.0);
            prop_assert_eq!(wire.table.connections(wire.now).len(), model.len());
        }
    }

    /// Look-ups begun for a whole batch find what they would have found one by one.
    #[test]
    fn a_prepared_batch_is_one_by_one(ports in prop::collection::vec((0_u16..12, any::<bool>()), 1..64)) {
        let packets: Vec<_> = ports.iter().map(|(port, reply)| packet(*port, *reply)).collect();
        let mut one_by_one = Wire::new();
        let expected: Vec<_> = packets.iter().map(|p| one_by_one.send(p).expect("it arrives")).collect();
        let Wire { mut table, now, template, broadcast_prefix } = Wire::new();
        let mut results: Vec<Tracked> = Vec::new();
        // Later batches meet connections that earlier ones have made.
        for batch in packets.chunks(16) {
            let parsed: Vec<_> = batch.iter().map(|p| Parsed::new(p).expect("an IP packet")).collect();
            let mut prepared: Vec<_> = parsed.iter().zip(batch).map(|(p, b)| table.prepare(p, b)).collect();
            prepared.iter().for_each(|p| table.touch_bucket(p));
            prepared.iter_mut().for_each(|p| table.touch_entry(p));
            for ((parsed, bytes), prepared) in parsed.iter().zip(batch).zip(&prepared) {
                let mut tracked = table
                    .track_prepared(now, Hook::Prerouting, parsed, bytes, &template, prepared)
                    .expect("room");
                table.confirm(now, &mut tracked).expect("no clash");
                results.push(tracked);
            }
        }
        prop_assert_eq!(results, expected);
        prop_assert_eq!(Wire { table, now, template, broadcast_prefix }.listing(), one_by_one.listing());
    }
}

fn tuple(port: u16) -> Tuple {
    let packet = packet(port, false);
    Tuple::of(&Parsed::new(&packet).expect("an IP packet"), &packet).expect("ports")
}

fn full(max: u32) -> Wire {
    let mut wire = Wire::with(Sysctls { max, ..Sysctls::default() });
    for port in 0..max as u16 {
        wire.send(&packet(port, false)).expect("room");
    }
    assert_eq!(wire.table.count(), max as usize);
    wire
}

#[test]
fn a_full_table_throws_out_who_was_never_answered() {
    let mut wire = full(10);
    wire.send(&packet(1000, false)).expect("somebody makes room");
    assert_eq!(wire.table.count(), 10);
    assert_eq!(wire.table.statistics().early_drop, 1);
}

#[test]
fn a_table_full_of_assured_connections_drops_the_packet() {
    let mut wire = full(10);
    wire.wait(Duration::from_secs(3));
    for port in 0..10 {
        wire.send(&packet(port, true)).expect("it arrives");
        wire.send(&packet(port, true)).expect("it arrives");
    }
    assert_eq!(wire.send(&packet(1000, false)), Err(Drop::TableFull));
    assert_eq!((wire.table.count(), wire.table.statistics().drop), (10, 1));
    assert_eq!(wire.state(&packet(3, false)).0, CtState::Established, "the others go on");
    wire.wait(Duration::from_secs(120));
    wire.send(&packet(1000, false)).expect("what has expired makes room");
    assert_eq!(wire.table.statistics().early_drop, 0);
}

/// After a packet was dropped for want of room, one round of the sweep takes what is closing or not
/// ASSURED, down to 95 % of the limit.
#[test]
fn a_crowded_table_is_cleared_of_what_is_closing() {
    let mut wire = Wire::with(Sysctls { max: 100, ..Sysctls::default() });
    let answered = |wire: &mut Wire, port| {
        for reply in [false, true] {
            wire.send(&packet(port, reply)).expect("room");
        }
    };
    (0..90).for_each(|port| answered(&mut wire, port));
    wire.wait(Duration::from_secs(3));
    for port in 0..90 {
        wire.send(&packet(port, true)).expect("there");
    }
    for port in 90..100 {
        let (there, back) = ((port, 80), (80, port));
        wire.send(&peers().tcp(there, 0x02, (0, 0), b"")).expect("room");
        wire.send(&peers().turned().tcp(back, 0x12, (0, 1), b"")).expect("room");
        wire.send(&peers().tcp(there, 0x10, (1, 1), b"")).expect("room");
        wire.send(&peers().tcp(there, 0x11, (1, 1), b"")).expect("room");
    }
    assert_eq!(wire.table.expire(wire.now, 1000), 0, "nothing goes before a packet was dropped");
    assert_eq!(wire.send(&packet(1000, false)), Err(Drop::TableFull));
    assert_eq!(wire.table.expire(wire.now, 1000), 6);
    assert_eq!((wire.table.count(), wire.table.statistics().early_drop), (94, 0));
    let udp = wire.listing().iter().filter(|line| line.contains(" udp ")).count();
    assert_eq!(udp, 90, "who is ASSURED stays");
    (1000..1006).for_each(|port| answered(&mut wire, port));
    assert_eq!(wire.table.expire(wire.now, 1000), 0, "it was one round");
}

/// Sources that never answer: each takes the place of another one, or none, and no memory is taken.
#[test]
fn a_flood_of_syns_takes_no_more_than_the_limit() {
    const MAX: u32 = 1000;
    let mut wire = Wire::with(Sysctls { max: MAX, ..Sysctls::default() });
    wire.table.set_events_max(0);
    let syn = |n: u32| {
        let source = std::format!("10.1.{}.{}", n >> 8 & 255, n & 255);
        let port = (n >> 16) as u16 + 1000;
        Peers::new(&source, "10.2.0.2").tcp((port, 80), 0x02, (n, 0), b"")
    };
    (0..MAX).for_each(|n| assert!(wire.send(&syn(n)).is_ok()));
    let bytes = wire.table.bytes();
    let mut dropped = 0;
    for n in MAX..100_000 {
        dropped += u64::from(wire.send(&syn(n)).is_err());
        assert!(wire.table.count() <= MAX as usize);
    }
    let statistics = *wire.table.statistics();
    assert_eq!(statistics.drop, dropped);
    assert_eq!(statistics.early_drop + dropped, 99_000);
    assert_eq!(wire.table.bytes(), bytes);
}

#[test]
fn an_unconfirmed_connection_counts() {
    let mut wire = Wire::with(Sysctls { max: 1, ..Sysctls::default() });
    let first = wire.track(&packet(1, false)).expect("room");
    assert_eq!(wire.track(&packet(2, false)), Err(Drop::TableFull));
    wire.table.discard(wire.now, &first);
    wire.send(&packet(2, false)).expect("room");
}

#[test]
fn the_limit_can_be_changed_while_connections_are_there() {
    let mut wire = full(100);
    for max in [2000, 50, 0] {
        wire.table.sysctls_mut().max = max;
        let before = wire.table.count();
        wire.send(&packet(10_000 + max as u16, false)).expect("room");
        assert!(wire.table.count() >= before);
        let found =
            (0..100).filter(|p| wire.table.find(wire.now, &tuple(*p), Zone::default()).is_some());
        assert!(found.count() >= 98, "at most one is thrown out at a time");
    }
    assert_eq!(entries_max(0), CONNECTIONS_MAX);
    assert_eq!(entries_max(u32::MAX), CONNECTIONS_MAX);
}

#[test]
fn a_million_connections_take_at_most_320_bytes_each() {
    let connections: usize = 1 << 20;
    let index = Index::new(connections).bytes();
    assert!(CONNECTION_BYTES + index.div_ceil(connections) <= 320, "{CONNECTION_BYTES} + {index}");
    let table = Table::new([1, 2], Sysctls { max: connections as u32, ..Sysctls::default() });
    assert!(table.bytes() <= 320 * connections, "{}", table.bytes());
}

#[test]
fn a_handle_of_one_that_has_gone_finds_nothing() {
    let mut wire = Wire::new();
    let first = wire.send(&packet(1, false)).expect("room").conn.expect("a connection");
    assert!(wire.table.delete(wire.now, first));
    let second = wire.send(&packet(2, false)).expect("room").conn.expect("a connection");
    assert_eq!(first.slot, second.slot);
    assert_eq!(wire.table.tuple(first, Direction::Original), None);
    assert_eq!(wire.table.tuple(second, Direction::Original), Some(tuple(2)));
    assert_eq!((wire.table.mark(first), wire.table.mark(second)), (None, Some(0)));
}

/// The kernel takes the second packet for a reply: it finds the reply tuple first.
#[test]
fn packets_from_and_to_the_same_end() {
    let land = Peers::new("10.1.0.2", "10.1.0.2");
    let mut wire = Wire::new();
    let packet = land.udp((5, 5), b"x");
    assert_eq!(wire.state(&packet), (CtState::New, Some(Direction::Original)));
    assert_eq!(wire.state(&packet), (CtState::Established, Some(Direction::Reply)));
    let other = land.packet(99, b"abcd");
    assert_eq!(wire.state(&other), (CtState::New, Some(Direction::Original)));
    assert_eq!(wire.state(&other), (CtState::Established, Some(Direction::Reply)));
    let echo = land.icmp(8, 0, 1 << 16, b"");
    assert_eq!(wire.state(&echo), (CtState::New, Some(Direction::Original)));
    assert_eq!(wire.state(&echo), (CtState::New, Some(Direction::Original)));
    let answer = land.icmp(0, 0, 1 << 16, b"");
    assert_eq!(wire.state(&answer), (CtState::Established, Some(Direction::Reply)));
}

#[test]
fn zones_keep_equal_tuples_apart() {
    let mut wire = Wire::new();
    let mut state = |zone: Zone, reply: bool| {
        wire.template.zone = zone;
        wire.state(&packet(7, reply))
    };
    let new = (CtState::New, Some(Direction::Original));
    let answer = (CtState::Established, Some(Direction::Reply));
    assert_eq!(state(Zone::both(1), false), new);
    assert_eq!(state(Zone::both(2), false), new);
    assert_eq!(state(Zone::both(1), true), answer);
    assert_eq!(state(Zone::both(2), false), new);
    assert_eq!(state(Zone::default(), true), new, "nobody asked in zone 0");
}

#[test]
fn a_zone_of_the_original_direction_is_answered_in_zone_0() {
    let mut wire = Wire::new();
    wire.template.zone = Zone::one(7, Direction::Original);
    assert_eq!(wire.state(&packet(7, false)).0, CtState::New);
    wire.template.zone = Zone::default();
    assert_eq!(wire.state(&packet(7, true)), (CtState::Established, Some(Direction::Reply)));
    wire.template.zone = Zone::one(7, Direction::Original);
    assert_eq!(wire.state(&packet(7, false)), (CtState::Established, Some(Direction::Original)));
    wire.template.zone = Zone::one(8, Direction::Original);
    assert_eq!(wire.send(&packet(7, false)), Err(Drop::Clash), "its answers would be the same");
    assert_eq!(wire.table.statistics().insert_failed, 1);
    assert_eq!(wire.table.count(), 1);
}

/// Found by comparing with the kernel.
#[test]
fn a_tuple_that_is_its_own_inverse_stands_under_the_zone_of_its_direction() {
    let mut wire = Wire::new();
    let packet = Peers::new("10.1.0.2", "10.1.0.2").udp((5, 5), b"");
    let first = (CtState::New, Some(Direction::Original));
    for way in [Direction::Original, Direction::Reply] {
        wire.template.zone = Zone::one(3, way);
        assert_eq!(wire.state(&packet), first);
        assert_eq!(wire.state(&packet), first, "{way:?}");
        assert_eq!(wire.table.flush(wire.now), 1);
    }
    wire.template.zone = Zone::default();
    assert_eq!(wire.state(&packet), first);
    assert_eq!(wire.state(&packet), (CtState::Established, Some(Direction::Reply)));
}

#[test]
fn of_two_connections_with_one_tuple_the_newer_has_it() {
    let mut wire = Wire::new();
    assert_eq!(wire.state(&packet(7, false)).0, CtState::New);
    wire.template.zone = Zone::one(3, Direction::Reply);
    assert_eq!(wire.state(&packet(7, true)), (CtState::New, Some(Direction::Original)));
    wire.template.zone = Zone::default();
    assert_eq!(wire.state(&packet(7, true)), (CtState::New, Some(Direction::Original)));
    let about = peers().turned().icmp(3, 3, 0, &packet(7, false));
    assert_eq!(wire.state(&about), (CtState::Related, Some(Direction::Original)));
}

/// Its zone lies in the direction that is not compared, so it fits no packet of zone 3; a search for
/// one meets it all the same.
#[test]
fn the_first_packet_of_a_zone_removes_what_has_expired_on_its_way() {
    let mut wire = Wire::new();
    assert_eq!(wire.state(&packet(7, false)).0, CtState::New);
    assert_eq!(wire.table.count(), 1);
    wire.now.0 += 31_000_000_000;
    wire.template.zone = Zone::one(3, Direction::Reply);
    assert_eq!(wire.state(&packet(7, true)), (CtState::New, Some(Direction::Original)));
    assert_eq!(wire.table.count(), 1);
}

/// The newer is the answer in zone 3, the older the question in zone 0: the question is looked for
/// first.
#[test]
fn a_tuple_is_looked_for_in_the_zone_of_the_original_direction_first() {
    let mut wire = Wire::new();
    assert_eq!(wire.state(&packet(7, false)).0, CtState::New);
    wire.template.zone = Zone::one(3, Direction::Reply);
    assert_eq!(wire.state(&packet(7, true)), (CtState::New, Some(Direction::Original)));
    assert_eq!(wire.state(&packet(7, false)), (CtState::New, Some(Direction::Original)));
    let about = peers().icmp(3, 3, 0, &packet(7, true));
    assert_eq!(wire.state(&about), (CtState::Related, Some(Direction::Original)));
}

#[test]
fn a_header_cut_after_the_ports_uses_up_an_expectation() {
    let mut wire = Wire::new();
    helpers::ftp::testing::control(&mut wire);
    helpers::ftp::testing::port(&mut wire, 1025);
    let cut = |l4: &[u8]| peers().turned().unfinished(6, l4);
    assert_eq!(wire.state(&cut(&[0, 20, 4])).0, CtState::Invalid);
    assert_eq!(wire.table.expectations(wire.now).len(), 1);
    assert_eq!(wire.state(&cut(&[0, 20, 4, 1])).0, CtState::Invalid);
    assert_eq!(wire.table.expectations(wire.now).len(), 0);
    assert_eq!(wire.table.count(), 1);
}

/// Two packets, both found to be the first of a connection before either is confirmed.
fn at_once(wire: &mut Wire, packets: [&[u8]; 2]) -> [(Tracked, Result<(), Drop>); 2] {
    let tracked = packets.map(|packet| wire.track(packet).expect("room"));
    tracked.map(|mut tracked| {
        assert_eq!(tracked.state, CtState::New);
        let confirmed = wire.table.confirm(wire.now, &mut tracked);
        (tracked, confirmed)
    })
}

#[test]
fn the_later_of_two_first_packets_joins_the_connection_of_the_earlier() {
    let mut wire = Wire::with(Sysctls { acct: true, ..Sysctls::default() });
    let (asked, back) = (packet(1, false), packet(1, true));
    let [(first, _), (second, confirmed)] = at_once(&mut wire, [&asked, &back]);
    assert_eq!(confirmed, Ok(()));
    assert_eq!((second.conn, second.direction), (first.conn, Some(Direction::Original)));
    assert_eq!(
        wire.listing(),
        [
            "ipv4     2 udp      17 30 src=10.1.0.2 dst=10.2.0.2 sport=1 dport=53 packets=2 bytes=58 \
        [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=53 dport=1 packets=0 bytes=0 mark=0 use=1"
        ]
    );
    let counted = wire.table.statistics();
    assert_eq!((counted.clash_resolve, counted.insert_failed, counted.drop), (1, 0, 0));
    let events = wire.events();
    assert_eq!(events.len(), 1, "nobody is told of the one that never was: {events:#?}");
}

/// Another connection has the original tuple, in another zone of the answers: what is left is an
/// entry that only answers find, for a second, and that no listing shows.
#[test]
fn a_packet_whose_original_tuple_is_taken_waits_for_its_answers() {
    let mut wire = Wire::new();
    let (asked, answer) = (packet(1, false), packet(1, true));
    wire.template.zone = Zone::one(9, Direction::Reply);
    let first = wire.track(&asked).expect("room");
    wire.template.zone = Zone::default();
    let second = wire.track(&asked).expect("room");
    for mut tracked in [first, second] {
        assert_eq!(wire.table.confirm(wire.now, &mut tracked), Ok(()));
    }
    assert_eq!((wire.listing().len(), wire.table.count()), (1, 2));
    assert_eq!(wire.table.statistics().clash_resolve, 1);
    let (_, way) = wire.table.find(wire.now, &tuple(1), Zone::default()).expect("the first");
    assert_eq!(way, Direction::Original);
    let answered = wire.track(&answer).expect("room");
    assert_eq!(answered.conn, second.conn);
    assert_eq!(
        (answered.state, answered.direction),
        (CtState::Established, Some(Direction::Reply))
    );
    wire.wait(Duration::from_millis(999));
    assert_eq!(wire.state(&answer).0, CtState::Established);
    wire.wait(Duration::from_millis(2));
    assert_eq!(wire.send(&answer), Err(Drop::Clash), "its own answers would be the first one's");
}

/// `(protocol, whether the later packet joins)`, as Linux has it.
#[test]
fn protocols_that_a_packet_joins_in() {
    let syn = [0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 2, 0, 9, 0, 0, 0, 0];
    let init = [
        0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, 5, 0, 0, 16, 0, 0, 1, 0, 1, 0, 0,
        0, 7,
    ];
    let cases: [(u8, &[u8], bool); 8] = [
        (17, &[0, 1, 0, 2, 0, 8, 0, 0], true),
        (136, &[0, 1, 0, 2, 0, 8, 0, 0], true),
        (47, &[0, 0, 8, 0], true),
        (50, &[0, 0, 0, 1], true),
        (99, &[], true),
        (1, &[8, 0, 0, 0, 0, 1, 0, 1], false),
        (6, &syn, false),
        (132, &init, false),
    ];
    for (protocol, l4, joins) in cases {
        let mut wire = Wire::with(Sysctls { checksum: false, ..Sysctls::default() });
        let packet = peers().packet(protocol, l4);
        let [_, (_, confirmed)] = at_once(&mut wire, [&packet, &packet]);
        assert_eq!(confirmed, if joins { Ok(()) } else { Err(Drop::Clash) }, "{protocol}");
        let counted = wire.table.statistics();
        let expected = if joins { (1, 0, 0) } else { (0, 1, 1) };
        let counted = (counted.clash_resolve, counted.insert_failed, counted.drop);
        assert_eq!(counted, expected, "{protocol}");
        assert_eq!(wire.table.count(), 1, "{protocol}");
    }
}

#[test]
fn notrack() {
    let mut wire = Wire::new();
    wire.template.notrack = true;
    assert_eq!(wire.send(&packet(1, false)), Ok(Tracked::UNTRACKED));
    assert_eq!(wire.table.count(), 0);
}

#[test]
fn protocols_without_a_tracker_and_packets_that_have_none() {
    let mut wire = Wire::new();
    for protocol in [0, 4, 50, 99, 255] {
        assert_eq!(wire.state(&peers().packet(protocol, b"")).0, CtState::New, "{protocol}");
    }
    assert_eq!(
        wire.listing()[4],
        "ipv4     2 unknown  255 600 src=10.1.0.2 dst=10.2.0.2 \
        [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 mark=0 use=1"
    );
    let none = Peers::new("fd00::1", "fd00::2").packet(59, b"");
    assert_eq!(wire.state(&none), (CtState::Invalid, None));
    let mut later = packet(1, false);
    later[7] = 1;
    assert_eq!(wire.state(&later), (CtState::Invalid, None), "a later fragment");
}

#[test]
fn gre_is_a_stream_once_answered() {
    let mut wire = Wire::new();
    let gre = |peers: Peers| peers.packet(47, b"\0\0\x08\0abcd");
    wire.state(&gre(peers()));
    wire.state(&gre(peers().turned()));
    assert!(wire.listing()[0].starts_with("ipv4     2 gre      47 30 "));
    wire.state(&gre(peers().turned()));
    assert!(wire.listing()[0].starts_with("ipv4     2 gre      47 180 "));
    assert!(wire.listing()[0].contains("[ASSURED]"));
}

#[test]
fn expiring_is_bounded_and_goes_on_where_it_ended() {
    let mut wire = full(100);
    wire.wait(Duration::from_secs(30));
    let gone: Vec<usize> = (0..5).map(|_| wire.table.expire(wire.now, 30)).collect();
    assert_eq!(gone, [30, 30, 30, 10, 0]);
    assert_eq!(wire.table.count(), 0);
}

/// One that its last packet has killed waits for the next packet only.
#[test]
fn a_flush_takes_what_lingers_as_well() {
    let mut wire = Wire::new();
    wire.send(&peers().tcp((1, 80), 0x02, (100, 0), b"")).unwrap();
    wire.send(&peers().turned().tcp((80, 1), 0x14, (0, 101), b"")).unwrap();
    assert_eq!((wire.table.count(), wire.table.connections(wire.now).len()), (1, 0));
    assert_eq!(wire.table.flush(wire.now), 0);
    assert_eq!((wire.table.count(), wire.table.kept_beside_count()), (0, 0));
}

/// A lifetime that wraps may end before the clock began.
#[test]
fn a_flush_takes_what_was_over_before_the_clock_began() {
    let mut wire = Wire::new();
    let tracked = wire.send(&packet(1, false)).unwrap();
    let conn = tracked.conn.expect("a connection");
    wire.table.slots.live_mut(conn).expect("there").deadline = 0;
    assert_eq!(wire.table.connections(Instant(0)), []);
    assert_eq!(wire.table.flush(wire.now), 1);
    assert_eq!((wire.table.count(), wire.table.kept_beside_count()), (0, 0));
}

#[test]
fn begun_anew_it_does_the_same_again() {
    let mut wire = Wire::with(Sysctls { max: 3, ..Sysctls::default() });
    let once = |wire: &mut Wire| {
        let sent: Vec<_> = (0..5_u16).map(|port| wire.send(&packet(port, false))).collect();
        (sent, wire.listing(), wire.events(), *wire.table.statistics())
    };
    let first = once(&mut wire);
    wire.table.restart();
    assert_eq!((wire.table.count(), wire.table.poll_event()), (0, None));
    assert_eq!(once(&mut wire), first);
}

#[test]
fn what_opens_a_closed_connection_again_is_looked_at_twice() {
    let mut wire = Wire::new();
    let (client, server) = (peers(), peers().turned());
    for packet in [
        client.tcp((1, 80), 0x02, (100, 0), b""),
        server.tcp((80, 1), 0x12, (500, 101), b""),
        client.tcp((1, 80), 0x10, (101, 501), b""),
        client.tcp((1, 80), 0x14, (101, 501), b""),
    ] {
        wire.send(&packet).unwrap();
    }
    assert_eq!(wire.table.restarts_count(), 0);
    wire.send(&client.tcp((1, 80), 0x02, (1000, 0), b"")).unwrap();
    assert_eq!(wire.table.restarts_count(), 1);
}
