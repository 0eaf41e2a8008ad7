//! `AUDIT`: writes a record for the audit daemon. Nothing happens to the packet, and no record is
//! written here.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};

const TYPE: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("type", TYPE)];

const MANUAL: &str = "\
# AUDIT

Has the kernel write an audit record (auditd(8)) of the packet, and goes on with the next rule. It decides
nothing; `keepstate` writes no record.

`--type accept|drop|reject`
: What the record says was done: name what the next rule does. In capitals or not.

    -A INPUT -p tcp --dport 22 -j AUDIT --type accept
    -A INPUT -p tcp --dport 22 -j ACCEPT
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "AUDIT",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const TYPES: [&str; 3] = ["accept", "drop", "reject"];

/// An instance: what the record says.
#[derive(Debug)]
pub struct Audit(&'static str);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(TYPE)?;
    match TYPES.iter().find(|name| name.eq_ignore_ascii_case(&given.value)) {
        Some(name) => Some(Box::new(Audit(name))),
        None => {
            let names = TYPES.into_iter();
            arguments.unknown_word(&given.value, given.value_span, "a type of record", names);
            None
        }
    }
}

impl Target for Audit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, _: &mut Traversal<'_>, _: &mut State) -> Step {
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --type ");
        out.push_str(self.0);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" AUDIT ");
        out.push_str(self.0);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(format!(
            "writes a record for the audit daemon, which says `{}`, and goes on with the next rule",
            self.0
        )));
        out.push(Piece::Note(
            "It decides nothing: what the record says has to be done by a rule behind it.".into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;
    use keepstate_packet::Family::V6;

    #[test]
    fn texts() {
        check(
            V6,
            "filter",
            "INPUT",
            &[
                ("-j AUDIT --type ACCEPT", "-j AUDIT --type accept", " AUDIT accept", "="),
                ("-j AUDIT --type drop", "=", " AUDIT drop", "="),
                ("-j AUDIT --type acc", "", "", ""),
                ("-j AUDIT", "", "", ""),
            ],
        );
    }
}
