//! The targets of ebtables, one a file. Each has a standard target of its own that says what follows.

pub mod arpreply;
pub mod dnat;
pub mod mark;
pub mod redirect;
pub mod snat;

use crate::extension::{Arguments, Extension, hardware};
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format};

/// Every target of ebtables but ACCEPT, DROP, RETURN and CONTINUE.
pub const TARGETS: &[Extension<Box<dyn Target>>] =
    &[arpreply::EXTENSION, dnat::EXTENSION, mark::EXTENSION, redirect::EXTENSION, snat::EXTENSION];

/// What follows what a target did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The frame goes on to the next table.
    Accept,
    /// It ends here.
    Drop,
    /// The next rule.
    Continue,
    /// Back to the calling chain.
    Return,
}

const THEN: [(&str, Then); 4] = [
    ("ACCEPT", Then::Accept),
    ("DROP", Then::Drop),
    ("CONTINUE", Then::Continue),
    ("RETURN", Then::Return),
];

impl Then {
    /// As printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        THEN.iter().find(|(_, then)| *then == self).map_or("", |(name, _)| name)
    }

    /// As a step.
    #[must_use]
    pub const fn step(self) -> Step {
        match self {
            Self::Accept => Step::Verdict(Verdict::Accept),
            Self::Drop => Step::Verdict(Verdict::Drop),
            Self::Continue => Step::Continue,
            Self::Return => Step::Return,
        }
    }

    /// In words: what is done with the frame then.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Accept => "accepts it",
            Self::Drop => "drops it",
            Self::Continue => "goes on with the next rule",
            Self::Return => "goes back to the calling chain",
        }
    }

    /// The one of an option, or what it is without.
    pub(super) fn parse(arguments: &mut Arguments<'_>, id: u8, default: Self) -> Option<Self> {
        let Some(given) = arguments.option(id) else { return Some(default) };
        let found = THEN.iter().find(|(name, _)| *name == given.value);
        if found.is_none() {
            let says = format!("Illegal --{} target", given.option.name);
            arguments.wrong(given, "ACCEPT, DROP, CONTINUE or RETURN", says);
        }
        found.map(|(_, then)| *then)
    }
}

/// A hardware address, whole, in an option of a target; `None` where it was not given.
fn hardware_address(arguments: &mut Arguments<'_>, id: u8, says: &str) -> Option<Option<[u8; 6]>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let found = hardware::octets(&given.value);
    if found.is_none() {
        arguments.wrong(given, "a hardware address", says);
    }
    found.map(Some)
}
