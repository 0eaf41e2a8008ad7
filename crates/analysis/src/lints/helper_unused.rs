//! A helper is assigned, and nothing lets in what it announces.

use crate::algebra::Way;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::refused_somewhere;
use crate::prose::helpers;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "helper-unused",
    severity: Severity::Warning,
    title: "a helper is assigned, and nothing lets in what it announces",
    page: include_str!("helper_unused.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    // What the host says to itself is another matter.
    let related =
        linted.in_states(ct::RELATED)?.and(&linted.outside()?)?.less(&linted.left_by("lo")?)?;
    for rule in linted.with_target(&["CT"]) {
        let Some(option) = rule.words.target_option("--helper") else { continue };
        let Some(helper) = helpers::named(option.value()) else { continue };
        let ways = ways(linted, &rule.matched)?;
        let mut passes = false;
        for name in helper.expects {
            let number = match *name {
                "tcp" => 6,
                "udp" => 17,
                _ => 47,
            };
            // What is announced goes to a port of neither end's choice; GRE has none.
            let mut announced = related.and(&linted.within(Field::Protocol, number, number)?)?;
            if number != 47 {
                announced =
                    announced.and(&linted.within(Field::DestinationPort, 32_768, 65_535)?)?;
            }
            for way in &ways {
                // What an open OUTPUT lets out tells nothing of what comes in.
                passes |= !linted.passed(*way).and(&announced)?.is_empty()
                    && (*way != Way::Out || refused_somewhere(linted, *way)?);
            }
        }
        if passes {
            continue;
        }
        found.push(
            Finding::new(rule.rule.span, format!("the helper {} announces connections that no rule lets in", helper.name))
                .evidence(format!("it announces {} ({}); no RELATED packet of these protocols is accepted where anything is refused", helper.what, helper.expects.join(", ")))
                .help(format!("-m conntrack --ctstate RELATED -m helper --helper {} -j ACCEPT", helper.name)),
        );
    }
    Ok(())
}

/// The ways of what is announced on connections of a set: of those that are accepted, where any are.
fn ways(linted: &Linted<'_>, matched: &Packets) -> Result<Vec<Way>> {
    let new = linted.in_states(ct::NEW)?.and(matched)?;
    let mut ways = Vec::new();
    for way in Way::ALL {
        if !linted.passed(way).and(&new)?.is_empty() {
            ways.push(way);
        }
    }
    let host = ways.iter().any(|way| *way != Way::Through);
    let through = ways.contains(&Way::Through);
    let all = Way::ALL.into_iter();
    Ok(all
        .filter(|way| ways.is_empty() || if *way == Way::Through { through } else { host })
        .collect())
}
