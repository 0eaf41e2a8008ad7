//! The text of a script to its events.

use std::time::Duration;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Line in the file, from 1.
    pub(super) line: usize,
    pub(super) when: When,
    pub(super) what: What,
}

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// So long after the beginning.
    At(Duration),
    /// So long after the event before.
    After(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A shell command.
    Shell(String),
    /// A packet that the host sends, without its arrow.
    Sent(String),
    /// A packet that the peer sends.
    Received(String),
    /// A system call, which is passed over, or Python that looks at the host's socket.
    Call {
        /// Whether the host may send something at once because of it.
        sends: bool,
    },
}

/// The events of a script.
///
/// # Errors
/// The line, and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Event>, (usize, String)> {
    let mut events = Vec::new();
    for (line, statement) in statements(&without_comments(text)) {
        let statement = statement.trim();
        if statement.is_empty() || statement.starts_with("--") {
            continue;
        }
        let (when, rest) = time(statement).map_err(|fault| (line, fault))?;
        let what = match rest.chars().next() {
            Some('`') => {
                let inner = rest.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
                What::Shell(inner.ok_or((line, "a command without its end".to_owned()))?.to_owned())
            }
            Some('>') => What::Sent(rest[1..].trim().to_owned()),
            Some('<') => What::Received(rest[1..].trim().to_owned()),
            Some(_) => What::Call { sends: sends(rest) },
            None => continue,
        };
        events.push(Event { line, when, what });
    }
    Ok(as_it_happens(events))
}

/// Calls after which something may be on its way at once.
const SENDING: [&str; 9] =
    ["write", "writev", "send", "sendto", "sendmsg", "sendfile", "connect", "close", "shutdown"];

fn sends(call: &str) -> bool {
    let name = call.split('(').next().unwrap_or("").trim();
    SENDING.contains(&name)
}

/// A script asks for a packet where it wants to see it; what a call makes the host send is under
/// way when the commands behind the call run.
fn as_it_happens(events: Vec<Event>) -> Vec<Event> {
    let mut ordered: Vec<Event> = Vec::new();
    for event in events {
        let is_command = |event: &Event| matches!(event.what, What::Shell(_));
        let commands = ordered.iter().rev().take_while(|event| is_command(event)).count();
        let at = ordered.len() - commands;
        let cause = at.checked_sub(1).and_then(|before| ordered.get(before));
        let caused = cause.is_some_and(|event| event.what == What::Call { sends: true });
        let sent = matches!(event.what, What::Sent(_));
        ordered.insert(if sent && caused { at } else { ordered.len() }, event);
    }
    ordered
}

/// Comments become blanks; lines stay. Those in commands and in quotes are none.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut inside = None;
    while let Some(c) = rest.chars().next() {
        let skip = match inside {
            None if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            None if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            None if matches!(c, '`' | '"') => {
                inside = Some(c);
                0
            }
            Some(quote) if quote == c => {
                inside = None;
                0
            }
            _ => 0,
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skip].chars().filter(|c| *c == '\n'));
            rest = &rest[skip..];
        }
    }
    out
}

/// Statements with their first line: one a line, unless a bracket or a quote is open at its end.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        match found.last_mut().filter(|_| open) {
            Some((_, statement)) => {
                statement.push('\n');
                statement.push_str(line);
            }
            None => found.push((number, line.to_owned())),
        }
        open = found.last().is_some_and(|(_, statement)| is_open(statement));
    }
    found
}

fn is_open(statement: &str) -> bool {
    let (mut depth, mut quote) = (0_i32, None);
    for c in statement.chars() {
        match (quote, c) {
            (None, '`' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, _) => {}
        }
    }
    quote.is_some() || depth > 0
}

/// `+0.1`, `0.1`, `+0~+0.2`, `*`; without one it happens at once.
fn time(statement: &str) -> Result<(When, &str), String> {
    const AT_ONCE: When = When::After(Duration::ZERO);
    let end = statement.find(|c: char| c.is_whitespace() || "`<>".contains(c));
    let (word, rest) = statement.split_at(end.unwrap_or(statement.len()));
    let is_time = word.starts_with(|c: char| c.is_ascii_digit() || "+.*".contains(c));
    if !is_time {
        return Ok((AT_ONCE, statement));
    }
    // Of a span its beginning.
    let first = word.split(['~', '*']).next().unwrap_or("");
    let first = first.split("...").next().unwrap_or("");
    let (relative, number) = match first.strip_prefix('+') {
        Some(number) => (true, number),
        None => (first.is_empty(), first),
    };
    let seconds: f64 = match number {
        "" => 0.0,
        number => number.parse().map_err(|_| format!("{word}: not a time"))?,
    };
    let duration =
        Duration::try_from_secs_f64(seconds).map_err(|_| format!("{word}: not a time"))?;
    let when = if relative { When::After(duration) } else { When::At(duration) };
    Ok((when, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_all_kinds() {
        let text = "// nothing\n--ip_version=ipv4\n`setup // no comment`\n+0 socket(..., {a,\n b}) = 3\n\
                    0.1 > S 0:0(0)\n+.01~+0.2 < S. 0:0(0) ack 1 /* and\n more */\n+0 `a |\n b`\n";
        let events = parse(text).unwrap();
        let after = |seconds| When::After(Duration::from_secs_f64(seconds));
        let found: Vec<_> = events.iter().map(|e| (e.line, e.when, e.what.clone())).collect();
        let expected = [
            (3, after(0.0), What::Shell("setup // no comment".to_owned())),
            (4, after(0.0), What::Call { sends: false }),
            (6, When::At(Duration::from_millis(100)), What::Sent("S 0:0(0)".to_owned())),
            (7, after(0.01), What::Received("S. 0:0(0) ack 1".to_owned())),
            (9, after(0.0), What::Shell("a |\n b".to_owned())),
        ];
        assert_eq!(found, expected);
        assert_eq!(parse("\n+x > S").unwrap_err().0, 2);
    }

    #[test]
    fn what_a_call_sends_is_sent_before_the_commands_behind_it() {
        let lines = |text: &str| -> Vec<usize> {
            parse(text).unwrap().iter().map(|event| event.line).collect()
        };
        assert_eq!(lines("write(3, ..., 1) = 1\n`a`\n`b`\n> P. 1:2(1)"), [1, 4, 2, 3]);
        assert_eq!(lines("read(3, ..., 1) = 1\n`a`\n> . 1:1(0)"), [1, 2, 3]);
        assert_eq!(lines("write(3, ..., 1) = 1\n< . 1:1(0)\n`a`\n> . 1:1(0)"), [1, 2, 3, 4]);
    }
}
