//! A rule without which the same would become of every packet.

use crate::algebra::Way;
use crate::algebra::chain::RuleAt;
use crate::algebra::space::{Packets, Result};
use crate::lint::ahead::{Deciders, Lookahead};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, verdict_word};
use crate::lints::refused_somewhere;
use keepstate_ruleset::model::{ChainIndex, TableName};
use keepstate_ruleset::verdict::Verdict;
use std::collections::BTreeSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "rule-redundant",
    severity: Severity::Note,
    title: "a rule without which the same would happen",
    page: include_str!("rule_redundant.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let listed = super::nothing_refused::open_list(linted)?;
    for one in redundant(linted)? {
        let Some(rule) = one.index.and_then(|at| linted.rules.get(at)) else { continue };
        let Some(verdict) = decision(rule.rule) else { continue };
        let in_list = one.ends && rule.table.name == TableName::Filter && listed.contains(&rule.at);
        if in_list || is_meant(linted, rule, verdict, one.ends)? {
            continue;
        }
        found.push(told(linted, rule, verdict, &one)?);
    }
    Ok(())
}

/// Rules that are named as those that do the work as well.
const NAMED_MAX: usize = 3;

/// Says who decides about its packets without it, that one first which has the plainest of them.
fn told(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    verdict: Verdict,
    one: &Redundant,
) -> Result<Finding> {
    let what = verdict_word(verdict);
    let deciders = foremost(linted, rule, &one.deciders)?;
    let below = |at: RuleAt| linted.rule(rule.table.name, at);
    let policy = |at: RuleAt| rule.table.chain(at.chain).filter(|_| below(at).is_none());
    let policies = deciders.iter().filter_map(|at| policy(*at)).count();
    if let Some(other) = whole(linted, rule, &deciders)?.filter(|_| !one.ends) {
        let text = format!(
            "what this rule takes would be {what} by line {} just the same",
            linted.line(other.rule.span)
        );
        let between = match deciders.len() - 1 {
            1 => "by 1 rule between".into(),
            more => format!("by {more} rules between"),
        };
        return Ok(Finding::new(rule.rule.span, text)
            .label(other.rule.span, "asks for all its packets")
            .evidence(format!(
                "every packet that it matches is {what} with it and without it, some of them {between}"
            ))
            .fix(linted.removal(rule, Expected::Nothing)));
    }
    let by = match deciders.as_slice() {
        _ if one.ends => format!("by the policy of {}", rule.chain.name),
        [] => "below".into(),
        [at] => match (below(*at), policy(*at)) {
            (Some(other), _) if other.rule.span == rule.rule.span => {
                "by another rule of this line".into()
            }
            (Some(other), _) => format!("by line {}", linted.line(other.rule.span)),
            (None, chain) => {
                format!("by the policy of {}", chain.map_or("", |chain| chain.name.as_str()))
            }
        },
        many if policies == 0 => format!("by {} rules below", many.len()),
        many if many.len() == policies + 1 => "by a rule below and the policy".into(),
        many => format!("by {} rules below and the policy", many.len() - policies),
    };
    let mut finding = Finding::new(
        rule.rule.span,
        format!("what this rule takes would be {what} {by} just the same"),
    );
    for at in deciders.iter().take(NAMED_MAX) {
        let span = match (below(*at), policy(*at)) {
            (Some(other), _) => other.rule.span,
            (None, Some(chain)) => linted.place(rule.table.name, chain),
            (None, None) => continue,
        };
        let whose = if deciders.len() == 1 { "its packets" } else { "some of its packets" };
        finding = finding.label(span, format!("{whose} would be {what} here"));
    }
    let more = match deciders.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        1 => "; 1 more below decides about some of them".into(),
        more => format!("; {more} more below decide about some of them"),
    };
    Ok(finding
        .evidence(format!("every packet that it matches is {what} with it and without it{more}"))
        .fix(linted.removal(rule, Expected::Nothing)))
}

/// Of several that decide, a rule further down the chain that asks for all its packets: those between take some first.
fn whole<'l, 'a>(
    linted: &'l Linted<'a>,
    rule: &Ruled<'_>,
    deciders: &[RuleAt],
) -> Result<Option<&'l Ruled<'a>>> {
    let last = deciders.iter().map(|at| at.number).max();
    let (Some(last), false) = (last, deciders.len() < 2) else { return Ok(None) };
    if deciders.iter().any(|at| at.chain != rule.at.chain) {
        return Ok(None);
    }
    let at = RuleAt { number: last, ..rule.at };
    let Some(other) = linted.rule(rule.table.name, at) else { return Ok(None) };
    Ok(rule.matched.is_within(&other.asked)?.then_some(other))
}

/// Each of those that decide, of packets that there can be where there are such, and first the one for the plainest.
fn foremost(linted: &Linted<'_>, rule: &Ruled<'_>, all: &Deciders) -> Result<Vec<RuleAt>> {
    let possible = linted.possible()?;
    let mut some = Vec::new();
    for (at, packets) in all {
        if !packets.and(&possible)?.is_empty() {
            some.push((*at, packets));
        }
    }
    if some.is_empty() {
        some = all.iter().map(|(at, packets)| (*at, packets)).collect();
    }
    if let Some(plain) = linted.plainest(&rule.matched)? {
        let values = linted.space.values(&plain);
        some.sort_by_key(|(_, packets)| !linted.space.contains(packets, &values));
    }
    let mut each: Vec<RuleAt> = Vec::new();
    for (at, _) in some {
        if !each.contains(&at) {
            each.push(at);
        }
    }
    Ok(each)
}

/// Whether a rule that changes nothing is one that people write all the same, and rightly: what is said of the
/// loopback interface, of connections that exist and of INVALID packets, which then need not go on, the rule that
/// closes a chain, and those of a chain that refuses nothing, of which there is another finding.
fn is_meant(linted: &Linted<'_>, rule: &Ruled<'_>, verdict: Verdict, ends: bool) -> Result<bool> {
    let lo =
        ["-i", "-o"].iter().any(|side| rule.words.header(side).is_some_and(|o| o.value() == "lo"));
    let states = rule.words.states().unwrap_or_default();
    let closes = rule.at.number as usize + 1 == rule.chain.rules.len() && rule.chain.hook.is_some();
    let mut open = ends && verdict == Verdict::Accept;
    for way in Way::ALL {
        let here = !rule.matched.and(&way.packets(&linted.space)?)?.is_empty();
        open &= !(here && refused_somewhere(linted, way)?);
    }
    let early = states.contains(&"ESTABLISHED") && !states.contains(&"NEW")
        || states.contains(&"INVALID") && crate::lint::linted::refuses(verdict);
    Ok(lo || early || closes || open || ends && linted.policy_is_elsewhere())
}

/// What the rules of a chain ask for from one of them on, grown from the last rule up: but for those that could go,
/// and those that nothing matches.
struct Below {
    from: u32,
    asked: Packets,
    gone: BTreeSet<u32>,
}

impl Below {
    /// Whether no rule below asks for what a rule of a built-in chain takes.
    fn leaves_to_policy(&mut self, linted: &Linted<'_>, rule: &Ruled<'_>) -> Result<bool> {
        if rule.chain.hook.is_none() {
            return Ok(false);
        }
        while self.from > rule.at.number + 1 {
            self.from -= 1;
            let at = RuleAt { number: self.from, ..rule.at };
            let one = linted.rule(rule.table.name, at).filter(|one| {
                let dead = one.matched.is_empty() && !one.reached.is_empty();
                !dead && !self.gone.contains(&self.from)
            });
            if let Some(one) = one {
                self.asked = self.asked.or(&one.asked)?;
            }
        }
        self.gone.insert(rule.at.number);
        Ok(self.asked.and(&rule.matched)?.is_empty())
    }
}

/// A rule that could go, all of them together.
struct Redundant {
    /// Its place among all.
    index: Option<usize>,
    /// Whether the policy alone would do its work.
    ends: bool,
    /// Who does its work without it, where that is found out.
    deciders: Deciders,
}

/// The rules that could go together.
fn redundant(linted: &Linted<'_>) -> Result<Vec<Redundant>> {
    let mut all = Vec::new();
    for table in &linted.ruleset.tables {
        let mut lookahead = Lookahead::new(linted, table);
        for chain in (0..table.chains.len() as u32).map(ChainIndex) {
            let mut behind = lookahead.end(chain)?;
            let mut below = Below {
                from: lookahead.length(chain),
                asked: linted.space.none(),
                gone: BTreeSet::new(),
            };
            for number in (0..lookahead.length(chain)).rev() {
                let at = RuleAt { chain, number };
                let rule = linted.rule(table.name, at);
                let goes = rule.is_some_and(|rule| {
                    rule.is_plain && !rule.is_opaque && !rule.matched.is_empty()
                });
                if let (true, Some(rule)) = (goes, rule)
                    && let Some(verdict) = decision(rule.rule)
                    && rule.matched.is_within(&behind.of(linted, verdict))?
                {
                    lookahead.leave_out(at);
                    let next = RuleAt { number: number + 1, ..at };
                    let deciders = lookahead.deciders(next, &rule.matched)?.unwrap_or_default();
                    let ends = below.leaves_to_policy(linted, rule)?;
                    let index = linted.index(table.name, at);
                    all.push(Redundant { index, ends, deciders });
                }
                behind = lookahead.through(at, &behind)?;
            }
        }
    }
    Ok(all)
}
