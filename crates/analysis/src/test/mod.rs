//! Tests of rule sets: what is to become of packets and conversations, in files that people read.
//!
//! [`mod@read`] makes a [`Suite`] of a file in Markdown or TOML, [`run`] plays its tests through an engine each, [`judge`] says
//! what was expected and did not come, [`mutate`] changes the rules one place at a time and counts the changes that
//! no test notices, [`suggest`] writes tests that notice them. [`told`] is what is told of all of it.
//! The form of a file: `docs/tests.md`.

pub mod dialogue;
pub mod expect;
pub mod judge;
mod markdown;
pub mod mutate;
pub mod observe;
pub mod read;
pub mod run;
mod setup;
pub mod suggest;
#[cfg(test)]
mod testing;
pub mod told;

pub use read::read;
pub(crate) use setup::sets;
pub use setup::{Hosted, Outside, RuleText, Setup, towards};

use crate::conversation::{Conversation as Library, Parties};
use crate::trace::notation::Written;
use expect::Expectation;
use keepstate_ruleset::model::Span;
use std::net::IpAddr;
use std::time::Duration;

/// Most bytes of a test file.
pub const FILE_MAX: usize = 4 << 20;
/// Most tests of a file.
pub const TESTS_MAX: usize = 10_000;
/// Most packets and conversations of a test.
pub const ITEMS_MAX: usize = 2_000;
/// Most times that a line is repeated.
pub const TIMES_MAX: u32 = 10_000;
/// Most faults of a file that are told.
pub const FAULTS_MAX: usize = 100;

/// What a test file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Headings, prose and blocks.
    Markdown,
    /// Keys and tables.
    Toml,
}

impl Form {
    /// That of a file of this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if name.ends_with(".toml") { Self::Toml } else { Self::Markdown }
    }
}

/// A test file.
#[derive(Debug, Default)]
pub struct Suite {
    /// Its name, as the reader gave it.
    pub name: String,
    /// Its text.
    pub source: String,
    /// What stands around the tests.
    pub setups: Vec<Setup>,
    /// In the order of the file.
    pub tests: Vec<Test>,
}

/// What happens to one filter, from an empty connection table on.
#[derive(Debug)]
pub struct Test {
    /// The headings above it.
    pub name: String,
    /// The line of its heading, from 1.
    pub line: u32,
    /// Its place in [`Suite::setups`].
    pub setup: usize,
    /// In order.
    pub items: Vec<Item>,
}

/// A line of a test.
#[derive(Debug)]
pub struct Item {
    /// Where it stands in the file.
    pub span: Span,
    /// Time that passes before it, besides what passes between two packets.
    pub wait: Duration,
    /// How many times it is repeated.
    pub times: u32,
    /// What it is.
    pub what: What,
}

/// A packet, or several that belong together.
#[derive(Debug)]
pub enum What {
    /// A packet.
    Packet(Box<Written>, Vec<Expectation>),
    /// A conversation.
    Conversation(Box<Conversation>),
}

/// A conversation of the library between two hosts.
#[derive(Debug)]
pub struct Conversation {
    /// Which one.
    pub of: &'static Library,
    /// Who begins.
    pub client: IpAddr,
    /// Who answers, under the name that the client knows.
    pub server: IpAddr,
    /// Who sends ICMP errors, where that is said.
    pub router: Option<IpAddr>,
    /// What fills it in.
    pub parties: Parties,
    /// The mark of the client's packets.
    pub mark: u32,
    /// How far it comes.
    pub fate: Option<(Fate, Expectation)>,
    /// What is expected of a packet, by its number from 1.
    pub packets: Vec<(usize, Expectation)>,
}

/// How far a conversation comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All that its receivers wait for comes.
    Passes,
    /// The packet of this number, from 1, is the first that does not.
    Breaks(usize),
    /// The same, and one end goes on believing in a connection that the other does not have.
    HalfOpen(usize),
}
