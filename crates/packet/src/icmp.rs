//! ICMP (RFC 792, RFC 4884).

use crate::read::field;

/// The protocol number of ICMP.
pub const PROTOCOL: u8 = 1;
/// Length of the part all messages share, in bytes.
pub const HEADER_LENGTH: usize = 8;

/// The first eight bytes of an ICMP or ICMPv6 message, host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpHeader {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Octets 4 to 8 (identifier and sequence number of a query; MTU, pointer or gateway).
    pub rest: u32,
}

impl IcmpHeader {
    /// From the first 8 bytes; `None` when there are fewer.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_LENGTH>()?;
        Some(Self { kind: header[0], code: header[1], rest: u32::from_be_bytes(field(header, 4)) })
    }

    /// The identifier of a query or its answer.
    #[inline]
    #[must_use]
    pub const fn identifier(&self) -> u16 {
        (self.rest >> 16) as u16
    }

    /// The sequence number of a query or its answer; the next-hop MTU of an ICMP "fragmentation
    /// needed".
    #[inline]
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        self.rest as u16
    }
}

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Destination unreachable.
pub const DESTINATION_UNREACHABLE: u8 = 3;
/// Source quench.
pub const SOURCE_QUENCH: u8 = 4;
/// Redirect.
pub const REDIRECT: u8 = 5;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Router advertisement (RFC 1256).
pub const ROUTER_ADVERTISEMENT: u8 = 9;
/// Router solicitation (RFC 1256).
pub const ROUTER_SOLICITATION: u8 = 10;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;
/// Timestamp request.
pub const TIMESTAMP_REQUEST: u8 = 13;
/// Timestamp reply.
pub const TIMESTAMP_REPLY: u8 = 14;
/// Address mask request (RFC 950).
pub const ADDRESS_MASK_REQUEST: u8 = 17;
/// Address mask reply (RFC 950).
pub const ADDRESS_MASK_REPLY: u8 = 18;

/// Whether a type reports an error and quotes the packet that caused it (RFC 1122, 3.2.2).
#[must_use]
pub const fn is_error(kind: u8) -> bool {
    matches!(
        kind,
        DESTINATION_UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
    )
}

/// A name of an ICMP or ICMPv6 message, as `iptables -p icmp --icmp-type` knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: &'static str,
    /// Type.
    pub kind: u8,
    /// Code; `None`: any.
    pub code: Option<u8>,
}

pub(crate) const fn any(name: &'static str, kind: u8) -> Name {
    Name { name, kind, code: None }
}

pub(crate) const fn code(name: &'static str, kind: u8, code: u8) -> Name {
    Name { name, kind, code: Some(code) }
}

/// The names of ICMP messages: each type before its codes, and the name that is printed before the
/// others for the same message.
pub const NAMES: &[Name] = &[
    any("echo-reply", ECHO_REPLY),
    any("pong", ECHO_REPLY),
    any("destination-unreachable", DESTINATION_UNREACHABLE),
    code("network-unreachable", DESTINATION_UNREACHABLE, 0),
    code("host-unreachable", DESTINATION_UNREACHABLE, 1),
    code("protocol-unreachable", DESTINATION_UNREACHABLE, 2),
    code("port-unreachable", DESTINATION_UNREACHABLE, 3),
    code("fragmentation-needed", DESTINATION_UNREACHABLE, 4),
    code("source-route-failed", DESTINATION_UNREACHABLE, 5),
    code("network-unknown", DESTINATION_UNREACHABLE, 6),
    code("host-unknown", DESTINATION_UNREACHABLE, 7),
    code("network-prohibited", DESTINATION_UNREACHABLE, 9),
    code("host-prohibited", DESTINATION_UNREACHABLE, 10),
    code("TOS-network-unreachable", DESTINATION_UNREACHABLE, 11),
    code("TOS-host-unreachable", DESTINATION_UNREACHABLE, 12),
    code("communication-prohibited", DESTINATION_UNREACHABLE, 13),
    code("host-precedence-violation", DESTINATION_UNREACHABLE, 14),
    code("precedence-cutoff", DESTINATION_UNREACHABLE, 15),
    any("source-quench", SOURCE_QUENCH),
    any("redirect", REDIRECT),
    code("network-redirect", REDIRECT, 0),
    code("host-redirect", REDIRECT, 1),
    code("TOS-network-redirect", REDIRECT, 2),
    code("TOS-host-redirect", REDIRECT, 3),
    any("echo-request", ECHO_REQUEST),
    any("ping", ECHO_REQUEST),
    any("router-advertisement", ROUTER_ADVERTISEMENT),
    any("router-solicitation", ROUTER_SOLICITATION),
    any("time-exceeded", TIME_EXCEEDED),
    any("ttl-exceeded", TIME_EXCEEDED),
    code("ttl-zero-during-transit", TIME_EXCEEDED, 0),
    code("ttl-zero-during-reassembly", TIME_EXCEEDED, 1),
    any("parameter-problem", PARAMETER_PROBLEM),
    code("ip-header-bad", PARAMETER_PROBLEM, 0),
    code("required-option-missing", PARAMETER_PROBLEM, 1),
    any("timestamp-request", TIMESTAMP_REQUEST),
    any("timestamp-reply", TIMESTAMP_REPLY),
    any("address-mask-request", ADDRESS_MASK_REQUEST),
    any("address-mask-reply", ADDRESS_MASK_REPLY),
];

/// The name of a message: that of its code where it has one, or else that of its type.
#[must_use]
pub fn name(kind: u8, code: u8) -> Option<&'static str> {
    name_in(NAMES, kind, code)
}

pub(crate) fn name_in(names: &'static [Name], kind: u8, code: u8) -> Option<&'static str> {
    let find = |code| names.iter().find(|n| n.kind == kind && n.code == code).map(|n| n.name);
    find(Some(code)).or_else(|| find(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_and_codes() {
        assert_eq!(name(8, 0), Some("echo-request"));
        assert_eq!(name(3, 3), Some("port-unreachable"));
        assert_eq!(name(3, 8), Some("destination-unreachable"));
        assert_eq!(name(11, 0), Some("ttl-zero-during-transit"));
        assert_eq!(name(200, 0), None);
        assert_eq!(crate::icmpv6::name(1, 4), Some("port-unreachable"));
        assert_eq!(crate::icmpv6::name(135, 0), Some("neighbour-solicitation"));
        assert_eq!(crate::icmpv6::name(2, 9), Some("packet-too-big"));
    }

    #[test]
    fn names_are_unique() {
        for names in [NAMES, crate::icmpv6::NAMES] {
            for (i, one) in names.iter().enumerate() {
                assert!(names.iter().skip(i + 1).all(|n| n.name != one.name), "{}", one.name);
            }
        }
    }
}
