//! Values of options, read as iptables(8) reads them.

use super::{Arguments, Given, names};
use crate::diagnostic::{Diagnostic, code, nearest};
use crate::model::{InterfacePattern, Inverted, Network, Span};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Address, Family};

/// A number in decimal, in octal behind `0`, or in hexadecimal behind `0x`, up to `max`.
#[must_use]
pub fn number(text: &str, max: u64) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().filter(|value| *value <= max)
}

/// The number that a text begins with as strtod(3) reads it (but for binary exponents), and what follows.
/// Where there is none it is 0, and all of the text follows.
#[must_use]
pub fn leading_float(text: &str) -> Option<(f64, &str)> {
    let trimmed = text.trim_start_matches([' ', '\t']);
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let sign = if trimmed.starts_with('-') { -1.0 } else { 1.0 };
    let lower = unsigned.to_ascii_lowercase();
    for (word, value) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if lower.starts_with(word) {
            return Some((sign * value, unsigned.get(word.len()..)?));
        }
    }
    let prefix = |digits: &str, is: fn(&char) -> bool| digits.chars().take_while(is).count();
    if lower.starts_with("0x") {
        let digits = unsigned.get(2..)?;
        let count = prefix(digits, char::is_ascii_hexdigit);
        if count > 0 {
            let (digits, rest) = digits.split_at_checked(count)?;
            let add =
                |sum: f64, digit: char| sum * 16.0 + f64::from(digit.to_digit(16).unwrap_or(0));
            return Some((sign * digits.chars().fold(0.0, add), rest));
        }
    }
    let whole = prefix(unsigned, char::is_ascii_digit);
    let mut length = whole;
    let fraction = unsigned.get(whole..)?.strip_prefix('.');
    let after = fraction.map_or(0, |digits| prefix(digits, char::is_ascii_digit));
    if whole + after == 0 {
        return Some((0.0, text));
    }
    length += fraction.map_or(0, |_| after + 1);
    if let Some(exponent) = unsigned.get(length..)?.strip_prefix(['e', 'E']) {
        let signed = usize::from(exponent.starts_with(['+', '-']));
        let digits = prefix(exponent.get(signed..)?, char::is_ascii_digit);
        length += if digits > 0 { 1 + signed + digits } else { 0 };
    }
    let (number, rest) = unsigned.split_at_checked(length)?;
    Some((sign * number.parse::<f64>().ok()?, rest))
}

/// A number without its fraction in 32 bits, as the tools come to it: what is more is cut off, and what
/// no 64 bits hold is 0.
#[must_use]
pub fn truncated(number: f64) -> u32 {
    let whole = number as i64;
    if number.is_nan() || matches!(whole, i64::MAX | i64::MIN) { 0 } else { whole as u32 }
}

/// A protocol by name or number.
#[must_use]
pub fn protocol(text: &str) -> Option<u8> {
    match number(text, 255) {
        Some(value) => u8::try_from(value).ok(),
        None => names::protocol_number(&text.to_ascii_lowercase()),
    }
}

/// A port by number or by the name of a service. Where the service may be one of any protocol the
/// number is decimal, zeros before it or not: those ports are read in another way by iptables too.
#[must_use]
pub fn port(text: &str, protocol: Option<u8>) -> Option<u16> {
    let number = match protocol {
        Some(_) => number(text, 65_535),
        None => decimal(text),
    };
    match number {
        Some(value) => u16::try_from(value).ok(),
        None => names::service_port(text, protocol),
    }
}

fn decimal(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t']);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|value| plain && *value <= 65_535)
}

/// An address of a family. IPv4 may leave out trailing octets, as network addresses do.
#[must_use]
pub fn address(text: &str, family: Family) -> Option<Address> {
    match family {
        Family::V4 => {
            let mut octets = [0; 4];
            for (at, part) in text.split('.').enumerate() {
                *octets.get_mut(at)? = u8::try_from(number(part, 255)?).ok()?;
            }
            Some(Address::v4(octets))
        }
        Family::V6 => {
            let address: core::net::Ipv6Addr = text.parse().ok()?;
            Some(Address::v6(address.octets()))
        }
    }
}

/// A whole address: no octet may be missing.
#[must_use]
pub fn whole_address(text: &str, family: Family) -> Option<Address> {
    if family == Family::V4 && text.split('.').count() != 4 {
        return None;
    }
    address(text, family)
}

/// An address as inet_aton(3) reads it over IPv4: of one to four numbers the last one fills all that is
/// left, so that `10.1` is 10.0.0.1. Options that take the name of a host read addresses so.
#[must_use]
pub fn host_address(text: &str, family: Family) -> Option<Address> {
    if family == Family::V6 {
        return address(text, family);
    }
    let (mut value, mut room) = (0, 32);
    let mut parts = text.split('.').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        if room == 0 || part.starts_with([' ', '\t', '+']) {
            return None;
        }
        let width = if last { room } else { 8 };
        room -= width;
        value |= number(part, (1 << width) - 1)? << room;
    }
    Some(Address::v4(u32::try_from(value).ok()?.to_be_bytes()))
}

/// The mask of a prefix length.
#[must_use]
pub fn prefix_mask(length: u32, family: Family) -> Address {
    let width = width(family);
    let ones = if length == 0 { 0 } else { u128::MAX << (128 - length.min(width)) };
    Address(ones.to_be_bytes())
}

/// The prefix length of a mask, when it is one.
#[must_use]
pub fn prefix_length(mask: Address, family: Family) -> Option<u32> {
    let ones = u128::from_be_bytes(mask.0);
    let length = ones.leading_ones();
    (prefix_mask(length, family) == mask).then_some(length)
}

const fn width(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// An address with an optional `/LENGTH` or `/MASK`. `localhost`, the one name that means the same everywhere
/// (RFC 6761, section 6.3), is one.
#[must_use]
pub fn network(text: &str, family: Family) -> Option<Network> {
    let (first, mask) = match text.split_once('/') {
        None => (text, prefix_mask(width(family), family)),
        Some((first, mask)) => (first, network_mask(mask, family)?),
    };
    if mask == Address::default() {
        // Any address, whatever stands before the mask: iptables does not look.
        return Some(Network { address: mask, mask });
    }
    let octets = match (first.eq_ignore_ascii_case("localhost"), family) {
        (true, Family::V4) => Address::v4([127, 0, 0, 1]).0,
        (true, Family::V6) => 1_u128.to_be_bytes(),
        (false, _) => address(first, family)?.0,
    };
    let masked = u128::from_ne_bytes(octets) & u128::from_ne_bytes(mask.0);
    Some(Network { address: Address(masked.to_ne_bytes()), mask })
}

fn network_mask(text: &str, family: Family) -> Option<Address> {
    if let Some(mask) = whole_address(text, family) {
        return Some(mask);
    }
    let length = number(text, u64::from(width(family)))?;
    Some(prefix_mask(u32::try_from(length).ok()?, family))
}

/// An address and its mask as iptables-save prints them: `/24`, or the mask where it is no prefix.
pub fn print_network(out: &mut String, network: &Network, family: Family) {
    let _ = write!(out, "{}/", network.address.written(family));
    let _ = match prefix_length(network.mask, family) {
        Some(length) => write!(out, "{length}"),
        None => write!(out, "{}", network.mask.written(family)),
    };
}

/// Appends a word, in quotes unless it is of letters, digits, `_` and `-` only.
pub fn print_word(out: &mut String, word: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !word.is_empty() && word.bytes().all(plain) {
        out.push_str(word);
        return;
    }
    out.push('"');
    for c in word.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends a word as it is, in quotes only where it could not be read again.
pub fn print_plain(out: &mut String, word: &str) {
    if is_plain(word) { out.push_str(word) } else { print_word(out, word) }
}

/// Appends ` VALUE` or ` LOW:HIGH`.
pub fn print_range<T: PartialEq + core::fmt::Display>(out: &mut String, low: T, high: T) {
    let _ = if low == high { write!(out, " {low}") } else { write!(out, " {low}:{high}") };
}

/// Appends `PORT` or `LOW:HIGH`, by the names of the protocol's services unless numbers are wanted.
pub fn list_ports(out: &mut String, (low, high): (u16, u16), protocol: u8, numeric: bool) {
    let mut port = |port: u16| {
        let name = names::service_name(port, Some(protocol)).filter(|_| !numeric);
        let _ = match name {
            Some(name) => write!(out, "{name}"),
            None => write!(out, "{port}"),
        };
        out.push(':');
    };
    port(low);
    if low != high {
        port(high);
    }
    out.pop();
}

/// Appends ` ! --NAME` or ` --NAME`.
pub fn print_option(out: &mut String, inverted: bool, name: &str) {
    out.push_str(if inverted { " ! --" } else { " --" });
    out.push_str(name);
}

/// A number in hexadecimal, with or without `0x`, up to `max`.
#[must_use]
pub fn hexadecimal(text: &str, max: u64) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|value| plain && *value <= max)
}

/// A network in the value of an option of ebtables, if it was given.
#[allow(clippy::option_option, reason = "not given, or given wrongly")]
pub fn frame_network(
    arguments: &mut Arguments<'_>,
    id: u8,
    family: Family,
) -> Option<Option<Inverted<Network>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match network(&given.value, family) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
        None => {
            let address = given.value.split('/').next().unwrap_or("");
            let says = match self::address(address, family) {
                Some(_) => format!(
                    "invalid mask `{}' specified",
                    &given.value.split_once('/').unwrap_or(("", "")).1
                ),
                None => format!("host/network `{address}' not found"),
            };
            arguments.wrong(given, "an address", says);
            None
        }
    }
}

/// Appends such an option; a single address has no mask behind it.
pub fn print_frame_network(
    out: &mut String,
    name: &str,
    wanted: Option<Inverted<Network>>,
    family: Family,
) {
    let Some(Inverted { inverted, value }) = wanted else { return };
    print_option(out, inverted, name);
    out.push(' ');
    let before = out.len();
    print_network(out, &value, family);
    let whole = match family {
        Family::V4 => "/32",
        Family::V6 => "/128",
    };
    if out.get(before..).is_some_and(|text| text.ends_with(whole)) {
        out.truncate(out.len() - whole.len());
    }
}

/// The `!` before an option, with a blank before it; or nothing.
#[must_use]
pub const fn not(inverted: bool) -> &'static str {
    if inverted { " !" } else { "" }
}

/// The name of an interface, with a `+` where it is the beginning of names.
#[must_use]
pub fn interface_name(pattern: &InterfacePattern) -> String {
    let length = pattern.name.iter().position(|b| *b == 0).unwrap_or(pattern.name.len());
    let name = core::str::from_utf8(pattern.name.get(..length).unwrap_or(&[])).unwrap_or("");
    format!("{name}{}", if pattern.length < 16 { "+" } else { "" })
}

/// Appends an option that names an interface.
pub fn print_interface(out: &mut String, option: &str, wanted: Option<Inverted<InterfacePattern>>) {
    if let Some(Inverted { inverted, value }) = wanted {
        let _ = write!(out, "{} {option} {}", not(inverted), interface_name(&value));
    }
}

/// Whether a word stands for itself wherever it is read again, without quotes: some are printed so
/// whatever they hold.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let special = |b: u8| b.is_ascii_whitespace() || b.is_ascii_control() || b"\"'\\".contains(&b);
    !text.is_empty() && !text.starts_with('-') && !text.bytes().any(special)
}

impl<'a> Arguments<'a> {
    /// Reports a value that is none.
    pub fn bad_value(&mut self, given: &Given, what: &str) {
        let text = format!("`{}` is not {what}", given.value);
        let says = format!(
            "{}: bad value for option \"--{}\", or out of range.\n",
            self.name, given.option.name
        );
        self.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text).says(says));
    }

    /// An option that must be there.
    pub fn required(&mut self, id: u8) -> Option<&'a Given> {
        let found = self.option(id);
        if found.is_none() {
            let names = self.options.iter().filter(|option| option.id == id);
            let name = names.map(|option| option.name).next().unwrap_or_default();
            let text = format!("`{}` needs `--{name}`", self.name);
            let says = format!("{}: option \"--{name}\" must be specified\n", self.name);
            self.fault(Diagnostic::new(code::OPTION_MISSING, self.span, text).says(says));
        }
        found
    }

    /// At least one option must be there.
    pub fn some_option(&mut self) -> Option<()> {
        if !self.given.is_empty() {
            return Some(());
        }
        let names: Vec<_> =
            self.options.iter().map(|option| format!("`--{}`", option.name)).collect();
        let text = format!("`{}` needs one of {}", self.name, names.join(", "));
        self.fault(Diagnostic::new(code::OPTION_MISSING, self.span, text));
        None
    }

    /// At most one of these options may be there; reports each further one.
    pub fn exclusive(&mut self, ids: &[u8]) -> Option<()> {
        let mut among = self.given.iter().filter(|given| ids.contains(&given.option.id));
        let first = among.next()?;
        let mut alone = Some(());
        for other in among {
            let text = format!(
                "`--{}` cannot be used together with `--{}`",
                other.option.name, first.option.name
            );
            let fault = Diagnostic::new(code::OPTION_CONFLICT, other.span, text);
            self.fault(fault.label(first.span, "it is here"));
            alone = None;
        }
        alone
    }

    /// The protocol of `-p`, when the rule has one and it is not inverted.
    #[must_use]
    pub fn protocol(&self) -> Option<u8> {
        self.header.protocol.filter(|wanted| !wanted.inverted).map(|wanted| wanted.value)
    }

    /// Reports a rule without `-p NAME` (or with another one).
    pub fn needs_protocol(&mut self, protocols: &[(u8, &str)]) -> Option<u8> {
        let found = self.protocol().filter(|one| protocols.iter().any(|(p, _)| p == one));
        if found.is_none() {
            let names: Vec<_> = protocols.iter().map(|(_, p)| format!("`-p {p}`")).collect();
            let text = format!("`{}` needs {}", self.name, names.join(" or "));
            let first = protocols.first().map_or("", |(_, name)| name);
            let fault = Diagnostic::new(code::PROTOCOL_NEEDED, self.span, text);
            self.fault(fault.help(format!("-p {first}")));
        }
        found
    }

    /// Reports a rule of ebtables that is not for one of these protocols alone.
    pub fn needs_ethertype(&mut self, types: &[(u16, &str)]) -> Option<u16> {
        let wanted = self.ethertype.filter(|wanted| !wanted.inverted).map(|wanted| wanted.value);
        let found = wanted.filter(|one| types.iter().any(|(number, _)| number == one));
        if found.is_none() {
            let names: Vec<_> = types.iter().map(|(_, name)| format!("`-p {name}`")).collect();
            let text = format!("`{}` needs {}", self.name, names.join(" or "));
            let first = types.first().map_or("", |(_, name)| name);
            let fault = Diagnostic::new(code::PROTOCOL_NEEDED, self.span, text);
            self.fault(fault.help(format!("-p {first}")));
        }
        found
    }

    /// Reports a value, in the words of the real tool.
    pub fn wrong(&mut self, given: &Given, what: &str, says: impl Into<String>) {
        let text = format!("`{}` is not {what}", given.value);
        self.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text).says(says));
    }

    /// A number up to `max`.
    pub fn number(&mut self, given: &Given, max: u64) -> Option<u64> {
        let value = number(&given.value, max);
        if value.is_none() {
            self.bad_value(given, &format!("a number from 0 to {max}"));
        }
        value
    }

    /// `VALUE`, `LOW:HIGH`, `LOW:` or `:HIGH`.
    pub fn range(&mut self, given: &Given, max: u64) -> Option<(u64, u64)> {
        let whole = |text: &str, empty| match text {
            "" => Some(empty),
            text => number(text, max),
        };
        let range = match given.value.split_once(':') {
            None => number(&given.value, max).map(|value| (value, value)),
            Some((low, high)) => whole(low, 0).zip(whole(high, max)),
        };
        match range {
            Some((low, high)) if low > high => self.backwards(given, low, high),
            Some(range) => Some(range),
            None => {
                self.bad_value(given, &format!("a number or a range LOW:HIGH from 0 to {max}"));
                None
            }
        }
    }

    fn backwards<T>(&mut self, given: &Given, low: u64, high: u64) -> Option<T> {
        let text = format!("the range {low}:{high} begins above its end: it would never match");
        let fault = Diagnostic::new(code::RANGE_BACKWARDS, given.value_span, text);
        self.fault(fault.help(format!("--{} {high}:{low}", given.option.name)));
        None
    }

    /// A port or a range of ports; a service is one of this protocol, or of any.
    pub fn ports(&mut self, given: &Given, protocol: Option<u8>) -> Option<(u16, u16)> {
        self.ports_of(given, &given.value, given.value_span, protocol)
    }

    /// A port or a range of ports, of a part of a value.
    pub fn ports_of(
        &mut self,
        given: &Given,
        text: &str,
        span: Span,
        protocol: Option<u8>,
    ) -> Option<(u16, u16)> {
        let (low, high) = match text.split_once(':') {
            None => (text, text),
            Some((low, high)) => (
                if low.is_empty() { "0" } else { low },
                if high.is_empty() { "65535" } else { high },
            ),
        };
        let low = self.port(low, span, protocol)?;
        let high = self.port(high, span, protocol)?;
        if low > high {
            return self.backwards(given, low.into(), high.into());
        }
        Some((low, high))
    }

    fn port(&mut self, text: &str, span: Span, protocol: Option<u8>) -> Option<u16> {
        let found = port(text, protocol);
        if found.is_none() {
            let numeric = text.bytes().all(|b| b.is_ascii_digit());
            let why = if numeric { "not a port (0 to 65535)" } else { "not a known service" };
            let fault = Diagnostic::new(code::UNKNOWN_PORT, span, format!("`{text}` is {why}"));
            let fault = fault.says(format!("invalid port/service `{text}' specified"));
            self.fault(match nearest(text, names::service_names()) {
                _ if text.contains(',') => fault.help(format!("-m multiport --dports {text}")),
                _ if dashed_range(text) => {
                    fault.help(format!("a range has a colon: {}", text.replace('-', ":")))
                }
                Some(name) if name == text => {
                    let number = names::service_port(name, None).unwrap_or(0);
                    fault.help(format!("`{name}` is port {number} of another protocol"))
                }
                Some(name) if !numeric => fault.help(format!("did you mean `{name}`?")),
                _ => fault,
            });
        }
        found
    }

    /// `VALUE` or `VALUE/MASK`; without a mask, all bits.
    pub fn mark(&mut self, given: &Given) -> Option<(u32, u32)> {
        const MAX: u64 = u32::MAX as u64;
        let (value, mask) = match given.value.split_once('/') {
            None => (number(&given.value, MAX), Some(MAX)),
            Some((value, mask)) => (number(value, MAX), number(mask, MAX)),
        };
        let both = value.zip(mask).and_then(|(value, mask)| {
            Some((u32::try_from(value).ok()?, u32::try_from(mask).ok()?))
        });
        if both.is_none() {
            self.bad_value(given, "a 32-bit number, or VALUE/MASK");
        }
        both
    }

    /// A 32-bit number.
    pub fn number32(&mut self, given: &Given) -> Option<u32> {
        u32::try_from(self.number(given, u32::MAX.into())?).ok()
    }

    /// Words of a comma list, each with its place.
    #[must_use]
    pub fn list(&self, given: &'a Given) -> Vec<(&'a str, Span)> {
        let width = given.value_span.end.saturating_sub(given.value_span.start) as usize;
        let exact = width == given.value.len();
        let mut start = given.value_span.start;
        let place = |word: &'a str| {
            let end = start.saturating_add(u32::try_from(word.len()).unwrap_or(0));
            let span = if exact { Span { start, end } } else { given.value_span };
            start = end.saturating_add(1);
            (word, span)
        };
        given.value.split(',').map(place).collect()
    }

    /// Reports a word that is none of those possible.
    pub fn unknown_word<'b>(
        &mut self,
        word: &str,
        span: Span,
        what: &str,
        possible: impl Iterator<Item = &'b str> + Clone,
    ) {
        let text = format!("`{word}` is not {what}");
        let fault = Diagnostic::new(code::UNKNOWN_NAME, span, text);
        let help = match nearest(word, possible.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", possible.collect::<Vec<_>>().join(", ")),
        };
        self.fault(fault.help(help));
    }
}

/// `80-90`, as ranges are written elsewhere.
fn dashed_range(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.split_once('-').is_some_and(|(low, high)| number(low) && number(high))
}
