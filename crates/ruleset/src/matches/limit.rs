//! `limit`: a token bucket of its own for each rule.
//!
//! The bucket begins full. It holds time: each nanosecond that passes brings one token, up to what
//! `--limit-burst` packets cost, and a packet that matches costs the time that the rate leaves
//! between two. That is the expression that iptables-nft makes of this match; the legacy match
//! reckons in kernel ticks (1/250 s) and rounds differently below that.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::Instant;

pub(super) const LIMIT: u8 = 0;
pub(super) const BURST: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("limit", LIMIT), valued("limit-burst", BURST)];

const MANUAL: &str = "\
So many matches in a time, over a token bucket of the rule's own. Above that the rule does not match
and the packet goes on to the next one.

- `--limit N[/second|/minute|/hour|/day]`: the rate; 3/hour if not given, at most 10000/second. The unit
  may be shortened.
- `--limit-burst N`: how many may come at once after a pause; 5 if not given.

    iptables -A INPUT -m limit --limit 5/minute --limit-burst 10 -j LOG --log-prefix \"dropped: \"

Mind: the allowance is one for all that reaches the rule; who fills it shuts the others out. `hashlimit`
keeps one for each address. A rule that accepts up to the limit needs a rule behind it that drops what
is above. The bucket is full when the rule is loaded. There is no `!`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "limit",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Time between two packets is kept in ten-thousandths of a second, which bounds the rate.
const SCALE: u64 = 10_000;
const NANOSECONDS: u64 = 1_000_000_000;
const DEFAULT_BURST: u64 = 5;

/// Units, longest first, with their length in seconds.
const UNITS: [(&str, &str, u64); 4] =
    [("day", "day", 86_400), ("hour", "hour", 3600), ("min", "minute", 60), ("sec", "second", 1)];

/// An instance.
#[derive(Debug)]
pub struct Limit {
    /// Packets a unit of time.
    count: u64,
    /// The unit: short name, long name, seconds.
    unit: (&'static str, &'static str, u64),
    burst: u64,
    /// Nanoseconds that a packet costs.
    cost: u64,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    Limit::read(arguments).map(|limit| Box::new(limit) as Box<dyn Match>)
}

fn read(arguments: &mut Arguments<'_>) -> Option<Limit> {
    let interval = match arguments.option(LIMIT) {
        None => SCALE * 3600 / 3,
        Some(given) => match interval(&given.value) {
            Some(0) => {
                let text = format!("`{}` is too fast: at most {SCALE} a second", given.value);
                arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
                return None;
            }
            Some(interval) => interval,
            None => {
                let text = format!("`{}` is not a rate", given.value);
                let fault = Diagnostic::new(code::BAD_VALUE, given.value_span, text);
                arguments.fault(fault.help("5/second, 30/minute, 100/hour or 7/day"));
                return None;
            }
        },
    };
    let burst = match arguments.option(BURST) {
        None => DEFAULT_BURST,
        // Zero is taken as the default, as by the kernel's native expression.
        Some(given) => match arguments.number(given, 10_000)? {
            0 => DEFAULT_BURST,
            burst => burst,
        },
    };
    let (count, unit) = rate(interval);
    let cost = unit.2 * NANOSECONDS / count.max(1);
    Some(Limit { count, unit, burst, cost })
}

/// Time between two packets of `COUNT[/UNIT]`; 0 when too short to tell.
fn interval(text: &str) -> Option<u64> {
    let (count, unit) = match text.split_once('/') {
        None => (text, "second"),
        Some((_, "")) => return None,
        Some((count, unit)) => (count, unit),
    };
    let unit = unit.to_ascii_lowercase();
    let (_, _, seconds) = UNITS.iter().find(|(_, long, _)| long.starts_with(&unit))?;
    // What follows the digits is passed over, as iptables does.
    let digits = count.len() - count.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count: u64 = count.get(..digits)?.parse().ok().filter(|count| *count > 0)?;
    Some(SCALE * seconds / count)
}

/// The rate of an interval, in the longest unit in which it is a whole number or nearly so: this is
/// what is printed, and what counts.
fn rate(interval: u64) -> (u64, (&'static str, &'static str, u64)) {
    let [mut best, rest @ ..] = UNITS;
    for unit in rest {
        let length = unit.2 * SCALE;
        if interval > length || length / interval.max(1) < length % interval.max(1) {
            break;
        }
        best = unit;
    }
    (best.2 * SCALE / interval.max(1), best)
}

impl Limit {
    /// Reads the options.
    pub(super) fn read(arguments: &mut Arguments<'_>) -> Option<Self> {
        read(arguments)
    }

    /// Appends both options, whatever they are.
    pub(super) fn print_whole(&self, out: &mut String) {
        let _ = write!(out, " --limit {}/{} --limit-burst {}", self.count, self.unit.0, self.burst);
    }

    const fn capacity(&self) -> u64 {
        self.cost.saturating_mul(self.burst)
    }
}

impl Match for Limit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn initial(&self) -> State {
        State { credit: self.capacity(), last: Instant(0) }
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let elapsed = traversal.now.0.saturating_sub(state.last.0);
        state.credit = state.credit.saturating_add(elapsed).min(self.capacity());
        state.last = traversal.now;
        if state.credit < self.cost {
            return Answer::No;
        }
        state.credit -= self.cost;
        Answer::Yes
    }

    fn print(&self, out: &mut String) {
        let _ = write!(out, " --limit {}/{}", self.count, self.unit.0);
        if self.burst != DEFAULT_BURST {
            let _ = write!(out, " --limit-burst {}", self.burst);
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " limit: avg {}/{} burst {}", self.count, self.unit.0, self.burst);
    }

    fn explain(&self, out: &mut Pieces) {
        let (count, unit) = (self.count, self.unit.1);
        out.push(Piece::Condition(format!(
            "fewer packets than allowed have matched here of late: {count} a {unit}, and {} at once \
             after a pause",
            self.burst
        )));
        out.push(Piece::Note(
            "The allowance is shared by everything that reaches the rule, not kept by source; what is \
             above it does not match and goes on to the next rule."
                .into(),
        ));
    }
}
