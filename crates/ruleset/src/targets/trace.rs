//! `TRACE`: has every rule that the packet meets from here on written down. The packet goes on to the next
//! rule.
//!
//! The lines are made by [`crate::evaluate::Tracing`], a recorder of the one evaluator, in the form of the
//! kernel's log with iptables-legacy: this rule itself is not among them. iptables-nft takes the target in
//! any table, the legacy tool in raw only; here it is as with iptables-nft.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension};
use crate::needs::Needs;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String};

const MANUAL: &str = "\
# TRACE

Marks the packet, so that every rule it matches from here on is written down, in all tables, and goes on with
the next rule. It has no options.

    -t raw -A PREROUTING -p tcp --dport 22 -s 192.0.2.7 -j TRACE

With iptables-legacy the lines are in the kernel's log, `TRACE: filter:INPUT:rule:3 IN=eth0 ...`: the table, the
chain, `rule`, `return` (the end of a chain) or `policy`, the number of the rule, then the packet as LOG writes
it. With iptables-nft `xtables-monitor --trace` shows them. `keepstate replay` writes the first form among the
lines of LOG.

Match few packets: each one makes a line for every rule that it matches.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "TRACE",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: &[],
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Trace;

fn parse(_: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    Some(Box::new(Trace))
}

impl Target for Trace {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.traced = true;
        Step::Continue
    }

    fn need(&self, needs: &mut Needs) {
        needs.traces = true;
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, _: &mut String) {}

    fn list(&self, _: &mut String, _: bool) {}

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(
            "has every rule that it matches from here on written down, in all tables, and goes on with \
             the next rule"
                .into(),
        ));
        out.push(Piece::Note(
            "With iptables-legacy the lines are in the kernel's log; with iptables-nft `xtables-monitor \
             --trace` shows them. Each packet makes a line for every rule that it matches: match few."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;
    use keepstate_packet::Family::{V4, V6};

    #[test]
    fn texts() {
        check(V4, "raw", "PREROUTING", &[("-j TRACE", "=", "", "="), ("-j TRACE x", "", "", "")]);
        check(V6, "filter", "INPUT", &[("-j TRACE", "=", "", "=")]);
    }
}
