//! Pieces of few datagrams, in any order, through the whole engine: no panic, no more memory than
//! the limits allow, and whatever leaves is a packet that fits.
//!
//! The input is records of six bytes and data: flags (bit 0: which interface; bit 1: IPv6; bit 2: more
//! fragments; bit 3: don't fragment, or an extension header before the fragment header; bits 4-5:
//! congestion codepoint; bits 6-7: time that passes, 0, 1, 16 or 31 seconds), datagram (bits 0-2: its
//! identification; bits 3-5: its protocol; bits 6-7: its destination), offset in units of eight
//! (two bytes), length of the data in units of eight and what is left over, value of the data.
#![no_main]

use keepstate_conntrack::Sysctls;
use keepstate_engine::{Engine, Host, InterfaceIndex, Origin, Packet, defrag};
use keepstate_fuzz::Limits;
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo, Parsed, checksum};
use keepstate_ruleset::syntax::iptables_save::parse;
use libfuzzer_sys::fuzz_target;
use std::{cell::RefCell, time::Duration};

const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A PREROUTING -p tcp -j CT --helper ftp\nCOMMIT\n\
*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A FORWARD -m limit --limit 1/hour --limit-burst 1 -j LOG\n\
-A FORWARD -p udp -m length --length 1000:2000 -j REJECT\nCOMMIT\n";

/// Few enough bytes that they are reached.
const HIGH_THRESH: usize = 32 * 1024;
const MTU: u32 = 1300;
/// Room for any fragment.
const PACKET_MAX: usize = 2200;
/// Few enough fragments that they are reached.
const DISTANCE_MAX: u32 = 16;
const CONNECTIONS_MAX: u32 = 16;
const PROTOCOLS: [u8; 8] = [6, 17, 1, 58, 132, 136, 47, 0];

thread_local! {
    /// One engine, which begins anew with each input.
    static ENGINE: RefCell<Engine> = RefCell::new(engine());
}

fuzz_target!(|data: &[u8]| ENGINE.with_borrow_mut(|engine| run(engine, data)));

fn run(engine: &mut Engine, data: &[u8]) {
    engine.restart();
    let mut limits = Limits::of(engine.conntrack());
    let mut now = Instant(1_000_000_000);
    let (mut received, mut answered, mut forwarded) = (0, 0, 0);
    let mut bytes = Vec::with_capacity(PACKET_MAX);
    for record in data.chunks(6).filter(|record| record.len() == 6) {
        now = now.plus(Duration::from_secs([0, 1, 16, 31][usize::from(record[0] >> 6)]));
        engine.handle_timeout(now);
        fragment(record, &mut bytes);
        let packet = Packet {
            bytes: &mut bytes,
            interface: Some(InterfaceIndex(u16::from(record[0] & 1))),
            family: None,
            link: LinkInfo::default(),
            mark: 0,
        };
        received += 1;
        engine.handle_packet(now, packet);
        let largest = defrag::charge(2100) + 200;
        assert!(engine.fragment_charges().iter().all(|held| *held <= HIGH_THRESH + largest));
        while let Some(sent) = engine.poll_transmit() {
            // Hop-by-hop options that stood behind a fragment header leave as they came, unread.
            let parsed = Parsed::joined(&sent.bytes).expect("what leaves is a packet");
            let whole = parsed.fragment.is_none() || parsed.family == Family::V4;
            assert!(sent.origin == Origin::Made || parsed.length <= MTU || !whole);
            *if sent.origin == Origin::Made { &mut answered } else { &mut forwarded } += 1;
        }
        // Each may be answered, and once more when its time is up; no piece needs more than two.
        assert!(answered <= 2 * received && forwarded <= 2 * received, "nothing multiplies");
        while engine.poll_event().is_some() {}
        limits.hold(engine.conntrack(), now);
    }
    now = now.plus(Duration::from_secs(61));
    engine.handle_timeout(now);
    assert_eq!(engine.fragment_charges(), [0, 0], "everything is given up some time");
    assert_eq!(engine.lost_counts(), (0, 0), "queues are long enough for one packet");
    limits.hold_empty(engine.conntrack_mut(), now);
}

fn engine() -> Engine {
    let mut sysctls = Sysctls { max: CONNECTIONS_MAX, checksum: false, ..Sysctls::default() };
    for name in ["net.ipv4.ipfrag", "nf_conntrack_frag6"] {
        sysctls.set(&format!("{name}_low_thresh"), "0").unwrap();
        sysctls.set(&format!("{name}_high_thresh"), &HIGH_THRESH.to_string()).unwrap();
    }
    sysctls.fragments.max_dist = DISTANCE_MAX;
    let name = |n| InterfaceName::new(n).unwrap();
    let mut host = Host::router(name("eth0"), name("eth1"));
    host.interfaces.iter_mut().for_each(|interface| interface.mtu = MTU);
    let rules = [Family::V4, Family::V6].map(|family| parse(RULES, family).unwrap());
    Engine::new([1, 2], host, sysctls, Vec::from(rules))
}

fn fragment(record: &[u8], bytes: &mut Vec<u8>) {
    let (flags, datagram) = (record[0], record[1]);
    let offset = u16::from_be_bytes([record[2], record[3]]) & 0x1fff;
    let length = usize::from(record[4]) * 8 + usize::from(record[5] & 7);
    let protocol = PROTOCOLS[usize::from(datagram >> 3 & 7)];
    let (identification, host) = (datagram & 7, datagram >> 6);
    let (more, option) = (flags >> 2 & 1, flags >> 3 & 1);
    bytes.clear();
    if flags & 2 == 0 {
        let total = (20 + length) as u16;
        let field = u16::from(option) << 14 | u16::from(more) << 13 | offset;
        bytes.extend([0x45, flags >> 4 & 3]);
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, identification]);
        bytes.extend(field.to_be_bytes());
        bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1]);
        // The last one is the router itself.
        bytes.extend(if host == 3 { [100, 127, 253, 1] } else { [198, 51, 100, host] });
        let sum = checksum::compute(bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        let before = if option == 1 { 8 } else { 0 };
        bytes.extend([0x60, (flags >> 4 & 3) << 4, 0, 0]);
        bytes.extend(((8 + before + length) as u16).to_be_bytes());
        bytes.extend([if option == 1 { 60 } else { 44 }, 64]);
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        if option == 1 {
            bytes.extend([44, 0, 1, 4, 0, 0, 0, 0]);
        }
        bytes.extend([protocol, 0]);
        bytes.extend((offset << 3 | u16::from(more)).to_be_bytes());
        bytes.extend([0, 0, 0, identification]);
    }
    bytes.resize(bytes.len() + length, record[5]);
}
