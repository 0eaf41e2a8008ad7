//! What the words of a script are made of.

use super::{Piece, Raw};
use alloc::{format, string::String, vec::Vec};

/// What stands behind the name of an array where all its words are meant.
pub const ARRAY: &str = "[@]";

/// What stands in `${...}`.
pub(super) fn braced(inner: &str, quoted: bool) -> Piece {
    let (name, default) = match inner.split_once(":-").or_else(|| inner.split_once('-')) {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let literal = default.is_none_or(|text| !text.contains(['$', '`', '"', '\'', '\\']));
    // All words of an array fall apart, quoted or not.
    let array = name.strip_suffix("[@]").or_else(|| name.strip_suffix("[*]"));
    let (bare, quoted) = array.map_or((name, quoted), |bare| (bare, false));
    if !bare.is_empty() && bare.chars().all(plain) && literal {
        let name = if array.is_some() { format!("{bare}{ARRAY}") } else { bare.into() };
        Piece::Variable(name, default.map(Into::into), quoted)
    } else {
        Piece::Other
    }
}

/// The text of a word of which nothing is replaced; with a `$` where something would be.
pub(super) fn pattern(pieces: &[Piece]) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text, _) => text.clone(),
        Piece::Variable(..) | Piece::Command(_) | Piece::Other => "$".into(),
    };
    pieces.iter().map(text).collect()
}

/// `NAME=value`, taken apart.
#[must_use]
pub fn assignment(raw: &Raw) -> Option<(String, Raw)> {
    let Some((Piece::Text(text, false), rest)) = raw.pieces.split_first() else { return None };
    let (name, value) = text.split_once('=')?;
    let (name, adds) = match name.strip_suffix('+') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.strip_suffix(ARRAY).unwrap_or(name).chars().all(plain) {
        return None;
    }
    let mut pieces = Vec::new();
    if adds {
        pieces.push(Piece::Variable(name.into(), Some(String::new()), true));
    }
    pieces.push(Piece::Text(value.into(), true));
    pieces.extend(rest.iter().cloned());
    Some((name.into(), Raw { pieces, span: raw.span }))
}
