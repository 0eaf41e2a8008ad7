//! What a helper hears, and what it can do.

use crate::conn::{ConnId, CtStatus, Entry};
use crate::expect::{Expectation, Refused, Request};
use crate::helpers::{self, Instance, Memory};
use crate::table::{Drop, Table};
use crate::timeout::{self, Timeout};
use crate::tuple::{Direction, Tuple};
use crate::{CtState, Tracked};
use alloc::vec::Vec;
use core::fmt::{Debug, Display};
use core::ops::Range;
use core::time::Duration;
use keepstate_packet::checksum::{self, Change};
use keepstate_packet::{Address, Instant, L4, Parsed};

/// Most bytes of a packet: what the length field of IPv4 can say.
const PACKET_LENGTH_MAX: usize = 65_535;

/// Where packets go, as far as a helper asks.
pub trait Ways: Debug {
    /// Whether packets to this address would leave on the interface that the packet leaves on.
    fn leaves_alike(&self, address: Address) -> bool;
    /// Whether what the host sends to the one address goes to the same next hop as what it sends to
    /// the other one, of the packet's family.
    fn share_next_hop(&self, one: Address, other: Address) -> bool;
    /// When the host itself sends the packet to the broadcast address of a network of the interface
    /// that it leaves on: the length of the network's prefix.
    fn broadcast_prefix(&self, destination: Address) -> Option<u8>;
}

/// A packet of a helper's connection on the last leg of its way, and the table.
#[derive(Debug)]
pub(crate) struct Helping<'a> {
    pub(crate) table: &'a mut Table,
    pub(crate) now: Instant,
    pub(crate) conn: ConnId,
    pub(crate) helper: Instance,
    /// Never INVALID or UNTRACKED; RELATED only in the original direction.
    pub(crate) state: CtState,
    pub(crate) direction: Direction,
    pub(crate) packet: &'a Parsed,
    bytes: &'a [u8],
    ways: &'a dyn Ways,
    /// What the packet is to be from its upper-layer header on, where that changes.
    said: Option<Vec<u8>>,
    /// Whether TCP's sequence numbers shift when the packet gets another length.
    pub(crate) shifts: bool,
}

impl<'a> Helping<'a> {
    /// The packet from its upper-layer header on.
    pub(crate) fn upper_layer(&self) -> &'a [u8] {
        self.packet.l4_bytes(self.bytes)
    }

    /// What the packet carries above its upper-layer header.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.packet.payload(self.bytes)
    }

    /// The payload as it has become: [`Self::payload`] and what was said instead.
    pub(crate) fn said(&self) -> &[u8] {
        let head = self.head_length();
        self.said.as_deref().map_or(self.payload(), |said| said.get(head..).unwrap_or(&[]))
    }

    /// The packet from its upper-layer header on, as it has become.
    pub(crate) fn said_whole(&self) -> &[u8] {
        self.said.as_deref().unwrap_or(self.upper_layer())
    }

    /// Bytes of the upper-layer header.
    fn head_length(&self) -> usize {
        self.upper_layer().len() - self.payload().len()
    }

    /// Says something else in the place of some bytes of [`Self::said`].
    ///
    /// # Errors
    /// [`Drop::Helper`] when the packet would be longer than a packet can be, or the bytes are not there.
    pub(crate) fn say(&mut self, part: Range<usize>, instead: &[u8]) -> Result<(), Drop> {
        let head = self.head_length();
        let part = head + part.start..head + part.end;
        let upper = self.upper_layer();
        let before = self.packet.l4_offset as usize;
        let said = self.said.get_or_insert_with(|| upper.to_vec());
        let longer = instead.len().saturating_sub(part.len());
        let fits = before + said.len() + longer <= PACKET_LENGTH_MAX;
        if !fits || part.start > part.end || part.end > said.len() {
            return Err(self.refuse("cannot mangle packet"));
        }
        said.splice(part, instead.iter().copied());
        Ok(())
    }

    /// By how many bytes the packet may still grow.
    pub(crate) fn room(&self) -> usize {
        let said = self.head_length() + self.said().len();
        PACKET_LENGTH_MAX.saturating_sub(self.packet.l4_offset as usize + said)
    }

    /// Has the checksum of a datagram, unless it has none, follow a change of what is said: whoever sends it on need
    /// not make it anew.
    pub(crate) fn follow_checksum(&mut self, change: Change) {
        const CHECKSUM_AT: usize = 6;
        if let (L4::Udp(_), Some(said)) = (&self.packet.l4, &mut self.said)
            && let Some(field) = said.get_mut(CHECKSUM_AT..)
            && let Some(field) = field.first_chunk_mut()
            && *field != [0, 0]
        {
            *field = change.apply(u16::from_be_bytes(*field)).to_be_bytes();
        }
    }

    /// Has the packet go to another port.
    pub(crate) fn redirect(&mut self, port: u16) {
        let upper = self.upper_layer();
        let said = self.said.get_or_insert_with(|| upper.to_vec());
        if let Some([_, _, destination @ ..]) = said.first_chunk_mut::<4>() {
            *destination = port.to_be_bytes();
        }
    }

    /// The connection's tuple in the direction of the packet.
    pub(crate) fn tuple(&self) -> Option<Tuple> {
        self.table.tuple(self.conn, self.direction)
    }

    /// The connection's tuple in the other direction.
    pub(crate) fn inverse(&self) -> Option<Tuple> {
        self.table.tuple(self.conn, self.direction.invert())
    }

    /// The connection's tuple in this direction.
    pub(crate) fn tuple_in(&self, direction: Direction) -> Option<Tuple> {
        self.table.tuple(self.conn, direction)
    }

    /// What is remembered of the connection.
    pub(crate) fn memory(&mut self) -> Option<&mut Memory> {
        self.table.helped.get_mut(&self.conn)
    }

    /// Whether the connection is translated.
    pub(crate) fn is_translated(&self) -> bool {
        let changes = CtStatus::SRC_NAT | CtStatus::DST_NAT;
        self.table.status(self.conn).is_some_and(|status| status.0 & changes.0 != 0)
    }

    /// Announces a connection.
    ///
    /// # Errors
    /// [`Refused`] when it cannot be expected.
    pub(crate) fn expect(&mut self, request: Request) -> Result<(), Refused> {
        let modules = &self.table.sysctls.modules;
        let policy = helpers::policy(self.helper, request.class, modules).ok_or(Refused::Full)?;
        let expectation = Expectation {
            request,
            master: self.conn,
            helper: self.helper,
            zone: self.table.zone(self.conn).unwrap_or_default(),
            deadline: timeout::after(self.now, policy.timeout),
        };
        self.table.expect(self.now, expectation)
    }

    /// The same; the packet drops when it cannot be expected.
    ///
    /// # Errors
    /// [`Drop::Helper`].
    pub(crate) fn expect_or_drop(&mut self, request: Request) -> Result<(), Drop> {
        self.expect(request).map_err(|_| self.refuse("cannot add expectation"))
    }

    /// The same at any port from the announced one on, where that is taken: 128 of them are tried. The
    /// port that it comes to; `None` when all that were tried are taken, or a limit is reached.
    pub(crate) fn expect_at_some_port(&mut self, request: Request) -> Option<u16> {
        const ATTEMPTS_MAX: u16 = 128;
        let count = u16::MAX - request.tuple.destination_port;
        let mut tuple = request.tuple;
        for attempt in 0..=count.min(ATTEMPTS_MAX) {
            match self.expect(Request { tuple, ..request }) {
                Ok(()) => return Some(tuple.destination_port),
                Err(Refused::Clash) => {}
                Err(Refused::Already | Refused::Full) => return None,
            }
            tuple.destination_port = self.table.draw_expected(&request.tuple, count, attempt == 0);
        }
        None
    }

    /// The same; the packet drops when there is no such port.
    ///
    /// # Errors
    /// [`Drop::Helper`].
    pub(crate) fn expect_somewhere(&mut self, request: Request) -> Result<u16, Drop> {
        self.expect_at_some_port(request).ok_or_else(|| self.refuse("all ports in use"))
    }

    /// Has the packet dropped, and the log say why.
    pub(crate) fn refuse(&mut self, why: impl Display) -> Drop {
        self.table.complain_of_dropped(self.helper.name(), &why);
        Drop::Helper
    }

    /// Takes back what this connection has just announced.
    pub(crate) fn withdraw(&mut self, request: &Request) {
        let Request { tuple, mask, .. } = *request;
        self.forget(|other| (other.tuple, other.mask) == (tuple, mask));
    }

    /// Forgets some of what this connection has announced.
    pub(crate) fn forget(&mut self, is_one: impl Fn(&Request) -> bool) {
        self.table.forget_announced(self.now, self.conn, is_one);
    }

    /// Lets something that this connection has announced serve from now on, for so long. False when
    /// there is no such thing.
    pub(crate) fn prolong(&mut self, is_one: impl Fn(&Request) -> bool, time: Duration) -> bool {
        let deadline = timeout::after(self.now, time);
        self.table.prolong_announced(self.now, self.conn, is_one, deadline)
    }

    /// What waits for this tuple, active or not.
    pub(crate) fn expected(&mut self, tuple: &Tuple) -> Option<Expectation> {
        let zone = self.table.zone(self.conn).unwrap_or_default();
        self.table.awaited(self.now, tuple, zone)
    }

    /// Whether the connection was expected itself.
    pub(crate) fn is_expected(&self) -> bool {
        self.table.status(self.conn).is_some_and(|status| status.contains(CtStatus::EXPECTED))
    }

    /// Gives the connection so long from now on, whatever its tracker says.
    pub(crate) fn live_on(&mut self, timeout: Timeout) {
        let Some(entry) = self.table.slots.live_mut(self.conn) else { return };
        if !entry.is(CtStatus::FIXED_TIMEOUT) {
            let confirmed = entry.is(CtStatus::CONFIRMED);
            entry.deadline = if confirmed { timeout.deadline(self.now) } else { timeout.nanos() };
        }
    }

    /// The prefix length of the network to all of which the host sends this packet.
    pub(crate) fn broadcast_prefix(&self) -> Option<u8> {
        self.ways.broadcast_prefix(self.packet.destination)
    }

    /// Whether packets to this address would go where those to the packet's receiver go.
    pub(crate) fn shares_next_hop(&self, address: Address) -> bool {
        self.inverse().is_some_and(|tuple| self.ways.share_next_hop(address, tuple.source))
    }

    /// Whether packets to this address would leave where this one leaves.
    pub(crate) fn leaves_alike(&self, address: Address) -> bool {
        self.ways.leaves_alike(address)
    }
}

/// What packets of a connection need on their way out, beyond being confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Care(u8);

impl Care {
    const SHIFTED: u8 = 1 << 7;

    /// A helper reads them.
    #[inline]
    #[must_use]
    pub const fn is_helped(self) -> bool {
        self.0 & Entry::HELPED != 0
    }

    /// SYNPROXY has opened the connection ([`crate::synproxy`]).
    #[inline]
    #[must_use]
    pub const fn is_proxied(self) -> bool {
        self.0 & Entry::PROXIED != 0
    }

    /// Their sequence numbers are to be shifted ([`crate::seqadj`]), or will be once SYNPROXY has seen
    /// them.
    #[inline]
    #[must_use]
    pub const fn may_shift(self) -> bool {
        self.0 & (Self::SHIFTED | Entry::PROXIED) != 0
    }
}

impl Table {
    /// Whether a connection has a helper, so that [`Table::help`] can have anything to do.
    #[inline]
    #[must_use]
    pub fn is_helped(&self, conn: ConnId) -> bool {
        self.slots.live(conn).is_some_and(|entry| entry.has(Entry::HELPED))
    }

    /// What is to be done to packets of a connection on their way out.
    #[inline]
    #[must_use]
    pub fn care(&self, conn: ConnId) -> Care {
        self.slots.live(conn).map_or(Care(0), |entry| {
            let shifted = if entry.is(CtStatus::SEQ_ADJUST) { Care::SHIFTED } else { 0 };
            Care(entry.flags & (Entry::HELPED | Entry::PROXIED) | shifted)
        })
    }

    /// Runs the connection's helper (last in INPUT and POSTROUTING, before the connection is
    /// confirmed).
    ///
    /// What the packet is to be from its upper-layer header on, where the helper of a translated
    /// connection has it say something else. Checksums are not made, nor are lengths changed but in TCP's
    /// sequence numbers, which shift for what comes behind.
    ///
    /// # Errors
    /// [`Drop::Helper`] when the helper wants the packet dropped: it could be read only in part, or
    /// what it announces cannot be expected.
    #[inline]
    pub fn help(
        &mut self,
        now: Instant,
        tracked: &Tracked,
        packet: &Parsed,
        bytes: &[u8],
        ways: &dyn Ways,
    ) -> Result<Option<Vec<u8>>, Drop> {
        match tracked.conn {
            Some(conn) if self.is_helped(conn) => {
                let said = self.help_connection(now, tracked, conn, packet, bytes, ways);
                // What the packet that has killed its connection announces goes with that.
                if self.lingering == Some(conn) {
                    self.forget_expectations(now, conn);
                }
                said
            }
            _ => Ok(None),
        }
    }

    fn help_connection(
        &mut self,
        now: Instant,
        tracked: &Tracked,
        conn: ConnId,
        packet: &Parsed,
        bytes: &[u8],
        ways: &dyn Ways,
    ) -> Result<Option<Vec<u8>>, Drop> {
        let Some(direction) = tracked.direction else { return Ok(None) };
        // ICMP errors about what the opener has sent are none of a helper's business.
        if (tracked.state, direction) == (CtState::Related, Direction::Reply) {
            return Ok(None);
        }
        let Some(cold) = self.slots.cold(conn.slot) else { return Ok(None) };
        let Some(helper) = cold.helper else { return Ok(None) };
        let Some(help) = helper.helper().map(|helper| helper.help) else { return Ok(None) };
        let (state, said, shifts) = (tracked.state, None, true);
        let table = &mut *self;
        let mut helping = Helping {
            table,
            now,
            conn,
            helper,
            state,
            direction,
            packet,
            bytes,
            ways,
            said,
            shifts,
        };
        help(&mut helping)?;
        let (mut said, shifts) = (helping.said, helping.shifts);
        match (&mut said, &packet.l4) {
            (Some(_), L4::Tcp(_)) if !shifts => {}
            (Some(said), L4::Tcp(header)) => {
                let by = (said.len() as u32).wrapping_sub(packet.l4_bytes(bytes).len() as u32);
                self.shift_from(conn, direction, header.sequence, by);
            }
            (None, _) | (Some(_), L4::Udp(_)) => {}
            // An ICMP error about a datagram: what it quotes was read like one.
            (Some(said), _) => checksum::fill_as_udp(packet, said),
        }
        Ok(said)
    }
}
