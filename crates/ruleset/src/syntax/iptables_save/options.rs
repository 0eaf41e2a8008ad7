//! From words to options: who an option belongs to, and its values.
//!
//! Long options may be shortened to a unique beginning and may carry their value behind `=`;
//! short ones may be joined to their value (`-ptcp`) or, without values, to each other (`-f4`).

use crate::extension::{OptionSpec, Value, flag, valued};
use alloc::{string::String, vec::Vec};

/// An option of the rule itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named in OPTIONS")]
#[repr(u8)]
pub enum Main {
    Append,
    Insert,
    NewChain,
    Policy,
    OtherCommand,
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
    Refused,
    Ignored,
    IgnoredValue,
}

/// The options of the rule itself: short form, which, long form.
pub const OPTIONS: &[(char, Main, OptionSpec)] = &[
    ('A', Main::Append, valued("append", Main::Append as u8)),
    ('I', Main::Insert, valued("insert", Main::Insert as u8)),
    ('N', Main::NewChain, valued("new-chain", Main::NewChain as u8)),
    ('P', Main::Policy, valued("policy", Main::Policy as u8).pair()),
    ('D', Main::OtherCommand, valued("delete", Main::OtherCommand as u8)),
    ('C', Main::OtherCommand, valued("check", Main::OtherCommand as u8)),
    ('R', Main::OtherCommand, valued("replace", Main::OtherCommand as u8)),
    ('L', Main::OtherCommand, flag("list", Main::OtherCommand as u8)),
    ('S', Main::OtherCommand, flag("list-rules", Main::OtherCommand as u8)),
    ('F', Main::OtherCommand, flag("flush", Main::OtherCommand as u8)),
    ('Z', Main::OtherCommand, flag("zero", Main::OtherCommand as u8)),
    ('X', Main::OtherCommand, flag("delete-chain", Main::OtherCommand as u8)),
    ('E', Main::OtherCommand, valued("rename-chain", Main::OtherCommand as u8).pair()),
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
    ('n', Main::Refused, flag("numeric", Main::Refused as u8)),
    ('v', Main::Ignored, flag("verbose", Main::Ignored as u8)),
    ('x', Main::Refused, flag("exact", Main::Refused as u8)),
    ('w', Main::Refused, flag("wait", Main::Refused as u8)),
    ('\0', Main::Refused, flag("line-numbers", Main::Refused as u8)),
    ('W', Main::Refused, flag("wait-interval", Main::Refused as u8)),
    ('M', Main::IgnoredValue, valued("modprobe", Main::IgnoredValue as u8).inverted()),
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

/// Splits `name=value`.
#[must_use]
pub fn split_value(text: &str) -> (&str, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name, Some(value.into())),
        None => (text, None),
    }
}

/// Words that an option takes after itself.
#[must_use]
pub const fn value_count(spec: &OptionSpec) -> usize {
    match spec.value {
        Value::None => 0,
        Value::One => 1,
        Value::Two => 2,
    }
}
