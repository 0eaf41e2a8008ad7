//! pcapng out: every packet with a comment that says what the filter did with it.

use keepstate_packet::{Instant, InterfaceName, link::LinkType};
use std::io::{self, Write};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const OPTION_IF_NAME: u16 = 2;
const OPTION_IF_TSRESOL: u16 = 9;
const OPTION_EPB_FLAGS: u16 = 2;

/// `if_tsresol`: ticks of a nanosecond.
const NANOSECONDS: u8 = 9;

/// What is written of a packet beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// When.
    pub time: Instant,
    /// Link type of the bytes.
    pub link_type: LinkType,
    /// The interface it crossed.
    pub interface: InterfaceName,
    /// Inbound, or made by the filter and outbound; not written of link type NFLOG.
    pub outbound: bool,
    /// Length on the wire in bytes.
    pub original_length: u32,
    /// UTF-8; at most 65,535 bytes are written. Empty: no comment.
    pub comment: &'a str,
}

/// Writes a pcapng file.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    /// Those described so far: a name may stand here once for each link type.
    interfaces: Vec<(InterfaceName, LinkType)>,
    block: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, interfaces: Vec::new(), block: Vec::new() };
        writer.begin(SECTION_HEADER);
        writer.word(0x1a2b_3c4d);
        writer.half(1);
        writer.half(0);
        writer.block.extend_from_slice(&u64::MAX.to_le_bytes());
        writer.end()?;
        Ok(writer)
    }

    /// Writes one packet.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, note: &Note<'_>, bytes: &[u8]) -> io::Result<()> {
        let interface = self.interface(note.interface, note.link_type)?;
        self.begin(ENHANCED_PACKET);
        self.word(interface);
        self.word((note.time.0 >> 32) as u32);
        self.word(note.time.0 as u32);
        self.word(bytes.len() as u32);
        self.word(note.original_length);
        self.block.extend_from_slice(bytes);
        self.pad();
        // What is logged is told to nobody on a wire.
        if note.link_type != LinkType::NFLOG {
            self.option(OPTION_EPB_FLAGS, &(1 + u32::from(note.outbound)).to_le_bytes());
        }
        if !note.comment.is_empty() {
            let whole = |end: &usize| note.comment.is_char_boundary(*end);
            let longest = note.comment.len().min(usize::from(u16::MAX));
            let end = (0..=longest).rev().find(whole).unwrap_or(0);
            self.option(OPTION_COMMENT, note.comment.as_bytes().get(..end).unwrap_or(&[]));
        }
        self.option(OPTION_END, &[]);
        self.end()
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn interface(&mut self, name: InterfaceName, link_type: LinkType) -> io::Result<u32> {
        if let Some(index) = self.interfaces.iter().position(|known| *known == (name, link_type)) {
            return Ok(index as u32);
        }
        self.begin(INTERFACE_DESCRIPTION);
        self.half(link_type.0);
        self.half(0);
        self.word(0);
        self.option(OPTION_IF_NAME, name.as_str().as_bytes());
        self.option(OPTION_IF_TSRESOL, &[NANOSECONDS]);
        self.option(OPTION_END, &[]);
        self.end()?;
        self.interfaces.push((name, link_type));
        Ok(self.interfaces.len() as u32 - 1)
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.word(kind);
        self.word(0);
    }

    fn end(&mut self) -> io::Result<()> {
        let length = self.block.len() as u32 + 4;
        self.word(length);
        if let Some(field) = self.block.get_mut(4..8) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        self.out.write_all(&self.block)
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.half(code);
        self.half(value.len() as u16);
        self.block.extend_from_slice(value);
        self.pad();
    }

    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn word(&mut self, value: u32) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    fn half(&mut self, value: u16) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }
}
