//! Where a conversation takes place: who has which address, and where the filter stands.

use super::{Addresses, Conversation, Parties, Scope, Upper, Who};
use keepstate_engine::{
    Host,
    route::{InterfaceIndex, Network, Route},
};
use keepstate_packet::{Address, Family, InterfaceName, LinkInfo};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the filter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the host of one of the peers.
    On(Who),
    /// On a router between them.
    Between,
}

/// The port a client of the conversations connects from.
pub const CLIENT_PORT: u16 = 40_000;
/// The port that FTP's peers announce for the data connection.
pub const DATA_PORT: u16 = 51_210;

/// Everything a conversation needs to be run.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Where the filter stands.
    pub place: Place,
    /// Family of the addresses.
    pub family: Family,
    /// Addresses.
    pub addresses: Addresses,
    /// The host model.
    pub host: Host,
    /// Interface on the side of the packets of interest, then the other one.
    pub interfaces: (String, String),
    /// Who sends the packets of interest.
    pub sender: Who,
    /// On whose side the router of the conversation is.
    pub router_beside: Who,
    /// What the template fills in.
    pub parties: Parties,
    /// Packet mark that the packets of interest carry, when the rule asks for one.
    pub mark: u32,
    /// What the link layer says of the packets of interest.
    pub link: LinkInfo,
    /// Where the client calls the server, when not at its own address and port.
    pub called: Option<(IpAddr, u16)>,
    /// Whose own address nobody beyond the filter can send to: a private one.
    pub hidden: Option<Who>,
    /// Client and server are on one link, and the filter is the router of that link: what they send to
    /// each other's own address does not come past it.
    pub is_together: bool,
    /// Sets that rules ask, as `ipset save` prints them.
    pub sets: String,
}

/// What there is to say of a scene; the rest follows.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Where the filter stands.
    pub place: Place,
    /// Address of the client.
    pub client: IpAddr,
    /// Address of the server.
    pub server: IpAddr,
    /// Interfaces towards the client and towards the server; a host has the first one only.
    pub interfaces: (String, String),
    /// Ports of the client and the server; those of the conversation when `None`.
    pub ports: (Option<u16>, Option<u16>),
    /// The host model, when one is known; otherwise one that has nothing but routes to the two.
    pub host: Option<Host>,
    /// See [`Scene::called`].
    pub called: Option<(IpAddr, u16)>,
    /// See [`Scene::hidden`].
    pub hidden: Option<Who>,
    /// See [`Scene::is_together`].
    pub is_together: bool,
}

impl Spot {
    /// A place with addresses of the documentation ranges: `eth0` towards the client, `eth1` towards the
    /// server; a host has `eth0`.
    #[must_use]
    pub fn new(place: Place, family: Family) -> Self {
        Self {
            place,
            client: example(family, Who::Client),
            server: example(family, Who::Server),
            interfaces: (String::from("eth0"), String::from("eth1")),
            ports: (None, None),
            host: None,
            called: None,
            hidden: None,
            is_together: false,
        }
    }
}

/// The outside address of the gateway of [`Spot::masqueraded`] and its like.
#[must_use]
pub const fn gateway(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xc7, 0, 0, 0, 0, 7)),
    }
}

/// A private address (RFC 1918, RFC 4193) of a host behind the gateway.
const fn private(family: Family, last: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 168, 1, last)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, last as u16)),
    }
}

impl Spot {
    /// A client with a private address behind a gateway that is to hide it: `inside` is the gateway's
    /// interface towards it, `outside` the one towards the server, with the public address
    /// [`gateway`].
    #[must_use]
    pub fn masqueraded(family: Family, inside: &str, outside: &str) -> Option<Self> {
        let client = private(family, 10);
        let server = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xcb, 0, 0, 0, 0, 0x80)),
        };
        Some(Self {
            client,
            server,
            interfaces: (inside.to_string(), outside.to_string()),
            host: Some(gateway_host(family, (inside, 0), outside)?),
            hidden: Some(Who::Client),
            ..Self::new(Place::Between, family)
        })
    }

    /// A server with a private address behind such a gateway, called at the gateway's public address.
    #[must_use]
    pub fn forwarded(family: Family, inside: &str, outside: &str) -> Option<Self> {
        Some(Self {
            server: private(family, 20),
            interfaces: (outside.to_string(), inside.to_string()),
            host: Some(gateway_host(family, (inside, 1), outside)?),
            called: Some((gateway(family), 0)),
            hidden: Some(Who::Server),
            ..Self::new(Place::Between, family)
        })
    }

    /// A client and a server on the same link behind such a gateway, and the client calls the server at
    /// the gateway's public address.
    #[must_use]
    pub fn hairpin(family: Family, inside: &str, outside: &str) -> Option<Self> {
        Some(Self {
            client: private(family, 10),
            server: private(family, 20),
            interfaces: (inside.to_string(), outside.to_string()),
            host: Some(gateway_host(family, (inside, 0), outside)?),
            called: Some((gateway(family), 0)),
            is_together: true,
            ..Self::new(Place::Between, family)
        })
    }
}

/// The gateway: private addresses inside, the public one outside, everything else out there. `at`: the
/// number of the inside interface, 0 or 1.
fn gateway_host(family: Family, inside: (&str, u16), outside: &str) -> Option<Host> {
    let (inside, at) = inside;
    let names = (InterfaceName::new(inside)?, InterfaceName::new(outside)?);
    let (first, second) = if at == 0 { names } else { (names.1, names.0) };
    let mut host = Host::router(first, second).undeclared();
    let prefix = if family == Family::V4 { 24 } else { 64 };
    let network = |address: IpAddr| Network { prefix, ..full(family, address) };
    let out = 1 - at;
    for (interface, index) in host.interfaces.iter_mut().zip(0..) {
        let own = if index == at { private(family, 1) } else { gateway(family) };
        interface.addresses = vec![network(own)];
    }
    let all = Network { family, address: Address::default(), prefix: 0 };
    host.routes = vec![Route::new(all, InterfaceIndex(out))];
    host.answers_tcp = true;
    Some(host)
}

/// An address of the documentation ranges (RFC 5737, RFC 3849).
#[must_use]
pub fn example(family: Family, who: Who) -> IpAddr {
    let (v4, net, last) = match who {
        Who::Client => ([192, 0, 2, 10], 0xc0, 0x10),
        Who::Server => ([198, 51, 100, 20], 0xc6, 0x20),
        Who::Router => ([203, 0, 113, 1], 0xcb, 1),
    };
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(v4)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, last)),
    }
}

impl Scene {
    /// A conversation at a spot; `None` where it is not spoken: another family, a router between those
    /// who can only talk on one link, names that no interface has.
    #[must_use]
    pub fn new(conversation: &Conversation, spot: &Spot) -> Option<Self> {
        if spot.client.is_ipv4() != spot.server.is_ipv4() {
            return None;
        }
        let family = if spot.client.is_ipv4() { Family::V4 } else { Family::V6 };
        let between = spot.place == Place::Between;
        if !conversation.speaks(family) || between && conversation.scope == Scope::Link {
            return None;
        }
        let addresses = Addresses {
            client: spot.client,
            server: spot.server,
            router: example(family, Who::Router),
        };
        let interfaces = spot.interfaces.clone();
        let beside = conversation.router_beside;
        let host = match &spot.host {
            Some(host) => host.clone(),
            None => host(spot.place, family, &addresses, &interfaces, (Who::Client, beside))?,
        };
        Some(Self {
            place: spot.place,
            family,
            addresses,
            host,
            interfaces,
            sender: Who::Client,
            router_beside: beside,
            parties: Parties {
                client_port: spot.ports.0.unwrap_or(CLIENT_PORT),
                server_port: spot.ports.1.unwrap_or(conversation.server_port),
                data_port: DATA_PORT,
                server: spot.server,
                client: spot.client,
                icmp: None,
                flags: None,
                protocol: match conversation.protocol {
                    Some(Upper::Other(number)) => number,
                    _ => conversation.services.first().map_or(47, |service| service.protocol),
                },
            },
            mark: 0,
            link: LinkInfo {
                source: Some([2, 0, 0, 0, 0, 1]),
                destination: Some([2, 0, 0, 0, 0, 2]),
                ..LinkInfo::default()
            },
            called: spot.called,
            hidden: spot.hidden,
            is_together: spot.is_together,
            sets: String::new(),
        })
    }

    /// A router between two peers; `None` when their addresses are of two families.
    #[must_use]
    pub fn between(
        conversation: &Conversation,
        client: IpAddr,
        server: IpAddr,
        ports: (u16, u16),
    ) -> Option<Self> {
        let family = if client.is_ipv4() { Family::V4 } else { Family::V6 };
        let ports = (Some(ports.0), Some(ports.1));
        let spot = Spot { client, server, ports, ..Spot::new(Place::Between, family) };
        Self::new(conversation, &spot)
    }

    /// The interface at which a packet of this sender arrives; `None`: the filter's host sends it.
    #[must_use]
    pub fn arrives_at(&self, from: Who) -> Option<InterfaceIndex> {
        match self.place {
            Place::On(local) if local == from => None,
            Place::On(_) => Some(self.towards(from)),
            Place::Between => Some(self.towards(from)),
        }
    }

    /// The interface towards one of them; of a host its only one.
    #[must_use]
    pub fn towards(&self, who: Who) -> InterfaceIndex {
        let index = |name: &str| {
            let named = |one: &keepstate_engine::Interface| one.name.as_str() == name;
            self.host.interfaces.iter().position(named).and_then(|at| u16::try_from(at).ok())
        };
        let name = match (self.place, self.is_near(who)) {
            (Place::On(_), _) | (_, true) => &self.interfaces.0,
            (Place::Between, false) => &self.interfaces.1,
        };
        InterfaceIndex(index(name).unwrap_or(0))
    }

    /// On which side of a router one of them is.
    #[must_use]
    pub const fn side(&self, who: Who) -> Who {
        match who {
            Who::Server if self.is_together => Who::Client,
            who => side(who, self.router_beside),
        }
    }

    /// Whether this one is on the side from which the packets of interest come.
    fn is_near(&self, who: Who) -> bool {
        self.side(who) == self.side(self.sender)
    }

    /// The scene in words.
    #[must_use]
    pub fn text(&self) -> String {
        let Addresses { client, server, router } = self.addresses;
        let mut who = match self.sender {
            Who::Router => format!("Client {client}, server {server}, a router {router}"),
            Who::Client | Who::Server => format!("Client {client}, server {server}"),
        };
        if let Some((address, port)) = self.called {
            let port = if port == 0 { String::new() } else { format!(", port {port}") };
            who.push_str(&format!(", which is called at {address}{port}"));
        }
        let (near, far) = &self.interfaces;
        match self.place {
            Place::On(local) => {
                format!("{who}. The filter runs on the {} (interface {near}).", local.name())
            }
            Place::Between => {
                let side = if self.is_near(Who::Client) { "client" } else { "server" };
                let other = if side == "client" { "server" } else { "client" };
                format!(
                    "{who}. The filter is a router between them: {near} towards the {side}, {far} \
                     towards the {other}."
                )
            }
        }
    }
}

/// The link-local address (RFC 4291, 2.5.6) of one of those who take part.
pub(super) const fn link_local(who: Who) -> IpAddr {
    let last = match who {
        Who::Client => 0x10,
        Who::Server => 0x20,
        Who::Router => 1,
    };
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last))
}

/// On which side one of them is.
const fn side(who: Who, router_beside: Who) -> Who {
    match who {
        Who::Router => router_beside,
        who => who,
    }
}

/// The smallest host model: routes to all who take part, nothing else known. `sender` sends the packets
/// of interest, which arrive on the first interface.
pub(crate) fn host(
    place: Place,
    family: Family,
    addresses: &Addresses,
    interfaces: &(String, String),
    (sender, router_beside): (Who, Who),
) -> Option<Host> {
    let near = InterfaceName::new(&interfaces.0)?;
    match place {
        Place::On(local) => {
            let mut own = vec![full(family, addresses.of(local))];
            if family == Family::V6 {
                own.push(full(family, link_local(local)));
            }
            Some(Host::endpoint(near, own))
        }
        Place::Between => {
            // Where both are one, the router has another that nobody is behind.
            let is_one = interfaces.0 == interfaces.1;
            let unused = if interfaces.0 == "eth1" { "eth0" } else { "eth1" };
            let far = InterfaceName::new(if is_one { unused } else { &interfaces.1 })?;
            let mut host = Host::router(near, far).undeclared();
            for who in [Who::Client, Who::Server, Who::Router] {
                let is_near = side(who, router_beside) == side(sender, router_beside);
                let interface = InterfaceIndex(u16::from(!is_near && !is_one));
                host.routes.push(Route::new(full(family, addresses.of(who)), interface));
            }
            Some(host)
        }
    }
}

/// One address as a network.
pub(crate) fn full(family: Family, address: IpAddr) -> Network {
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Network { family, address: Address::from(address), prefix }
}
