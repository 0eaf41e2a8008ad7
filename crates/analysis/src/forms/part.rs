//! Some words of a rule, without the chain that it stands in: `-m state --state NEW`, `! -i lo`, `INVALID -j DROP`,
//! the end of a row of a listing. They are made a whole rule with as little as the parser asks for, and what was put
//! in is said.

use crate::answer::{Answer, Fact, Topic};
use crate::experiment::Context;
use crate::explain::place_of;
use crate::rule::words::{OptionWords, RuleWords, STATES};
use crate::rule::{self, Subject, understand};
use keepstate_packet::Family;
use keepstate_ruleset::matches::MATCHES;
use keepstate_ruleset::syntax::{iptables_command, iptables_list};
use keepstate_ruleset::targets::TARGETS;

/// Longest part that is tried, in bytes.
const BYTES_MAX: usize = 1024;
/// Most extensions that are tried for words that none brings in.
const OWNERS_MAX: usize = 12;

/// A part of a rule, made whole.
#[derive(Clone, Debug)]
struct Part {
    subject: Subject,
    /// What was put before its words, such as `-p tcp`.
    added: Vec<String>,
    /// The target that it is tried with, where it names none.
    target: Option<&'static str>,
    /// Whether it reads as the end of a listing's row.
    listed: bool,
}

/// Whether the line is some words of a rule.
#[must_use]
pub fn is_part(line: &str) -> bool {
    read(line).is_some()
}

/// Explains it as the rule that it is a part of.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let part = read(line)?;
    let mut answer = Answer::new(input, "rule-part");
    let Subject { table, chain, family, .. } = &part.subject;
    let what = match (part.listed, part.target) {
        (true, _) => {
            "The end of a row of a listing: what the rule asks for, without its chain and its target"
        }
        (false, Some(_)) => {
            "A part of a rule: what it asks for, without its chain and without what is done with a packet \
             that matches"
        }
        (false, None) => "A part of a rule, without the chain that it stands in",
    };
    answer.say(Topic::Form, "form.part", format!("{what}. What is missing was put in, to run it."));
    let program = if *family == Family::V6 { "ip6tables" } else { "iptables" };
    let target = part.target.map_or(String::new(), |target| format!(", with -j {target}"));
    answer.add(
        Topic::Short,
        Fact::Field {
            field: "taken as".into(),
            text: format!("a rule of {program} in {chain} of {table}{target}"),
        },
    );
    answer.assume("chain", format!("No chain is named: taken as {chain} of {table}."));
    if let Some(target) = part.target {
        let text = format!(
            "No target is named: taken with -j {target}, as such words mostly stand. With another one the \
             same packets match, and fare otherwise."
        );
        answer.assume("target", text);
    }
    if !part.added.is_empty() {
        let text = format!(
            "`{}` was put before it, without which iptables does not know these words.",
            part.added.join(" ")
        );
        answer.assume("words", text);
    }
    rule::explain(&mut answer, &part.subject, &Context::Alone);
    Some(answer)
}

fn read(line: &str) -> Option<Part> {
    let line = line.trim();
    if line.len() > BYTES_MAX {
        return None;
    }
    let words = iptables_command::split(line)?;
    let words = with_states(words);
    let first = words.first()?;
    let option = |word: &str| word.len() > 1 && word.starts_with('-');
    let begins = option(first) || first == "!" && words.get(1).is_some_and(|word| option(word));
    match begins {
        true => of_options(&words),
        false => of_listing(line),
    }
}

/// `INVALID -j DROP`, `state NEW`, `NEW,ESTABLISHED`: with the match that such a word belongs to.
fn with_states(words: Vec<String>) -> Vec<String> {
    let states = |word: &String| word.split(',').all(|state| STATES.contains(&state));
    let bare =
        |words: &[String]| words.get(1).is_none_or(|word| word.starts_with('-') || word == "!");
    let (option, skipped) = match words.first().map(String::as_str) {
        Some("state" | "--state") => (["state", "--state"], 1),
        Some("ctstate" | "--ctstate") => (["conntrack", "--ctstate"], 1),
        _ => (["conntrack", "--ctstate"], 0),
    };
    let rest = words.get(skipped..).unwrap_or(&[]);
    if rest.first().is_some_and(states) && bare(rest) {
        let head = ["-m"].into_iter().chain(option).map(String::from);
        return head.chain(rest.iter().cloned()).collect();
    }
    words
}

/// Words as a command has them.
fn of_options(words: &[String]) -> Option<Part> {
    // A command, and what belongs to the program and not to the rule, is another form.
    const NOT_OF_RULES: [&str; 14] =
        ["-A", "-I", "-D", "-R", "-C", "-P", "-N", "-X", "-F", "-L", "-S", "-Z", "-E", "--append"];
    if words.iter().any(|word| NOT_OF_RULES.contains(&word.as_str())) {
        return None;
    }
    let (named, words) = table_of(words);
    let target = words.iter().skip_while(|word| !matches!(word.as_str(), "-j" | "--jump")).nth(1);
    let places = places(&words, target.map(String::as_str), named.as_deref());
    let v6 = words.iter().any(|word| {
        matches!(
            word.as_str(),
            "icmpv6" | "ipv6-icmp" | "icmp6" | "--icmpv6-type" | "hl" | "--hl-eq"
        ) || word.contains("icmp6-")
            || word.split('/').next().is_some_and(|one| one.parse::<std::net::Ipv6Addr>().is_ok())
    });
    let family = if v6 { Family::V6 } else { Family::V4 };
    for added in additions(&words, family) {
        for (table, chain) in &places {
            let subject = Subject {
                family,
                table: (*table).to_string(),
                chain: (*chain).to_string(),
                words: added.iter().chain(&words).cloned().collect(),
                base: None,
            };
            if understand(&subject).faults.is_empty() {
                return Some(whole(subject, added, false));
            }
        }
    }
    None
}

/// `-t nat`, and the words without it.
fn table_of(words: &[String]) -> (Option<String>, Vec<String>) {
    let at = words.iter().position(|word| matches!(word.as_str(), "-t" | "--table"));
    let Some(at) = at else { return (None, words.to_vec()) };
    let mut rest = words.to_vec();
    let taken: Vec<String> = rest.drain(at..(at + 2).min(words.len())).collect();
    (taken.into_iter().nth(1), rest)
}

/// Where such words may stand, the likeliest place first.
fn places(
    words: &[String],
    target: Option<&str>,
    table: Option<&str>,
) -> Vec<(&'static str, &'static str)> {
    const ALL: [(&str, &str); 8] = [
        ("filter", "INPUT"),
        ("filter", "OUTPUT"),
        ("filter", "FORWARD"),
        ("mangle", "PREROUTING"),
        ("mangle", "FORWARD"),
        ("nat", "PREROUTING"),
        ("nat", "POSTROUTING"),
        ("raw", "PREROUTING"),
    ];
    let has = |short: &str, long: &str| words.iter().any(|word| word == short || word == long);
    let usual = match (has("-i", "--in-interface"), has("-o", "--out-interface")) {
        (true, true) => Some(("filter", "FORWARD")),
        _ => None,
    };
    core::iter::once(place_of(target))
        .chain(usual.filter(|_| target.is_none_or(|name| place_of(Some(name)).1 == "INPUT")))
        .chain(ALL)
        .filter(|(of, _)| table.is_none_or(|table| table == *of))
        .collect()
}

/// What may have to stand before words for the parser to know them: nothing, a protocol, the match or the target that
/// an option is of.
fn additions(words: &[String], family: Family) -> Vec<Vec<String>> {
    let protocols: &[&[&str]] = match family {
        Family::V4 => &[&[], &["-p", "tcp"], &["-p", "icmp"]],
        Family::V6 => &[&[], &["-p", "ipv6-icmp"], &["-p", "tcp"]],
    };
    let named = words.iter().any(|word| matches!(word.as_str(), "-p" | "--protocol"));
    let protocols = if named { protocols.get(..1).unwrap_or(protocols) } else { protocols };
    let asked: Vec<&str> =
        words.iter().filter(|word| word.starts_with("--")).map(String::as_str).collect();
    // An extension's page names its options.
    let has = |page: &str| {
        page.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| asked.contains(&word))
    };
    let jumps = words.iter().any(|word| matches!(word.as_str(), "-j" | "--jump" | "-g" | "--goto"));
    let matches = MATCHES.iter().filter(|one| has(one.manual)).map(|one| ["-m", one.name]);
    let targets =
        TARGETS.iter().filter(|one| !jumps && has(one.manual)).map(|one| ["-j", one.name]);
    let owners: Vec<[&str; 2]> = matches.chain(targets).take(OWNERS_MAX).collect();
    let mut all: Vec<Vec<&str>> = Vec::new();
    for owner in core::iter::once(None).chain(owners.iter().map(Some)) {
        for protocol in protocols {
            all.push(protocol.iter().chain(owner.into_iter().flatten()).copied().collect());
        }
    }
    for (at, one) in owners.iter().enumerate() {
        for other in owners.iter().skip(at + 1) {
            for protocol in protocols {
                all.push(protocol.iter().chain(one).chain(other).copied().collect());
            }
        }
    }
    all.into_iter().map(|words| words.into_iter().map(String::from).collect()).collect()
}

/// The end of a row: what stands behind the addresses.
fn of_listing(line: &str) -> Option<Part> {
    let first = line.split_whitespace().next()?;
    // A row has no capital there, but in what a target of its own says.
    let target = match first {
        "LOG" | "TCPMSS" | "CT" | "TOS" | "DSCP" | "NFLOG" => first,
        _ if line.contains("reject-with") => "REJECT",
        _ if first.starts_with("to:") => "DNAT",
        _ if first.starts_with(|c: char| c.is_ascii_lowercase()) => "ACCEPT",
        _ => return None,
    };
    let protocol = match first {
        "tcp" | "udp" | "sctp" | "icmp" | "ipv6-icmp" => first,
        _ if first.starts_with("to:") => "tcp",
        _ => "all",
    };
    let row = iptables_list::read_row(&format!("{target} {protocol} -- anywhere anywhere {line}"))?;
    if !row.unread.is_empty() || row.matches.is_empty() && row.target_options.is_empty() {
        return None;
    }
    let mut words = iptables_command::split(&row.save_words())?;
    if target == "ACCEPT" {
        let at = words.iter().position(|word| word == "-j")?;
        words.truncate(at);
    }
    let (table, chain) = place_of(Some(target));
    let family = if row.v6 { Family::V6 } else { Family::V4 };
    let subject = Subject { family, table: table.into(), chain: chain.into(), words, base: None };
    understand(&subject).faults.is_empty().then(|| whole(subject, Vec::new(), true))
}

/// The part with a target, where it has none.
fn whole(mut subject: Subject, added: Vec<String>, listed: bool) -> Part {
    let rule = understand(&subject).rule;
    let target = rule.target.is_none().then(|| usual_target(&rule)).flatten();
    if let Some(target) = target {
        subject.words.extend(["-j".to_string(), target.to_string()]);
    }
    Part { subject, added, target, listed }
}

/// What is mostly done with packets that a rule asks for; `None` where such rules stand without a target.
fn usual_target(rule: &RuleWords) -> Option<&'static str> {
    let any = |names: &[&str], of: &dyn Fn(&OptionWords) -> bool| rule.options(names).any(of);
    if any(&["--set"], &|option| !option.not) {
        return None;
    }
    let outside = rule.header("-i").is_some_and(|option| option.not && option.value() == "lo");
    let odd = any(&["--tcp-flags"], &|option| {
        option.not || option.values.get(1).map(String::as_str) != Some("SYN")
    });
    let too_much =
        ["--update", "--rcheck", "--connlimit-above", "--hashlimit-above", "--match-set"];
    let invalid = rule.states().is_some_and(|states| states == ["INVALID"]);
    let dropped = outside || odd || invalid || any(&too_much, &|option| !option.not);
    Some(if dropped { "DROP" } else { "ACCEPT" })
}
