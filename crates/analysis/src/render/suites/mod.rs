//! Runs of tests, a format a file.

pub(super) mod junit;
pub(super) mod tap;
pub(super) mod text;

use super::Style;
use crate::test::told::{FailureTold, Report};
use std::fmt::Write;

/// The run as it is.
pub(super) fn json(report: &Report, _: &Style) -> String {
    match serde_json::to_string_pretty(report) {
        Ok(mut text) => {
            text.push('\n');
            text
        }
        Err(error) => format!("{{\"error\": {:?}}}\n", error.to_string()),
    }
}

/// A failure in plain lines, without the packet's way.
fn plain(file: &str, failure: &FailureTold) -> String {
    let mut out = format!("{file}:{}: {}", failure.line, failure.text);
    if let Some(packet) = &failure.packet {
        let _ = write!(out, " ({packet})");
    }
    for missed in &failure.missed {
        let _ = write!(out, "\nexpected {}\nhappened {}", missed.expected, missed.instead);
    }
    out
}
