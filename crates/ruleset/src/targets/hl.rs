//! `HL`: sets the hop limit of the IPv6 header, or changes it by some. It stays between 0 and 255.

use super::ttl::Hops;
use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::Pieces;
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String};
use keepstate_packet::Family;

const OPTIONS: &[OptionSpec] =
    &[valued("hl-set", Hops::SET), valued("hl-dec", Hops::DEC), valued("hl-inc", Hops::INC)];

const MANUAL: &str = "\
# HL

Sets or changes the hop limit of IPv6 packets and goes on with the next rule. It stands in table mangle.

`--hl-set VALUE`
: Sets it, to 0 up to 255.

`--hl-dec VALUE`
: Takes 1 up to 255 from it; it ends at 0.

`--hl-inc VALUE`
: Adds 1 up to 255 to it; it ends at 255.

    -t mangle -A POSTROUTING -o eth0 -j HL --hl-set 64

Never raise the hop limit of packets that leave your own network: it is what ends the turns of a packet in a
routing loop. Neighbour discovery takes only packets whose hop limit is 255: leave those alone.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "HL",
    families: &[Family::V6],
    tables: &[TableName::Mangle],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct HopLimit(pub Hops);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    Some(Box::new(HopLimit(Hops::parse(arguments)?)))
}

impl Target for HopLimit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        self.0.act(traversal);
        Step::Continue
    }

    fn effect(&self) -> Effect {
        self.0.effect()
    }

    fn print(&self, out: &mut String) {
        self.0.print("hl", out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list("HL", out);
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain("hop limit", out);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family::V6;

    #[test]
    fn texts() {
        check(
            V6,
            "mangle",
            "INPUT",
            &[
                ("-j HL --hl-set 255", "=", " HL set to 255", "="),
                ("-j HL --hl-inc 1", "=", " HL increment by 1", "="),
                ("-j HL --hl-dec 010", "-j HL --hl-dec 8", " HL decrement by 8", "="),
                ("-j HL --hl-inc 0", "", "", ""),
                ("-j HL --hl-set 1 --hl-inc 1", "", "", ""),
            ],
        );
    }

    #[test]
    fn it_is_changed() {
        let mut packet = [0; 48];
        (packet[0], packet[5], packet[6], packet[7]) = (0x60, 8, 59, 64);
        let after = send("mangle", Hook::Input, "-j HL --hl-dec 60", &packet);
        assert_eq!(after.bytes[7], 4);
    }
}
