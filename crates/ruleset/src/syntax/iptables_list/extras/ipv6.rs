//! What matches of IPv6's extension headers print.

use super::{Phrase, Reads, Words, bang, inverted, push};
use crate::syntax::iptables_list::ListedRule;
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

pub(super) const PHRASES: &[Phrase] = &[
    ("frag", Reads::With(|row, words, _| fields(row, words, "frag", FRAG))),
    ("dst", Reads::With(|row, words, _| fields(row, words, "dst", DST))),
    ("hbh", Reads::With(|row, words, _| fields(row, words, "hbh", HBH))),
    ("rt", Reads::With(|row, words, _| fields(row, words, "rt", RT))),
    ("mh", Reads::With(mobility)),
    ("ipv6header flags:", Reads::With(headers)),
    ("srh", Reads::With(segments)),
    ("eui64", Reads::Match("eui64", "")),
];

/// How a field is printed, the option it is, and whether a value follows.
pub(super) type Field = (&'static str, &'static str, bool);

const FRAG: &[Field] = &[
    ("ids:", "--fragid", true),
    ("id:", "--fragid", true),
    ("length:", "--fraglen", true),
    ("reserved", "--fragres", false),
    ("first", "--fragfirst", false),
    ("more", "--fragmore", false),
    ("last", "--fraglast", false),
];
const DST: &[Field] = &[("length:", "--dst-len", true), ("opts", "--dst-opts", true)];
const HBH: &[Field] = &[("length:", "--hbh-len", true), ("opts", "--hbh-opts", true)];
const RT: &[Field] = &[
    ("type:", "--rt-type", true),
    ("segslefts:", "--rt-segsleft", true),
    ("segsleft:", "--rt-segsleft", true),
    ("length:", "--rt-len", true),
    ("reserved", "--rt-0-res", false),
    ("0-addrs", "--rt-0-addrs", true),
    ("0-not-strict", "--rt-0-not-strict", false),
];

/// `spi:5`, `spis:!5:7length:12 reserved`: fields in a row, with a blank between them or without one.
pub(super) fn fields(
    row: &mut ListedRule,
    words: &mut Words<'_>,
    name: &str,
    of: &[Field],
) -> Option<()> {
    let mut options = String::new();
    while let Some((start, option, valued)) = of.iter().find(|(start, ..)| words.take_start(start))
    {
        if *valued && start.ends_with(':') {
            let rest = words.rest;
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '!'));
            let (value, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
            words.rest = after;
            let (not, value) = inverted(value);
            let _ = write!(options, " {not}{option} {value}");
        } else if *valued {
            let _ = write!(options, " {option} {}", words.next()?);
        } else {
            let _ = write!(options, " {option}");
        }
    }
    push(row, name, options.trim_start());
    Some(())
}

/// `mh 6`, `mh !1:3`, `mh binding-acknowledgement`, `mh` of any type.
fn mobility(row: &mut ListedRule, words: &mut Words<'_>, _: bool) -> Option<()> {
    let word = words.peek().filter(|word| !matches!(*word, "!" | "/*"));
    let any = word.is_none_or(super::begins_extra);
    let value = if any { None } else { words.next() };
    let option = value.map(inverted).map(|(not, value)| format!("{not}--mh-type {value}"));
    push(row, "mh", &option.unwrap_or_default());
    Some(())
}

const HEADERS: [(u8, &str); 8] = [
    (0x80, "hop-by-hop"),
    (0x40, "ipv6-opts"),
    (0x20, "ipv6-route"),
    (0x10, "ipv6-frag"),
    (0x08, "ah"),
    (0x04, "esp"),
    (0x02, "ipv6-nonxt"),
    (0x01, "protocol"),
];

/// `ipv6header flags:!0x90 soft`.
fn headers(row: &mut ListedRule, words: &mut Words<'_>, _: bool) -> Option<()> {
    let (not, flags) = inverted(words.next()?);
    let names = match flags.strip_prefix("0x") {
        Some(hex) => {
            let bits = u8::from_str_radix(hex, 16).ok()?;
            let set = HEADERS.iter().filter(|(bit, _)| bits & bit != 0);
            set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
        }
        None => flags.into(),
    };
    let soft = if words.take("soft") { " --soft" } else { "" };
    push(row, "ipv6header", &format!("{not}--header {names}{soft}"));
    Some(())
}

/// `srh next-hdr:!17 hdr-len-eq:8 psid ! a::/64`.
fn segments(row: &mut ListedRule, words: &mut Words<'_>, _: bool) -> Option<()> {
    let mut options = String::new();
    loop {
        if let Some(name) = ["psid", "nsid", "lsid"].into_iter().find(|name| words.take(name)) {
            let (not, value) = words.value(false)?;
            let _ = write!(options, " {not}--srh-{name} {value}");
            continue;
        }
        let kinds = ["next-hdr", "hdr-len", "segs-left", "last-entry", "tag"];
        let field = words.peek().and_then(|word| word.split_once(':'));
        let Some((name, value)) =
            field.filter(|(name, _)| kinds.iter().any(|kind| name.starts_with(kind)))
        else {
            break;
        };
        words.next();
        let (not, value) = inverted(value);
        let _ = write!(options, " {}--srh-{name} {value}", bang(!not.is_empty()));
    }
    push(row, "srh", options.trim_start());
    Some(())
}
