//! `limit`: a token bucket of its own for each rule.
//!
//! The bucket begins full. Time fills it in steps of a kernel tick (1/250 s), and each packet that
//! matches takes one packet's worth. The amounts are those of the kernel's fixed-point arithmetic,
//! because where a packet passes or not shows how they are rounded.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::Instant;

const LIMIT: u8 = 0;
const BURST: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("limit", LIMIT), valued("limit-burst", BURST)];

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> =
    Extension { name: "limit", families: BOTH, tables: &[], hooks: &[], options: OPTIONS, parse };

/// Time between two packets is kept in ten-thousandths of a second.
const SCALE: u64 = 10_000;
/// Kernel ticks a second (`CONFIG_HZ` of the reference kernel).
const TICKS: u64 = 250;
/// Credit that a tick brings: the largest power of two with which a day's credit fits 32 bits.
const CREDIT_PER_TICK: u64 = 128;
const DEFAULT_BURST: u64 = 5;

/// Units, longest first, with their length in seconds.
const UNITS: [(&str, &str, u64); 4] =
    [("day", "day", 86_400), ("hour", "hour", 3600), ("min", "minute", 60), ("sec", "second", 1)];

/// An instance.
#[derive(Debug)]
pub struct Limit {
    /// Time between two packets at the given rate, in units of 1/[`SCALE`] s.
    interval: u64,
    burst: u64,
    cost: u64,
    capacity: u64,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
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
    let (cost, capacity) = (credit(interval), credit(interval.saturating_mul(burst)));
    Some(Box::new(Limit { interval, burst, cost, capacity }))
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

/// Credit of a time, as the kernel rounds it: long times lose their fraction of a second first.
const fn credit(interval: u64) -> u64 {
    const PER_SECOND: u64 = TICKS * CREDIT_PER_TICK;
    if interval > 0xFFFF_FFFF / PER_SECOND {
        (interval / SCALE).saturating_mul(PER_SECOND)
    } else {
        interval * PER_SECOND / SCALE
    }
}

const fn ticks(now: Instant) -> u64 {
    now.0 / (1_000_000_000 / TICKS)
}

impl Limit {
    /// The rate as iptables-save prints it: the longest unit in which it is a whole number.
    fn rate(&self) -> (u64, &'static str, &'static str) {
        let interval = self.interval.max(1);
        let mut shown = UNITS.iter().take(1).next();
        for unit in UNITS.iter().skip(1) {
            let length = unit.2 * SCALE;
            if interval > length || length / interval < length % interval {
                break;
            }
            shown = Some(unit);
        }
        shown
            .map_or((0, "", ""), |(short, long, seconds)| (seconds * SCALE / interval, short, long))
    }
}

impl Match for Limit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn initial(&self) -> State {
        State { credit: self.capacity, last: Instant(0) }
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let elapsed = ticks(traversal.now).saturating_sub(ticks(state.last));
        if elapsed > 0 {
            let earned = elapsed.saturating_mul(CREDIT_PER_TICK);
            state.credit = state.credit.saturating_add(earned).min(self.capacity);
            state.last = traversal.now;
        }
        if state.credit < self.cost {
            return Answer::No;
        }
        state.credit -= self.cost;
        Answer::Yes
    }

    fn print(&self, out: &mut String) {
        let (count, unit, _) = self.rate();
        let _ = write!(out, " --limit {count}/{unit}");
        if self.burst != DEFAULT_BURST {
            let _ = write!(out, " --limit-burst {}", self.burst);
        }
    }

    fn explain(&self, out: &mut Pieces) {
        let (count, _, unit) = self.rate();
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
