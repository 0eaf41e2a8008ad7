//! `string`: bytes anywhere in the packet, IP header included.
//!
//! The pattern has to lie whole between `--from` and `--to`, which count from the IP header. What is
//! printed is the pattern itself where it is printable ASCII, else all of it in hexadecimal. With
//! `--icase` letters of Latin-1 are alike in both cases, as the kernel's tables have them.
//!
//! The kernel's Boyer-Moore search sees each piece of a packet's memory by itself: it misses a pattern
//! that lies across fragments which tracking has put together. `kmp` finds it, and so do both here: how a
//! packet lies in memory is in no capture.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const FROM: u8 = 0;
const TO: u8 = 1;
const ALGORITHM: u8 = 2;
const STRING: u8 = 3;
const HEX: u8 = 4;
const ICASE: u8 = 5;
const OPTIONS: &[OptionSpec] = &[
    valued("from", FROM),
    valued("to", TO),
    valued("algo", ALGORITHM),
    valued("string", STRING).inverted(),
    valued("hex-string", HEX).inverted(),
    flag("icase", ICASE),
];

const MANUAL: &str = "\
Looks for bytes in a packet, its headers included.

- `[!] --string TEXT`: the bytes of this text.
- `[!] --hex-string TEXT`: the same, with bytes in hexadecimal between bars: `\"GET |0d 0a|\"`. A backslash
  takes the next character as it is.
- `--algo bm|kmp`: how the kernel searches: Boyer-Moore or Knuth-Morris-Pratt. Both find the same within one
  packet.
- `--from OFFSET`, `--to OFFSET`: where the search begins, and where it ends (the byte at this offset is the
  first one that is not looked at); 0 to 65535, from the IP header on.
- `--icase`: upper and lower case are alike.

One of `--string` and `--hex-string` is needed, and `--algo`. A pattern has 1 to 128 bytes.

    -p udp --dport 53 -m string --algo bm --from 40 --hex-string \"|03|www|07|example|03|com|00|\" -j DROP

Each packet is searched by itself: a pattern that is cut in two by segments of TCP is not found, nor one that
is encrypted, so this is no means against anybody who wants to get through. The search costs time; ask for
protocol and port first. On Linux `bm` misses what lies across the fragments of a datagram, `kmp` does not.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "string",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest pattern, in bytes.
pub const PATTERN_MAX: usize = 128;
const ALGORITHMS: [&str; 2] = ["bm", "kmp"];
const TO_MAX: u16 = u16::MAX;

/// An instance.
#[derive(Debug)]
pub struct StringMatch {
    inverted: bool,
    /// As it was given: what is printed.
    pattern: Vec<u8>,
    /// In upper case, where case does not count: what is compared.
    folded: Vec<u8>,
    /// For each beginning of `folded`, how much of it also ends it (Knuth, Morris, Pratt 1977).
    borders: Vec<u8>,
    /// For a search that may miss what is there.
    skips: Option<Box<Skips>>,
    algorithm: &'static str,
    from: u16,
    to: u16,
    icase: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    if arguments.option(STRING).is_some() && arguments.option(HEX).is_some() {
        arguments.exclusive(&[STRING, HEX])?;
    }
    let given = match arguments.option(HEX) {
        Some(given) => given,
        None => arguments.required(STRING)?,
    };
    let pattern = match given.option.id {
        HEX => hex_pattern(arguments, given)?,
        _ => Vec::from(given.value.as_bytes()),
    };
    if pattern.is_empty() || pattern.len() > PATTERN_MAX {
        let text = format!("a pattern of {} bytes: it has 1 to {PATTERN_MAX}", pattern.len());
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
        return None;
    }
    let name = arguments.required(ALGORITHM)?;
    let algorithm = ALGORITHMS.into_iter().find(|known| *known == name.value);
    if algorithm.is_none() {
        let known = ALGORITHMS.into_iter();
        arguments.unknown_word(&name.value, name.value_span, "a way to search", known);
    }
    let from = offset(arguments, FROM, 0)?;
    let to = offset(arguments, TO, TO_MAX)?;
    if from > to {
        let span = arguments.option(TO).or(arguments.option(FROM))?.value_span;
        let text = format!("the search begins at {from} and ends before, at {to}");
        arguments.fault(Diagnostic::new(code::RANGE_BACKWARDS, span, text));
        return None;
    }
    let icase = arguments.option(ICASE).is_some();
    let folded: Vec<u8> = pattern.iter().map(|byte| fold(*byte, icase)).collect();
    let borders = borders(&folded);
    let (inverted, algorithm) = (given.inverted, algorithm?);
    let skips = (algorithm == "bm" && icase).then(|| Skips::of(&folded)).flatten();
    Some(Box::new(StringMatch {
        inverted,
        pattern,
        folded,
        borders,
        skips,
        algorithm,
        from,
        to,
        icase,
    }))
}

fn offset(arguments: &mut Arguments<'_>, id: u8, absent: u16) -> Option<u16> {
    let Some(given) = arguments.option(id) else { return Some(absent) };
    u16::try_from(arguments.number(given, TO_MAX.into())?).ok()
}

/// Text with bytes in hexadecimal between bars, where a blank may stand before each byte and at the end.
fn hex_pattern(arguments: &mut Arguments<'_>, given: &Given) -> Option<Vec<u8>> {
    let mut pattern = Vec::new();
    let mut bytes = given.value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => pattern.extend(bytes.next()),
            b'|' => {
                if let Err(what) = hex_bytes(&mut bytes, &mut pattern) {
                    let fault = Diagnostic::new(code::BAD_VALUE, given.value_span, what);
                    arguments.fault(fault.help("|0d 0a|text|00|"));
                    return None;
                }
            }
            byte => pattern.push(byte),
        }
    }
    Some(pattern)
}

/// Bytes in hexadecimal up to and with the closing bar.
fn hex_bytes(
    bytes: &mut impl Iterator<Item = u8>,
    pattern: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut begun = false;
    loop {
        let mut byte = bytes.next().ok_or("a `|` is not closed by another one")?;
        if byte == b' ' {
            byte = bytes.next().ok_or("a `|` is not closed by another one")?;
        }
        if byte == b'|' {
            return if begun { Ok(()) } else { Err("there is nothing between two `|`") };
        }
        begun = true;
        let high = digit(byte);
        let low = bytes.next().and_then(digit);
        let (Some(high), Some(low)) = (high, low) else {
            return Err("between two `|` stand bytes of two hexadecimal digits each");
        };
        pattern.push(high << 4 | low);
    }
}

/// The byte, in upper case where case does not count.
const fn fold(byte: u8, icase: bool) -> u8 {
    match byte {
        b'a'..=b'z' | 0xdf..=0xf6 | 0xf8..=0xff if icase => byte - 0x20,
        byte => byte,
    }
}

fn borders(pattern: &[u8]) -> Vec<u8> {
    let mut borders: Vec<u8> = Vec::new();
    let mut length = 0;
    for (at, byte) in pattern.iter().enumerate() {
        if at > 0 {
            length = extend(pattern, &borders, length, *byte);
        }
        borders.push(length);
    }
    borders
}

/// How much of the pattern is there after one more byte, when `length` of it was.
fn extend(pattern: &[u8], borders: &[u8], mut length: u8, byte: u8) -> u8 {
    loop {
        if pattern.get(usize::from(length)) == Some(&byte) {
            return length + 1;
        }
        match length.checked_sub(1) {
            Some(before) => length = borders.get(usize::from(before)).copied().unwrap_or(0),
            None => return 0,
        }
    }
}

/// How far Boyer-Moore's search may go on (R. Boyer, J Moore, "A Fast String Searching Algorithm", 1977),
/// where the kernel's goes too far: it knows each letter of the pattern in upper case and in lower case,
/// but two small letters of Latin-1 are none's lower case, and what it does not know it jumps over.
#[derive(Debug)]
struct Skips {
    /// By the byte that did not fit: from its last place in the pattern to the end.
    bytes: [u8; 256],
    /// By how many bytes fitted, from the end: to where they stand once more.
    suffixes: Vec<u8>,
}

impl Skips {
    /// `None` for a pattern that is found wherever it is.
    fn of(folded: &[u8]) -> Option<Box<Self>> {
        let (_, rest) = folded.split_last()?;
        let whole = u8::try_from(folded.len()).ok()?;
        folded.iter().any(|byte| matches!(byte, 0xbf | 0xdf)).then_some(())?;
        let mut bytes = [whole; 256];
        for (left, byte) in (1..whole).rev().zip(rest) {
            let lower = match byte {
                b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..=0xde => byte + 0x20,
                byte => *byte,
            };
            for one in [*byte, lower] {
                if let Some(skip) = bytes.get_mut(usize::from(one)) {
                    *skip = left;
                }
            }
        }
        let suffixes = (0..folded.len()).map(|fitted| {
            let skip = (1..folded.len()).find(|skip| recurs(folded, fitted, *skip));
            skip.and_then(|skip| u8::try_from(skip).ok()).unwrap_or(whole)
        });
        Some(Box::new(Self { bytes, suffixes: suffixes.collect() }))
    }

    fn find(&self, folded: &[u8], text: &[u8]) -> bool {
        let mut end = folded.len();
        while let Some(part) = text.get(..end) {
            let pairs = folded.iter().rev().zip(part.iter().rev());
            let fitted = pairs.take_while(|(wanted, byte)| **wanted == fold(**byte, true)).count();
            let Some(other) = part.iter().rev().nth(fitted) else { return true };
            if fitted == folded.len() {
                return true;
            }
            let by_byte = self.bytes.get(usize::from(*other)).copied().unwrap_or(1);
            let by_suffix = self.suffixes.get(fitted).copied().unwrap_or(1);
            end += usize::from(by_byte).saturating_sub(fitted).max(usize::from(by_suffix)).max(1);
        }
        false
    }
}

/// Whether the last `fitted` bytes of a pattern stand `skip` bytes before its end once more, behind
/// another byte than at the end; what would stand before its beginning may be anything.
fn recurs(pattern: &[u8], fitted: usize, skip: usize) -> bool {
    let from_end = |at: usize| pattern.iter().rev().nth(at);
    let again = |at: usize| from_end(at + skip);
    (0..fitted).all(|at| again(at).is_none_or(|byte| Some(byte) == from_end(at)))
        && again(fitted).is_none_or(|byte| Some(byte) != from_end(fitted))
}

impl StringMatch {
    fn is_in(&self, packet: &[u8]) -> bool {
        let end = packet.len().min(self.to.into());
        let Some(text) = packet.get(self.from.into()..end) else { return false };
        if let Some(skips) = &self.skips {
            return skips.find(&self.folded, text);
        }
        let mut length = 0;
        text.iter().any(|byte| {
            length = extend(&self.folded, &self.borders, length, fold(*byte, self.icase));
            usize::from(length) == self.folded.len()
        })
    }

    /// The pattern as it is printed: in quotes, or in hexadecimal.
    fn write(&self, out: &mut String) -> bool {
        let printable = self.pattern.iter().all(|byte| matches!(byte, b' '..=b'~'));
        out.push_str(if printable { "\"" } else { "\"|" });
        for byte in &self.pattern {
            if !printable {
                let _ = write!(out, "{byte:02x}");
                continue;
            }
            if matches!(byte, b'"' | b'\\') {
                out.push('\\');
            }
            out.push(char::from(*byte));
        }
        out.push_str(if printable { "\"" } else { "|\"" });
        printable
    }
}

impl Match for StringMatch {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = traversal.packet.packet(traversal.bytes);
        (self.is_in(packet) != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        let mut pattern = String::new();
        let printable = self.write(&mut pattern);
        let option = if printable { "string" } else { "hex-string" };
        values::print_option(out, self.inverted, option);
        let _ = write!(out, " {pattern} --algo {}", self.algorithm);
        if self.from != 0 {
            let _ = write!(out, " --from {}", self.from);
        }
        if self.to != TO_MAX {
            let _ = write!(out, " --to {}", self.to);
        }
        if self.icase {
            out.push_str(" --icase");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " STRING match {} ", either(self.inverted, "", "!"));
        self.write(out);
        let _ = write!(out, " ALGO name {}", self.algorithm);
        if self.from != 0 {
            let _ = write!(out, " FROM {}", self.from);
        }
        if self.to != TO_MAX {
            let _ = write!(out, " TO {}", self.to);
        }
        if self.icase {
            out.push_str(" ICASE");
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let mut pattern = String::new();
        self.write(&mut pattern);
        let verb = either(self.inverted, "holds", "does not hold");
        let case = either(self.icase, "", " in any case of its letters");
        let place = match (self.from, self.to) {
            (0, TO_MAX) => String::new(),
            (from, TO_MAX) => format!(" from byte {from} on"),
            (from, to) => format!(" within bytes {from} to {}", to.saturating_sub(1)),
        };
        let count = either(place.is_empty(), " (counted from the IP header)", "");
        out.push(Piece::Condition(format!("it {verb} the bytes {pattern}{case}{place}{count}")));
        if self.pattern.len() > usize::from(self.to - self.from) {
            out.push(Piece::Caution(
                "The pattern is longer than the place it is looked for in.".into(),
            ));
        }
        out.push(Piece::Note(
            "Each packet is searched by itself, headers included: bytes that are spread over several \
             segments, or encrypted, are not found."
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
                    (
                        "-m string --algo bm --string test",
                        "-m string --string \"test\" --algo bm",
                        " STRING match  \"test\" ALGO name bm",
                        "=",
                    ),
                    (
                        "-m string ! --string \"a b\" --algo kmp",
                        "=",
                        " STRING match ! \"a b\" ALGO name kmp",
                        "=",
                    ),
                    (
                        "-m string --algo bm --from 0 --to 65535 --string it's",
                        "-m string --string \"it's\" --algo bm",
                        " STRING match  \"it's\" ALGO name bm",
                        "=",
                    ),
                    (
                        "-m string --algo bm --icase ! --string a --to 0x9 --from 3",
                        "-m string ! --string \"a\" --algo bm --from 3 --to 9 --icase",
                        " STRING match ! \"a\" ALGO name bm FROM 3 TO 9 ICASE",
                        "=",
                    ),
                    (
                        "-m string --algo bm --hex-string \"ab|0a 0b|cd\"",
                        "-m string --hex-string \"|61620a0b6364|\" --algo bm",
                        " STRING match  \"|61620a0b6364|\" ALGO name bm",
                        "=",
                    ),
                    (
                        "-m string --algo bm --hex-string \"| 41 42 |x|43|\"",
                        "-m string --string \"ABxC\" --algo bm",
                        " STRING match  \"ABxC\" ALGO name bm",
                        "=",
                    ),
                    (
                        "-m string --algo bm --hex-string \"a\\\\|b\"",
                        "-m string --string \"a|b\" --algo bm",
                        " STRING match  \"a|b\" ALGO name bm",
                        "=",
                    ),
                    (
                        "-m string --algo bm --string \"q\\\"\\\\q\"",
                        "-m string --string \"q\\\"\\\\q\" --algo bm",
                        " STRING match  \"q\\\"\\\\q\" ALGO name bm",
                        "=",
                    ),
                    (
                        "-m string --algo bm --string ä",
                        "-m string --hex-string \"|c3a4|\" --algo bm",
                        " STRING match  \"|c3a4|\" ALGO name bm",
                        "=",
                    ),
                    (
                        "-m string --algo bm --string a --from 5 --to 5",
                        "-m string --string \"a\" --algo bm --from 5 --to 5",
                        " STRING match  \"a\" ALGO name bm FROM 5 TO 5",
                        "=",
                    ),
                    ("-m string --algo bm --string a --from 5 --to 3", "", "", ""),
                    ("-m string --algo bm --string a --to 65536", "", "", ""),
                    ("-m string --algo fsm --string a", "", "", ""),
                    ("-m string --string a", "", "", ""),
                    ("-m string --algo bm", "", "", ""),
                    ("-m string --algo bm --string \"\"", "", "", ""),
                    ("-m string --algo bm --hex-string \"||\"", "", "", ""),
                    ("-m string --algo bm --hex-string \"|0|\"", "", "", ""),
                    ("-m string --algo bm --hex-string \"|0a\"", "", "", ""),
                    ("-m string --algo bm --hex-string \"|zz|\"", "", "", ""),
                    ("-m string --algo bm --hex-string \"|41  42|\"", "", "", ""),
                    ("-m string --algo bm --string a --hex-string b", "", "", ""),
                    ("-m string --algo bm --string a ! --icase", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn a_pattern_of_128_bytes_is_the_longest() {
        let rule = |length| format!("-m string --algo bm --string {}", "x".repeat(length));
        assert!(saved(Family::V4, &rule(PATTERN_MAX)).is_ok());
        assert!(saved(Family::V4, &rule(PATTERN_MAX + 1)).is_err());
    }

    #[test]
    fn the_whole_pattern_lies_between_from_and_to() {
        let packet = ipv4(17, b"aababaabGET x");
        for (options, wanted) in [
            ("--string GET", true),
            ("--string get", false),
            ("--string get --icase", true),
            ("--string abab", true),
            ("--string baab", true),
            ("--string aabaabG", false),
            ("--string abaabG", true),
            ("--string \"x\"", true),
            ("--string xx", false),
            ("--string GET --from 28", true),
            ("--string GET --from 29", false),
            ("--string GET --to 31", true),
            ("--string GET --to 30", false),
            ("--string GET --from 28 --to 31", true),
            ("--string aab --from 21", true),
            ("--string aab --from 21 --to 27", false),
            ("--string x --from 32 --to 33", true),
            ("--string x --from 33", false),
            ("--string x --from 65535", false),
            ("--string x --to 0", false),
            ("--hex-string |45| --to 1", true),
            ("--hex-string |450000| --from 0", true),
        ] {
            for algorithm in ALGORITHMS {
                let rule = format!("-m string --algo {algorithm} {options}");
                assert_eq!(answer(&rule, &packet), Answer::from(wanted), "{rule}");
                let not = rule.replace("--string", "! --string").replace("--hex", "! --hex");
                assert_eq!(answer(&not, &packet), Answer::from(!wanted), "{not}");
            }
        }
    }

    #[test]
    fn letters_of_latin_1_have_cases_too() {
        let rule = "-m string --algo bm --icase --hex-string";
        let found = |pattern: &str, byte: u8| {
            answer(&format!("{rule} |{pattern}|"), &ipv4(17, &[byte])) == Answer::Yes
        };
        assert!(found("e4", 0xc4) && found("c4", 0xe4) && found("fe", 0xde));
        assert!(!found("f7", 0xd7) && !found("d7", 0xf7));
    }

    /// Patterns, and packets with what Linux 6.18 finds in them.
    const JUMPED_OVER: [&str; 8] =
        ["ff00ff78", "ff6162", "61df62ff", "bf71", "ffff", "df", "7a7aff7a7a", "6162ff636162ff"];
    #[rustfmt::skip]
    const FOUND: &[(&str, &str)] = &[
        ("4500003200014000401106840a010001c633640100050006001ebe5d6151787151bf71516342ff62710063ffbfdf78620058", "00010100"),
        ("45000029000140004011068d0a010001c6336401000500060015a094bf7171dfbf7a7a62bfbfffff00", "00011100"),
        ("4500002600014000401106900a010001c63364010005000600128ce4bf6161df62ff78004263", "00000100"),
        ("4500002100014000401106950a010001c633640100050006000daed341df62df78", "00000100"),
        ("4500002a000140004011068c0a010001c6336401000500060016c5727861625178bfff00ff78626251bf", "10000100"),
        ("45000028000140004011068e0a010001c633640100050006001442fb587aff62ff51bf7a00df7100", "00000100"),
        ("4500002e00014000401106880a010001c633640100050006001a59347842df61627842617162df7a5171717861ff", "00000100"),
        ("4500002d00014000401106890a010001c63364010005000600191770637861bf71df636142df636162ffbf5151", "00010100"),
        ("4500002b000140004011068b0a010001c6336401000500060017122f00bfff20ff78517abf637158dfbf58", "00000100"),
        ("4500002d00014000401106890a010001c6336401000500060019a22462625151786261616258bfdf5842bf6362", "00000100"),
        ("4500002200014000401106940a010001c633640100050006000e19a9df6261427142", "00000100"),
        ("4500002a000140004011068c0a010001c633640100050006001646fedf71717178ffdf517a63ff716178", "00010100"),
        ("4500003100014000401106850a010001c633640100050006001dab37bf7aff624271617863616261426363717878616378", "00000100"),
        ("4500002f00014000401106870a010001c633640100050006001bd98178bf515a7aff7a7a62787842bf42bf00786261", "00010100"),
        ("4500002200014000401106940a010001c633640100050006000e17ca7a627a63bf00", "00000100"),
        ("4500002600014000401106900a010001c6336401000500060012a336635161df62ffff6200bf", "00001100"),
        ("45000029000140004011068d0a010001c6336401000500060015873a637adf7a00005178ff78586158", "00000100"),
        ("45000038000140004011067e0a010001c6336401000500060024c7e74278ff427a61df614242787a6178bf58587a6342787a7aff7a7a62bf", "00000100"),
        ("4500002100014000401106950a010001c633640100050006000daeb361df62ff58", "00100100"),
        ("4500002c000140004011068a0a010001c633640100050006001822036162515858bf7a7a615161626158ff78", "00000100"),
        ("4500002a000140004011068c0a010001c6336401000500060016e5bc6261bf61ff42ff62ffdf637a6200", "00000100"),
        ("4500002d00014000401106890a010001c63364010005000600194f2061bf516161627a6242637a51dfff71bfdf", "00010100"),
        ("4500002100014000401106950a010001c633640100050006000dc4b341df62ff62", "00100100"),
        ("4500002a000140004011068c0a010001c633640100050006001621b87171587a7a515163636258625863", "00000000"),
        ("4500002300014000401106930a010001c633640100050006000f454d616271df61ff51", "00000100"),
        ("4500003100014000401106850a010001c633640100050006001d87b2bf716163716261bfbf625142627842bf587a4271ff", "00010100"),
        ("4500002a000140004011068c0a010001c633640100050006001627b15158df585162ffff4162dfdf007a", "00001100"),
        ("4500002300014000401106930a010001c633640100050006000f69fbbf7abf5871bf71", "00010100"),
    ];

    #[test]
    fn small_letters_that_are_in_no_alphabet_are_jumped_over() {
        let octets = |text: &str| -> Vec<u8> {
            let digits = text.as_bytes().chunks(2);
            let octet =
                |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
            digits.map(octet).collect()
        };
        for (packet, wanted) in FOUND {
            let found: String = JUMPED_OVER
                .iter()
                .map(|pattern| {
                    let rule = format!("-m string --algo bm --icase --hex-string |{pattern}|");
                    if answer(&rule, &octets(packet)) == Answer::Yes { '1' } else { '0' }
                })
                .collect();
            assert_eq!(found, *wanted, "{packet}");
        }
    }
}
