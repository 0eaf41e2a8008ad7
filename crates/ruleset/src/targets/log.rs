//! `LOG`: a line about the packet for the log. The packet goes on to the next rule.

mod line;
#[cfg(test)]
mod tests;

use crate::effect::Effect;
use crate::evaluate::{LogLine, Logged, State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::targets::{Target, nflog};
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const LEVEL: u8 = 0;
const PREFIX: u8 = 1;
const TCP_SEQUENCE: u8 = 2;
const TCP_OPTIONS: u8 = 3;
const IP_OPTIONS: u8 = 4;
const UID: u8 = 5;
const MACDECODE: u8 = 6;
const OPTIONS: &[OptionSpec] = &[
    valued("log-level", LEVEL),
    valued("log-prefix", PREFIX),
    flag("log-tcp-sequence", TCP_SEQUENCE),
    flag("log-tcp-options", TCP_OPTIONS),
    flag("log-ip-options", IP_OPTIONS),
    flag("log-uid", UID),
    flag("log-macdecode", MACDECODE),
];

const MANUAL: &str = "\
Writes a line about the packet to the kernel's log; the packet goes on with the next rule.

- `--log-level LEVEL`: a number from 0 to 7, or `emerg`, `alert`, `crit`, `error`, `warning`, `notice`,
  `info`, `debug`. 4, `warning`, if not given.
- `--log-prefix TEXT`: what the line begins with, up to 29 bytes.
- `--log-tcp-sequence`: with TCP's sequence numbers.
- `--log-tcp-options`: with the options of the TCP header.
- `--log-ip-options`: with those of the IP header.
- `--log-uid`: with the user whose program sent it.
- `--log-macdecode`: with the addresses of the frame, taken apart.

    iptables -A INPUT -m limit --limit 5/minute -j LOG --log-prefix \"INPUT: \"

Mind: a rule to drop the packet has to follow. Without a `limit` before it, a flood of packets is a
flood of lines. The text of the prefix is put before the rest as it is: end it with a blank.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "LOG",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest prefix in bytes; the rest is cut off.
pub const PREFIX_MAX: usize = 29;

/// syslog's levels by number; a further name each is read as well.
const LEVELS: [(&str, u8); 9] = [
    ("emerg", 0),
    ("alert", 1),
    ("crit", 2),
    ("error", 3),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
    ("panic", 0),
];
const DEFAULT_LEVEL: u8 = 4;

/// An instance.
#[derive(Debug)]
pub struct Log {
    /// syslog level, 0 to 7.
    pub level: u8,
    /// What the line begins with.
    pub prefix: String,
    /// `--log-tcp-sequence`.
    pub tcp_sequence: bool,
    /// `--log-tcp-options`.
    pub tcp_options: bool,
    /// `--log-ip-options`.
    pub ip_options: bool,
    /// `--log-uid`: of packets that the host itself sends, where the host model knows the socket.
    pub uid: bool,
    /// `--log-macdecode`.
    pub macdecode: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let has = |id| arguments.option(id).is_some();
    let (tcp_sequence, tcp_options) = (has(TCP_SEQUENCE), has(TCP_OPTIONS));
    let (ip_options, uid, macdecode) = (has(IP_OPTIONS), has(UID), has(MACDECODE));
    let level = match arguments.option(LEVEL) {
        None => DEFAULT_LEVEL,
        Some(given) => level(arguments, given)?,
    };
    let prefix = match arguments.option(PREFIX) {
        None => String::new(),
        Some(given) => nflog::prefix(arguments, given, PREFIX_MAX)?,
    };
    Some(Box::new(Log { level, prefix, tcp_sequence, tcp_options, ip_options, uid, macdecode }))
}

fn level(arguments: &mut Arguments<'_>, given: &Given) -> Option<u8> {
    let number = values::number(&given.value, 7).and_then(|value| u8::try_from(value).ok());
    let named = || LEVELS.iter().find(|(name, _)| *name == given.value).map(|(_, level)| *level);
    let level = number.or_else(named);
    if level.is_none() {
        let names = LEVELS.iter().map(|(name, _)| *name).take(8);
        arguments.unknown_word(&given.value, given.value_span, "a log level (0 to 7)", names);
    }
    level
}

/// The line of what tracking complains of (`nf_conntrack_log_invalid`): the complaint, a blank at its
/// end, and the packet with all that a line can tell of it.
#[must_use]
pub fn complaint(complaint: &str, traversal: &Traversal<'_>) -> LogLine {
    let log = Log {
        prefix: complaint.into(),
        level: COMPLAINT_LEVEL,
        tcp_sequence: true,
        tcp_options: true,
        ip_options: true,
        uid: true,
        macdecode: true,
    };
    LogLine { level: log.level, text: line::text(&log, traversal) }
}

/// The line of a trace: the place, a blank at its end, and the packet with all that a line can tell.
#[must_use]
pub fn traced(place: &str, traversal: &Traversal<'_>) -> LogLine {
    let log = Log {
        prefix: place.into(),
        level: DEFAULT_LEVEL,
        tcp_sequence: true,
        tcp_options: true,
        ip_options: true,
        uid: true,
        macdecode: false,
    };
    LogLine { level: log.level, text: line::text(&log, traversal) }
}

/// Notice.
const COMPLAINT_LEVEL: u8 = 5;

impl Target for Log {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let text = line::text(self, traversal);
        traversal.log.push(Logged::Line(LogLine { level: self.level, text }));
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        if !self.prefix.is_empty() {
            out.push_str(" --log-prefix ");
            values::print_word(out, &self.prefix);
        }
        if self.level != DEFAULT_LEVEL {
            let _ = write!(out, " --log-level {}", self.level);
        }
        let flags = [
            (self.tcp_sequence, " --log-tcp-sequence"),
            (self.tcp_options, " --log-tcp-options"),
            (self.ip_options, " --log-ip-options"),
            (self.uid, " --log-uid"),
            (self.macdecode, " --log-macdecode"),
        ];
        for (given, text) in flags {
            out.push_str(if given { text } else { "" });
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let flags = [
            (self.tcp_sequence, 0x01, " tcp-sequence"),
            (self.tcp_options, 0x02, " tcp-options"),
            (self.ip_options, 0x04, " ip-options"),
            (self.uid, 0x08, " uid"),
            (self.macdecode, 0x20, " macdecode"),
        ];
        let flags = flags.into_iter().filter(|(given, ..)| *given);
        out.push_str(" LOG");
        if numeric {
            let bits: u8 = flags.map(|(_, bit, _)| bit).sum();
            let _ = write!(out, " flags {bits} level {}", self.level);
        } else {
            // The short names of syslog(3).
            let level = match LEVELS.iter().find(|(_, level)| *level == self.level) {
                Some(("error", _)) => "err",
                Some(("warning", _)) => "warn",
                Some((name, _)) => name,
                None => "",
            };
            let _ = write!(out, " level {level}");
            flags.for_each(|(.., text)| out.push_str(text));
        }
        if !self.prefix.is_empty() {
            let _ = write!(out, " prefix \"{}\"", self.prefix);
        }
    }

    fn explain(&self, out: &mut Pieces) {
        let name =
            LEVELS.iter().find(|(_, level)| *level == self.level).map_or("", |(name, _)| name);
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!(", beginning with \"{prefix}\""),
        };
        let more = [
            (self.tcp_sequence, "TCP sequence numbers"),
            (self.tcp_options, "TCP options"),
            (self.ip_options, "IP options"),
            (self.uid, "the user that sent it, where it leaves this host"),
            (self.macdecode, "the addresses of the frame apart"),
        ];
        let more: Vec<&str> = more.iter().filter(|(on, _)| *on).map(|(_, what)| *what).collect();
        let with = match more.as_slice() {
            [] => String::new(),
            more => format!(", with {}", more.join(", ")),
        };
        out.push(Piece::Effect(format!(
            "writes a line about it to the kernel's log at level {name}{prefix}{with}; the next rule \
             is looked at"
        )));
    }
}
