//! Tests that notice what no test does: a packet or a conversation whose fate is another one under the changed
//! rules, with its present fate as what is expected. Each is played on both before it is shown.

mod pool;

use super::mutate::{Mutant, Shift};
use super::observe::Observed;
use super::run::{Bench, Watched};
use super::{Fate, Form, Setup, Test, read};
use crate::experiment::{direction_name, state_name};
use crate::rule::words::RuleWords;
use keepstate_engine::{Engine, Verdict};
use keepstate_packet::{Family, L4, Parsed, tcp};
use keepstate_ruleset::syntax::iptables_command;
use pool::Pool;
use std::net::SocketAddr;

/// Most conversations and packets that are tried for one change.
pub const PROBES_MAX: usize = 6_000;

/// Lines that are tried: one that goes before, if any, and one whose fate is looked at.
#[derive(Clone, Debug)]
struct Probe {
    before: Option<String>,
    line: String,
    is_conversation: bool,
}

/// A test that was found.
#[derive(Clone, Debug)]
pub struct Suggested {
    /// What it shows.
    pub name: String,
    /// Its lines.
    lines: String,
}

impl Suggested {
    /// As it stands in a file of this form.
    #[must_use]
    pub fn text(&self, form: Form) -> String {
        let Self { name, lines } = self;
        match form {
            Form::Markdown => format!("## {name}\n\n```packets\n{lines}\n```\n"),
            Form::Toml => {
                let name = name.replace('\'', "`");
                format!("[[test]]\nname = '{name}'\npackets = '''\n{lines}\n'''\n")
            }
        }
    }

    /// Whether it fails under changed rules.
    ///
    /// # Errors
    /// When no filter can be made of them.
    pub fn notices(&self, setup: &Setup, family: Family, source: &str) -> Result<bool, String> {
        let mut bench = Bench::new(setup, Some((source, family)))?;
        Ok(!holds(setup, &self.lines, &mut bench))
    }
}

/// A test that passes under the rules of a setup and fails under the changed ones.
///
/// # Errors
/// Why there is none.
pub fn test(
    setup: &Setup,
    family: Family,
    mutant: &Mutant,
    source: &str,
) -> Result<Suggested, String> {
    let mut was = Bench::new(setup, None)?;
    let mut is = Bench::new(setup, Some((source, family)))?;
    let rules = [Some(&mutant.rule), mutant.instead.as_ref(), mutant.next.as_ref()];
    let words = rules.into_iter().flatten().filter_map(|rule| words(family, rule));
    let pool = Pool::new(setup, was.engine(), family, &words.collect::<Vec<_>>());
    let mut tried = 0;
    for probe in pool.probes().take(PROBES_MAX) {
        tried += 1;
        let lines = format!("{}{}", probe.before.as_deref().unwrap_or(""), probe.line);
        let Ok(items) = read::lines(setup, &lines) else { continue };
        let (one, other) = (was.watch(&items), is.watch(&items));
        let (Some(one), Some(other)) = (one.last(), other.last()) else { continue };
        let Some(expected) = difference(&probe, one, other, was.engine()) else { continue };
        let lines = format!("{lines} -> {expected}");
        if holds(setup, &lines, &mut was) && !holds(setup, &lines, &mut is) {
            return Ok(Suggested { name: name(mutant), lines });
        }
    }
    Err(format!("no packet and no conversation of {tried} that were tried fares otherwise"))
}

fn words(family: Family, rule: &str) -> Option<RuleWords> {
    let words = iptables_command::split(rule)?;
    let [add, chain, rest @ ..] = words.as_slice() else { return None };
    (add == "-A").then(|| RuleWords::read(family, "filter", chain, rest))
}

/// Whether lines do what they say.
fn holds(setup: &Setup, text: &str, bench: &mut Bench) -> bool {
    let Ok(items) = read::lines(setup, text) else { return false };
    let test = Test { name: String::new(), line: 0, setup: 0, items };
    bench.passes(&test, Shift::Same)
}

/// What the test shows that notices a change.
fn name(mutant: &Mutant) -> String {
    let (place, change) = (&mutant.place, mutant.change.as_str());
    let change = change.replace(['\n', '\r'], " ");
    if let Some((was, is)) = change.split_once(" becomes ") {
        return format!("{place} has {was}, not {is}");
    }
    match (mutant.shift, change.strip_prefix("without ")) {
        (Shift::Dropped(_), _) => format!("{place} is needed"),
        (Shift::Swapped(_), _) => format!("{place} stands before the next rule"),
        (Shift::Same, Some(what)) => format!("{place} asks for {what}"),
        (Shift::Same, None) => {
            format!("{place} is {}", mutant.rule.rsplit(' ').next().unwrap_or(""))
        }
    }
}

/// What is to be expected where the two have fared otherwise.
fn difference(probe: &Probe, one: &Watched, other: &Watched, engine: &Engine) -> Option<String> {
    let fate = |watched: &Watched| match watched.fate? {
        Fate::Passes => Some("passes".to_owned()),
        Fate::Breaks(1) => Some("never begins".to_owned()),
        Fate::Breaks(at) => Some(format!("breaks at {at}")),
        Fate::HalfOpen(at) => Some(format!("half-open at {at}")),
    };
    if probe.is_conversation && one.fate != other.fate {
        return fate(one);
    }
    let pairs = one.steps.iter().zip(&other.steps);
    let (index, one_step, other_step) = (1..).zip(pairs).find_map(|(index, pair)| match pair {
        (Some(one), Some(other)) if !one.same(other) => Some((index, one, other)),
        _ => None,
    })?;
    let words = apart(one_step, other_step, engine);
    if words.is_empty() {
        return None;
    }
    match (probe.is_conversation, fate(one)) {
        (true, Some(fate)) => Some(format!("{fate}; {index}: {words}")),
        (true, None) => Some(format!("{index}: {words}")),
        (false, _) => Some(words),
    }
}

/// In what a packet differs from another, in the words of a test.
fn apart(one: &Observed, other: &Observed, engine: &Engine) -> String {
    let mut words: Vec<String> = Vec::new();
    if one.verdict != other.verdict || one.is_local() != other.is_local() {
        words.push(match one.verdict {
            Verdict::Accept if one.is_local() => "local".to_owned(),
            verdict => crate::experiment::verdict_name(verdict).to_owned(),
        });
    }
    if one.answers != other.answers && words.is_empty() {
        words.push(match one.answers.first() {
            Some(bytes) => answer(bytes),
            None => "not answer any".to_owned(),
        });
    }
    let state = |of: &Observed| of.tracked.map(|tracked| (tracked.state, tracked.direction));
    if state(one) != state(other)
        && let Some((state, direction)) = state(one)
    {
        words.push(state_name(state).to_owned());
        words.extend(direction.map(|direction| direction_name(direction).to_owned()));
    }
    if one.verdict == Verdict::Accept && other.verdict == Verdict::Accept {
        if let (Some(one), Some(other)) = (ends(&one.left), ends(&other.left)) {
            words.extend((one[0] != other[0]).then(|| format!("from {}", one[0])));
            words.extend((one[1] != other[1]).then(|| format!("to {}", one[1])));
        }
        if one.out != other.out
            && let Some(name) = one.out.and_then(|out| engine.host().interface(out))
        {
            words.push(format!("out {}", name.name));
        }
    }
    if one.mark != other.mark {
        words.push(format!("mark=0x{:x}", one.mark));
    }
    if let (Some(one), Some(other)) = (&one.connection, &other.connection) {
        words.extend((one.mark != other.mark).then(|| format!("ctmark=0x{:x}", one.mark)));
        let helper = one.helper.as_ref().filter(|_| one.helper != other.helper);
        words.extend(helper.map(|helper| format!("helper={helper}")));
    }
    if one.log != other.log && words.is_empty() {
        words.push(match one.log.first() {
            Some(line) => log(line),
            None => "not log any".to_owned(),
        });
    }
    words.join(" ")
}

fn log(line: &str) -> String {
    let prefix = line.split("IN=").next().unwrap_or("").trim();
    match prefix.is_empty() || prefix.contains(['"', '\\']) || !prefix.is_ascii() {
        true => "log any".to_owned(),
        false => format!("log \"{prefix}\""),
    }
}

fn answer(bytes: &[u8]) -> String {
    let Ok(parsed) = Parsed::new(bytes) else { return "answer any".to_owned() };
    match &parsed.l4 {
        L4::Tcp(segment) => {
            let names =
                [(tcp::SYN, "SYN"), (tcp::RST, "RST"), (tcp::ACK, "ACK"), (tcp::FIN, "FIN")];
            let set = names.iter().filter(|(flag, _)| segment.flags & flag != 0);
            format!("answer tcp {}", set.map(|(_, name)| *name).collect::<Vec<_>>().join(" "))
        }
        L4::Icmp(message) => format!("answer icmp {}/{}", message.kind, message.code),
        L4::Icmpv6(message) => format!("answer icmpv6 {}/{}", message.kind, message.code),
        L4::Udp(_) => "answer udp".to_owned(),
        _ => "answer any".to_owned(),
    }
}

/// Source and destination as a test writes them.
fn ends(bytes: &[u8]) -> Option<[String; 2]> {
    let parsed = Parsed::new(bytes).ok()?;
    let (source, destination) = match &parsed.l4 {
        L4::Tcp(header) => (Some(header.source_port), Some(header.destination_port)),
        L4::Udp(header) => (Some(header.source_port), Some(header.destination_port)),
        _ => (None, None),
    };
    let end = |address: keepstate_packet::Address, port: Option<u16>| {
        let ip = address.ip(parsed.family);
        port.map_or_else(|| ip.to_string(), |port| SocketAddr::new(ip, port).to_string())
    };
    Some([end(parsed.source, source), end(parsed.destination, destination)])
}
