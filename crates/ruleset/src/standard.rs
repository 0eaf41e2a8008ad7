//! ACCEPT, DROP, RETURN and jumps: what follows is fixed by the rule, so no instance is needed.

use crate::explain::{Piece, Pieces};
use crate::model::{Jump, Table};
use crate::verdict::{Step, Verdict};
use alloc::format;

/// The targets whose step is fixed.
pub const STANDARD: [(&str, Step); 3] = [
    ("ACCEPT", Step::Verdict(Verdict::Accept)),
    ("DROP", Step::Verdict(Verdict::Drop)),
    ("RETURN", Step::Return),
];

/// The step of a standard target.
#[must_use]
pub fn step(name: &str) -> Option<Step> {
    STANDARD.iter().find(|(one, _)| *one == name).map(|(_, step)| *step)
}

/// The name of a standard target.
#[must_use]
pub fn name(step: Step) -> &'static str {
    STANDARD.iter().find(|(_, one)| *one == step).map_or("", |(name, _)| name)
}

/// Says what follows when a rule of `table` matches, whatever kind it is.
pub fn explain(jump: &Jump, table: &Table, out: &mut Pieces) {
    let chain = |at| table.chain(at).map_or("", |chain| chain.name.as_str());
    match jump {
        Jump::None => {
            out.push(Piece::Effect("counts it and goes on with the next rule".into()));
        }
        Jump::Jump(to) => {
            let name = chain(*to);
            out.push(Piece::Effect(format!(
                "sends it through chain {name}; if nothing decides there, it comes back to the next rule"
            )));
        }
        Jump::Goto(to) => {
            let name = chain(*to);
            out.push(Piece::Effect(format!(
                "sends it to chain {name} for good: what that chain does not decide goes back to where \
                 this chain was called from"
            )));
        }
        Jump::Standard(step) => explain_step(*step, table, out),
        Jump::Target(target) => target.explain(out),
    }
}

fn explain_step(step: Step, table: &Table, out: &mut Pieces) {
    match step {
        Step::Verdict(Verdict::Accept) => {
            out.push(Piece::Effect("accepts it".into()));
            out.push(Piece::Note(format!(
                "ACCEPT ends the walk through the {} table at this hook: no later rule of it sees the \
                 packet. Tables and hooks that come after still do.",
                table.name.as_str()
            )));
        }
        Step::Verdict(
            Verdict::Drop | Verdict::Reject(_) | Verdict::Queue(_) | Verdict::Synproxy(_),
        ) => {
            out.push(Piece::Effect("drops it without an answer".into()));
            out.push(Piece::Note(
                "The sender is left to time out. A connection whose first packet is dropped is not \
                 kept in the connection table."
                    .into(),
            ));
        }
        Step::Return => {
            out.push(Piece::Effect(
                "stops this chain for it: on with the calling chain, or with the policy in a built-in \
                 chain"
                    .into(),
            ));
        }
        Step::Continue | Step::Jump(_) | Step::Goto(_) => {}
    }
}
