//! The line as the kernel writes it, to the byte, the blank at its end included. It is made of the
//! bytes rather than of the parsed packet, since packets that are cut or contradict themselves,
//! and those quoted inside ICMP errors, are logged as far as they go.

use super::Log;
use crate::evaluate::{Sender, Traversal};
use alloc::string::String;
use core::fmt::Write;
use keepstate_packet::{Family, InterfaceName, L4, ipv6, tcp};

/// The line of a packet.
#[must_use]
pub(super) fn text(log: &Log, traversal: &Traversal<'_>) -> String {
    let name = |interface: Option<&InterfaceName>| {
        interface.map_or_else(String::new, |name| String::from(name.as_str()))
    };
    let (inward, outward) = (traversal.in_interface, traversal.out_interface);
    let mut line = Line { out: String::from(log.prefix.as_str()), log, beyond: 0 };
    let _ = write!(line.out, "IN={} OUT={} ", name(inward), name(outward));
    if inward.is_some() {
        line.hardware(traversal);
    }
    let bytes = traversal.packet.packet(traversal.bytes);
    let whole = line.packet(traversal.packet.family, bytes, false);
    if whole.is_some() && log.uid {
        line.owner(traversal);
    }
    if whole.is_some() && traversal.mark != 0 {
        let _ = write!(line.out, "MARK={:#x} ", traversal.mark);
    }
    line.out
}

struct Line<'a> {
    out: String,
    log: &'a Log,
    /// How far the headers so far claim to run beyond the end of the packet.
    beyond: usize,
}

/// `None` ends the description of the packet: there is no more of it.
type Whole = Option<()>;

impl Line<'_> {
    /// Whose socket sends it. The answer to a SYN has none of its own yet.
    fn owner(&mut self, traversal: &Traversal<'_>) {
        const ANSWER: u8 = tcp::SYN | tcp::ACK;
        let packet = &*traversal.packet;
        let is_answer = matches!(&packet.l4, L4::Tcp(header) if header.flags & ANSWER == ANSWER);
        if !is_answer
            && let Some(Sender::Socket(socket)) = traversal.host.sender(packet)
            && let (Some(uid), Some(gid)) = (socket.uid, socket.gid)
        {
            let _ = write!(self.out, "UID={uid} GID={gid} ");
        }
    }

    fn hardware(&mut self, traversal: &Traversal<'_>) {
        let kind: u16 = match traversal.packet.family {
            Family::V4 => 0x0800,
            Family::V6 => 0x86DD,
        };
        let link = &traversal.link;
        let (Some(source), Some(destination)) = (link.source, link.destination) else {
            self.out.push_str("MAC= ");
            return;
        };
        if self.log.macdecode {
            self.out.push_str("MACSRC=");
            self.colons(&source);
            self.out.push_str(" MACDST=");
            self.colons(&destination);
            let _ = write!(self.out, " MACPROTO={kind:04x} ");
            return;
        }
        self.out.push_str("MAC=");
        for part in [&destination[..], &source[..]] {
            self.colons(part);
            self.out.push(':');
        }
        self.colons(&kind.to_be_bytes());
        self.out.push(' ');
    }

    fn colons(&mut self, octets: &[u8]) {
        for (at, octet) in octets.iter().enumerate() {
            let between = if at == 0 { "" } else { ":" };
            let _ = write!(self.out, "{between}{octet:02x}");
        }
    }

    fn hexadecimal(&mut self, octets: &[u8]) {
        self.out.push_str("OPT (");
        for octet in octets {
            let _ = write!(self.out, "{octet:02X}");
        }
        self.out.push_str(") ");
    }

    /// A packet from its IP header on; a quoted one quotes none in turn.
    fn packet(&mut self, family: Family, bytes: &[u8], quoted: bool) -> Whole {
        match family {
            Family::V4 => self.ipv4(bytes, quoted),
            Family::V6 => self.ipv6(bytes, quoted),
        }
    }

    fn truncated(&mut self) -> Whole {
        self.out.push_str("TRUNCATED");
        None
    }

    /// Headers that claim more than there is leave a negative number of bytes, printed as 32 bits.
    fn incomplete(&mut self, bytes: &[u8]) -> Whole {
        let left = (bytes.len() as u32).wrapping_sub(self.beyond as u32);
        let _ = write!(self.out, "INCOMPLETE [{left} bytes] ");
        None
    }

    /// The bytes from `at` on.
    fn rest<'b>(&mut self, bytes: &'b [u8], at: usize) -> &'b [u8] {
        self.beyond = at.saturating_sub(bytes.len());
        bytes.get(at..).unwrap_or(&[])
    }

    fn ipv4(&mut self, bytes: &[u8], quoted: bool) -> Whole {
        let Some(header) = bytes.first_chunk::<20>() else { return self.truncated() };
        let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
        let _ = write!(self.out, "SRC={s0}.{s1}.{s2}.{s3} DST={d0}.{d1}.{d2}.{d3} ");
        let (tos, precedence) = (header[1] & 0x1E, header[1] & 0xE0);
        let _ = write!(self.out, "LEN={} TOS=0x{tos:02X} ", word(bytes, 2));
        let _ = write!(self.out, "PREC=0x{precedence:02X} TTL={} ", header[8]);
        let _ = write!(self.out, "ID={} ", word(bytes, 4));
        let fragment = word(bytes, 6);
        for (bit, name) in [(0x8000, "CE "), (0x4000, "DF "), (0x2000, "MF ")] {
            self.out.push_str(if fragment & bit != 0 { name } else { "" });
        }
        let offset = fragment & 0x1FFF;
        if offset != 0 {
            let _ = write!(self.out, "FRAG:{offset} ");
        }
        let length = usize::from(header[0] & 0x0F) * 4;
        if self.log.ip_options && length > 20 {
            let Some(options) = bytes.get(20..length) else { return self.truncated() };
            self.hexadecimal(options);
        }
        let rest = self.rest(bytes, length);
        match header[9] {
            1 => self.icmp(rest, offset != 0, quoted),
            50 | 51 => self.ipsec(header[9], rest, offset != 0),
            other => self.upper_layer(other, rest, offset != 0),
        }
    }

    fn ipv6(&mut self, bytes: &[u8], quoted: bool) -> Whole {
        let Some(header) = bytes.first_chunk::<40>() else { return self.truncated() };
        for (name, start) in [("SRC", 8), ("DST", 24)] {
            let _ = write!(self.out, "{name}=");
            for at in 0..8 {
                let between = if at == 0 { "" } else { ":" };
                let _ = write!(self.out, "{between}{:04x}", word(bytes, start + at * 2));
            }
            self.out.push(' ');
        }
        let class = header[0] << 4 | header[1] >> 4;
        let length = 40 + u32::from(word(bytes, 4));
        let label = long(bytes, 0) & 0x000F_FFFF;
        let _ = write!(self.out, "LEN={length} TC={class} HOPLIMIT={} ", header[7]);
        let _ = write!(self.out, "FLOWLBL={label} ");
        let (mut next, mut at, mut fragment) = (header[6], 40, false);
        while ipv6::is_extension_header(next) || next == ESP {
            let extension = bytes.get(at..).unwrap_or(&[]);
            let Some(following) = extension.first().filter(|_| extension.len() >= 2) else {
                return self.truncated();
            };
            at += self.extension(next, extension, &mut fragment)?;
            next = *following;
        }
        let rest = self.rest(bytes, at);
        match next {
            58 => self.icmpv6(rest, fragment, quoted),
            other => self.upper_layer(other, rest, fragment),
        }
    }

    /// An extension header; its length in bytes. `None` where the description ends: at ESP, and at
    /// what only the first fragment has.
    fn extension(&mut self, kind: u8, header: &[u8], fragment: &mut bool) -> Option<usize> {
        let shown = self.log.ip_options;
        let open = |text| if shown { text } else { "" };
        self.out.push_str(open("OPT ( "));
        let units = usize::from(header.get(1).copied().unwrap_or(0));
        let length = match kind {
            ipv6::FRAGMENT => {
                self.out.push_str("FRAG:");
                if header.len() < 8 {
                    self.truncated()?;
                }
                let field = word(header, 2);
                let _ = write!(self.out, "{} ", field & 0xFFF8);
                self.out.push_str(if field & 1 != 0 { "INCOMPLETE " } else { "" });
                let _ = write!(self.out, "ID:{:08x} ", long(header, 4));
                *fragment |= field & 0xFFF8 != 0;
                8
            }
            ipv6::AUTHENTICATION | ESP => {
                let (name, at, least) = if kind == ESP { ("ESP ", 0, 8) } else { ("AH ", 4, 12) };
                self.out.push_str(open(name));
                if shown && *fragment {
                    self.out.push(')');
                    return None;
                }
                if shown && header.len() < least {
                    return self.incomplete(header).map(|()| 0);
                }
                if shown {
                    let _ = write!(self.out, "SPI=0x{:x} ", long(header, at));
                }
                if kind == ESP {
                    self.out.push_str(open(")"));
                    return None;
                }
                (units + 2) * 4
            }
            _ if *fragment => {
                self.out.push_str(open(")"));
                return None;
            }
            _ => (units + 1) * 8,
        };
        self.out.push_str(open(") "));
        Some(length)
    }

    fn upper_layer(&mut self, protocol: u8, bytes: &[u8], fragment: bool) -> Whole {
        match protocol {
            6 => self.tcp(bytes, fragment),
            17 | 136 => {
                self.out.push_str(if protocol == 17 { "PROTO=UDP " } else { "PROTO=UDPLITE " });
                if fragment {
                    return Some(());
                }
                if bytes.len() < 8 {
                    return self.incomplete(bytes);
                }
                self.ports(bytes);
                let _ = write!(self.out, "LEN={} ", word(bytes, 4));
                Some(())
            }
            number => {
                let _ = write!(self.out, "PROTO={number} ");
                Some(())
            }
        }
    }

    fn ipsec(&mut self, protocol: u8, bytes: &[u8], fragment: bool) -> Whole {
        self.out.push_str(if protocol == ESP { "PROTO=ESP " } else { "PROTO=AH " });
        let (at, least) = if protocol == ESP { (0, 8) } else { (4, 12) };
        if bytes.len() < least && !fragment {
            let _ = self.incomplete(bytes);
        } else if !fragment {
            let _ = write!(self.out, "SPI=0x{:x} ", long(bytes, at));
        }
        Some(())
    }

    fn ports(&mut self, bytes: &[u8]) {
        let _ = write!(self.out, "SPT={} DPT={} ", word(bytes, 0), word(bytes, 2));
    }

    fn tcp(&mut self, bytes: &[u8], fragment: bool) -> Whole {
        self.out.push_str("PROTO=TCP ");
        if fragment {
            return Some(());
        }
        let Some(header) = bytes.first_chunk::<20>() else { return self.incomplete(bytes) };
        self.ports(bytes);
        if self.log.tcp_sequence {
            let _ = write!(self.out, "SEQ={} ACK={} ", long(bytes, 4), long(bytes, 8));
        }
        let reserved = (header[12] & 0x0E) << 2;
        let _ = write!(self.out, "WINDOW={} RES=0x{reserved:02x} ", word(bytes, 14));
        self.out.push_str(if header[12] & 1 != 0 { "AE " } else { "" });
        for (bit, name) in FLAGS {
            self.out.push_str(if header[13] & bit != 0 { name } else { "" });
        }
        let _ = write!(self.out, "URGP={} ", word(bytes, 18));
        let length = usize::from(header[12] >> 4) * 4;
        if self.log.tcp_options && length > 20 {
            let Some(options) = bytes.get(20..length) else {
                self.out.push_str("OPT (TRUNCATED)");
                return None;
            };
            self.hexadecimal(options);
        }
        Some(())
    }

    fn icmp(&mut self, bytes: &[u8], fragment: bool, quoted: bool) -> Whole {
        self.out.push_str("PROTO=ICMP ");
        if fragment {
            return Some(());
        }
        let Some(header) = bytes.first_chunk::<8>() else {
            let _ = self.incomplete(bytes);
            return Some(());
        };
        let (kind, code) = (header[0], header[1]);
        let _ = write!(self.out, "TYPE={kind} CODE={code} ");
        let least = match kind {
            3 | 4 | 5 | 11 | 12 => 28,
            13 | 14 => 20,
            17 | 18 => 12,
            _ => 0,
        };
        if bytes.len() < least {
            let _ = self.incomplete(bytes);
            return Some(());
        }
        match kind {
            0 | 8 => self.query(bytes),
            12 => {
                let _ = write!(self.out, "PARAMETER={} ", header[4]);
            }
            5 => {
                let [.., a, b, c, d] = *header;
                let _ = write!(self.out, "GATEWAY={a}.{b}.{c}.{d} ");
            }
            _ => {}
        }
        if matches!(kind, 3 | 4 | 5 | 11) && !quoted {
            self.quote(Family::V4, bytes);
        }
        if (kind, code) == (3, 4) {
            let _ = write!(self.out, "MTU={} ", word(bytes, 6));
        }
        Some(())
    }

    fn icmpv6(&mut self, bytes: &[u8], fragment: bool, quoted: bool) -> Whole {
        self.out.push_str("PROTO=ICMPv6 ");
        if fragment {
            return Some(());
        }
        let Some(header) = bytes.first_chunk::<8>() else { return self.incomplete(bytes) };
        let (kind, code) = (header[0], header[1]);
        let _ = write!(self.out, "TYPE={kind} CODE={code} ");
        match kind {
            128 | 129 => self.query(bytes),
            4 => {
                let _ = write!(self.out, "POINTER={:08x} ", long(bytes, 4));
            }
            _ => {}
        }
        if matches!(kind, 1..=4) && !quoted {
            self.quote(Family::V6, bytes);
        }
        if kind == 2 {
            let _ = write!(self.out, "MTU={} ", long(bytes, 4));
        }
        Some(())
    }

    fn query(&mut self, bytes: &[u8]) {
        let _ = write!(self.out, "ID={} SEQ={} ", word(bytes, 4), word(bytes, 6));
    }

    fn quote(&mut self, family: Family, bytes: &[u8]) {
        self.out.push('[');
        let _ = self.packet(family, bytes.get(8..).unwrap_or(&[]), true);
        self.out.push_str("] ");
    }
}

const ESP: u8 = 50;

/// The flags in the order of the line.
const FLAGS: [(u8, &str); 8] = [
    (tcp::CWR, "CWR "),
    (tcp::ECE, "ECE "),
    (tcp::URG, "URG "),
    (tcp::ACK, "ACK "),
    (tcp::PSH, "PSH "),
    (tcp::RST, "RST "),
    (tcp::SYN, "SYN "),
    (tcp::FIN, "FIN "),
];

/// Two bytes in network order; 0 where there are none.
fn word(bytes: &[u8], at: usize) -> u16 {
    let two = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    two.map_or(0, |two| u16::from_be_bytes(*two))
}

/// Four bytes in network order; 0 where there are none.
fn long(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_be_bytes(*four))
}
