//! `hashlimit`: a rate for each flow, where `limit` has one for all. Flows are told apart by addresses
//! and ports; rules that give the same name share a table of them.
//!
//! Source: iptables-extensions(8), and `/proc/net/ipt_hashlimit` of Linux, which shows the credit of
//! each flow. Surprises: what a table does is what its first rule says, whatever the later ones say;
//! a rate of bytes is kept as the price of 16 bytes, which bounds what can be said; with
//! `--hashlimit-rate-match` a rate a minute is saved as one a second with a window of a minute; a packet
//! whose ports are asked for and cut off is dropped, and so is one for which the table has no room.

mod table;

pub use table::{BUCKETS, Config, ENTRIES_MAX, Rate, Table, Tables};

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Stores, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::{Match, connlimit};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Family, L4, Parsed, ipv6};
use table::{Full, Key, masked};

const UPTO: u8 = 0;
const ABOVE: u8 = 1;
const BURST: u8 = 2;
const MODE: u8 = 3;
const NAME: u8 = 4;
const SRCMASK: u8 = 5;
const DSTMASK: u8 = 6;
const SIZE: u8 = 7;
const MAX: u8 = 8;
const GCINTERVAL: u8 = 9;
const EXPIRE: u8 = 10;
const RATE_MATCH: u8 = 11;
const RATE_INTERVAL: u8 = 12;
const OPTIONS: &[OptionSpec] = &[
    valued("hashlimit-upto", UPTO).inverted(),
    valued("hashlimit", UPTO).inverted(),
    valued("hashlimit-above", ABOVE).inverted(),
    valued("hashlimit-burst", BURST),
    valued("hashlimit-mode", MODE),
    valued("hashlimit-name", NAME),
    valued("hashlimit-srcmask", SRCMASK),
    valued("hashlimit-dstmask", DSTMASK),
    valued("hashlimit-htable-size", SIZE),
    valued("hashlimit-htable-max", MAX),
    valued("hashlimit-htable-gcinterval", GCINTERVAL),
    valued("hashlimit-htable-expire", EXPIRE),
    flag("hashlimit-rate-match", RATE_MATCH),
    valued("hashlimit-rate-interval", RATE_INTERVAL),
];

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "hashlimit",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Its page.
const MANUAL: &str = "\
Keeps a rate for each flow: for each source, each destination port, each pair, whatever `--hashlimit-mode` \
names. Use it where one noisy host should not use up what the others may send, as `limit` would let it.

- `--hashlimit-upto RATE`: the packet's flow is within the rate. `RATE` is `N[/second|/minute|/hour|/day]` \
(shortened as you like) for packets, `Nb/s`, `Nkb/s` or `Nmb/s` for bytes. `--hashlimit` is its old name.
- `--hashlimit-above RATE`: the flow is above it. `!` before the one means the other.
- `--hashlimit-name NAME`: the table in which flows are counted, necessary. Rules with the same name \
count in the same one, and its first rule sets its rate, mode and limits.
- `--hashlimit-burst N`: packets at once after a pause, 1 to 1000000, 5 without it; of a rate of bytes, \
bytes, at least the rate, rounded up to a multiple of it.
- `--hashlimit-mode LIST`: of `srcip`, `srcport`, `dstip`, `dstport`. Without it everything is one flow.
- `--hashlimit-srcmask LENGTH`, `--hashlimit-dstmask LENGTH`: networks of that length are one flow.
- `--hashlimit-htable-max N`: most flows, up to 1048576, never less than the size; a packet of one more is \
dropped. `--hashlimit-htable-size N`: buckets, 8192 without it; eight times that many flows.
- `--hashlimit-htable-expire MS`: a flow that pauses so long is forgotten, and begins with its whole \
burst again; without it the unit of the rate, 15000 for bytes, 60000 with a burst. \
`--hashlimit-htable-gcinterval MS`: how often that is looked for, 1000 without it.
- `--hashlimit-rate-match`: count in windows of time instead: as long as the window before was above the \
rate, everything is above it. `--hashlimit-rate-interval SECONDS`: the length of the window; without it the \
unit of the rate.

At most three new connections a second from each source, and the rest dropped:

    -A INPUT -p tcp --syn --dport 22 -m hashlimit --hashlimit-above 3/second --hashlimit-burst 10 \
--hashlimit-mode srcip --hashlimit-name ssh -j DROP

Mind that slow rates with a large burst are more than Linux can reckon with (1/day with a burst of 5): the \
rule is refused. IPv4 and IPv6 have tables of their own even under one name.
";

/// Microseconds in a second.
const SCALE: u64 = 1_000_000;
const BURST_DEFAULT: u64 = 5;
const BURST_MAX: u64 = 1_000_000;
const SWEEP_DEFAULT: u32 = 1000;
/// Octets of a name; what is longer is cut, as by iptables.
const NAME_MAX: usize = 254;
/// Milliseconds that flows of a rate of bytes are kept, and with a burst.
const BYTES_EXPIRE: [u32; 2] = [15_000, 60_000];

/// Units: as printed, as read, in seconds.
const UNITS: [(&str, &str, u64); 4] =
    [("day", "day", 86_400), ("hour", "hour", 3600), ("min", "minute", 60), ("sec", "second", 1)];

/// What `RATE` and `--hashlimit-burst` come to, as iptables keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Average {
    /// Microseconds between packets, and the burst.
    Packets { period: u64, burst: u64 },
    /// Price of 16 bytes, and how often that many bytes may be exceeded.
    Bytes { price: u32, burst: u64 },
}

/// An instance.
#[derive(Debug)]
pub struct HashLimit {
    family: Family,
    name: String,
    /// Within the rate, rather than above it.
    upto: bool,
    average: Average,
    /// Seconds of the window; 0 where it was not asked for and does not matter.
    interval: u32,
    rate_match: bool,
    source: bool,
    destination: bool,
    source_port: bool,
    destination_port: bool,
    source_mask: u8,
    destination_mask: u8,
    size: u32,
    max: u32,
    sweep: u32,
    expire: u32,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let Some(given) = arguments.option(UPTO).or(arguments.option(ABOVE)) else {
        let text = "`hashlimit` needs `--hashlimit-upto` or `--hashlimit-above`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    };
    if arguments.option(UPTO).is_some() && arguments.option(ABOVE).is_some() {
        arguments.exclusive(&[UPTO, ABOVE])?;
    }
    let rate_match = arguments.option(RATE_MATCH).is_some();
    let name = name(arguments)?;
    let (average, unit) = average(arguments, given, rate_match)?;
    let [source, source_port, destination, destination_port] = mode(arguments)?;
    let window = if rate_match { unit } else { 0 };
    let expire = match average {
        Average::Packets { .. } => unit.saturating_mul(1000),
        Average::Bytes { burst, .. } => bytes_expire(burst),
    };
    let one = HashLimit {
        family: arguments.family,
        name,
        upto: (given.option.id == UPTO) != given.inverted,
        average,
        interval: interval(arguments)?.unwrap_or(window),
        rate_match,
        source,
        destination,
        source_port,
        destination_port,
        source_mask: mask(arguments, SRCMASK)?,
        destination_mask: mask(arguments, DSTMASK)?,
        size: count(arguments, SIZE)?.min(ENTRIES_MAX),
        max: count(arguments, MAX)?.min(ENTRIES_MAX),
        sweep: milliseconds(arguments, GCINTERVAL)?.unwrap_or(SWEEP_DEFAULT),
        expire: milliseconds(arguments, EXPIRE)?.unwrap_or(expire),
    };
    Some(Box::new(one))
}

const fn bytes_expire(burst: u64) -> u32 {
    let [without, with] = BYTES_EXPIRE;
    if burst == 0 { without } else { with }
}

fn name(arguments: &mut Arguments<'_>) -> Option<String> {
    let given = arguments.required(NAME)?;
    let name = given.value.as_str();
    if name.is_empty() {
        arguments.bad_value(given, "a name");
        return None;
    }
    if matches!(name, "." | "..") || name.contains('/') {
        let text = format!("`{name}` cannot be the name of a file, and the table has one");
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    let end = (0..=NAME_MAX.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    Some(name.get(..end.unwrap_or(0)).unwrap_or(name).into())
}

/// The number that a text begins with, in decimal.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.get(..text.len() - rest.len()).filter(|digits| !digits.is_empty())?;
    Some((digits.parse().unwrap_or(u64::MAX), rest))
}

const fn factor(rest: &str) -> u64 {
    match rest.as_bytes().first() {
        Some(b'k') => 1 << 10,
        Some(b'm') => 1 << 20,
        _ => 1,
    }
}

/// The rate and burst, and the seconds of the unit.
fn average(
    arguments: &mut Arguments<'_>,
    given: &Given,
    rate_match: bool,
) -> Option<(Average, u32)> {
    let (number, rest) = match leading_number(&given.value) {
        Some(found) if found.0 > 0 => found,
        _ => return bad_rate(arguments, given),
    };
    if given.value.contains("b/s") {
        let bytes = number.saturating_mul(factor(rest));
        let price = price(bytes);
        return Some((Average::Bytes { price, burst: bytes_burst(arguments, price)? }, 1));
    }
    let unit = match given.value.split_once('/') {
        None => "second",
        Some((_, "")) => return bad_rate(arguments, given),
        Some((_, unit)) => unit,
    };
    let unit = unit.to_ascii_lowercase();
    let Some((.., seconds)) = UNITS.iter().find(|(_, long, _)| long.starts_with(&unit)) else {
        return bad_rate(arguments, given);
    };
    let mut period = SCALE * seconds / number;
    if period == 0 {
        let text = format!("`{}` is too fast: at most {SCALE} a second", given.value);
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
        return None;
    }
    if rate_match {
        period /= seconds;
    }
    let burst = packets_burst(arguments)?;
    if !Rate::is_possible(period, burst) {
        let text =
            format!("the kernel cannot reckon with `{}` and a burst of {burst}", given.value);
        let fault = Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text);
        arguments.fault(fault.help("--hashlimit-burst 1"));
        return None;
    }
    Some((Average::Packets { period, burst }, *seconds as u32))
}

fn bad_rate<T>(arguments: &mut Arguments<'_>, given: &Given) -> Option<T> {
    let text = format!("`{}` is not a rate", given.value);
    let fault = Diagnostic::new(code::BAD_VALUE, given.value_span, text);
    arguments.fault(fault.help("5/second, 30/minute, 100/hour, 7/day, 500kb/s or 10mb/s"));
    None
}

/// A number with `0x` or `0` as elsewhere, and what follows it.
fn burst_number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit() && !matches!(c, 'x' | 'X'));
    let (digits, _) = text.split_at_checked(end.unwrap_or(text.len()))?;
    // `10b` is ten bytes: only behind `0x` is a letter a digit.
    let hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    let plain = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = if hexadecimal { digits } else { digits.get(..digits.len() - plain.len())? };
    let rest = text.get(digits.len()..)?;
    Some(values::number(digits, u64::MAX)?.saturating_mul(factor(rest)))
}

fn packets_burst(arguments: &mut Arguments<'_>) -> Option<u64> {
    let Some(given) = arguments.option(BURST) else { return Some(BURST_DEFAULT) };
    let burst = burst_number(&given.value).filter(|burst| (1..=BURST_MAX).contains(burst));
    if burst.is_none() {
        arguments.bad_value(given, &format!("a burst (1 to {BURST_MAX})"));
    }
    burst
}

/// How often the rate's bytes may be exceeded: of what is beyond 32 bits only the remainder counts.
fn bytes_burst(arguments: &mut Arguments<'_>, price: u32) -> Option<u64> {
    let Some(given) = arguments.option(BURST) else { return Some(0) };
    let Some(burst) = burst_number(&given.value) else {
        arguments.bad_value(given, "a number of bytes");
        return None;
    };
    let rate = bytes(price);
    if burst < rate || rate == 0 {
        let text = format!("the burst cannot be smaller than the rate, {rate} bytes");
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
        return None;
    }
    let low = burst & u64::from(u32::MAX);
    Some(low / rate + u64::from(!burst.is_multiple_of(rate)))
}

/// What 16 bytes cost at so many bytes a second: 2^32 pay for a second.
fn price(bytes: u64) -> u32 {
    let bytes = bytes.min(u32::MAX.into()) as u32;
    u32::MAX / ((bytes >> 4) + 1)
}

/// The rate of a price.
fn bytes(price: u32) -> u64 {
    u64::from((u32::MAX / price.max(1)).saturating_sub(1)) << 4
}

/// srcip, srcport, dstip, dstport.
fn mode(arguments: &mut Arguments<'_>) -> Option<[bool; 4]> {
    const WORDS: [&str; 4] = ["srcip", "srcport", "dstip", "dstport"];
    let mut found = [false; 4];
    let Some(given) = arguments.option(MODE) else { return Some(found) };
    for (word, span) in arguments.list(given) {
        match WORDS.iter().zip(&mut found).find(|(known, _)| **known == word) {
            Some((_, place)) => *place = true,
            None if word.is_empty() => {}
            None => {
                arguments.unknown_word(word, span, "a part of a flow", WORDS.iter().copied());
                return None;
            }
        }
    }
    Some(found)
}

fn mask(arguments: &mut Arguments<'_>, id: u8) -> Option<u8> {
    match arguments.option(id) {
        None => Some(connlimit::whole(arguments.family)),
        Some(given) => connlimit::length(arguments, given),
    }
}

fn count(arguments: &mut Arguments<'_>, id: u8) -> Option<u32> {
    arguments.option(id).map_or(Some(0), |given| arguments.number32(given))
}

fn milliseconds(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<u32>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let found = arguments.number32(given)?;
    if found == 0 {
        let text = format!("`--{}` cannot be 0", given.option.name);
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    Some(Some(found))
}

fn interval(arguments: &mut Arguments<'_>) -> Option<Option<u32>> {
    let Some(given) = arguments.option(RATE_INTERVAL) else { return Some(None) };
    let found = leading_number(&given.value).and_then(|(seconds, _)| i32::try_from(seconds).ok());
    let found = found.filter(|seconds| *seconds > 0);
    if found.is_none() {
        arguments.bad_value(given, "a number of seconds (1 to 2147483647)");
    }
    found.map(|seconds| Some(seconds.unsigned_abs()))
}

/// A period as packets a unit: the longest unit in which it is a whole number, or nearly so.
fn packets(period: u64) -> (u64, (&'static str, &'static str, u64)) {
    let [mut best, rest @ ..] = UNITS;
    for unit in rest {
        let length = unit.2 * SCALE;
        if period > length || length / period.max(1) < length % period.max(1) {
            break;
        }
        best = unit;
    }
    (best.2 * SCALE / period.max(1), best)
}

/// A rate of bytes: in the largest unit that comes to the same price.
fn bytes_text(of: u32) -> String {
    let rate = bytes(of);
    for (unit, size) in [("mb", 1_u64 << 20), ("kb", 1 << 10)] {
        if rate >= size && price(rate / size * size) == of {
            return format!("{}{unit}", rate / size);
        }
    }
    format!("{rate}b")
}

/// A burst of bytes: in the largest unit that it reaches.
fn burst_text(burst: u64) -> String {
    for (unit, size) in [("mb", 1_u64 << 20), ("kb", 1 << 10)] {
        if burst >= size {
            return format!("{}{unit}", burst / size);
        }
    }
    format!("{burst}b")
}

/// What the two printed forms have in common.
struct Shown {
    rate: String,
    burst: Option<String>,
    modes: Vec<&'static str>,
    /// Numbers behind the words that [`Self::numbers`] lists, where they are not as by default.
    numbers: Vec<(&'static str, u32)>,
    /// The window, where it is not a second.
    window: Option<u32>,
}

impl HashLimit {
    /// `factor`: what the period is multiplied by, as listings do with the window.
    fn shown(&self, factor: u64) -> Shown {
        let (rate, burst, expire) = match self.average {
            Average::Packets { period, burst } => {
                let (amount, unit) = packets(period.saturating_mul(factor));
                let expire = (unit.2 * 1000) as u32;
                (format!("{amount}/{}", unit.0), Some(format!("{burst}")), expire)
            }
            Average::Bytes { price, burst } => {
                let text = (burst > 0).then(|| burst_text(burst.saturating_mul(bytes(price))));
                (format!("{}/s", bytes_text(price)), text, bytes_expire(burst))
            }
        };
        let modes = [
            (self.source, "srcip"),
            (self.source_port, "srcport"),
            (self.destination, "dstip"),
            (self.destination_port, "dstport"),
        ];
        let whole = connlimit::whole(self.family);
        let numbers = [
            (self.size, 0, "htable-size"),
            (self.max, 0, "htable-max"),
            (self.sweep, SWEEP_DEFAULT, "htable-gcinterval"),
            (self.expire, expire, "htable-expire"),
            (self.source_mask.into(), whole.into(), "srcmask"),
            (self.destination_mask.into(), whole.into(), "dstmask"),
        ];
        let numbers = numbers.into_iter().filter(|(number, usual, _)| number != usual);
        Shown {
            rate,
            burst,
            modes: modes.into_iter().filter_map(|(is, name)| is.then_some(name)).collect(),
            numbers: numbers.map(|(number, _, name)| (name, number)).collect(),
            window: (self.rate_match && self.interval != 1).then_some(self.interval),
        }
    }

    fn config(&self) -> Config {
        let rate = match (self.average, self.rate_match) {
            (Average::Packets { period, burst }, false) => Rate::Packets { period, burst },
            (Average::Bytes { price, burst }, false) => Rate::Bytes { price: price as u64, burst },
            (Average::Packets { period, burst }, true) => {
                let amount = SCALE.checked_div(period).unwrap_or(u64::MAX);
                let most = amount.saturating_add(burst);
                Rate::Window { amount, most, seconds: self.interval as u64 }
            }
            (Average::Bytes { price, burst }, true) => {
                let price = if price == 0 { 1 } else { price };
                let amount = ((u32::MAX / price).saturating_sub(1) as u64) << 4;
                let most = if burst == 0 { amount } else { amount.saturating_mul(burst) };
                Rate::Window { amount, most, seconds: self.interval as u64 }
            }
        };
        let size = if self.size == 0 { BUCKETS } else { self.size };
        let entries_max = match self.max {
            0 => size.saturating_mul(8),
            max if max < size => size,
            max => max,
        };
        Config {
            rate,
            source: if self.source { Some(self.source_mask) } else { None },
            destination: if self.destination { Some(self.destination_mask) } else { None },
            source_port: self.source_port,
            destination_port: self.destination_port,
            entries_max,
            sweep: self.sweep,
            expire: self.expire,
        }
    }
}

/// The flow of a packet in a table like this; `None` where ports count that are cut off.
fn key(config: &Config, packet: &Parsed, bytes: &[u8]) -> Option<Key> {
    let mut key = Key::default();
    if let Some(bits) = config.source {
        key.0 = masked(packet.source, bits);
    }
    if let Some(bits) = config.destination {
        key.1 = masked(packet.destination, bits);
    }
    if config.source_port || config.destination_port {
        let (source, destination) = ports(packet, bytes)?;
        key.2 = if config.source_port { source } else { 0 };
        key.3 = if config.destination_port { destination } else { 0 };
    }
    Some(key)
}

/// The two ports, or what stands in their place in ESP and, in IPv4, behind the head of AH; zeros where
/// a protocol has none.
fn ports(packet: &Parsed, bytes: &[u8]) -> Option<(u16, u16)> {
    if packet.l4 == L4::BrokenChain {
        return None;
    }
    if is_later_fragment(packet) {
        return Some((0, 0));
    }
    let v6 = packet.family == Family::V6;
    let at = match packet.protocol {
        6 | 17 | 33 | 50 | 132 | 136 => 0,
        ipv6::AUTHENTICATION => 4,
        ipv6::NO_NEXT_HEADER if v6 => return None,
        _ => return Some((0, 0)),
    };
    let found = packet.l4_bytes(bytes).get(at..)?.first_chunk::<4>()?;
    let [a, b, c, d] = *found;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

impl Match for HashLimit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    /// The memory holds where the table is, once that is known: its place and 2.
    fn initial(&self) -> State {
        State { credit: 1, ..State::default() }
    }

    fn declare(&self, stores: &mut Stores, family: Family) {
        stores.hashlimit.of_mut(family).declare(&self.name, || Table::new(self.config()));
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let tables = traversal.stores.hashlimit.of_mut(self.family);
        let place = match state.credit.checked_sub(2) {
            Some(place) => place as usize,
            None => {
                let place = tables.declare(&self.name, || Table::new(self.config()));
                state.credit = place as u64 + 2;
                place
            }
        };
        let Some(table) = tables.at_mut(place) else { return Answer::No };
        let packet = &*traversal.packet;
        let Some(key) = key(table.config(), packet, traversal.bytes) else {
            return Answer::Hotdrop;
        };
        let bytes = matches!(self.average, Average::Bytes { .. }).then_some(packet.length);
        match table.count(traversal.now, key, bytes) {
            Err(Full) => Answer::Hotdrop,
            Ok(within) => (within == self.upto).into(),
        }
    }

    fn print(&self, out: &mut String) {
        let shown = self.shown(1);
        let which = if self.upto { "upto" } else { "above" };
        let _ = write!(out, " --hashlimit-{which} {}", shown.rate);
        if let Some(burst) = shown.burst {
            let _ = write!(out, " --hashlimit-burst {burst}");
        }
        if !shown.modes.is_empty() {
            let _ = write!(out, " --hashlimit-mode {}", shown.modes.join(","));
        }
        let _ = write!(out, " --hashlimit-name {}", self.name);
        for (name, number) in shown.numbers {
            let _ = write!(out, " --hashlimit-{name} {number}");
        }
        if self.rate_match {
            out.push_str(" --hashlimit-rate-match");
        }
        if let Some(seconds) = shown.window {
            let _ = write!(out, " --hashlimit-rate-interval {seconds}");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let shown = self.shown(self.interval.max(1).into());
        let which = if self.upto { "up to" } else { "above" };
        let _ = write!(out, " limit: {which} {}", shown.rate);
        if let Some(burst) = shown.burst {
            let _ = write!(out, " burst {burst}");
        }
        if !shown.modes.is_empty() {
            let _ = write!(out, " mode {}", shown.modes.join("-"));
        }
        for (name, number) in shown.numbers {
            let _ = write!(out, " {name} {number}");
        }
        if self.rate_match {
            out.push_str(" rate-match");
        }
        if let Some(seconds) = shown.window {
            let _ = write!(out, " rate-interval {seconds}");
        }
    }

    fn explain(&self, out: &mut Pieces) {
        let flow = self.flow();
        let amount = if self.upto { "at most" } else { "more than" };
        out.push(Piece::Condition(match self.average {
            _ if self.rate_match => {
                let (what, burst) = match self.average {
                    Average::Packets { period, burst } => {
                        (format!("{} packets", SCALE / period.max(1)), format!(" and {burst} more"))
                    }
                    Average::Bytes { price, .. } => (format!("{} bytes", bytes(price)), String::new()),
                };
                format!(
                    "{flow} sends {amount} {what}{burst} in a window of {} seconds, as it did in the \
                     one before",
                    self.interval
                )
            }
            Average::Packets { period, burst } => {
                let (count, unit) = packets(period);
                format!("{flow} sends {amount} {count} packets a {}, {burst} at once", unit.1)
            }
            Average::Bytes { price, burst: 0 } => {
                format!("{flow} sends {amount} {} a second", bytes_text(price))
            }
            Average::Bytes { price, burst } => {
                let rate = bytes_text(price);
                let burst = burst_text(burst.saturating_mul(bytes(price)));
                format!("{flow} sends {amount} {rate} a second, {burst} beyond that")
            }
        }));
        out.push(Piece::Note(format!(
            "Flows are counted in the table `{}`, which all rules with that name share: what the first of \
             them says of rate, mode and limits goes for all. A packet for which the table has no room \
             left is dropped.",
            self.name
        )));
    }
}

impl HashLimit {
    fn flow(&self) -> String {
        let whole = connlimit::whole(self.family);
        let address = |is: bool, mask: u8, end: &str| {
            is.then(|| match mask {
                mask if mask == whole => format!("{end} address"),
                mask => format!("{end} network of {mask} bits"),
            })
        };
        let parts: Vec<String> = [
            address(self.source, self.source_mask, "source"),
            self.source_port.then(|| "source port".into()),
            address(self.destination, self.destination_mask, "destination"),
            self.destination_port.then(|| "destination port".into()),
        ]
        .into_iter()
        .flatten()
        .collect();
        match parts.as_slice() {
            [] => "everything that comes to the rules of its table".into(),
            parts => format!("its flow (same {})", parts.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests;
