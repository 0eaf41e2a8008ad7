//! A line a packet, for people: what is most asked stands first, in columns.

use super::{Counts, Line, Stamp, Tally, direction, interface, packet_text::PacketText, state};
use crate::terminal::{Style, Terminal};
use keepstate_datapath::Content;
use keepstate_packet::Instant;
use std::{
    fmt::Display,
    io::{self, Write},
    time::Duration,
};

/// The printer.
#[derive(Debug)]
pub(super) struct Text {
    terminal: Terminal,
    first: Option<Instant>,
}

impl Text {
    pub(super) fn new(terminal: Terminal) -> Self {
        Self { terminal, first: None }
    }

    pub(super) fn packet(&mut self, out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
        let first = match self.first {
            Some(first) => first,
            None => {
                let heading = format_args!(
                    "{:>6} {:>11}  {:<8} {:<13} {:<7} {:<22} packet",
                    "number", "seconds", "in", "state", "verdict", "decided by"
                );
                writeln!(out, "{}", self.terminal.paint(Style::Dim, heading))?;
                *self.first.insert(line.slot.stamp)
            }
        };
        let since = line.slot.stamp.since(first).as_secs_f64();
        let name = interface(line.host, line.slot.interface);
        let name = name.as_ref().map_or("(host)", |name| name.as_str());
        write!(out, "{:>6} {since:>11.6}  {name:<8} ", line.number)?;
        self.decision(out, line)?;
        match line.slot.content {
            Content::Ip { .. } => {
                write!(out, "{}", PacketText(line.seen.batch.packet(line.slot)))?;
            }
            Content::NeighbourDiscovery => write!(out, "neighbour discovery")?,
            Content::Other(skipped) => write!(out, "{skipped}")?,
        }
        self.reason(out, line)?;
        if let Some(unknown) = line.unknown {
            let so = if unknown.is_settled { ", the verdict is the same" } else { "" };
            let note = format_args!("unknown: {unknown}{so}");
            write!(out, "  {}", self.terminal.paint(Style::Yellow, note))?;
        }
        writeln!(out)?;
        for transmit in line.seen.answers() {
            let name = interface(line.host, Some(transmit.interface)).unwrap_or_default();
            let packet = PacketText(&transmit.bytes);
            writeln!(out, "{:>18}  {name:<8} {:<44} {packet}", "answer", "")?;
        }
        Ok(())
    }

    /// State, verdict, and what decided.
    fn decision(&self, out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
        let disposition = line.seen.disposition;
        let tracked = disposition.and_then(|disposition| disposition.tracked);
        let state = tracked.map_or("-", |tracked| state(tracked.state));
        let arrow = match disposition.and_then(direction) {
            Some("reply") => "<",
            Some(_) => ">",
            None => " ",
        };
        let state_style = if state == "INVALID" { Style::Red } else { Style::Cyan };
        let verdict_style = match line.verdict {
            "accept" => Style::Green,
            "drop" => Style::Red,
            "skipped" => Style::Dim,
            _ => Style::Yellow,
        };
        let decided = line.decided.map_or_else(|| "-".to_owned(), |named| named.to_string());
        write!(
            out,
            "{} {arrow} {} {decided:<22} ",
            self.terminal.paint(state_style, format_args!("{state:<11}")),
            self.terminal.paint(verdict_style, format_args!("{:<7}", line.verdict)),
        )
    }

    /// Why, with the numbers behind it.
    fn reason(&self, out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
        let Some(disposition) = line.seen.disposition else { return Ok(()) };
        let Some(reason) = disposition.reason() else { return Ok(()) };
        write!(out, "  {}", self.terminal.paint(Style::Yellow, reason))?;
        let invalid = disposition.tracked.and_then(|tracked| tracked.invalid);
        if let Some(distance) = invalid.and_then(|invalid| invalid.distance) {
            write!(out, " by {distance}")?;
        }
        if let Some(edge) = invalid.and_then(|invalid| invalid.edge) {
            write!(out, " (edge {edge})")?;
        }
        Ok(())
    }

    pub(super) fn event(
        &self,
        out: &mut impl Write,
        stamp: Stamp,
        line: &impl Display,
    ) -> io::Result<()> {
        writeln!(out, "{}", self.terminal.paint(Style::Dim, format_args!("[{stamp}]\t{line}")))
    }

    pub(super) fn log(&self, out: &mut impl Write, text: &str) -> io::Result<()> {
        writeln!(out, "{}", self.terminal.paint(Style::Dim, text))
    }

    pub(super) fn heading(&self, out: &mut impl Write, text: &str) -> io::Result<()> {
        writeln!(out, "\n{}", self.terminal.paint(Style::Bold, text))
    }

    pub(super) fn summary(
        &self,
        out: &mut impl Write,
        counts: &Counts,
        elapsed: Duration,
    ) -> io::Result<()> {
        self.heading(out, "summary")?;
        let list = |out: &mut dyn Write, name: &str, items: Vec<String>| {
            if items.is_empty() { Ok(()) } else { writeln!(out, "{name:<12} {}", items.join(", ")) }
        };
        let (packets, bytes) = counts.packets;
        let rate = packets as f64 / elapsed.as_secs_f64().max(1e-9);
        writeln!(out, "{:<12} {packets} ({bytes} bytes), {rate:.0} a second", "packets")?;
        let pairs = |counts: &Tally| {
            counts.sorted().iter().map(|(word, count)| format!("{} {word}", count.0)).collect()
        };
        let words = |count: &u64, name: &dyn Display| format!("{count} {name}");
        list(out, "verdicts", pairs(&counts.verdicts))?;
        list(out, "states", pairs(&counts.states))?;
        list(out, "reasons", counts.reasons.iter().map(|(k, n)| words(n, k)).collect())?;
        let unknown = &counts.unknown;
        let mut asked: Vec<String> =
            unknown.matches.iter().map(|(name, (_, n))| words(n, name)).collect();
        if unknown.settled > 0 {
            asked.push(format!("{} of them with the same verdict either way", unknown.settled));
        }
        list(out, "unknown", asked)?;
        list(out, "skipped", counts.skipped.iter().map(|(k, n)| words(n, k)).collect())?;
        let (created, expected) = (counts.created, counts.expected);
        writeln!(
            out,
            "{:<12} {created} created ({expected} of them expected), {} destroyed",
            "connections", counts.destroyed
        )
    }
}
