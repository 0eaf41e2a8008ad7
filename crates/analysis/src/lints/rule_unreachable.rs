//! A rule to which nothing comes: rules above it take every packet.

use crate::algebra::Example;
use crate::algebra::chain::RuleAt;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Form, Linted, Ruled, decision, refuses, verdict_word};
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
            format!("{help} and to leave the rest to {chain} (line {line} refuses it)")
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

/// A place for a rule, just above another, and the rule that it would overtake there.
type TooHigh<'l, 'a> = (&'l Ruled<'a>, Overtaken<'l, 'a>);

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
        finding.evidence.extend(self.why.take());
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

/// What to do about a rule that nothing comes to.
enum Advice<'l, 'a> {
    /// Higher up it would do nothing either.
    Nothing(String),
    Help(String),
    /// The same, but followed, the rule does nothing either.
    Needless(String),
    /// Another place for it, with what shows why.
    Place(String, Box<Shown<'l, 'a>>),
}

/// What is said of a place that is too high, and who does the opposite just below the one that is not.
type Shown<'l, 'a> = (Option<TooHigh<'l, 'a>>, Option<(&'l Ruled<'a>, Example)>);

/// A rule with what it is for.
struct Asked<'s, 'l, 'a> {
    rule: &'l Ruled<'a>,
    /// The rule above it behind which nothing is left.
    last: &'l Ruled<'a>,
    /// The packets that it asks for, of those that enter its chain.
    wanted: &'s Packets,
    /// What rules above it, to which nothing comes either, would leave to it.
    own: &'s Packets,
    /// Who decides about the plainest of them inside the chain that takes all.
    inner: Option<&'l Ruled<'a>>,
}

/// What it would do above the one that takes all that is left.
fn advice<'l, 'a>(
    linted: &'l Linted<'a>,
    asked: &Asked<'_, 'l, 'a>,
    alone: bool,
    beside: &[&Ruled<'_>],
) -> Result<Advice<'l, 'a>> {
    let Asked { rule, last, wanted, inner, .. } = *asked;
    let line = linted.line(last.rule.span);
    if wanted.is_empty() {
        return strange(linted, asked);
    }
    let left = wanted.and(&last.reached)?;
    if left.is_empty() {
        return decided_above(linted, asked, beside);
    }
    let returns = |rule: &Ruled<'_>| matches!(rule.rule.target, Jump::Standard(Step::Return));
    if returns(rule) && returns(last) {
        let why = format!("line {line} sends its packets back to where the chain was called");
        return Ok(Advice::Nothing(why));
    }
    let all = last.reached.is_within(&rule.asked)?;
    let refused = decision(last.rule).is_some_and(refuses);
    let refusing = verdict(rule).is_some_and(refuses);
    let fate = fate(linted, rule, &left)?;
    // A refusal of all the rest is not there for what rules above open.
    if fate.is_some() && !all {
        let others = against(linted, asked)?;
        if !others.is_empty() {
            return placed(linted, asked, &others, beside);
        }
    }
    Ok(match (fate, refusing) {
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
        (None, true) if all && alone => narrowed(linted, asked)?,
        (None, true) if all => Advice::Help(
            "where it was meant to refuse the rest, narrow the rules that take all".into(),
        ),
        (None, _) => {
            let places: Vec<_> = [last].into_iter().chain(inner).collect();
            return placed(linted, asked, &places, beside);
        }
    })
}

/// The same, where nothing that enters its chain is what it asks for.
fn strange<'l, 'a>(linted: &Linted<'a>, asked: &Asked<'_, 'l, 'a>) -> Result<Advice<'l, 'a>> {
    let (rule, chain) = (asked.rule, &asked.rule.chain.name);
    if fate(linted, rule, &linted.real(&rule.asked)?)?.is_some() {
        return Ok(Advice::Nothing(format!("nothing that enters {chain} is what it asks for")));
    }
    let line = linted.line(asked.last.rule.span);
    Ok(Advice::Help(format!(
        "nothing that enters {chain} is what it asks for: for it to be asked, such packets have to come there, and it \
         has to stand above line {line}"
    )))
}

/// The same, where rules above have taken all that it asks for.
fn decided_above<'l, 'a>(
    linted: &'l Linted<'a>,
    asked: &Asked<'_, 'l, 'a>,
    beside: &[&Ruled<'_>],
) -> Result<Advice<'l, 'a>> {
    let Asked { rule, last, wanted, .. } = *asked;
    let takers = foremost(linted, takers(linted, last, wanted)?, wanted)?;
    let first = takers.first().map_or(last, |first| *first);
    let line = linted.line(first.rule.span);
    let more = if takers.len() > 1 { " and others" } else { "" };
    if let Some(what) = fate(linted, rule, wanted)? {
        return Ok(Advice::Nothing(format!("what it asks for is {what} by line {line}{more}")));
    }
    let own = decision(rule.rule);
    // Some of it may be decided about before that one, but that is above both.
    if let ([first], Some(what)) = (takers.as_slice(), own)
        && decision(first.rule) == own
        && against(linted, asked)?.is_empty()
    {
        let what = verdict_word(what);
        return Ok(Advice::Nothing(format!(
            "what it asks for is {what} by line {line}, as far as it comes there"
        )));
    }
    let mut others = takers;
    others.retain(|taker| decision(taker.rule) != own);
    others.sort_by_key(|taker| taker.at);
    if others.is_empty() {
        others = against(linted, asked)?;
    }
    if others.is_empty() {
        others.push(last);
    }
    for number in 0..others.len() {
        let inner = inside(linted, others[number], &linted.taken(others[number])?.and(wanted)?)?;
        others.extend(inner.map(|(inner, _)| inner));
    }
    placed(linted, asked, &others, beside)
}

/// The rules above that do the opposite with packets which a rule asks for and which begin something, in their order;
/// none where the rule is there for what others leave.
fn against<'l, 'a>(
    linted: &'l Linted<'a>,
    asked: &Asked<'_, 'l, 'a>,
) -> Result<Vec<&'l Ruled<'a>>> {
    let Asked { rule, last, wanted, own, .. } = *asked;
    let is_particular = ["-s", "-d"].iter().any(|name| rule.words.header(name).is_some())
        || rule.words.options(&PORTS).next().is_some();
    if !is_particular {
        return Ok(Vec::new());
    }
    let begins = linted.beginning(&own.and(wanted)?)?;
    let takers = takers(linted, last, &begins)?;
    let mut against = Vec::new();
    for one in opposite(rule, &takers) {
        // An exception that is made of the rule stands where it has to.
        if !linted.taken(one)?.is_within(&rule.asked)? {
            against.push(one);
        }
    }
    Ok(against)
}

/// Options by which a rule is for some service.
const PORTS: [&str; 6] = ["--dport", "--dports", "--sport", "--sports", "--port", "--ports"];

/// Where all comes to a refusal of the rest once a rule above takes less: which one that is.
fn narrowed<'l, 'a>(linted: &Linted<'a>, asked: &Asked<'_, 'l, 'a>) -> Result<Advice<'l, 'a>> {
    let Asked { rule, last, .. } = *asked;
    let help = |one: &Ruled<'_>| {
        let line = linted.line(one.rule.span);
        format!("where it was meant to refuse the rest, narrow line {line}")
    };
    let Some(inner) = asked.inner else { return Ok(Advice::Help(help(last))) };
    if decision(inner.rule) != Some(Verdict::Accept) || linted.beginning(&inner.asked)?.is_empty() {
        return Ok(Advice::Help(help(last)));
    }
    // It may be that what it leaves is refused at once.
    let Some(next) = refused_behind(linted, inner)? else { return Ok(Advice::Help(help(inner))) };
    let line = linted.line(next.rule.span);
    let is_list = linted
        .chain_rules(rule.table.name, rule.at.chain)
        .any(|one| last.at < one.at && one.at < rule.at && !verdict(one).is_some_and(refuses));
    // Then the rules between get nothing, however little is let in: both are in their way.
    if is_list {
        if !is_left_by_both(linted, last, inner, next)? {
            return Ok(Advice::Help(help(last)));
        }
        return Ok(Advice::Help(format!(
            "where it was meant to refuse the rest, take lines {} and {line} out of {}, so that the rules of {} behind \
             line {} decide and this one refuses what they leave",
            linted.line(inner.rule.span),
            inner.chain.name,
            rule.chain.name,
            linted.line(last.rule.span)
        )));
    }
    if next.words.target != rule.words.target {
        return Ok(Advice::Help(help(inner)));
    }
    Ok(Advice::Needless(format!(
        "{}, behind which line {line} does the same as this rule",
        help(inner)
    )))
}

/// The rule behind another, in its chain, that refuses all that is left there.
fn refused_behind<'l, 'a>(
    linted: &'l Linted<'a>,
    rule: &Ruled<'_>,
) -> Result<Option<&'l Ruled<'a>>> {
    let entering = linted.entering(rule);
    for next in linted.chain_rules(rule.table.name, rule.at.chain).filter(|one| one.at > rule.at) {
        if let Some(what) = verdict(next)
            && !next.is_opaque
            && entering.is_within(&next.asked)?
        {
            return Ok(refuses(what).then_some(next));
        }
    }
    Ok(None)
}

/// Whether, without the last two rules of the chain that a rule jumps to, what begins something comes to the rules
/// behind the jump, and nothing else is lost: no other rule leads to that chain, and what goes on is taken before.
fn is_left_by_both(
    linted: &Linted<'_>,
    jump: &Ruled<'_>,
    first: &Ruled<'_>,
    second: &Ruled<'_>,
) -> Result<bool> {
    let chain = first.at.chain;
    if !matches!(jump.rule.target, Jump::Jump(to) if to == chain) {
        return Ok(false);
    }
    let leading = linted.rules.iter().filter(|one| {
        one.table.name == jump.table.name
            && matches!(one.rule.target, Jump::Jump(to) | Jump::Goto(to) if to == chain)
    });
    let behind = RuleAt { number: second.at.number + 1, ..second.at };
    let going_on = first.reached.and(&linted.in_states(ct::ESTABLISHED)?)?;
    Ok(leading.count() == 1
        && second.at.number == first.at.number + 1
        && linted.rule(second.table.name, behind).is_none()
        && going_on.is_empty())
}

/// Whether a script writes a rule below another which it puts in above it.
fn is_put_above(linted: &Linted<'_>, rule: &Ruled<'_>, other: &Ruled<'_>) -> bool {
    linted.form == Form::Script
        && other.at.chain == rule.at.chain
        && other.at < rule.at
        && other.rule.span.start > rule.rule.span.start
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
                let against = contrary(linted, asked, other)?;
                let (line, does) = match against.as_ref().map(|(one, _)| decision(one.rule)) {
                    None => (0, None),
                    Some(Some(Verdict::Accept)) => {
                        (linted.line(other.rule.span), Some(("closes", "opens")))
                    }
                    Some(_) => (linted.line(other.rule.span), Some(("opens", "refuses"))),
                };
                let effect = does.map_or(String::new(), |(does, undone)| {
                    format!(": for its packets that {does} what line {line} {undone}")
                });
                let help = format!("to have it asked, {place}{effect}");
                return Ok(Advice::Place(help, Box::new((too_high, against))));
            }
            None => {}
            Some(one) => {
                too_high = too_high.or(Some((*other, one)));
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

/// A rule with a packet of another with which it does the opposite, where nothing else has told of it.
fn contrary<'l, 'a>(
    linted: &Linted<'a>,
    asked: &Asked<'_, 'l, 'a>,
    other: &'l Ruled<'a>,
) -> Result<Option<(&'l Ruled<'a>, Example)>> {
    let Asked { rule, last, wanted, own, inner } = *asked;
    let is_told = other.at == last.at || inner.is_some_and(|inner| inner.at == other.at);
    if is_told || decision(other.rule).is_none() || opposite(rule, &[other]).is_empty() {
        return Ok(None);
    }
    let both = linted.taken(other)?.and(wanted)?;
    let mut shown = linted.beginning(&both.and(own)?)?;
    if shown.is_empty() {
        shown = linted.real(&both)?;
    }
    let packet = linted.plainest(&linted.rather_named(&shown)?)?;
    Ok(packet.map(|packet| (other, packet)))
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
