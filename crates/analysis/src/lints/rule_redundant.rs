//! A rule without which the same would become of every packet.

use crate::algebra::Way;
use crate::algebra::chain::RuleAt;
use crate::algebra::space::{Packets, Result};
use crate::lint::ahead::Lookahead;
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
    for (at, ends) in redundant(linted)? {
        let Some(rule) = at.and_then(|at| linted.rules.get(at)) else { continue };
        let Some(verdict) = decision(rule.rule) else { continue };
        let in_list = ends && rule.table.name == TableName::Filter && listed.contains(&rule.at);
        if in_list || is_meant(linted, rule, verdict, ends)? {
            continue;
        }
        let what = verdict_word(verdict);
        let text = match ends {
            true => format!(
                "what this rule takes would be {what} by the policy of {} just the same",
                rule.chain.name
            ),
            false => format!("what this rule takes would be {what} below just the same"),
        };
        found.push(
            Finding::new(rule.rule.span, text)
                .evidence(format!("every packet that it matches is {what} with it and without it"))
                .fix(linted.removal(rule, Expected::Nothing)),
        );
    }
    Ok(())
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

/// The rules that could go together, with whether the policy alone would do their work.
fn redundant(linted: &Linted<'_>) -> Result<Vec<(Option<usize>, bool)>> {
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
                    let index = linted.index(table.name, at);
                    all.push((index, below.leaves_to_policy(linted, rule)?));
                }
                behind = lookahead.through(at, &behind)?;
            }
        }
    }
    Ok(all)
}
