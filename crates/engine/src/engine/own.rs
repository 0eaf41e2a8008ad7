//! What those who stand around the engine have it send: packets of the host itself, and word of a
//! neighbour that does not answer.

use super::Engine;
use crate::answer::Report;
use crate::cause::Cause;
use crate::own;
use crate::route::InterfaceIndex;
use crate::walk::{Meets, Stop, Walk};
use alloc::vec::Vec;
use keepstate_conntrack::{CtState, Tracked, Tuple, Zone};
use keepstate_packet::{Family, Instant, Parsed};

impl Engine {
    /// Sends a packet of the host itself, from the IP header on, through OUTPUT and POSTROUTING; it is
    /// polled if they let it through. `by`: the way out where none is to be looked up, as for what is
    /// for the link alone.
    pub fn send(&mut self, now: Instant, bytes: Vec<u8>, by: Option<InterfaceIndex>) {
        let family = match bytes.first().map(|first| first >> 4) {
            Some(4) => Family::V4,
            _ => Family::V6,
        };
        own::send(now, self.meets(family), &mut (), bytes, by);
        self.lines.drain(..).for_each(|line| self.log.push(line));
    }

    /// Tells the sender of a packet, which has left for this neighbour of the link as it stands here,
    /// that the neighbour does not answer: host unreachable over IPv4, address unreachable over IPv6.
    /// `came`: where it had come in; `None` for one of the host itself, of which nobody is told.
    pub fn report_unreachable(
        &mut self,
        now: Instant,
        bytes: &mut [u8],
        came: Option<InterfaceIndex>,
    ) {
        const HOST_UNREACHABLE: u8 = 1;
        const ADDRESS_UNREACHABLE: u8 = 3;
        let (Some(came), Ok(mut parsed)) = (came, Parsed::new(bytes)) else { return };
        let tracked = self.left_of(now, &parsed, bytes);
        let code = match parsed.family {
            Family::V4 => HOST_UNREACHABLE,
            Family::V6 => ADDRESS_UNREACHABLE,
        };
        let report = Report::unreachable(parsed.family, code);
        let mut recorder = ();
        let meets = self.meets(parsed.family);
        let mut walk = Walk::new(now, meets, &mut recorder, &mut parsed, bytes);
        (walk.interface, walk.tracked) = (Some(came), tracked);
        walk.stop(Stop::Report(Cause::NoRoute, report));
        self.lines.drain(..).for_each(|line| self.log.push(line));
    }

    /// The connection of a packet that has left: its tuple is the inverse of what comes the other way.
    fn left_of(&self, now: Instant, parsed: &Parsed, bytes: &[u8]) -> Option<Tracked> {
        let back = Tuple::of(parsed, bytes)?.invert()?;
        let (conn, direction) = self.conntrack.find(now, &back, Zone::default())?;
        let direction = Some(direction.invert());
        Some(Tracked { state: CtState::Established, direction, conn: Some(conn), invalid: None })
    }

    fn meets(&mut self, family: Family) -> Meets<'_> {
        Meets {
            routing: &self.routing,
            conntrack: &mut self.conntrack,
            is_tracking: self.tracked.has(family),
            rules: self.rules.of_mut(family).as_mut(),
            stores: &mut self.stores,
            log: &mut self.lines,
            transmits: &mut self.transmits,
            answers: 0,
        }
    }
}
