//! A rule for packets in a state that tracking never gives them.

use crate::algebra::space::{Group, Packets, Result, STATES};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, entering};
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::{Field, PacketSet};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "impossible-state",
    severity: Severity::Warning,
    title: "a rule for packets in a state that they never have",
    page: include_str!("impossible_state.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let every = entering(&linted.space, [linted.ruleset])?;
    let alone = linted.space.untracked_by_themselves()?.or(&linted.untracked()?)?;
    let possible = linted.possible()?.and(&every)?.and(&alone)?;
    let state = Group::Field(Field::State);
    for rule in &linted.rules {
        let Some(states) = rule.words.states() else { continue };
        let tracked = rule.table.name != TableName::Raw;
        let asked = rule.asked.and(&every)?;
        if !tracked || asked.is_empty() || !asked.and(&possible)?.is_empty() {
            continue;
        }
        // The same in whatever state.
        let all = linted.space.forget(&asked, &[state])?.and(&possible)?;
        let have = states_of(linted, &all)?;
        if have.is_empty() {
            continue;
        }
        let expected =
            Expected::Only(PacketSet::of_header(&rule.rule.header), "no packet there is");
        found.push(
            Finding::new(
                rule.rule.span,
                format!("no packet that fits this rule is ever {}", states.join(" or ")),
            )
            .evidence(format!("tracking calls such packets {} and nothing else", or(&have)))
            .help(format!(
                "-m conntrack --ctstate {}, if such packets are meant",
                meant(&have).join(",")
            ))
            .fix(linted.removal(rule, expected)),
        );
    }
    Ok(())
}

/// The states to ask for: INVALID where there is no other.
fn meant(have: &[&'static str]) -> Vec<&'static str> {
    let sound: Vec<&'static str> =
        have.iter().copied().filter(|state| *state != "INVALID").collect();
    if sound.is_empty() { have.to_vec() } else { sound }
}

/// The states that packets of a set have.
fn states_of(linted: &Linted<'_>, packets: &Packets) -> Result<Vec<&'static str>> {
    let mut states = Vec::new();
    for (bit, name) in STATES {
        if !packets.and(&linted.in_states(bit)?)?.is_empty() {
            states.push(name);
        }
    }
    Ok(states)
}

fn or(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}
