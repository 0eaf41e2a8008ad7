//! An interface name with a colon: an alias is no interface.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "interface-alias",
    severity: Severity::Warning,
    title: "an interface name with a colon: an alias is no interface",
    page: include_str!("interface_alias.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in &linted.rules {
        let sides = ["-i", "-o"].into_iter().filter_map(|side| rule.words.header(side));
        for option in sides.filter(|option| option.value().contains(':')) {
            let name = option.value();
            let base = name.split(':').next().unwrap_or("");
            let never = if option.not {
                "every packet passes this condition"
            } else {
                "no packet ever does"
            };
            found.push(
                Finding::new(
                    rule.rule.span,
                    format!("packets never come or go by `{name}`: it is a label of an address"),
                )
                .evidence(format!("the kernel's name of the interface is `{base}`: {never}"))
                .help(format!("`{base}`, and the address with -d or -s")),
            );
        }
    }
    Ok(())
}
