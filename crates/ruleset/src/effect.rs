//! What a target does to a packet, for analyses that run nothing: the steps that it may take, and what of the
//! packet is another thing behind it.

use crate::packet_set::{Field, Ranges};
use crate::verdict::{Step, Verdict};
use alloc::{vec, vec::Vec};

/// What a target does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The steps one of which it takes. Where there are several, which one is no matter of the packet's
    /// fields.
    pub steps: Vec<Step>,
    /// What it changes first.
    pub writes: Vec<Change>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bits of the field are kept, then others flipped.
    Bits {
        /// The field.
        field: Field,
        /// Those kept.
        keep: u128,
        /// Those flipped.
        flip: u128,
    },
    /// The field gets a value out of these, which one is not told.
    Among(Field, Ranges),
    /// A number is added to the field, which stays between 0 and the largest that it holds.
    Plus(Field, i16),
    /// What matches of this name ask for is another thing.
    Asked(&'static str),
    /// Bytes of the packet that no [`Field`] stands for.
    Bytes,
    /// What tracking is to do with the packet: to leave it alone, or something else (`CT`). The first rule
    /// that says so counts.
    Template {
        /// To leave it alone.
        untracked: bool,
    },
}

impl Effect {
    /// Anything: some verdict or the next rule or one of `steps`, and everything may be changed.
    #[must_use]
    pub fn unknown(mut steps: Vec<Step>) -> Self {
        steps.extend([Verdict::Accept, Verdict::Drop].map(Step::Verdict));
        steps.push(Step::Continue);
        let mut writes: Vec<_> = Field::ALL.into_iter().map(Change::any).collect();
        writes.push(Change::Bytes);
        Self { steps, writes }
    }

    /// Nothing that rules see: the next one is looked at.
    #[must_use]
    pub fn none() -> Self {
        Self::change(Vec::new())
    }

    /// Changes, and the next rule is looked at.
    #[must_use]
    pub fn change(writes: Vec<Change>) -> Self {
        Self { steps: vec![Step::Continue], writes }
    }

    /// A verdict.
    #[must_use]
    pub fn verdict(verdict: Verdict) -> Self {
        Self { steps: vec![Step::Verdict(verdict)], writes: Vec::new() }
    }

    /// Changes, and a verdict.
    #[must_use]
    pub fn change_and(writes: Vec<Change>, verdict: Verdict) -> Self {
        Self { writes, ..Self::verdict(verdict) }
    }
}

impl Change {
    /// The whole field is set.
    #[must_use]
    pub const fn set(field: Field, value: u128) -> Self {
        Self::Bits { field, keep: 0, flip: value }
    }

    /// Any value may come out.
    #[must_use]
    pub fn any(field: Field) -> Self {
        Self::Among(field, vec![(0, field.last())])
    }
}
