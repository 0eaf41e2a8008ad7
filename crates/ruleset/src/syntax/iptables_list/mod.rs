//! What `iptables -L` prints, read back into iptables-save words: plain, `-n`, `-v`,
//! `--line-numbers`, and rows as they arrive from a web page, with columns lost and blanks
//! collapsed.
//!
//! A listing is lossy. Without `-v` it has no interface columns; names stand where numbers were;
//! a mask of options is printed for people. What a row does not say is `None` here, and what it
//! says in words that are not known is kept in [`ListedRule::unread`]: the reader is told, nothing
//! is made up. Source: iptables(8), and rows printed by iptables 1.8.9 (nf_tables and legacy).

mod extras;
mod file;
mod print;
mod services;

pub use file::{Converted, Listing, NOTES_MAX, convert, family_of, is_listing, parse};
pub(in crate::syntax) use print::counter;
pub use print::{List, print_brief, print_list, print_list_rule};

use crate::extension::names;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Write;

/// Most words of a row that are read; a longer row is no row.
pub const ROW_WORDS_MAX: usize = 256;

/// Longest row in bytes; a longer one is none.
pub const ROW_BYTES_MAX: usize = 8192;

/// Whether a line is short enough for a row, so that its reading is bounded.
fn is_bounded(line: &str) -> bool {
    line.len() <= ROW_BYTES_MAX && line.split_whitespace().nth(ROW_WORDS_MAX).is_none()
}

/// One row of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedRule {
    /// `num`, with `--line-numbers`.
    pub number: Option<u32>,
    /// `pkts` and `bytes`, with `-v`, as printed (`12M` is 12 million, rounded).
    pub counters: Option<(String, String)>,
    /// The target or user chain; `None`: the rule only counts.
    pub target: Option<String>,
    /// `[goto]`: `-g` instead of `-j`.
    pub goto: bool,
    /// `prot` as printed: `tcp`, `6`, `all`, `0`, `!tcp`.
    pub protocol: String,
    /// `-f` or `!f` in the `opt` column.
    pub fragment: Option<Fragments>,
    /// `in`, with `-v`; `None`: not printed, or lost.
    pub in_interface: Option<String>,
    /// `out`, with `-v`; `None`: not printed, or lost.
    pub out_interface: Option<String>,
    /// `source`; `None`: lost on the way.
    pub source: Option<String>,
    /// `destination`; `None`: lost on the way.
    pub destination: Option<String>,
    /// Options of matches in iptables-save words, in the order of the row.
    pub matches: Vec<String>,
    /// Options of the target in iptables-save words.
    pub target_options: String,
    /// Words of the row that no known match or target prints.
    pub unread: Vec<String>,
    /// Names that the listing put in place of addresses (no `-n`); taken as anywhere.
    pub unresolved: Vec<String>,
    /// Whether the row shows IPv6 addresses or ICMPv6.
    pub v6: bool,
}

/// The `opt` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragments {
    /// `-f`: second and further fragments.
    Further,
    /// `!f`: whole packets and first fragments.
    First,
}

/// Which columns a listing has besides those that all have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// `num`.
    pub numbers: bool,
    /// `pkts` and `bytes`.
    pub counters: bool,
    /// `in` and `out`.
    pub interfaces: bool,
}

/// Reads a row under a head that names its columns; one that does not have them all is read as it would
/// be by itself.
#[must_use]
pub fn read_row_under(line: &str, columns: Columns) -> Option<ListedRule> {
    if !is_bounded(line) {
        return None;
    }
    let whole = read_whole_row(line, columns);
    whole.or_else(|| read_row(line)).filter(|row| row.number.is_some() == columns.numbers)
}

/// A row with all its columns.
fn read_whole_row(line: &str, columns: Columns) -> Option<ListedRule> {
    let mut row = ListedRule::default();
    let mut words = Cut { line, at: 0 };
    if columns.numbers {
        row.number = Some(words.next()?.parse().ok()?);
    }
    if columns.counters {
        let both = [words.next()?, words.next()?];
        let [packets, bytes] = both.map(|word| Some(word).filter(|word| is_count(word)));
        row.counters = Some((packets?.into(), bytes?.into()));
    }
    // The target may be missing, and older ip6tables leave `opt` blank.
    let first = words.next()?;
    let after_first = words.at;
    let second = words.next()?;
    let after_second = words.at;
    let third = words.next()?;
    let (protocol, opt) = match (opt_column(second), opt_column(third)) {
        (Some(opt), _) => {
            words.at = after_second;
            (first, opt)
        }
        (_, Some(opt)) => {
            row.target = Some(first.into());
            (second, opt)
        }
        _ if is_protocol(second) => {
            words.at = after_second;
            row.target = Some(first.into());
            (second, None)
        }
        _ => {
            words.at = after_first;
            (first, None)
        }
    };
    row.fragment = opt;
    row.protocol = Some(protocol).filter(|word| is_protocol(word))?.into();
    if columns.interfaces {
        row.in_interface = Some(words.next()?.into());
        row.out_interface = Some(words.next()?.into());
    }
    for column in 0..2 {
        let word = words.next()?;
        let name = is_host_name(word.strip_prefix('!').unwrap_or(word));
        let value = address_column(&mut row, Some(word).filter(|w| is_address(w) || name)?);
        if column == 0 {
            row.source = Some(value);
        } else {
            row.destination = Some(value);
        }
    }
    extras::read(&mut row, line.get(words.at..)?);
    row.v6 |= matches!(protocol_word(&row.protocol).1, "ipv6-icmp" | "icmpv6" | "58");
    Some(row)
}

/// The words of a line, and where the last of them ends.
struct Cut<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cut<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.line.get(self.at..)?;
        let from = self.at + (rest.len() - rest.trim_start().len());
        let word = rest.split_whitespace().next()?;
        self.at = from + word.len();
        Some(word)
    }
}

/// Reads one row; `None` when the text is not a row of a listing.
#[must_use]
pub fn read_row(line: &str) -> Option<ListedRule> {
    if !is_bounded(line) || line.trim_start().starts_with('-') {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut row = ListedRule::default();
    let rest = match words.iter().position(|word| opt_column(word).is_some()) {
        Some(at) => read_with_opt(&mut row, &words, at)?,
        None => read_without_opt(&mut row, &words)?,
    };
    let rest = read_columns(&mut row, rest);
    // The rest of the line as it stands: blanks in quotes and comments count.
    let from = rest.first().map(|word| (word.as_ptr() as usize) - (line.as_ptr() as usize));
    extras::read(&mut row, from.and_then(|from| line.get(from..)).unwrap_or(""));
    let nothing_known = row.source.is_none() && row.matches.is_empty();
    if nothing_known && row.target_options.is_empty() && !row.unread.is_empty() {
        return None;
    }
    row.v6 |= matches!(protocol_word(&row.protocol).1, "ipv6-icmp" | "icmpv6" | "58");
    Some(row)
}

/// Reads the head of a chain: `Chain INPUT (policy DROP 0 packets, 0 bytes)`,
/// `Chain LOGDROP (2 references)`. The policy is `None` for a user chain.
#[must_use]
pub fn read_chain_head(line: &str) -> Option<(&str, Option<&str>)> {
    let rest = line.trim().strip_prefix("Chain ")?;
    let (name, rest) = rest.split_once(" (")?;
    let mut words = rest.trim_end_matches(')').split_whitespace();
    match words.next() {
        Some("policy") => Some((name, words.next())),
        Some(_) if rest.contains("reference") => Some((name, None)),
        _ => None,
    }
}

/// Reads the line that names the columns.
#[must_use]
pub fn read_column_head(line: &str) -> Option<Columns> {
    let words: Vec<&str> = line.split_whitespace().take(12).collect();
    let target = words.iter().position(|word| *word == "target")?;
    let front = words.get(..target)?;
    let known = front.iter().all(|word| matches!(*word, "num" | "pkts" | "bytes"));
    let has = |word: &str| words.contains(&word);
    (known && words.get(target + 1) == Some(&"prot")).then(|| Columns {
        numbers: has("num"),
        counters: has("pkts"),
        interfaces: has("in") && has("out"),
    })
}

/// Whether the line names the columns.
#[must_use]
pub fn is_column_head(line: &str) -> bool {
    read_column_head(line).is_some()
}

impl ListedRule {
    /// The rule in iptables-save words, without `-A CHAIN`.
    #[must_use]
    pub fn save_words(&self) -> String {
        let mut out = String::new();
        let mut option = |flag: &str, value: &Option<String>, any: &[&str]| {
            let Some(value) = value else { return };
            let (not, value) = match value.strip_prefix('!') {
                Some(value) => ("! ", value),
                None => ("", value.as_str()),
            };
            if not.is_empty() && (value.is_empty() || any.contains(&value)) {
                return;
            }
            let value = match (value, self.v6) {
                ("anywhere", false) => "0.0.0.0/0",
                ("anywhere", true) => "::/0",
                _ => value,
            };
            let _ = write!(out, " {not}{flag} {value}");
        };
        let anywhere = ["anywhere", "any", "0.0.0.0/0", "::/0"];
        option("-s", &self.source, &anywhere);
        option("-d", &self.destination, &anywhere);
        // `*` beside it is how -n says that there is none: then `any` is a name.
        let star = |column: &Option<String>| column.as_deref() == Some("*");
        let numeric = star(&self.in_interface) || star(&self.out_interface);
        let no_interface = if numeric { &["*"][..] } else { &["*", "any"] };
        option("-i", &self.in_interface, no_interface);
        option("-o", &self.out_interface, no_interface);
        let (not, protocol) = protocol_word(&self.protocol);
        if !matches!(protocol, "" | "all" | "0") {
            let _ = write!(out, " {not}-p {protocol}");
        }
        match self.fragment {
            Some(Fragments::Further) => out.push_str(" -f"),
            Some(Fragments::First) => out.push_str(" ! -f"),
            None => {}
        }
        for words in &self.matches {
            let _ = write!(out, " {words}");
        }
        if let Some(target) = &self.target {
            let _ = write!(out, " {} {target}", if self.goto { "-g" } else { "-j" });
        }
        if !self.target_options.is_empty() {
            let _ = write!(out, " {}", self.target_options);
        }
        out.trim_start().to_string()
    }
}

/// The `opt` column: `--`, `-f`, `!f`, and the dashes that web pages make of `--`.
fn opt_column(word: &str) -> Option<Option<Fragments>> {
    match word {
        "--" | "\u{2013}" | "\u{2014}" | "\u{2013}\u{2013}" => Some(None),
        "-f" => Some(Some(Fragments::Further)),
        "!f" => Some(Some(Fragments::First)),
        _ => None,
    }
}

fn read_with_opt<'w, 'a>(
    row: &mut ListedRule,
    words: &'w [&'a str],
    at: usize,
) -> Option<&'w [&'a str]> {
    row.fragment = opt_column(words.get(at)?)?;
    let before = words.get(..at)?;
    let (protocol, before) = before.split_last()?;
    if !is_protocol(protocol) {
        return None;
    }
    row.protocol = (*protocol).to_string();
    read_front(row, before)?;
    words.get(at + 1..)
}

/// Older ip6tables leave the `opt` column blank: a target, a known protocol, two addresses.
fn read_without_opt<'w, 'a>(row: &mut ListedRule, words: &'w [&'a str]) -> Option<&'w [&'a str]> {
    let at = words.iter().take(6).position(|word| is_protocol(word) && !is_count(word))?;
    let after = words.get(at + 1..)?;
    let mut columns = after.iter().take(4).filter(|word| is_address(word));
    columns.next()?;
    columns.next()?;
    row.protocol = (*words.get(at)?).to_string();
    read_front(row, words.get(..at)?)?;
    Some(after)
}

/// `[num] [pkts bytes] [target]`.
fn read_front(row: &mut ListedRule, words: &[&str]) -> Option<()> {
    let counts = words.iter().take_while(|word| is_count(word)).count();
    match words.get(..counts)? {
        [] => {}
        [number] => row.number = number.parse().ok(),
        [packets, bytes] => row.counters = Some(((*packets).into(), (*bytes).into())),
        [number, packets, bytes] => {
            row.number = number.parse().ok();
            row.counters = Some(((*packets).into(), (*bytes).into()));
        }
        _ => return None,
    }
    match words.get(counts..)? {
        [] => {}
        [target] if is_target(target) => row.target = Some((*target).to_string()),
        _ => return None,
    }
    Some(())
}

/// `[in out] [source destination]`, as far as they are there.
fn read_columns<'w, 'a>(row: &mut ListedRule, words: &'w [&'a str]) -> &'w [&'a str] {
    let mut rest = words;
    if let [first, second, ..] = rest
        && are_interfaces([first, second], rest.get(2..).unwrap_or(&[]), row.counters.is_some())
    {
        row.in_interface = Some((*first).to_string());
        row.out_interface = Some((*second).to_string());
        rest = rest.get(2..).unwrap_or(&[]);
    }
    for column in 0..2 {
        let Some((word, after)) = rest.split_first() else { break };
        let named = column == 0 && after.first().is_some_and(|word| is_address(word));
        if !(is_address(word) || named && is_host_name(word)) {
            break;
        }
        let value = address_column(row, word);
        if column == 0 {
            row.source = Some(value);
        } else {
            row.destination = Some(value);
        }
        rest = after;
    }
    rest
}

/// Whether the first two columns are interfaces. The name of one (`eth1.20`) may look like a host's.
fn are_interfaces(names: [&str; 2], behind: &[&str], counters: bool) -> bool {
    let possible = names.iter().all(|word| is_interface(word) && !is_certain_address(word));
    let mut addresses = behind.iter().take(2).map(|word| is_address(word));
    let (third, fourth) = (addresses.next() == Some(true), addresses.next() == Some(true));
    let plain = !names.iter().any(|word| is_address(word));
    possible && (third && fourth || plain && (counters || third || fourth))
}

/// Whether a word can be nothing but an address.
fn is_certain_address(word: &str) -> bool {
    let host = word.strip_prefix('!').unwrap_or(word).split('/').next().unwrap_or("");
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_address(word) && (numeric || host.contains(':') || !host.contains('.'))
}

/// The column as an address that a rule file can hold; a name counts as anywhere.
fn address_column(row: &mut ListedRule, word: &str) -> String {
    let (not, bare) = match word.strip_prefix('!') {
        Some(bare) => ("!", bare),
        None => ("", word),
    };
    let (host, prefix) = bare.split_once('/').unwrap_or((bare, ""));
    row.v6 |= host.contains(':');
    let numeric = host.contains(':')
        || host.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if numeric || host == "anywhere" {
        return word.to_string();
    }
    let known = match host {
        "localhost" | "localhost.localdomain" => "127.0.0.1",
        "ip6-localhost" | "ip6-loopback" => "::1",
        "loopback" => "127.0.0.0",
        "link-local" => "169.254.0.0",
        "base-address.mcast.net" => "224.0.0.0",
        "all-systems.mcast.net" => "224.0.0.1",
        "mdns.mcast.net" => "224.0.0.251",
        _ => {
            row.unresolved.push(word.to_string());
            return String::from("anywhere");
        }
    };
    let mut out = String::from(not);
    out.push_str(known);
    if !prefix.is_empty() {
        out.push('/');
        out.push_str(prefix);
    }
    out
}

/// `!` of the column, and the protocol under its iptables name.
fn protocol_word(column: &str) -> (&'static str, &str) {
    match column.strip_prefix('!') {
        Some(name) => ("! ", name),
        None => ("", column),
    }
}

fn is_protocol(word: &str) -> bool {
    let name = word.strip_prefix('!').unwrap_or(word);
    name.parse::<u8>().is_ok()
        || names::protocol_number(name).is_some()
        || matches!(name, "ip6-icmp" | "ipip" | "mobility-header" | "ospfigp")
}

/// A counter as listings print it: digits, perhaps with K, M, G or T.
fn is_count(word: &str) -> bool {
    let digits = word.trim_end_matches(['K', 'M', 'G', 'T']);
    !digits.is_empty() && word.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_target(word: &str) -> bool {
    word.len() <= 29 && word.bytes().all(|b| b.is_ascii_graphic()) && !word.starts_with('#')
}

fn is_interface(word: &str) -> bool {
    let name = word.strip_prefix('!').unwrap_or(word);
    !name.is_empty() && name.len() <= 15 && !extras::begins_extra(word)
}

fn is_address(word: &str) -> bool {
    let bare = word.strip_prefix('!').unwrap_or(word);
    let host = bare.split('/').next().unwrap_or(bare);
    if matches!(host, "anywhere" | "localhost" | "loopback" | "link-local" | "default") {
        return true;
    }
    let v6 = host.contains(':')
        && host.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        && host.bytes().filter(|b| *b == b':').count() >= 2;
    v6 || (host.contains('.') && is_host_name(host))
}

fn is_host_name(word: &str) -> bool {
    !extras::begins_extra(word)
        && word.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'))
}

#[cfg(test)]
mod tests;
