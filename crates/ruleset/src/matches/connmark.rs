//! `connmark`: the mark of the packet's connection. A packet without one never matches, not even
//! behind `!`.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::matches::Match;
use crate::matches::mark::Marked;
use crate::model::Inverted;
use crate::needs::Needs;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::{ConnId, Tracked};

const OPTIONS: &[OptionSpec] = &[valued("mark", 0).inverted()];

const MANUAL: &str = "\
The mark of the packet's connection, a 32-bit number that stays with the connection.

- `[!] --mark VALUE[/MASK]`: the mark, under the mask, is the value. Decimal, or hexadecimal behind 0x.

    iptables -t mangle -A PREROUTING -m connmark --mark 0x10/0xf0 -j CONNMARK --restore-mark

Mind: packets without a connection (INVALID, UNTRACKED) never match, not even behind `!`. A value with
bits outside of the mask never matches.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "connmark",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct ConnMark(Inverted<Marked>);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    Some(Box::new(ConnMark(Marked::parse(arguments)?)))
}

/// The packet's connection and its mark; a template has none of its own and passes for one.
#[inline]
pub(crate) fn marked(traversal: &Traversal<'_>) -> Option<(Option<ConnId>, u32)> {
    match traversal.tracked {
        Some(tracked) if *tracked == Tracked::TEMPLATE => Some((None, 0)),
        tracked => {
            let conn = tracked.and_then(|tracked| tracked.conn)?;
            Some((Some(conn), traversal.conntrack.mark(conn)?))
        }
    }
}

impl Match for ConnMark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let mark = marked(traversal).map(|(_, mark)| mark);
        mark.is_some_and(|mark| self.0.value.fits(mark) != self.0.inverted).into()
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn print(&self, out: &mut String) {
        Marked::print(self.0, out);
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.0.inverted { "!" } else { "" };
        let _ = write!(out, " connmark match {not} {}", self.0.value);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.0.inverted, "is", "is not");
        out.push(Piece::Condition(format!(
            "it belongs to a connection whose mark {verb} {}",
            self.0.value.says()
        )));
        out.push(Piece::Note(
            "The connection's mark is set with `-j CONNMARK` and stays with the connection; INVALID \
             and UNTRACKED packets have none and never match."
                .into(),
        ));
    }
}
