//! Text for people: what failed with the ways of its packets, a line a file, and changes that no test notices.

use crate::render::Style;
use crate::render::text::{Page, printable};
use crate::test::mutate::MUTANTS_MAX;
use crate::test::told::{FailureTold, FileTold, MutationTold, Report, Survivor};
use crate::trace;

const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;

pub(in crate::render) fn render(report: &Report, style: &Style) -> String {
    let mut page = Page::new(style);
    for file in &report.files {
        for test in file.tests.iter().filter(|test| !test.passed) {
            let head = format!("{} ({}:{})", test.name, file.file, test.line);
            let head =
                format!("{} {}", page.paint(RED, "FAILED"), page.paint(BOLD, &printable(&head)));
            page.hanging("", &head, 7);
            for failure in &test.failures {
                self::failure(&mut page, file, failure, style);
            }
            page.blank();
        }
    }
    for file in &report.files {
        let failed = file.tests.iter().filter(|test| !test.passed).count();
        let tests = plural(file.tests.len(), "test");
        let result = match failed {
            0 => page.paint(GREEN, "all pass"),
            failed => page.paint(RED, &format!("{failed} failed")),
        };
        page.line(&format!("{}: {tests}, {result}", printable(&file.file)));
    }
    for told in &report.mutations {
        page.blank();
        mutation(&mut page, told);
    }
    page.out
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

fn failure(page: &mut Page, file: &FileTold, failure: &FailureTold, style: &Style) {
    page.hanging("  ", &format!("{}:{}: {}", file.file, failure.line, printable(&failure.text)), 4);
    if let Some(packet) = &failure.packet {
        page.hanging("  ", &printable(packet), 4);
    }
    for missed in &failure.missed {
        page.hanging("    expected  ", &printable(&missed.expected), 14);
        let instead = page.paint(RED, &printable(&missed.instead));
        page.hanging("    happened  ", &instead, 14);
    }
    if let Some(told) = &failure.trace {
        let width = style.width.saturating_sub(4);
        for line in trace::render(told, &Style { width, ..*style }).trim_end().lines() {
            page.line(&format!("    {line}"));
        }
    }
}

fn mutation(page: &mut Page, told: &MutationTold) {
    for of_one in told.survivors.chunk_by(|one, other| one.place == other.place) {
        survivors(page, told, of_one);
    }
    let rules = printable(&told.rules);
    let counted = told.mutants;
    let mut text = format!("{rules}: {}, {} noticed", plural(counted, "mutant"), told.killed);
    text.push_str(", ");
    text.push_str(&match told.survivors.len() {
        0 => page.paint(GREEN, "none survives"),
        1 => page.paint(RED, "1 survives"),
        count => page.paint(RED, &format!("{count} survive")),
    });
    match told.equal {
        0 => {}
        1 => text.push_str("; 1 more change changes nothing"),
        count => text.push_str(&format!("; {count} more changes change nothing")),
    }
    page.line(&text);
    if told.left_out > 0 {
        let left_out = told.left_out;
        let text = format!(
            "at most {MUTANTS_MAX} mutants are tried: {left_out} rules and policies are left out"
        );
        page.hanging("  ", &text, 2);
    }
}

/// What no test notices of one rule, and below it the tests that would.
fn survivors(page: &mut Page, told: &MutationTold, all: &[Survivor]) {
    let Some(first) = all.first() else { return };
    let (rules, line, place) = (&told.rules, first.line, &first.place);
    let head = format!("{rules}:{line}: no test notices a change of {place}");
    let head = page.paint(BOLD, &printable(&head));
    page.hanging("", &head, 4);
    page.hanging("    ", &printable(&first.rule), 8);
    for one in all {
        let missing = one.no_test.as_ref().map(|why| format!(" (no test is suggested: {why})"));
        let text = format!("{}{}", one.change, missing.unwrap_or_default());
        page.hanging("  - ", &printable(&text), 4);
    }
    for test in all.iter().filter_map(|one| one.test.as_ref()) {
        page.blank();
        test.trim_end().lines().for_each(|line| page.line(&printable(line)));
    }
    page.blank();
}
