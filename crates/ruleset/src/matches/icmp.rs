//! `icmp`: type and code of an ICMP message (RFC 792). Shared with `icmp6`.

use crate::diagnostic::{Diagnostic, code, nearest};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Family, L4};

const OPTIONS: &[OptionSpec] = &[valued("icmp-type", 0).inverted()];

const MANUAL: &str = "\
Type and code of an ICMP message. Needs `-p icmp`.

- `[!] --icmp-type TYPE[/CODE]|NAME`: numbers, or a name such as `echo-request`, `echo-reply`,
  `destination-unreachable`, `fragmentation-needed`, `time-exceeded`, `redirect`, `any`; a beginning
  that fits one name alone will do.

    iptables -A INPUT -p icmp --icmp-type echo-request -m limit --limit 5/second -j ACCEPT

Mind: a type without a code stands for all its codes. Whoever drops `fragmentation-needed` (3/4) breaks
path MTU discovery: large packets vanish, small ones pass. Errors about a tracked connection are
RELATED; echo requests are NEW, replies ESTABLISHED.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "icmp",
    families: &[Family::V4],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// A name with its type and codes from and to.
pub type Name = (&'static str, u8, u8, u8);

const fn kind(name: &'static str, kind: u8) -> Name {
    (name, kind, 0, 255)
}

const fn coded(name: &'static str, kind: u8, code: u8) -> Name {
    (name, kind, code, code)
}

pub(super) const NAMES: &[Name] = &[
    kind("any", ANY),
    kind("echo-reply", 0),
    kind("pong", 0),
    kind("destination-unreachable", 3),
    coded("network-unreachable", 3, 0),
    coded("host-unreachable", 3, 1),
    coded("protocol-unreachable", 3, 2),
    coded("port-unreachable", 3, 3),
    coded("fragmentation-needed", 3, 4),
    coded("source-route-failed", 3, 5),
    coded("network-unknown", 3, 6),
    coded("host-unknown", 3, 7),
    coded("network-prohibited", 3, 9),
    coded("host-prohibited", 3, 10),
    coded("TOS-network-unreachable", 3, 11),
    coded("TOS-host-unreachable", 3, 12),
    coded("communication-prohibited", 3, 13),
    coded("host-precedence-violation", 3, 14),
    coded("precedence-cutoff", 3, 15),
    kind("source-quench", 4),
    kind("redirect", 5),
    coded("network-redirect", 5, 0),
    coded("host-redirect", 5, 1),
    coded("TOS-network-redirect", 5, 2),
    coded("TOS-host-redirect", 5, 3),
    kind("echo-request", 8),
    kind("ping", 8),
    kind("router-advertisement", 9),
    kind("router-solicitation", 10),
    kind("time-exceeded", 11),
    kind("ttl-exceeded", 11),
    coded("ttl-zero-during-transit", 11, 0),
    coded("ttl-zero-during-reassembly", 11, 1),
    kind("parameter-problem", 12),
    coded("ip-header-bad", 12, 0),
    coded("required-option-missing", 12, 1),
    kind("timestamp-request", 13),
    kind("timestamp-reply", 14),
    kind("address-mask-request", 17),
    kind("address-mask-reply", 18),
];

/// The type that stands for any, in rules for IPv4.
const ANY: u8 = 255;

/// A type and codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Type.
    pub kind: u8,
    /// Codes from and to.
    pub codes: (u8, u8),
    /// Behind `!`.
    pub inverted: bool,
}

impl Message {
    /// The messages that it is about; all of the protocol for one of any kind.
    pub(super) fn packet_set(self, any: bool) -> PacketSet {
        let (low, high) = self.codes;
        let at = |code: u8| u128::from(u16::from_be_bytes([self.kind, code]));
        let (low, high) = if any { (0, Field::Icmp.last()) } else { (at(low), at(high)) };
        PacketSet::All(Vec::from([
            PacketSet::within(Field::LaterFragment, 0, 0, false),
            PacketSet::within(Field::Icmp, low, high, self.inverted),
        ]))
    }

    /// Reads a name (which may be shortened), `TYPE` or `TYPE/CODE`.
    pub(super) fn parse(arguments: &mut Arguments<'_>, names: &[Name]) -> Option<Self> {
        let given = arguments.required(0)?;
        let (kind, low, high) = match named(arguments, given, names)? {
            Some((_, kind, low, high)) => (kind, low, high),
            None => numbered(arguments, given, names)?,
        };
        Some(Self { kind, codes: (low, high), inverted: given.inverted })
    }

    /// Appends ` TYPE` or ` TYPE/CODE`.
    pub(super) fn print_numbers(self, out: &mut String) {
        let (low, _) = self.codes;
        let _ = match self.codes {
            (0, 255) => write!(out, " {}", self.kind),
            _ => write!(out, " {}/{low}", self.kind),
        };
    }

    /// Prints it as `iptables -L` does: by its first name, if it has one and names are wanted.
    pub(super) fn list(self, protocol: &str, names: &[Name], numeric: bool, out: &mut String) {
        let (low, high) = self.codes;
        let named = names.iter().find(|(_, k, l, h)| (*k, *l, *h) == (self.kind, low, high));
        let not = if self.inverted { "!" } else { "" };
        if let Some((name, ..)) = named.filter(|_| !numeric) {
            let _ = write!(out, " {protocol} {not}{name}");
            return;
        }
        let between = if self.inverted { " !" } else { "" };
        let _ = write!(out, " {protocol}{between}type {}", self.kind);
        if low == high {
            let _ = write!(out, " code {low}");
        }
    }

    /// Says it.
    pub(super) fn explain(self, protocol: &str, names: &[Name], out: &mut Pieces) {
        let (low, high) = self.codes;
        if protocol == "ICMP" && self.kind == ANY {
            let whole = "it is an ICMP message, of whatever type";
            let cannot = "it is an ICMP message of no type, which there is not";
            out.push(Piece::Condition(either(self.inverted, whole, cannot).into()));
            return;
        }
        let named = names.iter().find(|(_, k, l, h)| (*k, *l, *h) == (self.kind, low, high));
        let verb = either(self.inverted, "is", "is not");
        let numbers = match self.codes {
            (0, 255) => format!("type {}", self.kind),
            _ => format!("type {}, code {low}", self.kind),
        };
        out.push(Piece::Condition(match named {
            Some((name, ..)) => format!("it {verb} the {protocol} message {name} ({numbers})"),
            None => format!("it {verb} an {protocol} message of {numbers}"),
        }));
    }
}

/// Looks a name up: the outer `None` is a fault, the inner one means that it is no name.
fn named(arguments: &mut Arguments<'_>, given: &Given, names: &[Name]) -> Option<Option<Name>> {
    let word = given.value.to_ascii_lowercase();
    let fits = |(name, ..): &&Name| name.to_ascii_lowercase().starts_with(&word);
    let mut near = names.iter().filter(fits);
    let first = near.next().filter(|_| !word.is_empty());
    let Some(first) = first else { return Some(None) };
    if let Some(other) = near.next() {
        let text = format!("`{word}` may be `{}` or `{}`", first.0, other.0);
        arguments.fault(Diagnostic::new(code::UNKNOWN_NAME, given.value_span, text));
        return None;
    }
    Some(Some(*first))
}

fn numbered(arguments: &mut Arguments<'_>, given: &Given, names: &[Name]) -> Option<(u8, u8, u8)> {
    let byte = |text: &str| values::number(text, 255).and_then(|value| u8::try_from(value).ok());
    let found = match given.value.split_once('/') {
        None => byte(&given.value).map(|kind| (kind, 0, 255)),
        Some((kind, code)) => byte(kind).zip(byte(code)).map(|(kind, code)| (kind, code, code)),
    };
    if found.is_none() {
        let text = format!("`{}` is no ICMP type", given.value);
        let fault = Diagnostic::new(code::UNKNOWN_NAME, given.value_span, text);
        arguments.fault(match nearest(&given.value, names.iter().map(|(name, ..)| *name)) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help("a name, TYPE or TYPE/CODE"),
        });
    }
    found
}

/// An instance.
#[derive(Debug)]
pub struct Icmp(pub Message);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(1, "icmp")])?;
    Some(Box::new(Icmp(Message::parse(arguments, NAMES)?)))
}

impl Match for Icmp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Message { kind, codes: (low, high), inverted } = self.0;
        match &traversal.packet.l4 {
            L4::Icmp(header) => {
                // Whatever its codes.
                let found =
                    kind == ANY || kind == header.kind && (low..=high).contains(&header.code);
                (found != inverted).into()
            }
            L4::Short => Answer::Hotdrop,
            _ => Answer::No,
        }
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.0.inverted, "icmp-type");
        match self.0 {
            Message { kind: ANY, codes: (0, 255), .. } => out.push_str(" any"),
            message => message.print_numbers(out),
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        self.0.list("icmp", NAMES, numeric, out);
    }

    fn packet_set(&self) -> PacketSet {
        self.0.packet_set(self.0.kind == ANY)
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain("ICMP", NAMES, out);
    }
}
