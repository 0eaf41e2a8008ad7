//! `mark_m`: the mark of a frame, which the target `mark` sets.
//!
//! `VALUE/MASK` compares all of VALUE with the bits of MASK, so that bits of VALUE outside of MASK are
//! never met; `/MASK` asks for any bit of MASK.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const MARK: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("mark", MARK).inverted().repeated()];

const MANUAL: &str = "\
The frame's mark.

- `[!] --mark VALUE[/MASK]`: the bits of MASK are VALUE; without a mask, all of them.
- `[!] --mark /MASK`: any of these bits is set.

    ebtables -A FORWARD --mark 0x1/0xff -j ACCEPT

Mind: frames have no mark before a rule sets one (`-j mark`); iptables rules for what is bridged see the
same mark.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "mark_m",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct MarkM {
    wanted: Wanted,
    inverted: bool,
}

/// 64 bits are read and printed, as by the real tool; those above 32 are never met.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Value(u64, u64),
    AnyOf(u64),
}

/// All bits of a mark: what is asked without a mask.
const ALL: u64 = u32::MAX as u64;

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(MARK)?;
    let number = |text: &str| match text {
        "" => Some(0),
        text => values::number(text, u64::MAX),
    };
    let wanted = match given.value.split_once('/') {
        None if given.value.is_empty() => None,
        None => number(&given.value).map(|value| Wanted::Value(value, ALL)),
        Some(("", mask)) => number(mask).map(Wanted::AnyOf),
        Some((value, mask)) => {
            number(value).zip(number(mask)).map(|(value, mask)| Wanted::Value(value, mask))
        }
    };
    let Some(wanted) = wanted else {
        let says = format!("Bad mark value '{}'", given.value);
        arguments.wrong(given, "a mark, or VALUE/MASK", says);
        return None;
    };
    Some(Box::new(MarkM { wanted, inverted: given.inverted }))
}

impl Match for MarkM {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let mark = u64::from(traversal.mark);
        let found = match self.wanted {
            Wanted::Value(value, mask) => mark & mask == value,
            Wanted::AnyOf(mask) => mark & mask != 0,
        };
        (found != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "mark");
        let _ = match self.wanted {
            Wanted::Value(value, ALL) => write!(out, " 0x{value:x}"),
            Wanted::Value(value, mask) => write!(out, " 0x{value:x}/0x{mask:x}"),
            Wanted::AnyOf(mask) => write!(out, " /0x{mask:x}"),
        };
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "is", "is not");
        out.push(Piece::Condition(match self.wanted {
            Wanted::Value(value, ALL) => format!("its mark {verb} 0x{value:x}"),
            Wanted::Value(value, mask) => {
                format!("its mark {verb} 0x{value:x} in the bits 0x{mask:x}")
            }
            Wanted::AnyOf(mask) => {
                let any = either(self.inverted, "any", "none");
                format!("{any} of the bits 0x{mask:x} of its mark is set")
            }
        }));
    }
}
