//! Sequence adjustment: the two ends of a TCP connection count differently, because somebody in the
//! middle has answered in the place of one of them or has changed the length of what one said.
//!
//! Each direction has a [`Shift`]: what is added to the sequence numbers of its segments on their way
//! out, and taken from the acknowledgments, SACK blocks too, that come back for them. Tracking
//! itself keeps to the numbers of the sender.

use crate::conn::{ConnId, CtStatus};
use crate::event::Changes;
use crate::proto::tcp::window::past;
use crate::table::{Drop, Table};
use crate::tuple::Direction;
use crate::{CtState, Tracked};
use keepstate_packet::{L4, Parsed, rewrite, tcp};

/// How the sequence numbers of one direction are shifted, modulo 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// The last number, as the sender counts, to which `before` is added.
    pub position: u32,
    /// Added to the numbers up to `position`.
    pub before: u32,
    /// Added to the numbers behind it.
    pub after: u32,
}

impl Shift {
    /// What is added to a number of the sender.
    #[inline]
    #[must_use]
    pub const fn of(&self, sequence: u32) -> u32 {
        if past(sequence, self.position).is_some() { self.after } else { self.before }
    }

    /// What is taken from a number of the receiver, who has seen the shifted ones.
    const fn back(&self, acknowledged: u32) -> u32 {
        self.of(acknowledged.wrapping_sub(self.before))
    }
}

/// The shifts of a connection: of the original direction, of the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shifts([Shift; 2]);

impl Shifts {
    #[inline]
    pub(crate) const fn of(&self, direction: Direction) -> &Shift {
        let [original, reply] = &self.0;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }

    const fn of_mut(&mut self, direction: Direction) -> &mut Shift {
        let [original, reply] = &mut self.0;
        match direction {
            Direction::Original => original,
            Direction::Reply => reply,
        }
    }
}

impl Table {
    /// How the sequence numbers of a direction are shifted; `None` when they are not, or the connection
    /// has gone.
    #[must_use]
    pub fn shift(&self, conn: ConnId, direction: Direction) -> Option<Shift> {
        self.slots.live(conn).filter(|entry| entry.is(CtStatus::SEQ_ADJUST))?;
        self.shifts.get(&conn).map(|shifts| *shifts.of(direction))
    }

    /// Shifts all sequence numbers of a direction by so much, modulo 2^32. Nothing is done for 0: a
    /// shift that is there stays.
    pub fn shift_all(&mut self, conn: ConnId, direction: Direction, by: u32) {
        if by != 0 {
            self.change_shift(conn, direction, |shift| (shift.before, shift.after) = (by, by));
        }
    }

    /// Shifts the sequence numbers of a direction by `by` more, modulo 2^32, from behind `sequence` on:
    /// what is said there has become longer or shorter. Of a retransmission that was shifted before,
    /// nothing more comes; so Linux knows of no more than two shifts at a time.
    pub fn shift_from(&mut self, conn: ConnId, direction: Direction, sequence: u32, by: u32) {
        if by == 0 {
            return;
        }
        self.change_shift(conn, direction, |shift| {
            if shift.before == shift.after || past(sequence, shift.position).is_some() {
                *shift = Shift {
                    position: sequence,
                    before: shift.after,
                    after: shift.after.wrapping_add(by),
                };
            }
        });
    }

    /// Has the end of the packet's walk tell of the shifts of a connection.
    pub fn tell_shifts(&mut self, conn: ConnId) {
        if self.events.is_on()
            && let Some(entry) = self.slots.live_mut(conn)
        {
            entry.pending |= Changes::SEQADJ.0;
        }
    }

    fn change_shift(
        &mut self,
        conn: ConnId,
        direction: Direction,
        change: impl FnOnce(&mut Shift),
    ) {
        let Some(entry) = self.slots.live_mut(conn) else { return };
        entry.set(CtStatus::SEQ_ADJUST);
        change(self.shifts.entry(conn).or_default().of_mut(direction));
    }

    /// Shifts the numbers of a packet on its way out (last in INPUT and POSTROUTING, before
    /// [`Table::confirm`]), where its connection has shifts. An ICMP error that goes the original way is
    /// taken for a segment, as Linux takes it.
    ///
    /// # Errors
    /// [`Drop::Malformed`] for what has no whole TCP header, or options that lie about their length.
    #[inline]
    pub fn adjust(
        &self,
        tracked: &Tracked,
        packet: &mut Parsed,
        bytes: &mut [u8],
    ) -> Result<(), Drop> {
        let (Some(conn), Some(direction)) = (tracked.conn, tracked.direction) else {
            return Ok(());
        };
        let Some(entry) = self.slots.live(conn) else { return Ok(()) };
        if !entry.is(CtStatus::SEQ_ADJUST) {
            return Ok(());
        }
        let answer = tracked.state == CtState::Related && direction == Direction::Reply;
        match self.shifts.get(&conn) {
            Some(shifts) if !answer => adjust(shifts, direction, packet, bytes),
            _ => Ok(()),
        }
    }

    /// How much of a segment, from its header on, Linux wants in one piece to shift its numbers: the header,
    /// with its options where it acknowledges anything.
    #[must_use]
    pub fn drawn_by_adjustment(&self, tracked: &Tracked, packet: &Parsed) -> usize {
        let entry = tracked.conn.and_then(|conn| self.slots.live(conn));
        match packet.l4 {
            L4::Tcp(header) if entry.is_some_and(|entry| entry.is(CtStatus::SEQ_ADJUST)) => {
                let acknowledges = header.flags & tcp::ACK != 0;
                let options = usize::from(header.header_length);
                if acknowledges { options } else { tcp::HEADER_LENGTH_MIN }
            }
            _ => 0,
        }
    }
}

#[cold]
fn adjust(
    shifts: &Shifts,
    direction: Direction,
    packet: &mut Parsed,
    bytes: &mut [u8],
) -> Result<(), Drop> {
    let (own, other) = (shifts.of(direction), shifts.of(direction.invert()));
    let Some(header) = tcp::TcpHeader::read(packet.l4_bytes(bytes)) else {
        return Err(Drop::Malformed);
    };
    let sequence = header.sequence.wrapping_add(own.of(header.sequence));
    rewrite::put_tcp_word(packet, bytes, 4, sequence);
    let mut acknowledgment = header.acknowledgment;
    if header.flags & tcp::ACK != 0 {
        acknowledgment = acknowledgment.wrapping_sub(other.back(acknowledgment));
        rewrite::put_tcp_word(packet, bytes, 8, acknowledgment);
    }
    if let L4::Tcp(header) = &mut packet.l4 {
        (header.sequence, header.acknowledgment) = (sequence, acknowledgment);
    }
    if header.flags & tcp::ACK == 0 {
        return Ok(());
    }
    adjust_sack(other, usize::from(header.header_length), packet, bytes)
}

/// Shifts the blocks of every SACK option of a header of so many bytes.
fn adjust_sack(other: &Shift, end: usize, packet: &Parsed, bytes: &mut [u8]) -> Result<(), Drop> {
    const SACK: u8 = 5;
    const BLOCK: usize = 8;
    let mut at = tcp::HEADER_LENGTH_MIN;
    if packet.l4_bytes(bytes).len() < end {
        return Err(Drop::Malformed);
    }
    while at < end {
        let options = packet.l4_bytes(bytes).get(at..end).unwrap_or(&[]);
        let (kind, length) = match options {
            [0, ..] | [] => return Ok(()),
            [1, ..] => {
                at += 1;
                continue;
            }
            [kind, length, ..] if (2..=options.len()).contains(&usize::from(*length)) => {
                (*kind, usize::from(*length))
            }
            _ => return Err(Drop::Malformed),
        };
        let is_sack = kind == SACK && length >= 2 + BLOCK && (length - 2) % BLOCK == 0;
        if is_sack {
            for edge in (at + 2..at + length).step_by(4) {
                let old = packet.l4_bytes(bytes).get(edge..).and_then(<[u8]>::first_chunk);
                let Some(old) = old.copied().map(u32::from_be_bytes) else { break };
                rewrite::put_tcp_word(packet, bytes, edge, old.wrapping_sub(other.back(old)));
            }
        }
        at += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
