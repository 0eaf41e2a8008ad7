//! `hl`: the hop limit of the IPv6 header.

use crate::evaluate::{State, Traversal};
use crate::explain::Pieces;
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::matches::Match;
use crate::matches::ttl::Comparison;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String};
use keepstate_packet::Family;

const OPTIONS: &[OptionSpec] =
    &[valued("hl-eq", 0).inverted(), valued("hl-lt", 1), valued("hl-gt", 2)];

const MANUAL: &str = "\
The hop limit of the IPv6 header: what is left of it on arrival.

- `[!] --hl-eq N`: it is N, 0 to 255.
- `--hl-lt N`: it is below N.
- `--hl-gt N`: it is above N.

One of the three.

    ip6tables -A INPUT -p ipv6-icmp --icmpv6-type router-advertisement -m hl --hl-eq 255 -j ACCEPT

Mind: each router takes one. 255 on arrival means that no router lies between, which is why neighbour
discovery asks for it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "hl",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct HopLimit(Comparison);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    Some(Box::new(HopLimit(Comparison::parse(arguments)?)))
}

impl Match for HopLimit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        self.0.fits(traversal.packet.ttl).into()
    }

    fn print(&self, out: &mut String) {
        self.0.print(EXTENSION.name, out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list("HL", out);
    }

    fn packet_set(&self) -> PacketSet {
        self.0.packet_set()
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain("hop limit", out);
    }
}
