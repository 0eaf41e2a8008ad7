//! The command lines of conntrack(8): what they ask for, and what a table answers them.
//!
//! [`parse()`] reads words as conntrack(8) 1.4.7 does, oddities included, into a [`Command`];
//! [`run`](run::run) puts it to anything that is a [`Ask`](crate::outside::Ask) and writes what
//! conntrack(8) would write, to the byte. Commands have three uses: they are run, they stand in the
//! files of `--load-file`, and people ask what they mean.

mod filter;
mod getopt;
mod help;
mod load;
mod options;
mod parse;
mod protocols;
pub mod run;
mod values;

pub use load::{LINES_MAX, Load, Loaded};
pub use options::{Given, OptionKind};
pub use parse::parse;

/// Reads `connlabel.conf`.
#[must_use]
pub fn label_names(text: &str) -> crate::flow::LabelNames {
    values::label_names(text)
}

use crate::CtStatus;
use crate::flow::{Expected, Flow, Half, Labels};
use alloc::string::String;
use core::fmt;

/// The version whose ways these are.
pub const VERSION: &str = "1.4.7";

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Nothing: conntrack(8) prints its help.
    #[default]
    None,
    /// `-L`.
    List,
    /// `-I`.
    Create,
    /// `-A`: create, unless it is there.
    Add,
    /// `-U`.
    Update,
    /// `-D`.
    Delete,
    /// `-G`.
    Get,
    /// `-F`.
    Flush,
    /// `-E`.
    Event,
    /// `-C`.
    Count,
    /// `-S`.
    Stats,
    /// `-V`.
    Version,
    /// `-h`.
    Help,
}

/// The table that is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// Connections.
    #[default]
    Conntrack,
    /// Expectations.
    Expect,
    /// Connections that have left the table and are still held by somebody.
    Dying,
    /// Connections whose first packet is still on its way.
    Unconfirmed,
}

/// What `-o` asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Output {
    /// `xml`.
    pub xml: bool,
    /// `extended`.
    pub extended: bool,
    /// `timestamp`.
    pub timestamp: bool,
    /// `id`.
    pub id: bool,
    /// `ktimestamp`.
    pub ktimestamp: bool,
    /// `labels`.
    pub labels: bool,
    /// `save`.
    pub save: bool,
    /// `userspace`.
    pub userspace: bool,
    /// `proc`: as the file in `/proc/net`. conntrack(8) does not have it.
    pub proc: bool,
}

/// Which events are wanted (`-e`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventMask {
    /// `NEW`.
    pub new: bool,
    /// `UPDATES`.
    pub updates: bool,
    /// `DESTROY`.
    pub destroy: bool,
}

impl EventMask {
    /// All of them: the default.
    pub const ALL: Self = Self { new: true, updates: true, destroy: true };
}

/// `VALUE[/MASK]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masked {
    /// The value.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
}

/// A command line, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// What is to be done.
    pub verb: Verb,
    /// With which table.
    pub table: TableKind,
    /// The options that were given.
    pub given: Given,
    /// The connection as far as it is described.
    pub flow: Flow,
    /// The masks of its original addresses.
    pub masks: Half,
    /// The expectation as far as it is described; its master is described by [`Self::flow`].
    pub expected: Expected,
    /// `-m`.
    pub mark: Option<Masked>,
    /// `-l`.
    pub labels: Option<Labels>,
    /// `--label-add`.
    pub label_add: Option<Labels>,
    /// `--label-del`; all of them when it names none.
    pub label_del: Option<Labels>,
    /// `-o`.
    pub output: Output,
    /// `-e`.
    pub events: Option<EventMask>,
    /// `-b`.
    pub buffer_size: Option<u32>,
    /// Whether a label was named that no connection can have.
    pub impossible_label: bool,
    /// What the first `-u` with a bit asked for: the kernel compares these bits with those of all
    /// `-u` when it lists, and takes none without any.
    pub status_mask: CtStatus,
}

/// Why a command line is refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Exit status: 2 for a wrong command line, 1 for everything else.
    pub status: u8,
    /// The text, without what conntrack(8) puts around it.
    pub text: String,
}

impl Fault {
    fn parameter(text: impl Into<String>) -> Self {
        Self { status: 2, text: text.into() }
    }

    fn other(text: impl Into<String>) -> Self {
        Self { status: 1, text: text.into() }
    }
}

/// As conntrack(8) prints it, with a line end.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "conntrack v{VERSION} (conntrack-tools): {}", self.text)?;
        match self.status {
            2 => writeln!(f, "Try `conntrack -h' or 'conntrack --help' for more information."),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
