//! ICMP of the other family.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "icmp-of-other-family",
    severity: Severity::Warning,
    title: "a rule for ICMP of the other family",
    page: include_str!("icmp_of_other_family.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let (foreign, foreign_name, own, family) = match linted.is_v4() {
        true => (58, "ICMPv6", "icmp", "IPv4"),
        false => (1, "the ICMP of IPv4", "ipv6-icmp", "IPv6"),
    };
    for rule in &linted.rules {
        let asks = rule.words.header("-p").is_some_and(|option| !option.not);
        if !asks || rule.words.protocol() != Some(foreign) || rule.matched.is_empty() {
            continue;
        }
        found.push(
            Finding::new(
                rule.rule.span,
                format!("protocol {foreign} is {foreign_name}, which nobody sends over {family}"),
            )
            .evidence(format!("the rule as it is loaded: {}", rule.words.save()))
            .help(format!("-p {own}, if the ICMP of {family} is meant")),
        );
    }
    Ok(())
}
