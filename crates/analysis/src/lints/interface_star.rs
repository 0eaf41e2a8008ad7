//! An interface name with `*`: the wildcard is `+`.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "interface-star",
    severity: Severity::Warning,
    title: "an interface name with `*`: the wildcard is `+`",
    page: include_str!("interface_star.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in &linted.rules {
        for side in ["-i", "-o"] {
            let option = rule.words.header(side);
            let Some(option) = option.filter(|option| option.value().contains('*')) else {
                continue;
            };
            let name = option.value();
            let meant = name.replace('*', "+");
            found.push(
                Finding::new(rule.rule.span, format!("`{name}` is an interface whose name has a star in it"))
                    .evidence("iptables compares names byte by byte; only a `+` at the end stands for any ending")
                    .help(format!("`{side} {meant}`, which is another set of packets: no fix is made of it")),
            );
        }
    }
    Ok(())
}
