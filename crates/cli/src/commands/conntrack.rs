//! `keepstate conntrack`, and a link called `conntrack`: the table from outside. What the words
//! after the table's own mean, and what is printed, is the connection tracker's business.

use super::replay::{self, engine_after, table_of};
use crate::{exit::Exit, terminal::Terminal};
use clap::Parser;
use keepstate_conntrack::{
    command::{self, Command, Fault, Load, Loaded, TableKind, Verb, run::Form, run::Printed},
    event::EventKind,
    flow::{Expected, Flow, LabelNames},
    listing::Kind,
    saved::{self, SavedTable},
};
use keepstate_datapath::{Observer, Seen};
use keepstate_engine::Event;
use keepstate_packet::Instant;
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

const HELP: &str = "Which table:\n  \
    --saved FILE          a table in a file: as `keepstate replay --save-table FILE` writes it, or\n                        \
    what conntrack -L prints (also -o save, -o xml), or /proc/net/nf_conntrack;\n                        \
    -I, -A, -U, -D, -F and -R write it back\n  \
    --replay CAPTURE      the table at the end of a replay; again for more captures, and with the\n                        \
    options of `keepstate replay` before or after it (--rules, --local, --sysctl,\n                        \
    --helpers, ...); changes go to --save-table FILE\n  \
    KEEPSTATE_TABLE=FILE  in the environment: --saved FILE where neither is given\n\n\
    Then the verb and options of conntrack(8):\n  \
    keepstate conntrack --saved table -L -p tcp --state ESTABLISHED -o extended\n  \
    keepstate conntrack --rules gateway.rules --replay ftp.pcap -E -o timestamp\n  \
    keepstate conntrack --saved table -D -s 192.0.2.7\n\n\
    A link called `conntrack` to this program is this verb.";

// Arguments of `keepstate conntrack`; what it does is said where the verbs are listed.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Which table, then the words of conntrack(8)
    #[arg(
        value_name = "TABLE | VERB | OPTION",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(super) words: Vec<String>,
}

/// The replay behind a table.
#[derive(Parser)]
#[command(name = "keepstate conntrack", disable_help_flag = true)]
struct Replayed {
    #[command(flatten)]
    arguments: replay::Arguments,
}

/// Where labels have their names.
const LABEL_NAMES: &str = "/etc/xtables/connlabel.conf";
/// Names the saved table where the command line does not.
const TABLE_VARIABLE: &str = "KEEPSTATE_TABLE";

/// Where the table is.
#[derive(Debug, Default)]
struct Source {
    saved: Option<PathBuf>,
    /// The words of `keepstate replay`.
    replay: Vec<String>,
    captures: Vec<String>,
}

impl Source {
    /// Takes the words that say where the table is; what is left are conntrack(8)'s.
    fn take(words: &[String]) -> (Self, &[String]) {
        const OF_REPLAY: [&str; 13] = [
            "--rules",
            "--rules4",
            "--rules6",
            "--host",
            "--local",
            "--in",
            "--out",
            "--clock",
            "--sysctl",
            "--connlabel-conf",
            "--checksum",
            "--helpers",
            "--save-table",
        ];
        let mut source = Self::default();
        let mut at = 0;
        // Without a replay `--out` is short for conntrack(8)'s `--output`.
        let replays = |word: &String| word == "--replay" || word.starts_with("--replay=");
        let of_replay = if words.iter().any(replays) { &OF_REPLAY[..] } else { &[] };
        while let Some(word) = words.get(at) {
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            if !of_replay.contains(&name) && !["--saved", "--replay"].contains(&name) {
                break;
            }
            at += 1;
            if value.is_none() {
                value = words.get(at).cloned();
                at += 1;
            }
            let value = value.unwrap_or_default();
            match name {
                "--saved" => source.saved = Some(value.into()),
                "--replay" => source.captures.push(value),
                _ => source.replay.extend([name.to_owned(), value]),
            }
        }
        if source.saved.is_none() && source.captures.is_empty() {
            source.saved = std::env::var_os(TABLE_VARIABLE).map(PathBuf::from);
        }
        (source, words.get(at..).unwrap_or(&[]))
    }

    fn replayed(&self) -> Option<replay::Arguments> {
        if self.captures.is_empty() {
            return None;
        }
        let name = std::iter::once("keepstate conntrack".to_owned());
        let words = name.chain(self.replay.iter().cloned()).chain(self.captures.iter().cloned());
        Some(Replayed::parse_from(words).arguments)
    }
}

/// The verb, whose own help tells of tables as well.
pub(super) fn verb(words: &[String], terminal: &Terminal) -> Exit {
    if words.first().is_some_and(|word| word == "--help") {
        let mut command = <Arguments as clap::Args>::augment_args(
            clap::Command::new("keepstate conntrack")
                .about("The connection table from outside, with the verbs of conntrack(8)"),
        );
        // Whoever reads our output has seen enough when this fails.
        let _ = command.print_help();
        return Exit::Clean;
    }
    run(words, terminal)
}

pub(crate) fn run(words: &[String], terminal: &Terminal) -> Exit {
    let (source, words) = Source::take(words);
    let names = std::fs::read_to_string(LABEL_NAMES).ok();
    let names = names.as_deref().map(command::label_names);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut printed = Printed::default();
    let asked = match Asked::read(&words, names.as_ref(), &mut printed) {
        Ok(asked) => asked,
        Err(fault) => {
            printed.fail(&fault);
            return print(&printed);
        }
    };
    match asked.answer(&source, names.as_ref(), &mut printed, terminal) {
        Ok(()) => print(&printed),
        Err(exit) => exit,
    }
}

/// One command, or a file of them.
enum Asked {
    Command(Box<Command>),
    Loaded(Loaded),
}

impl Asked {
    fn read(
        words: &[&str],
        names: Option<&LabelNames>,
        printed: &mut Printed,
    ) -> Result<Self, Fault> {
        let Some(load) = Load::of(words) else {
            let command = command::parse(words, names, &mut printed.err)?;
            return Ok(Self::Command(Box::new(command)));
        };
        let mut text = String::new();
        let read = match load.file {
            "-" => io::stdin().read_to_string(&mut text),
            path => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
        };
        read.map_err(|_| load.unreadable())?;
        Loaded::read(&text, names, &mut printed.err).map(Self::Loaded)
    }

    /// Whether a table is needed.
    fn asks(&self) -> bool {
        match self {
            Self::Command(command) => {
                !matches!(command.verb, Verb::None | Verb::Help | Verb::Version)
            }
            Self::Loaded(loaded) => !loaded.0.is_empty(),
        }
    }

    /// Whether a file that is not there yet is made.
    fn makes(&self) -> bool {
        match self {
            Self::Command(command) => matches!(command.verb, Verb::Create | Verb::Add),
            Self::Loaded(_) => true,
        }
    }

    fn answer(
        &self,
        source: &Source,
        names: Option<&LabelNames>,
        printed: &mut Printed,
        terminal: &Terminal,
    ) -> Result<(), Exit> {
        if let Self::Command(command) = self
            && let Err(fault) = command::run::check(command)
        {
            printed.fail(&fault);
            return Ok(());
        }
        if !self.asks() {
            self.put_to(&mut SavedTable::default(), (names, None), printed);
            return Ok(());
        }
        if let Some(arguments) = source.replayed() {
            let mut after = After::default();
            if let Self::Command(command) = self
                && command.verb == Verb::Event
            {
                let mut told = Told { form: Form::new(command, names, None), command };
                eprint!("{}", told.form.events_begin());
                engine_after(&arguments, terminal, &mut told)?;
                print!("{}", told.form.foot());
                printed.err.push_str(&told.form.events_shown());
                return Ok(());
            }
            let engine = engine_after(&arguments, terminal, &mut after)?;
            let mut table = table_of(&engine, after.latest);
            self.put_to(&mut table, (names, Some(after.latest)), printed);
            return arguments.save_table.map_or(Ok(()), |path| save(&path, &table, terminal));
        }
        let Some(path) = &source.saved else {
            terminal.error(format_args!(
                "which table? --saved FILE, --replay CAPTURE, or {TABLE_VARIABLE}=FILE in the \
                 environment"
            ));
            return Err(Exit::Usage);
        };
        let mut table = load(path, self.makes(), terminal)?;
        if let Self::Command(command) = self
            && command.verb == Verb::Event
        {
            // Nothing happens in a file.
            let form = Form::new(command, names, None);
            printed.err.push_str(&form.events_begin());
            printed.err.push_str(&form.events_shown());
            return Ok(());
        }
        self.put_to(&mut table, (names, None), printed);
        if table.is_changed() { save(path, &table, terminal) } else { Ok(()) }
    }

    fn put_to(
        &self,
        table: &mut SavedTable,
        (names, now): (Option<&LabelNames>, Option<Instant>),
        printed: &mut Printed,
    ) {
        match self {
            Self::Command(command) => command::run::run(command, table, names, now, printed),
            Self::Loaded(loaded) => loaded.run(table, names, now, printed),
        }
    }
}

fn print(printed: &Printed) -> Exit {
    // Whoever reads our output has seen enough when this fails.
    let _ = io::stdout().write_all(printed.out.as_bytes());
    let _ = io::stderr().write_all(printed.err.as_bytes());
    Exit::Familiar(printed.status)
}

/// Reads a saved table.
fn load(path: &Path, makes: bool, terminal: &Terminal) -> Result<SavedTable, Exit> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && makes => String::new(),
        Err(error) => {
            terminal.error(format_args!("{}: {error}", path.display()));
            return Err(Exit::Usage);
        }
    };
    let contents = saved::read(&text).map_err(|(line, error)| {
        terminal.error(format_args!("{}:{line}: {error}", path.display()));
        Exit::Usage
    })?;
    Ok(SavedTable::new(contents))
}

/// Writes a saved table, all of it or nothing.
pub(super) fn save(path: &Path, table: &SavedTable, terminal: &Terminal) -> Result<(), Exit> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = std::fs::write(&beside, table.text());
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|error| {
        terminal.error(format_args!("{}: {error}", path.display()));
        Exit::Usage
    })
}

/// The time at the end of a replay.
#[derive(Debug, Default)]
struct After {
    latest: Instant,
}

impl Observer for After {
    fn frame(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        self.latest = self.latest.max(seen.slot.time);
        Ok(())
    }
}

/// Prints the events that a command wants as they happen.
#[derive(Debug)]
struct Told<'a> {
    form: Form<'a>,
    command: &'a Command,
}

impl Observer for Told<'_> {
    fn event(&mut self, now: Instant, event: &Event) -> io::Result<()> {
        let Event::Conntrack(event) = event else { return Ok(()) };
        let kind = match event.kind {
            EventKind::New | EventKind::ExpectNew => Kind::New,
            EventKind::Update => Kind::Update,
            EventKind::Destroy | EventKind::ExpectDestroy => Kind::Destroy,
        };
        let of_expectation = matches!(event.kind, EventKind::ExpectNew | EventKind::ExpectDestroy);
        if of_expectation != (self.command.table == TableKind::Expect) {
            return Ok(());
        }
        self.form.set_now(now);
        let mut line = String::new();
        if of_expectation {
            let expected = Expected::of(&event.snapshot, 0);
            let _ = self.form.expected(&mut line, &expected, kind);
        } else {
            let flow = Flow::of_event(&event.snapshot, event.conn.number(), now);
            if !self.command.tells(&flow, kind) {
                return Ok(());
            }
            let _ = self.form.flow(&mut line, &flow, kind);
        }
        io::stdout().write_all(line.as_bytes())
    }

    /// Events are printed with the time of their packet.
    fn is_patient(&self) -> bool {
        false
    }
}
