//! A case through the engine and through the kernel.

use super::describe;
use super::markdown::{Case, What};
use crate::compare;
use crate::fuzz::INSIDE;
use crate::kernel::{Config, Kernel};
use crate::model::Model;
use crate::namespace;
use crate::observation::{Fate, Observation, Side};
use keepstate_conntrack::event::{EventKind, Snapshot};
use keepstate_packet::Family;
use std::{io, thread, time::Duration};

/// Longest pause that the kernel is waited for; a case ends for it before a longer one.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What is written and what happened instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Line in the file, from 1.
    pub line: usize,
    /// Who: `engine`, `kernel`, or `comparison` of the two.
    pub who: &'static str,
    /// What is written.
    pub expected: String,
    /// What happened.
    pub found: String,
}

/// Whether the kernel was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    Whole,
    /// Up to this line, where a pause begins that is too long to wait for.
    UpTo(usize),
    /// Not at all, and why.
    Not(String),
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Ran {
    /// All mismatches, in order.
    pub mismatches: Vec<Mismatch>,
    /// Whether the kernel was asked.
    pub kernel: Asked,
    /// The engine's reason codes, in order.
    pub reasons: Vec<&'static str>,
    /// What the engine said of each step, as [`bless`] writes it.
    engine: Vec<Said>,
}

/// What was seen at one step.
#[derive(Clone, Debug)]
enum Said {
    Packet(Box<Observation>),
    Table(Vec<Snapshot>),
    Nothing,
}

impl Said {
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Packet(seen) => vec![describe::observation(seen)],
            Self::Table(connections) => describe::table(connections.clone()),
            Self::Nothing => Vec::new(),
        }
    }
}

/// Runs a case through the engine and, with `kernel`, through the kernel.
///
/// # Errors
/// What is wrong with the rules or the settings, or what fails in asking the kernel.
pub fn run(case: &Case, kernel: bool) -> Result<Ran, String> {
    let packets = packets(case);
    let engine = through_engine(case, &packets)?;
    let (asked, theirs) = match (&case.engine_only, case.local.is_empty()) {
        _ if !kernel => (Asked::Not("no namespace may be made".to_owned()), Vec::new()),
        (Some(reason), _) => (Asked::Not(reason.clone()), Vec::new()),
        (None, false) => (Asked::Not("the host is an end of it".to_owned()), Vec::new()),
        (None, true) => through_kernel(case, &packets).map_err(|error| error.to_string())?,
    };
    let mut mismatches = Vec::new();
    for (n, step) in case.steps.iter().enumerate() {
        let mut check = |who, expected: Vec<String>, found: Vec<String>| {
            if expected != found {
                let (expected, found) = (expected.join("\n"), found.join("\n"));
                mismatches.push(Mismatch { line: step.line, who, expected, found });
            }
        };
        let expected = expected(&step.what);
        check("engine", expected.clone(), engine[n].lines());
        let Some(said) = theirs.get(n) else { continue };
        let bare = expected.iter().map(|e| describe::as_the_kernel_shows(e)).collect();
        check("kernel", bare, said.lines());
        let after_pause =
            n.checked_sub(1).is_some_and(|n| matches!(case.steps[n].what, What::Pause(_)));
        for difference in differences(said, &engine[n], after_pause) {
            let text = |side: &str| vec![format!("{}: {side}", difference.what)];
            check("comparison", text(&difference.kernel), text(&difference.ours));
        }
    }
    let reasons = engine.iter().filter_map(|said| match said {
        Said::Packet(seen) => seen.reason,
        Said::Table(_) | Said::Nothing => None,
    });
    Ok(Ran { mismatches, kernel: asked, reasons: reasons.collect(), engine })
}

fn expected(what: &What) -> Vec<String> {
    match what {
        What::Packet(line) => vec![line.expected.clone()],
        What::Table(lines) => lines.clone(),
        What::Pause(_) => Vec::new(),
    }
}

/// After a pause the events of connections that have expired are left out: each side tells of them
/// when it comes across them.
fn differences(kernel: &Said, engine: &Said, after_pause: bool) -> Vec<compare::Difference> {
    match (kernel, engine) {
        (Said::Packet(kernel), Said::Packet(engine)) => {
            let [kernel, engine] = [kernel, engine].map(|seen| {
                let mut seen = seen.clone();
                if seen.reason.is_some_and(describe::is_of_a_fragment) {
                    seen.fate = Fate::Held;
                }
                seen.out.iter_mut().for_each(|sent| blank_fragment_identification(&mut sent.bytes));
                seen.events.retain(|event| !after_pause || event.kind != EventKind::Destroy);
                seen
            });
            compare::observations(&kernel, &engine)
        }
        (Said::Table(kernel), Said::Table(engine)) => {
            compare::tables(kernel.clone(), engine.clone())
        }
        _ => Vec::new(),
    }
}

/// The kernel draws the identification of IPv6 fragments that it cuts at random.
fn blank_fragment_identification(bytes: &mut [u8]) {
    const FRAGMENT: u8 = 44;
    if bytes.first().is_some_and(|first| first >> 4 == 6)
        && bytes.get(6) == Some(&FRAGMENT)
        && let Some(identification) = bytes.get_mut(44..48)
    {
        identification.fill(0);
    }
}

/// The bytes of the case's packets, from the IP header on, and the side they come in from.
#[must_use]
pub fn packets(case: &Case) -> Vec<(Side, Vec<u8>)> {
    let mut earlier = Vec::new();
    for step in &case.steps {
        if let What::Packet(line) = &step.what {
            let bytes = line.bytes(&earlier);
            earlier.push((line.draft.side, bytes));
        }
    }
    earlier
}

fn family(bytes: &[u8]) -> Family {
    if bytes.first().is_some_and(|first| first >> 4 == 6) { Family::V6 } else { Family::V4 }
}

fn inside() -> Vec<String> {
    INSIDE.map(str::to_owned).to_vec()
}

fn through_engine(case: &Case, packets: &[(Side, Vec<u8>)]) -> Result<Vec<Said>, String> {
    let config = Config { inside: inside(), ..Config::default() };
    let mut model = if case.local.is_empty() {
        Model::new(&config, &case.sysctls, &case.rules)?
    } else {
        Model::endpoint(&config.interfaces[0], &case.local, &case.sysctls, &case.rules)?
    };
    let mut packets = packets.iter();
    let mut said = Vec::new();
    for step in &case.steps {
        said.push(match &step.what {
            What::Packet(_) => match packets.next() {
                Some((side, bytes)) => {
                    Said::Packet(Box::new(model.push(*side, family(bytes), bytes)))
                }
                None => Said::Nothing,
            },
            What::Pause(time) => {
                model.advance(*time);
                model.events();
                Said::Nothing
            }
            What::Table(_) => Said::Table(model.connections()),
        });
    }
    Ok(said)
}

fn through_kernel(case: &Case, packets: &[(Side, Vec<u8>)]) -> io::Result<(Asked, Vec<Said>)> {
    namespace::with(|| {
        let mut kernel = Kernel::new(Config { inside: inside(), ..Config::default() })?;
        for (name, value) in &case.sysctls {
            kernel.set_sysctl(name, value)?;
        }
        for (family, rules) in [Family::V4, Family::V6].into_iter().zip(&case.rules) {
            if !rules.is_empty() {
                kernel.load_rules(family, rules)?;
            }
        }
        let mut packets = packets.iter();
        let mut said = Vec::new();
        for step in &case.steps {
            said.push(match &step.what {
                What::Packet(_) => match packets.next() {
                    Some((side, bytes)) => {
                        Said::Packet(Box::new(kernel.push(*side, family(bytes), bytes)?))
                    }
                    None => Said::Nothing,
                },
                What::Pause(time) if *time > WAIT_MAX => return Ok((Asked::UpTo(step.line), said)),
                What::Pause(time) => {
                    thread::sleep(*time);
                    Said::Nothing
                }
                What::Table(_) => Said::Table(kernel.connections()?),
            });
        }
        Ok((Asked::Whole, said))
    })?
}

/// The text of a file with what the engine does written behind every arrow and in every
/// `conntrack` block, for a person to read before it is committed.
#[must_use]
pub fn bless(text: &str, cases: &[(Case, Ran)]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<String> = Vec::new();
    let steps = cases.iter().flat_map(|(case, ran)| {
        case.steps.iter().zip(&ran.engine).map(move |(step, said)| (case, step, said))
    });
    let packet =
        |line: usize| lines.get(line - 1)?.rsplit_once("->").map(|found| found.0.trim_end());
    let width = |case: &Case| {
        let packets = case.steps.iter().filter_map(|step| packet(step.line));
        packets.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let steps = steps.map(|(case, step, said)| (width(case), step, said));
    let mut next = 0;
    for (width, step, said) in steps {
        let upto = step.line.min(lines.len());
        out.extend(lines[next..upto].iter().map(|line| (*line).to_owned()));
        next = upto;
        match said {
            Said::Packet(_) => {
                if let Some(packet) = packet(step.line) {
                    out.pop();
                    out.push(format!("{packet:width$} -> {}", said.lines().join(" ")));
                }
            }
            Said::Table(_) => {
                out.extend(said.lines());
                next += lines[next..].iter().take_while(|line| !line.starts_with("```")).count();
            }
            Said::Nothing => {}
        }
    }
    out.extend(lines[next..].iter().map(|line| (*line).to_owned()));
    out.join("\n") + "\n"
}
