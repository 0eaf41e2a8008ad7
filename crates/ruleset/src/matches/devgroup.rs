//! `devgroup`: the groups of the interfaces that the packet comes in on and leaves by (`ip link set dev
//! NAME group GROUP`). An interface is in one group, 0 unless it was put elsewhere.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, named, named::Named, valued};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use keepstate_conntrack::Hook;
use keepstate_packet::InterfaceName;

const SOURCE: u8 = 0;
const DESTINATION: u8 = 1;
const OPTIONS: &[OptionSpec] =
    &[valued("src-group", SOURCE).inverted(), valued("dst-group", DESTINATION).inverted()];

const MANUAL: &str = "\
Asks for the group of interfaces: one rule for all interfaces that an administrator has put together
with `ip link set dev ppp0 group 5`.

- `[!] --src-group GROUP[/MASK]`: the group of the interface that the packet came in on. Not in OUTPUT
  and POSTROUTING.
- `[!] --dst-group GROUP[/MASK]`: the group of the interface that it leaves by. Not in PREROUTING and
  INPUT.

GROUP is a number (decimal, `0x...`, or octal behind `0`) or a name of `/etc/iproute2/group`, of which
only `default` (0) is the same everywhere. With MASK only the bits that it has are compared.

    iptables -A FORWARD -m devgroup --src-group 5 --dst-group default -j DROP

The host file declares groups: `group = 5` of an `[[interface]]`, 0 without. A name of a machine's own
is read as its number; `iptables-save` on another machine may show the name again.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "devgroup",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Names that every machine has (`/etc/iproute2/group`).
const NAMES: &[(u32, &str)] = &[(0, "default")];

/// An instance.
#[derive(Debug)]
pub struct DevGroup {
    source: Option<Inverted<Named>>,
    destination: Option<Inverted<Named>>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let (source, destination) = (arguments.option(SOURCE), arguments.option(DESTINATION));
    arguments.hooks = match (source, destination) {
        (Some(_), Some(_)) => &[Hook::Forward],
        (Some(_), None) => &[Hook::Prerouting, Hook::Input, Hook::Forward],
        (None, Some(_)) => &[Hook::Forward, Hook::Output, Hook::Postrouting],
        (None, None) => {
            let text = "`devgroup` needs `--src-group` or `--dst-group`";
            arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
            return None;
        }
    };
    let mut group = |given| match given {
        None => Some(None),
        Some(given) => named::parse(arguments, given, NAMES, "an interface group").map(Some),
    };
    Some(Box::new(DevGroup { source: group(source)?, destination: group(destination)? }))
}

impl DevGroup {
    fn parts(&self) -> impl Iterator<Item = (&'static str, Inverted<Named>)> {
        let both = [("src-group", self.source), ("dst-group", self.destination)];
        both.into_iter().filter_map(|(name, wanted)| Some((name, wanted?)))
    }
}

fn holds(
    traversal: &Traversal<'_>,
    wanted: Option<Inverted<Named>>,
    interface: Option<InterfaceName>,
) -> Answer {
    let Some(wanted) = wanted else { return Answer::Yes };
    match interface.and_then(|name| traversal.host.interface_group(name)) {
        Some(group) => {
            ((group ^ wanted.value.value) & wanted.value.mask == 0).ne(&wanted.inverted).into()
        }
        None => Answer::Unknown,
    }
}

impl Match for DevGroup {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let source = holds(traversal, self.source, traversal.in_interface.copied());
        source.and(holds(traversal, self.destination, traversal.out_interface.copied()))
    }

    fn fact(&self) -> &'static str {
        "the groups of interfaces (`group` of an [[interface]])"
    }

    fn print(&self, out: &mut String) {
        for (name, wanted) in self.parts() {
            out.push_str(if wanted.inverted { " ! --" } else { " --" });
            out.push_str(name);
            wanted.value.print(out, NAMES);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        for (name, wanted) in self.parts() {
            out.push_str(if wanted.inverted { " ! " } else { " " });
            out.push_str(name);
            wanted.value.print(out, if numeric { &[] } else { NAMES });
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        for (name, wanted) in self.parts() {
            let way = if name == "src-group" { "came in on" } else { "leaves by" };
            let verb = either(wanted.inverted, "is", "is not");
            let group = wanted.value.words(NAMES);
            out.push(Piece::Condition(format!(
                "the interface that it {way} {verb} in the interface group {group}"
            )));
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
            ("--src-group 1", "--src-group 0x1", "src-group 0x1", "src-group 0x1"),
            ("! --src-group 010", "! --src-group 0x8", "! src-group 0x8", "! src-group 0x8"),
            ("--src-group 0", "--src-group default", "src-group 0x0", "src-group default"),
            ("--dst-group default", "--dst-group default", "dst-group 0x0", "dst-group default"),
            (
                "--src-group 16/255",
                "--src-group 0x10/0xff",
                "src-group 0x10/0xff",
                "src-group 0x10/0xff",
            ),
            (
                "--src-group 0xff/0x0f",
                "--src-group 0xff/0xf",
                "src-group 0xff/0xf",
                "src-group 0xff/0xf",
            ),
            ("--src-group 0x10/0xffffffff", "--src-group 0x10", "src-group 0x10", "src-group 0x10"),
            ("--src-group 0/0", "--src-group 0x0/0x0", "src-group 0x0/0x0", "src-group 0x0/0x0"),
            (
                "! --dst-group 2/3 ! --src-group 1/3",
                "! --src-group 0x1/0x3 ! --dst-group 0x2/0x3",
                "! src-group 0x1/0x3 ! dst-group 0x2/0x3",
                "! src-group 0x1/0x3 ! dst-group 0x2/0x3",
            ),
        ] {
            let found = forms("filter", "FORWARD", &format!("-m devgroup {given}"), Family::V6);
            assert_eq!(found, (format!("-m devgroup {saved}"), numeric.into(), list.into()));
        }
        for value in ["nosuch", "4294967296", "1/", "/1", "1x", "1/4294967296", "default/0xf"] {
            let rule = format!("-m devgroup --src-group {value}");
            assert!(refused("filter", "FORWARD", &rule, Family::V4), "{value}");
        }
        for (chain, rule) in [
            ("INPUT", "-m devgroup --dst-group 1"),
            ("OUTPUT", "-m devgroup --src-group 1"),
            ("INPUT", "-m devgroup --src-group 1 --dst-group 1"),
            ("FORWARD", "-m devgroup"),
        ] {
            assert!(refused("filter", chain, rule, Family::V4), "{chain} {rule}");
        }
    }

    #[test]
    fn bits_of_the_group_are_compared() {
        let known = Known { groups: Some([5, 0x10]), ..Known::default() };
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        let asked = |rule: &str, known: &Known| {
            matched(Hook::Forward, &format!("-m devgroup {rule}"), &packet, known)
        };
        for (rule, wanted) in [
            ("--src-group 5", true),
            ("--src-group 4", false),
            ("! --src-group 4", true),
            ("--src-group 1/3", true),
            ("--src-group 0xff/0x0f", false),
            ("--dst-group 16", true),
            ("--src-group 5 --dst-group 0", false),
            ("--src-group 5 ! --dst-group 0", true),
        ] {
            assert_eq!(asked(rule, &known), Some(wanted), "{rule}");
        }
        assert_eq!(asked("--src-group 5", &Known::default()), None);
    }
}
