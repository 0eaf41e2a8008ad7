//! ICMPv6 (RFC 4443): as ICMP; neighbour discovery (RFC 4861) and multicast listener discovery
//! (RFC 2710, RFC 3810) are left untracked.

use super::icmp::{Message, query};
use super::{Outcome, Record, Seen};
use crate::invalid::Reason;
use keepstate_packet::{Family, L4, Parsed};

/// MLD query, report, done; router solicitation, advertisement; neighbour solicitation,
/// advertisement; MLDv2 report; multicast router advertisement and solicitation (RFC 4286).
const UNTRACKED: [u8; 10] = [130, 131, 132, 133, 134, 135, 136, 143, 151, 152];
/// The redirect of RFC 4861, 4.5: eight bytes, target and destination address, options.
const REDIRECT: u8 = 137;
const REDIRECT_LENGTH: u32 = 40;
/// The option that quotes the redirected packet (RFC 4861, 4.6.3): kind, length, six bytes unused.
const REDIRECTED_HEADER: u8 = 4;
const OPTION_HEADER_LENGTH: u32 = 8;
/// Types from here on inform, those below are errors (RFC 4443, 2.1).
const INFORMATIONAL_MIN: u8 = 128;

/// Judges an ICMPv6 message over IPv6. `checksum_ok` is asked only where the kernel looks.
pub(crate) fn message(
    packet: &Parsed,
    bytes: &[u8],
    checksum_ok: impl FnOnce() -> bool,
) -> Message {
    let L4::Icmpv6(header) = &packet.l4 else { return Message::Invalid(Reason::Short) };
    if !checksum_ok() {
        Message::Invalid(Reason::BadChecksum)
    } else if UNTRACKED.contains(&header.kind) {
        Message::Untracked
    } else if header.kind == REDIRECT {
        redirect(packet, bytes, header.code)
    } else if header.kind >= INFORMATIONAL_MIN {
        Message::Query
    } else {
        Message::Error { quoted: packet.l4_offset + 8 }
    }
}

/// A redirect is an error about the packet that its first option quotes. It comes from a router on
/// the link (RFC 4861, 8.1).
fn redirect(packet: &Parsed, bytes: &[u8], code: u8) -> Message {
    let [first, second, ..] = packet.source.0;
    let link_local = first == 0xfe && second & 0xc0 == 0x80;
    if code != 0 || packet.ttl != u8::MAX || !link_local {
        return Message::Invalid(Reason::Malformed);
    }
    let options = packet.l4_bytes(bytes).get(REDIRECT_LENGTH as usize..);
    match options.and_then(<[u8]>::first_chunk::<{ OPTION_HEADER_LENGTH as usize }>) {
        None => Message::Invalid(Reason::Short),
        Some([_, 0, ..]) => Message::Invalid(Reason::Malformed),
        Some([REDIRECTED_HEADER, ..]) => {
            Message::Error { quoted: packet.l4_offset + REDIRECT_LENGTH + OPTION_HEADER_LENGTH }
        }
        Some(_) => Message::Query,
    }
}

pub(super) fn packet(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    query(seen, record, Family::V6)
}
