//! What tracking costs a packet: look-up, tracker, confirm. Connections are made in one order and
//! visited in another (`i * 0x9E3779B1 mod N`), one by one and in batches of 32. Parsing and
//! checksums are not in it, events and accounting are off; writing the addresses and ports of the
//! next packet is (`frames_alone` tells what that costs).

use divan::{Bencher, counter::ItemsCount};
use keepstate_conntrack::table::{Prepared, Table, Template};
use keepstate_conntrack::{Hook, Sysctls};
use keepstate_packet::{Address, Instant, L4, Parsed, tcp};

const BATCH: usize = 32;
const COUNTS: [u32; 4] = [1, 1 << 10, 1 << 17, 1 << 20];
const NOW: Instant = Instant(1_000_000_000_000);

fn main() {
    divan::main();
}

/// A packet and what was parsed of it, to be turned into that of any connection.
#[derive(Clone)]
struct Frame {
    bytes: Vec<u8>,
    parsed: Parsed,
}

impl Frame {
    fn new(protocol: u8) -> Self {
        let mut bytes = vec![0x45, 0, 0, 46, 0, 1, 0, 0, 64, protocol, 0, 0];
        bytes.extend([10, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 80]);
        match protocol {
            tcp::PROTOCOL => bytes.extend([0, 0, 0, 100, 0, 0, 0, 0, 0x50, 0, 0xff, 0xff]),
            _ => bytes.extend([0, 26, 0, 0]),
        }
        bytes.resize(46, 0);
        let parsed = Parsed::new(&bytes).expect("an IP packet");
        Self { bytes, parsed }
    }

    /// The packet of connection `n`, of its client or of its server.
    fn of(&mut self, n: u32, reply: bool) {
        let [_, b, c, d] = n.to_be_bytes();
        let client = (Address::v4([10, b, c, d]), 1024 + (n & 0x3fff) as u16);
        let server = (Address::v4([192, 0, 2, 1]), 443);
        let (source, destination) = if reply { (server, client) } else { (client, server) };
        (self.parsed.source, self.parsed.destination) = (source.0, destination.0);
        match &mut self.parsed.l4 {
            L4::Tcp(header) => {
                (header.source_port, header.destination_port) = (source.1, destination.1);
            }
            L4::Udp(header) => {
                (header.source_port, header.destination_port) = (source.1, destination.1);
            }
            _ => {}
        }
    }

    fn segment(&mut self, flags: u8, sequence: u32, acknowledgment: u32) {
        if let L4::Tcp(header) = &mut self.parsed.l4 {
            header.flags = flags;
            (header.sequence, header.acknowledgment) = (sequence, acknowledgment);
        }
    }
}

fn empty(count: u32) -> Table {
    let max = count.max(1 << 12) + BATCH as u32;
    let mut table = Table::new([1, 2], Sysctls { max, checksum: false, ..Sysctls::default() });
    table.set_events_max(0);
    table
}

fn walk(table: &mut Table, frame: &Frame) {
    let mut tracked = table
        .track_in(NOW, Hook::Prerouting, &frame.parsed, &frame.bytes, &Template::default())
        .expect("room");
    assert!(tracked.conn.is_some(), "{tracked:?}");
    table.confirm(NOW, &mut tracked).expect("no clash");
}

/// A table with `count` connections that have been answered, and a packet of them.
fn established(protocol: u8, count: u32) -> (Table, Frame) {
    let mut table = empty(count);
    let mut frame = Frame::new(protocol);
    let steps = [
        (false, tcp::SYN, 99, 0),
        (true, tcp::SYN | tcp::ACK, 499, 100),
        (false, tcp::ACK, 100, 500),
    ];
    for n in 0..count {
        for (reply, flags, sequence, acknowledgment) in steps {
            frame.of(n, reply);
            frame.segment(flags, sequence, acknowledgment);
            walk(&mut table, &frame);
        }
    }
    assert_eq!(table.count(), count as usize);
    (table, frame)
}

/// The connections in the order of the visit.
struct Visit {
    count: u32,
    next: u32,
}

impl Visit {
    fn next(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next.wrapping_mul(0x9E37_79B1) % self.count
    }
}

fn one_by_one(bencher: Bencher<'_, '_>, protocol: u8, count: u32) {
    let (mut table, mut frame) = established(protocol, count);
    let mut visit = Visit { count, next: 0 };
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            frame.of(visit.next(), false);
            walk(&mut table, &frame);
        }
    });
}

fn batches(bencher: Bencher<'_, '_>, protocol: u8, count: u32) {
    let (mut table, frame) = established(protocol, count);
    let mut frames = vec![frame; BATCH];
    let mut visit = Visit { count, next: 0 };
    let mut prepared: Vec<Prepared> = Vec::with_capacity(BATCH);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        frames.iter_mut().for_each(|frame| frame.of(visit.next(), false));
        prepared.clear();
        prepared.extend(frames.iter().map(|f| table.prepare(&f.parsed, &f.bytes)));
        prepared.iter().for_each(|p| table.touch_bucket(p));
        prepared.iter_mut().for_each(|p| table.touch_entry(p));
        for (Frame { bytes, parsed }, prepared) in frames.iter().zip(&prepared) {
            let template = Template::default();
            let mut tracked = table
                .track_prepared(NOW, Hook::Prerouting, parsed, bytes, &template, prepared)
                .expect("room");
            table.confirm(NOW, &mut tracked).expect("no clash");
        }
    });
}

#[divan::bench(args = COUNTS)]
fn udp_established(bencher: Bencher<'_, '_>, count: u32) {
    one_by_one(bencher, 17, count);
}

#[divan::bench(args = COUNTS)]
fn udp_established_batch(bencher: Bencher<'_, '_>, count: u32) {
    batches(bencher, 17, count);
}

#[divan::bench(args = COUNTS)]
fn tcp_established(bencher: Bencher<'_, '_>, count: u32) {
    one_by_one(bencher, tcp::PROTOCOL, count);
}

#[divan::bench(args = COUNTS)]
fn tcp_established_batch(bencher: Bencher<'_, '_>, count: u32) {
    batches(bencher, tcp::PROTOCOL, count);
}

/// The part of a batch that is not tracking.
#[divan::bench(args = COUNTS)]
fn frames_alone(bencher: Bencher<'_, '_>, count: u32) {
    let mut frames = vec![Frame::new(tcp::PROTOCOL); BATCH];
    let mut visit = Visit { count, next: 0 };
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        frames.iter_mut().for_each(|frame| frame.of(visit.next(), false));
        divan::black_box(&mut frames);
    });
}

/// New UDP connections into a table that already has `count`; each is removed again.
#[divan::bench(args = COUNTS)]
fn udp_new_and_gone(bencher: Bencher<'_, '_>, count: u32) {
    let mut table = empty(count);
    let mut frame = Frame::new(17);
    for n in 0..count {
        frame.of(n, false);
        walk(&mut table, &frame);
    }
    let mut visit = Visit { count, next: 0 };
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            frame.of(count + visit.next(), false);
            let mut tracked = table
                .track_in(NOW, Hook::Prerouting, &frame.parsed, &frame.bytes, &Template::default())
                .expect("room");
            table.confirm(NOW, &mut tracked).expect("no clash");
            if let Some(conn) = tracked.conn {
                table.delete(NOW, conn);
            }
        }
    });
}
