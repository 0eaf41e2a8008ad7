//! `bpf`: a classic BPF program (McCanne, Jacobson 1993) over the packet from the IP header on, or a program
//! of the kernel's that is pinned to a path, of which nobody here knows what it says.
//!
//! A classic program ends within as many steps as it has instructions: it only jumps forward. It is
//! checked as the kernel checks it when it is loaded. A load from beyond the packet and a division by zero
//! end it with 0, "no match". Loads from 0xfff00000 on count from the IP header, from 0xffe00000 on from
//! the link-layer header, which is known of Ethernet, and from 0xfffff000 on are of facts beside the
//! packet, some of which are in no capture: the answer is unknown then.

use crate::diagnostic::{Code, Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Family, PacketType};

const BYTECODE: u8 = 0;
const PINNED: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("bytecode", BYTECODE), valued("object-pinned", PINNED)];

const MANUAL: &str = "\
Runs a program of the Berkeley packet filter over the packet, IP header first; it matches when the program
returns anything but 0.

- `--bytecode \"COUNT,CODE JT JF K[,CODE JT JF K]...\"`: a classic program of 1 to 64 instructions in decimal
  numbers, as `nfbpf_compile RAW 'FILTER'` or `tcpdump -ddd` of a device without link-layer header print it.
- `--object-pinned PATH`: an eBPF program that is pinned to a path of the BPF file system.

One of the two is needed. TCP, by its protocol number:

    -m bpf --bytecode \"4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0\" -j ACCEPT

What is pinned to a path is not in the rule set: a rule with `--object-pinned` is passed over and named as
unknown. So is a program that asks for what no capture tells, such as the receive queue.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "bpf",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most instructions of a program.
pub const INSTRUCTIONS_MAX: usize = 64;
/// Longest path, in bytes.
pub const PATH_MAX: usize = 511;
/// Words of scratch memory.
const MEMORY: usize = 16;

/// An instance.
#[derive(Debug)]
pub enum Bpf {
    /// `--bytecode`.
    Program(Program),
    /// `--object-pinned`.
    Pinned(String),
}

/// An instruction: what to do, how many to skip if it is so or not, a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    number: u32,
}

/// A program that the kernel takes.
#[derive(Debug)]
pub struct Program(Vec<(Instruction, Operation)>);

/// Where the second operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Number,
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    Left,
    Right,
    Mod,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Greater,
    GreaterEqual,
    Bits,
}

/// What an instruction does. A is the accumulator, X the index register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// A from so many bytes of the packet, at the number, to which X is added for `Source::Index`.
    Load(usize, Source),
    /// A from the number.
    LoadNumber,
    /// A from scratch memory.
    LoadMemory,
    /// A is the length of the packet.
    LoadLength,
    LoadIndexNumber,
    LoadIndexMemory,
    LoadIndexLength,
    /// X is four times the lower half of a byte: the length of an IPv4 header.
    LoadIndexHeader,
    Store,
    StoreIndex,
    Calculate(Arithmetic, Source),
    Negate,
    Jump,
    JumpIf(Comparison, Source),
    ReturnNumber,
    ReturnAccumulator,
    AccumulatorToIndex,
    IndexToAccumulator,
}

/// Classic BPF's instruction codes: those that the kernel takes.
fn operation(code: u16) -> Option<Operation> {
    let source = if code & 0x08 == 0 { Source::Number } else { Source::Index };
    Some(match (code & 0x07, code) {
        (0, 0x20) => Operation::Load(4, Source::Number),
        (0, 0x28) => Operation::Load(2, Source::Number),
        (0, 0x30) => Operation::Load(1, Source::Number),
        (0, 0x40) => Operation::Load(4, Source::Index),
        (0, 0x48) => Operation::Load(2, Source::Index),
        (0, 0x50) => Operation::Load(1, Source::Index),
        (0, 0x00) => Operation::LoadNumber,
        (0, 0x60) => Operation::LoadMemory,
        (0, 0x80) => Operation::LoadLength,
        (1, 0x01) => Operation::LoadIndexNumber,
        (1, 0x61) => Operation::LoadIndexMemory,
        (1, 0x81) => Operation::LoadIndexLength,
        (1, 0xb1) => Operation::LoadIndexHeader,
        (2, 0x02) => Operation::Store,
        (3, 0x03) => Operation::StoreIndex,
        (4, 0x84) => Operation::Negate,
        (4, _) => Operation::Calculate(
            match code & !0x0f {
                0x00 => Arithmetic::Add,
                0x10 => Arithmetic::Sub,
                0x20 => Arithmetic::Mul,
                0x30 => Arithmetic::Div,
                0x40 => Arithmetic::Or,
                0x50 => Arithmetic::And,
                0x60 => Arithmetic::Left,
                0x70 => Arithmetic::Right,
                0x90 => Arithmetic::Mod,
                0xa0 => Arithmetic::Xor,
                _ => return None,
            },
            source,
        ),
        (5, 0x05) => Operation::Jump,
        (5, _) => Operation::JumpIf(
            match code & !0x0f {
                0x10 => Comparison::Equal,
                0x20 => Comparison::Greater,
                0x30 => Comparison::GreaterEqual,
                0x40 => Comparison::Bits,
                _ => return None,
            },
            source,
        ),
        (6, 0x06) => Operation::ReturnNumber,
        (6, 0x16) => Operation::ReturnAccumulator,
        (7, 0x07) => Operation::AccumulatorToIndex,
        (7, 0x87) => Operation::IndexToAccumulator,
        _ => return None,
    })
}

/// Loads from here on are of what stands beside the packet.
const BESIDE: u32 = 0xffff_f000;
/// Loads from here on count from the IP header.
const NETWORK: u32 = 0xfff0_0000;
/// Loads from here on count from the link-layer header.
const LINK: u32 = 0xffe0_0000;

/// Facts beside the packet, by their distance from [`BESIDE`].
mod fact {
    pub(super) const PROTOCOL: u32 = 0;
    pub(super) const PACKET_TYPE: u32 = 4;
    pub(super) const MARK: u32 = 20;
    pub(super) const CPU: u32 = 36;
    pub(super) const XOR_INDEX: u32 = 40;
    pub(super) const RANDOM: u32 = 56;
    pub(super) const LAST: u32 = 60;
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    if arguments.given.len() > 1 {
        arguments.exclusive(&[BYTECODE, PINNED])?;
    }
    let Some(given) = arguments.given.first() else {
        arguments.some_option()?;
        return None;
    };
    if given.option.id == PINNED {
        if given.value.is_empty() || given.value.len() > PATH_MAX {
            arguments.bad_value(given, &format!("a path of 1 to {PATH_MAX} bytes"));
            return None;
        }
        return Some(Box::new(Bpf::Pinned(given.value.clone())));
    }
    match program(&given.value).and_then(checked) {
        Ok(program) => Some(Box::new(Bpf::Program(program))),
        Err((code, text)) => {
            report(arguments, given, code, text);
            None
        }
    }
}

fn report(arguments: &mut Arguments<'_>, given: &Given, code: Code, text: String) {
    let fault = Diagnostic::new(code, given.value_span, text);
    arguments.fault(fault.help("nfbpf_compile RAW 'FILTER' prints such programs"));
}

type Fault = (Code, String);

/// `COUNT,CODE JT JF K,...`, with numbers read as far as they are some and cut to their size.
fn program(text: &str) -> Result<Vec<Instruction>, Fault> {
    let fault = |text: String| Err((code::BAD_VALUE, text));
    let (count, list) = text.split_once(',').unwrap_or((text, ""));
    let (count, after) = number(count).unwrap_or((0, "-"));
    let count = usize::from(count as u16);
    if !after.is_empty() || !text.contains(',') {
        return fault("a program begins with the number of its instructions and a comma".into());
    }
    if count == 0 || count > INSTRUCTIONS_MAX {
        return fault(format!("a program has 1 to {INSTRUCTIONS_MAX} instructions, not {count}"));
    }
    let mut program = Vec::new();
    let list = list.strip_suffix(',').unwrap_or(list);
    for (at, text) in list.split(',').enumerate().filter(|_| !list.is_empty()) {
        let mut rest = text;
        let mut next = || {
            let (value, after) = number(rest)?;
            rest = after;
            Some(value)
        };
        let (Some(code), Some(yes), Some(no), Some(number)) = (next(), next(), next(), next())
        else {
            return fault(format!("instruction {at}, `{text}`, is not four numbers"));
        };
        let (code, number) = (code as u16, number as u32);
        program.push(Instruction { code, jump_true: yes as u8, jump_false: no as u8, number });
    }
    if program.len() != count {
        return fault(format!("{count} instructions are announced, {} are there", program.len()));
    }
    Ok(program)
}

/// A decimal number behind blanks and a sign, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, bare) = match text.strip_prefix('-') {
        Some(bare) => (true, bare),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = bare.find(|c: char| !c.is_ascii_digit()).unwrap_or(bare.len());
    let (digits, rest) = bare.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    Some(match digits.parse::<u64>() {
        Ok(value) if negative => (value.wrapping_neg(), rest),
        Ok(value) => (value, rest),
        Err(_) => (u64::MAX, rest),
    })
}

/// What the kernel looks at before it takes a program.
fn checked(program: Vec<Instruction>) -> Result<Program, Fault> {
    let count = program.len();
    let mut instructions = Vec::with_capacity(count);
    for (at, one) in program.into_iter().enumerate() {
        let fault = |what: &str| Err((code::KERNEL_REFUSES, format!("instruction {at} {what}")));
        let Some(operation) = operation(one.code) else {
            return fault(&format!("has a code that means nothing, {}", one.code));
        };
        // The steps beyond the next instruction that it may take.
        let farthest = match operation {
            Operation::Jump => one.number as usize,
            Operation::JumpIf(..) => one.jump_true.max(one.jump_false).into(),
            _ => 0,
        };
        let returns = matches!(operation, Operation::ReturnNumber | Operation::ReturnAccumulator);
        if at + 1 == count && !returns {
            return fault("is the last one, but does not return");
        }
        if farthest >= count - at - usize::from(!returns) && !returns {
            return fault("jumps beyond the end");
        }
        let wrong = match operation {
            Operation::Calculate(Arithmetic::Div | Arithmetic::Mod, Source::Number) => {
                (one.number == 0).then_some("divides by zero")
            }
            Operation::Calculate(Arithmetic::Left | Arithmetic::Right, Source::Number) => {
                (one.number > 31).then_some("shifts by more than 31 bits")
            }
            Operation::Store
            | Operation::StoreIndex
            | Operation::LoadMemory
            | Operation::LoadIndexMemory => (one.number as usize >= MEMORY)
                .then_some("names a word of scratch memory above number 15"),
            Operation::Load(_, Source::Number) => {
                let fact = one.number.checked_sub(BESIDE);
                let unknown = fact.is_some_and(|fact| fact > fact::LAST || fact % 4 != 0);
                unknown.then_some("loads a fact that there is not")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return fault(wrong);
        }
        instructions.push((one, operation));
    }
    match reads_unwritten(&instructions) {
        Some(at) => {
            let text = format!("instruction {at} reads scratch memory that may not be written");
            Err((code::KERNEL_REFUSES, text))
        }
        None => Ok(Program(instructions)),
    }
}

/// The first instruction that may read a word of scratch memory which no way to it has written.
fn reads_unwritten(program: &[(Instruction, Operation)]) -> Option<usize> {
    // Words written on every way to an instruction, one bit each.
    let mut ways = vec![u16::MAX; program.len()];
    let mut written: u16 = 0;
    for (at, (one, operation)) in program.iter().enumerate() {
        written &= ways.get(at).copied().unwrap_or(0);
        let word = 1_u16.checked_shl(one.number).unwrap_or(0);
        let mut meet = |steps: usize| {
            if let Some(way) = ways.get_mut(at.saturating_add(1).saturating_add(steps)) {
                *way &= written;
            }
        };
        match operation {
            Operation::Store | Operation::StoreIndex => written |= word,
            Operation::LoadMemory | Operation::LoadIndexMemory if written & word == 0 => {
                return Some(at);
            }
            Operation::Jump => {
                meet(one.number as usize);
                written = u16::MAX;
            }
            Operation::JumpIf(..) => {
                meet(one.jump_true.into());
                meet(one.jump_false.into());
                written = u16::MAX;
            }
            _ => {}
        }
    }
    None
}

/// How a program ends before its time.
enum End {
    /// It returns this.
    Returns(u32),
    /// It asks what nobody knows.
    Unknown,
}

/// The registers and scratch memory of a run.
struct Machine<'a, 'b> {
    traversal: &'a mut Traversal<'b>,
    accumulator: u32,
    index: u32,
    memory: [u32; MEMORY],
}

impl Program {
    /// What it returns; `None` when that depends on what nobody knows.
    fn run(&self, traversal: &mut Traversal<'_>) -> Option<u32> {
        let mut machine = Machine { traversal, accumulator: 0, index: 0, memory: [0; MEMORY] };
        let mut at = 0;
        while let Some((one, operation)) = self.0.get(at) {
            match machine.step(*one, *operation) {
                Ok(skipped) => at = at.saturating_add(1).saturating_add(skipped),
                Err(End::Returns(value)) => return Some(value),
                Err(End::Unknown) => return None,
            }
        }
        Some(0)
    }

    fn write(&self, out: &mut String) {
        for (at, (one, _)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            let Instruction { code, jump_true, jump_false, number } = one;
            let _ = write!(out, "{separator}{code} {jump_true} {jump_false} {number}");
        }
    }
}

impl Machine<'_, '_> {
    /// Does one instruction; how many to skip then.
    fn step(&mut self, one: Instruction, operation: Operation) -> Result<usize, End> {
        let number = one.number;
        let operand = |source, index| match source {
            Source::Number => number,
            Source::Index => index,
        };
        let length = self.traversal.packet.length;
        let word = self.memory.get_mut(number as usize);
        match operation {
            Operation::Load(_, Source::Number) if number >= BESIDE => self.load_fact(number)?,
            Operation::Load(width, source) => {
                let base = if source == Source::Index { self.index } else { 0 };
                self.accumulator = self.load(base.wrapping_add(number), width)?;
            }
            Operation::LoadNumber => self.accumulator = number,
            Operation::LoadMemory => self.accumulator = word.map_or(0, |word| *word),
            Operation::LoadLength => self.accumulator = length,
            Operation::LoadIndexNumber => self.index = number,
            Operation::LoadIndexMemory => self.index = word.map_or(0, |word| *word),
            Operation::LoadIndexLength => self.index = length,
            Operation::LoadIndexHeader => self.index = (self.load(number, 1)? & 0xf) * 4,
            Operation::Store => {
                if let Some(word) = word {
                    *word = self.accumulator;
                }
            }
            Operation::StoreIndex => {
                if let Some(word) = word {
                    *word = self.index;
                }
            }
            Operation::Calculate(how, source) => {
                self.accumulator = calculate(how, self.accumulator, operand(source, self.index))?;
            }
            Operation::Negate => self.accumulator = self.accumulator.wrapping_neg(),
            Operation::Jump => return Ok(number as usize),
            Operation::JumpIf(how, source) => {
                let is_so = compare(how, self.accumulator, operand(source, self.index));
                return Ok(if is_so { one.jump_true } else { one.jump_false }.into());
            }
            Operation::ReturnNumber => return Err(End::Returns(number)),
            Operation::ReturnAccumulator => return Err(End::Returns(self.accumulator)),
            Operation::AccumulatorToIndex => self.index = self.accumulator,
            Operation::IndexToAccumulator => self.accumulator = self.index,
        }
        Ok(0)
    }

    /// Bytes of the packet, or of its link-layer header, as a number; outside of them the program ends.
    fn load(&self, at: u32, width: usize) -> Result<u32, End> {
        let packet = self.traversal.packet.packet(self.traversal.bytes);
        let mut value = 0;
        for place in 0..width {
            let at = u64::from(at) + place as u64;
            let byte = match at.checked_sub(LINK.into()) {
                // Positions are signed: what is negative and no place either is outside.
                None if at > i32::MAX as u64 => None,
                None => packet.get(at as usize).copied(),
                Some(_) if at >= NETWORK.into() => {
                    packet.get((at - u64::from(NETWORK)) as usize).copied()
                }
                Some(at) => self.link_byte(at, packet)?,
            };
            value = value << 8 | u32::from(byte.ok_or(End::Returns(0))?);
        }
        Ok(value)
    }

    /// A byte of the Ethernet header and what follows it.
    fn link_byte(&self, at: u64, packet: &[u8]) -> Result<Option<u8>, End> {
        let link = self.traversal.link;
        let (Some(destination), Some(source)) = (link.destination, link.source) else {
            return Err(End::Unknown);
        };
        let [high, low] = ether_type(self.traversal.packet.family).to_be_bytes();
        let header = destination.into_iter().chain(source).chain([high, low]);
        Ok(header.chain(packet.iter().copied()).nth(usize::try_from(at).unwrap_or(usize::MAX)))
    }

    /// Loads a fact beside the packet.
    fn load_fact(&mut self, number: u32) -> Result<(), End> {
        self.accumulator = match number.wrapping_sub(BESIDE) {
            fact::PROTOCOL => ether_type(self.traversal.packet.family).into(),
            fact::PACKET_TYPE => match self.traversal.link.packet_type {
                PacketType::Unicast => 0,
                PacketType::Broadcast => 1,
                PacketType::Multicast => 2,
                PacketType::OtherHost => 3,
            },
            fact::MARK => self.traversal.mark,
            fact::CPU => self.traversal.host.cpu().ok_or(End::Unknown)?,
            fact::XOR_INDEX => self.accumulator ^ self.index,
            fact::RANDOM => self.traversal.stores.random.next(),
            _ => return Err(End::Unknown),
        };
        Ok(())
    }
}

const fn ether_type(family: Family) -> u16 {
    match family {
        Family::V4 => 0x0800,
        Family::V6 => 0x86dd,
    }
}

fn calculate(how: Arithmetic, a: u32, b: u32) -> Result<u32, End> {
    const END: End = End::Returns(0);
    Ok(match how {
        Arithmetic::Add => a.wrapping_add(b),
        Arithmetic::Sub => a.wrapping_sub(b),
        Arithmetic::Mul => a.wrapping_mul(b),
        Arithmetic::Div => a.checked_div(b).ok_or(END)?,
        Arithmetic::Mod => a.checked_rem(b).ok_or(END)?,
        Arithmetic::Or => a | b,
        Arithmetic::And => a & b,
        // The lower five bits of the distance count.
        Arithmetic::Left => a.wrapping_shl(b),
        Arithmetic::Right => a.wrapping_shr(b),
        Arithmetic::Xor => a ^ b,
    })
}

const fn compare(how: Comparison, a: u32, b: u32) -> bool {
    match how {
        Comparison::Equal => a == b,
        Comparison::Greater => a > b,
        Comparison::GreaterEqual => a >= b,
        Comparison::Bits => a & b != 0,
    }
}

impl Match for Bpf {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        match self {
            Self::Program(program) => match program.run(traversal) {
                Some(value) => (value != 0).into(),
                None => Answer::Unknown,
            },
            Self::Pinned(_) => Answer::Unknown,
        }
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Program(program) => {
                let _ = write!(out, " --bytecode \"{},", program.0.len());
                program.write(out);
                out.push('"');
            }
            Self::Pinned(path) => {
                out.push_str(" --object-pinned ");
                // iptables prints it as it is, which cannot be read back with blanks in it.
                match values::is_plain(path) {
                    true => out.push_str(path),
                    false => values::print_word(out, path),
                }
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        // iptables puts no blank before it, and a zero byte behind a program.
        match self {
            Self::Program(program) => {
                out.push_str("match bpf ");
                program.write(out);
                out.push('\0');
            }
            Self::Pinned(path) => {
                let _ = write!(out, "match bpf pinned {path}");
            }
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        match self {
            Self::Program(program) => {
                let count = program.0.len();
                let s = if count == 1 { "" } else { "s" };
                out.push(Piece::Condition(format!(
                    "a BPF program of {count} instruction{s} over it returns something other than 0"
                )));
            }
            Self::Pinned(path) => {
                let text = format!("the BPF program pinned to {path} says so");
                out.push(Piece::Condition(text));
                out.push(Piece::Note(
                    "What that program does is not in the rule set: where this rule decides, the \
                     verdict is unknown."
                        .into(),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
