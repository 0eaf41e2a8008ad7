//! Tuples: one direction of a connection.
//!
//! ICMP and ICMPv6 queries have no ports. Their identifier stands in [`Tuple::source_port`] in both
//! directions, type and code in [`Tuple::destination_port`]; inverting such a tuple turns the query
//! into its answer. Types that belong to no query have no inverse, so they begin no connection.

use crate::proto::gre::KeyMap;
use keepstate_packet::gre::GreHeader;
use keepstate_packet::icmp::{self, IcmpHeader};
use keepstate_packet::{Address, Family, L4, Parsed, Quoted, gre, icmpv6, sctp, tcp, udp};

/// Direction of a packet within its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// As the first packet.
    Original = 0,
    /// The other way.
    Reply = 1,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn invert(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port; for ICMP the identifier; for protocols without ports 0. Host byte order.
    pub source_port: u16,
    /// Destination port; for ICMP `type << 8 | code`; for protocols without ports 0. Host byte
    /// order.
    pub destination_port: u16,
    /// Upper-layer protocol.
    pub protocol: u8,
    /// Family of both addresses.
    pub family: Family,
}

impl Tuple {
    /// The tuple of a packet. A header that is cut after the ports has one, as in the kernel; that it
    /// is cut is for its tracker to say. `None` when it is cut before the end of the ports, when
    /// there is none (a later fragment, a broken chain of extension headers), and for PPTP's GRE,
    /// of which the table has to say the source key.
    #[inline]
    #[must_use]
    pub fn of(packet: &Parsed, bytes: &[u8]) -> Option<Self> {
        let (source_port, destination_port) = match &packet.l4 {
            L4::Tcp(header) => (header.source_port, header.destination_port),
            L4::Udp(header) | L4::UdpLite(header) => (header.source_port, header.destination_port),
            L4::Icmp(header) | L4::Icmpv6(header) => icmp_ports(header),
            L4::Short if packet.protocol == icmp::PROTOCOL => return None,
            L4::Short if packet.protocol == icmpv6::PROTOCOL => return None,
            L4::Short | L4::Other => ports_of(packet.protocol, packet.l4_bytes(bytes))?,
            L4::Fragment | L4::NoNextHeader | L4::BrokenChain => return None,
        };
        Some(Self {
            source: packet.source,
            destination: packet.destination,
            source_port,
            destination_port,
            protocol: packet.protocol,
            family: packet.family,
        })
    }

    /// The tuple of PPTP's GRE; `None` for every other packet.
    pub(crate) fn of_keyed(packet: &Parsed, bytes: &[u8], keys: &KeyMap) -> Option<Self> {
        let (L4::Short | L4::Other, gre::PROTOCOL) = (&packet.l4, packet.protocol) else {
            return None;
        };
        let destination_port = call_id(packet.l4_bytes(bytes))?;
        let tuple = Self {
            source: packet.source,
            destination: packet.destination,
            source_port: 0,
            destination_port,
            protocol: gre::PROTOCOL,
            family: packet.family,
        };
        Some(Self { source_port: keys.source_key(&tuple), ..tuple })
    }

    /// The tuple of a packet that an ICMP error quotes.
    pub(crate) fn of_quoted(quoted: &Quoted<'_>, keys: &KeyMap) -> Option<Self> {
        let call_id = (quoted.protocol == gre::PROTOCOL).then(|| call_id(quoted.l4)).flatten();
        let (source_port, destination_port) = match quoted.protocol {
            icmp::PROTOCOL | icmpv6::PROTOCOL => icmp_ports(&quoted.icmp()?),
            protocol => match call_id {
                Some(call_id) => (0, call_id),
                None => ports_of(protocol, quoted.l4)?,
            },
        };
        let tuple = Self {
            source: quoted.source,
            destination: quoted.destination,
            source_port,
            destination_port,
            protocol: quoted.protocol,
            family: quoted.family,
        };
        let keyed = call_id.map(|_| keys.source_key(&tuple));
        Some(Self { source_port: keyed.unwrap_or(source_port), ..tuple })
    }

    /// The tuple of the answers; `None` for ICMP types that ask nothing.
    #[inline]
    #[must_use]
    pub fn invert(&self) -> Option<Self> {
        let (source_port, destination_port) = match self.icmp_type() {
            None => (self.destination_port, self.source_port),
            Some(kind) => {
                let answer = inverse_type(self.protocol, kind)?;
                let code = self.destination_port & 0xff;
                (self.source_port, u16::from(answer) << 8 | code)
            }
        };
        Some(Self {
            source: self.destination,
            destination: self.source,
            source_port,
            destination_port,
            ..*self
        })
    }

    /// The type, when the protocol is ICMP or ICMPv6.
    #[inline]
    #[must_use]
    pub const fn icmp_type(&self) -> Option<u8> {
        match self.protocol {
            icmp::PROTOCOL | icmpv6::PROTOCOL => Some((self.destination_port >> 8) as u8),
            _ => None,
        }
    }
}

#[inline]
const fn icmp_ports(header: &IcmpHeader) -> (u16, u16) {
    ((header.rest >> 16) as u16, (header.kind as u16) << 8 | header.code as u16)
}

/// The queries and their answers (RFC 792, RFC 950; RFC 4443, RFC 4620).
const ICMP_QUERIES: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
const ICMPV6_QUERIES: [(u8, u8); 2] = [(128, 129), (139, 140)];

/// The type that answers `kind`, or that `kind` answers.
pub(crate) fn inverse_type(protocol: u8, kind: u8) -> Option<u8> {
    queries(protocol).iter().find_map(|&(query, answer)| match kind {
        _ if kind == query => Some(answer),
        _ if kind == answer => Some(query),
        _ => None,
    })
}

/// Whether `kind` asks, so that it may begin a connection.
pub(crate) fn is_query(protocol: u8, kind: u8) -> bool {
    queries(protocol).iter().any(|(query, _)| *query == kind)
}

const fn queries(protocol: u8) -> &'static [(u8, u8)] {
    match protocol {
        icmp::PROTOCOL => &ICMP_QUERIES,
        icmpv6::PROTOCOL => &ICMPV6_QUERIES,
        _ => &[],
    }
}

/// Whether the upper-layer header begins with a source and a destination port.
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, tcp::PROTOCOL | udp::PROTOCOL | udp::PROTOCOL_LITE | sctp::PROTOCOL)
}

/// The ports at the start of an upper-layer header; zeros for a protocol that has none.
fn ports_of(protocol: u8, l4: &[u8]) -> Option<(u16, u16)> {
    if protocol == gre::PROTOCOL {
        return gre_keys(l4);
    }
    if !has_ports(protocol) {
        return Some((0, 0));
    }
    let [a, b, c, d] = *l4.first_chunk::<4>()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// GRE has none. Version 1 has no tuple here: where it is PPTP's, its call identifiers stand in place of
/// the ports, and where it carries something else, Linux has none either.
fn gre_keys(l4: &[u8]) -> Option<(u16, u16)> {
    let cut = l4.len() < CALL_ID_END;
    let version = l4.get(1).map_or(0, |flags| flags & 7);
    (cut || version != 1).then_some((0, 0))
}

/// Length of a GRE header of version 1 up to its call identifier.
const CALL_ID_END: usize = 8;

/// The call identifier of PPTP's GRE (RFC 2637, 4.1).
fn call_id(l4: &[u8]) -> Option<u16> {
    let header = GreHeader::read(l4).filter(|header| header.protocol == gre::PPP)?;
    header.call_id(l4)
}
