//! What changes while a table is in use.

use crate::model::{ChainIndex, Jump, Table};
use alloc::vec::Vec;
use keepstate_packet::Instant;

/// Memory of one match or target instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// `limit`: credit left.
    pub credit: u64,
    /// `limit`: when it was last topped up.
    pub last: Instant,
}

/// Packets and bytes.
pub type Counters = (u64, u64);

/// What changes while a [`Table`] is in use: counters and the memory of its matches. It belongs
/// to the table it was made for; with another one it counts nonsense but does no harm.
#[derive(Clone, Debug, Default)]
pub struct TableState {
    /// A row a chain: its rules in order, then the policy (unused in user chains).
    counters: Vec<Counters>,
    /// Where the row of a chain begins in `counters`.
    rows: Vec<u32>,
    /// Memory of the matches and the target of each rule, in the order of `counters`. Empty when none
    /// of the table remembers anything.
    memory: Vec<State>,
    /// Where the memory of each slot of `counters` begins; one more at the end.
    memory_rows: Vec<u32>,
    /// Where jumps come back to; grows to the depth of the table once.
    pub(super) stack: Vec<(ChainIndex, u32)>,
}

impl TableState {
    /// All counters zero, every match as before its first packet.
    #[must_use]
    pub fn new(table: &Table) -> Self {
        let mut state = Self::default();
        for chain in &table.chains {
            state.rows.push(index(state.counters.len()));
            for rule in &chain.rules {
                state.memory_rows.push(index(state.memory.len()));
                state.memory.extend(rule.matches.iter().map(|one| one.initial()));
                if let Jump::Target(target) = &rule.target {
                    state.memory.push(target.initial());
                }
                state.counters.push((0, 0));
            }
            state.memory_rows.push(index(state.memory.len()));
            state.counters.push((0, 0));
        }
        state.memory_rows.push(index(state.memory.len()));
        if state.memory.iter().all(|memory| *memory == State::default()) {
            state.memory = Vec::new();
        }
        state.rows.push(index(state.counters.len()));
        state.stack.reserve(table.chains.len().min(super::CHAIN_DEPTH_MAX));
        state
    }

    /// As [`Self::new`], but counting on from the counters of the file (`iptables-restore -c`).
    #[must_use]
    pub fn with_counters(table: &Table) -> Self {
        let mut state = Self::new(table);
        let counters = table.chains.iter().flat_map(|chain| {
            chain.rules.iter().map(|rule| rule.counters).chain(core::iter::once(chain.counters))
        });
        for (to, from) in state.counters.iter_mut().zip(counters) {
            *to = from;
        }
        state
    }

    /// Counters of a chain: its rules in order, then the policy.
    #[must_use]
    pub fn counters(&self, chain: ChainIndex) -> &[Counters] {
        let at = chain.0 as usize;
        let row = self.rows.get(at).zip(self.rows.get(at + 1));
        row.and_then(|(start, end)| self.counters.get(*start as usize..*end as usize))
            .unwrap_or(&[])
    }

    #[inline]
    pub(super) fn slot(&self, chain: ChainIndex, number: u32) -> usize {
        self.rows.get(chain.0 as usize).map_or(usize::MAX, |row| (*row + number) as usize)
    }

    #[inline]
    pub(super) fn count(&mut self, slot: usize, bytes: u64) {
        if let Some(counters) = self.counters.get_mut(slot) {
            counters.0 = counters.0.wrapping_add(1);
            counters.1 = counters.1.wrapping_add(bytes);
        }
    }

    #[inline]
    pub(super) fn memory_of(&mut self, slot: usize) -> &mut [State] {
        if self.memory.is_empty() {
            return &mut [];
        }
        let row = self.memory_rows.get(slot).zip(self.memory_rows.get(slot.wrapping_add(1)));
        match row {
            Some((start, end)) => {
                self.memory.get_mut(*start as usize..*end as usize).unwrap_or_default()
            }
            None => &mut [],
        }
    }
}

/// Tables are far smaller than this type's range: [`crate::syntax::iptables_save::RULES_MAX`].
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
