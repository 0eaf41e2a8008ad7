//! `comment`: says something to people; every packet matches.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const COMMENT: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("comment", COMMENT)];

/// Longest comment in bytes.
pub const COMMENT_MAX: usize = 255;

const MANUAL: &str = "\
A remark for people. It is kept and printed with the rule and every packet matches it.

- `--comment TEXT`: up to 255 bytes; in quotes if there are blanks in it.

    iptables -A INPUT -p tcp --dport 22 -m comment --comment \"ssh for the office\" -j ACCEPT

Mind: `iptables -L` shows it as `/* TEXT */`, without quotes, and a text that holds `*/` itself cannot
be read back from there.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "comment",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Comment {
    /// The text.
    pub text: String,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(COMMENT)?;
    let length = given.value.len();
    if length > COMMENT_MAX {
        let text = format!("a comment of {length} bytes; at most {COMMENT_MAX} fit");
        arguments.fault(Diagnostic::new(code::TOO_LONG, given.value_span, text));
        return None;
    }
    Some(Box::new(Comment { text: given.value.clone() }))
}

impl Match for Comment {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, _: &mut Traversal<'_>, _: &mut State) -> Answer {
        Answer::Yes
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --comment ");
        values::print_word(out, &self.text);
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " /* {} */", self.text);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::EVERY
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Note(format!("The author's comment: \"{}\".", self.text)));
    }
}
