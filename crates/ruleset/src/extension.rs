//! What a match or a target tells the reader of rules: its name, its options, its parser.
//!
//! A syntax finds the options of a rule and whose they are; the extension then sees its own, in
//! order, and makes a value of them or says what is wrong.

pub mod hardware;
pub mod hostmask;
pub mod named;
pub mod names;
pub mod values;

use crate::diagnostic::Diagnostic;
use crate::labels::LabelNames;
use crate::matches::Match;
use crate::model::{HeaderMatch, Inverted, Span, TableName};
use alloc::{boxed::Box, string::String, vec::Vec};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

/// An entry of [`crate::matches::MATCHES`] or [`crate::targets::TARGETS`].
#[derive(Debug)]
pub struct Extension<T: 'static> {
    /// As after `-m` or `-j`.
    pub name: &'static str,
    /// Families of packets it exists for; empty for those of arptables and ebtables, which have lists
    /// of their own.
    pub families: &'static [Family],
    /// Tables it may stand in; empty for all.
    pub tables: &'static [TableName],
    /// Hooks it may be reached from; empty for all.
    pub hooks: &'static [Hook],
    /// Its options; several names may share an identifier.
    pub options: &'static [OptionSpec],
    /// Its page of the manual, in Markdown: what it is for, then every option.
    pub manual: &'static str,
    /// Makes an instance of the options given; `None` after reporting why not.
    pub parse: fn(&mut Arguments<'_>) -> Option<T>,
}

/// Both families.
pub const BOTH: &[Family] = &[Family::V4, Family::V6];

/// An option of an extension.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Without the dashes.
    pub name: &'static str,
    /// Which it is, within its extension.
    pub id: u8,
    /// Whether a value follows.
    pub value: Value,
    /// Whether `!` may stand before it.
    pub invert: bool,
    /// Whether it may be given more than once.
    pub repeat: bool,
}

/// Whether a value follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// None.
    None,
    /// One word.
    One,
    /// Two words.
    Two,
    /// One word, unless the next one begins with `-` or `!`; then there is none, and the value's place is
    /// the option's.
    Optional,
}

/// A flag.
#[must_use]
pub const fn flag(name: &'static str, id: u8) -> OptionSpec {
    OptionSpec { name, id, value: Value::None, invert: false, repeat: false }
}

/// An option with a value.
#[must_use]
pub const fn valued(name: &'static str, id: u8) -> OptionSpec {
    OptionSpec { name, id, value: Value::One, invert: false, repeat: false }
}

impl OptionSpec {
    /// The same, with `!` allowed.
    #[must_use]
    pub const fn inverted(self) -> Self {
        Self { invert: true, ..self }
    }

    /// The same, and it may be repeated: the last one counts.
    #[must_use]
    pub const fn repeated(self) -> Self {
        Self { repeat: true, ..self }
    }

    /// The same, and the value may be missing.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { value: Value::Optional, ..self }
    }

    /// The same, with two values.
    #[must_use]
    pub const fn pair(self) -> Self {
        Self { value: Value::Two, ..self }
    }
}

/// An option as it stands in a rule.
#[derive(Clone, Debug)]
pub struct Given {
    /// Which one.
    pub option: &'static OptionSpec,
    /// Behind `!`.
    pub inverted: bool,
    /// The option itself.
    pub span: Span,
    /// Its value; empty without one.
    pub value: String,
    /// Where the value stands; the option's own place without one.
    pub value_span: Span,
    /// The second value of a pair.
    pub second: String,
    /// Where the second value stands.
    pub second_span: Span,
}

impl Given {
    /// Whether a value stands there.
    #[must_use]
    pub fn has_value(&self) -> bool {
        self.value_span != self.span || !self.value.is_empty()
    }
}

/// What a parser of an extension sees.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// Name of the extension.
    pub name: &'static str,
    /// All its options.
    pub options: &'static [OptionSpec],
    /// Family of the file.
    pub family: Family,
    /// The names of labels.
    pub labels: &'a LabelNames,
    /// As iptables-legacy reads them, where the two differ.
    pub legacy: bool,
    /// The rule's header.
    pub header: &'a HeaderMatch,
    /// To a target: the rule's matches; to a match, none.
    pub matches: &'a [Box<dyn Match>],
    /// `-p` of ebtables; [`hardware::LENGTH`] for all that are none.
    pub ethertype: Option<Inverted<u16>>,
    /// Where `-p` stands.
    pub protocol_span: Option<Span>,
    /// `-m NAME` or `-j NAME`, or the word that brought it in.
    pub span: Span,
    /// The options given, in order.
    pub given: &'a [Given],
    /// What is wrong.
    pub faults: &'a mut Vec<Diagnostic>,
    /// Tables this instance may stand in, when fewer than the extension's; empty for all.
    pub tables: &'static [TableName],
    /// Hooks this instance may be reached from, when fewer than the extension's; empty for those.
    pub hooks: &'static [Hook],
}

impl<'a> Arguments<'a> {
    /// The option with this identifier, if it was given; the last one, if repeated.
    #[must_use]
    pub fn option(&self, id: u8) -> Option<&'a Given> {
        self.given.iter().rev().find(|given| given.option.id == id)
    }

    /// Reports a fault.
    pub fn fault(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }
}
