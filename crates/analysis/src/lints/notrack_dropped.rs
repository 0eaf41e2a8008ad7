//! Packets are left untracked, and then refused, all of them.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::untracks;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "notrack-dropped",
    severity: Severity::Warning,
    title: "packets are left untracked, and then refused, all of them",
    page: include_str!("notrack_dropped.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut passed = linted.space.none();
    for outcome in &linted.outcomes {
        passed = passed.or(&outcome.passed)?;
    }
    for rule in linted.rules.iter().filter(|rule| untracks(rule)) {
        if rule.matched.is_empty() || !rule.matched.and(&passed)?.is_empty() {
            continue;
        }
        let Some(example) = linted.plainest(&rule.matched)? else { continue };
        let way = match (&example.in_interface, &example.out_interface) {
            (Some(_), Some(_)) => Way::Through,
            (None, Some(_)) => Way::Out,
            _ => Way::In,
        };
        let refuser = linted.refuser(way, &example)?;
        let by = refuser.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
        let packet = crate::lint::plain::words(&example);
        let packet = packet.split(", ").next().unwrap_or_default();
        found.push(
            Finding::new(rule.rule.span, "what this rule leaves untracked is refused afterwards, all of it")
                .decided_by(refuser.as_ref(), "refuses it")
                .evidence(format!("{packet}, UNTRACKED, is refused{by}"))
                .help("a rule in filter: -m conntrack --ctstate UNTRACKED -j ACCEPT, with the ports that are meant"),
        );
    }
    Ok(())
}
