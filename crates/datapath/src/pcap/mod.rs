//! Captures: pcap and pcapng, read as a stream and written.
//!
//! [`Capture`] reads either, also gzipped, whatever the byte order and the resolution of its
//! times. Memory stays flat: one record is held at a time, and no record is longer than
//! [`RECORD_LENGTH_MAX`]. A capture that breaks off, or whose bytes stop making sense, is read up
//! to there, and [`Capture::fault`] says so.
//!
//! Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.

mod classic;
mod input;
mod pcapng;
mod writer;

#[cfg(test)]
mod tests;

pub use writer::{Note, Writer};

use classic::Classic;
use input::Input;
use keepstate_packet::{Instant, InterfaceName, link::LinkType};
use pcapng::Sections;
use std::{fmt, fs::File, io, path::Path};

/// Longest record or block that is read, in bytes. Longer packets end the capture; longer blocks
/// that hold no packet are passed over.
pub const RECORD_LENGTH_MAX: usize = 16 << 20;

/// Most interfaces of one pcapng section. Packets of further ones are passed over.
pub const INTERFACES_MAX: usize = 1 << 16;

/// One frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured, since the Unix epoch. A simple packet block has no time of its own:
    /// it gets that of the frame before.
    pub time: Instant,
    /// Link type of its interface.
    pub link_type: LinkType,
    /// Name of its interface, where a pcapng file has one that is a name under Linux.
    pub interface: Option<InterfaceName>,
    /// Length on the wire in bytes; more than `bytes.len()` when it was captured short.
    pub original_length: u32,
    /// What was captured.
    pub bytes: &'a [u8],
}

/// Why a capture ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file stops inside a record.
    Cut,
    /// A record claims this length in bytes, which no record has.
    Length(u64),
    /// The compressed data is damaged.
    Compression(String),
    /// The system refused to read on.
    Read(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("the capture is cut short"),
            Self::Length(length) => write!(f, "a record claims to be {length} bytes long"),
            Self::Compression(what) => write!(f, "the compressed data is damaged ({what})"),
            Self::Read(what) => write!(f, "cannot read on ({what})"),
        }
    }
}

/// Why a file cannot be read as a capture at all.
#[derive(Debug)]
pub enum OpenError {
    /// The system refused.
    Io(io::Error),
    /// It begins like no capture.
    NotACapture,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotACapture => f.write_str("not a pcap or pcapng capture"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A capture being read.
#[derive(Debug)]
pub struct Capture {
    input: Input,
    format: Format,
    fault: Option<Fault>,
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Sections(Sections),
}

/// What a format found at its place in the input.
enum Step {
    /// A packet, and how many bytes its record has.
    Frame(Found),
    /// The end, between two records.
    End,
    /// No sense beyond here.
    Fault(Fault),
}

/// A packet inside the bytes that the input holds.
struct Found {
    time: Instant,
    link_type: LinkType,
    interface: Option<InterfaceName>,
    original_length: u32,
    /// Where its bytes begin, from the start of the record.
    offset: usize,
    length: usize,
    record_length: usize,
}

impl Capture {
    /// Opens a file; `-` is stdin.
    ///
    /// # Errors
    /// [`OpenError`] when there is no file, or none that is a capture.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if path.as_os_str() == "-" {
            return Self::new(io::stdin());
        }
        Self::new(File::open(path)?)
    }

    /// Reads from anything.
    ///
    /// # Errors
    /// [`OpenError`] when it does not begin like a capture.
    pub fn new(reader: impl io::Read + Send + 'static) -> Result<Self, OpenError> {
        let mut input = Input::new(Box::new(reader))?;
        let magic = input.array::<4>(0).ok_or(OpenError::NotACapture)?;
        let format = if magic == pcapng::SECTION_HEADER {
            Format::Sections(Sections::new())
        } else {
            Format::Classic(Classic::new(&mut input).ok_or(OpenError::NotACapture)?)
        };
        Ok(Self { input, format, fault: None, ended: false })
    }

    /// The next frame; `None` at the end, whole or not ([`Capture::fault`]).
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        if self.ended {
            return None;
        }
        let step = match &mut self.format {
            Format::Classic(classic) => classic.step(&mut self.input),
            Format::Sections(sections) => sections.step(&mut self.input),
        };
        match step {
            Step::Frame(found) => {
                let record = self.input.take(found.record_length);
                Some(Frame {
                    time: found.time,
                    link_type: found.link_type,
                    interface: found.interface,
                    original_length: found.original_length,
                    bytes: record.get(found.offset..found.offset + found.length).unwrap_or(&[]),
                })
            }
            Step::End => {
                self.ended = true;
                self.fault = self.input.fault();
                None
            }
            Step::Fault(fault) => {
                self.ended = true;
                self.fault = Some(self.input.fault().unwrap_or(fault));
                None
            }
        }
    }

    /// After the last frame: why it was not the end of the file.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}
