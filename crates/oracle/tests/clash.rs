//! First packets of one connection on their way at once: the kernel is made to hold them between
//! its hooks (NFQUEUE), the table here is asked as an engine asks it. As root on Linux; elsewhere it
//! says why it is skipped.

use keepstate_conntrack::table::{Drop, Statistics, Template};
use keepstate_conntrack::{Direction, Event, Hook, Sysctls, Table, Tracked, Ways, Zone, helpers};
use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::namespace;
use keepstate_oracle::nfqueue::{Held, Queue};
use keepstate_oracle::observation::{EventView, Fate, Side};
use keepstate_packet::{Address, Family, Instant, Parsed, checksum};
use std::io;

/// What comes from side A is held once it has been routed. The TTL says in which zone a packet is,
/// or that it has a helper.
const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A PREROUTING -m ttl --ttl-eq 107 -j CT --zone-orig 7\n\
    -A PREROUTING -m ttl --ttl-eq 108 -j CT --zone-orig 8\n\
    -A PREROUTING -m ttl --ttl-eq 109 -j CT --zone-reply 9\n\
    -A PREROUTING -m ttl --ttl-eq 110 -p udp -j CT --helper tftp\nCOMMIT\n\
    *filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A FORWARD -i eth0 -j NFQUEUE --queue-num 5\nCOMMIT\n";
const RULES_V6: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n\
    :OUTPUT ACCEPT [0:0]\n-A FORWARD -i eth0 -j NFQUEUE --queue-num 5\nCOMMIT\n";
const QUEUE: u16 = 5;

const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;
const ESP: u8 = 50;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;
const UNKNOWN: u8 = 99;

fn template(packet: &[u8]) -> Template {
    let blank = Template::default();
    match (family(packet), packet[8]) {
        (Family::V4, 107) => Template { zone: Zone::one(7, Direction::Original), ..blank },
        (Family::V4, 108) => Template { zone: Zone::one(8, Direction::Original), ..blank },
        (Family::V4, 109) => Template { zone: Zone::one(9, Direction::Reply), ..blank },
        (Family::V4, 110) => {
            Template { helper: helpers::Instance::named("tftp", Family::V4, UDP), ..blank }
        }
        _ => blank,
    }
}

/// What happens to the packets of a case, by their numbers.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Comes in and is held.
    Hold(usize),
    /// Goes on.
    Release(usize),
    /// The answer to it comes and passes.
    Answer(usize),
}
use Step::{Answer, Hold, Release};

struct Case {
    name: String,
    packets: Vec<Vec<u8>>,
    steps: Vec<Step>,
    sysctls: [(&'static str, &'static str); 2],
}

impl Case {
    fn new(name: impl ToString, packets: &[Vec<u8>], steps: &[Step]) -> Self {
        Self {
            name: name.to_string(),
            packets: packets.to_vec(),
            steps: steps.to_vec(),
            sysctls: [("nf_conntrack_acct", "1"), ("nf_conntrack_checksum", "1")],
        }
    }
}

/// What is to be seen of a step.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    passed: bool,
    told: Vec<String>,
    counted: Statistics,
}

fn told(events: Vec<EventView>) -> Vec<String> {
    let one = |e: EventView| {
        let shown = compare::connection(&e.snapshot);
        format!("{:?} {}", e.kind, shown.split(" timeout").next().unwrap_or_default())
    };
    events.into_iter().map(one).collect()
}

struct Ours {
    table: Table,
    now: Instant,
    held: Vec<(usize, Tracked)>,
}

impl Ours {
    fn new(case: &Case) -> Self {
        let mut sysctls = Sysctls::default();
        for (name, value) in case.sysctls {
            sysctls.set(name, value).expect("a sysctl");
        }
        let table = Table::new([1, 2], sysctls);
        Self { table, now: Instant(1_000_000_000_000), held: Vec::new() }
    }

    fn step(&mut self, case: &Case, step: Step) -> Outcome {
        let passed = match step {
            Hold(n) => {
                let tracked = self.track(&case.packets[n]);
                self.held.push((n, tracked));
                false
            }
            Release(n) => {
                let at = self.held.iter().position(|(of, _)| *of == n).expect("it is held");
                let (_, tracked) = self.held.remove(at);
                self.leave(&case.packets[n], tracked)
            }
            Answer(n) => {
                let answer = answer(&case.packets[n]);
                let tracked = self.track(&answer);
                self.leave(&answer, tracked)
            }
        };
        let next = || self.table.poll_event();
        let view = |Event { kind, snapshot, .. }| EventView { kind, snapshot };
        let events = std::iter::from_fn(next).map(view).collect();
        let counted = Statistics { insert: 0, ..*self.table.statistics() };
        Outcome { passed, told: told(events), counted }
    }

    fn track(&mut self, packet: &[u8]) -> Tracked {
        let parsed = Parsed::new(packet).expect("an IP packet");
        let template = template(packet);
        self.table.track_in(self.now, Hook::Prerouting, &parsed, packet, &template).expect("room")
    }

    /// The end of POSTROUTING.
    fn leave(&mut self, packet: &[u8], mut tracked: Tracked) -> bool {
        let parsed = Parsed::new(packet).expect("an IP packet");
        let helped = self.table.help(self.now, &tracked, &parsed, packet, &NoWays);
        let left: Result<(), Drop> =
            helped.and_then(|_| self.table.confirm(self.now, &mut tracked));
        if left.is_err() {
            self.table.discard(self.now, &tracked);
        }
        left.is_ok()
    }
}

#[derive(Debug)]
struct NoWays;

impl Ways for NoWays {
    fn leaves_alike(&self, _: Address) -> bool {
        false
    }

    fn share_next_hop(&self, _: Address, _: Address) -> bool {
        false
    }

    fn broadcast_prefix(&self, _: Address) -> Option<u8> {
        None
    }
}

struct Theirs<'k> {
    kernel: &'k mut Kernel,
    queue: &'k mut Queue,
    held: Vec<(usize, Held)>,
    before: Statistics,
}

impl<'k> Theirs<'k> {
    fn new(kernel: &'k mut Kernel, queue: &'k mut Queue, case: &Case) -> io::Result<Self> {
        kernel.flush()?;
        for (name, value) in case.sysctls {
            kernel.set_sysctl(name, value)?;
        }
        let before = kernel.statistics()?;
        Ok(Self { kernel, queue, held: Vec::new(), before })
    }

    fn step(&mut self, case: &Case, step: Step) -> io::Result<Outcome> {
        let seen = match step {
            Hold(n) => {
                let packet = &case.packets[n];
                let seen = self.kernel.push(Side::A, family(packet), packet)?;
                self.held.extend(self.queue.held()?.into_iter().map(|held| (n, held)));
                Some(seen)
            }
            Release(n) => {
                let at = self.held.iter().position(|(of, _)| *of == n).expect("it is held");
                let (_, held) = self.held.remove(at);
                let leaves = elsewhere(&held.bytes);
                let queue = &*self.queue;
                Some(self.kernel.release(&leaves, || queue.release(&held, &leaves))?)
            }
            Answer(n) => {
                let answer = answer(&case.packets[n]);
                Some(self.kernel.push(Side::B, family(&answer), &answer)?)
            }
        };
        let passed = seen.as_ref().is_some_and(|seen| seen.fate == Fate::Forwarded);
        let events = seen.map_or(Vec::new(), |seen| seen.events);
        Ok(Outcome { passed, told: told(events), counted: self.counted()? })
    }

    fn counted(&self) -> io::Result<Statistics> {
        let (now, before) = (self.kernel.statistics()?, self.before);
        Ok(Statistics {
            invalid: now.invalid - before.invalid,
            error: now.error - before.error,
            insert: 0,
            insert_failed: now.insert_failed - before.insert_failed,
            drop: now.drop - before.drop,
            early_drop: now.early_drop - before.early_drop,
            clash_resolve: now.clash_resolve - before.clash_resolve,
            expect_create: now.expect_create - before.expect_create,
            expect_delete: now.expect_delete - before.expect_delete,
            expect_new: now.expect_new - before.expect_new,
        })
    }
}

fn family(packet: &[u8]) -> Family {
    if packet[0] >> 4 == 6 { Family::V6 } else { Family::V4 }
}

fn finished(mut packet: Vec<u8>) -> Vec<u8> {
    if family(&packet) == Family::V4 {
        checksum::fill_ipv4_header(&mut packet);
    }
    let parsed = Parsed::new(&packet).expect("an IP packet");
    checksum::fill(&parsed, &mut packet);
    packet
}

/// The same packet as if from somebody else. Before a held packet goes on, Linux looks for its
/// connection once more by what is in the packet then; this one is to find none, as one that came to
/// that point on another processor would have found none.
fn elsewhere(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let last_of_source = if family(&packet) == Family::V4 { 15 } else { 23 };
    packet[last_of_source] ^= 0x80;
    finished(packet)
}

fn answer(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let (at, length, protocol) = match family(&packet) {
        Family::V4 => (12, 4, packet[9]),
        Family::V6 => (8, 16, packet[6]),
    };
    let (head, upper) = packet.split_at_mut(at + 2 * length);
    head[at..].rotate_left(length);
    match protocol {
        TCP | UDP | SCTP | UDPLITE => upper[..4].rotate_left(2),
        1 => upper[0] = 0,
        58 => upper[0] = 129,
        _ => {}
    }
    finished(packet)
}

fn packet(family: Family, protocol: u8, ttl: u8) -> Vec<u8> {
    let upper = upper(protocol);
    let mut packet = match family {
        Family::V4 => {
            let mut packet =
                vec![0x45, 0, 0, 20 + upper.len() as u8, 0, 1, 0, 0, ttl, protocol, 0, 0];
            packet.extend([10, 0, 0, 1, 198, 51, 100, 2]);
            packet
        }
        Family::V6 => {
            let mut packet = vec![0x60, 0, 0, 0, 0, upper.len() as u8, protocol, ttl];
            for subnet in [0xa, 0xb] {
                packet.extend([0xfd, 0, 0, subnet, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            }
            packet
        }
    };
    packet.extend(upper);
    finished(packet)
}

/// What may be the first packet of a connection; over UDP it asks for a file (TFTP).
fn upper(protocol: u8) -> Vec<u8> {
    let ports = [0x10, 0, 0x20, 0];
    match protocol {
        TCP => [&ports[..], &[0, 0, 0, 9, 0, 0, 0, 0, 0x50, 2, 0x72, 0x10, 0, 0, 0, 0]].concat(),
        UDP => [&ports[..], &[0, 20, 0, 0], &[0, 1, b'f', 0], b"octet\0\0\0"].concat(),
        UDPLITE => [&ports[..], &[0, 12, 0, 0, 1, 2, 3, 4]].concat(),
        1 => vec![8, 0, 0, 0, 1, 2, 3, 4, 5, 6],
        58 => vec![128, 0, 0, 0, 1, 2, 3, 4, 5, 6],
        GRE => vec![0, 0, 8, 0, 1, 2, 3, 4],
        SCTP => {
            let init = [1, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 7];
            [&ports[..], &[0; 8], &init].concat()
        }
        _ => vec![1, 2, 3, 4, 5, 6, 7, 8],
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6] {
        let echo = if family == Family::V4 { 1 } else { 58 };
        for protocol in [echo, TCP, UDP, GRE, ESP, UNKNOWN, SCTP, UDPLITE] {
            let one = packet(family, protocol, 64);
            let (same, crossing) = ([one.clone(), one.clone()], [one.clone(), answer(&one)]);
            let three = [one.clone(), one.clone(), answer(&one)];
            let both = [Hold(0), Hold(1)];
            let of = |how: &str| format!("{how} {protocol} {family:?}");
            let mut add = |how: &str, packets: &[Vec<u8>], first: &[Step], then: &[Step]| {
                cases.push(Case::new(of(how), packets, &[first, then].concat()));
            };
            add("same", &same, &both, &[Release(0), Release(1), Answer(0), Answer(0)]);
            add("the later first", &same, &both, &[Release(1), Release(0), Answer(0)]);
            add("answered meanwhile", &same, &both, &[Release(0), Answer(0), Release(1)]);
            // An echo reply begins nothing.
            if protocol != echo {
                add("crossing", &crossing, &both, &[Release(0), Release(1), Answer(0)]);
                let all = [Hold(0), Hold(1), Hold(2), Release(2), Release(1), Release(0)];
                add("three", &three, &all, &[Answer(2), Answer(1)]);
            }
        }
    }
    cases.extend(zones());
    // What Linux takes for a right checksum of UDP-Lite is none.
    for case in cases.iter_mut().filter(|case| case.name.contains(&format!(" {UDPLITE} "))) {
        case.sysctls[1].1 = "0";
    }
    let of = |ttl| packet(Family::V4, UDP, ttl);
    let both = [Hold(0), Hold(1), Release(0), Release(1), Answer(0)];
    cases.push(Case::new("both ask for a file", &[of(110), of(110)], &both));
    cases
}

/// Zones of one direction make tuples equal that belong to different connections, or only some of
/// two that look the same.
fn zones() -> Vec<Case> {
    let mut cases = Vec::new();
    let steps = [Hold(0), Hold(1), Release(0), Release(1), Answer(0), Answer(1), Answer(1)];
    for protocol in [UDP, UDPLITE, GRE, UNKNOWN, TCP] {
        for first in [64, 107, 108, 109] {
            for second in [64, 107, 108, 109] {
                let one = packet(Family::V4, protocol, first);
                let same = packet(Family::V4, protocol, second);
                let name = |how| format!("{how} {protocol} in zones by TTL {first} {second}");
                let crossing = [one.clone(), answer(&same)];
                cases.push(Case::new(name("same"), &[one, same], &steps));
                cases.push(Case::new(name("crossing"), &crossing, &steps));
            }
        }
    }
    cases
}

fn compared(kernel: &mut Kernel, queue: &mut Queue, case: &Case) -> io::Result<Statistics> {
    let mut ours = Ours::new(case);
    let mut theirs = Theirs::new(kernel, queue, case)?;
    for step in case.steps.iter().copied() {
        let (theirs, ours) = (theirs.step(case, step)?, ours.step(case, step));
        assert_eq!(theirs, ours, "{}: {step:?}", case.name);
    }
    let counted = theirs.counted()?;
    let listed = ours.table.connections(ours.now).into_iter();
    let listed = listed.filter_map(|conn| ours.table.snapshot(ours.now, conn)).collect();
    let differences = compare::tables(theirs.kernel.connections()?, listed);
    assert!(differences.is_empty(), "{}: {differences:#?}", case.name);
    // What listings leave out goes with the rest: an answer finds nothing any more.
    theirs.kernel.flush()?;
    ours.table.flush(ours.now);
    while ours.table.poll_event().is_some() {}
    for number in 0..case.packets.len() {
        let step = Answer(number);
        let (theirs, ours) = (theirs.step(case, step)?, ours.step(case, step));
        assert_eq!(theirs, ours, "{}: {step:?} after all was flushed", case.name);
    }
    Ok(counted)
}

#[test]
fn packets_that_clash_are_resolved_as_the_kernel_resolves_them() {
    let ran = namespace::with(|| {
        let mut kernel = Kernel::new(Config::default())?;
        let mut queue = Queue::open(QUEUE)?;
        kernel.load_rules(Family::V4, RULES)?;
        kernel.load_rules(Family::V6, RULES_V6)?;
        let (mut joined, mut lost) = (0, 0);
        for case in cases() {
            let counted = compared(&mut kernel, &mut queue, &case)?;
            joined += counted.clash_resolve;
            lost += counted.insert_failed;
        }
        assert!(joined > 20 && lost > 20, "{joined} joined, {lost} were lost");
        Ok::<(), io::Error>(())
    });
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
    }
}
