//! A Markdown file to its cases.

use super::packet::{self, Line};
use std::time::Duration;

/// What a paragraph begins with that keeps the kernel out of a case, and says why.
const ENGINE_ONLY: &str = "Engine only:";

/// A case: one heading of the second level and what stands below it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Its heading.
    pub title: String,
    /// Line of the heading, from 1.
    pub line: usize,
    /// Sysctls of conntrack, name and value.
    pub sysctls: Vec<(String, String)>,
    /// Rule sets of IPv4 and IPv6, iptables-save form; empty for none.
    pub rules: [String; 2],
    /// Addresses of the host, when it is an end of the conversation and no router.
    pub local: Vec<String>,
    /// Why the kernel is not asked.
    pub engine_only: Option<String>,
    /// In order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: usize,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum What {
    /// A packet comes in.
    Packet(Box<Line>),
    /// Time passes.
    Pause(Duration),
    /// The connection table is looked at: its lines in order, blank ones left out.
    Table(Vec<String>),
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// What.
    pub text: String,
}

/// The cases of a file.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Case>, Fault> {
    let mut cases: Vec<Case> = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            cases.push(Case { title: title.to_owned(), line: number, ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(reason) = line.strip_prefix(ENGINE_ONLY) {
            case.engine_only = Some(reason.trim().to_owned());
        }
        if let Some(kind) = line.strip_prefix("```") {
            let block: Vec<(usize, &str)> =
                lines.by_ref().take_while(|(_, line)| !line.starts_with("```")).collect();
            add(case, kind.trim(), number, &block)?;
        }
    }
    Ok(cases)
}

fn add(case: &mut Case, kind: &str, line: usize, block: &[(usize, &str)]) -> Result<(), Fault> {
    let text = || block.iter().map(|(_, line)| format!("{line}\n")).collect::<String>();
    let filled = || block.iter().filter(|(_, line)| !line.trim().is_empty());
    match kind {
        "rules" => case.rules[0] = text(),
        "rules6" => case.rules[1] = text(),
        "local" => case.local.extend(filled().map(|(_, line)| line.trim().to_owned())),
        "sysctl" => {
            for (line, text) in filled() {
                let (name, value) = text
                    .split_once('=')
                    .ok_or_else(|| Fault { line: *line, text: "want NAME=VALUE".to_owned() })?;
                case.sysctls.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        "conntrack" => {
            let lines = filled().map(|(_, line)| line.trim().to_owned()).collect();
            case.steps.push(Step { line, what: What::Table(lines) });
        }
        "packets" => {
            for (line, text) in filled() {
                let what = step(text, &case.steps).map_err(|text| Fault { line: *line, text })?;
                case.steps.push(Step { line: *line, what });
            }
        }
        other => return Err(Fault { line, text: format!("`{other}`: not a kind of block") }),
    }
    Ok(())
}

fn step(text: &str, before: &[Step]) -> Result<What, String> {
    if let Some(time) = text.trim().strip_prefix('+') {
        return duration(time).map(What::Pause).ok_or_else(|| format!("{time}: not a duration"));
    }
    let count = before.iter().filter(|step| matches!(step.what, What::Packet(_))).count();
    packet::parse(text, count).map(|line| What::Packet(Box::new(line)))
}

fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u32 = number.parse().ok()?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
        _ => return None,
    };
    unit.checked_mul(number)
}
