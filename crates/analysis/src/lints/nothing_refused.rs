//! Rules that say what is allowed, and nothing refuses the rest.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lints::refused_somewhere;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "nothing-refused",
    severity: Severity::Warning,
    title: "rules that say what is allowed, and nothing refuses the rest",
    page: include_str!("nothing_refused.md"),
    run,
};

/// So many rules for ports are a list of what is allowed.
const ALLOWED_MIN: usize = 2;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if linted.policy_is_elsewhere() {
        return Ok(());
    }
    let Some((table, chain, base)) = linted.base(TableName::Filter, Way::In.hook()) else {
        return Ok(());
    };
    if refused_somewhere(linted, Way::In)? {
        return Ok(());
    }
    let allows = |rule: &&Ruled<'_>| {
        decision(rule.rule) == Some(Verdict::Accept)
            && rule.words.options(&["--dport", "--dports"]).next().is_some()
    };
    let rules: Vec<_> = linted.chain_rules(table.name, chain).filter(allows).collect();
    if rules.len() < ALLOWED_MIN {
        return Ok(());
    }
    let Some(last) = rules.last() else { return Ok(()) };
    found.push(
        Finding::new(base.span, format!("{} rules say what INPUT accepts, and nothing refuses the rest", rules.len()))
            .label(last.rule.span, "the last of them")
            .evidence("of the packets for this host none is refused, by no rule of any table and no policy")
            .help("a policy of DROP (:INPUT DROP), once everything that is needed is accepted; established connections and lo among it"),
    );
    Ok(())
}
