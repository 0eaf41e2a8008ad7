//! The text of a script to its events.

use std::collections::VecDeque;
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

impl When {
    const AT_ONCE: Self = Self::After(Duration::ZERO);
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
    Call(Effect),
}

/// What a system call makes of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It may send something at once.
    Sends,
    /// It answers whoever opens a connection.
    Listens,
    /// Nothing that others see.
    Nothing,
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
            Some(_) => What::Call(effect(rest)),
            None => continue,
        };
        events.push(Event { line, when, what });
    }
    Ok(as_it_happens(with_answers(events)))
}

/// Calls after which something may be on its way at once.
const SENDING: [&str; 9] =
    ["write", "writev", "send", "sendto", "sendmsg", "sendfile", "connect", "close", "shutdown"];

fn effect(call: &str) -> Effect {
    match call.split('(').next().unwrap_or("").trim() {
        "listen" => Effect::Listens,
        name if SENDING.contains(&name) => Effect::Sends,
        _ => Effect::Nothing,
    }
}

/// What a host does of its own accord, it does before the commands behind it, even where the script
/// does not care to see it: one that listens answers a SYN; one that connects and had to reset what
/// the peer still has of an older connection sends its SYN again.
fn with_answers(events: Vec<Event>) -> Vec<Event> {
    let (mut listens, mut open) = (false, false);
    let mut out = Vec::new();
    let mut rest = VecDeque::from(events);
    while let Some(event) = rest.pop_front() {
        let (mut answer, mut begins_again, line) = (None, false, event.line);
        match &event.what {
            What::Call(effect) => listens |= *effect == Effect::Listens,
            What::Sent(text) | What::Received(text) => {
                let received = matches!(event.what, What::Received(_));
                if opens(text) && received && listens && !open {
                    answer = syn_ack(text);
                }
                begins_again = !received && open && flags(text).contains('R');
                open = !flags(text).contains('R') && (open || opens(text));
            }
            What::Shell(_) => {}
        }
        out.push(event);
        let shown = rest.iter().position(|next| !matches!(next.what, What::Shell(_)));
        let is_shown = |at: &usize| match &rest[*at].what {
            What::Sent(text) => answer.is_some() || begins_again && opens(text),
            _ => false,
        };
        match (shown.filter(is_shown), answer) {
            (Some(at), _) => out.extend(rest.remove(at)),
            (None, Some(text)) => {
                out.push(Event { line, when: When::AT_ONCE, what: What::Sent(text) });
            }
            (None, None) => {}
        }
    }
    out
}

fn flags(packet: &str) -> &str {
    packet.split_whitespace().next().unwrap_or("")
}

fn opens(packet: &str) -> bool {
    flags(packet).starts_with('S') && !flags(packet).contains(['.', 'R'])
}

/// What a host answers to this SYN; `None` where it is no segment.
fn syn_ack(syn: &str) -> Option<String> {
    let first: u32 = syn.split_whitespace().nth(1)?.split(':').next()?.parse().ok()?;
    let offered = |option: &str| syn.contains(option);
    let mut options = String::from("mss 1460");
    options += if offered("sackOK") { ",sackOK" } else { "" };
    options += if offered("wscale") { ",nop,wscale 8" } else { "" };
    Some(format!("S. 0:0(0) ack {} win 65535 <{options}>", first.wrapping_add(1)))
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
        let caused = cause.is_some_and(|event| event.what == What::Call(Effect::Sends));
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
    let end = statement.find(|c: char| c.is_whitespace() || "`<>".contains(c));
    let (word, rest) = statement.split_at(end.unwrap_or(statement.len()));
    let is_time = word.starts_with(|c: char| c.is_ascii_digit() || "+.*".contains(c));
    if !is_time {
        return Ok((When::AT_ONCE, statement));
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
            (4, after(0.0), What::Call(Effect::Nothing)),
            (6, When::At(Duration::from_millis(100)), What::Sent("S 0:0(0)".to_owned())),
            (7, after(0.01), What::Received("S. 0:0(0) ack 1".to_owned())),
            (9, after(0.0), What::Shell("a |\n b".to_owned())),
        ];
        assert_eq!(found, expected);
        assert_eq!(parse("\n+x > S").unwrap_err().0, 2);
    }

    #[test]
    fn a_host_that_listens_answers_where_the_script_says_nothing() {
        let sent = |text: &str| -> Vec<(usize, String)> {
            let sent = |event: Event| match event.what {
                What::Sent(text) => Some((event.line, text)),
                _ => None,
            };
            parse(text).unwrap().into_iter().filter_map(sent).collect()
        };
        let listen = "listen(3, 10) = 0\n< S 7:7(0) win 9 <mss 9,wscale 7>\n";
        let answer = "S. 0:0(0) ack 8 win 65535 <mss 1460,nop,wscale 8>".to_owned();
        assert_eq!(sent(&format!("{listen}`a`")), [(2, answer.clone())]);
        assert_eq!(
            sent(&format!("{listen}> S. 1:1(0) ack 8")),
            [(3, "S. 1:1(0) ack 8".to_owned())]
        );
        assert_eq!(sent(&format!("{listen}`a`\n> S. 1:1(0) ack 8")).len(), 1);
        assert_eq!(sent("< S 7:7(0) win 9"), []);
        let again = format!("{listen}< . 8:8(0) ack 1\n< S 70:70(0)\n");
        assert_eq!(sent(&again), [(2, answer.clone())]);
        let reset = format!("{listen}< R 8:8(0)\n< S 7:7(0) <wscale 1>\n");
        assert_eq!(sent(&reset), [(2, answer.clone()), (4, answer)]);
    }

    #[test]
    fn a_host_that_had_to_reset_connects_again_at_once() {
        let lines = |text: &str| -> Vec<usize> {
            parse(text).unwrap().iter().map(|event| event.line).collect()
        };
        let reset = "> S 0:0(0)\n< . 9:9(0) ack 7\n> R 7:7(0)\n`a`\n> ";
        assert_eq!(lines(&format!("{reset}S 0:0(0)")), [1, 2, 3, 5, 4]);
        assert_eq!(lines(&format!("{reset}. 0:0(0)")), [1, 2, 3, 4, 5]);
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
