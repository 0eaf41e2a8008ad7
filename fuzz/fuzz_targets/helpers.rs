//! What anybody says to a conntrack helper: one connection with it, any payloads from both ends in
//! any order, and the connections that it announces. No panic, and every limit holds.
//!
//! The input begins with a helper's name, `6` for IPv6 or anything else for IPv4, and a colon; then
//! records: a byte (bit 0: which end; bit 1: sent again, the place in the stream stays; bit 2: not a
//! payload, but the first packet of what is expected first; bit 3: a byte more of length; bits 4-7:
//! seconds that pass), the length, the payload.
#![no_main]

use keepstate_conntrack::Sysctls;
use keepstate_conntrack::helpers::{HELPERS, Helper};
use keepstate_engine::{Engine, Host, InterfaceIndex, Packet};
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo, checksum};
use keepstate_ruleset::syntax::iptables_save::parse;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

const TCP: u8 = 6;
const SYN: u8 = 2;
const ACK: u8 = 16;
const PSH: u8 = 8;
const CLIENT: u16 = 20_001;
const CONNECTIONS_MAX: u32 = 8;
const EXPECTATIONS_MAX: u32 = 6;

/// An end: 16 octets of address, of which IPv4 uses four, and a port.
type End = ([u8; 16], u16);

struct Talk {
    engine: Engine,
    now: Instant,
    six: bool,
}

impl Talk {
    fn send(
        &mut self,
        from: End,
        to: End,
        protocol: u8,
        numbers: (u32, u32),
        flags: u8,
        text: &[u8],
    ) {
        let mut l4 = Vec::new();
        l4.extend(from.1.to_be_bytes());
        l4.extend(to.1.to_be_bytes());
        if protocol == TCP {
            l4.extend(numbers.0.to_be_bytes());
            l4.extend(numbers.1.to_be_bytes());
            l4.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            l4.extend((8 + text.len() as u16).to_be_bytes());
            l4.extend([0, 0]);
        }
        l4.extend(text);
        let mut bytes = if self.six {
            let length = (l4.len() as u16).to_be_bytes();
            let mut bytes = vec![0x60, 0, 0, 0, length[0], length[1], protocol, 64];
            bytes.extend(from.0);
            bytes.extend(to.0);
            bytes
        } else {
            let length = (20 + l4.len() as u16).to_be_bytes();
            let mut bytes = vec![0x45, 0, length[0], length[1], 0, 1, 0x40, 0, 64, protocol, 0, 0];
            bytes.extend(&from.0[..4]);
            bytes.extend(&to.0[..4]);
            checksum::fill_ipv4_header(&mut bytes);
            bytes
        };
        bytes.extend(l4);
        let packet = Packet {
            bytes: &mut bytes,
            interface: Some(InterfaceIndex(0)),
            family: None,
            link: LinkInfo::default(),
            mark: 0,
        };
        self.engine.handle_packet(self.now, packet);
        while self.engine.poll_transmit().is_some() {}
        while self.engine.poll_event().is_some() {}
        let expected = self.engine.conntrack().expectations(self.now);
        assert!(expected.len() <= EXPECTATIONS_MAX as usize, "nf_conntrack_expect_max holds");
    }

    /// The first packet of what is expected first.
    fn fulfil(&mut self) {
        let expected = self.engine.conntrack().expectations(self.now);
        let Some(first) = expected.first().map(|one| one.original) else { return };
        let port = if first.source_port == 0 { 9 } else { first.source_port };
        let [from, to] = [(first.source.0, port), (first.destination.0, first.destination_port)];
        self.send(from, to, first.protocol, (1, 0), SYN, b"12345678");
    }
}

fn helper(name: &[u8]) -> (&'static Helper, bool) {
    let (family, plain) = name.split_last().unwrap_or((&b'4', name));
    let six = *family == b'6';
    let named = HELPERS.iter().find(|one| one.name.as_bytes() == plain && one.port != 0);
    let any = name.iter().map(|byte| usize::from(*byte)).sum::<usize>() % HELPERS.len();
    let helper = named.unwrap_or(&HELPERS[any]);
    (helper, six && helper.families.contains(&Family::V6))
}

fn talk(helper: &Helper, six: bool) -> Talk {
    let sysctls = Sysctls {
        max: CONNECTIONS_MAX,
        expect_max: EXPECTATIONS_MAX,
        checksum: false,
        ..Sysctls::default()
    };
    let protocol = if helper.protocol == TCP { "tcp" } else { "udp" };
    let (name, port) = (helper.name, helper.port);
    let rules = format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         -A PREROUTING -p {protocol} -m {protocol} --dport {port} -j CT --helper {name}\nCOMMIT\n"
    );
    let family = if six { Family::V6 } else { Family::V4 };
    let rules: Vec<_> = parse(&rules, family).into_iter().collect();
    let interface = |n| InterfaceName::new(n).unwrap();
    let host = Host::router(interface("eth0"), interface("eth1"));
    Talk { engine: Engine::new([1, 2], host, sysctls, rules), now: Instant(1), six }
}

fuzz_target!(|data: &[u8]| {
    let colon = data.iter().take(16).position(|byte| *byte == b':');
    let (name, mut rest) = data.split_at(colon.unwrap_or(0));
    rest = rest.strip_prefix(b":").unwrap_or(rest);
    let (helper, six) = helper(name);
    let mut talk = talk(helper, six);
    let mut ends = [([0; 16], CLIENT), ([0; 16], helper.port)];
    if six {
        ends[0].0 = *b"\xfd\0\0\x0a\0\0\0\0\0\0\0\0\0\0\0\x02";
        ends[1].0 = *b"\x20\x01\0\x0b\0\0\0\0\0\0\0\0\0\0\0\x02";
    } else {
        ends[0].0[..4].copy_from_slice(&[10, 1, 0, 2]);
        ends[1].0[..4].copy_from_slice(&[198, 51, 100, 2]);
    }
    let mut next = [1000u32, 9000];
    if helper.protocol == TCP {
        for (end, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
            let numbers = (next[end], if flags & ACK == 0 { 0 } else { next[1 - end] });
            talk.send(ends[end], ends[1 - end], TCP, numbers, flags, b"");
            next[end] += u32::from(flags & SYN != 0);
        }
    }
    while let [head, length, tail @ ..] = rest {
        let (mut length, mut tail) = (usize::from(*length), tail);
        if let (true, [more, beyond @ ..]) = (head & 8 != 0, tail) {
            (length, tail) = (length << 8 | usize::from(*more), beyond);
        }
        let (text, tail) = tail.split_at(length.min(60_000).min(tail.len()));
        rest = tail;
        talk.now = talk.now.plus(Duration::from_secs(u64::from(head >> 4)));
        talk.engine.handle_timeout(talk.now);
        if head & 4 != 0 {
            talk.fulfil();
            continue;
        }
        let end = usize::from(head & 1);
        let numbers = (next[end], next[1 - end]);
        talk.send(ends[end], ends[1 - end], helper.protocol, numbers, ACK | PSH, text);
        if head & 2 == 0 {
            next[end] = next[end].wrapping_add(text.len() as u32);
        }
    }
});
