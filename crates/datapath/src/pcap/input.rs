//! Buffered input, decompressed where it is gzip. It never holds more than one record and one
//! buffer, and grows only with bytes that are really there: a length claimed in a header costs
//! nothing by itself.

use super::Fault;
use flate2::read::MultiGzDecoder;
use std::{
    fmt,
    io::{self, Read},
};

/// Bytes asked of the reader at once.
const CHUNK: usize = 256 << 10;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    compressed: bool,
    buffer: Vec<u8>,
    /// `buffer[start..end]` is unread.
    start: usize,
    end: usize,
    at_end: bool,
    fault: Option<Fault>,
}

impl Input {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut input = Self {
            reader,
            compressed: false,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            at_end: false,
            fault: None,
        };
        // The first bytes decide; the error of a reader that cannot read at all is the caller's.
        let mut head = [0; 2];
        let length = fill(&mut input.reader, &mut head)?;
        let rest = std::mem::replace(&mut input.reader, Box::new(io::empty()));
        let whole = io::Cursor::new(head).take(length as u64).chain(rest);
        if head == GZIP_MAGIC {
            input.compressed = true;
            input.reader =
                Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(CHUNK, whole)));
        } else {
            input.reader = Box::new(whole);
        }
        Ok(input)
    }

    /// At least `length` unread bytes, if there are as many.
    #[inline]
    pub(super) fn peek(&mut self, length: usize) -> Option<&[u8]> {
        if self.end - self.start < length && !self.fill_to(length) {
            return None;
        }
        self.buffer.get(self.start..self.end)
    }

    /// `N` unread bytes from `offset`, if there are as many.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self, offset: usize) -> Option<[u8; N]> {
        self.peek(offset + N)?.get(offset..)?.first_chunk().copied()
    }

    /// The next `length` bytes, which [`Input::peek`] has shown to be there; they count as read.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> &[u8] {
        let from = self.start;
        self.start = (from + length).min(self.end);
        self.buffer.get(from..self.start).unwrap_or(&[])
    }

    /// Passes over `length` bytes; false when there are not as many.
    pub(super) fn skip(&mut self, mut length: u64) -> bool {
        loop {
            let here = length.min((self.end - self.start) as u64);
            self.start += here as usize;
            length -= here;
            if length == 0 {
                return true;
            }
            if !self.fill_to(1) {
                return false;
            }
        }
    }

    /// Whether everything has been read.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek(1).is_none()
    }

    /// Why reading ended, if not at the end of the file.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.clone()
    }

    #[cold]
    fn fill_to(&mut self, length: usize) -> bool {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end < length && !self.at_end {
            if self.buffer.len() < self.end + CHUNK {
                self.buffer.resize(self.end + CHUNK, 0);
            }
            let Some(room) = self.buffer.get_mut(self.end..) else { return false };
            match self.reader.read(room) {
                Ok(0) => self.at_end = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.at_end = true;
                    self.fault = Some(self.explain(&error));
                }
            }
        }
        self.end >= length
    }

    fn explain(&self, error: &io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Cut,
            _ if self.compressed => Fault::Compression(error.to_string()),
            _ => Fault::Read(error.to_string()),
        }
    }
}

fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("compressed", &self.compressed)
            .field("unread", &(self.end - self.start))
            .finish_non_exhaustive()
    }
}
