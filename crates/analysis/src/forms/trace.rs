//! A line of a trace: `TRACE: raw:PREROUTING:rule:2 IN=...` of the kernel log, the two lines of
//! `xtables-monitor --trace`, and `nft monitor trace`.

use crate::answer::{Answer, Topic};
use crate::explain::{Unexplained, explain_text};

/// A line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceLine {
    /// Where a packet is: table, chain, what (`rule`, `policy`, `return`), number, the verdict.
    Step {
        /// Table.
        table: String,
        /// Chain.
        chain: String,
        /// `rule`, `policy`, `return`.
        what: String,
        /// Rule number, or its handle in traces of nftables.
        number: String,
        /// `ACCEPT`, `CONTINUE`, ...
        verdict: Option<String>,
        /// The rule as a command, where the trace gives it.
        rule: Option<String>,
        /// The packet's identifier, the same in all lines about it.
        id: Option<String>,
    },
    /// The packet itself.
    Packet {
        /// Its identifier.
        id: String,
    },
}

/// Reads a line; `None` when it is none.
#[must_use]
pub fn read(line: &str) -> Option<TraceLine> {
    if let Some(rest) = line.strip_prefix("trace id ") {
        return nft(rest);
    }
    if let Some(rest) = line.strip_prefix("PACKET: ") {
        let id = rest.split_whitespace().nth(1)?.to_string();
        return Some(TraceLine::Packet { id });
    }
    let (_, rest) = line.split_once("TRACE: ")?;
    let mut words = rest.split_whitespace();
    let mut first = words.next()?;
    let mut id = None;
    if !first.contains(':') {
        id = Some(words.next()?.to_string());
        first = words.next()?;
    }
    let mut parts = first.split(':');
    let (table, chain, what) = (parts.next()?, parts.next()?, parts.next()?);
    let (number, verdict) = match what {
        "policy" if id.is_some() => ("", parts.next()),
        _ => (parts.next().unwrap_or(""), parts.next()),
    };
    let rule = rest.find(" -A ").map(|at| rest.get(at + 1..).unwrap_or("").trim().to_string());
    Some(TraceLine::Step {
        table: table.to_string(),
        chain: chain.to_string(),
        what: what.to_string(),
        number: number.to_string(),
        verdict: verdict.map(str::to_string),
        rule,
        id,
    })
}

/// `cee1add1 ip raw PREROUTING rule tcp dport 21 ... (verdict continue)`.
fn nft(rest: &str) -> Option<TraceLine> {
    let mut words = rest.split_whitespace();
    let id = words.next()?.to_string();
    let _family = words.next()?;
    let (table, chain, what) = (words.next()?, words.next()?, words.next()?);
    if what == "packet:" {
        return Some(TraceLine::Packet { id });
    }
    let verdict = match what {
        "policy" => words.next(),
        _ => rest
            .rsplit_once("(verdict ")
            .and_then(|(_, verdict)| verdict.trim_end().trim_end_matches(')').split(' ').next()),
    };
    Some(TraceLine::Step {
        table: table.to_string(),
        chain: chain.to_string(),
        what: what.to_string(),
        number: String::new(),
        verdict: verdict.map(str::to_uppercase),
        rule: None,
        id: Some(id),
    })
}

/// Explains a line.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let read = read(line)?;
    let mut answer = Answer::new(input, "trace-line");
    answer.say(
        Topic::Form,
        "form.trace",
        if line.starts_with("trace id") {
            "A line of `nft monitor trace`: one step of one packet through the rules."
        } else if line.starts_with("PACKET") {
            "A line of `xtables-monitor --trace`: the packet that the TRACE lines after it are about."
        } else if line.contains(" IN=") || line.contains("IN=") {
            "A line of the TRACE target in the kernel log (iptables-legacy): one step of one packet."
        } else {
            "A line of `xtables-monitor --trace` (iptables-nft): one step of one packet."
        },
    );
    match &read {
        TraceLine::Packet { id } => {
            answer.field(id.clone(), "the packet's identifier, the same in all lines about it");
            answer.say(
                Topic::Consequences,
                "trace.packet",
                "It is repeated at each table, as the packet was when it came there.",
            );
        }
        TraceLine::Step { table, chain, what, number, verdict, rule, id } => {
            step(&mut answer, table, chain, what, number, verdict.as_deref(), id.as_deref());
            if let Some(rule) = rule {
                follow(&mut answer, table, rule);
            }
        }
    }
    if let Some(packet) = super::log::packet_of(line) {
        answer.say(Topic::Consequences, "packet", packet);
    }
    answer.say(Topic::Mind, "mind.trace", MIND);
    Some(answer)
}

/// Steps of a trace that are told.
const STEPS_MAX: usize = 200;

/// The lines of a text that are steps of a trace.
fn steps(text: &str) -> impl Iterator<Item = TraceLine> {
    text.lines().filter_map(|line| read(line.trim()))
}

/// Whether a text is more than one line of a trace.
#[must_use]
pub fn is_several(text: &str) -> bool {
    steps(text).nth(1).is_some()
}

/// Explains a trace of several lines, one line a step; packets are told apart by their identifiers.
#[must_use]
pub fn explain_all(text: &str) -> Answer {
    let mut answer = Answer::new(text, "trace");
    answer.say(
        Topic::Form,
        "form.trace",
        "A trace: which rules of which chains packets have matched, step by step.",
    );
    let mut ends: Vec<(String, String)> = Vec::new();
    for line in steps(text).take(STEPS_MAX) {
        let (id, place, says) = match line {
            TraceLine::Packet { id } => {
                (Some(id), "packet".to_string(), "as it was there".to_string())
            }
            TraceLine::Step { table, chain, what, number, verdict, rule, id } => {
                let rule = rule.map_or_else(String::new, |rule| format!(": {rule}"));
                let does = verdict.as_deref().map_or("", decided);
                let does = if does.is_empty() { String::new() } else { format!("; {does}") };
                let text = format!("{}{rule}{does}", what_is(&what, &number, id.is_some()));
                (id, format!("{table} {chain}"), text)
            }
        };
        let id = id.unwrap_or_default();
        let label = if id.is_empty() { place.clone() } else { format!("{id} {place}") };
        if place != "packet" {
            let last = format!("{place}: {says}");
            match ends.iter_mut().find(|(known, _)| *known == id) {
                Some((_, end)) => *end = last,
                None => ends.push((id, last)),
            }
        }
        answer.field(label, says);
    }
    for (id, end) in ends {
        let whose = if id.is_empty() { "the packet".to_string() } else { format!("packet {id}") };
        answer.say(
            Topic::Consequences,
            "trace.end",
            format!("The last that is seen of {whose}: {end}."),
        );
    }
    answer.say(Topic::Mind, "mind.trace", MIND);
    answer
}

const MIND: &str = "TRACE shows which rules a packet matched, not those it failed to match; a packet without a \
                    last line in a table was dropped there, or taken over by a target that the line names.";

fn what_is(what: &str, number: &str, nft: bool) -> String {
    let hex = number.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    match what {
        "rule" if number.is_empty() => String::from("a rule of the chain matched"),
        "rule" if nft => format!(
            "a rule matched; {} is its handle (`nft -a list ruleset` shows handles), not its place",
            hex.map_or_else(|| number.to_string(), |handle| handle.to_string())
        ),
        "rule" => format!("rule number {number} of the chain matched"),
        "policy" => String::from("no rule decided, the policy does"),
        "return" => String::from("the chain ends and the packet goes back to where it came from"),
        _ => String::from("a step"),
    }
}

fn decided(verdict: &str) -> &'static str {
    match verdict.to_uppercase().as_str() {
        "CONTINUE" => "the next rule is looked at",
        "ACCEPT" => "this table is done with the packet at this hook; it goes on",
        "DROP" => "the packet ends here",
        "RETURN" => "back to the chain it came from, or to the policy",
        "JUMP" | "GOTO" => "into another chain",
        _ => "what the rule decided",
    }
}

fn step(
    answer: &mut Answer,
    table: &str,
    chain: &str,
    what: &str,
    number: &str,
    verdict: Option<&str>,
    id: Option<&str>,
) {
    if let Some(id) = id {
        answer.field(id, "the packet's identifier, the same in all lines about it");
    }
    answer.field(table, "the table");
    answer.field(chain, "the chain");
    answer.field(what, what_is(what, number, id.is_some()));
    if let Some(verdict) = verdict {
        answer.field(verdict, decided(verdict));
    }
}

/// The rule that the line quotes, in short: for the whole of it, explain the rule itself.
fn follow(answer: &mut Answer, table: &str, rule: &str) {
    let rule = rule.split(" -4 ").next().unwrap_or(rule);
    let line = format!("iptables -t {table} {rule}");
    let explained: Result<Answer, Unexplained> = explain_text(&line);
    let Ok(explained) = explained else { return };
    for code in ["matches", "target.accept", "target.drop", "target.jump", "target.log"] {
        if let Some(fact) = explained.fact(code) {
            answer.say(Topic::Matches, format!("rule.{code}"), fact.text());
        }
    }
    answer.paste(
        Topic::Mind,
        "mind.trace-rule",
        "The rule in full:",
        vec![format!("keepstate explain '{line}'")],
    );
}
