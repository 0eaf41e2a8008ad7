//! `mangle`: other addresses in an ARP packet.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, hardware, valued, values};
use crate::targets::Target;
use crate::targets::ebtables::Then;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Address, Family, arp};

const IP_S: u8 = 0;
const IP_D: u8 = 1;
const MAC_S: u8 = 2;
const MAC_D: u8 = 3;
const THEN: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("mangle-ip-s", IP_S).repeated(),
    valued("mangle-ip-d", IP_D).repeated(),
    valued("mangle-mac-s", MAC_S).repeated(),
    valued("mangle-mac-d", MAC_D).repeated(),
    valued("mangle-target", THEN).repeated(),
];

const MANUAL: &str = "\
Writes other addresses into the ARP packet.

- `--mangle-ip-s ADDRESS`, `--mangle-ip-d ADDRESS`: the protocol address of the sender, of the target.
- `--mangle-mac-s ADDRESS`, `--mangle-mac-d ADDRESS`: their hardware addresses.
- `--mangle-target TARGET`: what follows: `ACCEPT` if not given, or `DROP`, `CONTINUE`.

One of the first four at least.

    arptables -A OUTPUT -s 192.0.2.1 -j mangle --mangle-ip-s 192.0.2.100

Mind: the frame around the packet keeps its addresses.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "mangle",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Mangle {
    sender: Option<[u8; 4]>,
    target: Option<[u8; 4]>,
    sender_hardware: Option<[u8; 6]>,
    target_hardware: Option<[u8; 6]>,
    then: Then,
}

fn ip(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<[u8; 4]>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match values::address(&given.value, Family::V4).map(|address| address.0) {
        Some([a, b, c, d, ..]) => Some(Some([a, b, c, d])),
        None => {
            let says = format!("host/network `{}' not found", given.value);
            arguments.wrong(given, "an address", says);
            None
        }
    }
}

fn mac(arguments: &mut Arguments<'_>, id: u8, says: &str) -> Option<Option<[u8; 6]>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let found = hardware::octets(&given.value);
    if found.is_none() {
        arguments.wrong(given, "a hardware address", says);
    }
    found.map(Some)
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let sender = ip(arguments, IP_S)?;
    let target = ip(arguments, IP_D)?;
    let sender_hardware = mac(arguments, MAC_S, "invalid source MAC")?;
    let target_hardware = mac(arguments, MAC_D, "invalid target MAC")?;
    let then = match arguments.option(THEN).map(|given| (given, given.value.as_str())) {
        None | Some((_, "ACCEPT")) => Then::Accept,
        Some((_, "DROP")) => Then::Drop,
        Some((_, "CONTINUE")) => Then::Continue,
        Some((given, _)) => {
            let says = "bad target for --mangle-target";
            arguments.wrong(given, "ACCEPT, DROP or CONTINUE", says);
            return None;
        }
    };
    let nothing = sender.is_none() && target.is_none();
    if nothing && sender_hardware.is_none() && target_hardware.is_none() {
        let text = "`mangle` needs an address to write";
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, arguments.span, text));
        return None;
    }
    Some(Box::new(Mangle { sender, target, sender_hardware, target_hardware, then }))
}

fn write(bytes: &mut [u8], at: usize, what: &[u8]) -> bool {
    let Some(place) = bytes.get_mut(at..).filter(|rest| rest.len() >= what.len()) else {
        return false;
    };
    place.iter_mut().zip(what).for_each(|(to, from)| *to = *from);
    true
}

impl Target for Mangle {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let bytes = &mut *traversal.bytes;
        let fits = bytes.get(4..6) == Some(&[6, 4]);
        let written = [
            self.sender_hardware.map(|one| write(bytes, arp::SENDER_HARDWARE, &one)),
            self.sender.map(|one| write(bytes, arp::SENDER, &one)),
            self.target_hardware.map(|one| write(bytes, arp::TARGET_HARDWARE, &one)),
            self.target.map(|one| write(bytes, arp::TARGET, &one)),
        ];
        if !fits || written.contains(&Some(false)) {
            return Step::Verdict(Verdict::Drop);
        }
        self.then.step()
    }

    fn print(&self, out: &mut String) {
        let ip = |out: &mut String, name: &str, address: Option<[u8; 4]>| {
            if let Some(address) = address {
                let _ =
                    write!(out, " --mangle-{name} {}", Address::v4(address).written(Family::V4));
            }
        };
        let mac = |out: &mut String, name: &str, address: Option<[u8; 6]>| {
            if let Some(address) = address {
                let _ = write!(out, " --mangle-{name} ");
                hardware::print_octets(out, address);
            }
        };
        ip(out, "ip-s", self.sender);
        mac(out, "mac-s", self.sender_hardware);
        ip(out, "ip-d", self.target);
        mac(out, "mac-d", self.target_hardware);
        if self.then != Then::Accept {
            let _ = write!(out, " --mangle-target {}", self.then.as_str());
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let parts = [
            (self.sender.is_some(), "the sender's address"),
            (self.sender_hardware.is_some(), "the sender's hardware address"),
            (self.target.is_some(), "the target's address"),
            (self.target_hardware.is_some(), "the target's hardware address"),
        ];
        let parts: Vec<&str> =
            parts.iter().filter(|(given, _)| *given).map(|(_, what)| *what).collect();
        let mut options = String::new();
        self.print(&mut options);
        out.push(Piece::Effect(format!(
            "writes {} anew ({}) and {}",
            parts.join(" and "),
            options.trim_start(),
            self.then.words()
        )));
    }
}
