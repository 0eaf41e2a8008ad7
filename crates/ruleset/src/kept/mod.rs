//! Tables that are kept from command to command, as the kernel keeps them for iptables: what
//! iptables(8), iptables-restore(8) and iptables-save(8) change and show; likewise of ip6tables,
//! arptables and ebtables.
//!
//! A rule is kept as the text that iptables-save prints of it. So a command reads one rule, however
//! many there are, and `-D` compares what both would be saved as. [`ask`] reads a command,
//! [`Kept::apply`] carries it out, [`Kept::restore`] takes a file. Nothing is changed by what is
//! refused; a [`Refusal`] has the exit status and the text of the real tool.

mod beside;
mod bridge;
mod change;
mod refusal;
mod restore;
mod show;
#[cfg(test)]
mod tests;

pub use change::{Asked, ask};
pub use refusal::{Refusal, Says, VERSION};
pub use restore::Restore;

use crate::diagnostic::Diagnostic;
use crate::labels::LabelNames;
use crate::model::{FrameRules, NfProto, Policy, Ruleset, Span, TableName};
use crate::syntax::{frames, iptables_save};
use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use beside::Beside;
use core::fmt::Write;

/// Which of the two ways of being iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// iptables-nft: tables exist when something was put into them; a file is loaded over nothing.
    Nft,
    /// iptables-legacy: tables exist once asked for, and are saved in the opposite order.
    Legacy,
}

/// The tables of a family.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whose tables.
    pub family: NfProto,
    /// Which way of being iptables.
    pub variant: Variant,
    /// In the order in which they came to be.
    tables: Vec<Table>,
    /// What rules name that stands elsewhere.
    beside: Beside,
    /// Rules that changes have moved or looked at so far.
    work: usize,
}

/// Most rules that the commands of one file or script may move or look at, all together: bounds the
/// work of one that puts each rule before all others.
pub const WORK_MAX: usize = 100_000_000;
/// What reading a rule again is worth of them.
const JUDGED: usize = 200;

#[derive(Clone, Debug)]
struct Table {
    name: TableName,
    /// Built-in chains by hook, then the others by name.
    chains: Vec<Chain>,
}

#[derive(Clone, Debug)]
struct Chain {
    name: String,
    /// Of a built-in chain.
    policy: Option<Policy>,
    /// What ebtables has a user chain do with a frame that no rule of it decided; none: it goes back.
    ends: Option<Policy>,
    counters: (u64, u64),
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    counters: (u64, u64),
    /// As saved, from behind `-A CHAIN` on.
    text: String,
    /// The command that put it there, in a text of several.
    span: Span,
}

impl Kept {
    /// No tables.
    #[must_use]
    pub fn new(family: impl Into<NfProto>, variant: Variant) -> Self {
        let family = family.into();
        Self { family, variant, tables: Vec::new(), beside: Beside::NOTHING, work: 0 }
    }

    /// Reads what [`Self::text`] wrote; the number of the line that it did not write otherwise.
    ///
    /// # Errors
    /// A line, from 1, that cannot be.
    pub fn read(text: &str, family: impl Into<NfProto>, variant: Variant) -> Result<Self, usize> {
        let mut kept = Self::new(family, variant);
        let mut open: Option<Table> = None;
        for (number, line) in (1_usize..).zip(text.lines()) {
            let mut take = || match (line.chars().next(), open.as_mut()) {
                (None | Some('#'), _) => Some(()),
                (Some('*'), None) => {
                    let name = kept.family.table_named(line.get(1..)?)?;
                    open = Some(Table::new(kept.family, name));
                    Some(())
                }
                (Some(':'), Some(table)) => table.read_chain(line.get(1..)?),
                (Some('C'), Some(_)) => {
                    kept.tables.extend(open.take());
                    Some(())
                }
                (Some('['), Some(table)) => table.read_rule(line),
                _ => None,
            };
            take().ok_or(number)?;
        }
        if open.is_some() { Err(text.lines().count()) } else { Ok(kept) }
    }

    /// All of it, as it is read back: what `iptables-save -c` prints, without comments and in the
    /// order in which the tables came to be.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for table in &self.tables {
            table.print(&mut out);
        }
        out
    }

    /// The tables in the order in which iptables-save prints them.
    #[must_use]
    pub fn order(&self) -> Vec<TableName> {
        const NFT: [TableName; 6] = [
            TableName::Mangle,
            TableName::Security,
            TableName::Raw,
            TableName::Filter,
            TableName::Nat,
            TableName::Broute,
        ];
        match self.variant {
            Variant::Nft => NFT.into_iter().filter(|name| self.table(*name).is_some()).collect(),
            Variant::Legacy => self.tables.iter().rev().map(|table| table.name).collect(),
        }
    }

    /// Appends what iptables-save prints of a table, with counters or not, without comments.
    pub fn save(&self, out: &mut String, table: TableName, counters: bool) {
        if let Some(table) = self.table(table) {
            table.save(out, self.family, counters);
        }
    }

    /// All tables as rules.
    ///
    /// # Errors
    /// What is wrong with them, in the text that iptables-save would print.
    pub fn ruleset(&self, labels: &LabelNames) -> Result<Ruleset, (Vec<Diagnostic>, String)> {
        let text = self.text();
        let mut ruleset = match iptables_save::parse_with(&text, self.family.addresses(), labels) {
            Ok(ruleset) => ruleset,
            Err(faults) => return Err((faults, text)),
        };
        ruleset.of_commands = true;
        for table in &mut ruleset.tables {
            let Some(kept) = self.table(table.name) else { continue };
            for chain in &mut table.chains {
                chain.span = Span::default();
                let rules = kept.chain(&chain.name).map_or(&[][..], |kept| &kept.rules);
                for (rule, kept) in chain.rules.iter_mut().zip(rules) {
                    rule.span = kept.span;
                }
            }
        }
        Ok(ruleset)
    }

    /// All tables of arptables or ebtables as rules.
    ///
    /// # Errors
    /// What is wrong with them, in the text that they are kept as.
    pub fn frames(&self) -> Result<FrameRules, (Vec<Diagnostic>, String)> {
        let text = self.text();
        frames::parse(&text, self.family).map_err(|faults| (faults, text))
    }

    /// Whether the tables can be, all together.
    fn stands(&self, labels: &LabelNames) -> Result<(), (Vec<Diagnostic>, String)> {
        match self.family {
            NfProto::Ipv4 | NfProto::Ipv6 => self.ruleset(labels).map(drop),
            NfProto::Arp | NfProto::Bridge => self.frames().map(drop),
        }
    }

    /// All tables as rules, each in the place of the command that put it there.
    ///
    /// # Errors
    /// What only shows in a whole table, in the places of the commands.
    pub fn ruleset_of_commands(&self, labels: &LabelNames) -> Result<Ruleset, Vec<Diagnostic>> {
        let (mut faults, text) = match self.ruleset(labels) {
            Ok(ruleset) => return Ok(ruleset),
            Err(wrong) => wrong,
        };
        let mut places: Vec<Span> = Vec::new();
        for table in &self.tables {
            places.extend((0..=table.chains.len()).map(|_| Span::default()));
            let rules = table.chains.iter().flat_map(|chain| &chain.rules);
            places.extend(rules.map(|rule| rule.span));
            places.push(Span::default());
        }
        let mut starts = Vec::from([0]);
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let place = |span: Span| {
            let line = starts.partition_point(|start| *start <= span.start as usize);
            places.get(line.wrapping_sub(1)).copied().unwrap_or_default()
        };
        for fault in &mut faults {
            fault.span = place(fault.span);
            for label in &mut fault.labels {
                label.span = place(label.span);
            }
        }
        Err(faults)
    }

    /// Counts work.
    fn works(&mut self, rules: usize) -> Result<(), Refusal> {
        self.work = self.work.saturating_add(rules);
        if self.work <= WORK_MAX {
            return Ok(());
        }
        Err(Refusal::problem(format!("more than {WORK_MAX} rules were moved or looked at")))
    }

    /// How many rules there are.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        let chains = self.tables.iter().flat_map(|table| &table.chains);
        chains.map(|chain| chain.rules.len()).sum()
    }

    fn table(&self, name: TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The table, made if it is not there.
    fn touch(&mut self, name: TableName) -> &mut Table {
        let at = match self.tables.iter().position(|table| table.name == name) {
            Some(at) => at,
            None => {
                self.tables.push(Table::new(self.family, name));
                self.tables.len() - 1
            }
        };
        #[allow(clippy::indexing_slicing, reason = "the place was just found")]
        &mut self.tables[at]
    }
}

/// The table of iptables of this name.
#[must_use]
pub fn table_named(name: &str) -> Option<TableName> {
    TableName::ALL.into_iter().find(|table| table.as_str() == name)
}

impl Table {
    fn new(family: NfProto, name: TableName) -> Self {
        let builtin = |hook: &keepstate_conntrack::Hook| Chain {
            name: name.chain_at(*hook).into(),
            policy: Some(Policy::Accept),
            ends: None,
            counters: (0, 0),
            rules: Vec::new(),
        };
        Self { name, chains: family.hooks(name).iter().map(builtin).collect() }
    }

    fn chain(&self, name: &str) -> Option<&Chain> {
        self.place(name).ok().and_then(|at| self.chains.get(at))
    }

    fn chain_mut(&mut self, name: &str) -> Option<&mut Chain> {
        let at = self.place(name).ok()?;
        self.chains.get_mut(at)
    }

    /// Where a chain stands, or where it would.
    fn place(&self, name: &str) -> Result<usize, usize> {
        let builtin = self.chains.iter().take_while(|chain| chain.policy.is_some()).count();
        let mut hooks = self.chains.iter().take(builtin);
        if let Some(at) = hooks.position(|chain| chain.name == name) {
            return Ok(at);
        }
        let users = self.chains.get(builtin..).unwrap_or(&[]);
        match users.binary_search_by(|chain| chain.name.as_str().cmp(name)) {
            Ok(at) => Ok(builtin + at),
            Err(at) => Err(builtin + at),
        }
    }

    /// Makes a user chain, unless it is there.
    fn add_chain(&mut self, name: &str) {
        if let Err(at) = self.place(name) {
            let chain = Chain {
                name: name.into(),
                policy: None,
                ends: None,
                counters: (0, 0),
                rules: Vec::new(),
            };
            self.chains.insert(at, chain);
        }
    }

    fn read_chain(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (name, policy, counters) = (words.next()?, words.next()?, words.next()?);
        let policy = policy_named(policy);
        let counters = pair(counters.strip_prefix('[')?.strip_suffix(']')?)?;
        self.add_chain(name);
        let chain = self.chain_mut(name)?;
        if chain.policy.is_some() {
            chain.policy = Some(policy?);
            chain.counters = counters;
        } else {
            chain.ends = policy;
        }
        Some(())
    }

    fn read_rule(&mut self, line: &str) -> Option<()> {
        let (counters, rest) = line.strip_prefix('[')?.split_once("] -A ")?;
        let end = rest.find(' ').unwrap_or(rest.len());
        let (name, text) = rest.split_at_checked(end)?;
        let counters = pair(counters)?;
        let rule = Rule { counters, text: text.into(), span: Span::default() };
        self.chain_mut(name)?.rules.push(rule);
        Some(())
    }

    fn print(&self, out: &mut String) {
        self.write(out, NfProto::Ipv4, true);
    }

    /// As the save command of a family prints it.
    fn save(&self, out: &mut String, family: NfProto, counters: bool) {
        self.write(out, family, counters);
    }

    fn write(&self, out: &mut String, family: NfProto, counters: bool) {
        let _ = writeln!(out, "*{}", self.name.as_str());
        for chain in &self.chains {
            let (packets, bytes) = chain.counters;
            let none = if family == NfProto::Bridge { "RETURN" } else { "-" };
            let policy = chain.policy.or(chain.ends).map_or(none, policy_name);
            let _ = match family.packets() {
                Some(_) => writeln!(out, ":{} {policy} [{packets}:{bytes}]", chain.name),
                None => writeln!(out, ":{} {policy}", chain.name),
            };
        }
        for chain in &self.chains {
            for rule in &chain.rules {
                if counters {
                    let _ = write!(out, "[{}:{}] ", rule.counters.0, rule.counters.1);
                }
                let _ = writeln!(out, "-A {}{}", chain.name, rule.text);
            }
        }
        if family.packets().is_some() {
            out.push_str("COMMIT\n");
        }
    }

    /// The chains that rules lead into, and some words that are none.
    fn called(&self) -> BTreeSet<&str> {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        let last = rules.filter_map(|rule| rule.text.rsplit_once(' '));
        last.filter(|(front, _)| front.ends_with(" -j") || front.ends_with(" -g"))
            .map(|(_, name)| name)
            .collect()
    }

    /// Chains and rules.
    fn size(&self) -> usize {
        self.chains.iter().map(|chain| chain.rules.len() + 1).sum()
    }
}

const fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    }
}

fn policy_named(name: &str) -> Option<Policy> {
    match name {
        "ACCEPT" => Some(Policy::Accept),
        "DROP" => Some(Policy::Drop),
        _ => None,
    }
}

/// `packets:bytes`.
fn pair(text: &str) -> Option<(u64, u64)> {
    let (packets, bytes) = text.split_once(':')?;
    Some((packets.parse().ok()?, bytes.parse().ok()?))
}
