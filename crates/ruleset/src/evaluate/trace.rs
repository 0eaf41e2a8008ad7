//! What `TRACE` has written down: a recorder that makes a line of every place which a traced packet passes,
//! as the kernel's log has them with iptables-legacy. Before the packet stand the table, the chain, what the
//! place is and its number, rules counted from 1; the end of a chain counts as one more.
//!
//! What surprises: a rule without any condition that accepts, drops or returns is no `rule` but called as the
//! end of its chain is, `return`, or `policy` in a built-in chain.

use super::{Logged, Looked, Passed, Recorder, Traversal};
use crate::model::{ChainIndex, HeaderMatch, Jump, Rule, Table};
use crate::targets::log;
use alloc::format;

/// Writes the lines, and tells another recorder as well.
#[derive(Debug)]
pub struct Tracing<'t, R> {
    table: &'t Table,
    recorder: &'t mut R,
}

impl<'t, R> Tracing<'t, R> {
    /// For a walk through this table.
    pub const fn new(table: &'t Table, recorder: &'t mut R) -> Self {
        Self { table, recorder }
    }

    #[cold]
    fn write(&self, place: Passed, traversal: &mut Traversal<'_>) {
        let end_of = |chain: ChainIndex| {
            let chain = self.table.chain(chain)?;
            let what = if chain.hook.is_some() { "policy" } else { "return" };
            Some((chain, what, chain.rules.len()))
        };
        let found = match place {
            Passed::End(chain) | Passed::Policy(chain) => end_of(chain),
            Passed::Rule(chain, number) => end_of(chain).map(|(chain, end, _)| {
                let number = number as usize;
                let looks_like_end = chain.rules.get(number).is_some_and(is_unconditional);
                (chain, if looks_like_end { end } else { "rule" }, number)
            }),
        };
        let Some((chain, what, number)) = found else { return };
        let (table, number) = (self.table.name.as_str(), number + 1);
        let place = format!("TRACE: {table}:{}:{what}:{number} ", chain.name);
        traversal.log.push(Logged::Line(log::traced(&place, traversal)));
    }
}

/// A rule that decides about every packet, by a verdict of its own or by going back.
fn is_unconditional(rule: &Rule) -> bool {
    let decides = matches!(&rule.target, Jump::Standard(_));
    decides && rule.matches.is_empty() && rule.header == HeaderMatch::default()
}

impl<R: Recorder> Recorder for Tracing<'_, R> {
    fn rule(&mut self, looked: Looked<'_>, traversal: &Traversal<'_>) {
        self.recorder.rule(looked, traversal);
    }

    fn policy(&mut self, chain: ChainIndex) {
        self.recorder.policy(chain);
    }

    fn passed(&mut self, place: Passed, traversal: &mut Traversal<'_>) {
        if traversal.traced {
            self.write(place, traversal);
        }
        self.recorder.passed(place, traversal);
    }
}
