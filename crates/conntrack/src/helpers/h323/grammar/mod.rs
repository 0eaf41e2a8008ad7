//! The types of the messages, as the recommendations have them.

pub mod h225;
pub mod h235;
pub mod h245;

use super::per::{Additions, Component, Sequence, Type};

/// An extension marker: how much behind it is known, and that nothing of it is read.
const fn extensible(known: u32) -> Option<Additions> {
    later(known, &[])
}

/// An extension marker: how much behind it is known, and what of it is read.
const fn later(known: u32, read: &'static [(u32, Type)]) -> Option<Additions> {
    Some(Additions { known, read })
}

/// A `SEQUENCE` with an extension marker, how many additions are known, and those that are read.
const fn sequence(
    root: &'static [Component],
    known: u32,
    read: &'static [(u32, Type)],
) -> Sequence {
    Sequence { root, additions: later(known, read) }
}

/// A `SEQUENCE` without an extension marker.
const fn closed(root: &'static [Component]) -> Sequence {
    Sequence { root, additions: None }
}
