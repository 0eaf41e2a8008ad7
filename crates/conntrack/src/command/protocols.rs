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

/// Those that systems name in `/etc/protocols`, with their other names.
const NAMED: [(&str, &str, u8); 50] = [
    ("ip", "IP", 0),
    ("hopopt", "HOPOPT", 0),
    ("igmp", "IGMP", 2),
    ("ggp", "GGP", 3),
    ("ipencap", "IP-ENCAP", 4),
    ("st", "ST", 5),
    ("egp", "EGP", 8),
    ("igp", "IGP", 9),
    ("pup", "PUP", 12),
    ("hmp", "HMP", 20),
    ("xns-idp", "XNS-IDP", 22),
    ("rdp", "RDP", 27),
    ("iso-tp4", "ISO-TP4", 29),
    ("xtp", "XTP", 36),
    ("ddp", "DDP", 37),
    ("idpr-cmtp", "IDPR-CMTP", 38),
    ("ipv6", "IPv6", 41),
    ("ipv6-route", "IPv6-Route", 43),
    ("ipv6-frag", "IPv6-Frag", 44),
    ("idrp", "IDRP", 45),
    ("rsvp", "RSVP", 46),
    ("esp", "IPSEC-ESP", 50),
    ("ah", "IPSEC-AH", 51),
    ("skip", "SKIP", 57),
    ("ipv6-icmp", "IPv6-ICMP", 58),
    ("ipv6-nonxt", "IPv6-NoNxt", 59),
    ("ipv6-opts", "IPv6-Opts", 60),
    ("rspf", "RSPF", 73),
    ("vmtp", "VMTP", 81),
    ("eigrp", "EIGRP", 88),
    ("ospf", "OSPFIGP", 89),
    ("ax.25", "AX.25", 93),
    ("ipip", "IPIP", 94),
    ("etherip", "ETHERIP", 97),
    ("encap", "ENCAP", 98),
    ("pim", "PIM", 103),
    ("ipcomp", "IPCOMP", 108),
    ("vrrp", "VRRP", 112),
    ("l2tp", "L2TP", 115),
    ("isis", "ISIS", 124),
    ("fc", "FC", 133),
    ("mobility-header", "Mobility-Header", 135),
    ("mpls-in-ip", "MPLS-in-IP", 137),
    ("manet", "manet", 138),
    ("hip", "HIP", 139),
    ("shim6", "Shim6", 140),
    ("wesp", "WESP", 141),
    ("rohc", "ROHC", 142),
    ("ethernet", "Ethernet", 143),
    // 262, of which eight bits are left.
    ("mptcp", "MPTCP", 6),
];

/// The number of a protocol, by name or number, and whether conntrack(8) has options for it: not
/// where it goes by a name that only the system knows. Lower and upper case are alike in the names
/// that conntrack(8) has itself.
pub(super) fn number(text: &str) -> Option<(u8, bool)> {
    let known = KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    if let Some((_, number)) = known {
        return Some((*number, true));
    }
    if let Some((.., number)) =
        NAMED.iter().find(|(name, other, _)| [*name, *other].contains(&text))
    {
        return Some((*number, false));
    }
    let (number, rest) = super::values::unsigned(text, 0);
    let digits = text.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let number = u8::try_from(number).ok().filter(|_| digits && rest.is_empty())?;
    Some((number, true))
}
