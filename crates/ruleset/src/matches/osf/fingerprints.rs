//! Fingerprints of operating systems from a file such as pf.os: what a SYN of each looks like. A line has nine
//! fields, `WINDOW:TTL:DF:LENGTH:OPTIONS:GENRE:VERSION:SUBTYPE:DETAILS`; `#` begins a comment.
//!
//! Source: the head of pf.os, and what nfnl_osf(8) was seen to make of lines. It is forgiving: what is no number
//! is 0, options that it does not know it leaves out, and the values of options (`M1460`, `W2`) count for nothing
//! when packets are compared. A window of 0 and one that is no number stand for any, as `*` does. Before a genre
//! `*` and `@` are taken away.

use alloc::{format, string::String, vec::Vec};

/// Most fingerprints: each SYN is held against all of them.
pub const FINGERPRINTS_MAX: usize = 4096;
/// Most options of one.
pub const OPTIONS_MAX: usize = 40;
/// Longest name in bytes; the rest is cut off.
pub const NAME_MAX: usize = 31;
/// Longest line that is looked at, in bytes.
const LINE_MAX: usize = 1024;

/// What a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// This one, or any where it is 0.
    Plain(u32),
    /// So many maximum segment sizes.
    SegmentSizes(u32),
    /// So many MTUs: 40 bytes more than the maximum segment size.
    Mtus(u32),
    /// A multiple of this, which is not 0.
    Multiple(u32),
}

/// A TCP option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOption {
    /// Kind.
    pub kind: u8,
    /// Length.
    pub length: u8,
    /// What the file says of its value, or of what that is a multiple: tells fingerprints apart, and packets
    /// are not asked for it.
    pub value: (bool, u32),
}

/// What a SYN of a system looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Its window.
    pub window: Window,
    /// The TTL that it is sent with.
    pub ttl: u8,
    /// Whether it may not be fragmented.
    pub dont_fragment: bool,
    /// Length of the whole packet.
    pub length: u16,
    /// Its TCP options, in order.
    pub options: Vec<TcpOption>,
    /// `Linux`.
    pub genre: String,
    /// `2.6`.
    pub version: String,
    /// Of the version.
    pub subtype: String,
}

/// Why a file was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
}

/// Fingerprints, in the order of their file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints {
    all: Vec<Fingerprint>,
}

impl Fingerprints {
    /// Reads a file; one that is there already is not taken twice.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn load(&mut self, text: &str) -> Result<(), Fault> {
        for (line, row) in (1..).zip(text.lines()) {
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let fault = |text: String| Fault { line, text };
            if row.len() > LINE_MAX {
                return Err(fault(format!("longer than {LINE_MAX} bytes")));
            }
            let read = fingerprint(row).map_err(|text| fault(text.into()))?;
            if self.all.len() >= FINGERPRINTS_MAX {
                return Err(fault(format!("more than {FINGERPRINTS_MAX} fingerprints")));
            }
            if !self.all.contains(&read) {
                self.all.push(read);
            }
        }
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fingerprint> {
        self.all.iter()
    }
}

fn fingerprint(row: &str) -> Result<Fingerprint, &'static str> {
    const FORM: &str =
        "not WINDOW:TTL:DF:LENGTH:OPTIONS:GENRE:VERSION:SUBTYPE:DETAILS, as in pf.os";
    let fields: Vec<&str> = row.split(':').collect();
    let [window, ttl, dont_fragment, length, options, genre, version, subtype, _] =
        fields.as_slice()
    else {
        return Err(FORM);
    };
    let window = match window.chars().next() {
        Some('%') => Window::Multiple(number(behind(window))),
        Some('S') => Window::SegmentSizes(number(behind(window))),
        Some('T') => Window::Mtus(number(behind(window))),
        Some('0'..='9') => Window::Plain(number(window)),
        _ => Window::Plain(0),
    };
    if window == Window::Multiple(0) {
        return Err("no window is a multiple of 0");
    }
    let options: Vec<_> = options.split(',').filter_map(option).collect();
    if options.len() > OPTIONS_MAX {
        return Err("more than 40 options");
    }
    let genre = genre.trim_start();
    let genre = genre.strip_prefix(['*', '@']).unwrap_or(genre);
    Ok(Fingerprint {
        window,
        ttl: number(ttl.trim_start()) as u8,
        dont_fragment: number(dont_fragment.trim_start()) as u8 != 0,
        length: number(length.trim_start()) as u16,
        options,
        genre: cut(genre),
        version: cut(version.trim_start()),
        subtype: cut(subtype.trim_start()),
    })
}

fn behind(text: &str) -> &str {
    text.get(1..).unwrap_or("")
}

/// The number that a text begins with, of which 32 bits are kept.
fn number(text: &str) -> u32 {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    let number = digits
        .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    number as u32
}

fn option(text: &str) -> Option<TcpOption> {
    let text = text.trim_start();
    let (kind, length) = match text.chars().next()? {
        'E' => (0, 1),
        'N' => (1, 1),
        'M' => (2, 4),
        'W' => (3, 3),
        'S' => (4, 2),
        'T' => (8, 10),
        _ => return None,
    };
    let value = match behind(text) {
        value if kind == 2 || kind == 3 => match value.strip_prefix('%') {
            Some(of) => (true, number(of)),
            None => (false, number(value)),
        },
        _ => (false, 0),
    };
    Some(TcpOption { kind, length, value })
}

fn cut(text: &str) -> String {
    let end = (0..=NAME_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or("").into()
}
