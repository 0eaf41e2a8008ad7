//! A packet in one line.

use super::{icmp, protocol, tcp};
use keepstate_packet::{Family, L4, Parsed};

/// `TCP RST-ACK 192.0.2.10:22 > 198.51.100.20:40000`, `ICMP port-unreachable 192.0.2.10 > ...`.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    let Ok(parsed) = Parsed::new(bytes) else { return String::from("no IP packet") };
    let source = parsed.source.ip(parsed.family);
    let destination = parsed.destination.ip(parsed.family);
    let at =
        |address: std::net::IpAddr, port: u16| std::net::SocketAddr::new(address, port).to_string();
    match parsed.l4 {
        L4::Tcp(header) => format!(
            "TCP {} {} > {}",
            tcp::flags(header.flags),
            at(source, header.source_port),
            at(destination, header.destination_port)
        ),
        L4::Udp(header) | L4::UdpLite(header) => format!(
            "UDP {} > {}",
            at(source, header.source_port),
            at(destination, header.destination_port)
        ),
        L4::Icmp(header) | L4::Icmpv6(header) => {
            let v4 = parsed.family == Family::V4;
            let name = if v4 { "ICMP" } else { "ICMPv6" };
            let kind = icmp::name(v4, header.kind, header.code);
            format!("{name} {kind} {source} > {destination}")
        }
        L4::Short | L4::Fragment | L4::Other | L4::NoNextHeader | L4::BrokenChain => {
            format!("{} {source} > {destination}", protocol::name(parsed.protocol))
        }
    }
}
