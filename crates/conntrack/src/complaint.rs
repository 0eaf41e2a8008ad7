//! What the log says of packets that tracking finds INVALID, of segments that it lets pass though they
//! do not fit (`nf_conntrack_log_invalid`), and of packets that helpers drop, in the kernel's words.

use crate::conn::ProtocolRecord;
use crate::helpers::Name;
use crate::invalid::{Invalid, Reason};
use crate::proto::sctp::Fault;
use crate::proto::tcp::{Ignored, Kind, Segment, State};
use crate::sysctl::Sysctls;
use crate::table::Table;
use crate::timeout::Timeout;
use crate::track::Found;
use alloc::{format, string::String, vec::Vec};
use core::fmt::{Arguments, Display, Write};
use keepstate_packet::{Address, Family, L4, Parsed, icmp, icmpv6, tcp};

const UDP: u8 = 17;
const UDP_LITE: u8 = 136;
/// ICMPv6 redirect (RFC 4861, 4.5), and what it has before its options.
const REDIRECT: u8 = 137;
const REDIRECT_LENGTH: usize = 40;

/// Value of `nf_conntrack_log_invalid` that stands for every protocol.
pub const ALL: u8 = 255;

/// Bytes of complaints beyond which no more are kept until [`Table::take_complaints`]; those of one
/// packet are far less.
pub const COMPLAINTS_MAX: usize = 4096;

impl Sysctls {
    /// Whether what is wrong with a packet of this protocol is to be logged.
    #[inline]
    pub(crate) const fn logs(&self, protocol: u8) -> bool {
        self.log_invalid == protocol || self.log_invalid == ALL
    }
}

/// What is wrong with a segment of a connection, and with whom.
pub(crate) struct Subject<'a> {
    pub(crate) packet: &'a Parsed,
    pub(crate) bytes: &'a [u8],
    pub(crate) found: Found,
    /// Of SCTP.
    pub(crate) fault: Option<Fault>,
}

impl Table {
    /// What there is to log of the last packet, complaint by complaint, without what describes the
    /// packet.
    pub fn take_complaints(&mut self) -> String {
        core::mem::take(&mut self.complaints)
    }

    /// Of a packet that belongs to no connection.
    #[cold]
    pub(crate) fn complain(&mut self, packet: &Parsed, bytes: &[u8], reason: Reason) {
        if self.sysctls.logs(packet.protocol)
            && let Some(text) = unconnected(packet, bytes, reason)
        {
            self.say(packet.protocol, &text);
        }
    }

    /// Of an ICMP error that goes elsewhere than the packet it quotes came from.
    #[cold]
    pub(crate) fn complain_of_error(&mut self, packet: &Parsed, expected: Address) {
        if self.sysctls.logs(packet.protocol) {
            let outer = address(packet.destination, packet.family);
            let inner = address(expected, packet.family);
            let text = format!("outer daddr {outer} != inner {inner}");
            self.say(packet.protocol, &text);
        }
    }

    /// Of a packet that is INVALID in the eyes of its connection's tracker.
    #[cold]
    pub(crate) fn complain_of_packet(&mut self, subject: &Subject<'_>, invalid: &Invalid) {
        let Subject { packet, bytes, .. } = *subject;
        if !self.sysctls.logs(packet.protocol) {
            return;
        }
        let text = match packet.protocol {
            tcp::PROTOCOL => of_segment(subject, self.state_of(subject), invalid),
            UDP | UDP_LITE => unconnected(packet, bytes, invalid.reason),
            keepstate_packet::sctp::PROTOCOL => of_chunks(subject, invalid.reason),
            _ => None,
        };
        if let Some(text) = text {
            self.say(packet.protocol, &text);
        }
    }

    /// Of a segment that passes and changes nothing.
    #[cold]
    pub(crate) fn complain_of_ignored(&mut self, subject: &Subject<'_>, ignored: &Ignored) {
        let protocol = subject.packet.protocol;
        if !self.sysctls.logs(protocol) {
            return;
        }
        let text = match ignored {
            Ignored::OutOfStep => ending(subject, self.state_of(subject), "ignored"),
            Ignored::ChallengeAck => Some("challenge-ack ignored".into()),
            Ignored::Window(invalid) => window(invalid, true),
        };
        if let Some(text) = text {
            self.say(protocol, &text);
        }
    }

    /// Of a connection whose timeout a lost close has lowered.
    #[cold]
    pub(crate) fn complain_of_close(&mut self, subject: &Subject<'_>, lowered: Timeout) {
        let record = self.slots.record(subject.found.slot);
        let Some(ProtocolRecord::Tcp(record)) = record else { return };
        if self.sysctls.logs(subject.packet.protocol) {
            let (index, last) = (index(kind(subject)), index(record.last.kind));
            let text = format!(
                "packet (index {index}, dir {}) response for index {last} lower timeout to {}",
                subject.found.direction as u8,
                lowered.ticks()
            );
            self.say(subject.packet.protocol, &text);
        }
    }

    /// Of a packet that a helper has dropped, whatever `nf_conntrack_log_invalid` is.
    #[cold]
    pub(crate) fn complain_of_dropped(&mut self, helper: Name, why: &dyn Display) {
        self.note(format_args!("nf_ct_{helper}: dropping packet: {why} "));
    }

    fn state_of(&self, subject: &Subject<'_>) -> State {
        self.slots.entry(subject.found.slot).map_or(State::None, |entry| State::of(entry.state))
    }

    fn say(&mut self, protocol: u8, text: &str) {
        self.note(format_args!("nf_ct_proto_{protocol}: {text} "));
    }

    /// What is too much is lost.
    fn note(&mut self, line: Arguments<'_>) {
        if self.complaints.len() < COMPLAINTS_MAX {
            let _ = writeln!(self.complaints, "{line}");
        }
    }
}

impl<'a> Subject<'a> {
    pub(crate) const fn new(packet: &'a Parsed, bytes: &'a [u8], found: Found) -> Self {
        Self { packet, bytes, found, fault: None }
    }
}

/// What is wrong with a packet by itself.
fn unconnected(packet: &Parsed, bytes: &[u8], reason: Reason) -> Option<String> {
    // In a later fragment nobody looks for a header.
    if packet.l4 == L4::Fragment {
        return None;
    }
    if let L4::Icmpv6(header) = &packet.l4
        && header.kind == REDIRECT
        && reason != Reason::BadChecksum
    {
        return of_redirect(packet, bytes, header.code).map(String::from);
    }
    let text = match (packet.protocol, reason) {
        (UDP | UDP_LITE | icmp::PROTOCOL | icmpv6::PROTOCOL, Reason::Short) => "short packet",
        (tcp::PROTOCOL, Reason::Malformed) => "truncated packet",
        (tcp::PROTOCOL, Reason::BadFlags) => "invalid tcp flag combination",
        (tcp::PROTOCOL, Reason::InvalidState) => "invalid new",
        (UDP, Reason::Malformed) => "truncated/malformed packet",
        (UDP_LITE, Reason::Malformed) => match &packet.l4 {
            L4::UdpLite(header) if coverage_possible(packet, header.length) => "checksum missing",
            _ => "invalid checksum coverage",
        },
        (tcp::PROTOCOL | UDP | UDP_LITE, Reason::BadChecksum) => "bad checksum",
        (icmp::PROTOCOL, Reason::BadChecksum) => "bad hw icmp checksum",
        (icmpv6::PROTOCOL, Reason::BadChecksum) => "ICMPv6 checksum failed",
        (icmp::PROTOCOL, Reason::IcmpUnknown) => "invalid icmp type",
        _ => return None,
    };
    Some(text.into())
}

/// An address as the log has it, that of IPv6 with all its digits.
fn address(address: Address, family: Family) -> String {
    match family {
        Family::V4 => format!("{}", address.ip(family)),
        Family::V6 => {
            let words = address.0.chunks_exact(2).map(|word| match word {
                [high, low] => format!("{high:02x}{low:02x}"),
                _ => String::new(),
            });
            words.collect::<Vec<_>>().join(":")
        }
    }
}

fn of_redirect(packet: &Parsed, bytes: &[u8], code: u8) -> Option<&'static str> {
    let [first, second, ..] = packet.source.0;
    let from_router = packet.ttl == u8::MAX && first == 0xfe && second & 0xc0 == 0x80;
    let message = packet.l4_bytes(bytes);
    // Nothing is said of an option that has a length, but not as many octets as it takes.
    let lacks_option = message.get(REDIRECT_LENGTH + 1).is_none_or(|length| *length == 0);
    match (message.len() < REDIRECT_LENGTH, code, from_router) {
        (true, ..) => Some("short redirect"),
        (false, 0, false) => Some("invalid saddr or hoplimit for redirect"),
        (false, 0, true) => lacks_option.then_some("redirect without options"),
        (false, ..) => None,
    }
}

fn coverage_possible(packet: &Parsed, coverage: u16) -> bool {
    let length = packet.length.saturating_sub(packet.l4_offset);
    coverage == 0 || (8..=length).contains(&u32::from(coverage))
}

/// What is wrong with a segment of a connection.
fn of_segment(subject: &Subject<'_>, state: State, invalid: &Invalid) -> Option<String> {
    match invalid.reason {
        Reason::InvalidState if state == State::None => {
            unconnected(subject.packet, subject.bytes, invalid.reason)
        }
        Reason::InvalidState => ending(subject, state, "invalid"),
        Reason::InvalidRst => Some("invalid rst".into()),
        Reason::SeqOver | Reason::SeqUnder | Reason::AckOver | Reason::AckUnder => {
            window(invalid, false)
        }
        reason => unconnected(subject.packet, subject.bytes, reason),
    }
}

/// What is wrong with an SCTP packet. What stands in it as it is on the wire is read with its octets
/// turned.
fn of_chunks(subject: &Subject<'_>, reason: Reason) -> Option<String> {
    let direction = subject.found.direction as u8;
    let fault = match (reason, subject.fault) {
        (Reason::Short, _) => return Some("nf_ct_sctp: short packet".into()),
        (Reason::BadChecksum, _) => return Some("nf_ct_sctp: bad CRC".into()),
        (_, fault) => fault?,
    };
    Some(match fault {
        Fault::Chunks { number, kind, length, alone } => format!(
            "do_basic_checks failed. chunk num {number}, type {kind}, len {} flag {}",
            length.swap_bytes(),
            u8::from(alone)
        ),
        Fault::Tag { tag, known } => format!(
            "verification tag check failed {:x} vs {:x} for dir {direction}",
            tag.swap_bytes(),
            known.swap_bytes()
        ),
        Fault::State { before, kind } => {
            format!("Invalid, old_state {}, dir {direction}, type {kind}", before as u8)
        }
    })
}

fn ending(subject: &Subject<'_>, state: State, ending: &str) -> Option<String> {
    let (index, direction) = (index(kind(subject)), subject.found.direction as u8);
    let state = state.name();
    Some(format!("packet (index {index}) in dir {direction} {ending}, state {state}"))
}

/// Which edge of the windows; the kernel's edges are the first numbers outside.
fn window(invalid: &Invalid, passes: bool) -> Option<String> {
    let edge = invalid.edge?;
    let (over, under) = (edge.wrapping_add(1), edge.wrapping_sub(1));
    Some(match invalid.reason {
        Reason::SeqOver if passes => format!("{} bytes more than expected", invalid.distance?),
        Reason::SeqOver => {
            format!("SEQ is over upper bound {over} (over the window of the receiver)")
        }
        Reason::AckOver => format!("ACK is over upper bound {over} (ACKed data not seen yet)"),
        Reason::SeqUnder => {
            format!("SEQ is under lower bound {under} (already ACKed data retransmitted)")
        }
        Reason::AckUnder => {
            format!("ignored ACK under lower bound {under} (possible overly delayed)")
        }
        _ => return None,
    })
}

fn kind(subject: &Subject<'_>) -> Kind {
    Segment::new(subject.packet, subject.bytes, true).map_or(Kind::None, |segment| segment.kind)
}

const fn index(kind: Kind) -> u8 {
    match kind {
        Kind::Syn => 0,
        Kind::SynAck => 1,
        Kind::Fin => 2,
        Kind::Ack => 3,
        Kind::Rst => 4,
        Kind::None => 5,
    }
}

#[cfg(test)]
mod tests;
