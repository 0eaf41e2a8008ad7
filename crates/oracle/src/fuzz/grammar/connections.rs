//! What asks tracking: states, tuples, marks, labels, counts.

use super::super::draft::Draft;
use super::super::random::Random;
use super::{Entry, Place, behind, near, not, number, range};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::model::TableName;

pub(super) const MATCHES: &[Entry] = &[
    Entry::new("connbytes", connbytes),
    Entry::new("connlabel", connlabel),
    Entry::new("connlimit", connlimit),
    Entry::new("connmark", connmark),
    Entry::new("conntrack", conntrack).aimed(aim_conntrack),
    Entry::new("helper", helper),
    Entry::new("mark", mark),
    Entry::new("state", state),
];

/// A mark that others set, and a mask.
pub(super) fn masked(random: &mut Random) -> String {
    let mark = if random.chance(70) { random.below(4) as u64 } else { number(random, 0xffff_ffff) };
    match random.below(3) {
        0 => format!("{mark:#x}"),
        1 => format!("{mark}/{}", random.pick(&[3u32, 0xff, 0, u32::MAX, 1])),
        _ => format!("{mark:#x}/{:#x}", number(random, 0xffff_ffff)),
    }
}

fn mark(random: &mut Random, _: &Place) -> Option<String> {
    Some(format!("{} --mark {}", not(random), masked(random)))
}

fn connmark(random: &mut Random, _: &Place) -> Option<String> {
    Some(format!("{} --mark {}", not(random), masked(random)))
}

fn connlabel(random: &mut Random, _: &Place) -> Option<String> {
    let set = if random.chance(50) { " --set" } else { "" };
    Some(format!("{} --label {}{set}", not(random), random.pick(&[0, 1, 7, 64, 126, 127])))
}

fn helper(random: &mut Random, _: &Place) -> Option<String> {
    let names = ["ftp", "tftp", "sip", "irc", "pptp", "\"\"", "none"];
    Some(format!("{} --helper {}", not(random), random.pick(&names)))
}

fn state(random: &mut Random, _: &Place) -> Option<String> {
    let all = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"];
    let some: Vec<_> = (0..=random.below(3)).map(|_| random.pick(&all)).collect();
    Some(format!("{} --state {}", not(random), some.join(",")))
}

fn conntrack(random: &mut Random, place: &Place) -> Option<String> {
    let networks: &[&str] = match place.family {
        Family::V4 => {
            &["10.1.0.1", "10.1.0.0/16", "198.51.100.2/31", "0.0.0.0/0", "10.1.0.1/255.0.0.255"]
        }
        Family::V6 => &["fd00:a::1", "fd00:a::/32", "2001:b::2/127", "::/0"],
    };
    let mut text = String::new();
    for _ in 0..=random.below(2) {
        let not = not(random);
        let (name, value) = match random.below(8) {
            0..2 => {
                let all = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT"];
                let some: Vec<_> = (0..=random.below(3)).map(|_| random.pick(&all)).collect();
                ("ctstate", some.join(","))
            }
            2 => {
                let all = ["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"];
                let some: Vec<_> = (0..=random.below(2)).map(|_| random.pick(&all)).collect();
                ("ctstatus", some.join(","))
            }
            3 => ("ctproto", random.pick(&["6", "udp", "1", "58", "sctp", "255"]).to_owned()),
            4 => {
                let name = random.pick(&["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"]);
                (name, random.pick(networks).to_owned())
            }
            5 => {
                let names = ["ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"];
                let usual = [0, 21, 53, 80, 443, 1024, 1025, 1026, 65_535];
                (random.pick(&names), range(random, &usual, 65_535, ":"))
            }
            6 => {
                if !text.contains("--ctdir") {
                    text += &format!(" --ctdir {}", random.pick(&["ORIGINAL", "REPLY"]));
                }
                continue;
            }
            // Far from where a timeout starts: the clocks of the two differ by milliseconds. Of a
            // connection that is not confirmed the kernel's answer depends on its uptime.
            _ if place.table != TableName::Raw && text.is_empty() => {
                let wanted = random.pick(&["15:110", "20:200", "280:500000"]);
                return Some(format!(" --ctstatus CONFIRMED{not} --ctexpire {wanted}"));
            }
            _ => ("ctstate", "NEW".to_owned()),
        };
        if !text.contains(&format!("--{name} ")) {
            text += &format!("{not} --{name} {value}");
        }
    }
    if text.is_empty() { None } else { Some(text) }
}

fn aim_conntrack(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    for (end, names) in
        [["--ctorigsrcport", "--ctrepldstport"], ["--ctorigdstport", "--ctreplsrcport"]]
            .iter()
            .enumerate()
    {
        if let Some(port) = behind(words, names).and_then(|text| near(random, text)) {
            super::super::aim::set_port(draft, end, port as u16);
        }
    }
}

fn connbytes(random: &mut Random, _: &Place) -> Option<String> {
    let usual = [0, 1, 2, 3, 5, 40, 60, 100, 1000];
    let max = if random.chance(10) { u64::MAX } else { 5000 };
    let mut wanted = range(random, &usual, max, ":");
    if !wanted.contains(':') && random.chance(50) {
        wanted.push(':');
    }
    let way = random.pick(&["original", "reply", "both"]);
    let mode = random.pick(&["packets", "bytes", "avgpkt"]);
    Some(format!(
        "{} --connbytes {wanted} --connbytes-dir {way} --connbytes-mode {mode}",
        not(random)
    ))
}

fn connlimit(random: &mut Random, place: &Place) -> Option<String> {
    // Where a connection is counted before tracking knows it, the kernel's collector decides.
    if place.table == TableName::Raw || place.hook == Hook::Output {
        return None;
    }
    let longest = if place.family == Family::V4 { 32 } else { 128 };
    let mut text = match random.below(2) {
        0 => format!(" --connlimit-upto {}", random.below(4)),
        _ => format!(" --connlimit-above {}", random.below(4)),
    };
    if random.chance(60) {
        text +=
            &format!(" --connlimit-mask {}", random.pick(&[0, 1, 8, 24, 31, longest - 1, longest]));
    }
    text += random.pick(&["", " --connlimit-saddr", " --connlimit-daddr"]);
    Some(text)
}
