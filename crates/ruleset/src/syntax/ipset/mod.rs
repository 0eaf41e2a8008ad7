//! The language of ipset(8): commands, `save` files, listings. What they do to sets is
//! [`crate::sets::ipset`]'s business; here words become requests, and sets become text again.
//!
//! Exit statuses and texts are those of ipset 7.17: 1 for what is refused, 2 for words that make no
//! command.

pub mod command;
pub mod element;
pub mod help;
pub mod options;
pub mod print;
pub mod run;
pub mod words;

use alloc::string::String;

/// The version of ipset(8) that this is like.
pub const VERSION: &str = "7.17";

/// What is wrong with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Exit status: 1 or 2.
    pub status: u8,
    /// What is said, without the name of the program.
    pub text: String,
}

impl Fault {
    /// Something that is refused.
    #[must_use]
    pub fn refused(text: impl Into<String>) -> Self {
        Self { status: 1, text: text.into() }
    }

    /// Words that make no command.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self { status: 2, text: text.into() }
    }

    /// A value that cannot be read.
    #[must_use]
    pub fn syntax(text: impl core::fmt::Display) -> Self {
        Self::refused(alloc::format!("Syntax error: {text}"))
    }
}

impl From<crate::sets::ipset::Error> for Fault {
    fn from(error: crate::sets::ipset::Error) -> Self {
        Self::refused(alloc::format!("{error}"))
    }
}
