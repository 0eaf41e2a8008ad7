//! A packet in the notation that `keepstate trace --packet` reads.

use super::Example;
use super::space::STATES;
use crate::trace::packet::protocol;
use keepstate_packet::{Family, sctp, tcp};
use keepstate_ruleset::matches::conntrack as ct;
use std::fmt::Write;
use std::net::SocketAddr;

/// Flags by their bit.
const FLAGS: [(u8, &str); 8] = [
    (tcp::SYN, "syn"),
    (tcp::FIN, "fin"),
    (tcp::RST, "rst"),
    (tcp::PSH, "psh"),
    (tcp::ACK, "ack"),
    (tcp::URG, "urg"),
    (tcp::ECE, "ece"),
    (tcp::CWR, "cwr"),
];

/// Bytes before the first chunk of SCTP.
const SCTP_HEADER: u32 = 12;
/// Bytes of the chunk that begins an association of SCTP (RFC 9260, 3.3.2).
const INIT: u32 = 20;
/// Where a later fragment begins, behind the IP header.
const PIECE_OFFSET: u32 = 8;

impl Example {
    /// The packet in words: `tcp 10.0.0.5:1234 > 192.0.2.1:80 syn in eth0`. `None` where no packet is that short,
    /// or so long.
    #[must_use]
    pub fn packet(&self) -> Option<String> {
        let mut out = String::new();
        if self.in_interface.is_none() {
            out.push_str("host ");
        }
        out.push_str(&protocol(self.protocol));
        let has_ports = matches!(self.protocol, 6 | 17 | 132 | 136);
        let end = |address: keepstate_packet::Address, port: u16| {
            let ip = address.ip(self.family);
            if has_ports { SocketAddr::new(ip, port).to_string() } else { ip.to_string() }
        };
        let _ = write!(
            out,
            " {} > {}",
            end(self.source, self.source_port),
            end(self.destination, self.destination_port)
        );
        match self.protocol {
            tcp::PROTOCOL => {
                let set = FLAGS.iter().filter(|(flag, _)| self.tcp_flags & flag != 0);
                let names: Vec<&str> = set.map(|(_, name)| *name).collect();
                let _ = match names.is_empty() {
                    true => write!(out, " none"),
                    false => write!(out, " {}", names.join(" ")),
                };
            }
            1 | 58 => {
                let (kind, code) = (self.icmp >> 8, self.icmp & 0xff);
                let word = match (self.protocol, kind, code) {
                    (1, 8, 0) | (58, 128, 0) => "echo-request".to_string(),
                    (1, 0, 0) | (58, 129, 0) => "echo-reply".to_string(),
                    _ => format!("{kind}/{code}"),
                };
                let _ = write!(out, " {word}");
            }
            sctp::PROTOCOL if self.is_init() => out.push_str(" init"),
            _ => {}
        }
        self.size(&mut out)?;
        if self.ttl != 0 {
            let _ = write!(out, " ttl={}", self.ttl);
        }
        if self.tos != 0 {
            let _ = write!(out, " tos={}", self.tos);
        }
        if self.mark != 0 {
            let _ = write!(out, " mark={:#x}", self.mark);
        }
        if let Some(name) = &self.in_interface {
            let _ = write!(out, " in {name}");
        }
        Some(out)
    }

    /// Whether it is the packet that begins an association, as far as rules look.
    fn is_init(&self) -> bool {
        let whole = self.network() + SCTP_HEADER + INIT;
        self.state == ct::NEW && !self.later_fragment && [0, whole].contains(&self.length)
    }

    /// Bytes of its IP header.
    fn network(&self) -> u32 {
        if self.family == Family::V4 { 20 } else { 40 }
    }

    /// Its length, where it matters.
    fn size(&self, out: &mut String) -> Option<()> {
        let network = self.network();
        let transport = match self.protocol {
            tcp::PROTOCOL => 20,
            17 | 136 | 1 | 58 => 8,
            sctp::PROTOCOL => SCTP_HEADER,
            _ => 0,
        };
        if self.later_fragment {
            let header = network + if self.family == Family::V6 { 8 } else { 0 };
            let length = match self.length {
                0 => 8,
                length => length.checked_sub(header).filter(|length| *length > 0)?,
            };
            let end = PIECE_OFFSET + length;
            if self.protocol == sctp::PROTOCOL && end > transport {
                return None;
            }
            let more = end.saturating_sub(transport);
            if more > 0 {
                let _ = write!(out, " len={more}");
            }
            let _ = write!(out, " piece={PIECE_OFFSET}-{end}");
        } else if self.length != 0 {
            let data = self.length.checked_sub(network + transport)?;
            match data {
                0 => {}
                _ if self.is_init() => {}
                _ if self.protocol == sctp::PROTOCOL => return None,
                data => {
                    let _ = write!(out, " len={data}");
                }
            }
        }
        Some(())
    }

    /// What the notation has no words for: the interface that it leaves by and its state.
    #[must_use]
    pub fn circumstances(&self) -> String {
        let state = STATES.iter().find(|(bit, _)| *bit == self.state).map_or("", |(_, name)| name);
        match &self.out_interface {
            Some(name) => format!("out {name}, {state}"),
            None => state.to_string(),
        }
    }
}
