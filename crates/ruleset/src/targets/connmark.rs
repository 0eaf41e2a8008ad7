//! `CONNMARK`: sets the mark of the packet's connection, or copies between it and the packet's.
//! A packet without a connection passes unchanged.

use super::mark::{AND, OR, SET_MARK, SET_XMARK, SetXmark, XOR};
use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued};
use crate::matches::connmark::marked;
use crate::needs::Needs;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const SAVE: u8 = 5;
const RESTORE: u8 = 6;
const MASK: u8 = 7;
const CTMASK: u8 = 8;
const NFMASK: u8 = 9;
const LEFT: u8 = 10;
const RIGHT: u8 = 11;
const OPTIONS: &[OptionSpec] = &[
    valued("set-xmark", SET_XMARK),
    valued("set-mark", SET_MARK),
    valued("and-mark", AND),
    valued("or-mark", OR),
    valued("xor-mark", XOR),
    flag("save-mark", SAVE),
    flag("restore-mark", RESTORE),
    valued("mask", MASK),
    valued("ctmask", CTMASK),
    valued("nfmask", NFMASK),
    valued("left-shift-mark", LEFT),
    valued("right-shift-mark", RIGHT),
];

const MANUAL: &str = "\
Sets the mark of the packet's connection, or copies between it and the packet's own mark. The packet
goes on with the next rule.

- `--set-xmark VALUE[/MASK]`: clears the bits of MASK in the connection's mark, then flips those of VALUE.
- `--set-mark VALUE[/MASK]`: sets the bits of MASK to those of VALUE; without a mask, all of them.
- `--and-mark BITS`: keeps these bits alone.
- `--or-mark BITS`: sets these bits.
- `--xor-mark BITS`: flips these bits.
- `--save-mark`: copies the packet's mark to the connection.
- `--restore-mark`: copies the connection's mark to the packet.
- `--nfmask MASK`: with the two, the bits of the packet's mark that take part.
- `--ctmask MASK`: the bits of the connection's mark that do.
- `--mask MASK`: both at once.
- `--left-shift-mark BITS`: shifts what is copied or set by 0 to 31 bits to the left.
- `--right-shift-mark BITS`: to the right.

One of the first seven.

    iptables -t mangle -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff

Mind: the connection's mark stays, a packet's is gone with the packet. Packets without a connection pass
unchanged. Of `--left-shift-mark` and `--right-shift-mark` one alone.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "CONNMARK",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// The connection's mark is set.
    Set(SetXmark),
    /// The packet's mark goes to the connection.
    Save,
    /// The connection's mark comes to the packet.
    Restore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    Left(u32),
    Right(u32),
}

impl Shift {
    const fn apply(self, mark: u32) -> u32 {
        match self {
            Self::Left(bits) => mark << (bits & 31),
            Self::Right(bits) => mark >> (bits & 31),
        }
    }
}

/// An instance.
#[derive(Debug)]
pub struct ConnMark {
    operation: Operation,
    /// Bits of the packet's mark that are copied.
    nfmask: u32,
    /// Bits of the connection's mark that are copied.
    ctmask: u32,
    shift: Shift,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let operations = [SET_XMARK, SET_MARK, AND, OR, XOR, SAVE, RESTORE];
    let given = arguments.given.iter().find(|given| operations.contains(&given.option.id));
    let Some(given) = given else {
        let text = "`CONNMARK` needs one of --set-xmark, --set-mark, --and-mark, --or-mark, \
                    --xor-mark, --save-mark, --restore-mark";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    };
    arguments.exclusive(&operations)?;
    for pair in [[MASK, CTMASK], [MASK, NFMASK], [LEFT, RIGHT]] {
        if pair.iter().all(|id| arguments.option(*id).is_some()) {
            arguments.exclusive(&pair)?;
        }
    }
    let mut mask = |id| match arguments.option(id) {
        None => Some(None),
        Some(given) => arguments.number32(given).map(Some),
    };
    let (both, ctmask, nfmask) = (mask(MASK)?, mask(CTMASK)?, mask(NFMASK)?);
    let operation = match given.option.id {
        SAVE => Operation::Save,
        RESTORE => Operation::Restore,
        _ => {
            let set = SetXmark::parse(arguments, given)?;
            Operation::Set(SetXmark { mask: both.or(ctmask).unwrap_or(set.mask), ..set })
        }
    };
    Some(Box::new(ConnMark {
        operation,
        nfmask: both.or(nfmask).unwrap_or(u32::MAX),
        ctmask: both.or(ctmask).unwrap_or(u32::MAX),
        shift: shift(arguments)?,
    }))
}

fn shift(arguments: &mut Arguments<'_>) -> Option<Shift> {
    let Some(given) = arguments.option(LEFT).or(arguments.option(RIGHT)) else {
        return Some(Shift::Left(0));
    };
    let bits = arguments.number32(given)?;
    if bits > 31 {
        let text = format!("a mark has 32 bits and cannot be shifted by {bits}");
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    Some(if given.option.id == LEFT { Shift::Left(bits) } else { Shift::Right(bits) })
}

impl ConnMark {
    /// The mask of what is copied, then that of where it goes, which is cleared there: `~`.
    fn list_masks(&self, names: [&str; 2], [from, to]: [u32; 2], out: &mut String) {
        let _ = match (from, to) {
            (u32::MAX, u32::MAX) => Ok(()),
            _ if from == to => write!(out, " mask {from:#x}"),
            _ => write!(out, " {} {from:#x} {} ~{to:#x}", names[0], names[1]),
        };
    }
}

impl Target for ConnMark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let Some((conn, mark)) = marked(traversal) else { return Step::Continue };
        let new = match self.operation {
            Operation::Set(set) => self.shift.apply(set.apply(mark)),
            Operation::Save => {
                let copied = self.shift.apply(traversal.mark & self.nfmask);
                (mark & !self.ctmask) ^ copied
            }
            Operation::Restore => {
                let copied = self.shift.apply(mark & self.ctmask);
                traversal.mark = (traversal.mark & !self.nfmask) ^ copied;
                return Step::Continue;
            }
        };
        if let Some(conn) = conn {
            traversal.conntrack.set_mark(traversal.now, conn, new);
        }
        Step::Continue
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([match self.operation {
            Operation::Set(_) | Operation::Save => Change::Asked("connmark"),
            Operation::Restore => Change::any(Field::Mark),
        }]))
    }

    fn print(&self, out: &mut String) {
        let copy = match self.operation {
            Operation::Set(set) => {
                set.print(out);
                None
            }
            Operation::Save => Some("save-mark"),
            Operation::Restore => Some("restore-mark"),
        };
        if let Some(name) = copy {
            let _ =
                write!(out, " --{name} --nfmask {:#x} --ctmask {:#x}", self.nfmask, self.ctmask);
        }
        let _ = match self.shift {
            Shift::Left(0) | Shift::Right(0) => Ok(()),
            Shift::Left(bits) => write!(out, " --left-shift-mark {bits}"),
            Shift::Right(bits) => write!(out, " --right-shift-mark {bits}"),
        };
    }

    fn list(&self, out: &mut String, _: bool) {
        match self.operation {
            Operation::Set(set) => set.list("CONNMARK", out),
            Operation::Save => {
                out.push_str(" CONNMARK save");
                self.list_masks(["nfmask", "ctmask"], [self.nfmask, self.ctmask], out);
            }
            Operation::Restore => {
                out.push_str(" CONNMARK restore");
                self.list_masks(["ctmask", "nfmask"], [self.ctmask, self.nfmask], out);
            }
        }
        let _ = match self.shift {
            Shift::Left(0) | Shift::Right(0) => Ok(()),
            Shift::Left(bits) => write!(out, " left-shift-mark {bits}"),
            Shift::Right(bits) => write!(out, " right-shift-mark {bits}"),
        };
    }

    fn explain(&self, out: &mut Pieces) {
        let says = match self.operation {
            Operation::Set(set) => set.says("the mark of its connection"),
            Operation::Save => {
                format!(
                    "copies its mark{} to its connection{}",
                    bits(self.nfmask),
                    bits(self.ctmask)
                )
            }
            Operation::Restore => format!(
                "copies the mark of its connection{} to the packet{}",
                bits(self.ctmask),
                bits(self.nfmask)
            ),
        };
        out.push(Piece::Effect(format!("{says} and goes on with the next rule")));
        out.push(Piece::Note(
            "The connection's mark stays with the connection; each packet begins with a mark of its \
             own. INVALID and UNTRACKED packets have no connection and are left as they are."
                .into(),
        ));
    }
}

fn bits(mask: u32) -> String {
    if mask == u32::MAX { String::new() } else { format!(" (bits {mask:#x})") }
}
