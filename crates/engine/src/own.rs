//! What the host itself says besides the errors of [`crate::answer`]: echo replies, resets for segments
//! that nobody takes, and packets of those who stand around the engine (neighbour discovery). Each walks
//! through OUTPUT and POSTROUTING.
//!
//! Echo (RFC 792; RFC 4443, 4.2) is answered as Linux does it: from the address that was asked, not for
//! what IPv4 sends to all, over IPv6 also for what a group is asked; a request with a wrong checksum is
//! not. Options of IPv4 are not echoed. What is longer than the way out takes leaves in pieces.

use crate::answer;
use crate::defrag::{self, Datagram};
use crate::facts::Made;
use crate::hooks::traverse;
use crate::recorder::Recorder;
use crate::route::InterfaceIndex;
use crate::routing::is_link_local_v6;
use crate::transmit::{Origin, Transmit};
use crate::walk::{Meets, Sending, Walk};
use alloc::vec;
use alloc::vec::Vec;
use keepstate_conntrack::{Hook, table::Template};
use keepstate_packet::checksum::{self, Sum, Verified};
use keepstate_packet::link::PacketType;
use keepstate_packet::{Address, Family, Instant, L4, Parsed, icmp, icmpv6};
use keepstate_ruleset::evaluate::Ends;

/// Answers an echo request that has reached the host.
#[cold]
pub(crate) fn answer_echo<R: Recorder>(walk: &mut Walk<'_, R>) {
    let Some(came) = walk.interface.filter(|at| walk.routing.host().interface(*at).is_some())
    else {
        return;
    };
    let Some(reply) = echo_reply(walk, came) else { return };
    let parsed = &*walk.parsed;
    let by = is_link_local_v6(parsed.family, parsed.source).then_some(came);
    let now = walk.now;
    let (meets, recorder) = walk.meets();
    send(now, meets, recorder, reply, by);
}

/// Answers a TCP segment that has reached the host and that no declared socket takes, as a closed port
/// does: a stranger among connections, too, such as one that was not translated back.
#[cold]
pub(crate) fn answer_segment<R: Recorder>(walk: &mut Walk<'_, R>) {
    let (parsed, routing) = (&*walk.parsed, walk.routing);
    let Some(ends) = Ends::of_received(parsed) else { return };
    let is_taken = routing.host().sockets.iter().any(|socket| socket.holds(&ends));
    if is_taken || walk.link.packet_type != PacketType::Unicast {
        return;
    }
    let Some(bytes) = answer::reset_by_host(routing, parsed, walk.bytes) else { return };
    // Linux sends it over IPv4 from a socket that it keeps for that.
    let made = match parsed.family {
        Family::V4 => Made::Error,
        Family::V6 => Made::Reset,
    };
    let template = Template::default();
    walk.send_made(Sending { bytes, made, unsummed: false, tracked: None, template, out: None });
}

fn echo_reply<R>(walk: &Walk<'_, R>, came: InterfaceIndex) -> Option<Vec<u8>> {
    let (parsed, routing) = (&*walk.parsed, walk.routing);
    let packet = parsed.packet(walk.bytes);
    let is_sound = || checksum::verify(parsed, packet) == Verified::Valid;
    let message = parsed.l4_bytes(walk.bytes);
    let hop_limit = routing.host().default_ttl;
    match &parsed.l4 {
        L4::Icmp(header) if header.kind == icmp::ECHO_REQUEST && header.code == 0 => {
            let asked = routing.is_own(Family::V4, parsed.destination)
                || routing.is_declared_local(Family::V4, parsed.destination);
            if !asked || !is_sound() {
                return None;
            }
            let length = u16::try_from(20 + message.len()).ok()?;
            let mut out = vec![0x45, parsed.tos];
            out.extend_from_slice(&length.to_be_bytes());
            // The identification tells pieces apart: that of the request does as well.
            out.extend_from_slice(packet.get(4..6)?);
            out.extend_from_slice(&[0, 0, hop_limit, icmp::PROTOCOL, 0, 0]);
            out.extend_from_slice(&parsed.destination.v4_octets());
            out.extend_from_slice(&parsed.source.v4_octets());
            checksum::fill_ipv4_header(&mut out);
            reply(&mut out, icmp::ECHO_REPLY, message, Sum::ZERO);
            Some(out)
        }
        L4::Icmpv6(header) if header.kind == icmpv6::ECHO_REQUEST && header.code == 0 => {
            let source = match parsed.destination.0[0] {
                0xff => routing.address_on(Family::V6, came)?,
                _ => parsed.destination,
            };
            if parsed.source == Address::default() || !is_sound() {
                return None;
            }
            let length = u16::try_from(message.len()).ok()?;
            let mut out = vec![0x60, 0, 0, 0];
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&[icmpv6::PROTOCOL, hop_limit]);
            out.extend_from_slice(&source.0);
            out.extend_from_slice(&parsed.source.0);
            let sum = Sum::ZERO.bytes(&source.0).bytes(&parsed.source.0);
            let sum = sum.number(length).number(u16::from(icmpv6::PROTOCOL));
            reply(&mut out, icmpv6::ECHO_REPLY, message, sum);
            Some(out)
        }
        _ => None,
    }
}

/// Appends the message with another type and its checksum.
fn reply(out: &mut Vec<u8>, kind: u8, request: &[u8], pseudo_header: Sum) {
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(request.get(4..).unwrap_or(&[]));
    let checksum = pseudo_header.bytes(out.get(start..).unwrap_or(&[])).checksum();
    if let Some(field) = out.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Sends a packet of the host itself: by this interface, or by the one that its route names.
pub(crate) fn send<R: Recorder>(
    now: Instant,
    mut meets: Meets<'_>,
    recorder: &mut R,
    mut bytes: Vec<u8>,
    by: Option<InterfaceIndex>,
) {
    let Ok(mut parsed) = Parsed::new(&bytes) else { return };
    recorder.answer(&bytes);
    let mut walk = Walk::new(now, meets.again(), recorder, &mut parsed, &mut bytes);
    let sent = match by {
        Some(by) => {
            walk.out = Some(by);
            traverse(&mut walk, Hook::Output).and_then(|()| traverse(&mut walk, Hook::Postrouting))
        }
        None => walk.send(),
    };
    let (out, tracked) = (walk.out, walk.tracked);
    if let (Err(_), Some(tracked)) = (sent, &tracked) {
        meets.conntrack.discard(now, tracked);
    }
    let leaves = out.filter(|_| sent.is_ok());
    let packet = bytes.get(..parsed.length as usize).unwrap_or(&bytes);
    recorder.answered(leaves.map(|out| (out, packet)));
    let Some(interface) = leaves else { return };
    let Some(mtu) = meets.routing.host().interface(interface).map(|one| one.mtu) else { return };
    bytes.truncate(parsed.length as usize);
    let pieces = match bytes.len() > mtu as usize {
        false => vec![bytes],
        true => {
            let datagram = Datagram::of_host(bytes, mtu as usize, identification(&parsed));
            defrag::cut(&datagram, &parsed, mtu).ok().flatten().unwrap_or_default()
        }
    };
    let (origin, answers) = (Origin::Made, meets.answers);
    for bytes in pieces {
        meets.transmits.push(Transmit { origin, interface, answers, bytes });
    }
}

/// What tells the pieces of an IPv6 datagram from those of others to the same host.
fn identification(parsed: &Parsed) -> u32 {
    match &parsed.l4 {
        L4::Icmpv6(header) => header.rest,
        _ => 0,
    }
}
