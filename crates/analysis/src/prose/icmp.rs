//! ICMP and ICMPv6 types by name (RFC 792, RFC 4443, RFC 4861; the names of iptables -m icmp -h).

/// Type, code (255: any), name.
type Row = (u8, u8, &'static str);

const V4: &[Row] = &[
    (0, 255, "echo-reply"),
    (3, 0, "network-unreachable"),
    (3, 1, "host-unreachable"),
    (3, 2, "protocol-unreachable"),
    (3, 3, "port-unreachable"),
    (3, 4, "fragmentation-needed"),
    (3, 5, "source-route-failed"),
    (3, 9, "network-prohibited"),
    (3, 10, "host-prohibited"),
    (3, 13, "communication-prohibited"),
    (3, 255, "destination-unreachable"),
    (4, 255, "source-quench"),
    (5, 255, "redirect"),
    (8, 255, "echo-request"),
    (9, 255, "router-advertisement"),
    (10, 255, "router-solicitation"),
    (11, 0, "ttl-zero-during-transit"),
    (11, 1, "ttl-zero-during-reassembly"),
    (11, 255, "time-exceeded"),
    (12, 255, "parameter-problem"),
    (13, 255, "timestamp-request"),
    (14, 255, "timestamp-reply"),
    (17, 255, "address-mask-request"),
    (18, 255, "address-mask-reply"),
];

const V6: &[Row] = &[
    (1, 0, "no-route"),
    (1, 1, "communication-prohibited"),
    (1, 3, "address-unreachable"),
    (1, 4, "port-unreachable"),
    (1, 255, "destination-unreachable"),
    (2, 255, "packet-too-big"),
    (3, 0, "ttl-zero-during-transit"),
    (3, 255, "time-exceeded"),
    (4, 255, "parameter-problem"),
    (128, 255, "echo-request"),
    (129, 255, "echo-reply"),
    (130, 255, "mld-query"),
    (131, 255, "mld-report"),
    (132, 255, "mld-done"),
    (133, 255, "router-solicitation"),
    (134, 255, "router-advertisement"),
    (135, 255, "neighbour-solicitation"),
    (136, 255, "neighbour-advertisement"),
    (137, 255, "redirect"),
    (143, 255, "mld2-report"),
];

/// Names that iptables takes besides.
const ALIASES: &[(&str, &str)] = &[
    ("pong", "echo-reply"),
    ("ping", "echo-request"),
    ("neighbor-solicitation", "neighbour-solicitation"),
    ("neighbor-advertisement", "neighbour-advertisement"),
    ("ttl-exceeded", "time-exceeded"),
    ("host-unknown", "host-unreachable"),
];

fn rows(v4: bool) -> &'static [Row] {
    if v4 { V4 } else { V6 }
}

/// By type and code: `fragmentation-needed (ICMP type 3, code 4)`.
#[must_use]
pub fn name(v4: bool, kind: u8, code: u8) -> String {
    let exact = rows(v4).iter().find(|row| row.0 == kind && row.1 == code);
    let row = exact.or_else(|| rows(v4).iter().find(|row| row.0 == kind && row.1 == 255));
    match row {
        Some((_, _, name)) => (*name).to_string(),
        None => format!("ICMP{} type {kind}, code {code}", if v4 { "" } else { "v6" }),
    }
}

/// By what a rule says: `echo-request`, `8`, `3/4`; code 0 where any will do. `None` for `any` and
/// for what is no type.
#[must_use]
pub fn number(v4: bool, text: &str) -> Option<(u8, u8)> {
    if let Some((kind, code)) = text.split_once('/') {
        return Some((kind.parse().ok()?, code.parse().ok()?));
    }
    if let Ok(kind) = text.parse() {
        return (kind != 255).then_some((kind, 0));
    }
    let text = ALIASES.iter().find(|(alias, _)| *alias == text).map_or(text, |(_, name)| *name);
    let row = rows(v4).iter().find(|row| row.2 == text)?;
    Some((row.0, if row.1 == 255 { 0 } else { row.1 }))
}

/// Whether the type is an error about another packet.
#[must_use]
pub fn is_error(v4: bool, kind: u8) -> bool {
    if v4 { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { kind < 128 }
}
