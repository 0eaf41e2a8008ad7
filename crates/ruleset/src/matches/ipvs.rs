//! `ipvs`: whether the packet belongs to a connection of the IPVS load balancer, and to which.
//!
//! The engine balances nothing, and a host that declares what it has, has no IPVS: only `! --ipvs`
//! matches there. All other options match within such connections alone, also behind `!`. A kernel
//! without IPVS refuses to load these rules; they are read here, as by one that has it.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{
    Arguments, BOTH, Extension, Given, OptionSpec, flag, hostmask::HostMask, valued, values,
};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::Family;

const IPVS: u8 = 0;
const VPROTO: u8 = 1;
const VADDR: u8 = 2;
const VPORT: u8 = 3;
const VDIR: u8 = 4;
const VMETHOD: u8 = 5;
const VPORTCTL: u8 = 6;
const OPTIONS: &[OptionSpec] = &[
    flag("ipvs", IPVS).inverted(),
    valued("vproto", VPROTO).inverted(),
    valued("vaddr", VADDR).inverted(),
    valued("vport", VPORT).inverted(),
    valued("vdir", VDIR),
    valued("vmethod", VMETHOD).inverted(),
    valued("vportctl", VPORTCTL).inverted(),
];

const MANUAL: &str = "\
Asks whether the packet belongs to a connection of IPVS, Linux' load balancer, and to which service.

- `[!] --ipvs`: it belongs to one.
- `[!] --vproto PROTOCOL`, `[!] --vaddr ADDRESS[/MASK]`, `[!] --vport PORT`: the service's own.
- `--vdir ORIGINAL|REPLY`: its direction.
- `[!] --vmethod GATE|IPIP|MASQ`: how it is handed on.
- `[!] --vportctl PORT`: the port of the connection that brought it about, such as 21 of FTP.

    iptables -A INPUT -m ipvs --vproto tcp --vport 443 --vdir ORIGINAL -j ACCEPT

All but `--ipvs` match within connections of IPVS only, behind `!` as well. Nothing is balanced here: on
a host that is declared only `! --ipvs` matches, elsewhere the answer is unknown. Kernels without
`CONFIG_IP_VS` refuse rules with this match.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ipvs",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const METHODS: [&str; 3] = ["GATE", "IPIP", "MASQ"];
const DIRECTIONS: [&str; 2] = ["ORIGINAL", "REPLY"];

/// An instance.
#[derive(Debug)]
pub struct Ipvs {
    family: Family,
    /// `--ipvs` alone, and whether behind `!`; the other options say all the rest.
    belongs: Option<bool>,
    protocol: Option<Inverted<u8>>,
    address: Option<Inverted<HostMask>>,
    port: Option<Inverted<u16>>,
    direction: Option<&'static str>,
    method: Option<Inverted<&'static str>>,
    control: Option<Inverted<u16>>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.some_option()?;
    fn with<T>(
        given: Option<&Given>,
        read: impl FnOnce(&Given) -> Option<T>,
    ) -> Option<Option<Inverted<T>>> {
        match given {
            None => Some(None),
            Some(given) => {
                let value = read(given)?;
                Some(Some(Inverted { inverted: given.inverted, value }))
            }
        }
    }
    let protocol = with(arguments.option(VPROTO), |given| {
        let found = values::protocol(&given.value);
        if found.is_none() {
            arguments.bad_value(given, "a protocol");
        }
        found
    })?;
    let family = arguments.family;
    let address = with(arguments.option(VADDR), |given| HostMask::parse(arguments, given))?;
    let mut port = |id| with(arguments.option(id), |given| port(arguments, given));
    let (port, control) = (port(VPORT)?, port(VPORTCTL)?);
    let direction =
        with(arguments.option(VDIR), |given| word(arguments, given, &DIRECTIONS, "a direction"))?;
    let method = with(arguments.option(VMETHOD), |given| {
        word(arguments, given, &METHODS, "a method of forwarding")
    })?;
    let belongs = arguments.option(IPVS).map(|given| given.inverted);
    let direction = direction.map(|direction| direction.value);
    Some(Box::new(Ipvs { family, belongs, protocol, address, port, direction, method, control }))
}

fn port(arguments: &mut Arguments<'_>, given: &Given) -> Option<u16> {
    if given.value.contains(':') {
        arguments.bad_value(given, "a port (ranges are not possible here)");
        return None;
    }
    arguments.ports(given, None).map(|(low, _)| low)
}

fn word(
    arguments: &mut Arguments<'_>,
    given: &Given,
    words: &[&'static str],
    what: &str,
) -> Option<&'static str> {
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(&given.value));
    if found.is_none() {
        arguments.unknown_word(&given.value, given.value_span, what, words.iter().copied());
    }
    found.copied()
}

impl Ipvs {
    /// Whether nothing but `--ipvs` is asked.
    const fn is_plain(&self) -> bool {
        self.protocol.is_none()
            && self.address.is_none()
            && self.port.is_none()
            && self.direction.is_none()
            && self.method.is_none()
            && self.control.is_none()
    }

    fn words(&self, out: &mut String, dashes: &str) {
        let not = |inverted: bool| either(inverted, " ", " ! ");
        if let Some(inverted) = self.belongs {
            let _ = write!(out, "{}{dashes}ipvs", not(inverted));
        }
        if let Some(protocol) = self.protocol {
            let _ = write!(out, "{}{dashes}vproto {}", not(protocol.inverted), protocol.value);
        }
        if let Some(address) = self.address {
            let _ = write!(out, "{}{dashes}vaddr ", not(address.inverted));
            address.value.print(out, self.family);
        }
        if let Some(port) = self.port {
            let _ = write!(out, "{}{dashes}vport {}", not(port.inverted), port.value);
        }
        if let Some(direction) = self.direction {
            let _ = write!(out, " {dashes}vdir {direction}");
        }
        if let Some(method) = self.method {
            let _ = write!(out, "{}{dashes}vmethod {}", not(method.inverted), method.value);
        }
        if let Some(control) = self.control {
            let _ = write!(out, "{}{dashes}vportctl {}", not(control.inverted), control.value);
        }
    }
}

impl Match for Ipvs {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        match traversal.host.is_balanced() {
            Some(false) => (self.is_plain() && self.belongs == Some(true)).into(),
            Some(true) if self.is_plain() => (self.belongs == Some(false)).into(),
            Some(true) | None => Answer::Unknown,
        }
    }

    fn fact(&self) -> &'static str {
        "the connections of the load balancer (a host file declares a host without one)"
    }

    fn print(&self, out: &mut String) {
        self.words(out, "--");
    }

    fn list(&self, out: &mut String, _: bool) {
        self.words(out, "");
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        if self.is_plain() {
            let verb = either(self.belongs == Some(true), "belongs", "does not belong");
            out.push(Piece::Condition(format!(
                "it {verb} to a connection of the IPVS load balancer"
            )));
            return;
        }
        let mut words = String::new();
        self.words(&mut words, "");
        out.push(Piece::Condition(format!(
            "it belongs to a connection of the IPVS load balancer with{}",
            words.replace(" ! ", " not ")
        )));
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
        for (given, saved) in [
            ("--ipvs", "--ipvs"),
            ("! --vaddr 1.2.3.4/255.255.255.0", "! --vaddr 1.2.3.4/24"),
            (
                "--vmethod masq --vdir reply ! --vport ssh --vproto tcp --vportctl 21",
                "--vproto 6 ! --vport 22 --vdir REPLY --vmethod MASQ --vportctl 21",
            ),
        ] {
            let (found, list, _) =
                forms("filter", "INPUT", &format!("-m ipvs {given}"), Family::V4);
            assert_eq!(found, format!("-m ipvs {saved}"));
            assert_eq!(list, saved.replace("--", ""));
        }
        for rule in ["", "! --vdir REPLY", "--vport 80:90", "--vdir both", "--vmethod nat"] {
            assert!(refused("filter", "INPUT", &format!("-m ipvs {rule}"), Family::V4), "{rule}");
        }
    }

    #[test]
    fn nothing_is_balanced() {
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        let asked = |rule: &str, balanced| {
            let known = Known { balanced, ..Known::default() };
            matched(Hook::Input, &format!("-m ipvs {rule}"), &packet, &known)
        };
        assert_eq!(asked("--ipvs", Some(false)), Some(false));
        assert_eq!(asked("! --ipvs", Some(false)), Some(true));
        assert_eq!(asked("! --vproto 6", Some(false)), Some(false));
        assert_eq!(asked("! --ipvs", Some(true)), Some(false));
        assert_eq!(asked("--vproto 6", Some(true)), None);
        assert_eq!(asked("! --ipvs", None), None);
    }
}
