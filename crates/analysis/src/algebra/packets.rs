//! Sets of packets, and what is made of them.

use super::space::NODES_MAX;
use oxidd::bcdd::BCDDFunction;
use oxidd::util::AllocResult;
use oxidd::{BooleanFunction, BooleanFunctionQuant, Function, Manager};
use std::fmt;

/// A question needs larger diagrams than [`NODES_MAX`] allows, or more of them than
/// [`CLEARINGS_MAX`](super::space::CLEARINGS_MAX) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the packet sets of these rules are too large (over {NODES_MAX} nodes)")
    }
}

impl std::error::Error for Exhausted {}

impl From<oxidd::util::OutOfMemory> for Exhausted {
    fn from(_: oxidd::util::OutOfMemory) -> Self {
        Self
    }
}

/// What comes of an operation.
pub type Result<T> = std::result::Result<T, Exhausted>;

/// A set of packets: a function from the variables of a [`Space`](super::Space) to yes or no.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Packets(pub(super) BCDDFunction);

impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packets({} nodes)", self.0.node_count())
    }
}

impl Packets {
    /// Those in both.
    pub fn and(&self, other: &Self) -> Result<Self> {
        self.made(|| self.0.and(&other.0))
    }

    /// Those in one of the two.
    pub fn or(&self, other: &Self) -> Result<Self> {
        self.made(|| self.0.or(&other.0))
    }

    /// Those in this set and not in the other.
    pub fn less(&self, other: &Self) -> Result<Self> {
        let others = other.others()?;
        self.and(&others)
    }

    /// Those in exactly one of the two.
    pub fn differ(&self, other: &Self) -> Result<Self> {
        self.made(|| self.0.xor(&other.0))
    }

    /// All others.
    pub fn others(&self) -> Result<Self> {
        Ok(Self(self.0.not()?))
    }

    /// What is in `yes` where this set says yes, and in `no` elsewhere.
    pub fn choose(&self, yes: &Self, no: &Self) -> Result<Self> {
        self.made(|| self.0.ite(&yes.0, &no.0))
    }

    /// For some value of these variables, or for all.
    pub(super) fn some(&self, variables: &Self) -> Result<Self> {
        self.made(|| self.0.exists(&variables.0))
    }

    pub(super) fn every(&self, variables: &Self) -> Result<Self> {
        self.made(|| self.0.forall(&variables.0))
    }

    /// What an operation makes; where there is no room it is cleared first.
    fn made(&self, operation: impl Fn() -> AllocResult<BCDDFunction>) -> Result<Self> {
        if let Ok(made) = operation() {
            return Ok(Self(made));
        }
        self.0.with_manager_shared(|manager, _| manager.gc());
        Ok(Self(operation()?))
    }

    /// Whether no packet is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.0.satisfiable()
    }

    /// Whether every packet of it is in the other.
    pub fn is_within(&self, other: &Self) -> Result<bool> {
        Ok(self.less(other)?.is_empty())
    }

    /// Nodes of its diagram.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.0.node_count()
    }
}
