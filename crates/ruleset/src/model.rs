//! The rule set as data.

use crate::matches::Match;
use crate::targets::Target;
use alloc::{boxed::Box, string::String, vec::Vec};
use keepstate_conntrack::Hook;
use keepstate_packet::{Address, Family};

/// Index of a chain in its [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainIndex(pub u32);

/// Where a thing stands in its file. Byte offsets from the start of the file; line and column are
/// found from them when they are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One iptables-save or ip6tables-save file.
#[derive(Debug)]
pub struct Ruleset {
    /// Which of the two.
    pub family: Family,
    /// Tables in the order of the file.
    pub tables: Vec<Table>,
}

/// A rule table.
#[derive(Debug)]
pub struct Table {
    /// `raw`, `mangle`, `filter`, `security`.
    pub name: TableName,
    /// Built-in chains first in hook order, then user chains in the order of the file.
    pub chains: Vec<Chain>,
}

/// The tables, in no order; [`TableName::priority`] sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// Priority -300.
    Raw,
    /// Priority -150.
    Mangle,
    /// Priority 0.
    Filter,
    /// Priority 50.
    Security,
}

/// A chain.
#[derive(Debug)]
pub struct Chain {
    /// Name.
    pub name: String,
    /// The hook of a built-in chain.
    pub hook: Option<Hook>,
    /// The policy of a built-in chain: true is ACCEPT, false is DROP.
    pub policy: Option<Policy>,
    /// Packets and bytes of the policy, as in the file.
    pub counters: (u64, u64),
    /// Where it was declared.
    pub span: Span,
    /// Rules.
    pub rules: Vec<Rule>,
}

/// What a built-in chain does with a packet that no rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// ACCEPT.
    Accept,
    /// DROP.
    Drop,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// `-s`, `-d`, `-i`, `-o`, `-p`, `-f`.
    pub header: HeaderMatch,
    /// `-m` in the order of the file.
    pub matches: Vec<Box<dyn Match>>,
    /// `-j`, `-g`, or nothing.
    pub target: Jump,
    /// Packets and bytes, as in the file.
    pub counters: (u64, u64),
    /// Its line in the file.
    pub span: Span,
}

/// What follows when a rule matches.
#[derive(Debug)]
pub enum Jump {
    /// No target: the rule only counts.
    None,
    /// `-j CHAIN`.
    Jump(ChainIndex),
    /// `-g CHAIN`.
    Goto(ChainIndex),
    /// `-j TARGET`.
    Target(Box<dyn Target>),
}

/// The part of a rule that every rule has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderMatch {
    /// `-s`.
    pub source: Option<Inverted<Network>>,
    /// `-d`.
    pub destination: Option<Inverted<Network>>,
    /// `-i`.
    pub in_interface: Option<Inverted<InterfacePattern>>,
    /// `-o`.
    pub out_interface: Option<Inverted<InterfacePattern>>,
    /// `-p`.
    pub protocol: Option<Inverted<u8>>,
    /// `-f` (IPv4): true for second and further fragments, inverted for the others.
    pub fragment: Option<Inverted<()>>,
}

/// A value that may stand behind `!`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inverted<T> {
    /// Behind `!`.
    pub inverted: bool,
    /// The value.
    pub value: T,
}

/// An address and a mask, which need not be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Address, already masked.
    pub address: Address,
    /// Mask.
    pub mask: Address,
}

/// An interface name, or its beginning when it ends in `+`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfacePattern {
    /// The name or its beginning, zero padded.
    pub name: [u8; 16],
    /// Bytes compared (with the terminating NUL when there is no `+`).
    pub length: u8,
}
