//! `mark`: the packet's mark under a mask.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const MARK: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("mark", MARK).inverted()];

const MANUAL: &str = "\
The mark of the packet: a number beside it, on this host only, which rules set with `-j MARK`.

- `[!] --mark VALUE[/MASK]`: the mark, under the mask, is the value. Decimal, or hexadecimal behind 0x.

    iptables -A FORWARD -m mark --mark 0x1/0xff -j ACCEPT

Mind: a packet begins with mark 0 at each arrival; an earlier rule has to set it, or `-j CONNMARK
--restore-mark` bring it back. A value with bits outside of the mask never matches.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "mark",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// A mark and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Value.
    pub value: u32,
    /// Mask.
    pub mask: u32,
}

impl Marked {
    /// Whether a mark has this value under the mask. A value with bits outside of the mask never
    /// matches.
    #[must_use]
    pub const fn fits(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }

    /// Reads `[!] --mark VALUE[/MASK]`.
    pub fn parse(arguments: &mut Arguments<'_>) -> Option<Inverted<Self>> {
        let given = arguments.required(MARK)?;
        let (value, mask) = arguments.mark(given)?;
        Some(Inverted { inverted: given.inverted, value: Self { value, mask } })
    }

    /// Prints it.
    pub fn print(wanted: Inverted<Self>, out: &mut String) {
        values::print_option(out, wanted.inverted, "mark");
        let _ = write!(out, " {}", wanted.value);
    }
}

impl Marked {
    /// In a sentence.
    pub(super) fn says(self) -> String {
        if self.mask == u32::MAX {
            format!("{:#x}", self.value)
        } else {
            format!("{:#x} in the bits {:#x}", self.value, self.mask)
        }
    }
}

impl core::fmt::Display for Marked {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.value)?;
        if self.mask == u32::MAX { Ok(()) } else { write!(f, "/{:#x}", self.mask) }
    }
}

/// An instance.
#[derive(Debug)]
pub struct Mark(Inverted<Marked>);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    Some(Box::new(Mark(Marked::parse(arguments)?)))
}

impl Match for Mark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        (self.0.value.fits(traversal.mark) != self.0.inverted).into()
    }

    fn print(&self, out: &mut String) {
        Marked::print(self.0, out);
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.0.inverted { "! " } else { "" };
        let _ = write!(out, " mark match {not}{}", self.0.value);
    }

    fn packet_set(&self) -> PacketSet {
        let Marked { value, mask } = self.0.value;
        PacketSet::Bits(Field::Mark, mask.into(), value.into(), self.0.inverted)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.0.inverted, "is", "is not");
        out.push(Piece::Condition(format!("its mark {verb} {}", self.0.value.says())));
        out.push(Piece::Note(
            "The mark lives on this host only, beside the packet: a rule of an earlier table, or \
             an earlier rule, has to set it."
                .into(),
        ));
    }
}
