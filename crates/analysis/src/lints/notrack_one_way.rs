//! Only what arrives is left untracked, not the answers.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::untracks;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "notrack-one-way",
    severity: Severity::Note,
    title: "only what arrives is left untracked, not the answers",
    page: include_str!("notrack_one_way.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let all: Vec<_> = linted.rules.iter().filter(|rule| untracks(rule)).collect();
    let leaving = Way::Out.packets(&linted.space)?;
    for rule in &all {
        if !rule.matched.and(&leaving)?.is_empty() {
            return Ok(());
        }
    }
    let through = linted.passed(Way::Through);
    for rule in all {
        // Only what is for a service of this host: of what is passed on both directions come by PREROUTING.
        let service = rule.words.options(&["--dport"]).next().is_some()
            && rule.words.options(&["--sport"]).next().is_none();
        if !service || !rule.matched.and(&through)?.is_empty() {
            continue;
        }
        let here = rule.matched.and(&linted.passed(Way::In))?.and(&linted.outside()?)?;
        let Some(packet) = linted.example(&here)? else { continue };
        let packet = packet.split(", ").next().unwrap_or_default().to_string();
        let answer = match rule.words.protocol() {
            Some(6) => "a SYN-ACK of no connection: INVALID",
            Some(17) => "the first packet of a connection of its own: NEW",
            _ => "to tracking a packet of no connection that it knows: NEW or INVALID",
        };
        found.push(
            Finding::new(rule.rule.span, "what comes in is left untracked, and what the host answers is tracked")
                .evidence(format!("{packet} is UNTRACKED; no rule of raw OUTPUT leaves the answer alone, which is {answer}"))
                .help(format!(
                    "the same in OUTPUT, with addresses and ports the other way round: -t raw -A OUTPUT -p {} --sport {} -j CT --notrack; \
                     what is untracked is accepted by --ctstate UNTRACKED, or by its ports",
                    rule.words.header("-p").map_or("tcp", |option| option.value()),
                    rule.words.options(&["--dport"]).next().map_or("", |option| option.value())
                )),
        );
    }
    Ok(())
}
