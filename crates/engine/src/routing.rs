//! Where packets go: the host model compiled, so that an address is looked up among the few
//! networks that begin with its first octet.
//!
//! The answers are those of a Linux router with `rp_filter` 0, `accept_local` 0,
//! `accept_source_route` 0, no multicast routing and redirects off.

mod asked;
mod next_hop;

use crate::cause::Cause;
use crate::route::{Forwarding, Host, Interface, InterfaceIndex, Network, Route, Routed};
use alloc::vec::Vec;
use keepstate_conntrack::Ways;
use keepstate_packet::{Address, Family, InterfaceName, Parsed};

/// The number of Linux's loopback interface where the host model does not declare it.
const LOOPBACK: InterfaceIndex = InterfaceIndex(u16::MAX);

/// The host model, compiled.
#[derive(Debug)]
pub(crate) struct Routing {
    host: Host,
    /// The name of the loopback interface.
    loopback: Option<InterfaceName>,
    v4: Networks,
    v6: Networks,
    /// Some IPv4 route has a realm: then Linux looks at every source more closely.
    has_realms: bool,
}

/// See [`Routing::ways`].
#[derive(Debug)]
pub(crate) struct WaysBeside<'a> {
    routing: &'a Routing,
    family: Family,
    out: Option<InterfaceIndex>,
    own: bool,
}

impl Ways for WaysBeside<'_> {
    fn leaves_alike(&self, address: Address) -> bool {
        let (routing, family) = (self.routing, self.family);
        match routing.networks(family).kind(address) {
            // Out of the loopback interface, where what is for the host itself goes.
            Some(Kind::Local | Kind::Anycast | Kind::Loopback) => self.out.is_none(),
            Some(Kind::Unspecified) if family == Family::V4 => self.out.is_none(),
            _ => self.out.is_some() && routing.route_out(family, address) == self.out,
        }
    }

    fn share_next_hop(&self, one: Address, other: Address) -> bool {
        let (routing, family) = (self.routing, self.family);
        match (routing.gateway(family, one), routing.gateway(family, other)) {
            (Some(one), Some(other)) => one == other,
            _ => one == other && routing.networks(family).kind(one).is_some(),
        }
    }

    fn broadcast_prefix(&self, destination: Address) -> Option<u8> {
        let interface = self.routing.host.interface(self.out.filter(|_| self.own)?)?;
        let networks = interface.addresses.iter().filter(|network| network.family == Family::V4);
        let all = |network: &&Network| last_v4(network) == Some(destination);
        networks.clone().find(all).map(|network| network.prefix)
    }
}

/// What a network of addresses is to the host; in the order that decides between equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unspecified,
    Loopback,
    Multicast,
    Local,
    /// The subnet-router anycast address (RFC 4291, 2.6.1): any router's of the subnet.
    Anycast,
    Broadcast,
    /// Somebody else's, and the way there.
    Unicast(InterfaceIndex),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    mask: u128,
    network: u128,
    kind: Kind,
    /// The gateway's place in [`Networks::gateways`], counted from 1; 0 without.
    gateway: u32,
}

/// A network before it is compiled.
#[derive(Clone, Copy, Debug)]
struct Known {
    network: Network,
    kind: Kind,
    gateway: Option<Address>,
}

impl Known {
    const fn new(network: Network, kind: Kind) -> Self {
        Self { network, kind, gateway: None }
    }
}

/// Networks of one family, by the first octet of the addresses in them; longest prefix first.
#[derive(Debug)]
struct Networks {
    entries: Vec<Entry>,
    /// Where the entries of an octet begin; those of the next one begin where they end.
    starts: [u32; 257],
    /// What an address is, by its first octet, where the rest of it does not matter.
    octets: [Octet; 256],
    /// The gateways of routes, each once.
    gateways: Vec<Address>,
}

/// What the first octet of an address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Octet {
    /// All addresses that begin with it are this.
    All(Option<Kind>),
    /// Some are this, some are that.
    Some,
}

impl Networks {
    fn new(mut all: Vec<Known>) -> Self {
        // The sort is stable: of equal routes the first one declared stays first.
        all.sort_by_key(|Known { network, kind, .. }| {
            let rank = if let Kind::Unicast(_) = kind { Kind::Broadcast } else { *kind };
            (core::cmp::Reverse(network.prefix), rank, matches!(kind, Kind::Unicast(_)))
        });
        let mut gateways: Vec<Address> = all.iter().filter_map(|known| known.gateway).collect();
        gateways.sort_unstable();
        gateways.dedup();
        let place = |gateway: Option<Address>| {
            let at = gateways.binary_search(&gateway?).ok()?;
            u32::try_from(at + 1).ok()
        };
        let mut entries = Vec::new();
        let mut starts = [0; 257];
        for (start, octet) in starts.iter_mut().zip(0..=u8::MAX) {
            *start = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let octet = u128::from(octet) << 120;
            let first = u128::from(u8::MAX) << 120;
            entries.extend(all.iter().filter_map(|known| {
                let mask = prefix_mask(known.network.prefix);
                let network = number(known.network.address) & mask;
                ((network ^ octet) & mask & first == 0).then(|| Entry {
                    mask,
                    network,
                    kind: known.kind,
                    gateway: place(known.gateway).unwrap_or(0),
                })
            }));
        }
        starts[256] = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut networks = Self { entries, starts, octets: [Octet::Some; 256], gateways };
        networks.octets = core::array::from_fn(|octet| networks.octet(octet));
        networks
    }

    /// No route makes a group, or what is the host's own loopback, anything else.
    fn octet(&self, octet: usize) -> Octet {
        let is_whole = |entry: &&Entry| entry.mask << 8 == 0;
        let whole = self.beginning_with(octet).iter().find(is_whole).map(|entry| entry.kind);
        if let Some(Kind::Multicast | Kind::Loopback) = whole {
            return Octet::All(whole);
        }
        match self.beginning_with(octet).first() {
            None => Octet::All(None),
            Some(entry) if entry.mask << 8 == 0 => Octet::All(Some(entry.kind)),
            Some(_) => Octet::Some,
        }
    }

    #[inline]
    fn beginning_with(&self, octet: usize) -> &[Entry] {
        let range = match (self.starts.get(octet), self.starts.get(octet + 1)) {
            (Some(start), Some(end)) => *start as usize..*end as usize,
            _ => 0..0,
        };
        self.entries.get(range).unwrap_or(&[])
    }

    /// The networks that hold this address, the narrowest first.
    #[inline]
    fn of(&self, address: Address) -> impl Iterator<Item = Kind> + '_ {
        let entries = self.beginning_with(usize::from(address.0[0])).iter();
        let address = number(address);
        entries.filter(move |entry| address & entry.mask == entry.network).map(|entry| entry.kind)
    }

    /// The same, with their masks.
    fn with_masks(&self, address: Address) -> impl Iterator<Item = (u128, Kind)> + '_ {
        let entries = self.beginning_with(usize::from(address.0[0])).iter();
        let address = number(address);
        let entries = entries.filter(move |entry| address & entry.mask == entry.network);
        entries.map(|entry| (entry.mask, entry.kind))
    }

    #[inline]
    fn kind(&self, address: Address) -> Option<Kind> {
        match self.octets.get(usize::from(address.0[0])) {
            Some(Octet::All(kind)) => *kind,
            Some(Octet::Some) | None => self.of(address).next(),
        }
    }
}

impl Routing {
    pub(crate) fn new(host: Host) -> Self {
        let v4 = Networks::new(networks_v4(&host));
        let v6 = Networks::new(networks_v6(&host));
        let has_realm = |route: &Route| route.destination.family == Family::V4 && route.realm != 0;
        let has_realms = host.routes.iter().any(has_realm);
        Self { host, loopback: InterfaceName::new("lo"), v4, v6, has_realms }
    }

    /// The interface that what the host sends to itself leaves by, and comes back on.
    pub(crate) fn loopback(&self) -> InterfaceIndex {
        let found = self.host.interfaces.iter().position(|one| Some(one.name) == self.loopback);
        found.and_then(|at| u16::try_from(at).ok()).map_or(LOOPBACK, InterfaceIndex)
    }

    /// The name that rules know an interface by.
    #[inline]
    pub(crate) fn name(&self, index: InterfaceIndex) -> Option<&InterfaceName> {
        match self.host.interface(self.seen_as(index)) {
            Some(interface) => Some(&interface.name),
            None if index == LOOPBACK => self.loopback.as_ref(),
            None => None,
        }
    }

    /// The group of an interface; `None` where nobody has said.
    pub(crate) fn group(&self, name: InterfaceName) -> Option<u32> {
        match self.host.interfaces.iter().find(|one| one.name == name) {
            Some(interface) => interface.group,
            None => (self.host.is_declared && Some(name) == self.loopback).then_some(0),
        }
    }

    pub(crate) const fn host(&self) -> &Host {
        &self.host
    }

    /// Adds an interface.
    pub(crate) fn declare(&mut self, interface: Interface) {
        let mut host = self.host.clone();
        host.interfaces.push(interface);
        *self = Self::new(host);
    }

    const fn networks(&self, family: Family) -> &Networks {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// Routes a packet that came in.
    #[inline]
    pub(crate) fn route_in(&self, packet: &Parsed, interface: InterfaceIndex) -> Routed {
        if packet.family == Family::V4 && self.host.forwarding == Forwarding::Router {
            let source = self.v4.kind(packet.source);
            let destination = self.v4.kind(packet.destination);
            if let (Some(Kind::Unicast(_)) | None, Some(Kind::Unicast(out))) = (source, destination)
            {
                return Routed::Out(out);
            }
        }
        self.route_in_special(packet, interface)
    }

    /// Whether a packet that came in is for the host itself.
    pub(crate) fn is_for_host(&self, packet: &Parsed, interface: InterfaceIndex) -> bool {
        self.route_in_special(packet, interface) == Routed::Local
    }

    /// Routes any packet, also one that is not simply one host's to another over IPv4.
    #[inline(never)]
    fn route_in_special(&self, packet: &Parsed, interface: InterfaceIndex) -> Routed {
        match (self.host.forwarding, packet.family) {
            (Forwarding::Wire, _) => Routed::Out(InterfaceIndex(u16::from(interface.0 == 0))),
            (Forwarding::Router | Forwarding::Off, Family::V4) => self.route_in_v4(packet),
            (Forwarding::Router | Forwarding::Off, Family::V6) => {
                self.route_in_v6(packet, interface)
            }
        }
    }

    fn route_in_v4(&self, packet: &Parsed) -> Routed {
        const MARTIAN: Routed = Routed::Dropped(Cause::Martian);
        const LIMITED_BROADCAST: [u8; 4] = [255; 4];
        const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
        let source = self.v4.kind(packet.source);
        let destination = self.v4.kind(packet.destination);
        let to_limited_broadcast = packet.destination.v4_octets() == LIMITED_BROADCAST;
        let to_unspecified = destination == Some(Kind::Unspecified);
        match source {
            // What is for all on the link may come from any address of loopback but its own.
            Some(Kind::Loopback)
                if to_limited_broadcast
                    && !self.has_realms
                    && packet.source.v4_octets() != LOOPBACK => {}
            Some(Kind::Multicast | Kind::Loopback | Kind::Local) => return MARTIAN,
            Some(Kind::Broadcast)
                if self.has_realms || packet.source.v4_octets() == LIMITED_BROADCAST =>
            {
                return MARTIAN;
            }
            // DHCP's discover has no address yet, nor has IGMP's query (RFC 2131, RFC 3376).
            Some(Kind::Unspecified)
                if !to_limited_broadcast
                    && !to_unspecified
                    && destination != Some(Kind::Multicast) =>
            {
                return MARTIAN;
            }
            Some(Kind::Unspecified | Kind::Broadcast | Kind::Unicast(_) | Kind::Anycast) | None => {
            }
        }
        match destination {
            Some(Kind::Unspecified) if source != Some(Kind::Unspecified) => MARTIAN,
            Some(Kind::Loopback) => MARTIAN,
            Some(Kind::Unspecified | Kind::Local | Kind::Broadcast | Kind::Anycast) => {
                Routed::Local
            }
            Some(Kind::Multicast) if self.joined_v4(packet.destination) => Routed::Local,
            Some(Kind::Multicast) => Routed::Dropped(Cause::NoRoute),
            Some(Kind::Unicast(out)) => self.pass_on(out),
            None => self.nowhere(),
        }
    }

    #[inline]
    fn route_in_v6(&self, packet: &Parsed, interface: InterfaceIndex) -> Routed {
        match self.v6.kind(packet.destination) {
            Some(Kind::Local | Kind::Anycast) => Routed::Local,
            Some(Kind::Multicast) if self.joined_v6(interface, packet.destination) => Routed::Local,
            Some(Kind::Multicast) => Routed::Dropped(Cause::NoRoute),
            // An address of the link is looked for on the link alone that the packet came on.
            Some(Kind::Unicast(_)) if is_link_local_v6(Family::V6, packet.destination) => {
                let is_here = |kind| kind == Kind::Unicast(interface);
                let found = self.v6.of(packet.destination).any(is_here);
                if found { self.pass_on(interface) } else { self.nowhere() }
            }
            Some(Kind::Unicast(out)) => self.pass_on(out),
            Some(Kind::Unspecified) => match self.route_out(Family::V6, packet.destination) {
                Some(out) => self.pass_on(out),
                None => self.nowhere(),
            },
            // What comes with such a destination is dropped before: it was translated to that, and leaves
            // where it came, if there is a way. What the host sends to itself has come to its end.
            Some(Kind::Loopback) if interface == self.loopback() => Routed::Local,
            Some(Kind::Loopback) => match self.route_out(Family::V6, packet.destination) {
                Some(out) if out == interface => self.pass_on(out),
                _ => self.nowhere(),
            },
            Some(Kind::Broadcast) | None => self.nowhere(),
        }
    }

    #[inline]
    fn pass_on(&self, out: InterfaceIndex) -> Routed {
        match self.host.forwarding {
            Forwarding::Off => Routed::Dropped(Cause::NoRoute),
            Forwarding::Router | Forwarding::Wire => Routed::Out(out),
        }
    }

    fn nowhere(&self) -> Routed {
        match self.host.forwarding {
            Forwarding::Off => Routed::Dropped(Cause::NoRoute),
            Forwarding::Router | Forwarding::Wire => Routed::Unreachable,
        }
    }

    /// The way out to an address; `None` without a route.
    pub(crate) fn route_out(&self, family: Family, destination: Address) -> Option<InterfaceIndex> {
        self.networks(family).of(destination).find_map(|kind| match kind {
            Kind::Unicast(out) => Some(out),
            Kind::Unspecified
            | Kind::Loopback
            | Kind::Multicast
            | Kind::Local
            | Kind::Anycast
            | Kind::Broadcast => None,
        })
    }

    /// The way to the gateway that an address is reached by; `None` for one that is its own next hop
    /// or nowhere. Each interface counts as leading to one gateway.
    fn gateway(&self, family: Family, address: Address) -> Option<InterfaceIndex> {
        let Some(Kind::Unicast(out)) = self.networks(family).kind(address) else { return None };
        let host = &self.host;
        let link = connected(host, family).map(|(network, _)| network);
        let routes = host.routes.iter().map(|route| route.destination);
        let routes = routes.filter(|network| network.family == family);
        let is_routed = longest(routes, address) > longest(link, address);
        is_routed.then_some(out)
    }

    /// The ways of other packets, beside that of one which leaves on `out`; `None` for one that is
    /// for the host itself. `own`: the host itself sends that one.
    pub(crate) const fn ways(
        &self,
        family: Family,
        out: Option<InterfaceIndex>,
        own: bool,
    ) -> WaysBeside<'_> {
        WaysBeside { routing: self, family, out, own }
    }

    /// Whether a packet to this address is one for all hosts on a network.
    pub(crate) fn is_broadcast(&self, family: Family, address: Address) -> bool {
        self.networks(family).kind(address) == Some(Kind::Broadcast)
    }

    /// Whether an address is one of the host's own.
    pub(crate) fn is_local(&self, family: Family, address: Address) -> bool {
        self.networks(family).kind(address) == Some(Kind::Local)
    }

    /// Whether a packet to this address would be for the host: its own, or one that any router of
    /// the subnet answers to.
    pub(crate) fn is_own(&self, family: Family, address: Address) -> bool {
        matches!(self.networks(family).kind(address), Some(Kind::Local | Kind::Anycast))
    }

    /// Whether what the host sends to an address comes in on its loopback interface.
    pub(crate) fn comes_back(&self, family: Family, address: Address) -> bool {
        let to_nobody = family == Family::V4 && address == Address::v4([0; 4]);
        let kind = self.networks(family).kind(address);
        to_nobody || matches!(kind, Some(Kind::Local | Kind::Anycast | Kind::Loopback))
    }

    /// Whether an address is among those of [`Host::local`].
    #[inline]
    pub(crate) fn is_declared_local(&self, family: Family, address: Address) -> bool {
        let mut local = self.host.local.iter();
        local.any(|network| network.family == family && network.contains(address))
    }

    /// Whether an address means one host: no group, no broadcast address, not 0.0.0.0.
    pub(crate) fn is_for_one(&self, family: Family, address: Address) -> bool {
        let to_all = family == Family::V4 && address == Address::v4([0; 4]);
        let kind = self.networks(family).kind(address);
        !to_all && !matches!(kind, Some(Kind::Multicast | Kind::Broadcast))
    }

    /// Whether an IPv4 address is one of the host's own, a group, a broadcast address, of loopback
    /// or none at all: no other host would have it.
    pub(crate) fn stamps(&self, address: [u8; 4]) -> bool {
        let kind = self.networks(Family::V4).kind(Address::v4(address));
        matches!(address, [0, 0, 0, 0] | [127, ..])
            || matches!(kind, Some(Kind::Local | Kind::Multicast | Kind::Broadcast))
    }

    /// The time to live of what the host sends: a group is told no further than one link away
    /// (RFC 1112, 6.1).
    pub(crate) fn ttl_v4(&self, destination: Address) -> u8 {
        let to_group = self.v4.kind(destination) == Some(Kind::Multicast);
        if to_group { 1 } else { self.host.default_ttl }
    }

    /// Whether what the host sends to an IPv4 address comes back to it: loopback's, or none at all.
    pub(crate) fn is_loopback(&self, address: Address) -> bool {
        matches!(self.v4.kind(address), Some(Kind::Loopback | Kind::Unspecified))
    }

    /// The address that the host uses on an interface, or else on any.
    pub(crate) fn address_on(&self, family: Family, interface: InterfaceIndex) -> Option<Address> {
        let host = &self.host;
        let there = host.interface(interface).into_iter().flat_map(|found| &found.addresses);
        let anywhere = host.interfaces.iter().flat_map(|found| &found.addresses);
        let mut candidates = there.chain(anywhere).chain(&host.local);
        candidates.find(|network| network.family == family).map(|network| network.address)
    }

    /// The address that the host speaks from on an interface to an address: one of the same network
    /// before others. Over IPv6 one of the same scope, and then the one with the longest prefix in common
    /// (RFC 6724, 5).
    pub(crate) fn address_towards(
        &self,
        family: Family,
        interface: InterfaceIndex,
        to: Address,
    ) -> Option<Address> {
        if family == Family::V6 && self.comes_back(family, to) {
            // It speaks to itself (RFC 6724, 5, rule 1).
            return Some(to);
        }
        let there = self.host.interface(interface).into_iter().flat_map(|one| &one.addresses);
        let mut there = there.filter(|network| network.family == family);
        let found = match family {
            Family::V4 => {
                let near = there.clone().find(|network| network.contains(to));
                near.or_else(|| there.next())
            }
            Family::V6 => {
                let same_scope = |one: &Network| {
                    is_link_local_v6(family, one.address) == is_link_local_v6(family, to)
                };
                let common = |one: &Network| (number(one.address) ^ number(to)).leading_zeros();
                let all: Vec<&Network> = there.collect();
                // Of equals the first: `max_by_key` takes the last.
                all.into_iter().rev().max_by_key(|one| (same_scope(one), common(one)))
            }
        };
        found.map(|network| network.address).or_else(|| self.address_on(family, interface))
    }

    /// The first address of an interface; for a link-local destination the first of those. A loopback interface
    /// that the host does not list has the usual one.
    pub(crate) fn first_address(
        &self,
        family: Family,
        interface: InterfaceIndex,
        to: Address,
    ) -> Option<Address> {
        let listed = self.host.interface(self.seen_as(interface));
        if listed.is_none() && interface == LOOPBACK {
            return Some(match family {
                Family::V4 => Address::v4([127, 0, 0, 1]),
                Family::V6 => Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            });
        }
        let interface = listed?;
        let near = is_link_local_v6(family, to);
        let fits = |one: &&Network| {
            one.family == family && (!near || is_link_local_v6(family, one.address))
        };
        interface.addresses.iter().find(fits).map(|network| network.address)
    }

    /// All hosts on this subnet (RFC 1112). A host that a capture was taken on may have joined any.
    fn joined_v4(&self, group: Address) -> bool {
        self.host.forwarding == Forwarding::Off || group.v4_octets() == [224, 0, 0, 1]
    }

    /// All nodes, all routers, and the solicited-node groups of the interface's addresses (RFC
    /// 4291, 2.7.1 and 2.8).
    fn joined_v6(&self, interface: InterfaceIndex, group: Address) -> bool {
        const SOLICITED: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
        const SOLICITED_MASK: u128 = !0x00ff_ffff;
        const WELL_KNOWN: [u128; 3] = [0xff02 << 112 | 1, 0xff02 << 112 | 2, 0xff05 << 112 | 2];
        let group = number(group);
        let addresses = self.host.interface(interface).map_or(&[][..], |found| &found.addresses);
        let mut addresses = addresses.iter().filter(|network| network.family == Family::V6);
        let is_router = self.host.forwarding == Forwarding::Router;
        let solicited = |network: &Network| {
            let own = number(network.address);
            let anycast = own & prefix_mask(network.prefix);
            let end = |address: u128| address & !SOLICITED_MASK;
            end(own) == end(group) || is_router && end(anycast) == end(group)
        };
        self.host.forwarding == Forwarding::Off
            || WELL_KNOWN.contains(&group)
            || group & SOLICITED_MASK == SOLICITED && addresses.any(solicited)
    }
}

fn networks_v4(host: &Host) -> Vec<Known> {
    let network = |octets: [u8; 4], prefix| Network {
        family: Family::V4,
        address: Address::v4(octets),
        prefix,
    };
    let mut all = Vec::from([
        Known::new(network([0; 4], 32), Kind::Unspecified),
        Known::new(network([127, 0, 0, 0], 8), Kind::Loopback),
        Known::new(network([224, 0, 0, 0], 4), Kind::Multicast),
        Known::new(network([255; 4], 32), Kind::Broadcast),
    ]);
    for (connected, _) in connected(host, Family::V4) {
        if let Some(last) = last_v4(&connected) {
            all.push(Known::new(network(last.v4_octets(), 32), Kind::Broadcast));
        }
    }
    all.extend(own_and_routes(host, Family::V4));
    all
}

/// The broadcast address of an IPv4 network; a /31 and a /32 have none (RFC 3021).
fn last_v4(network: &Network) -> Option<Address> {
    let last = number(network.address) | !prefix_mask(network.prefix);
    let octets = Address::v6(last.to_be_bytes()).v4_octets();
    (network.prefix < 31).then(|| Address::v4(octets))
}

fn networks_v6(host: &Host) -> Vec<Known> {
    let network =
        |bits: u128, prefix| Network { family: Family::V6, address: address(bits), prefix };
    let mut all = Vec::from([
        Known::new(network(0, 128), Kind::Unspecified),
        Known::new(network(1, 128), Kind::Loopback),
        Known::new(network(0xff << 120, 8), Kind::Multicast),
    ]);
    if host.forwarding == Forwarding::Router {
        for (connected, _) in connected(host, Family::V6).filter(|(one, _)| one.prefix < 127) {
            let anycast = number(connected.address) & prefix_mask(connected.prefix);
            all.push(Known::new(network(anycast, 128), Kind::Anycast));
        }
    }
    all.extend(own_and_routes(host, Family::V6));
    all
}

fn connected(host: &Host, family: Family) -> impl Iterator<Item = (Network, InterfaceIndex)> + '_ {
    let all = host.interfaces.iter().zip(0..).flat_map(|(interface, index)| {
        interface.addresses.iter().map(move |network| (*network, InterfaceIndex(index)))
    });
    all.filter(move |(network, _)| network.family == family)
}

/// The longest prefix of the networks that an address lies in.
fn longest(networks: impl Iterator<Item = Network>, address: Address) -> Option<u8> {
    networks.filter(|network| network.contains(address)).map(|network| network.prefix).max()
}

fn own_and_routes(host: &Host, family: Family) -> impl Iterator<Item = Known> + '_ {
    let whole = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    let own = connected(host, family)
        .map(move |(network, _)| Known::new(Network { prefix: whole, ..network }, Kind::Local));
    let declared = host.local.iter().map(|network| Known::new(*network, Kind::Local));
    let links =
        connected(host, family).map(|(network, out)| Known::new(network, Kind::Unicast(out)));
    let routes = host.routes.iter().map(|one| Known {
        gateway: one.gateway,
        ..Known::new(one.destination, Kind::Unicast(one.interface))
    });
    own.chain(declared)
        .chain(links)
        .chain(routes)
        .filter(move |known| known.network.family == family)
}

/// The first `prefix` bits; an IPv4 address stands in the first four octets.
pub(crate) fn prefix_mask(prefix: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

const fn number(address: Address) -> u128 {
    u128::from_be_bytes(address.0)
}

const fn address(number: u128) -> Address {
    Address::v6(number.to_be_bytes())
}

/// Whether an address is the last of 127/8: the broadcast address of that network, as of any other.
fn is_last_loopback(family: Family, address: Address) -> bool {
    family == Family::V4 && address.v4_octets() == [127, 255, 255, 255]
}

/// Whether an address is an IPv6 link-local one.
pub(crate) fn is_link_local_v6(family: Family, address: Address) -> bool {
    family == Family::V6 && address.0[0] == 0xfe && address.0[1] & 0xc0 == 0x80
}
