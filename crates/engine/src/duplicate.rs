//! Copies of packets that `TEE` sends to a gateway: each walks through OUTPUT and POSTROUTING as a packet of the
//! host itself, untracked, and leaves by the interface to its gateway.
//!
//! Seen with Linux: the copy takes the mark along; rules with `TEE` that it meets, or an answer to it, match and
//! make no further copy; one that is too long for its way is told to the sender. A copy is sent from within its
//! rule there; here when the table has been walked, which only rules that remember packets can tell.

use crate::answer::Report;
use crate::cause::Cause;
use crate::engine::room::ROOM;
use crate::hooks::traverse;
use crate::recorder::Recorder;
use crate::route::InterfaceIndex;
use crate::transmit::{Origin, Transmit};
use crate::walk::{Stop, Walk};
use crate::{defrag, forward};
use alloc::vec;
use keepstate_conntrack::{Hook, Tracked};
use keepstate_packet::{Address, Family, Parsed, ipv4};
use keepstate_ruleset::targets::tee::Copy;

/// Sends the copies that rules of a table have made of the packet on its way.
#[cold]
#[inline(never)]
pub(crate) fn send<R: Recorder>(walk: &mut Walk<'_, R>) {
    let copies = core::mem::take(&mut walk.stores.copies);
    if walk.is_duplicate {
        return;
    }
    let hook = walk.hook;
    for copy in copies {
        one(walk, copy);
    }
    walk.hook = hook;
}

fn one<R: Recorder>(walk: &mut Walk<'_, R>, copy: Copy) {
    let mut bytes = copy.bytes;
    let Ok(mut parsed) = Parsed::new(&bytes) else { return };
    let Some(out) = way(walk, &copy.device, parsed.family, copy.gateway) else { return };
    if walk.rules.as_ref().is_some_and(|rules| rules.wants_room()) {
        bytes.resize(bytes.len() + ROOM, 0);
    }
    walk.recorder.answer(&bytes);
    let (now, came, largest_piece) = (walk.now, walk.interface, walk.largest_piece);
    let (unfinished, segment) = (walk.unfinished, walk.link.segment);
    let (meets, recorder) = walk.meets();
    let mut duplicate = Walk::new(now, meets, recorder, &mut parsed, &mut bytes);
    [duplicate.mark, duplicate.secmark, duplicate.priority] = copy.marks;
    (duplicate.out, duplicate.largest_piece) = (Some(out), largest_piece);
    (duplicate.tracked, duplicate.is_duplicate) = (Some(Tracked::UNTRACKED), true);
    (duplicate.copied_from, duplicate.unfinished) = (came, unfinished);
    duplicate.link.segment = segment;
    let sent = traverse(&mut duplicate, Hook::Output)
        .and_then(|()| traverse(&mut duplicate, Hook::Postrouting))
        .and_then(|()| fits(&mut duplicate, out));
    if let Err(stop) = sent {
        duplicate.stop(stop);
    }
    duplicate.finish();
    let unknown = duplicate.unknown;
    walk.note_unknown(unknown);
    let is_back = walk.routing.is_own(parsed.family, copy.gateway);
    if sent.is_ok() && !is_back {
        bytes.truncate(parsed.length as usize);
        let (origin, interface, answers) = (Origin::Copied(copy.gateway), out, walk.answers);
        let largest = Some(walk.largest_piece).filter(|largest| *largest != 0);
        let pieces = match largest {
            // What came in pieces leaves in pieces, which may be cut further.
            Some(largest) if parsed.family == Family::V4 && parsed.length > largest => {
                ipv4::allow_fragments(&mut bytes);
                defrag::cut_to(&bytes, &parsed, largest)
            }
            _ => vec![bytes],
        };
        for bytes in pieces {
            walk.transmits.push(Transmit { origin, interface, answers, bytes });
        }
    }
}

/// Whether the way out takes the copy, which is not to be cut over IPv4 either.
fn fits<R>(walk: &mut Walk<'_, R>, out: InterfaceIndex) -> Result<(), Stop> {
    let mtu = walk.routing.host().interface(out).map_or(u32::MAX, |interface| interface.mtu);
    if walk.largest_piece > mtu {
        let report = Report::too_big(walk.parsed.family, mtu);
        return Err(Stop::Report(Cause::TooBig, report));
    }
    forward::check_length(walk, out)
}

/// By the interface of the rule, if there is one of its name, else by that of the route.
fn way<R>(
    walk: &Walk<'_, R>,
    device: &str,
    family: Family,
    gateway: Address,
) -> Option<InterfaceIndex> {
    let named = (0_u16..).zip(&walk.routing.host().interfaces);
    let mut named = named.filter(|(_, interface)| interface.name.as_str() == device);
    let named = named.next().map(|(index, _)| InterfaceIndex(index));
    named.or_else(|| walk.routing.route_out(family, gateway))
}
