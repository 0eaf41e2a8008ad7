//! `addrtype`: what the routing table says an address is (iptables-extensions(8)).
//!
//! IPv4: the packet matches when the type is one of those named. IPv6: UNSPEC, UNICAST and
//! MULTICAST are read from the address itself and must all hold, the others are looked up.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{AddressType, State, Traversal};
use crate::explain::{Piece, Pieces, either, or_list};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::{Address, Family, InterfaceName};

const SOURCE: u8 = 0;
const DESTINATION: u8 = 1;
const LIMIT_IN: u8 = 2;
const LIMIT_OUT: u8 = 3;

const OPTIONS: &[OptionSpec] = &[
    valued("src-type", SOURCE).inverted(),
    valued("dst-type", DESTINATION).inverted(),
    flag("limit-iface-in", LIMIT_IN),
    flag("limit-iface-out", LIMIT_OUT),
];

const MANUAL: &str = "\
What the host's routing table makes of an address: its own, a broadcast address, one that is
unreachable, and so on. A rule for the host's own addresses needs no list of them this way.

- `[!] --src-type TYPE[,TYPE...]`: the source address is of one of these types.
- `[!] --dst-type TYPE[,TYPE...]`: the same of the destination.
- `--limit-iface-in`: judged for the interface by which the packet came in, alone. Not in OUTPUT and
  POSTROUTING.
- `--limit-iface-out`: judged for the interface by which it leaves, alone. Not in PREROUTING and INPUT,
  and not together with `--limit-iface-in`.

Types: `UNSPEC` (0.0.0.0), `UNICAST`, `LOCAL`, `BROADCAST`, `ANYCAST`, `MULTICAST`, `BLACKHOLE`,
`UNREACHABLE`, `PROHIBIT`, `THROW`, `NAT`, `XRESOLVE`; a beginning of the word will do. IPv6 has
`UNSPEC`, `UNICAST`, `LOCAL`, `ANYCAST`, `MULTICAST` and `UNREACHABLE` of them.

    iptables -A INPUT -m addrtype --dst-type BROADCAST,MULTICAST -j DROP

Mind: the types of a list are alternatives, except that with IPv6 `UNSPEC`, `UNICAST` and `MULTICAST`
must hold beside whatever else is named. The answer depends on the host: keepstate takes it from the
host file.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "addrtype",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// The types, in the order of their bits and of printing.
const TYPES: [(AddressType, &str); 12] = [
    (AddressType::Unspec, "UNSPEC"),
    (AddressType::Unicast, "UNICAST"),
    (AddressType::Local, "LOCAL"),
    (AddressType::Broadcast, "BROADCAST"),
    (AddressType::Anycast, "ANYCAST"),
    (AddressType::Multicast, "MULTICAST"),
    (AddressType::Blackhole, "BLACKHOLE"),
    (AddressType::Unreachable, "UNREACHABLE"),
    (AddressType::Prohibit, "PROHIBIT"),
    (AddressType::Throw, "THROW"),
    (AddressType::Nat, "NAT"),
    (AddressType::Xresolve, "XRESOLVE"),
];

const fn bit(of: AddressType) -> u16 {
    1 << of as u16
}

/// Types that the kernel knows for IPv6.
const IPV6: u16 = bit(AddressType::Unspec)
    | bit(AddressType::Unicast)
    | bit(AddressType::Local)
    | bit(AddressType::Anycast)
    | bit(AddressType::Multicast)
    | bit(AddressType::Unreachable);

/// From whose point of view an address is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The host's.
    None,
    /// That of the interface the packet came in by.
    In,
    /// That of the interface it leaves by.
    Out,
}

/// An instance.
#[derive(Debug)]
pub struct AddrType {
    family: Family,
    source: Option<Inverted<u16>>,
    destination: Option<Inverted<u16>>,
    limit: Limit,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let mut types = |id| match arguments.option(id) {
        None => Some(None),
        Some(given) => {
            let value = types(arguments, given)?;
            Some(Some(Inverted { inverted: given.inverted, value }))
        }
    };
    let (source, destination) = (types(SOURCE)?, types(DESTINATION)?);
    if source.is_none() && destination.is_none() {
        let text = "`addrtype` needs `--src-type` or `--dst-type`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    }
    let (inward, outward) = (arguments.option(LIMIT_IN), arguments.option(LIMIT_OUT));
    let limit = match (inward, outward) {
        (Some(_), Some(_)) => {
            arguments.exclusive(&[LIMIT_IN, LIMIT_OUT])?;
            Limit::None
        }
        (Some(_), None) => {
            arguments.hooks = &[Hook::Prerouting, Hook::Input, Hook::Forward];
            Limit::In
        }
        (None, Some(_)) => {
            arguments.hooks = &[Hook::Forward, Hook::Output, Hook::Postrouting];
            Limit::Out
        }
        (None, None) => Limit::None,
    };
    Some(Box::new(AddrType { family: arguments.family, source, destination, limit }))
}

fn types(arguments: &mut Arguments<'_>, given: &Given) -> Option<u16> {
    let mut mask = 0;
    for word in given.value.split(',') {
        let upper = word.to_ascii_uppercase();
        let found = TYPES.iter().find(|(_, name)| !word.is_empty() && name.starts_with(&upper));
        let Some((of, name)) = found else {
            let names = TYPES.iter().map(|(_, name)| *name);
            arguments.unknown_word(word, given.value_span, "an address type", names);
            return None;
        };
        if arguments.family == Family::V6 && bit(*of) & IPV6 == 0 {
            let text = format!("IPv6 has no address type {name}");
            arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
            return None;
        }
        mask |= bit(*of);
    }
    Some(mask)
}

impl AddrType {
    fn holds(
        &self,
        traversal: &Traversal<'_>,
        wanted: Option<Inverted<u16>>,
        address: Address,
    ) -> bool {
        let Some(wanted) = wanted else { return true };
        let interface = match self.limit {
            Limit::None => None,
            Limit::In => traversal.in_interface.copied(),
            Limit::Out => traversal.out_interface.copied(),
        };
        let found = match self.family {
            Family::V4 => {
                let of = traversal.host.address_type(Family::V4, address, interface);
                wanted.value & bit(of) != 0
            }
            Family::V6 => holds_ipv6(traversal, wanted.value, address, interface),
        };
        found != wanted.inverted
    }
}

fn holds_ipv6(
    traversal: &Traversal<'_>,
    mask: u16,
    address: Address,
    interface: Option<InterfaceName>,
) -> bool {
    let ip = core::net::Ipv6Addr::from(address.0);
    let wants = |of| mask & bit(of) != 0;
    let unspecified = ip.is_unspecified();
    // An IPv4 address mapped into IPv6 is none of the kernel's kinds, unicast included.
    let unicast = !ip.is_multicast() && !unspecified && ip.to_ipv4_mapped().is_none();
    if wants(AddressType::Multicast) && !ip.is_multicast()
        || wants(AddressType::Unicast) && !unicast
        || wants(AddressType::Unspec) && !unspecified
    {
        return false;
    }
    let looked_up = mask
        & (bit(AddressType::Local) | bit(AddressType::Anycast) | bit(AddressType::Unreachable));
    let found = || traversal.host.address_type(Family::V6, address, interface);
    looked_up == 0 || looked_up & bit(found()) != 0
}

impl Match for AddrType {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = &*traversal.packet;
        let both = self.holds(traversal, self.source, packet.source)
            && self.holds(traversal, self.destination, packet.destination);
        both.into()
    }

    fn print(&self, out: &mut String) {
        let wanted = [("src-type", self.source), ("dst-type", self.destination)];
        for (name, wanted) in wanted {
            if let Some(wanted) = wanted {
                crate::extension::values::print_option(out, wanted.inverted, name);
                out.push(' ');
                out.push_str(&names(wanted.value).join(","));
            }
        }
        out.push_str(match self.limit {
            Limit::None => "",
            Limit::In => " --limit-iface-in",
            Limit::Out => " --limit-iface-out",
        });
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" ADDRTYPE match");
        for (name, wanted) in [("src-type", self.source), ("dst-type", self.destination)] {
            if let Some(wanted) = wanted {
                let not = if wanted.inverted { "!" } else { "" };
                let _ = write!(out, " {name} {not}{}", names(wanted.value).join(","));
            }
        }
        out.push_str(match self.limit {
            Limit::None => "",
            Limit::In => " limit-in",
            Limit::Out => " limit-out",
        });
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        for (end, wanted) in [("source", self.source), ("destination", self.destination)] {
            if let Some(wanted) = wanted {
                let verb = either(wanted.inverted, "is", "is not");
                let types = or_list(&names(wanted.value));
                let seen = match self.limit {
                    Limit::None => "as the host's routing table has it",
                    Limit::In => "as routing has it for the interface it came in on",
                    Limit::Out => "as routing has it for the interface it leaves by",
                };
                out.push(Piece::Condition(format!(
                    "its {end} address {verb} of type {types} ({seen})"
                )));
            }
        }
        let wanted = [self.source, self.destination].into_iter().flatten();
        if wanted.into_iter().any(|wanted| wanted.value & bit(AddressType::Local) != 0) {
            out.push(Piece::Note(match self.limit {
                Limit::None => {
                    "LOCAL is every address of the host itself, on any interface.".into()
                }
                Limit::In | Limit::Out => "LOCAL is every address of that interface.".into(),
            }));
        }
    }
}

fn names(mask: u16) -> Vec<&'static str> {
    TYPES.iter().filter(|(of, _)| mask & bit(*of) != 0).map(|(_, name)| *name).collect()
}
