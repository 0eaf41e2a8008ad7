//! `RATEEST`: measures how many packets and bytes a second match, under a name that rules with `-m rateest`
//! ask.
//!
//! Source: iptables-extensions(8), and what Linux was seen to measure. Every interval, 250 milliseconds times a
//! power of two, what came since the last one goes into an average that moves by 1/2^k of the way. Surprises:
//! the option is called the logarithm and takes the time constant; from both times the tool finds k, with the
//! interval as it was given, and says the time again as the interval that it keeps times 2^k, in 32 bits of
//! microseconds: of 100 microseconds and a second it makes 250 ms and 2048 s. A name has one estimator in both
//! families and all tables, and the kernel refuses a second rule that wants it otherwise. A name that is empty
//! or has blanks is saved in quotes, which the real tool leaves out and cannot read again.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Effect;
use crate::evaluate::{Named, State, Stores, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::needs::{EstimatorUse, Needs};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Family, Instant};

const NAME: u8 = 0;
const INTERVAL: u8 = 1;
const EWMALOG: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    valued("rateest-name", NAME),
    valued("rateest-interval", INTERVAL),
    valued("rateest-ewmalog", EWMALOG),
];

const MANUAL: &str = "\
# RATEEST

Counts the packet and its bytes in an estimator of that name and goes on with the next rule. What the estimator
makes of them, packets and bytes a second, is asked by `-m rateest`: to send connections another way when a line
is full, to drop what is less important.

`--rateest-name NAME`
: The estimator. Rules with the same name count in the same one, of IPv4 and IPv6 and all tables. What is longer
  than 15 bytes is cut.

`--rateest-interval TIME`
: How often the rate is measured: 250ms, 500ms, 1s, 2s, 4s or 8s; another time becomes the next longer one.
  `TIME` is a number with `s`, `ms` or `us` behind it; without a unit it is of microseconds.

`--rateest-ewmalog TIME`
: Over what time the rate is averaged, more than 1.44 intervals. It becomes a power of two of intervals.

All three are needed.

    -t mangle -A POSTROUTING -o eth0 -j RATEEST --rateest-name line --rateest-interval 250ms --rateest-ewmalog 1s

An estimator that is in use cannot be changed: rules with its name and other times are refused. Its rates are 0
until the first interval ends.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "RATEEST",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest name in bytes; the rest is cut off.
pub const NAME_MAX: usize = 15;
/// The shortest interval in microseconds; the others are this times a power of two.
const INTERVAL_MIN: u32 = 250_000;
/// The power of the longest one.
const SHIFT_MAX: u8 = 5;
/// The power of two by which the average moves at most.
const EWMA_MAX: u8 = 30;

/// How an estimator measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The interval is 250 ms times 2 to this power, 0 to 5.
    pub shift: u8,
    /// The average moves by 1 in 2 to this power, 1 to 30.
    pub ewma: u8,
}

/// An instance.
#[derive(Debug)]
pub struct RateEst {
    used: EstimatorUse,
    measure: Measure,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(NAME)?;
    let name = name(&given.value);
    let interval = time(arguments, INTERVAL)?;
    let average = time(arguments, EWMALOG)?;
    let place = arguments.option(INTERVAL).map_or(arguments.span, |given| given.value_span);
    let mut shifts = 0..=SHIFT_MAX;
    let Some(shift) = shifts.find(|shift| interval <= INTERVAL_MIN << shift) else {
        let fault = Diagnostic::new(code::BAD_VALUE, place, "no interval is longer than 8 seconds");
        arguments.fault(fault.says("RATEEST: interval value is too large"));
        return None;
    };
    let Some(ewma) = ewma(interval, average) else {
        let place = arguments.option(EWMALOG).map_or(arguments.span, |given| given.value_span);
        let text = "the time of the average does not fit the interval: it is more than 1.44 intervals, and \
                    both are needed";
        let fault = Diagnostic::new(code::BAD_VALUE, place, text);
        arguments.fault(fault.says("RATEEST: ewmalog value is out of range"));
        return None;
    };
    let measure = Measure { shift, ewma };
    let used = EstimatorUse { name: name.into(), made: Some(measure), span: given.value_span };
    Some(Box::new(RateEst { used, measure }))
}

/// The name of an estimator, cut.
#[must_use]
pub fn name(text: &str) -> &str {
    let end = (0..=NAME_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or("")
}

/// A time in microseconds, 0 where it is not given.
fn time(arguments: &mut Arguments<'_>, id: u8) -> Option<u32> {
    const UNITS: [(&[&str], f64); 3] = [
        (&["s", "sec", "secs"], 1_000_000.0),
        (&["ms", "msec", "msecs"], 1000.0),
        (&["", "us", "usec", "usecs"], 1.0),
    ];
    let Some(given) = arguments.option(id) else { return Some(0) };
    let found = values::leading_float(&given.value).and_then(|(number, unit)| {
        let unit = unit.to_ascii_lowercase();
        let factor = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str()))?.1;
        Some(values::truncated(number * factor))
    });
    if found.is_none() {
        bad_time(arguments, given);
    }
    found
}

fn bad_time(arguments: &mut Arguments<'_>, given: &Given) {
    let text = format!("`{}` is not a time: a number with `s`, `ms` or `us`", given.value);
    let what = if given.option.id == INTERVAL { "interval" } else { "ewmalog" };
    let says = format!("RATEEST: bad {what} value \"{}\"", given.value);
    arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text).says(says));
}

/// By which power of two an average has to move each interval to have about this time constant: the
/// largest k with interval / -ln(1 - 2^-k) within it.
fn ewma(interval: u32, average: u32) -> Option<u8> {
    let fits = |k: &u8| f64::from(interval) <= f64::from(average) * decay(*k);
    let k = (1..=EWMA_MAX + 1).take_while(fits).last()?;
    (k <= EWMA_MAX).then_some(k)
}

/// -ln(1 - 2^-k), by its series, the smallest terms first.
fn decay(k: u8) -> f64 {
    const TERMS: u32 = 64;
    let base = 1.0 / f64::from(1_u32.checked_shl(k.into()).unwrap_or(u32::MAX));
    let mut sum = 0.0;
    for n in (1..=TERMS).rev() {
        // Horner: x/1 + x^2/2 + ... = x (1/1 + x (1/2 + ...)).
        sum = base * (1.0 / f64::from(n) + sum);
    }
    sum
}

impl Measure {
    /// Both times as the tool says them.
    fn times(self) -> [String; 2] {
        let interval = INTERVAL_MIN << self.shift.min(SHIFT_MAX);
        [interval, interval.checked_shl(self.ewma.into()).unwrap_or(0)].map(written)
    }

    const fn interval(self) -> u64 {
        let shift = if self.shift > SHIFT_MAX { SHIFT_MAX } else { self.shift };
        (INTERVAL_MIN as u64 * 1000) << shift
    }
}

fn written(microseconds: u32) -> String {
    let time = f64::from(microseconds);
    match microseconds {
        1_000_000.. => format!("{:.1}s", time / 1_000_000.0),
        1000.. => format!("{:.1}ms", time / 1000.0),
        _ => format!("{microseconds}us"),
    }
}

/// What is measured under one name.
#[derive(Clone, Debug)]
pub struct Estimator {
    measure: Measure,
    /// Bytes and packets of the interval that runs.
    count: [u64; 2],
    /// Bytes and packets a second, in 1/256.
    average: [u64; 2],
    /// When the interval ends; none before the first packet that counts or asks.
    end: Option<Instant>,
}

/// The estimators, by name.
pub type Estimators = Named<Estimator>;

/// Intervals made up for at one packet at most; what is left of a long pause is at the next one. An average
/// over a minute needs less than ten thousand of them to come to rest.
pub const ROUNDS_MAX: u32 = 65_536;

impl Estimator {
    const fn new(measure: Measure) -> Self {
        Self { measure, count: [0; 2], average: [0; 2], end: None }
    }

    /// Ends the intervals that are over by now.
    fn catch_up(&mut self, now: Instant) {
        let interval = self.measure.interval();
        let end = self.end.get_or_insert(Instant(now.0.saturating_add(interval)));
        for _ in 0..ROUNDS_MAX {
            let Some(over) = now.0.checked_sub(end.0) else { return };
            let before = self.average;
            for (average, count) in self.average.iter_mut().zip(&mut self.count) {
                // So many a second, in 1/256: four times as many as in 250 milliseconds.
                let rate = count.wrapping_shl(10 - u32::from(self.measure.shift.min(SHIFT_MAX)));
                let (to, from) = (rate >> self.measure.ewma, *average >> self.measure.ewma);
                *average = average.wrapping_add(to).wrapping_sub(from);
                *count = 0;
            }
            end.0 = end.0.saturating_add(interval);
            if self.average == before {
                // Nothing comes and nothing moves: the others are the same.
                end.0 = end.0.saturating_add(over / interval * interval);
            }
        }
    }

    /// Counts a packet.
    pub(crate) fn add(&mut self, now: Instant, bytes: u64) {
        self.catch_up(now);
        for (count, more) in self.count.iter_mut().zip([bytes, 1]) {
            *count = count.wrapping_add(more);
        }
    }

    /// Bytes and packets a second by now.
    pub fn rates(&mut self, now: Instant) -> [u32; 2] {
        self.catch_up(now);
        self.average.map(|average| (average >> 8) as u32)
    }
}

/// The place of an estimator among the others: `memory` keeps it from the first packet on.
pub(crate) fn place(memory: &mut u64, found: impl FnOnce() -> Option<usize>) -> Option<usize> {
    if *memory < KEPT {
        *memory = KEPT + found()? as u64;
    }
    usize::try_from(*memory - KEPT).ok()
}

/// What the memory of a rule that names something begins with.
pub(crate) const UNKNOWN_YET: State = State { credit: 1, last: Instant(0) };
const KEPT: u64 = 2;

impl Target for RateEst {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Step {
        let (now, bytes) = (traversal.now, traversal.packet.length.into());
        let estimators = &mut traversal.stores.rateest;
        let make = || Estimator::new(self.measure);
        let found = place(&mut state.credit, || Some(estimators.declare(&self.used.name, make)));
        if let Some(estimator) = found.and_then(|place| estimators.at_mut(place)) {
            estimator.add(now, bytes);
        }
        Step::Continue
    }

    fn initial(&self) -> State {
        UNKNOWN_YET
    }

    fn need(&self, needs: &mut Needs) {
        needs.estimators.push(self.used.clone());
    }

    fn declare(&self, stores: &mut Stores, _: Family) {
        stores.rateest.declare(&self.used.name, || Estimator::new(self.measure));
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        let [interval, average] = self.measure.times();
        out.push_str(" --rateest-name ");
        values::print_plain(out, &self.used.name);
        let _ = write!(out, " --rateest-interval {interval} --rateest-ewmalog {average}");
    }

    fn list(&self, out: &mut String, _: bool) {
        let [interval, average] = self.measure.times();
        let _ = write!(out, " name {} interval {interval} ewmalog {average}", self.used.name);
    }

    fn explain(&self, out: &mut Pieces) {
        let [interval, _] = self.measure.times();
        out.push(Piece::Effect(format!(
            "counts it in the rate estimator `{}`, and goes on with the next rule",
            self.used.name
        )));
        out.push(Piece::Note(format!(
            "Every {interval} the estimator moves its average by 1/{} of the way to what was counted since; \
             rules with `-m rateest` ask it.",
            1_u64 << self.measure.ewma
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check;

    #[test]
    fn texts() {
        let row = |given: &'static str, saved: &'static str, listed: &'static str| {
            check(Family::V4, "mangle", "PREROUTING", &[(given, saved, listed, "=")]);
        };
        row(
            "-j RATEEST --rateest-name RE1 --rateest-interval 250.0ms --rateest-ewmalog 500.0ms",
            "=",
            " name RE1 interval 250.0ms ewmalog 500.0ms",
        );
        row(
            "-j RATEEST --rateest-name aaaaaaaaaaaaaaaa --rateest-interval 1.5s --rateest-ewma 16",
            "",
            "",
        );
        row(
            "-j RATEEST --rateest-name aaaaaaaaaaaaaaaa --rateest-interval 1.5sec --rateest-ewma 16s",
            "-j RATEEST --rateest-name aaaaaaaaaaaaaaa --rateest-interval 2.0s --rateest-ewmalog 16.0s",
            " name aaaaaaaaaaaaaaa interval 2.0s ewmalog 16.0s",
        );
    }

    /// Interval and average as given and as the tool keeps them; empty: refused.
    const TIMES: [(&str, &str, &str); 33] = [
        ("250ms", "0.5s", "250.0ms 500.0ms"),
        ("0.25", "1", ""),
        ("1s", "5s", "1.0s 4.0s"),
        ("300ms", "1s", "500.0ms 1.0s"),
        ("8s", "60s", "8.0s 64.0s"),
        ("9s", "60s", ""),
        ("100us", "1s", "250.0ms 2048.0s"),
        ("1s", "1s", ""),
        ("1s", "3000s", "1.0s 2048.0s"),
        ("1x", "16s", ""),
        ("1 s", "16s", ""),
        ("500msec", "1000msecs", "500.0ms 1.0s"),
        ("500000usec", "1000000usecs", "500.0ms 1.0s"),
        ("500", "2000", "250.0ms 1.0s"),
        ("500ms", "64s", "500.0ms 64.0s"),
        ("4s", "7s", "4.0s 8.0s"),
        ("1e0s", "16s", "1.0s 16.0s"),
        ("+1S", "16Sec", "1.0s 16.0s"),
        ("-1s", "16s", ""),
        ("0", "16s", ""),
        ("0x1s", "16s", "1.0s 16.0s"),
        (".5s", "16s", "500.0ms 16.0s"),
        ("0.00025s", "16s", "250.0ms 3897.0s"),
        ("8s", "100000s", "8.0s 1024.0s"),
        ("8000001us", "100s", ""),
        ("8s", "4294s", "8.0s 4096.0s"),
        ("250ms", "4295s", ""),
        ("1ms", "4000s", "250.0ms 302.0s"),
        ("1us", "4000s", ""),
        ("infs", "4000s", ""),
        ("nan", "4000s", ""),
        ("250ms", "360ms", ""),
        ("250ms", "361ms", "250.0ms 500.0ms"),
    ];

    #[test]
    fn times_are_kept_as_the_tool_keeps_them() {
        for (interval, average, kept) in TIMES {
            let rule = format!(
                "-j RATEEST --rateest-name a --rateest-interval \"{interval}\" --rateest-ewmalog {average}"
            );
            let saved = crate::testing::saved(Family::V6, "filter", "INPUT", &rule);
            match kept.split_once(' ') {
                None => assert!(saved.is_err(), "{rule}: {saved:?}"),
                Some((interval, average)) => {
                    let rest = format!("--rateest-interval {interval} --rateest-ewmalog {average}");
                    assert_eq!(saved, Ok(format!("-j RATEEST --rateest-name a {rest}")), "{rule}");
                }
            }
        }
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn rates_as_they_were_seen() {
        let mut one = Estimator::new(Measure { shift: 0, ewma: 1 });
        let start = 7_000 * MS;
        (0..30).for_each(|_| one.add(Instant(start), 84));
        assert_eq!(one.rates(Instant(start + 249 * MS)), [0, 0]);
        // 120 packets a second, half of the way each time.
        let at = |n: u64| Instant(start + n * 250 * MS);
        assert_eq!([1, 2, 3, 4].map(|n| one.rates(at(n))[1]), [60, 30, 15, 7]);
        assert_eq!(one.rates(at(5))[0], 30 * 4 * 84 / 32);
    }

    #[test]
    fn an_interval_of_two_seconds_moves_by_an_eighth() {
        let mut one = Estimator::new(Measure { shift: 3, ewma: 3 });
        one.add(Instant(0), 1600);
        assert_eq!(one.rates(Instant(2_000 * MS)), [100, 0]);
        one.add(Instant(3_999 * MS), 1600);
        assert_eq!(one.rates(Instant(4_000 * MS)), [187, 0]);
    }

    #[test]
    fn a_pause_of_centuries_is_bounded_work() {
        let mut one = Estimator::new(Measure { shift: 0, ewma: 30 });
        (0..1000).for_each(|_| one.add(Instant(0), u64::from(u16::MAX)));
        let begun = one.rates(Instant(250 * MS));
        let later = one.rates(Instant(u64::MAX));
        assert!(later[0] <= begun[0]);
        assert!(one.end.is_some_and(|end| end > Instant(ROUNDS_MAX.into())));
        // A quick one comes to rest and is up to date.
        let mut quick = Estimator::new(Measure { shift: 0, ewma: 2 });
        quick.add(Instant(0), 1500);
        assert_eq!(quick.rates(Instant(1 << 62)), [0, 0]);
        assert!(quick.end.is_some_and(|end| end > Instant(1 << 62)));
    }
}
