//! `DNAT`: sends connections to another destination.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::nat_range::{NatRange, PERSISTENT, RANDOM, set_up};
use crate::needs::Needs;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String};
use keepstate_conntrack::{Hook, nat::Manip};

const TO: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("to-destination", TO), RANDOM, PERSISTENT];

const MANUAL: &str = "\
# DNAT

Sends the connections whose first packet it matches to another destination address, another port, or
both. Every later packet of such a connection is changed in the same way, and answers are changed
back. It stands in table nat, in the chains PREROUTING and OUTPUT and in user chains that only these
lead to. It ends the walk of the table.

`--to-destination [ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]`
: The new destination. Of several addresses one is chosen for each connection. Ports need `-p tcp`,
  `-p udp`, `-p sctp`, `-p dccp` or `-p icmp`; one alone may be the name of a service. With a BASE (a port
  or a service, not 0) ports keep their distance: with `:5000-5009/6000`, 6003 becomes 5003. IPv6 addresses
  before a port stand in brackets: `[2001:db8::1]:80`.

`--random`
: Draws the port of a range at random.

`--persistent`
: A client gets the same address of several for all its connections.

    -t nat -A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.5:8080

The rules of table filter see the new destination: to let the connection of the example through, FORWARD has
to accept TCP to 10.0.0.5, port 8080. A client in the network of the new destination sees answers from an
address it does not know, unless SNAT or MASQUERADE is applied to its connection too.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "DNAT",
    families: BOTH,
    tables: &[TableName::Nat],
    hooks: &[Hook::Prerouting, Hook::Output],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Dnat(pub NatRange);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(TO)?;
    Some(Box::new(Dnat(NatRange::parse(arguments, given)?)))
}

impl Target for Dnat {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        set_up(traversal, &self.0.range(), Manip::Destination)
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        Effect::change_and(self.0.writes(Manip::Destination), Verdict::Accept)
    }

    fn print(&self, out: &mut String) {
        self.0.print(out, "to-destination");
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list(out);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(format!(
            "sends its connection to {}: of all its packets the destination is changed, and of the \
             answers the source back",
            self.0.says()
        )));
        self.0.explain(out);
        out.push(Piece::Note(
            "Rules of table filter see the new destination, and have to let it through.".into(),
        ));
    }
}
