//! `SECMARK`: gives the packet a security context, for `CONNSECMARK` to keep. There is no security
//! module here that would know the context: any word is one.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};

const CONTEXT: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("selctx", CONTEXT)];

/// Longest context, bytes: what the kernel's structure holds.
pub const CONTEXT_MAX: usize = 255;

const MANUAL: &str = "\
Gives the packet a security context for a security module such as SELinux. In the tables mangle and
security.

- `--selctx CONTEXT`: the context, up to 255 bytes.

    iptables -t mangle -A INPUT -p tcp --dport 80 -j SECMARK --selctx system_u:object_r:httpd_packet_t:s0

Mind: `CONNSECMARK --save` keeps it with the connection. A kernel whose security module does not know
the context refuses the rule; keepstate takes any.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "SECMARK",
    families: BOTH,
    tables: &[TableName::Mangle, TableName::Security],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct SecMark {
    context: String,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(CONTEXT)?;
    if !values::is_plain(&given.value) || given.value.len() > CONTEXT_MAX {
        let what = format!("a context: 1 to {CONTEXT_MAX} bytes, no blanks, no quotes");
        arguments.bad_value(given, &what);
        return None;
    }
    Some(Box::new(SecMark { context: given.value.clone() }))
}

impl Target for SecMark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.secmark = traversal.conntrack.secmark_of(&self.context).unwrap_or(0);
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --selctx ");
        out.push_str(&self.context);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" SECMARK selctx ");
        out.push_str(&self.context);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(format!(
            "gives it the security context {} and goes on with the next rule",
            self.context
        )));
        out.push(Piece::Note(
            "The context is for a security module such as SELinux; `CONNSECMARK --save` copies it to \
             the connection, and `--restore` back to its later packets."
                .into(),
        ));
    }
}
