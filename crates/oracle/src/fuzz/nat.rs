//! Random rules of table nat.

use super::random::Random;
use keepstate_packet::Family;
use std::fmt::Write as _;

/// Most rules of one chain.
const RULES_MAX: usize = 3;

/// Prefixes translated without regard to connections (RFC 6296).
pub(crate) const PREFIXES: &str = "\
-A PREROUTING -d 2001:c::/48 -j DNPT --src-pfx 2001:c::/48 --dst-pfx fd00:a::/48
-A POSTROUTING -s fd00:a::2/128 -j SNPT --src-pfx fd00:a::/48 --dst-pfx 2001:c::/48
";

/// What a gateway has: what comes from inside leaves as one, some ports lead inside, from inside as well.
/// One of the clients has the address of another.
pub(crate) fn gateway(random: &mut Random, family: Family) -> String {
    let (outside, inside, servers, client, other) = match family {
        Family::V4 => ("203.0.113.1", "10.0.0.0/8", "10.1.0.1-10.1.0.2", "10.1.0.1", "10.1.0.2"),
        Family::V6 => ("2001:c::1", "fd00:a::/32", "fd00:a::1-fd00:a::2", "fd00:a::1", "fd00:a::2"),
    };
    let mut text = String::new();
    if random.chance(60) {
        let narrow = random.pick(&["", ":1024-1026", ":2000-2003", ":40000-40031"]);
        let protocols = if narrow.is_empty() { ["tcp", "udp"] } else { ["udp", "tcp"] };
        for protocol in protocols {
            let to = match family {
                _ if narrow.is_empty() => servers.to_owned(),
                Family::V4 => format!("{servers}{narrow}"),
                Family::V6 => format!("[{servers}]{narrow}"),
            };
            let _ = writeln!(
                text,
                "-A PREROUTING -d {outside} -p {protocol} -j DNAT --to-destination {to}"
            );
        }
        let _ = writeln!(text, "-A PREROUTING -d {outside} -j DNAT --to-destination {client}");
    }
    if random.chance(40) {
        let _ = writeln!(text, "-A POSTROUTING -s {client} -j SNAT --to-source {other}");
    }
    if random.chance(60) {
        let _ = writeln!(text, "-A POSTROUTING -s {inside} -d {inside} -j MASQUERADE");
    }
    let flags = choice(random, &[" --random", " --random-fully"]);
    match random.below(3) {
        0 => {
            let _ = writeln!(text, "-A POSTROUTING -o eth1 -j MASQUERADE{flags}");
        }
        1 => {
            let ports = ports(random);
            for protocol in ["tcp", "udp", "sctp"] {
                let _ = writeln!(
                    text,
                    "-A POSTROUTING -o eth1 -p {protocol} -j MASQUERADE --to-ports {ports}{flags}"
                );
            }
        }
        _ => {
            let _ = writeln!(text, "-A POSTROUTING -o eth1 -j SNAT --to-source {outside}{flags}");
        }
    }
    text
}

/// The rules of a chain, in iptables-save form; `matches` gives the conditions of each.
pub(crate) fn rules(
    random: &mut Random,
    family: Family,
    chain: &str,
    mut matches: impl FnMut(&mut Random) -> String,
) -> String {
    let mut text = String::new();
    for _ in 0..random.below(RULES_MAX + 1) {
        let source = matches!(chain, "INPUT" | "POSTROUTING");
        let protocols: &[&str] = match family {
            Family::V4 => &["", "tcp", "udp", "icmp", "sctp", "udplite"],
            Family::V6 => &["", "tcp", "udp", "sctp", "udplite", "ipv6-icmp"],
        };
        let protocol = random.pick(protocols);
        let more = if random.chance(40) { matches(random) } else { String::new() };
        let conditions = match protocol {
            "" => more,
            // Conditions with a protocol of their own are of that one.
            _ if more.contains(" -p ") => more,
            _ => format!(" -p {protocol}{more}"),
        };
        // The protocols that ports may be given with; ICMPv6 is none of them.
        let ported = [" -p tcp ", " -p udp ", " -p sctp ", " -p icmp "]
            .iter()
            .any(|one| format!("{conditions} ").starts_with(one));
        let target = target(random, family, chain, source, ported);
        let _ = writeln!(text, "-A {chain}{conditions} -j {target}");
    }
    text
}

fn target(random: &mut Random, family: Family, chain: &str, source: bool, ported: bool) -> String {
    match (random.below(10), chain) {
        (0, _) => "ACCEPT".to_owned(),
        (1 | 2, "POSTROUTING") => {
            let ports = if ported && random.chance(40) { ports(random) } else { String::new() };
            let ports = if ports.is_empty() { ports } else { format!(" --to-ports {ports}") };
            format!("MASQUERADE{ports}{}", choice(random, &[" --random", " --random-fully"]))
        }
        (1, "PREROUTING" | "OUTPUT") => {
            let ports = if ported && random.chance(60) { ports(random) } else { String::new() };
            let ports = if ports.is_empty() { ports } else { format!(" --to-ports {ports}") };
            format!("REDIRECT{ports}{}", choice(random, &[" --random"]))
        }
        (3, _) => format!("NETMAP --to {}", network(random, family)),
        _ if source => {
            let to = to(random, family, ported, false);
            let flags = [" --random", " --random-fully", " --persistent"];
            format!("SNAT --to-source {to}{}", choice(random, &flags))
        }
        _ => {
            let to = to(random, family, ported, true);
            format!("DNAT --to-destination {to}{}", choice(random, &[" --random", " --persistent"]))
        }
    }
}

fn choice(random: &mut Random, flags: &[&'static str]) -> String {
    flags.iter().filter(|_| random.chance(12)).copied().collect()
}

fn ports(random: &mut Random) -> String {
    random
        .pick(&["80", "1024-1026", "2000-2003", "40000-40031", "1-65535", "1024-65535", "500-520"])
        .to_owned()
}

fn network(random: &mut Random, family: Family) -> &'static str {
    match family {
        Family::V4 => random.pick(&["203.0.113.0/24", "10.9.0.0/16", "198.51.0.0/16", "10.1.0.9"]),
        Family::V6 => random.pick(&["2001:c::/32", "fd00:a:9::/48", "2001:b::/126", "fd00:a::9"]),
    }
}

fn to(random: &mut Random, family: Family, ported: bool, destination: bool) -> String {
    let addresses: &[&str] = match (family, destination) {
        (Family::V4, false) => &[
            "203.0.113.1",
            "203.0.113.1-203.0.113.6",
            "100.127.254.1",
            "198.51.100.1",
            "10.1.0.7-10.1.1.3",
        ],
        (Family::V4, true) => &[
            "203.0.113.9",
            "10.1.0.1",
            "10.1.0.1-10.1.0.9",
            "198.51.100.1-198.51.101.2",
            "198.51.100.2",
            "198.51.100.7-198.51.100.9",
        ],
        (Family::V6, false) => {
            &["2001:c::1", "2001:c::1-2001:c::6", "fd4d:4154:b::1", "2001:c::-2001:d:3::5"]
        }
        (Family::V6, true) => {
            &["2001:c::9", "fd00:a::1", "fd00:a::1-fd00:a::9", "2001:b::1-2001:b:2::1", "2001:b::2"]
        }
    };
    if !ported || random.chance(50) {
        return random.pick(addresses).to_owned();
    }
    let ports = match destination && random.chance(30) {
        true => random.pick(&["2000-2010/80", "1024-1034/1024", "50000-50100/443"]).to_owned(),
        false => ports(random),
    };
    if random.chance(20) {
        return format!(":{ports}");
    }
    let address = random.pick(addresses);
    match family {
        Family::V4 => format!("{address}:{ports}"),
        Family::V6 => format!("[{address}]:{ports}"),
    }
}
