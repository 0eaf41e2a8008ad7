//! `keepstate trace`: which packets, through which filter. What is told of them is the analysis' business.

use super::replay::check_captures;
use crate::setting::{HOST_HELP, Prepared, Setting};
use crate::{exit::Exit, terminal::Terminal};
use keepstate_analysis::render::Style;
use keepstate_analysis::trace::notation::{Reader, Way, Written};
use keepstate_analysis::trace::{PacketTold, Tracer, render};
use keepstate_datapath::clock::CaptureClock;
use keepstate_datapath::replay::{Checksums, Options, Replay};
use keepstate_datapath::{Batch, Datapath, Received};
use keepstate_engine::{Engine, InterfaceIndex, Packet};
use keepstate_packet::{Instant, LinkInfo, Parsed};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const NOTATION_HELP: &str = r#"PACKET:
  tcp 10.0.0.5:1234 > 192.0.2.1:80 syn in eth0
  eth0 udp 10.0.0.5:5353 > 192.0.2.53:53 "query" ttl=3
  host icmp 192.0.2.1 > 192.0.2.7 echo-request id=7 seq=1

  Where it comes in (`in IFACE`, or in front; `host`: the host itself sends it; unsaid: the interface
  on whose link its source is, or --in), protocol (tcp udp udplite icmp icmpv6 sctp or a number),
  addresses with ports, and in any order:
  tcp     flags by name (syn ack fin rst psh urg ece cwr), seq= ack= win= mss= wscale= sackok
          sack=LEFT-RIGHT
  icmp    a name as rules have it (echo-request where none is said, echo-reply, time-exceeded, ...)
          or TYPE/CODE; id= seq= mtu=; about=N quotes the Nth packet,
          quote=N so many bytes of it, reversed with its ends exchanged
  sctp    tag=N and chunks by name, as in spec/README.md
  all     "text" or len=N; ttl= tos= ipid= mark=; bad-checksum bad-header-checksum; cut=N;
          piece=FROM-TO, a fragment

--packets FILE has one a line; `+31s` (ms s min h d) on a line of its own lets time pass, 10 ms
pass otherwise; `# ...` above a packet is told with it. What stands behind `->` is not read.

Packets that are written down come to a host that answers for itself what INPUT lets through, echo
requests and TCP, unless own_traffic = "drop" in its file. Of captures, which have seen its answers,
it makes none.
"#;

/// Arguments of `keepstate trace`.
#[derive(clap::Args)]
#[command(after_help = format!("{NOTATION_HELP}\n{HOST_HELP}"))]
pub(crate) struct Arguments {
    #[command(flatten)]
    setting: Setting,
    /// A packet in words; several in sequence
    #[arg(long, value_name = "PACKET", conflicts_with_all = ["packets", "captures"])]
    packet: Vec<String>,
    /// A file of packets in words, one a line; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "captures")]
    packets: Option<PathBuf>,
    /// Tell of these packets only, by number; all go through
    #[arg(long, value_name = "FROM[-TO]", value_parser = numbers)]
    only: Option<(usize, usize)>,
    /// How to print: text, or a JSON array with an object a packet
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Captures, in order: pcap or pcapng, gzipped or not; `-` is stdin
    #[arg(value_name = "CAPTURE", required_unless_present_any = ["packet", "packets"])]
    captures: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Most bytes of a file of packets.
const FILE_LENGTH_MAX: u64 = 16 << 20;

/// When the first of written packets comes: 2023-11-14 22:13:20 UTC.
const BEGIN: Instant = Instant(1_700_000_000_000_000_000);

fn numbers(text: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("{text} is not FROM or FROM-TO");
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
    if from <= to { Ok((from, to)) } else { Err(wrong()) }
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match trace(arguments, terminal) {
        Ok(()) => Exit::Clean,
        Err(exit) => exit,
    }
}

fn trace(arguments: &Arguments, terminal: &Terminal) -> Result<(), Exit> {
    let mut prepared = arguments.setting.prepare_with(Some("taken to be empty"), terminal)?;
    refuse_words(&arguments.captures, terminal)?;
    check_captures(&arguments.captures, terminal)?;
    let written = written(arguments, terminal)?;
    if arguments.captures.is_empty() {
        prepared.let_host_answer();
    }
    let files = prepared.loaded().iter();
    let tracer = Tracer::new(files.map(|file| (file.ruleset.family, file.source.as_str())));
    let printer = Printer::new(arguments, terminal);
    let result = match arguments.captures.is_empty() {
        true => trace_written(&written, prepared, tracer, printer, terminal)?,
        false => trace_captures(arguments, prepared, tracer, printer, terminal)?,
    };
    match result {
        Ok(()) => Ok(()),
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            terminal.error(error);
            Err(Exit::Usage)
        }
    }
}

/// A packet in words where a capture is due says where it belongs.
fn refuse_words(captures: &[PathBuf], terminal: &Terminal) -> Result<(), Exit> {
    let is_packet = |text: &&str| {
        let mut reader = Reader::default();
        reader.lines(text).is_ok() && !reader.finish().is_empty()
    };
    let missing = captures.iter().filter(|path| !path.exists());
    match missing.filter_map(|path| path.to_str()).find(is_packet) {
        None => Ok(()),
        Some(text) => {
            terminal.error(format!("no such capture; a packet in words: --packet '{text}'"));
            Err(Exit::Usage)
        }
    }
}

/// The packets that are written down.
fn written(arguments: &Arguments, terminal: &Terminal) -> Result<Vec<Written>, Exit> {
    let mut reader = Reader::default();
    let failed = |place: String| {
        terminal.error(place);
        Exit::Usage
    };
    for spec in &arguments.packet {
        let one_line = spec.replace('\n', " ");
        reader.lines(&one_line).map_err(|fault| failed(format!("--packet: {fault}")))?;
    }
    if let Some(path) = &arguments.packets {
        let name = path.display();
        let text = read(path).map_err(|error| failed(format!("{name}: {error}")))?;
        reader
            .lines(&text)
            .map_err(|fault| failed(format!("{name}:{}:{}: {fault}", fault.line, fault.column)))?;
    }
    Ok(reader.finish())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let too_long = || io::Error::other(format!("longer than {} MiB", FILE_LENGTH_MAX >> 20));
    let length = match path.as_os_str() == "-" {
        true => io::stdin().lock().take(FILE_LENGTH_MAX + 1).read_to_string(&mut text)?,
        false => {
            let file = std::fs::File::open(path)?;
            file.take(FILE_LENGTH_MAX + 1).read_to_string(&mut text)?
        }
    };
    if length as u64 > FILE_LENGTH_MAX { Err(too_long()) } else { Ok(text) }
}

fn trace_written(
    written: &[Written],
    prepared: Prepared,
    mut tracer: Tracer,
    mut printer: Printer,
    terminal: &Terminal,
) -> Result<io::Result<()>, Exit> {
    let usual = prepared.interface();
    let own = prepared.own_addresses();
    let mut engine = prepared.engine(terminal)?;
    for one in written {
        let way = way(&engine, one, usual);
        let interface = way.map_err(|why| {
            terminal.error(format_args!("line {}: {why}", one.line));
            Exit::Usage
        })?;
        let parsed = Parsed::new(&one.bytes).ok();
        let is_own = parsed.is_some_and(|packet| {
            own.iter().any(|n| n.family == packet.family && n.contains(packet.source))
        });
        let mut bytes = one.bytes.clone();
        let packet = Packet {
            bytes: &mut bytes,
            interface: interface.filter(|_| !(one.way == Way::Unsaid && is_own)),
            family: None,
            link: LinkInfo::default(),
            mark: one.mark,
        };
        let mut told = tracer.packet(&mut engine, BEGIN.plus(one.at), packet);
        told.note.clone_from(&one.note);
        if let Err(error) = printer.print(&told) {
            return Ok(Err(error));
        }
    }
    Ok(printer.finish())
}

/// Where a packet comes in; `None`: the host itself sends it.
fn way(
    engine: &Engine,
    one: &Written,
    usual: InterfaceIndex,
) -> Result<Option<InterfaceIndex>, String> {
    let interfaces = &engine.host().interfaces;
    let index = |at: usize| u16::try_from(at).ok().map(InterfaceIndex);
    match one.way {
        Way::Host => Ok(None),
        Way::Interface(name) => {
            let at = interfaces.iter().position(|interface| interface.name == name);
            let names: Vec<_> = interfaces.iter().map(|one| one.name.to_string()).collect();
            let none = || format!("the host has no interface {name}; it has {}", names.join(", "));
            at.and_then(index).map(Some).ok_or_else(none)
        }
        Way::Unsaid => {
            let Ok(packet) = Parsed::new(&one.bytes) else { return Ok(Some(usual)) };
            if engine.is_own_address(packet.family, packet.source) {
                return Ok(None);
            }
            let mut all = (0..interfaces.len()).filter_map(index);
            let near = all.find(|at| engine.is_on_link(packet.family, *at, packet.source));
            Ok(Some(near.unwrap_or(usual)))
        }
    }
}

fn trace_captures(
    arguments: &Arguments,
    prepared: Prepared,
    mut tracer: Tracer,
    mut printer: Printer,
    terminal: &Terminal,
) -> Result<io::Result<()>, Exit> {
    let options = Options {
        interface: prepared.interface(),
        local: prepared.own_addresses(),
        clock: CaptureClock::capture(),
        checksums: Checksums::AsCaptured,
    };
    let mut engine = prepared.engine(terminal)?;
    let mut replay = Replay::new(options, arguments.captures.clone());
    let mut batch = Batch::new();
    let mut result = Ok(());
    while result.is_ok() {
        batch.clear();
        match replay.receive(&mut engine, &mut batch) {
            Ok(Received::Frames) => {}
            Ok(Received::Idle(_) | Received::End) => break,
            Err(error) => return Ok(Err(error)),
        }
        for number in 0..batch.slots().len() {
            let Some((now, packet)) = batch.engine_packet(number) else {
                tracer.pass_over();
                continue;
            };
            result = printer.print(&tracer.packet(&mut engine, now, packet));
            if result.is_err() {
                break;
            }
        }
    }
    for (path, fault) in &replay.faults {
        terminal.warning(format_args!("{}: {fault}", path.display()));
    }
    Ok(result.and_then(|()| printer.finish()))
}

struct Printer {
    format: Format,
    only: Option<(usize, usize)>,
    style: Style,
    out: io::BufWriter<io::Stdout>,
    printed: usize,
}

impl Printer {
    fn new(arguments: &Arguments, terminal: &Terminal) -> Self {
        Self {
            format: arguments.format,
            only: arguments.only,
            style: terminal.page(),
            out: io::BufWriter::new(io::stdout()),
            printed: 0,
        }
    }

    fn print(&mut self, told: &PacketTold) -> io::Result<()> {
        if self.only.is_some_and(|(from, to)| !(from..=to).contains(&told.number)) {
            return Ok(());
        }
        let text = match self.format {
            Format::Text => render(told, &self.style),
            Format::Json => {
                let before = if self.printed == 0 { "[" } else { ",\n" };
                format!("{before}{}", serde_json::to_string(told)?)
            }
        };
        self.printed += 1;
        self.out.write_all(text.as_bytes())
    }

    fn finish(&mut self) -> io::Result<()> {
        match (self.format, self.printed) {
            (Format::Text, _) => {}
            (Format::Json, 0) => self.out.write_all(b"[]\n")?,
            (Format::Json, _) => self.out.write_all(b"]\n")?,
        }
        self.out.flush()
    }
}
