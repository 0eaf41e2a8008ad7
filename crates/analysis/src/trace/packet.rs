//! Packets, tuples and causes in a line, packets as [`super::notation`] reads them.

use keepstate_conntrack::Tuple;
use keepstate_engine::Cause;
use keepstate_packet::tcp::{TcpOption, TcpOptions};
use keepstate_packet::{Address, Family, L4, Parsed, Quoted, tcp};
use std::fmt::Write;
use std::net::SocketAddr;

/// An end: `10.0.0.1:80`, `[2001:db8::1]:80`, or the address alone.
pub(super) fn end(family: Family, (address, port): (Address, Option<u16>)) -> String {
    let ip = address.ip(family);
    port.map_or_else(|| ip.to_string(), |port| SocketAddr::new(ip, port).to_string())
}

/// `tcp 10.0.0.1:1000 > 198.51.100.2:80`.
pub(crate) fn ends(tuple: &Tuple) -> String {
    let [source, destination] = both(tuple);
    format!("{} {source} > {destination}", protocol(tuple.protocol))
}

/// A protocol as the notation has it.
pub(crate) fn protocol(number: u8) -> String {
    match number {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        number => return number.to_string(),
    }
    .to_owned()
}

/// Whose packets have this tuple.
pub(super) fn end_of(tuple: &Tuple) -> String {
    let [source, _] = both(tuple);
    source
}

fn both(tuple: &Tuple) -> [String; 2] {
    let has_ports = matches!(tuple.protocol, 6 | 17 | 132 | 136);
    let port = |port| has_ports.then_some(port);
    [
        end(tuple.family, (tuple.source, port(tuple.source_port))),
        end(tuple.family, (tuple.destination, port(tuple.destination_port))),
    ]
}

/// A number with its thousands apart: sizes, not sequence numbers.
pub(super) fn number(number: u32) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Flags by their bit.
const FLAGS: [(u8, &str); 8] = [
    (tcp::SYN, "SYN"),
    (tcp::FIN, "FIN"),
    (tcp::RST, "RST"),
    (tcp::PSH, "PSH"),
    (tcp::ACK, "ACK"),
    (tcp::URG, "URG"),
    (tcp::ECE, "ECE"),
    (tcp::CWR, "CWR"),
];

/// A packet in a line.
pub(crate) fn line(bytes: &[u8]) -> String {
    let Ok(parsed) = Parsed::new(bytes) else {
        return format!("{} bytes that are no IP packet", bytes.len());
    };
    let at = |address: Address, port| end(parsed.family, (address, port));
    let (source, destination) = (parsed.source, parsed.destination);
    let protocol = protocol(parsed.protocol);
    let pair = |ports: Option<(u16, u16)>| {
        let (from, to) = (ports.map(|ports| ports.0), ports.map(|ports| ports.1));
        format!("{protocol} {} > {}", at(source, from), at(destination, to))
    };
    let data = parsed.length.saturating_sub(parsed.l4_offset);
    let (mut out, length) = match &parsed.l4 {
        L4::Tcp(segment) => {
            let mut out = pair(Some((segment.source_port, segment.destination_port)));
            tcp_words(&mut out, &parsed, bytes, segment);
            (out, data.saturating_sub(u32::from(segment.header_length)))
        }
        L4::Udp(header) | L4::UdpLite(header) => {
            (pair(Some((header.source_port, header.destination_port))), data.saturating_sub(8))
        }
        L4::Icmp(header) | L4::Icmpv6(header) => {
            let mut out = pair(None);
            icmp_words(&mut out, &parsed, bytes, (header.kind, header.code));
            if matches!(header.kind, 0 | 8 | 128 | 129) {
                let (id, sequence) = (header.identifier(), header.sequence());
                let _ = write!(out, " id={id} seq={sequence}");
            }
            (out, data.saturating_sub(8))
        }
        _ => (pair(None), data),
    };
    if length > 0 && Quoted::of(&parsed, bytes).is_none() {
        let _ = write!(out, " len={length}");
    }
    if let Some(fragment) = parsed.fragment {
        let _ = write!(out, " (a piece, from byte {})", fragment.offset);
    }
    out
}

fn tcp_words(out: &mut String, parsed: &Parsed, bytes: &[u8], segment: &tcp::TcpHeader) {
    let set = FLAGS.iter().filter(|(flag, _)| segment.flags & flag != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
    let _ = write!(out, " {names} seq={}", segment.sequence);
    if segment.flags & tcp::ACK != 0 {
        let _ = write!(out, " ack={}", segment.acknowledgment);
    }
    let _ = write!(out, " win={}", segment.window);
    for option in TcpOptions::of(parsed, bytes) {
        let _ = match option {
            TcpOption::MaximumSegmentSize(size) => write!(out, " mss={size}"),
            TcpOption::WindowScale(scale) => write!(out, " wscale={scale}"),
            TcpOption::SackPermitted => write!(out, " sackok"),
            TcpOption::Sack(_) => write!(out, " (sack)"),
            TcpOption::Timestamps { .. } | TcpOption::Other { .. } => Ok(()),
        };
    }
}

fn icmp_words(out: &mut String, parsed: &Parsed, bytes: &[u8], (kind, code): (u8, u8)) {
    let v4 = parsed.family == Family::V4;
    let _ = match (v4, kind, code) {
        (true, 8, 0) | (false, 128, 0) => write!(out, " echo-request"),
        (true, 0, 0) | (false, 129, 0) => write!(out, " echo-reply"),
        _ => write!(out, " {kind}/{code} ({})", crate::prose::icmp::name(v4, kind, code)),
    };
    if let Some(about) = quoted_ends(parsed, bytes) {
        let _ = write!(out, " about {about}");
    }
}

/// Protocol and ends of the packet that an ICMP error quotes.
pub(super) fn quoted_ends(parsed: &Parsed, bytes: &[u8]) -> Option<String> {
    let quoted = Quoted::of(parsed, bytes)?;
    let ports = quoted.ports();
    let from = end(quoted.family, (quoted.source, ports.map(|ports| ports.0)));
    let to = end(quoted.family, (quoted.destination, ports.map(|ports| ports.1)));
    Some(format!("{} {from} > {to}", protocol(quoted.protocol)))
}

/// A cause in words.
pub(super) const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Short => "it is cut short",
        Cause::Malformed => "its headers contradict themselves",
        Cause::BadChecksum => "the checksum of its IP header is wrong",
        Cause::Martian => "no router forwards between these addresses (martian)",
        Cause::NoRoute => "there is no route to its destination",
        Cause::TtlExceeded => "its TTL or hop limit is used up",
        Cause::TooBig => "it is larger than the way out takes, and must not be cut",
        Cause::HelperDropped => "the helper of its connection refuses it",
        Cause::NatClash => "another connection has taken its addresses and ports",
        Cause::TableFull => "the connection table is full (nf_conntrack_max)",
        Cause::Untranslatable => "it, or the packet that it quotes, cannot be translated",
        Cause::FragOverlap => "its pieces overlap or contradict each other",
        Cause::FragLimit => "there is no room for its pieces",
        Cause::FragTimeout => "the other pieces did not come in time",
    }
}
