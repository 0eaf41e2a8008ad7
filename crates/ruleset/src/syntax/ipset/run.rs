//! Commands put to sets.

use super::command::{self, Command, Options, Output, Verb};
use super::element;
use super::print::{self, Print};
use super::words;
use super::{Fault, VERSION, help, options};
use crate::sets::ipset::types::set_type;
use crate::sets::ipset::{Change, Request, Sets};
use alloc::{format, string::String, vec::Vec};
use keepstate_packet::{Family, Instant};

/// What a command says, and how it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit status.
    pub status: u8,
}

/// What is to be read before a command can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Nothing more: it has run.
    Nothing,
    /// A `save` file: from the file that [`Options::file`] names, else standard input.
    Restore,
    /// Commands of standard input, line by line.
    Interactive,
}

/// A run of the program: its options and what it has said.
#[derive(Debug)]
pub struct Run<'a> {
    sets: &'a mut Sets,
    /// The options of the program.
    pub options: Options,
    /// What was said.
    pub printed: Printed,
    now: Instant,
    /// Elements to be added or taken out together, with the lines that they stand in.
    waiting: Vec<Waiting>,
    /// Reads seconds with a fraction, and takes what is there already.
    exact: bool,
}

#[derive(Debug)]
struct Waiting {
    line: usize,
    set: String,
    verb: Verb,
    request: Request,
    exist: bool,
}

/// Most elements of a `save` file that wait to be put into their set together: what stands in a line
/// behind them that is no command takes them with it.
const WAITING_MAX: usize = 1024;

impl<'a> Run<'a> {
    /// Nothing said yet.
    #[must_use]
    pub fn new(sets: &'a mut Sets, now: Instant) -> Self {
        Self {
            sets,
            options: Options::default(),
            printed: Printed::default(),
            now,
            waiting: Vec::new(),
            exact: false,
        }
    }

    /// The words of a command line.
    pub fn arguments(&mut self, words: &[String]) -> Wants {
        let parsed = command::parse(words, &mut self.options);
        let result = parsed.and_then(|command| match command.verb {
            Verb::Restore => Ok(Wants::Restore),
            Verb::Interactive => Ok(Wants::Interactive),
            _ => self.command(&command).map(|()| Wants::Nothing),
        });
        result.unwrap_or_else(|fault| {
            self.fail(&fault, None);
            Wants::Nothing
        })
    }

    /// A line of an interactive session; whether it goes on.
    pub fn interactive(&mut self, line: &str) -> bool {
        let words = words::of_line(line);
        let Some(first) = words.first() else { return true };
        if first.starts_with('#') {
            return true;
        }
        if first == "quit" {
            return false;
        }
        let result =
            command::parse(&words, &mut self.options).and_then(|command| match command.verb {
                Verb::Restore | Verb::Interactive => {
                    Err(Fault::refused("Restore command is not supported in interactive mode"))
                }
                _ => self.command(&command),
            });
        if let Err(fault) = result {
            self.fail(&fault, None);
        }
        self.printed.status = 0;
        true
    }

    /// A `save` file. It ends at the first fault; what was done before is done.
    pub fn restore(&mut self, text: &str) {
        for (number, line) in (1..).zip(text.split('\n')) {
            if line.starts_with('#') {
                continue;
            }
            let words = words::of_line(line);
            match words.first().map(String::as_str) {
                None => continue,
                Some("quit") => return,
                Some(_) => {}
            }
            if let Err((fault, line)) = self.line(&words, number) {
                self.fail(&fault, Some(line));
                return;
            }
            if self.printed.status != 0 {
                return;
            }
        }
        if let Err((fault, line)) = self.commit() {
            self.fail(&fault, Some(line));
        }
    }

    fn line(&mut self, words: &[String], number: usize) -> Result<(), (Fault, usize)> {
        if words.first().is_some_and(|word| word == "COMMIT") {
            return self.commit();
        }
        let here = |fault| (fault, number);
        let command = command::parse(words, &mut self.options).map_err(here)?;
        match command.verb {
            Verb::Help | Verb::Version | Verb::Restore | Verb::Interactive => {
                let text = format!("Command `{}' is invalid in restore mode.", command.verb.name());
                Err(here(Fault::usage(text)))
            }
            Verb::Add | Verb::Del => {
                let (set, request) = self.request(&command).map_err(here)?;
                let together = |one: &Waiting| one.set == set && one.verb == command.verb;
                let full = self.waiting.len() >= WAITING_MAX;
                if full || self.waiting.first().is_some_and(|one| !together(one)) {
                    self.commit()?;
                }
                let exist = self.options.exist;
                self.waiting.push(Waiting {
                    line: number,
                    set,
                    verb: command.verb,
                    request,
                    exist,
                });
                Ok(())
            }
            _ => {
                self.commit()?;
                self.command(&command).map_err(here)
            }
        }
    }

    /// Puts the elements that wait into their set.
    fn commit(&mut self) -> Result<(), (Fault, usize)> {
        for one in core::mem::take(&mut self.waiting) {
            let change = change_of(one.verb, one.exist);
            let result = self.sets.change(&one.set, &one.request, change, self.now);
            result.map_err(|error| (error.into(), one.line))?;
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), Fault> {
        let word = |at: usize| command.words.get(at).map_or("", String::as_str);
        let named = |at: usize| element::set_name(word(at));
        match command.verb {
            Verb::Create => self.create(command),
            Verb::Add | Verb::Del => {
                let (set, request) = self.request(command)?;
                let change = change_of(command.verb, self.options.exist);
                Ok(self.sets.change(&set, &request, change, self.now)?)
            }
            Verb::Test => self.test(command),
            Verb::Destroy => match command.words.first() {
                None => Ok(self.sets.destroy_all()?),
                Some(_) => {
                    let name = named(0)?;
                    let missing = self.options.exist && self.sets.find(&name).is_none();
                    if missing { Ok(()) } else { Ok(self.sets.destroy(&name)?) }
                }
            },
            Verb::Flush => match command.words.first() {
                None => Ok(self.sets.flush(None)?),
                Some(_) => Ok(self.sets.flush(Some(&named(0)?))?),
            },
            Verb::Rename => Ok(self.sets.rename(&named(0)?, &named(1)?)?),
            Verb::Swap => Ok(self.sets.swap(&named(0)?, &named(1)?)?),
            Verb::List => self.list(command, Output::Plain),
            Verb::Save => self.list(command, Output::Save),
            Verb::Help => self.help(command),
            Verb::Version => {
                self.printed.out.push_str(&format!("ipset v{VERSION}, protocol version: 7\n"));
                Ok(())
            }
            Verb::Restore | Verb::Interactive => Ok(()),
        }
    }

    fn create(&mut self, command: &Command) -> Result<(), Fault> {
        let [name, kind, rest @ ..] = &command.words[..] else { return Ok(()) };
        let name = element::set_name(name)?;
        let kind = set_type(kind)
            .ok_or_else(|| Fault::syntax(format_args!("typename '{kind}' is unknown")))?;
        let mut warnings = String::new();
        let create = options::create(kind, rest, &mut warnings)?;
        if !self.options.quiet {
            self.printed.err.push_str(&warnings);
        }
        Ok(self.sets.create(&name, &create, self.options.exist)?)
    }

    /// The set and the element of `add`, `del` and `test`.
    fn request(&self, command: &Command) -> Result<(String, Request), Fault> {
        let [name, text, rest @ ..] = &command.words[..] else {
            return Ok((String::new(), Request::default()));
        };
        let name = element::set_name(name)?;
        let set = self.sets.named(&name)?;
        let family = set.family.unwrap_or(Family::V4);
        let (kind, verb) = (set.kind, command.verb);
        let mut elsewhere = None;
        let parsed = element::parse(text, kind, family, &mut elsewhere);
        let parsed = parsed.and_then(|mut request| {
            options::element(kind, verb, rest, &mut request, self.exact)?;
            // Behind a protocol of the other family the real tool has forgotten what came before.
            if elsewhere.is_none() {
                element::allowed(&request, kind, family, verb)?;
            }
            request.trusted = self.exact;
            Ok(request)
        });
        let Some(first) = elsewhere else { return Ok((name, parsed?)) };
        let then = parsed.err().unwrap_or_else(|| {
            Fault::refused(format!("Invalid {} command: missing setname", verb.name()))
        });
        if then.status == 2 {
            return Err(then);
        }
        Err(Fault { text: format!("{first}\n{}", then.text), ..then })
    }

    fn test(&mut self, command: &Command) -> Result<(), Fault> {
        let (name, request) = self.request(command)?;
        let set = self.sets.named(&name)?;
        let what = print::asked(&request, set.kind, set.family.unwrap_or(Family::V4));
        let holds = self.sets.test(&name, &request, self.now)?;
        self.printed.status = u8::from(!holds);
        if !self.options.quiet {
            let text = if holds {
                format!("Warning: {what} is in set {name}.\n")
            } else {
                format!("{what} is NOT in set {name}.\n")
            };
            self.printed.err.push_str(&text);
        }
        Ok(())
    }

    fn list(&mut self, command: &Command, form: Output) -> Result<(), Fault> {
        let name = command.words.first();
        if let Some(name) = name {
            self.sets.named(&element::set_name(name)?)?;
        }
        let how = Print {
            output: self.options.output.unwrap_or(form),
            sorted: self.options.sorted,
            names: self.options.names,
            terse: self.options.terse,
            exact: false,
        };
        let text = print::print(self.sets, name.map(String::as_str), how, self.now);
        self.printed.out.push_str(&text);
        Ok(())
    }

    fn help(&mut self, command: &Command) -> Result<(), Fault> {
        let kind = match command.words.first() {
            None => None,
            Some(name) => Some(
                set_type(name).ok_or_else(|| Fault::usage(format!("Unknown settype: `{name}'")))?,
            ),
        };
        self.printed.out.push_str(&help::help(kind));
        Ok(())
    }

    fn fail(&mut self, fault: &Fault, line: Option<usize>) {
        self.waiting.clear();
        self.printed.status = fault.status;
        if self.options.quiet {
            return;
        }
        let place = line.filter(|_| fault.status == 1);
        let place = place.map_or_else(String::new, |line| format!("Error in line {line}: "));
        let help = if fault.status == 2 { "Try `ipset help' for more information.\n" } else { "" };
        let text = format!("ipset v{VERSION}: {place}{}\n{help}", fault.text);
        self.printed.err.push_str(&text);
    }
}

const fn change_of(verb: Verb, exist: bool) -> Change {
    match verb {
        Verb::Del => Change::Del { exist },
        _ => Change::Add { exist },
    }
}

/// A fault of a `save` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
}

/// Reads a `save` file into sets. `exact`: one that [`print::Print::exact`] wrote.
///
/// # Errors
/// The first line that is refused.
pub fn load(sets: &mut Sets, text: &str, now: Instant, exact: bool) -> Result<(), LineFault> {
    let mut run = Run::new(sets, now);
    run.exact = exact;
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.starts_with('#') {
            continue;
        }
        let words = words::of_line(line);
        if words.is_empty() {
            continue;
        }
        let fault = |(fault, line): (Fault, usize)| LineFault { line, text: fault.text };
        run.line(&words, number).map_err(fault)?;
    }
    run.commit().map_err(|(fault, line)| LineFault { line, text: fault.text })
}

/// Whether a text looks like a `save` file: its first command makes or fills a set.
#[must_use]
pub fn is_save_file(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.next().is_some_and(|line| {
        let words = words::of_line(line);
        let first = words.first().map_or("", String::as_str);
        let second = words.get(2).map_or("", String::as_str);
        match first {
            "create" | "-N" => set_type(second).is_some(),
            "add" | "-A" | "flush" | "destroy" | "-exist" | "-!" => !line.contains(" -j "),
            _ => false,
        }
    })
}
