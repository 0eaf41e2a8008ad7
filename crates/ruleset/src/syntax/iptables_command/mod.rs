//! An `iptables ...` or `ip6tables ...` command as people type and paste it, read into what it
//! asks for and the rule in iptables-save words.
//!
//! Only the frame is read here (program, table, operation, chain); the rule itself is left, word
//! by word, to [`super::iptables_save`]. Options have their short names and a `!` stands before
//! its option, as rule files have it. Source: iptables(8).

pub mod script;
pub mod shell;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use keepstate_packet::Family;

/// Most bytes of a command that are read.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// `iptables` or `ip6tables` (or `-4`, `-6`); `None` when the text begins with `-A`.
    pub family: Option<Family>,
    /// `-t`.
    pub table: Option<String>,
    /// What it asks for.
    pub operation: Operation,
    /// The chain; empty when the operation concerns all of them.
    pub chain: String,
    /// Packets and bytes that stood before the rule (`[5:274]`).
    pub counters: Option<(u64, u64)>,
    /// The rule in iptables-save words, without `-A CHAIN`.
    pub rule: Vec<String>,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `-A`.
    Append,
    /// `-I`, and where; 1 is the head of the chain.
    Insert(u32),
    /// `-R`, and which.
    Replace(u32),
    /// `-D` with a rule.
    Delete,
    /// `-D` with a number.
    DeleteNumber(u32),
    /// `-C`.
    Check,
    /// `-P`, and the policy.
    Policy(String),
    /// `-N`.
    NewChain,
    /// `-X`.
    DeleteChain,
    /// `-F`.
    Flush,
    /// `-Z`.
    Zero,
    /// `-L`.
    List,
    /// `-S`.
    Save,
}

/// Reads a command; `None` when the text is none.
#[must_use]
pub fn read(text: &str) -> Option<Command> {
    if text.len() > COMMAND_BYTES_MAX {
        return None;
    }
    let words = split(text)?;
    let (family, counters, rest) = front(&words)?;
    let mut command = Command {
        family,
        table: None,
        operation: Operation::List,
        chain: String::new(),
        counters,
        rule: Vec::new(),
    };
    let found = options(&mut command, rest)?;
    if !found {
        return None;
    }
    command.rule = negations_first(&command.rule);
    Some(command)
}

/// Joins words into a line that reads back as the same words.
#[must_use]
pub fn join(words: &[String]) -> String {
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
        if !word.is_empty() && word.bytes().all(plain) {
            out.push_str(word);
        } else {
            out.push('"');
            for c in word.chars() {
                if matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        }
    }
    out
}

/// Words as a shell would make them of the line: blanks, quotes, backslashes, `#` comments. `None`
/// when a quote does not end.
#[must_use]
pub fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => {
                if let Some(next) = chars.next()
                    && next != '\n'
                {
                    word.get_or_insert_default().push(next);
                }
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() && !words.is_empty() => break,
            (None, ';' | '&' | '|') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Family that the program names, counters, and the words that follow them.
type Front<'a> = (Option<Family>, Option<(u64, u64)>, &'a [String]);

/// What stands before the options: a prompt, `sudo`, variables, the program; or counters.
fn front(words: &[String]) -> Option<Front<'_>> {
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let before_program = matches!(word.as_str(), "$" | "#" | ">" | "sudo" | "doas" | "exec")
            || word.ends_with('#') && word.contains('@')
            || word.ends_with('$') && word.contains('@')
            || word.contains('=') && !word.starts_with('-');
        if !before_program {
            break;
        }
        rest = after;
    }
    let (word, after) = rest.split_first()?;
    if let Some(counters) = counters(word) {
        return Some((None, Some(counters), after));
    }
    if word.starts_with('-') {
        return Some((None, None, rest));
    }
    let program = word.rsplit('/').next().unwrap_or(word).to_ascii_lowercase();
    let program = program.trim_start_matches(['$', '{']).trim_end_matches('}');
    let family = match program {
        "ip6tables" | "ip6tables-nft" | "ip6tables-legacy" | "ip6t" => Family::V6,
        "iptables" | "iptables-nft" | "iptables-legacy" | "ipt" => Family::V4,
        _ => return None,
    };
    Some((Some(family), None, after))
}

/// `[5:274]`.
fn counters(word: &str) -> Option<(u64, u64)> {
    let (packets, bytes) = word.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    Some((packets.parse().ok()?, bytes.parse().ok()?))
}

/// The short name of a long option of iptables itself.
fn short(option: &str) -> &str {
    const LONG: &[(&str, &str)] = &[
        ("--append", "-A"),
        ("--insert", "-I"),
        ("--replace", "-R"),
        ("--delete", "-D"),
        ("--check", "-C"),
        ("--policy", "-P"),
        ("--new-chain", "-N"),
        ("--delete-chain", "-X"),
        ("--flush", "-F"),
        ("--zero", "-Z"),
        ("--list", "-L"),
        ("--list-rules", "-S"),
        ("--table", "-t"),
        ("--wait", "-w"),
        ("--verbose", "-v"),
        ("--numeric", "-n"),
        ("--exact", "-x"),
        ("--line-numbers", "--line-numbers"),
        ("--ipv4", "-4"),
        ("--ipv6", "-6"),
        ("--source", "-s"),
        ("--src", "-s"),
        ("--destination", "-d"),
        ("--dst", "-d"),
        ("--in-interface", "-i"),
        ("--out-interface", "-o"),
        ("--protocol", "-p"),
        ("--proto", "-p"),
        ("--fragment", "-f"),
        ("--fragments", "-f"),
        ("--jump", "-j"),
        ("--goto", "-g"),
        ("--match", "-m"),
    ];
    LONG.iter().find(|(long, _)| *long == option).map_or(option, |(_, short)| *short)
}

/// Reads the frame of the command; the rest of the words are the rule. Says whether an operation
/// was there.
fn options(command: &mut Command, words: &[String]) -> Option<bool> {
    let mut found = false;
    let mut rest = words.iter().peekable();
    let mut in_target = false;
    while let Some(word) = rest.next() {
        let word = short(word);
        let operation = if in_target { None } else { operation(word, &mut rest) };
        if let Some((operation, chain)) = operation {
            command.operation = operation;
            command.chain = chain;
            found = true;
            continue;
        }
        match word {
            "-t" => command.table = Some(rest.next()?.clone()),
            "-4" if command.rule.is_empty() => command.family = Some(Family::V4),
            "-6" if command.rule.is_empty() => command.family = Some(Family::V6),
            "-w" | "-W" => {
                rest.next_if(|next| next.bytes().all(|b| b.is_ascii_digit()));
            }
            "-v" | "-n" | "-x" | "-vn" | "-nv" | "-nvL" | "--line-numbers" => {}
            _ => {
                in_target |= matches!(word, "-j" | "-g");
                command.rule.push(word.to_string());
            }
        }
    }
    Some(found)
}

fn operation<'a>(
    word: &str,
    rest: &mut core::iter::Peekable<impl Iterator<Item = &'a String>>,
) -> Option<(Operation, String)> {
    let mut chain = |required: bool| -> Option<String> {
        match rest.next_if(|next| !next.starts_with(['-', '!'])) {
            Some(chain) => Some(chain.clone()),
            None if required => None,
            None => Some(String::new()),
        }
    };
    let simple = match word {
        "-A" => Operation::Append,
        "-C" => Operation::Check,
        "-N" => Operation::NewChain,
        "-X" => return Some((Operation::DeleteChain, chain(false)?)),
        "-F" => return Some((Operation::Flush, chain(false)?)),
        "-Z" => return Some((Operation::Zero, chain(false)?)),
        "-L" => return Some((Operation::List, chain(false)?)),
        "-S" => return Some((Operation::Save, chain(false)?)),
        "-I" | "-D" | "-R" => {
            let chain = chain(true)?;
            let number = rest.next_if(|next| next.parse::<u32>().is_ok());
            let number = number.and_then(|number| number.parse().ok());
            let operation = match (word, number) {
                ("-I", number) => Operation::Insert(number.unwrap_or(1)),
                ("-D", Some(number)) => Operation::DeleteNumber(number),
                ("-D", None) => Operation::Delete,
                (_, number) => Operation::Replace(number?),
            };
            return Some((operation, chain));
        }
        "-P" => {
            let chain = chain(true)?;
            return Some((Operation::Policy(rest.next()?.clone()), chain));
        }
        _ => return None,
    };
    Some((simple, chain(true)?))
}

/// `-p ! tcp`, as iptables was once written, becomes `! -p tcp`.
fn negations_first(words: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let after_option = index > 0
            && out.last().is_some_and(|last| last.starts_with('-') && last.len() > 1)
            && words.get(index + 1).is_some_and(|next| !next.starts_with('-'));
        if word == "!" && after_option {
            let at = out.len().saturating_sub(1);
            out.insert(at, String::from("!"));
        } else {
            out.push(word.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests;
