//! Queries to everybody on a network, sent by the host itself: the kernel is given a socket, the
//! engine the same packets as its own. As root on Linux; elsewhere it says why it is skipped.

use keepstate_conntrack::{Sysctls, event::Snapshot};
use keepstate_engine::{Engine, Host, InterfaceIndex, Network, Packet, Verdict};
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::{namespace, observation::Side};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed, checksum};
use keepstate_ruleset::syntax::iptables_save::parse;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Command;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PREFIX: u8 = 24;
const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A PREROUTING -p udp -m udp --dport 137 -j CT --helper netbios-ns\n\
-A OUTPUT -p udp -m udp --dport 137 -j CT --helper netbios-ns\n\
-A OUTPUT -p udp -m udp --dport 161:163 -j CT --helper snmp\nCOMMIT\n";

/// A query of the host: from a port, to an address and port; and the answers to it.
struct Case {
    from: u16,
    to: (Ipv4Addr, u16),
    /// From where, and whether it is announced.
    answers: &'static [(Ipv4Addr, u16, bool)],
}

const LAST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);
const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const NEAR_TOO: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 8);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

const CASES: [Case; 6] = [
    Case {
        from: 137,
        to: (LAST, 137),
        answers: &[(NEAR, 137, true), (NEAR_TOO, 137, true), (NEAR, 138, false), (FAR, 137, false)],
    },
    Case { from: 2000, to: (LAST, 137), answers: &[(NEAR, 137, true)] },
    Case { from: 2001, to: (LAST, 161), answers: &[(NEAR, 161, true), (NEAR_TOO, 161, true)] },
    Case { from: 2002, to: (LAST, 162), answers: &[(NEAR, 161, true), (NEAR_TOO, 162, false)] },
    Case { from: 2003, to: (NEAR, 161), answers: &[(NEAR_TOO, 161, false)] },
    Case {
        from: 2004,
        to: (Ipv4Addr::BROADCAST, 161),
        answers: &[(NEAR, 161, false), (NEAR_TOO, 161, false)],
    },
];

fn datagram(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let payload = b"who?";
    let mut bytes = vec![0x45, 0, 0, 28 + payload.len() as u8, 0, 1, 0, 0, 64, 17, 0, 0];
    bytes.extend(from.0.octets());
    bytes.extend(to.0.octets());
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes.extend([0, 8 + payload.len() as u8, 0, 0]);
    bytes.extend(payload);
    checksum::fill_ipv4_header(&mut bytes);
    let parsed = Parsed::new(&bytes).expect("a datagram");
    checksum::fill(&parsed, &mut bytes);
    bytes
}

/// Seconds that the kernel may take while the engine's clock stands still, and that are lost where it
/// tells of whole ones.
const SLACK: u64 = 2;

/// What matters of connections or expectations, and the seconds that each has left.
fn shown(all: &[Snapshot]) -> Vec<(String, u64)> {
    let line = |one: &Snapshot| {
        let left = one.timeout.map_or(0, |left| left.as_secs());
        (format!("{:?} {:?} {:?}", one.original, one.reply, one.helper), left)
    };
    let mut lines: Vec<_> = all.iter().map(line).collect();
    lines.sort();
    lines
}

fn assert_equal(ours: &[Snapshot], theirs: &[Snapshot], case: &Case) {
    let (ours, theirs) = (shown(ours), shown(theirs));
    assert_eq!(ours.len(), theirs.len(), "to {:?}: {ours:?} {theirs:?}", case.to);
    for ((our, ours), (their, theirs)) in ours.iter().zip(&theirs) {
        assert_eq!(our, their, "to {:?}", case.to);
        assert!(ours.abs_diff(*theirs) <= SLACK, "{ours} s, {theirs} s left of {our}");
    }
}

fn engine() -> Engine {
    let name = |name| InterfaceName::new(name).expect("a name");
    let mut host = Host::router(name("eth0"), name("eth1"));
    let own = Network { family: Family::V4, address: Address::v4(OWN.octets()), prefix: PREFIX };
    host.interfaces[0].addresses.push(own);
    let rules = parse(RULES, Family::V4).expect("rules");
    Engine::new([1, 2], host, Sysctls::default(), vec![rules])
}

fn push(
    engine: &mut Engine,
    now: Instant,
    interface: Option<InterfaceIndex>,
    bytes: &[u8],
) -> String {
    let mut bytes = bytes.to_vec();
    let disposition = engine.handle_packet(
        now,
        Packet { bytes: &mut bytes, interface, family: None, link: LinkInfo::default(), mark: 0 },
    );
    assert_eq!(disposition.verdict, Verdict::Accept);
    format!("{:?}", disposition.tracked.map(|tracked| tracked.state))
}

fn compare(kernel: &mut Kernel, case: &Case) {
    kernel.flush().expect("flushed");
    let mut engine = engine();
    let now = Instant(1_000_000_000_000);
    let socket = UdpSocket::bind(SocketAddrV4::new(OWN, case.from)).expect("a socket");
    socket.set_broadcast(true).expect("broadcasts allowed");
    for _ in 0..2 {
        socket.send_to(b"who?", SocketAddrV4::new(case.to.0, case.to.1)).expect("sent");
        push(&mut engine, now, None, &datagram((OWN, case.from), case.to));
        let theirs = kernel.expectations().expect("listed");
        assert_equal(&engine.conntrack().expectations(now), &theirs, case);
        let announced = case.answers.iter().any(|(.., announced)| *announced);
        assert_eq!(theirs.len(), usize::from(announced), "to {:?}", case.to);
    }
    // What was reported of the host's own packets is reported with the next one that comes in.
    let other = datagram((FAR, 9), (OWN, 9));
    kernel.push(Side::A, Family::V4, &other).expect("pushed");
    push(&mut engine, now, Some(InterfaceIndex(0)), &other);
    for (host, port, announced) in case.answers {
        let answer = datagram((*host, *port), (OWN, case.from));
        let theirs = kernel.push(Side::A, Family::V4, &answer).expect("pushed");
        let state = if *announced { "Some(Related)" } else { "Some(New)" };
        assert_eq!(format!("{:?}", theirs.state), state, "from {host}:{port}");
        let ours = push(&mut engine, now, Some(InterfaceIndex(0)), &answer);
        assert_eq!(ours, state, "from {host}:{port}");
    }
    let table = engine.conntrack();
    let ours: Vec<_> =
        table.connections(now).iter().filter_map(|conn| table.snapshot(now, *conn)).collect();
    assert_equal(&ours, &kernel.connections().expect("listed"), case);
}

#[test]
fn answers_to_broadcasts_of_the_host() {
    let ran = namespace::with(|| {
        let mut kernel = match Kernel::new(Config::default()) {
            Ok(kernel) => kernel,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        let arguments = ["addr", "add", "192.0.2.1/24", "brd", "+", "dev", "eth0"];
        let added = Command::new("ip").args(arguments).status().expect("ip runs");
        assert!(added.success());
        for neighbour in ["192.0.2.7", "192.0.2.8"] {
            let arguments =
                ["neigh", "replace", neighbour, "lladdr", "02:6d:61:74:00:0a", "dev", "eth0"];
            assert!(Command::new("ip").args(arguments).status().expect("ip runs").success());
        }
        kernel.load_rules(Family::V4, RULES).expect("rules");
        CASES.iter().for_each(|case| compare(&mut kernel, case));
    });
    if let Err(error) = ran {
        eprintln!("skipped: {error}");
    }
}
