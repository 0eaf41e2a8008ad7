//! What a match or a target has to say of itself in plain language. Prose is written once per
//! match, target and state; the analysis puts the pieces together.

use alloc::{string::String, vec::Vec};

/// One piece of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A clause that completes "The rule matches a packet when ...": `it is TCP to port 80`.
    Condition(String),
    /// A clause that completes "For a packet that matches, the rule ...": `accepts it: ...`.
    Effect(String),
    /// A fact worth knowing about this instance, a full sentence.
    Note(String),
    /// Something to mind, a full sentence.
    Caution(String),
    /// A word that has an article of its own: `ESTABLISHED`, `RELATED`, `helper`.
    Term(&'static str),
}

/// The pieces, in the order in which they are to be read.
pub type Pieces = Vec<Piece>;

/// `yes` or, behind `!`, `no`.
#[must_use]
pub const fn either<'a>(inverted: bool, yes: &'a str, no: &'a str) -> &'a str {
    if inverted { no } else { yes }
}

/// `a`, `a or b`, `a, b or c`.
#[must_use]
pub fn or_list(words: &[&str]) -> String {
    match words {
        [] => String::from("nothing"),
        [one] => String::from(*one),
        [first @ .., last] => alloc::format!("{} or {last}", first.join(", ")),
    }
}

/// `5`, or `5 to 9`.
#[must_use]
pub fn range<T: PartialEq + core::fmt::Display>(low: T, high: T) -> String {
    if low == high { alloc::format!("{low}") } else { alloc::format!("{low} to {high}") }
}
