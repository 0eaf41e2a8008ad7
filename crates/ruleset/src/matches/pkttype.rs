//! `pkttype`: to whom the frame was addressed on the link.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use keepstate_packet::PacketType;

const TYPE: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("pkt-type", TYPE).inverted()];

const MANUAL: &str = "\
To whom the frame was addressed on the link.

- `[!] --pkt-type unicast|broadcast|multicast|otherhost`: to this host alone, to all, to a group, or to
  somebody else. `host`, `bcast` and `mcast` are read as well.

    iptables -A INPUT -m pkttype --pkt-type broadcast -j DROP

Mind: it tells of the frame, not of the IP address: a packet to a broadcast address may come in a
unicast frame.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "pkttype",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Names as printed, then further names that are read.
const NAMES: [(PacketType, &str); 8] = [
    (PacketType::Unicast, "unicast"),
    (PacketType::Broadcast, "broadcast"),
    (PacketType::Multicast, "multicast"),
    (PacketType::OtherHost, "otherhost"),
    (PacketType::Unicast, "host"),
    (PacketType::Unicast, "ucast"),
    (PacketType::Broadcast, "bcast"),
    (PacketType::Multicast, "mcast"),
];

/// An instance.
#[derive(Debug)]
pub struct PktType {
    wanted: PacketType,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(TYPE)?;
    let found = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(&given.value));
    let Some((wanted, _)) = found else {
        let names = NAMES.iter().map(|(_, name)| *name).take(4);
        arguments.unknown_word(&given.value, given.value_span, "a packet type", names);
        return None;
    };
    Some(Box::new(PktType { wanted: *wanted, inverted: given.inverted }))
}

impl Match for PktType {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        ((traversal.link.packet_type == self.wanted) != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        let name = NAMES.iter().find(|(of, _)| *of == self.wanted).map_or("", |(_, name)| name);
        values::print_option(out, self.inverted, "pkt-type");
        out.push(' ');
        out.push_str(name);
    }

    fn list(&self, out: &mut String, _: bool) {
        let name = NAMES.iter().find(|(of, _)| *of == self.wanted).map_or("", |(_, name)| name);
        out.push_str(if self.inverted { " PKTTYPE != " } else { " PKTTYPE = " });
        out.push_str(name);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let to = match self.wanted {
            PacketType::Unicast => "to this host alone",
            PacketType::Broadcast => "to all on the network (broadcast)",
            PacketType::Multicast => "to a group (multicast)",
            PacketType::OtherHost => "to another host",
        };
        let verb = either(self.inverted, "was", "was not");
        out.push(Piece::Condition(format!("its frame {verb} addressed {to}")));
    }
}
