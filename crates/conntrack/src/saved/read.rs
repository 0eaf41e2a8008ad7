//! Reads a saved table, whatever form it is in: each line says by itself what it is.

use super::{expectation_line, flow_line, xml};
use crate::command::{self, Verb};
use crate::flow::{Contents, Flow};
use crate::outside::Ask;
use crate::saved::SavedTable;
use alloc::string::{String, ToString};
use core::fmt;

/// Most connections, and most expectations, of a saved table.
pub const ENTRIES_MAX: usize = 1 << 21;

/// Why a text is no saved table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// A word that has no place there.
    Unexpected(String),
    /// A value that cannot be.
    Wrong(String, String),
    /// Something said twice.
    Twice(String),
    /// Something that is needed.
    Missing(&'static str),
    /// Too many words in a line.
    TooLong,
    /// Too many entries.
    TooMany,
    /// A command that is refused.
    Command(String),
}

impl ReadError {
    pub(super) fn wrong(key: &str, value: &str) -> Self {
        Self::Wrong(key.to_string(), value.to_string())
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(word) => write!(f, "`{word}' is not known here"),
            Self::Wrong(key, value) => write!(f, "{key} cannot be `{value}'"),
            Self::Twice(key) => write!(f, "{key} is said too often"),
            Self::Missing(what) => write!(f, "{what} missing"),
            Self::TooLong => f.write_str("too many words"),
            Self::TooMany => f.write_str("too many entries"),
            Self::Command(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for ReadError {}

/// Reads a saved table: what [`super::write`](SavedTable::text) writes, `conntrack -L` in any form
/// (as lines, `-o save`, `-o xml`), `/proc/net/nf_conntrack`, and the same of expectations, even
/// mixed. Empty lines, and those that begin with `#`, are passed over.
///
/// # Errors
/// The number of the first line that cannot be read, counted from 1, and why.
pub fn read(text: &str) -> Result<Contents, (usize, ReadError)> {
    let mut contents = Contents::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        entry(line, &mut contents).map_err(|error| (number, error))?;
        if contents.flows.len() > ENTRIES_MAX || contents.expected.len() > ENTRIES_MAX {
            return Err((number, ReadError::TooMany));
        }
    }
    Ok(contents)
}

fn entry(line: &str, contents: &mut Contents) -> Result<(), ReadError> {
    let has = |key: &str| line.split_whitespace().any(|word| word.starts_with(key));
    if line.is_empty() || line.starts_with('#') || line.starts_with("conntrack v") {
        return Ok(());
    }
    if line.starts_with('<') {
        return xml::entry(line, contents);
    }
    if line.starts_with("-A ") || line.starts_with("-I ") {
        contents.flows.push(saved_command(line)?);
    } else if has("proto=") || line.contains("l3proto = ") {
        contents.expected.push(expectation_line(line)?);
    } else {
        contents.flows.push(flow_line(line)?);
    }
    Ok(())
}

/// The connection that a command makes (`-o save`).
fn saved_command(line: &str) -> Result<Flow, ReadError> {
    let loaded = command::Loaded::read(line, None, &mut String::new());
    let loaded = loaded.map_err(|fault| ReadError::Command(fault.text))?;
    let command = loaded.0.first().ok_or(ReadError::Missing("a command"))?;
    if !matches!(command.verb, Verb::Add | Verb::Create) {
        return Err(ReadError::Missing("-A"));
    }
    let mark = command.mark.map(|mark| mark.value);
    // A table that was saved has what no program may set.
    let status = command.flow.status();
    let wanted = Flow { mark, status: None, ..command.flow.clone() };
    let mut table = SavedTable::default();
    table.create(&wanted).map_err(|refusal| ReadError::Command(refusal.to_string()))?;
    let mut made = table.contents().flows;
    let flow = made.pop().ok_or(ReadError::Missing("a connection"))?;
    let status = status | flow.status();
    Ok(Flow { status: Some(status), id: None, ..flow })
}
