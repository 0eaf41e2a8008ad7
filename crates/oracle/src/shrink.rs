//! From a scenario that differs to the least that still does.

use crate::bench::{Bench, Trial};
use crate::fuzz::{Finding, Settings, Step};
use std::{io, ops::Range};

/// Most trials spent on one finding.
const TRIALS_MAX: usize = 2000;

/// Most trials of which each loads its rules anew.
const RELOADS_MAX: usize = 400;

/// Most trials with a pause in each.
const PAUSES_MAX: usize = 40;

/// How often what is left has to differ: the kernel's collector comes when it sees fit, and its
/// ticks fall between two packets, so that what is no difference may come twice.
const CONFIRMATIONS: usize = 3;

/// What has to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// A packet or the table.
    Packets,
    /// Or the counters of a rule: every trial begins with counters at zero.
    Counters,
}

/// Drops packets, then rules and sysctls, then packets again, as long as something differs. What
/// does not differ again is reported as `first` saw it.
pub(crate) fn shrink(
    bench: &mut Bench,
    scenario: u64,
    packets: Vec<Step>,
    first: Trial,
    depth: Depth,
) -> io::Result<Finding> {
    let left = match depth {
        _ if packets.iter().any(|step| matches!(step, Step::Sleep(_))) => PAUSES_MAX,
        Depth::Packets => TRIALS_MAX,
        Depth::Counters => RELOADS_MAX,
    };
    let all = bench.settings().clone();
    let mut shrinker = Shrinker { bench, left, depth };
    let mut fewer = shrinker.drop_packets(packets.clone())?;
    shrinker.drop_settings(&fewer)?;
    fewer = shrinker.drop_packets(fewer)?;
    shrinker.left = CONFIRMATIONS + 1;
    let mut trial = Trial::default();
    for _ in 0..CONFIRMATIONS {
        trial = shrinker.trial(&fewer)?;
        if trial.differences.is_empty() {
            break;
        }
    }
    if !trial.differences.is_empty() {
        // What hangs on the hash's secret does not come again where connections lie otherwise.
        shrinker.bench.renew()?;
        shrinker.left = 2;
        trial = shrinker.trial(&fewer)?;
    }
    let settings = shrinker.bench.settings().clone();
    shrinker.bench.reload(&all)?;
    if trial.differences.is_empty() {
        return Ok(finding(scenario, all, packets, first, false));
    }
    Ok(finding(scenario, settings, fewer, trial, true))
}

fn finding(
    scenario: u64,
    settings: Settings,
    packets: Vec<Step>,
    trial: Trial,
    repeats: bool,
) -> Finding {
    let mut seen = trial.observations.into_iter();
    let steps = packets.into_iter().map(|step| (step, seen.next().flatten())).collect();
    Finding { scenario, settings, steps, differences: trial.differences, repeats }
}

struct Shrinker<'b> {
    bench: &'b mut Bench,
    left: usize,
    depth: Depth,
}

impl Shrinker<'_> {
    fn trial(&mut self, packets: &[Step]) -> io::Result<Trial> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return Ok(Trial::default());
        }
        if self.depth == Depth::Packets {
            return self.bench.settled_trial(packets);
        }
        let settings = self.bench.settings().clone();
        self.bench.reload(&settings)?;
        let mut trial = self.bench.trial(packets)?;
        if trial.differences.is_empty() {
            trial.differences = self.bench.compare_counters()?;
        }
        Ok(trial)
    }

    fn differs(&mut self, packets: &[Step]) -> io::Result<bool> {
        Ok(!self.trial(packets)?.differences.is_empty())
    }

    /// Nothing after the first packet that differs is needed.
    fn cut_tail(&mut self, mut packets: Vec<Step>) -> io::Result<Vec<Step>> {
        let trial = self.trial(&packets)?;
        if !trial.differences.is_empty() {
            packets.truncate(trial.observations.len());
        }
        Ok(packets)
    }

    /// Leaves out ever smaller pieces.
    fn drop_packets(&mut self, mut packets: Vec<Step>) -> io::Result<Vec<Step>> {
        let mut piece = packets.len() / 2;
        while piece > 0 {
            let mut at = 0;
            while at < packets.len() {
                let mut fewer = packets.clone();
                fewer.drain(at..(at + piece).min(packets.len()));
                if self.differs(&fewer)? {
                    packets = fewer;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        self.cut_tail(packets)
    }

    /// Leaves out sysctls, then rules one by one.
    fn drop_settings(&mut self, packets: &[Step]) -> io::Result<()> {
        let mut n = 0;
        while n < self.bench.settings().sysctls.len() {
            let mut fewer = self.bench.settings().clone();
            fewer.sysctls.remove(n);
            if !self.keeps(fewer, packets)? {
                n += 1;
            }
        }
        for family in 0..2 {
            let mut fewer = self.bench.settings().clone();
            fewer.rules[family].clear();
            if self.keeps(fewer, packets)? {
                continue;
            }
            self.drop_rules(family, packets)?;
        }
        Ok(())
    }

    /// Leaves out ever smaller pieces of a family's rules, down to single ones.
    fn drop_rules(&mut self, family: usize, packets: &[Step]) -> io::Result<()> {
        let mut piece = rule_count(self.bench.settings(), family).div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at < rule_count(self.bench.settings(), family) {
                let fewer = without_rules(self.bench.settings(), family, at..at + piece);
                if !self.keeps(fewer, packets)? {
                    at += piece;
                }
            }
            piece /= 2;
        }
        Ok(())
    }

    /// Whether the packets differ under `fewer` settings too; else the old ones are loaded again.
    fn keeps(&mut self, fewer: Settings, packets: &[Step]) -> io::Result<bool> {
        let before = self.bench.settings().clone();
        self.bench.load(&fewer)?;
        if self.differs(packets)? {
            return Ok(true);
        }
        self.bench.load(&before)?;
        Ok(false)
    }
}

fn rule_count(settings: &Settings, family: usize) -> usize {
    settings.rules[family].lines().filter(|line| line.starts_with("-A")).count()
}

/// The settings without these rules of a family, by their numbers from 0.
fn without_rules(settings: &Settings, family: usize, numbers: Range<usize>) -> Settings {
    let mut fewer = settings.clone();
    let mut number = 0;
    let kept = settings.rules[family].lines().filter(|line| {
        let is_rule = line.starts_with("-A");
        let goes = is_rule && numbers.contains(&number);
        number += usize::from(is_rule);
        !goes
    });
    fewer.rules[family] = kept.map(|line| format!("{line}\n")).collect();
    fewer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_left_out_by_number() {
        let rules = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p 1\n-A FORWARD -p 2\nCOMMIT\n";
        let settings = Settings { rules: [rules.to_owned(), String::new()], ..Settings::default() };
        assert_eq!(rule_count(&settings, 0), 2);
        let fewer = without_rules(&settings, 0, 1..5);
        assert_eq!(fewer.rules[0], rules.replace("-A FORWARD -p 2\n", ""));
        assert_eq!(without_rules(&settings, 0, 2..9), settings);
    }
}
