//! From a scenario that differs to the least that still does.

use crate::bench::{Bench, Trial};
use crate::compare::Difference;
use crate::fuzz::{Finding, Settings, Step};
use keepstate_datapath::clock::SystemClock;
use std::collections::HashSet;
use std::{io, ops::Range, time::Duration};

/// Most trials spent on one finding.
const TRIALS_MAX: usize = 2000;

/// Most trials of which each loads its rules anew.
const RELOADS_MAX: usize = 400;

/// Most trials with a pause in each.
const PAUSES_MAX: usize = 40;

/// The longest that one finding is worked on: large rule sets take a while to load.
const TIME_MAX: Duration = Duration::from_secs(20);

/// How often what is left has to differ: the kernel's collector comes when it sees fit, and its
/// ticks fall between two packets, so that what is no difference may come twice.
const CONFIRMATIONS: usize = 3;

/// Most trials until a tick of the kernel's clock comes while no packet is on its way.
const TORN_MAX: usize = 4;

/// What has to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// A packet or the table.
    Packets,
    /// Or the counters of a rule: every trial begins with counters at zero.
    Counters,
}

/// Drops rules, then packets, then sysctls and rules one by one, then packets again, as long as
/// something differs. What does not differ again is reported as `first` saw it.
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
    let settings = all.clone();
    let clock = SystemClock::start();
    let mut shrinker = Shrinker { bench, settings, left, depth, clock };
    let mut fewer = packets.clone();
    fewer.truncate(first.observations.len().max(1));
    if !shrinker.differs(&fewer)? {
        fewer.clone_from(&packets);
    }
    shrinker.drop_most_rules(&fewer, &first.differences)?;
    fewer = shrinker.drop_packets(fewer)?;
    shrinker.drop_settings(&fewer)?;
    fewer = shrinker.drop_packets(fewer)?;
    (shrinker.left, shrinker.clock) = (CONFIRMATIONS + 1, SystemClock::start());
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
    let settings = shrinker.settings;
    bench.reload(&all)?;
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
    /// What is needed of the settings, as far as is known.
    settings: Settings,
    left: usize,
    depth: Depth,
    /// Since the work began.
    clock: SystemClock,
}

impl Shrinker<'_> {
    /// The packets under the settings that are needed.
    fn trial(&mut self, packets: &[Step]) -> io::Result<Trial> {
        let settings = self.settings.clone();
        self.trial_under(&settings, packets)
    }

    fn trial_under(&mut self, settings: &Settings, packets: &[Step]) -> io::Result<Trial> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || self.clock.elapsed() > TIME_MAX {
            return Ok(Trial::default());
        }
        if self.depth == Depth::Packets {
            self.bench.load(settings)?;
            return self.bench.settled_trial(packets);
        }
        for _ in 0..TORN_MAX {
            self.bench.reload(settings)?;
            let mut trial = self.bench.trial(packets)?;
            if trial.differences.is_empty() {
                trial.differences = self.bench.compare_counters()?;
            }
            if trial.differences.is_empty() || !trial.is_torn {
                return Ok(trial);
            }
        }
        Ok(Trial::default())
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

    /// Leaves out what a guess says is not needed: of rules whose counters differ all but themselves
    /// and what calls their chains, then families, tables and chains.
    fn drop_most_rules(&mut self, packets: &[Step], differences: &[Difference]) -> io::Result<()> {
        let named: HashSet<&str> = differences.iter().filter_map(counted_rule).collect();
        for family in 0..2 {
            let all = self.settings.rules[family].clone();
            if all.is_empty() {
                continue;
            }
            let mut guesses = vec![String::new()];
            if !named.is_empty() {
                guesses.push(kept_rules(&all, |rule| {
                    named.contains(rule.name.as_str()) || rule.calls
                }));
            }
            for guess in guesses {
                if self.settings.rules[family] == all {
                    let mut fewer = self.settings.clone();
                    fewer.rules[family] = guess;
                    self.keeps(fewer, packets)?;
                }
            }
            let mut places: Vec<(String, String)> = Vec::new();
            for rule in rules_of(&self.settings.rules[family]) {
                let chain = (rule.table.clone(), rule.chain.clone());
                for place in [(rule.table.clone(), String::new()), chain] {
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
            }
            places.sort_by_key(|(_, chain)| !chain.is_empty());
            for (table, chain) in places {
                let goes = |rule: &RuleAt| {
                    rule.table == table && (chain.is_empty() || rule.chain == chain)
                };
                let mut fewer = self.settings.clone();
                fewer.rules[family] = kept_rules(&self.settings.rules[family], |rule| !goes(rule));
                if fewer != self.settings {
                    self.keeps(fewer, packets)?;
                }
            }
            self.drop_rules(family, packets, LARGE)?;
        }
        Ok(())
    }

    /// Leaves out sysctls, then rules one by one.
    fn drop_settings(&mut self, packets: &[Step]) -> io::Result<()> {
        let mut n = 0;
        while n < self.settings.sysctls.len() {
            let mut fewer = self.settings.clone();
            fewer.sysctls.remove(n);
            if !self.keeps(fewer, packets)? {
                n += 1;
            }
        }
        for family in 0..2 {
            let mut fewer = self.settings.clone();
            fewer.rules[family].clear();
            if self.keeps(fewer, packets)? {
                continue;
            }
            self.drop_rules(family, packets, 1)?;
        }
        Ok(())
    }

    /// Leaves out ever smaller pieces of a family's rules, down to `smallest`.
    fn drop_rules(&mut self, family: usize, packets: &[Step], smallest: usize) -> io::Result<()> {
        let mut piece = rule_count(&self.settings, family).div_ceil(2);
        while piece >= smallest {
            let mut at = 0;
            while at < rule_count(&self.settings, family) {
                let fewer = without_rules(&self.settings, family, at..at + piece);
                if !self.keeps(fewer, packets)? {
                    at += piece;
                }
            }
            piece /= 2;
        }
        Ok(())
    }

    /// Whether the packets differ under `fewer` settings too: then those are what is needed.
    fn keeps(&mut self, fewer: Settings, packets: &[Step]) -> io::Result<bool> {
        let differs = !self.trial_under(&fewer, packets)?.differences.is_empty();
        if differs {
            self.settings = fewer;
        }
        Ok(differs)
    }
}

/// Pieces of rules that are left out before any packet is.
const LARGE: usize = 8;

/// A rule of a rule set in iptables-save form.
struct RuleAt {
    table: String,
    chain: String,
    /// As the comparison of counters names it.
    name: String,
    /// It calls another chain.
    calls: bool,
}

/// The rule that a difference of counters is about.
fn counted_rule(difference: &Difference) -> Option<&str> {
    (difference.what == "counter").then_some(())?;
    difference.ours.split(':').next()
}

/// The rules of a text, in its order.
fn rules_of(text: &str) -> Vec<RuleAt> {
    let mut table = String::new();
    let mut chains: Vec<(String, usize)> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
            chains.clear();
        }
        let Some(chain) = line.strip_prefix("-A ").and_then(|rest| rest.split(' ').next()) else {
            continue;
        };
        let at = chains.iter().position(|(name, _)| name == chain);
        let at = at.unwrap_or_else(|| {
            chains.push((chain.to_owned(), 0));
            chains.len() - 1
        });
        chains[at].1 += 1;
        let name = format!("{table} {chain} {}", chains[at].1);
        let mut words = line.split(' ').skip_while(|word| !matches!(*word, "-j" | "-g"));
        let calls = words.nth(1).is_some_and(|to| to.contains('-') || to.contains('_'));
        found.push(RuleAt { table: table.clone(), chain: chain.to_owned(), name, calls });
    }
    found
}

/// A text with those of its rules that `stays` says.
fn kept_rules(text: &str, stays: impl Fn(&RuleAt) -> bool) -> String {
    let mut rules = rules_of(text).into_iter();
    let kept = text
        .lines()
        .filter(|line| !line.starts_with("-A ") || rules.next().is_none_or(|rule| stays(&rule)));
    kept.map(|line| format!("{line}\n")).collect()
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
    fn rules_are_kept_by_name() {
        let rules = "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p 1\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\n\
                     :forward-0 - [0:0]\n-A FORWARD -p 1 -j forward-0\n-A FORWARD -p 2 -j MARK\n\
                     -A forward-0 -p 3\nCOMMIT\n";
        let kept = |wanted: &str| kept_rules(rules, |rule| rule.name == wanted || rule.calls);
        let left = rules.replace("-A OUTPUT -p 1\n", "").replace("-A FORWARD -p 2 -j MARK\n", "");
        assert_eq!(kept("filter forward-0 1"), left);
        assert_eq!(kept_rules(rules, |_| true), rules);
        let difference = Difference {
            what: "counter",
            kernel: "filter FORWARD 2: None".to_owned(),
            ours: "filter FORWARD 2: (0, 0)".to_owned(),
        };
        assert_eq!(counted_rule(&difference), Some("filter FORWARD 2"));
    }

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
