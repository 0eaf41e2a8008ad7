//! `realm`: the routing realms of the packet's route (IPv4). The upper 16 bits are the realm of the
//! source, as of the route back to it, the lower 16 that of the destination; what is for the host
//! itself has that of the source only.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, named, named::Named, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

const REALM: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("realm", REALM).inverted()];

const MANUAL: &str = "\
Asks for the realm that routes carry (`ip route add 192.0.2.0/24 via ... realm 7`), with which routes
learned from elsewhere are grouped. IPv4 only, and not in PREROUTING: the packet has no route yet.

- `[!] --realm VALUE[/MASK]`: VALUE is a number of 32 bits (decimal, `0x...`, or octal behind `0`), or a
  name of `/etc/iproute2/rt_realms`, of which only `cosmos` (0) is the same everywhere.

The number has two halves: the upper 16 bits are the realm of the route back to the source, the lower
16 that of the route to the destination. What is for the host itself has no realm of a destination, what
it sends none of a source. So the usual question for the destination is `--realm 7/0xffff`.

    iptables -A FORWARD -m realm --realm 7/0xffff -j DROP

The host file declares realms: `realm = 7` of a `[[route]]`, 0 without.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "realm",
    families: &[Family::V4],
    tables: &[],
    hooks: &[Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Names that every machine has (`/etc/iproute2/rt_realms`).
const NAMES: &[(u32, &str)] = &[(0, "cosmos")];

/// An instance.
#[derive(Debug)]
pub struct Realm(Inverted<Named>);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(REALM)?;
    let wanted = named::parse(arguments, given, NAMES, "a routing realm")?;
    Some(Box::new(Realm(wanted)))
}

impl Match for Realm {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Self(wanted) = *self;
        let found = traversal.host.realm(traversal.hook, traversal.packet);
        found.map_or(Answer::Unknown, |realm| {
            // Bits of the value outside of the mask can never be found.
            (realm & wanted.value.mask == wanted.value.value).ne(&wanted.inverted).into()
        })
    }

    fn fact(&self) -> &'static str {
        "the realms of routes (`realm` of a [[route]])"
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.0.inverted, "realm");
        self.0.value.print(out, NAMES);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(if self.0.inverted { " ! realm" } else { " realm" });
        self.0.value.print(out, if numeric { &[] } else { NAMES });
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.0.inverted, "has", "does not have");
        let realm = self.0.value.words(NAMES);
        out.push(Piece::Condition(format!("its route {verb} the realm {realm}")));
        if self.0.value.mask == u32::MAX && self.0.value.value >> 16 == 0 {
            out.push(Piece::Note(
                "All 32 bits are compared: the realm of the route back to the source stands in the \
                 upper 16 and has to be 0. `/0xffff` compares that of the destination alone."
                    .into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::bench::{Known, forms, matched, refused, udp4};
    use alloc::format;
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family;

    #[test]
    fn forms_and_refusals() {
        for (given, saved, numeric, list) in [
            ("--realm 0x2a", "--realm 0x2a", "realm 0x2a", "realm 0x2a"),
            ("! --realm 1", "! --realm 0x1", "! realm 0x1", "! realm 0x1"),
            ("--realm 0", "--realm cosmos", "realm 0x0", "realm cosmos"),
            ("--realm cosmos", "--realm cosmos", "realm 0x0", "realm cosmos"),
            ("--realm 16/255", "--realm 0x10/0xff", "realm 0x10/0xff", "realm 0x10/0xff"),
        ] {
            let found = forms("filter", "INPUT", &format!("-m realm {given}"), Family::V4);
            assert_eq!(found, (format!("-m realm {saved}"), numeric.into(), list.into()));
        }
        assert!(refused("filter", "INPUT", "-m realm --realm default", Family::V4));
        assert!(refused("filter", "INPUT", "-m realm", Family::V4));
        assert!(refused("filter", "INPUT", "-m realm --realm 1", Family::V6));
        assert!(refused("mangle", "PREROUTING", "-m realm --realm 1", Family::V4));
    }

    #[test]
    fn both_halves_are_compared() {
        let known = Known { realm: Some(0x0003_0007), ..Known::default() };
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        let asked = |rule: &str, known: &Known| {
            matched(Hook::Forward, &format!("-m realm {rule}"), &packet, known)
        };
        for (rule, wanted) in [
            ("--realm 7", false),
            ("! --realm 7", true),
            ("--realm 7/0xffff", true),
            ("--realm 0x30007", true),
            ("--realm 0x30000/0xffff0000", true),
            ("--realm 0x10007/0xffff", false),
        ] {
            assert_eq!(asked(rule, &known), Some(wanted), "{rule}");
        }
        assert_eq!(asked("--realm 7", &Known::default()), None);
    }
}
