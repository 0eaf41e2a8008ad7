//! What FTP's two ends announce to each other in the packets that go by: where a data connection comes that nobody
//! expects, it is told with the line that has announced it.

use keepstate_packet::{L4, Parsed, tcp};
use std::net::IpAddr;

/// Port of FTP's control connections.
const FTP: u16 = 21;
/// Bytes of a line that are shown.
const LINE_MAX: usize = 80;

/// An address and port that a line has announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// The packet's number.
    pub(super) by: usize,
    /// The line.
    pub(super) line: String,
    address: IpAddr,
    port: u16,
}

impl Announced {
    /// What a packet announces.
    pub(super) fn of(number: usize, bytes: &[u8]) -> Option<Self> {
        let parsed = Parsed::new(bytes).ok()?;
        let L4::Tcp(segment) = parsed.l4 else { return None };
        if segment.source_port != FTP && segment.destination_port != FTP {
            return None;
        }
        let data = parsed.l4_bytes(bytes).get(usize::from(segment.header_length)..)?;
        let line = std::str::from_utf8(data).ok()?.lines().next()?;
        let (address, port) = announcement(line, parsed.source.ip(parsed.family))?;
        let line = line.chars().take(LINE_MAX).collect();
        Some(Self { by: number, line, address, port })
    }

    /// Whether a packet begins the connection.
    pub(super) fn is_begun_by(&self, bytes: &[u8]) -> bool {
        let Ok(parsed) = Parsed::new(bytes) else { return false };
        let L4::Tcp(segment) = parsed.l4 else { return false };
        let called = (parsed.destination.ip(parsed.family), segment.destination_port);
        let begins = segment.flags & (tcp::SYN | tcp::ACK) == tcp::SYN;
        begins && called == (self.address, self.port)
    }
}

/// `227 ... (h1,h2,h3,h4,p1,p2)`, `PORT h1,...,p2` (RFC 959), `229 ... (|||port|)`, `EPRT |1|address|port|` (RFC 2428).
fn announcement(line: &str, sender: IpAddr) -> Option<(IpAddr, u16)> {
    let inside = || Some(line.split_once('(')?.1.split_once(')')?.0);
    let (word, rest) = line.split_once(' ')?;
    match word {
        "227" => numbers(inside()?),
        "PORT" => numbers(rest),
        "229" => Some((sender, inside()?.trim_matches('|').parse().ok()?)),
        "EPRT" => {
            let mut parts = rest.trim().trim_matches('|').split('|');
            let (_, address, port) = (parts.next()?, parts.next()?, parts.next()?);
            Some((address.parse().ok()?, port.parse().ok()?))
        }
        _ => None,
    }
}

fn numbers(text: &str) -> Option<(IpAddr, u16)> {
    let all: Vec<u8> =
        text.trim().split(',').map_while(|number| number.trim().parse().ok()).collect();
    let [a, b, c, d, high, low] = all.as_slice() else { return None };
    Some((IpAddr::from([*a, *b, *c, *d]), u16::from_be_bytes([*high, *low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_announce() {
        let server: IpAddr = "198.51.100.20".parse().expect("an address");
        for (line, wanted) in [
            ("227 Entering Passive Mode (198,51,100,20,200,10)", Some("198.51.100.20:51210")),
            ("229 Entering Extended Passive Mode (|||51210|)", Some("198.51.100.20:51210")),
            ("PORT 10,0,0,2,200,10", Some("10.0.0.2:51210")),
            ("EPRT |1|10.0.0.2|51210|", Some("10.0.0.2:51210")),
            ("220 ready (1,2,3)", None),
            ("227 (1,2,3,4,5)", None),
            ("PORT", None),
        ] {
            let found = announcement(line, server);
            let found = found.map(|(address, port)| format!("{address}:{port}"));
            assert_eq!(found.as_deref(), wanted, "{line}");
        }
    }
}
