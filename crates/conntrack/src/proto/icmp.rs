//! ICMP (RFC 792, RFC 950): queries are connections of a packet each way, errors belong to the
//! connection of the packet they quote.

use super::{Outcome, Record, Seen};
use crate::invalid::Reason;
use crate::tuple::is_query;
use keepstate_packet::{Family, L4, Parsed, icmp};

/// The highest type that is known; what is above is INVALID.
const TYPE_MAX: u8 = 18;

/// What ICMP wants done with a message before a connection is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Tracked by its own tuple.
    Query,
    /// Belongs to the connection of the packet quoted at this offset from the IP header.
    Error {
        /// Offset of the quoted IP header.
        quoted: u32,
    },
    /// Left alone.
    Untracked,
    /// INVALID.
    Invalid(Reason),
}

/// Judges an ICMP message over IPv4. `checksum_ok` is asked only where the kernel looks.
pub(crate) fn message(packet: &Parsed, checksum_ok: impl FnOnce() -> bool) -> Message {
    let L4::Icmp(header) = &packet.l4 else { return Message::Invalid(Reason::Short) };
    if !checksum_ok() {
        Message::Invalid(Reason::BadChecksum)
    } else if header.kind > TYPE_MAX {
        Message::Invalid(Reason::IcmpUnknown)
    } else if icmp::is_error(header.kind) {
        Message::Error { quoted: packet.l4_offset + 8 }
    } else {
        Message::Query
    }
}

pub(super) fn packet(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    query(seen, record, Family::V4)
}

/// A query or an answer of a connection that began with a query.
pub(super) fn query(seen: &Seen<'_>, record: &Record<'_>, family: Family) -> Outcome {
    let tuple = &record.entry.tuple;
    let began = tuple.icmp_type().is_some_and(|kind| is_query(tuple.protocol, kind));
    if tuple.family != family || !began {
        return Outcome::invalid(Reason::IcmpUnknown);
    }
    let timeouts = &seen.sysctls.timeouts;
    Outcome::accept(match family {
        Family::V4 => timeouts.icmp,
        Family::V6 => timeouts.icmpv6,
    })
}

#[cfg(test)]
mod tests;
