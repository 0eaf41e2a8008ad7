//! A rule of FORWARD for the loopback interface.

use crate::algebra::space::Result;
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::Linted;
use keepstate_conntrack::Hook;
use keepstate_ruleset::packet_set::PacketSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "loopback-forwarded",
    severity: Severity::Note,
    title: "a rule of FORWARD for the loopback interface",
    page: include_str!("loopback_forwarded.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.rules.iter().filter(|rule| rule.chain.hook == Some(Hook::Forward)) {
        for (side, outward) in [("-i", false), ("-o", true)] {
            let Some(option) = rule.words.header(side) else { continue };
            let header = if outward {
                rule.rule.header.out_interface
            } else {
                rule.rule.header.in_interface
            };
            if option.not || option.value() != "lo" {
                continue;
            }
            let Some(header) = header else { continue };
            let expected = Expected::Only(
                PacketSet::Interface(outward, header),
                "packets by lo that are passed on: there are none",
            );
            found.push(
                Finding::new(rule.rule.span, "packets by lo are never passed on")
                    .evidence(
                        "what the host sends to itself leaves by OUTPUT and comes back by INPUT",
                    )
                    .fix(linted.removal(rule, expected)),
            );
        }
    }
    Ok(())
}
