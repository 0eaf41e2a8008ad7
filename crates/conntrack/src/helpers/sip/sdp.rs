//! Session descriptions (RFC 4566): which media, on which port of which address.

use super::address;
use super::text::{Text, is_digit, is_letter, is_line_end};
use core::ops::Range;
use keepstate_packet::{Address, Family};

/// Media descriptions that are read of one session.
pub(super) const MEDIA_MAX: usize = 3;

/// Kinds of media and the class of their expectations.
const KINDS: [(&[u8], u8); 3] =
    [(b"audio ", super::AUDIO), (b"video ", super::VIDEO), (b"image ", super::IMAGE)];

pub(super) const VERSION: &[u8] = b"v=";
/// Whose description it is.
pub(super) const OWNER: &[u8] = b"o=";
/// Where media are to go.
pub(super) const CONNECTION: &[u8] = b"c=";
const MEDIA: &[u8] = b"m=";

/// One medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Medium {
    pub(super) class: u8,
    pub(super) address: Address,
    /// The address is its own, not that of the whole description.
    pub(super) has_address: bool,
    pub(super) port: u16,
    /// Where the port stands.
    pub(super) place: Range<usize>,
}

/// A description is not to be believed: a medium has a port outside of 1024 to 65535, or no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbelievable {
    /// This one.
    Port(u32),
    NoAddress,
}

/// The media of a message, in order. The text may change under way: the next medium is looked for behind
/// the place where the last one stood then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media {
    family: Family,
    /// The address of the whole description.
    pub(super) address: Option<Address>,
    /// Where the description began.
    pub(super) start: usize,
    at: usize,
    left: usize,
}

impl Media {
    /// `None` when the message holds no description.
    pub(super) fn of(text: Text<'_>, family: Family) -> Option<Self> {
        let start = start(text)?;
        let address = address(text, start, CONNECTION, family).map(|(address, _)| address);
        Some(Self { family, address, start, at: start, left: MEDIA_MAX })
    }

    /// The next one that has a port; `None` at the last, and at one that cannot be read.
    pub(super) fn next(&mut self, text: Text<'_>) -> Option<Result<Medium, Unbelievable>> {
        self.left = self.left.checked_sub(1)?;
        let (class, place, number) = self.next_announced(text)?;
        let Some(port) = u16::try_from(number).ok().filter(|port| *port >= 1024) else {
            return Some(Err(Unbelievable::Port(number)));
        };
        let own = address(text, self.at, CONNECTION, self.family).map(|(address, _)| address);
        let medium = own.or(self.address).map(|address| {
            let has_address = own.is_some();
            Medium { class, address, has_address, port, place }
        });
        Some(medium.ok_or(Unbelievable::NoAddress))
    }

    /// The next description of a kind that is known and has a port: where that stands, too.
    fn next_announced(&mut self, text: Text<'_>) -> Option<(u8, Range<usize>, u32)> {
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
                return Some((*class, self.at..at + length, port));
            }
        }
    }
}

/// Behind the `v=` that a description begins with (RFC 4566, 5.1).
pub(super) fn start(text: Text<'_>) -> Option<usize> {
    line(text, 0, VERSION, None).filter(|at| text.run(*at, is_digit) > 0)
}

/// The address on the next line with this name behind a place that comes before the next medium, and where
/// it stands.
pub(super) fn address(
    text: Text<'_>,
    from: usize,
    name: &[u8],
    family: Family,
) -> Option<(Address, Range<usize>)> {
    let network_type: &[u8] = match family {
        Family::V4 => b"IN IP4 ",
        Family::V6 => b"IN IP6 ",
    };
    let at = line(text, from, name, Some(MEDIA))?;
    let at = search(text, at, network_type)? + network_type.len();
    address::address(text, at, family).map(|(address, end)| (address, at..end))
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
