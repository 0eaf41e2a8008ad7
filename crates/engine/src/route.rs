//! The host model: which interfaces and addresses there are, where packets go.
//!
//! The answers are those of a Linux router with `rp_filter` 0, `accept_local` 0,
//! `accept_source_route` 0, no multicast routing and redirects off.

use crate::cause::Cause;
use alloc::vec::Vec;
use keepstate_packet::{Address, Family, InterfaceName, Parsed};
use keepstate_ruleset::evaluate::{AddressType, AddressTypes};

/// Index into [`Host::interfaces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceIndex(pub u16);

/// An interface of the host.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Name.
    pub name: InterfaceName,
    /// MTU in bytes.
    pub mtu: u32,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<Network>,
}

/// An address and a prefix length in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Family.
    pub family: Family,
    /// Address; bits beyond the prefix are not compared.
    pub address: Address,
    /// Prefix length, 0 to 32 or 128.
    pub prefix: u8,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub destination: Network,
    /// Way out.
    pub interface: InterfaceIndex,
}

/// How packets that are not for the host go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// By the routes; TTL is decremented, martians are dropped, as a Linux router does.
    Router,
    /// A bump in the wire: out of the other one of the first two interfaces, unchanged.
    Wire,
    /// Not at all.
    Off,
}

/// The host that the filter stands on.
#[derive(Clone, Debug)]
pub struct Host {
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// Routes besides those that the addresses of the interfaces imply. The longest prefix wins,
    /// the first among equals.
    pub routes: Vec<Route>,
    /// Forwarding.
    pub forwarding: Forwarding,
    /// Addresses of the host besides those of its interfaces (`--local`).
    pub local: Vec<Network>,
    /// `net.ipv4.ip_default_ttl`, also the hop limit of what the host itself sends; 1 to 255.
    pub default_ttl: u8,
}

/// Where a packet goes after PREROUTING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// To the host itself: INPUT.
    Local,
    /// Out of this interface: FORWARD, or POSTROUTING for what the host itself sends.
    Out(InterfaceIndex),
    /// Nowhere, and nobody is told.
    Dropped(Cause),
    /// Nowhere, and the sender is told that there is no route.
    Unreachable,
}

impl Host {
    /// The fixed router of `replay` and of the comparison with the kernel: `inside` has
    /// 100.127.253.1/30 and fd4d:4154:a::1/64, `outside` has 100.127.254.1/30 and
    /// fd4d:4154:b::1/64 and both default routes; MTU 65521.
    #[must_use]
    pub fn router(inside: InterfaceName, outside: InterfaceName) -> Self {
        let v6 = |subnet: u8| {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&[0xfd, 0x4d, 0x41, 0x54]);
            octets[5] = subnet;
            octets[15] = 1;
            Network { family: Family::V6, address: Address::v6(octets), prefix: 64 }
        };
        let v4 = |net: u8| Network {
            family: Family::V4,
            address: Address::v4([100, 127, net, 1]),
            prefix: 30,
        };
        let interface = |name, net, subnet| Interface {
            name,
            mtu: ROUTER_MTU,
            addresses: Vec::from([v4(net), v6(subnet)]),
        };
        Self {
            interfaces: Vec::from([interface(inside, 253, 0xa), interface(outside, 254, 0xb)]),
            routes: default_routes(InterfaceIndex(1)),
            forwarding: Forwarding::Router,
            local: Vec::new(),
            default_ttl: 64,
        }
    }

    /// A bump in the wire between two interfaces.
    #[must_use]
    pub fn wire(a: InterfaceName, b: InterfaceName) -> Self {
        let interface = |name| Interface { name, mtu: u32::MAX, addresses: Vec::new() };
        Self {
            interfaces: Vec::from([interface(a), interface(b)]),
            routes: Vec::new(),
            forwarding: Forwarding::Wire,
            local: Vec::new(),
            default_ttl: 64,
        }
    }

    /// The host that a capture was taken on: one interface, no forwarding. Packets from the
    /// addresses of `local` are its own (OUTPUT), packets to them, to a broadcast address or to a
    /// group reach it (INPUT).
    #[must_use]
    pub fn endpoint(interface: InterfaceName, local: Vec<Network>) -> Self {
        Self {
            interfaces: Vec::from([Interface {
                name: interface,
                mtu: ROUTER_MTU,
                addresses: Vec::new(),
            }]),
            routes: default_routes(InterfaceIndex(0)),
            forwarding: Forwarding::Off,
            local,
            default_ttl: 64,
        }
    }

    /// The interface of this index.
    #[must_use]
    pub fn interface(&self, index: InterfaceIndex) -> Option<&Interface> {
        self.interfaces.get(usize::from(index.0))
    }
}

/// MTU of [`Host::router`], bytes: the largest that Linux gives a TAP device.
pub const ROUTER_MTU: u32 = 65_521;

fn default_routes(interface: InterfaceIndex) -> Vec<Route> {
    let route = |family| Route {
        destination: Network { family, address: Address::default(), prefix: 0 },
        interface,
    };
    Vec::from([route(Family::V4), route(Family::V6)])
}

/// Where an address lies, as the local and the broadcast routes of a Linux host tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unspecified,
    Loopback,
    Local,
    Broadcast,
    Multicast,
    Unicast,
}

impl Host {
    /// Routes a packet that came in.
    #[must_use]
    pub fn route_in(&self, packet: &Parsed, interface: InterfaceIndex) -> Routed {
        match (self.forwarding, packet.family) {
            (Forwarding::Wire, _) => Routed::Out(InterfaceIndex(u16::from(interface.0 == 0))),
            (Forwarding::Router | Forwarding::Off, Family::V4) => {
                self.route_in_v4(packet, interface)
            }
            (Forwarding::Router | Forwarding::Off, Family::V6) => {
                self.route_in_v6(packet, interface)
            }
        }
    }

    fn route_in_v4(&self, packet: &Parsed, interface: InterfaceIndex) -> Routed {
        const MARTIAN: Routed = Routed::Dropped(Cause::Martian);
        let source = self.kind_v4(packet.source);
        let destination = self.kind_v4(packet.destination);
        let limited_broadcast = packet.destination.v4_octets() == [255; 4];
        let both_unspecified = (source, destination) == (Kind::Unspecified, Kind::Unspecified);
        match source {
            Kind::Multicast | Kind::Loopback | Kind::Local => return MARTIAN,
            Kind::Broadcast if packet.source.v4_octets() == [255; 4] => return MARTIAN,
            // DHCP's discover has no address yet, nor has IGMP's query (RFC 2236, RFC 3376).
            Kind::Unspecified
                if !(limited_broadcast || both_unspecified || destination == Kind::Multicast) =>
            {
                return MARTIAN;
            }
            Kind::Unspecified | Kind::Broadcast | Kind::Unicast => {}
        }
        match destination {
            Kind::Unspecified if !both_unspecified => MARTIAN,
            Kind::Loopback => MARTIAN,
            Kind::Unspecified | Kind::Local | Kind::Broadcast => Routed::Local,
            Kind::Multicast if self.joined_v4(packet.destination) => Routed::Local,
            Kind::Multicast => Routed::Dropped(Cause::NoRoute),
            Kind::Unicast => self.forward(packet, interface),
        }
    }

    fn route_in_v6(&self, packet: &Parsed, interface: InterfaceIndex) -> Routed {
        match self.kind_v6(packet.destination) {
            Kind::Local => Routed::Local,
            Kind::Multicast if self.joined_v6(interface, packet.destination) => Routed::Local,
            Kind::Multicast => Routed::Dropped(Cause::NoRoute),
            Kind::Loopback | Kind::Broadcast => Routed::Dropped(Cause::Martian),
            Kind::Unspecified | Kind::Unicast => self.forward(packet, interface),
        }
    }

    fn forward(&self, packet: &Parsed, interface: InterfaceIndex) -> Routed {
        let out = self.route_out(packet.family, packet.destination);
        let stays_on_link = is_link_local_v6(packet.family, packet.destination);
        match out {
            _ if self.forwarding == Forwarding::Off => Routed::Dropped(Cause::NoRoute),
            Some(out) if !stays_on_link || out == interface => Routed::Out(out),
            Some(_) | None => Routed::Unreachable,
        }
    }

    /// The way out to an address; `None` without a route.
    #[must_use]
    pub fn route_out(&self, family: Family, destination: Address) -> Option<InterfaceIndex> {
        let connected = self.interfaces.iter().zip(0..).flat_map(|(interface, index)| {
            interface.addresses.iter().map(move |network| (*network, InterfaceIndex(index)))
        });
        let declared = self.routes.iter().map(|route| (route.destination, route.interface));
        connected
            .chain(declared)
            .filter(|(network, _)| network.family == family && network.contains(destination))
            .reduce(|best, next| if next.0.prefix > best.0.prefix { next } else { best })
            .map(|(_, interface)| interface)
    }

    /// Whether an address is one of the host's own.
    #[must_use]
    pub fn is_local(&self, family: Family, address: Address) -> bool {
        let own = |network: &Network| network.family == family && network.address == address;
        self.interfaces.iter().any(|interface| interface.addresses.iter().any(own))
            || self.is_declared_local(family, address)
    }

    /// Whether a packet to this address would be for the host: its own, or one that any router of
    /// the subnet answers to.
    pub(crate) fn is_own(&self, family: Family, address: Address) -> bool {
        self.is_local(family, address) || family == Family::V6 && self.is_anycast_v6(address)
    }

    /// The address that the host uses on an interface, or else on any.
    pub(crate) fn address_on(&self, family: Family, interface: InterfaceIndex) -> Option<Address> {
        let there = self.interface(interface).into_iter().flat_map(|found| &found.addresses);
        let anywhere = self.interfaces.iter().flat_map(|found| &found.addresses);
        let declared = self.local.iter();
        let mut candidates = there.chain(anywhere).chain(declared);
        candidates.find(|network| network.family == family).map(|network| network.address)
    }

    /// Whether an address is among those of [`Host::local`].
    #[must_use]
    pub fn is_declared_local(&self, family: Family, address: Address) -> bool {
        self.local.iter().any(|network| network.family == family && network.contains(address))
    }

    /// Whether a packet to this address was meant for one host (no group, no broadcast address).
    pub(crate) fn is_for_one(&self, family: Family, address: Address) -> bool {
        let kind = match family {
            Family::V4 => self.kind_v4(address),
            Family::V6 => self.kind_v6(address),
        };
        !matches!(kind, Kind::Multicast | Kind::Broadcast)
    }

    fn kind_v4(&self, address: Address) -> Kind {
        match address.v4_octets() {
            [0, 0, 0, 0] => Kind::Unspecified,
            [127, ..] => Kind::Loopback,
            [224..=239, ..] => Kind::Multicast,
            [255, 255, 255, 255] => Kind::Broadcast,
            _ if self.is_local(Family::V4, address) => Kind::Local,
            _ if self.is_directed_broadcast(address) => Kind::Broadcast,
            _ => Kind::Unicast,
        }
    }

    fn kind_v6(&self, address: Address) -> Kind {
        let number = u128::from_be_bytes(address.0);
        match number {
            0 => Kind::Unspecified,
            1 => Kind::Loopback,
            _ if address.0[0] == 0xff => Kind::Multicast,
            _ if self.is_local(Family::V6, address) || self.is_anycast_v6(address) => Kind::Local,
            _ => Kind::Unicast,
        }
    }

    /// The last address of a subnet of ours; a /31 and a /32 have none (RFC 3021).
    fn is_directed_broadcast(&self, address: Address) -> bool {
        self.networks(Family::V4).any(|network| {
            network.prefix < 31 && {
                let host = u32::MAX.checked_shr(u32::from(network.prefix)).unwrap_or(0);
                u32::from_be_bytes(network.address.v4_octets()) | host
                    == u32::from_be_bytes(address.v4_octets())
            }
        })
    }

    /// The subnet-router anycast address of a subnet of ours (RFC 4291, 2.6.1): a router's own.
    fn is_anycast_v6(&self, address: Address) -> bool {
        self.forwarding == Forwarding::Router
            && self.networks(Family::V6).any(|network| {
                network.prefix < 127
                    && network.contains(address)
                    && u128::from_be_bytes(address.0) & !prefix_mask(network.prefix) == 0
            })
    }

    fn networks(&self, family: Family) -> impl Iterator<Item = &Network> {
        let all = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        all.filter(move |network| network.family == family)
    }

    /// All hosts on this subnet (RFC 1112). A host that a capture was taken on may have joined any.
    fn joined_v4(&self, group: Address) -> bool {
        self.forwarding == Forwarding::Off || group.v4_octets() == [224, 0, 0, 1]
    }

    /// All nodes, all routers, and the solicited-node groups of the interface's addresses (RFC
    /// 4291, 2.7.1 and 2.8).
    fn joined_v6(&self, interface: InterfaceIndex, group: Address) -> bool {
        const SOLICITED: [u8; 13] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
        const WELL_KNOWN: [(u8, u8); 3] = [(2, 1), (2, 2), (5, 2)];
        let well_known = WELL_KNOWN.iter().any(|(scope, id)| {
            u128::from_be_bytes(group.0) == (0xff00 | u128::from(*scope)) << 112 | u128::from(*id)
        });
        let anycast_too = self.forwarding == Forwarding::Router;
        let addresses = self.interface(interface).map_or(&[][..], |found| &found.addresses);
        let solicited = group.0.starts_with(&SOLICITED)
            && addresses.iter().any(|network| {
                let end = &group.0[13..];
                let anycast = u128::from_be_bytes(network.address.0) & prefix_mask(network.prefix);
                network.family == Family::V6
                    && (network.address.0[13..] == *end
                        || anycast_too && anycast.to_be_bytes()[13..] == *end)
            });
        self.forwarding == Forwarding::Off || well_known || solicited
    }
}

impl Network {
    /// Whether an address of the same family lies in this network.
    #[must_use]
    pub fn contains(&self, address: Address) -> bool {
        let mask = prefix_mask(self.prefix);
        u128::from_be_bytes(self.address.0) & mask == u128::from_be_bytes(address.0) & mask
    }
}

/// The first `prefix` bits; an IPv4 address stands in the first four octets.
fn prefix_mask(prefix: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

/// Whether an address is an IPv6 link-local one.
pub(crate) fn is_link_local_v6(family: Family, address: Address) -> bool {
    family == Family::V6 && address.0[0] == 0xfe && address.0[1] & 0xc0 == 0x80
}

impl AddressTypes for Host {
    fn address_type(
        &self,
        family: Family,
        address: Address,
        interface: Option<InterfaceName>,
    ) -> AddressType {
        let kind = match family {
            Family::V4 => self.kind_v4(address),
            Family::V6 => self.kind_v6(address),
        };
        let has = |name: InterfaceName| {
            let found = self.interfaces.iter().find(|one| one.name == name);
            found.is_some_and(|one| one.addresses.iter().any(|own| own.address == address))
        };
        match kind {
            Kind::Unspecified => AddressType::Unspec,
            Kind::Broadcast => AddressType::Broadcast,
            Kind::Multicast => AddressType::Multicast,
            Kind::Local if family == Family::V6 && self.is_anycast_v6(address) => {
                AddressType::Anycast
            }
            Kind::Loopback if interface.is_none() => AddressType::Local,
            Kind::Local if interface.is_none_or(has) => AddressType::Local,
            Kind::Loopback | Kind::Local | Kind::Unicast => {
                if self.route_out(family, address).is_some() || self.forwarding == Forwarding::Wire
                {
                    AddressType::Unicast
                } else {
                    AddressType::Unreachable
                }
            }
        }
    }
}
