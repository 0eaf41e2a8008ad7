//! The order of variables in which sets are told: all fields first, and behind them what no field decides.
//!
//! Diagrams to work with have some conditions further up ([`super::near`]), where that makes them small. Rows and
//! examples are read off a copy in this order.

use super::space::{Group, Packets, Result, Space};
use oxidd::bcdd::{BCDDFunction, BCDDManagerRef, new_manager};
use oxidd::{BooleanFunction, Manager, ManagerRef, VarNo};
use std::collections::{BTreeMap, HashMap};

/// Results that are kept for the next operation.
const CACHE: usize = 1 << 16;

/// Where the variables are.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// First variable and number of variables of each group.
    pub(super) groups: BTreeMap<Group, (VarNo, u32)>,
    /// The unknowns come behind, in the order of [`Space::unknowns`].
    pub(super) first_unknown: VarNo,
}

/// Diagrams in that order.
pub(super) struct Telling {
    manager: BCDDManagerRef,
    order: Order,
}

impl Telling {
    /// Beside diagrams in which `count` variables stand in front of what follows `behind`.
    pub(super) fn new(
        groups: &BTreeMap<Group, (VarNo, u32)>,
        (behind, count): (VarNo, u32),
        nodes: usize,
    ) -> Self {
        let groups: BTreeMap<_, _> = groups
            .iter()
            .map(|(group, (first, bits))| {
                let first = if *first >= behind { first - count } else { *first };
                (*group, (first, *bits))
            })
            .collect();
        let first_unknown = groups.values().map(|(first, bits)| first + bits).max().unwrap_or(0);
        let manager = new_manager(nodes, CACHE.min(nodes), 1);
        manager.with_manager_exclusive(|manager| manager.add_vars(first_unknown));
        Self { manager, order: Order { groups, first_unknown } }
    }

    /// The variable at the place of another.
    fn variable(&self, variable: VarNo) -> Result<BCDDFunction> {
        let missing = variable
            .saturating_add(1)
            .saturating_sub(self.manager.with_manager_shared(|m| m.num_vars()));
        if missing > 0 {
            self.manager.with_manager_exclusive(|manager| manager.add_vars(missing));
        }
        Ok(self.manager.with_manager_shared(|manager| BCDDFunction::var(manager, variable))?)
    }

    fn constant(&self, says: bool) -> BCDDFunction {
        self.manager.with_manager_shared(|manager| match says {
            true => BCDDFunction::t(manager),
            false => BCDDFunction::f(manager),
        })
    }

    /// A copy of a diagram; `place` has the variable here of each variable there.
    fn copy(&self, set: &BCDDFunction, place: impl Fn(VarNo) -> VarNo) -> Result<BCDDFunction> {
        #[expect(clippy::mutable_key_type, reason = "a node's identity does not change")]
        let mut known: HashMap<Packets, BCDDFunction> = HashMap::new();
        let mut open = vec![set.clone()];
        while let Some(node) = open.last().cloned() {
            let key = Packets(node.clone());
            if known.contains_key(&key) {
                open.pop();
                continue;
            }
            let Some((yes, no)) = node.cofactors() else {
                known.insert(key, self.constant(node.satisfiable()));
                open.pop();
                continue;
            };
            let parts = [yes, no].map(|part| (known.get(&Packets(part.clone())).cloned(), part));
            if let [(Some(yes), _), (Some(no), _)] = &parts {
                let variable = self.variable(place(super::rows::level(&node)))?;
                known.insert(key, variable.ite(yes, no)?);
                open.pop();
                continue;
            }
            open.extend(
                parts.into_iter().filter(|(known, _)| known.is_none()).map(|(_, part)| part),
            );
        }
        Ok(known.remove(&Packets(set.clone())).unwrap_or_else(|| self.constant(false)))
    }
}

impl Space {
    /// The order in which sets are told.
    pub(super) fn order(&self) -> Order {
        match self.telling() {
            Some(telling) => telling.order.clone(),
            None => Order { groups: self.groups().clone(), first_unknown: self.fields_end() },
        }
    }

    /// The diagram of a set in that order.
    pub(super) fn in_order(&self, packets: &Packets) -> Result<BCDDFunction> {
        let Some(telling) = self.telling() else { return Ok(packets.0.clone()) };
        let (behind, count) = self.near_variables();
        let unknowns: HashMap<VarNo, VarNo> =
            self.unknown_variables().iter().copied().zip(telling.order.first_unknown..).collect();
        let place = |variable: VarNo| match unknowns.get(&variable) {
            Some(place) => *place,
            None if variable >= behind => variable - count,
            None => variable,
        };
        if let Ok(copy) = telling.copy(&packets.0, place) {
            return Ok(copy);
        }
        telling.manager.with_manager_shared(|manager| manager.gc());
        telling.copy(&packets.0, place)
    }
}
