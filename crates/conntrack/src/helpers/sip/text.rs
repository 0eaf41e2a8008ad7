//! A SIP message as text, and the few ways of moving over it that headers and session descriptions
//! share.

/// Most digits of a number.
const DIGITS_MAX: usize = 11;

/// A message, and nothing that follows it in its packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl<'a> Text<'a> {
    /// Where it ends.
    pub(super) const fn end(self) -> usize {
        self.0.len()
    }

    /// The same up to a place.
    pub(super) fn up_to(self, end: usize) -> Self {
        Self(self.0.get(..end).unwrap_or(self.0))
    }

    /// The byte at a place; `None` behind the end.
    pub(super) fn at(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    /// From a place on.
    pub(super) fn from(self, at: usize) -> &'a [u8] {
        self.0.get(at..).unwrap_or(&[])
    }

    /// Whether `words` stand at a place, in any case.
    pub(super) fn begins(self, at: usize, words: &[u8]) -> bool {
        self.from(at).get(..words.len()).is_some_and(|there| there.eq_ignore_ascii_case(words))
    }

    /// How many bytes from a place on `is` holds for.
    pub(super) fn run(self, at: usize, is: fn(u8) -> bool) -> usize {
        self.from(at).iter().take_while(|byte| is(**byte)).count()
    }

    /// A decimal number of 32 bits, leading zeros and all no longer than [`DIGITS_MAX`], and where it
    /// ends.
    pub(super) fn number(self, at: usize) -> Option<(u32, usize)> {
        let length = self.run(at, is_digit);
        let digits = self.from(at).get(..length)?;
        if !(1..=DIGITS_MAX).contains(&length) {
            return None;
        }
        let add = |n: u64, digit: &u8| n * 10 + u64::from(digit - b'0');
        Some((digits.iter().fold(0, add).try_into().ok()?, at + length))
    }

    /// Where the lines behind a place begin.
    pub(super) const fn lines(self, at: usize) -> Lines<'a> {
        Lines { text: self, at }
    }

    /// Behind the line end at a place, when the message goes on there.
    fn past_line_end(self, at: usize) -> Option<usize> {
        let both = self.from(at).starts_with(b"\r\n");
        let behind = if both { at + 2 } else { at + 1 };
        (behind < self.end()).then_some(behind)
    }

    /// Behind the line end at a place and the blanks that begin the next line; `None` when none do,
    /// so that the line is not continued.
    fn continuation(self, at: usize) -> Option<usize> {
        let next = self.past_line_end(at).filter(|next| self.at(*next).is_some_and(is_blank))?;
        Some(next + self.run(next, is_blank))
    }

    /// Behind blanks, and behind a line end too where the next line continues this one. `None` where
    /// it does not. There may be nothing but blanks up to the end.
    pub(super) fn skip_blanks(self, at: usize) -> Option<usize> {
        let at = at + self.run(at, is_blank);
        match self.at(at) {
            Some(byte) if is_line_end(byte) => self.continuation(at),
            _ => Some(at),
        }
    }

    /// Where `words` begin, in any case, on the line at a place or the lines that continue it. What
    /// a continued line begins with is not found, nor what ends with the message.
    pub(super) fn search(self, at: usize, words: &[u8]) -> Option<usize> {
        let shorter = self.up_to(self.end().checked_sub(words.len())?);
        let mut at = at;
        while let Some(byte) = shorter.at(at) {
            if is_line_end(byte) {
                at = shorter.continuation(at)?;
            } else if self.begins(at, words) {
                return Some(at);
            }
            at += 1;
        }
        None
    }
}

/// Where lines begin: behind CR LF, CR or LF. The first byte of a line is passed over when the next
/// line is looked for, so that a line behind an empty one is missed where both end in one byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    text: Text<'a>,
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let end = self.at + self.text.from(self.at).iter().position(|byte| is_line_end(*byte))?;
        let start = self.text.past_line_end(end)?;
        self.at = start + 1;
        Some(start)
    }
}

pub(super) const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// A letter of Latin-1.
pub(super) const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0xc0 && !matches!(byte, 0xd7 | 0xf7)
}
