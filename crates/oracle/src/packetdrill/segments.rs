//! Packets as scripts write them: TCP, UDP, UDP-Lite, ICMP and, as packetdrill for SCTP does, SCTP.
//!
//! Sequence numbers of a SYN are as written; those of all others count from the first SYN of their
//! sender, and acknowledgments from that of the other side. The host's own begin elsewhere, as they
//! would: at [`HOST_BEGINS`].

use super::associations;
use crate::fuzz::draft::{
    Body, Draft, ICMP, ICMPV6, Network, SCTP, Segment, TCP, UDP, UDPLITE, fold, sum,
};
use crate::observation::Side;
use keepstate_packet::tcp::{ACK, SYN};
use keepstate_packet::{Address, Family};

/// Which of the two ends a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Host = 0,
    Peer = 1,
}

impl End {
    pub(super) const fn side(self) -> Side {
        match self {
            Self::Host => Side::A,
            Self::Peer => Side::B,
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Host => Self::Peer,
            Self::Peer => Self::Host,
        }
    }
}

/// What is added to the sequence numbers that the host begins with.
const HOST_BEGINS: u32 = 0x6b65_6570;
/// Window where none is written.
const WINDOW: u16 = 65_535;
/// The port of the server, which commands look for, and of the client.
const PORTS: [u16; 2] = [8080, 34_375];

/// The two ends of a script.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    family: Family,
    addresses: [Address; 2],
    /// Of the host and of the peer.
    pub(super) ports: [u16; 2],
    /// Where the sequence numbers of the host and of the peer begin, as on the wire.
    begins: [Option<u32>; 2],
    /// The verification tags that the host and the peer want to see.
    pub(super) tags: [u32; 2],
    identification: u16,
}

impl Ends {
    /// `opens`: who sends the first packet, and so is the client.
    pub(super) fn new(family: Family, opens: End) -> Self {
        let addresses = match family {
            Family::V4 => [Address::v4([10, 0, 0, 1]), Address::v4([192, 0, 2, 1])],
            Family::V6 => {
                let address = |first: [u8; 2]| {
                    let mut octets = [0; 16];
                    octets[..2].copy_from_slice(&first);
                    octets[3] = 0x0a;
                    octets[15] = 1;
                    Address::v6(octets)
                };
                [address([0xfd, 0]), address([0x20, 1])]
            }
        };
        let [server, client] = PORTS;
        let ports = if opens == End::Host { [client, server] } else { [server, client] };
        Self { family, addresses, ports, begins: [None; 2], tags: [0; 2], identification: 0 }
    }

    /// Reads a packet that `from` sends.
    pub(super) fn packet(&mut self, from: End, text: &str) -> Result<Draft, String> {
        let mut network = self.network(from);
        let rest = ip_fields(&mut network, text)?;
        let draft = |protocol, body| Draft::new(from.side(), network, protocol, body);
        let word = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
        match word {
            "udp" | "udplite" => {
                let (protocol, body) = self.datagram(from, word, &rest[word.len()..])?;
                Ok(draft(protocol, body))
            }
            "icmp" | "icmpv6" => {
                let (protocol, body) = self.error(from, &rest[word.len()..])?;
                Ok(draft(protocol, body))
            }
            "sctp" => Ok(draft(SCTP, associations::packet(self, from, &rest[word.len()..])?)),
            _ => Ok(draft(TCP, Body::Tcp(self.segment(from, rest)?))),
        }
    }

    fn network(&mut self, from: End) -> Network {
        self.identification = self.identification.wrapping_add(1);
        Network {
            family: self.family,
            source: self.addresses[from as usize],
            destination: self.addresses[from.other() as usize],
            ttl: 64,
            tos: 0,
            identification: self.identification,
        }
    }

    /// Adds what a number written for the sequence space of `whose` leaves out.
    fn on_the_wire(&self, whose: End, written: u32, absolute: bool) -> u32 {
        let salt = if whose == End::Host { HOST_BEGINS } else { 0 };
        let begin = self.begins[whose as usize].filter(|_| !absolute).unwrap_or(salt);
        written.wrapping_add(begin)
    }

    /// `S. 1:1(0) ack 1 win 65535 <mss 1460>`.
    fn segment(&mut self, from: End, text: &str) -> Result<Segment, String> {
        let (head, options) = match text.split_once('<') {
            Some((head, options)) => {
                (head, options.rsplit_once('>').ok_or("options without their end")?.0)
            }
            None => (text, ""),
        };
        let mut words = head.split_whitespace();
        let flags = flags(words.next().unwrap_or(""))?;
        let (first, length) = span(words.next().ok_or("want flags and FIRST:END(LENGTH)")?)?;
        let syn = flags & SYN != 0;
        let mut segment = Segment {
            source_port: self.ports[from as usize],
            destination_port: self.ports[from.other() as usize],
            sequence: self.on_the_wire(from, first, syn),
            flags,
            window: WINDOW,
            payload: vec![0; length],
            ..Segment::default()
        };
        if syn && self.begins[from as usize].is_none() {
            self.begins[from as usize] = Some(segment.sequence);
        }
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word}: want a number behind it"))?;
            match word {
                "ack" => {
                    segment.flags |= ACK;
                    segment.acknowledgment = self.on_the_wire(from.other(), number(value)?, syn);
                }
                "win" => segment.window = number(value)?,
                // The pointer says how much is urgent; nothing here looks at it.
                "urg" => number::<u16>(value).map(|_| ())?,
                _ => return Err(format!("{word}: not known in a segment")),
            }
        }
        segment.options = self.options(from, options)?;
        Ok(segment)
    }

    /// `mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8`; `...` is any, and so none.
    fn options(&self, from: End, text: &str) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for option in text.split(',').map(str::trim).filter(|o| !o.is_empty() && *o != "...") {
            let words: Vec<&str> = option.split_whitespace().collect();
            match words[..] {
                ["nop"] => bytes.push(1),
                ["eol"] => bytes.push(0),
                ["mss", value] => {
                    bytes.extend([2, 4]);
                    bytes.extend(number::<u16>(value)?.to_be_bytes());
                }
                ["wscale", value] => bytes.extend([3, 3, number(value)?]),
                ["sackOK"] => bytes.extend([4, 2]),
                ["sack", ref blocks @ ..] => {
                    bytes.extend([5, 2 + 8 * blocks.len() as u8]);
                    for block in blocks {
                        let (left, right) = block.split_once(':').ok_or("want LEFT:RIGHT")?;
                        for edge in [left, right] {
                            let edge = self.on_the_wire(from.other(), number(edge)?, false);
                            bytes.extend(edge.to_be_bytes());
                        }
                    }
                }
                ["TS", "val", value, "ecr", echo] => {
                    bytes.extend([8, 10]);
                    bytes.extend(number::<u32>(value)?.to_be_bytes());
                    bytes.extend(number::<u32>(echo)?.to_be_bytes());
                }
                ["FO", ref cookie @ ..] => {
                    let cookie = hexadecimal(&cookie.concat())?;
                    bytes.extend([34, 2 + cookie.len() as u8]);
                    bytes.extend(cookie);
                }
                ["FOEXP", ref cookie @ ..] => {
                    let cookie = hexadecimal(&cookie.concat())?;
                    bytes.extend([254, 4 + cookie.len() as u8, 0xf9, 0x89]);
                    bytes.extend(cookie);
                }
                _ => return Err(format!("{option}: not a known option")),
            }
        }
        Ok(bytes)
    }

    /// ` (1000)`, for UDP-Lite ` (1000, 8)`.
    fn datagram(&self, from: End, protocol: &str, text: &str) -> Result<(u8, Body), String> {
        let inner = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let mut numbers = inner.ok_or("want (LENGTH)")?.split(',');
        let length = number(numbers.next().unwrap_or("").trim())?;
        let coverage: Option<i16> = numbers.next().map(|n| number(n.trim())).transpose()?;
        let ports = (self.ports[from as usize], self.ports[from.other() as usize]);
        let payload = vec![0; length];
        let lite = protocol == "udplite";
        let length_error = coverage.filter(|_| lite).unwrap_or(0);
        let body = Body::Udp { ports, length_error, payload, unsummed: false };
        Ok((if lite { UDPLITE } else { UDP }, body))
    }

    /// ` unreachable frag_needed mtu 1000 [1:1461(1460)]`: about what the other side sent.
    fn error(&mut self, from: End, text: &str) -> Result<(u8, Body), String> {
        let (head, quoted) = match text.split_once('[') {
            Some((head, quoted)) => (head, quoted.trim_end().strip_suffix(']')),
            None => (text, None),
        };
        let words: Vec<&str> = head.split_whitespace().collect();
        let names = if self.family == Family::V4 { NAMES_V4 } else { NAMES_V6 };
        let kind = words.first().copied().unwrap_or("");
        let known = names.iter().find(|(name, ..)| *name == kind);
        let (_, kind, codes) = known.ok_or_else(|| format!("{kind}: not a type of ICMP"))?;
        let code = words.get(1).filter(|word| !matches!(**word, "mtu" | "id"));
        let code = match code {
            Some(name) => codes.iter().position(|known| known == name).map_or_else(
                || number(name).map_err(|_| format!("{name}: not a code of this type")),
                |code| Ok(code as u8),
            )?,
            None => 0,
        };
        let mut rest = [0; 4];
        for pair in words.windows(2) {
            match pair {
                ["mtu", value] => rest = number::<u32>(value)?.to_be_bytes(),
                ["id", value] => rest[..2].copy_from_slice(&number::<u16>(value)?.to_be_bytes()),
                _ => {}
            }
        }
        let payload = quoted.map(|quoted| self.quoted(from.other(), quoted)).transpose()?;
        let protocol = if self.family == Family::V4 { ICMP } else { ICMPV6 };
        let payload = payload.unwrap_or_default();
        Ok((protocol, Body::Icmp { kind: *kind, code, rest, payload }))
    }

    /// The beginning of a packet of `sender` as an error quotes it: `1:1461(1460)` or `udp (100)`.
    fn quoted(&mut self, sender: End, text: &str) -> Result<Vec<u8>, String> {
        let text = text.trim();
        let (protocol, transport, payload) = match text.strip_prefix("udp") {
            Some(length) => {
                let (_, body) = self.datagram(sender, "udp", length)?;
                let Body::Udp { payload, .. } = body else { return Err("no datagram".to_owned()) };
                let length = payload.len() as u16 + 8;
                let halves = [self.ports[sender as usize], self.ports[sender.other() as usize]];
                let head = halves.into_iter().chain([length, 0]).flat_map(u16::to_be_bytes);
                (UDP, head.collect::<Vec<u8>>(), payload.len())
            }
            None => {
                let (first, length) = span(text)?;
                let sequence = self.on_the_wire(sender, first, false);
                let ports = [self.ports[sender as usize], self.ports[sender.other() as usize]];
                let mut head: Vec<u8> = ports.into_iter().flat_map(u16::to_be_bytes).collect();
                head.extend(sequence.to_be_bytes());
                (TCP, head, length + 20)
            }
        };
        let network = self.network(sender);
        Ok([ip_header(&network, protocol, payload.max(transport.len())), transport].concat())
    }
}

/// The IP header of a packet that an error quotes.
fn ip_header(network: &Network, protocol: u8, length: usize) -> Vec<u8> {
    match network.family {
        Family::V4 => {
            let mut header = vec![0x45, 0];
            header.extend((length as u16 + 20).to_be_bytes());
            header.extend([0, 0, 0x40, 0, network.ttl, protocol, 0, 0]);
            header.extend(network.source.v4_octets());
            header.extend(network.destination.v4_octets());
            let check = !fold(sum(&header));
            header[10..12].copy_from_slice(&check.to_be_bytes());
            header
        }
        Family::V6 => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend((length as u16).to_be_bytes());
            header.extend([protocol, network.ttl]);
            header.extend(network.source.0);
            header.extend(network.destination.0);
            header
        }
    }
}

/// `[ect0]`, `[tos 0x10, ttl 3]` in front of a packet.
fn ip_fields<'t>(network: &mut Network, text: &'t str) -> Result<&'t str, String> {
    let Some(inner) = text.strip_prefix('[') else { return Ok(text) };
    let (fields, rest) = inner.split_once(']').ok_or("fields of IP without their end")?;
    for field in fields.split(',') {
        match field.split_whitespace().collect::<Vec<_>>()[..] {
            ["noecn" | "flowlabel", ..] => {}
            ["ect1"] => network.tos = network.tos & !3 | 1,
            ["ect0" | "ect01"] => network.tos = network.tos & !3 | 2,
            ["ce"] => network.tos |= 3,
            ["tos", value] => network.tos = number(value)?,
            ["ttl", value] => network.ttl = number(value)?,
            _ => return Err(format!("{field}: not a known field of IP")),
        }
    }
    Ok(rest.trim())
}

/// Flags by letter: `.` is ACK, `-` none, digits count the bits of accurate ECN.
fn flags(word: &str) -> Result<u8, String> {
    word.chars().try_fold(0, |flags, c| {
        Ok(flags
            | match c {
                'F' => 0x01,
                'S' => 0x02,
                'R' => 0x04,
                'P' => 0x08,
                '.' => 0x10,
                'U' => 0x20,
                'E' => 0x40,
                'W' | 'C' => 0x80,
                'A' | '-' => 0,
                '0'..='7' => (c as u8 - b'0') << 6 & 0xc0,
                _ => return Err(format!("{word}: not flags")),
            })
    })
}

/// `1:1461(1460)`: where it begins, and how long it is.
fn span(text: &str) -> Result<(u32, usize), String> {
    let read = || {
        let (first, rest) = text.split_once(':')?;
        let (_, length) = rest.split_once('(')?;
        let length = length.strip_suffix(')')?;
        Some((first.parse().ok()?, length.parse().ok()?))
    };
    read().ok_or_else(|| format!("{text}: want FIRST:END(LENGTH)"))
}

pub(super) fn number<T: TryFrom<i64>>(text: &str) -> Result<T, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    read.and_then(|n| T::try_from(n).ok()).ok_or_else(|| format!("{text}: not a number that fits"))
}

fn hexadecimal(digits: &str) -> Result<Vec<u8>, String> {
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes = digits.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>();
    bytes.ok_or_else(|| format!("{digits}: not hexadecimal digits"))
}

/// Types by name, and their codes in order.
type Names = &'static [(&'static str, u8, &'static [&'static str])];

const NAMES_V4: Names = &[
    (
        "unreachable",
        3,
        &[
            "net_unreachable",
            "host_unreachable",
            "protocol_unreachable",
            "port_unreachable",
            "frag_needed",
            "source_route_failed",
            "net_unknown",
            "host_unknown",
            "source_host_isolated",
            "net_prohibited",
            "host_prohibited",
            "net_unreachable_for_tos",
            "host_unreachable_for_tos",
            "packet_filtered",
            "precedence_violation",
            "precedence_cutoff",
        ],
    ),
    ("source_quench", 4, &[]),
    ("redirect", 5, &["net", "host", "net_tos", "host_tos"]),
    ("echo_request", 8, &[]),
    ("echo_reply", 0, &[]),
    ("time_exceeded", 11, &["exceeded_ttl", "exceeded_frag_time"]),
    ("parameter_problem", 12, &[]),
];
const NAMES_V6: Names = &[
    (
        "unreachable",
        1,
        &[
            "no_route",
            "admin_prohibited",
            "not_neighbour",
            "address_unreachable",
            "port_unreachable",
        ],
    ),
    ("packet_too_big", 2, &[]),
    ("time_exceeded", 3, &["exceeded_ttl", "exceeded_frag_time"]),
    ("parameter_problem", 4, &[]),
    ("echo_request", 128, &[]),
    ("echo_reply", 129, &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(ends: &mut Ends, from: End, text: &str) -> Segment {
        match ends.packet(from, text).unwrap().body {
            Body::Tcp(segment) => segment,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_count_from_the_first_syn() {
        let mut ends = Ends::new(Family::V4, End::Host);
        let syn = segment(&mut ends, End::Host, "S 0:0(0) win 1 <mss 1460,sackOK,wscale 8>");
        assert_eq!((syn.sequence, syn.destination_port, syn.flags), (HOST_BEGINS, 8080, SYN));
        assert_eq!(syn.options, [2, 4, 5, 0xb4, 4, 2, 3, 3, 8]);
        let old = segment(&mut ends, End::Peer, "S. 500:500(0) ack 7 win 240");
        assert_eq!((old.sequence, old.acknowledgment), (500, HOST_BEGINS + 7));
        let new = segment(&mut ends, End::Peer, "S. 900:900(0) ack 1");
        assert_eq!((new.sequence, new.acknowledgment), (900, HOST_BEGINS + 1));
        let data = segment(&mut ends, End::Host, "P. 1:3(2) ack 401 win 256 <sack 2:3>");
        assert_eq!((data.sequence, data.acknowledgment), (HOST_BEGINS + 1, 901));
        assert_eq!(data.options, [5, 10, 0, 0, 1, 246, 0, 0, 1, 247]);
        assert_eq!((data.payload.len(), data.flags), (2, 0x18));
    }

    #[test]
    fn before_a_syn_of_its_own_the_peer_writes_absolute_numbers() {
        let mut ends = Ends::new(Family::V6, End::Host);
        segment(&mut ends, End::Host, "S 0:0(0)");
        let stray = segment(&mut ends, End::Peer, ". 145824453:145824453(0) ack 643160523");
        assert_eq!(stray.sequence, 145_824_453);
        let reset = segment(&mut ends, End::Host, "R 643160523:643160523(0) win 0");
        assert_eq!(reset.sequence, stray.acknowledgment);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let mut ends = Ends::new(Family::V4, End::Peer);
        for text in ["X 0:0(0)", "S 0(0)", "S 0:0(0) foo 1", "S 0:0(0) <foo>", "icmp foo [1:1(0)]"]
        {
            assert!(ends.packet(End::Peer, text).is_err(), "{text}");
        }
        assert!(ends.packet(End::Peer, "[ect0] S 0:0(0) <...>").is_ok());
        assert!(ends.packet(End::Peer, "icmp unreachable frag_needed mtu 500 [1:9(8)]").is_ok());
        assert!(ends.packet(End::Peer, "udp (100)").is_ok());
    }
}
