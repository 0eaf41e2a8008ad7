//! Commands from a file (`-R FILE`): all are read before the first is run.

use super::options::ABOUT_LABELS;
use super::parse::parse_after;
use super::{Command, Fault, Output, TableKind, Verb, getopt, run};
use crate::flow::LabelNames;
use crate::outside::Ask;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use keepstate_packet::Instant;

/// Most lines of a file.
pub const LINES_MAX: usize = 1 << 21;

/// The word after `-R`: where the commands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load<'a> {
    /// A path, `-` for standard input.
    pub file: &'a str,
}

impl<'a> Load<'a> {
    /// That of a command line that begins with `-R FILE`; `None` for any other. What follows is
    /// passed over.
    #[must_use]
    pub fn of(words: &[&'a str]) -> Option<Self> {
        match words {
            ["-R" | "--load-file", file, ..] => Some(Self { file }),
            _ => None,
        }
    }

    /// That the file cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> Fault {
        Fault::parameter(format!("Failed to open file {} for reading", self.file))
    }
}

/// The commands of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded(pub Vec<Command>);

impl Loaded {
    /// Reads a file. Warnings are appended to `warnings`.
    ///
    /// # Errors
    /// [`Fault`] of the first line that is no command, or one that cannot be loaded.
    pub fn read(
        text: &str,
        label_names: Option<&LabelNames>,
        warnings: &mut String,
    ) -> Result<Self, Fault> {
        let mut commands: Vec<Command> = Vec::new();
        let mut output = Output::default();
        for line in text.split_inclusive('\n').take(LINES_MAX) {
            let words = getopt::split(line);
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            // A line of blanks without its end counts as a command.
            let is_blank = words.is_empty() && line.ends_with('\n');
            if is_blank || words.first().is_some_and(|word| word.starts_with('#')) {
                continue;
            }
            if words.first() == Some(&"conntrack") {
                words.remove(0);
            }
            let command = parse_after(output, &words, label_names, warnings)?;
            output = command.output;
            commands.push(command);
        }
        commands.iter().try_for_each(loadable)?;
        // What one line wants to see, all show.
        output.labels |= commands.iter().any(|command| command.given.any(&ABOUT_LABELS));
        commands.iter_mut().for_each(|command| command.output = output);
        Ok(Self(commands))
    }

    /// Runs them, up to the first that fails. What they print of entries is printed, how many there
    /// were is not.
    pub fn run(
        &self,
        table: &mut dyn Ask,
        label_names: Option<&LabelNames>,
        now: Option<Instant>,
        printed: &mut run::Printed,
    ) {
        for command in &self.0 {
            let mut one = run::Printed::default();
            run::run(command, table, label_names, now, &mut one);
            printed.out.push_str(&one.out);
            if command.verb == Verb::Flush && one.status == 0 {
                printed.err.push_str(&one.err);
            }
            let nothing = matches!(command.verb, Verb::Delete | Verb::Update)
                && one.err.contains("0 flow entries have been");
            if one.status != 0 && !nothing {
                printed.err.push_str(&one.err);
                printed.status = one.status;
                return;
            }
        }
    }
}

/// Not every command can stand in a file.
fn loadable(command: &Command) -> Result<(), Fault> {
    let (verb, table) = (command.verb, command.table);
    let changes =
        matches!(verb, Verb::Create | Verb::Add | Verb::Update | Verb::Delete | Verb::Flush);
    if changes && table == TableKind::Conntrack {
        return Ok(());
    }
    let name = name(verb, table);
    Err(Fault::parameter(format!("Cannot use command `{name}' with --load-file")))
}

fn name(verb: Verb, table: TableKind) -> String {
    let letter = match verb {
        Verb::None => return String::from("unknown"),
        Verb::List => 'L',
        // So it is named there.
        Verb::Create if table == TableKind::Expect => 'C',
        Verb::Create => 'I',
        Verb::Add => 'A',
        Verb::Update => 'U',
        Verb::Delete => 'D',
        Verb::Get => 'G',
        Verb::Flush => 'F',
        Verb::Event => 'E',
        Verb::Count => 'C',
        Verb::Stats => 'S',
        Verb::Version => 'V',
        Verb::Help => 'h',
    };
    match table {
        TableKind::Expect if !matches!(verb, Verb::Version | Verb::Help) => {
            format!("-{letter} expect")
        }
        _ => format!("-{letter}"),
    }
}
