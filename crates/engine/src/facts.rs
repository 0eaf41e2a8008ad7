//! What rules learn of the host at one hook of one packet's way: the host model's answers, and
//! "unknown" where it declares nothing.

use crate::route::{Forwarding, InterfaceIndex, IpsecPolicy};
use crate::routing::Routing;
use keepstate_conntrack::Hook;
use keepstate_packet::{Address, Family, InterfaceName, Parsed};
use keepstate_ruleset::evaluate::{
    AddressType, BridgePorts, Ends, HostFacts, PolicyDirection, PortOut, ReversePath, Sender,
    Socket, Transformation,
};

/// What the host has made in answer to a packet, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A TCP reset: of no socket.
    Reset,
    /// An ICMP error: of a socket that the kernel keeps for them.
    Error,
}

/// The host as rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'w> {
    pub(crate) routing: &'w Routing,
    pub(crate) hook: Hook,
    /// Where the packet came in, a port if that is one of a bridge; `None`: the host sends it.
    pub(crate) came: Option<InterfaceIndex>,
    /// Where it leaves, once routed.
    pub(crate) out: Option<InterfaceIndex>,
    /// It is an answer that the host has made.
    pub(crate) made: Option<Made>,
}

impl Facts<'_> {
    fn is_declared(&self) -> bool {
        self.routing.host().is_declared
    }

    fn name(&self, index: InterfaceIndex) -> Option<InterfaceName> {
        self.routing.host().interface(index).map(|interface| interface.name)
    }

    /// The port that a packet leaves by, which came in by another port of this bridge.
    fn port_out(&self, came: InterfaceIndex, bridge: InterfaceIndex) -> PortOut {
        let (host, passes) =
            (self.routing.host(), matches!(self.hook, Hook::Forward | Hook::Postrouting));
        let Some(out) = self.out.filter(|_| passes) else { return PortOut::None };
        if host.forwarding == Forwarding::Wire {
            return self.name(out).map_or(PortOut::None, PortOut::Port);
        }
        match self.routing.bridged(came, out) {
            Some(port) if port != bridge => self.name(port).map_or(PortOut::None, PortOut::Port),
            Some(_) => PortOut::Several,
            None => PortOut::None,
        }
    }
}

impl HostFacts for Facts<'_> {
    fn address_type(
        &self,
        family: Family,
        address: Address,
        interface: Option<InterfaceName>,
    ) -> AddressType {
        self.routing.address_type(family, address, interface)
    }

    fn reverse_path(
        &self,
        family: Family,
        source: Address,
        interface: InterfaceName,
    ) -> Option<ReversePath> {
        self.routing.reverse_path(family, source, interface)
    }

    fn interface_mtu(&self, interface: InterfaceName) -> Option<u32> {
        self.routing.interface_mtu(interface)
    }

    fn route_mtu(&self, family: Family, address: Address) -> Option<u32> {
        self.routing.route_mtu(family, address)
    }

    fn interface_group(&self, interface: InterfaceName) -> Option<u32> {
        self.routing.group(interface)
    }

    fn bridge_ports(&self) -> Option<BridgePorts> {
        let host = self.routing.host();
        let port = self.came.and_then(|came| {
            let bridge = host.interface(came)?.bridge?;
            Some((came, bridge))
        });
        let ports = match port {
            Some((came, bridge)) => {
                BridgePorts { input: self.name(came), output: self.port_out(came, bridge) }
            }
            // What a wire between two interfaces is, only a bridge could be.
            None if !self.is_declared() || host.forwarding == Forwarding::Wire => return None,
            None => BridgePorts { input: None, output: PortOut::None },
        };
        Some(ports)
    }

    fn sender(&self, packet: &Parsed) -> Option<Sender<'_>> {
        const IGMP: u8 = 2;
        match (self.came, self.made) {
            (Some(_), _) | (None, Some(Made::Reset)) => return Some(Sender::Nobody),
            (None, Some(Made::Error)) => return Some(Sender::Kernel),
            (None, None) => {}
        }
        let host = self.routing.host();
        match best(&host.sockets, &Ends::of_sent(packet)) {
            Some(socket) => Some(Sender::Socket(socket)),
            None if packet.family == Family::V4 && packet.protocol == IGMP => Some(Sender::Nobody),
            None => host.all_sockets.then_some(Sender::Kernel),
        }
    }

    fn receiver(&self, ends: &Ends) -> Option<Option<&Socket>> {
        let host = self.routing.host();
        let found = best(&host.sockets, ends);
        // One that is not declared may fit better, unless this one is connected.
        let is_certain = host.all_sockets || found.is_some_and(Socket::is_connected);
        is_certain.then_some(found)
    }

    fn policy(&self, direction: PolicyDirection, packet: &Parsed) -> Option<&[Transformation]> {
        let policies = &self.routing.host().policies;
        let applies =
            |policy: &&IpsecPolicy| policy.direction == direction && policy.selects(packet);
        let found = policies.iter().find(applies).map(|policy| &*policy.transformations);
        found.or(self.is_declared().then_some(&[]))
    }

    fn realm(&self, hook: Hook, packet: &Parsed) -> Option<u32> {
        if !self.is_declared() {
            return None;
        }
        let to = self.routing.realm(packet.family, packet.destination);
        let from = self.routing.realm(packet.family, packet.source) & 0xffff;
        Some(match (hook, self.came) {
            (Hook::Input, _) => from << 16,
            (_, Some(_)) if to >> 16 == 0 => from << 16 | to,
            _ => to,
        })
    }

    fn masquerade(&self, packet: &Parsed) -> Option<(Address, u16)> {
        let out = self.out?;
        let address = self.routing.address_towards(packet.family, out, packet.destination)?;
        Some((address, out.0))
    }

    fn own_address(&self, packet: &Parsed) -> Option<Address> {
        self.routing.first_address(packet.family, self.came?, packet.destination)
    }

    fn is_balanced(&self) -> Option<bool> {
        self.is_declared().then_some(false)
    }

    fn listens(&self, queue: u16) -> bool {
        self.routing.host().queues.contains(&queue)
    }

    fn cpu(&self) -> Option<u32> {
        self.routing.host().cpu
    }

    fn minutes_west(&self) -> Option<i32> {
        self.routing.host().minutes_west
    }
}

/// The socket that packets between these ends are of: one that is connected before one that waits,
/// one at this address before one at any.
fn best<'s>(sockets: &'s [Socket], ends: &Ends) -> Option<&'s Socket> {
    let fit = |socket: &&Socket| {
        (socket.is_connected(), socket.local.address.is_some(), socket.local.port.is_some())
    };
    // Of equals the first one declared: `max_by_key` takes the last.
    sockets.iter().rev().filter(|socket| socket.holds(ends)).max_by_key(fit)
}
