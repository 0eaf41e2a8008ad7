//! A translating gateway that forwards everything, inwards too.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lints::refused_somewhere;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::verdict::Verdict;

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
    let Some((table, chain, base)) = linted.base(TableName::Filter, Way::Through.hook()) else {
        return Ok(());
    };
    let Some(outer) = linted.with_target(&["MASQUERADE", "SNAT"]).find(|rule| hides(rule)) else {
        return Ok(());
    };
    let name = outer.words.header("-o").map_or("", |option| option.value());
    // A file that filters nothing but says nothing of it either may be loaded beside another.
    let mut listed = linted.chain_rules(table.name, chain).filter(|rule| says_who(rule)).peekable();
    let filters = refused_somewhere(linted, Way::In)?
        || listed.peek().is_some() && !listed.any(|rule| lets_in(rule, name));
    if refused_somewhere(linted, Way::Through)? || !filters {
        return Ok(());
    }
    let inward = linted
        .passed(Way::Through)
        .and(&linted.in_states(ct::NEW)?)?
        .and(&linted.entered_by(name)?)?
        .and(&linted.crossing()?)?;
    let Some(packet) = linted.plainest(&inward)? else { return Ok(()) };
    let opens = linted.accepter(Way::Through, &packet)?;
    let by = opens.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
    let chain = opens.as_ref().and_then(|one| one.rule).map_or(&base.name, |rule| &rule.chain.name);
    let mut rules =
        vec![format!("-A {chain} -i {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")];
    if linted.with_target(&["DNAT"]).any(|rule| rule.table.name == TableName::Nat) {
        // What is forwarded to inner hosts on purpose goes on.
        rules.push(format!("-A {chain} -i {name} -m conntrack --ctstate DNAT -j ACCEPT"));
    }
    rules.push(format!("-A {chain} -i {name} -j DROP"));
    let place = match opens.as_ref().and_then(|one| one.rule) {
        Some(rule) => format!("in the place of {}", rule.line),
        None => format!("at the end of {}", base.name),
    };
    found.push(
        Finding::new(
            linted.place(TableName::Filter, base),
            format!("{} forwards whatever comes, from outside to inside too", base.name),
        )
        .label(outer.rule.span, format!("{name} is the outer side"))
        .decided_by(opens.as_ref(), "lets in what comes from there")
        .evidence(format!(
            "{} is accepted{by}; nothing that is forwarded is refused",
            crate::lint::plain::words(&packet)
        ))
        .help(format!("{place}:\n{}", rules.join("\n"))),
    );
    Ok(())
}

/// Whether a rule accepts some packets of all that are forwarded: by interface, address, port or state.
fn says_who(rule: &Ruled<'_>) -> bool {
    let all = rule.words.header.is_empty() && rule.words.matches.is_empty();
    decision(rule.rule) == Some(Verdict::Accept) && !all
}

/// Whether a rule lets new connections in by an interface on purpose.
fn lets_in(rule: &Ruled<'_>, name: &str) -> bool {
    let by = rule.words.header("-i").is_some_and(|option| !option.not && option.value() == name);
    by && rule.words.states().is_none_or(|states| states.contains(&"NEW"))
}

/// Whether a rule hides what leaves by an interface behind this host's address there.
fn hides(rule: &Ruled<'_>) -> bool {
    let outer = rule.words.header("-o");
    rule.table.name == TableName::Nat
        && outer.is_some_and(|option| !option.not && !option.value().ends_with('+'))
        && rule.words.header("-d").is_none_or(|option| option.not)
        && rule.words.options(&["--src-type"]).next().is_none()
}
