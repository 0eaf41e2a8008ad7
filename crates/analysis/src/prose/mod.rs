//! What is said, once per match, target, state and term; never per example.

pub mod cautions;
pub mod chains;
pub mod header;
pub mod helpers;
pub mod icmp;
pub mod packet;
pub mod protocol;
pub mod reasons;
pub mod sctp;
pub mod states;
pub mod surroundings;
pub mod targets;
pub mod tcp;
pub mod unsupported;

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list<S: AsRef<str>>(words: &[S]) -> String {
    join(words, "and")
}

/// `a`, `a or b`, `a, b or c`.
#[must_use]
pub fn alternatives<S: AsRef<str>>(words: &[S]) -> String {
    join(words, "or")
}

fn join<S: AsRef<str>>(words: &[S], last: &str) -> String {
    let mut out = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push_str(&if index + 1 == words.len() { format!(" {last} ") } else { ", ".into() });
        }
        out.push_str(word.as_ref());
    }
    out
}

/// A number of seconds as people say it: `431998 s (4 days 23 h 59 min 58 s)`.
#[must_use]
pub fn seconds(seconds: u64) -> String {
    if seconds < 120 {
        return format!("{seconds} s");
    }
    let parts = [(86_400, "days"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, name) in parts {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            let name = if name == "days" && count == 1 { "day" } else { name };
            words.push(format!("{count} {name}"));
        }
    }
    format!("{seconds} s ({})", words.join(" "))
}
