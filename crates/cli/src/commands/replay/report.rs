//! What is told of a replay: a line a packet, events, a table at the end, an output capture.

use super::{
    Arguments, Format,
    jsonl::Jsonl,
    names::{Named, Names},
    text::Text,
};
use crate::terminal::Terminal;
use keepstate_conntrack::{CtState, CtStatus, Direction, event::EventKind, listing};
use keepstate_datapath::{
    Batch, Content, Observer, Seen, Slot,
    clock::SystemClock,
    pcap::{Note, Writer},
    replay::Replay,
};
use keepstate_engine::{Command, Disposition, Engine, Event, Host, InterfaceIndex, Reply, Verdict};
use keepstate_packet::{
    Family, Instant, InterfaceName, Parsed,
    checksum::{self, Verified},
    link::LinkType,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
};

/// Packets and bytes.
pub(super) type Count = (u64, u64);

/// What has been counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) packets: Count,
    pub(super) verdicts: BTreeMap<&'static str, Count>,
    pub(super) states: BTreeMap<&'static str, Count>,
    pub(super) reasons: BTreeMap<&'static str, u64>,
    pub(super) skipped: BTreeMap<String, u64>,
    pub(super) created: u64,
    pub(super) expected: u64,
    pub(super) destroyed: u64,
    /// Packets of a family that has no rules, while the other has some.
    without_rules: u64,
    /// Packets INVALID for a checksum that a network card was to finish.
    offloaded: u64,
}

/// One packet as the printers take it.
pub(super) struct Line<'a> {
    pub(super) number: u64,
    pub(super) slot: &'a Slot,
    pub(super) seen: &'a Seen<'a>,
    pub(super) host: &'a Host,
    pub(super) verdict: &'static str,
    pub(super) decided: Option<Named<'a>>,
}

enum Printer {
    Nothing,
    Text(Text),
    Jsonl(Jsonl),
}

/// Sees the replay and tells of it.
pub(super) struct Report {
    names: Names,
    counts: Counts,
    printer: Printer,
    events: bool,
    conntrack: bool,
    terminal: Terminal,
    out: BufWriter<io::Stdout>,
    annotated: Option<Annotated>,
    latest: Instant,
    clock: SystemClock,
}

impl Report {
    pub(super) fn new(
        arguments: &Arguments,
        terminal: &Terminal,
        names: Names,
    ) -> io::Result<Self> {
        let printer = match arguments.format {
            Format::Jsonl => Printer::Jsonl(Jsonl::default()),
            Format::Text if terminal.is_quiet() => Printer::Nothing,
            Format::Text => Printer::Text(Text::new(*terminal)),
        };
        Ok(Self {
            names,
            counts: Counts::default(),
            printer,
            events: arguments.events,
            conntrack: arguments.conntrack,
            terminal: *terminal,
            out: BufWriter::with_capacity(1 << 16, io::stdout()),
            annotated: arguments.write.as_deref().map(Annotated::create).transpose()?,
            latest: Instant(0),
            clock: SystemClock::start(),
        })
    }

    /// After the last packet: the connection table, the summary, the warnings.
    pub(super) fn finish(mut self, engine: &mut Engine, replay: &Replay) -> io::Result<()> {
        let elapsed = self.clock.elapsed();
        if self.conntrack {
            self.print_connections(engine)?;
        }
        match &mut self.printer {
            Printer::Nothing => {}
            Printer::Text(text) => text.summary(&mut self.out, &self.counts, elapsed)?,
            Printer::Jsonl(jsonl) => {
                let rules = rule_counters(engine, self.latest);
                jsonl.summary(&mut self.out, &self.counts, elapsed, &self.names, &rules)?;
            }
        }
        self.out.flush()?;
        if let Some(annotated) = &mut self.annotated {
            annotated.writer.flush()?;
        }
        self.warn(replay);
        Ok(())
    }

    fn print_connections(&mut self, engine: &mut Engine) -> io::Result<()> {
        let Ok(Reply::Connections(connections)) = engine.handle_command(self.latest, Command::List)
        else {
            return Ok(());
        };
        let masters: Vec<_> = connections.iter().filter_map(|(_, c)| c.master).collect();
        if let Printer::Text(text) = &self.printer {
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
                Printer::Nothing | Printer::Text(_) => writeln!(self.out, "{line}")?,
            }
        }
        Ok(())
    }

    fn warn(&self, replay: &Replay) {
        for (path, fault) in &replay.faults {
            self.terminal.warning(format_args!("{}: {fault}", path.display()));
        }
        if replay.finished_checksum_count > 0 {
            self.terminal.warning(format_args!(
                "{} packets had a checksum that their network card was to finish: finished",
                replay.finished_checksum_count
            ));
        }
        if self.counts.offloaded > 0 {
            self.terminal.warning(format_args!(
                "{} packets are INVALID for a checksum that a network card was to finish: the \
                 capture was taken on the sending host; --checksum auto forgives them",
                self.counts.offloaded
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
        let add = |count: &mut Count| *count = (count.0 + 1, count.1 + bytes);
        add(&mut self.counts.packets);
        add(self.counts.verdicts.entry(verdict).or_default());
        if let Content::Other(skipped) = seen.slot.content {
            let text = skipped.to_string();
            let kind = text.split(" (").next().unwrap_or("").to_owned();
            *self.counts.skipped.entry(kind).or_default() += 1;
        }
        let Some(disposition) = seen.disposition else { return };
        if let Some(tracked) = disposition.tracked {
            add(self.counts.states.entry(state(tracked.state)).or_default());
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
        if matches!(self.printer, Printer::Nothing) && self.annotated.is_none() {
            return Ok(());
        }
        let decided = seen.disposition.and_then(|d| d.rule);
        let decided = decided.and_then(|rule| self.names.name(family(seen), rule));
        let host = seen.engine.host();
        let line = Line { number, slot: seen.slot, seen, host, verdict, decided };
        if let Some(annotated) = &mut self.annotated {
            annotated.write(&line)?;
        }
        match &mut self.printer {
            Printer::Nothing => Ok(()),
            Printer::Text(text) => text.packet(&mut self.out, &line),
            Printer::Jsonl(jsonl) => jsonl.packet(&mut self.out, &line),
        }
    }

    fn event(&mut self, now: Instant, event: &Event) -> io::Result<()> {
        let event = match event {
            Event::Conntrack(event) => event,
            Event::Log(log) => {
                return match &self.printer {
                    Printer::Jsonl(_) => {
                        let text = serde_json::Value::from(log.text.as_str());
                        writeln!(self.out, "{{\"log\":{text},\"level\":{}}}", log.level)
                    }
                    Printer::Text(text) => text.log(&mut self.out, &log.text),
                    Printer::Nothing => Ok(()),
                };
            }
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
        match &self.printer {
            Printer::Jsonl(_) => {
                let line = serde_json::Value::from(line.to_string());
                writeln!(self.out, "{{\"event\":{line},\"time\":{stamp}}}")
            }
            Printer::Text(text) => text.event(&mut self.out, stamp, &line),
            Printer::Nothing => writeln!(self.out, "[{stamp}]\t{line}"),
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
    fn create(path: &std::path::Path) -> io::Result<Self> {
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
    if let Content::Other(skipped) = line.slot.content {
        return format!("skipped: {skipped}");
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
pub(super) struct Stamp(pub(super) Instant);

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
    }
}

/// The state as rules name it.
pub(super) const fn state(state: CtState) -> &'static str {
    match state {
        CtState::New => "NEW",
        CtState::Established => "ESTABLISHED",
        CtState::Related => "RELATED",
        CtState::Invalid => "INVALID",
        CtState::Untracked => "UNTRACKED",
    }
}

/// The direction of a packet within its connection.
pub(super) fn direction(disposition: &Disposition) -> Option<&'static str> {
    Some(match disposition.tracked?.direction? {
        Direction::Original => "original",
        Direction::Reply => "reply",
    })
}

/// The name of an interface.
pub(super) fn interface(host: &Host, index: Option<InterfaceIndex>) -> Option<InterfaceName> {
    host.interface(index?).map(|interface| interface.name)
}

fn family(seen: &Seen<'_>) -> Family {
    match seen.slot.content {
        Content::Ip { family, .. } => family,
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
