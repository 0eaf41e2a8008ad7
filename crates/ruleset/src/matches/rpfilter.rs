//! `rpfilter`: whether an answer to the packet would leave where the packet came in.
//!
//! The route to the source decides, by the host model. Sources that DHCP, IGMP and neighbour discovery
//! send from before they have an address (0.0.0.0 to all or to local groups, `::`) pass, and so does
//! what comes in on loopback. An address of the host itself as source passes with `--accept-local`
//! only; over IPv4 it has to be one of the interface that the packet came in on, unless `--loose`.

use crate::evaluate::{ReversePath, State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag};
use crate::matches::Match;
use crate::model::TableName;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String};
use keepstate_conntrack::Hook;
use keepstate_packet::{Family, Parsed};

const LOOSE: u8 = 0;
const VALIDMARK: u8 = 1;
const ACCEPT_LOCAL: u8 = 2;
const INVERT: u8 = 3;
const OPTIONS: &[OptionSpec] = &[
    flag("loose", LOOSE),
    flag("validmark", VALIDMARK),
    flag("accept-local", ACCEPT_LOCAL),
    flag("invert", INVERT),
];

const MANUAL: &str = "\
Tests the way back: the packet matches when an answer to its source address would leave by the
interface that the packet came in on. A packet that fails has most likely a forged source.

- `--loose`: any way back will do; only sources without a route fail.
- `--validmark`: the way back is looked up with the packet's mark. The host model has no routes that
  depend on marks, so here it changes nothing.
- `--accept-local`: sources that are addresses of the host itself do not fail.
- `--invert`: the packet matches when it fails.

It stands in PREROUTING of the tables raw and mangle only. Usual is

    iptables -t raw -A PREROUTING -m rpfilter --invert -j DROP

Routes are those of the host model; where it has none (a bridge without addresses), the answer is
unknown. Unlike the sysctl `rp_filter` it does not spare packets that IPsec has protected. A host with
two ways out, of which answers take the other one, loses honest packets; `--loose` keeps them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "rpfilter",
    families: BOTH,
    tables: &[TableName::Raw, TableName::Mangle],
    hooks: &[Hook::Prerouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct RpFilter {
    family: Family,
    loose: bool,
    valid_mark: bool,
    accept_local: bool,
    inverted: bool,
}

#[allow(clippy::unnecessary_wraps, reason = "parsers of extensions have this type")]
fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = |id| arguments.option(id).is_some();
    Some(Box::new(RpFilter {
        family: arguments.family,
        loose: given(LOOSE),
        valid_mark: given(VALIDMARK),
        accept_local: given(ACCEPT_LOCAL),
        inverted: given(INVERT),
    }))
}

impl RpFilter {
    fn passes(&self, traversal: &Traversal<'_>) -> Option<bool> {
        let packet = &*traversal.packet;
        let interface = traversal.in_interface?;
        if interface.as_str() == "lo" || has_no_address_yet(packet) {
            return Some(true);
        }
        let path = traversal.host.reverse_path(self.family, packet.source, *interface)?;
        Some(match path {
            ReversePath::Route { same } => same || self.loose,
            ReversePath::Own { same } => {
                self.accept_local && (same || self.loose || self.family == Family::V6)
            }
            ReversePath::None => false,
        })
    }
}

/// Whether the sender has no address yet, and asks for one.
fn has_no_address_yet(packet: &Parsed) -> bool {
    match packet.family {
        Family::V4 => {
            packet.source.v4_octets() == [0; 4]
                && matches!(packet.destination.v4_octets(), [255, 255, 255, 255] | [224, 0, 0, _])
        }
        Family::V6 => packet.source.0 == [0; 16],
    }
}

impl Match for RpFilter {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        self.passes(traversal).map_or(Answer::Unknown, |passes| (passes != self.inverted).into())
    }

    fn fact(&self) -> &'static str {
        "the routes of the host ([[route]])"
    }

    fn print(&self, out: &mut String) {
        for (given, name) in self.flags() {
            if given {
                out.push_str(" --");
                out.push_str(name);
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" rpfilter");
        for (given, name) in self.flags() {
            if given {
                out.push(' ');
                out.push_str(name);
            }
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "would leave", "would not leave");
        let way = either(self.loose, "by the interface that it came in on", "by any interface");
        let own = either(self.accept_local, "", ", or its source is an address of this host");
        let own = if self.inverted && self.accept_local {
            ", nor is its source an address of this host"
        } else {
            own
        };
        out.push(Piece::Condition(alloc::format!("an answer to its source {verb} {way}{own}")));
        out.push(Piece::Note(
            "The routing table decides. Where answers take another way than the packets came \
             (several uplinks), honest packets fail this test."
                .into(),
        ));
    }
}

impl RpFilter {
    const fn flags(&self) -> [(bool, &'static str); 4] {
        [
            (self.loose, "loose"),
            (self.valid_mark, "validmark"),
            (self.accept_local, "accept-local"),
            (self.inverted, "invert"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::ReversePath::{None as Nowhere, Own, Route};
    use crate::evaluate::bench::{Known, forms, matched, refused, udp4, udp6};
    use alloc::format;
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family;

    #[test]
    fn forms_and_refusals() {
        for (rule, list) in [
            ("-m rpfilter", "rpfilter"),
            ("-m rpfilter --loose", "rpfilter loose"),
            (
                "-m rpfilter --loose --validmark --accept-local --invert",
                "rpfilter loose validmark accept-local invert",
            ),
        ] {
            for family in [Family::V4, Family::V6] {
                let found = forms("raw", "PREROUTING", rule, family);
                assert_eq!(found, (rule.into(), list.into(), list.into()));
            }
        }
        for (table, chain) in [
            ("filter", "INPUT"),
            ("filter", "FORWARD"),
            ("raw", "OUTPUT"),
            ("mangle", "POSTROUTING"),
        ] {
            assert!(refused(table, chain, "-m rpfilter", Family::V4), "{table} {chain}");
        }
        for rule in
            ["-m rpfilter ! --invert", "-m rpfilter --loose --loose", "-m rpfilter --strict"]
        {
            assert!(refused("raw", "PREROUTING", rule, Family::V4), "{rule}");
        }
    }

    #[test]
    fn the_way_back_decides() {
        let asked = |options: &str, path, bytes: &[u8]| {
            let known = Known { reverse_path: path, ..Known::default() };
            matched(Hook::Prerouting, &format!("-m rpfilter {options}"), bytes, &known)
        };
        let v4 = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        let v6 = udp6(1, 2, 3, 4);
        for (options, path, wanted) in [
            ("", Some(Route { same: true }), Some([true, true])),
            ("", Some(Route { same: false }), Some([false, false])),
            ("--loose", Some(Route { same: false }), Some([true, true])),
            ("--loose", Some(Nowhere), Some([false, false])),
            ("", Some(Own { same: true }), Some([false, false])),
            ("--loose", Some(Own { same: true }), Some([false, false])),
            ("--accept-local", Some(Own { same: true }), Some([true, true])),
            ("--accept-local", Some(Own { same: false }), Some([false, true])),
            ("--accept-local --loose", Some(Own { same: false }), Some([true, true])),
            ("--invert", Some(Nowhere), Some([true, true])),
            ("--invert --validmark", Some(Route { same: true }), Some([false, false])),
            ("--invert", None, None),
        ] {
            let found = [asked(options, path, &v4), asked(options, path, &v6)];
            assert_eq!(found, wanted.map_or([None; 2], |w| w.map(Some)), "{options} {path:?}");
        }
        let discover = udp4([0; 4], [255; 4], 68, 67);
        assert_eq!(asked("", Some(Nowhere), &discover), Some(true));
        assert_eq!(asked("", Some(Nowhere), &udp4([0, 0, 0, 1], [255; 4], 68, 67)), Some(false));
        assert_eq!(asked("", Some(Nowhere), &udp4([0; 4], [192, 0, 2, 1], 68, 67)), Some(false));
    }
}
