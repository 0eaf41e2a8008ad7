//! Words of a line, cut as iptables-restore(8) cuts them.
//!
//! Blanks and tabs separate words. A double quote, anywhere in a word, begins a quoted part in
//! which a backslash takes the next character as it is; the closing quote ends the word, even with
//! no blank behind it. Single quotes and backslashes outside of quotes are ordinary characters.

use crate::diagnostic::{Diagnostic, code};
use crate::model::Span;
use alloc::{format, string::String, vec::Vec};
use keepstate_packet::Family;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its text, quotes and backslashes removed.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
    /// Whether a quote is part of it.
    pub quoted: bool,
}

/// Longest word in bytes.
pub const WORD_MAX: usize = 1023;
/// Most words of a line.
pub const WORDS_MAX: usize = 250;

/// Cuts a line; `start` is its offset in the file.
#[must_use]
pub fn words(line: &str, start: u32, faults: &mut Vec<Diagnostic>) -> Vec<Word> {
    let mut cutter =
        Cutter { start, words: Vec::new(), text: String::new(), from: None, quoted: false };
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if quote.is_some() {
            match c {
                _ if escaped => {
                    cutter.text.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    quote = None;
                    cutter.end(at + 1);
                }
                c => cutter.text.push(c),
            }
            continue;
        }
        match c {
            '"' => {
                quote = Some(at);
                cutter.quoted = true;
                cutter.from.get_or_insert(at);
            }
            ' ' | '\t' => cutter.end(at),
            c => {
                cutter.from.get_or_insert(at);
                cutter.text.push(c);
            }
        }
    }
    if let Some(at) = quote {
        let span = cutter.span(at, line.len());
        let fault = Diagnostic::new(code::OPEN_QUOTE, span, "this quote is not closed");
        faults.push(fault.help(format!("{}\"", line.get(at..).unwrap_or("\""))));
    }
    cutter.end(line.len());
    limit(&cutter.words, faults);
    cutter.words
}

struct Cutter {
    start: u32,
    words: Vec<Word>,
    text: String,
    from: Option<usize>,
    quoted: bool,
}

impl Cutter {
    fn span(&self, from: usize, to: usize) -> Span {
        let offset = |at: usize| self.start.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
        Span { start: offset(from), end: offset(to) }
    }

    fn end(&mut self, at: usize) {
        let Some(from) = self.from.take() else { return };
        let span = self.span(from, at);
        let text = core::mem::take(&mut self.text);
        self.words.push(Word { text, span, quoted: self.quoted });
        self.quoted = false;
    }
}

fn limit(words: &[Word], faults: &mut Vec<Diagnostic>) {
    if let Some(word) = words.iter().find(|word| word.text.len() > WORD_MAX) {
        let text = format!("a word of {} bytes; at most {WORD_MAX} are read", word.text.len());
        faults.push(Diagnostic::new(code::TOO_LONG, word.span, text));
    }
    if let Some(word) = words.get(WORDS_MAX) {
        let text = format!("{} words on one line; at most {WORDS_MAX} are read", words.len());
        faults.push(Diagnostic::new(code::TOO_LONG, word.span, text));
    }
}

/// `-4` in an IPv6 file, `-6` in an IPv4 file: iptables-restore passes over the line.
pub(super) fn is_of_other_family(word: &Word, family: Family) -> bool {
    let marks = match family {
        Family::V4 => ["-6", "--ipv6"],
        Family::V6 => ["-4", "--ipv4"],
    };
    !word.quoted && marks.contains(&word.text.as_str())
}
