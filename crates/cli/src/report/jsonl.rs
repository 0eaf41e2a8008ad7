//! One JSON object a packet, then the summary. Written by hand: at a million packets a second a
//! general serialiser would be most of the work.
//!
//! What is logged of a packet is told behind it and belongs into its object, so the last object
//! stays open until something else comes.

use super::{
    Count, Counts, Line, Stamp, Tally, direction, interface,
    names::{Named, Names, UnknownNamed},
    state,
};
use keepstate_conntrack::listing::EventLine;
use keepstate_datapath::Content;
use keepstate_engine::command::ChainCounters;
use keepstate_packet::Family;
use keepstate_ruleset::evaluate::LogLine;
use keepstate_ruleset::model::{ChainIndex, builtin_name};
use keepstate_ruleset::targets::nflog::Message;
use serde_json::{Map, Value, json};
use std::{
    io::{self, Write},
    time::Duration,
};

const HEX: [u8; 16] = *b"0123456789abcdef";

/// The printer; its buffers are used again for every packet.
#[derive(Debug, Default)]
pub(super) struct Jsonl {
    /// The object of the last packet, without its closing brace; empty when it has been printed.
    line: String,
    /// Something has been logged of that packet.
    logged: bool,
    /// What rules have handed to listeners of that packet: objects with a comma between.
    messages: String,
    /// Whole lines that come behind it.
    behind: String,
}

impl Jsonl {
    pub(super) fn packet(&mut self, out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
        self.settle(out)?;
        self.head(line);
        self.state(line);
        self.decided(line.decided);
        if let Some(unknown) = line.unknown {
            self.unknown(&unknown);
        }
        self.packets(line);
        Ok(())
    }

    /// A line of the log, about the last packet: it tells of nothing else.
    pub(super) fn log(&mut self, log: &LogLine) {
        if self.line.is_empty() {
            return;
        }
        self.line.push_str(if self.logged { "," } else { ",\"log\":[" });
        self.logged = true;
        self.line.push_str("{\"level\":");
        self.number(u64::from(log.level));
        self.line.push_str(",\"text\":");
        self.line.push_str(&Value::from(log.text.as_str()).to_string());
        self.line.push('}');
    }

    /// A message to listeners, about the last packet.
    pub(super) fn nflog(&mut self, message: &Message) {
        if self.line.is_empty() {
            return;
        }
        if !self.messages.is_empty() {
            self.messages.push(',');
        }
        let object = json!({
            "group": message.group,
            "prefix": message.prefix,
            "hook": builtin_name(message.hook),
            "mark": message.mark,
            "length": message.length,
            "copied": message.bytes.len(),
        });
        self.messages.push_str(&object.to_string());
    }

    /// What happened to a connection.
    pub(super) fn event(&mut self, stamp: Stamp, event: &EventLine<'_>) {
        let event = Value::from(event.to_string());
        self.behind.push_str(&format!("{{\"event\":{event},\"time\":{stamp}}}\n"));
    }

    /// Prints what waits.
    pub(super) fn settle(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.line.is_empty() {
            self.line.push_str(if self.logged { "]" } else { "" });
            if !self.messages.is_empty() {
                self.line.push_str(",\"nflog\":[");
                self.line.push_str(&self.messages);
                self.line.push(']');
                self.messages.clear();
            }
            self.line.push_str("}\n");
            out.write_all(self.line.as_bytes())?;
            self.line.clear();
            self.logged = false;
        }
        if !self.behind.is_empty() {
            out.write_all(self.behind.as_bytes())?;
            self.behind.clear();
        }
        Ok(())
    }

    fn head(&mut self, line: &Line<'_>) {
        self.line.push_str("{\"packet\":");
        self.number(line.number);
        self.line.push_str(",\"time\":");
        self.line.push_str(&Stamp(line.slot.stamp).to_string());
        self.line.push_str(",\"verdict\":\"");
        self.line.push_str(line.verdict);
        self.line.push_str("\",\"hook\":");
        let hook = line.seen.disposition.and_then(|disposition| disposition.hook);
        self.word(hook.map(builtin_name));
    }

    fn state(&mut self, line: &Line<'_>) {
        let disposition = line.seen.disposition;
        let tracked = disposition.and_then(|disposition| disposition.tracked);
        self.line.push_str(",\"state\":");
        self.word(tracked.map(|tracked| state(tracked.state)));
        self.line.push_str(",\"direction\":");
        self.word(disposition.and_then(direction));
        self.line.push_str(",\"reason\":");
        match line.slot.content {
            Content::Other(skipped) => {
                self.line.push('"');
                self.line.push_str(&skipped.to_string());
                self.line.push('"');
            }
            Content::NeighbourDiscovery => self.word(Some("neighbour discovery")),
            Content::Ip { .. } => self.word(disposition.and_then(|d| d.reason())),
        }
        let invalid = tracked.and_then(|tracked| tracked.invalid);
        for (key, number) in [
            (",\"distance\":", invalid.and_then(|invalid| invalid.distance)),
            (",\"edge\":", invalid.and_then(|invalid| invalid.edge)),
        ] {
            if let Some(number) = number {
                self.line.push_str(key);
                self.number(u64::from(number));
            }
        }
    }

    fn decided(&mut self, decided: Option<Named<'_>>) {
        self.line.push_str(",\"rule\":");
        let Some(named) = decided else { return self.line.push_str("null") };
        if named.number.is_none() {
            self.line.push_str("null,\"policy\":");
        }
        self.named(named);
        self.line.push('}');
    }

    /// The rule that a packet passed over because nobody knew whether it matches.
    fn unknown(&mut self, unknown: &UnknownNamed<'_>) {
        self.line.push_str(",\"unknown\":");
        self.named(unknown.rule);
        self.line.push_str(",\"match\":\"");
        self.line.push_str(unknown.name);
        self.line.push_str("\",\"needs\":");
        self.line.push_str(&Value::from(unknown.needs).to_string());
        self.line.push_str(",\"settled\":");
        self.line.push_str(if unknown.is_settled { "true}" } else { "false}" });
    }

    /// The names of a rule or policy, without the closing brace.
    fn named(&mut self, named: Named<'_>) {
        self.line.push_str("{\"table\":\"");
        self.line.push_str(named.table.as_str());
        self.line.push_str("\",\"chain\":");
        self.line.push_str(&named.chain.json);
        if let Some(number) = named.number {
            self.line.push_str(",\"number\":");
            self.number(u64::from(number));
            self.line.push_str(",\"line\":");
            match named.line() {
                Some(number) => self.number(u64::from(number)),
                None => self.line.push_str("null"),
            }
        }
    }

    fn packets(&mut self, line: &Line<'_>) {
        self.line.push_str(",\"out\":[");
        for (number, (index, bytes)) in line.seen.outputs().enumerate() {
            if number > 0 {
                self.line.push(',');
            }
            self.bytes(interface(line.host, Some(index)).unwrap_or_default().as_str(), bytes);
        }
        self.line.push_str("],\"generated\":[");
        for (number, transmit) in line.seen.answers().enumerate() {
            if number > 0 {
                self.line.push(',');
            }
            let name = interface(line.host, Some(transmit.interface)).unwrap_or_default();
            self.bytes(name.as_str(), &transmit.bytes);
        }
        self.line.push(']');
    }

    fn bytes(&mut self, interface: &str, bytes: &[u8]) {
        self.line.push_str("{\"interface\":");
        self.line.push_str(&Value::from(interface).to_string());
        self.line.push_str(",\"bytes\":\"");
        for byte in bytes {
            for nibble in [byte >> 4, byte & 0xf] {
                self.line.push(char::from(HEX[usize::from(nibble)]));
            }
        }
        self.line.push_str("\"}");
    }

    fn word(&mut self, word: Option<&str>) {
        match word {
            Some(word) => {
                self.line.push('"');
                self.line.push_str(word);
                self.line.push('"');
            }
            None => self.line.push_str("null"),
        }
    }

    fn number(&mut self, number: u64) {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(self.line, "{number}");
    }

    pub(super) fn summary(
        &self,
        out: &mut impl Write,
        counts: &Counts,
        elapsed: Duration,
        names: &Names,
        rules: &[(Family, Vec<ChainCounters>)],
    ) -> io::Result<()> {
        let pair = |(packets, bytes): Count| json!({"packets": packets, "bytes": bytes});
        let pairs = |counts: &Tally| {
            counts
                .sorted()
                .into_iter()
                .map(|(word, count)| (word.to_owned(), pair(count)))
                .collect()
        };
        let verdicts: Map<String, Value> = pairs(&counts.verdicts);
        let states: Map<String, Value> = pairs(&counts.states);
        let matches = counts.unknown.matches.iter();
        let matches: Map<String, Value> =
            matches.map(|(name, (_, packets))| ((*name).to_owned(), json!(packets))).collect();
        let seconds = elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { counts.packets.0 as f64 / seconds } else { 0.0 };
        let summary = json!({"summary": {
            "packets": counts.packets.0,
            "bytes": counts.packets.1,
            "verdicts": verdicts,
            "states": states,
            "reasons": counts.reasons,
            "skipped": counts.skipped,
            "unknown": {
                "packets": counts.unknown.packets,
                "settled": counts.unknown.settled,
                "matches": matches,
            },
            "connections": {
                "created": counts.created,
                "expected": counts.expected,
                "destroyed": counts.destroyed,
            },
            "seconds": seconds,
            "packets_per_second": rate.round(),
            "rules": rule_list(names, rules),
        }});
        writeln!(out, "{summary}")
    }
}

/// Every rule and every policy with its counters, in the order of the files.
fn rule_list(names: &Names, rules: &[(Family, Vec<ChainCounters>)]) -> Vec<Value> {
    let mut list = Vec::new();
    for (family, chains) in rules {
        for counters in chains {
            let Some(chain) = names.chain(*family, counters.table, ChainIndex(counters.chain))
            else {
                continue;
            };
            let family = match family {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            for (at, (packets, bytes)) in counters.counters.iter().enumerate() {
                let mut entry = json!({
                    "family": family,
                    "table": counters.table.as_str(),
                    "chain": chain.name,
                    "packets": packets,
                    "bytes": bytes,
                });
                match chain.lines.get(at) {
                    Some(line) => {
                        entry["number"] = json!(at + 1);
                        entry["line"] = json!(line);
                    }
                    None => entry["policy"] = json!(true),
                }
                list.push(entry);
            }
        }
    }
    list
}
