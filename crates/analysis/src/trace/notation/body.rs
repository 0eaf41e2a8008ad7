//! What follows the IP header.

use super::words::Word;
use super::{Written, Wrong};
use keepstate_packet::checksum::{self, Sum};
use keepstate_packet::sctp::{self, chunk};
use keepstate_packet::{Address, Family, icmp, icmpv6, tcp, udp};

/// TCP window where none is written.
const WINDOW: u16 = 8192;
/// Most bytes of options in a TCP header.
const OPTIONS_MAX: usize = 40;
/// Most bytes of data.
const DATA_MAX: usize = 65_535;

/// The upper layer.
pub(super) enum Body {
    Tcp(Segment),
    Udp { ports: (u16, u16), length_error: i16, data: Vec<u8>, unsummed: bool },
    Sctp { ports: (u16, u16), tag: u32, chunks: Vec<Chunk> },
    Icmp { kind: u8, code: u8, rest: [u8; 4], data: Vec<u8>, about: Option<About> },
    Raw(Vec<u8>),
}

#[derive(Default)]
pub(super) struct Segment {
    ports: (u16, u16),
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
    offset_error: i8,
    data: Vec<u8>,
}

pub(super) struct Chunk {
    kind: u8,
    flags: u8,
    length_error: i16,
    value: Vec<u8>,
}

/// Which packet an error quotes, and how.
#[derive(Clone, Copy)]
pub(super) struct About {
    /// Its place among the packets, from 0.
    packet: usize,
    length: usize,
    reversed: bool,
}

const PROTOCOLS: [(&str, u8); 7] = [
    ("tcp", tcp::PROTOCOL),
    ("udp", udp::PROTOCOL),
    ("udplite", udp::PROTOCOL_LITE),
    ("icmp", icmp::PROTOCOL),
    ("icmpv6", icmpv6::PROTOCOL),
    ("ipv6-icmp", icmpv6::PROTOCOL),
    ("sctp", sctp::PROTOCOL),
];

pub(crate) fn is_protocol(word: &str) -> bool {
    PROTOCOLS.iter().any(|(name, _)| *name == word) || word.parse::<u8>().is_ok()
}

pub(super) fn new(protocol: &Word, ports: (Option<u16>, Option<u16>)) -> Result<(u8, Body), Wrong> {
    let named = PROTOCOLS.iter().find(|(name, _)| protocol.is(name)).map(|(_, number)| *number);
    let ports = (ports.0.unwrap_or(0), ports.1.unwrap_or(0));
    let body = match named {
        Some(tcp::PROTOCOL) => Body::Tcp(Segment { ports, window: WINDOW, ..Segment::default() }),
        Some(udp::PROTOCOL | udp::PROTOCOL_LITE) => {
            Body::Udp { ports, length_error: 0, data: Vec::new(), unsummed: false }
        }
        Some(sctp::PROTOCOL) => Body::Sctp { ports, tag: 0, chunks: Vec::new() },
        // One that is not named is a ping.
        Some(number) => {
            let kind = if number == icmp::PROTOCOL { 8 } else { 128 };
            Body::Icmp { kind, code: 0, rest: [0; 4], data: Vec::new(), about: None }
        }
        None => {
            let number = protocol.text.parse();
            let number =
                number.map_err(|_| (protocol.at, format!("{}: no protocol", protocol.text)));
            return Ok((number?, Body::Raw(Vec::new())));
        }
    };
    Ok((named.unwrap_or(0), body))
}

impl Body {
    pub(super) const fn has_ports(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Udp { .. } | Self::Sctp { .. })
    }

    /// Reads one word.
    pub(super) fn detail(
        &mut self,
        protocol: u8,
        word: &Word,
        earlier: &[Written],
    ) -> Result<(), Wrong> {
        match self {
            Self::Tcp(segment) => segment.detail(word),
            Self::Udp { length_error, data, unsummed, .. } => match word.name() {
                "length" => word.number_signed().map(|number| *length_error = number),
                "unsummed" => {
                    *unsummed = true;
                    Ok(())
                }
                _ => more_data(data, word, "a datagram"),
            },
            Self::Sctp { tag, chunks, .. } => match (word.name(), chunks.last_mut()) {
                ("tag", _) => word.number().map(|number| *tag = number),
                ("length", Some(last)) => {
                    word.number_signed().map(|number| last.length_error = number)
                }
                ("len", Some(last)) => extend(&mut last.value, word),
                _ => chunk_of(word).map(|chunk| chunks.push(chunk)),
            },
            Self::Raw(data) => more_data(data, word, "a packet of this protocol"),
            Self::Icmp { kind, code, rest, data, about } => {
                let mut message = Message { kind, code, rest, data, about };
                message.detail(protocol, word, earlier)
            }
        }
    }

    pub(super) fn bytes(&self, protocol: u8, family: Family, earlier: &[Written]) -> Vec<u8> {
        match self {
            Self::Tcp(segment) => segment.bytes(),
            Self::Udp { ports, length_error, data, .. } => {
                let length = match protocol {
                    udp::PROTOCOL_LITE => 0,
                    _ => u16::try_from(data.len() + 8).unwrap_or(u16::MAX),
                };
                let mut out = begin(*ports);
                out.extend(length.wrapping_add_signed(*length_error).to_be_bytes());
                out.extend([0, 0]);
                out.extend(data);
                out
            }
            Self::Sctp { ports, tag, chunks } => {
                let mut out = begin(*ports);
                out.extend(tag.to_be_bytes());
                out.extend([0; 4]);
                for chunk in chunks {
                    let length = u16::try_from(chunk.value.len() + 4).unwrap_or(u16::MAX);
                    out.extend([chunk.kind, chunk.flags]);
                    out.extend(length.wrapping_add_signed(chunk.length_error).to_be_bytes());
                    out.extend(&chunk.value);
                    out.resize(out.len().next_multiple_of(4), 0);
                }
                out
            }
            Self::Icmp { kind, code, rest, data, about } => {
                let mut out = vec![*kind, *code, 0, 0];
                out.extend(rest);
                out.extend(data);
                if let Some(about) = about {
                    out.extend(about.quoted(family, earlier));
                }
                out
            }
            Self::Raw(data) => data.clone(),
        }
    }
}

fn begin(ports: (u16, u16)) -> Vec<u8> {
    [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat()
}

impl Word {
    fn number_signed<T: std::str::FromStr>(&self) -> Result<T, Wrong> {
        let text = || (self.value_at(), format!("{}: not a number that fits", self.value()));
        self.value().parse().map_err(|_| text())
    }
}

/// Text in quotes, or `len=N` bytes of zero.
fn more_data(data: &mut Vec<u8>, word: &Word, whose: &str) -> Result<(), Wrong> {
    if word.quoted {
        // Each character is a byte by now.
        data.extend(word.text.chars().map(|char| char as u8));
    } else if word.name() == "len" {
        return extend(data, word);
    } else {
        return Err(word.unknown(whose));
    }
    match data.len() > DATA_MAX {
        true => Err((word.at, format!("more than {DATA_MAX} bytes"))),
        false => Ok(()),
    }
}

fn extend(data: &mut Vec<u8>, word: &Word) -> Result<(), Wrong> {
    let length = data.len() + usize::from(word.number::<u16>()?);
    if length > DATA_MAX {
        return Err((word.at, format!("more than {DATA_MAX} bytes")));
    }
    data.resize(length, 0);
    Ok(())
}

/// Flags by their bit.
const FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

fn flags(word: &str) -> Option<u8> {
    word.split([',', '-']).try_fold(0, |all, name| {
        let bit = FLAGS.iter().position(|flag| flag.eq_ignore_ascii_case(name))?;
        Some(all | 1 << bit)
    })
}

impl Segment {
    fn detail(&mut self, word: &Word) -> Result<(), Wrong> {
        if let (false, Some(flags)) = (word.quoted, flags(&word.text)) {
            self.flags |= flags;
            return Ok(());
        }
        match word.name() {
            "none" => {}
            "seq" => self.sequence = word.number()?,
            "ack" => self.acknowledgment = word.number()?,
            "win" => self.window = word.number()?,
            "offset" => self.offset_error = word.number_signed()?,
            "mss" => {
                self.options.extend([2, 4]);
                self.options.extend(word.number::<u16>()?.to_be_bytes());
            }
            "wscale" => self.options.extend([1, 3, 3, word.number()?]),
            "sackok" => self.options.extend([1, 1, 4, 2]),
            "sack" => {
                let (left, right) = word.range()?;
                self.options.extend([1, 1, 5, 10]);
                self.options.extend(left.to_be_bytes());
                self.options.extend(right.to_be_bytes());
            }
            _ => return more_data(&mut self.data, word, "a segment"),
        }
        match self.options.len() > OPTIONS_MAX {
            true => Err((word.at, format!("more than {OPTIONS_MAX} bytes of options"))),
            false => Ok(()),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let words = u8::try_from(5 + self.options.len() / 4).unwrap_or(15);
        let words = words.wrapping_add_signed(self.offset_error) & 15;
        let mut out = begin(self.ports);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.acknowledgment.to_be_bytes());
        out.extend([words << 4, self.flags]);
        out.extend(self.window.to_be_bytes());
        out.extend([0; 4]);
        out.extend(&self.options);
        out.extend(&self.data);
        out
    }
}

/// Chunks by their names.
const CHUNKS: [(&str, u8); 13] = [
    ("DATA", chunk::DATA),
    ("INIT", chunk::INIT),
    ("INIT-ACK", chunk::INIT_ACK),
    ("SACK", chunk::SACK),
    ("HEARTBEAT", chunk::HEARTBEAT),
    ("HEARTBEAT-ACK", chunk::HEARTBEAT_ACK),
    ("ABORT", chunk::ABORT),
    ("SHUTDOWN", chunk::SHUTDOWN),
    ("SHUTDOWN-ACK", chunk::SHUTDOWN_ACK),
    ("ERROR", chunk::ERROR),
    ("COOKIE-ECHO", chunk::COOKIE_ECHO),
    ("COOKIE-ACK", chunk::COOKIE_ACK),
    ("SHUTDOWN-COMPLETE", chunk::SHUTDOWN_COMPLETE),
];

/// `INIT=TAG` says which tag its sender wants to see, `ABORT=T` sets the T bit.
fn chunk_of(word: &Word) -> Result<Chunk, Wrong> {
    let known = CHUNKS.iter().find(|(name, _)| !word.quoted && *name == word.name());
    let kind = known.map(|(_, kind)| *kind).ok_or_else(|| word.unknown("an SCTP packet"))?;
    let mut made = Chunk { kind, flags: 0, length_error: 0, value: Vec::new() };
    match (kind, word.value()) {
        (chunk::INIT | chunk::INIT_ACK, _) => {
            made.value.extend(word.number::<u32>()?.to_be_bytes());
            made.value.resize(sctp::INIT_LENGTH, 0);
        }
        (chunk::ABORT | chunk::SHUTDOWN_COMPLETE, "T") => made.flags = chunk::T_BIT,
        (_, "") => {}
        _ => return Err((word.value_at(), "this chunk takes no value".to_owned())),
    }
    Ok(made)
}

/// Type and code of an ICMP message by its name, as rules have it: `time-exceeded`, `host-unreachable`.
fn named(protocol: u8, name: &str) -> Option<(u8, u8)> {
    // Numbers have a form of their own.
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic());
    is_name.then(|| crate::prose::icmp::number(protocol == icmp::PROTOCOL, name)).flatten()
}

struct Message<'b> {
    kind: &'b mut u8,
    code: &'b mut u8,
    rest: &'b mut [u8; 4],
    data: &'b mut Vec<u8>,
    about: &'b mut Option<About>,
}

impl Message<'_> {
    fn detail(&mut self, protocol: u8, word: &Word, earlier: &[Written]) -> Result<(), Wrong> {
        if let (false, Some((kind, code))) = (word.quoted, named(protocol, &word.text)) {
            (*self.kind, *self.code) = (kind, code);
            return Ok(());
        }
        let [a, b, c, d] = &mut *self.rest;
        match word.name() {
            "id" => [*a, *b] = word.number::<u16>()?.to_be_bytes(),
            "seq" => [*c, *d] = word.number::<u16>()?.to_be_bytes(),
            "mtu" => *self.rest = word.number::<u32>()?.to_be_bytes(),
            "about" => {
                let about: usize = word.number()?;
                if about == 0 || about > earlier.len() {
                    let text = format!("about={about} quotes no earlier packet");
                    return Err((word.value_at(), text));
                }
                *self.about =
                    Some(About { packet: about - 1, length: usize::MAX, reversed: false });
            }
            "quote" | "reversed" => {
                let Some(about) = self.about else {
                    return Err((word.at, format!("{}: stands behind about=N", word.name())));
                };
                match word.name() {
                    "quote" => about.length = word.number()?,
                    _ => about.reversed = true,
                }
            }
            _ => match word.text.split_once('/').filter(|_| !word.quoted) {
                Some((kind, code)) => {
                    let both = kind.parse().ok().zip(code.parse().ok());
                    let wrong = || (word.at, format!("{}: want TYPE/CODE", word.text));
                    (*self.kind, *self.code) = both.ok_or_else(wrong)?;
                }
                None => return more_data(self.data, word, "an ICMP message"),
            },
        }
        Ok(())
    }
}

impl About {
    fn quoted(self, family: Family, earlier: &[Written]) -> Vec<u8> {
        let mut bytes = earlier.get(self.packet).map(|one| one.bytes.clone()).unwrap_or_default();
        if self.reversed {
            let (addresses, length) = if family == Family::V6 { (8, 16) } else { (12, 4) };
            for (at, length) in [(addresses, length), (addresses + 2 * length, 2)] {
                if let Some(both) = bytes.get_mut(at..at + 2 * length) {
                    let (one, other) = both.split_at_mut(length);
                    one.swap_with_slice(other);
                }
            }
        }
        bytes.truncate(self.length);
        bytes
    }
}

pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(field) = bytes.get_mut(at..at + N) {
        field.copy_from_slice(&value);
    }
}

/// Puts the checksum of the upper layer in, off by so much.
pub(super) fn seal(
    body: &Body,
    protocol: u8,
    ends: [Address; 2],
    transport: &mut [u8],
    off_by: u16,
) {
    let at = match body {
        Body::Raw(_) | Body::Udp { unsummed: true, .. } => return,
        Body::Sctp { .. } => {
            if transport.len() >= sctp::HEADER_LENGTH {
                let [first, rest @ ..] = checksum::sctp_checksum(transport);
                let [second, third, fourth] = rest;
                let off_by = off_by.to_be_bytes()[1];
                put(transport, 8, [first ^ off_by, second, third, fourth]);
            }
            return;
        }
        Body::Tcp(_) => 16,
        Body::Udp { .. } => 6,
        Body::Icmp { .. } => 2,
    };
    if transport.len() < at + 2 {
        return;
    }
    put(transport, at, [0, 0]);
    let covered = match (protocol, &*transport) {
        (udp::PROTOCOL_LITE, [_, _, _, _, a, b, ..]) => match u16::from_be_bytes([*a, *b]) {
            0 => transport.len(),
            coverage => usize::from(coverage).min(transport.len()),
        },
        _ => transport.len(),
    };
    let sum = match protocol {
        icmp::PROTOCOL => Sum::ZERO,
        _ => {
            let [source, destination] = ends;
            let length = u16::try_from(transport.len()).unwrap_or(u16::MAX);
            let sum = Sum::ZERO.bytes(&source.0).bytes(&destination.0);
            sum.number(u16::from(protocol)).number(length)
        }
    };
    let sum = sum.bytes(transport.get(..covered).unwrap_or(transport)).checksum();
    let sum = match (sum, protocol) {
        (0, udp::PROTOCOL | udp::PROTOCOL_LITE) => 0xffff,
        (sum, _) => sum,
    };
    put(transport, at, sum.wrapping_add(off_by).to_be_bytes());
}
