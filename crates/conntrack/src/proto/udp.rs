//! UDP (RFC 768) and UDP-Lite (RFC 3828).
//!
//! A UDP connection lives 30 seconds after each packet. Once answered and older than two seconds
//! it counts as a stream: ASSURED, and 120 seconds. UDP-Lite becomes so with the second packet
//! after an answer, whatever its age. Observed on Linux 6.18.

use super::{Outcome, Record, Seen};
use crate::conn::{CtStatus, ProtocolRecord};
use crate::invalid::Reason;
use crate::timeout;
use core::time::Duration;
use keepstate_packet::{L4, Parsed};

const HEADER_LENGTH: u32 = 8;
/// An answered connection that still has traffic after this long is a stream.
pub(crate) const STREAM_AFTER: Duration = Duration::from_secs(2);

pub(super) fn packet(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    let L4::Udp(header) = &seen.packet.l4 else { return Outcome::invalid(Reason::Short) };
    let present = length(seen.packet);
    if u32::from(header.length) > present || u32::from(header.length) < HEADER_LENGTH {
        return Outcome::invalid(Reason::Malformed);
    }
    if header.checksum != 0 && !seen.checksum_ok() {
        return Outcome::invalid(Reason::BadChecksum);
    }
    let timeouts = &seen.sysctls.timeouts;
    let assured = record.entry.is(CtStatus::ASSURED);
    if assured {
        return Outcome::accept(timeouts.udp_stream);
    }
    if !record.entry.is(CtStatus::CONFIRMED) {
        let stream_after = timeout::after(seen.now, STREAM_AFTER);
        *record.protocol = ProtocolRecord::Udp { stream_after };
    }
    if let ProtocolRecord::Udp { stream_after } = *record.protocol
        && record.entry.is(CtStatus::SEEN_REPLY)
        && seen.now.0 > stream_after
    {
        return Outcome::assured(record, timeouts.udp_stream);
    }
    Outcome::accept(timeouts.udp)
}

pub(super) fn packet_lite(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    let L4::UdpLite(header) = &seen.packet.l4 else { return Outcome::invalid(Reason::Short) };
    let present = length(seen.packet);
    let covered = u32::from(header.length);
    let impossible = covered != 0 && (covered < HEADER_LENGTH || covered > present);
    if impossible || header.checksum == 0 {
        return Outcome::invalid(Reason::Malformed);
    }
    if !seen.checksum_ok() {
        return Outcome::invalid(Reason::BadChecksum);
    }
    let timeouts = &seen.sysctls.timeouts;
    if record.entry.is(CtStatus::SEEN_REPLY) {
        Outcome::assured(record, timeouts.udp_stream)
    } else {
        Outcome::accept(timeouts.udp)
    }
}

/// Bytes from the UDP header to the end of the packet.
const fn length(packet: &Parsed) -> u32 {
    packet.length.saturating_sub(packet.l4_offset)
}

#[cfg(test)]
mod tests;
