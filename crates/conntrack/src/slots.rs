//! Where connections live: slots, given out and taken back without allocating once they are sized.
//!
//! A slot is two cache lines side by side and a record of what few packets need in a parallel list.
//! Free slots form a list through their mark fields. The generation of a slot counts the
//! connections it has held, so that a [`ConnId`] of one that has gone finds nothing.

use crate::conn::{Cold, ConnId, Entry, ProtocolRecord, Slot};
use crate::proto::{sctp, tcp};
use alloc::vec::Vec;

/// Most connections, whatever `nf_conntrack_max` says (0 stands for no limit there).
pub const CONNECTIONS_MAX: usize = 1 << 24;

/// Slots whose address space is taken when the table is made; a larger table grows beyond them.
const RESERVED_MAX: usize = 1 << 22;

/// What few packets need of a slot, not yet looked up.
pub(crate) struct Aside<'a> {
    cold: &'a mut [Cold],
    at: usize,
}

impl<'a> Aside<'a> {
    #[inline]
    pub(crate) fn get(&self) -> Option<&Cold> {
        self.cold.get(self.at)
    }

    #[inline]
    pub(crate) fn into_mut(self) -> Option<&'a mut Cold> {
        self.cold.get_mut(self.at)
    }
}

/// The slots.
#[derive(Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    cold: Vec<Cold>,
    /// First free slot plus one, 0 for none.
    free: u32,
    count: usize,
}

impl Slots {
    /// Takes address space for `connections`; its memory is not used before they exist.
    pub(crate) fn new(connections: usize) -> Self {
        let mut slots = Self { slots: Vec::new(), cold: Vec::new(), free: 0, count: 0 };
        slots.reserve(connections);
        slots
    }

    /// Makes room for `connections` altogether. Where there is no room, growing is left to the
    /// moment it is needed.
    pub(crate) fn reserve(&mut self, connections: usize) {
        let more = connections.min(RESERVED_MAX).saturating_sub(self.slots.len());
        let reserved = self.slots.try_reserve_exact(more).is_ok();
        if reserved {
            let _ = self.cold.try_reserve_exact(more);
        }
    }

    /// Connections alive, unconfirmed ones included.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Slots ever used: their numbers are below it.
    pub(crate) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Bytes of address space taken.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.cold.capacity() * size_of::<Cold>()
    }

    /// Puts a connection into a free slot.
    pub(crate) fn insert(
        &mut self,
        entry: Entry,
        record: ProtocolRecord,
        cold: Cold,
    ) -> Option<ConnId> {
        let entry = Entry { flags: entry.flags | Entry::LIVE, ..entry };
        let id = match self.free.checked_sub(1) {
            Some(slot) => self.reuse(slot, entry, record, cold)?,
            None if self.slots.len() < CONNECTIONS_MAX => {
                let slot = self.slots.len() as u32;
                self.slots.push(Slot { entry, record });
                self.cold.push(cold);
                ConnId { slot, generation: entry.generation }
            }
            None => return None,
        };
        self.count += 1;
        Some(id)
    }

    fn reuse(
        &mut self,
        slot: u32,
        entry: Entry,
        record: ProtocolRecord,
        cold: Cold,
    ) -> Option<ConnId> {
        let place = self.slots.get_mut(slot as usize)?;
        let generation = place.entry.generation;
        self.free = place.entry.mark;
        *place = Slot { entry: Entry { generation, ..entry }, record };
        *self.cold.get_mut(slot as usize)? = cold;
        Some(ConnId { slot, generation })
    }

    /// Frees a slot.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(entry) = self.entry_mut(slot).filter(|entry| entry.has(Entry::LIVE)) else {
            return;
        };
        entry.flags = 0;
        entry.status = 0;
        entry.generation = entry.generation.wrapping_add(1);
        let freed = core::mem::replace(&mut self.free, slot + 1);
        if let Some(entry) = self.entry_mut(slot) {
            entry.mark = freed;
        }
        self.count -= 1;
    }

    /// The connection in a slot.
    #[inline]
    pub(crate) fn id(&self, slot: u32) -> Option<ConnId> {
        let entry = self.entry(slot)?;
        entry.has(Entry::LIVE).then_some(ConnId { slot, generation: entry.generation })
    }

    #[inline]
    pub(crate) fn entry(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot as usize).map(|slot| &slot.entry)
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize).map(|slot| &mut slot.entry)
    }

    /// The entry of a connection that is still there.
    #[inline]
    pub(crate) fn live(&self, conn: ConnId) -> Option<&Entry> {
        self.entry(conn.slot).filter(|e| e.generation == conn.generation && e.has(Entry::LIVE))
    }

    /// What the SCTP tracker remembers of a connection that is still there.
    pub(crate) fn windows(&self, conn: ConnId) -> Option<&tcp::Record> {
        self.live(conn)?;
        match &self.slots.get(conn.slot as usize)?.record {
            ProtocolRecord::Tcp(record) => Some(record),
            ProtocolRecord::None
            | ProtocolRecord::Sctp(_)
            | ProtocolRecord::Udp { .. }
            | ProtocolRecord::Gre { .. } => None,
        }
    }

    pub(crate) fn association(&self, conn: ConnId) -> Option<&sctp::Association> {
        self.live(conn)?;
        match &self.slots.get(conn.slot as usize)?.record {
            ProtocolRecord::Sctp(association) => Some(association),
            ProtocolRecord::None
            | ProtocolRecord::Tcp(_)
            | ProtocolRecord::Udp { .. }
            | ProtocolRecord::Gre { .. } => None,
        }
    }

    #[inline]
    pub(crate) fn live_mut(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.entry_mut(conn.slot).filter(|e| e.generation == conn.generation && e.has(Entry::LIVE))
    }

    pub(crate) fn record(&self, slot: u32) -> Option<&ProtocolRecord> {
        self.slots.get(slot as usize).map(|slot| &slot.record)
    }

    #[inline]
    pub(crate) fn cold(&self, slot: u32) -> Option<&Cold> {
        self.cold.get(slot as usize)
    }

    #[inline]
    pub(crate) fn cold_mut(&mut self, slot: u32) -> Option<&mut Cold> {
        self.cold.get_mut(slot as usize)
    }

    /// Everything of a slot.
    #[inline]
    pub(crate) fn all_mut(&mut self, slot: u32) -> Option<(&mut Slot, &mut Cold)> {
        Some((self.slots.get_mut(slot as usize)?, self.cold.get_mut(slot as usize)?))
    }

    /// The lines of a slot, and the way to what few packets need.
    #[inline]
    pub(crate) fn split_mut(&mut self, slot: u32) -> Option<(&mut Slot, Aside<'_>)> {
        let at = slot as usize;
        Some((self.slots.get_mut(at)?, Aside { cold: &mut self.cold, at }))
    }

    /// Reads a word of each line of a slot, so that both are on their way into the cache.
    #[inline]
    pub(crate) fn touch(&self, slot: u32) -> u64 {
        self.slots.get(slot as usize).map_or(0, |slot| {
            u64::from(slot.entry.generation)
                ^ u64::from(matches!(slot.record, ProtocolRecord::None))
        })
    }
}
