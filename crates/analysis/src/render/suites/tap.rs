//! The Test Anything Protocol, version 14: a line a test, what failed as YAML below it.

use super::plain;
use crate::render::Style;
use crate::test::told::Report;
use std::fmt::Write;

pub(in crate::render) fn render(report: &Report, _: &Style) -> String {
    let tests: usize = report.files.iter().map(|file| file.tests.len()).sum();
    let rule_sets = report.mutations.len();
    let mut out = format!("TAP version 14\n1..{}\n", tests + rule_sets);
    let mut number = 0;
    for file in &report.files {
        for test in &file.tests {
            number += 1;
            let word = if test.passed { "ok" } else { "not ok" };
            let name = escaped(&format!("{}: {}", file.file, test.name));
            let _ = writeln!(out, "{word} {number} - {name}");
            let texts = test.failures.iter().map(|failure| plain(&file.file, failure));
            yaml(&mut out, texts);
        }
    }
    for told in &report.mutations {
        number += 1;
        let word = if told.survivors.is_empty() { "ok" } else { "not ok" };
        let (killed, all) = (told.killed, told.mutants);
        let name = escaped(&format!("{}: {killed} of {all} mutants noticed", told.rules));
        let _ = writeln!(out, "{word} {number} - {name}");
        let texts = told
            .survivors
            .iter()
            .map(|one| format!("line {}: {}\n{}: {}", one.line, one.rule, one.place, one.change));
        yaml(&mut out, texts);
    }
    out
}

fn yaml(out: &mut String, texts: impl Iterator<Item = String>) {
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() {
        return;
    }
    out.push_str("  ---\n  message: |\n");
    for line in texts.iter().flat_map(|text| text.lines()) {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(out, "    {line}");
    }
    out.push_str("  ...\n");
}

/// A description: `#` would begin a directive.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('#', "\\#");
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
