//! `physdev`: the ports of a bridge that the packet comes in by and leaves by.
//!
//! A packet that no bridge has touched fulfils what is asked behind `!` and nothing else. Of one that
//! came in by a bridge and is routed on, no port to leave by is known: `--physdev-out` says no, behind
//! `!`, too.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{BridgePorts, PortOut, State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use keepstate_conntrack::Hook;
use keepstate_packet::InterfaceName;

const IN: u8 = 0;
const OUT: u8 = 1;
const IS_IN: u8 = 2;
const IS_OUT: u8 = 3;
const IS_BRIDGED: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("physdev-in", IN).inverted(),
    valued("physdev-out", OUT).inverted(),
    flag("physdev-is-in", IS_IN).inverted(),
    flag("physdev-is-out", IS_OUT).inverted(),
    flag("physdev-is-bridged", IS_BRIDGED).inverted(),
];

const MANUAL: &str = "\
Asks for the ports of a bridge. Rules see a bridged packet with the bridge itself as its interface
(`-i br0`); this match sees the port behind it.

- `[!] --physdev-in NAME`: the port that the packet came in by; with `+` at the end, ports whose names
  begin so.
- `[!] --physdev-out NAME`: the port that it leaves by, of bridged packets in FORWARD and POSTROUTING.
- `[!] --physdev-is-in`: it came in by a port of a bridge.
- `[!] --physdev-is-out`: it leaves by a port of a bridge, as far as that is known.
- `[!] --physdev-is-bridged`: it is bridged from port to port and not routed.

Where a packet leaves that the host itself sends is not known in OUTPUT: there `--physdev-out` and
`--physdev-is-out` are refused unless `--physdev-is-bridged` stands beside them (and then never match).

    iptables -A FORWARD -m physdev --physdev-is-bridged --physdev-in eth1 -j ACCEPT

The host file declares bridges: `bridge_ports = [\"eth0\", \"eth1\"]` of the `[[interface]]` that is one.
Linux asks these rules about bridged packets with `net.bridge.bridge-nf-call-iptables` only.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "physdev",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest name of an interface, bytes.
const NAME_MAX: usize = 15;

/// An instance.
#[derive(Debug)]
pub struct PhysDev {
    input: Option<Inverted<String>>,
    output: Option<Inverted<String>>,
    /// Whether asked, and whether behind `!`.
    is_in: Option<bool>,
    is_out: Option<bool>,
    is_bridged: Option<bool>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.some_option()?;
    let mut port = |id| match arguments.option(id) {
        None => Some(None),
        Some(given) => name(arguments, given).map(Some),
    };
    let (input, output) = (port(IN)?, port(OUT)?);
    let asked = |id| arguments.option(id).map(|given: &Given| given.inverted);
    let (is_in, is_out, is_bridged) = (asked(IS_IN), asked(IS_OUT), asked(IS_BRIDGED));
    if (output.is_some() || is_out.is_some()) && is_bridged != Some(false) {
        arguments.hooks = &[Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Postrouting];
    }
    Some(Box::new(PhysDev { input, output, is_in, is_out, is_bridged }))
}

fn name(arguments: &mut Arguments<'_>, given: &Given) -> Option<Inverted<String>> {
    if given.value.len() > NAME_MAX {
        let text = format!("no interface can be called `{}`", given.value);
        let fault = Diagnostic::new(code::BAD_INTERFACE, given.value_span, text);
        arguments.fault(fault.help(format!("a name has at most {NAME_MAX} bytes")));
        return None;
    }
    Some(Inverted { inverted: given.inverted, value: given.value.clone() })
}

/// Whether a port has this name; the empty one is any.
fn is_called(port: InterfaceName, wanted: &str) -> bool {
    match wanted.strip_suffix('+') {
        Some(beginning) => port.as_str().starts_with(beginning),
        None => wanted.is_empty() || port.as_str() == wanted,
    }
}

impl PhysDev {
    fn of(&self, ports: BridgePorts) -> Answer {
        let BridgePorts { input, output } = ports;
        if (input, output) == (None, PortOut::None) {
            let names = [&self.input, &self.output].into_iter().flatten().map(|one| one.inverted);
            let flags = [self.is_in, self.is_out, self.is_bridged].into_iter().flatten();
            return names.chain(flags).all(|inverted| inverted).into();
        }
        let leaves = output != PortOut::None;
        let flag = |asked: Option<bool>, found: bool| asked.is_none_or(|not| found != not);
        let flags = flag(self.is_bridged, leaves)
            && flag(self.is_in, input.is_some())
            && flag(self.is_out, leaves);
        let came = match (&self.input, input) {
            (Some(wanted), Some(port)) => is_called(port, &wanted.value) != wanted.inverted,
            (Some(_), None) | (None, _) => true,
        };
        let left = match (&self.output, output) {
            (None, _) => Answer::Yes,
            (Some(_), PortOut::None) => Answer::No,
            (Some(wanted), PortOut::Port(port)) => {
                (is_called(port, &wanted.value) != wanted.inverted).into()
            }
            (Some(_), PortOut::Several) => Answer::Unknown,
        };
        Answer::from(flags && came).and(left)
    }

    fn words(&self, out: &mut String) {
        let flag = |out: &mut String, asked: Option<bool>, name| {
            if let Some(inverted) = asked {
                values::print_option(out, inverted, name);
            }
        };
        let port = |out: &mut String, asked: &Option<Inverted<String>>, name| {
            if let Some(wanted) = asked {
                values::print_option(out, wanted.inverted, name);
                out.push(' ');
                out.push_str(&wanted.value);
            }
        };
        flag(out, self.is_in, "physdev-is-in");
        port(out, &self.input, "physdev-in");
        flag(out, self.is_out, "physdev-is-out");
        port(out, &self.output, "physdev-out");
        flag(out, self.is_bridged, "physdev-is-bridged");
    }
}

impl Match for PhysDev {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        traversal.host.bridge_ports().map_or(Answer::Unknown, |ports| self.of(ports))
    }

    fn fact(&self) -> &'static str {
        "the ports of bridges (`bridge_ports` of an [[interface]])"
    }

    fn print(&self, out: &mut String) {
        self.words(out);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" PHYSDEV match");
        self.words(out);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let ports = [("came in", &self.input), ("leaves", &self.output)];
        for (what, asked) in ports {
            if let Some(wanted) = asked {
                let verb = either(wanted.inverted, "is", "is not");
                let called = match wanted.value.strip_suffix('+') {
                    Some(beginning) => format!("one whose name begins with {beginning}"),
                    None => wanted.value.clone(),
                };
                out.push(Piece::Condition(format!(
                    "the bridge port that it {what} by {verb} {called}"
                )));
            }
        }
        for (asked, yes, no) in [
            (self.is_in, "it came in by a port of a bridge", "it came in by no port of a bridge"),
            (
                self.is_out,
                "it leaves by a port of a bridge",
                "it leaves by no known port of a bridge",
            ),
            (self.is_bridged, "it is bridged, not routed", "it is not bridged"),
        ] {
            if let Some(inverted) = asked {
                out.push(Piece::Condition(either(inverted, yes, no).into()));
            }
        }
        out.push(Piece::Note(
            "Rules see bridged packets only where the kernel hands them over \
             (net.bridge.bridge-nf-call-iptables)."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::bench::{Known, forms, matched, refused, udp4};
    use crate::evaluate::{BridgePorts, PortOut};
    use alloc::format;
    use keepstate_conntrack::Hook;
    use keepstate_packet::{Family, InterfaceName};

    #[test]
    fn forms_and_refusals() {
        for (given, saved) in [
            ("--physdev-in eth0", "--physdev-in eth0"),
            ("! --physdev-in +", "! --physdev-in +"),
            (
                "--physdev-out e1 --physdev-is-out --physdev-is-in --physdev-is-bridged --physdev-in e0",
                "--physdev-is-in --physdev-in e0 --physdev-is-out --physdev-out e1 --physdev-is-bridged",
            ),
            ("! --physdev-is-bridged --physdev-out a", "--physdev-out a ! --physdev-is-bridged"),
        ] {
            let found = forms("filter", "FORWARD", &format!("-m physdev {given}"), Family::V4);
            let list = format!("PHYSDEV match {saved}");
            assert_eq!(found, (format!("-m physdev {saved}"), list.clone(), list));
        }
        for rule in ["", "--physdev-in 0123456789abcdef", "--physdev-in a --physdev-in b"] {
            assert!(
                refused("filter", "FORWARD", &format!("-m physdev {rule}"), Family::V4),
                "{rule}"
            );
        }
        for (rule, is_refused) in [
            ("--physdev-out b", true),
            ("--physdev-is-out", true),
            ("! --physdev-is-bridged --physdev-out b", true),
            ("--physdev-is-bridged --physdev-out b", false),
            ("--physdev-is-bridged --physdev-is-out", false),
            ("--physdev-in b", false),
        ] {
            let found = refused("filter", "OUTPUT", &format!("-m physdev {rule}"), Family::V6);
            assert_eq!(found, is_refused, "{rule}");
        }
    }

    #[test]
    fn ports_decide() {
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        let port = |name: &str| InterfaceName::new(name).unwrap();
        let ports = |input: Option<&str>, output| BridgePorts { input: input.map(port), output };
        let bridged = Some(ports(Some("p0"), PortOut::Port(port("p1"))));
        let flooded = Some(ports(Some("p0"), PortOut::Several));
        let routed = Some(ports(Some("p0"), PortOut::None));
        let without = Some(ports(None, PortOut::None));
        for (rule, known, wanted) in [
            ("--physdev-in p0", bridged, Some(true)),
            ("--physdev-in p+ --physdev-out p1", bridged, Some(true)),
            ("--physdev-out p0", bridged, Some(false)),
            ("! --physdev-out p0 --physdev-is-bridged", bridged, Some(true)),
            ("--physdev-is-bridged", routed, Some(false)),
            ("! --physdev-is-bridged", routed, Some(true)),
            ("--physdev-is-in ! --physdev-is-out", routed, Some(true)),
            ("! --physdev-out p9", routed, Some(false)),
            ("--physdev-out p1", flooded, None),
            ("--physdev-out p1 --physdev-in p3", flooded, Some(false)),
            ("--physdev-is-out", flooded, Some(true)),
            ("--physdev-in p0", without, Some(false)),
            ("! --physdev-in p0 ! --physdev-is-bridged", without, Some(true)),
            ("! --physdev-in p0 --physdev-is-bridged", without, Some(false)),
            ("--physdev-is-in", None, None),
        ] {
            let known = Known { bridge_ports: known, ..Known::default() };
            let found = matched(Hook::Forward, &format!("-m physdev {rule}"), &packet, &known);
            assert_eq!(found, wanted, "{rule}");
        }
    }
}
