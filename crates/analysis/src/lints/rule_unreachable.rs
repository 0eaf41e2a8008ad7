//! A rule to which nothing comes: rules above it take every packet.

mod advice;

use crate::algebra::Example;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Form, Linted, Ruled, decision, refuses, verdict_word};
use crate::lint::placed::{opposite, verdict};
use crate::lint::plain::{is_between_hosts, words};
use crate::lints::{and, closing, inside, takers};
use advice::{Advice, Asked, TooHigh, advice, refused_behind};
use keepstate_ruleset::verdict::Verdict;

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
        let finding = told_of(linted, rule, (last, alone), &entering)?;
        let wanted = rule.asked.and(&entering)?;
        let sisters = linted.sisters(rule, last, &wanted)?;
        let own = left_by(&sisters, &wanted)?;
        let left = left_by(&sisters, &wanted.and(&last.reached)?)?;
        let inner = inside(linted, last, &linted.rather_named(&left)?)?;
        let beside = opposite(rule, &sisters);
        let asked = Asked {
            rule,
            last,
            wanted: &wanted,
            own: &own,
            inner: inner.as_ref().map(|(inner, _)| *inner),
        };
        let advice = advice(linted, &asked, alone, &beside)?;
        // Who lets in all that a rule is to choose from is the one to look at.
        let wide =
            asked.inner.filter(|inner| decision(inner.rule).is_some_and(|one| !refuses(one)));
        let mut new = Run {
            rules: vec![rule],
            finding,
            deciders: inner.into_iter().collect(),
            beside,
            overtaken: None,
            against: None,
            is_placed: false,
            goes_anyway: false,
            why: None,
            advice: (true, String::new()),
        };
        let wide = wide.map(|wide| only_where(linted, rule, wide)).transpose()?;
        new.advised(advice, wide.as_deref());
        match runs.last_mut() {
            Some(run) if run.goes_on_with(&new) => run.take(new),
            _ => runs.push(new),
        }
    }
    for run in runs {
        found.push(run.told(linted)?);
    }
    Ok(())
}

/// What is said of a rule by itself, and of the one behind which nothing is left.
fn told_of(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    (last, alone): (&Ruled<'_>, bool),
    entering: &Packets,
) -> Result<Finding> {
    let line = linted.line(last.rule.span);
    let above = match alone {
        true => Vec::new(),
        false => takers(linted, last, entering)?,
    };
    let (why, label) = match above.len() {
        0 => (format!("line {line} takes all that is left"), "takes all that is left"),
        _ => {
            (format!("line {line} and rules above it take all"), "behind this one nothing is left")
        }
    };
    let mut finding = Finding::new(rule.rule.span, why).label(last.rule.span, label);
    for other in above.iter().rev().take(OTHERS_MAX) {
        finding = finding.label(other.rule.span, "takes some before");
    }
    finding = finding
        .evidence(format!("of the packets that enter {}, none is left here", rule.chain.name));
    if is_put_above(linted, rule, last) {
        finding = finding.evidence(format!("line {line} puts its rule in above this one (-I)"));
    }
    Ok(finding)
}

/// Where a rule would matter that a chain leaves nothing to, by one rule of it that lets in too much.
fn only_where(linted: &Linted<'_>, rule: &Ruled<'_>, wide: &Ruled<'_>) -> Result<String> {
    let help = format!("it matters only where {} is to let in less", wide.chain.name);
    Ok(match refused_behind(linted, wide)? {
        Some(next) => {
            let (line, chain) = (linted.line(next.rule.span), &rule.chain.name);
            format!("{help} and to leave the rest, which line {line} refuses now, to {chain}")
        }
        None => help,
    })
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
    /// Whether they can go even where the advice is followed.
    goes_anyway: bool,
    /// A place that is too high, and the rule that they would overtake there.
    overtaken: Option<TooHigh<'l, 'a>>,
    /// Who does the opposite with packets of theirs before all is taken, with one of those.
    against: Option<(&'l Ruled<'a>, Example)>,
}

impl<'l, 'a> Run<'l, 'a> {
    /// With its advice, and what is to be told of rules alike. `wide`: where they would matter, were less let in.
    fn advised(&mut self, advice: Advice<'l, 'a>, wide: Option<&str>) {
        match advice {
            Advice::Nothing(why) => {
                self.advice = (true, wide.unwrap_or(&why).to_owned());
                self.finding.help = wide.map(str::to_owned);
                self.why = Some(why);
            }
            Advice::Help(help) => {
                self.advice = (false, help.clone());
                self.finding.help = Some(help);
            }
            Advice::Needless(help) => {
                self.advised(Advice::Help(help), None);
                self.goes_anyway = true;
            }
            Advice::Place(help, place) => {
                self.advised(Advice::Help(help), None);
                self.is_placed = true;
                (self.overtaken, self.against) = *place;
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
        let shows = |one: &Option<TooHigh<'_, '_>>| {
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
        if let Some((place, one)) = &self.overtaken
            && let Some(packet) = &one.packet
        {
            let (line, other) = (linted.line(place.rule.span), linted.line(one.rule.rule.span));
            let fate = decision(one.rule.rule).map_or("decided about", verdict_word);
            let above = match self.rules.iter().any(|own| is_put_above(linted, own, place)) {
                true => format!("in {} above the rule of line {line}", place.chain.name),
                false => format!("above line {line}"),
            };
            finding = finding.evidence(format!(
                "{above} it would get {}, too, which is {fate} by line {other}",
                words(packet)
            ));
        }
        if let Some((other, packet)) = self.against.take() {
            let (fate, refused) = match decision(other.rule) {
                Some(Verdict::Accept) => ("accepted", "accepts what this rule refuses"),
                _ => ("refused", "refuses what this rule accepts"),
            };
            let line = linted.line(other.rule.span);
            finding = finding
                .label(other.rule.span, refused)
                .evidence(format!("{} is {fate} by line {line}", words(&packet)));
        }
        let is_one = self.rules.len() == 1;
        let why = self.why.take();
        finding.evidence.extend(why.map(|why| if is_one { why } else { of_several(&why) }));
        self.finding = finding;
    }

    /// The rules that have to come with them, in words.
    fn with_others(&self, linted: &Linted<'_>) -> String {
        if !self.is_placed || self.beside.is_empty() {
            return String::new();
        }
        let one = self.beside.len() == 1;
        let lines = counted(self.beside.iter().map(|one| linted.line(one.rule.span)).collect());
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
            "; {noun} {lines}, which {does} some of {its} packets, {has} to come with {it} and stand above {it}"
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

    /// Those of the rules that others of them leave nothing to wherever they come, each with the one that does.
    fn needless(&self) -> Result<Vec<(&'l Ruled<'a>, &'l Ruled<'a>)>> {
        let mut all = Vec::new();
        if !self.is_placed || self.rules.len() > ALIKE_MAX {
            return Ok(all);
        }
        for (number, rule) in self.rules.iter().enumerate() {
            for (at, other) in self.rules.iter().enumerate().filter(|(at, _)| *at != number) {
                // Behind it, the other takes its packets only where none between decides otherwise.
                let between = self.rules.get(number..at).unwrap_or_default();
                let is_alike = other.words.target == rule.words.target
                    && between.iter().all(|one| one.words.target == rule.words.target);
                if is_alike
                    && verdict(other).is_some()
                    && !other.is_opaque
                    && rule.asked.is_within(&other.asked)?
                    && (at < number || !other.asked.is_within(&rule.asked)?)
                {
                    all.push((*rule, *other));
                    break;
                }
            }
        }
        Ok(all)
    }

    /// For which of the rules the advice is, in words.
    fn each(&self, linted: &Linted<'_>, help: &str) -> Result<String> {
        // What is put in at one place stands in the order turned round.
        let is_turned = help.contains("-I ");
        if self.rules.len() == 1 || self.advice.0 && !is_turned {
            return Ok(String::new());
        }
        let turned = if is_turned { ", the last one first" } else { "" };
        let needless = self.needless()?;
        let line = |rule: &Ruled<'_>| linted.line(rule.rule.span);
        let but = match needless.as_slice() {
            [] => String::new(),
            [(one, by)] => {
                format!(
                    " but line {}, which asks for nothing that line {} leaves",
                    line(one),
                    line(by)
                )
            }
            many => {
                let lines = counted(many.iter().map(|(one, _)| line(one)).collect());
                format!(" but lines {lines}, which ask for nothing that others of them leave")
            }
        };
        Ok(format!("for each{but}{turned}: "))
    }

    fn told(mut self, linted: &Linted<'_>) -> Result<Finding> {
        self.shown(linted);
        let others = self.with_others(linted);
        let mut finding =
            std::mem::replace(&mut self.finding, Finding::new(Default::default(), ""));
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
            let each = self.each(linted, &help)?;
            let is_of_all = self.rules.len() > 1 && each.is_empty();
            let help = if is_of_all { of_several(&help) } else { help };
            let out = if self.goes_anyway { "in either case" } else { "else" };
            return Ok(finding.help(format!("{each}{help}{others}; {out} take {them} out")));
        }
        let fix = match self.rules.as_slice() {
            [one] => linted.removal(one, Expected::Nothing),
            many => linted.removals(many, Expected::Nothing),
        };
        Ok(finding.fix(fix))
    }
}

/// What is said of one rule, of several.
fn of_several(text: &str) -> String {
    const WORDS: [(&str, &str); 4] = [
        ("it matters only", "they matter only"),
        ("left for it ", "left for them "),
        (" without it", " without them"),
        ("what it asks for", "what they ask for"),
    ];
    WORDS.iter().fold(text.to_owned(), |text, (one, several)| text.replace(one, several))
}

/// Lines, the first of them one by one.
fn counted(lines: Vec<u32>) -> String {
    let mut named: Vec<String> = lines.iter().map(u32::to_string).collect();
    if named.len() > LINES_MAX {
        named.truncate(LINES_MAX - 1);
        named.push(format!("{} more", lines.len() + 1 - LINES_MAX));
    }
    and(&named.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Most rules of a run that are held against each other.
const ALIKE_MAX: usize = 100;

/// Rules that are named beside the one behind which nothing is left.
const OTHERS_MAX: usize = 2;

/// Lines that are named one by one.
const LINES_MAX: usize = 4;

/// Whether a script writes a rule below another which it puts in above it.
fn is_put_above(linted: &Linted<'_>, rule: &Ruled<'_>, other: &Ruled<'_>) -> bool {
    linted.form == Form::Script
        && other.at.chain == rule.at.chain
        && other.at < rule.at
        && other.rule.span.start > rule.rule.span.start
}
