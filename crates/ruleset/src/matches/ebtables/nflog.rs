//! `nflog`: hands a copy of the frame to the programs that listen to a group. A watcher: a match that
//! always says yes.

use crate::evaluate::{Logged, State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::targets::nflog::{COPIED_MAX, Message};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const NFLOG: u8 = 0;
const GROUP: u8 = 1;
const PREFIX: u8 = 2;
const RANGE: u8 = 3;
const THRESHOLD: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("nflog-group", GROUP).repeated(),
    valued("nflog-prefix", PREFIX).repeated(),
    valued("nflog-range", RANGE).repeated(),
    valued("nflog-threshold", THRESHOLD).repeated(),
    flag("nflog", NFLOG).repeated(),
];

const MANUAL: &str = "\
Hands a copy of the frame to the programs that listen to a group; the rule goes on.

- `--nflog`: with the values that are not given.
- `--nflog-group N`: the group, 1 to 65535; 1 if not given.
- `--nflog-prefix TEXT`: a text that goes with each copy, up to 63 bytes.
- `--nflog-range N`: how many bytes are copied; all if not given.
- `--nflog-threshold N`: copies that are gathered before the listener is told.

    ebtables -A FORWARD -p ARP --nflog-group 5 --nflog-prefix \"arp\" -j ACCEPT

Mind: it stands among the matches of the rule in the order of the options: what comes behind it may still
say no.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "nflog",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest prefix in bytes.
pub const PREFIX_MAX: usize = 63;

/// An instance.
#[derive(Debug)]
pub struct Nflog {
    group: u16,
    prefix: String,
    range: Option<u32>,
    threshold: Option<u16>,
}

fn number(arguments: &mut Arguments<'_>, id: u8, max: u64) -> Option<Option<u32>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match values::number(&given.value, max).filter(|value| *value > 0) {
        Some(value) => Some(Some(value as u32)),
        None => {
            let says = format!("--{} must be a number!", given.option.name);
            arguments.wrong(given, &format!("a number from 1 to {max}"), says);
            None
        }
    }
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let group = number(arguments, GROUP, u16::MAX.into())?;
    let range = number(arguments, RANGE, i32::MAX as u64)?;
    let threshold = number(arguments, THRESHOLD, u16::MAX.into())?;
    let prefix = match arguments.option(PREFIX) {
        None => String::new(),
        Some(given) if given.value.len() > PREFIX_MAX => {
            let says = "Prefix too long for nflog-prefix";
            arguments.wrong(given, &format!("a prefix of at most {PREFIX_MAX} bytes"), says);
            return None;
        }
        Some(given) if given.value.contains('"') => {
            let says = "Use of \\\" is not allowed in the prefix";
            arguments.wrong(given, "a prefix without quotes", says);
            return None;
        }
        Some(given) => given.value.clone(),
    };
    Some(Box::new(Nflog {
        group: group.map_or(1, |group| group as u16),
        prefix,
        range,
        threshold: threshold.map(|threshold| threshold as u16),
    }))
}

impl Match for Nflog {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let whole = &*traversal.bytes;
        let most = self.range.map_or(COPIED_MAX, |range| COPIED_MAX.min(range as usize));
        let copied = whole.get(..most).unwrap_or(whole);
        traversal.log.push(Logged::Nflog(Box::new(Message {
            group: self.group,
            prefix: self.prefix.clone(),
            family: traversal.packet.family,
            hook: traversal.hook,
            mark: traversal.mark,
            in_interface: traversal.in_interface.copied(),
            out_interface: traversal.out_interface.copied(),
            link: traversal.link,
            length: traversal.packet.length,
            bytes: copied.into(),
        })));
        Answer::Yes
    }

    fn print(&self, out: &mut String) {
        if !self.prefix.is_empty() {
            let _ = write!(out, " --nflog-prefix \"{}\"", self.prefix);
        }
        let _ = write!(out, " --nflog-group {}", self.group);
        if let Some(range) = self.range {
            let _ = write!(out, " --nflog-range {range}");
        }
        if let Some(threshold) = self.threshold.filter(|threshold| *threshold != 1) {
            let _ = write!(out, " --nflog-threshold {threshold}");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!(" with the prefix \"{prefix}\""),
        };
        out.push(Piece::Effect(format!(
            "hands a copy of it{prefix} to the programs that listen to NFLOG group {}",
            self.group
        )));
    }
}
