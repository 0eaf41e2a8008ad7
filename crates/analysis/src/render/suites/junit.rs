//! JUnit's XML, as programs that build and test read it: a suite a file, a case a test. Time is not measured.

use super::plain;
use crate::render::Style;
use crate::test::told::Report;
use std::fmt::Write;

pub(in crate::render) fn render(report: &Report, _: &Style) -> String {
    let (tests, failed) = report.counts();
    let survivors = report.survivors();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Each change that survives is a case, the others are one together.
    let (all, bad) = (tests + survivors + report.mutations.len(), failed + survivors);
    let _ = writeln!(out, "<testsuites name=\"keepstate\" tests=\"{all}\" failures=\"{bad}\">");
    for file in &report.files {
        let name = escaped(&file.file);
        let failed = file.tests.iter().filter(|test| !test.passed).count();
        let count = file.tests.len();
        let _ =
            writeln!(out, "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failed}\">");
        for test in &file.tests {
            let head = format!(
                "    <testcase classname=\"{name}\" name=\"{}\" file=\"{name}\" line=\"{}\"",
                escaped(&test.name),
                test.line
            );
            if test.passed {
                let _ = writeln!(out, "{head}/>");
                continue;
            }
            // Many readers take one failure a case: the first stands in front.
            let missed = test.failures.first().and_then(|failure| failure.missed.first());
            let message = missed.map_or_else(String::new, |missed| {
                format!("expected {}, happened {}", missed.expected, missed.instead)
            });
            let texts = test.failures.iter().map(|failure| plain(&file.file, failure));
            let text = escaped(&texts.collect::<Vec<_>>().join("\n\n"));
            let message = escaped(&message);
            let _ = writeln!(out, "{head}>");
            let _ = writeln!(out, "      <failure message=\"{message}\">{text}</failure>");
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    for told in &report.mutations {
        let name = escaped(&format!("{} (mutants)", told.rules));
        let (count, bad) = (told.survivors.len() + 1, told.survivors.len());
        let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{bad}\">");
        let case = format!("{} of {} mutants noticed", told.killed, told.mutants);
        let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"{case}\"/>");
        for survivor in &told.survivors {
            let case = escaped(&format!("{}: {}", survivor.place, survivor.change));
            let message = escaped(&format!("no test notices it, line {}", survivor.line));
            let rule = escaped(&survivor.rule);
            let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"{case}\">");
            let _ = writeln!(out, "      <failure message=\"{message}\">{rule}</failure>");
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text as XML 1.0 holds it; characters that it cannot hold are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
