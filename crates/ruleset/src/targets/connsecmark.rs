//! `CONNSECMARK`: copies the security context between the packet and its connection, where the one
//! that it goes to has none yet.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag};
use crate::model::TableName;
use crate::needs::Needs;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String};

const SAVE: u8 = 0;
const RESTORE: u8 = 1;
const OPTIONS: &[OptionSpec] = &[flag("save", SAVE), flag("restore", RESTORE)];

const MANUAL: &str = "\
Copies a security context between the packet and its connection, so that SECMARK need judge the first
packet only. In the tables mangle and security.

- `--save`: from the packet to the connection, if that has none.
- `--restore`: from the connection to the packet, if that has none.

    iptables -t mangle -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j CONNSECMARK --restore

Mind: contexts mean something to a security module such as SELinux alone.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "CONNSECMARK",
    families: BOTH,
    tables: &[TableName::Mangle, TableName::Security],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance: to the connection, or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnSecMark {
    /// `--save`.
    Save,
    /// `--restore`.
    Restore,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    if arguments.given.is_empty() {
        let text = "`CONNSECMARK` needs `--save` or `--restore`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    }
    arguments.exclusive(&[SAVE, RESTORE])?;
    let save = arguments.option(SAVE).is_some();
    Some(Box::new(if save { ConnSecMark::Save } else { ConnSecMark::Restore }))
}

impl Target for ConnSecMark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let Some(conn) = traversal.tracked.and_then(|tracked| tracked.conn) else {
            return Step::Continue;
        };
        match self {
            Self::Save => traversal.conntrack.set_secmark(conn, traversal.secmark),
            Self::Restore if traversal.secmark == 0 => {
                traversal.secmark = traversal.conntrack.secmark(conn);
            }
            Self::Restore => {}
        }
        Step::Continue
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        out.push_str(match self {
            Self::Save => " --save",
            Self::Restore => " --restore",
        });
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(match self {
            Self::Save => " CONNSECMARK save",
            Self::Restore => " CONNSECMARK restore",
        });
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(match self {
            Self::Save => {
                "copies its security context to its connection, if that has none, and goes \
                           on with the next rule"
                    .into()
            }
            Self::Restore => "gives it the security context of its connection, if it has none \
                              itself, and goes on with the next rule"
                .into(),
        }));
    }
}
