//! A rule set in use: the tables of one family with their counters, found by name and hook.

use crate::command::ChainCounters;
use alloc::vec::Vec;
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::evaluate::TableState;
use keepstate_ruleset::model::{ChainIndex, Ruleset, Table, TableName};

/// The rule sets in use, at most one a family.
#[derive(Debug, Default)]
pub(crate) struct RulesByFamily {
    v4: Option<Rules>,
    v6: Option<Rules>,
}

impl RulesByFamily {
    #[inline]
    pub(crate) const fn of(&self, family: Family) -> Option<&Rules> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    #[inline]
    pub(crate) const fn of_mut(&mut self, family: Family) -> &mut Option<Rules> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    pub(crate) fn rulesets(&self) -> impl Iterator<Item = &Ruleset> {
        self.v4.iter().chain(&self.v6).map(|rules| &rules.ruleset)
    }

    pub(crate) fn restart(&mut self) {
        self.v4.iter_mut().chain(&mut self.v6).for_each(Rules::restart);
    }
}

/// A set of tables, by their names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableSet(u8);

impl TableSet {
    pub(crate) const NONE: Self = Self(0);

    /// Set at every hook but FORWARD when the table `nat` has a chain anywhere: then connections are
    /// set up that no rule translates, too.
    const TRANSLATION: u8 = 1 << 7;

    pub(crate) const fn has_translation(self) -> bool {
        self.0 & Self::TRANSLATION != 0
    }

    pub(crate) const fn contains(self, name: TableName) -> bool {
        self.0 & 1 << name as u8 != 0
    }
}

/// A rule set in use.
#[derive(Debug)]
pub(crate) struct Rules {
    ruleset: Ruleset,
    states: Vec<TableState>,
    /// Which of the tables, by name and hook; `None` where the table has no chain.
    places: [[Option<u8>; 5]; TableName::ALL.len()],
    /// Which tables have a chain, by hook.
    at_hooks: [TableSet; 5],
    /// Packets may become longer.
    wants_room: bool,
    /// Packets may be traced.
    traces: bool,
}

impl Rules {
    /// Takes a rule set into use; counters go on from those of the file.
    pub(crate) fn new(ruleset: Ruleset) -> Self {
        let states = ruleset.tables.iter().map(TableState::with_counters).collect();
        let mut places = [[None; 5]; TableName::ALL.len()];
        let mut at_hooks = [TableSet::NONE; 5];
        for (table, place) in ruleset.tables.iter().zip(0..) {
            for chain in &table.chains {
                let row = places.get_mut(table.name as usize);
                if let (Some(row), Some(hook)) = (row, chain.hook)
                    && let Some(slot) = row.get_mut(hook as usize)
                    && let Some(at_hook) = at_hooks.get_mut(hook as usize)
                {
                    *slot = Some(place);
                    at_hook.0 |= 1 << table.name as u8;
                }
            }
        }
        if at_hooks.iter().any(|at_hook| at_hook.contains(TableName::Nat)) {
            for hook in [Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting] {
                let at_hook = at_hooks.get_mut(hook as usize);
                at_hook.into_iter().for_each(|at_hook| at_hook.0 |= TableSet::TRANSLATION);
            }
        }
        let needs = ruleset.needs();
        let (wants_room, traces) = (needs.room, needs.traces);
        Self { ruleset, states, places, at_hooks, wants_room, traces }
    }

    /// Whether connections are set up for translation.
    pub(crate) fn translates(&self) -> bool {
        self.at_hooks.iter().any(|at_hook| at_hook.has_translation())
    }

    /// Whether a rule may make packets longer.
    #[inline]
    pub(crate) const fn wants_room(&self) -> bool {
        self.wants_room
    }

    /// Whether a rule may have packets traced.
    #[inline]
    pub(crate) const fn traces(&self) -> bool {
        self.traces
    }

    /// Begins anew: counters as in the file, every match as before its first packet.
    pub(crate) fn restart(&mut self) {
        self.states = self.ruleset.tables.iter().map(TableState::with_counters).collect();
    }

    pub(crate) const fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// The tables that have a chain at this hook.
    #[inline]
    pub(crate) fn tables_at(&self, hook: Hook) -> TableSet {
        self.at_hooks.get(hook as usize).copied().unwrap_or(TableSet::NONE)
    }

    /// The table of this name and its state, when it has a chain at this hook.
    #[inline]
    pub(crate) fn table(
        &mut self,
        name: TableName,
        hook: Hook,
    ) -> Option<(&Table, &mut TableState)> {
        let place = self.places.get(name as usize)?.get(hook as usize).copied()??;
        let place = usize::from(place);
        self.ruleset.tables.get(place).zip(self.states.get_mut(place))
    }

    pub(crate) fn state(&self, name: TableName) -> Option<&TableState> {
        let place = self.ruleset.tables.iter().position(|table| table.name == name)?;
        self.states.get(place)
    }

    pub(crate) fn counters(&self) -> Vec<ChainCounters> {
        let tables = self.ruleset.tables.iter().zip(&self.states);
        let chains = tables.flat_map(|(table, state)| {
            (0..).zip(&table.chains).map(move |(chain, _)| ChainCounters {
                table: table.name,
                chain,
                counters: state.counters(ChainIndex(chain)).to_vec(),
            })
        });
        chains.collect()
    }
}
