//! What the helper of a connection does to a packet on its way out.
//!
//! Behind address translation it may have the packet say something else than it said, and longer. Such a
//! packet goes on in a buffer of the engine's own, and leaves by [`crate::Engine::poll_transmit`] if it has
//! come to be longer than it came.

use crate::hooks::{complain, stop};
use crate::recorder::Recorder;
use crate::transmit::{Origin, Transmit};
use crate::walk::{Stop, Walk};
use crate::{Cause, Disposition, Engine, Output};
use alloc::vec::Vec;
use keepstate_conntrack::Hook;
use keepstate_packet::{L4, Parsed, checksum, rewrite};

/// Buffers for one walk: a packet can leave twice, when the host sends it to itself.
pub(crate) const SPARES: usize = 2;

/// Has the helper read the packet. Whether it has changed it, so that the checksum is to be made anew.
#[inline(never)]
pub(crate) fn help<R: Recorder>(walk: &mut Walk<'_, R>) -> Result<bool, Stop> {
    let Some(tracked) = walk.tracked.filter(|tracked| tracked.conn.is_some()) else {
        return Ok(false);
    };
    let own = walk.interface.is_none() && !walk.is_copy;
    let out = walk.out.filter(|out| *out != walk.routing.loopback());
    let ways = walk.routing.ways(walk.parsed.family, out, own);
    let (now, parsed, bytes) = (walk.now, &*walk.parsed, &*walk.bytes);
    match walk.conntrack.help(now, &tracked, parsed, bytes, &ways) {
        Ok(None) => Ok(false),
        Ok(Some(said)) => {
            let is_left = follows_itself(walk.parsed, walk.bytes, &said);
            say(walk, &said).map(|()| !is_left)
        }
        Err(dropped) => {
            // The kernel names no interface here.
            complain(walk, Hook::Prerouting, [None; 2]);
            Err(stop(dropped))
        }
    }
}

/// Whether the helper has had the checksum of a datagram follow what it says now.
fn follows_itself(parsed: &Parsed, bytes: &[u8], said: &[u8]) -> bool {
    const CHECKSUM: core::ops::Range<usize> = 6..8;
    matches!(parsed.l4, L4::Udp(_)) && said.get(CHECKSUM) != parsed.l4_bytes(bytes).get(CHECKSUM)
}

/// Puts what the packet says now in the place of what it said. One that came in pieces goes on as one.
#[cold]
fn say<R>(walk: &mut Walk<'_, R>, said: &[u8]) -> Result<(), Stop> {
    let length = walk.parsed.l4_offset as usize + said.len();
    if length > walk.parsed.length as usize || walk.largest_piece > 0 {
        let spares = core::mem::take(&mut walk.spares);
        if let Some((spare, rest)) = spares.split_first_mut() {
            spare.clear();
            spare.extend_from_slice(walk.parsed.packet(walk.bytes));
            spare.resize(length, 0);
            (walk.bytes, walk.spares) = (spare, rest);
        }
    }
    let done = rewrite::set_upper_layer(walk.parsed, walk.bytes, said);
    if done { Ok(()) } else { Err(Stop::Cause(Cause::HelperDropped)) }
}

/// Makes the checksum of a packet that says something else now.
#[cold]
pub(crate) fn renew<R>(walk: &mut Walk<'_, R>) {
    walk.is_said_anew = true;
    if walk.unfinished.is_none() {
        checksum::renew(walk.parsed, walk.bytes);
    }
}

/// The packet, when its walk has left it in a buffer of those that it had, and so many others.
pub(crate) fn take(spares: &mut [Vec<u8>], left: usize) -> Option<Vec<u8>> {
    let place = spares.len().checked_sub(left)?.checked_sub(1)?;
    spares.get_mut(place).map(core::mem::take)
}

impl Engine {
    /// Takes the packet out of the buffer that its walk has left it in, when that is none of the caller's.
    pub(crate) fn take_spared(&mut self, parsed: &Parsed) -> Option<Vec<u8>> {
        let left = core::mem::replace(&mut self.spares_left, SPARES);
        let mut bytes = take(&mut self.spares, left)?;
        bytes.truncate(parsed.length as usize);
        Some(bytes)
    }

    /// Sends a packet that does not lie where it came in any more.
    #[cold]
    pub(crate) fn send_spared(
        &mut self,
        parsed: &Parsed,
        answers: u32,
        disposition: Disposition,
    ) -> Disposition {
        let bytes = self.take_spared(parsed);
        if let (Some(bytes), Some(Output { interface, .. })) = (bytes, disposition.output) {
            let origin = Origin::Forwarded;
            self.transmits.push(Transmit { origin, interface, answers, bytes });
        }
        Disposition { output: None, ..disposition }
    }
}
