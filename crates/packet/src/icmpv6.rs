//! ICMPv6 (RFC 4443), neighbour discovery (RFC 4861), MLD (RFC 2710, RFC 3810).

use crate::icmp::{Name, any, code, name_in};

/// The protocol number of ICMPv6.
pub const PROTOCOL: u8 = 58;

/// Whether a type reports an error and quotes the packet that caused it: those below 128 (RFC
/// 4443, 2.1).
#[must_use]
pub const fn is_error(kind: u8) -> bool {
    kind < 128
}

/// Destination unreachable.
pub const DESTINATION_UNREACHABLE: u8 = 1;
/// Packet too big.
pub const PACKET_TOO_BIG: u8 = 2;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 3;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 4;
/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;
/// Multicast listener query.
pub const MULTICAST_LISTENER_QUERY: u8 = 130;
/// Multicast listener report.
pub const MULTICAST_LISTENER_REPORT: u8 = 131;
/// Multicast listener done.
pub const MULTICAST_LISTENER_DONE: u8 = 132;
/// Router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// Router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// Neighbour solicitation.
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// Neighbour advertisement.
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Redirect.
pub const REDIRECT: u8 = 137;
/// Multicast listener report, version 2 (RFC 3810).
pub const MULTICAST_LISTENER_REPORT_V2: u8 = 143;

/// The names of ICMPv6 messages: each type before its codes, and the name that is printed before the
/// others for the same message.
pub const NAMES: &[Name] = &[
    any("destination-unreachable", DESTINATION_UNREACHABLE),
    code("no-route", DESTINATION_UNREACHABLE, 0),
    code("communication-prohibited", DESTINATION_UNREACHABLE, 1),
    code("beyond-scope", DESTINATION_UNREACHABLE, 2),
    code("address-unreachable", DESTINATION_UNREACHABLE, 3),
    code("port-unreachable", DESTINATION_UNREACHABLE, 4),
    code("failed-policy", DESTINATION_UNREACHABLE, 5),
    code("reject-route", DESTINATION_UNREACHABLE, 6),
    any("packet-too-big", PACKET_TOO_BIG),
    any("time-exceeded", TIME_EXCEEDED),
    any("ttl-exceeded", TIME_EXCEEDED),
    code("ttl-zero-during-transit", TIME_EXCEEDED, 0),
    code("ttl-zero-during-reassembly", TIME_EXCEEDED, 1),
    any("parameter-problem", PARAMETER_PROBLEM),
    code("bad-header", PARAMETER_PROBLEM, 0),
    code("unknown-header-type", PARAMETER_PROBLEM, 1),
    code("unknown-option", PARAMETER_PROBLEM, 2),
    any("echo-request", ECHO_REQUEST),
    any("ping", ECHO_REQUEST),
    any("echo-reply", ECHO_REPLY),
    any("pong", ECHO_REPLY),
    any("router-solicitation", ROUTER_SOLICITATION),
    any("router-advertisement", ROUTER_ADVERTISEMENT),
    any("neighbour-solicitation", NEIGHBOUR_SOLICITATION),
    any("neighbor-solicitation", NEIGHBOUR_SOLICITATION),
    any("neighbour-advertisement", NEIGHBOUR_ADVERTISEMENT),
    any("neighbor-advertisement", NEIGHBOUR_ADVERTISEMENT),
    any("redirect", REDIRECT),
];

/// The name of a message: that of its code where it has one, or else that of its type.
#[must_use]
pub fn name(kind: u8, code: u8) -> Option<&'static str> {
    name_in(NAMES, kind, code)
}
