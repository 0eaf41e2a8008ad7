//! Packets that rules may make longer (`TCPMSS`) walk in a buffer with room behind them. One that has
//! become longer leaves by [`Engine::poll_transmit`], as pieces of datagrams do: it does not fit where
//! it came from.

use super::{Came, Disposition, Engine, Output, Packet};
use crate::recorder::Recorder;
use crate::transmit::{Origin, Transmit};
use alloc::vec::Vec;
use keepstate_conntrack::table::Prepared;
use keepstate_packet::{Instant, L4, Parsed};

/// By how much a packet may grow, in bytes: what is between the shortest and the longest TCP header.
pub(crate) const ROOM: usize = 40;

impl Engine {
    /// Whether rules may make a packet longer: a TCP segment without data.
    #[inline]
    pub(super) fn wants_room(&self, parsed: &Parsed) -> bool {
        self.rules.of(parsed.family).is_some_and(|rules| rules.wants_room())
            && matches!(&parsed.l4, L4::Tcp(header)
                if parsed.l4_offset + u32::from(header.header_length) >= parsed.length)
    }

    /// [`Engine::walk`] of such a packet.
    #[cold]
    pub(super) fn walk_with_room<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        parsed: &mut Parsed,
        prepared: Option<&Prepared>,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        let before = parsed.length;
        let mut bytes = with_room(parsed.packet(packet.bytes));
        let (interface, family) = (packet.interface, packet.family);
        let (link, mark) = (packet.link, packet.mark);
        let mut roomy = Packet { bytes: &mut bytes, interface, family, link, mark };
        let came = Came::Whole(prepared);
        let disposition = self.walk_whole(now, &mut roomy, parsed, came, answers, recorder);
        if let (true, Some(Output { interface, .. })) = (parsed.length > before, disposition.output)
        {
            bytes.truncate(parsed.length as usize);
            let origin = Origin::Forwarded;
            self.transmits.push(Transmit { origin, interface, answers, bytes });
            return Disposition { output: None, ..disposition };
        }
        let rewritten = packet.bytes.iter_mut().zip(bytes);
        rewritten.take(before as usize).for_each(|(to, from)| *to = from);
        disposition
    }
}

/// A copy of a packet with room behind it.
fn with_room(packet: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(packet.len() + ROOM);
    bytes.extend_from_slice(packet);
    bytes.resize(packet.len() + ROOM, 0);
    bytes
}
