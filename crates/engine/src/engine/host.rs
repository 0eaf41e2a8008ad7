//! The host model of an engine, which grows as captures name interfaces.

use super::Engine;
use crate::route::{Host, Interface, InterfaceIndex};
use keepstate_packet::{Address, Family};

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

    /// The neighbour on the link of `out` that a packet to this address is handed to: the gateway of
    /// its route by that interface, or the address itself.
    #[must_use]
    pub fn next_hop(&self, family: Family, out: InterfaceIndex, destination: Address) -> Address {
        self.routing.next_hop(family, out, destination)
    }

    /// Whether an address is one of the host's own, whichever interface has it.
    #[must_use]
    pub fn is_own_address(&self, family: Family, address: Address) -> bool {
        self.routing.is_own(family, address) || self.routing.is_declared_local(family, address)
    }

    /// Whether a packet from the host to this address would be for all hosts on a link.
    #[must_use]
    pub fn is_broadcast_address(&self, family: Family, address: Address) -> bool {
        self.routing.is_broadcast(family, address)
    }

    /// Whether an address is one that an interface of the host has.
    #[must_use]
    pub fn has_address(&self, at: InterfaceIndex, family: Family, address: Address) -> bool {
        let addresses = self.host().interface(at).map_or(&[][..], |one| &one.addresses);
        addresses.iter().any(|own| own.family == family && own.address == address)
    }

    /// Whether an address is one host's on the link of an interface.
    #[must_use]
    pub fn is_on_link(&self, family: Family, at: InterfaceIndex, address: Address) -> bool {
        self.routing.is_on_link(family, at, address)
    }

    /// Whether an IPv6 address means any router of a subnet on the link of an interface.
    #[must_use]
    pub fn is_subnet_router(&self, at: InterfaceIndex, address: Address) -> bool {
        self.routing.is_subnet_router(at, address)
    }
}
