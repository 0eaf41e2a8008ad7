//! What the line of a command has beside a rule: commands that files do not have, the table, how
//! it is shown.

use super::header::value_word;
use super::options::{self, Main};
use super::rule::{Command, Reader};
use super::words::Word;
use crate::diagnostic::{Diagnostic, code};
use crate::extension::Given;
use crate::model::Span;
use alloc::{format, string::String};

impl Reader<'_> {
    /// Takes an option that means something else in a command than in a file; false for those that
    /// do not.
    pub(super) fn of_command(&mut self, main: Main, given: &Given) -> bool {
        match main {
            Main::Insert => {
                let number = self.rule_number().unwrap_or(1);
                self.set(Command::Insert(value_word(given), number));
            }
            Main::Delete => {
                let number = self.rule_number();
                self.set(Command::Delete(value_word(given), number));
            }
            Main::Check => self.set(Command::Check(value_word(given))),
            Main::Replace => match self.rule_number() {
                Some(number) => self.set(Command::Replace(value_word(given), number)),
                None => self.refuse(given.span, "`-R` needs the number of a rule", {
                    "-R requires a rule number".into()
                }),
            },
            Main::RenameChain => {
                let new =
                    Word { text: given.second.clone(), span: given.second_span, quoted: true };
                self.set(Command::RenameChain(value_word(given), new));
            }
            Main::List | Main::ListRules | Main::Flush | Main::Zero | Main::DeleteChain => {
                self.of_chain(main, given);
            }
            Main::Help => {
                self.optional(given);
                self.set(Command::Help);
            }
            Main::Version => self.set(Command::Version),
            Main::Table => self.line.beside.table = Some(value_word(given)),
            Main::Verbose => self.line.beside.verbose += 1,
            Main::Wait => self.wait(given),
            Main::WaitInterval => {
                self.optional(given);
            }
            Main::Numeric | Main::Exact | Main::LineNumbers => {}
            _ => return false,
        }
        true
    }

    /// Commands that may name a chain, and a rule of it.
    fn of_chain(&mut self, main: Main, given: &Given) {
        let chain = self.optional(given);
        let numbered = chain.is_some() && !matches!(main, Main::Flush | Main::DeleteChain);
        let number = if numbered { self.rule_number() } else { None };
        match main {
            Main::List => self.set(Command::List(chain, number)),
            Main::ListRules => self.set(Command::ListRules(chain, number)),
            Main::Flush => self.set(Command::Flush(chain)),
            Main::Zero => self.set(Command::Zero(chain, number)),
            _ => self.set(Command::DeleteChain(chain)),
        }
    }

    /// `-L -Z`, in either order: zeroed when they have been listed.
    fn set(&mut self, command: Command) {
        let listing = |one: &Command| matches!(one, Command::List(..) | Command::ListRules(..));
        match (&self.line.command, &command) {
            (Some(before), Command::Zero(..)) if listing(before) => self.line.beside.zero = true,
            (Some(Command::Zero(..)), after) if listing(after) => {
                self.line.beside.zero = true;
                self.line.command = Some(command);
            }
            _ => self.line.command = Some(command),
        }
    }

    fn wait(&mut self, given: &Given) {
        let word = self.optional(given);
        let seconds = word.as_ref().map(|word| word.text.parse());
        let Some(Err(_)) = seconds else {
            self.line.beside.wait = Some(seconds.and_then(Result::ok));
            return;
        };
        self.refuse(
            given.span,
            "`-w` takes a number of seconds",
            "wait seconds not numeric".into(),
        );
    }

    /// The value of an option that may do without one.
    fn optional(&mut self, given: &Given) -> Option<Word> {
        if given.value.is_empty() { self.plain_word() } else { Some(value_word(given)) }
    }

    /// The next word, unless an option begins there.
    fn plain_word(&mut self) -> Option<Word> {
        let next = self.peek().filter(|word| !word.text.starts_with(['-', '!'])).cloned();
        if next.is_some() {
            self.next_word();
        }
        next
    }

    fn rule_number(&mut self) -> Option<usize> {
        let word = self.plain_word()?;
        match word.text.parse() {
            Ok(number) if number > 0 => Some(number),
            _ => {
                let text = format!("`{}` is not the number of a rule: they begin at 1", word.text);
                let says = format!("Invalid rule number `{}'", word.text);
                self.refuse(word.span, &text, says);
                Some(1)
            }
        }
    }

    fn refuse(&mut self, span: Span, text: &str, says: String) {
        self.report(Diagnostic::new(code::NO_COMMAND, span, text).says(says));
    }

    /// Two commands in a line.
    pub(super) fn second_command(&mut self, given: &Given, first: Main, first_span: Span) {
        let name = |main| options::OPTIONS.iter().find(|(_, one, _)| *one == main);
        let (before, after) =
            (name(first).map_or('?', |one| one.0), options::short_of(given.option.name));
        let after = after.unwrap_or_default();
        let text = format!("`{after}` beside `-{before}`");
        let fault = Diagnostic::new(code::OPTION_CONFLICT, given.span, text);
        let fault = fault.label(first_span, "the first is here");
        self.report(fault.says(format!("Cannot use {after} with -{before}")));
    }
}
