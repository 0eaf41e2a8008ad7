//! The host model of an engine, which grows as captures name interfaces.

use super::Engine;
use crate::route::{Host, Interface, InterfaceIndex};

impl Engine {
    /// The host model.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.routing.host()
    }

    /// The index of the interface of this name, which joins the host if it is new: captures name
    /// theirs as they go. `None` when the host has as many as an index can count.
    pub fn declare_interface(&mut self, interface: Interface) -> Option<InterfaceIndex> {
        let known = self.routing.host().interfaces.iter().position(|i| i.name == interface.name);
        let index = u16::try_from(known.unwrap_or(self.routing.host().interfaces.len())).ok()?;
        if known.is_none() {
            self.routing.declare(interface);
        }
        Some(InterfaceIndex(index))
    }
}
