//! Addresses at the start of a text. Whatever belongs to none ends them, except that letters up to
//! `f`, dots and (in IPv6) colons make what they stand behind unreadable.

use super::text::Text;
use keepstate_packet::{Address, Family};

/// Octets of an IPv6 address.
const OCTETS: usize = 16;

/// The address at a place and where it ends.
pub(super) fn address(text: Text<'_>, at: usize, family: Family) -> Option<(Address, usize)> {
    match family {
        Family::V4 => ipv4(text, at).map(|(octets, end)| (Address::v4(octets), end)),
        Family::V6 => ipv6(text, at),
    }
}

/// The same in a URI, where one of IPv6 stands in brackets (RFC 3261, 25.1).
pub(super) fn host(text: Text<'_>, at: usize, family: Family) -> Option<(Address, usize)> {
    if family == Family::V4 {
        return address(text, at, family);
    }
    let inside = text.at(at).filter(|byte| *byte == b'[').map(|_| at + 1)?;
    let (address, end) = address(text, inside, family)?;
    text.at(end).filter(|byte| *byte == b']').map(|_| (address, end + 1))
}

/// The same where the brackets may be missing, either of them.
pub(super) fn perhaps_bracketed(
    text: Text<'_>,
    at: usize,
    family: Family,
) -> Option<(Address, usize)> {
    if family == Family::V4 {
        return address(text, at, family);
    }
    let inside = if text.at(at) == Some(b'[') { at + 1 } else { at };
    let (address, end) = address(text, inside, family)?;
    Some((address, if text.at(end) == Some(b']') { end + 1 } else { end }))
}

/// What can follow a part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Digit(u8),
    Hexadecimal(u8),
    Dot,
    Colon,
    End,
}

fn next(text: Text<'_>, at: usize) -> Next {
    match text.at(at) {
        Some(digit @ b'0'..=b'9') => Next::Digit(digit - b'0'),
        Some(letter @ (b'a'..=b'f' | b'A'..=b'F')) => {
            Next::Hexadecimal((letter | 0x20) - b'a' + 10)
        }
        Some(b'.') => Next::Dot,
        Some(b':') => Next::Colon,
        Some(_) | None => Next::End,
    }
}

/// Four numbers up to 255 between dots, with any number of leading zeros.
fn ipv4(text: Text<'_>, at: usize) -> Option<([u8; 4], usize)> {
    let mut octets = [0u8; 4];
    let mut at = at;
    let last = octets.len() - 1;
    for (n, octet) in octets.iter_mut().enumerate() {
        let first = at;
        while let Next::Digit(digit) = next(text, at) {
            *octet = octet.checked_mul(10)?.checked_add(digit)?;
            at += 1;
        }
        match next(text, at) {
            _ if at == first => return None,
            Next::Dot if n < last => at += 1,
            Next::End | Next::Colon if n == last => {}
            _ => return None,
        }
    }
    Some((octets, at))
}

/// The octets read so far, and where `::` stood among them.
#[derive(Default)]
struct Groups {
    /// One group more than there is room for: Linux lets one follow a `::` at the end.
    octets: [u8; OCTETS + 2],
    length: usize,
    gap: Option<usize>,
}

impl Groups {
    fn push(&mut self, octets: &[u8]) -> Option<()> {
        let room = self.octets.get_mut(self.length..self.length + octets.len())?;
        room.copy_from_slice(octets);
        self.length += octets.len();
        Some(())
    }

    /// `::` stands for one group at least.
    fn leave_gap(&mut self) -> Option<()> {
        self.push(&[0, 0])?;
        self.gap = Some(self.length);
        Some(())
    }

    fn address(&self) -> Address {
        let mut whole = [0; OCTETS];
        let gap = self.gap.unwrap_or(self.length);
        let behind = self.octets.get(gap..self.length).unwrap_or(&[]);
        let before = self.octets.get(..gap).unwrap_or(&[]);
        let room = OCTETS.saturating_sub(behind.len());
        // Too much in front loses its beginning.
        let before = before.get(before.len().saturating_sub(room)..).unwrap_or(&[]);
        whole.iter_mut().zip(before).for_each(|(to, from)| *to = *from);
        whole.iter_mut().rev().zip(behind.iter().rev()).for_each(|(to, from)| *to = *from);
        Address::v6(whole)
    }
}

/// RFC 4291, 2.2; groups may have any number of leading zeros.
fn ipv6(text: Text<'_>, at: usize) -> Option<(Address, usize)> {
    let mut groups = Groups::default();
    let mut at = at;
    if next(text, at) == Next::Colon {
        (next(text, at + 1) == Next::Colon).then_some(())?;
        groups.leave_gap()?;
        at += 2;
    }
    loop {
        let (value, end) = group(text, at);
        if end == at {
            // Nothing may follow `::`, and nothing else.
            let ends = groups.gap == Some(groups.length) && next(text, at) == Next::End;
            return ends.then(|| (groups.address(), at));
        }
        let left = OCTETS.saturating_sub(groups.length);
        if left == 0 && end > at + 1 {
            return None;
        }
        match next(text, end) {
            Next::End if groups.gap.is_some() || left <= 2 => {
                groups.push(&value.to_be_bytes())?;
                return Some((groups.address(), end));
            }
            Next::Colon if left > 2 => {
                groups.push(&value.to_be_bytes())?;
                at = end + 1;
                if groups.gap.is_none() && next(text, at) == Next::Colon {
                    groups.leave_gap()?;
                    at += 1;
                }
            }
            Next::Dot if left == 4 || groups.gap.is_some() && left > 4 => {
                let (octets, end) = ipv4(text, at)?;
                groups.push(&octets)?;
                return Some((groups.address(), end));
            }
            _ => return None,
        }
    }
}

/// A group and where it ends: behind its fourth digit that is no leading zero, at the latest.
fn group(text: Text<'_>, at: usize) -> (u16, usize) {
    let (mut value, mut end) = (0, at);
    while let Next::Digit(digit) | Next::Hexadecimal(digit) = next(text, end) {
        if value & 0xf000 != 0 {
            break;
        }
        value = value << 4 | u16::from(digit);
        end += 1;
    }
    (value, end)
}
