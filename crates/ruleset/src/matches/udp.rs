//! `udp`: ports of the UDP header. Of a header that is cut, the ports are compared as far as they are
//! there, and what a later IPv4 fragment carries is taken for one (see [`super::tcp`]); without ports asked
//! for, the one is dropped and the other does not match.

use super::tcp::{
    Ports, cut_ports_fit, explain_ports, list_ports, port_fits, port_range, ports_of, print_ports,
    supposed_header,
};
use crate::evaluate::{State, Traversal};
use crate::explain::Pieces;
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::matches::Match;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String, vec::Vec};
use keepstate_packet::L4;

const SPORT: u8 = 0;
const DPORT: u8 = 1;
const OPTIONS: &[OptionSpec] = &[
    valued("source-port", SPORT).inverted(),
    valued("sport", SPORT).inverted(),
    valued("destination-port", DPORT).inverted(),
    valued("dport", DPORT).inverted(),
];

const MANUAL: &str = "\
Ports of the UDP header. Comes with `-p udp` by itself when one of its options is used.

- `[!] --source-port PORT[:PORT]`: the source port, by number or service name, or a range. `PORT:` is from
  there on, `:PORT` up to there. Also `--sport`.
- `[!] --destination-port PORT[:PORT]`: the destination port. Also `--dport`.

    iptables -A INPUT -p udp --dport 53 -j ACCEPT

Mind: whoever lets answers in by their source port (`--sport 53`) lets in everybody who sends from that
port; the state ESTABLISHED is the better question.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "udp",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Udp {
    /// `--sport`.
    pub source: Option<Ports>,
    /// `--dport`.
    pub destination: Option<Ports>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(17, "udp")])?;
    let source = port_range(arguments, SPORT, true, None);
    let destination = port_range(arguments, DPORT, true, None);
    Some(Box::new(Udp { source: source?, destination: destination? }))
}

impl Match for Udp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        match &traversal.packet.l4 {
            L4::Udp(header) | L4::UdpLite(header) => {
                let fits = port_fits(self.source, header.source_port)
                    && port_fits(self.destination, header.destination_port);
                fits.into()
            }
            // Where nothing is asked, iptables-nft leaves it to the match itself.
            L4::Short if self.source.is_none() && self.destination.is_none() => Answer::Hotdrop,
            _ if self.source.is_none() && self.destination.is_none() => Answer::No,
            _ => supposed_header(traversal.packet, traversal.bytes).map_or(Answer::No, |header| {
                cut_ports_fit(self.source, self.destination, header).into()
            }),
        }
    }

    fn print(&self, out: &mut String) {
        print_ports(out, "sport", self.source);
        print_ports(out, "dport", self.destination);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" udp");
        list_ports(out, "spt", self.source, 17, numeric);
        list_ports(out, "dpt", self.destination, 17, numeric);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::All(match self.source.is_none() && self.destination.is_none() {
            true => Vec::from([PacketSet::within(Field::LaterFragment, 0, 0, false)]),
            false => ports_of(self.source, self.destination),
        })
    }

    fn explain(&self, out: &mut Pieces) {
        explain_ports(out, "source", self.source);
        explain_ports(out, "destination", self.destination);
    }
}
