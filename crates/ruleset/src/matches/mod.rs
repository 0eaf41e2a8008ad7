//! The matches, one a file.

use crate::evaluate::{State, Traversal};
use alloc::string::String;
use core::fmt::Debug;

/// One `-m` of a rule.
pub trait Match: Debug + Send + Sync {
    /// Its name, as after `-m`.
    fn name(&self) -> &'static str;
    /// Whether the packet matches. `state` is this instance's own memory (`limit`).
    fn matches(&self, traversal: &Traversal<'_>, state: &mut State) -> bool;
    /// Appends its iptables-save form without ` -m name`, with a blank before each word.
    fn print(&self, out: &mut String);
}
