//! A limit beyond which packets are accepted all the same.

use crate::algebra::chain::RuleAt;
use crate::algebra::space::Result;
use crate::lint::ahead::Lookahead;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use keepstate_ruleset::model::ChainIndex;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "limit-without-effect",
    severity: Severity::Warning,
    title: "a limit beyond which packets are accepted all the same",
    page: include_str!("limit_without_effect.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for_limited(
        linted,
        Verdict::Accept,
        |linted, rule, over, accepted| {
            if over.is_empty() || !over.is_within(accepted)? {
                return Ok(None);
            }
            let packet = linted.example(over)?.unwrap_or_default();
            Ok(Some(
            Finding::new(rule.rule.span, "what is over the limit is accepted below just the same")
                .evidence(format!("{packet} is accepted within the limit by this rule, and over it by what follows"))
                .help("behind it, a rule that drops the same packets"),
        ))
        },
        found,
    )
}

/// What is to be said of a rule: it, the packets that come to it but for its limit, and those that would be accepted
/// behind it.
type Judge = fn(
    &Linted<'_>,
    &Ruled<'_>,
    &crate::algebra::Packets,
    &crate::algebra::Packets,
) -> Result<Option<Finding>>;

/// Rules with a limit that decide so.
pub(super) fn for_limited(
    linted: &Linted<'_>,
    wanted: Verdict,
    judge: Judge,
    found: &mut Vec<Finding>,
) -> Result<()> {
    let limited = |rule: &&Ruled<'_>| {
        let mut own = rule.words.matches.iter();
        let limits = own.any(|one| {
            let upto = one.options.iter().any(|option| option.name == "--hashlimit-upto");
            one.name == "limit" || one.name == "hashlimit" && upto
        });
        limits
            && rule.is_plain
            && decision(rule.rule).is_some_and(|verdict| match wanted {
                Verdict::Accept => verdict == Verdict::Accept,
                _ => crate::lint::linted::refuses(verdict),
            })
    };
    for table in &linted.ruleset.tables {
        let mut lookahead = Lookahead::new(linted, table);
        for chain in (0..table.chains.len() as u32).map(ChainIndex) {
            let rules: Vec<_> = linted.chain_rules(table.name, chain).filter(limited).collect();
            let Some(first) = rules.first() else { continue };
            let mut behind = lookahead.end(chain)?;
            for number in (first.at.number..lookahead.length(chain)).rev() {
                let at = RuleAt { chain, number };
                if let Some(rule) = rules.iter().find(|rule| rule.at == at) {
                    let over = linted.space.widest(&rule.asked)?.and(&rule.reached)?;
                    let accepted = behind.of(linted, Verdict::Accept);
                    found.extend(judge(linted, rule, &over, &accepted)?);
                }
                behind = lookahead.through(at, &behind)?;
            }
        }
    }
    Ok(())
}
