//! The notation of a packet: one line to a draft of it and what is to become of it.

use crate::fuzz::draft::{
    Body, Damage, Draft, ICMP, ICMPV6, Network, Quote, SCTP, SctpPacket, Segment, TCP, UDP, UDPLITE,
};
use crate::fuzz::random::Random;
use crate::observation::Side;
use keepstate_packet::{Address, Family, checksum};
use std::net::{IpAddr, SocketAddr};

/// TTL or hop limit where none is written.
const TTL: u8 = 64;
/// TCP window where none is written.
const WINDOW: u16 = 8192;
/// Identification of fragments where none is written: those of a case belong together.
const IDENTIFICATION_OF_PIECES: u16 = 0x7069;
/// Bytes of the quoted packet in an ICMP error where no number is written: all of it.
const QUOTED: usize = 1 << 16;

/// A line of a `packets` block.
#[derive(Clone, Debug)]
pub struct Line {
    /// The packet.
    pub(crate) draft: Draft,
    /// Of what follows the IP header only these bytes, as a fragment.
    pub(crate) piece: Option<(usize, usize)>,
    /// What is written behind the arrow, blanks single.
    pub(crate) expected: String,
}

/// Reads a line; `number` packets of the case stand before it.
pub(crate) fn parse(text: &str, number: usize) -> Result<Line, String> {
    let (packet, expected) = text.rsplit_once("->").ok_or("want `PACKET -> WHAT BECOMES OF IT`")?;
    let words = words(packet)?;
    let [interface, protocol, source, arrow, destination, details @ ..] = words.as_slice() else {
        return Err("want `INTERFACE PROTOCOL SOURCE > DESTINATION ...`".to_owned());
    };
    if arrow != ">" {
        return Err(format!("{arrow}: want `>`"));
    }
    let side = match interface.as_str() {
        "eth0" | "host" => Side::A,
        "eth1" => Side::B,
        other => return Err(format!("{other}: want eth0, eth1 or host")),
    };
    let (source, destination) = (endpoint(source)?, endpoint(destination)?);
    let network = Network {
        family: if source.0.is_ipv4() { Family::V4 } else { Family::V6 },
        source: Address::from(source.0),
        destination: Address::from(destination.0),
        ttl: TTL,
        tos: 0,
        identification: u16::try_from(number + 1).unwrap_or(0),
    };
    let ports = (source.1, destination.1);
    let (protocol, body) = body(protocol, ports)?;
    let mut draft = Draft::new(side, network, protocol, body);
    let mut cut = None;
    for word in details {
        match word.strip_prefix("piece=") {
            Some(span) => {
                cut = Some(piece(span)?);
                draft.network.identification = IDENTIFICATION_OF_PIECES;
            }
            None => detail(&mut draft, word, number)?,
        }
    }
    Ok(Line {
        draft,
        piece: cut,
        expected: expected.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

/// Words, those in quotes with their escapes read and the quote before them kept as a mark.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, behind) = unescaped(quoted)?;
            words.push(format!("\"{text}"));
            rest = behind.trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    Ok(words)
}

/// The text up to the closing quote, a character for each byte, and what stands behind it.
fn unescaped(quoted: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next().ok_or("a quote without an end")? {
            '"' => return Ok((text, chars.as_str())),
            '\\' => text.push(match chars.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(same @ ('"' | '\\')) => same,
                Some('x') => {
                    let digits = chars.as_str().get(..2).ok_or("\\x wants two digits")?;
                    chars.nth(1);
                    let byte = u8::from_str_radix(digits, 16);
                    byte.map_err(|_| format!("\\x{digits}: not a byte"))?.into()
                }
                other => return Err(format!("{other:?}: no such escape")),
            }),
            plain => text.push(plain),
        }
    }
}

fn endpoint(text: &str) -> Result<(IpAddr, u16), String> {
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Ok((both.ip(), both.port()));
    }
    text.parse().map(|address| (address, 0)).map_err(|_| format!("{text}: not an address"))
}

fn piece(span: &str) -> Result<(usize, usize), String> {
    let (from, to) = span.split_once('-').ok_or("want piece=FROM-TO")?;
    let (from, to) = (read::<usize>(from)?, read::<usize>(to)?);
    if from % 8 != 0 || from >= to {
        return Err(format!("{span}: a fragment begins at a multiple of 8, before its end"));
    }
    Ok((from, to))
}

impl Line {
    /// The packet as bytes; `earlier` are those before it.
    pub(crate) fn bytes(&self, earlier: &[(Side, Vec<u8>)]) -> Vec<u8> {
        // Nothing that the notation can write is left to chance.
        let whole = self.draft.bytes(earlier, &mut Random::part(0, 0));
        let Some((from, to)) = self.piece else { return whole };
        match self.draft.network.family {
            Family::V4 => fragment_v4(&whole, from, to),
            Family::V6 => fragment_v6(&whole, from, to),
        }
    }
}

/// Where a fragment begins, in the form of the header field, and its bytes; `more` is the bit that
/// says that others follow.
fn fragment(body: &[u8], from: usize, to: usize, shift: u32, more: u16) -> (u16, &[u8]) {
    let to = to.min(body.len());
    let place = u16::try_from(from / 8).unwrap_or(u16::MAX) << shift;
    let more = if to < body.len() { more } else { 0 };
    (place | more, body.get(from..to).unwrap_or(&[]))
}

fn fragment_v4(whole: &[u8], from: usize, to: usize) -> Vec<u8> {
    const HEADER: usize = 20;
    let (head, body) = whole.split_at(HEADER.min(whole.len()));
    let (place, body) = fragment(body, from, to, 0, 0x2000);
    let mut out = [head, body].concat();
    let length = u16::try_from(out.len()).unwrap_or(u16::MAX);
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out[6..8].copy_from_slice(&place.to_be_bytes());
    checksum::fill_ipv4_header(&mut out);
    out
}

fn fragment_v6(whole: &[u8], from: usize, to: usize) -> Vec<u8> {
    const HEADER: usize = 40;
    const FRAGMENT: u8 = 44;
    let (head, body) = whole.split_at(HEADER.min(whole.len()));
    let (place, body) = fragment(body, from, to, 3, 1);
    let mut out = head.to_vec();
    let length = u16::try_from(body.len() + 8).unwrap_or(u16::MAX);
    out[4..6].copy_from_slice(&length.to_be_bytes());
    let next = std::mem::replace(&mut out[6], FRAGMENT);
    out.extend([next, 0]);
    out.extend(place.to_be_bytes());
    out.extend(u32::from(IDENTIFICATION_OF_PIECES).to_be_bytes());
    out.extend(body);
    out
}

fn body(protocol: &str, ports: (u16, u16)) -> Result<(u8, Body), String> {
    let icmp = || Body::Icmp { kind: 0, code: 0, rest: [0; 4], payload: Vec::new() };
    let udp = || Body::Udp { ports, length_error: 0, payload: Vec::new(), unsummed: false };
    Ok(match protocol {
        "tcp" => {
            let segment = Segment {
                source_port: ports.0,
                destination_port: ports.1,
                window: WINDOW,
                ..Segment::default()
            };
            (TCP, Body::Tcp(segment))
        }
        "sctp" => (SCTP, Body::Sctp(SctpPacket { ports, ..SctpPacket::default() })),
        "udp" => (UDP, udp()),
        "udplite" => (UDPLITE, udp()),
        "icmp" => (ICMP, icmp()),
        "icmpv6" => (ICMPV6, icmp()),
        number => {
            let number = number.parse().map_err(|_| format!("{number}: not a protocol"))?;
            (number, Body::Raw(Vec::new()))
        }
    })
}

/// Reads one word behind the addresses into the draft.
fn detail(draft: &mut Draft, word: &str, number: usize) -> Result<(), String> {
    let unknown = || format!("{word}: not known here");
    let quoted = word.starts_with('"');
    let (name, value) = word.split_once('=').filter(|_| !quoted).unwrap_or((word, ""));
    match name {
        "ipid" => draft.network.identification = read(value)?,
        "ttl" => draft.network.ttl = read(value)?,
        "tos" => draft.network.tos = read(value)?,
        "cut" => draft.damage = Some(Damage::Cut(read(value)?)),
        "bad-checksum" => draft.damage = Some(Damage::Checksum),
        "bad-header-checksum" => draft.damage = Some(Damage::HeaderChecksum),
        _ => {
            let known = match &mut draft.body {
                Body::Tcp(segment) => tcp(segment, name, value)?,
                Body::Sctp(packet) => super::sctp::detail(packet, name, value)?,
                Body::Udp { length_error, payload, unsummed, .. } => match name {
                    "length" => read(value).map(|n| *length_error = n).map(|()| true)?,
                    "unsummed" => {
                        *unsummed = true;
                        true
                    }
                    _ => data(payload, name, value)?,
                },
                Body::Raw(payload) => data(payload, name, value)?,
                Body::Icmp { .. } | Body::Error { .. } => {
                    icmp(&mut draft.body, draft.protocol, name, value, number)?
                }
            };
            return if known { Ok(()) } else { Err(unknown()) };
        }
    }
    Ok(())
}

pub(super) fn read<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{value}: not a number that fits"))
}

/// Text in quotes, or `len=N` bytes of zero.
fn data(payload: &mut Vec<u8>, name: &str, value: &str) -> Result<bool, String> {
    if let Some(text) = name.strip_prefix('"') {
        let byte = |char| u8::try_from(char).map_err(|_| format!("{char}: not one byte"));
        for char in text.chars() {
            payload.push(byte(char)?);
        }
        return Ok(true);
    }
    if name == "len" {
        payload.resize(payload.len() + read::<usize>(value)?, 0);
        return Ok(true);
    }
    Ok(false)
}

/// Flags by their bit.
const FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

fn tcp(segment: &mut Segment, name: &str, value: &str) -> Result<bool, String> {
    if let Some(bit) = FLAGS.iter().position(|flag| *flag == name) {
        segment.flags |= 1 << bit;
        return Ok(true);
    }
    match name {
        "none" => {}
        "seq" => segment.sequence = read(value)?,
        "ack" => segment.acknowledgment = read(value)?,
        "win" => segment.window = read(value)?,
        "offset" => segment.offset_error = read(value)?,
        "mss" => {
            segment.options.extend([2, 4]);
            segment.options.extend(read::<u16>(value)?.to_be_bytes());
        }
        "wscale" => segment.options.extend([1, 3, 3, read(value)?]),
        "sackok" => segment.options.extend([1, 1, 4, 2]),
        "sack" => {
            let (left, right) = value.split_once('-').ok_or("want sack=LEFT-RIGHT")?;
            segment.options.extend([1, 1, 5, 10]);
            segment.options.extend(read::<u32>(left)?.to_be_bytes());
            segment.options.extend(read::<u32>(right)?.to_be_bytes());
        }
        _ => return data(&mut segment.payload, name, value),
    }
    Ok(true)
}

/// ICMP and ICMPv6 types by name; others are written `TYPE/CODE`.
const TYPES: [(&str, u8, u8); 4] = [
    ("echo-request", ICMP, 8),
    ("echo-reply", ICMP, 0),
    ("echo-request", ICMPV6, 128),
    ("echo-reply", ICMPV6, 129),
];

fn icmp(
    body: &mut Body,
    protocol: u8,
    name: &str,
    value: &str,
    number: usize,
) -> Result<bool, String> {
    let (Body::Icmp { kind, code, rest, .. } | Body::Error { kind, code, rest, .. }) = body else {
        return Ok(false);
    };
    if let Some((.., found)) = TYPES.iter().find(|(known, of, _)| (*known, *of) == (name, protocol))
    {
        *kind = *found;
        return Ok(true);
    }
    if let Some((left, right)) = name.split_once('/') {
        (*kind, *code) = (read(left)?, read(right)?);
        return Ok(true);
    }
    match name {
        "id" => rest[..2].copy_from_slice(&read::<u16>(value)?.to_be_bytes()),
        "seq" => rest[2..].copy_from_slice(&read::<u16>(value)?.to_be_bytes()),
        "mtu" => *rest = read::<u32>(value)?.to_be_bytes(),
        "about" => {
            let about: usize = read(value)?;
            let back = number.checked_sub(about).ok_or("about=N quotes an earlier packet")?;
            let quote = Quote { back, length: QUOTED, reversed: false };
            let (kind, code, rest) = (*kind, *code, *rest);
            *body = Body::Error { kind, code, rest, before: Vec::new(), quote };
        }
        "quote" | "reversed" => {
            let Body::Error { quote, .. } = body else {
                return Err(format!("{name}: stands behind about=N"));
            };
            match name {
                "quote" => quote.length = read(value)?,
                _ => quote.reversed = true,
            }
        }
        _ => {
            let Body::Icmp { payload, .. } = body else { return Ok(false) };
            return data(payload, name, value);
        }
    }
    Ok(true)
}
