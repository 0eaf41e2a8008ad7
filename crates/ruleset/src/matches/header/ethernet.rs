//! `-p -s -d --logical-in --logical-out` of ebtables(8).
//!
//! A frame with an 802.1Q tag is of protocol 802_1Q, whatever it carries. A protocol that is a length
//! (IEEE 802.3) is no protocol: `Length` stands for all of them.

use crate::evaluate::{Traversal, is_interface};
use crate::explain::{Piece, Pieces, either};
use crate::extension::hardware::{Hardware, LENGTH, ethertype_name};
use crate::extension::values;
use crate::model::{InterfacePattern, Inverted};
use alloc::{format, string::String};
use core::fmt::Write;
use keepstate_packet::ethernet;

/// The header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EthernetHeader {
    /// `-p`: [`LENGTH`] for all lengths.
    pub protocol: Option<Inverted<u16>>,
    /// `-s`.
    pub source: Option<Inverted<Hardware>>,
    /// `-d`.
    pub destination: Option<Inverted<Hardware>>,
    /// `--logical-in`: the bridge, not its port.
    pub logical_in: Option<Inverted<InterfacePattern>>,
    /// `--logical-out`.
    pub logical_out: Option<Inverted<InterfacePattern>>,
}

/// A protocol as it is printed.
fn protocol_name(protocol: u16) -> String {
    match ethertype_name(protocol) {
        _ if protocol == LENGTH => "Length".into(),
        Some(name) => name.into(),
        None => format!("0x{protocol:x}"),
    }
}

impl EthernetHeader {
    pub(super) fn matches(&self, traversal: &Traversal<'_>) -> bool {
        let Some(frame) = &traversal.frame else { return false };
        let found = if frame.tag.is_some() { ethernet::VLAN } else { frame.ethertype };
        let protocol = |wanted: Inverted<u16>| {
            let same = if wanted.value == LENGTH { found < LENGTH } else { found == wanted.value };
            same != wanted.inverted
        };
        let hardware = |wanted: Option<Inverted<Hardware>>, found: Option<[u8; 6]>| {
            wanted.is_none_or(|wanted| {
                found.is_some_and(|found| wanted.value.contains(found) != wanted.inverted)
            })
        };
        let bridge = |wanted: &Option<Inverted<InterfacePattern>>, name| {
            wanted.is_none_or(|wanted| is_interface(&wanted.value, name) != wanted.inverted)
        };
        self.protocol.is_none_or(protocol)
            && hardware(self.source, traversal.link.source)
            && hardware(self.destination, traversal.link.destination)
            && bridge(&self.logical_in, frame.logical_in)
            && bridge(&self.logical_out, frame.logical_out)
    }

    /// Appends protocol and addresses.
    pub fn print(&self, out: &mut String) {
        if let Some(Inverted { inverted, value }) = self.protocol {
            let _ = write!(out, "{} -p {}", values::not(inverted), protocol_name(value));
        }
        for (option, wanted) in [("-s", self.source), ("-d", self.destination)] {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let _ = write!(out, "{} {option} ", values::not(inverted));
            match value.name() {
                Some(name) => out.push_str(name),
                None => value.print(out),
            }
        }
    }

    /// Appends `--logical-in`.
    pub fn print_logical_in(&self, out: &mut String) {
        values::print_interface(out, "--logical-in", self.logical_in);
    }

    /// Appends `--logical-out`.
    pub fn print_logical_out(&self, out: &mut String) {
        values::print_interface(out, "--logical-out", self.logical_out);
    }

    pub(super) fn explain(&self, out: &mut Pieces) {
        if let Some(Inverted { inverted, value }) = self.protocol {
            let verb = either(inverted, "carries", "does not carry");
            out.push(Piece::Condition(match value {
                LENGTH => format!("it {verb} a length in the place of a protocol (802.3)"),
                0x8100 => format!("it {} an 802.1Q tag", either(inverted, "has", "does not have")),
                value => format!("it {verb} {}", protocol_name(value)),
            }));
        }
        for (way, wanted) in [("from", self.source), ("to", self.destination)] {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let verb = either(inverted, "is", "is not");
            out.push(Piece::Condition(format!("it {verb} {way} {}", who(&value))));
        }
        for (way, wanted) in [("came in at", self.logical_in), ("leaves by", self.logical_out)] {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let name = values::interface_name(&value);
            let not = either(inverted, "", "another bridge than ");
            out.push(Piece::Condition(format!("it {way} {not}bridge {name}")));
        }
    }
}

/// Whose address it is.
pub(in crate::matches) fn who(hardware: &Hardware) -> String {
    match hardware.name() {
        Some("Unicast") => "one station (no group address)".into(),
        Some("Multicast") => "a group address (broadcast is one)".into(),
        Some("Broadcast") => "the broadcast address".into(),
        Some(_) => "the bridge group address 01:80:c2:00:00:00 (spanning tree)".into(),
        None => {
            let mut text = String::from("hardware address ");
            hardware.print(&mut text);
            text
        }
    }
}
