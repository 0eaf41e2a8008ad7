//! A rule to which nothing comes: rules above it take every packet.

use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, refusal, refuses, verdict_word};
use crate::lints::{closing, foremost, higher, inside, takers};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::verdict::{Step, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "rule-unreachable",
    severity: Severity::Warning,
    title: "a rule that no packet comes to",
    page: include_str!("rule_unreachable.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let every = linted.space.every();
    let mut runs: Vec<Run<'_, '_>> = Vec::new();
    for rule in &linted.rules {
        if !rule.reached.is_empty() || rule.asked.and(&every)?.is_empty() {
            continue;
        }
        let entering = linted.entering(rule);
        if entering.is_empty() {
            continue;
        }
        let Some((last, alone)) = closing(linted, rule)? else { continue };
        // The same again, right where the first has taken all: that is said of the double.
        if alone && last.line == rule.line {
            continue;
        }
        let line = linted.line(last.rule.span);
        let above = match alone {
            true => Vec::new(),
            false => takers(linted, last, &entering)?,
        };
        let (why, label) = match above.len() {
            0 => (format!("line {line} takes all that is left"), "takes all that is left"),
            _ => (
                format!("line {line} and rules above it take all"),
                "behind this one nothing is left",
            ),
        };
        let mut finding = Finding::new(rule.rule.span, why).label(last.rule.span, label);
        for other in above.iter().rev().take(OTHERS_MAX) {
            finding = finding.label(other.rule.span, "takes some before");
        }
        finding = finding
            .evidence(format!("of the packets that enter {}, none is left here", rule.chain.name));
        let wanted = rule.asked.and(&entering)?;
        let inner = inside(linted, last, &wanted.and(&last.reached)?)?;
        if let Some((inner, packet)) = &inner {
            let line = linted.line(inner.rule.span);
            let fate = decision(inner.rule).map_or("decided about", verdict_word);
            finding = finding
                .label(inner.rule.span, format!("decides about them in {}", inner.chain.name))
                .evidence(format!("{packet} is {fate} by line {line}"));
        }
        let advice = advice(linted, rule, (last, alone), &wanted)?;
        // Who lets in all that a rule is to choose from is the one to look at.
        let wide = inner.as_ref().and_then(|(inner, _)| {
            let accepts = decision(inner.rule).is_some_and(|one| !refuses(one));
            accepts.then_some(inner.chain.name.as_str())
        });
        let (finding, advice) = advised(finding, advice, wide);
        let new = Run { rules: vec![rule], finding, advice };
        match runs.last_mut() {
            Some(run) if run.goes_on_with(&new) => run.rules.push(rule),
            _ => runs.push(new),
        }
    }
    found.extend(runs.into_iter().map(|run| run.told(linted)));
    Ok(())
}

/// The finding with its advice, and what is to be told of rules alike. `wide`: the chain that lets their packets in.
fn advised(finding: Finding, advice: Advice, wide: Option<&str>) -> (Finding, (bool, String)) {
    match (advice, wide) {
        (Advice::Nothing(why), None) => (finding.evidence(why.clone()), (true, why)),
        (Advice::Nothing(why), Some(chain)) => {
            let help = format!("it matters only where {chain} is to let in less");
            (finding.evidence(why).help(help.clone()), (true, help))
        }
        (Advice::Help(help), _) => (finding.help(help.clone()), (false, help)),
    }
}

/// Rules one behind the other to which nothing comes for one reason.
struct Run<'l, 'a> {
    rules: Vec<&'l Ruled<'a>>,
    /// What is said of the first; its text is the reason.
    finding: Finding,
    /// Whether higher up they would do nothing either, and what is said of that.
    advice: (bool, String),
}

impl Run<'_, '_> {
    fn goes_on_with(&self, next: &Self) -> bool {
        let behind = match (self.rules.last(), next.rules.first()) {
            (Some(last), Some(next)) => {
                last.table.name == next.table.name
                    && last.at.chain == next.at.chain
                    && last.at.number + 1 == next.at.number
            }
            _ => false,
        };
        behind && self.finding.text == next.finding.text && self.advice == next.advice
    }

    fn told(self, linted: &Linted<'_>) -> Finding {
        let mut finding = self.finding;
        let (these, them) = match self.rules.len() {
            1 => ("this rule".into(), "it"),
            many => (format!("these {many} rules"), "them"),
        };
        finding.text = format!("no packet comes to {these}: {}", finding.text);
        for other in self.rules.iter().skip(1) {
            finding = finding.label(other.rule.span, "nor to this one");
        }
        // One that would do otherwise is there for something: it is not to be lost.
        if let Some(help) = finding.help.take() {
            // What is put in at one place stands in the order turned round.
            let each = match self.rules.len() {
                1 => "",
                _ if help.contains("-I ") => "for each, the last one first: ",
                _ if self.advice.0 => "",
                _ => "for each: ",
            };
            return finding.help(format!("{each}{help}; else take {them} out"));
        }
        let fix = match self.rules.as_slice() {
            [one] => linted.removal(one, Expected::Nothing),
            many => linted.removals(many, Expected::Nothing),
        };
        finding.fix(fix)
    }
}

/// Rules that are named beside the one behind which nothing is left.
const OTHERS_MAX: usize = 2;

/// What to do about a rule that nothing comes to.
enum Advice {
    /// Higher up it would do nothing either.
    Nothing(String),
    Help(String),
}

/// What it would do above `last`, which takes all that is left.
fn advice(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    (last, alone): (&Ruled<'_>, bool),
    wanted: &Packets,
) -> Result<Advice> {
    let line = linted.line(last.rule.span);
    let left = wanted.and(&last.reached)?;
    if left.is_empty() && !wanted.is_empty() {
        let takers = foremost(linted, takers(linted, last, wanted)?, wanted)?;
        let first = takers.first().map_or(line, |first| linted.line(first.rule.span));
        let more = if takers.len() > 1 { " and others" } else { "" };
        let others = takers.iter().filter(|taker| decision(taker.rule) != decision(rule.rule));
        let other = others.min_by_key(|taker| taker.at).map_or(last, |taker| taker);
        return Ok(match fate(linted, rule, wanted)? {
            Some(what) => {
                Advice::Nothing(format!("what it asks for is {what} by line {first}{more}"))
            }
            None => Advice::Help(format!("to have it asked, {}", higher(linted, rule, other))),
        });
    }
    let returns = |rule: &Ruled<'_>| matches!(rule.rule.target, Jump::Standard(Step::Return));
    if returns(rule) && returns(last) {
        let why = format!("line {line} sends its packets back to where the chain was called");
        return Ok(Advice::Nothing(why));
    }
    let all = last.reached.is_within(&rule.asked)?;
    let refused = decision(last.rule).is_some_and(refuses);
    let refusing = verdict(rule).is_some_and(refuses);
    Ok(match (fate(linted, rule, &left)?, refusing) {
        (Some(what), _) if decision(last.rule).is_some() => {
            Advice::Nothing(format!("what would be left for it is {what} by line {line}"))
        }
        (Some(what), _) => {
            Advice::Nothing(format!("what would be left for it is {what} without it"))
        }
        (None, true) if all && refused => {
            Advice::Nothing(format!("what it asks for is refused by line {line}"))
        }
        // Above, it would refuse all that the others are there for.
        (None, true) if all && alone => {
            Advice::Help(format!("where it was meant to refuse the rest, narrow line {line}"))
        }
        (None, true) if all => Advice::Help(
            "where it was meant to refuse the rest, narrow the rules that take all".into(),
        ),
        (None, _) => Advice::Help(format!("to have it asked, {}", higher(linted, rule, last))),
    })
}

/// What becomes of packets, in a word, where it is what a rule says.
fn fate(linted: &Linted<'_>, rule: &Ruled<'_>, packets: &Packets) -> Result<Option<&'static str>> {
    let Some(verdict) = verdict(rule) else { return Ok(None) };
    let alike = linted.with_verdict(rule.table, verdict)?;
    // Nobody lets in packets for their being INVALID.
    let counts = match refuses(verdict) {
        true => packets.clone(),
        false => packets.less(&linted.in_states(ct::INVALID | ct::UNTRACKED)?)?,
    };
    if counts.is_empty() || !counts.is_within(&alike)? {
        return Ok(None);
    }
    Ok(Some(match packets.is_within(&alike)? {
        true => verdict_word(verdict),
        false => "accepted, unless INVALID or untracked,",
    }))
}

/// What a rule does with its packets: of one that leads into a chain which refuses all, that.
fn verdict(rule: &Ruled<'_>) -> Option<Verdict> {
    let by_chain = match rule.rule.target {
        Jump::Jump(chain) | Jump::Goto(chain) => refusal(rule.table, chain),
        _ => None,
    };
    decision(rule.rule).or(by_chain)
}
