//! What is told of packets that pass: a line each, events, a table at the end, an output capture.

mod jsonl;
mod names;
mod nflog;
mod packet_text;
mod text;

pub(crate) use names::Names;

use crate::terminal::Terminal;
use jsonl::Jsonl;
use keepstate_conntrack::{CtState, CtStatus, Direction, event::EventKind, listing};
use keepstate_datapath::{
    Batch, Content, Observer, Seen, Slot,
    clock::SystemClock,
    pcap::{Note, Writer},
};
use keepstate_engine::{Command, Disposition, Engine, Event, Host, InterfaceIndex, Reply, Verdict};
use keepstate_packet::{
    Family, Instant, InterfaceName, Parsed,
    checksum::{self, Verified},
    link::LinkType,
};
use keepstate_ruleset::targets::nflog::Message;
use names::{Named, UnknownNamed};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};
use text::Text;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line a packet, for people
    Text,
    /// A JSON object a packet, then a summary
    Jsonl,
}

/// What to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// How to print.
    pub(crate) format: Format,
    /// Every packet.
    pub(crate) packets: bool,
    /// What happens to connections.
    pub(crate) events: bool,
    /// The connections that are there at the end.
    pub(crate) conntrack: bool,
    /// The summary.
    pub(crate) summary: bool,
    /// Where to write an output capture.
    pub(crate) write: Option<&'a Path>,
    /// Where to write what NFLOG rules hand on.
    pub(crate) nflog: Option<&'a Path>,
}

/// Packets and bytes.
type Count = (u64, u64);

/// What has been counted.
#[derive(Debug, Default)]
struct Counts {
    packets: Count,
    verdicts: Tally,
    states: Tally,
    reasons: BTreeMap<&'static str, u64>,
    skipped: BTreeMap<String, u64>,
    created: u64,
    expected: u64,
    destroyed: u64,
    /// Packets of a family that has no rules, while the other has some.
    without_rules: u64,
    /// Packets INVALID for a checksum that a network card was to finish.
    offloaded: u64,
    unknown: Unknown,
}

/// Packets that met a match whose answer nobody knew.
#[derive(Debug, Default)]
struct Unknown {
    packets: u64,
    /// Of those, the ones whose verdict is the same whatever the answer were.
    settled: u64,
    /// By the name of the match: the fact it asks for, and the packets.
    matches: BTreeMap<&'static str, (&'static str, u64)>,
}

/// Packets and bytes by a word of which there are few: looking along a list is faster than any
/// map.
#[derive(Debug, Default)]
struct Tally(Vec<(&'static str, Count)>);

impl Tally {
    fn add(&mut self, word: &'static str, bytes: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count = (count.0 + 1, count.1 + bytes),
            None => self.0.push((word, (1, bytes))),
        }
    }

    /// By word.
    fn sorted(&self) -> Vec<(&'static str, Count)> {
        let mut all = self.0.clone();
        all.sort_unstable_by_key(|(word, _)| *word);
        all
    }
}

/// One packet as the printers take it.
struct Line<'a> {
    number: u64,
    slot: &'a Slot,
    seen: &'a Seen<'a>,
    host: &'a Host,
    verdict: &'static str,
    decided: Option<Named<'a>>,
    unknown: Option<UnknownNamed<'a>>,
}

enum Printer {
    Text(Text),
    Jsonl(Jsonl),
}

/// Sees what passes and tells of it.
pub(crate) struct Report {
    names: Names,
    counts: Counts,
    printer: Printer,
    packets: bool,
    events: bool,
    conntrack: bool,
    summary: bool,
    terminal: Terminal,
    out: BufWriter<io::Stdout>,
    annotated: Option<Annotated>,
    messages: Option<nflog::Messages>,
    latest: Instant,
    clock: SystemClock,
}

impl Report {
    pub(crate) fn new(
        options: &Options<'_>,
        terminal: &Terminal,
        names: Names,
    ) -> io::Result<Self> {
        Ok(Self {
            names,
            counts: Counts::default(),
            printer: match options.format {
                Format::Jsonl => Printer::Jsonl(Jsonl::default()),
                Format::Text => Printer::Text(Text::new(*terminal)),
            },
            packets: options.packets,
            events: options.events,
            conntrack: options.conntrack,
            summary: options.summary,
            terminal: *terminal,
            out: BufWriter::with_capacity(1 << 16, io::stdout()),
            annotated: options.write.map(Annotated::create).transpose()?,
            messages: options.nflog.map(nflog::Messages::create).transpose()?,
            latest: Instant(0),
            clock: SystemClock::start(),
        })
    }

    /// The time of the latest packet.
    pub(crate) const fn latest(&self) -> Instant {
        self.latest
    }

    /// After the last packet: the connection table, the summary, the warnings.
    pub(crate) fn finish(mut self, engine: &mut Engine) -> io::Result<()> {
        let elapsed = self.clock.elapsed();
        self.settle()?;
        if self.conntrack {
            self.print_connections(engine)?;
        }
        match &mut self.printer {
            Printer::Text(text) if self.summary => {
                text.summary(&mut self.out, &self.counts, elapsed)?;
            }
            Printer::Text(_) => {}
            Printer::Jsonl(jsonl) => {
                let rules = rule_counters(engine, self.latest);
                jsonl.summary(&mut self.out, &self.counts, elapsed, &self.names, &rules)?;
            }
        }
        self.out.flush()?;
        if let Some(annotated) = &mut self.annotated {
            annotated.writer.flush()?;
        }
        if let Some(messages) = &mut self.messages {
            messages.flush()?;
        }
        self.warn();
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        match &mut self.printer {
            Printer::Jsonl(jsonl) => jsonl.settle(&mut self.out),
            Printer::Text(_) => Ok(()),
        }
    }

    fn print_connections(&mut self, engine: &mut Engine) -> io::Result<()> {
        let Ok(Reply::Connections(connections)) = engine.handle_command(self.latest, Command::List)
        else {
            return Ok(());
        };
        let masters: Vec<_> = connections.iter().filter_map(|(_, c)| c.master).collect();
        if let (Printer::Text(text), true) = (&self.printer, self.summary) {
            text.heading(&mut self.out, "connections at the end")?;
        }
        for (_, connection) in &connections {
            let children = masters.iter().filter(|master| **master == connection.original).count();
            let line = listing::Extended { snapshot: connection, children_count: children };
            match &self.printer {
                Printer::Jsonl(_) => {
                    let line = serde_json::Value::from(line.to_string());
                    writeln!(self.out, "{{\"conntrack\":{line}}}")?;
                }
                Printer::Text(_) => writeln!(self.out, "{line}")?,
            }
        }
        Ok(())
    }

    fn warn(&self) {
        if self.counts.offloaded > 0 {
            self.terminal.warning(format_args!(
                "{} packets are INVALID for a checksum that a network card was to finish: the \
                 capture was taken on the sending host; --checksum auto forgives them",
                self.counts.offloaded
            ));
        }
        let unknown = &self.counts.unknown;
        for (name, (fact, packets)) in &unknown.matches {
            self.terminal.warning(format_args!(
                "{packets} packets met a rule with -m {name} whose answer is unknown, and passed it \
                 over: it needs {fact}; --host FILE declares it"
            ));
        }
        if self.counts.without_rules > 0 {
            self.terminal.warning(format_args!(
                "{} packets were of a family without a rule set: accepted",
                self.counts.without_rules
            ));
        }
    }

    fn count(&mut self, seen: &Seen<'_>, verdict: &'static str) {
        let bytes = match seen.disposition {
            Some(_) => ip_length(seen.batch.packet(seen.slot)),
            None => u64::from(seen.slot.original_length),
        };
        self.counts.packets = (self.counts.packets.0 + 1, self.counts.packets.1 + bytes);
        self.counts.verdicts.add(verdict, bytes);
        if let Content::Other(skipped) = seen.slot.content {
            let text = skipped.to_string();
            let kind = text.split(" (").next().unwrap_or("").to_owned();
            *self.counts.skipped.entry(kind).or_default() += 1;
        }
        let Some(disposition) = seen.disposition else { return };
        if let Some(tracked) = disposition.tracked {
            self.counts.states.add(state(tracked.state), bytes);
        }
        if let Some(reason) = disposition.reason() {
            *self.counts.reasons.entry(reason).or_default() += 1;
            if reason == "bad-checksum" {
                let bytes = seen.batch.packet(seen.slot);
                let offloaded = Parsed::new(bytes)
                    .is_ok_and(|p| checksum::verify(&p, bytes) == Verified::Offloaded);
                self.counts.offloaded += u64::from(offloaded);
            }
        }
        if let Some(unknown) = disposition.unknown {
            let counts = &mut self.counts.unknown;
            counts.packets += 1;
            counts.settled += u64::from(unknown.is_settled);
            if let Some(named) = self.names.unknown(family(seen), unknown) {
                counts.matches.entry(named.name).or_insert((named.needs, 0)).1 += 1;
            }
        }
        let rules = &self.names;
        if rules.has(other(family(seen))) && !rules.has(family(seen)) {
            self.counts.without_rules += 1;
        }
    }
}

impl Observer for Report {
    fn received(&mut self, batch: &Batch) -> io::Result<()> {
        if let Some(annotated) = &mut self.annotated {
            annotated.originals.clear();
            annotated.originals.extend(batch.slots().iter().map(|slot| batch.frame(slot).to_vec()));
            annotated.next = 0;
        }
        Ok(())
    }

    fn frame(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        let number = self.counts.packets.0;
        let verdict = seen.disposition.map_or("skipped", |d| verdict(d.verdict));
        self.latest = self.latest.max(seen.slot.time);
        self.count(seen, verdict);
        if let Some(messages) = &mut self.messages {
            messages.packet(seen.engine.host(), seen.slot.stamp);
        }
        if !self.packets && self.annotated.is_none() {
            return Ok(());
        }
        // What was dropped for a cause was decided by no rule, though one had accepted it before.
        let decided = seen.disposition.filter(|d| d.cause.is_none()).and_then(|d| d.rule);
        let decided = decided.and_then(|rule| self.names.name(family(seen), rule));
        let unknown = seen.disposition.and_then(|disposition| disposition.unknown);
        let unknown = unknown.and_then(|unknown| self.names.unknown(family(seen), unknown));
        let host = seen.engine.host();
        let line = Line { number, slot: seen.slot, seen, host, verdict, decided, unknown };
        if let Some(annotated) = &mut self.annotated {
            annotated.write(&line)?;
        }
        match &mut self.printer {
            _ if !self.packets => Ok(()),
            Printer::Text(text) => text.packet(&mut self.out, &line),
            Printer::Jsonl(jsonl) => jsonl.packet(&mut self.out, &line),
        }
    }

    /// Events and log lines are printed with the packet they belong to.
    fn is_patient(&self) -> bool {
        !self.packets && !self.events && self.messages.is_none()
    }

    fn idle(&mut self) -> io::Result<()> {
        self.settle()?;
        self.out.flush()
    }

    fn event(&mut self, now: Instant, event: &Event) -> io::Result<()> {
        let event = match event {
            Event::Conntrack(event) => event,
            Event::Log(log) => {
                return match &mut self.printer {
                    Printer::Jsonl(jsonl) => {
                        jsonl.log(log);
                        Ok(())
                    }
                    Printer::Text(text) if self.packets => text.log(&mut self.out, &log.text),
                    Printer::Text(_) => Ok(()),
                };
            }
            Event::Nflog(message) => return self.nflog(message),
        };
        match event.kind {
            EventKind::New => self.counts.created += 1,
            EventKind::Destroy => self.counts.destroyed += 1,
            EventKind::Update | EventKind::ExpectNew | EventKind::ExpectDestroy => {}
        }
        if event.kind == EventKind::New && event.snapshot.status.contains(CtStatus::EXPECTED) {
            self.counts.expected += 1;
        }
        if !self.events {
            return Ok(());
        }
        let Some(line) = listing::EventLine::new(event) else { return Ok(()) };
        let stamp = Stamp(now);
        match &mut self.printer {
            Printer::Jsonl(jsonl) => {
                jsonl.event(stamp, &line);
                Ok(())
            }
            Printer::Text(text) => text.event(&mut self.out, stamp, &line),
        }
    }
}

impl Report {
    /// What a rule hands to listeners, of the last packet.
    fn nflog(&mut self, message: &Message) -> io::Result<()> {
        if let Some(messages) = &mut self.messages {
            messages.write(message)?;
        }
        match &mut self.printer {
            Printer::Jsonl(jsonl) => {
                jsonl.nflog(message);
                Ok(())
            }
            Printer::Text(text) if self.packets => {
                let (copied, length) = (message.bytes.len(), message.length);
                let prefix = &message.prefix;
                let line =
                    format!("NFLOG group {}, {copied} of {length} bytes: {prefix}", message.group);
                text.log(&mut self.out, line.trim_end_matches([':', ' ']))
            }
            Printer::Text(_) => Ok(()),
        }
    }
}

/// The output capture.
struct Annotated {
    writer: Writer<BufWriter<File>>,
    /// The frames of the batch as they came in.
    originals: Vec<Vec<u8>>,
    next: usize,
}

impl Annotated {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let writer = Writer::new(BufWriter::new(file))?;
        Ok(Self { writer, originals: Vec::new(), next: 0 })
    }

    /// The frame as it came in, then what the filter made in answer.
    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let original = self.originals.get(self.next).map_or(&[][..], Vec::as_slice);
        self.next += 1;
        let slot = line.slot;
        let comment = comment(line);
        let note = Note {
            time: slot.stamp,
            link_type: slot.link_type,
            interface: interface(line.host, slot.interface).unwrap_or_default(),
            outbound: slot.interface.is_none(),
            original_length: slot.original_length,
            comment: &comment,
        };
        self.writer.write(&note, original)?;
        for transmit in line.seen.answers() {
            let note = Note {
                link_type: LinkType::RAW,
                interface: interface(line.host, Some(transmit.interface)).unwrap_or_default(),
                outbound: true,
                original_length: transmit.bytes.len() as u32,
                comment: &format!("made by the filter: {comment}"),
                ..note
            };
            self.writer.write(&note, &transmit.bytes)?;
        }
        Ok(())
    }
}

/// `filter:FORWARD:2 ACCEPT ct=NEW`.
fn comment(line: &Line<'_>) -> String {
    match line.slot.content {
        Content::Ip { .. } => {}
        Content::NeighbourDiscovery => return "passed on: neighbour discovery".to_owned(),
        Content::Other(skipped) => return format!("skipped: {skipped}"),
    }
    let mut text = String::new();
    if let Some(decided) = line.decided {
        text.push_str(&format!("{decided} "));
    }
    text.push_str(&line.verdict.to_uppercase());
    let Some(disposition) = line.seen.disposition else { return text };
    if let Some(tracked) = disposition.tracked {
        text.push_str(" ct=");
        text.push_str(state(tracked.state));
    }
    if let Some(reason) = disposition.reason() {
        text.push_str(" reason=");
        text.push_str(reason);
    }
    if let Some(unknown) = line.unknown {
        text.push_str(&format!(" unknown={}:{}", unknown.rule, unknown.name));
    }
    text
}

fn rule_counters(
    engine: &mut Engine,
    now: Instant,
) -> Vec<(Family, Vec<keepstate_engine::command::ChainCounters>)> {
    let mut all = Vec::new();
    for family in [Family::V4, Family::V6] {
        if let Ok(Reply::Counters(chains)) = engine.handle_command(now, Command::Counters(family)) {
            all.push((family, chains));
        }
    }
    all
}

/// Seconds since the epoch: microseconds, or nanoseconds where there are any.
#[derive(Clone, Copy)]
struct Stamp(pub(super) Instant);

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, nanos) = (self.0.0 / 1_000_000_000, self.0.0 % 1_000_000_000);
        if nanos % 1000 == 0 {
            write!(f, "{seconds}.{:06}", nanos / 1000)
        } else {
            write!(f, "{seconds}.{nanos:09}")
        }
    }
}

/// The verdict as output names it.
const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => "drop",
        Verdict::Reject => "reject",
        Verdict::Queue => "queue",
        Verdict::Stolen => "stolen",
        Verdict::Held => "held",
    }
}

/// The state as rules name it.
const fn state(state: CtState) -> &'static str {
    match state {
        CtState::New => "NEW",
        CtState::Established => "ESTABLISHED",
        CtState::Related => "RELATED",
        CtState::Invalid => "INVALID",
        CtState::Untracked => "UNTRACKED",
    }
}

/// The direction of a packet within its connection.
fn direction(disposition: &Disposition) -> Option<&'static str> {
    Some(match disposition.tracked?.direction? {
        Direction::Original => "original",
        Direction::Reply => "reply",
    })
}

/// The name of an interface.
fn interface(host: &Host, index: Option<InterfaceIndex>) -> Option<InterfaceName> {
    host.interface(index?).map(|interface| interface.name)
}

fn family(seen: &Seen<'_>) -> Family {
    match seen.slot.content {
        Content::Ip { family, .. } => family,
        Content::NeighbourDiscovery => Family::V6,
        Content::Other(_) => Family::V4,
    }
}

const fn other(family: Family) -> Family {
    match family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}

/// What the IP header says, at most what is there.
fn ip_length(bytes: &[u8]) -> u64 {
    let field = |at: usize| match bytes.get(at..at + 2) {
        Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    let claimed = match bytes.first().map(|b| b >> 4) {
        Some(4) => field(2),
        Some(6) => 40 + field(4),
        _ => 0,
    };
    if claimed == 0 { bytes.len() as u64 } else { claimed.min(bytes.len() as u64) }
}
