//! A packet in one line, for people.

use keepstate_packet::{Address, Family, L4, Parsed, tcp};
use std::{fmt, net::IpAddr};

/// Writes the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketText<'a>(pub(super) &'a [u8]);

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

impl fmt::Display for PacketText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(parsed) = Parsed::new(self.0) else {
            return write!(f, "{} bytes that are no IP packet", self.0.len());
        };
        let (source, destination) = (parsed.source, parsed.destination);
        let data = parsed.length.saturating_sub(parsed.l4_offset);
        match parsed.l4 {
            L4::Tcp(tcp) => {
                ports(f, &parsed, tcp.source_port, tcp.destination_port)?;
                f.write_str(" tcp ")?;
                let mut between = "";
                for (_, name) in FLAGS.iter().filter(|(flag, _)| tcp.flags & flag != 0) {
                    write!(f, "{between}{name}")?;
                    between = ",";
                }
                length(f, data.saturating_sub(u32::from(tcp.header_length)))
            }
            L4::Udp(udp) | L4::UdpLite(udp) => {
                ports(f, &parsed, udp.source_port, udp.destination_port)?;
                f.write_str(if matches!(parsed.l4, L4::Udp(_)) { " udp" } else { " udplite" })?;
                length(f, data.saturating_sub(8))
            }
            L4::Icmp(icmp) | L4::Icmpv6(icmp) => {
                pair(f, parsed.family, source, destination)?;
                let name = if matches!(parsed.l4, L4::Icmp(_)) { "icmp" } else { "icmpv6" };
                match icmp_type(parsed.family, icmp.kind) {
                    Some(kind) => write!(f, " {name} {kind}")?,
                    None => write!(f, " {name} type {} code {}", icmp.kind, icmp.code)?,
                }
                if matches!(icmp.kind, 0 | 8 | 128 | 129) {
                    write!(f, " id {} seq {}", icmp.identifier(), icmp.sequence())?;
                }
                Ok(())
            }
            _ => {
                pair(f, parsed.family, source, destination)?;
                write!(f, " protocol {}", parsed.protocol)?;
                if let Some(fragment) = parsed.fragment {
                    write!(f, " fragment at {}", fragment.offset)?;
                }
                length(f, data)
            }
        }
    }
}

fn length(f: &mut fmt::Formatter<'_>, bytes: u32) -> fmt::Result {
    if bytes == 0 { Ok(()) } else { write!(f, " {bytes} bytes") }
}

fn pair(f: &mut fmt::Formatter<'_>, family: Family, from: Address, to: Address) -> fmt::Result {
    write!(f, "{} > {}", from.ip(family), to.ip(family))
}

fn ports(f: &mut fmt::Formatter<'_>, parsed: &Parsed, from: u16, to: u16) -> fmt::Result {
    let end = |ip: IpAddr, port: u16| std::net::SocketAddr::new(ip, port);
    let (source, destination) =
        (parsed.source.ip(parsed.family), parsed.destination.ip(parsed.family));
    write!(f, "{} > {}", end(source, from), end(destination, to))
}

fn icmp_type(family: Family, kind: u8) -> Option<&'static str> {
    Some(match (family, kind) {
        (Family::V4, 0) | (Family::V6, 129) => "echo-reply",
        (Family::V4, 8) | (Family::V6, 128) => "echo-request",
        (Family::V6, 133) => "router-solicitation",
        (Family::V6, 134) => "router-advertisement",
        (Family::V6, 135) => "neighbour-solicitation",
        (Family::V6, 136) => "neighbour-advertisement",
        (Family::V4, 5) | (Family::V6, 137) => "redirect",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_people_can_read() {
        let tcp = [
            0x45, 0, 0, 43, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
            0xc6, 0x74, 0, 21, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0, 1, 0, 0, 0, 0, // TCP
            b'a', b'b', b'c',
        ];
        assert_eq!(
            PacketText(&tcp).to_string(),
            "10.0.0.1:50804 > 10.0.0.2:21 tcp PSH,ACK 3 bytes"
        );
        let echo = [
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
            8, 0, 0, 0, 0, 7, 0, 3, // ICMP
        ];
        assert_eq!(
            PacketText(&echo).to_string(),
            "10.0.0.1 > 10.0.0.2 icmp echo-request id 7 seq 3"
        );
        assert_eq!(PacketText(&[1, 2]).to_string(), "2 bytes that are no IP packet");
    }
}
