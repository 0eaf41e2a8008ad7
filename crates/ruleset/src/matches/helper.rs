//! `helper`: the packet belongs to a connection that a helper's expectation announced, such as an
//! FTP data connection. It asks for the helper of the master, not of the connection itself.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::needs::Needs;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const HELPER: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("helper", HELPER).inverted()];

/// Longest name that is kept, in bytes; the rest is cut off, as the kernel's structure does.
pub const NAME_MAX: usize = 29;

const MANUAL: &str = "\
The packet's connection was announced by a conntrack helper: the data connection of an FTP session, for
example.

- `[!] --helper NAME`: by the helper of this name; the empty name stands for any.

    iptables -A FORWARD -m conntrack --ctstate RELATED -m helper --helper ftp -j ACCEPT

Mind: it is the helper of the connection that did the announcing (the FTP control connection), not one
of this connection's own. No helper watches anything by itself: `-t raw ... -j CT --helper NAME` has to
assign it. A name that goes on behind a helper's (`ftp-2121`) finds that helper too.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "helper",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Helper {
    name: String,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(HELPER)?;
    let end =
        (0..=NAME_MAX.min(given.value.len())).rev().find(|at| given.value.is_char_boundary(*at));
    let name = given.value.get(..end.unwrap_or(0)).unwrap_or("").into();
    Some(Box::new(Helper { name, inverted: given.inverted }))
}

impl Match for Helper {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let conn = traversal.tracked.and_then(|tracked| tracked.conn);
        let helper = conn.and_then(|conn| traversal.conntrack.master_helper(conn));
        // The name asked for may go on behind that of the helper: `ftp-2121` finds `ftp` too.
        let found = helper.is_some_and(|name| self.name.is_empty() || name.begins(&self.name));
        (found != self.inverted).into()
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "helper");
        out.push(' ');
        values::print_word(out, &self.name);
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.inverted { "! " } else { "" };
        let _ = write!(out, " helper match {not}\"{}\"", self.name);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "was", "was not");
        let by = match self.name.as_str() {
            "" => String::from("any conntrack helper"),
            name => format!("the conntrack helper {name}"),
        };
        out.push(Piece::Condition(format!("its connection {verb} announced by {by}")));
        out.push(Piece::Term("helper"));
        let otherwise = either(
            self.inverted,
            "without that nothing is announced and this match finds nothing",
            "what no helper announced matches, and so do packets that have no connection",
        );
        out.push(Piece::Caution(format!(
            "A helper watches a connection only where `-t raw ... -j CT --helper NAME` assigned it; \
             {otherwise}."
        )));
    }
}
