//! The targets.

use super::super::aim;
use super::super::random::Random;
use super::beside;
use super::connections::masked;
use super::headers::{self, CLASSES, SERVICES};
use super::{Entry, Place, number, ports};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::model::TableName;

pub(super) const TARGETS: &[Entry] = &[
    Entry::new("AUDIT", |random, _| {
        Some(format!(" --type {}", random.pick(&["accept", "drop", "reject"])))
    }),
    Entry::new("CHECKSUM", |_, _| Some(" --checksum-fill".to_owned())),
    Entry::new("CLASSIFY", classify),
    Entry::new("CONNMARK", connmark),
    Entry::new("CT", ct),
    Entry::new("DNPT", prefix).aimed(|random, draft, _| aim::few_addresses(random, draft)),
    Entry::new("DSCP", dscp),
    Entry::new("ECN", ecn)
        .of(&["tcp"])
        .aimed(|random, draft, _| aim::xor_tcp_flags(draft, random.pick(&[0x40, 0x80, 0xc0]))),
    Entry::new("HL", |random, _| hops(random, "hl")).aimed(headers::aim_hops),
    Entry::new("HMARK", hmark),
    Entry::new("IDLETIMER", idletimer),
    Entry::new("LOG", log),
    Entry::new("MARK", mark),
    Entry::new("NFLOG", nflog),
    Entry::new("NOTRACK", |random, _| random.chance(40).then(String::new)),
    Entry::new("RATEEST", beside::rateest),
    Entry::new("REJECT", reject),
    Entry::new("SNPT", prefix).aimed(|random, draft, _| aim::few_addresses(random, draft)),
    // What comes to the router itself would have the router's own TCP answer as well.
    Entry::new("SYNPROXY", |random, place| (place.hook == Hook::Forward).then(|| synproxy(random)))
        .of(&["tcp"])
        .aimed(|random, draft, _| aim::tcp_options(random, draft)),
    Entry::new("TCPMSS", tcpmss).of(&["tcp"]).aimed(ports::aim_clamp),
    Entry::new("TCPOPTSTRIP", tcpoptstrip)
        .of(&["tcp"])
        .aimed(|random, draft, _| aim::tcp_options(random, draft)),
    Entry::new("TOS", tos),
    Entry::new("TPROXY", tproxy).of(&["tcp", "udp"]),
    Entry::new("TTL", |random, _| hops(random, "ttl")).aimed(headers::aim_hops),
];

fn hops(random: &mut Random, name: &str) -> Option<String> {
    let amount = random.pick(&[1, 2, 63, 64, 128, 254, 255]);
    Some(match random.below(3) {
        0 => format!(" --{name}-set {}", random.pick(&[0, 1, 64, 255])),
        1 => format!(" --{name}-inc {amount}"),
        _ => format!(" --{name}-dec {amount}"),
    })
}

fn ecn(random: &mut Random, _: &Place) -> Option<String> {
    Some(match random.below(4) {
        0 => format!(" --ecn-tcp-cwr {} --ecn-tcp-ece {}", random.below(2), random.below(2)),
        1 => format!(" --ecn-ip-ect {}", random.below(4)),
        _ => " --ecn-tcp-remove".to_owned(),
    })
}

fn classify(random: &mut Random, _: &Place) -> Option<String> {
    Some(format!(" --set-class {:x}:{:x}", number(random, 0xffff), number(random, 0xffff)))
}

fn mark(random: &mut Random, _: &Place) -> Option<String> {
    Some(match random.below(6) {
        0 => format!(" --set-mark {}", masked(random)),
        1 => format!(" --and-mark {:#x}", number(random, 0xffff_ffff)),
        2 => format!(" --or-mark {}", random.below(4)),
        3 => format!(" --xor-mark {:#x}", number(random, 0xffff_ffff)),
        _ => format!(" --set-xmark {}", masked(random)),
    })
}

fn connmark(random: &mut Random, place: &Place) -> Option<String> {
    // Behind CT it would mark the kernel's template for all packets to come.
    if place.table == TableName::Raw {
        return None;
    }
    let masks = |random: &mut Random| {
        let (ct, nf) = (number(random, 0xffff_ffff), number(random, 0xffff_ffff));
        match random.below(4) {
            0 => format!(" --nfmask {nf:#x} --ctmask {ct:#x}"),
            1 => format!(" --ctmask {ct:#x}"),
            2 => format!(" --mask {ct:#x}"),
            _ => String::new(),
        }
    };
    let shift = match random.below(10) {
        0 => format!(" --left-shift-mark {}", random.pick(&[1, 8, 31])),
        1 => format!(" --right-shift-mark {}", random.pick(&[1, 8, 31])),
        _ => String::new(),
    };
    Some(match random.below(8) {
        0 => format!(" --set-mark {}", masked(random)),
        1 => format!(" --set-xmark {}{shift}", masked(random)),
        2 => format!(" --and-mark {:#x}", number(random, 0xffff_ffff)),
        3 => format!(" --or-mark {}", random.below(4)),
        4 => format!(" --xor-mark {:#x}", number(random, 0xffff_ffff)),
        5 | 6 => format!(" --save-mark{}{shift}", masks(random)),
        _ => format!(" --restore-mark{}{shift}", masks(random)),
    })
}

fn ct(random: &mut Random, place: &Place) -> Option<String> {
    // Answers of the router itself are tracked before a rule of OUTPUT could say anything of it.
    if place.hook != Hook::Prerouting || random.chance(60) {
        return None;
    }
    Some(match random.below(5) {
        0 => " --notrack".to_owned(),
        3 => " --expevents new".to_owned(),
        4 => {
            let way = random.pick(&["orig", "reply"]);
            format!(" --zone-{way} {}", random.pick(&["1", "2", "65535", "mark"]))
        }
        1 => format!(" --ctevents {}", random.pick(&["new,destroy", "assured", "mark,helper,new"])),
        _ => format!(" --zone {}", random.pick(&["1", "2", "65535", "mark"])),
    })
}

fn dscp(random: &mut Random, _: &Place) -> Option<String> {
    Some(match random.below(3) {
        0 => format!(" --set-dscp-class {}", random.pick(&CLASSES)),
        1 => format!(" --set-dscp {:#x}", number(random, 63)),
        _ => format!(" --set-dscp {}", number(random, 63)),
    })
}

fn tos(random: &mut Random, _: &Place) -> Option<String> {
    let bits = number(random, 255);
    Some(match random.below(6) {
        0 => format!(" --set-tos {}", random.pick(&SERVICES)),
        1 => format!(" --and-tos {bits:#x}"),
        2 => format!(" --or-tos {bits:#x}"),
        3 => format!(" --xor-tos {bits:#x}"),
        4 => format!(" --set-tos {bits:#x}"),
        _ => format!(" --set-tos {bits:#x}/{:#x}", number(random, 255)),
    })
}

fn hmark(random: &mut Random, place: &Place) -> Option<String> {
    let longest = if place.family == Family::V4 { 32 } else { 128 };
    let mut text = match random.below(2) {
        0 => {
            let parts = [
                "src",
                "dst",
                "src,dst",
                "src,dst,proto",
                "src,dst,sport,dport",
                "ct,src,dst,sport,dport,proto",
                "spi,src,dst",
            ];
            format!(" --hmark-tuple {}", random.pick(&parts))
        }
        _ => {
            let mut text = format!(" --hmark-src-prefix {}", random.pick(&[0, 1, 8, 24, longest]));
            if random.chance(50) {
                text += &format!(" --hmark-dst-prefix {}", random.pick(&[0, 1, 8, 24, longest]));
            }
            if random.chance(20) {
                let option = random.pick(&["spi", "spi-mask"]);
                text += &format!(" --hmark-{option} {:#x}", number(random, 0xffff_ffff));
            } else {
                if random.chance(50) {
                    let option = random.pick(&["sport", "sport-mask"]);
                    text += &format!(" --hmark-{option} {:#x}", number(random, 0xffff));
                }
                if random.chance(30) {
                    let option = random.pick(&["dport", "dport-mask"]);
                    text += &format!(" --hmark-{option} {:#x}", number(random, 0xffff));
                }
            }
            if random.chance(30) {
                text += &format!(" --hmark-proto-mask {:#x}", number(random, 0xff));
            }
            text
        }
    };
    text += &format!(" --hmark-mod {}", 1 + number(random, 0xffff_fffe));
    text += &format!(" --hmark-rnd {:#x}", number(random, 0xffff_ffff));
    if random.chance(50) {
        text += &format!(" --hmark-offset {}", number(random, 0xffff_ffff));
    }
    Some(text)
}

fn idletimer(random: &mut Random, _: &Place) -> Option<String> {
    // A label is the machine's: two that run at once would meet.
    let label = random.word();
    Some(format!(" --timeout {} --label k{label:x}", random.pick(&[100, 4000, 2_147_482])))
}

fn log(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    if random.chance(80) {
        text += &format!(
            " --log-prefix {}",
            random.pick(&[
                "fuzz",
                "\"with blank \"",
                "a",
                "\"IN= \"",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            ])
        );
    }
    if random.chance(40) {
        text +=
            &format!(" --log-level {}", random.pick(&["0", "7", "debug", "warning", "emerg", "4"]));
    }
    for option in [
        " --log-tcp-sequence",
        " --log-tcp-options",
        " --log-ip-options",
        " --log-uid",
        " --log-macdecode",
    ] {
        text += if random.chance(30) { option } else { "" };
    }
    Some(text)
}

fn nflog(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    if random.chance(70) {
        text += &format!(
            " --nflog-prefix {}",
            random.pick(&[
                "fuzz",
                "\"with blank\"",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            ])
        );
    }
    // Groups that nobody listens to: what is logged there is compared by a test of its own.
    text += &format!(" --nflog-group {}", random.pick(&[1, 5, 65_535]));
    if random.chance(40) {
        let option = random.pick(&["size", "size", "range"]);
        text += &format!(" --nflog-{option} {}", random.pick(&[0, 1, 64, 65_535]));
    }
    if random.chance(40) {
        text += &format!(" --nflog-threshold {}", random.pick(&[1, 10, 65_535]));
    }
    Some(text)
}

fn reject(random: &mut Random, place: &Place) -> Option<String> {
    if place.table != TableName::Filter {
        return None;
    }
    let with: &[&str] = match place.family {
        Family::V4 => &[
            "",
            "icmp-port-unreachable",
            "icmp-host-unreachable",
            "icmp-net-unreachable",
            "icmp-proto-unreachable",
            "icmp-net-prohibited",
            "icmp-host-prohibited",
            "icmp-admin-prohibited",
        ],
        Family::V6 => &[
            "",
            "icmp6-port-unreachable",
            "icmp6-no-route",
            "icmp6-adm-prohibited",
            "icmp6-addr-unreachable",
            "icmp6-policy-fail",
            "icmp6-reject-route",
        ],
    };
    Some(match random.pick(with) {
        _ if place.protocol == "tcp" && random.chance(50) => " --reject-with tcp-reset".to_owned(),
        "" => String::new(),
        with => format!(" --reject-with {with}"),
    })
}

/// What a server announces.
pub(in crate::fuzz) fn synproxy(random: &mut Random) -> String {
    let mut text = String::new();
    for option in [" --sack-perm", " --timestamp", " --ecn"] {
        text += if random.chance(60) { option } else { "" };
    }
    if random.chance(60) {
        text += &format!(" --wscale {}", random.pick(&[0, 1, 7, 14, 15, 255]));
    }
    if random.chance(70) {
        text += &format!(" --mss {}", random.pick(&[0, 1, 535, 536, 1300, 1460, 8960, 65_535]));
    }
    text
}

fn prefix(random: &mut Random, _: &Place) -> Option<String> {
    let pairs = [
        ("fd00:a::/64", "fd00:a:0:1::/64"),
        ("fd00:a::/48", "2001:b:1::/48"),
        ("2001:b::/32", "2001:c::/32"),
        ("fd00:a::/63", "2001:b::/60"),
        ("::/0", "fd00:a::/64"),
    ];
    let (from, to) = random.pick(&pairs);
    Some(format!(" --src-pfx {from} --dst-pfx {to}"))
}

fn tcpmss(random: &mut Random, place: &Place) -> Option<String> {
    if random.chance(60) || !matches!(place.hook, Hook::Forward | Hook::Output | Hook::Postrouting)
    {
        return Some(format!(" --set-mss {}", random.pick(&[0, 1, 536, 1459, 1460, 1461, 65_495])));
    }
    Some(" --clamp-mss-to-pmtu".to_owned())
}

fn tcpoptstrip(random: &mut Random, _: &Place) -> Option<String> {
    let all = ["2", "wscale", "sack-permitted", "5", "timestamp", "md5", "253", "254", "6"];
    let mut some: Vec<_> = (0..=random.below(4)).map(|_| random.pick(&all)).collect();
    some.sort_unstable();
    some.dedup();
    Some(format!(" --strip-options {}", some.join(",")))
}

fn tproxy(random: &mut Random, place: &Place) -> Option<String> {
    let ip = if place.family == Family::V4 { "100.127.253.1" } else { "fd4d:4154:a::1" };
    let mut text = format!(" --on-port {}", random.pick(&[0, 1, 80, 65_535]));
    if random.chance(50) {
        text += &format!(" --on-ip {ip}");
    }
    if random.chance(50) {
        text += &format!(" --tproxy-mark {}", masked(random));
    }
    Some(text)
}
