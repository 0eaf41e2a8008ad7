//! Faults of a file, each with its place.

pub mod code;
#[cfg(test)]
mod tests;

use crate::model::Span;
use alloc::{format, string::String, vec, vec::Vec};

/// The code of a kind of fault; `explain KS0123` prints its page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KS{:04}", self.0)
    }
}

impl core::fmt::Debug for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self}")
    }
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// The words at fault.
    pub span: Span,
    /// What is wrong.
    pub text: String,
    /// Other places that have to do with it.
    pub labels: Vec<Label>,
    /// What to write instead, ready to be pasted.
    pub help: Option<String>,
    /// What iptables itself says of it, where that is known; without the name of the tool.
    pub says: Option<String>,
}

/// Another place that has to do with a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What it has to do with it.
    pub text: String,
}

/// Line and column of an offset, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// Where the lines of a text begin, to place many bytes of it.
#[derive(Clone, Debug)]
pub struct Lines(Vec<u32>);

impl Lines {
    /// Looks for them.
    #[must_use]
    pub fn of(source: &str) -> Self {
        let after = |(at, byte): (usize, u8)| match byte {
            b'\n' => u32::try_from(at + 1).ok(),
            _ => None,
        };
        Self(core::iter::once(0).chain(source.bytes().enumerate().filter_map(after)).collect())
    }

    /// The line, from 1, of a byte.
    #[must_use]
    pub fn line_at(&self, offset: u32) -> u32 {
        u32::try_from(self.0.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// The line, from 1, at which a span begins; `None` for what stands in no text.
    #[must_use]
    pub fn line(&self, span: Span) -> Option<u32> {
        (span.end > span.start).then(|| self.line_at(span.start))
    }
}

impl Position {
    /// Where byte `offset` of `source` stands.
    #[must_use]
    pub fn of(source: &str, offset: u32) -> Self {
        let before = source.get(..offset as usize).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
        Self { line: line.try_into().unwrap_or(u32::MAX), column: column.try_into().unwrap_or(1) }
    }
}

impl Diagnostic {
    /// A fault without labels and help.
    #[must_use]
    pub fn new(code: Code, span: Span, text: impl Into<String>) -> Self {
        Self { code, span, text: text.into(), labels: Vec::new(), help: None, says: None }
    }

    /// The same, with a label on another place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// The same, with what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with what iptables itself says of it.
    #[must_use]
    pub fn says(mut self, says: impl Into<String>) -> Self {
        self.says = Some(says.into());
        self
    }

    /// As people read it: place, text, the line with the words underlined, labels, help.
    #[must_use]
    pub fn render(&self, file: &str, source: &str) -> String {
        self.render_as("error", file, source, &Lines::of(source))
    }

    /// The same of one of many faults. `lines`: of the source.
    #[must_use]
    pub fn render_among(&self, file: &str, source: &str, lines: &Lines) -> String {
        self.render_as("error", file, source, lines)
    }

    /// The same of what is no fault, but worth knowing.
    #[must_use]
    pub fn render_note(&self, file: &str, source: &str) -> String {
        self.render_as("note", file, source, &Lines::of(source))
    }

    fn render_as(&self, kind: &str, file: &str, source: &str, lines: &Lines) -> String {
        let mut out = String::new();
        let (_, before, _) = shown(source, self.span);
        let line = lines.line_at(self.span.start);
        out.push_str(&format!("{file}:{line}:{}-{}: ", before + 1, self.last(source)));
        out.push_str(&format!("{kind}[{}]: {}\n", self.code, self.text));
        quote(&mut out, source, self.span, '^', "", lines);
        for label in &self.labels {
            quote(&mut out, source, label.span, '-', &label.text, lines);
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("  help: {help}\n"));
        }
        out
    }

    /// The last column of the words at fault.
    #[must_use]
    pub fn last(&self, source: &str) -> u32 {
        let (_, from, width) = shown(source, self.span);
        u32::try_from(from + width.max(1)).unwrap_or(u32::MAX)
    }
}

/// Longest piece of a source line that is quoted, in characters.
pub const QUOTE_MAX: usize = 160;

/// The line that a span begins in; how many characters stand before the span in it, and how many
/// of the span.
fn shown(source: &str, span: Span) -> (&str, usize, usize) {
    let start = (span.start as usize).min(source.len());
    let before = source.get(..start).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = source.get(line_start..).unwrap_or("");
    let line = rest.split('\n').next().unwrap_or("");
    let end = (span.end as usize).saturating_sub(line_start).min(line.len());
    let from = start - line_start;
    let width = line.get(from..end).map_or(0, |words| words.chars().count());
    (line, line.get(..from).map_or(0, |text| text.chars().count()), width)
}

/// The first and the last column of a span, both from 1 and in characters.
#[must_use]
pub fn columns(source: &str, span: Span) -> (u32, u32) {
    let (_, from, width) = shown(source, span);
    let column = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    (column(from + 1), column(from + width.max(1)))
}

/// Appends the line of a span with the span underlined, and a text behind. A long line is cut to what stands around
/// the span.
pub fn quote(out: &mut String, source: &str, span: Span, under: char, text: &str, lines: &Lines) {
    let (line, from, width) = shown(source, span);
    let number = format!("{}", lines.line_at(span.start));
    let cut = from.saturating_sub(QUOTE_MAX / 2);
    let piece: String = line.chars().skip(cut).take(QUOTE_MAX).collect();
    let piece = piece.replace(['\t', '\r'], " ");
    let lead = if cut > 0 { "..." } else { "" };
    let margin = " ".repeat(number.len());
    let shift = " ".repeat(lead.len() + from - cut);
    let mark: String = vec![under; width.clamp(1, QUOTE_MAX)].into_iter().collect();
    out.push_str(&format!("  {number} | {lead}{piece}\n"));
    out.push_str(format!("  {margin} | {shift}{mark} {text}").trim_end());
    out.push('\n');
}

/// The page of a code: its title, what it means, an example and how it should be.
#[must_use]
pub fn page(code: Code) -> Option<String> {
    let entry = code::ALL.iter().find(|entry| entry.code == code)?;
    let mut page = format!("{}\n\n{}\n", entry.title, entry.text);
    for (head, example) in [("Refused:", entry.wrong), ("Instead:", entry.right)] {
        if !example.is_empty() {
            page.push_str(&format!("\n{head}\n\n"));
            for line in example.lines() {
                page.push_str(&format!("    {line}\n"));
            }
        }
    }
    Some(page)
}

/// The word that was probably meant: the nearest by edit distance, when it is near enough.
#[must_use]
pub fn nearest<'a>(word: &str, possible: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > NEAREST_WORD_MAX {
        return None;
    }
    let allowed = match length {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let word = Folded::of(word)?;
    let mut best: Option<(usize, &str)> = None;
    let comparable = |one: &&str| one.len().abs_diff(length) <= 4 * allowed;
    for one in possible.filter(comparable).take(NEAREST_MAX) {
        let Some(folded) = Folded::of(one) else { continue };
        // Each letter more has to be put in.
        if folded.length.abs_diff(word.length) > allowed {
            continue;
        }
        let distance = edit_distance(&word, &folded);
        if distance <= allowed && distance < length && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, one));
        }
    }
    best.map(|(_, one)| one)
}

/// A word in lower case, of no more characters than can be near enough to one of [`NEAREST_WORD_MAX`].
struct Folded {
    letters: [char; NEAREST_WORD_MAX + 4],
    length: usize,
}

impl Folded {
    fn of(word: &str) -> Option<Self> {
        let mut folded = Self { letters: ['\0'; NEAREST_WORD_MAX + 4], length: 0 };
        for letter in word.chars() {
            *folded.letters.get_mut(folded.length)? = letter.to_ascii_lowercase();
            folded.length += 1;
        }
        Some(folded)
    }

    fn letters(&self) -> &[char] {
        self.letters.get(..self.length).unwrap_or(&[])
    }
}

/// Longest word that is compared with the known ones, in characters.
pub const NEAREST_WORD_MAX: usize = 40;

/// Most known words that a word is compared with: a file may have any number of chains.
pub const NEAREST_MAX: usize = 500;

/// Insertions, deletions, substitutions and swaps of neighbours that lead from one to the other.
fn edit_distance(from: &Folded, to: &Folded) -> usize {
    type Row = [usize; NEAREST_WORD_MAX + 5];
    let at = |row: &Row, column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    let to = to.letters();
    let mut above: Row = [0; NEAREST_WORD_MAX + 5];
    let mut row: Row = core::array::from_fn(|column| column);
    let mut last = None;
    for (i, c) in from.letters().iter().enumerate() {
        let mut next: Row = [0; NEAREST_WORD_MAX + 5];
        if let Some(first) = next.first_mut() {
            *first = i + 1;
        }
        for (j, d) in to.iter().enumerate() {
            let mut cost = at(&row, j) + usize::from(c != d);
            cost = cost.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped = j > 0 && last == Some(d) && to.get(j - 1) == Some(c);
            if swapped && c != d {
                cost = cost.min(at(&above, j - 1).saturating_add(1));
            }
            if let Some(here) = next.get_mut(j + 1) {
                *here = cost;
            }
        }
        (above, row) = (row, next);
        last = Some(c);
    }
    at(&row, to.len())
}
