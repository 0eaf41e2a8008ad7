//! The headers that the helper reads (RFC 3261, 20), and what stands in them.

use super::address;
use super::text::{Text, is_blank, is_digit, is_letter, is_line_end};
use keepstate_packet::{Address, Family, tcp, udp};

/// Port of a URI that names none.
const PORT: u16 = 5060;

/// A header: its name, its compact form, and what has to stand in it.
#[derive(Debug)]
pub(super) struct Header {
    name: &'static [u8],
    compact: Option<u8>,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Digits.
    Number,
    /// A SIP URI with an address for a host, somewhere in the header.
    Uri,
}

/// Number of the request, and its method.
pub(super) const CSEQ: Header = Header { name: b"CSeq", compact: None, value: Value::Number };
/// Seconds that a registration is to hold.
pub(super) const EXPIRES: Header = Header { name: b"Expires", compact: None, value: Value::Number };
/// Bytes of the body.
pub(super) const CONTENT_LENGTH: Header =
    Header { name: b"Content-Length", compact: Some(b'l'), value: Value::Number };
/// Where its sender can be reached.
pub(super) const CONTACT: Header =
    Header { name: b"Contact", compact: Some(b'm'), value: Value::Uri };

/// What stands before the address of a URI.
const SCHEME: &[u8] = b"sip:";

/// A value in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: usize,
    /// Where it ends.
    pub(super) end: usize,
}

/// The outcome of a search for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Value(Place),
    /// The header is there and the value is not; it was looked for from here on.
    Unreadable(usize),
    Nothing,
}

impl Header {
    /// The number in the first header of this kind; `None` when there is none or it is none.
    pub(super) fn number(&self, text: Text<'_>, family: Family) -> Option<(u64, Place)> {
        match self.find(text, 0, family) {
            Found::Value(place) => Some((text.number(place.at, 10).0, place)),
            Found::Unreadable(_) | Found::Nothing => None,
        }
    }

    /// The value in the first header of this kind on the lines behind `from`.
    fn find(&self, text: Text<'_>, from: usize, family: Family) -> Found {
        let named = text.lines(from).find_map(|line| self.behind_name(text, line));
        named.and_then(|at| behind_colon(text, at)).map_or(Found::Nothing, |at| match self.value {
            Value::Number => number_at(text, at),
            Value::Uri => match text.search(at, SCHEME) {
                Some(scheme) => uri_at(text, scheme + SCHEME.len(), at, family),
                None => Found::Unreadable(at),
            },
        })
    }

    /// Behind the name of the header, if the line begins with it and continues no other. A longer
    /// name that begins with this one passes here and ends the search at its missing colon.
    fn behind_name(&self, text: Text<'_>, line: usize) -> Option<usize> {
        if is_blank(text.at(line)) {
            return None;
        }
        let length = self.name.len();
        if text.has(line, length) && text.begins(line, self.name) {
            return Some(line + length);
        }
        let compact = self.compact.is_some_and(|compact| text.begins(line, &[compact]));
        (compact && text.has(line, 2) && !is_letter(text.at(line + 1))).then_some(line + 1)
    }

    /// The next value in the list that the header at `from` holds (RFC 3261, 7.3.1).
    fn next_in_list(&self, text: Text<'_>, from: usize, family: Family) -> Found {
        let comma = text.search(from, b",");
        match comma.and_then(|comma| text.search(comma, SCHEME)) {
            Some(scheme) => {
                let at = scheme + SCHEME.len();
                uri_at(text, at, at, family)
            }
            None => Found::Nothing,
        }
    }
}

/// Behind the colon of a header and the blanks around it.
fn behind_colon(text: Text<'_>, at: usize) -> Option<usize> {
    let colon = text.skip_blanks(at).filter(|at| text.at(*at) == b':')?;
    let behind = Some(colon + 1).filter(|behind| *behind < text.limit)?;
    text.skip_blanks(behind)
}

fn number_at(text: Text<'_>, at: usize) -> Found {
    match text.run(at, is_digit) {
        0 => Found::Unreadable(at),
        length => Found::Value(Place { at, end: at + length }),
    }
}

/// Address and port of a URI, behind its user.
fn uri_at(text: Text<'_>, at: usize, looked_from: usize, family: Family) -> Found {
    let user = text.run(at, |byte| byte != b'@' && !is_line_end(byte));
    let behind_user = text.has(at + user, 1) && text.at(at + user) == b'@';
    let host = if behind_user { at + user + 1 } else { at };
    let Some((_, end)) = address::host(text, host, family) else {
        return Found::Unreadable(looked_from);
    };
    let port = if text.at(end) == b':' { 1 + text.run(end + 1, is_digit) } else { 0 };
    Found::Value(Place { at: host, end: end + port })
}

/// The URI of a header: where it stands and whom it names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uri {
    pub(super) place: Place,
    pub(super) address: Address,
    pub(super) port: u16,
}

/// A header has a URI that names no port of a user's own: its port is below 1024 or above 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPort;

/// Goes through the URIs of all headers of a kind, those of lists included, one after the other.
/// What cannot be read is passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uris<'a> {
    header: &'static Header,
    text: Text<'a>,
    family: Family,
    at: usize,
    in_list: bool,
}

impl<'a> Uris<'a> {
    pub(super) const fn of(header: &'static Header, text: Text<'a>, family: Family) -> Self {
        Self { header, text, family, at: 0, in_list: false }
    }

    fn next_place(&mut self) -> Option<Place> {
        loop {
            let found = match self.in_list {
                true => self.header.next_in_list(self.text, self.at, self.family),
                false => self.header.find(self.text, self.at, self.family),
            };
            match found {
                Found::Value(place) => {
                    self.in_list = true;
                    return Some(place);
                }
                Found::Unreadable(at) => self.at = at,
                Found::Nothing if self.in_list => self.in_list = false,
                Found::Nothing => return None,
            }
        }
    }
}

impl Iterator for Uris<'_> {
    type Item = Result<Uri, BadPort>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.next_place()?;
        let text = self.text;
        let (address, end) = address::host(text, place.at, self.family)?;
        let (port, end) = match text.at(end) {
            b':' => text.number(end + 1, 10),
            _ => (u64::from(PORT), end),
        };
        self.at = end;
        Some(match u16::try_from(port) {
            Ok(port @ 1024..) => Ok(Uri { place, address, port }),
            _ => Err(BadPort),
        })
    }
}

/// The protocol that the parameters at a place ask for; `None` when it is not the connection's own.
pub(super) fn transport(text: Text<'_>, at: usize, own: u8) -> Option<u8> {
    const NAMES: [(&[u8], u8); 2] = [(b"TCP", tcp::PROTOCOL), (b"UDP", udp::PROTOCOL)];
    let Some(value) = parameter(text, at, b"transport=") else { return Some(own) };
    let named = NAMES.iter().find(|(name, _)| text.begins(value, name));
    named.map(|(_, protocol)| *protocol).filter(|protocol| *protocol == own)
}

/// `expires=` has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadExpires;

/// The seconds that the parameters at a place give their URI, modulo 2^32; `None` when they give
/// none.
pub(super) fn expires(text: Text<'_>, at: usize) -> Result<Option<u32>, BadExpires> {
    let Some(value) = parameter(text, at, b"expires=") else { return Ok(None) };
    match text.number(value, 0) {
        (_, end) if end == value => Err(BadExpires),
        (seconds, _) => Ok(Some(seconds as u32)),
    }
}

/// Where the value of a parameter begins, up to the next comma of a list.
fn parameter(text: Text<'_>, at: usize, name: &[u8]) -> Option<usize> {
    let comma = text.search(at, b",").unwrap_or(text.limit);
    text.up_to(comma).search(at, name).map(|found| found + name.len())
}
