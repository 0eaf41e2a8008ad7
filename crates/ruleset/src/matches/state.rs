//! `state`: the older name of `conntrack --ctstate`.

use super::conntrack::{STATES, parse_states, state_bit, state_names};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::needs::Needs;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String};

const STATE: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("state", STATE).inverted()];

const MANUAL: &str = "\
The state of the packet in connection tracking; the older name of `-m conntrack --ctstate`.

- `[!] --state STATE[,STATE...]`: one of `NEW`, `ESTABLISHED`, `RELATED`, `INVALID`, `UNTRACKED`.

    iptables -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT

Mind: new rules are better written with `-m conntrack --ctstate`; the two mean the same.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "state",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct StateMatch {
    /// Bits of [`state_bit`].
    pub wanted: Inverted<u8>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(STATE)?;
    let value = parse_states(arguments, given, STATES.get(..5).unwrap_or(&STATES))?;
    Some(Box::new(StateMatch { wanted: Inverted { inverted: given.inverted, value } }))
}

impl Match for StateMatch {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    #[inline]
    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let found = self.wanted.value & state_bit(traversal.tracked) != 0;
        (found != self.wanted.inverted).into()
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.wanted.inverted, "state");
        out.push(' ');
        out.push_str(&state_names(self.wanted.value).join(","));
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(if self.wanted.inverted { " ! state " } else { " state " });
        out.push_str(&state_names(self.wanted.value).join(","));
    }

    fn packet_set(&self) -> PacketSet {
        super::conntrack::states_set(self.wanted)
    }

    fn explain(&self, out: &mut Pieces) {
        super::conntrack::explain_states(self.wanted, out);
        out.push(Piece::Note(
            "`-m state --state` is the older spelling of `-m conntrack --ctstate` and means the same."
                .into(),
        ));
    }
}
