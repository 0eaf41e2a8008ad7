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
/// Addresses of the host on the same interface, with their prefixes.
const OWN_ALL: [(Ipv4Addr, u8); 3] =
    [(OWN, 24), (Ipv4Addr::new(203, 0, 113, 1), 28), (Ipv4Addr::new(203, 0, 113, 129), 25)];
const RULES: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A PREROUTING -p udp -m udp --dport 137 -j CT --helper netbios-ns\n\
-A OUTPUT -p udp -m udp --dport 137 -j CT --helper netbios-ns\n\
-A OUTPUT -p udp -m udp --dport 161:163 -j CT --helper snmp\nCOMMIT\n";

/// A query of the host: from an address and port, to an address and port; and the answers to it.
#[derive(Debug)]
struct Case {
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
    /// From where, and whether it is announced.
    answers: Vec<(Ipv4Addr, u16, bool)>,
}

const LAST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);
const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const NEAR_TOO: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 8);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

fn cases() -> [Case; 6] {
    let case = |from, to, answers: &[_]| Case { from: (OWN, from), to, answers: answers.to_vec() };
    [
        case(
            137,
            (LAST, 137),
            &[(NEAR, 137, true), (NEAR_TOO, 137, true), (NEAR, 138, false), (FAR, 137, false)],
        ),
        case(2000, (LAST, 137), &[(NEAR, 137, true)]),
        case(2001, (LAST, 161), &[(NEAR, 161, true), (NEAR_TOO, 161, true)]),
        case(2002, (LAST, 162), &[(NEAR, 161, true), (NEAR_TOO, 162, false)]),
        case(2003, (NEAR, 161), &[(NEAR_TOO, 161, false)]),
        case(2004, (Ipv4Addr::BROADCAST, 161), &[(NEAR, 161, false), (NEAR_TOO, 161, false)]),
    ]
}

/// Queries and answers between all addresses and ports that could matter, all that can be combined.
/// What becomes of each is asked of the kernel.
fn combined() -> Vec<(usize, Case)> {
    let networks = [LAST, Ipv4Addr::new(203, 0, 113, 15), Ipv4Addr::new(203, 0, 113, 255)];
    let hosts = [NEAR, Ipv4Addr::new(203, 0, 113, 7), Ipv4Addr::new(203, 0, 113, 200), FAR];
    let from = OWN_ALL.iter().flat_map(|(own, _)| [137, 161, 3000].map(|port| (*own, port)));
    let to = networks.into_iter().chain([Ipv4Addr::BROADCAST, NEAR]);
    let to: Vec<_> = to.flat_map(|to| [137, 161, 163, 164].map(|port| (to, port))).collect();
    let pairs = from.flat_map(|from| to.iter().map(move |to| (from, *to)));
    let answers = |n: usize| {
        // Every place sees other answers first, and so many that the connection is there already.
        let ports = [137u16, 161, 163];
        let all = hosts.into_iter().flat_map(|host| ports.map(|port| (host, port, false)));
        all.cycle().skip(n % 12).take(4).collect()
    };
    let case = |(n, (from, to))| (1 + n % 3, Case { from, to, answers: answers(n) });
    pairs.enumerate().map(case).collect()
}

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
    assert_eq!(ours.len(), theirs.len(), "{case:?}: {ours:?} {theirs:?}");
    for ((our, ours), (their, theirs)) in ours.iter().zip(&theirs) {
        assert_eq!(our, their, "{case:?}");
        assert!(ours.abs_diff(*theirs) <= SLACK, "{ours} s, {theirs} s left of {our}");
    }
}

fn engine() -> Engine {
    let name = |name| InterfaceName::new(name).expect("a name");
    let mut host = Host::router(name("eth0"), name("eth1"));
    host.interfaces[0].addresses.extend(OWN_ALL.map(|(own, prefix)| Network {
        family: Family::V4,
        address: Address::v4(own.octets()),
        prefix,
    }));
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

/// Sends a query so many times and gives its answers; says in which states they were.
fn compare(kernel: &mut Kernel, case: &Case, times: usize) -> (usize, Vec<String>) {
    kernel.flush().expect("flushed");
    let mut engine = engine();
    let now = Instant(1_000_000_000_000);
    let socket = UdpSocket::bind(SocketAddrV4::new(case.from.0, case.from.1)).expect("a socket");
    socket.set_broadcast(true).expect("broadcasts allowed");
    let mut announced = 0;
    for _ in 0..times {
        socket.send_to(b"who?", SocketAddrV4::new(case.to.0, case.to.1)).expect("sent");
        push(&mut engine, now, None, &datagram(case.from, case.to));
        let theirs = kernel.expectations().expect("listed");
        assert_equal(&engine.conntrack().expectations(now), &theirs, case);
        announced = theirs.len();
    }
    // What was reported of the host's own packets is reported with the next one that comes in.
    let other = datagram((FAR, 9), (case.from.0, 9));
    kernel.push(Side::A, Family::V4, &other).expect("pushed");
    push(&mut engine, now, Some(InterfaceIndex(0)), &other);
    let mut states = Vec::new();
    for (host, port, _) in &case.answers {
        let answer = datagram((*host, *port), case.from);
        let theirs = kernel.push(Side::A, Family::V4, &answer).expect("pushed");
        let ours = push(&mut engine, now, Some(InterfaceIndex(0)), &answer);
        assert_eq!(ours, format!("{:?}", theirs.state), "from {host}:{port} after {case:?}");
        states.push(ours);
    }
    let table = engine.conntrack();
    let ours: Vec<_> =
        table.connections(now).iter().filter_map(|conn| table.snapshot(now, *conn)).collect();
    assert_equal(&ours, &kernel.connections().expect("listed"), case);
    (announced, states)
}

fn compare_known(kernel: &mut Kernel, case: &Case) {
    let (announced, states) = compare(kernel, case, 2);
    let expected = case.answers.iter().any(|(.., announced)| *announced);
    assert_eq!(announced, usize::from(expected), "to {:?}", case.to);
    for ((host, port, announced), state) in case.answers.iter().zip(states) {
        let expected = if *announced { "Some(Related)" } else { "Some(New)" };
        assert_eq!(state, expected, "from {host}:{port}");
    }
}

#[test]
fn answers_to_broadcasts_of_the_host() {
    let ran = namespace::with(|| {
        let mut kernel = match Kernel::new(Config::default()) {
            Ok(kernel) => kernel,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        for (own, prefix) in OWN_ALL {
            let own = format!("{own}/{prefix}");
            let arguments = ["addr", "add", own.as_str(), "brd", "+", "dev", "eth0"];
            assert!(Command::new("ip").args(arguments).status().expect("ip runs").success());
        }
        for neighbour in ["192.0.2.7", "192.0.2.8", "203.0.113.7", "203.0.113.200"] {
            let arguments =
                ["neigh", "replace", neighbour, "lladdr", "02:6d:61:74:00:0a", "dev", "eth0"];
            assert!(Command::new("ip").args(arguments).status().expect("ip runs").success());
        }
        kernel.load_rules(Family::V4, RULES).expect("rules");
        cases().iter().for_each(|case| compare_known(&mut kernel, case));
        let mut related = 0;
        for (times, case) in combined() {
            let (_, states) = compare(&mut kernel, &case, times);
            related += states.iter().filter(|state| *state == "Some(Related)").count();
        }
        assert!(related > 0, "an answer is expected now and then");
    });
    if let Err(error) = ran {
        eprintln!("skipped: {error}");
    }
}
