//! Packets and engines for the tests.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod endpoint;

use keepstate_conntrack::Sysctls;
use keepstate_engine::{Disposition, Engine, Host, InterfaceIndex, Packet};
use keepstate_packet::checksum::{self, Sum};
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo};
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::syntax::iptables_save;

pub(crate) const START: Instant = Instant(1_700_000_000_000_000_000);

pub(crate) fn name(name: &str) -> InterfaceName {
    InterfaceName::new(name).unwrap()
}

pub(crate) fn rules(source: &str) -> Ruleset {
    iptables_save::parse(source, Family::V4).unwrap_or_else(|faults| panic!("{faults:?}"))
}

pub(crate) fn router(sysctls: Sysctls, rulesets: Vec<Ruleset>) -> Engine {
    Engine::new([1, 2], Host::router(name("eth0"), name("eth1")), sysctls, rulesets)
}

pub(crate) fn packet(bytes: &mut [u8], interface: u16) -> Packet<'_> {
    let interface = Some(InterfaceIndex(interface));
    Packet { bytes, interface, family: None, link: LinkInfo::default(), mark: 0 }
}

pub(crate) fn send(
    engine: &mut Engine,
    now: Instant,
    bytes: &mut [u8],
    interface: u16,
) -> Disposition {
    engine.handle_packet(now, packet(bytes, interface))
}

fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, l4: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + l4.len()).unwrap();
    let mut out = vec![0x45, 0];
    out.extend(length.to_be_bytes());
    out.extend([0x12, 0x34, 0x40, 0, 64, protocol, 0, 0]);
    out.extend(source);
    out.extend(destination);
    let sum = Sum::ZERO.bytes(&out).checksum();
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(l4);
    out
}

fn sealed(
    source: [u8; 4],
    destination: [u8; 4],
    protocol: u8,
    mut l4: Vec<u8>,
    at: usize,
) -> Vec<u8> {
    let length = u16::try_from(l4.len()).unwrap();
    let pseudo = Sum::ZERO.bytes(&source).bytes(&destination);
    let sum = pseudo.number(u16::from(protocol)).number(length).bytes(&l4).checksum();
    l4[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    ipv4(source, destination, protocol, &l4)
}

pub(crate) fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16), data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    let mut l4 = Vec::new();
    l4.extend(source.1.to_be_bytes());
    l4.extend(destination.1.to_be_bytes());
    l4.extend(length.to_be_bytes());
    l4.extend([0, 0]);
    l4.extend(data);
    sealed(source.0, destination.0, 17, l4, 6)
}

pub(crate) fn tcp(
    source: ([u8; 4], u16),
    destination: ([u8; 4], u16),
    flags: u8,
    numbers: (u32, u32),
) -> Vec<u8> {
    tcp_with(source, destination, flags, numbers, &[])
}

/// The same with options, whole words of them.
pub(crate) fn tcp_with(
    source: ([u8; 4], u16),
    destination: ([u8; 4], u16),
    flags: u8,
    numbers: (u32, u32),
    options: &[u8],
) -> Vec<u8> {
    tcp_whole(source, destination, flags, numbers, options, &[])
}

/// The same with data.
pub(crate) fn tcp_whole(
    source: ([u8; 4], u16),
    destination: ([u8; 4], u16),
    flags: u8,
    numbers: (u32, u32),
    options: &[u8],
    data: &[u8],
) -> Vec<u8> {
    let mut l4 = Vec::new();
    l4.extend(source.1.to_be_bytes());
    l4.extend(destination.1.to_be_bytes());
    l4.extend(numbers.0.to_be_bytes());
    l4.extend(numbers.1.to_be_bytes());
    let words = 5 + u8::try_from(options.len() / 4).unwrap();
    l4.extend([words << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    l4.extend(options);
    l4.extend(data);
    sealed(source.0, destination.0, 6, l4, 16)
}

pub(crate) fn echo(source: [u8; 4], destination: [u8; 4], kind: u8, identifier: u16) -> Vec<u8> {
    let mut l4 = vec![kind, 0, 0, 0];
    l4.extend(identifier.to_be_bytes());
    l4.extend([0, 1]);
    let sum = Sum::ZERO.bytes(&l4).checksum();
    l4[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv4(source, destination, 1, &l4)
}

/// Cuts a packet with a header of 20 bytes at these offsets of its data.
pub(crate) fn fragments(whole: &[u8], identification: u16, cuts: &[usize]) -> Vec<Vec<u8>> {
    let (head, data) = whole.split_at(20);
    let ends = cuts.iter().copied().chain([data.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let piece = |(start, end): (usize, usize)| fragment(head, identification, start, end, data);
    starts.zip(ends).map(piece).collect()
}

pub(crate) fn fragment(
    head: &[u8],
    identification: u16,
    start: usize,
    end: usize,
    data: &[u8],
) -> Vec<u8> {
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
