//! Names of upper-layer protocols (IANA's assigned Internet protocol numbers), for `-p`.

use crate::flow::DCCP;
use keepstate_packet::{gre, icmp, icmpv6, sctp, tcp, udp};

/// Those that conntrack(8) has options for, by the names it gives them.
const KNOWN: [(&str, u8); 8] = [
    ("tcp", tcp::PROTOCOL),
    ("udp", udp::PROTOCOL),
    ("udplite", udp::PROTOCOL_LITE),
    ("icmp", icmp::PROTOCOL),
    ("icmpv6", icmpv6::PROTOCOL),
    ("sctp", sctp::PROTOCOL),
    ("dccp", DCCP),
    ("gre", gre::PROTOCOL),
];

/// Those that systems name in `/etc/protocols`.
const NAMED: [(&str, u8); 50] = [
    ("ip", 0),
    ("hopopt", 0),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("iso-tp4", 29),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("rspf", 73),
    ("vmtp", 81),
    ("eigrp", 88),
    ("ospf", 89),
    ("ax.25", 93),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("fc", 133),
    ("mobility-header", 135),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
    ("ethernet", 143),
    ("mptcp", 6),
];

/// The number of a protocol, by name or number. Lower and upper case are alike in the names that
/// conntrack(8) has itself; of the others systems know both.
pub(super) fn number(text: &str) -> Option<u8> {
    let known = KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let lower_or_upper = |name: &str| {
        name == text
            || (name.eq_ignore_ascii_case(text) && !text.contains(|c: char| c.is_lowercase()))
    };
    let named = || NAMED.iter().find(|(name, _)| lower_or_upper(name));
    if let Some((_, number)) = known.or_else(named) {
        return Some(*number);
    }
    let (number, rest) = super::values::unsigned(text, 0);
    let digits = text.trim_start().starts_with(|c: char| c.is_ascii_digit());
    u8::try_from(number).ok().filter(|_| digits && rest.is_empty())
}
