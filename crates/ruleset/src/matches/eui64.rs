//! `eui64`: whether the last half of an IPv6 source address is made of the sender's hardware address
//! (RFC 4291, appendix A), as hosts without privacy addresses make it.
//!
//! Where a capture says nothing of the frame, nothing can be said of the packet either.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

const MANUAL: &str = "\
Asks whether the last 64 bits of the source address are made of the hardware address that sent the frame.
It has no options. In PREROUTING, INPUT and FORWARD, for packets that came in by Ethernet.

    ip6tables -t raw -A PREROUTING -i eth1 -m eui64 -j ACCEPT

Mind: hosts with privacy addresses (RFC 8981) or stable opaque ones (RFC 7217), which most are now, never
match; and the hardware address is that of the last hop.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "eui64",
    families: &[Family::V6],
    tables: &[],
    hooks: &[Hook::Prerouting, Hook::Input, Hook::Forward],
    options: &[],
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Eui64;

fn parse(_: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    Some(Box::new(Eui64))
}

/// The interface identifier of a hardware address: its universal bit turned around, `fffe` inside.
const fn identifier([a, b, c, d, e, f]: [u8; 6]) -> [u8; 8] {
    [a ^ 2, b, c, 0xff, 0xfe, d, e, f]
}

impl Match for Eui64 {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Some(source) = traversal.link.source else { return Answer::Unknown };
        (traversal.packet.source.0.last_chunk() == Some(&identifier(source))).into()
    }

    fn print(&self, _: &mut String) {}

    fn list(&self, _: &mut String, _: bool) {}

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Condition(
            "the last half of its source address is made of the hardware address that sent it"
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};

    #[test]
    fn texts() {
        check(Family::V6, &[("-m eui64", "=", "", "="), ("-m eui64 --mac x", "", "", "")]);
        let raw = |chain: &str| alloc::format!("*raw\n-A {chain} -m eui64\nCOMMIT\n");
        let parse = crate::syntax::iptables_save::parse;
        assert!(parse(&raw("PREROUTING"), Family::V6).is_ok());
        assert!(parse(&raw("OUTPUT"), Family::V6).is_err());
        assert!(parse(&raw("PREROUTING"), Family::V4).is_err());
    }

    #[test]
    fn identifiers() {
        let wanted = [0, 0, 0, 0xff, 0xfe, 0, 0, 1];
        assert_eq!(identifier([2, 0, 0, 0, 0, 1]), wanted);
        assert_eq!(answer("-m eui64", &ipv6(17, &[])), Answer::Unknown);
    }
}
