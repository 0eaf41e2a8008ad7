//! arptables and ebtables: the words of their commands and files, read as their own tools of iptables
//! 1.8.11 read them, and printed as they print them.
//!
//! [`options`] has the options of the rule itself, `read` makes a [`Line`] of words, `print` is the
//! way back and `list` the form of `-L`. What becomes of a line, [`super::iptables_save`] knows: tables,
//! chains and rules are the same.
//!
//! [`Line`]: super::iptables_save::rule::Line

mod file;
mod header;
mod list;
pub mod options;
mod print;
mod read;
#[cfg(test)]
mod tests;

pub use file::{family_of, parse};
pub use list::{FrameList, print_list};
pub use print::{print, print_brief, print_rule, print_rule_text};
pub use read::read_command;
