//! `icmp6`: type and code of an ICMPv6 message (RFC 4443, RFC 4861, RFC 2710).

use super::icmp::{Message, Name};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String};
use keepstate_packet::{Family, L4};

const OPTIONS: &[OptionSpec] = &[valued("icmpv6-type", 0).inverted()];

const MANUAL: &str = "\
Type and code of an ICMPv6 message. Needs `-p ipv6-icmp`.

- `[!] --icmpv6-type TYPE[/CODE]|NAME`: numbers, or a name such as `echo-request`, `packet-too-big`,
  `router-advertisement`, `neighbour-solicitation`; a beginning that fits one name alone will do.

    ip6tables -A INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j ACCEPT

Mind: IPv6 does not work without ICMPv6. Neighbour discovery (133 to 137) takes the place of ARP and is
UNTRACKED, so no rule for ESTABLISHED lets it in; `packet-too-big` is needed for every path.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "icmp6",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

pub(super) const NAMES: &[Name] = &[
    ("destination-unreachable", 1, 0, 255),
    ("no-route", 1, 0, 0),
    ("communication-prohibited", 1, 1, 1),
    ("beyond-scope", 1, 2, 2),
    ("address-unreachable", 1, 3, 3),
    ("port-unreachable", 1, 4, 4),
    ("failed-policy", 1, 5, 5),
    ("reject-route", 1, 6, 6),
    ("packet-too-big", 2, 0, 255),
    ("time-exceeded", 3, 0, 255),
    ("ttl-exceeded", 3, 0, 255),
    ("ttl-zero-during-transit", 3, 0, 0),
    ("ttl-zero-during-reassembly", 3, 1, 1),
    ("parameter-problem", 4, 0, 255),
    ("bad-header", 4, 0, 0),
    ("unknown-header-type", 4, 1, 1),
    ("unknown-option", 4, 2, 2),
    ("echo-request", 128, 0, 255),
    ("ping", 128, 0, 255),
    ("echo-reply", 129, 0, 255),
    ("pong", 129, 0, 255),
    ("mld-listener-query", 130, 0, 255),
    ("mld-listener-report", 131, 0, 255),
    ("mld-listener-done", 132, 0, 255),
    ("mld-listener-reduction", 132, 0, 255),
    ("router-solicitation", 133, 0, 255),
    ("router-advertisement", 134, 0, 255),
    ("neighbour-solicitation", 135, 0, 255),
    ("neighbor-solicitation", 135, 0, 255),
    ("neighbour-advertisement", 136, 0, 255),
    ("neighbor-advertisement", 136, 0, 255),
    ("redirect", 137, 0, 255),
];

/// An instance.
#[derive(Debug)]
pub struct Icmp6(pub Message);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(58, "ipv6-icmp")])?;
    Some(Box::new(Icmp6(Message::parse(arguments, NAMES)?)))
}

impl Match for Icmp6 {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Message { kind, codes: (low, high), inverted } = self.0;
        match &traversal.packet.l4 {
            L4::Icmpv6(header) => {
                let found = kind == header.kind && (low..=high).contains(&header.code);
                (found != inverted).into()
            }
            L4::Short => Answer::Hotdrop,
            _ => Answer::No,
        }
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.0.inverted, "icmpv6-type");
        self.0.print_numbers(out);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        self.0.list("ipv6-icmp", NAMES, numeric, out);
    }

    fn packet_set(&self) -> PacketSet {
        self.0.packet_set(false)
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain("ICMPv6", NAMES, out);
        if (133..=137).contains(&self.0.kind) {
            out.push(Piece::Note(
                "Neighbour discovery is never tracked: these messages are UNTRACKED.".into(),
            ));
        }
    }
}
