//! The host model: which interfaces and addresses there are, where packets go.

use crate::cause::Cause;
use crate::routing::prefix_mask;
use alloc::vec::Vec;
use keepstate_packet::{Address, Family, InterfaceName, Parsed};
use keepstate_ruleset::evaluate::{PolicyDirection, Socket, Transformation};

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
    /// The group it is in (`ip link set group`); `None` where nobody has said.
    pub group: Option<u32>,
    /// The bridge whose port it is.
    pub bridge: Option<InterfaceIndex>,
}

impl Interface {
    /// An interface without addresses of which nothing else is known.
    #[must_use]
    pub const fn new(name: InterfaceName, mtu: u32) -> Self {
        Self { name, mtu, addresses: Vec::new(), group: None, bridge: None }
    }
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
    /// The router on that link that passes packets on; `None` where they are for the link itself.
    pub gateway: Option<Address>,
    /// Its realms (IPv4): of what comes from there in the upper 16 bits, of what goes there in the
    /// lower ones; 0 for none.
    pub realm: u32,
}

impl Route {
    /// A route without gateway and realms.
    #[must_use]
    pub const fn new(destination: Network, interface: InterfaceIndex) -> Self {
        Self { destination, interface, gateway: None, realm: 0 }
    }
}

/// What IPsec does to packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsecPolicy {
    /// To those that come in (or are forwarded), or to those that leave.
    pub direction: PolicyDirection,
    /// From here; any address when `None`.
    pub source: Option<Network>,
    /// To here; any address when `None`.
    pub destination: Option<Network>,
    /// Of this IP protocol; any when `None`.
    pub protocol: Option<u8>,
    /// What is done to them, innermost first: in the order in which it is done to what leaves.
    pub transformations: Vec<Transformation>,
}

impl IpsecPolicy {
    /// Whether it is about this packet.
    #[must_use]
    pub fn selects(&self, packet: &Parsed) -> bool {
        let lies = |network: &Option<Network>, address| {
            network.is_none_or(|one| one.family == packet.family && one.contains(address))
        };
        lies(&self.source, packet.source)
            && lies(&self.destination, packet.destination)
            && self.protocol.is_none_or(|protocol| protocol == packet.protocol)
    }
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
    /// What no capture carries is said as well: groups of interfaces, bridges, realms, IPsec policies;
    /// what is not declared of these is not there. Otherwise it is unknown.
    pub is_declared: bool,
    /// Sockets that programs have open.
    pub sockets: Vec<Socket>,
    /// There are no others; otherwise whose a packet is that belongs to none of them is unknown.
    pub all_sockets: bool,
    /// IPsec policies, the first that selects a packet decides.
    pub policies: Vec<IpsecPolicy>,
    /// Queues that a program listens to (`NFQUEUE`); what it would answer is not asked.
    pub queues: Vec<u16>,
    /// It answers echo requests to its addresses that INPUT lets through (RFC 792, RFC 4443).
    pub answers_echo: bool,
    /// Its own TCP answers segments that INPUT lets through and none of [`Self::sockets`] takes, as a closed
    /// port does: with a reset (RFC 9293, 3.10.7.1).
    pub answers_tcp: bool,
    /// The processor that works on all packets; unknown when `None`.
    pub cpu: Option<u32>,
    /// The time zone that the kernel keeps, in minutes west of Greenwich; unknown when `None`.
    pub minutes_west: Option<i32>,
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
    /// A host with these interfaces and nothing else, of which nothing else is known.
    #[must_use]
    pub const fn new(interfaces: Vec<Interface>, forwarding: Forwarding) -> Self {
        Self {
            interfaces,
            routes: Vec::new(),
            forwarding,
            local: Vec::new(),
            default_ttl: 64,
            is_declared: false,
            sockets: Vec::new(),
            all_sockets: false,
            policies: Vec::new(),
            queues: Vec::new(),
            answers_echo: false,
            answers_tcp: false,
            cpu: None,
            minutes_west: None,
        }
    }

    /// The fixed router of `replay` and of the comparison with the kernel: `inside` has
    /// 100.127.253.1/30 and fd4d:4154:a::1/64, `outside` has 100.127.254.1/30 and
    /// fd4d:4154:b::1/64 and both default routes; MTU 65521. It has no programs, no IPsec, and no
    /// groups of interfaces.
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
            addresses: Vec::from([v4(net), v6(subnet)]),
            group: Some(0),
            ..Interface::new(name, ROUTER_MTU)
        };
        Self {
            routes: default_routes(InterfaceIndex(1)),
            is_declared: true,
            all_sockets: true,
            ..Self::new(
                Vec::from([interface(inside, 253, 0xa), interface(outside, 254, 0xb)]),
                Forwarding::Router,
            )
        }
    }

    /// A bump in the wire between two interfaces.
    #[must_use]
    pub fn wire(a: InterfaceName, b: InterfaceName) -> Self {
        let interfaces = [a, b].map(|name| Interface::new(name, u32::MAX));
        Self::new(Vec::from(interfaces), Forwarding::Wire)
    }

    /// The host that a capture was taken on: one interface, no forwarding. Packets from the
    /// addresses of `local` are its own (OUTPUT), packets to them, to a broadcast address or to a
    /// group reach it (INPUT).
    #[must_use]
    pub fn endpoint(interface: InterfaceName, local: Vec<Network>) -> Self {
        Self {
            routes: default_routes(InterfaceIndex(0)),
            local,
            ..Self::new(Vec::from([Interface::new(interface, ROUTER_MTU)]), Forwarding::Off)
        }
    }

    /// The same host, of which nobody has said what no capture carries.
    #[must_use]
    pub fn undeclared(mut self) -> Self {
        (self.is_declared, self.all_sockets) = (false, false);
        self.interfaces.iter_mut().for_each(|interface| interface.group = None);
        self
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
    let route =
        |family| Route::new(Network { family, address: Address::default(), prefix: 0 }, interface);
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
