//! `MARK`: sets bits of the packet's mark. All its options are one operation: clear the bits of a
//! mask, then flip those of a value.

use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued};
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

/// Identifiers of the options that set; shared with CONNMARK.
pub(super) const SET_XMARK: u8 = 0;
pub(super) const SET_MARK: u8 = 1;
pub(super) const AND: u8 = 2;
pub(super) const OR: u8 = 3;
pub(super) const XOR: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("set-xmark", SET_XMARK),
    valued("set-mark", SET_MARK),
    valued("and-mark", AND),
    valued("or-mark", OR),
    valued("xor-mark", XOR),
];

const MANUAL: &str = "\
Sets the packet's mark, a number beside it on this host only; the packet goes on with the next rule.

- `--set-xmark VALUE[/MASK]`: clears the bits of MASK, then flips those of VALUE.
- `--set-mark VALUE[/MASK]`: sets the bits of MASK to those of VALUE; without a mask, all of them.
- `--and-mark BITS`: keeps these bits alone.
- `--or-mark BITS`: sets these bits.
- `--xor-mark BITS`: flips these bits.

One of the five.

    iptables -t mangle -A PREROUTING -p tcp --dport 443 -j MARK --set-mark 0x1/0xff

Mind: to steer routing (`ip rule add fwmark`), the mark has to be set in PREROUTING, or in OUTPUT of
table mangle for what the host sends.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "MARK",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Clears the bits of a mask, then flips those of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetXmark {
    /// Bits flipped.
    pub value: u32,
    /// Bits cleared first.
    pub mask: u32,
}

impl SetXmark {
    /// The mark after it.
    #[must_use]
    pub const fn apply(self, mark: u32) -> u32 {
        (mark & !self.mask) ^ self.value
    }

    /// Reads one of the five options.
    pub(super) fn parse(arguments: &mut Arguments<'_>, given: &Given) -> Option<Self> {
        Some(match given.option.id {
            SET_XMARK => {
                let (value, mask) = arguments.mark(given)?;
                Self { value, mask }
            }
            SET_MARK => {
                let (value, mask) = arguments.mark(given)?;
                Self { value, mask: value | mask }
            }
            AND => Self { value: 0, mask: !arguments.number32(given)? },
            OR => {
                let value = arguments.number32(given)?;
                Self { value, mask: value }
            }
            _ => Self { value: arguments.number32(given)?, mask: 0 },
        })
    }

    /// Appends ` --set-xmark VALUE/MASK`.
    pub(super) fn print(self, out: &mut String) {
        let _ = write!(out, " --set-xmark {:#x}/{:#x}", self.value, self.mask);
    }

    /// Prints it as `iptables -L` does, under the simplest of its names.
    pub(super) fn list(self, target: &str, out: &mut String) {
        let _ = match (self.value, self.mask) {
            (0, mask) => write!(out, " {target} and {:#x}", !mask),
            (value, mask) if value == mask => write!(out, " {target} or {value:#x}"),
            (value, 0) => write!(out, " {target} xor {value:#x}"),
            (value, u32::MAX) => write!(out, " {target} set {value:#x}"),
            (value, mask) => write!(out, " {target} xset {value:#x}/{mask:#x}"),
        };
    }

    /// Says it of a mark.
    #[must_use]
    pub(super) fn says(self, what: &str) -> String {
        match (self.value, self.mask) {
            (value, u32::MAX) => format!("sets {what} to {value:#x}"),
            (0, mask) => format!("clears the bits {mask:#x} of {what}"),
            (value, 0) => format!("flips the bits {value:#x} of {what}"),
            (value, mask) if value == mask => format!("sets the bits {value:#x} of {what}"),
            (value, mask) if value & !mask == 0 => {
                format!("sets the bits {mask:#x} of {what} to {value:#x}")
            }
            (value, mask) => {
                format!("clears the bits {mask:#x} of {what}, then flips the bits {value:#x}")
            }
        }
    }
}

/// An instance.
#[derive(Debug)]
pub struct Mark(pub SetXmark);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    arguments.some_option()?;
    arguments.exclusive(&[SET_XMARK, SET_MARK, AND, OR, XOR])?;
    let given = arguments.given.first()?;
    Some(Box::new(Mark(SetXmark::parse(arguments, given)?)))
}

impl Target for Mark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.mark = self.0.apply(traversal.mark);
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::Bits {
            field: Field::Mark,
            keep: (!self.0.mask).into(),
            flip: self.0.value.into(),
        }]))
    }

    fn print(&self, out: &mut String) {
        self.0.print(out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list(EXTENSION.name, out);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(format!(
            "{} and goes on with the next rule",
            self.0.says("its mark")
        )));
        out.push(Piece::Note(
            "The mark lives on this host only. Later rules can match it, and routing can be told to \
             look at it in PREROUTING and OUTPUT."
                .into(),
        ));
    }
}
