//! `DNPT` (IPv6): translates the prefix of the destination, statelessly and so that no checksum changes
//! (RFC 6296). All of it is as in [`super::snpt`], with source and destination changed.

use super::snpt::{DST, Npt, SRC};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::Pieces;
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String, vec::Vec};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_packet::rewrite::End;

const OPTIONS: &[OptionSpec] = &[valued("src-pfx", SRC), valued("dst-pfx", DST)];

const MANUAL: &str = "\
# DNPT

Replaces the prefix of the IPv6 destination address, packet by packet and without connection tracking, and goes
on with the next rule (network prefix translation, RFC 6296). It stands in table mangle, in PREROUTING and OUTPUT
and in user chains that only these lead to. `SNPT` is the way out; its page has an example of both.

`--src-pfx PREFIX/LENGTH`
: The prefix that the destination has: the one outside.

`--dst-pfx PREFIX/LENGTH`
: The prefix that takes its place: the one inside. At most 64 bits, as the other; bits behind the length are to
  be zero.

    -t mangle -A PREROUTING -d 2001:db8:1::/48 -i eth0 -j DNPT --src-pfx 2001:db8:1::/48 --dst-pfx fd00:1::/48

Both are needed. Routing sees the new address.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "DNPT",
    families: &[Family::V6],
    tables: &[TableName::Mangle],
    hooks: &[Hook::Prerouting, Hook::Output],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Dnpt(pub Npt);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    Some(Box::new(Dnpt(Npt::parse(arguments)?)))
}

impl Target for Dnpt {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        self.0.act(traversal, End::Destination)
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::any(Field::Destination), Change::Bytes]))
    }

    fn print(&self, out: &mut String) {
        self.0.print(out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list(out, EXTENSION.name);
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain(out, "destination");
    }
}
