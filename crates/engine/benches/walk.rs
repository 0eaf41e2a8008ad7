//! The whole walk of a packet: parsing, IP and transport checksums, keyed hash, connection look-up
//! and update (TCP windows), timeouts, counters, one rule and a policy, TTL, routing.
//!
//! Connections are made in one order and visited in another (`i * 0x9E3779B1 mod N`), so that
//! memory latency shows. Writing the tuple into the frame is part of every measurement here and
//! measured by itself in `frame`: subtract it.
//!
//! `cargo bench -p keepstate-engine`

use divan::{Bencher, counter::ItemsCount};
use keepstate_conntrack::Sysctls;
use keepstate_engine::{Command, Engine, Host, InterfaceIndex, Packet, Verdict};
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo, checksum};
use keepstate_ruleset::syntax::iptables_save;
use std::{hint::black_box, time::Duration};

const RULES: &str = "\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
";

/// The same, and a source of their own for all of them: many addresses, for one has but so many ports.
const NAT: &str = "\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o eth1 -j SNAT --to-source 198.18.0.0-198.19.255.255
COMMIT
";

const COUNTS: [u32; 4] = [1, 1_000, 131_072, 1_000_000];
const BATCH: usize = 32;
/// Batches a sample: enough for the clock to be exact.
const ROUNDS: usize = 64;
const PACKETS: usize = BATCH * ROUNDS;
/// An IP packet in a frame of 64 bytes: without Ethernet header and frame check sequence.
const FRAME: usize = 46;
const START: Instant = Instant(1_700_000_000_000_000_000);

fn main() {
    divan::main();
}

#[derive(Clone, Copy)]
enum Kind {
    Udp,
    Tcp { flags: u8, sequence: u32, acknowledgment: u32 },
}

const SYN: Kind = Kind::Tcp { flags: 0x02, sequence: 1000, acknowledgment: 0 };
const SYN_ACK: Kind = Kind::Tcp { flags: 0x12, sequence: 5000, acknowledgment: 1001 };
const ACK: Kind = Kind::Tcp { flags: 0x10, sequence: 1001, acknowledgment: 5001 };

/// A packet whose addresses and ports are still zero, and the sums of everything else in it.
struct Frame {
    bytes: [u8; FRAME],
    ip_sum: u32,
    l4_sum: u32,
    checksum_at: usize,
}

impl Frame {
    fn new(kind: Kind) -> Self {
        let mut bytes = [0; FRAME];
        bytes[0] = 0x45;
        bytes[6] = 0x40;
        bytes[8] = 64;
        let (protocol, l4_length, checksum_at) = match kind {
            Kind::Udp => (17, 26_u16, 26),
            Kind::Tcp { .. } => (6, 20, 36),
        };
        bytes[2..4].copy_from_slice(&(20 + l4_length).to_be_bytes());
        bytes[9] = protocol;
        match kind {
            Kind::Udp => bytes[24..26].copy_from_slice(&l4_length.to_be_bytes()),
            Kind::Tcp { flags, sequence, acknowledgment } => {
                bytes[24..28].copy_from_slice(&sequence.to_be_bytes());
                bytes[28..32].copy_from_slice(&acknowledgment.to_be_bytes());
                bytes[32..36].copy_from_slice(&[0x50, flags, 0x20, 0]);
            }
        }
        let sum = |bytes: &[u8]| u32::from(!checksum::compute(bytes));
        let (ip, l4) = bytes.split_at(20);
        let l4_sum =
            sum(&l4[..usize::from(l4_length)]) + u32::from(protocol) + u32::from(l4_length);
        Self { ip_sum: sum(ip), l4_sum, checksum_at, bytes }
    }

    /// Writes the tuple of connection `number`, and the checksums.
    #[inline]
    fn write(&self, number: u32, reply: bool, out: &mut [u8; FRAME]) {
        *out = self.bytes;
        let client = 0x0a00_0000 | number >> 4;
        let server = 0xc633_6401;
        let client_port = 1024 + (number & 0x0f);
        let server_port = 53;
        let [source, destination, source_port, destination_port] = if reply {
            [server, client, server_port, client_port]
        } else {
            [client, server, client_port, server_port]
        };
        out[12..16].copy_from_slice(&source.to_be_bytes());
        out[16..20].copy_from_slice(&destination.to_be_bytes());
        out[20..24].copy_from_slice(&(source_port << 16 | destination_port).to_be_bytes());
        let addresses =
            (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff);
        let at = self.checksum_at;
        out[10..12].copy_from_slice(&complement(self.ip_sum + addresses));
        let l4 = complement(self.l4_sum + addresses + source_port + destination_port);
        out[at..at + 2].copy_from_slice(&l4);
    }
}

fn complement(sum: u32) -> [u8; 2] {
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (!(sum as u16)).to_be_bytes()
}

/// The rules of table nat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nat {
    None,
    /// [`NAT`].
    Many,
    /// One address for all.
    One,
}

impl Nat {
    fn rules(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Many => NAT.to_owned(),
            Self::One => NAT.replace("-198.19.255.255", ""),
        }
    }
}

fn engine(nat: Nat) -> Engine {
    let name = |name| InterfaceName::new(name).expect("a short name");
    let rules = nat.rules() + RULES;
    let rules = iptables_save::parse(&rules, Family::V4).expect("rules that parse");
    let sysctls = Sysctls { max: 1 << 21, ..Sysctls::default() };
    let host = Host::router(name("eth0"), name("eth1"));
    let mut engine = Engine::new([7, 8], host, sysctls, vec![rules]);
    engine.conntrack_mut().set_events_max(0);
    engine
}

fn packet(bytes: &mut [u8], reply: bool) -> Packet<'_> {
    Packet {
        bytes,
        interface: Some(InterfaceIndex(u16::from(reply))),
        family: Some(Family::V4),
        link: LinkInfo::default(),
        mark: 0,
    }
}

/// When established connections are visited: late enough for UDP's to have become ASSURED.
const LATER: Instant = START.plus(Duration::from_secs(3));

/// The rules, with `count` connections that have seen both directions.
fn established(tcp: bool, count: u32) -> Engine {
    let mut engine = engine(Nat::None);
    let steps: &[(Kind, bool, Instant)] = if tcp {
        &[(SYN, false, START), (SYN_ACK, true, START), (ACK, false, START)]
    } else {
        &[(Kind::Udp, false, START), (Kind::Udp, true, START), (Kind::Udp, false, LATER)]
    };
    let mut bytes = [0; FRAME];
    for (kind, reply, now) in steps {
        let frame = Frame::new(*kind);
        for number in 0..count {
            frame.write(number, *reply, &mut bytes);
            let disposition = engine.handle_packet(*now, packet(&mut bytes, *reply));
            assert_eq!(disposition.verdict, Verdict::Accept);
        }
    }
    assert_eq!(engine.conntrack().count(), count as usize);
    engine
}

/// Visits connections in an order that is not the one they were made in.
struct Order {
    at: u32,
    count: u32,
}

impl Order {
    const fn new(count: u32) -> Self {
        Self { at: 0, count }
    }

    #[inline]
    fn next(&mut self) -> u32 {
        self.at = self.at.wrapping_add(1);
        (u64::from(self.at).wrapping_mul(0x9E37_79B1) % u64::from(self.count)) as u32
    }
}

fn by_ones(bencher: Bencher<'_, '_>, tcp: bool, count: u32) {
    let mut engine = established(tcp, count);
    let frame = Frame::new(if tcp { ACK } else { Kind::Udp });
    let mut order = Order::new(count);
    let mut bytes = [0; FRAME];
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        for _ in 0..PACKETS {
            frame.write(order.next(), false, &mut bytes);
            black_box(engine.handle_packet(LATER, packet(&mut bytes, false)));
        }
    });
}

fn by_batches(bencher: Bencher<'_, '_>, tcp: bool, count: u32) {
    let kind = if tcp { ACK } else { Kind::Udp };
    batches(bencher, established(tcp, count), kind, count);
}

fn batches(bencher: Bencher<'_, '_>, mut engine: Engine, kind: Kind, count: u32) {
    let frame = Frame::new(kind);
    let mut order = Order::new(count);
    let mut frames = [[0; FRAME]; BATCH];
    let mut out = Vec::with_capacity(BATCH);
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        for _ in 0..ROUNDS {
            frames.iter_mut().for_each(|bytes| frame.write(order.next(), false, bytes));
            let mut packets = frames.each_mut().map(|bytes| packet(bytes, false));
            out.clear();
            engine.handle_batch(LATER, &mut packets, &mut out);
            black_box(&out);
        }
    });
}

/// What writing the tuple costs; it is part of all other figures.
#[divan::bench(args = [false, true])]
fn frame(bencher: Bencher<'_, '_>, tcp: bool) {
    let frame = Frame::new(if tcp { ACK } else { Kind::Udp });
    let mut order = Order::new(1_000_000);
    let mut frames = [[0; FRAME]; BATCH];
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        for _ in 0..ROUNDS {
            frames.iter_mut().for_each(|bytes| frame.write(order.next(), false, bytes));
            black_box(&frames);
        }
    });
}

#[divan::bench(args = COUNTS)]
fn established_udp_by_ones(bencher: Bencher<'_, '_>, count: u32) {
    by_ones(bencher, false, count);
}

#[divan::bench(args = COUNTS)]
fn established_udp_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    by_batches(bencher, false, count);
}

#[divan::bench(args = COUNTS)]
fn established_tcp_by_ones(bencher: Bencher<'_, '_>, count: u32) {
    by_ones(bencher, true, count);
}

#[divan::bench(args = COUNTS)]
fn established_tcp_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    by_batches(bencher, true, count);
}

/// New connections beside `count` that are alive: time goes on so that as many expire as are made,
/// and is let pass when the engine wants it.
fn new(bencher: Bencher<'_, '_>, tcp: bool, count: u32, batched: bool, nat: Nat) {
    let mut engine = engine(nat);
    let frame = Frame::new(if tcp { SYN } else { Kind::Udp });
    let timeouts = &engine.conntrack().sysctls().timeouts;
    let life = if tcp { timeouts.tcp_syn_sent } else { timeouts.udp };
    let pace = life.as_duration() / count.max(BATCH as u32);
    let mut now = START;
    let mut number = 0_u32;
    let mut frames = [[0; FRAME]; BATCH];
    let mut out = Vec::with_capacity(BATCH);
    let mut step = |engine: &mut Engine| {
        for bytes in &mut frames {
            number = (number + 1) & 0x0fff_ffff;
            frame.write(number, false, bytes);
        }
        if batched {
            let mut packets = frames.each_mut().map(|bytes| packet(bytes, false));
            out.clear();
            engine.handle_batch(now, &mut packets, &mut out);
        } else {
            for bytes in &mut frames {
                black_box(engine.handle_packet(now, packet(bytes, false)));
            }
        }
        now = now.plus(pace * BATCH as u32);
        if engine.poll_timeout().is_some_and(|(deadline, _)| deadline <= now) {
            engine.handle_timeout(now);
        }
    };
    for _ in 0..(2 * count / BATCH as u32) {
        step(&mut engine);
    }
    assert!(engine.conntrack().count() <= 3 * (count.max(BATCH as u32)) as usize + 1024);
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        for _ in 0..ROUNDS {
            step(&mut engine);
        }
    });
}

#[divan::bench(args = COUNTS)]
fn new_udp_by_ones(bencher: Bencher<'_, '_>, count: u32) {
    new(bencher, false, count, false, Nat::None);
}

#[divan::bench(args = COUNTS)]
fn new_udp_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    new(bencher, false, count, true, Nat::None);
}

#[divan::bench(args = COUNTS)]
fn new_tcp_by_ones(bencher: Bencher<'_, '_>, count: u32) {
    new(bencher, true, count, false, Nat::None);
}

#[divan::bench(args = COUNTS)]
fn new_tcp_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    new(bencher, true, count, true, Nat::None);
}

#[divan::bench(args = COUNTS)]
fn new_udp_translated_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    new(bencher, false, count, true, Nat::Many);
}

/// Of the ports that one address has towards a server, so many are taken: all clients have the same few,
/// so that nearly every one is given another.
#[divan::bench(args = [1_000, 16_000, 32_000, 48_000, 60_000])]
fn new_udp_behind_one_address_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    new(bencher, false, count, true, Nat::One);
}

/// Connections that are translated, of which both directions have been seen.
fn translated(count: u32) -> Engine {
    let mut engine = engine(Nat::Many);
    let frame = Frame::new(Kind::Udp);
    let mut bytes = [0; FRAME];
    for number in 0..count {
        frame.write(number, false, &mut bytes);
        let sent = engine.handle_packet(START, packet(&mut bytes, false));
        assert_eq!(sent.verdict, Verdict::Accept);
        let mut answer = bytes;
        answer[12..16].copy_from_slice(&bytes[16..20]);
        answer[16..20].copy_from_slice(&bytes[12..16]);
        answer[20..22].copy_from_slice(&bytes[22..24]);
        answer[22..24].copy_from_slice(&bytes[20..22]);
        answer[8] = 64;
        checksum::fill_ipv4_header(&mut answer);
        let back = engine.handle_packet(START, packet(&mut answer, true));
        assert_eq!(back.verdict, Verdict::Accept);
        frame.write(number, false, &mut bytes);
        engine.handle_packet(LATER, packet(&mut bytes, false));
    }
    assert_eq!(engine.conntrack().count(), count as usize);
    engine
}

/// The same as [`established_udp_by_batches`], translated: the difference is what that costs.
#[divan::bench(args = COUNTS)]
fn established_udp_translated_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    batches(bencher, translated(count), Kind::Udp, count);
}

/// The same where the table `nat` is there and connections are bound to what they have.
#[divan::bench(args = COUNTS)]
fn established_tcp_beside_nat_by_batches(bencher: Bencher<'_, '_>, count: u32) {
    let mut engine = established(true, count);
    let rules = NAT.replace("-o eth1", "-o eth9") + RULES;
    let rules = iptables_save::parse(&rules, Family::V4).expect("rules that parse");
    let replaced = Command::ReplaceRuleset(Box::new(rules));
    engine.handle_command(LATER, replaced).expect("it is taken");
    batches(bencher, engine, ACK, count);
}
