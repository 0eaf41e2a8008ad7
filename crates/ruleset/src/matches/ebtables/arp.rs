//! `arp`: the fields of an ARP or RARP packet that passes a bridge.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::hardware::{Hardware, ethertype_named, opcode_name, opcode_named};
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::matches::header::ethernet::who;
use crate::model::{Inverted, Network};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Address, Family, arp};

const OPCODE: u8 = 0;
const HTYPE: u8 = 1;
const PTYPE: u8 = 2;
const IP_SRC: u8 = 3;
const IP_DST: u8 = 4;
const MAC_SRC: u8 = 5;
const MAC_DST: u8 = 6;
const GRATUITOUS: u8 = 7;
const OPTIONS: &[OptionSpec] = &[
    valued("arp-opcode", OPCODE).inverted().repeated(),
    valued("arp-op", OPCODE).inverted().repeated(),
    valued("arp-htype", HTYPE).inverted().repeated(),
    valued("arp-ptype", PTYPE).inverted().repeated(),
    valued("arp-ip-src", IP_SRC).inverted().repeated(),
    valued("arp-ip-dst", IP_DST).inverted().repeated(),
    valued("arp-mac-src", MAC_SRC).inverted().repeated(),
    valued("arp-mac-dst", MAC_DST).inverted().repeated(),
    flag("arp-gratuitous", GRATUITOUS).inverted().repeated(),
];

const MANUAL: &str = "\
Fields of an ARP packet. Needs `-p ARP` or `-p RARP`.

- `[!] --arp-opcode OP` (`--arp-op`): what the packet is for: a number, or `Request`, `Reply`,
  `Request_Reverse`, `Reply_Reverse`, `DRARP_Request`, `DRARP_Reply`, `DRARP_Error`, `InARP_Request`,
  `ARP_NAK`.
- `[!] --arp-htype TYPE`: hardware type: a number, or `Ethernet` (1).
- `[!] --arp-ptype TYPE`: protocol type: hexadecimal, or the name of an EtherType.
- `[!] --arp-ip-src ADDRESS[/MASK]`, `[!] --arp-ip-dst ADDRESS[/MASK]`: protocol addresses of sender and
  target.
- `[!] --arp-mac-src ADDRESS[/MASK]`, `[!] --arp-mac-dst ADDRESS[/MASK]`: their hardware addresses, in
  numbers or as `Unicast`, `Multicast`, `Broadcast`, `BGA`.
- `[!] --arp-gratuitous`: sender and target have the same protocol address.

    ebtables -A FORWARD -p ARP -i port3 ! --arp-ip-src 192.0.2.3 -j DROP

Mind: the addresses are those in the ARP packet. The frame around it has hardware addresses of its own
(`-s`, `-d`), and nothing makes them agree.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "arp",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Arp {
    opcode: Option<Inverted<u16>>,
    htype: Option<Inverted<u16>>,
    ptype: Option<Inverted<u16>>,
    source: Option<Inverted<Network>>,
    destination: Option<Inverted<Network>>,
    hardware_source: Option<Inverted<Hardware>>,
    hardware_destination: Option<Inverted<Hardware>>,
    /// True behind `!`.
    gratuitous: Option<bool>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let decimal = |text: &str| text.parse::<u16>().ok();
    let opcode = |text: &str| decimal(text).or_else(|| opcode_named(text));
    let htype = |text: &str| {
        decimal(text).or(if text.eq_ignore_ascii_case("Ethernet") { Some(1) } else { None })
    };
    let ptype = |text: &str| {
        let number = values::hexadecimal(text, 0xffff).map(|number| number as u16);
        number.or_else(|| ethertype_named(text))
    };
    let opcode =
        number(arguments, OPCODE, "an opcode", "Problem with specified ARP opcode", opcode)?;
    let says = "Problem with specified ARP hardware type";
    let htype = number(arguments, HTYPE, "a hardware type", says, htype)?;
    let says = "Problem with specified ARP protocol type";
    let ptype = number(arguments, PTYPE, "a protocol type", says, ptype)?;
    let source = values::frame_network(arguments, IP_SRC, Family::V4)?;
    let destination = values::frame_network(arguments, IP_DST, Family::V4)?;
    let says = "Problem with ARP MAC address argument";
    let hardware = Hardware::parse;
    let hardware_source = number(arguments, MAC_SRC, "a hardware address", says, hardware)?;
    let hardware_destination = number(arguments, MAC_DST, "a hardware address", says, hardware)?;
    arguments.needs_ethertype(&[(0x0806, "ARP"), (0x8035, "RARP")])?;
    Some(Box::new(Arp {
        opcode,
        htype,
        ptype,
        source,
        destination,
        hardware_source,
        hardware_destination,
        gratuitous: arguments.option(GRATUITOUS).map(|given| given.inverted),
    }))
}

/// The value of an option, if it was given.
#[allow(clippy::option_option, reason = "not given, or given wrongly")]
fn number<T>(
    arguments: &mut Arguments<'_>,
    id: u8,
    what: &str,
    says: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Option<Inverted<T>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match read(&given.value) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
        None => {
            arguments.wrong(given, what, says);
            None
        }
    }
}

impl Match for Arp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Some(head) = traversal.bytes.first_chunk::<8>() else { return Answer::No };
        let [h0, h1, p0, p1, hardware_length, protocol_length, o0, o1] = *head;
        let number = |wanted: Option<Inverted<u16>>, found: [u8; 2]| {
            let found = u16::from_be_bytes(found);
            wanted.is_none_or(|wanted| (found == wanted.value) != wanted.inverted)
        };
        let numbers = number(self.opcode, [o0, o1])
            && number(self.htype, [h0, h1])
            && number(self.ptype, [p0, p1]);
        if !numbers {
            return Answer::No;
        }
        let bytes = &*traversal.bytes;
        let hardware_length = usize::from(hardware_length);
        let at = |offset: usize| bytes.get(8 + offset..);
        let protocols =
            self.source.is_some() || self.destination.is_some() || self.gratuitous.is_some();
        if protocols {
            let four = |offset| at(offset).and_then(|rest| rest.first_chunk::<4>()).copied();
            let ends = (four(hardware_length), four(2 * hardware_length + 4));
            let (4, (Some(source), Some(target))) = (protocol_length, ends) else {
                return Answer::No;
            };
            let network = |wanted: Option<Inverted<Network>>, found: [u8; 4]| {
                wanted.is_none_or(|wanted| {
                    let inside = crate::evaluate::in_network(&wanted.value, Address::v4(found));
                    inside != wanted.inverted
                })
            };
            let gratuitous = |inverted: bool| (source == target) != inverted;
            let matched = network(self.source, source)
                && network(self.destination, target)
                && self.gratuitous.is_none_or(gratuitous);
            if !matched {
                return Answer::No;
            }
        }
        // Only of Ethernet; each is looked for where somebody asks for it.
        let ethernet = (u16::from_be_bytes([h0, h1]), hardware_length) == (1, 6);
        let hardware = |wanted: Option<Inverted<Hardware>>, offset: usize| {
            let found = || at(offset).and_then(|rest| rest.first_chunk::<6>()).copied();
            wanted.is_none_or(|wanted| {
                ethernet
                    && found().is_some_and(|found| wanted.value.contains(found) != wanted.inverted)
            })
        };
        let target = hardware_length + usize::from(protocol_length);
        let met = hardware(self.hardware_source, 0) && hardware(self.hardware_destination, target);
        met.into()
    }

    fn print(&self, out: &mut String) {
        if let Some(Inverted { inverted, value }) = self.opcode {
            values::print_option(out, inverted, "arp-op");
            let _ = match opcode_name(value) {
                Some(name) => write!(out, " {name}"),
                None => write!(out, " {value}"),
            };
        }
        if let Some(Inverted { inverted, value }) = self.htype {
            values::print_option(out, inverted, "arp-htype");
            let _ = write!(out, " {value}");
        }
        if let Some(Inverted { inverted, value }) = self.ptype {
            values::print_option(out, inverted, "arp-ptype");
            let _ = write!(out, " 0x{value:x}");
        }
        values::print_frame_network(out, "arp-ip-src", self.source, Family::V4);
        values::print_frame_network(out, "arp-ip-dst", self.destination, Family::V4);
        let hardware =
            [("arp-mac-src", self.hardware_source), ("arp-mac-dst", self.hardware_destination)];
        for (name, wanted) in hardware {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            values::print_option(out, inverted, name);
            out.push(' ');
            value.print(out);
        }
        if let Some(inverted) = self.gratuitous {
            values::print_option(out, inverted, "arp-gratuitous");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = |inverted| either(inverted, "is", "is not");
        if let Some(Inverted { inverted, value }) = self.opcode {
            let verb = verb(inverted);
            out.push(Piece::Condition(match value {
                arp::REQUEST => format!("it {verb} a request (who has this address?)"),
                arp::REPLY => format!("it {verb} a reply (that address is mine)"),
                other => format!("its opcode {verb} {}", opcode_name(other).unwrap_or("another")),
            }));
        }
        for (name, wanted) in [("hardware", self.htype), ("protocol", self.ptype)] {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let verb = verb(inverted);
            out.push(Piece::Condition(format!("its {name} type {verb} 0x{value:x}")));
        }
        for (name, wanted) in [("sender's", self.source), ("target's", self.destination)] {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let mut text = String::new();
            values::print_network(&mut text, &value, Family::V4);
            let verb = verb(inverted);
            out.push(Piece::Condition(format!("its {name} address {verb} in {text}")));
        }
        let hardware =
            [("sender's", self.hardware_source), ("target's", self.hardware_destination)];
        for (name, wanted) in hardware {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let (verb, who) = (verb(inverted), who(&value));
            out.push(Piece::Condition(format!("its {name} hardware address {verb} {who}")));
        }
        if let Some(inverted) = self.gratuitous {
            let verb = either(inverted, "has", "has not");
            out.push(Piece::Condition(format!(
                "it {verb} one address as sender and target (a gratuitous announcement)"
            )));
        }
        if self.source.is_some_and(|source| source.inverted) {
            out.push(Piece::Note(
                "Held to a port, this keeps a station from answering for addresses of others."
                    .into(),
            ));
        }
    }
}
