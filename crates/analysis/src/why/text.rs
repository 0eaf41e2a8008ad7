//! The answer as text.

use super::told::{DeciderTold, NarrowerTold, Need, ReliesTold, WhyTold};
use crate::diff;
use crate::render::Style;
use crate::render::text::{Page, printable};

const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;

/// What the two sides are called.
const SIDES: [&str; 2] = ["with", "without"];

const fn color(need: Need) -> u8 {
    match need {
        Need::Needed => GREEN,
        Need::Perhaps => YELLOW,
        Need::NotNeeded | Need::NeverReached => RED,
    }
}

/// The answer for people.
#[must_use]
pub fn render(told: &WhyTold, style: &Style) -> String {
    let mut page = Page::new(style);
    let place = told.line.map_or_else(|| told.file.clone(), |line| format!("{}:{line}", told.file));
    let head = format!("{place}  rule {} of {} (table {})", told.number, told.chain, told.table);
    let head = page.paint(BOLD, &printable(&head));
    page.line(&head);
    page.line(&format!("    {}", printable(&told.rule)));
    page.blank();
    let need = page.paint(color(told.need), &capitalised(told.need.words()));
    page.paragraph("", &format!("{need}: {}.", printable(&told.because)));
    if !told.matches.is_empty() {
        page.blank();
        page.line("It matches");
        for matched in &told.matches {
            for packets in &matched.packets {
                page.hanging(&format!("  {:<8} ", matched.way), &printable(packets), 11);
            }
            if matched.more {
                let more = format!("... and more, all out of {}", printable(&matched.around));
                page.hanging("           ", &more, 11);
            }
        }
    }
    if !told.without.is_empty() {
        page.blank();
        page.line("Without it");
        for way in &told.without {
            diff::way_text(&mut page, way, SIDES);
        }
    }
    if !told.instead.is_empty() {
        page.blank();
        page.line(match told.need {
            Need::NeverReached => "Who decides about its packets before it",
            _ => "Who decides about its packets without it",
        });
        for one in &told.instead {
            decider(&mut page, one);
        }
        if told.instead_left_out > 0 {
            page.line(&format!("           ... and {} more", told.instead_left_out));
        }
    }
    if !told.conversations.is_empty() {
        page.blank();
        page.line("Conversations");
        diff::conversations_text(&mut page, &told.conversations, SIDES);
    }
    if let Some(recorded) = &told.recorded {
        page.blank();
        page.line("Recorded traffic");
        diff::recorded_text(&mut page, recorded, SIDES);
    }
    beside(&mut page, told);
    page.blank();
    page.line("Assumed");
    for text in &told.assumed {
        page.hanging("  - ", &printable(text), 4);
    }
    page.out
}

fn decider(page: &mut Page, one: &DeciderTold) {
    let place = one.rule.place.as_ref().map(|place| format!("{place}  ")).unwrap_or_default();
    let rule = printable(&format!("{place}{}", one.rule.rule));
    page.hanging(&format!("  {:<8} ", one.way), &rule, 11);
    page.hanging("           ", &printable(&format!("{}: {}", one.verdict, one.packets)), 11);
}

/// Other rules, and other forms of this one.
fn beside(page: &mut Page, told: &WhyTold) {
    for (head, carries) in [("Needed by", false), ("It needs", true)] {
        let mut all = told.relies.iter().filter(|one| one.carries == carries).peekable();
        if all.peek().is_some() {
            page.blank();
            page.line(head);
            all.for_each(|one| relies(page, one));
        }
    }
    if !told.read_by.is_empty() {
        page.blank();
        page.line("Rules that read what it writes");
        for one in &told.read_by {
            let place = one.place.as_ref().map(|place| format!("{place}  ")).unwrap_or_default();
            page.hanging("  ", &printable(&format!("{place}{}", one.rule)), 4);
        }
    }
    if !told.narrower.is_empty() {
        page.blank();
        page.line("Narrower forms, tried with the conversations above");
        for one in &told.narrower {
            narrower(page, one);
        }
    }
}

fn relies(page: &mut Page, one: &ReliesTold) {
    let place = one.rule.place.as_ref().map(|place| format!("{place}  ")).unwrap_or_default();
    let rule = printable(&format!("{place}{}", one.rule.rule));
    page.hanging(&format!("  {:<8} ", one.way), &rule, 11);
    let packets = if one.packets.is_empty() { "any" } else { &one.packets };
    page.hanging("           ", &printable(&format!("{}: {packets}", one.how)), 11);
}

fn narrower(page: &mut Page, one: &NarrowerTold) {
    page.hanging("  ", one.what, 4);
    for rule in &one.rules {
        page.line(&format!("      {}", printable(rule)));
    }
    let text = match one.lost.as_slice() {
        [] => "all of them pass as before".to_string(),
        lost => format!("{} pass as before; lost: {}", one.carried, lost.join("; ")),
    };
    page.hanging("      ", &text, 8);
    for line in &one.no_longer {
        page.hanging("      ", &printable(line), 8);
    }
}

/// The answer in a line.
#[must_use]
pub fn render_line(told: &WhyTold, style: &Style) -> String {
    let mut page = Page::new(style);
    let need = format!("{:<14}", told.need.words());
    let need = page.paint(color(told.need), &need);
    let line = told.line.map_or_else(String::new, |line| line.to_string());
    page.line(&format!("{line:>6}  {need} {}", printable(&told.rule)));
    page.paragraph(&" ".repeat(24), &printable(&told.because));
    page.out
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
