//! `u32`: four bytes of the packet, found by a small program, shifted, masked and compared.
//!
//! What lies outside of the packet makes the whole condition false, and so true behind `!`. Numbers are
//! of 32 bits and wrap; a position that would wrap lies outside.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const OPTIONS: &[OptionSpec] = &[valued("u32", 0).inverted()];

const MANUAL: &str = "\
Takes four bytes from anywhere in the packet, shifts and masks them, and compares the number with a set.

- `[!] --u32 \"TEST[&&TEST]...\"`: every TEST has to hold.

A TEST is `LOCATION=VALUES`. VALUES are numbers and ranges (`LOW:HIGH`) with commas between them. LOCATION is
a number, the offset in bytes from the IP header of the four bytes to begin with (big-endian), and then any
of these, from left to right:

- `&NUMBER` masks the value, `<<NUMBER` and `>>NUMBER` shift it (by 0 to 31 bits);
- `@NUMBER` moves the origin on by the value, and takes the four bytes at NUMBER from there.

At most 10 tests, 10 numbers in a location and 10 ranges in a set. Numbers are decimal, octal behind `0`,
hexadecimal behind `0x`, of 32 bits. Blanks do not count.

ICMP echo requests, by hand (protocol, no fragment, and the first byte behind an IP header of any length):

    -m u32 --u32 \"6&0xff=1 && 4&0x3fff=0 && 0>>22&0x3c@0>>24=8\"

Bytes beyond the end of the packet make the condition false; with `!` the rule matches then.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "u32",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most tests of an instance.
pub const TESTS_MAX: usize = 10;
/// Most numbers of a location.
pub const NUMBERS_MAX: usize = 10;
/// Most ranges that a value is compared with.
pub const RANGES_MAX: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    And,
    Left,
    Right,
    At,
}

const OPERATORS: [(&str, Operator); 4] =
    [("&", Operator::And), ("<<", Operator::Left), (">>", Operator::Right), ("@", Operator::At)];

#[derive(Debug, Default)]
struct Test {
    /// Where the first four bytes are.
    start: u32,
    operations: Vec<(Operator, u32)>,
    ranges: Vec<(u32, u32)>,
}

/// An instance.
#[derive(Debug)]
pub struct U32 {
    inverted: bool,
    tests: Vec<Test>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(0)?;
    let mut reader = Reader { text: &given.value, rest: &given.value };
    match reader.tests() {
        Ok(tests) => {
            let all = tests.iter().flat_map(|test| &test.operations);
            let mut shifts = all.filter(|(op, _)| matches!(op, Operator::Left | Operator::Right));
            if let Some((_, number)) = shifts.find(|(_, number)| *number > 31) {
                let text = format!("a shift by {number} bits: at most 31 leave anything");
                let fault = Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text);
                arguments.fault(fault);
                return None;
            }
            Some(Box::new(U32 { inverted: given.inverted, tests }))
        }
        Err(what) => {
            report(arguments, given, &reader, &what);
            None
        }
    }
}

fn report(arguments: &mut Arguments<'_>, given: &Given, reader: &Reader<'_>, what: &str) {
    let at = reader.text.len() - reader.rest.len();
    let text = match reader.rest.is_empty() {
        true => format!("{what}, where the text ends"),
        false => format!("{what} at `{}` (character {at})", reader.rest),
    };
    arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
}

/// Reads tests from left to right; where it stops is where a fault is.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    }

    fn take(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self) -> Result<u32, String> {
        self.skip();
        let digits = self.rest.strip_prefix("0x").or_else(|| self.rest.strip_prefix("0X"));
        let hexadecimal = digits.filter(|d| d.starts_with(|c: char| c.is_ascii_hexdigit()));
        let (digits, radix) = match (hexadecimal, self.rest.starts_with('0')) {
            (Some(digits), _) => (digits, 16),
            (None, true) => (self.rest, 8),
            (None, false) => (self.rest, 10),
        };
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let (number, rest) = digits.split_at_checked(end).unwrap_or((digits, ""));
        let number = u32::from_str_radix(number, radix);
        let number = number.map_err(|_| String::from("a number of 32 bits is missing"))?;
        self.rest = rest;
        self.skip();
        Ok(number)
    }

    fn tests(&mut self) -> Result<Vec<Test>, String> {
        let mut tests = Vec::new();
        loop {
            if tests.len() == TESTS_MAX {
                return Err(format!("more than {TESTS_MAX} tests"));
            }
            tests.push(self.test()?);
            if self.rest.is_empty() {
                return Ok(tests);
            }
            if !self.take("&&") {
                return Err("`,` or `&&` is missing".into());
            }
        }
    }

    fn test(&mut self) -> Result<Test, String> {
        let mut test = Test { start: self.number()?, ..Test::default() };
        while !self.take("=") {
            let found = OPERATORS.iter().find(|(word, _)| self.take(word));
            let Some((_, operator)) = found else {
                return Err("one of & << >> @ or = is missing".into());
            };
            if test.operations.len() + 1 == NUMBERS_MAX {
                return Err(format!("more than {NUMBERS_MAX} numbers in a location"));
            }
            test.operations.push((*operator, self.number()?));
        }
        loop {
            if test.ranges.len() == RANGES_MAX {
                return Err(format!("more than {RANGES_MAX} ranges in a set"));
            }
            let low = self.number()?;
            let high = if self.take(":") { self.number()? } else { low };
            test.ranges.push((low, high));
            if !self.take(",") {
                return Ok(test);
            }
        }
    }
}

impl Test {
    fn holds(&self, packet: &[u8]) -> bool {
        let value = self.value(packet);
        value.is_some_and(|value| {
            self.ranges.iter().any(|(low, high)| *low <= value && value <= *high)
        })
    }

    /// What the location comes to; `None` when it lies outside of the packet.
    fn value(&self, packet: &[u8]) -> Option<u32> {
        let read = |at: u32| {
            let bytes = packet.get(at as usize..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let mut origin: u32 = 0;
        let mut value = read(self.start)?;
        for (operator, number) in &self.operations {
            match operator {
                Operator::And => value &= number,
                Operator::Left => value = value.checked_shl(*number).unwrap_or(0),
                Operator::Right => value = value.checked_shr(*number).unwrap_or(0),
                Operator::At => {
                    origin = origin.checked_add(value)?;
                    value = read(origin.checked_add(*number)?)?;
                }
            }
        }
        Some(value)
    }

    fn write(&self, out: &mut String) {
        let _ = write!(out, "0x{:x}", self.start);
        for (operator, number) in &self.operations {
            let word = OPERATORS.iter().find(|(_, one)| one == operator).map_or("", |(w, _)| w);
            let _ = write!(out, "{word}0x{number:x}");
        }
        let mut separator = '=';
        for (low, high) in &self.ranges {
            let _ = write!(out, "{separator}0x{low:x}");
            if low != high {
                let _ = write!(out, ":0x{high:x}");
            }
            separator = ',';
        }
    }

    fn explain(&self) -> String {
        let mut text = format!("the four bytes at offset {} of the packet", self.start);
        for (operator, number) in &self.operations {
            let _ = match operator {
                Operator::And => write!(text, ", masked with 0x{number:x}"),
                Operator::Left => write!(text, ", shifted left by {number} bits"),
                Operator::Right => write!(text, ", shifted right by {number} bits"),
                Operator::At => {
                    write!(
                        text,
                        ", taken as an offset from which the four bytes at {number} are read"
                    )
                }
            };
        }
        let ranges = self.ranges.iter().map(|(low, high)| match low == high {
            true => format!("0x{low:x}"),
            false => format!("0x{low:x} to 0x{high:x}"),
        });
        let ranges: Vec<String> = ranges.collect();
        let _ = write!(text, ", are {}", ranges.join(" or "));
        text
    }
}

impl U32 {
    fn write(&self, out: &mut String) {
        out.push('"');
        for (at, test) in self.tests.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "&&" });
            test.write(out);
        }
        out.push('"');
    }
}

impl Match for U32 {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = traversal.packet.packet(traversal.bytes);
        (self.tests.iter().all(|test| test.holds(packet)) != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "u32");
        out.push(' ');
        self.write(out);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(either(self.inverted, " u32 ", " u32 ! "));
        self.write(out);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let tests: Vec<String> = self.tests.iter().map(Test::explain).collect();
        let tests = tests.join("; and ");
        out.push(Piece::Condition(match self.inverted {
            false => tests,
            true => format!("it is not so that {tests}"),
        }));
        let empty = self.tests.iter().flat_map(|test| &test.ranges).any(|(low, high)| low > high);
        if empty {
            out.push(Piece::Caution("A range begins above its end and holds nothing.".into()));
        }
        out.push(Piece::Note(
            either(
                self.inverted,
                "A packet that ends before such bytes does not match.",
                "A packet that ends before such bytes matches, too.",
            )
            .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, saved};
    use super::*;
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-m u32 --u32 \"0 = 0\"", "-m u32 --u32 \"0x0=0x0\"", " u32 \"0x0=0x0\"", "="),
                    (
                        "-m u32 ! --u32 0=0:5,9",
                        "-m u32 ! --u32 \"0x0=0x0:0x5,0x9\"",
                        " u32 ! \"0x0=0x0:0x5,0x9\"",
                        "=",
                    ),
                    (
                        "-m u32 --u32 010=0X10",
                        "-m u32 --u32 \"0x8=0x10\"",
                        " u32 \"0x8=0x10\"",
                        "=",
                    ),
                    (
                        "-m u32 --u32 \"\t0>>22 & 0x3C @ 0<<24 = 0 : 1 , 3 && 4=5\"",
                        "-m u32 --u32 \"0x0>>0x16&0x3c@0x0<<0x18=0x0:0x1,0x3&&0x4=0x5\"",
                        " u32 \"0x0>>0x16&0x3c@0x0<<0x18=0x0:0x1,0x3&&0x4=0x5\"",
                        "=",
                    ),
                    (
                        "-m u32 --u32 0=5:3",
                        "-m u32 --u32 \"0x0=0x5:0x3\"",
                        " u32 \"0x0=0x5:0x3\"",
                        "=",
                    ),
                    ("-m u32 --u32 0", "", "", ""),
                    ("-m u32 --u32 0=", "", "", ""),
                    ("-m u32 --u32 =0", "", "", ""),
                    ("-m u32 --u32 0=0&&", "", "", ""),
                    ("-m u32 --u32 0=0&0", "", "", ""),
                    ("-m u32 --u32 0<1=0", "", "", ""),
                    ("-m u32 --u32 0<<32=0", "", "", ""),
                    ("-m u32 --u32 0=4294967296", "", "", ""),
                    ("-m u32 --u32 0=-1", "", "", ""),
                    ("-m u32 --u32 0=0x", "", "", ""),
                    ("-m u32 --u32 0=:5", "", "", ""),
                    ("-m u32 --u32 0=5:", "", "", ""),
                    ("-m u32 --u32 0=1,,2", "", "", ""),
                    ("-m u32 --u32 \"0=0 junk\"", "", "", ""),
                    ("-m u32 --u32 \"\"", "", "", ""),
                    ("-m u32", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn as_many_of_each_as_the_limits_allow() {
        let tests = |count| ["0=0"].repeat(count).join("&&");
        let numbers = |count| format!("{}=0", ["0"].repeat(count).join("&"));
        let ranges = |count| format!("0={}", ["0"].repeat(count).join(","));
        let most = [tests(TESTS_MAX), numbers(NUMBERS_MAX), ranges(RANGES_MAX)];
        let more = [tests(TESTS_MAX + 1), numbers(NUMBERS_MAX + 1), ranges(RANGES_MAX + 1)];
        for (most, more) in most.iter().zip(&more) {
            assert!(saved(Family::V4, &format!("-m u32 --u32 {most}")).is_ok(), "{most}");
            assert!(saved(Family::V4, &format!("-m u32 --u32 {more}")).is_err(), "{more}");
        }
    }

    #[test]
    fn the_program_runs_over_the_packet() {
        let packet = ipv4(1, &[8, 0, 0xff, 0xfe, 0, 1, 0, 2]);
        for (program, wanted) in [
            ("6&0xff=1 && 4&0x3fff=0 && 0>>22&0x3c@0>>24=8", true),
            ("6&0xff=6", false),
            ("0>>22&0x3c@0>>24=0:7,9:255", false),
            ("0>>22&0x3c@4=0x10002", true),
            ("24=0x10002", true),
            // One byte beyond the end.
            ("25=0:0xffffffff", false),
            ("0>>22&0x3c@5=0:0xffffffff", false),
            ("0=0:0xffffffff && 25=0:0xffffffff", false),
            // Positions of more than 32 bits.
            ("4294967295=0:0xffffffff", false),
            ("0>>22&0x3c@4294967276=0:0xffffffff", false),
            ("16&0xffffffff@0=0:0xffffffff", false),
            ("0<<24=0x1c000000", true),
            ("0<<24>>24=0x1c", true),
            ("0@0=0:0xffffffff", false),
            ("4@0=1", false),
            ("9>>24&1@0=0:0xffffffff", true),
            ("0=5:3", false),
        ] {
            let rule = format!("-m u32 --u32 \"{program}\"");
            assert_eq!(answer(&rule, &packet), Answer::from(wanted), "{program}");
            let rule = format!("-m u32 ! --u32 \"{program}\"");
            assert_eq!(answer(&rule, &packet), Answer::from(!wanted), "! {program}");
        }
    }
}
