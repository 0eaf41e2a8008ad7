//! What each conntrack helper costs on traffic of its connections that tells it nothing: text of no
//! protocol, from both ends in turn. `none` is the same traffic under the same rule without a helper,
//! over TCP and over UDP: compare within one run.
//!
//! `cargo bench -p keepstate-engine --bench helpers`

use divan::{Bencher, counter::ItemsCount};
use keepstate_conntrack::Sysctls;
use keepstate_conntrack::helpers::{HELPERS, Helper};
use keepstate_engine::{Engine, Host, InterfaceIndex, Packet, Verdict};
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo, Parsed, checksum, tcp, udp};
use keepstate_ruleset::syntax::iptables_save;
use std::fmt;
use std::hint::black_box;

/// Connections that are visited in turn.
const CONNECTIONS: u16 = 1000;
const PACKETS: usize = 2000;
const START: Instant = Instant(1_700_000_000_000_000_000);
/// Bytes of text in a packet.
const LENGTHS: [usize; 2] = [64, 1400];

fn main() {
    divan::main();
}

/// A helper, or none.
#[derive(Clone, Copy)]
struct Subject {
    helper: Option<&'static Helper>,
    protocol: u8,
    port: u16,
    length: usize,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.helper.map_or("none", |helper| helper.name);
        let over = if self.protocol == tcp::PROTOCOL { "tcp" } else { "udp" };
        write!(f, "{over} {} bytes: {name}", self.length)
    }
}

fn subjects() -> Vec<Subject> {
    let mut all = Vec::new();
    for length in LENGTHS {
        for protocol in [tcp::PROTOCOL, udp::PROTOCOL] {
            all.push(Subject { helper: None, protocol, port: 999, length });
            let assigned = HELPERS.iter().filter(|helper| {
                helper.protocol == protocol && helper.port != 0 && !helper.families.is_empty()
            });
            all.extend(assigned.map(|helper| Subject {
                helper: Some(helper),
                protocol,
                port: helper.port,
                length,
            }));
        }
    }
    all
}

fn engine(subject: &Subject) -> Engine {
    let Subject { helper, protocol, port, .. } = subject;
    let protocol = if *protocol == tcp::PROTOCOL { "tcp" } else { "udp" };
    let option = match helper {
        Some(helper) => format!("--helper {}", helper.name),
        None => "--ctevents new".to_owned(),
    };
    let rules = format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A PREROUTING -p {protocol} \
         -m {protocol} --dport {port} -j CT {option}\nCOMMIT\n"
    );
    let rules = iptables_save::parse(&rules, Family::V4).expect("rules that parse");
    let name = |name| InterfaceName::new(name).expect("a short name");
    let host = Host::router(name("eth0"), name("eth1"));
    let mut engine = Engine::new([7, 8], host, Sysctls::default(), vec![rules]);
    engine.conntrack_mut().set_events_max(0);
    engine
}

/// A packet of a connection; `step` is 0 to 2 for the handshake, then text.
fn packet(subject: &Subject, connection: u16, reply: bool, step: usize) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 1], [198, 51, 100, 1]);
    let ports = [2000 + connection, subject.port];
    let [from, to] = if reply { [server, client] } else { [client, server] };
    let [from_port, to_port] = if reply { [ports[1], ports[0]] } else { ports };
    let text = if step < 3 { Vec::new() } else { vec![b'x'; subject.length] };
    let mut l4: Vec<u8> = from_port.to_be_bytes().into();
    l4.extend(to_port.to_be_bytes());
    if subject.protocol == tcp::PROTOCOL {
        let sent = [1000 + u32::from(step > 0), 9000 + u32::from(step > 1)];
        let flags = [tcp::SYN, tcp::SYN | tcp::ACK, tcp::ACK, tcp::ACK | tcp::PSH][step.min(3)];
        l4.extend(sent[usize::from(reply)].to_be_bytes());
        l4.extend(if step == 0 { 0 } else { sent[usize::from(!reply)] }.to_be_bytes());
        l4.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        l4.extend((8 + text.len() as u16).to_be_bytes());
        l4.extend([0, 0]);
    }
    l4.extend(text);
    let mut bytes = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, subject.protocol, 0, 0];
    bytes[2..4].copy_from_slice(&(20 + l4.len() as u16).to_be_bytes());
    bytes.extend(from);
    bytes.extend(to);
    checksum::fill_ipv4_header(&mut bytes);
    bytes.extend(l4);
    let parsed = Parsed::new(&bytes).expect("a packet");
    checksum::fill(&parsed, &mut bytes);
    bytes
}

fn handle(engine: &mut Engine, bytes: &mut [u8], reply: bool) -> Verdict {
    let interface = Some(InterfaceIndex(u16::from(reply)));
    let (family, link) = (Some(Family::V4), LinkInfo::default());
    engine.handle_packet(START, Packet { bytes, interface, family, link, mark: 0 }).verdict
}

#[divan::bench(args = subjects())]
fn unmatched(bencher: Bencher<'_, '_>, subject: Subject) {
    let mut engine = engine(&subject);
    let mut packets = Vec::new();
    for connection in 0..CONNECTIONS {
        for (step, reply) in [(0, false), (1, true), (2, false)] {
            let mut bytes = packet(&subject, connection, reply, step);
            assert_eq!(handle(&mut engine, &mut bytes, reply), Verdict::Accept);
        }
        packets.extend([false, true].map(|reply| packet(&subject, connection, reply, 3)));
    }
    let mut room = vec![0; 2048];
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        for (n, bytes) in packets.iter().enumerate() {
            let room = &mut room[..bytes.len()];
            room.copy_from_slice(bytes);
            black_box(handle(&mut engine, room, n % 2 == 1));
        }
    });
}
