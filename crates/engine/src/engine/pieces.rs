//! What becomes of datagrams that come in pieces.

use super::{Came, Disposition, Engine, Output, Packet, room};
use crate::Verdict;
use crate::cause::Cause;
use crate::defrag::{self, Datagram, Gathered};
use crate::recorder::Recorder;
use crate::rules::Rules;
use crate::transmit::{Origin, Transmit};
use crate::walk::{Meets, Walk};
use alloc::vec;
use keepstate_conntrack::{CtState, Hook, Tracked};
use keepstate_packet::{Family, Instant, Parsed, sctp, tcp};

impl Engine {
    /// What becomes of a fragment: the one that completes a datagram stands for all of it.
    #[cold]
    pub(super) fn gather<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        parsed: &mut Parsed,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        self.expire_fragments(now, answers);
        let limits = self.conntrack.sysctls().fragments;
        let interface = self.incoming(packet, parsed);
        let gathered = self.defrag.gather(now, &limits, parsed, packet.bytes, interface);
        let (verdict, cause) = match gathered {
            Gathered::Alone => {
                let came = Came::Whole(None);
                return self.walk_whole(now, packet, parsed, came, answers, recorder);
            }
            Gathered::Whole(datagram) => {
                return self.complete(now, packet, datagram, answers, recorder);
            }
            Gathered::Held => (Verdict::Held, None),
            // A header cut short is seen before anything could be held.
            Gathered::Discarded(Cause::Short) => (Verdict::Drop, Some(Cause::Short)),
            Gathered::Discarded(cause) => (Verdict::Held, Some(cause)),
        };
        recorder.end(verdict, cause);
        Disposition { verdict, cause, ..Disposition::dropped(Cause::Malformed) }
    }

    /// What becomes of an IPv4 fragment for the host itself that nothing has gathered yet: INPUT sees
    /// whole datagrams.
    #[cold]
    pub(super) fn gather_for_host<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &mut Packet<'_>,
        parsed: &Parsed,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        self.expire_fragments(now, answers);
        let limits = self.conntrack.sysctls().fragments;
        let interface = self.incoming(packet, parsed);
        let hook = Some(Hook::Prerouting);
        let gathered = self.defrag.gather(now, &limits, parsed, packet.bytes, interface);
        let (verdict, cause) = match gathered {
            Gathered::Whole(mut datagram) => {
                let Ok(mut parsed) = Parsed::new(&datagram.bytes) else {
                    return Disposition { hook, ..Disposition::dropped(Cause::Malformed) };
                };
                let meets = Meets {
                    routing: &self.routing,
                    conntrack: &mut self.conntrack,
                    is_tracking: false,
                    rules: self.rules.of_mut(parsed.family).as_mut(),
                    stores: &mut self.stores,
                    log: &mut self.lines,
                    transmits: &mut self.transmits,
                    answers,
                };
                let mut walk = Walk::new(now, meets, recorder, &mut parsed, &mut datagram.bytes);
                (walk.link, walk.mark) = (packet.link, packet.mark);
                walk.interface = interface;
                let result = walk.arrive();
                return walk.end(result);
            }
            Gathered::Held | Gathered::Alone => (Verdict::Held, None),
            Gathered::Discarded(cause) => (Verdict::Held, Some(cause)),
        };
        recorder.end(verdict, cause);
        Disposition { verdict, cause, hook, ..Disposition::dropped(Cause::Malformed) }
    }

    pub(super) fn complete<R: Recorder>(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        mut datagram: Datagram,
        answers: u32,
        recorder: &mut R,
    ) -> Disposition {
        let Ok(mut parsed) = Parsed::joined(&datagram.bytes) else {
            return Disposition::dropped(Cause::Malformed);
        };
        let (interface, link, mark) = (packet.interface, packet.link, packet.mark);
        let before = parsed.length;
        if self.wants_room(&parsed) {
            datagram.bytes.resize(datagram.bytes.len() + room::ROOM, 0);
        }
        let bytes = &mut datagram.bytes;
        let mut whole = Packet { bytes, interface, family: None, link, mark };
        let came = Came::InPieces(datagram.largest as u32);
        let disposition = self.walk(now, &mut whole, &mut parsed, came, answers, recorder);
        if let Some(bytes) = self.take_spared(&parsed) {
            datagram.bytes = bytes;
            datagram.forget_cuts();
        }
        datagram.bytes.truncate(parsed.length as usize);
        if parsed.length != before {
            datagram.forget_cuts();
        }
        if let Some(Output { interface, .. }) = disposition.output {
            let mtu = self.host().interface(interface).map_or(u32::MAX, |one| one.mtu);
            self.draw_together(&mut datagram, &parsed, disposition.tracked.as_ref());
            let pieces = match defrag::cut(&datagram, &parsed, mtu) {
                Ok(pieces) => pieces,
                Err(cause) => {
                    let (verdict, cause) = (Verdict::Drop, Some(cause));
                    return Disposition { verdict, cause, output: None, ..disposition };
                }
            };
            for bytes in pieces.unwrap_or_else(|| vec![datagram.bytes]) {
                let origin = Origin::Forwarded;
                self.transmits.push(Transmit { origin, interface, answers, bytes });
            }
        }
        Disposition { output: None, ..disposition }
    }

    /// Who on Linux wants to have more of a datagram in one piece than its first one may hold: who
    /// looks for a TCP socket, SCTP's checksum, translation, shifted numbers, helpers.
    pub(super) fn draw_together(
        &self,
        datagram: &mut Datagram,
        parsed: &Parsed,
        tracked: Option<&Tracked>,
    ) {
        const TCP_HEADER: usize = 20;
        let tracked = tracked.filter(|tracked| tracked.state != CtState::Untracked);
        match parsed.protocol {
            tcp::PROTOCOL if parsed.family == Family::V4 => {
                datagram.draw_header(parsed, TCP_HEADER);
            }
            sctp::PROTOCOL if tracked.is_some() && self.conntrack.sysctls().checksum => {
                datagram.draw_header(parsed, sctp::HEADER_LENGTH);
            }
            _ => {}
        }
        let translates = self.rules.of(parsed.family).is_some_and(Rules::translates);
        if let Some(tracked) = tracked.filter(|_| translates) {
            let length = self.conntrack.drawn_by_translation(tracked, parsed, &datagram.bytes);
            datagram.draw_header(parsed, length);
        }
        if let Some(tracked) = tracked {
            datagram.draw_header(parsed, self.conntrack.drawn_by_adjustment(tracked, parsed));
        }
        let data = !parsed.payload(&datagram.bytes).is_empty();
        if tracked.is_some_and(|tracked| self.conntrack.was_joined(tracked, data)) {
            datagram.forget_cuts();
        }
    }
}
