//! Any packets in any order through the whole engine, with a small connection table: no panic, and
//! every limit holds.
//!
//! The input is records: a byte (bit 0: which interface; bit 1: IPv6; bits 2-7: time that passes, in
//! eighths of a second squared), a byte of length, the packet from its IP header on. The total length,
//! the IPv4 header checksum and the addresses' first octets are mended so that packets get past
//! reception and meet each other.
#![no_main]

use keepstate_conntrack::Sysctls;
use keepstate_engine::{Engine, Host, InterfaceIndex, Packet};
use keepstate_fuzz::Limits;
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo, checksum};
use keepstate_ruleset::syntax::iptables_save::parse;
use libfuzzer_sys::fuzz_target;
use std::{cell::RefCell, time::Duration};

const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n\
-A PREROUTING -p udp -m udp --dport 1:99 -j CT --zone-orig 3 --ctevents new,destroy\n\
-A PREROUTING -p udp -m udp --sport 1:99 -j CT --zone-reply 3\nCOMMIT\n\
*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
-A FORWARD -m connlabel --label 5 --set -m connbytes --connbytes 3 --connbytes-mode packets \
--connbytes-dir both\n\
-A FORWARD -m conntrack --ctstate INVALID -m limit --limit 1/sec -j LOG\n\
-A FORWARD -p tcp -m tcp --dport 99 -j REJECT --reject-with tcp-reset\n\
-A FORWARD -p udp -m udp --dport 99 -j REJECT\nCOMMIT\n";

const CONNECTIONS_MAX: u32 = 16;
const EXPECTATIONS_MAX: u32 = 4;
/// Longer than any fragment waits.
const FRAGMENTS_GONE: Duration = Duration::from_secs(61);

thread_local! {
    /// One engine, which begins anew with each input.
    static ENGINE: RefCell<Engine> = RefCell::new(engine());
}

fuzz_target!(|data: &[u8]| ENGINE.with_borrow_mut(|engine| run(engine, data)));

fn run(engine: &mut Engine, data: &[u8]) {
    engine.restart();
    let mut limits = Limits::of(engine.conntrack());
    let mut now = Instant(1);
    let (mut received, mut sent) = (0, 0);
    let mut rest = data;
    while let [head, length, tail @ ..] = rest {
        let (packet, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        let pause = u64::from(head >> 2);
        now = now.plus(Duration::from_millis(pause * pause * 125));
        let mut bytes = packet.to_vec();
        mend(&mut bytes, head & 2 != 0);
        let packet = Packet {
            bytes: &mut bytes,
            interface: Some(InterfaceIndex(u16::from(head & 1))),
            family: None,
            link: LinkInfo::default(),
            mark: 0,
        };
        received += 1;
        engine.handle_packet(now, packet);
        engine.handle_timeout(now);
        while engine.poll_transmit().is_some() {
            sent += 1;
        }
        while engine.poll_event().is_some() {}
        Limits::hold_complaints(engine.conntrack_mut());
        limits.hold(engine.conntrack(), now);
        // An answer, or a piece of what came, and one more when its time is up.
        assert!(sent <= 2 * received, "nothing multiplies");
    }
    engine.handle_timeout(now.plus(FRAGMENTS_GONE));
    assert_eq!(engine.fragment_charges(), [0, 0], "fragments are given up some time");
    assert_eq!(engine.lost_counts(), (0, 0), "queues are long enough for one packet");
    limits.hold_empty(engine.conntrack_mut(), now);
}

fn engine() -> Engine {
    let sysctls = Sysctls {
        max: CONNECTIONS_MAX,
        expect_max: EXPECTATIONS_MAX,
        checksum: false,
        log_invalid: u8::MAX,
        ..Sysctls::default()
    };
    let name = |n| InterfaceName::new(n).unwrap();
    let rules = [Family::V4, Family::V6].map(|family| parse(RULES, family).unwrap());
    Engine::new([1, 2], Host::router(name("eth0"), name("eth1")), sysctls, Vec::from(rules))
}

fn mend(bytes: &mut [u8], six: bool) {
    let length = bytes.len() as u16;
    if six && bytes.len() >= 40 {
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&(length - 40).to_be_bytes());
        bytes[8..23].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes[24..39].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes[23] &= 3;
        bytes[39] &= 3;
    } else if bytes.len() >= 20 {
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[6] &= 0x40;
        bytes[7] = 0;
        bytes[12..15].copy_from_slice(&[10, 0, 0]);
        bytes[16..19].copy_from_slice(&[10, 0, 0]);
        bytes[15] &= 3;
        bytes[19] &= 3;
        bytes[10..12].copy_from_slice(&[0, 0]);
        let sum = checksum::compute(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}
