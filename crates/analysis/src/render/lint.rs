//! Findings as text and as JSON.

use crate::lint::Finding;
use crate::lint::fix::Fixed;
use keepstate_ruleset::diagnostic::{Lines, columns, quote};
use keepstate_ruleset::model::Span;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::Style;

/// A file with what was found in it.
#[derive(Debug)]
pub struct File<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text.
    pub source: &'a str,
    /// What was found, by place.
    pub findings: &'a [Finding],
}

/// Findings of a kind that are written out in a file; of the others it is said how many there are.
pub const SHOWN_MAX: usize = 20;
/// Labels that are shown with a finding.
const LABELS_MAX: usize = 4;
/// Edits that a fix is shown with.
const EDITS_MAX: usize = 3;

/// As people read it.
#[must_use]
pub fn text(file: &File<'_>, style: &Style) -> String {
    let mut out = String::new();
    let lines = Lines::of(file.source);
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in file.findings {
        let count = shown.entry(finding.lint.code).or_default();
        *count += 1;
        if *count <= SHOWN_MAX {
            one(&mut out, file, finding, &lines, style);
        }
    }
    for (code, count) in shown.into_iter().filter(|(_, count)| *count > SHOWN_MAX) {
        let more = count - SHOWN_MAX;
        let _ = writeln!(out, "{}: {more} more of {code} (--format json has all)\n", file.name);
    }
    out
}

fn one(out: &mut String, file: &File<'_>, finding: &Finding, lines: &Lines, style: &Style) {
    let (line, (from, to)) = place(file, finding.span, lines);
    let paint = |code: u8, text: String| match style.color {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text,
    };
    let severity = finding.severity();
    let color = match severity.as_str() {
        "error" => 31,
        "warning" => 33,
        _ => 36,
    };
    let kind = paint(color, format!("{}[{}]", severity.as_str(), finding.lint.code));
    let _ = writeln!(out, "{}:{line}:{from}-{to}: {kind}: {}", file.name, finding.text);
    if finding.span.end > finding.span.start {
        quote(out, file.source, finding.span, '^', "", lines);
    }
    for label in finding.labels.iter().take(LABELS_MAX) {
        quote(out, file.source, label.span, '-', &label.text, lines);
    }
    if finding.labels.len() > LABELS_MAX {
        let _ = writeln!(out, "  and {} more", finding.labels.len() - LABELS_MAX);
    }
    for evidence in &finding.evidence {
        hanging(out, "  evidence: ", &super::text::printable(evidence), style.width);
    }
    if let Some(help) = &finding.help {
        // Rules to be pasted stand in lines of their own, whole.
        let mut lines = help.lines();
        let first = super::text::printable(lines.next().unwrap_or(""));
        hanging(out, "  help: ", &first, style.width);
        for line in lines {
            let _ = writeln!(out, "      {}", super::text::printable(line));
        }
    }
    if let Some(fix) = &finding.fix {
        hanging(
            out,
            "  help: ",
            &format!("{} (--fix)", super::text::printable(&fix.text)),
            style.width,
        );
    }
    out.push('\n');
}

/// Fills lines.
fn hanging(out: &mut String, head: &str, text: &str, width: usize) {
    let mut column = head.len();
    out.push_str(head);
    for (number, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length > width {
            out.push_str("\n      ");
            column = 6;
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

fn place(file: &File<'_>, span: Span, lines: &Lines) -> (u32, (u32, u32)) {
    if span.end > span.start {
        (lines.line_at(span.start), columns(file.source, span))
    } else {
        (1, (1, 1))
    }
}

/// One finding for programs.
#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    severity: &'a str,
    file: &'a str,
    #[serde(flatten)]
    place: Place,
    text: &'a str,
    labels: Vec<LabelTold<'a>>,
    evidence: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<FixTold<'a>>,
}

/// Lines and columns, from 1, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) end_column: u32,
}

#[derive(Serialize)]
struct LabelTold<'a> {
    #[serde(flatten)]
    place: Place,
    text: &'a str,
}

#[derive(Serialize)]
struct FixTold<'a> {
    text: &'a str,
    /// What the packets are whose fate may change by it; none: no packet's may.
    changes: Option<&'a str>,
    edits: Vec<EditTold<'a>>,
}

#[derive(Serialize)]
struct EditTold<'a> {
    start: u32,
    end: u32,
    text: &'a str,
}

pub(super) fn place_of(file: &File<'_>, span: Span, lines: &Lines) -> Place {
    let (line, (column, end_column)) = place(file, span, lines);
    Place { line, column, end_column }
}

/// For programs: an array of all findings.
#[must_use]
pub fn json(files: &[File<'_>]) -> String {
    let mut all = Vec::new();
    for file in files {
        let lines = Lines::of(file.source);
        for finding in file.findings {
            let labels = finding.labels.iter().map(|label| LabelTold {
                place: place_of(file, label.span, &lines),
                text: &label.text,
            });
            let fix = finding.fix.as_ref().map(|fix| FixTold {
                text: &fix.text,
                changes: match &fix.expected {
                    crate::lint::Expected::Nothing => None,
                    crate::lint::Expected::Only(_, what) => Some(what),
                },
                edits: fix
                    .edits
                    .iter()
                    .map(|edit| EditTold {
                        start: edit.span.start,
                        end: edit.span.end,
                        text: &edit.text,
                    })
                    .collect(),
            });
            all.push(Told {
                code: finding.lint.code,
                severity: finding.severity().as_str(),
                file: file.name,
                place: place_of(file, finding.span, &lines),
                text: &finding.text,
                labels: labels.collect(),
                evidence: &finding.evidence,
                help: finding.help.as_deref(),
                fix,
            });
        }
    }
    let mut text = serde_json::to_string_pretty(&all).unwrap_or_default();
    text.push('\n');
    text
}

/// What was done to a file, for people.
#[must_use]
pub fn fixed(name: &str, fixed: &Fixed, style: &Style) -> String {
    let mut out = String::new();
    for (code, count, proof) in &fixed.done {
        let word = if *count == 1 { "finding" } else { "findings" };
        let _ = writeln!(out, "{name}: {count} {word} of {code} mended; what changes:");
        for line in proof.told() {
            hanging(&mut out, "  ", &line, style.width);
        }
    }
    for (code, why) in fixed.left.iter().take(EDITS_MAX) {
        hanging(&mut out, &format!("{name}: {code} is left: "), why, style.width);
    }
    if fixed.left.len() > EDITS_MAX {
        let _ = writeln!(out, "{name}: {} more are left", fixed.left.len() - EDITS_MAX);
    }
    out
}

/// The difference of two texts by lines, three lines around each change.
#[must_use]
pub fn difference(name: &str, old: &str, new: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let steps = steps(&before, &after);
    let mut out = format!("--- {name}\n+++ {name}\n");
    const AROUND: usize = 3;
    let changed: Vec<usize> =
        steps.iter().enumerate().filter(|(_, (mark, _))| *mark != ' ').map(|(at, _)| at).collect();
    let mut at = 0;
    while let Some(first) = changed.get(at) {
        let mut last = *first;
        while let Some(next) = changed.get(at + 1).filter(|next| **next <= last + 2 * AROUND + 1) {
            last = *next;
            at += 1;
        }
        let start = first.saturating_sub(AROUND);
        let hunk = steps.get(start..(last + AROUND + 1).min(steps.len())).unwrap_or(&[]);
        let above = steps.get(..start).unwrap_or(&[]);
        let count = |part: &[(char, &str)], without: char| {
            part.iter().filter(|(mark, _)| *mark != without).count()
        };
        let _ = writeln!(
            out,
            "@@ -{},{} +{},{} @@",
            count(above, '+') + 1,
            count(hunk, '+'),
            count(above, '-') + 1,
            count(hunk, '-')
        );
        for (mark, line) in hunk {
            let _ = writeln!(out, "{mark}{}", line.trim_end_matches('\n'));
        }
        at += 1;
    }
    out
}

/// Most pairs of lines that are compared to find what two texts have in common: two bytes each, and the shorter text
/// has less lines than two bytes count.
const PAIRS_MAX: usize = 48 << 20;

/// Lines that stay, go (`-`) and come (`+`).
fn steps<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (rest_old, rest_new) = (old.get(head..).unwrap_or(&[]), new.get(head..).unwrap_or(&[]));
    let tail = rest_old.iter().rev().zip(rest_new.iter().rev()).take_while(|(a, b)| a == b).count();
    let middle = |rest: &[&'t str]| rest.get(..rest.len() - tail).unwrap_or(&[]).to_vec();
    let (from, to) = (middle(rest_old), middle(rest_new));
    let mut steps: Vec<(char, &str)> = old.iter().take(head).map(|line| (' ', *line)).collect();
    if from.len() * to.len() > PAIRS_MAX {
        steps.extend(from.iter().map(|line| ('-', *line)));
        steps.extend(to.iter().map(|line| ('+', *line)));
    } else {
        // How many lines are alike from here on.
        let width = to.len() + 1;
        let mut alike = vec![0_u16; (from.len() + 1) * width];
        let at = |i: usize, j: usize| i * width + j;
        for i in (0..from.len()).rev() {
            for j in (0..to.len()).rev() {
                let best = if from.get(i) == to.get(j) {
                    alike.get(at(i + 1, j + 1)).map_or(0, |n| n + 1)
                } else {
                    let down = alike.get(at(i + 1, j)).copied().unwrap_or(0);
                    down.max(alike.get(at(i, j + 1)).copied().unwrap_or(0))
                };
                if let Some(place) = alike.get_mut(at(i, j)) {
                    *place = best;
                }
            }
        }
        let (mut i, mut j) = (0, 0);
        loop {
            match (from.get(i), to.get(j)) {
                (Some(a), Some(b)) if a == b => {
                    steps.push((' ', a));
                    (i, j) = (i + 1, j + 1);
                }
                (Some(a), other)
                    if other.is_none() || alike.get(at(i + 1, j)) >= alike.get(at(i, j + 1)) =>
                {
                    steps.push(('-', a));
                    i += 1;
                }
                (_, Some(b)) => {
                    steps.push(('+', b));
                    j += 1;
                }
                _ => break,
            }
        }
    }
    steps.extend(old.iter().skip(old.len() - tail).map(|line| (' ', *line)));
    steps
}
