//! `osf`: guesses the operating system that sent a SYN, by its size, TTL, window and options.
//!
//! The fingerprints come from a file such as pf.os ([`Fingerprints`]), as nfnl_osf(8) loads them into the kernel;
//! without any no packet matches. Surprises, all of them seen with Linux: `!` before `--genre` is printed, and
//! turns nothing around; with `--log` packets of every known system match, whatever the genre; `--ttl 1`, said to
//! be for addresses all over the world, takes every TTL up to that of the fingerprint; a segment with SYN and
//! further flags is looked at too; of options only kind, order and lengths of the fingerprint are compared, and
//! the maximum segment size is read where it would stand. Lines of the log go where the host has its packets
//! logged (`net.netfilter.nf_log`).

pub mod fingerprints;

use crate::evaluate::{Logged, State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::targets::log;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use fingerprints::{Fingerprint, NAME_MAX, TcpOption, Window};
use keepstate_conntrack::Hook;
use keepstate_packet::{Family, ipv4, tcp};

pub use fingerprints::Fingerprints;

const GENRE: u8 = 0;
const TTL: u8 = 1;
const LOG: u8 = 2;
const OPTIONS: &[OptionSpec] =
    &[valued("genre", GENRE).inverted(), valued("ttl", TTL), valued("log", LOG)];

const MANUAL: &str = "\
# osf

Guesses what operating system has sent a SYN: each has its own window, packet length, TTL and order of TCP
options. IPv4 with `-p tcp`, on the way in only (PREROUTING, INPUT, FORWARD).

`! --genre NAME`
: The system, as fingerprints call it: `Linux`, `Windows`, `FreeBSD`. Needed. `!` is read and printed, but Linux
  does not turn the answer around.

`--ttl LEVEL`
: `0`: the TTL is that of the fingerprint (as without this option), for hosts on networks of this one. `1`: it is
  not higher, for hosts anywhere. `2`: it may be anything.

`--log LEVEL`
: Logs what is found, whatever the genre: `0` all fingerprints that fit and what fits none, `1` the first one
  that fits, `2` those that fit. Packets of any known system match then.

    nfnl_osf -f /usr/share/xtables/pf.os
    iptables -A INPUT -p tcp -m osf --genre Windows --ttl 1 -j DROP

Without fingerprints nothing matches; `keepstate` takes them from a file such as pf.os (`--osf FILE`). Who wants
to look like another system can.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "osf",
    families: &[Family::V4],
    tables: &[],
    hooks: &[Hook::Prerouting, Hook::Input, Hook::Forward],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// How the TTL is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ttl {
    Equal,
    UpTo,
    Any,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logs {
    All,
    First,
    Known,
}

/// An instance.
#[derive(Debug)]
pub struct Osf {
    genre: String,
    inverted: bool,
    /// `None` for what is the same as 0 and not printed.
    ttl: Option<Ttl>,
    logs: Option<Logs>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(GENRE)?;
    let end = NAME_MAX.min(given.value.len());
    let end = (0..=end).rev().find(|end| given.value.is_char_boundary(*end));
    let genre = given.value.get(..end.unwrap_or(0)).unwrap_or("").into();
    let mut level = |id| match arguments.option(id) {
        None => Some(None),
        Some(given) => arguments.number(given, 2).map(Some),
    };
    let ttl = level(TTL)?.map(|level| match level {
        0 => Ttl::Equal,
        1 => Ttl::UpTo,
        _ => Ttl::Any,
    });
    let logs = level(LOG)?.map(|level| match level {
        0 => Logs::All,
        1 => Logs::First,
        _ => Logs::Known,
    });
    arguments.needs_protocol(&[(tcp::PROTOCOL, "tcp")])?;
    Some(Box::new(Osf { genre, inverted: given.inverted, ttl, logs }))
}

/// What fingerprints are held against.
struct Syn<'a> {
    length: u32,
    ttl: u8,
    dont_fragment: bool,
    window: u16,
    options: &'a [u8],
}

/// Maximum segment sizes that modems and the like put in place of the system's own.
const OTHER_SIZES: [u32; 2] = [1460, 1448];
/// What an MTU has more than a maximum segment size.
const HEADERS: u32 = 40;

impl<'a> Syn<'a> {
    /// Of a segment with SYN, whose header is there as a whole.
    fn of(traversal: &'a Traversal<'_>) -> Option<Self> {
        let packet = &*traversal.packet;
        let segment = packet.l4_bytes(traversal.bytes);
        let header = segment.get(..tcp::HEADER_LENGTH_MIN)?;
        let (offset, flags) = (header.get(12)? >> 4, *header.get(13)?);
        let window = u16::from_be_bytes([*header.get(14)?, *header.get(15)?]);
        let options = segment.get(tcp::HEADER_LENGTH_MIN..usize::from(offset) * 4)?;
        (flags & tcp::SYN != 0).then_some(Self {
            length: packet.length,
            ttl: packet.ttl,
            dont_fragment: ipv4::dont_fragment(traversal.bytes),
            window,
            options,
        })
    }

    /// The maximum segment size, if kinds and lengths of the options are these.
    fn segment_size(&self, options: &[TcpOption]) -> Option<u32> {
        let (mut rest, mut size) = (self.options, 0);
        for wanted in options {
            let (option, behind) = rest.split_at_checked(wanted.length.into())?;
            if option.first() != Some(&wanted.kind) {
                return None;
            }
            if let &[2, _, high, low] = option {
                size = u32::from(u16::from_be_bytes([high, low]));
            }
            rest = behind;
        }
        rest.is_empty().then_some(size)
    }

    fn fits(&self, fingerprint: &Fingerprint, ttl: Ttl) -> bool {
        let known = fingerprint.ttl;
        let ttl = match ttl {
            Ttl::Equal => self.ttl == known,
            Ttl::UpTo => self.ttl <= known,
            Ttl::Any => true,
        };
        if !ttl
            || self.dont_fragment != fingerprint.dont_fragment
            || self.length != u32::from(fingerprint.length)
        {
            return false;
        }
        let Some(size) = self.segment_size(&fingerprint.options) else { return false };
        let window = u32::from(self.window);
        let times = |count: u32, more: u32| {
            let sizes = [size, OTHER_SIZES[0], OTHER_SIZES[1]];
            sizes.into_iter().any(|size| window == count.wrapping_mul(size.wrapping_add(more)))
        };
        match fingerprint.window {
            Window::Plain(wanted) => wanted == 0 || window == wanted,
            Window::SegmentSizes(count) => times(count, 0),
            Window::Mtus(count) => times(count, HEADERS),
            Window::Multiple(of) => window.checked_rem(of) == Some(0),
        }
    }
}

impl Osf {
    /// Addresses and ports of a line of the log.
    fn ends(traversal: &Traversal<'_>) -> String {
        let packet = &*traversal.packet;
        let segment = packet.l4_bytes(traversal.bytes);
        let port = |at: usize| match segment.get(at..at + 2) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        let [from, to] = [packet.source, packet.destination].map(|one| one.written(Family::V4));
        format!("{from}:{} -> {to}:{}", port(0), port(2))
    }

    /// The lines of the log, and whether anything fits.
    fn held_against(&self, traversal: &Traversal<'_>) -> (bool, alloc::vec::Vec<String>) {
        let (mut found, mut lines) = (false, alloc::vec::Vec::new());
        let Some(syn) = Syn::of(traversal) else { return (false, lines) };
        let ttl = self.ttl.unwrap_or(Ttl::Equal);
        for one in traversal.stores.fingerprints.iter() {
            if self.logs.is_none() && one.genre != self.genre || !syn.fits(one, ttl) {
                continue;
            }
            found = true;
            let Some(logs) = self.logs else { return (true, lines) };
            let Fingerprint { genre, version, subtype, .. } = one;
            let hops = i32::from(one.ttl) - i32::from(syn.ttl);
            let ends = Self::ends(traversal);
            lines.push(format!("{genre} [{version}:{subtype}] : {ends} hops={hops}\n"));
            if logs == Logs::First {
                break;
            }
        }
        if !found && self.logs.is_some() {
            lines.push(format!("Remote OS is not known: {}\n", Self::ends(traversal)));
        }
        (found, lines)
    }
}

impl Match for Osf {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let (found, lines) = self.held_against(traversal);
        for line in lines {
            let line = log::complaint(&line, traversal);
            traversal.log.push(Logged::Line(line));
        }
        found.into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "genre");
        out.push(' ');
        values::print_plain(out, &self.genre);
        if let Some(ttl) = self.ttl {
            let _ = write!(out, " --ttl {}", ttl as u8);
        }
        if let Some(logs) = self.logs {
            let _ = write!(out, " --log {}", logs as u8);
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.inverted { "! " } else { "" };
        let _ = write!(out, " OS fingerprint match {not}{}", self.genre);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let ttl = match self.ttl.unwrap_or(Ttl::Equal) {
            Ttl::Equal => "its TTL that of the fingerprint",
            Ttl::UpTo => "its TTL not above that of the fingerprint",
            Ttl::Any => "its TTL whatever it is",
        };
        let system = match self.logs {
            None => format!("a system that fingerprints call `{}`", self.genre),
            Some(_) => "any system that there is a fingerprint of".into(),
        };
        out.push(Piece::Condition(format!("it is a SYN that looks like one of {system}, {ttl}")));
        if self.inverted {
            out.push(Piece::Caution(
                "Linux does not turn this around: the rule matches as it would without the `!`."
                    .into(),
            ));
        }
        if self.logs.is_some() {
            out.push(Piece::Caution(format!(
                "With --log every known system matches, not only `{}`; what is found is logged.",
                self.genre
            )));
        }
        out.push(Piece::Note(
            "The fingerprints stand in no rule: nfnl_osf loads them, and without them nothing matches.".into(),
        ));
    }
}

#[cfg(test)]
mod tests;
