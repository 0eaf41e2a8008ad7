//! What rules do with sets and maps. None of these has an iptables-save form: they print as
//! nftables writes them.

use super::{Map, Set};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::matches::Match;
use crate::model::ChainIndex;
use crate::targets::Target;
use crate::verdict::{Answer, Step};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

fn key_name<V: Copy>(map: &Map<V>) -> String {
    let names: Vec<_> = map.fields().iter().map(|field| field.name()).collect();
    names.join(" . ")
}

/// `ip saddr . th dport @NAME`: whether the packet's key is in a set.
#[derive(Debug)]
pub struct Lookup {
    /// The set.
    pub set: Set,
    /// `!=`.
    pub inverted: bool,
}

impl Match for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        (self.set.find(traversal).is_some() != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        let not = either(self.inverted, "", "!= ");
        let _ = write!(out, " {} {not}{{ {} elements }}", key_name(&self.set), self.set.count());
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "is", "is not");
        let (key, count) = (key_name(&self.set), self.set.count());
        out.push(Piece::Condition(format!("its {key} {verb} among {count} elements of a set")));
    }
}

/// `meta mark set ip saddr map { ... }`: a statement in the middle of a rule, which acts and lets the
/// rule go on. A key that is not in the map ends the rule, as in nftables.
#[derive(Debug)]
pub struct MarkMap(pub Map<u32>);

impl Match for MarkMap {
    fn name(&self) -> &'static str {
        "mark map"
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Some(mark) = self.0.find(traversal) else { return Answer::No };
        traversal.mark = mark;
        Answer::Yes
    }

    fn print(&self, out: &mut String) {
        let _ = write!(
            out,
            " meta mark set {} map {{ {} elements }}",
            key_name(&self.0),
            self.0.count()
        );
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let key = key_name(&self.0);
        out.push(Piece::Effect(format!("sets its mark to what a map has for its {key}")));
    }
}

/// `ip daddr . th dport vmap { ... }`: what follows is looked up. A key that is not in the map goes
/// on with the next rule.
#[derive(Debug)]
pub struct VerdictMap(pub Map<Step>);

impl Target for VerdictMap {
    fn name(&self) -> &'static str {
        "vmap"
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        self.0.find(traversal).unwrap_or(Step::Continue)
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for step in self.0.values() {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        steps
    }

    fn print(&self, out: &mut String) {
        let _ = write!(out, " {} vmap {{ {} elements }}", key_name(&self.0), self.0.count());
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let (key, count) = (key_name(&self.0), self.0.count());
        out.push(Piece::Effect(format!(
            "does what a verdict map of {count} elements has for its {key}, and goes on with the next \
             rule when it has nothing"
        )));
    }
}

/// The chains that a step leads into, with whether it comes back.
#[must_use]
pub const fn chain_of(step: Step) -> Option<(ChainIndex, bool)> {
    match step {
        Step::Jump(chain) => Some((chain, true)),
        Step::Goto(chain) => Some((chain, false)),
        Step::Continue | Step::Return | Step::Verdict(_) => None,
    }
}
