//! `keepstate ipset`, and a link called `ipset`: the sets of the rule store, with the words of
//! ipset(8). They are kept in its file `sets`, as `ipset save` prints them but with every nanosecond of
//! a timeout, behind a line that says when that was.

use super::iptables::FILES;
use crate::{
    exit::Exit,
    store::{LockError, Locked, STORE_OPTION, Store, Wait},
    terminal::Terminal,
};
use keepstate_datapath::clock::SystemClock;
use keepstate_packet::Instant;
use keepstate_ruleset::{
    sets::ipset::Sets,
    syntax::{
        ipset::command::Output,
        ipset::print::{self, Print},
        ipset::run::{self, Printed, Run, Wants},
        iptables_save,
    },
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, Read, Write},
    path::PathBuf,
    time::Duration,
};

const HELP: &str = "Before the words of ipset(8):\n  \
    --rule-store DIR  the rule store; else KEEPSTATE_RULE_STORE=DIR in the environment, else\n                    \
    $XDG_STATE_HOME/keepstate/rules or ~/.local/state/keepstate/rules\n\n\
    A link to this program called ipset is this verb.";

// Arguments of `keepstate ipset`; what it does is said where the verbs are listed.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The words of the real command, behind the option below
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The file of the store.
const FILE: &str = "sets";
/// Begins its first line; the nanoseconds of its time follow.
const HEAD: &str = "# sets, time left at ";
/// Largest `save` file that is read, in bytes.
const RESTORE_MAX: u64 = 256 << 20;
/// How long a change waits for another one.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn verb(arguments: &Arguments, terminal: &Terminal) -> Exit {
    run(&arguments.words, terminal)
}

pub(crate) fn run(words: &[String], terminal: &Terminal) -> Exit {
    let (store, words) = match words {
        [option, path, rest @ ..] if option == STORE_OPTION => (Some(PathBuf::from(path)), rest),
        _ => (None, words),
    };
    match answer(store, words) {
        Ok(status) => Exit::Familiar(status),
        Err(error) => {
            terminal.error(error);
            Exit::Familiar(1)
        }
    }
}

fn answer(named: Option<PathBuf>, words: &[String]) -> io::Result<u8> {
    let store = Store::locate(named.as_deref())?;
    let locked = match store.lock(Wait::AtMost(PATIENCE)) {
        Ok(locked) => locked,
        Err(LockError::Held) => return Err(io::Error::other("another change does not end")),
        Err(LockError::Io(error)) => return Err(error),
    };
    let now = SystemClock::start().now();
    let kept = load(&locked, now)?;
    let mut sets = kept.clone();
    let mut run = Run::new(&mut sets, now);
    match run.arguments(words) {
        Wants::Nothing => {}
        Wants::Restore => match input(run.options.file.as_deref()) {
            Ok(text) => run.restore(&text),
            // The real tool ends so, and says nothing.
            Err(_) => run.printed.status = 255,
        },
        Wants::Interactive => interactive(&mut run)?,
    }
    let (printed, file) = (run.printed, run.options.file);
    keep(&locked, &kept, &sets, now)?;
    say(&printed, file.as_deref())
}

/// The sets of the store.
pub(super) fn read(store: &Store, now: Instant) -> io::Result<Sets> {
    let text = store.read(FILE)?;
    let mut seed = [0; 8];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    let mut sets = Sets::new(u64::from_ne_bytes(seed));
    let written = text.strip_prefix(HEAD).and_then(|rest| rest.lines().next());
    let written = written.and_then(|number| number.parse().ok()).map_or(now, Instant);
    run::load(&mut sets, &text, written.min(now), true).map_err(|fault| {
        io::Error::other(format!(
            "line {} of `{FILE}` in the rule store: {}",
            fault.line, fault.text
        ))
    })?;
    sets.collect(now);
    Ok(sets)
}

/// The sets of the store, and how often its rules name each.
fn load(locked: &Locked<'_>, now: Instant) -> io::Result<Sets> {
    let mut sets = read(locked.store(), now)?;
    let mut references = BTreeMap::new();
    for (file, family) in FILES {
        let text = locked.store().read(file)?;
        // Rules that cannot be read name nothing here; their own commands tell of them.
        let Ok(ruleset) = iptables_save::parse(&text, family) else { continue };
        for used in ruleset.needs().sets {
            *references.entry(String::from(used.name)).or_insert(0) += 1;
        }
    }
    sets.set_references(references);
    Ok(sets)
}

fn text(sets: &Sets, now: Instant) -> String {
    let how = Print { output: Output::Save, exact: true, ..Print::save() };
    print::print(sets, None, how, now)
}

/// Writes the sets back, if they have changed.
fn keep(locked: &Locked<'_>, before: &Sets, after: &Sets, now: Instant) -> io::Result<()> {
    let new = text(after, now);
    if text(before, now) == new {
        return Ok(());
    }
    locked.write(FILE, &format!("{HEAD}{}\n{new}", now.0))
}

fn input(file: Option<&str>) -> io::Result<String> {
    let mut text = String::new();
    let count = match file {
        Some(path) => fs::File::open(path)?.take(RESTORE_MAX + 1).read_to_string(&mut text)?,
        None => io::stdin().take(RESTORE_MAX + 1).read_to_string(&mut text)?,
    };
    if count as u64 > RESTORE_MAX {
        return Err(io::Error::other(format!("longer than {RESTORE_MAX} bytes")));
    }
    Ok(text)
}

/// Commands of standard input, each answered before the next is read.
fn interactive(run: &mut Run<'_>) -> io::Result<()> {
    let mut lines = io::stdin().lock().take(RESTORE_MAX);
    loop {
        print!("ipset> ");
        io::stdout().flush()?;
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 || !run.interactive(&line) {
            return Ok(());
        }
        let said = std::mem::take(&mut run.printed);
        say(&said, None)?;
    }
}

fn say(printed: &Printed, file: Option<&str>) -> io::Result<u8> {
    io::stderr().write_all(printed.err.as_bytes())?;
    match file.filter(|_| !printed.out.is_empty()) {
        Some(path) => {
            if let Err(error) = fs::write(path, &printed.out) {
                eprintln!("ipset v7.17: Cannot open {path} for writing: {error}");
                return Ok(1);
            }
        }
        // Whoever reads our output has seen enough when this fails.
        None => drop(io::stdout().write_all(printed.out.as_bytes())),
    }
    Ok(printed.status)
}
