//! `vlan`: the 802.1Q tag of a frame.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::hardware::ethertype_named;
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const ID: u8 = 0;
const PRIO: u8 = 1;
const ENCAP: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    valued("vlan-id", ID).inverted().repeated(),
    valued("vlan-prio", PRIO).inverted().repeated(),
    valued("vlan-encap", ENCAP).inverted().repeated(),
];

const MANUAL: &str = "\
The 802.1Q tag of a frame. Needs `-p 802_1Q`.

- `[!] --vlan-id N`: the network, 0 to 4094; 0: none, the tag is for the priority alone.
- `[!] --vlan-prio N`: the priority, 0 to 7; where the network is given and not 0, it is left out.
- `[!] --vlan-encap TYPE`: what the frame carries: an EtherType in hexadecimal, or its name.

    ebtables -A FORWARD -i port3 -p 802_1Q --vlan-id ! 42 -j DROP

Mind: frames without a tag are not looked at: `-p ! 802_1Q` is for them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "vlan",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Vlan {
    id: Option<Inverted<u16>>,
    prio: Option<Inverted<u8>>,
    encap: Option<Inverted<u16>>,
}

/// The last network.
const ID_MAX: u64 = 4094;
const PRIO_MAX: u64 = 7;
/// The least EtherType that the tool takes.
const ENCAP_MIN: u16 = 60;

#[allow(clippy::option_option, reason = "not given, or given wrongly")]
fn number(arguments: &mut Arguments<'_>, id: u8, max: u64) -> Option<Option<Inverted<u16>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match values::number(&given.value, max) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value: value as u16 })),
        None => {
            let says = format!("Invalid --{} range ('{}')", given.option.name, given.value);
            arguments.wrong(given, &format!("a number from 0 to {max}"), says);
            None
        }
    }
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let id = number(arguments, ID, ID_MAX)?;
    let prio = number(arguments, PRIO, PRIO_MAX)?;
    let prio = prio.map(|one| Inverted { inverted: one.inverted, value: one.value as u8 });
    let encap = match arguments.option(ENCAP) {
        None => None,
        Some(given) => {
            let number = values::hexadecimal(&given.value, 0xffff).map(|number| number as u16);
            let Some(value) = number.or_else(|| ethertype_named(&given.value)) else {
                let says = format!("Unknown --vlan-encap value ('{}')", given.value);
                arguments.wrong(given, "an EtherType", says);
                return None;
            };
            if value < ENCAP_MIN {
                let says = format!("Invalid --vlan-encap range ('{}')", given.value);
                arguments.wrong(given, "an EtherType", says);
                return None;
            }
            Some(Inverted { inverted: given.inverted, value })
        }
    };
    // The kernel looks for the protocol, but not for a `!` before it.
    if arguments.ethertype.is_none_or(|wanted| wanted.value != 0x8100) {
        arguments.needs_ethertype(&[(0x8100, "802_1Q")])?;
    }
    // The priority goes with a tag that names no network.
    let prio = prio.filter(|_| id.is_none_or(|id| id.value == 0));
    Some(Box::new(Vlan { id, prio, encap }))
}

impl Match for Vlan {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Some(frame) = &traversal.frame else { return Answer::No };
        let Some(tag) = frame.tag else { return Answer::No };
        let id = |wanted: Inverted<u16>| (tag & 0xfff == wanted.value) != wanted.inverted;
        let prio = |wanted: Inverted<u8>| (tag >> 13 == wanted.value.into()) != wanted.inverted;
        let encap = |wanted: Inverted<u16>| (frame.ethertype == wanted.value) != wanted.inverted;
        (self.id.is_none_or(id) && self.prio.is_none_or(prio) && self.encap.is_none_or(encap))
            .into()
    }

    fn print(&self, out: &mut String) {
        if let Some(Inverted { inverted, value }) = self.id {
            values::print_option(out, inverted, "vlan-id");
            let _ = write!(out, " {value}");
        }
        if let Some(Inverted { inverted, value }) = self.prio {
            values::print_option(out, inverted, "vlan-prio");
            let _ = write!(out, " {value}");
        }
        if let Some(Inverted { inverted, value }) = self.encap {
            values::print_option(out, inverted, "vlan-encap");
            let _ = write!(out, " {value:04X}");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = |inverted| either(inverted, "is", "is not");
        if let Some(Inverted { inverted, value }) = self.id {
            out.push(Piece::Condition(format!("its VLAN {} {value}", verb(inverted))));
        }
        if let Some(Inverted { inverted, value }) = self.prio {
            out.push(Piece::Condition(format!("its priority {} {value}", verb(inverted))));
        }
        if let Some(Inverted { inverted, value }) = self.encap {
            let verb = either(inverted, "carries", "does not carry");
            out.push(Piece::Condition(format!("it {verb} EtherType 0x{value:04x}")));
        }
    }
}
