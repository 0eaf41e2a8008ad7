//! A packet's way as text: a head, the hooks below it, the outcome last; the way of an answer further in.

use super::told::{AnswerTold, ConnectionTold, PacketTold, RuleTold, Step, TableTold, TrackedTold};
use crate::render::Style;
use crate::render::text::{Page, printable};
use std::fmt::Write;

/// Column that texts begin in.
const COLUMN: usize = 18;
/// Rules in a row that do not match are shown up to so many; of more, the first and the last.
const REFUSED_SHOWN: usize = 4;

const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const CYAN: u8 = 36;

/// The packet and its way.
#[must_use]
pub fn render(told: &PacketTold, style: &Style) -> String {
    let mut page = Page::new(style);
    let came = told.interface.as_ref().map_or("sent by the host itself", String::as_str);
    let head = format!("#{} at {:.3} s, {came}: {}", told.number, told.seconds, told.packet);
    let head = page.paint(BOLD, &printable(&head));
    page.hanging("", &head, 3);
    if let Some(note) = &told.note {
        page.hanging("   ", &printable(note), 3);
    }
    steps(&mut page, &told.steps, 2);
    if told.steps_left_out > 0 {
        page.line(&format!("  ... {} more steps are not kept", told.steps_left_out));
    }
    for line in &told.log {
        page.hanging(&label(2, "log"), &printable(line), COLUMN + 2);
    }
    for event in &told.events {
        page.hanging(&label(2, "and so"), event, COLUMN + 2);
    }
    let (color, outcome) = match told.verdict {
        "accept" => (GREEN, &told.outcome),
        "drop" | "reject" => (RED, &told.outcome),
        _ => (YELLOW, &told.outcome),
    };
    let outcome = page.paint(color, &printable(outcome));
    page.hanging("  => ", &outcome, 5);
    if let Some(leaves) = &told.leaves {
        page.hanging("     ", &format!("by {}: {}", leaves.interface, leaves.packet), 7);
    }
    page.blank();
    page.out
}

/// A label in front of a text, indented.
fn label(indent: usize, text: &str) -> String {
    let width = COLUMN;
    format!("{:indent$}{text:<width$}", "")
}

fn steps(page: &mut Page, all: &[Step], indent: usize) {
    for step in all {
        let at = indent + COLUMN;
        match step {
            Step::Hook { hook } => {
                let hook = page.paint(CYAN, hook);
                page.line(&format!("{:indent$}{hook}", ""));
            }
            Step::Tracked(told) => tracked(page, told, indent),
            Step::Table(told) => table(page, told, indent),
            Step::Translated { end, from, to } => {
                let text = format!("{end} {from} becomes {to}");
                page.hanging(&label(indent, "  translation"), &text, at);
            }
            Step::Untranslated { why } => page.hanging(&label(indent, "  translation"), why, at),
            Step::Routed { to } => page.hanging(&label(indent, "routing"), to, at),
            Step::Confirmed => {
                page.hanging(
                    &label(indent, "  confirmed"),
                    "its connection is in the table now",
                    at,
                );
            }
            Step::Answer(told) => answer(page, told, indent),
        }
    }
}

fn answer(page: &mut Page, told: &AnswerTold, indent: usize) {
    let packet = page.paint(BOLD, &told.packet);
    let text = format!("{packet} ({})", told.by);
    page.hanging(&label(indent, "answer"), &text, indent + COLUMN);
    steps(page, &told.steps, indent + 4);
    let text = match &told.leaves {
        Some(leaves) if leaves.packet == told.packet => format!("leaves by {}", leaves.interface),
        Some(leaves) => format!("leaves by {}: {}", leaves.interface, leaves.packet),
        None => "does not leave".to_owned(),
    };
    let head = format!("{:1$}=> ", "", indent + 4);
    page.hanging(&head, &text, indent + 7);
}

fn tracked(page: &mut Page, told: &TrackedTold, indent: usize) {
    let at = indent + COLUMN;
    let color = if told.state == "INVALID" { RED } else { GREEN };
    let state = page.paint(color, told.state);
    let mut text = state;
    if let Some(direction) = told.direction {
        let _ = write!(text, ", {direction} direction");
    }
    if let Some(invalid) = &told.invalid {
        let _ = write!(text, " ({}): {}", invalid.reason, invalid.text);
    } else if let Some(connection) = &told.connection {
        let _ = write!(text, " of {}", connection.original);
    }
    if told.invalid.is_none()
        && let Some(connection) = &told.connection
    {
        let _ = write!(text, "; {}", what_is_new(connection));
    }
    page.hanging(&label(indent, "  tracking"), text.trim_end_matches("; "), at);
    let blank = " ".repeat(at);
    if let Some(otherwise) = told.invalid.as_ref().and_then(|invalid| invalid.otherwise) {
        page.hanging(&blank, otherwise, at);
    }
    if let Some(announced) = &told.announced {
        page.hanging(&blank, &printable(announced), at);
    }
    let Some(connection) = &told.connection else { return };
    if told.invalid.is_some() {
        let text =
            format!("Its ends are those of {}; {}", connection.original, what_is_new(connection));
        page.hanging(&blank, text.trim_end_matches("; "), at);
    }
    // Of later packets the step of their translation says it.
    if let (Some(reply), true) =
        (&connection.reply, told.invalid.is_some() || connection.state_before.is_none())
    {
        page.hanging(&blank, &format!("translated: its answers come as {reply}"), at);
    }
}

/// The state of a connection, its mark and its helper.
fn what_is_new(connection: &ConnectionTold) -> String {
    let states = match (connection.state_before, connection.state_after) {
        (None, Some(after)) => Some(format!("state {after} from now on")),
        (Some(before), Some(after)) if before == after => {
            Some(format!("state {before}, unchanged"))
        }
        (Some(before), Some(after)) => Some(format!("state {before}, from now on {after}")),
        (Some(before), None) => Some(format!("state {before}")),
        (None, None) => None,
    };
    let mut words: Vec<String> = states.into_iter().collect();
    words.extend(connection.mark.map(|mark| format!("connection mark 0x{mark:x}")));
    words.extend(connection.helper.as_ref().map(|helper| format!("helper {helper}")));
    if connection.is_gone {
        words.push("nothing is left of it behind this packet".to_owned());
    }
    words.join("; ")
}

fn table(page: &mut Page, told: &TableTold, indent: usize) {
    let color = if told.verdict == "ACCEPT" { GREEN } else { RED };
    let verdict = page.paint(color, &told.verdict);
    let mut text = match told.decided.as_str() {
        "" => verdict,
        decided => format!("{verdict} by {}", printable(decided)),
    };
    if let Some(mark) = told.mark {
        let _ = write!(text, "; the packet's mark is 0x{mark:x}");
    }
    let at = indent + COLUMN;
    page.hanging(&label(indent, &format!("  {}", told.table)), &text, at);
    let numbers = told.rules.iter().map(|rule| rule.number.to_string().len());
    let width = numbers.max().unwrap_or(1);
    let mut rest = told.rules.as_slice();
    let mut chain = told.chain;
    while let Some(first) = rest.first() {
        if first.chain != chain {
            chain = &first.chain;
            page.line(&format!("{:1$}in {chain}", "", at));
        }
        let same = rest.iter().take_while(|rule| rule.chain == chain);
        let run = same.take_while(|rule| !rule.matched).count();
        if run <= REFUSED_SHOWN {
            let shown = run.max(1);
            rest.iter().take(shown).for_each(|told| rule(page, told, at, width));
            rest = rest.get(shown..).unwrap_or(&[]);
            continue;
        }
        let (quiet, behind) = rest.split_at(run);
        quiet.iter().take(2).for_each(|told| rule(page, told, at, width));
        page.line(&format!("{:1$}... {2} more that do not match", "", at, run - 3));
        quiet.iter().skip(run - 1).for_each(|told| rule(page, told, at, width));
        rest = behind;
    }
    if told.left_out > 0 {
        page.line(&format!("{:1$}... {2} more that do not match", "", at, told.left_out));
    }
}

fn rule(page: &mut Page, told: &RuleTold, at: usize, width: usize) {
    // The chain stands above already.
    let prefix = format!("-A {} ", told.chain);
    let text = told.rule.strip_prefix(prefix.as_str()).unwrap_or(&told.rule);
    let word = match told.matched {
        true => page.paint(GREEN, "yes"),
        false => "no ".to_owned(),
    };
    let head = format!("{:at$}{:>width$} {word} ", "", told.number);
    let text = match &told.refused {
        Some(refused) => format!("{text}   [{}]", bare(text, refused)),
        None => text.to_owned(),
    };
    page.hanging(&head, &printable(&text), at + width + 5);
}

/// What did not match, without the match where the rule has no other.
fn bare<'r>(rule: &str, refused: &'r str) -> &'r str {
    let Some((asks, is)) = refused.split_once(": ") else { return refused };
    let target = rule.strip_prefix(asks).unwrap_or("");
    if target.starts_with(" -j ") || target.starts_with(" -g ") { is } else { refused }
}
