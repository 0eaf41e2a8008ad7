//! `mark`: sets the mark of the frame.

use super::Then;
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const SET: u8 = 0;
const OR: u8 = 1;
const AND: u8 = 2;
const XOR: u8 = 3;
const THEN: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("mark-set", SET),
    // As it was once called.
    valued("set-mark", SET),
    valued("mark-or", OR),
    valued("mark-and", AND),
    valued("mark-xor", XOR),
    valued("mark-target", THEN).repeated(),
];

const MANUAL: &str = "\
Sets the mark of the frame.

- `--mark-set N`: to N.
- `--mark-or N`: sets these bits.
- `--mark-and N`: keeps these bits alone.
- `--mark-xor N`: flips these bits.
- `--mark-target TARGET`: what follows: `ACCEPT` if not given, or `DROP`, `CONTINUE`, `RETURN`.

One of the first four.

    ebtables -t nat -A PREROUTING -i port3 -j mark --mark-set 0x3 --mark-target CONTINUE

Mind: without `--mark-target` it accepts. iptables and routing see the same mark.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "mark",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Mark {
    /// Which of the four.
    operation: u8,
    /// 64 bits are read and printed, as by the real tool; the lower 32 count.
    value: u64,
    then: Then,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let ids = [SET, OR, AND, XOR];
    let mut given = arguments.given.iter().filter(|given| ids.contains(&given.option.id));
    let (first, second) = (given.next(), given.next());
    if let (Some(_), Some(second)) = (first, second) {
        let name = second.option.name;
        let text = format!("`--{name}` beside another operation");
        let says = format!("--{name} cannot be used together with specific --mark option");
        arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, second.span, text).says(says));
        return None;
    }
    let then = Then::parse(arguments, THEN, Then::Accept)?;
    let Some(given) = first else {
        if arguments.option(THEN).is_some() {
            return Some(Box::new(Mark { operation: SET, value: 0, then }));
        }
        let text = "`mark` needs one of --mark-set, --mark-or, --mark-and, --mark-xor";
        let fault = Diagnostic::new(code::OPTION_MISSING, arguments.span, text);
        arguments.fault(fault.says("You must specify some option"));
        return None;
    };
    let Some(value) = values::number(&given.value, u64::MAX) else {
        arguments.wrong(given, "a mark", format!("Bad MARK value '{}'", given.value));
        return None;
    };
    Some(Box::new(Mark { operation: given.option.id, value, then }))
}

impl Target for Mark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let value = self.value as u32;
        traversal.mark = match self.operation {
            OR => traversal.mark | value,
            AND => traversal.mark & value,
            XOR => traversal.mark ^ value,
            _ => value,
        };
        self.then.step()
    }

    fn print(&self, out: &mut String) {
        let name = match self.operation {
            OR => "or",
            AND => "and",
            XOR => "xor",
            _ => "set",
        };
        let (value, then) = (self.value, self.then.as_str());
        let _ = write!(out, " --mark-{name} 0x{value:x} --mark-target {then}");
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let value = self.value;
        let does = match self.operation {
            OR => format!("sets the bits 0x{value:x} of its mark"),
            AND => format!("keeps the bits 0x{value:x} of its mark alone"),
            XOR => format!("flips the bits 0x{value:x} of its mark"),
            _ => format!("sets its mark to 0x{value:x}"),
        };
        out.push(Piece::Effect(format!("{does} and {}", self.then.words())));
    }
}
