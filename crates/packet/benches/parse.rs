//! What it costs to parse packets and to verify their checksums, beside etherparse in the same run:
//! `cargo bench -p keepstate-packet`.

use divan::{Bencher, black_box, counter::BytesCount, counter::ItemsCount};
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use keepstate_packet::checksum::{self, Verified};
use keepstate_packet::{LinkType, Malformed, Parsed, network_packet};

const PLAIN: [&str; 4] = ["udp4", "tcp4", "udp6", "tcp6"];
const BATCH: usize = 32;

fn main() {
    divan::main();
}

/// A packet that carries as much as makes it `length` bytes long, or nothing.
fn packet(kind: &str, length: usize) -> Vec<u8> {
    let ip = if kind.ends_with('4') {
        PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 7], 64)
    } else {
        PacketBuilder::ipv6([1; 16], [2; 16], 64)
    };
    let mut bytes = Vec::new();
    if kind.starts_with("tcp") {
        let tcp = ip.tcp(12345, 443, 1, 1000).ack(1);
        let payload = vec![0x5a; length.saturating_sub(tcp.size(0))];
        tcp.write(&mut bytes, &payload).unwrap();
    } else {
        let udp = ip.udp(12345, 53);
        let payload = vec![0x5a; length.saturating_sub(udp.size(0))];
        udp.write(&mut bytes, &payload).unwrap();
    }
    bytes
}

fn batch(kind: &str) -> Vec<Vec<u8>> {
    (0..BATCH).map(|_| packet(kind, 50)).collect()
}

#[divan::bench(args = PLAIN)]
fn one(bencher: Bencher<'_, '_>, kind: &str) {
    let bytes = packet(kind, 50);
    bencher.bench_local(|| Parsed::new(black_box(&bytes)));
}

#[divan::bench(args = PLAIN)]
fn one_etherparse(bencher: Bencher<'_, '_>, kind: &str) {
    let bytes = packet(kind, 50);
    bencher.bench_local(|| SlicedPacket::from_ip(black_box(&bytes)).is_ok());
}

#[divan::bench(args = PLAIN)]
fn batch_of_32(bencher: Bencher<'_, '_>, kind: &str) {
    let packets = batch(kind);
    let mut parsed = [const { Err(Malformed::Short) }; BATCH];
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for (into, bytes) in parsed.iter_mut().zip(black_box(&packets)) {
            *into = Parsed::new(bytes);
        }
        black_box(&mut parsed);
    });
}

#[divan::bench(args = PLAIN)]
fn batch_of_32_etherparse(bencher: Bencher<'_, '_>, kind: &str) {
    let packets = batch(kind);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for bytes in black_box(&packets) {
            black_box(SlicedPacket::from_ip(bytes).is_ok());
        }
    });
}

#[divan::bench]
fn one_from_ethernet(bencher: Bencher<'_, '_>) {
    let mut frame = vec![2; 12];
    frame.extend([8, 0]);
    frame.extend(packet("udp4", 50));
    bencher.bench_local(|| {
        let found = network_packet(LinkType::ETHERNET, black_box(&frame)).unwrap();
        Parsed::of_family(found.family, found.bytes)
    });
}

#[divan::bench(args = [40, 64, 128, 576, 1500])]
fn verify(bencher: Bencher<'_, '_>, length: usize) {
    let bytes = packet("tcp4", length);
    let parsed = Parsed::new(&bytes).unwrap();
    bencher.counter(BytesCount::new(length)).bench_local(|| {
        let verified = checksum::verify(black_box(&parsed), black_box(&bytes));
        assert_eq!(verified, Verified::Valid);
    });
}

#[divan::bench(args = [40, 64, 128, 576, 1500])]
fn verify_etherparse(bencher: Bencher<'_, '_>, length: usize) {
    let bytes = packet("tcp4", length);
    bencher.counter(BytesCount::new(length)).bench_local(|| {
        let sliced = SlicedPacket::from_ip(black_box(&bytes)).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { unreachable!() };
        tcp.to_header()
            .calc_checksum_ipv4_raw([192, 0, 2, 1], [198, 51, 100, 7], tcp.payload())
            .unwrap()
    });
}

#[divan::bench]
fn ipv4_header(bencher: Bencher<'_, '_>) {
    let bytes = packet("udp4", 50);
    bencher.bench_local(|| checksum::ipv4_header_valid(black_box(&bytes)));
}
