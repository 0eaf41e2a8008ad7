//! IPv4 is filtered, IPv6 is not.

use crate::algebra::space::Result;
use crate::algebra::way::Way;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, decision, refuses};
use crate::lints::refused_somewhere;
use keepstate_ruleset::model::{HeaderMatch, Policy, Rule, Ruleset, TableName};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "ipv6-open",
    severity: Severity::Warning,
    title: "IPv4 is filtered, IPv6 is not",
    page: include_str!("ipv6_open.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let Some(four) = linted.beside.filter(|_| !linted.is_v4()) else { return Ok(()) };
    for way in [Way::In, Way::Through] {
        if linted.policy_is_elsewhere() || refused_somewhere(linted, way)? || !is_closed(four, way)
        {
            continue;
        }
        let Some((_, _, base)) = linted.base(TableName::Filter, way.hook()) else {
            found.push(
                Finding::new(
                    Default::default(),
                    "IPv4 is filtered, and there are no rules for IPv6",
                )
                .evidence("the rules of IPv4 refuse packets; for IPv6 there is no table filter"),
            );
            break;
        };
        found.push(
            Finding::new(
                linted.place(TableName::Filter, base),
                format!(
                    "{} refuses nothing over IPv6, while the rules of IPv4 refuse packets there",
                    base.name
                ),
            )
            .evidence("no IPv6 packet that goes this way is refused, whatever it is")
            .help("the same rules for both families: ip6tables, with ICMPv6 let in"),
        );
    }
    Ok(())
}

/// Whether rules refuse what they do not name: by the policy, or by a rule for all packets.
fn is_closed(ruleset: &Ruleset, way: Way) -> bool {
    let Some(table) = ruleset.table(TableName::Filter) else { return false };
    let base = table.builtin(way.hook()).and_then(|index| table.chain(index));
    let all = |rule: &Rule| {
        rule.header == HeaderMatch::default()
            && rule.matches.is_empty()
            && decision(rule).is_some_and(refuses)
    };
    base.is_some_and(|base| base.policy == Some(Policy::Drop) || base.rules.iter().any(all))
}
