//! `stp`: the fields of a spanning tree message (IEEE 802.1D, a BPDU).
//!
//! The kernel takes the protocol of a BPDU for one byte, where it is two, and so reads everything behind it
//! a byte too early: as type what is the version (0 in every message that it looks at), as flags the type,
//! and so on. `--stp-type config` is met by every message, `--stp-flags topology-change-ack` by the
//! notification of a topology change. So does this match, which is to say what the kernel does. A message
//! that begins otherwise than a BPDU does not match, whatever is asked.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either, range};
use crate::extension::hardware::Hardware;
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::matches::header::ethernet::who;
use crate::model::Inverted;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const TYPE: u8 = 0;
const FLAGS: u8 = 1;
const ROOT_PRIO: u8 = 2;
const ROOT_ADDR: u8 = 3;
const ROOT_COST: u8 = 4;
const SENDER_PRIO: u8 = 5;
const SENDER_ADDR: u8 = 6;
const PORT: u8 = 7;
const MSG_AGE: u8 = 8;
const MAX_AGE: u8 = 9;
const HELLO_TIME: u8 = 10;
const FORWARD_DELAY: u8 = 11;
const OPTIONS: &[OptionSpec] = &[
    valued("stp-type", TYPE).inverted().repeated(),
    valued("stp-flags", FLAGS).inverted().repeated(),
    valued("stp-root-prio", ROOT_PRIO).inverted().repeated(),
    valued("stp-root-addr", ROOT_ADDR).inverted().repeated(),
    valued("stp-root-cost", ROOT_COST).inverted().repeated(),
    valued("stp-sender-prio", SENDER_PRIO).inverted().repeated(),
    valued("stp-sender-addr", SENDER_ADDR).inverted().repeated(),
    valued("stp-port", PORT).inverted().repeated(),
    valued("stp-msg-age", MSG_AGE).inverted().repeated(),
    valued("stp-max-age", MAX_AGE).inverted().repeated(),
    valued("stp-hello-time", HELLO_TIME).inverted().repeated(),
    valued("stp-forward-delay", FORWARD_DELAY).inverted().repeated(),
];

const MANUAL: &str = "\
Fields of a spanning tree message. Such frames are to the bridge group address: `-d BGA`.

- `[!] --stp-type TYPE`: `config` (0), `tcn` (128, topology change notification), or a number.
- `[!] --stp-flags FLAGS`: `topology-change` (1), `topology-change-ack` (128), or the whole byte.
- `[!] --stp-root-prio N[:N]`, `[!] --stp-root-addr ADDRESS[/MASK]`, `[!] --stp-root-cost N[:N]`: the root
  bridge, and the cost of the path to it.
- `[!] --stp-sender-prio N[:N]`, `[!] --stp-sender-addr ADDRESS[/MASK]`, `[!] --stp-port N[:N]`: the
  bridge that sent it, and its port.
- `[!] --stp-msg-age N[:N]`, `[!] --stp-max-age N[:N]`, `[!] --stp-hello-time N[:N]`,
  `[!] --stp-forward-delay N[:N]`: times, in 1/256 s.

    ebtables -A INPUT -i customer+ -d BGA --stp-type config -j DROP

A range may leave out either end. Mind: Linux reads these fields one byte too early, so that no condition
but `-d BGA` and `--stp-type config` (which holds for every message) does what it says. A bridge that takes
part in the spanning tree keeps these frames to itself: they come to INPUT, never to FORWARD.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "stp",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// A field that is a number: option, name, place in the message, bytes.
type Field = (u8, &'static str, usize, usize);

/// In the order in which they are printed, with the addresses between.
const FIELDS: [Field; 8] = [
    (ROOT_PRIO, "stp-root-prio", 7, 2),
    (ROOT_COST, "stp-root-cost", 15, 4),
    (SENDER_PRIO, "stp-sender-prio", 19, 2),
    (PORT, "stp-port", 27, 2),
    (MSG_AGE, "stp-msg-age", 29, 2),
    (MAX_AGE, "stp-max-age", 31, 2),
    (HELLO_TIME, "stp-hello-time", 33, 2),
    (FORWARD_DELAY, "stp-forward-delay", 35, 2),
];
/// What a message begins with: access points of the spanning tree, unnumbered, protocol 0, version 0. The
/// last byte is what is compared as the type.
const START: [u8; 6] = [0x42, 0x42, 0x03, 0, 0, 0];
/// Bytes that are read of a message.
const LENGTH: usize = 37;
const FLAGS_AT: usize = 6;
const ROOT: usize = 9;
const SENDER: usize = 21;
const CONFIG: u8 = 0;
const TCN: u8 = 128;

/// An instance.
#[derive(Debug)]
pub struct Stp {
    kind: Option<Inverted<u8>>,
    flags: Option<Inverted<u8>>,
    fields: [Option<Inverted<(u32, u32)>>; FIELDS.len()],
    root: Option<Inverted<Hardware>>,
    sender: Option<Inverted<Hardware>>,
}

#[allow(clippy::option_option, reason = "not given, or given wrongly")]
fn byte(
    arguments: &mut Arguments<'_>,
    id: u8,
    names: [(&str, u8); 2],
) -> Option<Option<Inverted<u8>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let named = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(&given.value));
    let number = || values::number(&given.value, 255).map(|value| value as u8);
    match named.map(|(_, value)| *value).or_else(number) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
        None => {
            let says = format!("Bad --{} argument", given.option.name);
            arguments.wrong(given, "a number from 0 to 255, or a name", says);
            None
        }
    }
}

#[allow(clippy::option_option, reason = "not given, or given wrongly")]
fn field(
    arguments: &mut Arguments<'_>,
    (id, name, _, width): Field,
) -> Option<Option<Inverted<(u32, u32)>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let max = if width == 4 { u32::MAX } else { u16::MAX.into() };
    let number = |text: &str, empty| match text {
        "" => Some(empty),
        text => text.parse().ok().filter(|value| *value <= max),
    };
    let both = match given.value.split_once(':') {
        None => number(&given.value, 0).filter(|_| !given.value.is_empty()).map(|one| (one, one)),
        Some((low, high)) => number(low, 0).zip(number(high, max)),
    };
    match both.filter(|(low, high)| low <= high) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
        None => {
            let says = if id == PORT { "-range" } else { " range" };
            let says = format!("Bad --{name}{says}");
            arguments.wrong(given, &format!("a number or a range LOW:HIGH up to {max}"), says);
            None
        }
    }
}

#[allow(clippy::option_option, reason = "not given, or given wrongly")]
fn hardware(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<Inverted<Hardware>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match Hardware::parse(&given.value) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
        None => {
            let says = format!("Bad --{} address", given.option.name);
            arguments.wrong(given, "a hardware address", says);
            None
        }
    }
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let kind = byte(arguments, TYPE, [("config", CONFIG), ("tcn", TCN)])?;
    let names = [("topology-change", 1), ("topology-change-ack", 128)];
    let flags = byte(arguments, FLAGS, names)?;
    let mut fields = [None; FIELDS.len()];
    for (place, one) in fields.iter_mut().zip(FIELDS) {
        *place = field(arguments, one)?;
    }
    let root = hardware(arguments, ROOT_ADDR)?;
    let sender = hardware(arguments, SENDER_ADDR)?;
    Some(Box::new(Stp { kind, flags, fields, root, sender }))
}

impl Stp {
    /// What lies behind the type.
    fn is_config_met(&self, message: &[u8; LENGTH]) -> bool {
        let at = |from: usize, length: usize| message.get(from..from + length).unwrap_or(&[]);
        let flags = message.get(FLAGS_AT).copied().unwrap_or(0);
        if self.flags.is_some_and(|wanted| (flags == wanted.value) == wanted.inverted) {
            return false;
        }
        for (wanted, (.., from, width)) in self.fields.iter().zip(FIELDS) {
            let Some(Inverted { inverted, value: (low, high) }) = wanted else { continue };
            let bytes = at(from, width).iter();
            let found = bytes.fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
            if (*low..=*high).contains(&found) == *inverted {
                return false;
            }
        }
        [(self.root, ROOT), (self.sender, SENDER)].into_iter().all(|(wanted, from)| {
            let found: [u8; 6] = at(from, 6).try_into().unwrap_or_default();
            wanted.is_none_or(|wanted| wanted.value.contains(found) != wanted.inverted)
        })
    }

    fn asks_of_config(&self) -> bool {
        let of_config = self.fields.iter().any(Option::is_some);
        of_config || self.flags.is_some() || self.root.is_some() || self.sender.is_some()
    }
}

impl Match for Stp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let bytes = &*traversal.bytes;
        if !bytes.starts_with(&START) {
            return Answer::No;
        }
        if self.kind.is_some_and(|wanted| (wanted.value == CONFIG) == wanted.inverted) {
            return Answer::No;
        }
        if !self.asks_of_config() {
            return Answer::Yes;
        }
        bytes.first_chunk::<LENGTH>().is_some_and(|message| self.is_config_met(message)).into()
    }

    fn print(&self, out: &mut String) {
        if let Some(Inverted { inverted, value }) = self.kind {
            values::print_option(out, inverted, "stp-type");
            let _ = match value {
                CONFIG => write!(out, " config"),
                TCN => write!(out, " tcn"),
                other => write!(out, " {other}"),
            };
        }
        if let Some(Inverted { inverted, value }) = self.flags {
            values::print_option(out, inverted, "stp-flags");
            let _ = match value {
                1 => write!(out, " topology-change"),
                128 => write!(out, " topology-change-ack"),
                other => write!(out, " {other}"),
            };
        }
        for (wanted, (id, name, ..)) in self.fields.iter().zip(FIELDS) {
            if let Some(Inverted { inverted, value: (low, high) }) = wanted {
                values::print_option(out, *inverted, name);
                values::print_range(out, *low, *high);
            }
            let hardware = match id {
                ROOT_PRIO => ("stp-root-addr", self.root),
                SENDER_PRIO => ("stp-sender-addr", self.sender),
                _ => continue,
            };
            if let (name, Some(Inverted { inverted, value })) = hardware {
                values::print_option(out, inverted, name);
                out.push(' ');
                value.print(out);
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = |inverted| either(inverted, "is", "is not");
        out.push(Piece::Condition("it is a spanning tree message".into()));
        if self.kind.is_some() || self.asks_of_config() {
            out.push(Piece::Caution(
                "Linux reads the fields of spanning tree messages one byte too early: the rule is not \
                 met by what it says."
                    .into(),
            ));
        }
        if let Some(Inverted { inverted, value }) = self.kind {
            let verb = verb(inverted);
            out.push(Piece::Condition(match value {
                CONFIG => format!("it {verb} a configuration message"),
                TCN => format!("it {verb} the notification of a topology change"),
                other => format!("its type {verb} {other}"),
            }));
        }
        if let Some(Inverted { inverted, value }) = self.flags {
            let verb = either(inverted, "are", "are not");
            out.push(Piece::Condition(format!("its flags {verb} {value}")));
        }
        for (wanted, (_, name, ..)) in self.fields.iter().zip(FIELDS) {
            let Some(Inverted { inverted, value: (low, high) }) = wanted else { continue };
            let name = name.trim_start_matches("stp-").replace('-', " ");
            let verb = verb(*inverted);
            out.push(Piece::Condition(format!("its {name} {verb} {}", range(*low, *high))));
        }
        for (name, wanted) in [("root", self.root), ("sender", self.sender)] {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let (verb, who) = (verb(inverted), who(&value));
            out.push(Piece::Condition(format!("its {name} bridge {verb} {who}")));
        }
    }
}
