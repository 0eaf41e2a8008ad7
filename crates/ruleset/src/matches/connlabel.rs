//! `connlabel`: a label of the packet's connection, one of 128; with `--set`, gives it the label if
//! it has it not yet. Connections that were made while no rule named labels can have none.

use crate::diagnostic::{Diagnostic, code, nearest};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::needs::Needs;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::beside::LABELS_MAX;

const LABEL: u8 = 0;
const SET: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("label", LABEL).inverted(), flag("set", SET)];

const MANUAL: &str = "\
A label of the packet's connection. There are 128 of them, numbers that people may give names; a
connection has any number of labels, and keeps them.

- `[!] --label NUMBER|NAME`: it has this label, 0 to 127, or the name that connlabel.conf gives one.
- `--set`: gives the connection the label if it has not got it, and then matches.

    iptables -A FORWARD -p tcp --dport 443 -m connlabel --label 5 --set -j ACCEPT

Mind: a connection has room for labels only if a rule with `connlabel` was loaded when the connection
began. With `--set` the rule matches every packet whose connection can have labels. Names are read
where `--connlabel-conf FILE` gives them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "connlabel",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct ConnLabel {
    number: u16,
    /// Its name, where it has one.
    name: Option<String>,
    set: bool,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(LABEL)?;
    let named = arguments.labels.number(&given.value).map(u64::from);
    let number = named.or_else(|| values::number(&given.value, u64::from(u32::MAX)));
    let fits = number.and_then(|number| u16::try_from(number).ok()).filter(|n| *n < LABELS_MAX);
    let Some(number) = fits else {
        let last = LABELS_MAX - 1;
        let (code, text) = match number {
            Some(number) => {
                let text = format!("a connection has labels 0 to {last}, and no label {number}");
                (code::KERNEL_REFUSES, text)
            }
            None => (code::UNKNOWN_NAME, format!("no label is called `{}`", given.value)),
        };
        let fault = Diagnostic::new(code, given.value_span, text);
        arguments.fault(match nearest(&given.value, arguments.labels.names()) {
            Some(near) if number.is_none() => fault.help(format!("did you mean `{near}`?")),
            _ => fault.help(format!(
                "labels are named by their numbers, 0 to {last}, or as --connlabel-conf FILE has them"
            )),
        });
        return None;
    };
    let set = arguments.option(SET).is_some();
    let name = arguments.labels.name(number).map(String::from);
    Some(Box::new(ConnLabel { number, name, set, inverted: given.inverted }))
}

impl Match for ConnLabel {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let conn = traversal.tracked.and_then(|tracked| tracked.conn);
        let labelled = conn.is_some_and(|conn| {
            let labels = traversal.conntrack.labels(conn);
            let has = labels.is_some_and(|labels| labels & 1 << self.number != 0);
            has || self.set && traversal.conntrack.set_label(conn, self.number)
        });
        (labelled != self.inverted).into()
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
        needs.labels = true;
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "label");
        let _ = match &self.name {
            Some(name) => write!(out, " \"{name}\""),
            None => write!(out, " \"{}\"", self.number),
        };
        if self.set {
            out.push_str(" --set");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.inverted { "! " } else { "" };
        let _ = match &self.name {
            Some(name) => write!(out, " connlabel {not}\"{name}\""),
            None => write!(out, " connlabel {not}{}", self.number),
        };
        out.push_str(if self.set { " set" } else { "" });
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let number = match &self.name {
            Some(name) => format!("{} ({name})", self.number),
            None => format!("{}", self.number),
        };
        out.push(Piece::Condition(match (self.set, self.inverted) {
            (false, inverted) => {
                format!("its connection {} label {number}", either(inverted, "has", "has not"))
            }
            (true, false) => format!(
                "it belongs to a connection that can have labels (which then has label {number})"
            ),
            (true, true) => format!(
                "it belongs to no connection that can have labels (one that can has label {number} \
                 from then on)"
            ),
        }));
        out.push(Piece::Note(
            "A connection has room for labels only if a rule with connlabel was loaded when the \
             connection was made. Labels stay with it; connections that it expects do not get them."
                .into(),
        ));
    }
}
