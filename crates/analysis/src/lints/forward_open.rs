//! A translating gateway that forwards everything, inwards too.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::refused_somewhere;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "forward-open",
    severity: Severity::Warning,
    title: "a translating gateway that forwards everything, inwards too",
    page: include_str!("forward_open.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if linted.policy_is_elsewhere() {
        return Ok(());
    }
    if refused_somewhere(linted, Way::Through)? || !refused_somewhere(linted, Way::In)? {
        return Ok(());
    }
    let outer = linted.with_target(&["MASQUERADE", "SNAT"]).find(|rule| {
        rule.table.name == TableName::Nat
            && rule
                .words
                .header("-o")
                .is_some_and(|option| !option.not && !option.value().ends_with('+'))
    });
    let Some(outer) = outer else { return Ok(()) };
    let Some((_, _, base)) = linted.base(TableName::Filter, Way::Through.hook()) else {
        return Ok(());
    };
    let name = outer.words.header("-o").map_or("", |option| option.value());
    let inward = linted
        .passed(Way::Through)
        .and(&linted.in_states(ct::NEW)?)?
        .and(&linted.entered_by(name)?)?
        .and(&linted.crossing()?)?;
    let Some(packet) = linted.example(&inward)? else { return Ok(()) };
    found.push(
        Finding::new(base.span, format!("{} forwards whatever comes, from outside to inside too", base.name))
            .label(outer.rule.span, format!("{name} is the outer side"))
            .evidence(format!("{packet} is accepted, as is every packet that is forwarded"))
            .help(format!("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; -A FORWARD -i {name} -j DROP")),
    );
    Ok(())
}
