//! `dccp`: ports, packet type and options of a DCCP header (RFC 4340).
//!
//! A header of less than 12 bytes is dropped, and so is one whose data offset is less than its type
//! needs, or beyond the packet, where options are asked for. Later fragments never match.

use super::sctp::{list_ports, ports};
use super::tcp::{Ports, cut_ports_fit, explain_ports, print_ports};
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces, either, or_list};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const SPORT: u8 = 0;
const DPORT: u8 = 1;
const TYPES: u8 = 2;
const OPTION: u8 = 3;
const OPTIONS: &[OptionSpec] = &[
    valued("source-port", SPORT).inverted(),
    valued("sport", SPORT).inverted(),
    valued("destination-port", DPORT).inverted(),
    valued("dport", DPORT).inverted(),
    valued("dccp-types", TYPES).inverted(),
    valued("dccp-option", OPTION).inverted(),
];

const MANUAL: &str = "\
Asks for ports, type and options of a DCCP packet (RFC 4340). The rule needs `-p dccp`.

- `[!] --sport PORT[:PORT]`, `[!] --dport PORT[:PORT]` (also `--source-port`, `--destination-port`): the
  port, or a range of ports; an end left out is 0 or 65535.
- `[!] --dccp-types TYPE[,TYPE]...`: the packet has one of these types: `REQUEST RESPONSE DATA ACK DATAACK
  CLOSEREQ CLOSE RESET SYNC SYNCACK`, or `INVALID` for the six that have no meaning.
- `[!] --dccp-option NUMBER`: the header carries this option (1 to 255).

    -p dccp -m dccp --dport 5004 --dccp-types REQUEST -j ACCEPT

A DCCP header that is cut off or contradicts itself is dropped.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "dccp",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const PROTOCOL: u8 = 33;

/// Packet types by number (RFC 4340, 5.1).
const NAMES: [&str; 11] = [
    "REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC",
    "SYNCACK", "INVALID",
];
/// The reserved types: one bit each, as in a mask of types.
const INVALID: u16 = 0xfc00;

/// Bytes of the header without the longer sequence number.
const HEADER_LENGTH: usize = 12;

/// An instance.
#[derive(Debug)]
pub struct Dccp {
    source: Option<Ports>,
    destination: Option<Ports>,
    /// One bit a type.
    types: Option<Inverted<u16>>,
    option: Option<Inverted<u8>>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let protocol = arguments.needs_protocol(&[(PROTOCOL, "dccp")]);
    let source = ports(arguments, SPORT, None);
    let destination = ports(arguments, DPORT, None);
    let types = match arguments.option(TYPES) {
        None => None,
        Some(given) => {
            Some(Inverted { inverted: given.inverted, value: type_mask(arguments, given)? })
        }
    };
    let option = match arguments.option(OPTION) {
        None => None,
        Some(given) => {
            let value = values::number(&given.value, 255).filter(|value| *value > 0);
            let Some(value) = value.and_then(|value| u8::try_from(value).ok()) else {
                arguments.bad_value(given, "a DCCP option number (1 to 255)");
                return None;
            };
            Some(Inverted { inverted: given.inverted, value })
        }
    };
    protocol?;
    Some(Box::new(Dccp { source: source?, destination: destination?, types, option }))
}

fn type_mask(arguments: &mut Arguments<'_>, given: &Given) -> Option<u16> {
    let mut mask = 0;
    for (word, span) in arguments.list(given).into_iter().filter(|(word, _)| !word.is_empty()) {
        let found = NAMES.iter().position(|name| name.eq_ignore_ascii_case(word));
        mask |= match found {
            Some(10) => INVALID,
            Some(number) => 1 << number,
            None => {
                arguments.unknown_word(word, span, "a DCCP packet type", NAMES.into_iter());
                return None;
            }
        };
    }
    if mask == 0 {
        let fault = "`--dccp-types` names no type";
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, fault));
        return None;
    }
    Some(mask)
}

/// Names of the types of a mask.
fn type_names(mask: u16) -> Vec<&'static str> {
    let names = NAMES.iter().enumerate();
    names.filter(|(number, _)| mask & (1 << number) != 0).map(|(_, name)| *name).collect()
}

/// Bytes of a header before its options, by the type and whether the sequence number is long
/// (RFC 4340, 5).
const fn fixed_length(kind: u8, extended: bool) -> usize {
    let basic = if extended { HEADER_LENGTH + 4 } else { HEADER_LENGTH };
    basic
        + match kind {
            2 => 0,
            0 => 4,
            3..=6 | 8 | 9 => 8,
            _ => 12,
        }
}

/// Whether an option is among those of a header, and `!` is not heeded; `None` for a header that
/// contradicts itself.
fn has_option(packet: &[u8], header: &[u8; HEADER_LENGTH], wanted: u8) -> Option<bool> {
    let length = usize::from(header[4]) * 4;
    let fixed = fixed_length(header[8] >> 1 & 0xf, header[8] & 1 != 0);
    if length < fixed {
        return None;
    }
    if length == fixed {
        return Some(false);
    }
    let mut rest = packet.get(fixed..length)?;
    while let Some((kind, after)) = rest.split_first() {
        if *kind == wanted {
            return Some(true);
        }
        // Padding and the mandatory mark are one byte each; a length of 0 counts as 1.
        let step = if *kind < 2 { 1 } else { after.first().map_or(1, |length| (*length).max(1)) };
        rest = rest.get(usize::from(step)..).unwrap_or(&[]);
    }
    Some(false)
}

impl Match for Dccp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        if is_later_fragment(traversal.packet) {
            return Answer::No;
        }
        let packet = traversal.packet.l4_bytes(traversal.bytes);
        let Some(header) = packet.first_chunk::<HEADER_LENGTH>() else { return Answer::Hotdrop };
        let kind = header[8] >> 1 & 0xf;
        let type_fits =
            self.types.is_none_or(|types| (types.value >> kind & 1 == 1) != types.inverted);
        if !cut_ports_fit(self.source, self.destination, packet) || !type_fits {
            return Answer::No;
        }
        let Some(option) = self.option else { return Answer::Yes };
        match has_option(packet, header, option.value) {
            Some(found) => (found != option.inverted).into(),
            None => Answer::Hotdrop,
        }
    }

    fn print(&self, out: &mut String) {
        print_ports(out, "sport", self.source);
        print_ports(out, "dport", self.destination);
        if let Some(types) = self.types {
            values::print_option(out, types.inverted, "dccp-types");
            let _ = write!(out, " {}", type_names(types.value).join(","));
        }
        if let Some(option) = self.option {
            values::print_option(out, option.inverted, "dccp-option");
            let _ = write!(out, " {}", option.value);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" dccp");
        list_ports(out, "spt", self.source);
        list_ports(out, "dpt", self.destination);
        if let Some(types) = self.types {
            out.push_str(either(types.inverted, " ", " ! "));
            if numeric {
                let numbers = (0..16).filter(|number| types.value >> number & 1 == 1);
                let numbers: Vec<String> = numbers.map(|number| format!("{number}")).collect();
                out.push_str(&numbers.join(","));
            } else {
                out.push_str(&type_names(types.value).join(","));
            }
        }
        if let Some(option) = self.option {
            let _ = write!(out, " option={}{}", either(option.inverted, "", "!"), option.value);
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        explain_ports(out, "source", self.source);
        explain_ports(out, "destination", self.destination);
        if let Some(types) = self.types {
            let verb = either(types.inverted, "is", "is not");
            let names = or_list(&type_names(types.value));
            out.push(Piece::Condition(format!("its DCCP type {verb} {names}")));
        }
        if let Some(option) = self.option {
            let verb = either(option.inverted, "carries", "does not carry");
            out.push(Piece::Condition(format!("it {verb} DCCP option number {}", option.value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, ipv6, later_fragment};
    use crate::verdict::Answer;
    use alloc::{format, vec, vec::Vec};
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-p dccp -m dccp", "=", " dccp", "="),
                    (
                        "-p 33 --source-port 3 ! --dport 5:9",
                        "-p dccp -m dccp --sport 3 ! --dport 5:9",
                        " dccp spt:3 dpts:!5:9",
                        "=",
                    ),
                    (
                        "-p dccp -m dccp --dport http",
                        "-p dccp -m dccp --dport 80",
                        " dccp dpt:80",
                        "=",
                    ),
                    ("-p dccp -m dccp --dport :", "-p dccp -m dccp --dport 0:65535", " dccp", "="),
                    (
                        "-p dccp -m dccp --dccp-types RESET,request",
                        "-p dccp -m dccp --dccp-types REQUEST,RESET",
                        " dccp REQUEST,RESET",
                        " dccp 0,7",
                    ),
                    (
                        "-p dccp -m dccp ! --dccp-types INVALID",
                        "=",
                        " dccp ! INVALID",
                        " dccp ! 10,11,12,13,14,15",
                    ),
                    (
                        "-p dccp -m dccp ! --dccp-option 0x10",
                        "-p dccp -m dccp ! --dccp-option 16",
                        " dccp option=!16",
                        "=",
                    ),
                    (
                        "-p dccp -m dccp --sport 3:4 --dccp-types DATA --dccp-option 5",
                        "=",
                        " dccp spts:3:4 DATA option=5",
                        " dccp spts:3:4 2 option=5",
                    ),
                    ("-p dccp -m dccp --dccp-types foo", "", "", ""),
                    ("-p dccp -m dccp --dccp-types ,", "", "", ""),
                    ("-p dccp -m dccp --dccp-option 0", "", "", ""),
                    ("-p dccp -m dccp --dccp-option 256", "", "", ""),
                    ("-p dccp -m dccp --dport 9:3", "", "", ""),
                    ("-m dccp --dport 9", "", "", ""),
                ],
            );
        }
    }

    fn dccp(kind: u8, words: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = vec![0x3, 0xe8, 0, 80, words, 0, 0, 0, kind << 1, 0, 0, 1];
        header.extend(rest);
        header
    }

    #[test]
    fn ports_types_and_options() {
        // A request has 4 bytes more before its options.
        let request = dccp(0, 5, &[0, 0, 0, 0, 0, 1, 44, 4]);
        for packet in [ipv4(33, &request), ipv6(33, &request)] {
            for (rule, wanted) in [
                ("--sport 1000 --dport 80", true),
                ("! --dport 80", false),
                ("--dccp-types REQUEST,RESET", true),
                ("! --dccp-types REQUEST", false),
                ("--dccp-types INVALID", false),
                ("--dccp-option 44", true),
                ("--dccp-option 4", false),
                ("! --dccp-option 1", false),
                ("! --dccp-option 5 --sport 1000", true),
            ] {
                let rule = format!("-p dccp -m dccp {rule}");
                assert_eq!(answer(&rule, &packet), Answer::from(wanted), "{rule}");
            }
        }
        let invalid = ipv4(33, &dccp(12, 6, &[0; 12]));
        assert_eq!(answer("-p dccp -m dccp --dccp-types INVALID", &invalid), Answer::Yes);
    }

    #[test]
    fn headers_that_contradict_themselves_are_dropped() {
        let rule = "-p dccp -m dccp --dccp-option 5";
        // Offsets below what the type needs, and beyond the packet.
        for broken in [dccp(0, 3, &[0; 8]), dccp(7, 5, &[0; 12]), dccp(2, 4, &[0; 3])] {
            assert_eq!(answer(rule, &ipv4(33, &broken)), Answer::Hotdrop);
            assert_eq!(
                answer("-p dccp -m dccp --sport 5 --dccp-option 5", &ipv4(33, &broken)),
                Answer::No
            );
        }
        assert_eq!(answer(rule, &ipv4(33, &dccp(2, 3, &[]))), Answer::No);
        assert_eq!(answer("-p dccp -m dccp", &ipv4(33, &[0; 11])), Answer::Hotdrop);
        assert_eq!(answer("-p dccp -m dccp", &later_fragment(33, &[0; 11])), Answer::No);
    }
}
