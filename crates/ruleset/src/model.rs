//! The rule set as data.

use crate::matches::Match;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String, vec::Vec};
use keepstate_conntrack::Hook;
use keepstate_packet::{Address, Family};

/// Index of a chain in its [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainIndex(pub u32);

/// Where a thing stands in its file. Byte offsets from the start of the file; line and column are
/// found from them when they are needed ([`crate::diagnostic::Position`]).
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
    /// Tables in the order of the file; each name once.
    pub tables: Vec<Table>,
}

impl Ruleset {
    /// The table of this name.
    #[must_use]
    pub fn table(&self, name: TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// A rule table.
#[derive(Debug)]
pub struct Table {
    /// Which one.
    pub name: TableName,
    /// Built-in chains first in hook order, all that the table has; then user chains in the order
    /// of the file.
    pub chains: Vec<Chain>,
    /// Whether the file says anything of it: a table that is only opened and committed is not
    /// made by iptables-nft.
    pub declared: bool,
}

impl Table {
    /// A chain by its index.
    #[inline]
    #[must_use]
    pub fn chain(&self, index: ChainIndex) -> Option<&Chain> {
        self.chains.get(index.0 as usize)
    }

    /// A chain by its name.
    #[must_use]
    pub fn chain_named(&self, name: &str) -> Option<ChainIndex> {
        let at = self.chains.iter().position(|chain| chain.name == name)?;
        u32::try_from(at).ok().map(ChainIndex)
    }

    /// The built-in chain at a hook.
    #[inline]
    #[must_use]
    pub fn builtin(&self, hook: Hook) -> Option<ChainIndex> {
        let at = self.name.place(hook)?;
        self.chains.get(at.0 as usize).filter(|chain| chain.hook == Some(hook))?;
        Some(at)
    }
}

/// The tables, in no order; [`TableName::priority`] sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// Priority -300.
    Raw,
    /// Priority -150.
    Mangle,
    /// Priority -100 where destinations are translated, 100 where sources are.
    Nat,
    /// Priority 0.
    Filter,
    /// Priority 50.
    Security,
}

impl TableName {
    /// All of them, by priority.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Mangle, Self::Nat, Self::Filter, Self::Security];

    /// As in `*NAME`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Security => "security",
        }
    }

    /// The netfilter priority at a hook of the table.
    #[must_use]
    pub const fn priority(self, hook: Hook) -> i32 {
        match self {
            Self::Raw => -300,
            Self::Mangle => -150,
            Self::Nat if matches!(hook, Hook::Prerouting | Hook::Output) => -100,
            Self::Nat => 100,
            Self::Filter => 0,
            Self::Security => 50,
        }
    }

    /// Where the built-in chain at a hook stands among the chains: the place of the hook in
    /// [`Self::hooks`].
    #[inline]
    const fn place(self, hook: Hook) -> Option<ChainIndex> {
        Some(ChainIndex(match (self, hook) {
            (Self::Mangle, hook) => hook as u32,
            (Self::Raw | Self::Nat, Hook::Prerouting)
            | (Self::Filter | Self::Security, Hook::Input) => 0,
            (Self::Raw, Hook::Output)
            | (Self::Nat, Hook::Input)
            | (Self::Filter | Self::Security, Hook::Forward) => 1,
            (Self::Nat | Self::Filter | Self::Security, Hook::Output) => 2,
            (Self::Nat, Hook::Postrouting) => 3,
            _ => return None,
        }))
    }

    /// The hooks it has a built-in chain at, in hook order.
    #[must_use]
    pub const fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Raw => &[Hook::Prerouting, Hook::Output],
            Self::Mangle => {
                &[Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting]
            }
            Self::Nat => &[Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting],
            Self::Filter | Self::Security => &[Hook::Input, Hook::Forward, Hook::Output],
        }
    }
}

/// The name of the built-in chain at a hook.
#[must_use]
pub const fn builtin_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "PREROUTING",
        Hook::Input => "INPUT",
        Hook::Forward => "FORWARD",
        Hook::Output => "OUTPUT",
        Hook::Postrouting => "POSTROUTING",
    }
}

/// A chain.
#[derive(Debug)]
pub struct Chain {
    /// Name.
    pub name: String,
    /// The hook of a built-in chain.
    pub hook: Option<Hook>,
    /// The policy of a built-in chain; `None` for a user chain.
    pub policy: Option<Policy>,
    /// Packets and bytes of the policy, as in the file.
    pub counters: (u64, u64),
    /// Where it was declared; empty for a built-in chain that the file does not mention.
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
    /// Its line in the file, without the line end. Several rules share it where a list of
    /// addresses made several of one line.
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
    /// `-j ACCEPT`, `DROP` or `RETURN`: always the same step.
    Standard(Step),
    /// `-j TARGET`.
    Target(Box<dyn Target>),
}

impl Jump {
    /// The chains it may lead into, with whether it comes back from there.
    #[must_use]
    pub fn chains(&self) -> Vec<(ChainIndex, bool)> {
        match self {
            Self::Jump(to) => Vec::from([(*to, true)]),
            Self::Goto(to) => Vec::from([(*to, false)]),
            Self::Target(target) => {
                target.steps().into_iter().filter_map(crate::sets::lookup::chain_of).collect()
            }
            Self::None | Self::Standard(_) => Vec::new(),
        }
    }
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
    /// `-f` (IPv4): second and further fragments; inverted: everything else.
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
    /// Bytes compared: 16 for a whole name, fewer for a beginning.
    pub length: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_built_in_chains_are_those_of_their_hooks() {
        let hooks = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
        for table in TableName::ALL {
            for hook in hooks {
                let listed = table.hooks().iter().position(|one| *one == hook);
                let place = table.place(hook).map(|at| at.0 as usize);
                assert_eq!(place, listed, "{table:?} {hook:?}");
            }
        }
    }
}
