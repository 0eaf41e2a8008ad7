//! Changes of table filter that change nothing, as the algebra of packet sets shows it: the same packets pass, and
//! the same come to each other end, whatever their state.

use super::Place;
use crate::algebra::way::follow;
use crate::algebra::{Packets, Space, Way, space};
use crate::diff::possible;
use keepstate_ruleset::model::{Jump, Ruleset, Table, TableName};
use keepstate_ruleset::packet_set::PacketSet;
use keepstate_ruleset::verdict::Verdict;

/// Most nodes of the diagrams of a rule set and its changes.
const NODES_MAX: usize = 1 << 20;

/// A rule set as diagrams, made when the first change is asked about.
pub(super) struct Proof<'r> {
    was: &'r Ruleset,
    state: State,
}

enum State {
    Unasked,
    /// It has what diagrams do not show, or is too large for them.
    No,
    /// With the packets that there can be.
    Yes(Box<Space>, Packets, Vec<Ends>),
}

/// Where the packets of a way end.
struct Ends {
    passed: Packets,
    /// Verdicts, each once, and the packets that have it.
    others: Vec<(Verdict, Packets)>,
}

impl<'r> Proof<'r> {
    pub(super) const fn new(was: &'r Ruleset) -> Self {
        Self { was, state: State::Unasked }
    }

    /// Whether a changed rule set treats every packet alike. `false` says nothing.
    pub(super) fn are_equal(&mut self, is: &Ruleset, (changed, ..): Place) -> bool {
        if changed != TableName::Filter || !is_shown(is) {
            return false;
        }
        let is_fit = match &self.state {
            State::Unasked => false,
            State::No => true,
            // A change may name addresses that nothing told apart before.
            State::Yes(space, ..) => space.tells_apart(is),
        };
        if !is_fit {
            self.state = self.begin(is);
        }
        let State::Yes(space, possible, known) = &mut self.state else { return false };
        let Ok(ends) = ends(space, is) else { return false };
        alike(space, possible, known, &ends) == Ok(true)
    }

    fn begin(&self, is: &Ruleset) -> State {
        if !is_shown(self.was) {
            return State::No;
        }
        let family = self.was.family;
        let Ok(mut space) = Space::with_nodes(family, [self.was, is], NODES_MAX) else {
            return State::No;
        };
        match (possible(&space, &[self.was]), ends(&mut space, self.was)) {
            (Ok(possible), Ok(ends)) => State::Yes(Box::new(space), possible, ends),
            _ => State::No,
        }
    }
}

/// Whether diagrams show all that the rules do: no rule of table filter does more than decide, and none asks for
/// what another packet has left behind.
fn is_shown(ruleset: &Ruleset) -> bool {
    let decides = |table: &Table| {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        rules.into_iter().all(|rule| match &rule.target {
            Jump::Target(target) => target.name() == "REJECT",
            Jump::None | Jump::Jump(_) | Jump::Goto(_) | Jump::Standard(_) => true,
        })
    };
    let tables = &ruleset.tables;
    let rules = tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    ruleset.table(TableName::Filter).is_some_and(decides)
        && !rules.into_iter().any(|rule| is_opaque(&PacketSet::of_rule(rule)))
}

fn is_opaque(set: &PacketSet) -> bool {
    match set {
        PacketSet::Opaque => true,
        PacketSet::All(sets) | PacketSet::Any(sets) => sets.iter().any(is_opaque),
        _ => false,
    }
}

fn ends(space: &mut Space, ruleset: &Ruleset) -> space::Result<Vec<Ends>> {
    let mut all = Vec::new();
    for way in Way::ALL {
        let every = space.every();
        let outcome = follow(space, ruleset, way, &every)?;
        let mut others: Vec<(Verdict, Packets)> = Vec::new();
        for fate in outcome.fates() {
            if !others.iter().any(|(verdict, _)| *verdict == fate.verdict) {
                let ended = outcome.ended(space, |verdict| verdict == fate.verdict)?;
                others.push((fate.verdict, ended));
            }
        }
        all.push(Ends { passed: outcome.passed, others });
    }
    Ok(all)
}

fn alike(space: &Space, possible: &Packets, one: &[Ends], other: &[Ends]) -> space::Result<bool> {
    let none = space.none();
    let of = |ends: &Ends, verdict: Verdict| {
        let found = ends.others.iter().find(|(known, _)| *known == verdict);
        found.map_or_else(|| none.clone(), |(_, packets)| packets.clone())
    };
    let same = |one: &Packets, other: &Packets| -> space::Result<bool> {
        Ok(one == other || one.differ(other)?.and(possible)?.is_empty())
    };
    if one.len() != other.len() {
        return Ok(false);
    }
    for (one, other) in one.iter().zip(other) {
        if !same(&one.passed, &other.passed)? {
            return Ok(false);
        }
        for (verdict, _) in one.others.iter().chain(&other.others) {
            if !same(&of(one, *verdict), &of(other, *verdict))? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
