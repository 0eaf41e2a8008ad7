//! `REDIRECT`: sends connections to this host itself. Where the interface has no address, the packet
//! drops.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::nat_range::writes_of_ports;
use crate::nat_range::{Choice, Ports, RANDOM, range_of, set_up};
use crate::needs::Needs;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use keepstate_conntrack::{Hook, nat::Manip};
use keepstate_packet::{Address, Family};

const TO: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("to-ports", TO), RANDOM];

const MANUAL: &str = "\
# REDIRECT

Sends the connections whose first packet it matches to this host itself: to the first address of the
interface that the packet came in on, and what the host itself sends to its loopback address. It stands in
table nat, in the chains PREROUTING and OUTPUT and in user chains that only these lead to, and ends the walk
of the table.

`--to-ports PORT[-PORT]`
: The new destination ports; one alone may be the name of a service. Without it the port stays. They need
  `-p tcp`, `-p udp`, `-p sctp`, `-p dccp` or `-p icmp`.

`--random`
: Draws the port of a range at random.

    -t nat -A PREROUTING -i eth1 -p tcp --dport 80 -j REDIRECT --to-ports 3128

INPUT of table filter sees the new port, and has to accept it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "REDIRECT",
    families: BOTH,
    tables: &[TableName::Nat],
    hooks: &[Hook::Prerouting, Hook::Output],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Redirect {
    /// `--to-ports`.
    pub ports: Option<Ports>,
    /// How a port is chosen.
    pub choice: Choice,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let ports = match arguments.option(TO) {
        None => None,
        Some(given) => Some(Ports::parse(arguments, given, &given.value)?),
    };
    if let Some(Ports { base: Some(base), .. }) = ports {
        let span = arguments.option(TO).map_or(arguments.span, |given| given.value_span);
        let text = format!("`/{base}`: REDIRECT does not keep the distance of ports; DNAT does");
        arguments.fault(Diagnostic::new(code::BAD_VALUE, span, text));
        return None;
    }
    Some(Box::new(Redirect { ports, choice: Choice::parse(arguments) }))
}

impl Target for Redirect {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let own = match (traversal.hook, traversal.packet.family) {
            (Hook::Output, Family::V4) => Some(Address::v4([127, 0, 0, 1])),
            (Hook::Output, Family::V6) => Some(Address(1_u128.to_be_bytes())),
            _ => traversal.host.own_address(traversal.packet),
        };
        let Some(address) = own else { return Step::Verdict(Verdict::Drop) };
        set_up(traversal, &range_of(address, self.ports, self.choice), Manip::Destination)
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        let mut writes = Vec::from([Change::any(Field::Destination), Change::Bytes]);
        writes.extend(self.ports.map(|ports| writes_of_ports(Some(ports), Field::DestinationPort)));
        Effect::change_and(writes, Verdict::Accept)
    }

    fn print(&self, out: &mut String) {
        if let Some(ports) = self.ports {
            out.push_str(" --to-ports ");
            ports.print(out);
        }
        self.choice.print(out, " --");
    }

    fn list(&self, out: &mut String, _: bool) {
        if let Some(ports) = self.ports {
            out.push_str(" redir ports ");
            ports.print(out);
        }
        self.choice.print(out, " ");
    }

    fn explain(&self, out: &mut Pieces) {
        let ports = self.ports.map(|ports| format!(", {}", ports.says())).unwrap_or_default();
        out.push(Piece::Effect(format!("sends its connection to this host itself{ports}")));
        self.choice.explain(out);
        out.push(Piece::Note(
            "On arrival the destination becomes the first address of the interface that the packet came in \
             on; what this host itself sends goes to its loopback. INPUT of table filter sees the new \
             destination, and has to accept it."
                .into(),
        ));
    }
}
