//! What words of a script become, as far as they alone decide it.

use super::{FIELDS_MAX, Status};
use alloc::{format, string::String, vec::Vec};

/// `$(which iptables)` is iptables; another command cannot be told.
pub(super) fn which(command: &str) -> Result<String, String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["which" | "whereis", name, ..]
        | ["command", "-v", name, ..]
        | ["type", "-p", name, ..] => Ok((*name).into()),
        _ => Err(format!("what `{}` prints cannot be told", command.trim())),
    }
}

/// `{1..3}` and `{a,b}`, as bash has them.
pub(super) fn braces(text: &str) -> Result<Vec<String>, String> {
    let whole = || Vec::from([String::from(text)]);
    let Some(open) = text.find('{') else { return Ok(whole()) };
    let Some(close) = text.get(open..).and_then(|rest| rest.find('}')) else { return Ok(whole()) };
    let front = text.get(..open).unwrap_or("");
    let inner = text.get(open + 1..open + close).unwrap_or("");
    let back = text.get(open + close + 1..).unwrap_or("");
    let parts: Vec<String> = if let Some((from, to)) = inner.split_once("..") {
        let Some((from, to)) = from.parse::<i64>().ok().zip(to.parse::<i64>().ok()) else {
            return Ok(whole());
        };
        if from.abs_diff(to) > FIELDS_MAX as u64 {
            return Err("this becomes too many words".into());
        }
        let up: Vec<i64> = (from.min(to)..=from.max(to)).collect();
        let numbers = up.into_iter().map(|number| format!("{number}"));
        if from <= to { numbers.collect() } else { numbers.rev().collect() }
    } else if inner.contains(',') {
        inner.split(',').map(Into::into).collect()
    } else {
        return Ok(whole());
    };
    let mut out = Vec::new();
    let rest = if back.contains('{') { braces(back)? } else { Vec::from([back.into()]) };
    if parts.len().saturating_mul(rest.len()) > FIELDS_MAX {
        return Err("this becomes too many words".into());
    }
    for part in &parts {
        out.extend(rest.iter().map(|back| format!("{front}{part}{back}")));
    }
    Ok(out)
}

/// test(1), as far as words alone decide.
pub(super) fn test(words: &[&str]) -> Status {
    match words {
        [] => Some(false),
        ["!", rest @ ..] => test(rest).map(|status| !status),
        ["-n", text] => Some(!text.is_empty()),
        ["-z", text] => Some(text.is_empty()),
        [operator, _] if operator.starts_with('-') => None,
        [text] => Some(!text.is_empty()),
        [a, "=" | "==", b] => Some(a == b),
        [a, "!=", b] => Some(a != b),
        [a, operator, b] => {
            let (a, b) = (a.parse::<i64>().ok()?, b.parse::<i64>().ok()?);
            match *operator {
                "-eq" => Some(a == b),
                "-ne" => Some(a != b),
                "-lt" => Some(a < b),
                "-le" => Some(a <= b),
                "-gt" => Some(a > b),
                "-ge" => Some(a >= b),
                _ => None,
            }
        }
        _ => None,
    }
}
