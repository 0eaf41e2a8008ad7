//! `TCPMSS`: lowers the maximum segment size that a TCP segment announces (RFC 9293, 3.7.1), or puts the
//! option in where there is none.
//!
//! What surprises: it looks at any segment of the protocol, SYN or not. It never raises a size. Where it
//! puts the option in, in front of all others, it announces no more than what its absence stands for (536
//! bytes over IPv4, 1220 over IPv6), and only if the segment carries no data and its header has room. A
//! segment without a whole header is dropped, one of a way that takes no segment at all too. An option
//! that begins at an odd byte changes the checksum as one at an even byte would.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued};
use crate::matches::{self, Match};
use crate::needs::Needs;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::any::Any;
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::{Family, L4, rewrite, tcp};

const SET: u8 = 0;
const CLAMP: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("set-mss", SET), flag("clamp-mss-to-pmtu", CLAMP)];

const MANUAL: &str = "\
# TCPMSS

Lowers the maximum segment size that a TCP SYN announces, so that the other end sends segments which fit the
way, and goes on with the next rule. Needed where a link takes smaller packets than the ends believe (PPPoE,
tunnels) and the ICMP errors that would tell them are lost: connections are made, and hang at the first full
segment.

`--set-mss VALUE`
: The size in bytes, 0 to 65515 (IPv4) or 65495 (IPv6). A smaller size that is announced already stays.

`--clamp-mss-to-pmtu`
: What fits the smaller of the MTUs of the way out and of the way back: 40 bytes less over IPv4, 60 over
  IPv6. From FORWARD, OUTPUT and POSTROUTING only. It wins over `--set-mss`.

    -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu

One of the two is needed, and `-p tcp`. Let the rule match SYN as in the example: iptables-legacy insists, and
without it the option would be put into other segments as well. Both ends announce a size, so both directions
have to pass the rule.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "TCPMSS",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Length of the option, and the byte that says it.
const OPTION_LENGTH: u8 = 4;
/// Its kind.
const KIND: u8 = 2;

/// An instance: the size, or the way's.
#[derive(Debug)]
pub struct TcpMss {
    /// `--set-mss`; none: `--clamp-mss-to-pmtu`.
    pub size: Option<u16>,
    family: Family,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    arguments.some_option()?;
    let family = arguments.family;
    let max = match family {
        Family::V4 => 65_515,
        Family::V6 => 65_495,
    };
    let mut size = match arguments.option(SET) {
        None => None,
        Some(given) => Some(u16::try_from(arguments.number(given, max)?).ok()?),
    };
    arguments.needs_protocol(&[(tcp::PROTOCOL, "tcp")])?;
    if arguments.legacy && !arguments.matches.iter().any(|one| asks_for_syn(&**one)) {
        let text = "iptables-legacy takes `TCPMSS` only in rules that look for SYN";
        let fault = Diagnostic::new(code::KERNEL_REFUSES, arguments.span, text);
        arguments.fault(fault.help("-m tcp --tcp-flags SYN,RST SYN"));
        return None;
    }
    if arguments.option(CLAMP).is_some() {
        size = None;
        arguments.hooks = &[Hook::Forward, Hook::Output, Hook::Postrouting];
    }
    Some(Box::new(TcpMss { size, family }))
}

/// Whether SYN is among the flags that have to be set.
fn asks_for_syn(one: &dyn Match) -> bool {
    let one: &dyn Any = one;
    let flags = one.downcast_ref::<matches::tcp::Tcp>().and_then(|tcp| tcp.flags);
    flags.is_some_and(|flags| !flags.inverted && flags.value.1 & tcp::SYN != 0)
}

/// Why a segment is dropped.
struct Unfit;

impl TcpMss {
    /// Both headers without options.
    const fn headers(&self) -> u32 {
        match self.family {
            Family::V4 => 40,
            Family::V6 => 60,
        }
    }

    /// The largest size that may be announced.
    fn most(&self, traversal: &Traversal<'_>) -> Result<u16, Unfit> {
        if let Some(size) = self.size {
            return Ok(size);
        }
        let host = traversal.host;
        let out = traversal.out_interface.and_then(|name| host.interface_mtu(*name));
        let back = host.route_mtu(self.family, traversal.packet.source);
        let mtu = [out, back].into_iter().flatten().min().unwrap_or(u32::MAX);
        match mtu.checked_sub(self.headers()) {
            None | Some(0) => Err(Unfit),
            Some(size) => Ok(u16::try_from(size).unwrap_or(u16::MAX)),
        }
    }

    fn lower(&self, traversal: &mut Traversal<'_>) -> Result<(), Unfit> {
        let header_length = match &traversal.packet.l4 {
            L4::Fragment => return Ok(()),
            L4::Tcp(header) => usize::from(header.header_length),
            _ => return Err(Unfit),
        };
        let segment = traversal.packet.l4_bytes(traversal.bytes);
        let Some(header) = segment.get(..header_length) else { return Err(Unfit) };
        if header_length < tcp::HEADER_LENGTH_MIN {
            return Err(Unfit);
        }
        let has_data = segment.len() > header_length;
        let found = announced(header);
        let most = self.most(traversal)?;
        match found {
            Some((at, size)) if size > most => {
                rewrite::lower_tcp_number(traversal.packet, traversal.bytes, at, most);
            }
            Some(_) => {}
            None if has_data => {}
            None => {
                let implied = match self.family {
                    Family::V4 => 536,
                    Family::V6 => 1220,
                };
                let [high, low] = most.min(implied).to_be_bytes();
                let option = [KIND, OPTION_LENGTH, high, low];
                rewrite::insert_tcp_option(traversal.packet, traversal.bytes, option);
            }
        }
        Ok(())
    }
}

/// Where in a TCP header the size stands, and the size. Every byte of padding is passed over, the end
/// of the list among them, and so is a length of 0.
fn announced(header: &[u8]) -> Option<(usize, u16)> {
    let mut at = tcp::HEADER_LENGTH_MIN;
    while let Some(&[kind, length, high, low]) = header.get(at..at + usize::from(OPTION_LENGTH)) {
        if (kind, length) == (KIND, OPTION_LENGTH) {
            return Some((at + 2, u16::from_be_bytes([high, low])));
        }
        at += if kind <= 1 || length == 0 { 1 } else { usize::from(length) };
    }
    None
}

impl Target for TcpMss {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let lowered = self.lower(traversal);
        traversal.segment_changed();
        match lowered {
            Ok(()) => Step::Continue,
            Err(Unfit) => Step::Verdict(Verdict::Drop),
        }
    }

    fn need(&self, needs: &mut Needs) {
        needs.room = true;
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::any(Field::Length), Change::Bytes]))
    }

    fn print(&self, out: &mut String) {
        let _ = match self.size {
            Some(size) => write!(out, " --set-mss {size}"),
            None => write!(out, " --clamp-mss-to-pmtu"),
        };
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = match self.size {
            Some(size) => write!(out, " TCPMSS set {size}"),
            None => write!(out, " TCPMSS clamp to PMTU"),
        };
    }

    fn explain(&self, out: &mut Pieces) {
        let to = match self.size {
            Some(size) => format!("{size} bytes"),
            None => format!(
                "what fits the MTUs of the way out and of the way back ({} bytes less than the smaller \
                 one)",
                self.headers()
            ),
        };
        out.push(Piece::Effect(format!(
            "lowers the maximum segment size that it announces to {to}, and goes on with the next rule"
        )));
        out.push(Piece::Note(
            "It never raises a size. It is for the segments that open a connection (--tcp-flags \
             SYN,RST SYN), of both directions: iptables-legacy refuses the rule without a match for \
             SYN, and others would get the option put in."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests;
