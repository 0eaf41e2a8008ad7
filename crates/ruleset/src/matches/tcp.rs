//! `tcp`: ports, flags and options of the TCP header.
//!
//! Of a header that is cut, the fields that are there are compared and the rule does not match for
//! those that are not, as with the expressions that iptables-nft makes of this match; the legacy
//! iptables drops such a packet instead. Where nothing is asked for or TCP options, both drop it; with options also a
//! header that claims less than 20 bytes and a fragment at byte 8 of the datagram, which could
//! overwrite the flags. The same expressions take what a later IPv4 fragment carries for a header,
//! where nothing has gathered it; with the legacy match, and where nothing or options are asked for, it
//! does not match.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either, range};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN, TcpHeader, URG};
use keepstate_packet::{Family, L4, Parsed};

const SPORT: u8 = 0;
const DPORT: u8 = 1;
const FLAGS: u8 = 2;
const SYN_ONLY: u8 = 3;
const OPTION: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("source-port", SPORT).inverted(),
    valued("sport", SPORT).inverted(),
    valued("destination-port", DPORT).inverted(),
    valued("dport", DPORT).inverted(),
    valued("tcp-flags", FLAGS).pair().inverted(),
    flag("syn", SYN_ONLY).inverted(),
    valued("tcp-option", OPTION).inverted(),
];

const MANUAL: &str = "\
Fields of the TCP header. Comes with `-p tcp` by itself when one of its options is used.

- `[!] --source-port PORT[:PORT]`: the source port, by number or service name, or a range. `PORT:` is from
  there on, `:PORT` up to there. Also `--sport`.
- `[!] --destination-port PORT[:PORT]`: the destination port. Also `--dport`.
- `[!] --tcp-flags MASK SET`: of the flags in the list MASK exactly those of the list SET are set. Flags
  are `SYN`, `ACK`, `FIN`, `RST`, `URG`, `PSH`; `ALL` and `NONE` stand for all and none.
- `[!] --syn`: SYN is set; ACK, RST and FIN are not: the segment that asks for a connection.
- `[!] --tcp-option N`: the header has the option of this number, 1 to 255.

    iptables -A INPUT -p tcp --dport 22 --syn -j ACCEPT

Mind: several ports that are no range are a case for `multiport`. `--syn` and the state NEW are two
things: a connection may be NEW with a segment that has no SYN.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "tcp",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const FLAG_NAMES: [(u8, &str); 6] =
    [(FIN, "FIN"), (SYN, "SYN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG")];
const ALL_FLAGS: u8 = FIN | SYN | RST | PSH | ACK | URG;

/// A range of ports, perhaps behind `!`.
pub type Ports = Inverted<(u16, u16)>;

/// An instance.
#[derive(Debug)]
pub struct Tcp {
    /// `--sport`.
    pub source: Option<Ports>,
    /// `--dport`.
    pub destination: Option<Ports>,
    /// `--tcp-flags`: which are looked at, and which of those must be set.
    pub flags: Option<Inverted<(u8, u8)>>,
    /// `--tcp-option`.
    pub option: Option<Inverted<u8>>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(6, "tcp")])?;
    let native = arguments.option(OPTION).is_none();
    let source = port_range(arguments, SPORT, native, Some(6));
    let destination = port_range(arguments, DPORT, native, Some(6));
    let flags = flags(arguments);
    let option = option(arguments);
    let (source, destination, flags, option) = (source?, destination?, flags?, option?);
    Some(Box::new(Tcp { source, destination, flags, option }))
}

/// Reads a range of ports; the outer `None` is a fault, the inner one no restriction. A service has
/// to be one of `protocol`, where there is one: UDP's takes those of any. Where iptables-nft makes a native expression, it turns "not up to" into "from the next one on".
pub(super) fn port_range(
    arguments: &mut Arguments<'_>,
    id: u8,
    native: bool,
    protocol: Option<u8>,
) -> Option<Option<Ports>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    Some(match (arguments.ports(given, protocol)?, given.inverted) {
        ((0, u16::MAX), false) => None,
        ((0, high), true) if native && high > 0 && high < u16::MAX => {
            Some(Inverted { inverted: false, value: (high + 1, u16::MAX) })
        }
        (value, inverted) => Some(Inverted { inverted, value }),
    })
}

fn flags(arguments: &mut Arguments<'_>) -> Option<Option<Inverted<(u8, u8)>>> {
    if arguments.option(FLAGS).is_some() && arguments.option(SYN_ONLY).is_some() {
        arguments.exclusive(&[FLAGS, SYN_ONLY])?;
    }
    if let Some(given) = arguments.option(SYN_ONLY) {
        let value = (FIN | SYN | RST | ACK, SYN);
        return Some(Some(Inverted { inverted: given.inverted, value }));
    }
    let Some(given) = arguments.option(FLAGS) else { return Some(None) };
    let mask = flag_list(arguments, given, &given.value)?;
    let set = flag_list(arguments, given, &given.second)?;
    // iptables-nft leaves out what asks of no flag, unless all goes to the match itself.
    let stays = arguments.option(OPTION).is_some() && set != 0;
    let nothing = mask == 0 && !given.inverted && !stays;
    Some((!nothing).then_some(Inverted { inverted: given.inverted, value: (mask, set) }))
}

fn flag_list(arguments: &mut Arguments<'_>, given: &Given, text: &str) -> Option<u8> {
    let mut bits = 0;
    for word in text.split(',').filter(|word| !word.is_empty()) {
        bits |= match word.to_ascii_uppercase().as_str() {
            "ALL" => ALL_FLAGS,
            "NONE" => 0,
            upper => match FLAG_NAMES.iter().find(|(_, name)| *name == upper) {
                Some((bit, _)) => *bit,
                None => {
                    let first = core::ptr::eq(text, given.value.as_str());
                    let span = if first { given.value_span } else { given.second_span };
                    let names = FLAG_NAMES.iter().map(|(_, name)| *name).chain(["ALL", "NONE"]);
                    arguments.unknown_word(word, span, "a TCP flag", names);
                    return None;
                }
            },
        };
    }
    Some(bits)
}

fn option(arguments: &mut Arguments<'_>) -> Option<Option<Inverted<u8>>> {
    let Some(given) = arguments.option(OPTION) else { return Some(None) };
    let value = values::number(&given.value, 255).filter(|value| *value > 0);
    let Some(value) = value.and_then(|value| u8::try_from(value).ok()) else {
        let text = format!("`{}` is not a TCP option number (1 to 255)", given.value);
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
        return None;
    };
    Some(Some(Inverted { inverted: given.inverted, value }))
}

/// Whether a port fits.
#[inline]
pub(super) fn port_fits(wanted: Option<Ports>, port: u16) -> bool {
    wanted.is_none_or(|wanted| {
        let (low, high) = wanted.value;
        (low <= port && port <= high) != wanted.inverted
    })
}

/// Whether the ports fit, as far as they are asked for, in a header that may be cut before them.
pub(super) fn cut_ports_fit(
    source: Option<Ports>,
    destination: Option<Ports>,
    header: &[u8],
) -> bool {
    let fits = |wanted: Option<Ports>, at: usize| {
        let port = header.get(at..).and_then(|rest| rest.first_chunk::<2>());
        wanted.is_none() || port.is_some_and(|port| port_fits(wanted, u16::from_be_bytes(*port)))
    };
    fits(source, 0) && fits(destination, 2)
}

/// Packets with these ports.
pub(super) fn ports_of(source: Option<Ports>, destination: Option<Ports>) -> Vec<PacketSet> {
    let sides = [(Field::SourcePort, source), (Field::DestinationPort, destination)];
    let side = |(field, ports): (Field, Option<Ports>)| {
        let Inverted { inverted, value: (low, high) } = ports?;
        Some(PacketSet::within(field, low.into(), high.into(), inverted))
    };
    sides.into_iter().filter_map(side).collect()
}

/// What is taken for a header that could not be read: one that is cut, or what a later IPv4 fragment
/// carries.
pub(super) fn supposed_header<'b>(packet: &Parsed, bytes: &'b [u8]) -> Option<&'b [u8]> {
    match (&packet.l4, packet.family) {
        (L4::Short, _) | (L4::Fragment, Family::V4) => Some(packet.l4_bytes(bytes)),
        _ => None,
    }
}

impl Tcp {
    /// Whether iptables-nft leaves the rule to the match itself: it has no expression for an option of
    /// the header, nor for nothing at all.
    fn is_module(&self) -> bool {
        let nothing = self.source.is_none() && self.destination.is_none() && self.flags.is_none();
        self.option.is_some() || nothing
    }

    #[inline]
    fn flags_fit(&self, found: u8) -> bool {
        self.flags.is_none_or(|flags| {
            let (mask, set) = flags.value;
            (found & mask == set) != flags.inverted
        })
    }
}

impl Match for Tcp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = &*traversal.packet;
        match &packet.l4 {
            L4::Tcp(header) => {
                let fits = port_fits(self.source, header.source_port)
                    && port_fits(self.destination, header.destination_port)
                    && self.flags_fit(header.flags);
                match self.option {
                    Some(option) if fits => option_fits(option, header, traversal),
                    _ => fits.into(),
                }
            }
            L4::Short if self.is_module() => Answer::Hotdrop,
            _ if self.is_module() => {
                let offset = packet.fragment.map_or(0, |fragment| fragment.offset);
                let overlaps = packet.family == Family::V4 && offset == 8;
                if overlaps { Answer::Hotdrop } else { Answer::No }
            }
            _ => supposed_header(packet, traversal.bytes).map_or(Answer::No, |header| {
                let flags = self.flags.is_none()
                    || header.get(13).is_some_and(|flags| self.flags_fit(*flags));
                (flags && cut_ports_fit(self.source, self.destination, header)).into()
            }),
        }
    }

    fn print(&self, out: &mut String) {
        print_ports(out, "sport", self.source);
        print_ports(out, "dport", self.destination);
        if let Some(option) = self.option {
            values::print_option(out, option.inverted, "tcp-option");
            let _ = write!(out, " {}", option.value);
        }
        if let Some(flags) = self.flags {
            let (mask, set) = flags.value;
            values::print_option(out, flags.inverted, "tcp-flags");
            let _ = write!(out, " {} {}", flag_words(mask, ","), flag_words(set, ","));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" tcp");
        list_ports(out, "spt", self.source, 6, numeric);
        list_ports(out, "dpt", self.destination, 6, numeric);
        if let Some(option) = self.option {
            let not = if option.inverted { "!" } else { "" };
            let _ = write!(out, " option={not}{}", option.value);
        }
        if let Some(flags) = self.flags {
            let (mask, set) = flags.value;
            let not = if flags.inverted { "!" } else { "" };
            let _ = match numeric {
                true => write!(out, " flags:{not}{mask:#04X}/{set:#04X}"),
                false => {
                    write!(out, " flags:{not}{}/{}", flag_words(mask, ","), flag_words(set, ","))
                }
            };
        }
    }

    fn packet_set(&self) -> PacketSet {
        let mut all: Vec<_> = ports_of(self.source, self.destination);
        if self.is_module() {
            all.push(PacketSet::within(Field::LaterFragment, 0, 0, false));
        }
        all.extend(self.flags.map(|flags| {
            let (mask, set) = flags.value;
            PacketSet::Bits(Field::TcpFlags, mask.into(), set.into(), flags.inverted)
        }));
        if self.option.is_some() {
            all.push(PacketSet::named(self));
        }
        PacketSet::All(all)
    }

    fn explain(&self, out: &mut Pieces) {
        explain_ports(out, "source", self.source);
        explain_ports(out, "destination", self.destination);
        if let Some(flags) = self.flags {
            let (mask, set) = flags.value;
            out.push(Piece::Condition(flags_condition(flags.inverted, mask, set)));
            if (mask, set) == (FIN | SYN | RST | ACK, SYN) {
                let which = either(
                    flags.inverted,
                    "These flags mark the segment that asks for a connection (--syn)",
                    "The rule takes every segment but the one that asks for a connection (--syn)",
                );
                out.push(Piece::Note(format!("{which}: SYN without ACK, RST or FIN.")));
            }
        }
        if let Some(option) = self.option {
            let verb = either(option.inverted, "carries", "does not carry");
            let name = option_name(option.value).map_or(String::new(), |name| format!(" ({name})"));
            out.push(Piece::Condition(format!(
                "it {verb} TCP option number {}{name}",
                option.value
            )));
        }
    }
}

/// The options that are usual (RFC 9293, 7323, 2018).
fn option_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        2 => "maximum segment size",
        3 => "window scale",
        4 => "selective acknowledgments permitted",
        5 => "selective acknowledgment",
        8 => "timestamps",
        _ => return None,
    })
}

/// `--tcp-flags MASK SET` in words.
fn flags_condition(inverted: bool, mask: u8, set: u8) -> String {
    let (looked, wanted) = (flag_words(mask, ", "), flag_words(set, ", "));
    if mask & set != set {
        let always = either(inverted, "which never happens", "which is always so");
        return format!("of its flags {looked} alone counts and {wanted} is asked for, {always}");
    }
    let flags = format!("the flags {looked}");
    let verb = if set.count_ones() == 1 { "is" } else { "are" };
    match (set == 0, set == mask, inverted) {
        (true, _, false) => format!("none of {flags} is set"),
        (true, _, true) => format!("at least one of {flags} is set"),
        (_, true, false) => format!("{flags} {verb} set"),
        (_, true, true) => format!("{flags} {verb} not all set"),
        (_, _, false) => format!("of {flags} exactly {wanted} {verb} set"),
        (_, _, true) => format!("of {flags} not exactly {wanted} {verb} set"),
    }
}

fn flag_words(bits: u8, between: &str) -> String {
    let words: Vec<&str> =
        FLAG_NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    if words.is_empty() { "NONE".into() } else { words.join(between) }
}

pub(super) fn print_ports(out: &mut String, name: &str, wanted: Option<Ports>) {
    if let Some(wanted) = wanted {
        values::print_option(out, wanted.inverted, name);
        values::print_range(out, wanted.value.0, wanted.value.1);
    }
}

/// Appends ` NAME:PORT` or ` NAMEs:LOW:HIGH`, as `iptables -L` does.
pub(super) fn list_ports(
    out: &mut String,
    name: &str,
    wanted: Option<Ports>,
    protocol: u8,
    numeric: bool,
) {
    if let Some(Inverted { inverted, value: (low, high) }) = wanted {
        let several = if low == high { "" } else { "s" };
        let not = if inverted { "!" } else { "" };
        let _ = write!(out, " {name}{several}:{not}");
        values::list_ports(out, (low, high), protocol, numeric);
    }
}

pub(super) fn explain_ports(out: &mut Pieces, side: &str, wanted: Option<Ports>) {
    if let Some(wanted) = wanted {
        let verb = either(wanted.inverted, "is", "is not");
        let ports = range(wanted.value.0, wanted.value.1);
        out.push(Piece::Condition(format!("its {side} port {verb} {ports}")));
    }
}

/// Walks the options by their lengths, as far as they go.
fn option_fits(wanted: Inverted<u8>, header: &TcpHeader, traversal: &Traversal<'_>) -> Answer {
    let start = traversal.packet.l4_offset as usize;
    let length = usize::from(header.header_length);
    if length < 20 {
        return Answer::Hotdrop;
    }
    let present =
        traversal.bytes.get(..traversal.packet.length as usize).unwrap_or(traversal.bytes);
    let Some(options) = present.get(start + 20..start + length) else { return Answer::Hotdrop };
    let mut rest = options;
    while let Some((kind, after)) = rest.split_first() {
        if *kind == wanted.value {
            return (!wanted.inverted).into();
        }
        // No-operation and end-of-list are one byte each; a length of 0 counts as 1.
        let step = if *kind < 2 { 1 } else { after.first().map_or(1, |length| (*length).max(1)) };
        rest = rest.get(usize::from(step)..).unwrap_or(&[]);
    }
    wanted.inverted.into()
}
