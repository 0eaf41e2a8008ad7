//! The types of the messages, as the recommendations have them.

pub mod h225;
pub mod h235;
pub mod h245;

use super::per::{Additions, Component, Sequence, Type};

/// There is an extension marker, and nothing behind it is read.
const EXTENSIBLE: Option<&[(u32, Type)]> = Some(&[]);

/// A `SEQUENCE` with an extension marker, how many additions are known, and those that are read.
const fn sequence(
    root: &'static [Component],
    known: u32,
    read: &'static [(u32, Type)],
) -> Sequence {
    Sequence { root, additions: Some(Additions { known, read }) }
}

/// A `SEQUENCE` without an extension marker.
const fn closed(root: &'static [Component]) -> Sequence {
    Sequence { root, additions: None }
}
