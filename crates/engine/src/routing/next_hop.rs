//! Who on a link a packet is handed to.

use super::{Kind, Networks, Routing, is_link_local_v6, number, prefix_mask};
use crate::route::InterfaceIndex;
use keepstate_packet::{Address, Family};

impl Routing {
    /// The neighbour on the link of `out` that a packet to this address goes to: the gateway of the
    /// route by that interface, or the address itself. Groups, broadcast and link-local addresses are
    /// themselves.
    pub(crate) fn next_hop(
        &self,
        family: Family,
        out: InterfaceIndex,
        destination: Address,
    ) -> Address {
        if is_link_local_v6(family, destination) {
            return destination;
        }
        let networks = self.networks(family);
        networks.gateway(out, destination).unwrap_or(destination)
    }

    /// Whether an address is one host's on the link of `out`.
    pub(crate) fn is_on_link(&self, family: Family, out: InterfaceIndex, address: Address) -> bool {
        match self.networks(family).kind(address) {
            Some(Kind::Unicast(_)) | None if is_link_local_v6(family, address) => true,
            Some(Kind::Unicast(_)) => {
                self.route_out(family, address) == Some(out)
                    && self.next_hop(family, out, address) == address
            }
            _ => false,
        }
    }

    /// Whether an IPv6 address means any router of a subnet on the link of `out` (RFC 4291, 2.6.1).
    pub(crate) fn is_subnet_router(&self, out: InterfaceIndex, address: Address) -> bool {
        let addresses = self.host.interface(out).map_or(&[][..], |one| &one.addresses);
        let mut networks = addresses.iter().filter(|network| network.family == Family::V6);
        self.v6.kind(address) == Some(Kind::Anycast)
            && networks.any(|network| {
                number(network.address) & prefix_mask(network.prefix) == number(address)
            })
    }
}

impl Networks {
    fn gateway(&self, out: InterfaceIndex, destination: Address) -> Option<Address> {
        let address = number(destination);
        let entries = self.beginning_with(usize::from(destination.0[0])).iter();
        let mut entries = entries.filter(|entry| address & entry.mask == entry.network);
        let way = entries.find(|entry| match entry.kind {
            Kind::Unicast(interface) => interface == out,
            Kind::Multicast | Kind::Broadcast => true,
            Kind::Unspecified | Kind::Loopback | Kind::Local | Kind::Anycast => false,
        })?;
        self.gateways.get((way.gateway as usize).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Forwarding, Host, Interface, Network, Route};
    use alloc::vec::Vec;
    use keepstate_packet::InterfaceName;

    const V4: Family = Family::V4;

    fn network(octets: [u8; 4], prefix: u8) -> Network {
        Network { family: V4, address: Address::v4(octets), prefix }
    }

    fn routing() -> Routing {
        let interface = |name, octets| Interface {
            addresses: Vec::from([network(octets, 24)]),
            ..Interface::new(InterfaceName::new(name).expect("a name"), 1500)
        };
        let interfaces = Vec::from([interface("a", [10, 0, 1, 1]), interface("b", [10, 0, 2, 1])]);
        let via = |octets, prefix, out, gateway| Route {
            gateway: Some(Address::v4(gateway)),
            ..Route::new(network(octets, prefix), InterfaceIndex(out))
        };
        let mut host = Host::new(interfaces, Forwarding::Router);
        host.routes.push(via([0; 4], 0, 1, [10, 0, 2, 254]));
        host.routes.push(via([192, 0, 2, 0], 24, 0, [10, 0, 1, 9]));
        host.routes.push(Route::new(network([192, 0, 2, 128], 25), InterfaceIndex(0)));
        Routing::new(host)
    }

    #[test]
    fn what_is_link_local_needs_no_gateway() {
        let v6 = |first, last| {
            let mut octets = [0; 16];
            (octets[0], octets[1], octets[15]) = (first, 0x80, last);
            Address::v6(octets)
        };
        let interface = Interface::new(InterfaceName::new("a").expect("a name"), 1500);
        let mut host = Host::new(Vec::from([interface]), Forwarding::Router);
        let to_all = Network { family: Family::V6, address: Address::default(), prefix: 0 };
        let out = InterfaceIndex(0);
        let gateway = Some(v6(0xfe, 9));
        host.routes.push(Route { gateway, ..Route::new(to_all, out) });
        let routing = Routing::new(host);
        assert_eq!(routing.next_hop(Family::V6, out, v6(0x20, 1)), v6(0xfe, 9));
        assert_eq!(routing.next_hop(Family::V6, out, v6(0xfe, 2)), v6(0xfe, 2));
        assert!(routing.is_on_link(Family::V6, out, v6(0xfe, 2)));
        assert!(!routing.is_on_link(Family::V6, out, v6(0x20, 1)));
    }

    #[test]
    fn the_narrowest_route_by_that_interface_names_the_gateway() {
        let hop = |out, to| routing().next_hop(V4, InterfaceIndex(out), Address::v4(to));
        assert_eq!(hop(1, [8, 8, 8, 8]), Address::v4([10, 0, 2, 254]));
        assert_eq!(hop(0, [192, 0, 2, 7]), Address::v4([10, 0, 1, 9]));
        assert_eq!(hop(0, [192, 0, 2, 200]), Address::v4([192, 0, 2, 200]), "on the link");
        assert_eq!(hop(0, [10, 0, 1, 77]), Address::v4([10, 0, 1, 77]), "its own network");
        assert_eq!(hop(1, [10, 0, 2, 255]), Address::v4([10, 0, 2, 255]), "broadcast");
        assert_eq!(hop(1, [224, 0, 0, 5]), Address::v4([224, 0, 0, 5]), "a group");
        assert_eq!(hop(0, [8, 8, 8, 8]), Address::v4([8, 8, 8, 8]), "no route by that interface");
    }
}
