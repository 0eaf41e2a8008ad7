//! Packets in words: `tcp 10.0.0.5:1234 > 192.0.2.1:80 syn in eth0`, a line each, in the notation of
//! `spec/README.md`. Made into bytes, lengths and checksums right unless the words say otherwise.

mod body;
pub(crate) mod words;

use body::Body;
pub(crate) use body::is_protocol;
use keepstate_packet::{Address, Family, InterfaceName, checksum};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use words::{Word, words};

/// Most packets that are read.
pub const PACKETS_MAX: usize = 10_000;
/// Most bytes of all packets together.
pub const BYTES_MAX: usize = 16 << 20;
/// TTL or hop limit where none is written.
const TTL: u8 = 64;
/// Between two packets where no time is written.
pub const APART: Duration = Duration::from_millis(10);

/// What stands first, behind the interface.
const PROTOCOLS: &str = "tcp, udp, udplite, icmp, icmpv6, sctp or a number";

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is not said.
    Unsaid,
    /// The host itself sends it.
    Host,
    /// It comes in on this interface.
    Interface(InterfaceName),
}

/// A packet that somebody has written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The line that it stands in, from 1.
    pub line: usize,
    /// Time since the first one.
    pub at: Duration,
    /// The comment above it.
    pub note: Option<String>,
    /// Where it comes from.
    pub way: Way,
    /// Its mark.
    pub mark: u32,
    /// From the IP header on.
    pub bytes: Vec<u8>,
}

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub text: String,
    /// The line itself.
    pub source: String,
}

impl fmt::Display for Fault {
    /// The fault, and below it the line with a mark under the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        writeln!(f, "    {}", self.source)?;
        write!(f, "    {:>1$}", "^", self.column)
    }
}

/// What is wrong, and the byte of the line that it begins at.
pub(crate) type Wrong = (usize, String);

/// Reads packets, each with those before it in mind.
#[derive(Debug, Default)]
pub struct Reader {
    written: Vec<Written>,
    time: Duration,
    note: Option<String>,
    waited: bool,
    bytes: usize,
}

impl Reader {
    /// Reads the lines of a text. Empty ones and comments (`#`) are left out, the comment above a packet
    /// stays with it; `+31s` (`ms s min h d`) lets time pass.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn lines(&mut self, text: &str) -> Result<(), Fault> {
        for (number, line) in (1..).zip(text.lines()) {
            self.line(number, line).map_err(|(at, text)| Fault {
                line: number,
                column: line.get(..at).unwrap_or(line).chars().count() + 1,
                text,
                source: line.replace('\t', " "),
            })?;
        }
        Ok(())
    }

    /// What was read so far.
    #[must_use]
    pub fn written(&self) -> &[Written] {
        &self.written
    }

    /// What was read.
    #[must_use]
    pub fn finish(self) -> Vec<Written> {
        self.written
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), Wrong> {
        let text = line.trim();
        if text.is_empty() {
            self.note = None;
            return Ok(());
        }
        if let Some(note) = text.strip_prefix('#') {
            let note = note.trim();
            self.note = Some(match self.note.take() {
                Some(before) => format!("{before} {note}"),
                None => note.to_owned(),
            });
            return Ok(());
        }
        let start = line.len() - line.trim_start().len();
        if let Some(time) = text.strip_prefix('+') {
            let time = duration(time).and_then(|time| self.time.checked_add(time));
            self.time =
                time.ok_or((start, format!("{text}: want +NUMBER and ms, s, min, h or d")))?;
            self.waited = true;
            return Ok(());
        }
        if self.written.len() >= PACKETS_MAX {
            return Err((start, format!("more than {PACKETS_MAX} packets")));
        }
        if !self.written.is_empty() && !std::mem::take(&mut self.waited) {
            self.time += APART;
        }
        let packet = self.packet(number, line)?;
        self.bytes += packet.bytes.len();
        if self.bytes > BYTES_MAX {
            return Err((start, format!("more than {} MiB of packets", BYTES_MAX >> 20)));
        }
        self.written.push(packet);
        Ok(())
    }

    fn packet(&mut self, number: usize, line: &str) -> Result<Written, Wrong> {
        let all = words(line)?;
        let mut rest = described(&all);
        let mut way = Way::Unsaid;
        if let [first, others @ ..] = rest
            && !is_protocol(&first.text)
        {
            way = self::way(first, PROTOCOLS)?;
            rest = others;
        }
        if let Some(word) = rest.first().filter(|word| !is_protocol(&word.text)) {
            return Err((word.at, format!("{}: no protocol; want {PROTOCOLS}", word.text)));
        }
        let [protocol, source, arrow, destination, details @ ..] = rest else {
            let text = "want [INTERFACE] PROTOCOL SOURCE > DESTINATION ...";
            return Err((line.len(), text.to_owned()));
        };
        if !arrow.is(">") && !arrow.is("->") {
            return Err((arrow.at, format!("{}: want `>` between the addresses", arrow.text)));
        }
        let mut from = endpoint(source)?;
        let to = endpoint(destination)?;
        if from.0.is_ipv4() != to.0.is_ipv4() {
            return Err((destination.at, "the two addresses are of different families".to_owned()));
        }
        let mut draft = Draft {
            source: from.0,
            destination: to.0,
            ttl: TTL,
            tos: 0,
            identification: u16::try_from(self.written.len() + 1).unwrap_or(0),
            protocol: 0,
            piece: None,
            cut: None,
            bad_checksum: false,
            bad_header: false,
            mark: 0,
            body: Body::Raw(Vec::new()),
        };
        // Whoever calls a port without saying from which has one of those that systems choose.
        if from.1.is_none() && to.1.is_some() {
            from.1 = Some(crate::conversation::CLIENT_PORT);
        }
        (draft.protocol, draft.body) = body::new(protocol, (from.1, to.1))?;
        if draft.body.has_ports() && (from.1.is_none() || to.1.is_none()) {
            let word = if from.1.is_none() { source } else { destination };
            return Err((word.at, format!("{}: want ADDRESS:PORT", word.text)));
        }
        let mut details = details.iter();
        while let Some(word) = details.next() {
            match (word.is("in"), details.as_slice().first()) {
                (true, Some(name)) => {
                    way = self::way(name, "an interface")?;
                    details.next();
                }
                (false, Some(_)) if word.is("out") => {
                    let text = "out: by which interface it leaves, routing says (--host, --out)";
                    return Err((word.at, text.to_owned()));
                }
                _ => draft.detail(word, &self.written)?,
            }
        }
        let bytes = draft.bytes(&self.written);
        if bytes.len() > usize::from(u16::MAX) {
            return Err((0, "a packet of more than 65,535 bytes".to_owned()));
        }
        let (at, note) = (self.time, self.note.take());
        Ok(Written { line: number, at, note, way, mark: draft.mark, bytes })
    }
}

/// The words of a packet. What becomes of it, as the pages of spec/ have it, is not asked here: it stands behind `->`.
fn described(all: &[Word]) -> &[Word] {
    let arrow = all.iter().any(|word| word.is(">"));
    let end = all.iter().position(|word| word.is("->")).filter(|_| arrow);
    all.get(..end.unwrap_or(all.len())).unwrap_or(&[])
}

fn way(word: &Word, wanted: &str) -> Result<Way, Wrong> {
    if word.is("host") {
        return Ok(Way::Host);
    }
    let name = InterfaceName::new(&word.text);
    name.map(Way::Interface).ok_or((word.at, format!("{}: want {wanted}", word.text)))
}

fn endpoint(word: &Word) -> Result<(IpAddr, Option<u16>), Wrong> {
    if let Ok(both) = word.text.parse::<SocketAddr>() {
        return Ok((both.ip(), Some(both.port())));
    }
    let address = word.text.parse().map(|address| (address, None));
    address.map_err(|_| {
        let wanted = "want ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT";
        (word.at, format!("{}: {wanted}", word.text))
    })
}

pub(crate) fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u32 = number.parse().ok()?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
        _ => return None,
    };
    unit.checked_mul(number)
}

/// A packet before it is bytes.
struct Draft {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    tos: u8,
    identification: u16,
    protocol: u8,
    /// Of what follows the IP header only these bytes, as a fragment.
    piece: Option<(usize, usize)>,
    /// It ends after so many bytes behind the IP header.
    cut: Option<usize>,
    bad_checksum: bool,
    bad_header: bool,
    mark: u32,
    body: Body,
}

/// Identification of fragments: those of a text belong together.
const IDENTIFICATION_OF_PIECES: u16 = 0x7069;

impl Draft {
    fn detail(&mut self, word: &Word, earlier: &[Written]) -> Result<(), Wrong> {
        match word.name() {
            "ipid" => self.identification = word.number()?,
            "ttl" => self.ttl = word.number()?,
            "tos" => self.tos = word.number()?,
            "mark" => self.mark = word.number()?,
            "cut" => self.cut = Some(word.number()?),
            "bad-checksum" => self.bad_checksum = true,
            "bad-header-checksum" => self.bad_header = true,
            "piece" => {
                let (from, to) = word.range()?;
                let (from, to) = (from as usize, to as usize);
                if from % 8 != 0 || from >= to {
                    let text = "a fragment begins at a multiple of 8, before its end";
                    return Err((word.at, text.to_owned()));
                }
                (self.piece, self.identification) = (Some((from, to)), IDENTIFICATION_OF_PIECES);
            }
            _ => return self.body.detail(self.protocol, word, earlier),
        }
        Ok(())
    }

    fn family(&self) -> Family {
        if self.source.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn bytes(&self, earlier: &[Written]) -> Vec<u8> {
        let (source, destination) = (Address::from(self.source), Address::from(self.destination));
        let mut transport = self.body.bytes(self.protocol, self.family(), earlier);
        if let Some(length) = self.cut {
            transport.truncate(length);
        }
        let off_by = u16::from(self.bad_checksum);
        body::seal(&self.body, self.protocol, [source, destination], &mut transport, off_by);
        let all = transport.len();
        let (from, to) = self.piece.unwrap_or((0, all));
        let (from, to) = (from.min(all), to.min(all));
        let data = transport.get(from..to).unwrap_or(&[]);
        let more = u16::from(to < all);
        let place = u16::try_from(from / 8).unwrap_or(u16::MAX);
        let mut out = match self.family() {
            Family::V4 => {
                let flags = if self.piece.is_some() { place | more << 13 } else { 0x4000 };
                let mut out = vec![0x45, self.tos];
                out.extend(u16::try_from(20 + data.len()).unwrap_or(u16::MAX).to_be_bytes());
                out.extend(self.identification.to_be_bytes());
                out.extend(flags.to_be_bytes());
                out.extend([self.ttl, self.protocol, 0, 0]);
                out.extend(source.v4_octets());
                out.extend(destination.v4_octets());
                let sum = checksum::compute(&out).wrapping_add(u16::from(self.bad_header));
                body::put(&mut out, 10, sum.to_be_bytes());
                out
            }
            Family::V6 => {
                const FRAGMENT: u8 = 44;
                let header = if self.piece.is_some() { 8 } else { 0 };
                let mut out = vec![0x60 | self.tos >> 4, self.tos << 4, 0, 0];
                out.extend(u16::try_from(header + data.len()).unwrap_or(u16::MAX).to_be_bytes());
                let next = if self.piece.is_some() { FRAGMENT } else { self.protocol };
                out.extend([next, self.ttl]);
                out.extend(source.0);
                out.extend(destination.0);
                if self.piece.is_some() {
                    out.extend([self.protocol, 0]);
                    out.extend((place << 3 | more).to_be_bytes());
                    out.extend(u32::from(self.identification).to_be_bytes());
                }
                out
            }
        };
        out.extend(data);
        out
    }
}

#[cfg(test)]
mod tests;
