//! What asks for facts that are no part of a packet.

use super::super::random::Random;
use super::{Entry, Place, not, number};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::model::TableName;

pub(super) const MATCHES: &[Entry] = &[
    Entry::new("cluster", cluster),
    Entry::new("devgroup", devgroup),
    Entry::new("owner", owner),
    Entry::new("physdev", physdev),
    Entry::new("policy", policy),
    Entry::new("realm", realm),
    Entry::new("rpfilter", rpfilter),
    Entry::new("socket", socket),
];

fn cluster(random: &mut Random, _: &Place) -> Option<String> {
    let total = random.pick(&[2u32, 3, 7, 31, 32]);
    let nodes = match random.below(2) {
        0 => format!("{} --cluster-local-node {}", not(random), 1 + random.below(total as usize)),
        _ => {
            // iptables takes no mask above 32.
            let mask = 1 + number(random, ((1u64 << total) - 2).min(31));
            format!("{} --cluster-local-nodemask {mask:#x}", not(random))
        }
    };
    Some(format!(" --cluster-total-nodes {total}{nodes} --cluster-hash-seed {:#x}", random.word()))
}

fn devgroup(random: &mut Random, place: &Place) -> Option<String> {
    let group = random.pick(&["0", "0x1", "0/0", "0x0/0xff", "7", "4294967295"]);
    let inward = matches!(place.hook, Hook::Prerouting | Hook::Input | Hook::Forward);
    let outward = matches!(place.hook, Hook::Forward | Hook::Output | Hook::Postrouting);
    let mut text = String::new();
    if inward && (!outward || random.chance(60)) {
        text += &format!("{} --src-group {group}", not(random));
    }
    if outward && (text.is_empty() || random.chance(40)) {
        text += &format!("{} --dst-group {group}", not(random));
    }
    Some(text)
}

fn owner(random: &mut Random, _: &Place) -> Option<String> {
    let ids = ["0", "root", "1000", "0-65534", "0-4294967294", "33"];
    let mut text = String::new();
    if random.chance(40) {
        text += &format!("{} --socket-exists", not(random));
    }
    if random.chance(40) {
        text += &format!("{} --uid-owner {}", not(random), random.pick(&ids));
    }
    if text.is_empty() || random.chance(40) {
        text += &format!("{} --gid-owner {}", not(random), random.pick(&ids));
        text += if random.chance(30) { " --suppl-groups" } else { "" };
    }
    Some(text)
}

fn physdev(random: &mut Random, place: &Place) -> Option<String> {
    let names = ["eth0", "eth1", "eth+", "br-port0"];
    let inward = matches!(place.hook, Hook::Prerouting | Hook::Input | Hook::Forward);
    let not = not(random);
    match random.below(4) {
        0 if inward => Some(format!("{not} --physdev-in {}", random.pick(&names))),
        1 if inward => Some(format!("{not} --physdev-is-in")),
        2 if place.hook == Hook::Forward => Some(format!("{not} --physdev-is-bridged")),
        3 if place.hook == Hook::Forward => {
            let out = random.pick(&["--physdev-out eth1", "--physdev-is-out"]);
            Some(format!("{not} --physdev-is-bridged {out}"))
        }
        _ => None,
    }
}

fn policy(random: &mut Random, place: &Place) -> Option<String> {
    let inward = match place.hook {
        Hook::Prerouting | Hook::Input => true,
        Hook::Forward => random.chance(50),
        Hook::Output | Hook::Postrouting => false,
    };
    let way = if inward { "in" } else { "out" };
    let tunnel = if place.family == Family::V4 { "10.1.0.0/16" } else { "fd00:a::/32" };
    Some(match random.below(5) {
        0 | 1 => format!(" --dir {way} --pol none"),
        3 => format!(
            " --dir {way} --pol ipsec --strict{} --spi {:#x} --proto ah --next{} --proto esp --mode tunnel{} --tunnel-dst {tunnel}",
            not(random),
            random.word(),
            not(random),
            not(random)
        ),
        2 => format!(" --dir {way} --pol ipsec"),
        _ => format!(
            " --dir {way} --pol ipsec --strict{} --reqid {} --proto esp --mode tunnel{} --tunnel-src {tunnel}",
            not(random),
            random.below(3),
            not(random)
        ),
    })
}

fn realm(random: &mut Random, _: &Place) -> Option<String> {
    let realms = ["0", "0x1", "0/0", "0x0/0xff", "4294967295", "0/0xffff0000"];
    Some(format!("{} --realm {}", not(random), random.pick(&realms)))
}

fn rpfilter(random: &mut Random, place: &Place) -> Option<String> {
    if place.hook != Hook::Prerouting || !matches!(place.table, TableName::Raw | TableName::Mangle)
    {
        return None;
    }
    let mut text = String::new();
    for option in [" --loose", " --validmark", " --accept-local", " --invert"] {
        text += if random.chance(35) { option } else { "" };
    }
    Some(text)
}

fn socket(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    for option in [" --transparent", " --nowildcard", " --restore-skmark"] {
        text += if random.chance(35) { option } else { "" };
    }
    Some(text)
}
