//! The cells of trackers without states of their own: what is known of the connection × direction;
//! and the types of ICMP and ICMPv6.

use super::{Before, grid::Grid};
use keepstate_conntrack::{CtStatus, Direction};
use keepstate_packet::{Family, L4, Parsed, gre, icmp, icmpv6, sctp, tcp, udp};

/// The trackers without states, by name, and whether they make connections ASSURED.
const TRACKERS: [(&str, bool); 6] = [
    ("udp", true),
    ("udplite", true),
    ("gre", true),
    ("icmp", false),
    ("icmpv6", false),
    ("generic", false),
];
/// What is known of the connection, and where its packet goes.
const COLUMNS: [&str; 7] = [
    "nothing known",
    "unreplied, original",
    "unreplied, reply",
    "replied, original",
    "replied, reply",
    "assured, original",
    "assured, reply",
];

pub(super) fn grid() -> Grid {
    let cells = TRACKERS.into_iter().flat_map(|(name, assures)| {
        COLUMNS.into_iter().map(move |column| {
            let never = column.starts_with("assured") && !assures;
            let why = never.then_some("nothing makes connections of this protocol ASSURED");
            (name.to_owned(), column, why)
        })
    });
    Grid::new("others", "cells of tracker, what is known and direction", cells)
}

pub(super) fn cell(before: &Before, parsed: &Parsed) -> Option<usize> {
    let row = match parsed.protocol {
        tcp::PROTOCOL | sctp::PROTOCOL => return None,
        udp::PROTOCOL => 0,
        udp::PROTOCOL_LITE => 1,
        gre::PROTOCOL => 2,
        icmp::PROTOCOL => 3,
        icmpv6::PROTOCOL => 4,
        _ => 5,
    };
    let column = match before.status {
        None => 0,
        Some(status) => {
            let known = match status {
                status if status.contains(CtStatus::ASSURED) => 5,
                status if status.contains(CtStatus::SEEN_REPLY) => 3,
                _ => 1,
            };
            known + usize::from(before.direction == Direction::Reply)
        }
    };
    Some(row * COLUMNS.len() + column)
}

/// Types with a fate of their own, by family and number; the last of a family stands for the rest.
const TYPES: [(Family, &str, Option<u8>); 39] = [
    (Family::V4, "echo-reply", Some(0)),
    (Family::V4, "1", Some(1)),
    (Family::V4, "2", Some(2)),
    (Family::V4, "destination-unreachable", Some(3)),
    (Family::V4, "source-quench", Some(4)),
    (Family::V4, "redirect", Some(5)),
    (Family::V4, "echo-request", Some(8)),
    (Family::V4, "router-advertisement", Some(9)),
    (Family::V4, "router-solicitation", Some(10)),
    (Family::V4, "time-exceeded", Some(11)),
    (Family::V4, "parameter-problem", Some(12)),
    (Family::V4, "timestamp-request", Some(13)),
    (Family::V4, "timestamp-reply", Some(14)),
    (Family::V4, "information-request", Some(15)),
    (Family::V4, "information-reply", Some(16)),
    (Family::V4, "address-mask-request", Some(17)),
    (Family::V4, "address-mask-reply", Some(18)),
    (Family::V4, "others", None),
    (Family::V6, "destination-unreachable", Some(1)),
    (Family::V6, "packet-too-big", Some(2)),
    (Family::V6, "time-exceeded", Some(3)),
    (Family::V6, "parameter-problem", Some(4)),
    (Family::V6, "error 100", Some(100)),
    (Family::V6, "error 127", Some(127)),
    (Family::V6, "echo-request", Some(128)),
    (Family::V6, "echo-reply", Some(129)),
    (Family::V6, "multicast-listener-query", Some(130)),
    (Family::V6, "multicast-listener-report", Some(131)),
    (Family::V6, "multicast-listener-done", Some(132)),
    (Family::V6, "router-solicitation", Some(133)),
    (Family::V6, "router-advertisement", Some(134)),
    (Family::V6, "neighbour-solicitation", Some(135)),
    (Family::V6, "neighbour-advertisement", Some(136)),
    (Family::V6, "redirect", Some(137)),
    (Family::V6, "node-information-query", Some(139)),
    (Family::V6, "node-information-response", Some(140)),
    (Family::V6, "multicast-listener-report-v2", Some(143)),
    (Family::V6, "multicast-router-advertisement", Some(151)),
    (Family::V6, "others", None),
];

pub(super) fn types() -> Grid {
    let cells = TYPES.into_iter().map(|(family, name, _)| {
        let row = if family == Family::V4 { "icmp" } else { "icmpv6" };
        (row.to_owned(), name, None)
    });
    Grid::new("icmp types", "types of message", cells)
}

pub(super) fn kind(parsed: &Parsed) -> Option<usize> {
    let number = match (parsed.family, &parsed.l4) {
        (Family::V4, L4::Icmp(header)) | (Family::V6, L4::Icmpv6(header)) => header.kind,
        _ => return None,
    };
    let of = |number| {
        TYPES.iter().position(|(family, _, kind)| (*family, *kind) == (parsed.family, number))
    };
    of(Some(number)).or_else(|| of(None))
}
