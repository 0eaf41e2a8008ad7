//! What is expected, in words: `accept NEW at FORWARD by filter:FORWARD:2 from 198.51.100.7`.

use super::Setup;
use crate::prose;
use crate::trace::notation::words::Word;
use keepstate_conntrack::{CtState, Direction, Hook};
use keepstate_engine::{Cause, Verdict};
use keepstate_packet::{Family, tcp};
use keepstate_ruleset::diagnostic::{Lines, nearest};
use keepstate_ruleset::model::{ChainIndex, NfProto, Ruleset, Span, TableName, builtin_name};
use keepstate_ruleset::syntax::iptables_save::{self, print_rule};
use std::net::{IpAddr, SocketAddr};

/// Something that is expected of a packet, or of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Behind `not`.
    pub not: bool,
    /// What.
    pub what: Expected,
    /// Its words.
    pub text: String,
    /// Where they stand.
    pub span: Span,
}

/// What is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The packet's verdict: `accept` is to leave, or to reach the host itself.
    Verdict(Verdict),
    /// It reaches the host itself.
    Local,
    /// What tracking says.
    State(CtState),
    /// The direction in its connection.
    Direction(Direction),
    /// It passes this hook; of one that is not accepted the last hook.
    At(Hook),
    /// It leaves by this interface.
    Out(String),
    /// What decided.
    By(Decider),
    /// A rule whose matches all say yes, in whichever table.
    Matches(Decider),
    /// Its source as it leaves, or as the host itself sees it.
    From(End),
    /// Its destination then.
    To(End),
    /// Neither is translated.
    Untranslated,
    /// Its mark when its way ends.
    Mark(u32),
    /// The mark of its connection then.
    ConnMark(u32),
    /// The state of its connection's protocol then: `SYN_SENT`.
    Protocol(String),
    /// The helper of its connection.
    Helper(String),
    /// A line of the log that holds this text; any line.
    Log(Option<String>),
    /// Why it is INVALID, or dropped by no rule.
    Reason(String),
    /// What the filter or the host sends on account of it.
    Answer(Answer),
    /// What a conversation comes to; see [`super::Fate`].
    Fate,
}

/// A rule, or the policy of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// One of these rules.
    Rules(Vec<(TableName, ChainIndex, u32)>),
    /// The policy of a chain.
    Policy(TableName, ChainIndex),
}

/// An end of a packet, or half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Address; any when `None`.
    pub address: Option<IpAddr>,
    /// Port; any when `None`.
    pub port: Option<u16>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Any.
    Any,
    /// A TCP segment with these flags.
    Tcp(u8),
    /// An ICMP or ICMPv6 message of this type and code.
    Icmp(u8, u8),
    /// A datagram.
    Udp,
}

/// What cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Byte of the line.
    pub at: usize,
    /// Bytes of the words at fault.
    pub length: usize,
    /// What is wrong.
    pub text: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Wrong {
    pub(super) fn at(word: &Word, text: impl Into<String>) -> Self {
        Self { at: word.at, length: length(word), text: text.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Bytes of a word, quotes and all; escapes are taken for one byte.
pub(super) fn length(word: &Word) -> usize {
    word.text.len() + if word.quoted { 2 } else { 0 }
}

/// What the words are read beside.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    /// Of the packet.
    pub(super) family: Family,
    pub(super) setup: &'a Setup,
    /// The line, and the byte of the file at which it begins.
    pub(super) line: &'a str,
    pub(super) line_at: usize,
}

const VERDICTS: [(&str, Verdict); 6] = [
    ("accept", Verdict::Accept),
    ("drop", Verdict::Drop),
    ("reject", Verdict::Reject),
    ("queue", Verdict::Queue),
    ("stolen", Verdict::Stolen),
    ("held", Verdict::Held),
];
const STATES: [(&str, CtState); 5] = [
    ("NEW", CtState::New),
    ("ESTABLISHED", CtState::Established),
    ("RELATED", CtState::Related),
    ("INVALID", CtState::Invalid),
    ("UNTRACKED", CtState::Untracked),
];
const DIRECTIONS: [(&str, Direction); 2] =
    [("original", Direction::Original), ("reply", Direction::Reply)];
const HOOKS: [Hook; 5] =
    [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
/// Words that begin an expectation, for what is nearly one.
const OTHERS: [&str; 15] = [
    "local",
    "at",
    "out",
    "by",
    "matches",
    "from",
    "to",
    "untranslated",
    "mark=",
    "ctmark=",
    "state=",
    "helper=",
    "log",
    "answer",
    "with",
];

fn named<T: Copy>(all: &[(&str, T)], word: &Word) -> Option<T> {
    all.iter().find(|(name, _)| word.is(name)).map(|(_, value)| *value)
}

/// Reads the words behind an arrow.
pub(super) fn read(words: &[Word], beside: Beside<'_>) -> Result<Vec<Expectation>, Wrong> {
    let mut rest = words.iter();
    let mut all = Vec::new();
    while let Some(first) = rest.next() {
        let not = first.is("not");
        let word =
            if not { rest.next().ok_or_else(|| lonely(first, "an expectation"))? } else { first };
        let mut last = word;
        let what = {
            let mut next = |wanted: &str| -> Result<&Word, Wrong> {
                last = rest.next().ok_or_else(|| lonely(last, wanted))?;
                Ok(last)
            };
            one(word, &mut next, beside)?
        };
        // `answer tcp RST ACK` and `by line 3` go on.
        let what = match what {
            Expected::Answer(Answer::Tcp(mut flags)) => {
                while let Some(flag) = rest.as_slice().first().and_then(flag) {
                    flags |= flag;
                    last = rest.next().unwrap_or(last);
                }
                Expected::Answer(Answer::Tcp(flags))
            }
            what => what,
        };
        let (start, end) = (first.at, last.at + length(last));
        let span = super::markdown::span(beside.line_at + start, beside.line_at + end);
        let text = beside.line.get(start..end).unwrap_or("").to_owned();
        all.push(Expectation { not, what, text, span });
    }
    Ok(all)
}

fn lonely(word: &Word, wanted: &str) -> Wrong {
    Wrong::at(word, format!("{}: {wanted} is to stand behind it", word.text))
}

fn flag(word: &Word) -> Option<u8> {
    const FLAGS: [(&str, u8); 8] = [
        ("syn", tcp::SYN),
        ("fin", tcp::FIN),
        ("rst", tcp::RST),
        ("psh", tcp::PSH),
        ("ack", tcp::ACK),
        ("urg", tcp::URG),
        ("ece", tcp::ECE),
        ("cwr", tcp::CWR),
    ];
    let plain = (!word.quoted).then(|| word.text.to_lowercase())?;
    FLAGS.iter().find(|(name, _)| *name == plain).map(|(_, bit)| *bit)
}

type Next<'n, 'w> = dyn FnMut(&str) -> Result<&'w Word, Wrong> + 'n;

fn one<'w>(word: &'w Word, next: &mut Next<'_, 'w>, beside: Beside<'_>) -> Result<Expected, Wrong> {
    if word.quoted {
        return Err(Wrong::at(word, "a text in quotes stands behind `log`, `by` or `matches`"));
    }
    let name = named(&VERDICTS, word).map(Expected::Verdict);
    let name = name.or_else(|| named(&STATES, word).map(Expected::State));
    let name = name.or_else(|| named(&DIRECTIONS, word).map(Expected::Direction));
    if let Some(known) = name {
        return Ok(known);
    }
    if let Some(reason) = word.text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        return self::reason(word, reason);
    }
    Ok(match word.text.as_str() {
        "local" => Expected::Local,
        "untranslated" => Expected::Untranslated,
        "at" => Expected::At(hook(next("a hook")?)?),
        "out" => Expected::Out(interface(next("an interface")?, beside.setup)?),
        "by" => Expected::By(decider(next("a rule")?, next, beside)?),
        "matches" => Expected::Matches(decider(next("a rule")?, next, beside)?),
        "from" => Expected::From(end(next("an address")?)?),
        "to" => Expected::To(end(next("an address")?)?),
        "log" => Expected::Log(
            Some(text(next("a text in quotes, or `any`,")?)?).filter(|t| !t.is_empty()),
        ),
        "answer" => Expected::Answer(answer(next("`any`, `tcp`, `udp` or `icmp`")?, next)?),
        "with" => Expected::Answer(with(next("what REJECT rejects with")?, beside.family)?),
        _ => return with_value(word),
    })
}

/// `mark=0x1`, `ctmark=2`, `state=SYN_SENT`, `helper=ftp`.
fn with_value(word: &Word) -> Result<Expected, Wrong> {
    if word.text.contains('=') && word.value().is_empty() {
        return Err(Wrong::at(word, format!("{}: a value is to stand behind it", word.text)));
    }
    let number = || {
        word.number::<u32>().map_err(|(at, text)| Wrong {
            at,
            length: word.value().len(),
            text,
            help: None,
        })
    };
    match (word.name(), word.text.contains('=')) {
        ("mark", true) => Ok(Expected::Mark(number()?)),
        ("ctmark", true) => Ok(Expected::ConnMark(number()?)),
        ("state", true) => Ok(Expected::Protocol(word.value().to_owned())),
        ("helper", true) => Ok(Expected::Helper(word.value().to_owned())),
        _ => {
            let names = VERDICTS.iter().map(|(name, _)| *name).chain(OTHERS);
            let names = names.chain(STATES.iter().map(|(name, _)| *name));
            let near = nearest(&word.text, names.chain(["original", "reply", "not", "passes"]));
            let fault = Wrong::at(word, format!("{}: nothing that can be expected", word.text));
            Err(match near {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help("docs/tests.md lists what can be expected"),
            })
        }
    }
}

fn reason(word: &Word, text: &str) -> Result<Expected, Wrong> {
    let causes = Cause::ALL.iter().map(|cause| cause.code());
    let all: Vec<&str> =
        causes.chain(prose::reasons::REASONS.iter().map(|reason| reason.code)).collect();
    if all.contains(&text) {
        return Ok(Expected::Reason(text.to_owned()));
    }
    let fault = Wrong::at(word, format!("{text}: no reason of a drop or of INVALID"));
    Err(match nearest(text, all.into_iter()) {
        Some(near) => fault.help(format!("did you mean `({near})`?")),
        None => fault.help("docs/tests.md lists them"),
    })
}

fn hook(word: &Word) -> Result<Hook, Wrong> {
    let found = HOOKS.into_iter().find(|hook| word.is(builtin_name(*hook)));
    let names = HOOKS.map(builtin_name);
    found.ok_or_else(|| {
        Wrong::at(word, format!("{}: no hook; there are {}", word.text, names.join(", ")))
    })
}

fn interface(word: &Word, setup: &Setup) -> Result<String, Wrong> {
    let names: Vec<_> = setup.host.interfaces.iter().map(|one| one.name.to_string()).collect();
    if names.contains(&word.text) || word.is("lo") {
        return Ok(word.text.clone());
    }
    let text = format!("the host has no interface {}; it has {}", word.text, names.join(", "));
    Err(Wrong::at(word, text))
}

/// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, `:PORT`.
fn end(word: &Word) -> Result<End, Wrong> {
    let text = word.text.as_str();
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok(End { address: None, port: Some(port) });
    }
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Ok(End { address: Some(both.ip()), port: Some(both.port()) });
    }
    match text.parse() {
        Ok(address) => Ok(End { address: Some(address), port: None }),
        Err(_) => Err(Wrong::at(word, format!("{text}: want ADDRESS, ADDRESS:PORT or :PORT"))),
    }
}

/// A text in quotes; empty for `any`.
fn text(word: &Word) -> Result<String, Wrong> {
    match word.quoted || word.is("any") {
        true if word.quoted && word.text.is_empty() => {
            Err(Wrong::at(word, "an empty text; `any` is any line"))
        }
        true if word.quoted => Ok(word.text.clone()),
        true => Ok(String::new()),
        false => Err(Wrong::at(word, format!("{}: want a text in quotes, or `any`", word.text))),
    }
}

fn answer<'w>(word: &'w Word, next: &mut Next<'_, 'w>) -> Result<Answer, Wrong> {
    match word.text.as_str() {
        "any" => Ok(Answer::Any),
        "udp" => Ok(Answer::Udp),
        "tcp" => {
            let first = next("flags, such as `RST ACK`,")?;
            let bits = flag(first);
            bits.map(Answer::Tcp)
                .ok_or_else(|| Wrong::at(first, format!("{}: no flag of TCP", first.text)))
        }
        "icmp" | "icmpv6" => {
            let kind = next("TYPE/CODE")?;
            let both = kind.text.split_once('/').and_then(|(kind, code)| {
                Some(Answer::Icmp(kind.parse().ok()?, code.parse().ok()?))
            });
            both.ok_or_else(|| Wrong::at(kind, format!("{}: want TYPE/CODE", kind.text)))
        }
        other => {
            let text = format!("{other}: want `any`, `tcp`, `udp`, `icmp` or `icmpv6`");
            Err(Wrong::at(word, text))
        }
    }
}

/// As behind `--reject-with`.
fn with(word: &Word, family: Family) -> Result<Answer, Wrong> {
    let name = word.text.as_str();
    if word.is("tcp-reset") {
        return Ok(Answer::Tcp(tcp::RST));
    }
    let known = match family {
        Family::V4 => V4_REJECTS.as_slice(),
        Family::V6 => V6_REJECTS.as_slice(),
    };
    if let Some((_, kind, code)) = known.iter().find(|(known, ..)| *known == name) {
        return Ok(Answer::Icmp(*kind, *code));
    }
    let fault = Wrong::at(word, format!("{name}: nothing that REJECT rejects with"));
    let names = known.iter().map(|(name, ..)| *name);
    Err(match nearest(name, names.clone().chain(["tcp-reset"])) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => {
            fault.help(format!("there are {} and tcp-reset", names.collect::<Vec<_>>().join(", ")))
        }
    })
}

/// `--reject-with`, type and code (iptables-extensions(8), RFC 792, RFC 1122, RFC 1812).
const V4_REJECTS: [(&str, u8, u8); 7] = [
    ("icmp-net-unreachable", 3, 0),
    ("icmp-host-unreachable", 3, 1),
    ("icmp-proto-unreachable", 3, 2),
    ("icmp-port-unreachable", 3, 3),
    ("icmp-net-prohibited", 3, 9),
    ("icmp-host-prohibited", 3, 10),
    ("icmp-admin-prohibited", 3, 13),
];
/// The same of IPv6 (RFC 4443).
const V6_REJECTS: [(&str, u8, u8); 6] = [
    ("icmp6-no-route", 1, 0),
    ("icmp6-adm-prohibited", 1, 1),
    ("icmp6-addr-unreachable", 1, 3),
    ("icmp6-port-unreachable", 1, 4),
    ("icmp6-policy-fail", 1, 5),
    ("icmp6-reject-route", 1, 6),
];

/// `TABLE:CHAIN:NUMBER`, `TABLE:CHAIN:policy`, `line N`, a rule in quotes.
fn decider<'w>(
    word: &'w Word,
    next: &mut Next<'_, 'w>,
    beside: Beside<'_>,
) -> Result<Decider, Wrong> {
    let family = beside.family;
    let tool = NfProto::from(family).tool();
    let Some(ruleset) = beside.setup.ruleset(family) else {
        return Err(Wrong::at(word, format!("there are no rules of {tool} above this test")));
    };
    if word.quoted {
        return by_text(word, ruleset);
    }
    if word.is("line") {
        return by_line(next("the number of a line")?, ruleset, beside.setup);
    }
    let mut parts = word.text.split(':');
    let (Some(table), Some(chain), Some(number), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        let text = format!(
            "{}: want TABLE:CHAIN:NUMBER, TABLE:CHAIN:policy, `line N` or a rule in quotes",
            word.text
        );
        return Err(Wrong::at(word, text));
    };
    let found = NfProto::from(family).table_named(table).and_then(|name| ruleset.table(name));
    let Some(found) = found else {
        return Err(Wrong::at(word, format!("the rules of {tool} have no table {table}")));
    };
    let Some(index) = found.chain_named(chain) else {
        let fault = Wrong::at(word, format!("table {table} has no chain {chain}"));
        let near = nearest(chain, found.chains.iter().map(|chain| chain.name.as_str()));
        return Err(match near {
            Some(near) => fault.help(format!("did you mean `{table}:{near}:{number}`?")),
            None => fault,
        });
    };
    let rules = found.chain(index).map_or(0, |chain| chain.rules.len());
    let is_builtin = found.chain(index).is_some_and(|chain| chain.policy.is_some());
    match (number, number.parse::<u32>()) {
        ("policy", _) if is_builtin => Ok(Decider::Policy(found.name, index)),
        ("policy", _) => Err(Wrong::at(word, format!("chain {chain} has no policy"))),
        (_, Ok(number)) if number > 0 && number as usize <= rules => {
            Ok(Decider::Rules(vec![(found.name, index, number - 1)]))
        }
        (number, Ok(_)) => {
            Err(Wrong::at(word, format!("chain {chain} has no rule {number}; it has {rules}")))
        }
        (number, Err(_)) => Err(Wrong::at(word, format!("{number}: want a number or `policy`"))),
    }
}

fn all_rules(
    ruleset: &Ruleset,
) -> impl Iterator<Item = (TableName, ChainIndex, u32, Span, String)> {
    let family = ruleset.family;
    ruleset.tables.iter().flat_map(move |table| {
        (0..).zip(&table.chains).flat_map(move |(at, chain)| {
            (0..).zip(&chain.rules).map(move |(number, rule)| {
                let text = print_rule(family, table, &chain.name, rule);
                (table.name, ChainIndex(at), number, rule.span, text)
            })
        })
    })
}

fn by_line(word: &Word, ruleset: &Ruleset, setup: &Setup) -> Result<Decider, Wrong> {
    let line: u32 = word
        .text
        .parse()
        .map_err(|_| Wrong::at(word, format!("{}: want the number of a line", word.text)))?;
    let text = setup.rules.iter().find(|text| text.family == ruleset.family);
    let Some(text) = text else { return Err(Wrong::at(word, "there are no rules")) };
    let lines = Lines::of(&text.source);
    let here = |span: Span| lines.line(span).map(|at| at + text.lines_before) == Some(line);
    let rules = all_rules(ruleset).filter(|(.., span, _)| here(*span));
    let rules: Vec<_> = rules.map(|(table, chain, number, ..)| (table, chain, number)).collect();
    match rules.is_empty() {
        true => Err(Wrong::at(word, format!("line {line} of {} is no rule", text.name))),
        false => Ok(Decider::Rules(rules)),
    }
}

fn by_text(word: &Word, ruleset: &Ruleset) -> Result<Decider, Wrong> {
    let wanted = word.text.trim();
    // As the parser itself writes it, where it can be read alone; a jump to a chain of the file cannot.
    let alone = format!("*filter\n{wanted}\nCOMMIT\n");
    let alone = iptables_save::parse(&alone, ruleset.family).ok();
    let printed = alone.and_then(|one| all_rules(&one).next()).map(|(.., text)| text);
    let same = |text: &str| text == wanted || Some(text) == printed.as_deref();
    let rules = all_rules(ruleset).filter(|(.., text)| same(text));
    let rules: Vec<_> = rules.map(|(table, chain, number, ..)| (table, chain, number)).collect();
    if !rules.is_empty() {
        return Ok(Decider::Rules(rules));
    }
    let fault = Wrong::at(word, "the rule set has no such rule");
    let texts: Vec<String> = all_rules(ruleset).map(|(.., text)| text).collect();
    Err(match nearest(wanted, texts.iter().map(String::as_str)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault,
    })
}
