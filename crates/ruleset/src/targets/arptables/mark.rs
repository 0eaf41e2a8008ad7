//! `MARK`: sets the mark of an ARP packet. Numbers are hexadecimal, with or without `0x`.
//!
//! `--set-mark` clears nothing: the tool hands the kernel an empty mask, so that the bits of a mark that
//! is there already are flipped (iptables 1.8.9). Packets come without a mark, and with none the two are
//! the same.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const SET: u8 = 0;
const AND: u8 = 1;
const OR: u8 = 2;
const OPTIONS: &[OptionSpec] =
    &[valued("set-mark", SET), valued("and-mark", AND), valued("or-mark", OR)];

const MANUAL: &str = "\
Sets the packet's mark. Numbers are hexadecimal, with or without 0x. The next rule is looked at.

- `--set-mark N`: to N; where there is a mark already, flips these bits.
- `--and-mark N`: keeps these bits alone.
- `--or-mark N`: sets these bits.

One of them.

    arptables -A INPUT -i eth1 -j MARK --set-mark 3
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "MARK",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance: bits of `mask` are cleared, then those of `mark` flipped.
#[derive(Debug)]
pub struct Mark {
    mark: u32,
    mask: u32,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let mut given = arguments.given.iter();
    let (first, second) = (given.next(), given.next());
    if let (Some(_), Some(second)) = (first, second) {
        let text = format!("`--{}` beside another operation", second.option.name);
        let says = format!("MARK: Can't specify --{} twice\n", second.option.name);
        arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, second.span, text).says(says));
        return None;
    }
    // Without an option it keeps all bits.
    let Some(given) = first else { return Some(Box::new(Mark { mark: 0, mask: 0 })) };
    let text = given.value.strip_prefix("0x").or_else(|| given.value.strip_prefix("0X"));
    let text = text.unwrap_or(&given.value);
    // What follows the digits is passed over.
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let digits = text.get(..end).unwrap_or("");
    let Some(value) = u64::from_str_radix(digits, 16).ok() else {
        let says = format!("bad value \"{}\"", given.value);
        arguments.wrong(given, "a hexadecimal number", says);
        return None;
    };
    let value = value as u32;
    let (mark, mask) = match given.option.id {
        SET => (value, 0),
        AND => (0, !value),
        _ => (value, value),
    };
    Some(Box::new(Mark { mark, mask }))
}

impl Target for Mark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.mark = (traversal.mark & !self.mask) ^ self.mark;
        Step::Continue
    }

    fn print(&self, out: &mut String) {
        let _ = match (self.mark, self.mask) {
            (0, mask) => write!(out, " --and-mark {:x}", !mask),
            (mark, mask) if mark == mask => write!(out, " --or-mark {mark:x}"),
            (mark, _) => write!(out, " --set-mark {mark:x}"),
        };
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(match (self.mark, self.mask) {
            (0, mask) => format!("keeps the bits 0x{:x} of its mark alone", !mask),
            (mark, mask) if mark == mask => format!("sets the bits 0x{mark:x} of its mark"),
            (mark, _) => format!("sets its mark to 0x{mark:x}"),
        }));
    }
}
