//! `CLASSIFY`: sets the priority of an ARP packet for the queueing discipline.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;

const CLASS: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("set-class", CLASS)];

const MANUAL: &str = "\
Puts the packet into a class of the queueing discipline of the device that it leaves by. In OUTPUT.

- `--set-class MAJOR:MINOR`: the class, both hexadecimal.

    arptables -A OUTPUT -o eth0 -j CLASSIFY --set-class 1:20
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "CLASSIFY",
    families: &[],
    tables: &[],
    hooks: &[Hook::Output],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Classify {
    class: u32,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(CLASS)?;
    let number = |text: &str| values::hexadecimal(text, u32::MAX.into());
    let both = given.value.split_once(':');
    let both = both.and_then(|(major, minor)| number(major).zip(number(minor)));
    let Some((major, minor)) = both else {
        let says = format!("Bad class value \"{}\"", given.value);
        arguments.wrong(given, "a class MAJOR:MINOR", says);
        return None;
    };
    // What does not fit into 32 bits is lost.
    Some(Box::new(Classify { class: ((major << 16) | (minor & 0xffff)) as u32 }))
}

impl Target for Classify {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.priority = self.class;
        Step::Continue
    }

    fn print(&self, out: &mut String) {
        let _ = write!(out, " --set-class {:x}:{:x}", self.class >> 16, self.class & 0xffff);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        let (major, minor) = (self.class >> 16, self.class & 0xffff);
        out.push(Piece::Effect(format!("puts it into class {major:x}:{minor:x} of the queue")));
    }
}
