//! `keepstate replay`: captures through the filter.

use crate::{
    exit::Exit,
    report::{self, Format, Names, Report},
    setting::{HOST_HELP, Prepared, Setting},
    terminal::Terminal,
};
use keepstate_conntrack::{flow::Contents, saved::SavedTable};
use keepstate_datapath::{
    clock::CaptureClock,
    pcap::Capture,
    replay::{Checksums, Options, Replay},
};
use keepstate_engine::Engine;
use keepstate_packet::Instant;
use std::path::PathBuf;

/// Arguments of `keepstate replay`.
#[derive(clap::Args)]
#[command(after_help = HOST_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    setting: Setting,
    /// Whose time passes
    #[arg(long, value_enum, default_value_t = Clock::Capture)]
    clock: Clock,
    /// Write a pcapng file: each packet with a comment that says what became of it
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Write a pcapng file of link type NFLOG: what NFLOG rules hand to those who listen
    #[arg(long, value_name = "FILE")]
    nflog: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the connections that are there at the end, as `conntrack -L -o extended` does
    #[arg(long)]
    conntrack: bool,
    /// Write the connections and expectations that are there at the end to a file, for `keepstate
    /// conntrack --saved FILE`
    #[arg(long, value_name = "FILE")]
    pub(super) save_table: Option<PathBuf>,
    /// Print what happens to connections, as `conntrack -E -o timestamp` does
    #[arg(long)]
    events: bool,
    /// What to do about checksums: check them as the kernel does, do not check them, or forgive
    /// those that a network card was to finish
    #[arg(long, value_enum, default_value_t = Checksum::Verify)]
    checksum: Checksum,
    /// Captures, in order: pcap or pcapng, gzipped or not; `-` is stdin
    #[arg(value_name = "CAPTURE", required = true)]
    captures: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Clock {
    /// The capture's
    Capture,
    /// None: no time passes
    Frozen,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Checksum {
    /// A wrong one makes a packet INVALID
    Verify,
    /// They are not looked at (nf_conntrack_checksum=0)
    Ignore,
    /// Those that hold just the sum of the pseudo-header are finished first
    Auto,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match replay(arguments, terminal) {
        Ok(()) => Exit::Clean,
        Err(exit) => exit,
    }
}

/// Everything that the arguments ask for, ready to run.
fn prepare(arguments: &Arguments, terminal: &Terminal) -> Result<Prepared, Exit> {
    let mut prepared = arguments.setting.prepare(terminal)?;
    if arguments.checksum == Checksum::Ignore {
        prepared.sysctls_mut().checksum = false;
    }
    check_captures(&arguments.captures, terminal)?;
    Ok(prepared)
}

fn engine(
    prepared: Prepared,
    arguments: &Arguments,
    terminal: &Terminal,
) -> Result<(Engine, Replay), Exit> {
    let clock = match arguments.clock {
        Clock::Capture => CaptureClock::capture(),
        Clock::Frozen => CaptureClock::frozen(),
    };
    let checksums = match arguments.checksum {
        Checksum::Auto => Checksums::FinishOffloaded,
        Checksum::Verify | Checksum::Ignore => Checksums::AsCaptured,
    };
    let (interface, local) = (prepared.interface(), prepared.own_addresses());
    let options = Options { interface, local, clock, checksums };
    Ok((prepared.engine(terminal)?, Replay::new(options, arguments.captures.clone())))
}

/// Runs the captures through a filter and tells an observer; nothing is printed but warnings.
pub(super) fn engine_after(
    arguments: &Arguments,
    terminal: &Terminal,
    observer: &mut impl keepstate_datapath::Observer,
) -> Result<Engine, Exit> {
    let prepared = prepare(arguments, terminal)?;
    let (mut engine, mut datapath) = engine(prepared, arguments, terminal)?;
    let result = keepstate_datapath::run(&mut engine, &mut datapath, observer);
    tell(&datapath, terminal);
    match result {
        Ok(()) => Ok(engine),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Exit::Clean),
        Err(error) => {
            terminal.error(error);
            Err(Exit::Usage)
        }
    }
}

fn replay(arguments: &Arguments, terminal: &Terminal) -> Result<(), Exit> {
    let prepared = prepare(arguments, terminal)?;
    let quiet = terminal.is_quiet();
    let options_of_report = report::Options {
        format: arguments.format,
        packets: arguments.format == Format::Jsonl || !quiet,
        events: arguments.events,
        conntrack: arguments.conntrack,
        summary: !quiet,
        write: arguments.write.as_deref(),
        nflog: arguments.nflog.as_deref(),
    };
    let report = Report::new(&options_of_report, terminal, Names::new(prepared.loaded()));
    let mut report = report.map_err(|error| {
        terminal.error(error);
        Exit::Usage
    })?;
    let (mut engine, mut datapath) = engine(prepared, arguments, terminal)?;
    let result = keepstate_datapath::run(&mut engine, &mut datapath, &mut report);
    let latest = report.latest();
    let result = result.and_then(|()| report.finish(&mut engine));
    if let (Ok(()), Some(path)) = (&result, &arguments.save_table) {
        super::conntrack::save(path, &table_of(&engine, latest), terminal)?;
    }
    tell(&datapath, terminal);
    match result {
        Ok(()) => Ok(()),
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            terminal.error(error);
            Err(Exit::Usage)
        }
    }
}

/// The table of an engine, to be asked from outside.
pub(super) fn table_of(engine: &Engine, now: Instant) -> SavedTable {
    let table = engine.conntrack();
    SavedTable::new(Contents::of(table, now)).with_statistics(vec![*table.statistics()])
}

/// What went wrong with captures, and what was done about them.
fn tell(replay: &Replay, terminal: &Terminal) {
    for (path, fault) in &replay.faults {
        terminal.warning(format_args!("{}: {fault}", path.display()));
    }
    if replay.finished_checksum_count > 0 {
        terminal.warning(format_args!(
            "{} packets had a checksum that their network card was to finish: finished",
            replay.finished_checksum_count
        ));
    }
}

/// Says at once which captures cannot be read, before time is spent on the others.
pub(super) fn check_captures(captures: &[PathBuf], terminal: &Terminal) -> Result<(), Exit> {
    let mut result = Ok(());
    for path in captures.iter().filter(|path| path.as_os_str() != "-") {
        if let Err(error) = Capture::open(path) {
            terminal.error(format_args!("{}: {error}", path.display()));
            result = Err(Exit::Usage);
        }
    }
    result
}
