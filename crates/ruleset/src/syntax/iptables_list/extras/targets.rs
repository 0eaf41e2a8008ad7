//! What targets print. Each phrase is read in rows of its own target alone.

use super::{Reads, TargetPhrase, Words, bang, quote};
use crate::syntax::iptables_list::ListedRule;
use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt::Write;

pub(super) const PHRASES: &[TargetPhrase] = &[
    (&["REJECT"], "reject-with", Reads::TargetValue("--reject-with")),
    (&["MARK"], "MARK set", Reads::TargetValue("--set-mark")),
    (&["MARK"], "MARK xset", Reads::TargetValue("--set-xmark")),
    (&["MARK"], "MARK and", Reads::TargetValue("--and-mark")),
    (&["MARK"], "MARK or", Reads::TargetValue("--or-mark")),
    (&["MARK"], "MARK xor", Reads::TargetValue("--xor-mark")),
    (&["CONNMARK"], "CONNMARK", Reads::With(connmark)),
    (&["CONNSECMARK"], "CONNSECMARK save", Reads::Target("--save")),
    (&["CONNSECMARK"], "CONNSECMARK restore", Reads::Target("--restore")),
    (&["SECMARK"], "SECMARK selctx", Reads::TargetValue("--selctx")),
    (&["CT"], "CT", Reads::With(ct)),
    (&["CT"], "NOTRACK", Reads::With(notrack)),
    (&["LOG"], "LOG", Reads::With(log)),
    (&["DNAT"], "to:", Reads::With(|row, words, _| nat(row, words, "--to-destination"))),
    (&["SNAT"], "to:", Reads::With(|row, words, _| nat(row, words, "--to-source"))),
    (&["NETMAP"], "to:", Reads::TargetValue("--to")),
    (&["MASQUERADE"], "masq ports:", Reads::With(|row, words, _| nat(row, words, "--to-ports"))),
    (&["REDIRECT"], "redir ports", Reads::With(|row, words, _| nat(row, words, "--to-ports"))),
    (&["MASQUERADE", "REDIRECT"], "random", Reads::Target("--random")),
    (&["MASQUERADE", "REDIRECT"], "random-fully", Reads::Target("--random-fully")),
    (&["TCPMSS"], "TCPMSS clamp to PMTU", Reads::Target("--clamp-mss-to-pmtu")),
    (&["TCPMSS"], "TCPMSS set", Reads::TargetValue("--set-mss")),
    (&["TTL"], "TTL set to", Reads::TargetValue("--ttl-set")),
    (&["TTL"], "TTL decrement by", Reads::TargetValue("--ttl-dec")),
    (&["TTL"], "TTL increment by", Reads::TargetValue("--ttl-inc")),
    (&["HL"], "HL set to", Reads::TargetValue("--hl-set")),
    (&["HL"], "HL decrement by", Reads::TargetValue("--hl-dec")),
    (&["HL"], "HL increment by", Reads::TargetValue("--hl-inc")),
    (&["DSCP"], "DSCP set", Reads::TargetValue("--set-dscp")),
    (&["TOS"], "TOS set", Reads::TargetValue("--set-tos")),
    (&["TOS"], "TOS and", Reads::TargetValue("--and-tos")),
    (&["TOS"], "TOS or", Reads::TargetValue("--or-tos")),
    (&["TOS"], "TOS xor", Reads::TargetValue("--xor-tos")),
    (&["TOS"], "TOS", Reads::With(tos_named)),
    (&["ECN"], "ECN TCP remove", Reads::Target("--ecn-tcp-remove")),
    (&["CHECKSUM"], "CHECKSUM fill", Reads::Target("--checksum-fill")),
    (&["CLASSIFY"], "CLASSIFY set", Reads::TargetValue("--set-class")),
    (&["NFLOG"], "nflog-prefix", Reads::With(|row, words, _| nflog(row, words, true))),
    (&["NFLOG"], "nflog-group", Reads::With(|row, words, _| nflog_value(row, words, "group"))),
    (&["NFLOG"], "nflog-range", Reads::With(|row, words, _| nflog_value(row, words, "range"))),
    (&["NFLOG"], "nflog-size", Reads::With(|row, words, _| nflog_value(row, words, "size"))),
    (
        &["NFLOG"],
        "nflog-threshold",
        Reads::With(|row, words, _| nflog_value(row, words, "threshold")),
    ),
    (&["NFQUEUE"], "NFQUEUE", Reads::With(nfqueue)),
    (&["TEE"], "TEE gw:", Reads::With(tee)),
    (&["TPROXY"], "TPROXY redirect", Reads::With(tproxy)),
    (&["TCPOPTSTRIP"], "TCPOPTSTRIP options", Reads::TargetValue("--strip-options")),
    (&["SYNPROXY"], "SYNPROXY", Reads::With(synproxy)),
    (&["AUDIT"], "AUDIT", Reads::TargetValue("--type")),
    (&["SET"], "add-set", Reads::With(|row, words, _| set(row, words, "--add-set"))),
    (&["SET"], "del-set", Reads::With(|row, words, _| set(row, words, "--del-set"))),
    (&["SET"], "map-set", Reads::With(|row, words, _| set(row, words, "--map-set"))),
    (&["SNPT"], "SNPT src-pfx", Reads::With(npt)),
    (&["DNPT"], "DNPT src-pfx", Reads::With(npt)),
    (&["IDLETIMER"], "timeout:", Reads::With(idletimer)),
    (&["RATEEST"], "name", Reads::With(rateest)),
    (&["HMARK"], "HMARK", Reads::With(hmark)),
    (&["LED"], "led-trigger-id:", Reads::With(led)),
];

/// Adds an option of the target.
fn add(row: &mut ListedRule, option: &str) {
    if !row.target_options.is_empty() {
        row.target_options.push(' ');
    }
    row.target_options.push_str(option);
}

/// `CONNMARK xset 0x5/0x7 left-shift-mark 3`, `CONNMARK save nfmask 0xff ctmask ~0xf0`.
fn connmark(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    const VERBS: [(&str, &str); 5] = [
        ("set", "--set-mark"),
        ("xset", "--set-xmark"),
        ("and", "--and-mark"),
        ("or", "--or-mark"),
        ("xor", "--xor-mark"),
    ];
    let mut options = String::new();
    if let Some((_, option)) = VERBS.iter().find(|(verb, _)| words.take(verb)) {
        let _ = write!(options, "{option} {}", words.next()?);
    } else if words.take("save") {
        options.push_str("--save-mark");
    } else if words.take("restore") {
        options.push_str("--restore-mark");
    } else {
        return None;
    }
    const MORE: [&str; 5] = ["mask", "nfmask", "ctmask", "left-shift-mark", "right-shift-mark"];
    while let Some(name) = MORE.into_iter().find(|name| words.take(name)) {
        // One of the two masks is printed with `~`, whichever the operation clears.
        let value = words.next()?.trim_start_matches('~');
        let _ = write!(options, " --{name} {value}");
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
            let _ = write!(options, " --log-prefix {}", quote(words.quoted_last()?));
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

/// `to:192.0.2.1:80 random persistent`.
fn nat(row: &mut ListedRule, words: &mut Words<'_>, option: &str) -> Option<()> {
    row.target_options = format!("{option} {}", words.next()?);
    let flags = ["random", "random-fully", "persistent"];
    while let Some(flag) = flags.into_iter().find(|flag| words.take(flag)) {
        let _ = write!(row.target_options, " --{flag}");
    }
    Some(())
}

/// `TOS setMinimize-Delay`: no blank before a name.
fn tos_named(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let name = words.next()?.strip_prefix("set")?;
    row.target_options = format!("--set-tos {name}");
    Some(())
}

/// `nflog-prefix "a b"`, or without quotes: up to the next of its options.
fn nflog(row: &mut ListedRule, words: &mut Words<'_>, _quoted: bool) -> Option<()> {
    let rest = words.rest.trim_start();
    let end = rest.find(" nflog-").unwrap_or(rest.len());
    let (text, after) = rest.split_at_checked(end)?;
    words.rest = after;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    add(row, &format!("--nflog-prefix {}", quote(text.trim_end())));
    Some(())
}

fn nflog_value(row: &mut ListedRule, words: &mut Words<'_>, name: &str) -> Option<()> {
    let value = words.next()?;
    add(row, &format!("--nflog-{name} {value}"));
    Some(())
}

/// `NFQUEUE num 5`, `NFQUEUE balance 0:3 bypass cpu-fanout`.
fn nfqueue(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let option = if words.take("num") {
        "--queue-num"
    } else if words.take("balance") {
        "--queue-balance"
    } else {
        return None;
    };
    let mut options = format!("{option} {}", words.next()?);
    for flag in ["bypass", "cpu-fanout"] {
        if words.take(flag) {
            let _ = write!(options, " --queue-{flag}");
        }
    }
    row.target_options = options;
    Some(())
}

/// `TEE gw:192.0.2.1 oif eth0`.
fn tee(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    row.target_options = format!("--gateway {}", words.next()?);
    if words.take("oif") {
        let interface = words.next()?;
        add(row, &format!("--oif {interface}"));
    }
    Some(())
}

/// `TPROXY redirect 0.0.0.0:3128 mark 0x1/0x1`.
fn tproxy(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let (address, port) = words.next()?.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    row.target_options = format!("--on-port {port}");
    if !matches!(address, "0.0.0.0" | "::") {
        add(row, &format!("--on-ip {address}"));
    }
    if words.take("mark") {
        let mark = words.next()?;
        add(row, &format!("--tproxy-mark {mark}"));
    }
    Some(())
}

/// `SYNPROXY sack-perm timestamp wscale 7 mss 1460`.
fn synproxy(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    row.target_options = String::new();
    loop {
        if let Some(flag) = ["sack-perm", "timestamp", "ecn"].into_iter().find(|f| words.take(f)) {
            add(row, &format!("--{flag}"));
        } else if let Some(name) = ["wscale", "mss"].into_iter().find(|name| words.take(name)) {
            let value = words.next()?;
            add(row, &format!("--{name} {value}"));
        } else {
            return Some(());
        }
    }
}

/// `add-set NAME src exist timeout 5`, `map-set NAME src map-mark`.
fn set(row: &mut ListedRule, words: &mut Words<'_>, option: &str) -> Option<()> {
    let name = words.next()?;
    let directions = words.next()?;
    add(row, &format!("{option} {name} {directions}"));
    loop {
        let flags = ["exist", "map-mark", "map-prio", "map-queue"];
        if let Some(flag) = flags.into_iter().find(|flag| words.take(flag)) {
            add(row, &format!("--{flag}"));
        } else if words.take("timeout") {
            let seconds = words.next()?;
            add(row, &format!("--timeout {seconds}"));
        } else {
            return Some(());
        }
    }
}

/// `SNPT src-pfx 2001:db8::/64 dst-pfx 2001:db8:1::/64`.
fn npt(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let source = words.next()?;
    if !words.take("dst-pfx") {
        return None;
    }
    row.target_options = format!("{}--src-pfx {source} --dst-pfx {}", bang(not), words.next()?);
    Some(())
}

/// `timeout:5 label:wlan alarm`.
fn idletimer(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    row.target_options = format!("--timeout {}", words.next()?);
    if words.take("label:") {
        let label = words.next()?;
        add(row, &format!("--label {label}"));
    }
    if words.take("alarm") {
        add(row, "--alarm");
    }
    Some(())
}

/// `name RE1 interval 250.0ms ewmalog 500.0ms`.
fn rateest(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    row.target_options = format!("--rateest-name {}", words.next()?);
    for name in ["interval", "ewmalog"] {
        if words.take(name) {
            let value = words.next()?;
            add(row, &format!("--rateest-{name} {value}"));
        }
    }
    Some(())
}

/// `HMARK mod 42 + 0x1 ct, src-prefix 32 sport-mask 0xffff rnd 0x4`.
fn hmark(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    const NAMES: [&str; 12] = [
        "mod",
        "src-prefix",
        "dst-prefix",
        "sport-mask",
        "dport-mask",
        "proto-mask",
        "spi-mask",
        "sport",
        "dport",
        "spi",
        "rnd",
        "offset",
    ];
    row.target_options = String::new();
    loop {
        if words.take("ct,") {
            add(row, "--hmark-tuple ct");
        } else if words.take("+") {
            let value = words.next()?;
            add(row, &format!("--hmark-offset {value}"));
        } else if let Some(name) = NAMES.into_iter().find(|name| words.take(name)) {
            let value = words.next()?;
            add(row, &format!("--hmark-{name} {value}"));
        } else {
            return Some(());
        }
    }
}

/// `led-trigger-id:"netfilter-ssh" led-delay:1000ms led-always-blink`.
fn led(row: &mut ListedRule, words: &mut Words<'_>, _not: bool) -> Option<()> {
    let id = words.quoted()?.trim_start_matches("netfilter-");
    row.target_options = format!("--led-trigger-id {}", quote(id));
    if words.take("led-delay:") {
        let delay = words.next()?.trim_end_matches("ms");
        add(row, &format!("--led-delay {delay}"));
    }
    if words.take("led-always-blink") {
        add(row, "--led-always-blink");
    }
    Some(())
}
