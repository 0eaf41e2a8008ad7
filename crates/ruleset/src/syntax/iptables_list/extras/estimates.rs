//! What matches print that estimate: `rateest` and `osf`.

use super::{ListedRule, Phrase, Reads, Words, bang, push};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

pub(super) const PHRASES: &[Phrase] = &[
    ("rateest match", Reads::With(|row, words, _| rateest(row, words))),
    ("OS fingerprint match", Reads::With(|row, words, _| osf(row, words))),
];

/// `! Linux`.
fn osf(row: &mut ListedRule, words: &mut Words<'_>) -> Option<()> {
    let not = bang(words.take("!"));
    push(row, "osf", &format!("{not}--genre {}", words.next()?));
    Some(())
}

/// `bps`, `pps`, and the values behind it.
type Part<'a> = (&'a str, Vec<&'a str>);

/// The parts at the front, each with as many values as there are words that are none of the others.
fn parts<'a>(words: &mut Words<'a>) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    while let Some(word) = words.peek() {
        match (word, parts.last_mut()) {
            ("bps" | "pps", _) => parts.push((word, Vec::new())),
            ("!" | "lt" | "gt" | "eq", _) | (_, None) => break,
            (value, Some((_, values))) if values.len() < 2 => values.push(value),
            _ => break,
        }
        words.next();
    }
    parts
}

/// `! --rateest-gt`.
fn comparison(words: &mut Words<'_>) -> Option<String> {
    let not = bang(words.take("!"));
    let word = words.next().filter(|word| ["lt", "gt", "eq"].contains(word))?;
    Some(format!("{not}--rateest-{word}"))
}

/// A rate as an option takes it: numbers alone are bytes.
fn rate(kind: &str, value: &str) -> String {
    let bytes = kind == "bps" && value.bytes().all(|b| b.is_ascii_digit());
    format!("{value}{}", if bytes { "bps" } else { "" })
}

/// `RE1 delta bps 8bit lt RE2 bps 16bit`, `RE1 bps 8bit gt pps gt 5`.
fn rateest(row: &mut ListedRule, words: &mut Words<'_>) -> Option<()> {
    let mut options = format!("--rateest1 {}", words.next()?);
    if words.take("delta") {
        options.push_str(" --rateest-delta");
    }
    let before = words.rest;
    let both = two(words);
    if both.is_none() {
        words.rest = before;
    }
    options.push_str(&both.or_else(|| one(words))?);
    push(row, "rateest", &options);
    Some(())
}

/// Of two estimators: the same rates are named on both sides.
fn two(words: &mut Words<'_>) -> Option<String> {
    let first = parts(words);
    let mut out = format!(" {}", comparison(words)?);
    let _ = write!(out, " --rateest2 {}", words.next()?);
    let second = parts(words);
    let same = first.iter().map(|part| part.0).eq(second.iter().map(|part| part.0));
    if first.is_empty() || !same {
        return None;
    }
    for (number, parts) in [(1, first), (2, second)] {
        for (kind, values) in parts {
            let _ = write!(out, " --rateest-{kind}{number}");
            match values.as_slice() {
                [] => {}
                [value] => {
                    let _ = write!(out, " {}", rate(kind, value));
                }
                _ => return None,
            }
        }
    }
    Some(out)
}

/// Of one estimator: the bytes stand before the comparison, the last of the packets behind it.
fn one(words: &mut Words<'_>) -> Option<String> {
    let mut out = String::new();
    let mut compared = String::new();
    while let Some(kind @ ("bps" | "pps")) = words.peek() {
        words.next();
        let mut values = Vec::new();
        while let Some(value) = words.peek() {
            if ["!", "lt", "gt", "eq"].contains(&value) || values.len() == 2 {
                break;
            }
            values.push(value);
            words.next();
        }
        compared = comparison(words)?;
        if kind == "pps" {
            values.push(words.next()?);
        }
        let numbers: &[u8] = if values.len() == 2 { &[1, 2] } else { &[2] };
        for (number, value) in numbers.iter().zip(&values) {
            let _ = write!(out, " --rateest-{kind}{number} {}", rate(kind, value));
        }
    }
    (!compared.is_empty()).then(|| format!(" {compared}{out}"))
}
