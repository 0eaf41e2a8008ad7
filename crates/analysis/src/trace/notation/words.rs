//! A line in words, each with its place.

use super::Wrong;
use std::str::FromStr;

/// A word.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// As it stands there; of one in quotes what they hold, a character for each byte.
    pub(crate) text: String,
    /// Byte of the line that it begins at.
    pub(crate) at: usize,
    /// It stands in quotes.
    pub(crate) quoted: bool,
}

impl Word {
    pub(crate) fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }

    /// What stands before `=`.
    pub(crate) fn name(&self) -> &str {
        if self.quoted { "\"" } else { self.parts().0 }
    }

    /// What stands behind `=`; empty without one.
    pub(crate) fn value(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.text.split_once('=').unwrap_or((&self.text, ""))
    }

    /// Where the value begins.
    pub(crate) fn value_at(&self) -> usize {
        self.at + self.text.len() - self.value().len()
    }

    /// The value as a number; in hexadecimal behind 0x.
    pub(crate) fn number<T: FromStr + TryFrom<u64>>(&self) -> Result<T, Wrong> {
        let value = self.value();
        let read = match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().and_then(|n| T::try_from(n).ok()),
            None => value.parse().ok(),
        };
        read.ok_or_else(|| {
            let shown = if value.is_empty() { &self.text } else { value };
            (self.value_at(), format!("{shown}: not a number that fits {}", self.name()))
        })
    }

    /// The value as `FROM-TO`.
    pub(crate) fn range(&self) -> Result<(u32, u32), Wrong> {
        let both = self.value().split_once('-');
        let both = both.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        both.ok_or_else(|| (self.value_at(), format!("want {}=FROM-TO", self.name())))
    }

    pub(crate) fn unknown(&self, whose: &str) -> Wrong {
        (self.at, format!("{}: no word for {whose}", self.text))
    }
}

/// The words of a line.
pub(crate) fn words(line: &str) -> Result<Vec<Word>, Wrong> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = line.get(at..) {
        let blanks = rest.len() - rest.trim_start().len();
        at += blanks;
        let rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let (text, length, quoted) = match rest.strip_prefix('"') {
            Some(inside) => {
                let (text, length) =
                    unescaped(inside).map_err(|(from, why)| (at + 1 + from, why))?;
                (text, length + 1, true)
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest.get(..end).unwrap_or(rest).to_owned(), end, false)
            }
        };
        words.push(Word { text, at, quoted });
        at += length;
    }
    Ok(words)
}

/// The text up to the closing quote, a character for each byte, and how many bytes of the line it takes.
fn unescaped(inside: &str) -> Result<(String, usize), Wrong> {
    let mut text = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((text, at + 1)),
            '\\' => text.push(match chars.next().map(|(_, char)| char) {
                Some('r') => '\r',
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(same @ ('"' | '\\')) => same,
                Some('x') => {
                    let digits = inside.get(at + 2..at + 4).unwrap_or("");
                    let byte = u8::from_str_radix(digits, 16);
                    chars.nth(1);
                    byte.map_err(|_| (at, "\\x wants two hexadecimal digits".to_owned()))?.into()
                }
                _ => {
                    return Err((
                        at,
                        "no such escape; there are \\r \\n \\t \\0 \\\" \\\\ \\xHH".into(),
                    ));
                }
            }),
            plain if u32::from(plain) < 256 => text.push(plain),
            plain => return Err((at, format!("{plain}: not one byte; write its bytes as \\xHH"))),
        }
    }
    Err((inside.len(), "a quote without an end".to_owned()))
}
