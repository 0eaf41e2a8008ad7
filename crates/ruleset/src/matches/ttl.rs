//! `ttl`: the TTL of the IPv4 header.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::matches::Match;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::Family;

const OPTIONS: &[OptionSpec] = &[
    valued("ttl-eq", 0).inverted(),
    valued("ttl", 0).inverted(),
    valued("ttl-lt", 1),
    valued("ttl-gt", 2),
];

const MANUAL: &str = "\
The TTL of the IPv4 header: what is left of it on arrival.

- `[!] --ttl-eq N`: it is N, 0 to 255. Also `--ttl`.
- `--ttl-lt N`: it is below N.
- `--ttl-gt N`: it is above N.

One of the three.

    iptables -A FORWARD -m ttl --ttl-lt 5 -j DROP

Mind: each router takes one, this one only when the packet leaves it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ttl",
    families: &[Family::V4],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Ttl(Comparison);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    Some(Box::new(Ttl(Comparison::parse(arguments)?)))
}

impl Match for Ttl {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        self.0.fits(traversal.packet.ttl).into()
    }

    fn print(&self, out: &mut String) {
        self.0.print(EXTENSION.name, out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list("TTL", out);
    }

    fn packet_set(&self) -> PacketSet {
        self.0.packet_set()
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain("TTL", out);
    }
}

/// How the value is compared; shared with `hl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `--ttl-eq`.
    Equal(u8),
    /// `! --ttl-eq`.
    NotEqual(u8),
    /// `--ttl-lt`.
    Less(u8),
    /// `--ttl-gt`.
    Greater(u8),
}

impl Comparison {
    /// Packets of which it holds.
    pub(super) fn packet_set(self) -> PacketSet {
        let within = |low: u8, high: u8, inverted| {
            PacketSet::within(Field::Ttl, low.into(), high.into(), inverted)
        };
        match self {
            Self::Equal(value) => within(value, value, false),
            Self::NotEqual(value) => within(value, value, true),
            Self::Less(value) => match value.checked_sub(1) {
                Some(high) => within(0, high, false),
                None => PacketSet::In(Field::Ttl, Vec::new()),
            },
            Self::Greater(value) => match value.checked_add(1) {
                Some(low) => within(low, u8::MAX, false),
                None => PacketSet::In(Field::Ttl, Vec::new()),
            },
        }
    }

    /// Reads the one option of three (identifiers 0 to 2: equal, less, greater).
    pub fn parse(arguments: &mut Arguments<'_>) -> Option<Self> {
        arguments.some_option()?;
        arguments.exclusive(&[0, 1, 2])?;
        let given = arguments.given.first()?;
        let value = u8::try_from(arguments.number(given, 255)?).ok()?;
        Some(match (given.option.id, given.inverted) {
            (0, false) => Self::Equal(value),
            (0, true) => Self::NotEqual(value),
            (1, _) => Self::Less(value),
            _ => Self::Greater(value),
        })
    }

    /// Whether a value fits.
    #[must_use]
    pub const fn fits(self, found: u8) -> bool {
        match self {
            Self::Equal(value) => found == value,
            Self::NotEqual(value) => found != value,
            Self::Less(value) => found < value,
            Self::Greater(value) => found > value,
        }
    }

    /// Prints it as an option of the match `name`.
    pub fn print(self, name: &str, out: &mut String) {
        let _ = match self {
            Self::Equal(value) => write!(out, " --{name}-eq {value}"),
            Self::NotEqual(value) => write!(out, " ! --{name}-eq {value}"),
            Self::Less(value) => write!(out, " --{name}-lt {value}"),
            Self::Greater(value) => write!(out, " --{name}-gt {value}"),
        };
    }

    /// Prints it as `iptables -L` does.
    pub fn list(self, field: &str, out: &mut String) {
        let (sign, value) = match self {
            Self::Equal(value) => ("==", value),
            Self::NotEqual(value) => ("!=", value),
            Self::Less(value) => ("<", value),
            Self::Greater(value) => (">", value),
        };
        let _ = write!(out, " {field} match {field} {sign} {value}");
    }

    /// Says it.
    pub fn explain(self, field: &str, out: &mut Pieces) {
        let says = match self {
            Self::Equal(value) => format!("is {value}"),
            Self::NotEqual(value) => format!("is not {value}"),
            Self::Less(value) => format!("is below {value}"),
            Self::Greater(value) => format!("is above {value}"),
        };
        out.push(Piece::Condition(format!("its {field} {says}")));
        out.push(Piece::Note(format!(
            "The {field} is what is left of it on arrival here; each router on the way took one."
        )));
    }
}
