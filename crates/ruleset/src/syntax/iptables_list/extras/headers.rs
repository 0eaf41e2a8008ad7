//! What matches of protocols print of ports, types, flags and the like.

use super::ipv6::{Field, fields};
use super::{Phrase, Reads, Words, bang, inverted, port_list, protocol_of, push};
use crate::extension::values;
use crate::syntax::iptables_list::ListedRule;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Write;

pub(super) const PHRASES: &[Phrase] = &[
    ("tcp", Reads::With(|row, words, _| ports(row, words, ("tcp", 6)))),
    ("tcpflags:", Reads::With(flags_of_old)),
    ("udp", Reads::With(|row, words, _| ports(row, words, ("udp", 17)))),
    ("udplite", Reads::With(|row, words, _| ports(row, words, ("udplite", 136)))),
    ("sctp", Reads::With(|row, words, _| ports(row, words, ("sctp", 132)))),
    ("dccp", Reads::With(|row, words, _| ports(row, words, ("dccp", 33)))),
    ("icmp type", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp"))),
    ("icmptype", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp"))),
    ("ipv6-icmptype", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp6"))),
    ("ipv6-icmp type", Reads::With(|row, words, not| icmp_number(row, words, not, "icmp6"))),
    ("icmp", Reads::With(|row, words, not| icmp_name(row, words, not, "icmp"))),
    ("ipv6-icmp", Reads::With(|row, words, not| icmp_name(row, words, not, "icmp6"))),
    ("multiport", Reads::With(multiport)),
    ("ah", Reads::With(|row, words, _| fields(row, words, "ah", AH))),
    ("esp", Reads::With(|row, words, _| fields(row, words, "esp", ESP))),
    ("comp", Reads::With(|row, words, _| fields(row, words, "ipcomp", IPCOMP))),
    ("tcpmss match", Reads::Value("tcpmss", "--mss")),
    ("ECN match", Reads::With(ecn)),
    ("DSCP match", Reads::Value("dscp", "--dscp")),
    ("tos", Reads::With(tos)),
    ("TTL match TTL", Reads::With(|row, words, _| hops(row, words, "ttl"))),
    ("HL match HL", Reads::With(|row, words, _| hops(row, words, "hl"))),
];

/// `tcp spt:!22 dpts:1024:65535 option=7 flags:0x17/0x02`, in any order and number.
fn ports(row: &mut ListedRule, words: &mut Words<'_>, (name, protocol): (&str, u8)) -> Option<()> {
    const FORMS: [(&str, &str); 6] = [
        ("spt:", "--sport"),
        ("dpt:", "--dport"),
        ("spts:", "--sport"),
        ("dpts:", "--dport"),
        ("option=", ""),
        ("flags:", "--tcp-flags"),
    ];
    let mut options = String::new();
    while let Some(word) = words.peek() {
        let found = FORMS
            .into_iter()
            .find_map(|(prefix, option)| Some((option, word.strip_prefix(prefix)?)));
        let Some((option, value)) = found else { break };
        words.next();
        // Older versions set no blank before the flags, but one behind the colon.
        let (value, flags) = match value.strip_suffix("flags:") {
            Some(value) => (value, true),
            None => (value, false),
        };
        let value = if value.is_empty() && option == "--tcp-flags" { words.next()? } else { value };
        let (not, value) = inverted(value);
        let (option, value) = match option {
            "--tcp-flags" => (option, tcp_flags(value)?),
            "" if name == "dccp" => ("--dccp-option", value.to_string()),
            "" => ("--tcp-option", value.to_string()),
            _ => (option, port_list(value, Some(protocol))),
        };
        let _ = write!(options, " {not}{option} {value}");
        if flags {
            let (not, value) = inverted(words.next()?);
            let _ = write!(options, " {not}--tcp-flags {}", tcp_flags(value)?);
        }
    }
    match name {
        "dccp" => dccp_types(words, &mut options),
        "sctp" => sctp_chunks(words, &mut options),
        _ => {}
    }
    push(row, name, options.trim_start());
    Some(())
}

/// `tcpflags: 0x17/0x02`, of older versions.
fn flags_of_old(row: &mut ListedRule, words: &mut Words<'_>, _: bool) -> Option<()> {
    let (not, value) = inverted(words.next()?);
    push(row, "tcp", &format!("{not}--tcp-flags {}", tcp_flags(value)?));
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

const DCCP_TYPES: [&str; 10] = [
    "REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC",
    "SYNCACK",
];

/// `REQUEST,ACK`, `! 0,3`, and an option behind them.
fn dccp_types(words: &mut Words<'_>, options: &mut String) {
    let before = words.rest;
    let not = words.take("!");
    let named = |word: &str| match word.parse::<usize>() {
        Ok(number) if number < 16 => Some(DCCP_TYPES.get(number).copied().unwrap_or("INVALID")),
        Ok(_) => None,
        Err(_) => {
            let mut all = DCCP_TYPES.iter().chain(&["INVALID"]);
            all.find(|name| **name == word).copied()
        }
    };
    let list: Option<Vec<&str>> =
        words.peek().and_then(|word| word.split(',').map(named).collect());
    match list {
        Some(list) => {
            words.next();
            let _ = write!(options, " {}--dccp-types {}", bang(not), list.join(","));
        }
        None => words.rest = before,
    }
    if words.take_start("option=")
        && let Some((not, value)) = words.value(false)
    {
        let _ = write!(options, " {not}--dccp-option {value}");
    }
}

const SCTP_CHUNKS: &[(u8, &str)] = &[
    (0, "DATA"),
    (1, "INIT"),
    (2, "INIT_ACK"),
    (3, "SACK"),
    (4, "HEARTBEAT"),
    (5, "HEARTBEAT_ACK"),
    (6, "ABORT"),
    (7, "SHUTDOWN"),
    (8, "SHUTDOWN_ACK"),
    (9, "ERROR"),
    (10, "COOKIE_ECHO"),
    (11, "COOKIE_ACK"),
    (12, "ECN_ECNE"),
    (13, "ECN_CWR"),
    (14, "SHUTDOWN_COMPLETE"),
    (64, "I_DATA"),
    (130, "RE_CONFIG"),
    (132, "PAD"),
    (128, "ASCONF_ACK"),
    (192, "FORWARD_TSN"),
    (193, "ASCONF"),
    (194, "I_FORWARD_TSN"),
];

/// `any DATA:BE,INIT`, `! all 0,1`, `only NONE`.
fn sctp_chunks(words: &mut Words<'_>, options: &mut String) {
    let before = words.rest;
    let not = words.take("!");
    let Some(kind) = ["any", "all", "only"].into_iter().find(|kind| words.take(kind)) else {
        words.rest = before;
        return;
    };
    let list = words.next().unwrap_or("");
    let named = |chunk: &str| {
        let (name, flags) = chunk.split_once(':').unwrap_or((chunk, ""));
        let number = values::number(name, 255).and_then(|number| u8::try_from(number).ok());
        let known = SCTP_CHUNKS.iter().find(|(one, _)| Some(*one) == number);
        let name = known.map_or(name, |(_, name)| *name);
        if flags.is_empty() { name.to_string() } else { format!("{name}:{flags}") }
    };
    let chunks: Vec<String> = list.split(',').map(named).collect();
    let _ = write!(options, " {}--chunk-types {kind} {}", bang(not), chunks.join(","));
}

fn icmp_option(name: &str) -> &'static str {
    if name == "icmp6" { "--icmpv6-type" } else { "--icmp-type" }
}

/// `icmptype 3 code 4`, `icmptype 255`.
fn icmp_number(row: &mut ListedRule, words: &mut Words<'_>, not: bool, name: &str) -> Option<()> {
    let (not, kind) = words.value(not)?;
    let code = if words.take("code") { words.next() } else { None };
    let code = code.map(|code| format!("/{code}")).unwrap_or_default();
    push(row, name, &format!("{not}{} {kind}{code}", icmp_option(name)));
    Some(())
}

/// `icmp fragmentation-needed`, `icmp any`, `ipv6-icmp !type 3`.
fn icmp_name(row: &mut ListedRule, words: &mut Words<'_>, not: bool, name: &str) -> Option<()> {
    let (glued, kind) = inverted(words.next()?);
    if kind == "type" {
        return icmp_number(row, words, not || !glued.is_empty(), name);
    }
    let not = bang(not || !glued.is_empty());
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
    let (not, list) = words.value(not)?;
    let protocol = protocol_of(row);
    push(row, "multiport", &format!("{not}{option} {}", port_list(list, protocol)));
    Some(())
}

const AH: &[Field] = &[
    ("spis:", "--ahspi", true),
    ("spi:", "--ahspi", true),
    ("length:", "--ahlen", true),
    ("reserved", "--ahres", false),
];
const ESP: &[Field] = &[("spis:", "--espspi", true), ("spi:", "--espspi", true)];
const IPCOMP: &[Field] = &[
    ("spis:", "--ipcompspi", true),
    ("spi:", "--ipcompspi", true),
    ("reserved", "--compres", false),
];
/// `ECN match !ECE CWR !ECT=1`.
fn ecn(row: &mut ListedRule, words: &mut Words<'_>, _: bool) -> Option<()> {
    let mut options = String::new();
    while let Some(word) = words.peek() {
        let (not, word) = inverted(word);
        let option = match (word, word.strip_prefix("ECT=")) {
            ("ECE", _) => String::from("--ecn-tcp-ece"),
            ("CWR", _) => String::from("--ecn-tcp-cwr"),
            (_, Some(value)) => format!("--ecn-ip-ect {value}"),
            _ => break,
        };
        words.next();
        let _ = write!(options, " {not}{option}");
    }
    push(row, "ecn", options.trim_start());
    Some(())
}

/// `tos match0x10/0x3f`, `tos match!0x10/0x3f`, `tos match! Minimize-Delay`: no blank before the mark.
fn tos(row: &mut ListedRule, words: &mut Words<'_>, _: bool) -> Option<()> {
    let (not, glued) = inverted(words.next()?.strip_prefix("match")?);
    let value = if glued.is_empty() { words.next()? } else { glued };
    push(row, "tos", &format!("{not}--tos {value}"));
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
