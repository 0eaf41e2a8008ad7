//! From words to options: who an option belongs to, and its values.
//!
//! Long options may be shortened to a unique beginning and may carry their value behind `=`;
//! short ones may be joined to their value (`-ptcp`) or, without values, to each other (`-f4`).

use crate::extension::{OptionSpec, Value, flag, valued};
use alloc::{format, string::String, vec::Vec};

/// An option of the rule itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named in OPTIONS, here or where frames are")]
#[repr(u8)]
pub enum Main {
    Append,
    Insert,
    NewChain,
    Policy,
    Delete,
    Check,
    Replace,
    List,
    ListRules,
    Flush,
    Zero,
    DeleteChain,
    RenameChain,
    Help,
    Version,
    Source,
    Destination,
    Protocol,
    InInterface,
    OutInterface,
    Jump,
    Goto,
    Match,
    Fragment,
    SetCounters,
    Ipv4,
    Ipv6,
    Table,
    Numeric,
    Verbose,
    Exact,
    Wait,
    WaitInterval,
    LineNumbers,
    Modprobe,
    SourceMac,
    DestinationMac,
    LogicalIn,
    LogicalOut,
    HLength,
    Opcode,
    HType,
    ProtoType,
    ChangeCounters,
    InitTable,
    Concurrent,
    ListCounters,
    ListCommands,
    ListMac2,
}

impl Main {
    /// Whether it says what is to be done.
    #[must_use]
    pub const fn is_command(self) -> bool {
        self.stands_in_files() || self.is_other_command()
    }

    /// Commands of rule files.
    const fn stands_in_files(self) -> bool {
        matches!(self, Self::Append | Self::Insert | Self::NewChain | Self::Policy)
    }

    /// Commands that rule files do not have.
    #[must_use]
    pub const fn is_other_command(self) -> bool {
        matches!(
            self,
            Self::Delete
                | Self::Check
                | Self::Replace
                | Self::List
                | Self::ListRules
                | Self::Flush
                | Self::Zero
                | Self::DeleteChain
                | Self::RenameChain
                | Self::ChangeCounters
                | Self::InitTable
                | Self::Help
                | Self::Version
        )
    }

    /// Whether a value may follow, or stand joined to it, and may be missing.
    #[must_use]
    pub const fn may_have_value(self) -> bool {
        matches!(
            self,
            Self::List
                | Self::ListRules
                | Self::Flush
                | Self::Zero
                | Self::DeleteChain
                | Self::Help
                | Self::Wait
                | Self::WaitInterval
        )
    }
}

/// The options of the rule itself: short form, which, long form.
pub const OPTIONS: &[(char, Main, OptionSpec)] = &[
    ('A', Main::Append, valued("append", Main::Append as u8)),
    ('I', Main::Insert, valued("insert", Main::Insert as u8)),
    ('N', Main::NewChain, valued("new-chain", Main::NewChain as u8)),
    ('P', Main::Policy, valued("policy", Main::Policy as u8).pair()),
    ('D', Main::Delete, valued("delete", Main::Delete as u8)),
    ('C', Main::Check, valued("check", Main::Check as u8)),
    ('R', Main::Replace, valued("replace", Main::Replace as u8)),
    ('L', Main::List, flag("list", Main::List as u8)),
    ('S', Main::ListRules, flag("list-rules", Main::ListRules as u8)),
    ('F', Main::Flush, flag("flush", Main::Flush as u8)),
    ('Z', Main::Zero, flag("zero", Main::Zero as u8)),
    ('X', Main::DeleteChain, flag("delete-chain", Main::DeleteChain as u8)),
    ('E', Main::RenameChain, valued("rename-chain", Main::RenameChain as u8).pair()),
    ('h', Main::Help, flag("help", Main::Help as u8)),
    ('V', Main::Version, flag("version", Main::Version as u8)),
    ('s', Main::Source, valued("source", Main::Source as u8).inverted()),
    ('\0', Main::Source, valued("src", Main::Source as u8).inverted()),
    ('d', Main::Destination, valued("destination", Main::Destination as u8).inverted()),
    ('\0', Main::Destination, valued("dst", Main::Destination as u8).inverted()),
    ('p', Main::Protocol, valued("protocol", Main::Protocol as u8).inverted()),
    ('i', Main::InInterface, valued("in-interface", Main::InInterface as u8).inverted()),
    ('o', Main::OutInterface, valued("out-interface", Main::OutInterface as u8).inverted()),
    ('j', Main::Jump, valued("jump", Main::Jump as u8)),
    ('g', Main::Goto, valued("goto", Main::Goto as u8)),
    ('m', Main::Match, valued("match", Main::Match as u8)),
    ('f', Main::Fragment, flag("fragments", Main::Fragment as u8).inverted()),
    ('c', Main::SetCounters, valued("set-counters", Main::SetCounters as u8)),
    ('4', Main::Ipv4, flag("ipv4", Main::Ipv4 as u8).inverted()),
    ('6', Main::Ipv6, flag("ipv6", Main::Ipv6 as u8).inverted()),
    ('t', Main::Table, valued("table", Main::Table as u8)),
    ('n', Main::Numeric, flag("numeric", Main::Numeric as u8)),
    ('v', Main::Verbose, flag("verbose", Main::Verbose as u8)),
    ('x', Main::Exact, flag("exact", Main::Exact as u8)),
    ('w', Main::Wait, flag("wait", Main::Wait as u8)),
    ('\0', Main::LineNumbers, flag("line-numbers", Main::LineNumbers as u8)),
    ('W', Main::WaitInterval, flag("wait-interval", Main::WaitInterval as u8)),
    ('M', Main::Modprobe, valued("modprobe", Main::Modprobe as u8).inverted()),
];

/// Whose option it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The rule's.
    Main(Main),
    /// The match's with this number.
    Match(usize),
    /// The target's.
    Target,
}

/// What a long option turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one.
    One(Owner, &'static OptionSpec),
    /// Several, shortened too far.
    Several(Vec<&'static str>),
    /// None.
    None,
}

/// Looks a long option up, without its dashes and value. `extensions` in the order in which they
/// are asked: the one named last first. `whole`: shortened names do not count, because options that
/// are not known here may stand in the line.
#[must_use]
pub fn find_long<'a>(
    name: &str,
    whole: bool,
    extensions: impl Iterator<Item = (Owner, &'static [OptionSpec])> + 'a,
) -> Found {
    let main = OPTIONS.iter().map(|(_, main, spec)| (Owner::Main(*main), spec));
    let theirs = extensions.flat_map(|(owner, specs)| specs.iter().map(move |one| (owner, one)));
    let mut near: Vec<(Owner, &'static OptionSpec)> = Vec::new();
    for (owner, spec) in main.chain(theirs) {
        if spec.name == name {
            return Found::One(owner, spec);
        }
        // A match that is named twice has its options twice.
        let known =
            near.iter().any(|(o, s)| (*o == owner && s.id == spec.id) || core::ptr::eq(*s, spec));
        if spec.name.starts_with(name) && !known && !whole {
            near.push((owner, spec));
        }
    }
    match near.as_slice() {
        [] => Found::None,
        [(owner, spec)] => Found::One(*owner, spec),
        _ => Found::Several(near.iter().map(|(_, spec)| spec.name).collect()),
    }
}

/// Looks a short option up.
#[must_use]
pub fn find_short(letter: char) -> Option<(Main, &'static OptionSpec)> {
    let mut all = OPTIONS.iter().filter(|(short, ..)| *short != '\0');
    all.find(|(short, ..)| *short == letter).map(|(_, main, spec)| (*main, spec))
}

/// `-s` for `source`: the short form of an option of the rule itself.
#[must_use]
pub fn short_of(name: &str) -> Option<String> {
    let (_, main, _) = OPTIONS.iter().find(|(.., spec)| spec.name == name)?;
    let mut same = OPTIONS.iter().filter(|(short, one, _)| one == main && *short != '\0');
    same.next().map(|(short, ..)| format!("-{short}"))
}

/// Splits `name=value`.
#[must_use]
pub fn split_value(text: &str) -> (&str, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name, Some(value.into())),
        None => (text, None),
    }
}

/// Words that an option takes after itself, whatever they are.
#[must_use]
pub const fn value_count(spec: &OptionSpec) -> usize {
    match spec.value {
        Value::None | Value::Optional => 0,
        Value::One => 1,
        Value::Two => 2,
    }
}
