//! Runs scenarios through both, and stops at the first difference of each scenario.

use super::{Area, Coverage, Settings, Step, steps};
use crate::bench::Bench;
use crate::compare::Difference;
use crate::observation::Observation;
use crate::shrink::{self, Depth};
use std::io;

/// Scenarios between two comparisons of the rule counters; divides half of [`super::EPOCH`].
const COUNTED: u64 = 32;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Stop after the scenario that reaches so many packets.
    pub packets: u64,
    /// What scenarios are about.
    pub area: Area,
    /// First scenario.
    pub first: u64,
    /// Run this one only.
    pub only_first: bool,
    /// Stop after so many scenarios that differ.
    pub findings_max: usize,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Scenarios done.
    pub scenarios: u64,
    /// Packets compared.
    pub packets: u64,
    /// Scenarios that differ.
    pub findings: u64,
    /// Scenarios that differed once and never again: the kernel rounds the time left to its ticks,
    /// and a tick fell between two packets.
    pub unrepeated: u64,
}

/// A scenario that differs.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its number.
    pub scenario: u64,
    /// Its settings, as far as they are needed.
    pub settings: Settings,
    /// The packets that are needed, with what both said of each.
    pub steps: Vec<(Step, Option<(Observation, Observation)>)>,
    /// What differs, after the last of them.
    pub differences: Vec<Difference>,
    /// Whether it differed again when it was run again; what does not is shown whole.
    pub repeats: bool,
}

/// The end of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How far it came.
    pub progress: Progress,
    /// What differs, shrunk.
    pub findings: Vec<Finding>,
    /// What differed once, whole.
    pub unrepeated: Vec<Finding>,
    /// What was shown to both.
    pub coverage: Coverage,
    /// Rules that the kernel or its tool refuses and we read, with what was said.
    pub refused: Vec<String>,
}

impl Outcome {
    /// Adds the outcome of another run.
    pub fn add(&mut self, other: Self) {
        self.progress.scenarios += other.progress.scenarios;
        self.progress.packets += other.progress.packets;
        self.progress.findings += other.progress.findings;
        self.progress.unrepeated += other.progress.unrepeated;
        self.findings.extend(other.findings);
        self.unrepeated.extend(other.unrepeated);
        self.refused.extend(other.refused);
        self.coverage.add(&other.coverage);
    }

    fn take(&mut self, finding: Finding) {
        if finding.repeats {
            self.progress.findings += 1;
            self.findings.push(finding);
        } else {
            self.progress.unrepeated += 1;
            self.unrepeated.push(finding);
        }
    }
}

/// Runs a plan in the calling thread's network namespace ([`crate::namespace::with`]).
///
/// # Errors
/// When the kernel refuses what the router needs.
pub fn run(plan: &Plan, mut each: impl FnMut(&Progress)) -> io::Result<Outcome> {
    let mut bench = Bench::new()?;
    let mut outcome = Outcome::default();
    let mut number = plan.first;
    // What was drawn last, and what the kernel took of it.
    let (mut drawn, mut settings) = (None, Settings::default());
    loop {
        let wanted = super::settings(plan.seed, plan.area, number);
        let packets = steps(plan.seed, plan.area, number, &wanted);
        if !drawn.as_ref().is_some_and(|drawn| *drawn == wanted) {
            let (some, refused) = bench.load_what_is_taken(&wanted)?;
            (settings, drawn) = (some, Some(wanted));
            outcome.refused.extend(refused);
        }
        // What rules remember of earlier scenarios would not be there when this one is repeated.
        let afresh = plan.area == Area::Extensions && settings.has_memory();
        if afresh {
            bench.reload(&settings)?
        } else {
            bench.load(&settings)?
        };
        let trial = bench.settled_trial(&packets)?;
        outcome.progress.scenarios += 1;
        outcome.progress.packets += packets.len() as u64;
        if !trial.differences.is_empty() {
            let memory = bench.settings().has_memory();
            let depth = if memory { Depth::Counters } else { Depth::Packets };
            outcome.take(shrink::shrink(&mut bench, number, packets, trial, depth)?);
        } else if afresh || plan.only_first {
            counted(&mut bench, plan, number, number)?
                .into_iter()
                .for_each(|found| outcome.take(found));
        } else if number % COUNTED == COUNTED - 1 {
            counted(&mut bench, plan, number + 1 - COUNTED, number)?
                .into_iter()
                .for_each(|found| outcome.take(found));
        }
        each(&outcome.progress);
        let enough =
            outcome.progress.packets >= plan.packets || outcome.findings.len() >= plan.findings_max;
        if plan.only_first || enough {
            outcome.coverage = bench.into_coverage();
            return Ok(outcome);
        }
        number += 1;
    }
}

/// Compares rule counters; when they differ, finds the scenario of those since `first` that does.
fn counted(bench: &mut Bench, plan: &Plan, first: u64, last: u64) -> io::Result<Option<Finding>> {
    if bench.compare_counters()?.is_empty() {
        return Ok(None);
    }
    let settings = bench.settings().clone();
    bench.reload(&settings)?;
    for number in first..=last {
        let wanted = super::settings(plan.seed, plan.area, number);
        let packets = steps(plan.seed, plan.area, number, &wanted);
        let mut trial = bench.trial(&packets)?;
        if trial.differences.is_empty() {
            trial.differences = bench.compare_counters()?;
        }
        if !trial.differences.is_empty() {
            return shrink::shrink(bench, number, packets, trial, Depth::Counters).map(Some);
        }
    }
    bench.reload(&settings)?;
    Ok(None)
}
