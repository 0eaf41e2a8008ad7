//! GRE (RFC 2784) and its version 1, in which PPTP carries PPP (RFC 2637).
//!
//! Answered, it is a stream. How long it lasts before and after is settled with its first packet,
//! whatever becomes of the sysctls.
//!
//! A packet of version 1 shows the call identifier that its receiver chose, and nothing of the
//! sender's. The [`KeyMap`] holds what PPTP's control connections have said of both; where they have
//! said nothing, the sender's identifier is 0.

use super::{Outcome, Record, Seen};
use crate::conn::{CtStatus, ProtocolRecord};
use crate::timeout::Timeout;
use crate::tuple::Tuple;
use alloc::collections::BTreeMap;
use keepstate_packet::{Address, Family};

pub(super) fn packet(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    if !record.entry.is(CtStatus::CONFIRMED) {
        let timeouts = &seen.sysctls.timeouts;
        let (timeout, stream) = (timeouts.gre, timeouts.gre_stream);
        *record.protocol = ProtocolRecord::Gre { timeout, stream };
    }
    // One made from outside has no time of its own: its next packet ends it.
    let (timeout, stream) = match *record.protocol {
        ProtocolRecord::Gre { timeout, stream } => (timeout, stream),
        _ => (Timeout::default(), Timeout::default()),
    };
    if !record.entry.is(CtStatus::SEEN_REPLY) {
        return Outcome::accept(timeout);
    }
    Outcome::assured(record, stream)
}

/// What a packet of version 1 shows: its ends, and the call identifier of its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    family: Family,
    source: Address,
    destination: Address,
    destination_key: u16,
}

impl Shown {
    const fn of(tuple: &Tuple) -> Self {
        Self {
            family: tuple.family,
            source: tuple.source,
            destination: tuple.destination,
            destination_key: tuple.destination_port,
        }
    }
}

/// One entry of the [`KeyMap`], for whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    shown: Shown,
    number: u64,
}

impl Mapping {
    /// Whether it is about the packets that this tuple is about.
    pub(crate) fn is_about(&self, tuple: &Tuple) -> bool {
        self.shown == Shown::of(tuple)
    }
}

/// The call identifiers of senders, by what their packets show. Of two about the same packets the
/// older one holds, in every zone.
#[derive(Debug, Default)]
pub(crate) struct KeyMap {
    source_keys: BTreeMap<(Shown, u64), u16>,
    numbers: u64,
}

impl KeyMap {
    pub(crate) fn count(&self) -> usize {
        self.source_keys.len()
    }

    /// Enters the source key of a tuple.
    pub(crate) fn insert(&mut self, tuple: &Tuple) -> Mapping {
        self.numbers += 1;
        let (shown, number) = (Shown::of(tuple), self.numbers);
        self.source_keys.insert((shown, number), tuple.source_port);
        Mapping { shown, number }
    }

    pub(crate) fn remove(&mut self, mapping: &Mapping) {
        self.source_keys.remove(&(mapping.shown, mapping.number));
    }

    /// The source key of a tuple that has none yet.
    pub(crate) fn source_key(&self, tuple: &Tuple) -> u16 {
        let shown = Shown::of(tuple);
        let mut about = self.source_keys.range((shown, 0)..=(shown, u64::MAX));
        about.next().map_or(0, |(_, key)| *key)
    }
}

#[cfg(test)]
mod tests;
