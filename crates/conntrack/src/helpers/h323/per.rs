//! A reader of aligned PER (X.691) that walks a message along its type.
//!
//! A [`Type`] says what X.680 says of it, as far as that shows in the encoding. [`walk`] passes over
//! a value of it and notes what is marked as [`Type::Heard`]. Nothing is copied; the work is bounded
//! by the length of the message, and the depth by the type.
//!
//! As observed on Linux 6.18, and so here: what is encoded as an open type (additions of a
//! `SEQUENCE`, later alternatives of a `CHOICE`) is passed over by its length, unless something in
//! it is to be heard; while it is read, only the end of the message ends it. A length takes two
//! octets that must be there, even when one would say it. A value that the type forbids and that can be
//! passed over is no fault.

use super::Mark;
use alloc::vec::Vec;

/// Most additions of a `SEQUENCE`, present or not, that its encoding may speak of.
pub const ADDITIONS_MAX: u32 = 32;

/// A type.
#[derive(Debug)]
pub enum Type {
    /// `NULL`.
    Null,
    /// `BOOLEAN`.
    Boolean,
    /// `OBJECT IDENTIFIER`.
    ObjectIdentifier,
    /// `INTEGER (low..high)`.
    Integer(u32, u32),
    /// `INTEGER`.
    AnyInteger,
    /// `BIT STRING`.
    Bits(Size),
    /// `OCTET STRING`.
    Octets(Size),
    /// A string whose characters take four bits each, such as
    /// `IA5String (SIZE (..)) (FROM ("0123456789#*,"))`.
    Digits(Size),
    /// `BMPString`.
    Bmp(Size),
    /// `SEQUENCE`.
    Sequence(&'static Sequence),
    /// `SEQUENCE OF` or `SET OF`: items of a type, and how many of them are heard.
    SequenceOf(&'static Type, usize),
    /// `CHOICE`.
    Choice(&'static Choice),
    /// `OCTET STRING` that holds the encoding of another type.
    Open(&'static Type),
    /// Such an octet string that is a component of a `SEQUENCE` and not read. Linux looks for its
    /// length without going on to the next octet, so in what is left of one that has begun.
    Sealed,
    /// A value that is noted.
    Heard(Mark, &'static Type),
    /// A value in which nothing is noted.
    Unheard(&'static Type),
    /// A component of a `SEQUENCE` that is not looked at, and none behind it, whether it is there or
    /// not; a later alternative of a `CHOICE` whose length is not looked at. The value ends before it.
    Stop,
}

/// How long a string may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Any length.
    Any,
    /// So long.
    Fixed(u32),
    /// From the one to the other.
    Between(u32, u32),
}

/// `SEQUENCE { root, ..., additions }`.
#[derive(Debug)]
pub struct Sequence {
    /// The components before the extension marker.
    pub root: &'static [Component],
    /// What stands behind the extension marker, if there is one.
    pub additions: Option<Additions>,
}

/// What stands behind an extension marker.
#[derive(Clone, Copy, Debug)]
pub struct Additions {
    /// How many the helpers know of. Of those of a `SEQUENCE` beyond, every one is taken to be there,
    /// whether its bit says so or not.
    pub known: u32,
    /// Those that are read, by their number from 0.
    pub read: &'static [(u32, Type)],
}

/// A component of a `SEQUENCE`.
#[derive(Debug)]
pub enum Component {
    /// It is always there.
    Always(Type),
    /// `OPTIONAL`.
    Optional(Type),
}

/// `CHOICE { root, ..., additions }`.
#[derive(Debug)]
pub struct Choice {
    /// The alternatives before the extension marker.
    pub root: &'static [Type],
    /// The later alternatives, if there is an extension marker.
    pub additions: Option<Additions>,
}

/// Something noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// What.
    pub mark: Mark,
    /// The value of an integer; the offset in the message, in octets, where the content of a string
    /// begins; 0 for anything else.
    pub value: u32,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ends before its type does.
    Short,
    /// A number has no meaning in its type.
    Range,
}

/// Passes over a value of `kind` at the start of `message`.
///
/// # Errors
/// [`Fault`] when it cannot be read to its end.
pub fn walk(message: &[u8], kind: &Type) -> Result<Vec<Note>, Fault> {
    let mut walk = Walk { message, at: 0, notes: Vec::new() };
    walk.value(kind, true)?;
    Ok(walk.notes)
}

struct Walk<'a> {
    message: &'a [u8],
    /// Bits read.
    at: usize,
    notes: Vec<Note>,
}

impl Walk<'_> {
    /// Passes over a value; gives what its [`Note`] would say.
    fn value(&mut self, kind: &Type, heard: bool) -> Result<u32, Fault> {
        let mut value = 0;
        match kind {
            Type::Null | Type::Stop => {}
            Type::Boolean => {
                self.at += 1;
                self.expect(0)?;
            }
            Type::ObjectIdentifier => {
                let length = self.octet()?;
                self.skip(length)?;
            }
            Type::Integer(low, high) => value = self.integer(*low, *high)?,
            Type::AnyInteger => {
                let length = self.length()?;
                self.skip(length)?;
            }
            Type::Bits(size) => {
                let length = self.size(*size)?;
                self.at += length;
                self.expect(0)?;
            }
            Type::Octets(size) => {
                let length = self.size(*size)?;
                value = (self.at / 8) as u32;
                self.skip(length)?;
            }
            Type::Digits(size) => {
                let length = self.size(*size)?;
                self.at += length * 4;
                self.expect(0)?;
            }
            Type::Bmp(size) => {
                let length = self.size(*size)?;
                self.skip(length * 2)?;
            }
            Type::Sequence(sequence) => self.sequence(sequence, heard)?,
            Type::SequenceOf(item, heard_max) => {
                let count = self.length()?;
                for number in 0..count {
                    match item {
                        // Those that are not heard have to be right all the same.
                        Type::Open(kind) if heard && number >= *heard_max => {
                            self.open(Some(&Type::Unheard(kind)), true)?;
                        }
                        _ => _ = self.value(item, heard && number < *heard_max)?,
                    }
                }
            }
            Type::Choice(choice) => self.choice(choice, heard)?,
            Type::Open(kind) => self.open(Some(kind), heard)?,
            Type::Sealed => {
                self.expect(16)?;
                let length = self.determinant()?;
                self.skip(length)?;
            }
            Type::Heard(mark, kind) => self.heard(*mark, kind, heard)?,
            Type::Unheard(kind) => value = self.value(kind, false)?,
        }
        Ok(value)
    }

    /// The note stands before those of what is inside.
    fn heard(&mut self, mark: Mark, kind: &Type, heard: bool) -> Result<(), Fault> {
        let place = self.notes.len();
        if heard {
            self.notes.push(Note { mark, value: 0 });
        }
        let begin = self.at;
        let value = self.value(kind, heard)?;
        if heard && mark == Mark::TimeToLive {
            self.after_lifetime(begin)?;
        }
        if let Some(note) = self.notes.get_mut(place).filter(|_| heard) {
            note.value = value;
        }
        Ok(())
    }

    /// Behind the octets of a lifetime as many others have to be there: Linux goes over them twice.
    fn after_lifetime(&mut self, begin: usize) -> Result<(), Fault> {
        self.skip(self.at / 8 - begin / 8 - 1)
    }

    /// X.691, 10.5.7.
    fn integer(&mut self, low: u32, high: u32) -> Result<u32, Fault> {
        let value = match high - low {
            0xff => self.octet()? as u32,
            0x100..=0xffff => {
                self.align();
                self.take(16)?
            }
            0..0xff => self.take(width(high - low + 1))?,
            _ => {
                let octets = self.take(2)? + 1;
                self.align();
                self.take(8 * octets)?
            }
        };
        Ok(value.wrapping_add(low))
    }

    /// The length of a string, up to where its content begins.
    fn size(&mut self, size: Size) -> Result<usize, Fault> {
        Ok(match size {
            Size::Any => self.length()?,
            // Strings of one or two octets stand anywhere.
            Size::Fixed(length) => {
                if length > 2 {
                    self.align();
                }
                length as usize
            }
            Size::Between(low, high) => {
                let length = self.integer(low, high)? as usize;
                self.align();
                length
            }
        })
    }

    fn sequence(&mut self, sequence: &Sequence, heard: bool) -> Result<(), Fault> {
        self.expect(1)?;
        let extended = sequence.additions.is_some() && self.take(1)? == 1;
        let optional = |component: &&Component| matches!(component, Component::Optional(_));
        let count = sequence.root.iter().filter(optional).count() as u32;
        let mut present = self.presence(count)?;
        for component in sequence.root {
            match component {
                Component::Always(Type::Stop) | Component::Optional(Type::Stop) => return Ok(()),
                Component::Always(kind) => self.value(kind, heard)?,
                Component::Optional(kind) if present.next() == Some(true) => {
                    self.value(kind, heard)?
                }
                Component::Optional(_) => 0,
            };
        }
        let Some(additions) = sequence.additions.filter(|_| extended) else { return Ok(()) };
        let count = self.take(7)? + 1;
        if count > ADDITIONS_MAX {
            return Err(Fault::Range);
        }
        let present = self.presence(count)?;
        self.align();
        let Additions { known, read } = additions;
        for (number, present) in (0..).zip(present) {
            match find(read, number) {
                Some(Type::Stop) => return Ok(()),
                kind if present || number >= known => self.open(kind, heard)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Which of `count` components are there. Linux reads 32 bits at a time; those that end with
    /// them and do not begin with an octet it takes from the begin of that octet.
    fn presence(&mut self, count: u32) -> Result<impl Iterator<Item = bool> + use<>, Fault> {
        let before = (self.at % 8) as u32;
        let bits = if before + count == u32::BITS {
            self.at -= before as usize;
            self.take(u32::BITS)? >> before
        } else {
            self.take(count)?
        };
        Ok((0..count).rev().map(move |bit| bits >> bit & 1 == 1))
    }

    fn choice(&mut self, choice: &Choice, heard: bool) -> Result<(), Fault> {
        self.expect(1)?;
        if let Some(Additions { known, read }) = choice.additions
            && self.take(1)? == 1
        {
            let number = self.take(7)?;
            let kind = find(read, number).filter(|_| number < known);
            return if matches!(kind, Some(Type::Stop)) { Ok(()) } else { self.open(kind, heard) };
        }
        let number = self.take(width(choice.root.len() as u32))?;
        let kind = choice.root.get(number as usize).ok_or(Fault::Range)?;
        self.value(kind, heard).map(|_| ())
    }

    /// A value behind its length.
    fn open(&mut self, kind: Option<&Type>, heard: bool) -> Result<(), Fault> {
        let length = self.length()?;
        self.content(length, kind, heard)
    }

    /// A value in so many octets.
    fn content(&mut self, length: usize, kind: Option<&Type>, heard: bool) -> Result<(), Fault> {
        let end = self.at + 8 * length;
        self.expect(8 * length)?;
        if let Some(kind) = kind.filter(|_| heard) {
            self.value(kind, true)?;
        }
        self.at = end;
        Ok(())
    }

    /// A length of which two octets have to be there.
    fn length(&mut self) -> Result<usize, Fault> {
        self.align();
        self.expect(16)?;
        self.determinant()
    }

    /// A length (X.691, 10.9) that begins with the octet of the next bit; that a long string may come
    /// in pieces is not known.
    fn determinant(&mut self) -> Result<usize, Fault> {
        let mut octet = || {
            let octet = self.message.get(self.at / 8).ok_or(Fault::Short)?;
            self.at += 8;
            Ok(usize::from(*octet))
        };
        Ok(match octet()? {
            first @ 0..0x80 => first,
            first => (first & 0x3f) << 8 | octet()?,
        })
    }

    fn octet(&mut self) -> Result<usize, Fault> {
        self.align();
        Ok(self.take(8)? as usize)
    }

    fn skip(&mut self, octets: usize) -> Result<(), Fault> {
        self.at += 8 * octets;
        self.expect(0)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// The next bits, no more than 32.
    fn take(&mut self, bits: u32) -> Result<u32, Fault> {
        self.expect(bits as usize)?;
        let mut value: u64 = 0;
        let (first, last) = (self.at / 8, (self.at + bits as usize).div_ceil(8));
        for octet in self.message.get(first..last).unwrap_or(&[]) {
            value = value << 8 | u64::from(*octet);
        }
        self.at += bits as usize;
        let behind = self.at.next_multiple_of(8) - self.at;
        Ok((value >> behind & ((1 << bits) - 1)) as u32)
    }

    /// Whether so many bits more are there.
    fn expect(&self, bits: usize) -> Result<(), Fault> {
        if self.at + bits <= 8 * self.message.len() { Ok(()) } else { Err(Fault::Short) }
    }
}

/// Bits that tell `count` values apart.
const fn width(count: u32) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

fn find(additions: &'static [(u32, Type)], number: u32) -> Option<&'static Type> {
    additions.iter().find(|(at, _)| *at == number).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests;
