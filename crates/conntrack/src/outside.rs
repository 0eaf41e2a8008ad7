//! The table from outside: what can be asked of it, as ctnetlink asks the kernel's.
//!
//! Whatever holds connections and can answer is an [`Ask`]: a [`SavedTable`](crate::saved::SavedTable)
//! read from a file or taken at the end of a replay is one.

use crate::command::TableKind;
use crate::flow::{Expected, Flow};
use crate::table::Statistics;
use crate::tuple::Tuple;
use crate::zone::Zone;
use alloc::vec::Vec;
use core::fmt;
use keepstate_packet::Family;

/// Why a table refuses what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is one already (`EEXIST`).
    Exists,
    /// There is none (`ENOENT`).
    Missing,
    /// Something is missing, or contradicts something else (`EINVAL`).
    Invalid,
    /// A status that cannot be changed (`EBUSY`).
    Busy,
    /// A change that is never made, or no family (`EOPNOTSUPP`).
    Unsupported,
    /// A timeout that is fixed (`EPERM`).
    Forbidden,
    /// A number that nothing has (`ERANGE`).
    OutOfRange,
    /// No room (`ENOMEM`).
    Full,
}

/// As strerror(3) says it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "File exists",
            Self::Missing => "No such file or directory",
            Self::Invalid => "invalid parameters",
            Self::Busy => "Device or resource busy",
            Self::Unsupported => "Operation not supported",
            Self::Forbidden => "Operation not permitted",
            Self::OutOfRange => "Numerical result out of range",
            Self::Full => "Cannot allocate memory",
        })
    }
}

impl core::error::Error for Refusal {}

/// A table that can be asked.
pub trait Ask {
    /// The connections, in the order of the table.
    ///
    /// # Errors
    /// [`Refusal`] when they cannot be listed.
    fn flows(&mut self, table: TableKind) -> Result<Vec<Flow>, Refusal>;

    /// Sets the counters of all connections of a family, or of both, to zero.
    ///
    /// # Errors
    /// [`Refusal`] when that cannot be done.
    fn zero(&mut self, family: Option<Family>) -> Result<(), Refusal>;

    /// The connection that has this tuple in either direction.
    ///
    /// # Errors
    /// [`Refusal::Missing`] when there is none.
    fn find(&mut self, tuple: &Tuple, zone: Zone) -> Result<Flow, Refusal>;

    /// Makes a connection.
    ///
    /// # Errors
    /// [`Refusal::Exists`], [`Refusal::Invalid`] when something is missing, [`Refusal::Busy`] for a
    /// status that none begins with, [`Refusal::Full`].
    fn create(&mut self, flow: &Flow) -> Result<(), Refusal>;

    /// Changes what `change` says of the connection that it names by its original direction and
    /// zone.
    ///
    /// # Errors
    /// [`Refusal`].
    fn update(&mut self, change: &Flow) -> Result<(), Refusal>;

    /// Forgets the connection of this original tuple.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    fn delete(&mut self, tuple: &Tuple, zone: Zone) -> Result<(), Refusal>;

    /// Forgets all connections, of whatever family.
    ///
    /// # Errors
    /// [`Refusal`] when that cannot be done.
    fn flush(&mut self) -> Result<(), Refusal>;

    /// The expectations.
    ///
    /// # Errors
    /// [`Refusal`] when they cannot be listed.
    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal>;

    /// Makes an expectation.
    ///
    /// # Errors
    /// [`Refusal::Missing`] without a master, [`Refusal::Unsupported`] when that has no helper.
    fn expect(&mut self, expected: &Expected) -> Result<(), Refusal>;

    /// Forgets the expectation of this tuple.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    fn forget(&mut self, tuple: &Tuple) -> Result<(), Refusal>;

    /// Forgets all expectations.
    ///
    /// # Errors
    /// [`Refusal`] when that cannot be done.
    fn flush_expectations(&mut self) -> Result<(), Refusal>;

    /// What was counted, a processor each.
    fn statistics(&mut self) -> Vec<Statistics>;
}
