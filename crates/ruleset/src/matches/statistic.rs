//! `statistic`: at random, or every nth packet.
//!
//! The counter of `nth` belongs to the rule. The first packet that matches is number `packet` counted from
//! 0, although the manual page calls that a counter's initial value; every nth one after it does, too. What is
//! random comes from the engine's seed.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const MODE: u8 = 0;
const PROBABILITY: u8 = 1;
const EVERY: u8 = 2;
const PACKET: u8 = 3;
const OPTIONS: &[OptionSpec] = &[
    valued("mode", MODE),
    valued("probability", PROBABILITY).inverted(),
    valued("every", EVERY).inverted(),
    valued("packet", PACKET),
];

const MANUAL: &str = "\
Matches some of the packets that come to it, at random or in turn.

- `--mode random [!] --probability P`: each packet matches with this probability, 0 to 1.
- `--mode nth [!] --every N --packet P`: one packet of every N matches: the one with number P (0 to N - 1),
  counted from 0, first.

Spreading new connections over three servers:

    -m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination 10.0.0.1
    -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.0.0.2
    -j DNAT --to-destination 10.0.0.3

Each rule counts for itself, and only packets that reach it: what one rule takes the next one does not see.
That is why the numbers go down. Packets are counted, not connections, unless tracking is asked first.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "statistic",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// A probability of 1. It is compared with 31 random bits.
const CERTAIN: u32 = 0x8000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Random { probability: u32 },
    Nth { every: u32, packet: u32 },
}

/// An instance.
#[derive(Debug)]
pub struct Statistic {
    mode: Mode,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let mode = arguments.required(MODE)?;
    let others: &[u8] = match mode.value.as_str() {
        "random" => &[EVERY, PACKET],
        "nth" => &[PROBABILITY],
        _ => {
            let modes = ["random", "nth"].into_iter();
            arguments.unknown_word(&mode.value, mode.value_span, "a mode", modes);
            return None;
        }
    };
    if let Some(other) = others.iter().find_map(|id| arguments.option(*id)) {
        let text = format!("`--{}` belongs to the other mode", other.option.name);
        let fault = Diagnostic::new(code::OPTION_CONFLICT, other.span, text);
        arguments.fault(fault.label(mode.span, "the mode is given here"));
        return None;
    }
    if mode.value == "random" {
        return random(arguments);
    }
    let (every, packet) = (arguments.required(EVERY)?, arguments.required(PACKET)?);
    let inverted = every.inverted;
    let number = values::number(&every.value, u32::MAX.into()).filter(|number| *number > 0);
    let Some(every) = number.and_then(|number| u32::try_from(number).ok()) else {
        arguments.bad_value(every, "a number from 1 to 4294967295");
        return None;
    };
    let packet = u32::try_from(arguments.number(packet, u64::from(every) - 1)?).ok()?;
    Some(Box::new(Statistic { mode: Mode::Nth { every, packet }, inverted }))
}

fn random(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(PROBABILITY)?;
    let value = given.value.trim_start().parse::<f64>().ok();
    let Some(value) = value.filter(|value| (0.0..=1.0).contains(value)) else {
        arguments.bad_value(given, "a probability from 0 to 1, such as 0.25");
        return None;
    };
    let probability = (value * f64::from(CERTAIN) + 0.5) as u32;
    Some(Box::new(Statistic { mode: Mode::Random { probability }, inverted: given.inverted }))
}

/// As iptables prints it.
fn fraction(probability: u32) -> f64 {
    f64::from(probability) / f64::from(CERTAIN)
}

impl Match for Statistic {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let hit = match self.mode {
            Mode::Random { probability } => {
                traversal.stores.random.next() & (CERTAIN - 1) < probability
            }
            Mode::Nth { every, .. } => {
                // One more than the packets since the last hit; see `initial`.
                let hit = state.credit >= u64::from(every);
                state.credit = if hit { 1 } else { state.credit + 1 };
                hit
            }
        };
        (hit != self.inverted).into()
    }

    fn initial(&self) -> State {
        match self.mode {
            Mode::Random { .. } => State::default(),
            Mode::Nth { every, packet } => {
                State { credit: u64::from(every - packet), ..State::default() }
            }
        }
    }

    fn print(&self, out: &mut String) {
        match self.mode {
            Mode::Random { probability } => {
                out.push_str(" --mode random");
                values::print_option(out, self.inverted, "probability");
                let _ = write!(out, " {:.11}", fraction(probability));
            }
            Mode::Nth { every, packet } => {
                out.push_str(" --mode nth");
                values::print_option(out, self.inverted, "every");
                let _ = write!(out, " {every} --packet {packet}");
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = either(self.inverted, "", "! ");
        let _ = match self.mode {
            Mode::Random { probability } => {
                write!(out, " statistic mode random {not}probability {:.11}", fraction(probability))
            }
            Mode::Nth { every, packet: 0 } => write!(out, " statistic mode nth {not}every {every}"),
            Mode::Nth { every, packet } => {
                write!(out, " statistic mode nth {not}every {every} packet {packet}")
            }
        };
    }

    fn explain(&self, out: &mut Pieces) {
        match self.mode {
            Mode::Random { probability } => {
                let percent = fraction(probability) * 100.0;
                let text = match self.inverted {
                    false => format!("chance has it, for {percent:.4} of 100 packets on average"),
                    true => format!("chance spares it, as {percent:.4} of 100 packets are not"),
                };
                out.push(Piece::Condition(text));
            }
            Mode::Nth { every, packet } => {
                let first = u64::from(packet) + 1;
                let text = match self.inverted {
                    false => format!("it is its turn: one in {every}, and number {first} first"),
                    true => format!(
                        "it is not the one left out of every {every}, of which number {first} is first"
                    ),
                };
                out.push(Piece::Condition(text));
                out.push(Piece::Note(
                    "Each such rule counts the packets that reach it, not connections.".into(),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, check, ipv4};
    use crate::verdict::Answer;
    use alloc::{format, vec::Vec};
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    (
                        "-m statistic --mode random --probability .5",
                        "-m statistic --mode random --probability 0.50000000000",
                        " statistic mode random probability 0.50000000000",
                        "=",
                    ),
                    (
                        "-m statistic --mode random ! --probability 0.1",
                        "-m statistic --mode random ! --probability 0.10000000009",
                        " statistic mode random ! probability 0.10000000009",
                        "=",
                    ),
                    (
                        "-m statistic --mode random --probability 0.3333",
                        "-m statistic --mode random --probability 0.33330000006",
                        " statistic mode random probability 0.33330000006",
                        "=",
                    ),
                    (
                        "-m statistic --mode random --probability 1e-3",
                        "-m statistic --mode random --probability 0.00100000016",
                        " statistic mode random probability 0.00100000016",
                        "=",
                    ),
                    (
                        "-m statistic --mode random --probability 0.000244140625",
                        "-m statistic --mode random --probability 0.00024414062",
                        " statistic mode random probability 0.00024414062",
                        "=",
                    ),
                    (
                        "-m statistic --mode random --probability 0.000732421875",
                        "-m statistic --mode random --probability 0.00073242188",
                        " statistic mode random probability 0.00073242188",
                        "=",
                    ),
                    (
                        "-m statistic --mode random --probability 1",
                        "-m statistic --mode random --probability 1.00000000000",
                        " statistic mode random probability 1.00000000000",
                        "=",
                    ),
                    ("-m statistic --mode random --probability 1.1", "", "", ""),
                    ("-m statistic --mode random --probability -0.1", "", "", ""),
                    ("-m statistic --mode random --probability 0.5x", "", "", ""),
                    ("-m statistic --mode random", "", "", ""),
                    ("-m statistic --probability 1", "", "", ""),
                    ("-m statistic --mode rand --probability 1", "", "", ""),
                    ("-m statistic --mode random --probability 0.5 --packet 3", "", "", ""),
                    (
                        "-m statistic --every 5 --packet 0x3 --mode nth",
                        "-m statistic --mode nth --every 5 --packet 3",
                        " statistic mode nth every 5 packet 3",
                        "=",
                    ),
                    (
                        "-m statistic --mode nth ! --every 5 --packet 0",
                        "=",
                        " statistic mode nth ! every 5",
                        "=",
                    ),
                    ("-m statistic --mode nth --every 5 --packet 5", "", "", ""),
                    ("-m statistic --mode nth --every 5", "", "", ""),
                    ("-m statistic --mode nth --packet 5", "", "", ""),
                    ("-m statistic --mode nth --every 0 --packet 0", "", "", ""),
                    ("-m statistic --mode nth --every 5 --packet 0 --probability 0.4", "", "", ""),
                ],
            );
        }
    }

    fn run(rule: &str, count: usize) -> Vec<bool> {
        let mut bench = Bench::new(Family::V4, rule);
        (0..count).map(|_| bench.answer(&ipv4(17, &[0; 8])) == Answer::Yes).collect()
    }

    #[test]
    fn every_nth_packet_in_turn() {
        for packet in [0, 1, 4] {
            let rule = format!("-m statistic --mode nth --every 5 --packet {packet}");
            let hits: Vec<bool> = (0..20).map(|number| number % 5 == packet).collect();
            assert_eq!(run(&rule, 20), hits, "{packet}");
            let others: Vec<bool> = hits.iter().map(|hit| !hit).collect();
            assert_eq!(run(&rule.replace("--every", "! --every"), 20), others, "{packet}");
        }
        assert_eq!(run("-m statistic --mode nth --every 1 --packet 0", 3), [true; 3]);
    }

    #[test]
    fn chance_keeps_to_its_probability() {
        let rule = "-m statistic --mode random --probability";
        assert!(run(&format!("{rule} 0"), 1000).iter().all(|hit| !hit));
        assert!(run(&format!("{rule} 1"), 1000).iter().all(|hit| *hit));
        let hits = run(&format!("{rule} 0.25"), 10_000).iter().filter(|hit| **hit).count();
        assert!((2300..2700).contains(&hits), "{hits}");
    }
}
