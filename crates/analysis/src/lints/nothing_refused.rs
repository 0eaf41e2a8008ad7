//! Rules that say what is allowed, and nothing refuses the rest.

use crate::algebra::Way;
use crate::algebra::chain::RuleAt;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, refuses};
use crate::lint::plain::words;
use crate::lints::refused_somewhere;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Jump, Policy, TableName};
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;
use std::collections::BTreeSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "nothing-refused",
    severity: Severity::Warning,
    title: "rules that say what is allowed, and nothing refuses the rest",
    page: include_str!("nothing_refused.md"),
    run,
};

/// So many rules for ports are a list of what is allowed.
const ALLOWED_MIN: usize = 2;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if linted.policy_is_elsewhere() {
        return Ok(());
    }
    let Some((table, chain, base)) = linted.base(TableName::Filter, Way::In.hook()) else {
        return Ok(());
    };
    let rules: Vec<_> = linted.chain_rules(table.name, chain).filter(|rule| allows(rule)).collect();
    let Some(last) = rules.last().filter(|_| rules.len() >= ALLOWED_MIN) else { return Ok(()) };
    let place = linted.place(TableName::Filter, base);
    let help = help(linted, linted.end(table.name, chain), &base.name)?;
    if !refused_somewhere(linted, Way::In)? {
        let text =
            format!("{} rules say what INPUT accepts, and nothing refuses the rest", rules.len());
        found.push(
            Finding::new(place, text)
                .label(last.rule.span, "the last of them")
                .evidence("of the packets for this host none is refused, by no rule of any table and no policy")
                .help(help),
        );
        return Ok(());
    }
    if open_list(linted)?.is_empty() {
        return Ok(());
    }
    // What falls to the policy: new connections from outside.
    let left = linted
        .end(table.name, chain)
        .and(&linted.passed(Way::In))?
        .and(&linted.in_states(ct::NEW)?)?
        .and(&linted.within(Field::Protocol, 6, 6)?)?
        .and(&linted.outside()?)?;
    let Some(packet) = linted.plainest(&left)? else { return Ok(()) };
    let text = format!(
        "{} rules say what INPUT accepts, and it accepts what none of them takes, too",
        rules.len()
    );
    found.push(
        Finding::new(place, text)
            .label(last.rule.span, "the last of them")
            .evidence(format!("{} is accepted by the policy", words(&packet)))
            .evidence("no rule behind them refuses anything that they accept: without them all would be the same")
            .help(help),
    );
    Ok(())
}

/// What has to be accepted before the rest is refused, of what no rule takes, and how that is done.
fn help(linted: &Linted<'_>, left: Packets, name: &str) -> Result<String> {
    let left = left.and(&linted.passed(Way::In))?;
    let mut rules = Vec::new();
    let new = linted.in_states(ct::NEW)?;
    if !left.and(&linted.entered_by("lo")?)?.and(&new)?.is_empty() {
        rules.push(format!("-A {name} -i lo -j ACCEPT"));
    }
    let answers = linted
        .in_states(ct::ESTABLISHED)?
        .and(&linted.within(Field::Protocol, 6, 6)?)?
        .and(&linted.within(Field::DestinationPort, 32_768, 65_535)?)?;
    if !left.and(&answers)?.is_empty() {
        rules.push(format!("-A {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"));
    }
    let neighbours = linted.within(Field::Protocol, 58, 58)?.and(&linted.within(
        Field::Icmp,
        133 << 8,
        136 << 8 | 0xff,
    )?)?;
    if !linted.is_v4() && !left.and(&neighbours)?.is_empty() {
        rules.push(format!(
            "-A {name} -p ipv6-icmp -j ACCEPT (neighbour discovery is among it, without which no IPv6 connection works)"
        ));
    }
    // A rule that accepts all leaves nothing to the policy.
    let refuse = match left.is_empty() {
        true => format!("in the place of the rule that accepts the rest: -A {name} -j DROP"),
        false => format!("a policy of DROP: {}", linted.policy_of_drop(name)),
    };
    Ok(match rules.as_slice() {
        [] => refuse,
        rules => format!(
            "once what else is needed is accepted, {refuse}; before it\n{}",
            rules.join("\n")
        ),
    })
}

/// The rules that list what INPUT accepts, where a refusal of the rest is missing behind them.
pub(super) fn open_list(linted: &Linted<'_>) -> Result<BTreeSet<RuleAt>> {
    let Some((table, chain, base)) = linted.base(TableName::Filter, Way::In.hook()) else {
        return Ok(BTreeSet::new());
    };
    let rules: Vec<_> = linted.chain_rules(table.name, chain).filter(|rule| allows(rule)).collect();
    let closed = base.policy == Some(Policy::Drop) || rules.len() < ALLOWED_MIN;
    if closed || are_exceptions(linted, &rules)? {
        return Ok(BTreeSet::new());
    }
    Ok(rules.into_iter().map(|rule| rule.at).collect())
}

/// Whether a rule accepts connections to ports, as one that an administrator has written: those of libvirt for its
/// networks stand in every INPUT.
fn allows(rule: &Ruled<'_>) -> bool {
    let inner = rule.words.header("-i").is_some_and(|option| option.value().starts_with("virbr"));
    decision(rule.rule) == Some(Verdict::Accept)
        && rule.words.options(&["--dport", "--dports"]).next().is_some()
        && !inner
}

/// Whether rules that accept are exceptions of rules behind them that refuse.
fn are_exceptions(linted: &Linted<'_>, rules: &[&Ruled<'_>]) -> Result<bool> {
    let Some(first) = rules.first() else { return Ok(false) };
    let mut accepted = linted.space.none();
    for rule in linted.chain_rules(first.table.name, first.at.chain) {
        if allows(rule) {
            accepted = accepted.or(&rule.asked)?;
            continue;
        }
        let may_refuse = decision(rule.rule).is_some_and(refuses)
            || matches!(rule.rule.target, Jump::Jump(_) | Jump::Goto(_));
        if may_refuse && !rule.asked.and(&accepted)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
