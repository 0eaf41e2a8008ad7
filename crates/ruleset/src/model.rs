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

/// Whose tables: netfilter's families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NfProto {
    /// iptables.
    #[default]
    Ipv4,
    /// ip6tables.
    Ipv6,
    /// arptables: ARP packets that come to this host or leave it.
    Arp,
    /// ebtables: frames that pass a bridge.
    Bridge,
}

impl From<Family> for NfProto {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::Ipv4,
            Family::V6 => Self::Ipv6,
        }
    }
}

impl NfProto {
    /// The family of the packets, where the rules are for packets.
    #[must_use]
    pub const fn packets(self) -> Option<Family> {
        match self {
            Self::Ipv4 => Some(Family::V4),
            Self::Ipv6 => Some(Family::V6),
            Self::Arp | Self::Bridge => None,
        }
    }

    /// The family of the addresses that options of rules may hold.
    #[must_use]
    pub const fn addresses(self) -> Family {
        match self {
            Self::Ipv6 => Family::V6,
            Self::Ipv4 | Self::Arp | Self::Bridge => Family::V4,
        }
    }

    /// The tool.
    #[must_use]
    pub const fn tool(self) -> &'static str {
        match self {
            Self::Ipv4 => "iptables",
            Self::Ipv6 => "ip6tables",
            Self::Arp => "arptables",
            Self::Bridge => "ebtables",
        }
    }

    /// Its table of this name.
    #[must_use]
    pub fn table_named(self, name: &str) -> Option<TableName> {
        self.tables().iter().copied().find(|table| table.as_str() == name)
    }

    /// Its tables.
    #[must_use]
    pub const fn tables(self) -> &'static [TableName] {
        match self {
            Self::Ipv4 | Self::Ipv6 => &TableName::ALL,
            Self::Arp => &[TableName::Filter],
            Self::Bridge => &[TableName::Filter, TableName::Nat, TableName::Broute],
        }
    }

    /// The hooks that one of its tables has a built-in chain at, in hook order.
    #[must_use]
    pub const fn hooks(self, table: TableName) -> &'static [Hook] {
        match (self, table) {
            (Self::Ipv4 | Self::Ipv6, table) => table.hooks(),
            (Self::Arp, _) => &[Hook::Input, Hook::Output],
            (Self::Bridge, TableName::Nat) => &[Hook::Prerouting, Hook::Output, Hook::Postrouting],
            (Self::Bridge, table) => table.hooks(),
        }
    }

    /// Whether one of its tables has a built-in chain of this name.
    #[must_use]
    pub fn is_builtin(self, table: TableName, chain: &str) -> bool {
        self.hooks(table).iter().any(|hook| table.chain_at(*hook) == chain)
    }
}

/// The rules of arptables or ebtables: for frames, not for packets of the network layer.
#[derive(Debug)]
pub struct FrameRules {
    /// [`NfProto::Arp`] or [`NfProto::Bridge`].
    pub family: NfProto,
    /// Tables in the order of the file; each name once.
    pub tables: Vec<Table>,
}

impl FrameRules {
    /// The table of this name.
    #[must_use]
    pub fn table(&self, name: TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// One iptables-save or ip6tables-save file.
#[derive(Debug)]
pub struct Ruleset {
    /// Which of the two.
    pub family: Family,
    /// Tables in the order of the file; each name once.
    pub tables: Vec<Table>,
    /// Whether these are the rules of commands: the places of rules are those of their commands, and where their
    /// single words stand is not known.
    pub of_commands: bool,
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
        if self.chains.get(at.0 as usize).is_some_and(|chain| chain.hook == Some(hook)) {
            return Some(at);
        }
        // Those of arptables and ebtables have fewer.
        let mut builtin = (0..).zip(&self.chains).take_while(|(_, chain)| chain.hook.is_some());
        builtin.find(|(_, chain)| chain.hook == Some(hook)).map(|(at, _)| ChainIndex(at))
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
    /// Of ebtables: before its nat, decides whether a frame is bridged at all.
    Broute,
}

impl TableName {
    /// Those of iptables, by priority.
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
            Self::Broute => "broute",
        }
    }

    /// The name of its built-in chain at a hook.
    #[must_use]
    pub const fn chain_at(self, hook: Hook) -> &'static str {
        match self {
            Self::Broute => "BROUTING",
            _ => builtin_name(hook),
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
            Self::Broute => i32::MIN,
        }
    }

    /// Where the built-in chain at a hook stands among the chains: the place of the hook in
    /// [`Self::hooks`].
    #[inline]
    const fn place(self, hook: Hook) -> Option<ChainIndex> {
        Some(ChainIndex(match (self, hook) {
            (Self::Mangle, hook) => hook as u32,
            (Self::Raw | Self::Nat | Self::Broute, Hook::Prerouting)
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
            Self::Broute => &[Hook::Prerouting],
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
    /// The policy of a built-in chain; `None` for a user chain, but where ebtables gave it one: then
    /// what it does not decide does not go back to the caller.
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
