//! `802_3`: the service access points and the SNAP type of an IEEE 802.3 frame. Its file cannot begin
//! with a digit.
//!
//! The kernel has both access points equal the one asked for; the type is looked at behind access
//! points 0xaa alone (SNAP), at another place in frames that are not unnumbered.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, hardware::LENGTH, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const SAP: u8 = 0;
const TYPE: u8 = 1;
const OPTIONS: &[OptionSpec] =
    &[valued("802_3-sap", SAP).inverted(), valued("802_3-type", TYPE).inverted()];

const MANUAL: &str = "\
What stands behind the length of an IEEE 802.3 frame. Needs `-p Length`.

- `[!] --802_3-sap HEX`: both service access points, 0x00 to 0xff. `0x42`: spanning tree.
- `[!] --802_3-type HEX`: the type behind access points 0xaa (SNAP), 0x0000 to 0xffff.

    ebtables -A FORWARD -p Length --802_3-sap 0x42 -j ACCEPT

Mind: the numbers are hexadecimal with or without 0x. Frames of IP, ARP and so on have a protocol where
these have a length: this match never sees them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "802_3",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Ieee8023 {
    sap: Option<Inverted<u8>>,
    kind: Option<Inverted<u16>>,
}

/// Access points behind which a type stands.
const SNAP: u8 = 0xaa;
/// In the control byte: it is the only one.
const UNNUMBERED: u8 = 0x03;

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let sap = match arguments.option(SAP) {
        None => None,
        Some(given) => {
            let Some(value) = values::hexadecimal(&given.value, 0xff) else {
                let says = format!("Problem with specified sap hex value, {}", given.value);
                arguments.wrong(given, "an access point, 0x00 to 0xff", says);
                return None;
            };
            Some(Inverted { inverted: given.inverted, value: value as u8 })
        }
    };
    let kind = match arguments.option(TYPE) {
        None => None,
        Some(given) => {
            let Some(value) = values::hexadecimal(&given.value, 0xffff) else {
                let says = format!("Problem with the specified type hex value, {}", given.value);
                arguments.wrong(given, "a type, 0x0000 to 0xffff", says);
                return None;
            };
            Some(Inverted { inverted: given.inverted, value: value as u16 })
        }
    };
    let says = "For 802.3 DSAP/SSAP filtering the protocol must be LENGTH";
    // Behind `!` too: the tool does not look for it.
    if arguments.ethertype.is_none_or(|wanted| wanted.value != LENGTH) {
        arguments.needs_ethertype(&[(LENGTH, "Length")]);
        if let Some(fault) = arguments.faults.last_mut() {
            fault.says = Some(says.into());
        }
        return None;
    }
    Some(Box::new(Ieee8023 { sap, kind }))
}

impl Match for Ieee8023 {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let [dsap, ssap, rest @ ..] = &*traversal.bytes else { return Answer::No };
        let control = rest.first().copied().unwrap_or(0);
        let sap = |wanted: Inverted<u8>| {
            let same = |found: u8| (found == wanted.value) != wanted.inverted;
            same(*ssap) && same(*dsap)
        };
        // Behind the control byte, or the two of them, come three bytes of an organisation; behind two
        // the kernel passes over one byte more, which is none of the frame's format.
        let at = if control & UNNUMBERED == 0 { 6 } else { 4 };
        let kind = |wanted: Inverted<u16>| {
            let found = rest.get(at..).and_then(|rest| rest.first_chunk());
            let snap = (*dsap, *ssap) == (SNAP, SNAP);
            snap && found.is_some_and(|found| {
                (u16::from_be_bytes(*found) == wanted.value) != wanted.inverted
            })
        };
        (self.sap.is_none_or(sap) && self.kind.is_none_or(kind)).into()
    }

    fn print(&self, out: &mut String) {
        if let Some(Inverted { inverted, value }) = self.sap {
            values::print_option(out, inverted, "802_3-sap");
            let _ = write!(out, " 0x{value:02x}");
        }
        if let Some(Inverted { inverted, value }) = self.kind {
            values::print_option(out, inverted, "802_3-type");
            let _ = write!(out, " 0x{value:04x}");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        if let Some(Inverted { inverted, value }) = self.sap {
            let verb = either(inverted, "are", "are not");
            out.push(Piece::Condition(format!("its service access points {verb} 0x{value:02x}")));
        }
        if let Some(Inverted { inverted, value }) = self.kind {
            let verb = either(inverted, "is", "is not");
            out.push(Piece::Condition(format!("its SNAP type {verb} 0x{value:04x}")));
        }
    }
}
