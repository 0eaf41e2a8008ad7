//! `MASQUERADE`: gives connections the address of their way out as source. As iptables does, it takes a
//! base behind a range of ports (`10-20/30`) and forgets it: it is 0 then.
//!
//! What a host sends that has no IPv4 address yet is left as it is. Where the way out has no address,
//! the packet drops.

use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::nat_range::writes_of_ports;
use crate::nat_range::{Choice, Ports, RANDOM, RANDOM_FULLY, explain_lost_base, range_of, set_up};
use crate::needs::Needs;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use keepstate_conntrack::{Direction, Hook, Tuple, nat::Manip};
use keepstate_packet::{Address, Family};

const TO: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("to-ports", TO), RANDOM, RANDOM_FULLY];

const MANUAL: &str = "\
# MASQUERADE

As `SNAT`, to the address that the interface of the way out has at that moment; and when the interface goes
down or loses its address, such connections are forgotten. Meant for addresses that change, as behind most
home lines. It stands in table nat, in POSTROUTING and in user chains that only POSTROUTING leads to, and
ends the walk of the table.

`--to-ports PORT[-PORT]`
: The new source ports. They need `-p tcp`, `-p udp`, `-p sctp`, `-p dccp` or `-p icmp`.

`--random`
: Draws the port at random.

`--random-fully`
: The same, without regard to the connection.

    -t nat -A POSTROUTING -o ppp0 -j MASQUERADE

Name the way out with `-o`: without it, connections between inner networks are translated too.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "MASQUERADE",
    families: BOTH,
    tables: &[TableName::Nat],
    hooks: &[Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Masquerade {
    /// `--to-ports`.
    pub ports: Option<Ports>,
    /// How a port is chosen.
    pub choice: Choice,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let ports = match arguments.option(TO) {
        None => None,
        Some(given) => Some(Ports::parse(arguments, given, &given.value)?.without_base()),
    };
    Some(Box::new(Masquerade { ports, choice: Choice::parse(arguments) }))
}

impl Target for Masquerade {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let Some(conn) = traversal.tracked.and_then(|tracked| tracked.conn) else {
            return Step::Verdict(Verdict::Accept);
        };
        let original = traversal.conntrack.tuple(conn, Direction::Original);
        let nobody =
            |tuple: Tuple| (tuple.family, tuple.source) == (Family::V4, Address::default());
        if original.is_some_and(nobody) {
            return Step::Verdict(Verdict::Accept);
        }
        let Some((address, interface)) = traversal.host.masquerade(traversal.packet) else {
            return Step::Verdict(Verdict::Drop);
        };
        traversal.conntrack.set_masqueraded(conn, interface);
        set_up(traversal, &range_of(address, self.ports, self.choice), Manip::Source)
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        let port = writes_of_ports(self.ports, Field::SourcePort);
        let writes = Vec::from([Change::any(Field::Source), port, Change::Bytes]);
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
            out.push_str(" masq ports: ");
            ports.print(out);
        }
        self.choice.print(out, " ");
    }

    fn explain(&self, out: &mut Pieces) {
        let ports = self.ports.map(|ports| format!(", {}", ports.says())).unwrap_or_default();
        out.push(Piece::Effect(format!(
            "gives its connection the address of the interface it leaves by as its source{ports}, and \
             the answers their old destination back; such connections are forgotten when the interface \
             goes down or its address changes"
        )));
        if self.ports.is_none() {
            out.push(Piece::Note(
                "A connection keeps its source port unless another one to the same destination has it \
                 already: then it gets a free one."
                    .into(),
            ));
        }
        self.choice.explain(out);
        explain_lost_base(self.ports, out);
    }
}
