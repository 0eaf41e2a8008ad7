//! A batch is walked abreast; what comes of it is what comes of its packets one by one.

mod traffic;

use keepstate_conntrack::Sysctls;
use keepstate_engine::{BATCH_MAX, Disposition, Engine, Event, Tracking, Transmit};
use keepstate_packet::Instant;
use proptest::prelude::*;
use std::time::Duration;
use traffic::{START, echo, packet, router, rules, tcp, udp};

const RULES: &str = "\
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 4 -j CT --notrack
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -p udp -m udp --dport 3 -j REJECT
-A FORWARD -p tcp -m tcp --dport 3 -j REJECT --reject-with tcp-reset
-A FORWARD -m conntrack --ctstate INVALID -j LOG --log-prefix \"invalid \"
-A FORWARD -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
COMMIT
";

#[derive(Clone, Debug)]
enum Step {
    Udp {
        from: u8,
        port: u8,
        reply: bool,
    },
    Tcp {
        from: u8,
        port: u8,
        reply: bool,
        flags: u8,
        sequence: u32,
    },
    Echo {
        from: u8,
        reply: bool,
    },
    Garbage(Vec<u8>),
    /// The packet before, with a bit turned over.
    Damaged {
        at: u16,
        bit: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![Just(0x02_u8), Just(0x12), Just(0x10), Just(0x11), Just(0x04)];
    let (from, port) = (0..3_u8, 1..5_u8);
    prop_oneof![
        4 => (from.clone(), port.clone(), any::<bool>())
            .prop_map(|(from, port, reply)| Step::Udp { from, port, reply }),
        6 => (from.clone(), port, any::<bool>(), flags, 0..4_u32).prop_map(
            |(from, port, reply, flags, sequence)| Step::Tcp { from, port, reply, flags, sequence }
        ),
        1 => (from, any::<bool>()).prop_map(|(from, reply)| Step::Echo { from, reply }),
        1 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Step::Garbage),
        2 => (any::<u16>(), 0..8_u8).prop_map(|(at, bit)| Step::Damaged { at, bit }),
    ]
}

fn frames(steps: &[Step]) -> Vec<(Vec<u8>, u16)> {
    let mut out: Vec<(Vec<u8>, u16)> = Vec::new();
    for step in steps {
        let ends = |from: u8, port: u8, reply: bool| {
            let client = ([10, 0, 0, from], 40_000);
            let server = ([192, 0, 2, 1], u16::from(port));
            if reply { (server, client) } else { (client, server) }
        };
        let frame = match step {
            Step::Udp { from, port, reply } => {
                let (source, destination) = ends(*from, *port, *reply);
                (udp(source, destination, b"data"), u16::from(*reply))
            }
            Step::Tcp { from, port, reply, flags, sequence } => {
                let (source, destination) = ends(*from, *port, *reply);
                let numbers = (100 + sequence, 100 + sequence);
                (tcp(source, destination, *flags, numbers), u16::from(*reply))
            }
            Step::Echo { from, reply } => {
                let (source, destination) = ends(*from, 1, *reply);
                let kind = if *reply { 0 } else { 8 };
                (echo(source.0, destination.0, kind, 7), u16::from(*reply))
            }
            Step::Garbage(bytes) => (bytes.clone(), 0),
            Step::Damaged { at, bit } => {
                let (mut bytes, interface) = out.last().cloned().unwrap_or_default();
                if !bytes.is_empty() {
                    let at = usize::from(*at) % bytes.len();
                    bytes[at] ^= 1 << bit;
                }
                (bytes, interface)
            }
        };
        out.push(frame);
    }
    out
}

/// All that can be seen of a run.
type Seen = (Vec<Disposition>, Vec<Vec<u8>>, Vec<Transmit>, Vec<Event>);

fn drain(engine: &mut Engine) -> (Vec<Transmit>, Vec<Event>) {
    let transmits = core::iter::from_fn(|| engine.poll_transmit()).collect();
    (transmits, core::iter::from_fn(|| engine.poll_event()).collect())
}

fn one_by_one(engine: &mut Engine, now: Instant, frames: &[(Vec<u8>, u16)]) -> Seen {
    let mut frames = frames.to_vec();
    let mut dispositions = Vec::new();
    let mut transmits = Vec::new();
    let mut conntrack_events = Vec::new();
    let mut lines = Vec::new();
    for ((bytes, interface), number) in frames.iter_mut().zip(0..) {
        dispositions.push(engine.handle_packet(now, packet(bytes, *interface)));
        let (mine, events) = drain(engine);
        transmits.extend(mine.into_iter().map(|one| Transmit { answers: number, ..one }));
        for event in events {
            if matches!(event, Event::Log(_)) {
                lines.push(event);
            } else {
                conntrack_events.push(event);
            }
        }
    }
    conntrack_events.extend(lines);
    let bytes = frames.into_iter().map(|(bytes, _)| bytes).collect();
    (dispositions, bytes, transmits, conntrack_events)
}

fn abreast(engine: &mut Engine, now: Instant, frames: &[(Vec<u8>, u16)]) -> Seen {
    let mut frames = frames.to_vec();
    let mut dispositions = Vec::new();
    let mut packets: Vec<_> =
        frames.iter_mut().map(|(bytes, interface)| packet(bytes, *interface)).collect();
    engine.handle_batch(now, &mut packets, &mut dispositions);
    let (transmits, events) = drain(engine);
    let bytes = frames.into_iter().map(|(bytes, _)| bytes).collect();
    (dispositions, bytes, transmits, events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_is_its_packets_one_by_one(
        batches in prop::collection::vec(prop::collection::vec(step(), 1..60), 1..6),
        max in prop_oneof![Just(2_u32), Just(1000)],
        tracking in prop_oneof![Just(Tracking::Always), Just(Tracking::WhenNeeded)],
        asking in any::<bool>(),
    ) {
        let sysctls = Sysctls { max, ..Sysctls::default() };
        let rulesets = || if asking { vec![rules(RULES)] } else { vec![] };
        let mut single = router(sysctls.clone(), rulesets());
        let mut batched = router(sysctls, rulesets());
        single.set_tracking(tracking);
        batched.set_tracking(tracking);
        let mut now = START;
        for steps in &batches {
            let frames = frames(steps);
            let expected = one_by_one(&mut single, now, &frames);
            prop_assert_eq!(abreast(&mut batched, now, &frames), expected);
            now = now.plus(Duration::from_secs(20));
        }
        prop_assert_eq!(single.cause_counts(), batched.cause_counts());
    }
}

#[test]
fn a_batch_longer_than_the_longest_is_taken_in_pieces() {
    let steps: Vec<_> = (0..BATCH_MAX + 3)
        .map(|number| Step::Udp { from: (number % 250) as u8, port: 1, reply: number % 7 == 0 })
        .collect();
    let frames = frames(&steps);
    let mut single = router(Sysctls::default(), vec![rules(RULES)]);
    let mut batched = router(Sysctls::default(), vec![rules(RULES)]);
    let expected = one_by_one(&mut single, START, &frames);
    let seen = abreast(&mut batched, START, &frames);
    assert_eq!(seen.0.len(), BATCH_MAX + 3);
    assert_eq!(seen, expected);
}
