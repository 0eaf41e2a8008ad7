//! Options of `create` and of elements.

use super::Fault;
use super::command::Verb;
use super::element::{Wanted, address, bare_ports, ip_range, number, set_name};
use crate::sets::ipset::Create;
use crate::sets::ipset::change::{Reference, Request, host_length};
use crate::sets::ipset::types::{Layout, Method, SetType};
use alloc::{format, string::String, vec::Vec};
use keepstate_packet::Family;

/// Most seconds of a timeout.
pub const TIMEOUT_MAX: u64 = 2_147_483;
/// Most bytes of a comment.
pub const COMMENT_MAX: usize = 255;
/// Counters are this at most: one more stands for none.
const COUNTER_MAX: u64 = u64::MAX - 1;

/// The words behind the element or the type, taken one after the other.
struct Words<'a> {
    rest: core::slice::Iter<'a, String>,
    seen: Vec<&'static str>,
}

impl<'a> Words<'a> {
    fn value(&mut self, name: &str) -> Result<&'a str, Fault> {
        self.rest
            .next()
            .map(String::as_str)
            .ok_or_else(|| Fault::usage(format!("Missing mandatory argument of option `{name}'")))
    }

    /// An option that is given once.
    fn once(&mut self, name: &'static str) -> Result<(), Fault> {
        if self.seen.contains(&name) {
            return Err(Fault::syntax(format_args!("{name} already specified")));
        }
        self.seen.push(name);
        Ok(())
    }

    fn number(&mut self, name: &'static str, min: u64, max: u64) -> Result<u64, Fault> {
        let value = self.value(name)?;
        self.once(name)?;
        number(value, min, max)
    }

    fn number32(&mut self, name: &'static str) -> Result<Option<u32>, Fault> {
        self.number(name, 0, u32::MAX.into()).map(|value| u32::try_from(value).ok())
    }
}

fn plain(word: &str) -> &str {
    word.strip_prefix("--").unwrap_or(word)
}

fn unknown(word: &str) -> Fault {
    Fault::usage(format!("Unknown argument: `{word}'"))
}

/// What `create` says behind the type. What is read but means nothing any more goes to `warnings`.
pub(super) fn create(
    kind: &'static SetType,
    words: &[String],
    warnings: &mut String,
) -> Result<Create, Fault> {
    let mut create = Create::new(kind);
    let family_of_masks = family_ahead(words);
    let mut words = Words { rest: words.iter(), seen: Vec::new() };
    while let Some(word) = words.rest.next() {
        let name = plain(word);
        let hash = kind.method == Method::Hash;
        match name {
            "timeout" => {
                let seconds = words.number("timeout", 0, TIMEOUT_MAX)?;
                create.extensions.timeout = u32::try_from(seconds).ok();
            }
            "counters" => create.extensions.counters = true,
            "comment" => create.extensions.comment = true,
            "skbinfo" => create.extensions.skbinfo = true,
            "size" if kind.method == Method::List => create.size = words.number32("size")?,
            "hashsize" if hash => create.hashsize = words.number32("hashsize")?,
            "maxelem" if hash => create.maxelem = words.number32("maxelem")?,
            "initval" if hash => create.initval = words.number32("initval")?,
            "bucketsize" if hash => {
                create.bucketsize = u8::try_from(words.number("bucketsize", 0, 255)?).ok();
            }
            "forceadd" if hash => create.forceadd = true,
            "family" | "-4" | "-6" if hash && !kind.families.is_empty() => {
                family(name, &mut words, &mut create)?;
            }
            "probes" | "resize" if hash => {
                let value = words.value(name)?;
                let lead = if warnings.is_empty() { "Warning: " } else { "" };
                warnings.push_str(&format!(
                    "{lead}Option '--{name} {value}' is ignored. Please upgrade your syntax.\n"
                ));
            }
            "netmask" if kind.options.netmask => netmask(&mut words, &mut create, family_of_masks)?,
            "bitmask" if kind.options.bitmask => bitmask(&mut words, &mut create, family_of_masks)?,
            "markmask" if kind.options.markmask => create.markmask = words.number32("markmask")?,
            "range" | "network" | "from" | "to" if kind.method == Method::Bitmap => {
                range(name, &mut words, &mut create)?;
            }
            _ => return Err(unknown(word)),
        }
    }
    if kind.method == Method::Bitmap {
        let missing = |what| Fault::usage(format!("Mandatory option `{what}' is missing"));
        let seen = |name| words.seen.contains(&name);
        if !seen("range") && !seen("from") {
            return Err(missing("range"));
        }
        if seen("from") && !seen("to") {
            return Err(missing("to"));
        }
    }
    Ok(create)
}

fn family(name: &str, words: &mut Words<'_>, create: &mut Create) -> Result<(), Fault> {
    let value = match name {
        "-4" => "inet",
        "-6" => "inet6",
        _ => words.value("family")?,
    };
    let family = match value {
        "inet" | "ipv4" | "-4" => Family::V4,
        "inet6" | "ipv6" | "-6" => Family::V6,
        "any" | "unspec" => {
            return Err(Fault::refused("Protocol family not supported by the set type"));
        }
        _ => return Err(Fault::syntax(format_args!("unknown inet family {value}"))),
    };
    words.once("family")?;
    create.family = Some(family);
    Ok(())
}

/// The family, wherever it stands: masks before it are of it already.
fn family_ahead(words: &[String]) -> Family {
    let named = words.iter().zip(words.iter().skip(1)).any(|(name, value)| {
        plain(name) == "family" && matches!(value.as_str(), "inet6" | "ipv6" | "-6")
    });
    if named || words.iter().any(|word| word == "-6") { Family::V6 } else { Family::V4 }
}

fn exclusive(create: &Create) -> Result<(), Fault> {
    if create.netmask.is_some() && create.bitmask.is_some() {
        return Err(Fault::syntax("bitmask and netmask are mutually exclusive, provide only one"));
    }
    Ok(())
}

fn netmask(words: &mut Words<'_>, create: &mut Create, family: Family) -> Result<(), Fault> {
    let most = host_length(family);
    let value = number(words.value("netmask")?, 1, most.into()).map_err(|fault| {
        Fault::refused(format!(
            "{}\nSyntax error: netmask is out of the inclusive range of 1-{most}",
            fault.text
        ))
    })?;
    words.once("netmask")?;
    create.netmask = u8::try_from(value).ok();
    exclusive(create)
}

fn bitmask(words: &mut Words<'_>, create: &mut Create, family: Family) -> Result<(), Fault> {
    let name = match family {
        Family::V4 => "inet",
        Family::V6 => "inet6",
    };
    // The real tool's own files may have the prefix of an element behind a mask, and it reads them.
    let value = words.value("bitmask")?;
    let value = match value.split_once('/') {
        Some((mask, length)) if number(length, 0, host_length(family).into()).is_ok() => mask,
        _ => value,
    };
    let mask = address(value, family).map_err(|fault| {
        Fault::refused(format!(
            "{}\nSyntax error: bitmask is not valid for family = {name}",
            fault.text
        ))
    })?;
    words.once("bitmask")?;
    create.bitmask = Some(mask);
    exclusive(create)
}

/// The range of a bitmap, in its new form and in the old ones.
fn range(name: &str, words: &mut Words<'_>, create: &mut Create) -> Result<(), Fault> {
    let option: &'static str = match name {
        "range" | "network" => "range",
        "from" => "from",
        _ => "to",
    };
    let value = words.value(name)?;
    let port = create.kind.layout == Layout::BitmapPort;
    match (option, port) {
        ("range", true) => {
            let ports = bare_ports(value)?;
            words.once("from")?;
            if let Some(to) = ports.to {
                words.once("to")?;
                create.ports = (ports.from, to);
            }
        }
        ("range", false) => {
            create.ips = ip_range(value, Family::V4, Wanted::Range)?;
            words.once("range")?;
        }
        (option, true) => {
            let port = bare_ports(value)?.from;
            words.once(option)?;
            if option == "from" {
                create.ports.0 = port;
            } else {
                create.ports.1 = port;
            }
        }
        (option, false) => {
            let ip = address(value, Family::V4)?;
            words.once(option)?;
            if option == "from" {
                create.ips.from = ip;
            } else {
                create.ips.to = Some(ip);
            }
        }
    }
    Ok(())
}

/// What stands behind an element. `exact`: seconds may have a fraction, as in the file of a rule
/// store.
pub(super) fn element(
    kind: &SetType,
    verb: Verb,
    words: &[String],
    request: &mut Request,
    exact: bool,
) -> Result<(), Fault> {
    let mut words = Words { rest: words.iter(), seen: Vec::new() };
    while let Some(word) = words.rest.next() {
        let name = plain(word);
        let add = verb == Verb::Add;
        match name {
            "before" | "after" if kind.method == Method::List => {
                reference(name, &mut words, request)?;
            }
            "nomatch" if kind.has_nomatch() && verb != Verb::Del => request.marks.nomatch = true,
            "wildcard" if kind.has_wildcard() && add => request.marks.wildcard = true,
            _ if !add => return Err(unknown(word)),
            "timeout" => timeout(&mut words, request, exact)?,
            "packets" => request.given.packets = Some(words.number("packets", 0, COUNTER_MAX)?),
            "bytes" => request.given.bytes = Some(words.number("bytes", 0, COUNTER_MAX)?),
            "comment" => comment(&mut words, request)?,
            "skbmark" => {
                let value = words.value("skbmark")?;
                words.once("skbmark")?;
                request.given.skbinfo.mark = skbmark(value)?;
                request.given.has_skbinfo = true;
            }
            "skbprio" => {
                let value = words.value("skbprio")?;
                words.once("skbprio")?;
                request.given.skbinfo.priority = skbprio(value)?;
                request.given.has_skbinfo = true;
            }
            "skbqueue" => {
                let queue = words.number("skbqueue", 0, 65_535)?;
                request.given.skbinfo.queue = u16::try_from(queue).unwrap_or(0);
                request.given.has_skbinfo = true;
            }
            _ => return Err(unknown(word)),
        }
    }
    Ok(())
}

fn reference(name: &str, words: &mut Words<'_>, request: &mut Request) -> Result<(), Fault> {
    let set = set_name(words.value(name)?)?;
    if request.reference.is_some() {
        return Err(Fault::syntax(format_args!("{name} already specified")));
    }
    request.reference =
        Some(if name == "before" { Reference::Before(set) } else { Reference::After(set) });
    Ok(())
}

fn timeout(words: &mut Words<'_>, request: &mut Request, exact: bool) -> Result<(), Fault> {
    let value = words.value("timeout")?;
    let (whole, rest) = match value.split_once('.') {
        Some((whole, rest)) if exact => (whole, rest.parse().unwrap_or(0)),
        _ => (value, 0),
    };
    words.once("timeout")?;
    let seconds = number(whole, 0, TIMEOUT_MAX)?;
    request.given.timeout = u32::try_from(seconds).ok();
    request.given.timeout_rest = rest;
    Ok(())
}

fn comment(words: &mut Words<'_>, request: &mut Request) -> Result<(), Fault> {
    let text = words.value("comment")?;
    words.once("comment")?;
    if text.contains('"') {
        return Err(Fault::syntax("\" character is not permitted in comments"));
    }
    if text.len() > COMMENT_MAX {
        return Err(Fault::syntax(format_args!(
            "Comment is longer than the maximum allowed {COMMENT_MAX} characters"
        )));
    }
    request.given.comment = Some(text.into());
    Ok(())
}

/// `MARK` or `MARK/MASK` in hexadecimal with `0x`.
fn skbmark(text: &str) -> Result<(u32, u32), Fault> {
    let hexadecimal = |text: &str| {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        let sign = digits.starts_with('+');
        u32::from_str_radix(digits, 16).ok().filter(|_| !sign)
    };
    let both = match text.split_once('/') {
        Some((mark, mask)) => hexadecimal(mark).zip(hexadecimal(mask)),
        None => hexadecimal(text).map(|mark| (mark, u32::MAX)),
    };
    both.ok_or_else(|| {
        Fault::syntax("Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)")
    })
}

/// `MAJOR:MINOR` in hexadecimal; of each the lowest 16 bits count.
fn skbprio(text: &str) -> Result<u32, Fault> {
    let half = |text: &str| {
        let sign = text.starts_with('+');
        u32::from_str_radix(text, 16).ok().filter(|_| !sign)
    };
    let both = text.split_once(':').and_then(|(major, minor)| half(major).zip(half(minor)));
    both.map(|(major, minor)| major << 16 | minor & 0xffff).ok_or_else(|| {
        Fault::syntax("Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)")
    })
}
