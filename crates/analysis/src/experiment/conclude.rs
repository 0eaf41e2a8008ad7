//! What a comparison comes to, in a sentence or two.

use super::setting::{Variant, kind_of};
use crate::answer::Outcome;
use crate::conversation::Script;
use crate::prose::targets::Kind;
use crate::rule::words::RuleWords;

/// The conclusion of an experiment.
pub(super) fn conclusion(
    rule: &RuleWords,
    script: &Script,
    runs: &[(&Variant, Vec<Outcome>)],
    differs: Option<usize>,
) -> String {
    let [(first_variant, first), (second_variant, second), ..] = runs else {
        return String::new();
    };
    let Some(index) = differs else {
        return same_everywhere(script, first);
    };
    let (Some(with), Some(without), Some(step)) =
        (first.get(index), second.get(index), script.steps.get(index))
    else {
        return String::new();
    };
    let number = index + 1;
    let label = &step.label;
    let what = format!("packet {number} ({label}{})", in_state(with.state.or(without.state)));
    let better = with.passes() && !without.passes();
    let worse = !with.passes() && without.passes();
    let mut text = if better {
        let means = consequence(without).unwrap_or(step.when_lost);
        format!("{}, {what} {}. {means}", capital(second_variant.name), loss(without))
    } else if worse {
        let told = with.verdict == Some("reject");
        format!(
            "{}, {what} {}; {}, it is accepted.{}",
            capital(first_variant.name),
            lost_briefly(with),
            second_variant.name,
            if told { String::new() } else { format!(" {}", step.when_lost) }
        )
    } else {
        other_difference(rule, &what, with, without)
    };
    if worse && let Some((variant, third)) = runs.get(2) {
        text.push_str(&third_run(variant, third.get(index), with));
    }
    if super::setting::counts(rule) && script.steps.len() > COUNTED_MIN {
        text.push_str(&counted(first));
    }
    if better && let Some((_, third)) = runs.get(2) {
        text.push_str(&no_helper(third.get(index), number));
    }
    text
}

/// Steps from which on it is worth saying which of them matched.
const COUNTED_MIN: usize = 9;

/// Which packets matched a rule that counts.
fn counted(outcomes: &[Outcome]) -> String {
    let matched = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.rule_matched);
    let numbers: Vec<usize> = matched.map(|(index, _)| index + 1).collect();
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let named: Vec<String> = ranges
        .iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        })
        .collect();
    format!(
        " The rule counts: of these packets it matched {}, and not the others.",
        crate::prose::list(&named)
    )
}

/// What the rule comes to when nobody assigns the helper.
fn no_helper(third: Option<&Outcome>, number: usize) -> String {
    match third {
        Some(third) if third.sent => format!(
            " With the rule but no helper assigned, packet {number} is {} and {} by {}.",
            third.state.unwrap_or("in no state"),
            past(third.verdict),
            third.decided_by.as_deref().unwrap_or("no rule")
        ),
        _ => String::new(),
    }
}

/// The rule changed something that is no verdict.
fn other_difference(rule: &RuleWords, what: &str, with: &Outcome, without: &Outcome) -> String {
    if let (Some(translated), None) = (&with.translated, &without.translated) {
        return format!("With the rule {what} is translated: it leaves {translated}.");
    }
    if with.changed != without.changed && !with.changed.is_empty() {
        return format!("With the rule {what} is changed: {}.", crate::prose::list(&with.changed));
    }
    if with.state != without.state {
        return format!(
            "With the rule {what} is {}; without it, {}.",
            with.state.unwrap_or("in no state"),
            without.state.unwrap_or("in no state")
        );
    }
    match kind_of(rule) {
        Kind::Log => format!("The rule writes a line for {what} and lets it go on."),
        Kind::Mark => format!("The rule marks {what}; what follows from the mark is for others."),
        Kind::Helper => format!("With the helper, {what} tells tracking what to expect."),
        _ if with.answers != without.answers => {
            let answer = |outcome: &Outcome| match outcome.answers.first() {
                Some(answer) => answer.clone(),
                None => String::from("none"),
            };
            format!(
                "The answer to {what} is: with the rule, {}; without it, {}.",
                answer(with),
                answer(without)
            )
        }
        _ => format!("The rule changes what becomes of {what}."),
    }
}

/// What the sender sees when it is told, or is not.
fn third_run(variant: &Variant, third: Option<&Outcome>, first: &Outcome) -> String {
    let told = |outcome: &Outcome| match outcome.answers.first() {
        Some(answer) => format!("the sender is told at once ({answer})"),
        None => String::from("the sender is told nothing and waits for its own timeout"),
    };
    match third {
        Some(third) if first.answers.is_empty() && third.answers.is_empty() => String::from(
            " The sender is told nothing, with DROP or REJECT: this is a packet that REJECT does not \
             answer.",
        ),
        Some(third) => {
            format!(" As it stands {}; {} {}.", told(first), variant.name, told(third))
        }
        None => String::new(),
    }
}

fn same_everywhere(script: &Script, outcomes: &[Outcome]) -> String {
    let lost = outcomes.iter().position(|o| o.sent && !o.passes());
    match lost.and_then(|index| Some((index, outcomes.get(index)?, script.steps.get(index)?))) {
        Some((index, outcome, step)) => format!(
            "The rule makes no difference here: packet {} ({}{}) {} either way. {}",
            index + 1,
            step.label,
            in_state(outcome.state),
            loss(outcome),
            step.when_lost
        ),
        None => String::from("The rule makes no difference to this conversation."),
    }
}

/// What became of a packet that did not get where it was to go.
fn loss(outcome: &Outcome) -> String {
    match (&outcome.decided_by, outcome.reason) {
        _ if outcome.received.is_some() => lost_briefly(outcome),
        (Some(by), _) => format!("{} by {by}", lost_briefly(outcome)),
        (None, Some(reason)) => {
            format!("{} before the rule could be asked ({reason})", lost_briefly(outcome))
        }
        (None, None) => format!("{} by no rule", lost_briefly(outcome)),
    }
}

/// What it means that a packet which no rule has stopped does not do what it was sent for.
fn consequence(outcome: &Outcome) -> Option<&'static str> {
    match outcome.received? {
        "no-way" => Some("Whoever began waits for an answer that never comes."),
        "strange" => {
            Some("Its receiver takes it for a stranger's; over TCP it answers with a reset.")
        }
        _ => Some("Whom it was for never sees it."),
    }
}

fn lost_briefly(outcome: &Outcome) -> String {
    match outcome.received {
        Some("no-way") => String::from("is sent to an address that no router out there knows"),
        Some("strange") => String::from("comes from an address that its receiver has not called"),
        Some("astray") => String::from("comes to this router itself and not to whom it was for"),
        _ => format!("is {}", past(outcome.verdict)),
    }
}

fn in_state(state: Option<&str>) -> String {
    state.map(|state| format!(", {state}")).unwrap_or_default()
}

fn past(verdict: Option<&str>) -> &'static str {
    match verdict {
        Some("accept") => "accepted",
        Some("drop") => "dropped",
        Some("reject") => "rejected",
        Some("queue") => "queued",
        Some(_) => "kept",
        None => "never sent",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
