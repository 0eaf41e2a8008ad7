//! What a host file says of a router of live traffic: devices, neighbours, whose addresses it answers
//! for.

use super::{Fault, File, InterfaceEntry, address, gateway, interface_of, network, networks};
use keepstate_datapath::router::neighbours::{Key, NEIGHBOURS_MAX};
use keepstate_datapath::router::{Device, Hardware};
use keepstate_engine::{Forwarding, Host, InterfaceIndex, Network};
use keepstate_packet::{Address, Family};
use serde::Deserialize;
use toml::Spanned;

/// What becomes of packets for the router itself that INPUT lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OwnTraffic {
    /// Neighbours and echo requests are answered, TCP that no socket takes is reset, the rest is dropped.
    #[default]
    Answer,
    /// Neighbours are answered, all else is dropped.
    Drop,
    /// Nothing is answered: this machine's kernel has the addresses, too.
    Kernel,
}

/// A `[[neighbour]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NeighbourEntry {
    address: Spanned<String>,
    hardware: Spanned<String>,
    interface: Spanned<String>,
}

/// How a router is on its links.
#[derive(Debug)]
pub(crate) struct Links {
    /// The devices, in the order of the host's interfaces.
    pub(crate) devices: Vec<Device>,
    /// Addresses of others that it answers for, by interface.
    pub(crate) proxied: Vec<Vec<Network>>,
    /// Neighbours that are always there.
    pub(crate) neighbours: Vec<(Key, Hardware)>,
    /// What becomes of packets for itself.
    pub(crate) own_traffic: OwnTraffic,
    /// What no router of live traffic can be, and where that stands; found when one is wanted.
    pub(crate) obstacle: Option<String>,
}

impl Links {
    pub(super) fn of(file: &File, host: &Host) -> Result<Self, Fault> {
        let devices = file.interface.iter().zip(&host.interfaces);
        let devices = devices.map(|(entry, interface)| {
            Ok(Device {
                name: interface.name,
                is_tap: entry.tap,
                hardware: entry.hardware.as_ref().map(hardware).transpose()?,
                mtu: entry.mtu.as_ref().map(|mtu| *mtu.get_ref()),
            })
        });
        let proxied = file.interface.iter().map(|entry| networks(&entry.proxy));
        if let Some(beyond) = file.neighbour.get(NEIGHBOURS_MAX) {
            let text = format!("more than {NEIGHBOURS_MAX} neighbours");
            return Err(Fault::at(&beyond.address, text));
        }
        let neighbours = file.neighbour.iter().map(|entry| entry.neighbour(host));
        for entry in &file.route {
            let Some(via) = &entry.via else { continue };
            let interface = interface_of(&entry.interface, &host.interfaces)?;
            let gateway = gateway(via, network(&entry.to)?.family)?;
            if !is_on_link(host, interface, network(&entry.to)?.family, gateway) {
                let name = entry.interface.get_ref();
                let text = format!("no network of {name} has the gateway {}", via.get_ref());
                return Err(Fault::at(via, text));
            }
        }
        Ok(Self {
            devices: devices.collect::<Result<_, Fault>>()?,
            proxied: proxied.collect::<Result<_, _>>()?,
            neighbours: neighbours.collect::<Result<_, _>>()?,
            own_traffic: file.own_traffic,
            obstacle: obstacle(&file.interface, host),
        })
    }
}

fn obstacle(entries: &[InterfaceEntry], host: &Host) -> Option<String> {
    if host.forwarding != Forwarding::Router {
        return Some("`forwarding` is not \"router\"".to_owned());
    }
    if host.interfaces.iter().any(|one| one.bridge.is_some()) {
        return Some("bridges are not run: `bridge_ports`".to_owned());
    }
    let lo = entries.iter().any(|entry| entry.name.get_ref() == "lo");
    lo.then(|| "`lo` leads to no neighbours".to_owned())
}

impl NeighbourEntry {
    fn neighbour(&self, host: &Host) -> Result<(Key, Hardware), Fault> {
        let interface = interface_of(&self.interface, &host.interfaces)?;
        let (family, address) = address(&self.address)?;
        Ok((Key { interface, family, address }, hardware(&self.hardware)?))
    }
}

/// `02:00:00:00:00:01`: one station's address.
fn hardware(text: &Spanned<String>) -> Result<Hardware, Fault> {
    let mut octets = [0; 6];
    let mut parts = text.get_ref().split(':');
    let is_octet = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let is_read = octets.iter_mut().all(|octet| {
        let part = parts.next().filter(|part| is_octet(part));
        part.and_then(|part| u8::from_str_radix(part, 16).ok()).map(|read| *octet = read).is_some()
    });
    let shown = text.get_ref();
    if !is_read || parts.next().is_some() {
        return Err(Fault::at(text, format!("{shown} is no Ethernet address")));
    }
    if octets[0] & 1 != 0 || octets == [0; 6] {
        return Err(Fault::at(text, format!("{shown} is not one station's address")));
    }
    Ok(octets)
}

/// Whether an address lies on the link of an interface: in one of its networks, or in one that a route
/// without gateway leads to; over IPv6 a link-local address always does.
fn is_on_link(host: &Host, interface: InterfaceIndex, family: Family, address: Address) -> bool {
    let holds = |network: &Network| network.family == family && network.contains(address);
    let own = host.interface(interface).map_or(&[][..], |one| &one.addresses);
    let mut routes = host.routes.iter();
    let link_local = family == Family::V6 && address.0[0] == 0xfe && address.0[1] & 0xc0 == 0x80;
    link_local
        || own.iter().any(holds)
        || routes.any(|route| {
            route.gateway.is_none() && route.interface == interface && holds(&route.destination)
        })
}
