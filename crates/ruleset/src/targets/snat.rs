//! `SNAT`: gives connections another source. As iptables does, it takes a base behind a range of ports
//! (`10-20/30`) and forgets it: it is 0 then.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::nat_range::{NatRange, PERSISTENT, Ports, RANDOM, RANDOM_FULLY, set_up};
use crate::needs::Needs;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String};
use keepstate_conntrack::{Hook, nat::Manip};

const TO: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("to-source", TO), RANDOM, RANDOM_FULLY, PERSISTENT];

const MANUAL: &str = "\
# SNAT

Gives the connections whose first packet it matches another source address, another source port, or
both. Every later packet of such a connection is changed in the same way, and answers are changed
back. It stands in table nat, in the chains POSTROUTING and INPUT and in user chains that only these
lead to. It ends the walk of the table.

`--to-source [ADDRESS[-ADDRESS]][:PORT[-PORT]]`
: The new source. Of several addresses one is chosen for each connection. Ports need `-p tcp`, `-p udp`,
  `-p sctp`, `-p dccp` or `-p icmp`. IPv6 addresses before a port stand in brackets: `[2001:db8::1]:1024-2047`.
  Without ports the old one is kept where it is free; otherwise one of the same class is taken (below 512,
  512 to 1023, above).

`--random`
: Draws the port at random.

`--random-fully`
: The same, without regard to the connection.

`--persistent`
: A client gets the same address of several for all its connections.

    -t nat -A POSTROUTING -o eth0 -s 10.0.0.0/8 -j SNAT --to-source 198.51.100.1

Use `MASQUERADE` where the address of the way out changes. Only the first packet of a connection comes to
the rules of table nat, so a rule added later leaves connections that exist as they are.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "SNAT",
    families: BOTH,
    tables: &[TableName::Nat],
    hooks: &[Hook::Input, Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Snat(pub NatRange);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(TO)?;
    let range = NatRange::parse(arguments, given)?;
    let ports = range.ports.map(Ports::without_base);
    Some(Box::new(Snat(NatRange { ports, ..range })))
}

impl Target for Snat {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        set_up(traversal, &self.0.range(), Manip::Source)
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        Effect::change_and(self.0.writes(Manip::Source), Verdict::Accept)
    }

    fn print(&self, out: &mut String) {
        self.0.print(out, "to-source");
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list(out);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(format!(
            "gives its connection the source {}: of all its packets the source is changed, and of the \
             answers the destination back",
            self.0.says()
        )));
        self.0.explain(out);
    }
}
