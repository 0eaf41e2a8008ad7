//! Protocol numbers (IANA) that rules and connection lines name.

const PROTOCOLS: &[(u8, &str, &str)] = &[
    (1, "icmp", "ICMP"),
    (2, "igmp", "IGMP"),
    (4, "ipencap", "IP in IP"),
    (6, "tcp", "TCP"),
    (17, "udp", "UDP"),
    (33, "dccp", "DCCP"),
    (41, "ipv6", "IPv6 in IPv4"),
    (47, "gre", "GRE"),
    (50, "esp", "ESP (IPsec)"),
    (51, "ah", "AH (IPsec)"),
    (58, "ipv6-icmp", "ICMPv6"),
    (89, "ospf", "OSPF"),
    (103, "pim", "PIM"),
    (112, "vrrp", "VRRP"),
    (115, "l2tp", "L2TP"),
    (132, "sctp", "SCTP"),
    (136, "udplite", "UDP-Lite"),
];

/// As people write it.
#[must_use]
pub fn name(number: u8) -> String {
    match PROTOCOLS.iter().find(|(known, ..)| *known == number) {
        Some((_, _, name)) => (*name).to_string(),
        None => format!("protocol {number}"),
    }
}

/// By the name rules use, or the number; 0 is `all`.
#[must_use]
pub fn number(text: &str) -> Option<u8> {
    match text {
        "all" => Some(0),
        "icmpv6" | "ip6-icmp" => Some(58),
        "ipip" => Some(4),
        _ => match PROTOCOLS.iter().find(|(_, name, _)| *name == text) {
            Some((number, ..)) => Some(*number),
            None => text.parse().ok(),
        },
    }
}
