//! `log`: writes a line about the frame to the kernel's log. A watcher: a match that always says yes.

use crate::evaluate::{LogLine, Logged, State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::hardware::print_octets;
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Address, Family, arp::Arp, ethernet};

const LOG: u8 = 0;
const LEVEL: u8 = 1;
const PREFIX: u8 = 2;
const IP: u8 = 3;
const ARP: u8 = 4;
const IP6: u8 = 5;
const OPTIONS: &[OptionSpec] = &[
    flag("log", LOG).repeated(),
    valued("log-level", LEVEL).repeated(),
    valued("log-prefix", PREFIX).repeated(),
    flag("log-ip", IP).repeated(),
    flag("log-arp", ARP).repeated(),
    flag("log-ip6", IP6).repeated(),
];

const MANUAL: &str = "\
Writes a line about the frame to the kernel's log; the rule goes on.

- `--log`: with the values that are not given.
- `--log-level LEVEL`: `emerg`, `alert`, `crit`, `error`, `warning`, `notice`, `info`, `debug`, or 0 to 7;
  `notice` if not given.
- `--log-prefix TEXT`: what the line begins with, up to 29 bytes, without quotes.
- `--log-ip`, `--log-arp`, `--log-ip6`: with the fields of an IPv4, ARP or IPv6 packet.

    ebtables -A FORWARD -p ARP --log-level info --log-prefix \"arp\" --log-arp -j ACCEPT

Mind: it stands among the matches of the rule in the order of the options: what comes behind it may still
say no. Everything that matches is logged; `--limit` before it keeps the log small.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "log",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest prefix in bytes.
pub const PREFIX_MAX: usize = 29;

/// syslog's levels, by number.
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"];
const DEFAULT_LEVEL: u8 = 5;

/// An instance.
#[derive(Debug)]
pub struct Log {
    level: u8,
    prefix: String,
    ip: bool,
    arp: bool,
    ip6: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let level = match arguments.option(LEVEL) {
        None => DEFAULT_LEVEL,
        Some(given) => {
            let named = (0..).zip(LEVELS).find(|(_, name)| *name == given.value);
            let number = || values::number(&given.value, 7).map(|level| level as u8);
            let Some(level) = named.map(|(level, _)| level).or_else(number) else {
                let says = "Problem with the log-level";
                arguments.wrong(given, "a log level (0 to 7)", says);
                return None;
            };
            level
        }
    };
    let prefix = match arguments.option(PREFIX) {
        None => String::new(),
        Some(given) if given.value.len() > PREFIX_MAX => {
            let what = format!("a prefix of at most {PREFIX_MAX} bytes");
            arguments.wrong(given, &what, "Prefix too long");
            return None;
        }
        Some(given) if given.value.contains('"') => {
            let says = "Use of \\\" is not allowed in the prefix";
            arguments.wrong(given, "a prefix without quotes", says);
            return None;
        }
        Some(given) => given.value.clone(),
    };
    let has = |id| arguments.option(id).is_some();
    Some(Box::new(Log { level, prefix, ip: has(IP), arp: has(ARP), ip6: has(IP6) }))
}

impl Log {
    /// The line as the kernel writes it.
    fn line(&self, traversal: &Traversal<'_>) -> String {
        let ethertype = traversal.frame.as_ref().map_or(0, |frame| frame.ethertype);
        let mut out = format!(
            "{} IN={} OUT={} MAC source = ",
            self.prefix,
            traversal.in_interface.map_or("", |name| name.as_str()),
            traversal.out_interface.map_or("", |name| name.as_str()),
        );
        print_octets(&mut out, traversal.link.source.unwrap_or_default());
        out.push_str(" MAC dest = ");
        print_octets(&mut out, traversal.link.destination.unwrap_or_default());
        let _ = write!(out, " proto = 0x{ethertype:04x}");
        self.packet(&mut out, ethertype, traversal.bytes);
        out
    }

    fn packet(&self, out: &mut String, ethertype: u16, bytes: &[u8]) {
        match ethertype {
            ethernet::IPV4 if self.ip => ipv4(out, bytes),
            ethernet::IPV6 if self.ip6 => ipv6(out, bytes),
            0x0806 | 0x8035 if self.arp => arp(out, bytes),
            _ => {}
        }
    }
}

/// Protocols whose first bytes are ports.
const WITH_PORTS: [u8; 5] = [6, 17, 136, 132, 33];

fn ports(out: &mut String, protocol: u8, bytes: Option<&[u8]>) {
    if !WITH_PORTS.contains(&protocol) {
        return;
    }
    let _ = match bytes {
        Some([s0, s1, d0, d1, ..]) => {
            let [source, destination] = [[*s0, *s1], [*d0, *d1]].map(u16::from_be_bytes);
            write!(out, " SPT={source} DPT={destination}")
        }
        _ => write!(out, " INCOMPLETE TCP/UDP header"),
    };
}

fn ipv4(out: &mut String, bytes: &[u8]) {
    let Some(header) = bytes.first_chunk::<20>() else {
        return out.push_str(" INCOMPLETE IP header");
    };
    let [start, tos, _, _, _, _, _, _, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let _ = write!(
        out,
        " IP SRC={} IP DST={}, IP tos=0x{tos:02X}, IP proto={protocol}",
        Address::v4([s0, s1, s2, s3]).written(Family::V4),
        Address::v4([d0, d1, d2, d3]).written(Family::V4)
    );
    ports(out, protocol, bytes.get(usize::from(start & 0xf) * 4..));
}

fn ipv6(out: &mut String, bytes: &[u8]) {
    let Some(header) = bytes.first_chunk::<40>() else {
        return out.push_str(" INCOMPLETE IPv6 header");
    };
    let [start, _, _, _, _, _, next, _, addresses @ ..] = *header;
    let (source, destination) = addresses.split_at(16);
    out.push_str(" IPv6 SRC=");
    groups(out, source);
    out.push_str(" IPv6 DST=");
    groups(out, destination);
    let _ = write!(out, ", IPv6 priority=0x{:01X}, Next Header={next}", start & 0xf);
    let packet = keepstate_packet::Parsed::of_family(Family::V6, bytes);
    if let Ok(packet) = packet {
        ports(out, packet.protocol, bytes.get(packet.l4_offset as usize..));
    }
}

/// An IPv6 address in full.
fn groups(out: &mut String, octets: &[u8]) {
    for (at, group) in octets.chunks(2).enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        let [high, low] = *group else { continue };
        let _ = write!(out, "{colon}{high:02x}{low:02x}");
    }
}

fn arp(out: &mut String, bytes: &[u8]) {
    let Some([h0, h1, p0, p1, hardware_length, protocol_length, o0, o1]) = bytes.first_chunk()
    else {
        return out.push_str(" INCOMPLETE ARP header");
    };
    let [kind, protocol, opcode] = [[*h0, *h1], [*p0, *p1], [*o0, *o1]].map(u16::from_be_bytes);
    let _ = write!(out, " ARP HTYPE={kind}, PTYPE=0x{protocol:04x}, OPCODE={opcode}");
    if kind != 1 || *hardware_length != 6 || *protocol_length != 4 {
        return;
    }
    let Some(arp) = Arp::read(bytes) else {
        return out.push_str(" INCOMPLETE ARP payload");
    };
    out.push_str(" ARP MAC SRC=");
    print_octets(out, arp.sender_hardware);
    let _ = write!(out, " ARP IP SRC={} ARP MAC DST=", Address::v4(arp.sender).written(Family::V4));
    print_octets(out, arp.target_hardware);
    let _ = write!(out, " ARP IP DST={}", Address::v4(arp.target).written(Family::V4));
}

impl Match for Log {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let text = self.line(traversal);
        traversal.log.push(Logged::Line(LogLine { level: self.level, text }));
        Answer::Yes
    }

    fn print(&self, out: &mut String) {
        let level = LEVELS.get(usize::from(self.level)).copied().unwrap_or("");
        let _ = write!(out, " --log-level {level}");
        if !self.prefix.is_empty() {
            let _ = write!(out, " --log-prefix \"{}\"", self.prefix);
        }
        let flags = [(self.ip, " --log-ip"), (self.arp, " --log-arp"), (self.ip6, " --log-ip6")];
        flags.into_iter().filter(|(given, _)| *given).for_each(|(_, text)| out.push_str(text));
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let level = LEVELS.get(usize::from(self.level)).copied().unwrap_or("");
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!(", beginning with \"{prefix}\""),
        };
        out.push(Piece::Effect(format!(
            "writes a line about it to the kernel's log at level {level}{prefix}"
        )));
    }
}
