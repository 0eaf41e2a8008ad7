//! What a router does with a packet between PREROUTING and FORWARD, and with its options after.

use crate::answer::Report;
use crate::cause::Cause;
use crate::options::{self, Fault, Recorded};
use crate::route::InterfaceIndex;
use crate::routing::{Routing, is_link_local_v6};
use crate::walk::{Stop, Walk};
use keepstate_packet::{Address, Family, Parsed, ipv4};

/// Reads IPv4 options, where there are any.
pub(crate) fn take_in_options<R>(walk: &mut Walk<'_, R>) -> Result<Recorded, Stop> {
    if walk.parsed.family == Family::V6 || !walk.parsed.has_options {
        return Ok(Recorded::default());
    }
    let routing = walk.routing;
    let stamps = |address: [u8; 4]| routing.stamps(address);
    let address = answering_address(routing, walk.parsed);
    let header_length = usize::from(walk.parsed.header_length);
    let header = walk.bytes.get_mut(..header_length).unwrap_or_default();
    options::take_in(header, address, &stamps, walk.now).map_err(|fault| match fault {
        Fault::At(pointer) => Stop::Report(Cause::Malformed, Report::parameter_problem_v4(pointer)),
        Fault::SourceRoute => Stop::Cause(Cause::Malformed),
    })
}

/// Records the way out in the options, where they ask for it.
pub(crate) fn pass_on_options<R>(walk: &mut Walk<'_, R>, recorded: &Recorded, out: InterfaceIndex) {
    if *recorded != Recorded::default() {
        let address = walk.routing.address_on(Family::V4, out).unwrap_or_default();
        let header_length = usize::from(walk.parsed.header_length);
        let header = walk.bytes.get_mut(..header_length).unwrap_or_default();
        options::pass_on(header, recorded, address.v4_octets());
    }
}

/// The address that an answer to this packet would come from.
fn answering_address(routing: &Routing, parsed: &Parsed) -> [u8; 4] {
    if routing.is_local(Family::V4, parsed.destination) {
        return parsed.destination.v4_octets();
    }
    let back = routing.route_out(Family::V4, parsed.source);
    let address = back.and_then(|back| routing.address_on(Family::V4, back));
    address.unwrap_or_default().v4_octets()
}

/// Whether a packet may be forwarded: time to live, IPv6 scope of the source, size.
pub(crate) fn check<R>(walk: &mut Walk<'_, R>, out: InterfaceIndex) -> Result<(), Stop> {
    let parsed = &*walk.parsed;
    let family = parsed.family;
    if parsed.ttl <= 1 {
        return Err(Stop::Report(Cause::TtlExceeded, Report::time_exceeded(family)));
    }
    // Nobody asks where a packet comes from that goes back to the link it came from.
    if family == Family::V6 && walk.interface != Some(out) {
        // No host sends from the unspecified address beyond its link (RFC 4291, 2.5.2).
        if parsed.source == Address::default() {
            return Err(Stop::Cause(Cause::Martian));
        }
        if is_link_local_v6(family, parsed.source) {
            const BEYOND_SCOPE: u8 = 2;
            let report = Report::unreachable(family, BEYOND_SCOPE);
            return Err(Stop::Report(Cause::Martian, report));
        }
    }
    check_length(walk, out)
}

/// Whether the way out takes a packet of this length; over IPv4 it may have to be cut. Asked again of a
/// packet that has become longer.
pub(crate) fn check_length<R>(walk: &mut Walk<'_, R>, out: InterfaceIndex) -> Result<(), Stop> {
    let parsed = &*walk.parsed;
    let family = parsed.family;
    let mtu = walk.routing.host().interface(out).map_or(u32::MAX, |interface| interface.mtu);
    let fits = |piece: u32| piece != 0 && piece <= mtu;
    let pieces_fit = fits(walk.largest_piece) || fits(walk.link.segment.into());
    if parsed.length > mtu && !pieces_fit {
        if family == Family::V6 || ipv4::dont_fragment(walk.bytes) {
            return Err(Stop::Report(Cause::TooBig, Report::too_big(family, mtu)));
        }
        walk.cut_to = Some(mtu).filter(|_| walk.largest_piece == 0);
    }
    Ok(())
}
