//! `TEE`: sends a copy of the packet to another host of the network. The packet itself goes on to the next rule.
//!
//! Seen with Linux: over IPv4 the copy may not be fragmented, at whatever hook it is made, and its checksum is
//! made anew; its TTL is one less where it is made on the way in (PREROUTING, INPUT). A device that is not there
//! is as good as none. The kernel refuses the unspecified address as a gateway. A name of a device is not quoted
//! when a rule is saved, whatever it holds, and is cut to 15 bytes.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::{Address, Family, checksum};

const GATEWAY: u8 = 0;
const DEVICE: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("gateway", GATEWAY), valued("oif", DEVICE)];

const MANUAL: &str = "\
# TEE

Sends a copy of the packet to another host, which has to be reached without a router in between, and goes on with
the next rule: for a machine that watches the traffic.

`--gateway ADDRESS`
: Where the copy goes. Needed.

`--oif NAME`
: The interface that the copy leaves by, rather than that of the route to the gateway.

    -t mangle -A PREROUTING -i eth0 -j TEE --gateway 192.0.2.9

The copy keeps its addresses and its mark, is not tracked, and passes OUTPUT and POSTROUTING as if the host sent it;
`TEE` there makes no copy of a copy. It may not be fragmented (IPv4), and one made in PREROUTING or INPUT has lived
one hop longer.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "TEE",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest name of a device in bytes; the rest is cut off.
pub const DEVICE_MAX: usize = 15;

/// Most copies that the rules of one table make of one packet.
pub const COPIES_MAX: usize = 1024;

/// Where the flags of an IPv4 header stand, the one for "don't fragment", and TTL and hop limit.
const FLAGS: usize = 6;
const DONT_FRAGMENT: u8 = 0x40;
const TTL_V4: usize = 8;
const HOP_LIMIT: usize = 7;

/// A copy of a packet that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// From the IP header on.
    pub bytes: Vec<u8>,
    /// Where it goes.
    pub gateway: Address,
    /// The interface it leaves by, where there is one of that name.
    pub device: String,
    /// Mark, security mark and priority.
    pub marks: [u32; 3],
}

/// An instance.
#[derive(Debug)]
pub struct Tee {
    /// Where the copy goes.
    pub gateway: Address,
    /// The device it leaves by; empty for that of the route.
    pub device: String,
    family: Family,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let family = arguments.family;
    let given = arguments.required(GATEWAY)?;
    let local = given.value == "localhost";
    let gateway = match values::host_address(&given.value, family) {
        None if local && family == Family::V4 => Some(Address::v4([127, 0, 0, 1])),
        found => found,
    };
    let Some(gateway) = gateway else {
        arguments.bad_value(given, "an address of a host of the rule's family");
        return None;
    };
    if gateway == Address::default() {
        let text = "the kernel sends no copies to the unspecified address";
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    let device = arguments.option(DEVICE).map_or("", |given| given.value.as_str());
    let length = DEVICE_MAX.min(device.len());
    let end = (0..=length).rev().find(|at| device.is_char_boundary(*at)).unwrap_or(0);
    let device = device.get(..end).unwrap_or("").into();
    Some(Box::new(Tee { gateway, device, family }))
}

impl Target for Tee {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let is_v4 = traversal.packet.family == Family::V4;
        let came_in = matches!(traversal.hook, Hook::Prerouting | Hook::Input);
        let mut bytes = traversal.packet.packet(traversal.bytes).to_vec();
        let ttl_at = if is_v4 { TTL_V4 } else { HOP_LIMIT };
        if let Some(ttl) = bytes.get_mut(ttl_at).filter(|_| came_in) {
            *ttl = ttl.wrapping_sub(1);
        }
        if is_v4 {
            if let Some(flags) = bytes.get_mut(FLAGS) {
                *flags |= DONT_FRAGMENT;
            }
            checksum::fill_ipv4_header(&mut bytes);
        }
        let copies = &mut traversal.stores.copies;
        if copies.len() < COPIES_MAX {
            let (gateway, device) = (self.gateway, self.device.clone());
            let marks = [traversal.mark, traversal.secmark, traversal.priority];
            copies.push(Copy { bytes, gateway, device, marks });
        }
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        let _ = write!(out, " --gateway {}", self.gateway.written(self.family));
        if !self.device.is_empty() {
            let _ = write!(out, " --oif {}", self.device);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let own = self.family == Family::V4 && self.gateway == Address::v4([127, 0, 0, 1]);
        let _ = match own && !numeric {
            true => write!(out, " TEE gw:localhost"),
            false => write!(out, " TEE gw:{}", self.gateway.written(self.family)),
        };
        if !self.device.is_empty() {
            let _ = write!(out, " oif={}", self.device);
        }
    }

    fn explain(&self, out: &mut Pieces) {
        let by = match self.device.as_str() {
            "" => String::new(),
            device => format!(" by {device}"),
        };
        out.push(Piece::Effect(format!(
            "sends a copy of it to {}{by}, and goes on with the next rule",
            self.gateway.written(self.family)
        )));
        out.push(Piece::Note(
            "The host that watches has to be on a network of this one: no router passes the copy on to \
             it. The copy is not tracked, and passes OUTPUT and POSTROUTING."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;
    use keepstate_packet::Family::{V4, V6};

    #[test]
    fn texts() {
        let rows = &[
            ("-j TEE --gateway 1.1.1.1", "=", " TEE gw:1.1.1.1", "="),
            ("-j TEE --gateway 1.1", "-j TEE --gateway 1.0.0.1", " TEE gw:1.0.0.1", "="),
            (
                "-j TEE --gateway localhost",
                "-j TEE --gateway 127.0.0.1",
                " TEE gw:localhost",
                " TEE gw:127.0.0.1",
            ),
            (
                "-j TEE --oif eth+ --gateway 1.1.1.1",
                "-j TEE --gateway 1.1.1.1 --oif eth+",
                " TEE gw:1.1.1.1 oif=eth+",
                "=",
            ),
            (
                "-j TEE --gateway 1.1.1.1 --oif \"\"",
                "-j TEE --gateway 1.1.1.1",
                " TEE gw:1.1.1.1",
                "=",
            ),
            (
                "-j TEE --gateway 1.1.1.1 --oif 1234567890123456",
                "-j TEE --gateway 1.1.1.1 --oif 123456789012345",
                " TEE gw:1.1.1.1 oif=123456789012345",
                "=",
            ),
            ("-j TEE", "", "", ""),
            ("-j TEE --oif eth0", "", "", ""),
            ("-j TEE ! --gateway 1.1.1.1", "", "", ""),
            ("-j TEE --gateway 0.0.0.0", "", "", ""),
            ("-j TEE --gateway 1.1.1.1/32", "", "", ""),
            ("-j TEE --gateway fe80::1", "", "", ""),
            ("-j TEE --gateway 1.1.1.1 --gateway 1.1.1.2", "", "", ""),
        ];
        check(V4, "filter", "FORWARD", rows);
        check(
            V6,
            "nat",
            "POSTROUTING",
            &[
                (
                    "-j TEE --gateway 2001:db8::1 --oif eth0",
                    "=",
                    " TEE gw:2001:db8::1 oif=eth0",
                    "=",
                ),
                ("-j TEE --gateway ::", "", "", ""),
                ("-j TEE --gateway 1.1.1.1", "", "", ""),
            ],
        );
    }
}
