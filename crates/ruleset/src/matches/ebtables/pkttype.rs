//! `pkttype`: to whom a frame is, as the link layer found.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::PacketType;

const TYPE: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("pkttype-type", TYPE).inverted().repeated()];

const MANUAL: &str = "\
To whom the frame is, as the device that received it found.

- `[!] --pkttype-type TYPE`: `host` (to this host), `broadcast`, `multicast`, `otherhost` (to somebody
  else), `outgoing`, `loopback`, `fastroute`, or a number in hexadecimal.

    ebtables -A FORWARD --pkttype-type broadcast --limit 100/second -j ACCEPT

Mind: what is bridged from station to station is `otherhost`; only what is to the port's own address is
`host`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "pkttype",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Their numbers are their places.
const NAMES: [&str; 7] =
    ["host", "broadcast", "multicast", "otherhost", "outgoing", "loopback", "fastroute"];

/// An instance.
#[derive(Debug)]
pub struct PktType {
    wanted: u8,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(TYPE)?;
    let named = (0..).zip(NAMES).find(|(_, name)| name.eq_ignore_ascii_case(&given.value));
    // Numbers are hexadecimal, and printed so here: the tool's own decimal would be read as another.
    let wanted = match (named, values::hexadecimal(&given.value, u64::MAX)) {
        (Some((number, _)), _) => number,
        (None, Some(number)) if number <= 0xff => number as u8,
        (None, number) => {
            let says = match number {
                Some(_) => "Problem with specified pkttype class".into(),
                None => format!("Could not parse class '{}'", given.value),
            };
            arguments.wrong(given, "a packet type", says);
            return None;
        }
    };
    Some(Box::new(PktType { wanted, inverted: given.inverted }))
}

impl Match for PktType {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let found = match traversal.link.packet_type {
            PacketType::Unicast => 0,
            PacketType::Broadcast => 1,
            PacketType::Multicast => 2,
            PacketType::OtherHost => 3,
        };
        ((found == self.wanted) != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "pkttype-type");
        let _ = match NAMES.get(usize::from(self.wanted)) {
            Some(name) => write!(out, " {name}"),
            None => write!(out, " {:x}", self.wanted),
        };
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "is", "is not");
        out.push(Piece::Condition(match self.wanted {
            0 => format!("it {verb} to this host alone"),
            1 => format!("it {verb} to all (broadcast)"),
            2 => format!("it {verb} to a group (multicast)"),
            3 => format!("it {verb} to another station than this host"),
            other => format!("its packet type {verb} {other}"),
        }));
    }
}
