//! A rule of nftables, told as the same rule in the words of iptables, which is then explained and run.

use crate::answer::{Answer, Topic};
use crate::experiment::Context;
use crate::rule::{self, Subject};
use keepstate_packet::Family;

/// A rule, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NftRule {
    /// Family, where the line says it.
    pub family: Option<Family>,
    /// Table and chain, where the line says them.
    pub place: Option<(String, String)>,
    /// What it asks for, in the words of iptables.
    pub words: Vec<String>,
    /// Its target and the options of that.
    pub target: Vec<String>,
    /// What is written down beside, in words.
    pub beside: Vec<String>,
    /// What has no counterpart here.
    pub left_out: Vec<String>,
}

/// Words that an expression of a rule begins with.
const BEGINNINGS: &[&str] = &[
    "ct", "tcp", "udp", "sctp", "ip", "ip6", "iif", "iifname", "oif", "oifname", "meta", "icmp",
    "icmpv6", "counter", "limit", "log", "fib", "mark",
];
/// Words that end a rule.
const VERDICTS: &[&str] = &[
    "accept",
    "drop",
    "reject",
    "return",
    "jump",
    "goto",
    "masquerade",
    "snat",
    "dnat",
    "redirect",
    "notrack",
    "queue",
    "continue",
];

/// Whether the line is such a rule.
#[must_use]
pub fn is_line(line: &str) -> bool {
    read(line).is_some()
}

/// Reads a line; `None` when it is none.
#[must_use]
pub fn read(line: &str) -> Option<NftRule> {
    let words = tokens(line);
    let mut words = Words { all: &words, at: 0 };
    let mut out = NftRule::default();
    words.skip("sudo");
    let is_command = words.skip("nft");
    if words.skip("add") | words.skip("insert") | words.skip("create") {
        if !words.skip("rule") {
            return None;
        }
        out.family = match words.peek()? {
            "ip" => Some(Family::V4),
            "ip6" => Some(Family::V6),
            "inet" | "bridge" | "netdev" | "arp" => None,
            // The family may be left out.
            _ => return place(out, words),
        };
        words.next();
        return place(out, words);
    }
    let begins = words.peek().is_some_and(|word| BEGINNINGS.contains(&word));
    let ends = words.all.iter().any(|word| {
        VERDICTS.contains(&word.as_str()) || matches!(word.as_str(), "log" | "counter" | "set")
    });
    if is_command || !begins || !ends {
        return None;
    }
    expressions(&mut out, &mut words);
    Some(out)
}

fn place(mut out: NftRule, mut words: Words<'_>) -> Option<NftRule> {
    let (table, chain) = (words.next()?.to_string(), words.next()?.to_string());
    out.place = Some((table, chain));
    if words.skip("position") || words.skip("index") || words.skip("handle") {
        words.next();
    }
    expressions(&mut out, &mut words);
    Some(out)
}

/// Words of a line; braces, commas and what stands in quotes are words of their own.
fn tokens(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for char in line.chars() {
        match char {
            '"' => quoted = !quoted,
            _ if quoted => word.push(char),
            '{' | '}' | '(' | ')' | ';' => {
                all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                all.push(char.to_string());
            }
            char if char.is_whitespace() => {
                all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            }
            _ => word.push(char),
        }
    }
    all.extend((!word.is_empty()).then_some(word));
    all
}

struct Words<'a> {
    all: &'a [String],
    at: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.all.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    fn skip(&mut self, wanted: &str) -> bool {
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    /// `!=`, and one value or those of a set.
    fn values(&mut self) -> (bool, Vec<String>) {
        let not = self.skip("!=") || self.skip("not");
        let _ = self.skip("==") || self.skip("eq");
        let mut values: Vec<String> = Vec::new();
        let part = |values: &mut Vec<String>, word: &str| {
            let parts = word.split(',').filter(|part| !part.is_empty());
            values.extend(parts.map(ToString::to_string));
        };
        if self.skip("{") {
            while let Some(word) = self.next().filter(|word| *word != "}") {
                part(&mut values, word);
            }
        } else if let Some(word) = self.next() {
            part(&mut values, word);
            // A list goes on behind its comma.
            let mut open = word.ends_with(',');
            while open && let Some(word) = self.next() {
                part(&mut values, word);
                open = word.ends_with(',');
            }
        }
        (not, values)
    }
}

impl NftRule {
    fn option(&mut self, head: &[&str], not: bool, option: &str, value: String) {
        self.words.extend(head.iter().map(ToString::to_string));
        self.words.extend(not.then(|| "!".to_string()));
        self.words.extend([option.to_string(), value]);
    }

    /// An option that takes one value.
    fn single(&mut self, head: &[&str], option: &str, words: &mut Words<'_>, said: &str) {
        match words.values() {
            (not, values) if values.len() == 1 => {
                let value = values.into_iter().next().unwrap_or_default();
                self.option(head, not, option, value);
            }
            (_, values) => self.left_out.push(format!("{said} {{ {} }}", values.join(", "))),
        }
    }

    fn protocol(&mut self, protocol: &str) {
        if !self.words.iter().any(|word| word == "-p") {
            self.words.extend(["-p".to_string(), protocol.to_string()]);
        }
    }

    fn ports(&mut self, protocol: &str, side: &str, words: &mut Words<'_>) {
        let (not, values) = words.values();
        let ports: Vec<String> = values.iter().map(|value| value.replace('-', ":")).collect();
        self.protocol(protocol);
        match ports.as_slice() {
            [port] => self.option(&["-m", protocol], not, &format!("--{side}"), port.clone()),
            ports => self.option(&["-m", "multiport"], not, &format!("--{side}s"), ports.join(",")),
        }
    }
}

fn expressions(out: &mut NftRule, words: &mut Words<'_>) {
    while let Some(word) = words.next() {
        match word {
            "ct" => tracked(out, words),
            "meta" => {}
            "iif" | "iifname" => interface(out, "-i", words),
            "oif" | "oifname" => interface(out, "-o", words),
            "tcp" | "udp" | "sctp" | "udplite" => transport(out, word, words),
            "ip" | "ip6" => {
                out.family =
                    out.family.or(Some(if word == "ip" { Family::V4 } else { Family::V6 }));
                match words.next() {
                    Some("saddr") => out.single(&[], "-s", words, "saddr"),
                    Some("daddr") => out.single(&[], "-d", words, "daddr"),
                    Some("protocol" | "nexthdr") => out.single(&[], "-p", words, "protocol"),
                    Some("ttl" | "hoplimit") => {
                        out.single(&["-m", "ttl"], "--ttl-eq", words, "ttl")
                    }
                    other => out.left_out.push(format!("{word} {}", other.unwrap_or(""))),
                }
            }
            "l4proto" => out.single(&[], "-p", words, "l4proto"),
            "nfproto" => {
                let (_, values) = words.values();
                let v6 = values.first().is_some_and(|value| value == "ipv6");
                out.family = Some(if v6 { Family::V6 } else { Family::V4 });
            }
            "icmp" | "icmpv6" => {
                let v6 = word == "icmpv6";
                out.family = Some(if v6 { Family::V6 } else { Family::V4 });
                out.protocol(if v6 { "ipv6-icmp" } else { "icmp" });
                let option = if v6 { "--icmpv6-type" } else { "--icmp-type" };
                if words.skip("type") {
                    out.single(&["-m", if v6 { "icmp6" } else { "icmp" }], option, words, "type");
                }
            }
            "mark" => mark(out, words),
            "fib" => addresses(out, words),
            "limit" => limit(out, words),
            "counter" => {
                while words.skip("packets") || words.skip("bytes") {
                    words.next();
                }
            }
            "comment" => {
                let text = words.next().unwrap_or("").to_string();
                out.option(&["-m", "comment"], false, "--comment", text);
            }
            "log" => log(out, words),
            ";" => {}
            verdict if VERDICTS.contains(&verdict) => target(out, verdict, words),
            other => out.left_out.push(other.to_string()),
        }
    }
}

fn interface(out: &mut NftRule, option: &str, words: &mut Words<'_>) {
    let (not, values) = words.values();
    match values.as_slice() {
        [name] => out.option(&[], not, option, name.replace('*', "+")),
        names => out.left_out.push(format!("interfaces {{ {} }}", names.join(", "))),
    }
}

fn tracked(out: &mut NftRule, words: &mut Words<'_>) {
    match words.next() {
        Some(what @ ("state" | "status")) => {
            let (not, values) = words.values();
            let option = if what == "state" { "--ctstate" } else { "--ctstatus" };
            // Whether it is translated is a state to iptables.
            let state = values.iter().any(|value| matches!(value.as_str(), "dnat" | "snat"));
            let option = if state { "--ctstate" } else { option };
            out.option(&["-m", "conntrack"], not, option, values.join(",").to_uppercase());
        }
        Some("mark") if words.skip("set") => {
            let (_, values) = words.values();
            out.target = ["CONNMARK", "--set-mark"].map(String::from).to_vec();
            out.target.extend(values.into_iter().take(1));
        }
        Some("mark") => out.single(&["-m", "connmark"], "--mark", words, "ct mark"),
        Some("helper") if words.skip("set") => {
            out.target = ["CT", "--helper"].map(String::from).to_vec();
            out.target.extend(words.next().map(String::from));
        }
        Some("helper") => out.single(&["-m", "helper"], "--helper", words, "ct helper"),
        Some("direction") => {
            let (not, values) = words.values();
            out.option(&["-m", "conntrack"], not, "--ctdir", values.join(",").to_uppercase());
        }
        other => out.left_out.push(format!("ct {}", other.unwrap_or(""))),
    }
}

fn transport(out: &mut NftRule, protocol: &str, words: &mut Words<'_>) {
    match words.next() {
        Some(side @ ("dport" | "sport")) => out.ports(protocol, side, words),
        Some("flags") => flags(out, words),
        Some("option") => {
            out.protocol(protocol);
            let what = [words.next(), words.next(), words.next(), words.next(), words.next()];
            if what.contains(&Some("mtu")) {
                out.target = ["TCPMSS", "--clamp-mss-to-pmtu"].map(String::from).to_vec();
            } else {
                let what: Vec<&str> = what.into_iter().flatten().collect();
                out.left_out.push(format!("tcp option {}", what.join(" ")));
            }
        }
        other => out.left_out.push(format!("{protocol} {}", other.unwrap_or(""))),
    }
}

/// `syn / fin,syn,rst,ack`, `& (fin|syn|rst|ack) == syn`, `syn`.
fn flags(out: &mut NftRule, words: &mut Words<'_>) {
    const ALL: &str = "FIN,SYN,RST,PSH,ACK,URG";
    let upper = |word: &str| word.replace(['|', ' '], ",").trim_matches(',').to_uppercase();
    let mut mask = String::new();
    let mut asked = String::new();
    let not;
    if words.skip("&") {
        let open = words.skip("(");
        while let Some(word) = words.next().filter(|word| !matches!(*word, ")" | "==" | "!=")) {
            mask = upper(&format!("{mask},{word}"));
            if !open {
                break;
            }
        }
        not = words.skip("!=");
        let _ = words.skip("==");
        let open = words.skip("(");
        while let Some(word) = words.next().filter(|word| *word != ")") {
            asked = upper(&format!("{asked},{word}"));
            if !open {
                break;
            }
        }
    } else {
        let (inverted, values) = words.values();
        not = inverted;
        asked = values.join(",").to_uppercase();
        mask = match words.skip("/") {
            true => words.values().1.join(",").to_uppercase(),
            // One that is named alone is looked at alone.
            false => asked.clone(),
        };
    }
    let asked = if matches!(asked.as_str(), "0X0" | "0") { "NONE".into() } else { asked };
    let mask = if mask.is_empty() { ALL.into() } else { mask };
    out.protocol("tcp");
    out.words.extend(["-m", "tcp"].map(String::from));
    out.words.extend(not.then(|| "!".to_string()));
    out.words.extend(["--tcp-flags".to_string(), mask, asked]);
}

fn mark(out: &mut NftRule, words: &mut Words<'_>) {
    if words.skip("set") {
        out.target = ["MARK", "--set-mark"].map(String::from).to_vec();
        out.target.extend(words.next().map(String::from));
    } else {
        out.single(&["-m", "mark"], "--mark", words, "mark");
    }
}

/// `fib daddr type local`.
fn addresses(out: &mut NftRule, words: &mut Words<'_>) {
    let side = words.next().unwrap_or("");
    let option = if side == "saddr" { "--src-type" } else { "--dst-type" };
    if matches!(side, "saddr" | "daddr") && words.skip("type") {
        let (not, values) = words.values();
        out.option(&["-m", "addrtype"], not, option, values.join(",").to_uppercase());
    } else {
        out.left_out.push(format!("fib {side}"));
    }
}

fn limit(out: &mut NftRule, words: &mut Words<'_>) {
    words.skip("rate");
    if words.skip("over") {
        out.left_out.push(format!("limit rate over {}", words.next().unwrap_or("")));
    } else if let Some(rate) = words.next() {
        out.option(&["-m", "limit"], false, "--limit", rate.to_string());
    }
    if words.skip("burst") {
        let burst = words.next().unwrap_or("5").to_string();
        if !out.left_out.iter().any(|left| left.starts_with("limit")) {
            out.words.extend(["--limit-burst".to_string(), burst]);
        }
        let _ = words.skip("packets");
    }
}

fn log(out: &mut NftRule, words: &mut Words<'_>) {
    let mut options = Vec::new();
    loop {
        if words.skip("prefix") {
            options.extend(["--log-prefix".to_string(), words.next().unwrap_or("").to_string()]);
        } else if words.skip("level") {
            options.extend(["--log-level".to_string(), words.next().unwrap_or("").to_string()]);
        } else if words.skip("flags") || words.skip("group") {
            words.next();
        } else {
            break;
        }
    }
    // A verdict may follow, of the same rule.
    match words.peek() {
        None | Some(";") => {
            out.target = vec!["LOG".to_string()];
            out.target.extend(options);
        }
        Some(_) => out.beside.push(format!("log {}", options.join(" ").trim())),
    }
}

fn target(out: &mut NftRule, verdict: &str, words: &mut Words<'_>) {
    let mut chosen: Vec<String> = Vec::new();
    match verdict {
        "jump" => chosen.extend(words.next().map(String::from)),
        "goto" => chosen.extend(["-g".to_string(), words.next().unwrap_or("").to_string()]),
        "reject" => {
            chosen.push("REJECT".into());
            if words.skip("with") {
                chosen.extend(rejected(words).into_iter().flatten());
            }
        }
        "snat" | "dnat" => {
            let _ = words.skip("ip") || words.skip("ip6");
            words.skip("to");
            let option = if verdict == "snat" { "--to-source" } else { "--to-destination" };
            chosen.extend([verdict.to_uppercase(), option.to_string()]);
            chosen.extend(words.next().map(String::from));
        }
        "redirect" => {
            chosen.push("REDIRECT".into());
            if words.skip("to") {
                let port = words.next().unwrap_or("").trim_start_matches(':').to_string();
                chosen.extend(["--to-ports".to_string(), port]);
            }
        }
        "queue" => chosen.push("NFQUEUE".into()),
        "continue" => return,
        other => chosen.push(other.to_uppercase()),
    }
    if !out.target.is_empty() {
        out.beside.push(out.target.join(" "));
    }
    out.target = chosen;
}

fn rejected(words: &mut Words<'_>) -> Option<[String; 2]> {
    let kind = words.next()?;
    let with = |value: String| Some(["--reject-with".to_string(), value]);
    if kind == "tcp" {
        words.skip("reset");
        return with("tcp-reset".into());
    }
    words.skip("type");
    match (kind, words.next()?) {
        ("icmp", reason) => with(format!("icmp-{}", reason.trim_start_matches("icmp-"))),
        ("icmpv6", reason) => with(format!("icmp6-{}", reason.trim_start_matches("icmp6-"))),
        ("icmpx", "admin-prohibited") => with("icmp-admin-prohibited".into()),
        ("icmpx", "host-unreachable") => with("icmp-host-unreachable".into()),
        ("icmpx", "no-route") => with("icmp-net-unreachable".into()),
        _ => None,
    }
}

/// Explains a line.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let read = read(line)?;
    let mut answer = Answer::new(input, "nft-rule");
    answer.say(
        Topic::Form,
        "form.nft",
        "A rule of nftables. It is told, and run, as the same rule in the words of iptables; what it does to \
         packets is the same.",
    );
    if !read.beside.is_empty() {
        answer.say(
            Topic::Form,
            "form.nft-beside",
            format!(
                "It does two things at once; beside what is told here also: {}.",
                read.beside.join("; ")
            ),
        );
    }
    if !read.left_out.is_empty() {
        let words = read.left_out.join("; ");
        answer.say(
            Topic::Fault,
            "fault.unread",
            format!(
                "This has no counterpart in one rule of iptables here and was left out: {words}"
            ),
        );
        answer.assume("words", format!("The rule was taken without: {words}."));
    }
    let family = read.family.unwrap_or(Family::V4);
    if read.family.is_none() {
        answer.assume("family", "It holds for both families: run with IPv4.");
    }
    let (table, chain) = where_it_stands(&mut answer, &read);
    let mut words = read.words;
    let goes = read.target.first().is_some_and(|word| word == "-g");
    words.extend((!goes && !read.target.is_empty()).then(|| "-j".to_string()));
    words.extend(read.target);
    let subject = Subject { family, table, chain, words, base: None };
    rule::explain(&mut answer, &subject, &Context::Alone);
    Some(answer)
}

/// nftables' tables and chains have the names that somebody chose; what is usual is taken.
fn where_it_stands(answer: &mut Answer, read: &NftRule) -> (String, String) {
    let (table, chain) = match read.target.first().map(String::as_str) {
        Some("CT" | "NOTRACK") => ("raw", "PREROUTING"),
        Some("DNAT" | "REDIRECT") => ("nat", "PREROUTING"),
        Some("SNAT" | "MASQUERADE") => ("nat", "POSTROUTING"),
        Some("TCPMSS") => ("mangle", "FORWARD"),
        Some("MARK" | "CONNMARK") => ("mangle", "PREROUTING"),
        _ => ("filter", "INPUT"),
    };
    let known = ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"];
    let named = read.place.as_ref().map(|(_, chain)| chain.to_uppercase());
    let found =
        named.as_ref().and_then(|named| known.iter().find(|known| named.ends_with(**known)));
    match (found, &read.place) {
        (Some(found), Some((_, name))) => {
            answer.assume(
                "chain",
                format!(
                    "Chains of nftables have the name that somebody chose, and their hook stands at the chain: \
                     {name} is taken for {found} of {table}."
                ),
            );
            (table.to_string(), (*found).to_string())
        }
        (None, Some((_, name))) => (table.to_string(), name.clone()),
        _ => {
            answer.assume(
                "chain",
                format!("It does not say its chain: taken as {chain} of {table}."),
            );
            (table.to_string(), chain.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iptables(line: &str) -> String {
        let read = read(line).expect(line);
        assert!(read.left_out.is_empty(), "{line}: {:?}", read.left_out);
        let target = read.target.join(" ");
        let jump = if target.starts_with("-g") || target.is_empty() { "" } else { "-j " };
        format!("{} {jump}{target}", read.words.join(" ")).trim().to_string()
    }

    #[test]
    fn rules_in_the_words_of_iptables() {
        for (nft, wanted) in [
            (
                "nft add rule inet filter input ct state established,related accept",
                "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            ),
            (
                "ct state { established, related } accept",
                "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            ),
            (
                "iifname \"eth0\" tcp dport 22 ct state new counter packets 3 bytes 180 accept",
                "-i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT",
            ),
            (
                "ip saddr != 10.0.0.0/8 udp dport { 53, 5000-5010 } drop",
                "! -s 10.0.0.0/8 -p udp -m multiport --dports 53,5000:5010 -j DROP",
            ),
            ("iif != lo reject with tcp reset", "! -i lo -j REJECT --reject-with tcp-reset"),
            ("oifname \"ppp0\" masquerade", "-o ppp0 -j MASQUERADE"),
            (
                "tcp flags & (fin|syn|rst|ack) == syn accept",
                "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT",
            ),
            (
                "limit rate 5/minute burst 10 packets log prefix \"no: \"",
                "-m limit --limit 5/minute --limit-burst 10 -j LOG --log-prefix no: ",
            ),
            (
                "tcp dport 8080 dnat to 192.168.1.10:80",
                "-p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.1.10:80",
            ),
            ("ip protocol icmp jump pings", "-p icmp -j pings"),
        ] {
            assert_eq!(iptables(nft).trim_end(), wanted.trim_end(), "{nft}");
        }
    }

    #[test]
    fn what_is_no_such_rule() {
        for other in [
            "nft list ruleset",
            "table inet filter {",
            "tcp 6 431999 ESTABLISHED",
            "ip addr",
            "accept",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
