//! The last column of a listing: what each match and target prints of itself, turned into
//! iptables-save words. One table row a phrase.

use super::{ListedRule, services};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Write;

/// The words still to be read.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.split_whitespace().next()
    }

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        self.rest = after;
        (!word.is_empty()).then_some(word)
    }

    /// Takes `phrase` when the text begins with it at a word boundary.
    fn take(&mut self, phrase: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some(after) = rest.strip_prefix(phrase) else { return false };
        let whole = phrase.ends_with([':', ' ', '"', '*'])
            || after.is_empty()
            || after.starts_with(char::is_whitespace);
        if whole {
            self.rest = after;
        }
        whole
    }

    /// A text in quotes, of either kind that listings have used: `"a b"`, `` `a b' ``.
    fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let close = match rest.chars().next()? {
            '"' => '"',
            '`' => '\'',
            _ => return self.next(),
        };
        let inner = rest.get(1..)?;
        let end = inner.find(close)?;
        self.rest = inner.get(end + 1..)?;
        inner.get(..end)
    }

    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (inner, after) = self.rest.split_once(end)?;
        self.rest = after;
        Some(inner)
    }
}

/// How a phrase goes on.
enum Reads {
    /// One word: an option of a match, `(match, option)`.
    Value(&'static str, &'static str),
    /// Nothing: this text, for the target.
    Target(&'static str),
    /// One word, for the target.
    TargetValue(&'static str),
    /// More than that.
    With(fn(&mut ListedRule, &mut Words<'_>, bool) -> Option<()>),
}

const PHRASES: &[(&str, Reads)] = &[
    ("ctstate", Reads::Value("conntrack", "--ctstate")),
    ("ctproto", Reads::Value("conntrack", "--ctproto")),
    ("ctorigsrc", Reads::Value("conntrack", "--ctorigsrc")),
    ("ctorigdst", Reads::Value("conntrack", "--ctorigdst")),
    ("ctreplsrc", Reads::Value("conntrack", "--ctreplsrc")),
    ("ctrepldst", Reads::Value("conntrack", "--ctrepldst")),
    ("ctorigsrcport", Reads::Value("conntrack", "--ctorigsrcport")),
    ("ctorigdstport", Reads::Value("conntrack", "--ctorigdstport")),
    ("ctreplsrcport", Reads::Value("conntrack", "--ctreplsrcport")),
    ("ctrepldstport", Reads::Value("conntrack", "--ctrepldstport")),
    ("ctstatus", Reads::Value("conntrack", "--ctstatus")),
    ("ctexpire", Reads::Value("conntrack", "--ctexpire")),
    ("ctdir", Reads::Value("conntrack", "--ctdir")),
    ("state", Reads::Value("state", "--state")),
    ("tcp", Reads::With(|row, words, _| ports(row, words, "tcp"))),
    ("udp", Reads::With(|row, words, _| ports(row, words, "udp"))),
    ("udplite", Reads::With(|row, words, _| ports(row, words, "udplite"))),
    ("sctp", Reads::With(|row, words, _| ports(row, words, "sctp"))),
    ("icmp type", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp"))),
    ("icmptype", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp"))),
    ("ipv6-icmptype", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp6"))),
    ("ipv6-icmp type", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp6"))),
    ("icmp", Reads::With(|row, words, not| icmp_name(row, words, not, "icmp"))),
    ("ipv6-icmp", Reads::With(|row, words, not| icmp_name(row, words, not, "icmp6"))),
    ("multiport", Reads::With(multiport)),
    ("limit: avg", Reads::With(limit)),
    ("/*", Reads::With(comment)),
    ("mark match", Reads::With(|row, words, not| mark(row, words, not, "mark"))),
    ("MARK match", Reads::With(|row, words, not| mark(row, words, not, "mark"))),
    ("connmark match", Reads::With(|row, words, not| mark(row, words, not, "connmark"))),
    ("CONNMARK match", Reads::With(|row, words, not| mark(row, words, not, "connmark"))),
    ("helper match", Reads::With(helper)),
    ("ADDRTYPE match", Reads::With(address_type)),
    ("PKTTYPE =", Reads::Value("pkttype", "--pkt-type")),
    ("PKTTYPE !=", Reads::With(|row, words, _| value(row, words, true, "pkttype", "--pkt-type"))),
    ("length", Reads::With(|row, words, not| glued(row, words, not, "length", "--length"))),
    ("#conn", Reads::With(connlimit)),
    ("connbytes", Reads::With(connbytes)),
    ("connlabel", Reads::With(connlabel)),
    ("TTL match TTL", Reads::With(|row, words, _| hops(row, words, "ttl"))),
    ("HL match HL", Reads::With(|row, words, _| hops(row, words, "hl"))),
    ("MAC", Reads::With(mac)),
    (
        "source IP range",
        Reads::With(|row, words, not| glued(row, words, not, "iprange", "--src-range")),
    ),
    (
        "destination IP range",
        Reads::With(|row, words, not| glued(row, words, not, "iprange", "--dst-range")),
    ),
    ("owner UID match", Reads::Value("owner", "--uid-owner")),
    ("owner GID match", Reads::Value("owner", "--gid-owner")),
    ("match-set", Reads::With(set)),
    (
        "[goto]",
        Reads::With(|row, _, _| {
            row.goto = true;
            Some(())
        }),
    ),
    ("reject-with", Reads::TargetValue("--reject-with")),
    ("MARK set", Reads::TargetValue("--set-mark")),
    ("MARK xset", Reads::TargetValue("--set-xmark")),
    ("MARK and", Reads::TargetValue("--and-mark")),
    ("MARK or", Reads::TargetValue("--or-mark")),
    ("MARK xor", Reads::TargetValue("--xor-mark")),
    ("CONNMARK set", Reads::TargetValue("--set-mark")),
    ("CONNMARK xset", Reads::TargetValue("--set-xmark")),
    ("CONNMARK and", Reads::TargetValue("--and-mark")),
    ("CONNMARK or", Reads::TargetValue("--or-mark")),
    ("CONNMARK xor", Reads::TargetValue("--xor-mark")),
    ("CONNMARK save", Reads::With(|row, words, _| connmark(row, words, "--save-mark"))),
    ("CONNMARK restore", Reads::With(|row, words, _| connmark(row, words, "--restore-mark"))),
    ("CONNSECMARK save", Reads::Target("--save")),
    ("CONNSECMARK restore", Reads::Target("--restore")),
    ("SECMARK selctx", Reads::TargetValue("--selctx")),
    ("CT", Reads::With(ct)),
    ("NOTRACK", Reads::With(notrack)),
    ("LOG", Reads::With(log)),
    ("to:", Reads::With(translate)),
    ("TCPMSS clamp to PMTU", Reads::Target("--clamp-mss-to-pmtu")),
    ("redir ports", Reads::TargetValue("--to-ports")),
];

/// Whether a word begins what a match or target prints of itself, so that it is no address.
pub(super) fn begins_extra(word: &str) -> bool {
    let bare = word.trim_start_matches('!');
    bare.is_empty()
        || bare.contains(":") && bare.starts_with(|c: char| c.is_ascii_lowercase() && c > 'f')
        || ["spt:", "dpt:", "spts:", "dpts:", "flags:"].iter().any(|p| bare.starts_with(p))
        || PHRASES.iter().any(|(phrase, _)| phrase.split(' ').next() == Some(bare))
}

/// Reads the whole column into the row.
pub(super) fn read(row: &mut ListedRule, text: &str) {
    let mut words = Words { rest: text };
    while let Some(word) = words.peek() {
        let before = words.rest;
        let not = words.take("!");
        if phrase(row, &mut words, not).is_none() {
            words.rest = before;
            words.next();
            row.unread.push(word.to_string());
        }
    }
}

fn phrase(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let (_, reads) = PHRASES.iter().find(|(phrase, _)| words.take(phrase))?;
    match reads {
        Reads::Value(name, option) => value(row, words, not, name, option),
        Reads::Target(text) => {
            row.target_options = (*text).to_string();
            Some(())
        }
        Reads::TargetValue(option) => {
            row.target_options = format!("{option} {}", words.next()?);
            Some(())
        }
        Reads::With(read) => read(row, words, not),
    }
}

/// Adds an option; options of one match in a row go behind one `-m`.
fn push(row: &mut ListedRule, name: &str, options: &str) {
    let head = format!("-m {name}");
    match row.matches.last_mut() {
        Some(last) if matches!(name, "conntrack" | "iprange") && last.starts_with(&head) => {
            let _ = write!(last, " {options}");
        }
        _ => row.matches.push(format!("{head} {options}").trim_end().to_string()),
    }
}

fn value(
    row: &mut ListedRule,
    words: &mut Words<'_>,
    not: bool,
    name: &str,
    option: &str,
) -> Option<()> {
    let value = words.next()?;
    push(row, name, &format!("{}{option} {value}", bang(not)));
    Some(())
}

const fn bang(not: bool) -> &'static str {
    if not { "! " } else { "" }
}

/// `!` glued to a value.
fn inverted(word: &str) -> (&'static str, &str) {
    match word.strip_prefix('!') {
        Some(word) => ("! ", word),
        None => ("", word),
    }
}

/// An option whose value is printed as `40`, `!40` or `! 40`.
fn glued(
    row: &mut ListedRule,
    words: &mut Words<'_>,
    not: bool,
    name: &str,
    option: &str,
) -> Option<()> {
    let apart = words.take("!");
    let (sign, value) = inverted(words.next()?);
    let not = bang(not || apart || !sign.is_empty());
    push(row, name, &format!("{not}{option} {value}"));
    Some(())
}

/// A port list with names made numbers; what is neither stays as it is.
fn port_list(text: &str) -> String {
    let mut out = String::new();
    for (index, port) in text.split_inclusive([',', ':']).enumerate() {
        let _ = index;
        let (name, end) = match port.strip_suffix([',', ':']) {
            Some(name) => (name, port.get(name.len()..).unwrap_or("")),
            None => (port, ""),
        };
        match services::port(name) {
            Some(number) => {
                let _ = write!(out, "{number}{end}");
            }
            None => out.push_str(port),
        }
    }
    out
}

/// `tcp spt:!22 dpts:1024:65535 option=7 flags:0x17/0x02`, in any order and number.
fn ports(row: &mut ListedRule, words: &mut Words<'_>, name: &str) -> Option<()> {
    let mut options = String::new();
    while let Some(word) = words.peek() {
        let found = [
            ("spt:", "--sport"),
            ("dpt:", "--dport"),
            ("spts:", "--sport"),
            ("dpts:", "--dport"),
            ("option=", "--tcp-option"),
            ("flags:", "--tcp-flags"),
        ]
        .into_iter()
        .find_map(|(prefix, option)| Some((option, word.strip_prefix(prefix)?)));
        let Some((option, value)) = found else { break };
        words.next();
        let (not, value) = inverted(value);
        let value = match option {
            "--tcp-flags" => tcp_flags(value)?,
            "--tcp-option" => value.to_string(),
            _ => port_list(value),
        };
        let _ = write!(options, " {not}{option} {value}");
    }
    push(row, name, options.trim_start());
    Some(())
}

/// `0x17/0x02` or `SYN,RST,ACK/SYN` as the two lists of `--tcp-flags`.
fn tcp_flags(text: &str) -> Option<String> {
    let (mask, set) = text.split_once('/')?;
    let list = |text: &str| -> Option<String> {
        let Some(hex) = text.strip_prefix("0x") else { return Some(text.to_string()) };
        let bits = u8::from_str_radix(hex, 16).ok()?;
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
        let set = names.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        let set: Vec<&str> = set.map(|(_, name)| *name).collect();
        Some(if set.is_empty() { String::from("NONE") } else { set.join(",") })
    };
    Some(format!("{} {}", list(mask)?, list(set)?))
}

fn icmp_option(name: &str) -> &'static str {
    if name == "icmp6" { "--icmpv6-type" } else { "--icmp-type" }
}

/// `icmptype 3 code 4`, `icmptype 255`.
fn icmp_number(row: &mut ListedRule, words: &mut Words<'_>, not: bool, name: &str) -> Option<()> {
    let (glued, kind) = inverted(words.next()?);
    let kind = kind.to_string();
    let code = if words.take("code") { words.next() } else { None };
    let option = icmp_option(name);
    let not = if glued.is_empty() { bang(not) } else { glued };
    let code = code.map(|code| format!("/{code}")).unwrap_or_default();
    push(row, name, &format!("{not}{option} {kind}{code}"));
    Some(())
}

/// `icmp fragmentation-needed`, `icmp any`, `ipv6-icmp !type 3`.
fn icmp_name(row: &mut ListedRule, words: &mut Words<'_>, not: bool, name: &str) -> Option<()> {
    let (glued, kind) = inverted(words.next()?);
    if kind == "type" {
        return icmp_number(row, words, not || !glued.is_empty(), name);
    }
    let not = if glued.is_empty() { bang(not) } else { glued };
    push(row, name, &format!("{not}{} {kind}", icmp_option(name)));
    Some(())
}

fn multiport(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let option = match words.next()? {
        "dports" => "--dports",
        "sports" => "--sports",
        "ports" => "--ports",
        _ => return None,
    };
    let apart = words.take("!");
    let (glued, list) = inverted(words.next()?);
    let not = bang(not || apart || !glued.is_empty());
    push(row, "multiport", &format!("{not}{option} {}", port_list(list)));
    Some(())
}

fn limit(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let average = words.next()?.to_string();
    let burst = if words.take("burst") { words.next().unwrap_or("5") } else { "5" };
    push(row, "limit", &format!("--limit {average} --limit-burst {burst}"));
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

fn comment(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let text = words.until("*/")?.trim();
    push(row, "comment", &format!("--comment \"{}\"", text.replace('"', "'")));
    Some(())
}

fn mark(row: &mut ListedRule, words: &mut Words<'_>, not: bool, name: &str) -> Option<()> {
    let apart = words.take("!");
    let (glued, value) = inverted(words.next()?);
    let not = bang(not || apart || !glued.is_empty());
    push(row, name, &format!("{not}--mark {value}"));
    Some(())
}

fn helper(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let apart = words.take("!");
    let name = words.quoted()?;
    push(row, "helper", &format!("{}--helper {name}", bang(not || apart)));
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
        let option = match words.peek() {
            Some("src-type") => "--src-type",
            Some("dst-type") => "--dst-type",
            _ => break,
        };
        words.next();
        let apart = words.take("!");
        let (glued, value) = inverted(words.next()?);
        let _ = write!(options, " {}{option} {value}", bang(apart || !glued.is_empty()));
    }
    push(row, "addrtype", options.trim_start());
    Some(())
}

/// `TTL match TTL < 5`.
fn hops(row: &mut ListedRule, words: &mut Words<'_>, name: &str) -> Option<()> {
    let (not, end) = match words.next()? {
        "==" => ("", "eq"),
        "!=" => ("! ", "eq"),
        "<" => ("", "lt"),
        ">" => ("", "gt"),
        _ => return None,
    };
    let value = words.next()?;
    push(row, name, &format!("{not}--{name}-{end} {value}"));
    Some(())
}

fn mac(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let apart = words.take("!");
    let address = words.next()?;
    push(row, "mac", &format!("{}--mac-source {address}", bang(not || apart)));
    Some(())
}

fn set(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let name = words.next()?.to_string();
    let directions = words.next()?;
    push(row, "set", &format!("{}--match-set {name} {directions}", bang(not)));
    Some(())
}

fn connmark(row: &mut ListedRule, words: &mut Words<'_>, option: &str) -> Option<()> {
    let mut options = option.to_string();
    if words.take("mask") {
        let _ = write!(options, " --mask {}", words.next()?);
    } else {
        // One of the two is printed with `~`, whichever the operation clears.
        while let Some(mask) = ["nfmask", "ctmask"].into_iter().find(|mask| words.take(mask)) {
            let value = words.next()?.trim_start_matches('~');
            let _ = write!(options, " --{mask} {value}");
        }
    }
    row.target_options = options;
    Some(())
}

/// Bits of the `flags` number that LOG prints (`ipt_LOG` options, iptables-extensions(8)).
const LOG_FLAGS: &[(u8, &str)] = &[
    (0x01, "--log-tcp-sequence"),
    (0x02, "--log-tcp-options"),
    (0x04, "--log-ip-options"),
    (0x08, "--log-uid"),
    (0x20, "--log-macdecode"),
];

/// `LOG flags 2 level 7 prefix "a b "`, `LOG level debug tcp-options prefix "a"`.
fn log(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let mut options = String::new();
    loop {
        if words.take("flags") {
            let flags: u8 = words.next()?.parse().ok()?;
            for (bit, option) in LOG_FLAGS {
                if flags & bit != 0 {
                    let _ = write!(options, " {option}");
                }
            }
        } else if words.take("level") {
            // Listings have the short names of syslog(3), rules the long ones alone.
            let level = match words.next()? {
                "warn" => "warning",
                "err" => "error",
                level => level,
            };
            let _ = write!(options, " --log-level {level}");
        } else if words.take("prefix") {
            let _ = write!(options, " --log-prefix \"{}\"", words.quoted()?);
        } else if let Some((_, option)) =
            LOG_FLAGS.iter().find(|(_, option)| words.peek() == option.strip_prefix("--log-"))
        {
            words.next();
            let _ = write!(options, " {option}");
        } else {
            break;
        }
    }
    row.target_options = options.trim_start().to_string();
    Some(())
}

/// `CT helper ftp zone 3`, `CT notrack`.
fn ct(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    const VALUED: [&str; 7] =
        ["helper", "timeout", "zone", "zone-orig", "zone-reply", "ctevents", "expevents"];
    let mut options = String::new();
    loop {
        if words.take("notrack") {
            options.push_str(" --notrack");
        } else if let Some(name) = VALUED.into_iter().find(|name| words.take(name)) {
            let _ = write!(options, " --{name} {}", words.next()?);
        } else {
            break;
        }
    }
    row.target_options = options.trim_start().to_string();
    Some(())
}

/// NOTRACK is listed as a CT that says NOTRACK.
fn notrack(row: &mut ListedRule, _words: &mut Words<'_>, _not: bool) -> Option<()> {
    row.target = Some(String::from("NOTRACK"));
    row.target_options = String::new();
    Some(())
}

fn translate(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let option = match row.target.as_deref() {
        Some("DNAT") => "--to-destination",
        Some("SNAT") => "--to-source",
        _ => return None,
    };
    row.target_options = format!("{option} {}", words.next()?);
    Some(())
}
