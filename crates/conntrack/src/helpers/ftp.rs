//! The FTP helper: reads the control connection (RFC 959, RFC 1123, RFC 2428) for the address and
//! port of the next data connection.
//!
//! Only the beginning of a segment is looked at, and only where a line begins: behind a segment
//! that ended with a line feed. A command or answer that begins like one of the four below and
//! cannot be read to its end drops the packet, so that its sender repeats it whole. An address
//! that is not the speaker's own is not expected, unless `nf_conntrack_ftp.loose` is set. As observed
//! on Linux 6.18, including what its number reader lets through: octets and ports are not held to
//! their range, a port is taken modulo 65536.

use super::{Memory, Policy};
use crate::CtState;
use crate::expect::Request;
use crate::helping::Helping;
use crate::table::Drop;
use crate::tuple::{Direction, Tuple};
use alloc::format;
use alloc::string::String;
use core::net::Ipv6Addr;
use core::ops::Range;
use core::time::Duration;
use keepstate_packet::{Address, Family, L4, tcp};

/// One data connection at a time.
pub const POLICY: Policy = Policy { name: "ftp", max: 1, timeout: Duration::from_secs(300) };
/// Places that are remembered where a line begins, for each direction.
const LINES_MAX: usize = 2;

/// The sequence numbers at which lines begin, original direction first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines([Starts; 2]);

#[derive(Clone, Copy, Debug, Default)]
struct Starts {
    sequences: [u32; LINES_MAX],
    count: u8,
}

impl Starts {
    fn known(&self) -> &[u32] {
        self.sequences.get(..usize::from(self.count)).unwrap_or(&self.sequences)
    }

    /// Remembers one more; when there are enough, the older one goes, unless all are newer.
    fn remember(&mut self, sequence: u32) {
        if self.known().contains(&sequence) {
            return;
        }
        if let Some(free) = self.sequences.get_mut(usize::from(self.count)) {
            *free = sequence;
            self.count += 1;
            return;
        }
        let [a, b] = &mut self.sequences;
        let oldest = if is_before(*a, *b) { a } else { b };
        if is_before(*oldest, sequence) {
            *oldest = sequence;
        }
    }
}

/// Whether `a` comes before `b`, modulo 2^32.
const fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// An announcement as it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    address: Address,
    port: u16,
    /// Where it stands.
    text: Range<usize>,
}

impl Place {
    /// So many bytes further on.
    fn behind(mut self, length: usize) -> Self {
        self.text = self.text.start + length..self.text.end + length;
        self
    }
}

/// Reads an announcement behind its introduction; given is the speaker's own address.
type Read = fn(&[u8], Family, Address) -> Option<Place>;
/// Writes an announcement.
type Write = fn(Address, u16, Family) -> String;

/// How an announcement begins (in any case), what is skipped up to, what reads it, and what writes
/// another one.
struct Introduction {
    words: &'static str,
    skip_to: Option<u8>,
    read: Read,
    write: Write,
}

/// What clients say, then what servers say.
const INTRODUCTIONS: [[Introduction; 2]; 2] = [
    [
        Introduction { words: "PORT", skip_to: Some(b' '), read: port, write: write_six },
        Introduction {
            words: "EPRT",
            skip_to: Some(b' '),
            read: extended_port,
            write: write_extended_port,
        },
    ],
    [
        Introduction { words: "227 ", skip_to: None, read: passive, write: write_six },
        Introduction {
            words: "229 ",
            skip_to: Some(b'('),
            read: extended_passive,
            write: write_extended_passive,
        },
    ],
];

/// What the beginning of a line tells.
#[derive(Clone, Debug)]
enum Told {
    Nothing,
    /// It begins like an announcement (with these words) and is none, or not yet.
    Part(&'static str),
    Place(Place, Write),
}

pub(super) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let (CtState::Established, L4::Tcp(header)) = (helping.state, helping.packet.l4) else {
        return Ok(());
    };
    let (payload, direction) = (helping.payload(), helping.direction);
    let (Some(tuple), Some(inverse), false) =
        (helping.tuple(), helping.inverse(), payload.is_empty())
    else {
        return Ok(());
    };
    let Some(Memory::Ftp(lines)) = helping.memory() else { return Ok(()) };
    let [original, reply] = &mut lines.0;
    let (starts, introductions) = match direction {
        Direction::Original => (original, &INTRODUCTIONS[0]),
        Direction::Reply => (reply, &INTRODUCTIONS[1]),
    };
    let mut told = Told::Nothing;
    if starts.known().contains(&header.sequence) {
        told = listen(introductions, payload, tuple.family, tuple.source);
    }
    if let Told::Part(words) = told {
        return Err(helping.refuse(format_args!("partial matching of `{words}'")));
    }
    if payload.last() == Some(&b'\n') {
        starts.remember(header.sequence.wrapping_add(payload.len() as u32));
    }
    let Told::Place(place, write) = told else { return Ok(()) };
    let told = if place.address == tuple.source {
        inverse.destination
    } else if helping.table.sysctls.modules.ftp_loose {
        place.address
    } else {
        return Ok(());
    };
    announce(helping, &inverse, told, place, write)
}

/// The data connection comes from the other side, from any port. Where the control connection is
/// translated, the other side is told to where.
fn announce(
    helping: &mut Helping<'_>,
    inverse: &Tuple,
    told: Address,
    place: Place,
    write: Write,
) -> Result<(), Drop> {
    let to = (told, place.port);
    let data = Request::new(tcp::PROTOCOL, (Some(inverse.source), None), to, inverse.family);
    if !helping.is_translated() {
        return helping.expect_or_drop(data);
    }
    let port = helping.expect_somewhere(data.following(helping.direction.invert()))?;
    let instead = write(inverse.destination, port, inverse.family);
    let said = helping.say(place.text, instead.as_bytes());
    said.inspect_err(|_| helping.withdraw(&data.at_port(port)))
}

fn listen(introductions: &[Introduction], line: &[u8], family: Family, speaker: Address) -> Told {
    for Introduction { words, skip_to, read, write } in introductions {
        let length = line.len().min(words.len());
        let begins =
            line.iter().zip(words.as_bytes()).take(length).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if !begins {
            continue;
        }
        let rest = line.get(words.len()..).filter(|rest| !rest.is_empty());
        let rest = rest.and_then(|rest| match skip_to {
            None => Some(rest),
            Some(byte) => after(rest, *byte),
        });
        let place = rest
            .and_then(|rest| Some(read(rest, family, speaker)?.behind(line.len() - rest.len())));
        return place.map_or(Told::Part(words), |place| Told::Place(place, *write));
    }
    Told::Nothing
}

/// What stands after the first `byte`.
fn after(text: &[u8], byte: u8) -> Option<&[u8]> {
    let at = text.iter().position(|b| *b == byte)?;
    text.get(at + 1..)
}

/// `h1,h2,h3,h4,p1,p2` and a carriage return (RFC 959, 4.1.2).
fn port(text: &[u8], _: Family, speaker: Address) -> Option<Place> {
    six_numbers(text, speaker, Some(b'\r'))
}

/// The same somewhere in the answer, ended by anything (RFC 1123, 4.1.2.6).
fn passive(text: &[u8], _: Family, speaker: Address) -> Option<Place> {
    let first = text.iter().position(u8::is_ascii_digit)?;
    Some(six_numbers(text.get(first..)?, speaker, None)?.behind(first))
}

fn six_numbers(text: &[u8], speaker: Address, end: Option<u8>) -> Option<Place> {
    let ([a, b, c, d, high, low], length) = numbers(text, b',', end)?;
    let address = with_ipv4(speaker, [a, b, c, d]);
    Some(Place { address, port: (high << 8 | low) as u16, text: 0..length })
}

/// An address whose first four octets are these. Over IPv6 the others stay the speaker's: the
/// kernel compares all sixteen, so that such an announcement is hardly ever believed.
fn with_ipv4(speaker: Address, octets: [u32; 4]) -> Address {
    let [a, b, c, d] = octets;
    let Address(mut address) = speaker;
    let ipv4 = (a << 24 | b << 16 | c << 8 | d).to_be_bytes();
    address.iter_mut().zip(ipv4).for_each(|(to, from)| *to = from);
    Address(address)
}

/// `N` numbers, and how many bytes they take. What follows them must be `end`, where that is given,
/// and there must be something.
fn numbers<const N: usize>(
    text: &[u8],
    separator: u8,
    end: Option<u8>,
) -> Option<([u32; N], usize)> {
    let length = text.iter().position(|b| !b.is_ascii_digit() && *b != separator)?;
    if end.is_some_and(|end| text.get(length) != Some(&end)) {
        return None;
    }
    let mut fields = text.get(..length)?.split(|b| *b == separator);
    let mut values = [0; N];
    for value in &mut values {
        *value = number(fields.next()?);
    }
    fields.next().is_none().then_some((values, length))
}

/// Decimal digits; an empty text is 0, what is too large wraps around.
fn number(digits: &[u8]) -> u32 {
    let add = |n: u32, d: &u8| n.wrapping_mul(10).wrapping_add(u32::from(d - b'0'));
    digits.iter().fold(0, add)
}

/// `|1|address|port|` or `|2|address|port|` (RFC 2428, 2), any delimiter.
fn extended_port(text: &[u8], family: Family, speaker: Address) -> Option<Place> {
    let [delimiter, kind, second, rest @ ..] = text else { return None };
    let delimiter = *delimiter;
    if !is_delimiter(delimiter) || *second != delimiter {
        return None;
    }
    let (address, length) = match (family, kind) {
        (Family::V4, b'1') => {
            let (octets, length) = numbers(rest, b'.', Some(delimiter))?;
            (with_ipv4(speaker, octets), length)
        }
        (Family::V6, b'2') => {
            let length = rest.iter().position(|b| *b == delimiter)?;
            (ipv6(rest.get(..length)?)?, length)
        }
        _ => return None,
    };
    let behind = rest.get(length + 1..)?;
    let (port, port_length) = delimited_port(behind, delimiter)?;
    Some(Place { address, port, text: 0..text.len() - behind.len() + port_length })
}

/// An IPv6 address (RFC 4291, 2.2) whose groups and IPv4 octets may have any number of leading
/// zeros.
fn ipv6(text: &[u8]) -> Option<Address> {
    const LONGEST: usize = "0000:0000:0000:0000:0000:ffff:255.255.255.255".len();
    let mut plain = [0; LONGEST];
    let mut length = 0;
    let mut in_group = false;
    for (byte, next) in text.iter().zip(text.iter().skip(1).map(Some).chain([None])) {
        let padding = *byte == b'0' && next.is_some_and(u8::is_ascii_hexdigit);
        if in_group || !padding {
            *plain.get_mut(length)? = *byte;
            length += 1;
            in_group = byte.is_ascii_hexdigit();
        }
    }
    let address: Ipv6Addr = core::str::from_utf8(plain.get(..length)?).ok()?.parse().ok()?;
    Some(Address::v6(address.octets()))
}

/// `|||port|` (RFC 2428, 3), any delimiter: the address is the server's own.
fn extended_passive(text: &[u8], _: Family, speaker: Address) -> Option<Place> {
    match text {
        [a, b, c, rest @ ..] if is_delimiter(*a) && a == b && b == c && !rest.is_empty() => {
            let (port, length) = delimited_port(rest, *a)?;
            Some(Place { address: speaker, port, text: 0..text.len() - rest.len() + length })
        }
        _ => None,
    }
}

/// Printable, and no digit (RFC 2428, 2).
const fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_graphic() && !byte.is_ascii_digit()
}

/// A port other than 0, and how far it goes: to the delimiter, which is counted.
fn delimited_port(text: &[u8], delimiter: u8) -> Option<(u16, usize)> {
    let length = text.iter().position(|b| !b.is_ascii_digit())?;
    let port = number(text.get(..length)?) as u16;
    (text.get(length) == Some(&delimiter) && port != 0).then_some((port, length + 1))
}

fn write_six(address: Address, port: u16, _: Family) -> String {
    let [a, b, c, d] = address.v4_octets();
    let [high, low] = port.to_be_bytes();
    format!("{a},{b},{c},{d},{high},{low}")
}

fn write_extended_port(address: Address, port: u16, family: Family) -> String {
    let number = match family {
        Family::V4 => 1,
        Family::V6 => 2,
    };
    // With all its zeros.
    let address = match family {
        Family::V4 => format!("{}", address.written(family)),
        Family::V6 => {
            let [a, b, c, d, e, f, g, h] = Ipv6Addr::from(address.0).segments();
            format!("{a:04x}:{b:04x}:{c:04x}:{d:04x}:{e:04x}:{f:04x}:{g:04x}:{h:04x}")
        }
    };
    format!("|{number}|{address}|{port}|")
}

fn write_extended_passive(_: Address, port: u16, _: Family) -> String {
    format!("|||{port}|")
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
