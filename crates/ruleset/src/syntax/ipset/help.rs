//! `help`: the commands, and what a type takes, put together from the tables.

use super::VERSION;
use crate::sets::ipset::types::{Method, Part, SETS, SetType};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::Family;

const USAGE: &str = "\
Usage: ipset [options] COMMAND

Commands:
create SETNAME TYPENAME [type-specific-options]
add SETNAME ENTRY [entry options]
del SETNAME ENTRY
test SETNAME ENTRY
destroy [SETNAME]
list [SETNAME]
save [SETNAME]
restore
flush [SETNAME]
rename FROM-SETNAME TO-SETNAME
swap FROM-SETNAME TO-SETNAME
help [TYPENAME]
version
-               commands from standard input, one a line; quit ends them

Options:
-o plain|save|xml   form of listings
-s                  elements in order
-q                  say nothing
-r                  taken and ignored: names are not looked up
-!                  what is there already, or not there, is no fault
-n                  names alone
-t                  names and headers alone
-f FILE             file instead of standard input or output
";

/// The help, with that of a type.
#[must_use]
pub fn help(kind: Option<&SetType>) -> String {
    let mut out = format!("ipset v{VERSION}\n\n{USAGE}");
    match kind {
        Some(kind) => of_type(kind, &mut out),
        None => {
            out.push_str("\nSupported set types:\n");
            for kind in SETS {
                let _ = writeln!(out, "    {:<20}{}", kind.name, kind.revision);
            }
        }
    }
    out
}

fn of_type(kind: &SetType, out: &mut String) {
    let name = kind.name;
    let _ = write!(out, "\n{name} type specific options:\n\ncreate SETNAME {name}");
    let mut options = Vec::new();
    match kind.method {
        Method::Bitmap if kind.families.is_empty() => options.push("range [PROTO:]FROM-TO"),
        Method::Bitmap => options.push("range IP/CIDR|FROM-TO"),
        Method::List => options.push("[size VALUE]"),
        Method::Hash => {
            if !kind.families.is_empty() {
                options.push("[family inet|inet6]|[-4|-6]");
            }
            options.extend(["[hashsize VALUE]", "[maxelem VALUE]", "[bucketsize VALUE]"]);
            options.extend(["[initval VALUE]", "[forceadd]"]);
        }
    }
    let more = [
        ("[netmask CIDR]", kind.options.netmask),
        ("[bitmask MASK]", kind.options.bitmask),
        ("[markmask VALUE]", kind.options.markmask),
    ];
    options.extend(more.into_iter().filter(|(_, has)| *has).map(|(option, _)| option));
    options.extend(["[timeout VALUE]", "[counters]", "[comment]", "[skbinfo]"]);
    options.iter().for_each(|option| {
        let _ = write!(out, "\n               {option}");
    });
    let _ = write!(out, "\nadd    SETNAME {}", entry(kind));
    let mut options = Vec::from(["[timeout VALUE]"]);
    let more = [("[nomatch]", kind.has_nomatch()), ("[wildcard]", kind.has_wildcard())];
    options.extend(more.into_iter().filter(|(_, has)| *has).map(|(option, _)| option));
    options.extend(["[packets VALUE]", "[bytes VALUE]", "[comment \"string\"]"]);
    options.extend(["[skbmark VALUE]", "[skbprio VALUE]", "[skbqueue VALUE]"]);
    options.iter().for_each(|option| {
        let _ = write!(out, "\n               {option}");
    });
    let _ = write!(out, "\ndel    SETNAME {0}\ntest   SETNAME {0}\n\n", entry(kind));
    let _ = match kind.families {
        [] => writeln!(out, "Type {name} is family neutral."),
        [Family::V4] => writeln!(out, "Type {name} supports family inet only."),
        _ => writeln!(out, "Type {name} supports inet and inet6."),
    };
}

fn entry(kind: &SetType) -> String {
    let parts = kind.parts.iter().map(|part| match part {
        Part::Ip => "IP",
        Part::Net => "IP[/CIDR]",
        Part::Port => "[PROTO:]PORT",
        Part::Mac => "MAC",
        Part::Mark => "MARK",
        Part::Iface => "[physdev:]IFACE",
        Part::Set => "NAME [before|after NAME]",
    });
    let parts: Vec<_> = parts.collect();
    if kind.options.optional_mac { String::from("IP[,MAC]") } else { parts.join(",") }
}
