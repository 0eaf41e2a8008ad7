//! What asks for fields of the IP header and of the link, and for what IPsec puts behind it.

use super::super::aim;
use super::super::draft::Draft;
use super::super::random::Random;
use super::{Entry, Place, behind, near, not, number, range};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::model::TableName;

pub(super) const MATCHES: &[Entry] = &[
    Entry::new("addrtype", addrtype).aimed(aim_addrtype),
    Entry::new("ah", ah).of(&["ah"]).aimed(aim_spi),
    Entry::new("dscp", dscp).aimed(aim_dscp),
    Entry::new("ecn", ecn).of(&["tcp"]).aimed(aim_ecn),
    Entry::new("esp", esp).of(&["esp"]).aimed(aim_spi),
    Entry::new("eui64", |_, _| Some(String::new()))
        .aimed(|random, draft, _| aim::eui64(random, draft)),
    Entry::new("hl", hl).aimed(aim_ttl),
    Entry::new("ipcomp", ipcomp).of(&["ipcomp"]).aimed(aim_spi),
    Entry::new("iprange", iprange).aimed(aim_iprange),
    Entry::new("length", length).aimed(aim_length),
    Entry::new("mac", mac),
    Entry::new("pkttype", pkttype),
    Entry::new("tos", tos).aimed(aim_tos),
    Entry::new("ttl", ttl).aimed(aim_ttl),
];

/// `iptables -m dscp` and `-j DSCP` know them.
pub(super) const CLASSES: [&str; 9] =
    ["CS0", "CS1", "CS7", "BE", "AF11", "AF23", "AF43", "EF", "CS6"];
/// `iptables -m tos` and `-j TOS` know them.
pub(super) const SERVICES: [&str; 5] = [
    "Minimize-Delay",
    "Maximize-Throughput",
    "Maximize-Reliability",
    "Minimize-Cost",
    "Normal-Service",
];

fn hops(random: &mut Random, name: &str) -> String {
    let limit = random.pick(&[0, 1, 2, 63, 64, 65, 127, 254, 255]);
    match random.below(4) {
        0 => format!(" --{name}-lt {limit}"),
        1 => format!(" --{name}-gt {limit}"),
        2 => format!(" --{name}-eq {limit}"),
        _ => format!("{} --{name}-eq {limit}", not(random)),
    }
}

fn ttl(random: &mut Random, _: &Place) -> Option<String> {
    Some(hops(random, "ttl"))
}

fn hl(random: &mut Random, _: &Place) -> Option<String> {
    Some(hops(random, "hl"))
}

fn aim_ttl(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let options = ["--ttl-lt", "--ttl-gt", "--ttl-eq", "--hl-lt", "--hl-gt", "--hl-eq"];
    let targets = ["--ttl-set", "--ttl-inc", "--ttl-dec", "--hl-set", "--hl-inc", "--hl-dec"];
    if let Some(one) = behind(words, &options).and_then(|text| near(random, text)) {
        // Behind PREROUTING and INPUT one has been taken off.
        draft.network.ttl = (one as u8).wrapping_add(random.below(2) as u8);
    } else if let Some(one) = behind(words, &targets).and_then(|text| near(random, text)) {
        draft.network.ttl = random.pick(&[one as u8, (one as u8).wrapping_neg(), 1, 2, 255]);
    }
}

pub(super) fn aim_hops(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    aim_ttl(random, draft, words);
}

fn dscp(random: &mut Random, _: &Place) -> Option<String> {
    let not = not(random);
    Some(match random.below(3) {
        0 => format!("{not} --dscp-class {}", random.pick(&CLASSES)),
        1 => format!("{not} --dscp {:#x}", number(random, 63)),
        _ => format!("{not} --dscp {}", random.pick(&[0, 1, 46, 62, 63])),
    })
}

fn aim_dscp(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let low = random.byte() & 3;
    let one = match behind(words, &["--dscp"]).and_then(|text| near(random, text)) {
        Some(one) => one as u8,
        None => random.pick(&[0, 8, 10, 22, 38, 46, 48, 56]),
    };
    draft.network.tos = one << 2 | low;
}

fn tos(random: &mut Random, _: &Place) -> Option<String> {
    let not = not(random);
    Some(match random.below(3) {
        0 => format!("{not} --tos {}", random.pick(&SERVICES)),
        1 => format!("{not} --tos {:#x}", number(random, 255)),
        _ => format!("{not} --tos {:#x}/{:#x}", number(random, 255), number(random, 255)),
    })
}

fn aim_tos(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let one = behind(words, &["--tos"]).and_then(|text| near(random, text));
    draft.network.tos = match one {
        Some(one) => one as u8,
        None => random.pick(&[0x10, 0x08, 0x04, 0x02, 0, 0x11, 0x1e]),
    };
}

fn ecn(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    if random.chance(40) {
        text += &format!("{} --ecn-tcp-cwr", not(random));
    }
    if random.chance(40) {
        text += &format!("{} --ecn-tcp-ece", not(random));
    }
    if text.is_empty() || random.chance(50) {
        text += &format!("{} --ecn-ip-ect {}", not(random), random.below(4));
    }
    Some(text)
}

fn aim_ecn(random: &mut Random, draft: &mut Draft, _: &[&str]) {
    draft.network.tos = random.byte() & 3 | draft.network.tos & 0xfc;
    aim::xor_tcp_flags(draft, random.pick(&[0, 0x40, 0x80, 0xc0]));
}

fn length(random: &mut Random, _: &Place) -> Option<String> {
    let usual = [0, 20, 28, 40, 48, 52, 60, 100, 1399, 1400, 1500, 65_535];
    let not = not(random);
    Some(match random.below(8) {
        0 => format!("{not} --length :{}", random.pick(&usual)),
        1 => format!("{not} --length {}:", random.pick(&usual)),
        _ => format!("{not} --length {}", range(random, &usual, 65_535, ":")),
    })
}

fn aim_length(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    if let Some(length) = behind(words, &["--length"]).and_then(|text| near(random, text)) {
        aim::set_length(draft, length as usize);
    }
}

fn spi(random: &mut Random) -> String {
    let max = u64::from(u32::MAX);
    let usual = [0, 1, 255, 256, 1000, 0x7fff_ffff, 0x8000_0000, max - 1, max];
    match random.below(8) {
        0 => format!(":{}", random.pick(&usual)),
        1 => format!("{}:", random.pick(&usual)),
        _ => range(random, &usual, max, ":"),
    }
}

fn esp(random: &mut Random, _: &Place) -> Option<String> {
    Some(format!("{} --espspi {}", not(random), spi(random)))
}

fn ipcomp(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = format!(
        "{} --ipcompspi {}",
        not(random),
        range(random, &[0, 1, 61_439, 61_440, 65_535], 65_535, ":")
    );
    if random.chance(30) {
        text += " --compres";
    }
    Some(text)
}

fn ah(random: &mut Random, place: &Place) -> Option<String> {
    let mut text = format!("{} --ahspi {}", not(random), spi(random));
    if place.family == Family::V6 {
        if random.chance(50) {
            text += &format!("{} --ahlen {}", not(random), random.pick(&[0, 12, 16, 20, 24, 1028]));
        }
        if random.chance(30) {
            text += " --ahres";
        }
    }
    Some(text)
}

fn aim_spi(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let text = behind(words, &["--ahspi", "--espspi", "--ipcompspi"]).unwrap_or("0");
    let spi = near(random, text).unwrap_or(0) as u32;
    let length = behind(words, &["--ahlen"]).and_then(|text| near(random, text));
    aim::set_spi(random, draft, spi, length.map(|length| length as usize));
}

fn iprange(random: &mut Random, place: &Place) -> Option<String> {
    let ranges: &[&str] = match place.family {
        Family::V4 => &[
            "10.1.0.1-10.1.0.1",
            "10.1.0.1",
            "10.1.0.2-10.1.0.254",
            "198.51.100.1-198.51.100.2",
            "0.0.0.0-255.255.255.255",
            "0.0.0.0-10.1.0.1",
            "198.51.100.2-255.255.255.255",
            "127.255.255.255-128.0.0.0",
        ],
        Family::V6 => &[
            "fd00:a::1-fd00:a::1",
            "fd00:a::1",
            "fd00:a::2-fd00:a::ffff",
            "2001:b::1-2001:b::2",
            "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "::-2001:b::1",
            "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-8000::",
        ],
    };
    let mut text = String::new();
    if random.chance(60) {
        text += &format!("{} --src-range {}", not(random), random.pick(ranges));
    }
    if text.is_empty() || random.chance(40) {
        text += &format!("{} --dst-range {}", not(random), random.pick(ranges));
    }
    Some(text)
}

fn aim_iprange(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    for (option, is_source) in [("--src-range", true), ("--dst-range", false)] {
        let Some(range) = behind(words, &[option]) else { continue };
        let ends: Vec<&str> = range.split('-').collect();
        let end = random.pick(&ends);
        aim::set_address(random, draft, is_source, end);
    }
}

fn mac(random: &mut Random, place: &Place) -> Option<String> {
    let known = matches!(place.hook, Hook::Prerouting | Hook::Input | Hook::Forward);
    let addresses =
        ["02:6d:61:74:00:0a", "02:6D:61:74:00:0B", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"];
    known.then(|| format!("{} --mac-source {}", not(random), random.pick(&addresses)))
}

fn pkttype(random: &mut Random, _: &Place) -> Option<String> {
    let types = ["unicast", "broadcast", "multicast"];
    Some(format!("{} --pkt-type {}", not(random), random.pick(&types)))
}

fn addrtype(random: &mut Random, place: &Place) -> Option<String> {
    const TYPES: [&str; 8] = [
        "UNICAST",
        "LOCAL",
        "MULTICAST",
        "UNSPEC",
        "ANYCAST",
        "UNREACHABLE",
        "BROADCAST",
        "BLACKHOLE",
    ];
    // Over IPv6 the last two are refused.
    let types = if place.family == Family::V4 { &TYPES[..] } else { &TYPES[..6] };
    let list = |random: &mut Random| {
        let some: Vec<_> = (0..=random.below(2)).map(|_| random.pick(types)).collect();
        some.join(",")
    };
    let mut text = String::new();
    if random.chance(60) {
        text += &format!("{} --src-type {}", not(random), list(random));
    }
    if text.is_empty() || random.chance(50) {
        text += &format!("{} --dst-type {}", not(random), list(random));
    }
    let (inward, outward) = match place.hook {
        Hook::Prerouting | Hook::Input => (true, false),
        Hook::Forward => (true, true),
        Hook::Output | Hook::Postrouting => (false, true),
    };
    // Over IPv6 raw knows no way yet.
    let limits = place.family == Family::V4 || place.table != TableName::Raw;
    if limits && random.chance(20) {
        if inward && random.chance(50) {
            text += " --limit-iface-in";
        } else if outward {
            text += " --limit-iface-out";
        }
    }
    Some(text)
}

/// The router itself would answer to what is sent to it: only groups and broadcasts are.
fn aim_addrtype(random: &mut Random, draft: &mut Draft, _: &[&str]) {
    let is_source = random.chance(20);
    let addresses: &[&str] = match (draft.network.family, is_source) {
        (Family::V4, true) => &["100.127.253.1", "100.127.253.2", "224.0.0.251", "255.255.255.255"],
        (Family::V4, false) => &["100.127.254.3", "224.0.0.251", "10.1.0.1", "198.51.100.1"],
        (Family::V6, true) => &["fd4d:4154:a::1", "fd4d:4154:b::2", "ff05::1", "2001:b::1"],
        (Family::V6, false) => &["ff05::1", "fd00:a::1", "2001:b::1"],
    };
    aim::be_at(draft, is_source, random.pick(addresses));
}
