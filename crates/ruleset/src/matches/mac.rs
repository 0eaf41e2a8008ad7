//! `mac`: the source hardware address of the frame. Only where a packet has come in by Ethernet.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;

const SOURCE: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("mac-source", SOURCE).inverted()];

const MANUAL: &str = "\
The hardware address that sent the frame. In PREROUTING, INPUT and FORWARD, for packets that came in by
Ethernet.

- `[!] --mac-source ADDRESS`: six bytes in hexadecimal, with colons.

    iptables -A INPUT -m mac --mac-source 00:11:22:33:44:55 -j ACCEPT

Mind: it is the address of the last hop; behind a router that is the router. Anybody on the same
network can send under another's address. A packet without one (a tunnel's, for example) never
matches, not even behind `!`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "mac",
    families: BOTH,
    tables: &[],
    hooks: &[Hook::Prerouting, Hook::Input, Hook::Forward],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Mac {
    address: [u8; 6],
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(SOURCE)?;
    let Some(address) = hardware_address(&given.value) else {
        let text = format!("`{}` is not a hardware address", given.value);
        let fault = Diagnostic::new(code::BAD_ADDRESS, given.value_span, text);
        arguments.fault(fault.help("six bytes in hexadecimal: 00:11:22:aa:bb:cc"));
        return None;
    };
    Some(Box::new(Mac { address, inverted: given.inverted }))
}

fn hardware_address(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
        *octet = u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'))?;
    }
    parts.next().is_none().then_some(octets)
}

struct Hex([u8; 6]);

impl core::fmt::Display for Hex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Match for Mac {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        // Loopback has addresses of nothing but zeros, and is no Ethernet.
        let is_loopback = traversal.in_interface.is_some_and(|name| name.as_str() == "lo");
        let source = traversal.link.source.filter(|_| !is_loopback);
        source.is_some_and(|source| (source == self.address) != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "mac-source");
        let _ = write!(out, " {}", Hex(self.address));
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.inverted { "! " } else { "" };
        let _ = write!(out, " MAC {not}{}", Hex(self.address));
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "came", "did not come");
        out.push(Piece::Condition(format!(
            "it {verb} in a frame sent by hardware address {}",
            Hex(self.address)
        )));
        out.push(Piece::Caution(
            "The hardware address is that of the last hop on the same network (behind a router: \
             the router), and any host on that network can send under another's."
                .into(),
        ));
    }
}
