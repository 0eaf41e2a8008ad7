//! `NOTRACK`: tracking leaves the packet alone; the older name of `CT --notrack`.

use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String, vec::Vec};
use keepstate_conntrack::Tracked;
use keepstate_conntrack::table::Template;

const MANUAL: &str = "\
Tracking leaves the packet alone: it is UNTRACKED. In the table raw. The older name of `CT --notrack`.
It has no options.

    iptables -t raw -A PREROUTING -p udp --dport 53 -j NOTRACK

Mind: the answers need a rule of their own, in OUTPUT of raw if the host gives them. What is UNTRACKED is
neither NEW nor ESTABLISHED and is not translated. `iptables -L` shows it as `CT`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "NOTRACK",
    families: BOTH,
    tables: &[TableName::Raw],
    hooks: &[],
    options: &[],
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Notrack;

fn parse(_: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    Some(Box::new(Notrack))
}

/// Attaches a template, unless a rule before has done so or the packet is tracked already: the first
/// one counts. For the rules that follow in the table the packet is then UNTRACKED, or the first one
/// of a connection of which nothing is known.
pub(super) fn attach(traversal: &mut Traversal<'_>, template: Template) {
    if traversal.tracked.is_none() {
        traversal.tracked =
            Some(if template.notrack { &Tracked::UNTRACKED } else { &Tracked::TEMPLATE });
        *traversal.template = Template { attached: true, ..template };
    }
}

pub(super) fn explain(out: &mut Pieces) {
    out.push(Piece::Effect(
        "exempts it from connection tracking and goes on with the next rule".into(),
    ));
    out.push(Piece::Term("UNTRACKED"));
}

impl Target for Notrack {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        attach(traversal, Template { notrack: true, ..Template::default() });
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::Template { untracked: true }]))
    }

    fn print(&self, _: &mut String) {}

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" NOTRACK");
    }

    /// The target that does it.
    fn listed_name(&self) -> &'static str {
        super::ct::EXTENSION.name
    }

    fn explain(&self, out: &mut Pieces) {
        explain(out);
    }
}
