//! The last column of a listing: what each match and target prints of itself, turned into
//! iptables-save words. One table row a phrase.

mod estimates;
mod headers;
mod ipv6;
mod matches;
mod targets;

use super::{ListedRule, services};
use crate::extension::{names, values};
use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt::Write;

/// The words still to be read.
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.split_whitespace().next()
    }

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        self.rest = after;
        (!word.is_empty()).then_some(word)
    }

    /// Takes `phrase` when the text begins with it at a word boundary.
    fn take(&mut self, phrase: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some(after) = rest.strip_prefix(phrase) else { return false };
        let whole = phrase.ends_with([':', ' ', '"', '*', '='])
            || after.is_empty()
            || after.starts_with(char::is_whitespace);
        if whole {
            self.rest = after;
        }
        whole
    }

    /// Takes what begins the next word, whatever follows it there.
    fn take_start(&mut self, start: &str) -> bool {
        let after = self.rest.trim_start().strip_prefix(start);
        if let Some(after) = after {
            self.rest = after;
        }
        after.is_some()
    }

    /// A text in quotes, of either kind that listings have used: `"a b"`, `` `a b' ``.
    fn quoted(&mut self) -> Option<&'a str> {
        self.in_quotes(str::find)
    }

    /// A text in quotes that is the last of its row, so that it may hold quotes itself.
    fn quoted_last(&mut self) -> Option<&'a str> {
        self.in_quotes(str::rfind)
    }

    fn in_quotes(&mut self, find: fn(&'a str, char) -> Option<usize>) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let close = match rest.chars().next()? {
            '"' => '"',
            '`' => '\'',
            _ => return self.next(),
        };
        let inner = rest.get(1..)?;
        let end = find(inner, close)?;
        self.rest = inner.get(end + 1..)?;
        inner.get(..end)
    }

    /// A value that may stand behind `!`, glued to it or apart: with the `!` of a rule, if any.
    fn value(&mut self, not: bool) -> Option<(&'static str, &'a str)> {
        let apart = self.take("!");
        let (glued, value) = inverted(self.next()?);
        Some((bang(not || apart || !glued.is_empty()), value))
    }
}

/// How a phrase goes on.
enum Reads {
    /// One word, perhaps behind `!`: an option of a match, `(match, option)`.
    Value(&'static str, &'static str),
    /// Nothing: a match with these options.
    Match(&'static str, &'static str),
    /// Nothing: this text, for the target.
    Target(&'static str),
    /// One word, for the target.
    TargetValue(&'static str),
    /// More than that; the flag says that `!` stood before the phrase.
    With(fn(&mut ListedRule, &mut Words<'_>, bool) -> Option<()>),
}

/// A phrase and how it goes on.
type Phrase = (&'static str, Reads);

/// What only the target of this name prints.
type TargetPhrase = (&'static [&'static str], &'static str, Reads);

fn of_matches() -> impl Iterator<Item = &'static Phrase> {
    matches::PHRASES.iter().chain(headers::PHRASES).chain(ipv6::PHRASES).chain(estimates::PHRASES)
}

/// Whether a word begins what a match or target prints of itself, so that it is no address.
pub(super) fn begins_extra(word: &str) -> bool {
    let bare = word.trim_start_matches('!');
    let begins = |phrase: &str| phrase.split(' ').next() == Some(bare);
    let phrases = of_matches().map(|(phrase, _)| *phrase);
    let targets = targets::PHRASES.iter().map(|(_, phrase, _)| *phrase);
    bare.is_empty()
        || bare.contains(":") && bare.starts_with(|c: char| c.is_ascii_lowercase() && c > 'f')
        || ["spt:", "dpt:", "spts:", "dpts:", "flags:"].iter().any(|p| bare.starts_with(p))
        || phrases.chain(targets).any(begins)
}

/// Reads the whole column into the row.
pub(super) fn read(row: &mut ListedRule, text: &str) {
    let mut words = Words { rest: text };
    while let Some(word) = words.peek() {
        let before = words.rest;
        let not = words.take("!");
        if phrase(row, &mut words, not).is_none() {
            words.rest = before;
            words.next();
            row.unread.push(word.to_string());
        }
    }
}

fn phrase(row: &mut ListedRule, words: &mut Words<'_>, not: bool) -> Option<()> {
    let reads = match of_matches().find(|(phrase, _)| words.take(phrase)) {
        Some((_, reads)) => reads,
        None => {
            let target = row.target.as_deref();
            let own = |of: &&TargetPhrase| target.is_some_and(|name| of.0.contains(&name));
            let mut of_target = targets::PHRASES.iter().filter(own);
            &of_target.find(|(_, phrase, _)| words.take(phrase))?.2
        }
    };
    match reads {
        Reads::Value(name, option) => value(row, words, not, name, option),
        Reads::Match(name, options) => {
            push(row, name, options);
            (!not).then_some(())
        }
        Reads::Target(text) => {
            row.target_options = (*text).to_string();
            Some(())
        }
        Reads::TargetValue(option) => {
            row.target_options = format!("{option} {}", words.next()?);
            Some(())
        }
        Reads::With(read) => read(row, words, not),
    }
}

/// Matches that print each of their options as a phrase of its own.
const SPREAD: [&str; 6] = ["conntrack", "iprange", "owner", "set", "devgroup", "ipvs"];

/// Adds an option; those of one match in a row go behind one `-m`, unless it has that option already.
fn push(row: &mut ListedRule, name: &str, options: &str) {
    let head = format!("-m {name} ");
    let option = options.trim_start_matches("! ").split(' ').next().unwrap_or("");
    match row.matches.last_mut() {
        Some(last)
            if SPREAD.contains(&name)
                && last.starts_with(&head)
                && last.split(' ').all(|word| word != option) =>
        {
            let _ = write!(last, " {options}");
        }
        _ => row.matches.push(format!("{head}{options}").trim_end().to_string()),
    }
}

fn value(
    row: &mut ListedRule,
    words: &mut Words<'_>,
    not: bool,
    name: &str,
    option: &str,
) -> Option<()> {
    let (not, value) = words.value(not)?;
    push(row, name, &format!("{not}{option} {value}"));
    Some(())
}

const fn bang(not: bool) -> &'static str {
    if not { "! " } else { "" }
}

/// `!` glued to a value.
fn inverted(word: &str) -> (&'static str, &str) {
    match word.strip_prefix('!') {
        Some(word) => ("! ", word),
        None => ("", word),
    }
}

/// A text in double quotes, as a rule file has it.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A port list with names made numbers; what is neither stays as it is.
fn port_list(text: &str, protocol: Option<u8>) -> String {
    let mut out = String::new();
    for port in text.split_inclusive([',', ':']) {
        let (name, end) = match port.strip_suffix([',', ':']) {
            Some(name) => (name, port.get(name.len()..).unwrap_or("")),
            None => (port, ""),
        };
        let known = || names::service_port(name, protocol).or_else(|| services::port(name));
        match name.parse().ok().or_else(known) {
            Some(number) => {
                let _ = write!(out, "{number}{end}");
            }
            None => out.push_str(port),
        }
    }
    out
}

/// The protocol of the row.
fn protocol_of(row: &ListedRule) -> Option<u8> {
    values::protocol(row.protocol.trim_start_matches('!'))
}
