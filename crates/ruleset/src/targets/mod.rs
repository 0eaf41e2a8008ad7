//! The targets, one a file.

use crate::evaluate::{State, Traversal};
use crate::verdict::Step;
use alloc::string::String;
use core::fmt::Debug;

/// The `-j` of a rule, unless it names a chain.
pub trait Target: Debug + Send + Sync {
    /// Its name, as after `-j`.
    fn name(&self) -> &'static str;
    /// Acts on the packet.
    fn act(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Step;
    /// Appends its options in iptables-save form, with a blank before each word.
    fn print(&self, out: &mut String);
}
