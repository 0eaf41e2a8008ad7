//! Any messages on one SIP connection: no panic, and the limits of its expectations hold.
//!
//! The first byte chooses: bit 0 TCP or UDP, bit 1 IPv6 or IPv4, bits 2 to 4 the options of the module.
//! The rest is what is said, divided by bytes of 255; of each piece the first byte says who speaks (bit
//! 0) and how many seconds pass before (the others). 10.0.0.1 or fd00::1 calls 10.0.0.2 or fd00::2.
#![no_main]

use keepstate_conntrack::Sysctls;
use keepstate_engine::{Engine, Host, InterfaceIndex, Packet};
use keepstate_packet::{Family, InterfaceName, Instant, LinkInfo, checksum};
use keepstate_ruleset::syntax::iptables_save::parse;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A PREROUTING -p tcp -m tcp --dport 5060 -j CT --helper sip\n\
-A PREROUTING -p udp -m udp --dport 5060 -j CT --helper sip\nCOMMIT\n";

/// One call, four of sound, four of moving pictures, two of pictures.
const EXPECTATIONS_MAX: usize = 11;
const PORTS: [u16; 2] = [20_000, 5060];
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
const ACK: u8 = 16;

struct Wire {
    engine: Engine,
    now: Instant,
    six: bool,
    sequences: [u32; 2],
}

impl Wire {
    fn send(&mut self, from: usize, protocol: u8, flags: u8, text: &[u8]) {
        let mut bytes = self.transport(from, protocol, flags, text);
        bytes.splice(0..0, self.network(from, protocol, bytes.len()));
        if !self.six {
            checksum::fill_ipv4_header(&mut bytes);
        }
        let packet = Packet {
            bytes: &mut bytes,
            interface: Some(InterfaceIndex(from as u16)),
            family: None,
            link: LinkInfo::default(),
            mark: 0,
        };
        self.engine.handle_packet(self.now, packet);
        while self.engine.poll_transmit().is_some() {}
        while self.engine.poll_event().is_some() {}
    }

    fn transport(&mut self, from: usize, protocol: u8, flags: u8, text: &[u8]) -> Vec<u8> {
        let mut l4 = [PORTS[from], PORTS[1 - from]].map(u16::to_be_bytes).concat();
        if protocol == UDP {
            l4.extend((8 + text.len() as u16).to_be_bytes());
            l4.extend([0, 0]);
        } else {
            let acknowledged = if flags & ACK == 0 { 0 } else { self.sequences[1 - from] };
            l4.extend(self.sequences[from].to_be_bytes());
            l4.extend(acknowledged.to_be_bytes());
            l4.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            let taken = text.len() as u32 + u32::from(flags & SYN != 0);
            self.sequences[from] = self.sequences[from].wrapping_add(taken);
        }
        l4.extend(text);
        l4
    }

    fn network(&self, from: usize, protocol: u8, length: usize) -> Vec<u8> {
        let (own, other) = (1 + from as u8, 2 - from as u8);
        if self.six {
            let address = |host| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
            let mut header = vec![0x60, 0, 0, 0];
            header.extend((length as u16).to_be_bytes());
            header.extend([protocol, 64]);
            header.extend([address(own), address(other)].concat());
            return header;
        }
        let mut header = vec![0x45, 0];
        header.extend((20 + length as u16).to_be_bytes());
        header.extend([0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, own, 10, 0, 0, other]);
        header
    }
}

fuzz_target!(|data: &[u8]| {
    let [choice, said @ ..] = data else { return };
    let mut sysctls = Sysctls { checksum: false, ..Sysctls::default() };
    let options = ["direct_signalling", "direct_media", "external_media"];
    for (bit, option) in (2..).zip(options) {
        let value = if choice >> bit & 1 == 0 { "0" } else { "1" };
        sysctls.set(&format!("nf_conntrack_sip.sip_{option}"), value).unwrap();
    }
    let name = |n| InterfaceName::new(n).unwrap();
    let rules = [Family::V4, Family::V6].map(|family| parse(RULES, family).unwrap());
    let host = Host::router(name("eth0"), name("eth1"));
    let engine = Engine::new([1, 2], host, sysctls, Vec::from(rules));
    let six = choice & 2 != 0;
    let mut wire = Wire { engine, now: Instant(1), six, sequences: [1, 1] };
    let protocol = if choice & 1 == 0 { UDP } else { TCP };
    if protocol == TCP {
        for (from, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
            wire.send(from, TCP, flags, b"");
        }
    }
    for piece in said.split(|byte| *byte == 255) {
        let [head, text @ ..] = piece else { continue };
        wire.now = wire.now.plus(Duration::from_secs(u64::from(head >> 1)));
        wire.send(usize::from(head & 1), protocol, ACK, &text[..text.len().min(60_000)]);
        let expected = wire.engine.conntrack().expectations(wire.now).len();
        assert!(expected <= EXPECTATIONS_MAX, "each class has its limit");
    }
});
