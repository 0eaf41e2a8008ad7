//! Matches that ask for what no packet carries, by the kernel and by the engine with a host model that
//! declares it: routes for `rpfilter` and `realm`, groups of interfaces, sockets of real programs for
//! `owner`, `socket` and `cgroup`, ports of a bridge for `physdev`. What is compared are the counters
//! of the rules. As root on Linux; elsewhere it says why it is skipped.

use keepstate_datapath::sys::tap::Tap;
use keepstate_engine::{Host, Interface, InterfaceIndex, Network, Route};
use keepstate_oracle::compare;
use keepstate_oracle::kernel::{Config, Kernel, MAC_NEIGHBOUR};
use keepstate_oracle::model::Model;
use keepstate_oracle::{namespace, observation::Side};
use keepstate_packet::{Address, Family, InterfaceName, Parsed, checksum, tcp};
use keepstate_ruleset::evaluate::{End, Socket};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;

const ROUTER: &str = "100.127.253.1";
const OUTER: &str = "100.127.254.1";

fn name(name: &str) -> InterfaceName {
    InterfaceName::new(name).expect("a name")
}

fn network(text: &str) -> Network {
    let (address, prefix) = text.split_once('/').expect("a prefix");
    let ip: IpAddr = address.parse().expect("an address");
    let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
    Network { family, address: Address::from(ip), prefix: prefix.parse().expect("a length") }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip runs");
    assert!(status.success(), "ip {arguments}");
}

/// An IP packet between two addresses.
fn packet(from: &str, to: &str, protocol: u8, l4: &[u8]) -> (Family, Vec<u8>) {
    let [from, to] = [from, to].map(|text| text.parse::<IpAddr>().expect("an address"));
    let mut bytes = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut bytes = vec![0x45, 0, 0, 20 + l4.len() as u8, 0, 1, 0, 0, 64, protocol, 0, 0];
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            bytes
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut bytes = vec![0x60, 0, 0, 0, 0, l4.len() as u8, protocol, 64];
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            bytes
        }
        _ => panic!("two families"),
    };
    bytes.extend(l4);
    if from.is_ipv4() {
        checksum::fill_ipv4_header(&mut bytes);
    }
    let parsed = Parsed::new(&bytes).expect("an IP packet");
    checksum::fill(&parsed, &mut bytes);
    (parsed.family, bytes)
}

fn udp(from: (&str, u16), to: (&str, u16)) -> (Family, Vec<u8>) {
    let mut l4 = [from.1, to.1].map(u16::to_be_bytes).concat();
    l4.extend([0, 12, 0, 0]);
    l4.extend(b"who?");
    packet(from.0, to.0, 17, &l4)
}

fn segment(from: (&str, u16), to: (&str, u16), flags: u8, numbers: [u32; 2]) -> (Family, Vec<u8>) {
    let mut l4 = [from.1, to.1].map(u16::to_be_bytes).concat();
    l4.extend(numbers.map(u32::to_be_bytes).concat());
    l4.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
    packet(from.0, to.0, 6, &l4)
}

/// A rule set of rules that only count: chains by table, and what each is asked.
fn counting(chains: &[(&str, &str, &[&str])]) -> String {
    let mut text = String::new();
    for (table, chain, questions) in chains {
        text += &format!("*{table}\n:{chain} ACCEPT [0:0]\n");
        questions.iter().for_each(|question| text += &format!("-A {chain} {question}\n"));
        text += "COMMIT\n";
    }
    text
}

/// The kernel and the engine, with the same rules.
struct Both {
    kernel: Kernel,
    model: Model,
}

impl Both {
    fn load(kernel: Kernel, host: Host, rules: &[String; 2]) -> Self {
        for (family, text) in [Family::V4, Family::V6].into_iter().zip(rules) {
            kernel.load_rules(family, text).expect("the kernel takes the rules");
        }
        let model = Model::of_host(host, &[], rules).expect("so does the engine");
        Self { kernel, model }
    }

    /// Pushes a packet into both. What the kernel's own stack answers (the model has none) the engine
    /// sends as well.
    fn push(&mut self, side: Side, (family, bytes): &(Family, Vec<u8>)) -> Vec<Vec<u8>> {
        let theirs = self.kernel.push(side, *family, bytes).expect("pushed");
        let ours = self.model.push(side, *family, bytes);
        assert_eq!(theirs.fate, ours.fate, "{:?}", Parsed::new(bytes));
        let answers: Vec<_> = theirs.generated.into_iter().map(|sent| sent.bytes).collect();
        if ours.generated.is_empty() {
            answers.iter().for_each(|answer| assert!(self.model.send(*family, answer)));
        }
        answers
    }

    /// What a program of the host sends.
    fn sent(&mut self, family: Family, work: impl FnOnce()) {
        let nothing = packet("192.0.2.254", "192.0.2.253", 17, &[0; 8]).1;
        let sends = || {
            work();
            Ok(())
        };
        let seen = self.kernel.release(&nothing, sends).expect("released");
        let all: Vec<_> = seen.generated.into_iter().chain(seen.out).collect();
        assert!(!all.is_empty(), "nothing was sent");
        all.iter().for_each(|sent| assert!(self.model.send(family, &sent.bytes)));
    }

    /// The counters of both, with the rules beside those that differ; how many rules have counted.
    fn compare(&mut self, rules: &[String; 2]) -> usize {
        let mut counted = 0;
        for (family, text) in [Family::V4, Family::V6].into_iter().zip(rules) {
            let theirs = compare::saved_counters(&self.kernel.save_rules(family).expect("saved"));
            let ours = of_rules(self.model.counters(family));
            let differences = compare::counters(&theirs, &ours);
            assert!(differences.is_empty(), "{family:?}\n{differences:#?}\n{}", numbered(text));
            counted += ours.iter().filter(|(_, (packets, _))| *packets > 0).count();
        }
        counted
    }
}

/// Without policies: the kernel has none of chains that no file names.
fn of_rules(mut counters: Vec<compare::Counter>) -> Vec<compare::Counter> {
    counters.retain(|(name, _)| !name.ends_with(" policy"));
    counters
}

fn numbered(text: &str) -> String {
    let mut number = 0;
    let line = |line: &str| {
        number = if line.starts_with("-A") { number + 1 } else { 0 };
        format!("{number:>3} {line}\n")
    };
    text.lines().map(line).collect()
}

const RPFILTER: [&str; 7] = [
    "-m rpfilter",
    "-m rpfilter --invert",
    "-m rpfilter --loose",
    "-m rpfilter --accept-local",
    "-m rpfilter --accept-local --loose",
    "-m rpfilter --loose --validmark --accept-local --invert",
    "-m rpfilter --validmark",
];
const GROUPS: [&str; 6] = [
    "-m devgroup --src-group 5",
    "-m devgroup ! --src-group 5",
    "-m devgroup --src-group 0x10/0x18",
    "-m devgroup --dst-group 5",
    "-m devgroup --src-group 5 --dst-group 16",
    "-m devgroup --dst-group 0/0",
];
const REALMS: [&str; 8] = [
    "-m realm --realm 0",
    "-m realm --realm 7",
    "-m realm --realm 7/0xffff",
    "-m realm --realm 9/0xffff",
    "-m realm ! --realm 0x70000/0xffff0000",
    "-m realm --realm 0x70009",
    "-m realm --realm 0x30007",
    "-m realm --realm 0x90000",
];
const NEITHER: [&str; 7] = [
    "-m policy --dir in --pol none",
    "-m policy --dir in --pol ipsec",
    "-m physdev ! --physdev-is-in",
    "-m physdev --physdev-in eth0",
    "-m physdev ! --physdev-in eth0 ! --physdev-is-bridged",
    "-m physdev ! --physdev-in eth0 --physdev-is-bridged",
    "-m physdev ! --physdev-out eth1",
];

fn declared_host() -> Host {
    let mut host = Host::router(name("eth0"), name("eth1"));
    let routes = [
        ("10.0.0.0/8", 0, 0x0003_0007),
        ("203.0.113.0/24", 1, 9),
        ("2001:db8:1::/48", 0, 0),
        ("198.51.100.0/24", 0, 0),
    ];
    host.routes.extend(routes.map(|(to, interface, realm)| Route {
        realm,
        ..Route::new(network(to), InterfaceIndex(interface))
    }));
    for (interface, group) in host.interfaces.iter_mut().zip([5, 16]) {
        interface.group = Some(group);
    }
    host
}

#[test]
fn routes_groups_and_realms() {
    let ran = namespace::with(|| {
        let kernel = match Kernel::new(Config::default()) {
            Ok(kernel) => kernel,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        for arguments in [
            "link set eth0 group 5",
            "link set eth1 group 16",
            "route add 10.0.0.0/8 via 100.127.253.2 dev eth0 realms 3/7",
            "route add 203.0.113.0/24 via 100.127.254.2 dev eth1 realms 9",
            "route add 198.51.100.0/24 via 100.127.253.2 dev eth0",
            "route add 2001:db8:1::/48 via fd4d:4154:a::2 dev eth0",
        ] {
            ip(arguments);
        }
        let forward: Vec<&str> = GROUPS.into_iter().chain(REALMS).chain(NEITHER).collect();
        let forward6: Vec<&str> = GROUPS.into_iter().chain(NEITHER).collect();
        let (source, none) = (&GROUPS[..3], &NEITHER[..6]);
        let input: Vec<&str> = source.iter().chain(&REALMS).chain(none).copied().collect();
        let rules = [
            counting(&[
                ("raw", "PREROUTING", &RPFILTER),
                ("filter", "FORWARD", &forward),
                ("security", "INPUT", &input),
            ]),
            counting(&[("raw", "PREROUTING", &RPFILTER), ("filter", "FORWARD", &forward6)]),
        ];
        let mut both = Both::load(kernel, declared_host(), &rules);
        let v4 = [
            "10.0.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "192.0.2.7",
            "100.127.253.2",
            "100.127.254.2",
            ROUTER,
            OUTER,
            "100.127.253.3",
            "127.0.0.1",
            "224.0.0.5",
            "255.255.255.255",
            "0.0.0.0",
        ];
        let v4_to =
            ["10.0.0.2", "203.0.113.9", "192.0.2.9", ROUTER, "255.255.255.255", "224.0.0.1"];
        let v6 = [
            "2001:db8:1::7",
            "2001:db8:2::7",
            "fd4d:4154:a::2",
            "fd4d:4154:b::2",
            "fd4d:4154:a::1",
            "fd4d:4154:b::1",
            "fd4d:4154:a::",
            "fe80::7",
            "::",
        ];
        let v6_to = ["2001:db8:1::9", "2001:db8:2::9"];
        for (sources, targets) in [(&v4[..], &v4_to[..]), (&v6[..], &v6_to[..])] {
            for from in sources {
                for to in targets {
                    for side in [Side::A, Side::B] {
                        let (family, bytes) = udp((from, 68), (to, 4444));
                        both.kernel.push(side, family, &bytes).expect("pushed");
                        both.model.push(side, family, &bytes);
                    }
                }
                both.compare(&rules);
            }
        }
        assert!(both.compare(&rules) > 40, "most rules count");
    });
    if let Err(error) = ran {
        eprintln!("skipped: {error}");
    }
}

const OWNERS: [&str; 12] = [
    "-m owner --uid-owner 0",
    "-m owner ! --uid-owner 0",
    "-m owner --uid-owner 1-5",
    "-m owner ! --uid-owner 1-5",
    "-m owner --gid-owner 0",
    "-m owner --socket-exists",
    "-m owner ! --socket-exists",
    "-m owner --socket-exists --uid-owner 0",
    "-m owner ! --socket-exists ! --uid-owner 0",
    "-m cgroup --path /",
    "-m cgroup ! --path /",
    "-p udp -m udp --sport 53:56 -m cgroup --cgroup 0",
];
const SOCKETS: [&str; 6] = [
    "-m socket",
    "-m socket --nowildcard",
    "-m socket --transparent",
    "-m socket --transparent --nowildcard",
    "-p tcp -m socket",
    "-p tcp -m socket --nowildcard",
];
const CGROUPS: [&str; 3] = ["-m cgroup --path /", "-m cgroup ! --path /", "-m cgroup ! --cgroup 5"];

/// The sockets that the test opens, as a host file would declare them.
fn sockets() -> Vec<Socket> {
    let end = |address: Option<&str>, port| End {
        family: Some(Family::V4),
        address: address.map(|text| Address::from(text.parse::<IpAddr>().expect("an address"))),
        port: Some(port),
    };
    let of = |protocol, local, remote| Socket {
        protocol,
        local,
        remote,
        uid: Some(0),
        gid: Some(0),
        cgroup: Some("/".into()),
        classid: Some(0),
        ..Socket::default()
    };
    vec![
        of(17, end(Some(ROUTER), 53), None),
        of(17, end(None, 54), None),
        of(17, end(Some(ROUTER), 55), Some(end(Some("10.0.0.1"), 5000))),
        of(6, end(Some(ROUTER), 22), None),
        of(6, end(None, 23), None),
    ]
}

fn answer_numbers(answers: &[Vec<u8>]) -> u32 {
    let answer = answers.first().expect("an answer");
    let keepstate_packet::L4::Tcp(header) = Parsed::new(answer).expect("a packet").l4 else {
        panic!("no segment");
    };
    header.sequence
}

#[test]
fn sockets_of_programs() {
    let ran = namespace::with(|| {
        let config = Config { inside: vec!["10.0.0.0/8".to_owned()], ..Config::default() };
        let kernel = match Kernel::new(config) {
            Ok(kernel) => kernel,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        let output: Vec<&str> =
            OWNERS.into_iter().chain(["-m policy --dir out --pol none"]).collect();
        let input: Vec<&str> = SOCKETS.into_iter().chain(CGROUPS).collect();
        let rules = [
            counting(&[
                ("mangle", "PREROUTING", &SOCKETS),
                ("filter", "INPUT", &input),
                ("security", "OUTPUT", &output),
            ]) + &counting(&[("mangle", "POSTROUTING", &OWNERS)]),
            String::from("*filter\nCOMMIT\n"),
        ];
        // One section a table: both chains of mangle stand in the first one.
        let rules = [merged(&rules[0]), rules[1].clone()];
        let mut host = Host::router(name("eth0"), name("eth1"));
        host.routes.push(Route::new(network("10.0.0.0/8"), InterfaceIndex(0)));
        host.sockets = sockets();
        let mut both = Both::load(kernel, host, &rules);
        let bind = |address: &str| UdpSocket::bind(address).expect("a socket");
        let (at, any, connected) =
            (bind("100.127.253.1:53"), bind("0.0.0.0:54"), bind("100.127.253.1:55"));
        connected.connect("10.0.0.1:5000").expect("connected");
        let listens = [("100.127.253.1:22", 22), ("0.0.0.0:23", 23)]
            .map(|(at, port)| (TcpListener::bind(at).expect("a listener"), port));
        let client = ("10.0.0.1", 5000);
        for port in [53, 54, 55, 56] {
            both.push(Side::A, &udp(client, (ROUTER, port)));
            both.push(Side::A, &udp(("10.0.0.1", 5001), (ROUTER, port)));
            both.push(Side::A, &udp(client, ("192.0.2.9", port)));
            both.compare(&rules);
        }
        let to = std::net::SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 5000));
        both.sent(Family::V4, || assert_eq!(at.send_to(b"this", to).expect("sent"), 4));
        both.sent(Family::V4, || assert_eq!(any.send_to(b"that", to).expect("sent"), 4));
        both.sent(Family::V4, || assert_eq!(connected.send(b"then").expect("sent"), 4));
        both.compare(&rules);
        for (listener, port) in &listens {
            dialogue(&mut both, listener, *port);
            both.compare(&rules);
        }
        // Nobody listens: the kernel resets.
        both.push(Side::A, &segment(("10.0.0.1", 4999), (ROUTER, 24), tcp::SYN, [1, 0]));
        assert!(both.compare(&rules) > 20, "most rules count");
    });
    if let Err(error) = ran {
        eprintln!("skipped: {error}");
    }
}

/// A connection that a program accepts, with data both ways.
fn dialogue(both: &mut Both, listener: &TcpListener, port: u16) {
    let (client, server) = (("10.0.0.1", 5002), (ROUTER, port));
    let answers = both.push(Side::A, &segment(client, server, tcp::SYN, [100, 0]));
    let next = answer_numbers(&answers).wrapping_add(1);
    both.push(Side::A, &segment(client, server, tcp::ACK, [101, next]));
    let (mut accepted, _) = listener.accept().expect("a connection");
    both.sent(Family::V4, || accepted.write_all(b"hello").expect("written"));
    let (family, mut data) = segment(client, server, tcp::ACK | tcp::PSH, [101, next + 5]);
    data.extend(b"bye");
    data[3] += 3;
    checksum::fill_ipv4_header(&mut data);
    checksum::fill(&Parsed::new(&data).expect("a segment"), &mut data);
    both.push(Side::A, &(family, data));
    let mut read = [0; 3];
    accepted.read_exact(&mut read).expect("read");
    assert_eq!(&read, b"bye");
    both.push(Side::A, &segment(client, server, tcp::RST | tcp::ACK, [104, next + 5]));
}

/// The same tables, each in one section.
fn merged(text: &str) -> String {
    let mut tables: Vec<(String, String)> = Vec::new();
    for section in text.split_inclusive("COMMIT\n") {
        let (head, body) = section.split_once('\n').expect("a section");
        let body = body.trim_end_matches("COMMIT\n");
        match tables.iter_mut().find(|(known, _)| known == head) {
            Some((_, all)) => all.push_str(body),
            None => tables.push((head.to_owned(), body.to_owned())),
        }
    }
    tables.iter().map(|(head, body)| format!("{head}\n{body}COMMIT\n")).collect()
}

const PORTS: [&str; 14] = [
    "-p udp -m physdev --physdev-is-in",
    "-p udp -m physdev --physdev-is-out",
    "-p udp -m physdev --physdev-is-bridged",
    "-p udp -m physdev ! --physdev-is-bridged",
    "-p udp -m physdev ! --physdev-is-out",
    "-p udp -m physdev --physdev-in port0",
    "-p udp -m physdev --physdev-in port+",
    "-p udp -m physdev ! --physdev-in port1",
    "-p udp -m physdev --physdev-out port1",
    "-p udp -m physdev --physdev-out port0",
    "-p udp -m physdev ! --physdev-out port0",
    "-p udp -m physdev ! --physdev-out port0 --physdev-is-bridged",
    "-p udp -i bridge0",
    "-p udp -o bridge0",
];

/// A host with a bridge of two ports, and a way out of another interface.
fn bridge_host() -> Host {
    let mut host = Host::router(name("bridge0"), name("out0"));
    host.interfaces[0].addresses = vec![network("192.0.2.1/24")];
    host.interfaces[1].addresses = vec![network("203.0.113.1/24")];
    let port = |port| Interface {
        bridge: Some(InterfaceIndex(0)),
        group: Some(0),
        ..Interface::new(name(port), 1500)
    };
    host.interfaces.extend([port("port0"), port("port1")]);
    host
}

fn frame(to: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(MAC_NEIGHBOUR[0]);
    frame.extend([8, 0]);
    frame.extend(packet);
    frame
}

#[test]
fn ports_of_a_bridge() {
    let ran = namespace::with(|| {
        let tap = |name| Tap::open(name);
        let (Ok(mut port0), Ok(mut port1), Ok(_out)) = (tap("port0"), tap("port1"), tap("out0"))
        else {
            return eprintln!("skipped: no TAP devices");
        };
        for arguments in [
            "link add bridge0 address 02:6d:61:74:00:1a type bridge mcast_snooping 0",
            "link set port0 master bridge0",
            "link set port1 master bridge0",
            "addr add 192.0.2.1/24 dev bridge0",
            "addr add 203.0.113.1/24 dev out0",
            "link set bridge0 up",
            "link set port0 up",
            "link set port1 up",
            "link set out0 up",
            "route add default via 203.0.113.2 dev out0",
            "neigh replace 203.0.113.2 lladdr 02:6d:61:74:00:0b dev out0",
        ] {
            ip(arguments);
        }
        if std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1").is_err() {
            return eprintln!("skipped: no rules for bridged packets here");
        }
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forwarding");
        let text = merged(&counting(&[
            ("mangle", "PREROUTING", &PORTS[..13]),
            ("filter", "INPUT", &PORTS[..13]),
            ("filter", "FORWARD", &PORTS),
            ("mangle", "POSTROUTING", &PORTS[..12]),
        ]));
        restore(&text);
        let mut model = Model::of_host(bridge_host(), &[], &[text.clone(), String::new()])
            .expect("the engine takes the rules");
        let (bridge, other) = ([2, 0x6d, 0x61, 0x74, 0, 0x1a], MAC_NEIGHBOUR[1]);
        for (to, mac) in [("192.0.2.9", other), ("192.0.2.1", bridge), ("198.51.100.7", bridge)] {
            for (index, port) in [(2, &mut port0), (3, &mut port1)] {
                let (_, bytes) = udp(("192.0.2.8", 5000), (to, 4444));
                port.write(&frame(mac, &bytes)).expect("written");
                model.push_on(InterfaceIndex(index), Family::V4, &bytes);
                // The bridge has learned where the sender is: forget it.
                Command::new("bridge")
                    .args(["fdb", "del", "02:6d:61:74:00:0a", "dev", "port0", "master"])
                    .output()
                    .expect("bridge runs");
            }
        }
        let saved = Command::new("iptables-nft-save").arg("-c").output().expect("saved").stdout;
        let theirs = compare::saved_counters(&String::from_utf8_lossy(&saved));
        let ours = of_rules(model.counters(Family::V4));
        let differences = compare::counters(&theirs, &ours);
        assert!(differences.is_empty(), "{differences:#?}\n{}", numbered(&text));
        assert!(ours.iter().filter(|(_, (packets, _))| *packets > 0).count() > 25);
    });
    if let Err(error) = ran {
        eprintln!("skipped: {error}");
    }
}

fn restore(text: &str) {
    let mut child = Command::new("iptables-nft-restore")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("iptables-restore runs");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("written");
    assert!(child.wait().expect("it ends").success());
}
