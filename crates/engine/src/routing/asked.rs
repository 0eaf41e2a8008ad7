//! What rules ask of the routes: kinds of addresses, the way back, realms, bridges, MTUs.

use super::{
    Kind, Routing, connected, is_last_loopback, is_link_local_v6, longest, number, prefix_mask,
};
use crate::route::{Forwarding, InterfaceIndex, Network};
use keepstate_packet::{Address, Family, InterfaceName};
use keepstate_ruleset::evaluate::{AddressType, ReversePath};

/// MTU of Linux's loopback interface, in bytes.
const LOOPBACK_MTU: u32 = 65_536;

impl Routing {
    /// See [`keepstate_ruleset::evaluate::HostFacts::address_type`].
    pub(crate) fn address_type(
        &self,
        family: Family,
        address: Address,
        interface: Option<InterfaceName>,
    ) -> AddressType {
        if let (Family::V6, Some(name)) = (family, interface)
            && self.host.forwarding != Forwarding::Wire
        {
            return self.address_type_on_v6(address, name);
        }
        let has = |name: InterfaceName| {
            let found = self.host.interfaces.iter().find(|one| one.name == name);
            found.is_some_and(|one| one.addresses.iter().any(|own| own.address == address))
        };
        // The broadcast address of a network is one on its own interface only.
        let lies_elsewhere = |name: InterfaceName| {
            let found = self.host.interfaces.iter().find(|one| one.name == name);
            let holds = |own: &Network| {
                let mask = prefix_mask(own.prefix);
                own.family == family && number(own.address) & mask == number(address) & mask
            };
            address.0[0] != 255 && !found.is_some_and(|one| one.addresses.iter().any(holds))
        };
        // IPv4 asks the local table alone: 0.0.0.0 is broadcast there, what is not in it unicast.
        let v4 = family == Family::V4;
        match self.networks(family).kind(address) {
            Some(Kind::Unspecified) if v4 => AddressType::Broadcast,
            Some(Kind::Unspecified) => AddressType::Unspec,
            Some(Kind::Broadcast) if interface.is_some_and(lies_elsewhere) => AddressType::Unicast,
            Some(Kind::Broadcast) => AddressType::Broadcast,
            Some(Kind::Multicast) => AddressType::Multicast,
            Some(Kind::Anycast) => AddressType::Anycast,
            Some(Kind::Loopback) if interface.is_none() => {
                match is_last_loopback(family, address) {
                    true => AddressType::Broadcast,
                    false => AddressType::Local,
                }
            }
            Some(Kind::Local) if interface.is_none_or(has) => AddressType::Local,
            Some(Kind::Loopback | Kind::Local | Kind::Unicast(_)) => AddressType::Unicast,
            None if v4 || self.host.forwarding == Forwarding::Wire => AddressType::Unicast,
            None => AddressType::Unreachable,
        }
    }

    /// What an IPv6 address is on one interface: the ways out by others are not there.
    fn address_type_on_v6(&self, address: Address, name: InterfaceName) -> AddressType {
        let at = self.host.interfaces.iter().position(|one| one.name == name);
        let at = at.and_then(|at| u16::try_from(at).ok()).map(InterfaceIndex);
        let interface = at.and_then(|at| self.host.interface(at));
        let holds = |whole: bool| {
            let all = interface.into_iter().flat_map(|one| &one.addresses);
            let mut all = all.filter(|own| own.family == Family::V6);
            all.any(|own| own.address == address || !whole && own.contains(address))
        };
        let on_loopback = interface.is_none() && Some(name) == self.loopback;
        let mut kinds = self.v6.of(address);
        let found = kinds.find_map(|kind| match kind {
            Kind::Multicast => Some(AddressType::Multicast),
            Kind::Local if holds(true) => Some(AddressType::Local),
            Kind::Loopback if on_loopback => Some(AddressType::Local),
            Kind::Anycast if holds(false) => Some(AddressType::Anycast),
            Kind::Unicast(out) if Some(out) == at => Some(AddressType::Unicast),
            Kind::Unspecified
            | Kind::Unicast(_)
            | Kind::Local
            | Kind::Loopback
            | Kind::Anycast
            | Kind::Broadcast => None,
        });
        found.unwrap_or(AddressType::Unreachable)
    }

    /// How an answer to this source would leave; `None` where the host has no routes at all. IPv4 takes
    /// the first of equal routes, IPv6 one by the packet's own interface, link-local sources no other.
    pub(crate) fn reverse_path(
        &self,
        family: Family,
        source: Address,
        interface: InterfaceName,
    ) -> Option<ReversePath> {
        if self.host.forwarding == Forwarding::Wire && self.host.routes.is_empty() {
            return None;
        }
        let at = self.host.interfaces.iter().position(|one| one.name == interface);
        let at = at.and_then(|at| u16::try_from(at).ok()).map(InterfaceIndex);
        let is_here = |out: InterfaceIndex| Some(out) == at;
        let link_local = is_link_local_v6(family, source);
        let to_all = family == Family::V4 && source.v4_octets() == [255; 4];
        let mut found: Option<(u128, ReversePath)> = None;
        for (mask, kind) in self.networks(family).with_masks(source) {
            if let Some((narrowest, _)) = found
                && (mask != narrowest || family == Family::V4)
            {
                break;
            }
            let path = match kind {
                Kind::Unspecified | Kind::Multicast if family == Family::V4 => continue,
                Kind::Broadcast if to_all => continue,
                Kind::Unicast(out) if link_local && !is_here(out) => continue,
                Kind::Unicast(out) => ReversePath::Route { same: is_here(out) },
                Kind::Local => ReversePath::Own { same: self.has_address(at, source) },
                Kind::Loopback if is_last_loopback(family, source) => ReversePath::None,
                Kind::Loopback => ReversePath::Own { same: false },
                Kind::Unspecified | Kind::Multicast | Kind::Anycast | Kind::Broadcast => {
                    ReversePath::None
                }
            };
            let is_better = path == ReversePath::Route { same: true };
            if found.is_none() || is_better {
                found = Some((mask, path));
            }
        }
        Some(found.map_or(ReversePath::None, |(_, path)| path))
    }

    fn has_address(&self, interface: Option<InterfaceIndex>, address: Address) -> bool {
        let interface = interface.and_then(|index| self.host.interface(index));
        interface.is_some_and(|one| one.addresses.iter().any(|own| own.address == address))
    }

    /// The realms of the route to an address.
    pub(crate) fn realm(&self, family: Family, address: Address) -> u32 {
        let link = longest(connected(&self.host, family).map(|(network, _)| network), address);
        let routes = self.host.routes.iter();
        let routes = routes.filter(|route| {
            route.destination.family == family && route.destination.contains(address)
        });
        // Of equal routes the first one declared: `max_by_key` takes the last.
        let best = routes.rev().max_by_key(|route| route.destination.prefix);
        let best = best.filter(|route| Some(route.destination.prefix) > link);
        best.map_or(0, |route| route.realm)
    }

    /// The interface that rules and routes know a port by: its bridge.
    #[inline]
    pub(crate) fn seen_as(&self, interface: InterfaceIndex) -> InterfaceIndex {
        self.host.interface(interface).and_then(|one| one.bridge).unwrap_or(interface)
    }

    /// Where a packet leaves that came in by a port of the bridge which it is to leave by: the other
    /// port, or the bridge itself where there are several. `None` for one that is not bridged.
    pub(crate) fn bridged(
        &self,
        came: InterfaceIndex,
        out: InterfaceIndex,
    ) -> Option<InterfaceIndex> {
        self.host.interface(came)?.bridge.filter(|bridge| *bridge == out)?;
        let ports = self.host.interfaces.iter().zip(0..).map(|(one, at)| (one, InterfaceIndex(at)));
        let mut others = ports.filter(|(one, at)| one.bridge == Some(out) && *at != came);
        match (others.next(), others.next()) {
            (Some((_, port)), None) => Some(port),
            _ => Some(out),
        }
    }

    /// MTU of an interface in bytes.
    pub(crate) fn interface_mtu(&self, interface: InterfaceName) -> Option<u32> {
        self.host.interfaces.iter().find(|one| one.name == interface).map(|one| one.mtu)
    }

    /// MTU in bytes of the way to an address.
    pub(crate) fn route_mtu(&self, family: Family, address: Address) -> Option<u32> {
        if self.is_own(family, address) || self.is_declared_local(family, address) {
            return Some(LOOPBACK_MTU);
        }
        let out = self.route_out(family, address)?;
        self.host.interface(out).map(|one| one.mtu)
    }
}
