//! The host model: which interfaces and addresses there are, where packets go.

use crate::cause::Cause;
use crate::routing::prefix_mask;
use alloc::vec::Vec;
use keepstate_packet::{Address, Family, InterfaceName};

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

impl Network {
    /// Whether an address of the same family lies in this network.
    #[must_use]
    pub fn contains(&self, address: Address) -> bool {
        let mask = prefix_mask(self.prefix);
        u128::from_be_bytes(self.address.0) & mask == u128::from_be_bytes(address.0) & mask
    }
}
