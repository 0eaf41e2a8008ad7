//! A SIP message as text: bytes up to a limit, and the few ways of moving over them that headers and
//! session descriptions share.
//!
//! Linux reads numbers up to their last digit, even where that lies behind the end of the message:
//! so the bytes reach to the end of the packet, and the limit is the message's. Behind the packet
//! there are zeros.

/// A message and what follows it in its packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    /// Where the message ends.
    pub(super) limit: usize,
}

impl<'a> Text<'a> {
    /// A message of `limit` bytes at the start of `bytes`.
    pub(super) const fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self { bytes, limit }
    }

    /// The same up to another limit.
    pub(super) const fn up_to(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The byte at a place.
    pub(super) fn at(self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// From a place to the limit.
    pub(super) fn from(self, at: usize) -> &'a [u8] {
        self.bytes.get(at..self.limit).unwrap_or(&[])
    }

    /// Whether `words` stand at a place, in any case.
    pub(super) fn begins(self, at: usize, words: &[u8]) -> bool {
        let there = at.checked_add(words.len()).and_then(|end| self.bytes.get(at..end));
        there.is_some_and(|there| there.eq_ignore_ascii_case(words))
    }

    /// Whether the limit leaves room for `length` bytes from a place on.
    pub(super) const fn has(self, at: usize, length: usize) -> bool {
        self.limit >= at.saturating_add(length)
    }

    /// Bytes from a place on, up to the limit, that `is` holds for.
    pub(super) fn run(self, at: usize, is: fn(u8) -> bool) -> usize {
        self.from(at).iter().take_while(|byte| is(**byte)).count()
    }

    /// A number of the C library's `strtoul`, and where it ends: at its beginning when there is no
    /// digit. It wraps around modulo 2^64. With base 0 `0x` and `0` begin one of base 16 or 8.
    pub(super) fn number(self, at: usize, base: u64) -> (u64, usize) {
        let hexadecimal =
            (self.at(at), self.at(at + 1) | 0x20, self.at(at + 2).is_ascii_hexdigit());
        let (base, first) = match (base, hexadecimal) {
            (0, (b'0', b'x', true)) => (16, at + 2),
            (0, (b'0', ..)) => (8, at),
            (0, _) => (10, at),
            (base, _) => (base, at),
        };
        let digits = self.bytes.get(first..).unwrap_or(&[]);
        let mut value: u64 = 0;
        let mut end = first;
        for byte in digits {
            let digit = char::from(*byte).to_digit(16).map(u64::from);
            let Some(digit) = digit.filter(|digit| *digit < base) else { break };
            value = value.wrapping_mul(base).wrapping_add(digit);
            end += 1;
        }
        (value, end)
    }

    /// Where the lines behind a place begin.
    pub(super) const fn lines(self, at: usize) -> Lines<'a> {
        Lines { text: self, at }
    }

    /// Behind the line end at a place, when the message goes on there.
    fn past_line_end(self, at: usize) -> Option<usize> {
        let both = self.at(at) == b'\r' && self.has(at + 1, 1) && self.at(at + 1) == b'\n';
        let behind = if both { at + 2 } else { at + 1 };
        (behind < self.limit).then_some(behind)
    }

    /// Behind blanks, and behind a line end too where the next line continues this one. `None` where
    /// it does not. There may be nothing but blanks up to the limit.
    pub(super) fn skip_blanks(self, at: usize) -> Option<usize> {
        let at = at + self.run(at, is_blank);
        if at >= self.limit || !is_line_end(self.at(at)) {
            return Some(at);
        }
        let next = self.past_line_end(at).filter(|next| is_blank(self.at(*next)))?;
        Some(next + self.run(next, is_blank))
    }

    /// Where `words` begin, in any case, on the line at a place or the lines that continue it. What
    /// ends at the limit is not found, unless only blanks lead up to it.
    pub(super) fn search(self, at: usize, words: &[u8]) -> Option<usize> {
        let shorter = self.up_to(self.limit.checked_sub(words.len())?);
        let mut at = at;
        while at < shorter.limit {
            at = shorter.skip_blanks(at)?;
            if self.begins(at, words) {
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
