//! `rateest`: compares what a rate estimator measures (target `RATEEST`) with a number or with another one.
//!
//! Source: iptables-extensions(8), and what Linux was seen to do. Surprises: `--rateest-delta` compares how
//! much of the given rate is left, and not, as the manual has it, by how much it is exceeded; 0 where nothing
//! is left. A rate without a unit is of bits; kept are bytes, without a fraction, in 32 bits: 1tbit is 3568
//! Mbit. What is saved of a rule with bytes and packets says the comparison twice, which the real tool does not
//! read again; here it is read.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Stores, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::model::Span;
use crate::needs::{EstimatorUse, Needs};
use crate::targets::rateest::{Estimators, UNKNOWN_YET, name, place};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::Family;

const FIRST: u8 = 0;
const SECOND: u8 = 1;
const DELTA: u8 = 2;
const BPS1: u8 = 3;
const BPS2: u8 = 4;
const PPS1: u8 = 5;
const PPS2: u8 = 6;
const LT: u8 = 7;
const GT: u8 = 8;
const EQ: u8 = 9;
const OPTIONS: &[OptionSpec] = &[
    valued("rateest1", FIRST),
    valued("rateest", FIRST),
    valued("rateest2", SECOND),
    flag("rateest-delta", DELTA),
    valued("rateest-bps1", BPS1).optional(),
    valued("rateest-bps", BPS2).optional(),
    valued("rateest-bps2", BPS2).optional(),
    valued("rateest-pps1", PPS1).optional(),
    valued("rateest-pps", PPS2).optional(),
    valued("rateest-pps2", PPS2).optional(),
    flag("rateest-lt", LT).inverted().repeated(),
    flag("rateest-gt", GT).inverted().repeated(),
    flag("rateest-eq", EQ).inverted().repeated(),
];

const MANUAL: &str = "\
# rateest

Compares the rates that a rate estimator measures (see the target `RATEEST`) with given ones, or with those of
another estimator.

`--rateest NAME`, `--rateest1 NAME`
: The estimator. A rule before this one has to make it.

`--rateest2 NAME`
: Another one, that the first one is compared with.

`! --rateest-lt`, `! --rateest-gt`, `! --rateest-eq`
: Whether the rate of the first is less, greater, or equal. One is needed; of several the last one counts.

`--rateest-bps [RATE]`, `--rateest-pps [N]`
: Bytes, packets a second: at least one of them; with both, both have to be so. `RATE` is a number with `bit`,
  `kbit`, `mbit`, `gbit`, `tbit` (`kibit` and so on for powers of 1024) or `bps`, `kbps`, `kibps`, ..., which are
  bytes; without a unit it is bits. With two estimators the number is left out.

`--rateest-delta`, with `--rateest-bps1 RATE`, `--rateest-bps2 RATE`, `--rateest-pps1 N`, `--rateest-pps2 N`
: Compares how much of these rates is left over by the first and by the second estimator, 0 where they are
  exceeded; with one estimator, how much it leaves of the first with the second number itself.

    -t mangle -A PREROUTING -m rateest --rateest line --rateest-gt --rateest-bps 8mbit -j MARK --set-mark 2

A rate is measured at the end of an interval: what is asked meanwhile is that of the one before.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "rateest",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Lt,
    Gt,
    Eq,
}

/// An instance.
#[derive(Debug)]
pub struct RateEst {
    first: EstimatorUse,
    second: Option<EstimatorUse>,
    delta: bool,
    compare: Compare,
    inverted: bool,
    /// Bytes a second of the first and the second; 0 where there is none.
    bps: Option<[u32; 2]>,
    /// Packets a second of the first and the second.
    pps: Option<[u32; 2]>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    once(arguments)?;
    let bps = values_of(arguments, [BPS1, BPS2], rate)?;
    let pps = values_of(arguments, [PPS1, PPS2], packets)?;
    let compared = arguments.given.iter().rfind(|given| [LT, GT, EQ].contains(&given.option.id));
    let Some(compared) = compared else {
        let text = "`rateest` needs one of --rateest-lt, --rateest-gt, --rateest-eq";
        return refuse(arguments, arguments.span, text);
    };
    if bps.is_none() && pps.is_none() {
        let text = "`rateest` needs --rateest-bps or --rateest-pps: what is compared";
        return refuse(arguments, arguments.span, text);
    }
    let used = |given: Option<&Given>| EstimatorUse {
        name: given.map_or("", |given| name(&given.value)).into(),
        made: None,
        span: given.map_or(arguments.span, |given| given.value_span),
    };
    let delta = arguments.option(DELTA).is_some();
    let second = arguments.option(SECOND).map(|given| used(Some(given)));
    // What plays no part is not kept.
    let kept = |[one, two]: [u32; 2]| match (delta, &second) {
        (true, _) => [one, two],
        (false, None) => [0, two],
        (false, Some(_)) => [0, 0],
    };
    let one = RateEst {
        first: used(arguments.option(FIRST)),
        delta,
        compare: match compared.option.id {
            LT => Compare::Lt,
            GT => Compare::Gt,
            _ => Compare::Eq,
        },
        // One `!` turns all around, whichever comparison it stands before.
        inverted: arguments.given.iter().any(|given| given.inverted),
        bps: bps.map(kept),
        pps: pps.map(kept),
        second,
    };
    Some(Box::new(one))
}

fn refuse<T>(arguments: &mut Arguments<'_>, span: Span, text: &str) -> Option<T> {
    arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, span, text));
    None
}

/// A comparison stands once, or once for each of the rates as rules are saved.
fn once(arguments: &mut Arguments<'_>) -> Option<()> {
    let mut last: Option<&Given> = None;
    for given in arguments.given {
        match (given.option.id, last) {
            (id @ (LT | GT | EQ), Some(before)) if before.option.id == id => {
                let text = format!("`--{}` a second time", given.option.name);
                let fault = Diagnostic::new(code::OPTION_CONFLICT, given.span, text);
                let says = "rateest: can't specify lt/gt/eq twice";
                arguments.fault(fault.label(before.span, "the first is here").says(says));
                return None;
            }
            (LT | GT | EQ, _) => last = Some(given),
            (BPS1 | BPS2 | PPS1 | PPS2, _) => last = None,
            _ => {}
        }
    }
    Some(())
}

/// The values of the first and the second; none where neither is given.
fn values_of(
    arguments: &mut Arguments<'_>,
    ids: [u8; 2],
    read: fn(&str) -> Option<u32>,
) -> Option<Option<[u32; 2]>> {
    let mut found = [0; 2];
    for (id, value) in ids.into_iter().zip(&mut found) {
        let Some(given) = arguments.option(id).filter(|given| given.has_value()) else { continue };
        let Some(number) = read(&given.value) else {
            let (what, form) = match given.option.name.contains("bps") {
                true => ("rate", "a rate, such as 100kbit or 2mbps"),
                false => ("pps", "a number of packets a second"),
            };
            let text = format!("`{}` is not {form}", given.value);
            let says = format!("rateest: could not parse {what} `{}'", given.value);
            arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text).says(says));
            return None;
        };
        *value = number;
    }
    let any = ids.into_iter().any(|id| arguments.option(id).is_some());
    Some(any.then_some(found))
}

fn packets(text: &str) -> Option<u32> {
    u32::try_from(values::number(text, u32::MAX.into())?).ok()
}

/// Bytes a second.
fn rate(text: &str) -> Option<u32> {
    let (number, unit) = values::leading_float(text)?;
    if unit.len() == text.len() {
        return None;
    }
    let unit = unit.to_ascii_lowercase();
    let (prefix, bits) = match (unit.strip_suffix("bit"), unit.strip_suffix("bps")) {
        (Some(prefix), _) => (prefix, 1.0),
        (_, Some(prefix)) => (prefix, 8.0),
        (None, None) if unit.is_empty() => ("", 1.0),
        (None, None) => return None,
    };
    let (letter, base) = match prefix.strip_suffix('i') {
        Some("") => return None,
        Some(letter) => (letter, 1024.0),
        None => (prefix, 1000.0),
    };
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == letter)?;
    let scale: f64 = (0..power).map(|_| base).product();
    Some(values::truncated(number * scale * bits / 8.0))
}

/// Bytes a second, as they are said.
fn written(bytes: u32) -> String {
    let bits = 8.0 * f64::from(bytes);
    if bits >= 1_000_000_000.0 {
        format!("{:.0}Mbit", bits / 1_000_000.0)
    } else if bits >= 1_000_000.0 {
        format!("{:.0}Kbit", bits / 1000.0)
    } else {
        format!("{bits:.0}bit")
    }
}

impl RateEst {
    const fn word(&self) -> &'static str {
        match self.compare {
            Compare::Lt => "lt",
            Compare::Gt => "gt",
            Compare::Eq => "eq",
        }
    }

    const fn not(&self) -> &'static str {
        if self.inverted { " !" } else { "" }
    }

    /// What is compared of an estimator: its rates, or what it leaves of those given.
    fn rates(&self, estimators: &mut Estimators, place: usize, now: Now, at: usize) -> [u32; 2] {
        let found = estimators.at_mut(place).map_or([0; 2], |estimator| estimator.rates(now));
        if !self.delta {
            return found;
        }
        let given = [self.bps, self.pps].map(|both| both.unwrap_or_default());
        let [bytes, packets] = given.map(|both| both.get(at).copied().unwrap_or(0));
        let [found_bytes, found_packets] = found;
        [bytes.saturating_sub(found_bytes), packets.saturating_sub(found_packets)]
    }

    fn holds(&self, [one, two]: [u32; 2]) -> bool {
        match self.compare {
            Compare::Lt => one < two,
            Compare::Gt => one > two,
            Compare::Eq => one == two,
        }
    }

    /// What it compares, in words.
    fn subject(&self, at: usize, name: &str) -> String {
        if !self.delta {
            return format!("the rate of the estimator `{name}`");
        }
        let bytes = self.bps.and_then(|both| both.get(at).copied()).map(written);
        let packets = self.pps.and_then(|both| both.get(at).copied());
        let packets = packets.map(|packets| format!("{packets} packets"));
        let given: Vec<_> = [bytes, packets].into_iter().flatten().collect();
        format!("what the estimator `{name}` leaves of {} a second", given.join(" and "))
    }
}

type Now = keepstate_packet::Instant;

impl Match for RateEst {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let (now, estimators) = (traversal.now, &mut traversal.stores.rateest);
        let first = place(&mut state.credit, || estimators.place(&self.first.name));
        let second = self.second.as_ref();
        let second =
            second.map(|second| place(&mut state.last.0, || estimators.place(&second.name)));
        let (Some(first), second @ (None | Some(Some(_)))) = (first, second) else {
            return Answer::Unknown;
        };
        let one = self.rates(estimators, first, now, 0);
        let two = match second.flatten() {
            Some(second) => self.rates(estimators, second, now, 1),
            None => [self.bps, self.pps].map(|both| both.map_or(0, |[_, value]| value)),
        };
        let asked = [self.bps.is_some(), self.pps.is_some()];
        let mut pairs = one.into_iter().zip(two).zip(asked).filter(|(_, asked)| *asked);
        (pairs.all(|((one, two), _)| self.holds([one, two])) != self.inverted).into()
    }

    fn initial(&self) -> State {
        UNKNOWN_YET
    }

    fn need(&self, needs: &mut Needs) {
        needs.estimators.push(self.first.clone());
        needs.estimators.extend(self.second.clone());
    }

    fn declare(&self, stores: &mut Stores, _: Family) {
        for used in [Some(&self.first), self.second.as_ref()].into_iter().flatten() {
            stores.rateest.keep(&used.name);
        }
    }

    fn print(&self, out: &mut String) {
        let (not, word) = (self.not(), self.word());
        if self.delta {
            out.push_str(" --rateest-delta");
        }
        let which = if self.second.is_some() { "rateest1" } else { "rateest" };
        let _ = write!(out, " --{which} ");
        values::print_plain(out, &self.first.name);
        let bytes = self.bps.map(|both| ("bps", both.map(written)));
        let packets = self.pps.map(|both| ("pps", both.map(|packets| format!("{packets}"))));
        for (what, [one, two]) in [bytes, packets].into_iter().flatten() {
            if self.delta {
                let _ = write!(out, " --rateest-{what}1 {one}");
            }
            let _ = write!(out, "{not} --rateest-{word} --rateest-{what}");
            let _ = match (self.delta, &self.second) {
                (true, _) => write!(out, "2 {two}"),
                (false, None) => write!(out, " {two}"),
                (false, Some(_)) => Ok(()),
            };
        }
        if let Some(second) = &self.second {
            out.push_str(" --rateest2 ");
            values::print_plain(out, &second.name);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let bytes = |bytes: u32| if numeric { format!("{bytes}") } else { written(bytes) };
        let (bps, pps) = (self.bps.map(|both| both.map(bytes)), self.pps);
        let compared = format!("{} {}", self.not(), self.word());
        let _ = write!(out, " rateest match {}", self.first.name);
        if self.delta {
            out.push_str(" delta");
        }
        let Some(second) = &self.second else {
            if let Some([one, two]) = bps {
                let one = if self.delta { format!("{one} ") } else { String::new() };
                let _ = write!(out, " bps {one}{two}{compared}");
            }
            if let Some([one, two]) = pps {
                let one = if self.delta { format!(" {one}") } else { String::new() };
                let _ = write!(out, " pps{one}{compared} {two}");
            }
            return;
        };
        let mut side = |at: usize| {
            let value = |value: Option<String>| match value.filter(|_| self.delta) {
                Some(value) => format!(" {value}"),
                None => String::new(),
            };
            if let Some(both) = &bps {
                let _ = write!(out, " bps{}", value(both.get(at).cloned()));
            }
            if let Some(both) = &pps {
                let _ =
                    write!(out, " pps{}", value(both.get(at).map(|packets| format!("{packets}"))));
            }
            if at == 0 {
                let _ = write!(out, "{compared} {}", second.name);
            }
        };
        side(0);
        side(1);
    }

    fn explain(&self, out: &mut Pieces) {
        let than = match self.compare {
            Compare::Lt => "less than",
            Compare::Gt => "greater than",
            Compare::Eq => "equal to",
        };
        let not = if self.inverted { "it is not so that " } else { "" };
        let bytes = self.bps.map(|[_, bytes]| format!("{} a second", written(bytes)));
        let packets = self.pps.map(|[_, packets]| format!("{packets} packets a second"));
        let given: Vec<_> = [bytes, packets].into_iter().flatten().collect();
        let other = match &self.second {
            Some(second) => self.subject(1, &second.name),
            None => given.join(" and to ").replace(" and to ", " and "),
        };
        let subject = self.subject(0, &self.first.name);
        out.push(Piece::Condition(format!("{not}{subject} is {than} {other}")));
        if self.second.is_some() && !self.delta {
            let what = match (self.bps, self.pps) {
                (Some(_), None) => "Bytes",
                (None, _) => "Packets",
                (Some(_), Some(_)) => "Bytes, and packets,",
            };
            out.push(Piece::Note(format!("{what} a second are compared.")));
        }
        if self.delta {
            out.push(Piece::Note(
                "What is left is the given rate less the measured one, and 0 where that is higher."
                    .into(),
            ));
        }
        out.push(Piece::Note(
            "The estimator is what rules with the target RATEEST count; its rate is that of the interval \
             before."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests;
