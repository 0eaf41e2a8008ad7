//! IPv4 is filtered, IPv6 is not.

use crate::algebra::space::Result;
use crate::algebra::space::Space;
use crate::algebra::way::{self, Way};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::refused_somewhere;
use keepstate_ruleset::model::{Ruleset, TableName};

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
        if refused_somewhere(linted, way)? || !refuses(four, way)? {
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
                base.span,
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

/// Whether rules refuse packets on a way.
fn refuses(ruleset: &Ruleset, way: Way) -> Result<bool> {
    let mut space = Space::new(ruleset.family, [ruleset])?;
    let every = space.every();
    let passed = way::follow(&mut space, ruleset, way, &every)?.passed;
    Ok(!way.packets(&space)?.less(&passed)?.is_empty())
}
