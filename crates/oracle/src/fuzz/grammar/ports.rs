//! What asks for ports, and for what stands beside them in the headers of the transports.

use super::super::aim;
use super::super::draft::{Body, Draft};
use super::super::random::Random;
use super::{Entry, Place, behind, near, not, number, range};
use keepstate_packet::Family;

pub(super) const MATCHES: &[Entry] = &[
    Entry::new("dccp", dccp).of(&["dccp"]).aimed(aim_dccp),
    Entry::new("icmp", icmp).of(&["icmp"]).aimed(aim_icmp),
    Entry::new("icmp6", icmp6).of(&["ipv6-icmp"]).aimed(aim_icmp),
    Entry::new("multiport", multiport)
        .of(&["tcp", "udp", "udplite", "sctp", "dccp"])
        .aimed(aim_ports),
    Entry::new("sctp", sctp).of(&["sctp"]).aimed(aim_sctp),
    Entry::new("tcp", tcp).of(&["tcp"]).aimed(aim_tcp),
    Entry::new("tcpmss", tcpmss).of(&["tcp"]).aimed(aim_mss),
    Entry::new("udp", udp).of(&["udp"]).aimed(aim_ports),
];

/// Ports of the conversations, and the edges.
const PORTS: [u64; 14] = [0, 1, 21, 53, 79, 80, 81, 443, 1023, 1024, 1025, 1026, 2905, 65_535];
const SOURCE: [&str; 2] = ["--sport", "--source-port"];
const DESTINATION: [&str; 2] = ["--dport", "--destination-port"];

/// One port, a range, or a range that is open at one end.
fn ports(random: &mut Random) -> String {
    match random.below(8) {
        0 => format!(":{}", random.pick(&PORTS)),
        1 => format!("{}:", random.pick(&PORTS)),
        _ => range(random, &PORTS, 65_535, ":"),
    }
}

/// Every port there is.
const WHOLE: [&str; 3] = [":65535", "0:", "0:65535"];

/// Options for either end, or for none.
fn ends(random: &mut Random, text: &mut String, percent: usize) {
    for names in [SOURCE, DESTINATION] {
        if random.chance(percent) {
            let (not, name, ports) = (not(random), random.pick(&names), ports(random));
            // Of what is none of all ports iptables 1.8.9 forgets that it asks for anything.
            // Of neither one port nor the other it makes not both at once.
            let whole = WHOLE.contains(&ports.as_str());
            let not = if whole || text.contains('!') { "" } else { not };
            *text += &format!("{not} {name} {ports}");
        }
    }
}

fn udp(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    ends(random, &mut text, 60);
    Some(text)
}

fn tcp(random: &mut Random, _: &Place) -> Option<String> {
    // A mask of no flags iptables-nft forgets with what it asks for.
    const MASKS: [&str; 5] = ["FIN,SYN,RST,ACK", "ALL", "SYN,ACK", "PSH,URG", "RST"];
    const WANTED: [&str; 6] = ["SYN", "NONE", "ALL", "FIN,PSH,URG", "SYN,ACK", "RST"];
    let mut text = String::new();
    ends(random, &mut text, 30);
    match random.below(5) {
        0 => text += &format!("{} --syn", not(random)),
        1 | 2 => {
            let (mask, wanted) = (random.pick(&MASKS), random.pick(&WANTED));
            text += &format!("{} --tcp-flags {mask} {wanted}", not(random));
        }
        _ => {}
    }
    if random.chance(35) {
        let option = random.pick(&[1, 2, 3, 4, 5, 8, 19, 254, 255]);
        text += &format!("{} --tcp-option {option}", not(random));
    }
    Some(text)
}

fn tcpmss(random: &mut Random, _: &Place) -> Option<String> {
    let wanted = range(random, &[0, 536, 1459, 1460, 1461, 65_535], 65_535, ":");
    Some(format!("{} --mss {wanted}", not(random)))
}

fn multiport(random: &mut Random, _: &Place) -> Option<String> {
    const NAMES: [&str; 5] =
        ["--dports", "--sports", "--ports", "--destination-ports", "--source-ports"];
    let mut left = 1 + random.below(15);
    let mut list: Vec<String> = Vec::new();
    while left > 0 {
        let ports = range(random, &PORTS, 65_535, ":");
        let takes = if ports.contains(':') { 2 } else { 1 };
        // A range of one port is refused by some and taken by others.
        let degenerate = ports.split_once(':').is_some_and(|(low, high)| low == high);
        if takes > left || degenerate {
            list.push(random.pick(&PORTS).to_string());
            left -= 1;
        } else {
            list.push(ports);
            left -= takes;
        }
    }
    Some(format!("{} {} {}", not(random), random.pick(&NAMES), list.join(",")))
}

fn icmp(random: &mut Random, _: &Place) -> Option<String> {
    const NAMES: [&str; 10] = [
        "any",
        "echo-request",
        "ping",
        "echo-reply",
        "destination-unreachable",
        "port-unreachable",
        "fragmentation-needed",
        "time-exceeded",
        "ttl-zero-during-transit",
        "redirect",
    ];
    let not = not(random);
    let kind = match random.below(3) {
        0 => random.pick(&NAMES).to_owned(),
        1 => random.pick(&[0u8, 3, 8, 11, 12, 254, 255]).to_string(),
        _ => format!("{}/{}", random.pick(&[0, 3, 8, 11, 5]), random.pick(&[0, 1, 3, 4, 13, 255])),
    };
    Some(format!("{not} --icmp-type {kind}"))
}

fn icmp6(random: &mut Random, _: &Place) -> Option<String> {
    const NAMES: [&str; 8] = [
        "echo-request",
        "echo-reply",
        "destination-unreachable",
        "no-route",
        "packet-too-big",
        "time-exceeded",
        "neighbour-solicitation",
        "router-advertisement",
    ];
    let not = not(random);
    let kind = match random.below(3) {
        0 => random.pick(&NAMES).to_owned(),
        1 => random.pick(&[0u8, 1, 3, 128, 129, 135, 254, 255]).to_string(),
        _ => format!("{}/{}", random.pick(&[0, 1, 2, 3, 128, 255]), random.pick(&[0, 1, 4, 255])),
    };
    Some(format!("{not} --icmpv6-type {kind}"))
}

const CHUNKS: [&str; 16] = [
    "DATA",
    "INIT",
    "INIT_ACK",
    "SACK",
    "HEARTBEAT",
    "HEARTBEAT_ACK",
    "ABORT",
    "SHUTDOWN",
    "SHUTDOWN_ACK",
    "ERROR",
    "COOKIE_ECHO",
    "COOKIE_ACK",
    "ECN_ECNE",
    "ECN_CWR",
    "SHUTDOWN_COMPLETE",
    "ASCONF",
];

fn sctp(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    ends(random, &mut text, 30);
    if random.chance(70) {
        let how = random.pick(&["all", "any", "only"]);
        let mut list = Vec::new();
        for _ in 0..=random.below(3) {
            let chunk = random.pick(&CHUNKS);
            // Flags of the chunk: a capital asks for one, a small letter for none.
            let flags = match (chunk, random.below(2)) {
                ("DATA", 0) => random.pick(&[":U", ":b", ":Be", ":uBE", ":"]),
                ("ABORT" | "SHUTDOWN_COMPLETE", 0) => random.pick(&[":T", ":t"]),
                _ => "",
            };
            list.push(format!("{chunk}{}", flags.trim_end_matches(':')));
        }
        let list = match random.below(8) {
            0 => "ALL".to_owned(),
            1 => "NONE".to_owned(),
            _ => list.join(","),
        };
        text += &format!("{} --chunk-types {how} {list}", not(random));
    }
    Some(text)
}

fn dccp(random: &mut Random, _: &Place) -> Option<String> {
    const TYPES: [&str; 11] = [
        "REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC",
        "SYNCACK", "INVALID",
    ];
    let mut text = String::new();
    ends(random, &mut text, 30);
    if random.chance(50) {
        let list: Vec<_> = (0..=random.below(3)).map(|_| random.pick(&TYPES)).collect();
        text += &format!("{} --dccp-types {}", not(random), list.join(","));
    }
    if random.chance(40) {
        text += &format!(
            "{} --dccp-option {}",
            not(random),
            random.pick(&[1, 2, 32, 33, 44, 128, 255])
        );
    }
    Some(text)
}

fn aim_ports(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let source = behind(words, &["--sport", "--source-port", "--sports", "--source-ports"]);
    let destination =
        behind(words, &["--dport", "--destination-port", "--dports", "--destination-ports"]);
    let either = behind(words, &["--ports"]);
    let swap = random.chance(50);
    let wanted = [source.or(either.filter(|_| swap)), destination.or(either.filter(|_| !swap))];
    for (end, text) in wanted.into_iter().enumerate() {
        if let Some(port) = text.and_then(|text| near(random, text)) {
            aim::set_port(draft, end, port as u16);
        }
    }
}

fn aim_tcp(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    aim_ports(random, draft, words);
    let Body::Tcp(segment) = &mut draft.body else { return };
    let list = |text: &str| -> u8 {
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
        let bits = |name: &str| match name {
            "ALL" => 0x3f,
            _ => names.iter().position(|one| *one == name).map_or(0, |bit| 1 << bit),
        };
        text.split(',').fold(0, |all, name| all | bits(name))
    };
    let wanted = match words.iter().position(|word| *word == "--tcp-flags") {
        Some(at) => words.get(at + 2).map(|text| list(text)),
        None => words.contains(&"--syn").then_some(2),
    };
    if let Some(wanted) = wanted {
        segment.flags = wanted;
        if random.chance(50) {
            segment.flags ^= 1 << random.below(8);
        }
    }
    if let Some(option) = behind(words, &["--tcp-option"]).and_then(|text| near(random, text)) {
        let length = random.pick(&[2, 2, 4, 10, 0, 1, 200]);
        let before: &[u8] = random.pick(&[&[][..], &[1], &[1, 1], &[3, 3, 7], &[0]]);
        segment.options.splice(..0, before.iter().copied().chain(tcp_option(option as u8, length)));
    }
}

fn tcp_option(kind: u8, length: u8) -> Vec<u8> {
    if kind <= 1 {
        return vec![kind];
    }
    let mut option = vec![kind, length];
    option.resize(usize::from(length).clamp(2, 12), 7);
    option
}

fn aim_mss(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let wanted = behind(words, &["--mss", "--set-mss"]).and_then(|text| near(random, text));
    let mss = wanted.unwrap_or_else(|| number(random, 65_535)) as u16;
    let Body::Tcp(segment) = &mut draft.body else { return };
    if random.chance(80) {
        segment.flags = random.pick(&[2, 2, 0x12, 3, 6]);
    }
    let [high, low] = mss.to_be_bytes();
    segment.options = match random.below(8) {
        0 => vec![1, 2, 4, high, low, 4, 2],
        1 => vec![3, 3, 7, 2, 4, high, low],
        2 => vec![2, 3, high, low],
        3 => vec![2, 4, high],
        4 => vec![0, 2, 4, high, low],
        5 => Vec::new(),
        _ => vec![2, 4, high, low],
    };
}

pub(super) fn aim_clamp(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    aim_mss(random, draft, words);
}

fn aim_icmp(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let Some(text) = behind(words, &["--icmp-type", "--icmpv6-type"]) else { return };
    let six = draft.network.family == Family::V6;
    let named = match (text, six) {
        ("any", _) => (random.byte(), random.byte()),
        ("echo-request" | "ping", false) => (8, 0),
        ("echo-reply", false) => (0, 0),
        ("destination-unreachable", false) => (3, random.below(16) as u8),
        ("port-unreachable", false) => (3, 3),
        ("fragmentation-needed", false) => (3, 4),
        ("time-exceeded", false) => (11, random.below(3) as u8),
        ("ttl-zero-during-transit", false) => (11, 0),
        ("redirect", false) => (5, random.below(5) as u8),
        ("echo-request", true) => (128, 0),
        ("echo-reply", true) => (129, 0),
        ("destination-unreachable", true) => (1, random.below(8) as u8),
        ("no-route", true) => (1, 0),
        ("packet-too-big", true) => (2, random.below(2) as u8),
        ("time-exceeded", true) => (3, random.below(3) as u8),
        ("neighbour-solicitation", true) => (135, 0),
        ("router-advertisement", true) => (134, 0),
        _ => {
            let (kind, code) = text.split_once('/').unwrap_or((text, "0"));
            let kind = kind.parse().unwrap_or(0);
            (kind, code.parse().unwrap_or(0))
        }
    };
    if let Body::Icmp { kind, code, .. } | Body::Error { kind, code, .. } = &mut draft.body {
        (*kind, *code) = named;
        match random.below(4) {
            0 => *kind = kind.wrapping_add(random.pick(&[1, 255])),
            1 => *code = code.wrapping_add(random.pick(&[1, 255])),
            _ => {}
        }
    }
}

fn aim_sctp(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    aim_ports(random, draft, words);
    let Body::Sctp(packet) = &mut draft.body else { return };
    let Some(at) = words.iter().position(|word| *word == "--chunk-types") else { return };
    let list = words.get(at + 2).copied().unwrap_or("");
    packet.chunks.clear();
    for wanted in list.split(',') {
        let (name, flags) = wanted.split_once(':').unwrap_or((wanted, ""));
        let number = CHUNKS.iter().position(|one| *one == name);
        let kind = match number {
            Some(15) => 0xc1,
            Some(14) => 14,
            Some(number) => number as u8,
            None => random.below(16) as u8,
        };
        let bit = |letter| match letter {
            'U' => 4,
            'B' => 2,
            'E' | 'T' => 1,
            _ => 0,
        };
        let mut bits = flags.chars().fold(0, |all, letter| all | bit(letter));
        if random.chance(40) {
            bits ^= 1 << random.below(3);
        }
        if random.chance(85) {
            packet.chunks.push(aim::chunk(random, kind, bits));
        }
    }
    if random.chance(30) {
        let kind = random.pick(&[0, 3, 4, 6, 11, 14, 63, 0xc1]);
        let chunk = aim::chunk(random, kind, 0);
        packet.chunks.insert(random.below(packet.chunks.len() + 1), chunk);
    }
}

fn aim_dccp(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    const TYPES: [&str; 10] = [
        "REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC",
        "SYNCACK",
    ];
    let types = behind(words, &["--dccp-types"]).unwrap_or("DATA");
    let names: Vec<&str> = types.split(',').collect();
    let name = random.pick(&names);
    let kind = TYPES.iter().position(|one| *one == name).unwrap_or(10) as u8;
    let kind = if random.chance(30) { random.below(16) as u8 } else { kind };
    let option = behind(words, &["--dccp-option"]).and_then(|text| near(random, text));
    let ports = aim::ports(draft);
    draft.body = Body::Raw(aim::dccp(random, ports, kind, option.map(|option| option as u8)));
    aim_ports(random, draft, words);
}
