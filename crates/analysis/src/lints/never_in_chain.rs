//! A rule that asks for packets that never come to its chain.

use crate::algebra::space::{Packets, Result, STATES};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::lints::lacking;
use crate::rule::words::OptionWords;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::PacketSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "never-in-chain",
    severity: Severity::Warning,
    title: "a rule for packets that never come to its chain",
    page: include_str!("never_in_chain.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let every = linted.space.every();
    for rule in &linted.rules {
        if !rule.matched.is_empty() || rule.asked.and(&every)?.is_empty() {
            continue;
        }
        let entering = linted.entering(rule);
        let wanted = rule.asked.and(&entering)?;
        if entering.is_empty() || !(wanted.is_empty() || lacking(linted, rule, &wanted)?) {
            continue;
        }
        let table = rule.table.name;
        let why = match (table, rule.words.states()) {
            (TableName::Nat, Some(_)) => {
                "table nat is asked for the first packet of a connection only, which is NEW, or RELATED where a \
                 helper announced it"
                    .to_string()
            }
            (TableName::Raw, Some(_)) => {
                "table raw comes before tracking: there every packet looks INVALID, or UNTRACKED where a rule \
                 said so"
                    .to_string()
            }
            _ => missing(linted, rule, &entering)?,
        };
        let mut finding = Finding::new(
            rule.rule.span,
            format!("no packet that comes to {} fits this rule", rule.chain.name),
        )
        .evidence(why)
        .fix(linted.removal(rule, Expected::Nothing));
        let callers = linted.rules.iter().filter(|other| {
            other.table.name == table
                && other.rule.target.chains().iter().any(|(to, _)| *to == rule.at.chain)
        });
        for caller in callers.take(2) {
            finding = finding.label(caller.rule.span, "the chain is entered here");
        }
        found.push(finding);
    }
    Ok(())
}

/// What of all that a rule asks for no packet has that comes to its chain.
fn missing(linted: &Linted<'_>, rule: &Ruled<'_>, entering: &Packets) -> Result<String> {
    let chain = &rule.chain.name;
    if let Some(states) = rule.words.states() {
        let bits = STATES.iter().filter(|(_, name)| states.contains(name));
        let bits = bits.fold(0, |bits, (bit, _)| bits | bit);
        if entering.and(&linted.in_states(bits)?)?.is_empty() {
            return Ok(format!("no packet that comes to {chain} is {}", states.join(" or ")));
        }
    }
    let header = PacketSet::of_header(&rule.rule.header);
    let fits = entering.and(&crate::lint::linted::plain(&linted.space, &header)?)?;
    let said = rule.words.header.iter().map(OptionWords::text).collect::<Vec<_>>().join(" ");
    if rule.words.header("-f").is_some_and(|option| !option.not) && linted.ruleset.needs().tracking
    {
        return Ok(
            "fragments are put together before any rule sees them, for connections are tracked"
                .into(),
        );
    }
    if fits.is_empty() {
        return Ok(format!("no packet that comes to {chain} has all of `{said}`"));
    }
    // It has the addresses and interfaces: what is it like otherwise?
    let mut told = linted.told(&fits)?;
    told.truncate(1);
    let told = told.first().map(|row| row.chars().take(ROW_MAX).collect::<String>());
    Ok(format!("of those with `{said}` there come to {chain}: {}", told.unwrap_or_default()))
}

/// Longest row that is told, in characters.
const ROW_MAX: usize = 200;
