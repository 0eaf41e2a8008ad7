//! Random rule sets, and packets that lie at the edges of their rules.

#[path = "grammar/further.rs"]
mod further;

use further::Place;
use keepstate_conntrack::CtState;
use keepstate_packet::Family;
use keepstate_ruleset::syntax::iptables_save;
use std::fmt::Write;

/// A sequence that its seed decides (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555_1234)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len() as u64) as usize]
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Values that the rules name, and their neighbours.
#[derive(Default)]
pub(crate) struct Pools {
    addresses: Vec<u128>,
    ports: Vec<u16>,
    marks: Vec<u32>,
    lengths: Vec<u16>,
    ttls: Vec<u8>,
    icmp: Vec<(u8, u8)>,
}

const INTERFACES: [&str; 7] = ["eth0", "eth1", "eth10", "eth", "ppp0", "lo", "wan"];

/// A packet and what is around it.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) in_interface: Option<String>,
    pub(crate) out_interface: Option<String>,
    pub(crate) mark: u32,
    pub(crate) mac: u8,
    pub(crate) state: CtState,
}

pub(crate) fn ruleset(draw: &mut Draw, family: Family) -> (String, Pools) {
    let mut pools = Pools::default();
    let mut source = String::new();
    for table in ["raw", "mangle", "filter"] {
        if draw.one_in(3) {
            continue;
        }
        let _ = writeln!(source, "*{table}");
        let users: Vec<String> = (0..draw.below(5)).map(|number| format!("user{number}")).collect();
        let bases: &[&str] = match table {
            "raw" => &["PREROUTING", "OUTPUT"],
            "mangle" => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
            _ => &["INPUT", "FORWARD", "OUTPUT"],
        };
        let base = draw.of(bases);
        if draw.one_in(2) {
            let _ = writeln!(source, ":{base} DROP [0:0]");
        }
        for user in &users {
            let _ = writeln!(source, ":{user} - [0:0]");
        }
        for (at, chain) in std::iter::once(base).chain(users.iter().map(String::as_str)).enumerate()
        {
            // Only into chains behind it: no circles.
            let further = users.get(at..).unwrap_or_default();
            for _ in 0..1 + draw.below(14) {
                let at = Stands { table, base, is_of_packet: false };
                let line = rule(draw, family, at, further, &mut pools);
                let _ = writeln!(source, "-A {chain} {line}");
            }
        }
        let _ = writeln!(source, "COMMIT");
    }
    if source.is_empty() {
        source.push_str("*filter\n-A INPUT -j ACCEPT\nCOMMIT\n");
    }
    (source, pools)
}

/// All that a router walks for what it forwards.
pub(crate) fn gateway(draw: &mut Draw, family: Family) -> (String, Pools) {
    const BASES: [(&str, &[&str]); 4] = [
        ("raw", &["PREROUTING"]),
        ("mangle", &["PREROUTING", "FORWARD", "POSTROUTING"]),
        ("nat", &["PREROUTING", "POSTROUTING"]),
        ("filter", &["FORWARD"]),
    ];
    let mut pools = Pools::default();
    let mut source = String::new();
    for (table, bases) in BASES {
        if draw.one_in(3) {
            continue;
        }
        let _ = writeln!(source, "*{table}");
        let users: Vec<String> = bases.iter().map(|base| format!("of{base}")).collect();
        for user in &users {
            let _ = writeln!(source, ":{user} - [0:0]");
        }
        for (base, user) in bases.iter().zip(users) {
            let further = [user];
            for (chain, further) in [(*base, &further[..]), (&*further[0], &[])] {
                for _ in 0..draw.below(7) {
                    let at = Stands { table, base, is_of_packet: true };
                    let line = rule(draw, family, at, further, &mut pools);
                    let _ = writeln!(source, "-A {chain} {line}");
                }
            }
        }
        let _ = writeln!(source, "COMMIT");
    }
    if source.is_empty() {
        source.push_str("*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n");
    }
    (source, pools)
}

/// A target of table nat.
fn translation(draw: &mut Draw, family: Family, base: &str, pools: &Pools) -> String {
    let any = if family == Family::V4 { 0x0a01_0203 } else { 0x2001_0db8 << 96 | 5 };
    let to = written(family, some(draw, &pools.addresses, any));
    match (base, draw.below(3)) {
        (_, 0) => String::from("-j ACCEPT"),
        ("PREROUTING", _) => format!("-j DNAT --to-destination {to}"),
        (_, 1) => String::from("-j MASQUERADE"),
        _ => format!("-j SNAT --to-source {to}"),
    }
}

fn not(draw: &mut Draw) -> &'static str {
    if draw.one_in(4) { "! " } else { "" }
}

/// Where a rule stands, and what it may ask.
#[derive(Clone, Copy)]
struct Stands<'a> {
    table: &'a str,
    base: &'a str,
    is_of_packet: bool,
}

/// A rule that may stand in the chains that a built-in one leads into.
fn rule(
    draw: &mut Draw,
    family: Family,
    at: Stands<'_>,
    further: &[String],
    pools: &mut Pools,
) -> String {
    let Stands { table, base, .. } = at;
    let users: String = further.iter().map(|user| format!(":{user} - [0:0]\n")).collect();
    for _ in 0..20 {
        let line = any_rule(draw, family, at, further, pools);
        let alone = format!("*{table}\n{users}-A {base} {line}\nCOMMIT\n");
        if iptables_save::parse(&alone, family).is_ok() {
            return line;
        }
    }
    String::from("-j ACCEPT")
}

fn any_rule(
    draw: &mut Draw,
    family: Family,
    Stands { table, base, is_of_packet }: Stands<'_>,
    further: &[String],
    pools: &mut Pools,
) -> String {
    let mut line = String::new();
    for option in ["-s", "-d"] {
        if draw.one_in(3) {
            let _ = write!(line, "{}{option} {} ", not(draw), network(draw, family, pools));
        }
    }
    let incoming = matches!(base, "PREROUTING" | "INPUT" | "FORWARD");
    let outgoing = matches!(base, "OUTPUT" | "POSTROUTING" | "FORWARD");
    for (option, possible) in [("-i", incoming), ("-o", outgoing)] {
        if possible && draw.one_in(4) {
            let name = draw.of(&["eth0", "eth+", "eth1+", "ppp0", "p+", "lo", "+", "eth10"]);
            let not = if name == "+" { "" } else { not(draw) };
            let _ = write!(line, "{not}{option} {name} ");
        }
    }
    let protocols = ["", "", "tcp", "tcp", "udp", "icmp", "sctp", "47", "esp", "ah", "dccp"];
    let protocol = draw.pick(&protocols);
    let protocol = if protocol == "icmp" && family == Family::V6 { "ipv6-icmp" } else { protocol };
    let mut plain = true;
    if !protocol.is_empty() {
        let not = if draw.one_in(6) { "! " } else { "" };
        plain = not.is_empty();
        let _ = write!(line, "{not}-p {protocol} ");
    }
    if plain {
        upper(draw, protocol, pools, &mut line);
    }
    if plain && draw.one_in(5) {
        line.push_str(&further::of_protocol(draw, protocol));
    }
    let asked = if plain { protocol } else { "" };
    let place = Place { family, table, base, protocol: asked, is_of_packet };
    for _ in 0..draw.below(3) {
        if draw.one_in(3) {
            line.push_str(&further::further(draw, place, pools));
        } else {
            beside(draw, family, (table, incoming), pools, &mut line);
        }
    }
    let other = if draw.one_in(5) { further::target(draw, place) } else { String::new() };
    if table == "nat" && draw.one_in(2) {
        line.push_str(&translation(draw, family, base, pools));
    } else if table != "nat" && !other.is_empty() {
        line.push_str(&other);
    } else {
        line.push_str(&target(draw, family, table, further, pools, protocol, plain));
    }
    line
}

fn network(draw: &mut Draw, family: Family, pools: &mut Pools) -> String {
    let known = pools.addresses.clone();
    let fresh = match family {
        Family::V4 => u128::from(draw.next() as u32 & 0x0303_0303 | 0x0a00_0000),
        Family::V6 => {
            0x2001_0db8 << 96 | u128::from(draw.next() & 0x0303) << 48 | u128::from(draw.below(4))
        }
    };
    let address = if known.is_empty() || draw.one_in(2) { fresh } else { draw.pick(&known) };
    let width = if family == Family::V4 { 32 } else { 128 };
    let length = draw.pick(&[8, 14, 24, 30, 31, width, width, 0, width - 1, 20]);
    let host = if length == 0 { u128::MAX } else { (1 << (width - length).min(127)) - 1 };
    let last = if width == 32 { u128::from(u32::MAX) } else { u128::MAX };
    let (low, high) = (address & !host & last, (address | host) & last);
    for one in [low, high, low.wrapping_sub(1) & last, high.wrapping_add(1) & last, address] {
        pools.addresses.push(one);
    }
    let text = written(family, low);
    if family == Family::V4 && draw.one_in(12) {
        return format!("{text}/255.0.3.255");
    }
    format!("{text}/{length}")
}

fn written(family: Family, number: u128) -> String {
    match family {
        Family::V4 => std::net::Ipv4Addr::from(number as u32).to_string(),
        Family::V6 => std::net::Ipv6Addr::from(number).to_string(),
    }
}

fn port(draw: &mut Draw, pools: &mut Pools) -> u16 {
    let port = draw.pick(&[0_u16, 1, 22, 53, 80, 443, 1023, 1024, 8080, 65_535]);
    pools.ports.extend([port, port.wrapping_add(1), port.wrapping_sub(1)]);
    port
}

fn ports(draw: &mut Draw, pools: &mut Pools) -> String {
    let (one, other) = (port(draw, pools), port(draw, pools));
    if one == other || draw.one_in(2) {
        format!("{one}")
    } else {
        format!("{}:{}", one.min(other), one.max(other))
    }
}

fn upper(draw: &mut Draw, protocol: &str, pools: &mut Pools, line: &mut String) {
    match protocol {
        "tcp" | "udp" | "sctp" => {
            if protocol != "sctp" && draw.one_in(2) {
                for option in ["--sport", "--dport"] {
                    if draw.one_in(2) {
                        let ports = ports(draw, pools);
                        let _ = write!(line, "-m {protocol} {}{option} {ports} ", not(draw));
                    }
                }
            }
            if protocol == "tcp" && draw.one_in(3) {
                let flags = draw.of(&[
                    "--syn",
                    "--tcp-flags SYN,ACK SYN,ACK",
                    "--tcp-flags FIN,SYN,RST,ACK RST",
                    "--tcp-flags ALL NONE",
                    "--tcp-flags ACK,FIN FIN",
                ]);
                let _ = write!(line, "-m tcp {}{flags} ", not(draw));
            }
            if draw.one_in(4) {
                let option = draw.of(&["--sports", "--dports", "--ports"]);
                let list: Vec<String> =
                    (0..1 + draw.below(4)).map(|_| ports(draw, pools)).collect();
                let _ = write!(line, "-m multiport {}{option} {} ", not(draw), list.join(","));
            }
        }
        "icmp" if draw.one_in(2) => {
            let kind = draw.of(&["8", "0", "3", "3/4", "11/0", "any"]);
            pools.icmp.extend([(8, 0), (0, 0), (3, 4), (3, 3), (11, 0), (11, 1), (8, 1)]);
            let _ = write!(line, "-m icmp {}--icmp-type {kind} ", not(draw));
        }
        "ipv6-icmp" if draw.one_in(2) => {
            let kind = draw.of(&["128", "129", "1", "1/4", "3/0"]);
            pools.icmp.extend([(128, 0), (129, 0), (1, 4), (1, 3), (3, 0), (3, 1), (128, 1)]);
            let _ = write!(line, "-m icmp6 {}--icmpv6-type {kind} ", not(draw));
        }
        _ => {}
    }
}

/// Matches that need no protocol.
fn beside(
    draw: &mut Draw,
    family: Family,
    (table, incoming): (&str, bool),
    pools: &mut Pools,
    line: &mut String,
) {
    let not = not(draw);
    let _ = match draw.below(14) {
        0 | 1 => {
            let states = draw.of(&[
                "NEW",
                "ESTABLISHED",
                "RELATED,ESTABLISHED",
                "INVALID",
                "UNTRACKED",
                "NEW,RELATED",
            ]);
            if table == "raw" {
                Ok(())
            } else {
                write!(line, "-m conntrack {not}--ctstate {states} ")
            }
        }
        2 => {
            let states = draw.of(&["NEW", "INVALID", "ESTABLISHED,RELATED"]);
            if table == "raw" { Ok(()) } else { write!(line, "-m state {not}--state {states} ") }
        }
        3 => {
            let (value, mask) =
                (draw.pick(&[0_u32, 1, 2, 0x10, 0xff]), draw.pick(&[u32::MAX, 3, 0xf0]));
            pools.marks.extend([value, value ^ 1, value | 0x100]);
            write!(line, "-m mark {not}--mark {value:#x}/{mask:#x} ")
        }
        4 => {
            let length = draw.pick(&[40_u16, 60, 100, 1500]);
            pools.lengths.extend([length, length - 1, length + 1]);
            write!(line, "-m length {not}--length {length}:{} ", length + 50)
        }
        5 => {
            let ttl = draw.pick(&[1_u8, 2, 63, 64, 255]);
            pools.ttls.extend([ttl, ttl.wrapping_add(1), ttl - 1]);
            let how = draw.of(&["eq", "lt", "gt"]);
            let not = if how == "eq" { not } else { "" };
            let name = if family == Family::V4 { "ttl" } else { "hl" };
            write!(line, "-m {name} {not}--{name}-{how} {ttl} ")
        }
        6 => write!(line, "-m dscp {not}--dscp {} ", draw.below(4) * 8),
        7 => write!(line, "-m tos {not}--tos {:#x}/{:#x} ", draw.below(2) * 16, 0x3f),
        8 if !incoming => Ok(()),
        8 => write!(line, "-m mac {not}--mac-source 02:00:00:00:00:0{} ", draw.below(3)),
        9 => write!(line, "-m comment --comment \"a comment\" "),
        10 if draw.one_in(2) => write!(line, "-m statistic --mode random {not}--probability 0.5 "),
        10 => write!(line, "-m limit --limit 1/hour --limit-burst 1 "),
        11 => write!(line, "-m pkttype {not}--pkt-type {} ", draw.of(&["unicast", "broadcast"])),
        12 => {
            let (a, b) = (network(draw, family, pools), network(draw, family, pools));
            let [a, b] = [a, b].map(|one| one.split('/').next().unwrap_or("").to_string());
            let parse = |text: &str| text.parse::<std::net::IpAddr>().expect("an address");
            let (low, high) = if parse(&a) <= parse(&b) { (a, b) } else { (b, a) };
            write!(line, "-m iprange {not}--{}-range {low}-{high} ", draw.of(&["src", "dst"]))
        }
        _ => write!(line, "-m string {not}--string \"abc\" --algo bm "),
    };
}

fn target(
    draw: &mut Draw,
    family: Family,
    table: &str,
    further: &[String],
    pools: &mut Pools,
    protocol: &str,
    plain: bool,
) -> String {
    let user = |draw: &mut Draw| further[draw.below(further.len() as u64) as usize].clone();
    match draw.below(12) {
        0 => String::from("-j ACCEPT"),
        1 if table != "nat" => String::from("-j DROP"),
        2 => String::from("-j RETURN"),
        3 | 4 if !further.is_empty() => format!("-j {}", user(draw)),
        5 if !further.is_empty() => format!("-g {}", user(draw)),
        6 if table == "filter" && protocol == "tcp" && plain && draw.one_in(2) => {
            String::from("-j REJECT --reject-with tcp-reset")
        }
        6 if table == "filter" => String::from("-j REJECT"),
        6 if table == "raw" => String::from("-j CT --notrack"),
        7 => String::from("-j LOG"),
        8 | 9 if table == "mangle" => {
            let (value, mask) = (draw.pick(&[0_u32, 1, 2, 0x10]), draw.pick(&[u32::MAX, 3, 0xf0]));
            pools.marks.extend([value, value ^ 3]);
            format!("-j MARK --set-xmark {value:#x}/{mask:#x}")
        }
        10 if table == "mangle" => format!("-j TOS --set-tos {:#x}/0x3f", draw.below(3) * 16),
        11 if table == "mangle" => {
            let (name, option) = if family == Family::V4 { ("TTL", "ttl") } else { ("HL", "hl") };
            let how = draw.of(&["set 64", "inc 1", "set 2"]);
            format!("-j {name} --{option}-{how}")
        }
        _ => String::new(),
    }
}

fn some<T: Copy>(draw: &mut Draw, pool: &[T], other: T) -> T {
    if pool.is_empty() || draw.one_in(8) { other } else { draw.pick(pool) }
}

/// A whole packet whose fields come from the pools.
pub(crate) fn packet(draw: &mut Draw, pools: &Pools, family: Family) -> Packet {
    let v4 = family == Family::V4;
    let other = if v4 { u128::from(draw.next() as u32) } else { u128::from(draw.next()) << 64 | 7 };
    let (source, destination) =
        (some(draw, &pools.addresses, other), some(draw, &pools.addresses, other ^ 5));
    let icmp = if v4 { 1 } else { 58 };
    let protocol = draw.pick(&[6_u8, 6, 6, 17, 17, icmp, icmp, 132, 47, 50, 51, 33]);
    let any = draw.next() as u16;
    let (sport, dport) = (some(draw, &pools.ports, any), some(draw, &pools.ports, any ^ 9));
    let mut l4 = match protocol {
        6 => {
            let mut tcp = vec![0; 20];
            tcp[12] = 0x50;
            tcp[13] = draw.pick(&[0x02, 0x12, 0x10, 0x11, 0x04, 0x14, 0x18, 0x00, 0x3f, 0xc2]);
            tcp
        }
        17 => vec![0; 8],
        132 => vec![0; 16],
        33 => vec![0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0],
        51 => vec![59, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
        _ => vec![0; 12],
    };
    match protocol {
        6 | 17 | 33 | 132 => {
            l4[..2].copy_from_slice(&sport.to_be_bytes());
            l4[2..4].copy_from_slice(&dport.to_be_bytes());
        }
        1 | 58 => {
            let any = (draw.next() as u8, 0);
            let kind = some(draw, &pools.icmp, any);
            (l4[0], l4[1]) = kind;
        }
        _ => {}
    }
    if draw.one_in(5) {
        l4.extend(b"xxabcxx");
    }
    // In front of it what IPv6 may have there; behind a fragment header that says so it is a later piece.
    let ahead: Vec<u8> = match (v4 || protocol == 51, draw.below(12)) {
        (false, 0) => vec![protocol, 0, 1, 4, 0, 0, 0, 0],
        (false, 1) => vec![protocol, 0, 0, 0, 0, 0, 0, 7],
        (false, 2) => vec![protocol, 0, 0, 8, 0, 0, 0, 7],
        _ => Vec::new(),
    };
    let next = match ahead.get(3) {
        None => protocol,
        Some(4) => draw.pick(&[0, 60]),
        Some(_) => 44,
    };
    let header = if v4 { 20 } else { 40 + ahead.len() };
    let wanted = some(draw, &pools.lengths, 0);
    while l4.len() + header < usize::from(wanted) {
        l4.push(b'x');
    }
    if protocol == 17 {
        let length = (l4.len() as u16).to_be_bytes();
        l4[4..6].copy_from_slice(&length);
    }
    let ttl = some(draw, &pools.ttls, 64);
    let tos = draw.pick(&[0_u8, 0x10, 0x20, 0x40, 0x60, 0x3f]);
    let later = v4 && draw.one_in(15);
    let mut bytes = Vec::with_capacity(header + l4.len());
    let length = (header + l4.len()) as u16;
    if v4 {
        bytes.extend([0x45, tos]);
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 1, 0, u8::from(later) * 8, ttl, protocol, 0, 0]);
        bytes.extend((source as u32).to_be_bytes());
        bytes.extend((destination as u32).to_be_bytes());
    } else {
        bytes.extend([0x60 | tos >> 4, tos << 4, 0, 0]);
        bytes.extend(((ahead.len() + l4.len()) as u16).to_be_bytes());
        bytes.extend([next, ttl]);
        bytes.extend(source.to_be_bytes());
        bytes.extend(destination.to_be_bytes());
        bytes.extend(ahead);
    }
    bytes.extend(l4);
    let interface = |draw: &mut Draw| {
        if draw.one_in(6) { None } else { Some(draw.of(&INTERFACES).to_string()) }
    };
    Packet {
        bytes,
        in_interface: interface(draw),
        out_interface: interface(draw),
        mark: some(draw, &pools.marks, 0),
        mac: draw.below(4) as u8,
        state: draw.pick(&[
            CtState::New,
            CtState::Established,
            CtState::Related,
            CtState::Invalid,
            CtState::Untracked,
        ]),
    }
}
