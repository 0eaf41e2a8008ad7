//! What to do about a rule that nothing comes to: another place for it, less for those above, or nothing.

use crate::algebra::Example;
use crate::algebra::chain::RuleAt;
use crate::algebra::space::{Packets, Result};
use crate::lint::linted::{Linted, Ruled, decision, refuses, verdict_word};
use crate::lint::placed::{Overtaken, opposite, verdict};
use crate::lints::{and, foremost, higher, inside, into, takers};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::verdict::{Step, Verdict};

/// What to do about a rule that nothing comes to.
pub(super) enum Advice<'l, 'a> {
    /// Higher up it would do nothing either.
    Nothing(String),
    /// What to do.
    Help(String),
    /// The same, but followed, the rule does nothing either.
    Needless(String),
    /// Another place for it, with what shows why.
    Place(String, Box<Shown<'l, 'a>>),
}

/// A place for a rule, just above another, and the rule that it would overtake there.
pub(super) type TooHigh<'l, 'a> = (&'l Ruled<'a>, Overtaken<'l, 'a>);

/// What is said of a place that is too high, and who does the opposite just below the one that is not.
type Shown<'l, 'a> = (Option<TooHigh<'l, 'a>>, Option<(&'l Ruled<'a>, Example)>);

/// A rule with what it is for.
pub(super) struct Asked<'s, 'l, 'a> {
    pub(super) rule: &'l Ruled<'a>,
    /// The rule above it behind which nothing is left.
    pub(super) last: &'l Ruled<'a>,
    /// The packets that it asks for, of those that enter its chain.
    pub(super) wanted: &'s Packets,
    /// What rules above it, to which nothing comes either, would leave to it.
    pub(super) own: &'s Packets,
    /// Who decides about the plainest of them inside the chain that takes all.
    pub(super) inner: Option<&'l Ruled<'a>>,
}

/// What it would do above the one that takes all that is left.
pub(super) fn advice<'l, 'a>(
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
pub(super) fn refused_behind<'l, 'a>(
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
