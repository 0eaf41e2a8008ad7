//! A finding as text for people: the settings, the packets with both views, what differs, and the
//! command that repeats it.

use super::{Area, Finding, Settings, Step};
use crate::{compare, describe, observation::Observation};
use std::fmt::Write as _;

/// The finding in lines.
#[must_use]
pub fn text(seed: u64, area: Area, finding: &Finding) -> String {
    let mut text = format!("difference in scenario {} of seed {seed}\n", finding.scenario);
    if !finding.repeats {
        text.push_str("  (did not differ when it was run again)\n");
    }
    for (name, value) in &finding.settings.sysctls {
        let _ = writeln!(text, "  sysctl {name}={value}");
    }
    if finding.settings.mtu != Settings::default().mtu {
        let _ = writeln!(text, "  mtu {}", finding.settings.mtu);
    }
    for (name, rules) in ["iptables", "ip6tables"].into_iter().zip(&finding.settings.rules) {
        for line in rules.lines().filter(|line| !line.starts_with(':')) {
            let _ = writeln!(text, "  {name} {line}");
        }
    }
    for (number, (step, seen)) in finding.steps.iter().enumerate() {
        match step {
            Step::Sleep(duration) => {
                let _ = writeln!(text, "  {number:3} sleep {:.1} s", duration.as_secs_f64());
            }
            Step::Forget(tuple) => {
                let _ = writeln!(text, "  {number:3} forget {}", compare::tuple(tuple));
            }
            Step::Packet { side, bytes } => {
                let _ = writeln!(text, "  {number:3} {}", describe::packet(*side, bytes));
                let _ = writeln!(text, "      bytes  {}", compare::hex(bytes));
            }
        }
        if let Some((kernel, ours)) = seen {
            let _ = writeln!(text, "      kernel {}", view(kernel));
            let _ = writeln!(text, "      ours   {}", view(ours));
        }
    }
    for difference in &finding.differences {
        let _ = writeln!(text, "  {} differs:", difference.what);
        let _ = writeln!(text, "      kernel {}", difference.kernel);
        let _ = writeln!(text, "      ours   {}", difference.ours);
    }
    let _ = writeln!(
        text,
        "repeat: keepstate verify --fuzz --seed {seed} --only {} --scenario {}",
        area.name(),
        finding.scenario
    );
    text
}

/// An observation in one line.
#[must_use]
pub fn view(seen: &Observation) -> String {
    let state = seen.state.map_or("-".to_owned(), |state| format!("{state:?}").to_uppercase());
    let direction = seen.direction.map_or(String::new(), |d| format!(" {d:?}"));
    let mut text = format!("{:?} {state}{direction}", seen.fate);
    if let Some(reason) = seen.reason {
        let _ = write!(text, " ({reason})");
    }
    for event in &seen.events {
        let _ = write!(text, " [{:?}] {}", event.kind, compare::connection(&event.snapshot));
    }
    if !seen.generated.is_empty() {
        let _ = write!(text, " answers {}", seen.generated.len());
    }
    text
}
