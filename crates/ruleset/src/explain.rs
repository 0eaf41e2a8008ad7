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
