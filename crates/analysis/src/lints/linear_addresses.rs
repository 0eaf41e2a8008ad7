//! Many rules in a row that differ in an address only.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "linear-addresses",
    severity: Severity::Note,
    title: "many rules in a row that differ in an address only",
    page: include_str!("linear_addresses.md"),
    run,
};

/// So many are worth a set.
const RUN_MIN: usize = 50;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut at = 0;
    while let Some(first) = linted.rules.get(at) {
        let mut length = 1;
        for side in ["-s", "-d"] {
            let Some(rest) = without(first, side) else { continue };
            let others = linted.rules.iter().skip(at + 1);
            let alike = |rule: &&Ruled<'_>| {
                rule.at.chain == first.at.chain
                    && rule.table.name == first.table.name
                    && without(rule, side).as_ref() == Some(&rest)
            };
            length = 1 + others.take_while(alike).count();
            if length >= RUN_MIN {
                let last = linted
                    .rules
                    .get(at + length - 1)
                    .map_or(first.rule.span, |rule| rule.rule.span);
                let (name, ends) = ("addresses", if side == "-s" { "src" } else { "dst" });
                found.push(
                    Finding::new(first.rule.span, format!("{length} rules from here on differ in their address only"))
                        .label(last, "to here")
                        .evidence(format!("a packet that fits none of them is compared with all {length}"))
                        .help(format!(
                            "ipset create {name} hash:net; ipset add {name} ADDRESS for each; then one rule: \
                             {}",
                            rest.replace("\0", &format!("-m set --match-set {name} {ends}"))
                        )),
                );
                break;
            }
            length = 1;
        }
        at += length;
    }
    Ok(())
}

/// A rule with a hole where its address is.
fn without(rule: &Ruled<'_>, side: &str) -> Option<String> {
    let option = rule.words.header(side).filter(|option| !option.not)?;
    let old = option.text();
    let text = rule.words.save();
    rule.words.target.as_ref()?;
    Some(text.replacen(&old, "\0", 1))
}
