//! `connbytes`: how much the packet's connection has carried, this packet included: packets, bytes,
//! or bytes a packet, in one direction or both. Loading it sets `nf_conntrack_acct`; connections
//! that were made before are not counted and never match.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::needs::Needs;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const RANGE: u8 = 0;
const DIRECTION: u8 = 1;
const MODE: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    valued("connbytes", RANGE).inverted(),
    valued("connbytes-dir", DIRECTION),
    valued("connbytes-mode", MODE),
];

const MANUAL: &str = "\
How much the packet's connection has carried so far, this packet included: to slow down or mark what
has grown large.

- `[!] --connbytes FROM[:TO]`: the amount lies in this range; without `TO` there is no upper end.
- `--connbytes-dir original|reply|both`: which direction is counted.
- `--connbytes-mode packets|bytes|avgpkt`: packets, bytes, or bytes a packet.

All three have to be given.

    iptables -t mangle -A FORWARD -m connbytes --connbytes 10000000: --connbytes-dir both --connbytes-mode bytes -j MARK --set-mark 3

Mind: loading the rule switches accounting on (`nf_conntrack_acct`); connections that are older have
no counters and never match. `!` before a range whose two ends are the same is lost, as iptables
loses it. INVALID and UNTRACKED packets never match.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "connbytes",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Original,
    Reply,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Packets,
    Bytes,
    Average,
}

const DIRECTIONS: [(&str, Of, &str); 3] = [
    ("original", Of::Original, "in its original direction"),
    ("reply", Of::Reply, "in its reply direction"),
    ("both", Of::Both, "in both directions together"),
];
const MODES: [(&str, Mode, &str); 3] = [
    ("packets", Mode::Packets, "packets"),
    ("bytes", Mode::Bytes, "bytes"),
    ("avgpkt", Mode::Average, "bytes a packet"),
];

/// An instance.
#[derive(Debug)]
pub struct ConnBytes {
    from: u64,
    to: u64,
    inverted: bool,
    of: Of,
    mode: Mode,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let range = arguments.required(RANGE)?;
    let direction = arguments.required(DIRECTION)?;
    let mode = arguments.required(MODE)?;
    let (from, to) = bounds(arguments, range)?;
    let of = word(arguments, direction, "a direction", &DIRECTIONS)?;
    let mode = word(arguments, mode, "a mode", &MODES)?;
    // A single value behind `!` is lost, as iptables loses it.
    let inverted = range.inverted && from != to;
    Some(Box::new(ConnBytes { from, to, inverted, of, mode }))
}

fn word<T: Copy>(
    arguments: &mut Arguments<'_>,
    given: &Given,
    what: &str,
    possible: &[(&'static str, T, &str)],
) -> Option<T> {
    let found = possible.iter().find(|(name, ..)| *name == given.value);
    if found.is_none() {
        let names = possible.iter().map(|(name, ..)| *name);
        arguments.unknown_word(&given.value, given.value_span, what, names);
    }
    found.map(|(_, value, _)| *value)
}

/// `FROM[:[TO]]`; without an end, up to any number.
fn bounds(arguments: &mut Arguments<'_>, given: &Given) -> Option<(u64, u64)> {
    let whole = |text: &str, empty| match text {
        "" => Some(empty),
        text => values::number(text, u64::MAX),
    };
    let (low, high) = given.value.split_once(':').unwrap_or((&given.value, ""));
    let Some((from, to)) = whole(low, 0).zip(whole(high, u64::MAX)) else {
        arguments.bad_value(given, "a number or a range FROM:TO of 64-bit numbers");
        return None;
    };
    if from > to {
        let text = format!("the range {from}:{to} begins above its end: it would never match");
        let fault = Diagnostic::new(code::RANGE_BACKWARDS, given.value_span, text);
        arguments.fault(fault.help(format!("--connbytes {to}:{from}")));
        return None;
    }
    Some((from, to))
}

impl ConnBytes {
    fn amount(&self, [original, reply]: [(u64, u64); 2]) -> u64 {
        let (packets, bytes) = match self.of {
            Of::Original => original,
            Of::Reply => reply,
            Of::Both => (original.0.wrapping_add(reply.0), original.1.wrapping_add(reply.1)),
        };
        match self.mode {
            Mode::Packets => packets,
            Mode::Bytes => bytes,
            Mode::Average => bytes.checked_div(packets).unwrap_or(0),
        }
    }
}

impl ConnBytes {
    fn print_range(&self, out: &mut String) {
        let _ = write!(out, " {}", self.from);
        // iptables shows no end that is 0, either.
        if self.to != 0 && self.to != u64::MAX {
            let _ = write!(out, ":{}", self.to);
        }
    }

    fn mode_name(&self) -> &'static str {
        MODES.iter().find(|(_, mode, _)| *mode == self.mode).map_or("", |(name, ..)| name)
    }

    fn of_name(&self) -> &'static str {
        DIRECTIONS.iter().find(|(_, of, _)| *of == self.of).map_or("", |(name, ..)| name)
    }
}

impl Match for ConnBytes {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let conn = traversal.tracked.and_then(|tracked| tracked.conn);
        let counters = conn.and_then(|conn| traversal.conntrack.counters(conn));
        let fits = counters.is_some_and(|counters| {
            (self.from..=self.to).contains(&self.amount(counters)) != self.inverted
        });
        fits.into()
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
        needs.accounting = true;
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "connbytes");
        self.print_range(out);
        let _ = write!(out, " --connbytes-mode {}", self.mode_name());
        let _ = write!(out, " --connbytes-dir {}", self.of_name());
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(if self.inverted { " ! connbytes" } else { " connbytes" });
        self.print_range(out);
        let _ = write!(out, " connbytes mode {}", self.mode_name());
        let _ = write!(out, " connbytes direction {}", self.of_name());
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "has", "has not");
        let amount = match (self.from, self.to) {
            (from, u64::MAX) => format!("at least {from}"),
            (from, to) if from == to => format!("exactly {from}"),
            (from, to) => format!("{from} to {to}"),
        };
        let unit = MODES.iter().find(|(_, mode, _)| *mode == self.mode).map_or("", |m| m.2);
        let of = DIRECTIONS.iter().find(|(_, of, _)| *of == self.of).map_or("", |d| d.2);
        out.push(Piece::Condition(format!(
            "its connection {verb} carried {amount} {unit} {of}, this packet counted"
        )));
        out.push(Piece::Note(
            "Loading the rule switches accounting on (nf_conntrack_acct=1). Connections that were \
             made before are not counted and never match; INVALID and UNTRACKED packets neither."
                .into(),
        ));
    }
}
