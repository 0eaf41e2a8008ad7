//! What remembers packets, tosses coins or reads the clock: drawn so that a clock which differs by
//! milliseconds does not show.

use super::super::aim;
use super::super::random::Random;
use super::{Entry, Place, not, number};
use keepstate_packet::Family;

pub(super) const MATCHES: &[Entry] = &[
    Entry::new("hashlimit", hashlimit),
    Entry::new("limit", limit),
    Entry::new("quota", quota),
    Entry::new("recent", recent).aimed(|random, draft, _| aim::few_addresses(random, draft)),
    Entry::new("statistic", statistic),
    Entry::new("time", time),
];

/// Rates so low that no credit comes back but in a pause, which is one and a half seconds.
const RATES: [&str; 4] = ["2/d", "1/hour", "1/second", "1/second"];

fn limit(random: &mut Random, _: &Place) -> Option<String> {
    let rate = random.pick(&RATES);
    Some(match random.below(3) {
        0 => format!(" --limit {rate}"),
        _ => format!(" --limit {rate} --limit-burst {}", random.pick(&[1, 2, 3, 10, 50, 10_000])),
    })
}

fn hashlimit(random: &mut Random, place: &Place) -> Option<String> {
    let modes: &[&str] = &[
        "srcip",
        "dstip",
        "srcip,dstip",
        "srcport",
        "dstport",
        "srcip,srcport,dstip,dstport",
        "dstip,dstport",
    ];
    let longest = if place.family == Family::V4 { 32 } else { 128 };
    let which = random.pick(&["upto", "above"]);
    let rate = random.pick(&RATES);
    // Rules that share a name share a table: what makes a table has to be the same for them.
    let number = random.below(10_000);
    let mode = random.pick(modes);
    let mut text = format!(" --hashlimit-{which} {rate}");
    if random.chance(70) {
        text += &format!(" --hashlimit-burst {}", random.pick(&[1, 2, 5, 30, 1000]));
    }
    if random.chance(90) {
        text += &format!(" --hashlimit-mode {mode}");
        for (option, ip) in [("srcmask", "srcip"), ("dstmask", "dstip")] {
            if mode.contains(ip) && random.chance(30) {
                let mask = random.pick(&[0, 1, 16, 31, longest - 1, longest]);
                text += &format!(" --hashlimit-{option} {mask}");
            }
        }
    }
    text += &format!(" --hashlimit-name h{number}");
    // Else what was idle for a second is forgotten by whenever the kernel's collector comes.
    if rate.ends_with("second") || random.chance(30) {
        text += " --hashlimit-htable-expire 4000000";
    }
    if random.chance(20) {
        text += &format!(" --hashlimit-htable-size {}", random.pick(&[1, 16, 1000]));
    }
    if random.chance(20) {
        text += &format!(" --hashlimit-htable-max {}", random.pick(&[1, 3, 1000]));
    }
    if random.chance(20) {
        text += " --hashlimit-htable-gcinterval 4000000";
    }
    Some(text)
}

fn recent(random: &mut Random, place: &Place) -> Option<String> {
    let mut text = String::new();
    let what = random.pick(&["--set", "--set", "--rcheck", "--update", "--remove"]);
    text += &format!("{} {what}", not(random));
    let asks = matches!(what, "--rcheck" | "--update");
    if asks && random.chance(40) {
        text += &format!(" --seconds {}", random.pick(&[1, 2, 3600, 4_000_000]));
        text += if random.chance(30) { " --reap" } else { "" };
    }
    if asks && random.chance(40) {
        text += &format!(" --hitcount {}", random.pick(&[1, 2, 3, 10]));
    }
    if asks && random.chance(30) {
        text += " --rttl";
    }
    text += &format!(" --name {}", random.pick(&["one", "two", "three"]));
    let mask = match place.family {
        Family::V4 => random.pick(&["255.255.255.255", "255.255.255.0", "0.0.0.0", "255.0.0.255"]),
        Family::V6 => {
            random.pick(&["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff::", "::"])
        }
    };
    if random.chance(50) {
        text += &format!(" --mask {mask}");
    }
    text += random.pick(&["", " --rsource", " --rdest"]);
    Some(text)
}

fn statistic(random: &mut Random, _: &Place) -> Option<String> {
    if random.chance(30) {
        return Some(format!(" --mode random{} --probability {}", not(random), random.below(2)));
    }
    let every = random.pick(&[1, 2, 3, 7, 100, 65_536]);
    // iptables 1.8.9 wants both.
    let packet = random.pick(&[0, every / 2, every - 1]);
    Some(format!(" --mode nth{} --every {every} --packet {packet}", not(random)))
}

fn quota(random: &mut Random, _: &Place) -> Option<String> {
    let bytes = match random.below(3) {
        0 => random.pick(&[0, 1, 40, 60, 1000]),
        1 => number(random, 100_000),
        _ => number(random, u64::MAX),
    };
    Some(format!("{} --quota {bytes}", not(random)))
}

fn time(random: &mut Random, _: &Place) -> Option<String> {
    let mut text = String::new();
    if random.chance(40) {
        text += &format!(
            " --datestart {}",
            random.pick(&["1970-01-01", "2020-02-29T12:30:15", "2037-01-01"])
        );
    }
    if random.chance(40) {
        text += &format!(
            " --datestop {}",
            random.pick(&["2038-01-19T03:14:07", "2037-12-31", "2000-01-01"])
        );
    }
    let minute = |random: &mut Random| format!("{:02}:{:02}", random.below(24), random.below(60));
    if random.chance(50) {
        let (start, stop) = (minute(random), minute(random));
        let contiguous = start > stop && random.chance(30);
        text += &format!(" --timestart {start} --timestop {stop}");
        text += if contiguous { " --contiguous" } else { "" };
    }
    if random.chance(40) {
        let days = ["Mon,Tue,Wed", "Sun", "1,2,3,4,5", "6,7", "Fr,Sa,Su", "Mon"];
        text += &format!("{} --weekdays {}", not(random), random.pick(&days));
    }
    if random.chance(30) {
        text += &format!(
            "{} --monthdays {}",
            not(random),
            random.pick(&["1", "29,30,31", "1,2,3,28", "15"])
        );
    }
    if text.is_empty() {
        text += " --timestart 00:00:00 --timestop 23:59:59";
    }
    text += random.pick(&["", "", "", " --kerneltz", " --utc", " --localtz"]);
    Some(text)
}
