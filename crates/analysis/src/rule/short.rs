//! The answer in a few lines. Nothing here is new: it is what the answer says at length below.

use super::Understood;
use crate::answer::{Answer, Comparison, Experiment, Fact, Row, Topic};
use crate::forms::chains;
use crate::prose::states;
use crate::prose::targets::{self, Kind};
use crate::witness::Side;

/// Conversations that a line names.
const NAMED_MAX: usize = 3;
/// Cautions that are named.
const CAUTIONS_MAX: usize = 2;

/// Adds the short answer to one that is complete.
pub(super) fn add(answer: &mut Answer, understood: &Understood) {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut say = |label: &str, text: String| lines.push((label.to_string(), text));
    for fault in understood.faults.iter().take(1) {
        say("wrong", fault.text.clone());
    }
    let rule = &understood.rule;
    let place = super::seen(&rule.chain);
    say("does", format!("{}; it sees {place}", does(understood)));
    let named = rule.options(&["--state", "--ctstate"]).any(|option| !option.not);
    for state in rule.states().filter(|_| named).unwrap_or_default() {
        if let Some(text) = states::in_short(state, rule) {
            say(state, text.to_string());
        }
    }
    let (telling, silent): (Vec<_>, Vec<_>) =
        answer.experiments().partition(|experiment| experiment.differs_at.is_some());
    for experiment in telling {
        let (label, text) = shown(experiment);
        say(&label, text);
    }
    for experiment in silent {
        let says = sentence(&experiment.conclusion);
        let says = says.split_once("here: ").map_or(says, |(_, rest)| rest);
        let says = says.trim_end_matches('.').trim_end_matches(" either way");
        say("either way", format!("{}: {says}", experiment.title));
    }
    for fact in answer.facts() {
        match fact {
            Fact::Comparison(comparison) => {
                for (at, column) in comparison.columns.iter().enumerate().skip(1) {
                    let what = sentence(&column.text).trim_end_matches('.');
                    let text = format!("{what}. It {}", instead(comparison, at));
                    say(&format!("instead {}", column.name), text);
                }
            }
            Fact::Statement { code, text, .. } if code.starts_with("why.") && code != "why.run" => {
                say("needed", text.clone());
            }
            Fact::Statement { .. }
            | Fact::Paste { .. }
            | Fact::Field { .. }
            | Fact::Chain(_)
            | Fact::Experiment(_) => {}
        }
    }
    let minded = answer.sections.iter().filter(|section| section.topic == Topic::Mind);
    for fact in minded.flat_map(|section| &section.facts).take(CAUTIONS_MAX) {
        // Lines to be pasted stand behind some.
        let text = sentence(fact.text()).trim_end_matches(':').trim_end_matches(", such as");
        say("mind", text.to_string());
    }
    for (field, text) in lines {
        answer.add(Topic::Short, Fact::Field { field, text });
    }
}

/// What the rule does; of one that goes back, where to.
fn does(understood: &Understood) -> String {
    let words = chains::in_words(understood);
    let rule = &understood.rule;
    if targets::kind(rule.target.as_ref()) != Kind::Return {
        return words;
    }
    match Side::of_chain(&rule.chain) {
        Some(_) => {
            words.replace("goes back", &format!("ends {}, whose policy decides", rule.chain))
        }
        None => words.replace("goes back", "goes back behind the rule that sent it here"),
    }
}

/// Under which rules what becomes of which packet: `without it`, and the rest of the sentence.
fn shown(experiment: &Experiment) -> (String, String) {
    let says = sentence(&experiment.conclusion);
    let found = experiment.runs.iter().find_map(|run| {
        let head =
            says.get(..run.name.len()).filter(|head| head.eq_ignore_ascii_case(&run.name))?;
        Some((run.name.clone(), says.get(head.len()..)?.strip_prefix(", ")?))
    });
    let bare = says.strip_prefix("With the rule ").unwrap_or(says);
    let (label, rest) = found.unwrap_or_else(|| ("with it".into(), bare));
    // What becomes of it otherwise, the label says.
    let rest = rest.split("; ").next().unwrap_or(rest);
    let label = if label == "with the rule" { "with it".into() } else { label };
    (label, format!("{}: {}", experiment.title, rest.trim_end_matches('.')))
}

/// What one of the alternatives changes.
fn instead(comparison: &Comparison, at: usize) -> String {
    let good = |row: &Row, at: usize| {
        row.cells.get(at).is_some_and(|cell| (cell.fate == "passes") != row.is_attack)
    };
    let named = |wanted: &dyn Fn(&Row) -> bool| {
        let titles = comparison.rows.iter().filter(|row| wanted(row));
        let titles: Vec<String> = titles.map(|row| short_title(&row.title)).collect();
        let more = titles.len().saturating_sub(NAMED_MAX);
        let mut words: Vec<String> =
            titles.iter().take(NAMED_MAX).map(|title| format!("\"{title}\"")).collect();
        if more > 0 {
            words.push(format!("{more} more"));
        }
        (!words.is_empty()).then(|| words.join(", "))
    };
    let gained = |row: &Row| good(row, at) && !good(row, 0);
    let lost = |row: &Row| !good(row, at) && good(row, 0);
    let told = |row: &Row, at: usize| {
        !row.is_attack
            && row.cells.get(at).is_some_and(|cell| cell.fate != "passes" && cell.is_told)
    };
    let silent =
        |row: &Row| row.cells.get(at).is_some_and(|cell| cell.fate != "passes" && !cell.is_told);
    let parts = [
        ("also lets through", named(&|row| gained(row) && !row.is_attack)),
        ("also stops", named(&|row| gained(row) && row.is_attack)),
        ("breaks", named(&|row| lost(row) && !row.is_attack)),
        ("lets in", named(&|row| lost(row) && row.is_attack)),
        ("tells at once who is refused in", named(&|row| told(row, at) && !told(row, 0))),
        ("tells nobody who is refused in", named(&|row| told(row, 0) && silent(row))),
    ];
    let said: Vec<String> = parts
        .into_iter()
        .filter_map(|(what, titles)| titles.map(|titles| format!("{what} {titles}")))
        .collect();
    match said.is_empty() {
        true => "does the same for all that was tried".into(),
        false => said.join("; "),
    }
}

/// What a conversation is, and whose.
fn short_title(title: &str) -> String {
    let Some((head, rest)) = title.split_once(": ") else { return title.to_string() };
    let whose = [" (port ", ", by ", ", behind "].into_iter().find_map(|word| rest.rfind(word));
    format!("{head}{}", whose.and_then(|at| rest.get(at..)).unwrap_or(""))
}

/// The first sentence of a text.
pub(crate) fn sentence(text: &str) -> &str {
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    text.get(..end).unwrap_or(text)
}
