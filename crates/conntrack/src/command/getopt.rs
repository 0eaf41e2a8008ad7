//! getopt_long(3): words into options, with abbreviations, values and words that are no options.

use super::Fault;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    None,
    Needed,
    /// Only in the same word.
    Optional,
}

/// A long option and what it is the same as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Long {
    pub(super) name: &'static str,
    pub(super) value: Value,
    pub(super) letter: u16,
}

/// An option that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) letter: u16,
    pub(super) value: Option<&'a str>,
}

/// The words that are left.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    words: Vec<&'a str>,
    /// The next word to look at.
    next: usize,
    /// Rest of a word of several letters.
    letters: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &[&'a str]) -> Self {
        Self { words: words.to_vec(), next: 0, letters: "" }
    }

    /// The next option; `None` after the last. Words that are none are passed over.
    pub(super) fn next(
        &mut self,
        short: &[(u8, Value)],
        long: &[&[Long]],
    ) -> Option<Result<Found<'a>, Fault>> {
        if self.letters.is_empty() {
            loop {
                let word = *self.words.get(self.next)?;
                self.next += 1;
                if word == "--" {
                    self.next = self.words.len();
                    return None;
                }
                if let Some(name) = word.strip_prefix("--") {
                    return Some(self.long(name, long));
                }
                if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                    self.letters = letters;
                    break;
                }
            }
        }
        Some(self.short(short))
    }

    /// The next word, when it is no option: a value that need not be there. conntrack(8) does not
    /// look at one in the same word.
    pub(super) fn optional(&mut self) -> Option<&'a str> {
        if !self.letters.is_empty() {
            return None;
        }
        let word = *self.words.get(self.next)?;
        if word.starts_with(['-', '!']) {
            return None;
        }
        self.next += 1;
        Some(word)
    }

    /// The word that errors name: the one before the next.
    fn latest(&self) -> &'a str {
        let at = self.next.checked_sub(if self.letters.is_empty() { 1 } else { 2 });
        at.and_then(|at| self.words.get(at)).copied().unwrap_or("conntrack")
    }

    fn unknown(&self) -> Fault {
        Fault::parameter(format!("unknown option `{}'", self.latest()))
    }

    fn wants_value(&self) -> Fault {
        Fault::parameter(format!("option `{}' requires an argument", self.latest()))
    }

    fn short(&mut self, known: &[(u8, Value)]) -> Result<Found<'a>, Fault> {
        let mut letters = self.letters.chars();
        let letter = letters.next().unwrap_or('-');
        self.letters = letters.as_str();
        let value = u8::try_from(letter).ok().filter(|letter| *letter != b':').and_then(|letter| {
            known
                .iter()
                .find(|(known, _)| *known == letter)
                .map(|(letter, value)| (*letter, *value))
        });
        let Some((letter, value)) = value else {
            let fault = self.unknown();
            self.letters = "";
            return Err(fault);
        };
        let attached = (!self.letters.is_empty()).then_some(self.letters);
        let value = match value {
            Value::None => None,
            Value::Optional => attached,
            Value::Needed => match attached {
                Some(attached) => Some(attached),
                None => Some(self.following()?),
            },
        };
        if value.is_some() {
            self.letters = "";
        }
        Ok(Found { letter: u16::from(letter), value })
    }

    fn following(&mut self) -> Result<&'a str, Fault> {
        let Some(word) = self.words.get(self.next) else { return Err(self.wants_value()) };
        self.next += 1;
        Ok(word)
    }

    fn long(&mut self, text: &'a str, known: &[&[Long]]) -> Result<Found<'a>, Fault> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let all = || known.iter().flat_map(|list| list.iter());
        let exact = all().find(|long| long.name == name);
        let long = match exact {
            Some(long) => long,
            None => {
                let mut begun = all().filter(|long| long.name.starts_with(name));
                let first = begun.next().ok_or_else(|| self.unknown())?;
                let same =
                    |other: &Long| (other.letter, other.value) == (first.letter, first.value);
                if !begun.all(same) {
                    return Err(self.unknown());
                }
                first
            }
        };
        let value = match (long.value, attached) {
            (Value::None, Some(_)) => return Err(self.unknown()),
            (Value::None, None) | (Value::Optional, None) => None,
            (_, Some(attached)) => Some(attached),
            (Value::Needed, None) => Some(self.following()?),
        };
        Ok(Found { letter: long.letter, value })
    }
}

/// The words of a line of a file, as conntrack(8) cuts it: quotes keep blanks together.
pub(super) fn split(line: &str) -> Vec<alloc::string::String> {
    let mut words = Vec::new();
    let mut word: Option<alloc::string::String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_ascii_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push_str(c.encode_utf8(&mut [0; 4])),
        }
    }
    words.extend(word);
    words.iter().map(ToString::to_string).collect()
}
