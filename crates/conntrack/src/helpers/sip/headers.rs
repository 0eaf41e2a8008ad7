//! The headers that the helper reads (RFC 3261, 20), and what stands in them.

use super::address;
use super::text::{Text, is_digit, is_letter, is_line_end};
use core::ops::Range;
use keepstate_packet::{Address, Family, tcp, udp};

/// Port of a URI that names none.
const PORT: u32 = 5060;
/// The lowest port that a URI may name.
const PORTS_OF_USERS: u16 = 1024;

/// A header: its name and its compact form, and what stands before the address in it.
#[derive(Debug)]
pub(super) struct Header {
    name: &'static [u8],
    compact: Option<u8>,
    before: &'static [u8],
}

/// Number of the request, and its method.
pub(super) const CSEQ: Header = Header::of_number(b"CSeq", None);
/// Seconds that a registration is to hold.
pub(super) const EXPIRES: Header = Header::of_number(b"Expires", None);
/// Bytes of the body.
pub(super) const CONTENT_LENGTH: Header = Header::of_number(b"Content-Length", Some(b'l'));
/// Where its sender can be reached.
pub(super) const CONTACT: Header = Header::of_uri(b"Contact", b'm');
/// Who calls.
pub(super) const FROM: Header = Header::of_uri(b"From", b'f');
/// Who is called.
pub(super) const TO: Header = Header::of_uri(b"To", b't');
/// The ways of a request over UDP.
pub(super) const VIA_UDP: Header = Header::of_way(b"UDP ");
/// The same over TCP.
pub(super) const VIA_TCP: Header = Header::of_way(b"TCP ");

/// What stands before the address of a URI.
const SCHEME: &[u8] = b"sip:";

/// A URI of a header, or the end of a way: whom it names, and where address and port stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) address: Address,
    pub(super) port: u16,
    pub(super) place: Range<usize>,
}

/// The outcome of a search for a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Uri(Uri),
    /// The header is there and no URI is; it was looked for from here on.
    Unreadable(usize),
    Nothing,
}

/// The number in the first header of a kind, and where it ends. `None` when there is no such header
/// or no such number.
pub(super) fn number(header: &Header, text: Text<'_>) -> Option<(u32, usize)> {
    text.number(header.value(text, 0)?)
}

/// Whether the first header of a kind begins with a digit, of a number or of what is too long for one.
pub(super) fn begins_with_digit(header: &Header, text: Text<'_>) -> bool {
    header.value(text, 0).is_some_and(|value| text.run(value, is_digit) > 0)
}

/// Where the digits of that number stand, be they too many.
pub(super) fn digits(header: &Header, text: Text<'_>) -> Option<Range<usize>> {
    let value = header.value(text, 0)?;
    let length = text.run(value, is_digit);
    (length > 0).then(|| value..value + length)
}

impl Header {
    const fn of_number(name: &'static [u8], compact: Option<u8>) -> Self {
        Self { name, compact, before: b"" }
    }

    const fn of_uri(name: &'static [u8], compact: u8) -> Self {
        Self { name, compact: Some(compact), before: SCHEME }
    }

    const fn of_way(before: &'static [u8]) -> Self {
        Self { name: b"Via", compact: Some(b'v'), before }
    }

    /// The URI, or the end of the way, in the first header of this kind that has one which can be read.
    pub(super) fn first(&'static self, text: Text<'_>, family: Family) -> Option<Uri> {
        Uris::of(self, family).next(text)
    }

    /// Where the value of the first header of this kind begins on the lines behind `from`. A longer
    /// name that begins with this one ends the search, for the colon that is missing behind it.
    fn value(&self, text: Text<'_>, from: usize) -> Option<usize> {
        let name = text.lines(from).find_map(|line| self.behind_name(text, line))?;
        let colon = text.skip_blanks(name).filter(|at| text.at(*at) == Some(b':'))?;
        let behind = Some(colon + 1).filter(|behind| *behind < text.end())?;
        text.skip_blanks(behind)
    }

    /// Behind the name of the header, if the line begins with it and continues no other.
    fn behind_name(&self, text: Text<'_>, line: usize) -> Option<usize> {
        if text.begins(line, self.name) {
            return Some(line + self.name.len());
        }
        let compact = self.compact.is_some_and(|compact| text.begins(line, &[compact]));
        (compact && !text.at(line + 1).is_none_or(is_letter)).then_some(line + 1)
    }

    /// The URI in the first header of this kind on the lines behind `from`.
    fn uri(&self, text: Text<'_>, from: usize, family: Family) -> Found {
        let Some(value) = self.value(text, from) else { return Found::Nothing };
        let scheme = text.search(value, self.before).map(|found| found + self.before.len());
        let uri = scheme.and_then(|scheme| match self.before {
            SCHEME => uri(text, scheme, family),
            _ => end_of_way(text, scheme, family),
        });
        uri.map_or(Found::Unreadable(value), Found::Uri)
    }
}

/// The URI of a request (RFC 3261, 7.1).
pub(super) fn request_uri(text: Text<'_>, family: Family) -> Option<Uri> {
    let method = text.run(0, is_letter);
    if method == 0 {
        return None;
    }
    let line = text.from(method + 1);
    let line = line.iter().position(|byte| is_line_end(*byte)).unwrap_or(line.len());
    let before = (method + 1..method + 1 + line).find(|at| text.begins(*at, SCHEME))?;
    uri(text, before + SCHEME.len(), family)
}

/// The next URI of the list that `from` stands in (RFC 3261, 7.3.1).
fn next_in_list(text: Text<'_>, from: usize, family: Family) -> Found {
    let comma = text.search(from, b",");
    let Some(scheme) = comma.and_then(|comma| text.search(comma, SCHEME)) else {
        return Found::Nothing;
    };
    let scheme = scheme + SCHEME.len();
    uri(text, scheme, family).map_or(Found::Unreadable(scheme), Found::Uri)
}

/// A URI behind its scheme: user, host and port, which is the last one's where it names none. What
/// names none of a user's own, or ends with the message, is none.
fn uri(text: Text<'_>, at: usize, family: Family) -> Option<Uri> {
    let user = text.run(at, |byte| byte != b'@' && !is_line_end(byte));
    let has_user = text.at(at + user) == Some(b'@');
    end_of_way(text, if has_user { at + user + 1 } else { at }, family)
}

/// The same without a user.
fn end_of_way(text: Text<'_>, at: usize, family: Family) -> Option<Uri> {
    const PORT_DIGITS_MAX: usize = 5;
    let (address, end) = address::host(text, at, family)?;
    let (port, end) = match text.at(end)? {
        b':' => text.number(end + 1).filter(|(_, last)| last - end <= 1 + PORT_DIGITS_MAX)?,
        _ => (PORT, end),
    };
    let port = u16::try_from(port).ok().filter(|port| *port >= PORTS_OF_USERS)?;
    text.at(end).map(|_| Uri { address, port, place: at..end })
}

/// Goes through the URIs of all headers of a kind, those of lists included, one after the other.
/// What cannot be read is passed over. The text may change under way: the next URI is looked for behind
/// the place where the last one ended then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uris {
    header: &'static Header,
    family: Family,
    at: usize,
    in_list: bool,
}

impl Uris {
    pub(super) const fn of(header: &'static Header, family: Family) -> Self {
        Self { header, family, at: 0, in_list: false }
    }

    pub(super) fn next(&mut self, text: Text<'_>) -> Option<Uri> {
        loop {
            let found = match self.in_list {
                true => next_in_list(text, self.at, self.family),
                false => self.header.uri(text, self.at, self.family),
            };
            match found {
                Found::Uri(uri) => {
                    self.at = uri.place.end;
                    self.in_list = true;
                    return Some(uri);
                }
                Found::Unreadable(at) => self.at = at,
                Found::Nothing if self.in_list => self.in_list = false,
                Found::Nothing => return None,
            }
        }
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

/// The seconds that the parameters at a place give their URI; `None` when they give none.
pub(super) fn expires(text: Text<'_>, at: usize) -> Result<Option<u32>, BadExpires> {
    let Some(value) = parameter(text, at, b"expires=") else { return Ok(None) };
    text.number(value).map(|(seconds, _)| Some(seconds)).ok_or(BadExpires)
}

/// The address of a parameter, and where it stands; IPv6's is in brackets, or may be.
pub(super) fn address_parameter(
    text: Text<'_>,
    at: usize,
    name: &[u8],
    family: Family,
    bracketed: bool,
) -> Option<(Address, Range<usize>)> {
    let value = parameter(text, at, name)?;
    let text = text.up_to(text.search(at, b",").unwrap_or(text.end()));
    let read = if bracketed { address::host } else { address::perhaps_bracketed };
    read(text, value, family).map(|(address, end)| (address, value..end))
}

/// The number of a parameter, and where it stands.
pub(super) fn number_parameter(
    text: Text<'_>,
    at: usize,
    name: &[u8],
) -> Option<(u32, Range<usize>)> {
    let value = parameter(text, at, name)?;
    text.number(value).map(|(number, end)| (number, value..end))
}

/// Where the value of a parameter begins, up to the next comma of a list.
fn parameter(text: Text<'_>, at: usize, name: &[u8]) -> Option<usize> {
    let comma = text.search(at, b",").unwrap_or(text.end());
    text.up_to(comma).search(at, name).map(|found| found + name.len())
}
