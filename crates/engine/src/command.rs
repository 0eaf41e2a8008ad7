//! What can be asked of a running engine.

use crate::route::InterfaceIndex;
use alloc::{boxed::Box, vec::Vec};
use keepstate_conntrack::expect::{ExpectError, NewExpectation};
use keepstate_conntrack::{ConnId, Tuple, Zone, event::Snapshot};
use keepstate_packet::{Address, Family};
use keepstate_ruleset::model::{Ruleset, TableName};

/// A command.
#[derive(Debug)]
pub enum Command {
    /// Puts a rule set in place of the one of its family; connections stay.
    ReplaceRuleset(Box<Ruleset>),
    /// Takes the rule set of a family away; connections stay.
    RemoveRuleset(Family),
    /// Forgets every connection and expectation (`conntrack -F`).
    Flush,
    /// Forgets the connection that has this tuple in either direction (`conntrack -D`).
    Delete(Tuple),
    /// Lists the connections, in the order of the table (`conntrack -L`).
    List,
    /// Makes an expectation (`conntrack -I expect`).
    Expect(NewExpectation),
    /// Forgets the expectation that a packet with this tuple would fulfil (`conntrack -D expect`).
    DeleteExpectation(Tuple, Zone),
    /// Forgets every expectation (`conntrack -F expect`).
    FlushExpectations,
    /// Lists the expectations, oldest first (`conntrack -L expect`).
    ListExpectations,
    /// An interface has gone down, or, with an address, has lost that one: the connections that were
    /// given it as their source (`MASQUERADE`) end.
    Unmasquerade(InterfaceIndex, Option<Address>),
    /// Lists the counters of every rule and policy of a family's rule set.
    Counters(Family),
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// So many connections or expectations are gone.
    Deleted(usize),
    /// The connections.
    Connections(Vec<(ConnId, Snapshot)>),
    /// The expectations.
    Expectations(Vec<Snapshot>),
    /// The counters, table by table in the order of the file.
    Counters(Vec<ChainCounters>),
}

/// Counters of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCounters {
    /// Table.
    pub table: TableName,
    /// Chain, as in [`keepstate_ruleset::model::Table::chains`].
    pub chain: u32,
    /// Packets and bytes: the rules in order, then the policy.
    pub counters: Vec<(u64, u64)>,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No such connection.
    UnknownConnection,
    /// That family has no rule set.
    NoRuleset,
    /// An expectation cannot be made or found.
    Expectation(ExpectError),
}

impl core::fmt::Display for CommandError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::UnknownConnection => "no such connection",
            Self::NoRuleset => "no rule set of this family is loaded",
            Self::Expectation(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for CommandError {}

impl From<ExpectError> for CommandError {
    fn from(error: ExpectError) -> Self {
        Self::Expectation(error)
    }
}
