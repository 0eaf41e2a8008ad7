//! A rule to which nothing comes: rules above it take every packet.

use crate::algebra::Example;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, refuses, verdict_word};
use crate::lint::placed::{Overtaken, opposite, verdict};
use crate::lint::plain::{is_between_hosts, words};
use crate::lints::{and, closing, foremost, higher, inside, into, takers};
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
        let sisters = linted.sisters(rule, last, &wanted)?;
        let own = left_by(&sisters, &wanted)?;
        let left = left_by(&sisters, &wanted.and(&last.reached)?)?;
        let inner = inside(linted, last, &left)?;
        let beside = opposite(rule, &sisters);
        let asked = Asked {
            rule,
            wanted: &wanted,
            own: &own,
            inner: inner.as_ref().map(|(inner, _)| *inner),
        };
        let advice = advice(linted, &asked, (last, alone), &beside)?;
        // Who lets in all that a rule is to choose from is the one to look at.
        let wide =
            asked.inner.filter(|inner| decision(inner.rule).is_some_and(|one| !refuses(one)));
        let mut new = Run {
            rules: vec![rule],
            finding,
            deciders: inner.into_iter().collect(),
            beside,
            overtaken: None,
            is_placed: false,
            why: None,
            advice: (true, String::new()),
        };
        new.advised(advice, wide.map(|inner| inner.chain.name.as_str()));
        match runs.last_mut() {
            Some(run) if run.goes_on_with(&new) => run.take(new),
            _ => runs.push(new),
        }
    }
    found.extend(runs.into_iter().map(|run| run.told(linted)));
    Ok(())
}

/// What others leave of packets, were they asked; all where they leave nothing.
fn left_by(others: &[&Ruled<'_>], packets: &Packets) -> Result<Packets> {
    let mut left = packets.clone();
    for other in others {
        left = left.less(&other.asked)?;
    }
    Ok(if left.is_empty() { packets.clone() } else { left })
}

/// Rules one behind the other to which nothing comes for one reason.
struct Run<'l, 'a> {
    rules: Vec<&'l Ruled<'a>>,
    /// What is said of the first; its text is the reason.
    finding: Finding,
    /// Whether higher up they would do nothing either, and what is said of that.
    advice: (bool, String),
    /// What shows that.
    why: Option<String>,
    /// Who decides inside the chain that takes all, each with a packet.
    deciders: Vec<(&'l Ruled<'a>, Example)>,
    /// Rules that have to stand above them wherever they come.
    beside: Vec<&'l Ruled<'a>>,
    /// Whether the advice is another place for them.
    is_placed: bool,
    /// A place that is too high, and the rule that they would overtake there.
    overtaken: Option<(u32, Overtaken<'l, 'a>)>,
}

impl<'l, 'a> Run<'l, 'a> {
    /// With its advice, and what is to be told of rules alike. `wide`: the chain that lets their packets in.
    fn advised(&mut self, advice: Advice<'l, 'a>, wide: Option<&str>) {
        match advice {
            Advice::Nothing(why) => {
                let help = |chain| format!("it matters only where {chain} is to let in less");
                self.advice = (true, wide.map_or_else(|| why.clone(), help));
                self.finding.help = wide.map(help);
                self.why = Some(why);
            }
            Advice::Help(help) => {
                self.advice = (false, help.clone());
                self.finding.help = Some(help);
            }
            Advice::Place(help, overtaken) => {
                self.advised(Advice::Help(help), None);
                (self.is_placed, self.overtaken) = (true, overtaken);
            }
        }
    }

    /// A further rule of the run.
    fn take(&mut self, new: Self) {
        self.rules.extend(new.rules);
        for (rule, packet) in new.deciders {
            match self.deciders.iter_mut().find(|(known, _)| known.rule.span == rule.rule.span) {
                // A packet between two hosts shows it better.
                Some((_, known)) if !is_between_hosts(known) && is_between_hosts(&packet) => {
                    *known = packet;
                }
                Some(_) => {}
                None => self.deciders.push((rule, packet)),
            }
        }
        let shows = |one: &Option<(u32, Overtaken<'_, '_>)>| {
            one.as_ref().is_some_and(|(_, one)| one.packet.is_some())
        };
        if !shows(&self.overtaken) {
            self.overtaken = new.overtaken.or(self.overtaken.take());
        }
        for one in new.beside {
            let is_own = self.rules.iter().any(|own| own.at == one.at);
            if !is_own && self.beside.iter().all(|known| known.at != one.at) {
                self.beside.push(one);
            }
        }
    }

    /// What shows it, and the rules that do.
    fn shown(&mut self, linted: &Linted<'_>) {
        let mut finding =
            std::mem::replace(&mut self.finding, Finding::new(Default::default(), ""));
        for (number, (inner, packet)) in self.deciders.iter().enumerate() {
            let line = linted.line(inner.rule.span);
            let fate = decision(inner.rule).map_or("decided about", verdict_word);
            let them = if number == 0 { "them" } else { "others of them" };
            finding = finding
                .label(inner.rule.span, format!("decides about {them} in {}", inner.chain.name))
                .evidence(format!("{} is {fate} by line {line}", words(packet)));
        }
        if let Some((line, one)) = &self.overtaken
            && let Some(packet) = &one.packet
        {
            let other = linted.line(one.rule.rule.span);
            let fate = decision(one.rule.rule).map_or("decided about", verdict_word);
            finding = finding.evidence(format!(
                "above line {line} it would get {}, too, which is {fate} by line {other}",
                words(packet)
            ));
        }
        finding.evidence.extend(self.why.take());
        self.finding = finding;
    }

    /// The rules that have to come with them, in words.
    fn with_others(&self, linted: &Linted<'_>) -> String {
        if !self.is_placed || self.beside.is_empty() {
            return String::new();
        }
        let mut lines: Vec<String> =
            self.beside.iter().map(|one| linted.line(one.rule.span).to_string()).collect();
        let one = lines.len() == 1;
        if lines.len() > LINES_MAX {
            let more = format!("{} more", lines.len() + 1 - LINES_MAX);
            lines.truncate(LINES_MAX - 1);
            lines.push(more);
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let accepting = self.beside.iter().filter(|one| verdict(one) == Some(Verdict::Accept));
        let does = match (accepting.count(), one) {
            (0, true) => "refuses",
            (0, false) => "refuse",
            (count, true) if count == self.beside.len() => "accepts",
            (count, false) if count == self.beside.len() => "accept",
            _ => "decide about",
        };
        let (noun, has) = if one { ("line", "has") } else { ("lines", "have") };
        let (its, it) = if self.rules.len() == 1 { ("its", "it") } else { ("their", "them") };
        format!(
            "; {noun} {}, which {does} some of {its} packets, {has} to come with {it} and stand above {it}",
            and(&lines)
        )
    }

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

    fn told(mut self, linted: &Linted<'_>) -> Finding {
        self.shown(linted);
        let others = self.with_others(linted);
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
            return finding.help(format!("{each}{help}{others}; else take {them} out"));
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

/// Lines that are named one by one.
const LINES_MAX: usize = 4;

/// What to do about a rule that nothing comes to.
enum Advice<'l, 'a> {
    /// Higher up it would do nothing either.
    Nothing(String),
    Help(String),
    /// Another place for it, and what is said of one that is too high.
    Place(String, Option<(u32, Overtaken<'l, 'a>)>),
}

/// A rule with what it is for.
struct Asked<'s, 'l, 'a> {
    rule: &'l Ruled<'a>,
    /// The packets that it asks for, of those that enter its chain.
    wanted: &'s Packets,
    /// What rules above it, to which nothing comes either, would leave to it.
    own: &'s Packets,
    /// Who decides about the plainest of them inside the chain that takes all.
    inner: Option<&'l Ruled<'a>>,
}

/// What it would do above `last`, which takes all that is left.
fn advice<'l, 'a>(
    linted: &'l Linted<'a>,
    asked: &Asked<'_, 'l, 'a>,
    (last, alone): (&'l Ruled<'a>, bool),
    beside: &[&Ruled<'_>],
) -> Result<Advice<'l, 'a>> {
    let Asked { rule, wanted, inner, .. } = *asked;
    let line = linted.line(last.rule.span);
    let left = wanted.and(&last.reached)?;
    if left.is_empty() && !wanted.is_empty() {
        let takers = foremost(linted, takers(linted, last, wanted)?, wanted)?;
        let first = takers.first().map_or(line, |first| linted.line(first.rule.span));
        let more = if takers.len() > 1 { " and others" } else { "" };
        if let Some(what) = fate(linted, rule, wanted)? {
            let why = format!("what it asks for is {what} by line {first}{more}");
            return Ok(Advice::Nothing(why));
        }
        let mut others = takers;
        others.retain(|taker| decision(taker.rule) != decision(rule.rule));
        others.sort_by_key(|taker| taker.at);
        if others.is_empty() {
            others.push(last);
        }
        for number in 0..others.len() {
            let inner =
                inside(linted, others[number], &linted.taken(others[number])?.and(wanted)?)?;
            others.extend(inner.map(|(inner, _)| inner));
        }
        return placed(linted, asked, &others, beside);
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
        (None, _) => {
            let places: Vec<_> = [last].into_iter().chain(inner).collect();
            return placed(linted, asked, &places, beside);
        }
    })
}

/// Where it would be asked and do no harm: just above one of these rules, the first that will do.
fn placed<'l, 'a>(
    linted: &'l Linted<'a>,
    asked: &Asked<'_, 'l, 'a>,
    places: &[&'l Ruled<'a>],
    beside: &[&Ruled<'_>],
) -> Result<Advice<'l, 'a>> {
    let rule = asked.rule;
    let mut left = linted.real(asked.wanted)?;
    let is_some = !left.is_empty();
    for other in beside {
        left = left.less(&other.asked)?;
    }
    if is_some && left.is_empty() {
        let lines: Vec<_> =
            beside.iter().map(|one| format!("line {}", linted.line(one.rule.span))).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (ask, them) = if lines.len() == 1 { ("asks", "that") } else { ("ask", "those") };
        return Ok(Advice::Help(format!(
            "{} {ask} for all that it asks for, and otherwise: to have it asked, narrow {them}",
            and(&lines)
        )));
    }
    let mut too_high = None;
    for other in places {
        let is_own = other.at.chain == rule.at.chain;
        match linted.overtaken(rule, other, asked.own)? {
            None if is_own || linted.is_for_its_own(rule, other)? => {
                let left = other.reached.and(&rule.asked)?;
                if too_high.is_some()
                    && let Some(what) = fate(linted, rule, &left)?
                {
                    return Ok(Advice::Nothing(format!(
                        "where it takes nothing from other rules, what is left for it is {what} without it"
                    )));
                }
                let place = if is_own { higher(linted, rule, other) } else { into(linted, other) };
                return Ok(Advice::Place(format!("to have it asked, {place}"), too_high));
            }
            None => {}
            Some(one) => {
                too_high = too_high.or(Some((linted.line(other.rule.span), one)));
            }
        }
    }
    let wide = places.last().map_or(0, |last| linted.line(last.rule.span));
    let does = match places.last().and_then(|last| decision(last.rule)) {
        Some(Verdict::Accept) => "let in",
        Some(other) if refuses(other) => "refuse",
        _ => "take",
    };
    Ok(Advice::Help(format!("to have it asked, line {wide} has to {does} less")))
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
