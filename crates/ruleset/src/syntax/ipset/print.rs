//! Sets as text: `save` files, listings for people and XML.

use super::command::Output;
use super::element::{ICMP_NAMES, ICMPV6_NAMES};
use crate::extension::names;
use crate::sets::ipset::Sets;
use crate::sets::ipset::change::{IpRange, Reference, Request, address, host_length};
use crate::sets::ipset::element::{Element, IFACE_LENGTH};
use crate::sets::ipset::set::IpSet;
use crate::sets::ipset::types::{Layout, Method, Part, SetType};
use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Address, Family, Instant};

const NANOSECONDS: u64 = 1_000_000_000;

/// How sets are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// In which form.
    pub output: Output,
    /// Elements in the order of their values.
    pub sorted: bool,
    /// Names alone.
    pub names: bool,
    /// No elements.
    pub terse: bool,
    /// For a file that is read back: every nanosecond of a timeout, and `forceadd`, which ipset(8)
    /// leaves out.
    pub exact: bool,
}

impl Print {
    /// As `ipset save` does.
    #[must_use]
    pub const fn save() -> Self {
        Self { output: Output::Save, sorted: false, names: false, terse: false, exact: false }
    }
}

/// All sets, or the one named. Lists come last, since they need the others.
#[must_use]
pub fn print(sets: &Sets, name: Option<&str>, how: Print, now: Instant) -> String {
    let mut out = String::new();
    let wanted = |set: &&IpSet| name.is_none_or(|name| set.name == name);
    let is_list = |set: &&IpSet| set.kind.method == Method::List;
    let names = how.names && how.output != Output::Save;
    let mut all: Vec<&IpSet> = sets.iter().filter(wanted).collect();
    if how.exact {
        // The numbers of sets are the order of their names.
        all.iter().for_each(|set| create(set, true, &mut out));
    } else {
        all.sort_by_key(is_list);
    }
    if how.output == Output::Xml {
        out.push_str("<ipsets>\n");
    }
    for (at, set) in all.into_iter().enumerate() {
        match how.output {
            _ if names => name_only(set, how, &mut out),
            Output::Save => save(set, sets, how, now, &mut out),
            Output::Plain => {
                if at > 0 {
                    out.push('\n');
                }
                plain(set, sets, how, now, &mut out);
            }
            Output::Xml => xml(set, sets, how, now, &mut out),
        }
    }
    if how.output == Output::Xml {
        out.push_str("</ipsets>\n");
    }
    out
}

fn name_only(set: &IpSet, how: Print, out: &mut String) {
    let _ = match how.output {
        Output::Xml => writeln!(out, "<ipset name=\"{}\"/>", set.name),
        Output::Plain | Output::Save => writeln!(out, "{}", set.name),
    };
}

/// A name as one word of a file that is read back.
fn word(name: &str, exact: bool) -> Cow<'_, str> {
    if exact && name.contains([' ', '\t']) {
        Cow::Owned(format!("\"{name}\""))
    } else {
        Cow::Borrowed(name)
    }
}

fn create(set: &IpSet, exact: bool, out: &mut String) {
    let _ = write!(out, "create {} {}", word(&set.name, exact), set.kind.name);
    for (name, value) in header(set) {
        let _ = match value {
            Some(value) => write!(out, " {name} {value}"),
            None => write!(out, " {name}"),
        };
    }
    if exact && set.header.forceadd {
        out.push_str(" forceadd");
    }
    out.push('\n');
}

fn save(set: &IpSet, sets: &Sets, how: Print, now: Instant, out: &mut String) {
    if !how.exact {
        create(set, false, out);
    }
    if how.terse {
        return;
    }
    let name = word(&set.name, how.exact);
    for row in rows(set, how, now) {
        let _ = write!(out, "add {name} ");
        member(set, sets, row, how, now, out);
        out.push('\n');
    }
}

fn plain(set: &IpSet, sets: &Sets, how: Print, now: Instant, out: &mut String) {
    let _ = write!(
        out,
        "Name: {}\nType: {}\nRevision: {}\nHeader:",
        set.name, set.kind.name, set.kind.revision
    );
    for (name, value) in header(set) {
        let _ = match value {
            Some(value) => write!(out, " {name} {value}"),
            None => write!(out, " {name}"),
        };
    }
    let _ = write!(
        out,
        "\nSize in memory: {}\nReferences: {}\nNumber of entries: {}\n",
        set.memory(),
        sets.references(&set.name),
        set.count()
    );
    if how.terse {
        return;
    }
    out.push_str("Members:\n");
    for row in rows(set, how, now) {
        member(set, sets, row, how, now, out);
        out.push('\n');
    }
}

fn xml(set: &IpSet, sets: &Sets, how: Print, now: Instant, out: &mut String) {
    let _ = write!(
        out,
        "<ipset name=\"{}\">\n<type>{}</type>\n<revision>{}</revision>\n<header>",
        set.name, set.kind.name, set.kind.revision
    );
    for (name, value) in header(set) {
        xml_option(name, value.as_deref(), out);
    }
    let _ = writeln!(
        out,
        "\n<memsize>{}</memsize>\n<references>{}</references>\n<numentries>{}</numentries>\n</header>",
        set.memory(),
        sets.references(&set.name),
        set.count()
    );
    if !how.terse {
        out.push_str("<members>\n");
        for row in rows(set, how, now) {
            let _ = write!(out, "<member><elem>{}</elem>", element(set, sets, row));
            for (name, value) in extensions(set, row, how, now) {
                xml_option(name, value.as_deref(), out);
            }
            out.push_str("</member>\n");
        }
        out.push_str("</members>\n");
    }
    out.push_str("</ipset>\n");
}

fn xml_option(name: &str, value: Option<&str>, out: &mut String) {
    let _ = match value {
        Some(value) => write!(out, "<{name}>{value}</{name}>"),
        None => write!(out, "<{name}/>"),
    };
}

type Words = Vec<(&'static str, Option<String>)>;

/// What a set was created with, in the order in which it is printed.
fn header(set: &IpSet) -> Words {
    let mut words: Words = Vec::new();
    let header = &set.header;
    let mut push = |name, value: String| words.push((name, Some(value)));
    if let (Some(family), Method::Hash) = (set.family, set.kind.method) {
        push("family", String::from(if family == Family::V4 { "inet" } else { "inet6" }));
    }
    if set.kind.options.markmask {
        push("markmask", format!("{:#010x}", header.markmask));
    }
    if set.kind.method == Method::Bitmap {
        let (first, last) = header.range;
        push(
            "range",
            match set.layout_is_port() {
                true => format!("{first}-{last}"),
                false => format!("{}-{}", v4(first), v4(last)),
            },
        );
    }
    if let Some(table) = set.hash() {
        push("hashsize", format!("{}", table.size()));
        push("maxelem", format!("{}", header.maxelem));
    }
    if set.kind.method == Method::List {
        push("size", format!("{}", header.size));
    }
    let masks_last = set.kind.options.masks_last;
    if !masks_last {
        masks(set, &mut words);
    }
    let extensions = set.extensions();
    if let Some(timeout) = extensions.timeout {
        words.push(("timeout", Some(format!("{timeout}"))));
    }
    let flags = [
        ("counters", extensions.counters),
        ("comment", extensions.comment),
        ("skbinfo", extensions.skbinfo),
    ];
    words.extend(flags.into_iter().filter(|(_, has)| *has).map(|(name, _)| (name, None)));
    if let Some(table) = set.hash() {
        words.push(("bucketsize", Some(format!("{}", table.bucketsize))));
        words.push(("initval", Some(format!("{:#010x}", table.initval))));
    }
    if masks_last {
        masks(set, &mut words);
    }
    words
}

fn masks(set: &IpSet, words: &mut Words) {
    let header = &set.header;
    if let Some(netmask) = header.netmask {
        words.push(("netmask", Some(format!("{netmask}"))));
    }
    if let (Some(bitmask), Some(family)) = (header.bitmask, set.family) {
        words.push(("bitmask", Some(format!("{}", bitmask.ip(family)))));
    }
}

fn v4(number: u32) -> core::net::IpAddr {
    address(number).ip(Family::V4)
}

/// The rows in the order in which they are printed.
fn rows(set: &IpSet, how: Print, now: Instant) -> Vec<u32> {
    let mut rows: Vec<u32> = set.rows(now).collect();
    if how.sorted && set.kind.method == Method::Hash {
        rows.sort_by_cached_key(|row| {
            let e = set.element(*row);
            (e.ip.0, e.cidr, e.mac, e.mark, e.proto, e.port, e.ip2.0, e.cidr2, e.iface)
        });
    }
    rows
}

fn member(set: &IpSet, sets: &Sets, row: u32, how: Print, now: Instant, out: &mut String) {
    out.push_str(&word(&element(set, sets, row), how.exact));
    for (name, value) in extensions(set, row, how, now) {
        let _ = match value {
            Some(value) => write!(out, " {name} {value}"),
            None => write!(out, " {name}"),
        };
    }
}

/// What an element has beside its value.
fn extensions(set: &IpSet, row: u32, how: Print, now: Instant) -> Words {
    let mut words: Words = Vec::new();
    let entries = set.entries();
    if let Some(remaining) = entries.remaining(row, now) {
        let seconds = remaining / NANOSECONDS;
        words.push((
            "timeout",
            Some(if set.is_unfilled(row) {
                format!("{}", entries.timeout_waiting(row))
            } else if remaining == 0 {
                String::from("0")
            } else if how.exact {
                format!("{seconds}.{:09}", remaining % NANOSECONDS)
            } else {
                format!("{}", seconds.max(1))
            }),
        ));
    }
    let marks = entries.marks(row);
    if marks.nomatch {
        words.push(("nomatch", None));
    }
    if marks.wildcard {
        words.push(("wildcard", None));
    }
    if let Some((packets, bytes)) = entries.counters(row) {
        words.push(("packets", Some(format!("{packets}"))));
        words.push(("bytes", Some(format!("{bytes}"))));
    }
    if let Some(comment) = entries.comment(row) {
        words.push(("comment", Some(format!("\"{comment}\""))));
    }
    if let Some(skbinfo) = entries.skbinfo(row) {
        if skbinfo.mark != (0, 0) {
            let (mark, mask) = skbinfo.mark;
            words.push((
                "skbmark",
                Some(if mask == u32::MAX {
                    format!("{mark:#x}")
                } else {
                    format!("{mark:#x}/{mask:#x}")
                }),
            ));
        }
        if skbinfo.priority != 0 {
            let (major, minor) = (skbinfo.priority >> 16, skbinfo.priority & 0xffff);
            words.push(("skbprio", Some(format!("{major:x}:{minor:x}"))));
        }
        if skbinfo.queue != 0 {
            words.push(("skbqueue", Some(format!("{}", skbinfo.queue))));
        }
    }
    words
}

/// An element of a set.
fn element(set: &IpSet, sets: &Sets, row: u32) -> String {
    let mut e = set.element(row);
    if set.kind.method == Method::List {
        return sets.set(e.id).map_or_else(String::new, |member| member.name.clone());
    }
    if set.kind.method == Method::Bitmap {
        let first = set.header.range.0;
        if set.layout_is_port() {
            return format!("{}", first + e.id);
        }
        e.ip = address(first.wrapping_add(e.id.wrapping_mul(set.hosts())));
    }
    let family = set.family.unwrap_or(Family::V4);
    parts(set.kind, family, &e)
}

fn parts(kind: &SetType, family: Family, e: &Element) -> String {
    let mut out = String::new();
    for (at, part) in kind.parts.iter().enumerate() {
        if kind.options.optional_mac && *part == Part::Mac && !e.has_mac {
            break;
        }
        if at > 0 {
            out.push(',');
        }
        let _ = match part {
            Part::Ip if at == 0 => write!(out, "{}", e.ip.ip(family)),
            Part::Ip => write!(out, "{}", e.ip2.ip(family)),
            Part::Net if at == 0 => net(e.ip, e.cidr, family, &mut out),
            Part::Net => net(e.ip2, e.cidr2, family, &mut out),
            Part::Port => port(e.proto, e.port, &mut out),
            Part::Mac => {
                let [a, b, c, d, f, g] = e.mac;
                write!(out, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{f:02X}:{g:02X}")
            }
            Part::Mark => write!(out, "{:#010x}", e.mark),
            Part::Iface => iface(&e.iface, e.physdev, &mut out),
            Part::Set => Ok(()),
        };
    }
    out
}

fn net(address: Address, cidr: u8, family: Family, out: &mut String) -> core::fmt::Result {
    write!(out, "{}", address.ip(family))?;
    if cidr == host_length(family) { Ok(()) } else { write!(out, "/{cidr}") }
}

fn port(proto: u8, port: u16, out: &mut String) -> core::fmt::Result {
    const ICMP: u8 = 1;
    const ICMPV6: u8 = 58;
    match (proto, names::protocol_name(proto)) {
        (0, _) => out.write_str("ip:")?,
        (_, Some(name)) => write!(out, "{name}:")?,
        (_, None) => write!(out, "{proto}:")?,
    }
    let table = match proto {
        ICMP => ICMP_NAMES,
        ICMPV6 => ICMPV6_NAMES,
        _ => return write!(out, "{port}"),
    };
    let [kind, code] = port.to_be_bytes();
    match table.iter().find(|(_, k, c)| (*k, *c) == (kind, code)) {
        Some((name, ..)) => out.write_str(name),
        None => write!(out, "{kind}/{code}"),
    }
}

fn iface(name: &[u8; IFACE_LENGTH], physdev: bool, out: &mut String) -> core::fmt::Result {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(IFACE_LENGTH);
    let name = String::from_utf8_lossy(name.get(..end).unwrap_or(&[]));
    write!(out, "{}{name}", if physdev { "physdev:" } else { "" })
}

/// What `test` asks for, as it is told back: nothing is masked.
#[must_use]
pub(super) fn asked(request: &Request, kind: &SetType, family: Family) -> String {
    if kind.method == Method::List {
        return match &request.reference {
            None => request.set.clone(),
            // The real tool says "after" of both.
            Some(Reference::Before(other) | Reference::After(other)) => {
                format!("{} after {other}", request.set)
            }
        };
    }
    if kind.layout == Layout::BitmapPort {
        return format!("{}", request.port.from);
    }
    let width = host_length(family);
    let mut e = Element {
        ip: request.ip.from,
        cidr: request.ip.cidr.unwrap_or(width),
        ip2: request.ip2.from,
        cidr2: request.ip2.cidr.unwrap_or(width),
        port: request.port.from,
        proto: request.port.proto,
        mark: request.mark,
        iface: request.iface,
        // The real tool does not tell it back.
        physdev: false,
        ..Element::default()
    };
    if let Some(mac) = request.mac {
        (e.mac, e.has_mac) = (mac, true);
    }
    match kind.layout {
        Layout::HashIp | Layout::BitmapIp => range(request.ip, family),
        _ => parts(kind, family, &e),
    }
}

fn range(range: IpRange, family: Family) -> String {
    let from = range.from.ip(family);
    match (range.to, range.cidr) {
        (Some(to), _) => format!("{from}-{}", to.ip(family)),
        (None, Some(cidr)) if cidr != host_length(family) => format!("{from}/{cidr}"),
        _ => format!("{from}"),
    }
}
