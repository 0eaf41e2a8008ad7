//! Findings as SARIF 2.1.0 (OASIS): what code hosts and editors read.

use super::lint::{File, place_of};
use crate::lint::{Finding, Severity};
use crate::lints::LINTS;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::Span;
use serde_json::{Value, json};

/// All findings of all files as one run.
#[must_use]
pub fn render(files: &[File<'_>]) -> String {
    let rules: Vec<Value> = LINTS
        .iter()
        .map(|lint| {
            json!({
                "id": lint.code,
                "shortDescription": {"text": lint.title},
                "fullDescription": {"text": lint.title},
                "help": {"text": lint.page, "markdown": lint.page},
                "defaultConfiguration": {"level": level(lint.severity)},
            })
        })
        .collect();
    let results: Vec<Value> = files.iter().flat_map(results).collect();
    let sarif = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "keepstate",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&sarif).unwrap_or_default();
    text.push('\n');
    text
}

const fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

fn results(file: &File<'_>) -> Vec<Value> {
    let lines = Lines::of(file.source);
    file.findings.iter().map(|finding| result(file, finding, &lines)).collect()
}

fn result(file: &File<'_>, finding: &Finding, lines: &Lines) -> Value {
    let mut text = finding.text.clone();
    for evidence in &finding.evidence {
        text.push_str("\nevidence: ");
        text.push_str(evidence);
    }
    if let Some(help) = &finding.help {
        text.push_str("\nhelp: ");
        text.push_str(help);
    }
    let index = LINTS.iter().position(|lint| lint.code == finding.lint.code);
    let mut result = json!({
        "ruleId": finding.lint.code,
        "ruleIndex": index,
        "level": level(finding.severity()),
        "message": {"text": text},
        "locations": [{"physicalLocation": location(file, finding.span, lines)}],
    });
    let related: Vec<Value> = finding
        .labels
        .iter()
        .enumerate()
        .map(|(id, label)| {
            json!({
                "id": id,
                "message": {"text": label.text},
                "physicalLocation": location(file, label.span, lines),
            })
        })
        .collect();
    let fix = finding.fix.as_ref().map(|fix| {
        let replacements: Vec<Value> = fix
            .edits
            .iter()
            .map(|edit| {
                json!({
                    "deletedRegion": {
                        "byteOffset": edit.span.start,
                        "byteLength": edit.span.end - edit.span.start,
                    },
                    "insertedContent": {"text": edit.text},
                })
            })
            .collect();
        json!([{
            "description": {"text": fix.text},
            "artifactChanges": [{
                "artifactLocation": {"uri": uri(file.name)},
                "replacements": replacements,
            }],
        }])
    });
    if let Some(object) = result.as_object_mut() {
        if !related.is_empty() {
            object.insert("relatedLocations".into(), related.into());
        }
        if let Some(fix) = fix {
            object.insert("fixes".into(), fix);
        }
    }
    result
}

fn location(file: &File<'_>, span: Span, lines: &Lines) -> Value {
    let place = place_of(file, span, lines);
    json!({
        "artifactLocation": {"uri": uri(file.name)},
        "region": {
            "startLine": place.line,
            "startColumn": place.column,
            // One past the last, as SARIF counts.
            "endColumn": place.end_column + 1,
        },
    })
}

/// A file's name as a reference: what may not stand in one is escaped (RFC 3986).
fn uri(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
