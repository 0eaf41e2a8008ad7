//! Frames through a bridge of the kernel with rules of ebtables, and through ours: random rules and
//! frames aimed at them; what leaves by each port, and the counters of every rule. As root on Linux with
//! ebtables; elsewhere it says why it is skipped.

use keepstate_datapath::sys::tap::Tap;
use keepstate_engine::bridge::{Bridge, Port};
use keepstate_oracle::namespace;
use keepstate_packet::{Instant, InterfaceName};
use keepstate_ruleset::model::{ChainIndex, NfProto};
use keepstate_ruleset::syntax::frames;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

const PORTS: usize = 3;
const BRIDGE: [u8; 6] = [2, 0, 0, 0, 2, 0];
/// Rule sets, and frames through each.
const ROUNDS: u64 = 150;
const FRAMES: usize = 200;

/// Random numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % limit.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn run(tool: &str, arguments: &str, input: &str) -> String {
    let mut child = Command::new(tool)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments}: {said}\n{input}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn port_address(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1, port as u8]
}

fn text(address: [u8; 6]) -> String {
    address.map(|octet| format!("{octet:02x}")).join(":")
}

fn pick<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len() as u64) as usize]
}

/// Whether `!` stands before the value.
fn not(random: &mut Random) -> &'static str {
    if random.chance(25) { "! " } else { "" }
}

const ADDRESSES: [&str; 10] = [
    "02:00:00:00:00:0a",
    "02:00:00:00:00:0b",
    "02:00:00:00:00:0a/ff:ff:ff:ff:ff:f0",
    "Unicast",
    "Multicast",
    "Broadcast",
    "BGA",
    "02:00:00:00:02:00",
    "02:00:00:00:01:01",
    "01:00:5e:00:00:00/ff:ff:ff:80:00:00",
];

/// The options of one match, with the protocol that they need.
fn options(random: &mut Random) -> String {
    let mut out = String::new();
    match random.below(11) {
        0 => ip(random, &mut out),
        1 => ip6(random, &mut out),
        2 | 3 => arp(random, &mut out),
        4 => {
            out.push_str("-p 802_1Q");
            let _ = match random.below(3) {
                0 => write!(out, " --vlan-id {}{}", not(random), pick(random, &["0", "1", "42"])),
                1 => write!(out, " --vlan-prio {}{}", not(random), pick(random, &["0", "3", "7"])),
                _ => write!(out, " --vlan-encap {}{}", not(random), pick(random, &["ip", "arp"])),
            };
        }
        5 => {
            out.push_str("-p Length");
            let _ = match random.chance(50) {
                true => write!(out, " --802_3-sap {}{}", not(random), pick(random, &["42", "aa"])),
                false => {
                    write!(out, " --802_3-type {}{}", not(random), pick(random, &["2004", "88"]))
                }
            };
        }
        6 => stp(random, &mut out),
        7 => {
            let marks = ["1", "0", "0x1/0x3", "/0x2", "3/1"];
            let _ = write!(out, "--mark {}{}", not(random), pick(random, &marks));
        }
        8 => {
            let kinds = ["host", "broadcast", "multicast", "otherhost"];
            let _ = write!(out, "--pkttype-type {}{}", not(random), pick(random, &kinds));
        }
        9 => {
            let lists = [
                "2:0:0:0:0:a,2:0:0:0:0:c",
                "2:0:0:0:0:a=10.0.0.1,2:0:0:0:0:b=10.0.0.2",
                "ff:ff:ff:ff:ff:ff,2:0:0:0:0:b",
            ];
            let side = pick(random, &["src", "dst"]);
            let _ = write!(out, "--among-{side} {}{}", not(random), pick(random, &lists));
        }
        _ => {
            let protocols = ["ARP", "IPv4", "IPv6", "802_1Q", "0x88b5", "Length"];
            let protocol = pick(random, &protocols);
            // The real tool forgets the `!` before a length.
            let not = if protocol == "Length" { "" } else { not(random) };
            let _ = write!(out, "-p {not}{protocol}");
        }
    }
    out
}

fn ip(random: &mut Random, out: &mut String) {
    out.push_str("-p IPv4");
    if random.chance(50) {
        let nets = ["10.0.0.1", "10.0.0.0/31", "10.0.0.2", "224.0.0.0/4"];
        let side = pick(random, &["src", "dst"]);
        let _ = write!(out, " --ip-{side} {}{}", not(random), pick(random, &nets));
    }
    let _ = match random.below(5) {
        0 => write!(out, " --ip-tos {}0x10", not(random)),
        1 => write!(out, " --ip-proto {}{}", not(random), pick(random, &["udp", "tcp", "igmp"])),
        2 => {
            let protocol = pick(random, &["udp", "tcp"]);
            let side = pick(random, &["sport", "dport"]);
            let ports = pick(random, &["53", "53:80", "80:", ":52"]);
            write!(out, " --ip-proto {protocol} --ip-{side} {}{ports}", not(random))
        }
        3 => {
            let types = pick(random, &["echo-request", "3/1", "0:8/0:1", "8"]);
            write!(out, " --ip-proto icmp --ip-icmp-type {}{types}", not(random))
        }
        _ => {
            let types = pick(random, &["membership-query", "17:22"]);
            write!(out, " --ip-proto igmp --ip-igmp-type {}{types}", not(random))
        }
    };
}

fn ip6(random: &mut Random, out: &mut String) {
    out.push_str("-p IPv6");
    if random.chance(50) {
        let nets = ["fe80::1", "fe80::/64", "ff02::/16"];
        let side = pick(random, &["src", "dst"]);
        let _ = write!(out, " --ip6-{side} {}{}", not(random), pick(random, &nets));
    }
    let _ = match random.below(4) {
        0 => write!(out, " --ip6-tclass {}0x10", not(random)),
        1 => write!(out, " --ip6-proto {}{}", not(random), pick(random, &["udp", "ipv6-icmp"])),
        2 => {
            let side = pick(random, &["sport", "dport"]);
            let ports = pick(random, &["53", "53:80", "80:", ":52"]);
            write!(out, " --ip6-proto udp --ip6-{side} {}{ports}", not(random))
        }
        _ => {
            let types = pick(random, &["echo-request", "134", "128:135/0:0"]);
            write!(out, " --ip6-proto ipv6-icmp --ip6-icmp-type {}{types}", not(random))
        }
    };
}

fn arp(random: &mut Random, out: &mut String) {
    out.push_str("-p ARP");
    let _ = match random.below(7) {
        0 => write!(out, " --arp-op {}{}", not(random), pick(random, &["Request", "Reply", "8"])),
        1 => write!(out, " --arp-htype {}{}", not(random), pick(random, &["1", "6"])),
        2 => write!(out, " --arp-ptype {}{}", not(random), pick(random, &["0x800", "0x86dd"])),
        3 => write!(
            out,
            " --arp-ip-src {}{}",
            not(random),
            pick(random, &["10.0.0.1", "10.0.0.0/31"])
        ),
        4 => write!(
            out,
            " --arp-ip-dst {}{}",
            not(random),
            pick(random, &["10.0.0.2", "10.0.0.0/30"])
        ),
        5 => {
            let side = pick(random, &["src", "dst"]);
            let addresses = ["02:00:00:00:00:0a", "Unicast", "00:00:00:00:00:00"];
            write!(out, " --arp-mac-{side} {}{}", not(random), pick(random, &addresses))
        }
        _ => write!(out, "{} --arp-gratuitous", if random.chance(25) { " !" } else { "" }),
    };
}

fn stp(random: &mut Random, out: &mut String) {
    let _ = match random.below(8) {
        0 => write!(out, "--stp-type {}{}", not(random), pick(random, &["config", "tcn", "2"])),
        1 => write!(out, "--stp-flags {}{}", not(random), pick(random, &["topology-change", "0"])),
        2 => write!(out, "--stp-root-prio {}{}", not(random), pick(random, &["32768", "1:", ":9"])),
        3 => write!(out, "--stp-root-cost {}{}", not(random), pick(random, &["7", "8:", ":6"])),
        4 => write!(out, "--stp-root-addr {}02:00:00:00:00:0a", not(random)),
        5 => write!(out, "--stp-sender-addr {}02:00:00:00:00:0b", not(random)),
        6 => write!(out, "--stp-port {}{}", not(random), pick(random, &["32770", "1:5"])),
        _ => write!(out, "--stp-forward-delay {}{}", not(random), pick(random, &["15", "16:"])),
    };
}

fn rule(random: &mut Random, table: &str, chain: &str) -> String {
    let mut rule = format!("-A {chain}");
    if random.chance(70) {
        let _ = write!(rule, " {}", options(random));
    }
    for (option, percent) in [("-s", 15), ("-d", 20)] {
        if random.chance(percent) {
            let _ = write!(rule, " {option} {}{}", not(random), pick(random, &ADDRESSES));
        }
    }
    let (arriving, leaving) = match chain {
        "PREROUTING" | "INPUT" => (true, false),
        "POSTROUTING" => (false, true),
        _ => (true, true),
    };
    for (option, fits) in [("-i", arriving), ("-o", leaving)] {
        if fits && random.chance(15) {
            let _ = write!(
                rule,
                " {option} {}{}",
                not(random),
                pick(random, &["p0", "p1", "p+", "q+"])
            );
        }
    }
    let then = pick(random, &["ACCEPT", "CONTINUE", "CONTINUE", "DROP"]);
    let target = match (table, chain, random.below(10)) {
        (_, _, 0) => {
            let change = pick(random, &["set 1", "or 2", "and 1", "xor 3"]);
            format!("mark --mark-{change} --mark-target {then}")
        }
        ("nat", "PREROUTING", 1) => format!("dnat --to-dst 2:0:0:0:0:b --dnat-target {then}"),
        ("nat", "PREROUTING", 2) => format!("redirect --redirect-target {then}"),
        ("nat", "POSTROUTING", 1) => {
            let arp = if random.chance(50) { " --snat-arp" } else { "" };
            format!("snat --to-src 2:0:0:0:0:e{arp} --snat-target {then}")
        }
        ("filter", "FORWARD" | "INPUT", 1..=3) => pick(random, &["u1", "u2"]).into(),
        ("filter", "u1", 1) => "u2".into(),
        (_, "u1" | "u2", 2 | 3) => "RETURN".into(),
        (.., 4) => "DROP".into(),
        (.., 5) => "ACCEPT".into(),
        _ => "CONTINUE".into(),
    };
    if table == "nat" && chain == "PREROUTING" && random.chance(8) {
        return format!(
            "-A PREROUTING -p ARP --arp-op Request -j arpreply --arpreply-mac 2:0:0:0:0:99 \
             --arpreply-target {then}"
        );
    }
    let _ = write!(rule, " -j {target}");
    rule
}

fn rules(random: &mut Random) -> String {
    let mut out = String::from("*filter\n:INPUT ACCEPT\n");
    let _ = writeln!(out, ":FORWARD {}", if random.chance(20) { "DROP" } else { "ACCEPT" });
    out.push_str(":OUTPUT ACCEPT\n");
    for chain in ["u1", "u2"] {
        let _ = writeln!(out, ":{chain} {}", pick(random, &["RETURN", "RETURN", "ACCEPT", "DROP"]));
    }
    for (chain, most) in [("INPUT", 6), ("FORWARD", 16), ("u1", 6), ("u2", 6)] {
        for _ in 0..random.below(most) {
            let _ = writeln!(out, "{}", rule(random, "filter", chain));
        }
    }
    out.push_str("*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n");
    for chain in ["PREROUTING", "POSTROUTING"] {
        for _ in 0..random.below(8) {
            let _ = writeln!(out, "{}", rule(random, "nat", chain));
        }
    }
    out
}

fn any<const N: usize>(random: &mut Random, of: [[u8; 6]; N]) -> [u8; 6] {
    of[random.below(N as u64) as usize]
}

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
const C: [u8; 6] = [2, 0, 0, 0, 0, 0xc];

fn udp(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let port: u16 = pick(random, &["52", "53", "79", "80", "81"]).parse().expect("a port");
        bytes.extend(port.to_be_bytes());
    }
    bytes.extend([0, 12, 0, 0, 1, 2, 3, 4]);
    bytes
}

fn ipv4(random: &mut Random) -> Vec<u8> {
    let (protocol, payload) = match random.below(5) {
        0 => (6, [udp(random), vec![0; 8]].concat()),
        1 => (
            1,
            vec![*[0_u8, 3, 8].get(random.below(3) as usize).expect("a type"), 1, 0, 0, 0, 0, 0, 0],
        ),
        2 => (
            2,
            vec![*[17_u8, 22].get(random.below(2) as usize).expect("a type"), 0, 0, 0, 0, 0, 0, 0],
        ),
        _ => (17, udp(random)),
    };
    let tos = if random.chance(30) { 0x10 } else { 0 };
    let fragment = if random.chance(10) { 1 } else { 0 };
    let length = 20 + payload.len() as u16;
    let [high, low] = length.to_be_bytes();
    let mut bytes = vec![0x45, tos, high, low, 0, 1, 0, fragment, 64, protocol, 0, 0];
    for _ in 0..2 {
        bytes.extend([10, 0, 0, 1 + random.below(3) as u8]);
    }
    if random.chance(15) {
        bytes[16..20].copy_from_slice(&[224, 0, 0, 1]);
    }
    bytes.extend(payload);
    bytes
}

fn ipv6(random: &mut Random) -> Vec<u8> {
    let (next, payload) = match random.chance(50) {
        true => (
            58,
            vec![
                *[128_u8, 134, 135].get(random.below(3) as usize).expect("a type"),
                random.below(2) as u8,
                0,
                0,
                0,
                0,
                0,
                0,
            ],
        ),
        false => (17, udp(random)),
    };
    let tos = if random.chance(30) { 1 } else { 0 };
    let options = random.chance(20);
    let length = payload.len() + if options { 8 } else { 0 };
    let mut bytes = vec![0x60 | tos, 0, 0, 0, 0, length as u8, if options { 60 } else { next }, 64];
    for _ in 0..2 {
        bytes.extend([
            0xfe,
            0x80,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            1 + random.below(3) as u8,
        ]);
    }
    if options {
        bytes.extend([next, 0, 1, 4, 0, 0, 0, 0]);
    }
    bytes.extend(payload);
    bytes
}

fn arp_packet(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, 1 + random.below(2) as u8];
    if random.chance(8) {
        bytes[1] = 6;
    }
    if random.chance(8) {
        bytes[7] = 8;
    }
    bytes.extend(any(random, [A, B, C]));
    bytes.extend([10, 0, 0, 1 + random.below(3) as u8]);
    bytes.extend(any(random, [A, B, [0; 6]]));
    bytes.extend([10, 0, 0, 1 + random.below(3) as u8]);
    if random.chance(8) {
        bytes.truncate(1 + random.below(27) as usize);
    }
    bytes
}

fn bpdu(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0x42, 0x42, 3, 0, 0, 0, 0, random.below(2) as u8];
    if random.chance(20) {
        bytes[6] = 128;
    }
    bytes.extend([0x80, 0]);
    bytes.extend(any(random, [A, B]));
    bytes.extend([0, 0, 0, 6 + random.below(3) as u8, 0x80, 1]);
    bytes.extend(any(random, [A, B]));
    bytes.extend([0x80, 2, 0, 1, 0, 20, 0, 2, 0, 15 + random.below(2) as u8]);
    if random.chance(8) {
        // `802_3` of the kernel reads ten bytes, whether the frame has them or not.
        bytes.truncate(10 + random.below(28) as usize);
    }
    bytes
}

fn frame(random: &mut Random, port: usize) -> Vec<u8> {
    let stations = [A, B, C];
    let mut bytes = Vec::from(any(
        random,
        [
            A,
            B,
            C,
            [0xff; 6],
            [1, 0, 0x5e, 0, 0, 1],
            BRIDGE,
            port_address(1),
            [1, 0x80, 0xc2, 0, 0, 0],
        ],
    ));
    bytes.extend(stations[port]);
    if random.chance(20) {
        bytes.extend([0x81, 0, [0, 0x60, 0xe0][random.below(3) as usize]]);
        bytes.push([0, 1, 42][random.below(3) as usize]);
    }
    let (ethertype, payload) = match random.below(9) {
        0..=2 => (0x0800, ipv4(random)),
        3 => (0x86dd, ipv6(random)),
        4 | 5 => (0x0806, arp_packet(random)),
        6 => {
            let payload = bpdu(random);
            (payload.len() as u16, payload)
        }
        7 => {
            let ends = if random.chance(80) { [0xaa, 0xaa] } else { [0xaa, 0x42] };
            let control = if random.chance(80) { 3 } else { 0 };
            let kind = [[0x20, 4], [0, 0x88]][random.below(2) as usize];
            let payload = [&ends[..], &[control, 0, 0, 0], &kind, &kind, &[1, 2]].concat();
            (payload.len() as u16, payload)
        }
        _ => (0x88b5, vec![1, 2, 3, 4]),
    };
    bytes.extend(u16::to_be_bytes(ethertype));
    bytes.extend(payload);
    bytes
}

struct Machine {
    taps: Vec<Tap>,
}

impl Machine {
    fn new() -> Self {
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        // Packets of bridged frames would pass iptables too, and be judged by it.
        for family in ["ip", "ip6", "arp"] {
            let path = format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables");
            let _ = std::fs::write(path, "0");
        }
        let taps: Vec<Tap> =
            (0..PORTS).map(|at| Tap::open(&format!("p{at}")).expect("a tap")).collect();
        let bridge = format!(
            "link add br0 address {} type bridge mcast_snooping 0 forward_delay 0",
            text(BRIDGE)
        );
        run("ip", &bridge, "");
        for at in 0..PORTS {
            run("ip", &format!("link set p{at} address {} master br0", text(port_address(at))), "");
            run("ip", &format!("link set p{at} up"), "");
        }
        run("ip", "link set br0 up", "");
        Self { taps }
    }

    /// What left by each port since it was last asked.
    fn sent(&self) -> Vec<(usize, Vec<u8>)> {
        let mut buffer = vec![0; 1 << 16];
        let mut all = Vec::new();
        for (port, tap) in self.taps.iter().enumerate() {
            while let Some(length) = tap.read(&mut buffer).expect("a frame") {
                all.push((port, buffer[..length].to_vec()));
            }
        }
        all
    }
}

/// The counters of all rules, chain by chain as they are saved.
fn kernel_counters() -> Vec<String> {
    let saved = run("ebtables-save", "-c", "");
    let lines = saved.lines().filter(|line| line.starts_with('['));
    let number = |line: &str| {
        let mut words = line.split(' ');
        let (counters, chain) = (words.next().unwrap_or(""), words.nth(1).unwrap_or(""));
        format!("{chain} {counters}")
    };
    lines.map(number).collect()
}

fn our_counters(bridge: &Bridge) -> Vec<String> {
    let (rules, states) = bridge.rules();
    let mut all = Vec::new();
    for (table, state) in rules.tables.iter().zip(states) {
        let chains = (0..).map(ChainIndex).zip(&table.chains);
        for (at, chain) in chains {
            let counters = state.counters(at).iter().take(chain.rules.len());
            all.extend(counters.map(|(p, b)| format!("{} [{p}:{b}]", chain.name)));
        }
    }
    all
}

fn round(machine: &Machine, seed: u64, each: bool) -> usize {
    let mut random = Random(seed << 32);
    let text = rules(&mut random);
    run("ebtables-restore", "", &text);
    let rules = frames::parse(&text, NfProto::Bridge).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(|fault| fault.render("rules", &text)).collect::<String>())
    });
    let name = |name: &str| InterfaceName::new(name).expect("a name");
    let ports =
        (0..PORTS).map(|at| Port { name: name(&format!("p{at}")), address: port_address(at) });
    let mut bridge = Bridge::new(name("br0"), BRIDGE, ports.collect(), rules, 7);
    // Both begin with no station known.
    run("ip", "link set br0 down", "");
    run("ip", "link set br0 up", "");
    machine.sent();
    for number in 0..FRAMES {
        let port = random.below(PORTS as u64) as usize;
        let frame = frame(&mut random, port);
        machine.taps[port].write(&frame).expect("a port that is up");
        let theirs = machine.sent();
        let ours = bridge.handle_frame(Instant(number as u64), port, &frame);
        let mut ours: Vec<(usize, Vec<u8>)> =
            ours.sent.into_iter().map(|sent| (sent.port, sent.bytes)).collect();
        ours.sort_by_key(|(port, _)| *port);
        assert_eq!(ours, theirs, "seed {seed}, frame {number} in at p{port}: {frame:02x?}\n{text}");
        if each {
            // Slow, and tells the frame.
            let place = format!("seed {seed}, frame {number} in at p{port}: {frame:02x?}");
            assert_eq!(our_counters(&bridge), kernel_counters(), "{place}\n{text}");
        }
    }
    assert_eq!(
        our_counters(&bridge),
        kernel_counters(),
        "KEEPSTATE_BRIDGE_SEED={seed} finds the frame\n{text}"
    );
    FRAMES
}

#[test]
fn frames_pass_as_through_the_bridge_of_the_kernel() {
    let has = |tool: &str| Command::new(tool).arg("-V").stdout(Stdio::null()).status().is_ok();
    if !has("ebtables") || !has("ip") {
        return println!("skipped: no ebtables, or no ip");
    }
    let seed = std::env::var("KEEPSTATE_BRIDGE_SEED").ok();
    let seed: Option<u64> = seed.and_then(|seed| seed.parse().ok());
    let seeds = seed.map_or(1..1 + ROUNDS, |seed| seed..seed + 1);
    let compared = namespace::with(|| {
        let machine = Machine::new();
        seeds.map(|one| round(&machine, one, seed.is_some())).sum::<usize>()
    });
    match compared {
        Ok(frames) => println!("{frames} frames compared"),
        Err(error) => println!("skipped: {error}"),
    }
}
