//! What matches print that are no protocol's.

use super::{Phrase, Reads, Words, bang, inverted, push, quote, value};
use crate::syntax::iptables_list::ListedRule;
use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt::Write;

pub(super) const PHRASES: &[Phrase] = &[
    ("ctstate", Reads::Value("conntrack", "--ctstate")),
    ("ctproto", Reads::Value("conntrack", "--ctproto")),
    ("ctorigsrc", Reads::With(|row, words, not| ct_address(row, words, not, "--ctorigsrc"))),
    ("ctorigdst", Reads::With(|row, words, not| ct_address(row, words, not, "--ctorigdst"))),
    ("ctreplsrc", Reads::With(|row, words, not| ct_address(row, words, not, "--ctreplsrc"))),
    ("ctrepldst", Reads::With(|row, words, not| ct_address(row, words, not, "--ctrepldst"))),
    ("ctorigsrcport", Reads::Value("conntrack", "--ctorigsrcport")),
    ("ctorigdstport", Reads::Value("conntrack", "--ctorigdstport")),
    ("ctreplsrcport", Reads::Value("conntrack", "--ctreplsrcport")),
    ("ctrepldstport", Reads::Value("conntrack", "--ctrepldstport")),
    ("ctstatus", Reads::Value("conntrack", "--ctstatus")),
    ("ctexpire", Reads::Value("conntrack", "--ctexpire")),
    ("ctdir", Reads::Value("conntrack", "--ctdir")),
    ("state", Reads::Value("state", "--state")),
    ("limit: avg", Reads::With(limit)),
    ("limit: up to", Reads::With(|row, words, _| hashlimit(row, words, "--hashlimit-upto"))),
    ("limit: above", Reads::With(|row, words, _| hashlimit(row, words, "--hashlimit-above"))),
    ("match bpf", Reads::With(bpf)),
    ("/*", Reads::With(comment)),
    ("mark match", Reads::Value("mark", "--mark")),
    ("MARK match", Reads::Value("mark", "--mark")),
    ("connmark match", Reads::Value("connmark", "--mark")),
    ("CONNMARK match", Reads::Value("connmark", "--mark")),
    ("helper match", Reads::With(helper)),
    ("ADDRTYPE match", Reads::With(address_type)),
    ("PKTTYPE =", Reads::Value("pkttype", "--pkt-type")),
    ("PKTTYPE !=", Reads::With(|row, words, _| value(row, words, true, "pkttype", "--pkt-type"))),
    ("length", Reads::Value("length", "--length")),
    ("#conn", Reads::With(connlimit)),
    ("connbytes", Reads::With(connbytes)),
    ("connlabel", Reads::With(connlabel)),
    ("MAC", Reads::Value("mac", "--mac-source")),
    ("source IP range", Reads::Value("iprange", "--src-range")),
    ("destination IP range", Reads::Value("iprange", "--dst-range")),
    ("owner socket exists", Reads::With(|row, _, not| flag(row, not, "owner", "--socket-exists"))),
    ("owner UID match", Reads::Value("owner", "--uid-owner")),
    ("owner GID match", Reads::Value("owner", "--gid-owner")),
    ("incl. suppl. groups", Reads::With(|row, _, not| flag(row, not, "owner", "--suppl-groups"))),
    ("ipvs", Reads::With(|row, _, not| flag(row, not, "ipvs", "--ipvs"))),
    ("vproto", Reads::Value("ipvs", "--vproto")),
    ("vaddr", Reads::Value("ipvs", "--vaddr")),
    ("vport", Reads::Value("ipvs", "--vport")),
    ("vdir", Reads::Value("ipvs", "--vdir")),
    ("vmethod", Reads::Value("ipvs", "--vmethod")),
    ("vportctl", Reads::Value("ipvs", "--vportctl")),
    ("match-set", Reads::With(set)),
    ("src-group", Reads::Value("devgroup", "--src-group")),
    ("dst-group", Reads::Value("devgroup", "--dst-group")),
    ("realm", Reads::Value("realm", "--realm")),
    ("cgroup", Reads::With(cgroup)),
    ("cpu", Reads::Value("cpu", "--cpu")),
    ("rpfilter", Reads::With(|row, words, _| flags(row, words, "rpfilter", RPFILTER))),
    ("socket", Reads::With(|row, words, _| dashed(row, words, "socket"))),
    ("PHYSDEV match", Reads::With(|row, words, _| dashed(row, words, "physdev"))),
    ("policy match", Reads::With(policy)),
    ("recent:", Reads::With(recent)),
    ("STRING match", Reads::With(string)),
    ("u32", Reads::With(u32_test)),
    ("statistic mode", Reads::With(statistic)),
    ("TIME", Reads::With(time)),
    ("quota:", Reads::With(quota)),
    ("nfacct-name", Reads::With(nfacct)),
    (
        "[goto]",
        Reads::With(|row, _, _| {
            row.goto = true;
            Some(())
        }),
    ),
];

/// An address of a connection; `anywhere` where names were wanted.
fn ct_address(row: &mut ListedRule, words: &mut Words<'_>, not: bool, option: &str) -> Option<()> {
    let (not, value) = words.value(not)?;
    let value = match value {
        "anywhere" => "0.0.0.0/0",
        "localhost" => "127.0.0.1",
        value => value,
    };
    push(row, "conntrack", &format!("{not}{option} {value}"));
    Some(())
}

/// `limit: avg 3/min burst 5`.
fn limit(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let average = words.next()?.to_string();
    let burst = if words.take("burst") { words.next().unwrap_or("5") } else { "5" };
    push(row, "limit", &format!("--limit {average} --limit-burst {burst}"));
    Some(())
}

/// `limit: up to 40/sec burst 20 mode srcip htable-expire 2000 srcmask 24`. The name of its table is
/// nowhere in a listing: the rule is refused for the want of it.
fn hashlimit(row: &mut ListedRule, words: &mut Words<'_>, option: &str) -> Option<()> {
    const VALUED: [&str; 9] = [
        "burst",
        "htable-size",
        "htable-max",
        "htable-gcinterval",
        "htable-expire",
        "srcmask",
        "dstmask",
        "rate-interval",
        "mode",
    ];
    let mut options = format!("{option} {}", words.next()?);
    loop {
        if words.take("rate-match") {
            options.push_str(" --hashlimit-rate-match");
        } else if let Some(name) = VALUED.into_iter().find(|name| words.take(name)) {
            let value = words.next()?.replace('-', ",");
            let _ = write!(options, " --hashlimit-{name} {value}");
        } else {
            break;
        }
    }
    push(row, "hashlimit", &options);
    Some(())
}

/// `match bpf 48 0 0 9,6 0 0 1`: instructions, whose number stands before them in a rule.
fn bpf(row: &mut ListedRule, words: &mut Words<'_>, _: bool) -> Option<()> {
    let rest = words.rest.trim_start();
    let digits = |c: char| c.is_ascii_digit() || matches!(c, ' ' | ',');
    let end = rest.find(|c| !digits(c)).unwrap_or(rest.len());
    let (code, after) = rest.split_at_checked(end)?;
    words.rest = after.trim_start_matches('\0');
    let code = code.trim_end_matches([' ', ',']);
    let count = code.split(',').count();
    push(row, "bpf", &format!("--bytecode {}", quote(&format!("{count},{code}"))));
    Some(())
}

/// `#conn src/32 > 3`, `#conn dst/24 <= 2`, and without `src` as older versions print it.
fn connlimit(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let grouped = words.next()?;
    let (side, mask) = grouped.split_once('/')?;
    let side = match side {
        "" | "src" => "--connlimit-saddr",
        "dst" => "--connlimit-daddr",
        _ => return None,
    };
    let limit = match words.next()? {
        ">" => "--connlimit-above",
        "<=" => "--connlimit-upto",
        _ => return None,
    };
    let number = words.next()?;
    push(row, "connlimit", &format!("{limit} {number} --connlimit-mask {mask} {side}"));
    Some(())
}

/// `connbytes 1000:2000 connbytes mode bytes connbytes direction both`.
fn connbytes(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let range = words.next()?;
    if !words.take("connbytes mode") {
        return None;
    }
    let mode = words.next()?;
    if !words.take("connbytes direction") {
        return None;
    }
    let direction = words.next()?;
    let options =
        format!("--connbytes {range} --connbytes-mode {mode} --connbytes-dir {direction}");
    push(row, "connbytes", &format!("{}{options}", bang(not)));
    Some(())
}

/// `connlabel 5`, `connlabel ! 5 set`, `connlabel "name"`.
fn connlabel(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let not = bang(words.take("!") || not);
    let label = words.quoted()?;
    let set = if words.take("set") { " --set" } else { "" };
    push(row, "connlabel", &format!("{not}--label {label}{set}"));
    Some(())
}

/// `/* text */`: it ends where its end stands before a blank, and has one blank at each side.
fn comment(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let rest = words.rest;
    let ends = |after: &str| after.is_empty() || after.starts_with(char::is_whitespace);
    let mut marks = rest.match_indices("*/").map(|(at, _)| at);
    let end = marks.find(|at| rest.get(at + 2..).is_some_and(ends))?;
    let text = rest.get(..end)?;
    words.rest = rest.get(end + 2..)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    let text = text.strip_suffix(' ').unwrap_or(text);
    push(row, "comment", &format!("--comment {}", quote(text)));
    (!not).then_some(())
}

fn helper(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let not = bang(words.take("!") || not);
    let name = words.quoted()?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let name = if plain { name.to_string() } else { quote(name) };
    push(row, "helper", &format!("{not}--helper {name}"));
    Some(())
}

fn address_type(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let mut options = String::new();
    loop {
        if words.take("limit-in") {
            options.push_str(" --limit-iface-in");
            continue;
        }
        if words.take("limit-out") {
            options.push_str(" --limit-iface-out");
            continue;
        }
        let Some(side) = ["src-type", "dst-type"].into_iter().find(|side| words.take(side)) else {
            break;
        };
        let (not, types) = words.value(false)?;
        let _ = write!(options, " {not}--{side} {types}");
    }
    push(row, "addrtype", options.trim_start());
    Some(())
}

fn flag(row: &mut ListedRule, not: bool, name: &str, option: &str) -> Option<()> {
    push(row, name, &format!("{}{option}", bang(not)));
    Some(())
}

/// `match-set NAME src,dst return-nomatch packets-gt 5`: what follows the directions stands there as
/// in a rule, but for the dashes.
fn set(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let name = words.next()?.to_string();
    let mut options = format!("{}--match-set {name} {}", bang(not), words.next()?);
    loop {
        let before = words.rest;
        let not = bang(words.take("!"));
        let flags = ["return-nomatch", "update-counters", "update-subcounters"];
        let sizes = ["packets", "bytes"]
            .into_iter()
            .flat_map(|of| ["-eq", "-lt", "-gt"].into_iter().map(move |end| (of, end)));
        if let Some(flag) = flags.into_iter().find(|flag| words.take(flag)) {
            let _ = write!(options, " {not}--{flag}");
        } else if let Some((of, end)) = sizes
            .into_iter()
            .find(|(of, end)| words.peek().and_then(|word| word.strip_prefix(*of)) == Some(*end))
        {
            words.next();
            let _ = write!(options, " {not}--{of}{end} {}", words.next()?);
        } else {
            words.rest = before;
            break;
        }
    }
    row.matches.push(format!("-m set {options}"));
    Some(())
}

/// `cgroup 5` is a class, all else a path.
fn cgroup(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let (not, value) = words.value(not)?;
    let option = if value.parse::<u32>().is_ok() { "--cgroup" } else { "--path" };
    push(row, "cgroup", &format!("{not}{option} {value}"));
    Some(())
}

const RPFILTER: &[(&str, &str)] = &[
    ("loose", "--loose"),
    ("validmark", "--validmark"),
    ("accept-local", "--accept-local"),
    ("invert", "--invert"),
];

/// Words that are options without values.
fn flags(
    row: &mut ListedRule,
    words: &mut Words<'_>,
    name: &str,
    of: &[(&str, &str)],
) -> Option<()> {
    let mut options = String::new();
    while let Some((_, option)) = of.iter().find(|(word, _)| words.take(word)) {
        let _ = write!(options, " {option}");
    }
    push(row, name, options.trim_start());
    Some(())
}

/// What is printed as it stands in a rule, dashes and all.
fn dashed(row: &mut ListedRule, words: &mut Words<'_>, name: &str) -> Option<()> {
    let mut options = String::new();
    loop {
        let before = words.rest;
        let not = bang(words.take("!"));
        let Some(option) = words.peek().filter(|word| word.starts_with("--")) else {
            words.rest = before;
            break;
        };
        words.next();
        let _ = write!(options, " {not}{option}");
        if matches!(option, "--physdev-in" | "--physdev-out") {
            let _ = write!(options, " {}", words.next()?);
        }
    }
    push(row, name, options.trim_start());
    Some(())
}

/// `policy match dir in pol ipsec strict [0] reqid 1 spi 0x1 proto esp mode tunnel tunnel-dst 1.2.3.4`.
fn policy(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    const VALUED: [&str; 6] = ["reqid", "spi", "proto", "mode", "tunnel-dst", "tunnel-src"];
    let mut options = String::new();
    if words.take("dir") {
        let _ = write!(options, " --dir {}", words.next()?);
    }
    if words.take("pol") {
        let _ = write!(options, " --pol {}", words.next()?);
    }
    if words.take("strict") {
        options.push_str(" --strict");
    }
    loop {
        let before = words.rest;
        if let Some(number) = words.peek().and_then(|word| word.strip_prefix('[')) {
            words.next();
            options.push_str(if number.starts_with('0') { "" } else { " --next" });
            continue;
        }
        let not = bang(words.take("!"));
        let Some(name) = VALUED.into_iter().find(|name| words.take(name)) else {
            words.rest = before;
            break;
        };
        let _ = write!(options, " {not}--{name} {}", words.next()?);
    }
    push(row, "policy", options.trim_start());
    Some(())
}

/// `recent: UPDATE seconds: 60 hit_count: 4 TTL-Match name: SSH side: source mask: 255.255.255.255`.
fn recent(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let verb = match words.next()? {
        "SET" => "--set",
        "CHECK" => "--rcheck",
        "UPDATE" => "--update",
        "REMOVE" => "--remove",
        _ => return None,
    };
    let mut options = format!("{}{verb}", bang(not));
    loop {
        if words.take("seconds:") {
            let _ = write!(options, " --seconds {}", words.next()?);
        } else if words.take("reap") {
            options.push_str(" --reap");
        } else if words.take("hit_count:") {
            let _ = write!(options, " --hitcount {}", words.next()?);
        } else if words.take("TTL-Match") {
            options.push_str(" --rttl");
        } else if words.take("name:") {
            let _ = write!(options, " --name {}", words.next()?);
        } else if words.take("side:") {
            options.push_str(if words.next()? == "dest" { " --rdest" } else { " --rsource" });
        } else if words.take("mask:") {
            let _ = write!(options, " --mask {}", words.next()?);
        } else {
            break;
        }
    }
    push(row, "recent", &options);
    Some(())
}

/// `STRING match  !"text" ALGO name bm FROM 5 TO 9 ICASE`; bytes stand as `"|0d0a|"`.
fn string(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let not = bang(words.take_start("!") || not);
    let rest = words.rest.trim_start();
    let inner = rest.strip_prefix('"')?;
    let end = inner.find("\" ALGO name ")?;
    let text = inner.get(..end)?;
    words.rest = inner.get(end + 1..)?;
    let option = match text.strip_prefix('|').and_then(|text| text.strip_suffix('|')) {
        Some(_) => "--hex-string",
        None => "--string",
    };
    let mut options = format!("{not}{option} {}", quote(text));
    if words.take("ALGO name") {
        let _ = write!(options, " --algo {}", words.next()?);
    }
    if words.take("FROM") {
        let _ = write!(options, " --from {}", words.next()?);
    }
    if words.take("TO") {
        let _ = write!(options, " --to {}", words.next()?);
    }
    if words.take("ICASE") {
        options.push_str(" --icase");
    }
    push(row, "string", &options);
    Some(())
}

/// `u32 ! "0x0=0x1"`.
fn u32_test(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let not = bang(words.take("!") || not);
    let test = words.quoted()?;
    push(row, "u32", &format!("{not}--u32 {}", quote(test)));
    Some(())
}

/// `statistic mode random probability 0.50000000000`, `statistic mode nth every 3 packet 1`.
fn statistic(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let mode = words.next()?;
    let before = words.rest;
    let not = bang(words.take("!"));
    let options = if mode == "random" && words.take("probability") {
        format!("--mode random {not}--probability {}", words.next()?)
    } else if mode == "nth" && words.take("every") {
        let every = words.next()?;
        let packet = if words.take("packet") { words.next()? } else { "0" };
        format!("--mode nth {not}--every {every} --packet {packet}")
    } else {
        words.rest = before;
        return None;
    };
    push(row, "statistic", &options);
    Some(())
}

/// `TIME from 08:00:00 to 17:00:00 on Mon,Tue on 1st,15th starting from DATE until date DATE UTC`.
fn time(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let mut options = String::new();
    let mut utc = false;
    loop {
        if words.take("starting from") {
            let _ = write!(options, " --datestart {}", date(words)?);
        } else if words.take("until date") {
            let _ = write!(options, " --datestop {}", date(words)?);
        } else if words.take("from") {
            let _ = write!(options, " --timestart {}", words.next()?);
        } else if words.take("to") {
            let _ = write!(options, " --timestop {}", words.next()?);
        } else if words.take("on") || words.take("all days except") {
            let (not, days) = words.value(false)?;
            let month = days.trim_start_matches(|c: char| c.is_ascii_alphabetic()) == days;
            let option = if month { "monthdays" } else { "weekdays" };
            let days = if month { month_days(days) } else { days.to_string() };
            let _ = write!(options, " {not}--{option} {days}");
        } else if words.take("contiguous") {
            options.push_str(" --contiguous");
        } else if words.take("UTC") {
            utc = true;
        } else {
            break;
        }
    }
    options.push_str(if utc { "" } else { " --kerneltz" });
    push(row, "time", options.trim_start());
    Some(())
}

/// `2009-01-01 08:00:00` as a rule has it: `2009-01-01T08:00:00`.
fn date(words: &mut Words<'_>) -> Option<String> {
    let day = words.next()?;
    if day.contains('T') {
        return Some(day.to_string());
    }
    Some(format!("{day}T{}", words.next()?))
}

/// `1st,15th`, `1,15`.
fn month_days(days: &str) -> String {
    days.replace(|c: char| c.is_ascii_alphabetic(), "")
}

fn quota(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let (not, bytes) = words.value(not)?;
    push(row, "quota", &format!("{not}--quota {bytes}"));
    words.take("bytes").then_some(())
}

fn nfacct(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let (_, name) = inverted(words.next()?);
    push(row, "nfacct", &format!("--nfacct-name {name}"));
    Some(())
}
