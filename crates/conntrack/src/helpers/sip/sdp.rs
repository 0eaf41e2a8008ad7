//! Session descriptions (RFC 4566): which media, on which port of which address.

use super::address;
use super::text::{Text, is_digit, is_letter, is_line_end};
use keepstate_packet::{Address, Family};

/// Media descriptions that are read of one session.
pub(super) const MEDIA_MAX: usize = 3;

/// Kinds of media and the class of their expectations.
const KINDS: [(&[u8], u8); 3] =
    [(b"audio ", super::AUDIO), (b"video ", super::VIDEO), (b"image ", super::IMAGE)];

const VERSION: &[u8] = b"v=";
const CONNECTION: &[u8] = b"c=";
const MEDIA: &[u8] = b"m=";

/// One medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Medium {
    pub(super) class: u8,
    pub(super) address: Address,
    pub(super) port: u16,
}

/// A description is not to be believed: a medium has a port outside of 1024 to 65535, or no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbelievable {
    /// This one.
    Port(u32),
    NoAddress,
}

/// The media of a message, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media<'a> {
    text: Text<'a>,
    family: Family,
    /// The address of the whole session.
    session: Option<Address>,
    at: usize,
    left: usize,
}

impl<'a> Media<'a> {
    /// `None` when the message holds no description.
    pub(super) fn of(text: Text<'a>, family: Family) -> Option<Self> {
        let line = line(text, 0, VERSION, None)?;
        let digits = text.run(line, is_digit);
        (digits > 0).then(|| Self {
            text,
            family,
            session: connection(text, line, family),
            at: line,
            left: MEDIA_MAX,
        })
    }

    /// The next description of a kind that is known and has a port; `None` at the last, and at one
    /// that cannot be read.
    fn next_announced(&mut self) -> Option<(u8, u32)> {
        let text = self.text;
        loop {
            let at = line(text, self.at, MEDIA, None)?;
            let kind_length = text.run(at, is_letter);
            let blank = at + kind_length;
            text.at(blank).filter(|byte| *byte == b' ')?;
            let length = kind_length + 1 + text.run(blank + 1, is_digit);
            let known =
                KINDS.iter().find(|(name, _)| text.up_to(at + length).from(at).starts_with(name));
            let Some((name, class)) = known else {
                self.at = at + length;
                continue;
            };
            self.at = at + name.len();
            if let Some((port @ 1.., _)) = text.number(self.at) {
                return Some((*class, port));
            }
        }
    }
}

impl Iterator for Media<'_> {
    type Item = Result<Medium, Unbelievable>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (class, port) = self.next_announced()?;
        let number = port;
        let Some(port) = u16::try_from(number).ok().filter(|port| *port >= 1024) else {
            return Some(Err(Unbelievable::Port(number)));
        };
        let address = connection(self.text, self.at, self.family).or(self.session);
        Some(address.map(|address| Medium { class, address, port }).ok_or(Unbelievable::NoAddress))
    }
}

/// The address of the next connection line behind a place that comes before the next medium.
fn connection(text: Text<'_>, from: usize, family: Family) -> Option<Address> {
    let network_type: &[u8] = match family {
        Family::V4 => b"IN IP4 ",
        Family::V6 => b"IN IP6 ",
    };
    let at = line(text, from, CONNECTION, Some(MEDIA))?;
    let at = search(text, at, network_type)?;
    address::address(text, at + network_type.len(), family).map(|(address, _)| address)
}

/// Behind the `name` of the first line behind `from` that begins with it, unless one that begins
/// with `end` comes first.
fn line(text: Text<'_>, from: usize, name: &[u8], end: Option<&[u8]>) -> Option<usize> {
    for at in text.lines(from) {
        if end.is_some_and(|end| text.begins(at, end)) {
            return None;
        }
        if text.begins(at, name) {
            return Some(at + name.len());
        }
    }
    None
}

/// Where `words` begin on the line at a place; not where they end with the message.
fn search(text: Text<'_>, at: usize, words: &[u8]) -> Option<usize> {
    let line = text.from(at);
    let line = line.get(..line.iter().position(|byte| is_line_end(*byte)).unwrap_or(line.len()))?;
    let found = line.windows(words.len()).position(|there| there == words)?;
    (at + found + words.len() < text.end()).then_some(at + found)
}
